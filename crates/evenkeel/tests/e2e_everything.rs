//! One drill of everything: keys from cards, state and network from their kits, on a machine that
//! has nothing else; and what its report says when something is missing or wrong.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;
mod network_support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::blank::Blank;
use common::daemon::Daemon;
use common::{Rig, Said, files_below};
use network_support::{Script, Scripted};
use rusqlite::Connection;
use serde_json::Value;

const HOLDERS: &str = "1.1 Ada @ bank\n1.2 Bob @ home\n1.3 Cem @ safe\n";
const KITS: &str = "--kit bring/keys.txt --kit bring/state.txt --kit bring/network.txt";
const CARDS: &str = "--shares bring/words --passphrase-file bring/passphrase";

/// What is left of a desk: sites, kits and cards.
struct Left {
    rig: Rig,
    node: Scripted,
}

/// Splits a secret among three, of whom two are needed.
fn split(rig: &Rig, what: &str, out: &str) {
    rig.ok(&format!(
        "keys slip39 split --groups 2of3 --iteration-exponent 0 --holders holders \
         --passphrase-file bring/passphrase {what} --out {out}"
    ));
}

/// The words of a member's cards of all three keys.
fn words(rig: &Rig, members: &[(&str, u8)]) -> String {
    let of = |(folder, member): &(&str, u8)| {
        let end = format!("-member-{member:02}.txt");
        let files = files_below(&rig.path(folder));
        let file = files.iter().find(|file| file.to_string_lossy().ends_with(&end)).unwrap();
        fs::read_to_string(file).unwrap()
    };
    members.iter().map(of).collect()
}

/// The first address of the wallet.
fn address(rig: &Rig) -> String {
    let record = fs::read_to_string(rig.path("wallet/fingerprint.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    record["accounts"][0]["addresses"][0]["address"].as_str().unwrap().to_owned()
}

/// The document of the network, which names the wallet's address.
fn document(rig: &Rig, node: &Scripted) {
    let text = format!(
        "format = 1\n\n[[chains]]\nname = \"main\"\nchain_id = 1\nsettled_blocks = 0\n\n\
         [[endpoints]]\nname = \"own\"\nchain = \"main\"\nurl = \"{}\"\n\n\
         [[allow]]\nname = \"desk-wallet\"\naddresses = [\"{}\"]\n",
        node.url(),
        address(rig)
    );
    fs::write(rig.path("network.toml"), text).unwrap();
}

/// What has to be true of what comes back; `count` rows among it.
fn settings(rig: &Rig, name: &str, count: u32, command: bool) {
    let data = rig.path("data");
    let mut text = format!(
        "[drill]\nscratch = \"/dev/shm\"\n\n\
         [[drill.checks]]\nname = \"orders\"\nsource = \"{}\"\n\
         sql = \"SELECT count(*) FROM orders\"\nexpect = {count}\n\n\
         [[drill.checks]]\nname = \"plan\"\npath = \"{}\"\n\
         sha256 = \"d618fb157a4b382e92fcd4a830c5fa8adef45a809543c524f7904e38f867dac8\"\n",
        data.join("orders.sqlite").display(),
        data.join("plan").display(),
    );
    if command {
        text.push_str(
            "\n[[drill.checks]]\nname = \"sees all\"\ncommand = [\"sh\", \"-c\", \"\"\"\n\
             set -e\ngrep -q MAIN_CHAIN_ID=1 $EVENKEEL_DRILL_NETWORK/endpoints.env\n\
             grep -q age1 $EVENKEEL_DRILL_KEYS/keys.json\n\
             test -d $EVENKEEL_DRILL_FILES && test -d $EVENKEEL_DRILL_DATABASES\n\
             ! grep -rq AGE-SECRET $EVENKEEL_DRILL_DIR\n\"\"\"]\n",
        );
    }
    fs::write(rig.path(name), text).unwrap();
}

/// A desk with a venue, files, a database, endpoints and a wallet; kits and cards are made; then
/// the host, two of five sites of the state and one of three of the network are gone.
fn desk() -> Left {
    let rig = Rig::new().with("EVENKEEL_FILES_EVERY_SECONDS", "1");
    let node = Scripted::start(Script::at(50));
    rig.ok("init --home h");
    fs::create_dir(rig.path("bring")).unwrap();
    fs::write(rig.path("bring/passphrase"), "correct horse\n").unwrap();
    fs::write(rig.path("holders"), HOLDERS).unwrap();
    fs::write(rig.path("secret"), "0123456789abcdef".repeat(4)).unwrap();
    split(&rig, "--secret-file secret", "wallet");
    document(&rig, &node);
    rig.ok("network protect network.toml --home h");
    let data = rig.path("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("plan"), "monday").unwrap();
    let orders = Connection::open(data.join("orders.sqlite")).unwrap();
    orders.pragma_update(None, "journal_mode", "wal").unwrap();
    orders.execute_batch("CREATE TABLE orders(id INTEGER PRIMARY KEY, what TEXT)").unwrap();
    let toml = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let paths = format!("\npaths = [\"{}\"]", data.display());
    fs::write(&toml, text.replacen("\npaths = []", &paths, 1)).unwrap();
    trade(&rig, &orders);
    rig.ok("kit make --home h --out bring/state.txt");
    rig.ok("kit make --domain network --home h --out bring/network.txt");
    split(&rig, "--identity-file h/recovery-identity.txt", "of-state");
    split(&rig, "--identity-file h/network-recovery-identity.txt", "of-network");
    let kit = ["wallet/fingerprint.json=desk-wallet", "of-state/fingerprint.json=state"];
    let mut command = rig.command("keys kit --out bring/keys.txt");
    for record in kit.iter().chain(&["of-network/fingerprint.json=network"]) {
        command.args(["--record", record]);
    }
    assert!(command.output().unwrap().status.success());
    let brought = ["wallet", "of-state", "of-network"].map(|it| [(it, 1), (it, 3)]).concat();
    fs::write(rig.path("bring/words"), words(&rig, &brought)).unwrap();
    for gone in ["h/host", "h/drill-host", "data"] {
        fs::remove_dir_all(rig.path(gone)).unwrap();
    }
    fs::create_dir(rig.path("identities")).unwrap();
    for (file, name) in
        [("recovery-identity.txt", "state"), ("network-recovery-identity.txt", "network")]
    {
        fs::copy(rig.path("h").join(file), rig.path("identities").join(name)).unwrap();
    }
    for gone in ["evenkeel.toml", "recovery-identity.txt", "network-recovery-identity.txt"] {
        fs::remove_file(rig.path("h").join(gone)).unwrap();
    }
    for site in ["site-b", "site-d", "network-c"] {
        fs::remove_dir_all(rig.path("h/sites").join(site)).unwrap();
    }
    Left { rig, node }
}

/// Lets the daemon run until there are points of venue, files and database.
fn trade(rig: &Rig, orders: &Connection) {
    let mut daemon = Daemon::start(rig, "--rate 200 --accounts 20");
    for _ in 0..20 {
        orders.execute("INSERT INTO orders(what) VALUES ('buy')", []).unwrap();
    }
    daemon.until("points of all three", || {
        let points = rig.run("points --home h --json");
        let points = (points.exit == 0).then(|| points.json())?;
        let kinds: Vec<&str> =
            points["points"].as_array()?.iter().filter_map(|one| one["kind"].as_str()).collect();
        ["venue", "files", "live"].iter().all(|kind| kinds.contains(kind)).then_some(())
    });
    drop(daemon.end());
}

fn part<'r>(report: &'r Value, name: &str) -> &'r Value {
    report["parts"].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap()
}

fn result(of: &Value) -> &str {
    of["result"].as_str().unwrap()
}

fn condition<'r>(report: &'r Value, name: &str) -> &'r Value {
    let all = report["conditions"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"))
}

/// How keys, state and network ended.
fn ends(report: &Value) -> [&str; 3] {
    ["keys", "state", "network"].map(|name| result(part(report, name)))
}

fn kept(home: &Path) -> PathBuf {
    let files = files_below(&home.join("drill-host/drills"));
    files.into_iter().find(|file| file.extension().is_some_and(|it| it == "everything")).unwrap()
}

#[test]
fn keys_state_and_network_come_back_together_on_a_blank_machine_from_kits_and_cards() {
    let left = desk();
    let rig = &left.rig;
    settings(rig, "bring/settings.toml", 20, false);
    let blank = Blank { rig, network: true };
    let line = format!("drill everything {KITS} {CARDS}").replace("bring/", "/kit/");
    let line = format!("{line} --settings /kit/settings.toml --home /new/drill --json");
    let Some(said) = blank.run(&line) else {
        return;
    };
    let report = said.json();
    assert_eq!(said.exit, 0, "{report:#}\n{}", said.err);
    assert_eq!(ends(&report), ["ok"; 3], "{report:#}");
    assert_eq!(report["ready_to_trade"], "ok", "{report:#}");
    assert!(said.err.contains("signs its reports with a key made just now"), "{}", said.err);
    for name in ["keys", "state", "network"] {
        let one = part(&report, name);
        assert_eq!(one["opened_by"], "shares of Ada, Cem", "{one:#}");
        assert!(one["kit"].as_str().unwrap().starts_with("kit "), "{one:#}");
        assert!(one["rto_seconds"].as_f64().unwrap() > 0.0, "{one:#}");
    }
    let said_ok = [
        ("keys", "3 of 3 keys proven"),
        ("protected", "came back"),
        ("databases", "ok"),
        ("venue_root", "4 of 4 ok"),
        ("venue_start", "state root as brought back; cancel-only"),
        ("own_checks", "2 of 2 ok"),
        ("endpoint:main", "own serves chain 1, measured now"),
        ("wallet:desk-wallet", "is the one of the allow list"),
    ];
    for (name, detail) in said_ok {
        let one = condition(&report, name);
        assert_eq!(result(one), "ok", "{one:#}");
        assert!(one["detail"].as_str().unwrap().contains(detail), "{one:#}");
    }
    println!(
        "blank machine, 2 of 5 and 1 of 3 sites lost: keys {} s, state {} s, network {} s; the \
         machine {} s in all",
        part(&report, "keys")["rto_seconds"],
        part(&report, "state")["rto_seconds"],
        part(&report, "network")["rto_seconds"],
        report["machine_seconds"]
    );
    verified_elsewhere(rig, &report);
}

/// The report alone, and its public key, suffice to check it; a changed one is told.
fn verified_elsewhere(rig: &Rig, report: &Value) {
    let file = kept(&rig.beside("new/drill"));
    let signer = report["signer_hex"].as_str().unwrap();
    let verify = |file: &Path| format!("drill verify {} --key {signer} --json", file.display());
    let read = rig.ok(&verify(&file)).json();
    assert_eq!(&read, report);
    let other = "00".repeat(32);
    assert_eq!(rig.run(&verify(&file).replace(signer, &other)).exit, 12);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let changed = rig.path("changed");
    fs::write(&changed, bytes).unwrap();
    assert_eq!(rig.run(&verify(&changed)).exit, 20);
}

/// Runs a drill in a home of its own; the report is the last of that home.
fn drill(rig: &Rig, more: &str, home: &str) -> (Said, Value) {
    let said = rig.run(&format!("drill everything {more} --home {home} --json"));
    let report = said.json();
    (said, report)
}

#[test]
fn what_is_missing_or_wrong_is_named_part_by_part() {
    let left = desk();
    let rig = &left.rig;
    settings(rig, "settings.toml", 20, true);
    let with = "--settings settings.toml";
    let all = format!("{KITS} {CARDS} {with}");

    let (said, report) = drill(rig, &all, "good");
    assert_eq!(said.exit, 0, "{report:#}\n{}", said.err);
    assert!(condition(&report, "own_checks")["detail"].as_str().unwrap().starts_with("3 of 3"));
    assert!(report["scratch"].as_str().unwrap().starts_with("in memory"), "{report:#}");
    let file = kept(&rig.path("good"));
    let shown = rig.ok(&format!("drill verify {} --key {}", file.display(), hex(&report)));
    assert!(shown.out.contains("drill of everything ok: ready to trade"), "{}", shown.out);
    assert!(shown.out.contains("opened by        shares of Ada, Cem"), "{}", shown.out);

    too_few_cards_and_a_wrong_passphrase(rig, with);
    wrong_kits(rig, with);

    without_cards(rig, with);

    // A part that nobody spoke of makes it unproven; one that is left out on purpose does not.
    let two = "--kit bring/keys.txt --kit bring/state.txt";
    let (said, report) = drill(rig, &format!("{two} {CARDS}"), "two");
    assert_eq!((said.exit, ends(&report)), (3, ["ok", "ok", "unproven"]), "{report:#}");
    assert!(part(&report, "network")["detail"].as_str().unwrap().contains("not drilled"));
    let (said, report) = drill(rig, &format!("{two} {CARDS} --without network"), "left-out");
    assert_eq!(said.exit, 0, "{report:#}");
    assert_eq!(ends(&report), ["ok", "ok", "not_configured"]);

    // Without a network nothing is known of endpoints, and that is what is said.
    let (said, report) = drill(rig, &format!("{all} --offline"), "offline");
    assert_eq!((said.exit, ends(&report)), (3, ["ok"; 3]), "{report:#}");
    assert_eq!(result(condition(&report, "endpoint:main")), "unproven");

    // What the user asks, and is not so.
    settings(rig, "settings-21.toml", 21, false);
    let more = all.replace("settings.toml", "settings-21.toml");
    let (said, report) = drill(rig, &more, "asked");
    assert_eq!((said.exit, ends(&report)), (20, ["ok", "failed", "ok"]), "{report:#}");
    assert!(condition(&report, "own_checks")["detail"].as_str().unwrap().contains("check:orders"));

    // An endpoint that serves another chain.
    left.node.set(|script| script.chain_id = 7);
    let (said, report) = drill(rig, &all, "poisoned");
    assert_eq!((said.exit, ends(&report)), (20, ["ok", "ok", "failed"]), "{report:#}");
    let told = condition(&report, "endpoint:main");
    assert_eq!(result(told), "failed");
    assert!(told["detail"].as_str().unwrap().contains("it is of chain 7"), "{told:#}");
    assert_eq!(report["ready_to_trade"], "failed");
    left.node.set(|script| script.chain_id = 1);

    // One site too many.
    fs::remove_dir_all(rig.path("h/sites/site-a")).unwrap();
    let (said, report) = drill(rig, &all, "sites");
    assert_eq!(
        (said.exit, ends(&report)),
        (21, ["ok", "failed", "ok"]),
        "{report:#}\n{}",
        said.err
    );
    assert_eq!(part(&report, "state")["exit_code"], 21);
}

/// Identities in files open as well; that people could bring the keys is then not shown.
fn without_cards(rig: &Rig, with: &str) {
    let files = "--identity identities/state --identity identities/network";
    let two = "--kit bring/state.txt --kit bring/network.txt";
    settings(rig, "plain.toml", 20, false);
    let plain = "--settings plain.toml --without keys";
    let (said, report) = drill(rig, &format!("{two} {files} {plain}"), "files");
    assert_eq!((said.exit, ends(&report)), (0, ["ok"; 3]), "{report:#}\n{}", said.err);
    let by = part(&report, "state")["opened_by"].as_str().unwrap();
    assert!(by.starts_with("an identity in a file, age1"), "{by}");
    // Both domains' own reports are kept, and count as proven restores.
    let kept = files_below(&rig.path("files/drill-host/drills"));
    let count =
        |end: &str| kept.iter().filter(|it| it.extension().is_some_and(|x| x == end)).count();
    assert_eq!((count("drill"), count("everything")), (2, 1), "{kept:?}");
    let (said, report) = drill(rig, &format!("{KITS} {files} {with}"), "nobody");
    assert_eq!((said.exit, ends(&report)), (3, ["unproven", "ok", "ok"]), "{report:#}");
    let checks = part(&report, "keys")["checks"].as_array().unwrap().clone();
    assert!(checks.iter().any(|one| one["detail"] == "nobody brought its cards"), "{checks:?}");
}

fn hex(report: &Value) -> &str {
    report["signer_hex"].as_str().unwrap()
}

fn too_few_cards_and_a_wrong_passphrase(rig: &Rig, with: &str) {
    let fewer =
        [("wallet", 1), ("wallet", 3), ("of-state", 1), ("of-network", 2), ("of-network", 3)];
    fs::write(rig.path("fewer"), words(rig, &fewer)).unwrap();
    let more = format!("{KITS} --shares fewer --passphrase-file bring/passphrase {with}");
    let (said, report) = drill(rig, &more, "fewer-home");
    assert_eq!((said.exit, ends(&report)), (22, ["failed", "unproven", "ok"]), "{report:#}");
    assert!(said.err.contains("Bob at home") && said.err.contains("Cem at safe"), "{}", said.err);
    let keys = part(&report, "keys");
    assert!(keys["detail"].as_str().unwrap().starts_with("2 of 3 keys proven"), "{keys:#}");
    assert_eq!(part(&report, "network")["opened_by"], "shares of Bob, Cem");
    let state = part(&report, "state")["detail"].as_str().unwrap();
    assert!(state.contains("nothing that was brought opens it"), "{state}");

    fs::write(rig.path("wrong"), "correct hearse\n").unwrap();
    let more = format!("{KITS} --shares bring/words --passphrase-file wrong {with}");
    let (said, report) = drill(rig, &more, "wrong-home");
    assert_eq!((said.exit, ends(&report)), (12, ["failed", "unproven", "unproven"]), "{report:#}");
    assert_eq!(part(&report, "state")["recovery_point"], "");

    // Cards that are read from standard input: people's time, not the machine's.
    let line = format!("drill everything {KITS} --shares - --passphrase-file bring/passphrase");
    let mut command = rig.command(&format!("{line} {with} --home typed --json"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = fs::read(rig.path("bring/words")).unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let said = Said::of(&child.wait_with_output().unwrap());
    assert_eq!(said.exit, 0, "{}", said.err);
    let report = said.json();
    let seconds = |name: &str| report[name].as_f64().unwrap();
    assert!(seconds("people_seconds") > 0.0);
    let sum = seconds("people_seconds") + seconds("machine_seconds");
    assert!((sum - seconds("elapsed_seconds")).abs() < 1e-6, "{report:#}");
}

fn wrong_kits(rig: &Rig, with: &str) {
    // A kit in which another root stands: what the sites hold is not what that root signed.
    let root = |file: &str| {
        let text = fs::read_to_string(rig.path(file)).unwrap();
        let line = text.lines().find(|line| line.starts_with("root_public_key")).unwrap();
        (text.clone(), line.to_owned())
    };
    let ((state, own), (_, other)) = (root("bring/state.txt"), root("bring/network.txt"));
    fs::write(rig.path("other-root.txt"), state.replace(&own, &other)).unwrap();
    let kits = KITS.replace("bring/state.txt", "other-root.txt");
    let (said, report) = drill(rig, &format!("{kits} {CARDS} {with}"), "root-home");
    assert_ne!(said.exit, 0, "{report:#}");
    assert_eq!(part(&report, "keys")["result"], "ok");
    assert_eq!(part(&report, "network")["result"], "ok");
    assert_eq!(part(&report, "state")["result"], "failed", "{report:#}");
    assert!(said.err.contains("was changed after it was made"), "{}", said.err);

    // An identity that no kit is of.
    rig.ok("init --home another");
    let stranger = format!("{KITS} --identity another/recovery-identity.txt");
    let (said, report) = drill(rig, &stranger, "stranger-home");
    assert_eq!(said.exit, 12, "{report:#}");
    assert!(part(&report, "state")["detail"].as_str().unwrap().starts_with("wrong identity"));
    let twice = format!("drill everything {KITS} --kit bring/state.txt --home twice");
    rig.run(&twice).refuses(2, &["two kits are of the same domain"]);
}
