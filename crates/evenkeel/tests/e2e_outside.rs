//! What goes on around the reading of files: commands that put others to rest, signing histories
//! of validators, and the network as `up` watches it.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;
mod network_support;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::Rig;
use network_support::{Script, Scripted};
use serde_json::{Value, json};

const IDENTITY: &str = "--identity h/recovery-identity.txt";
const PATIENCE: Duration = Duration::from_secs(120);

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A home with a file to back up, and commands around it that write down what they did.
fn rested(before: &str, after: &str) -> Rig {
    let rig = Rig::new();
    rig.ok("init --home h");
    fs::create_dir(rig.path("data")).unwrap();
    fs::write(rig.path("data/file"), "as it was").unwrap();
    let trace = rig.path("trace").display().to_string();
    let shell = |words: &str| format!("[\"sh\", \"-c\", \"{}\"]", words.replace("TRACE", &trace));
    let config = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text
        .replace("\nbefore = []", &format!("\nbefore = {}", shell(before)))
        .replace("\nafter = []", &format!("\nafter = {}", shell(after)));
    fs::write(&config, text).unwrap();
    rig
}

fn trace(rig: &Rig) -> Vec<String> {
    let text = fs::read_to_string(rig.path("trace")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

const BEFORE: &str = "echo before >> TRACE";
const AFTER: &str = "echo after >> TRACE";

#[test]
fn whoever_writes_is_put_to_rest_before_the_reading_and_let_go_after_it() {
    let rig = rested(&format!("{BEFORE}; echo at rest > data/file"), AFTER);
    rig.ok("backup data --home h");
    assert_eq!(trace(&rig), ["before", "after"]);
    rig.ok(&format!("restore --home h {IDENTITY} --to back"));
    let found = find(&rig.path("back"), "file").unwrap();
    assert_eq!(fs::read_to_string(found).unwrap(), "at rest\n");
}

fn find(folder: &Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let found = if path.is_dir() { find(&path, name) } else { None };
        if found.is_some() || path.file_name().is_some_and(|it| it == name) {
            return found.or(Some(path));
        }
    }
    None
}

#[test]
fn after_a_failure_of_any_kind_whoever_writes_is_let_go() {
    let rig = rested(&format!("{BEFORE}; echo no way >&2; exit 3"), AFTER);
    rig.run("backup data --home h")
        .refuses(1, &["files.before failed", "no way", "nothing was read"]);
    assert_eq!(trace(&rig), ["before", "after"]);
    // A path that is not there is found only when others are at rest already.
    let rig = rested(BEFORE, AFTER);
    assert_eq!(rig.run("backup nowhere --home h").exit, 1);
    assert_eq!(trace(&rig), ["before", "after"]);
}

#[test]
fn a_command_that_does_not_end_is_killed_and_letting_go_that_fails_is_said_and_tried_again() {
    let rig = rested("sleep 600", AFTER).with("EVENKEEL_FILES_HOOK_TIMEOUT_SECONDS", "1");
    rig.run("backup data --home h").refuses(1, &["not done within 1 s"]);
    assert_eq!(trace(&rig), ["after"]);
    let rig = rested(BEFORE, &format!("{AFTER}; test -e allowed"));
    let said = rig.run("backup data --home h --json");
    assert_eq!(said.exit, 3, "{said:?}");
    let problems = said.json()["problems"].clone();
    assert_eq!(problems[0]["kind"], "not_thawed", "{problems}");
    fs::write(rig.path("allowed"), "").unwrap();
    rig.ok("backup data --home h");
    assert_eq!(trace(&rig), ["before", "after", "after", "before", "after"]);
}

#[test]
fn after_a_backup_was_killed_the_next_one_lets_go_first() {
    let rig = rested(&format!("{BEFORE}; sleep 600"), AFTER);
    let mut command = rig.command("backup data --home h");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the command before", || (trace(&rig) == ["before"]).then_some(()));
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(trace(&rig), ["before"], "nobody let go yet");
    let config = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("; sleep 600", "")).unwrap();
    let said = rig.ok("backup data --home h");
    assert!(said.err.contains("was cut short"), "{said:?}");
    assert_eq!(trace(&rig), ["before", "after", "before", "after"]);
    assert!(!rig.path("h/host/files/frozen").exists());
}

fn interchange(genesis: char, keys: &[(char, u64, u64, u64)]) -> String {
    let long = |digit: char, count| std::iter::repeat_n(digit, count).collect::<String>();
    let data: Vec<Value> = keys
        .iter()
        .map(|(key, slot, source, target)| {
            json!({
                "pubkey": format!("0x{}", long(*key, 96)),
                "signed_blocks": [{"slot": slot.to_string()}],
                "signed_attestations": [
                    {"source_epoch": source.to_string(), "target_epoch": target.to_string()}
                ],
            })
        })
        .collect();
    json!({
        "metadata": {
            "interchange_format_version": "5",
            "genesis_validators_root": format!("0x{}", long(genesis, 64)),
        },
        "data": data,
    })
    .to_string()
}

fn validators() -> Rig {
    let rig = Rig::new();
    rig.ok("init --home h");
    fs::write(rig.path("data"), "x").unwrap();
    let more = format!(
        "\n[[slashing]]\nname = \"validators\"\nfile = \"{}\"\n",
        rig.path("export.json").display()
    );
    let config = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\npaths = []", "\npaths = [\"../data\"]") + &more).unwrap();
    rig
}

#[test]
fn a_signing_history_comes_back_merged_over_all_points_and_never_lower() {
    let rig = validators();
    let export = rig.path("export.json");
    fs::write(&export, interchange('0', &[('a', 100, 10, 11), ('b', 50, 5, 6)])).unwrap();
    rig.ok("backup --home h");
    fs::write(&export, interchange('0', &[('a', 90, 12, 13)])).unwrap();
    rig.ok("backup --home h");
    // The host's memory of it is lost, and the client exports a history that was pruned too far.
    fs::remove_dir_all(rig.path("h/slashing")).unwrap();
    fs::write(&export, interchange('0', &[('a', 7, 1, 2)])).unwrap();
    rig.ok("backup --home h");
    // Something newer than all of it lies at the target.
    fs::write(rig.path("target.json"), interchange('0', &[('b', 51, 5, 9)])).unwrap();
    let restore = "slashing restore validators --home h --to target.json --json";
    let said = rig.run(&format!("{restore} {IDENTITY} --stopped-at 2020-12-01T12:00:00Z"));
    assert_eq!(said.exit, 0, "{said:?}");
    let document = said.json();
    assert_eq!((document["keys"].as_u64(), document["sources"].as_u64()), (Some(2), Some(3)));
    assert_eq!(document["merged_with_target"], true);
    let text = fs::read_to_string(rig.path("target.json")).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    let key = |at: usize| {
        let key = &written["data"][at];
        let vote = &key["signed_attestations"][0];
        [&key["signed_blocks"][0]["slot"], &vote["source_epoch"], &vote["target_epoch"]]
            .map(|it| it.as_str().unwrap().to_owned())
    };
    assert_eq!(key(0), ["100", "12", "13"]);
    assert_eq!(key(1), ["51", "5", "9"]);
    // Nobody knows when it stopped: it can have signed until now.
    let said = rig.run(&format!("{restore} {IDENTITY}"));
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.err.contains("WAIT 2 epochs, until 20"), "{said:?}");
    assert_eq!(said.json()["wait_epochs"], 2);
    // A plain restore gives nothing that a client would take for a history.
    rig.ok(&format!("restore --home h {IDENTITY} --to back"));
    let captured = find(&rig.path("back"), "validators.captured").unwrap();
    let captured: Value = serde_json::from_slice(&fs::read(captured).unwrap()).unwrap();
    assert!(captured["data"].is_null() && captured["metadata"].is_null(), "{captured}");
    assert!(captured["warning"].as_str().unwrap().contains("slashing restore"));
}

#[test]
fn histories_of_another_chain_and_files_that_are_none_change_nothing() {
    let rig = validators();
    fs::write(rig.path("export.json"), interchange('0', &[('a', 100, 10, 11)])).unwrap();
    rig.ok("backup --home h");
    let other = interchange('1', &[('a', 1, 1, 1)]);
    fs::write(rig.path("target.json"), &other).unwrap();
    let restore = format!("slashing restore validators --home h --to target.json {IDENTITY}");
    rig.run(&restore).refuses(20, &["two chains", "nothing was written"]);
    assert_eq!(fs::read_to_string(rig.path("target.json")).unwrap(), other);
    rig.run("backup --home h");
    // An export that fails is said; what was captured before is in the point all the same.
    fs::write(rig.path("export.json"), "{}").unwrap();
    let said = rig.ok("backup --home h");
    assert!(said.err.contains("the point holds what was captured before"), "{said:?}");
    fs::remove_file(rig.path("target.json")).unwrap();
    let said = rig.run(&format!("{restore} --json"));
    assert_eq!((said.exit, said.json()["max_slot"].as_u64()), (3, Some(100)), "{said:?}");
    let merge = rig.run("slashing merge export.json --to merged.json");
    merge.refuses(2, &["no interchange file", "nothing was written"]);
}

fn interrupt(child: &std::process::Child) {
    let pid = i32::try_from(child.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

#[test]
fn up_watches_the_network_tells_what_must_not_be_used_and_keeps_what_changed() {
    let (one, two, three) = (
        Scripted::start(Script::at(50)),
        Scripted::start(Script::at(50)),
        Scripted::start(Script::at(50)),
    );
    let rig = Rig::new().with("EVENKEEL_NETWORK_PROBE_EVERY_SECONDS", "1");
    let write = |priority: u32| {
        let mut text = "format = 1\n[[chains]]\nname = \"main\"\nchain_id = 1\n\
                        settled_blocks = 0\nmax_lag_blocks = 4\n"
            .to_owned();
        for (name, chain) in [("one", &one), ("two", &two), ("three", &three)] {
            text.push_str(&format!(
                "[[endpoints]]\nname = \"{name}\"\nchain = \"main\"\nurl = \"{}\"\npriority = \
                 {priority}\n",
                chain.url()
            ));
        }
        fs::write(rig.path("network.toml"), text).unwrap();
    };
    write(10);
    rig.ok("network protect network.toml --home h");
    let mut command = rig.command("up --home h --dashboard off");
    let mut daemon = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = || rig.run("status --home h --json").json();
    let usable = |status: &Value| {
        let all = status["network"]["endpoints"].as_array()?;
        Some(all.iter().filter(|it| it["verdict"] == "usable").count())
    };
    eventually("three usable endpoints", || (usable(&status()) == Some(3)).then_some(()));
    two.set(|script| script.history = 'b');
    let told = eventually("the quarantine", || {
        let status = status();
        let all = status["conditions"].as_array()?;
        all.iter().find(|it| it["kind"] == "network_quarantined").cloned()
    });
    assert!(told["message"].as_str().unwrap().contains("Must not be used: two ("), "{told}");
    write(20);
    eventually("a new version", || {
        let versions = rig.run("network versions --home h --json");
        let versions = versions.json()["versions"].as_array()?.clone();
        let (first, last) = (versions.first()?, versions.last()?);
        (first["document_hash"] != last["document_hash"]).then_some(())
    });
    let protected = eventually("the source", || {
        let status = status();
        let all = status["protected"].as_array()?;
        all.iter().find(|it| it["name"] == "network" && it["state"] == "protected").cloned()
    });
    assert_eq!(protected["kind"], "network");
    // A site that lost everything has it again after the next version.
    let site = rig.path("h/sites/network-b");
    fs::remove_dir_all(&site).unwrap();
    write(30);
    eventually("a version without the site", || {
        let status = status();
        let all = status["protected"].as_array()?;
        let source = all.iter().find(|it| it["name"] == "network")?;
        source["detail"].as_str().filter(|it| it.contains("network-b")).map(|_| ())
    });
    fs::create_dir(&site).unwrap();
    eventually("the mended site", || {
        let count = |name: &str| common::files_below(&rig.path(name)).len();
        (count("h/sites/network-b") == count("h/sites/network-a")).then_some(())
    });
    interrupt(&daemon);
    assert!(daemon.wait().unwrap().success());
}
