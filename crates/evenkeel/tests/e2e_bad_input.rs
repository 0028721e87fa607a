//! What people and machines do wrong, and what the program says: what happened, where, what is
//! safe, what to type next.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "what only tests call is a test as well"
)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use common::audit::{Promises, audit, replay};
use common::daemon::{Daemon, live_status};
use common::damage::{Harm, harm, objects};
use common::namespace::Namespace;
use common::random::{Random, seed};
use common::{Rig, Said, copy_tree, power_loss};
use rustix::process::Signal;

#[test]
fn an_unknown_configuration_key_is_refused_with_the_nearest_right_name() {
    let rig = Rig::new();
    rig.ok("init --home h --dashboard off");
    let file = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\nsegment_bytes =", "\nsegmet_bytes =")).unwrap();
    let said = rig.run("up --role primary --home h --exit-after 1");
    said.refuses(2, &["segmet_bytes", "segment_bytes", "evenkeel.toml", "safe:", "next:"]);
    assert!(!rig.journal().exists(), "nothing was started");
}

#[test]
fn a_second_daemon_is_told_who_holds_the_home() {
    let rig = Rig::new();
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 100);
    let holder = daemon.id().to_string();
    let said = rig.run("up --role primary --home h --dashboard off --exit-after 1");
    said.refuses(11, &[&holder, "safe:", "next:"]);
    daemon.until_acked(&rig, 100);
    daemon.end();
}

#[test]
fn a_read_only_folder_is_named_and_nothing_is_half_started() {
    let rig = Rig::new();
    rig.ok("init --home h --dashboard off");
    let host = rig.path("h");
    let host = host.display();
    let Some(inside) =
        Namespace::new(&format!("mount --bind {host} {host} && mount -o remount,bind,ro {host}"))
    else {
        return;
    };
    let command = rig.command("up --role primary --home h --dashboard off --exit-after 2");
    let said = Said::of(&inside.enter(&command).output().unwrap());
    said.refuses(1, &["Read-only", "h/host/journal", "safe:", "next:"]);
    let command = rig.command("init --home h/new --dashboard off");
    let said = Said::of(&inside.enter(&command).output().unwrap());
    said.refuses(1, &["Read-only", "h/new", "next:"]);
}

#[test]
fn a_full_disk_takes_no_orders_loses_nothing_and_resumes_when_there_is_room() {
    let rig = Rig::new()
        .with("EVENKEEL_JOURNAL_SEGMENT_BYTES", "1048576")
        .with("EVENKEEL_VENUE_COMMANDS_PER_SECOND", "20000");
    rig.ok("init --home h --dashboard off");
    let journal = rig.journal();
    fs::create_dir_all(&journal).unwrap();
    let place = journal.display();
    let Some(inside) = Namespace::new(&format!("mount -t tmpfs -o size=6m tmpfs {place}")) else {
        return;
    };
    let mut command = rig.command("up --role primary --home h --dashboard off --ack-log");
    command.arg(rig.beside("ack"));
    let mut daemon = Daemon::spawn(&rig, &mut inside.enter(&command));
    let told = daemon.until_condition(&rig, "disk_full");
    assert_eq!(told["severity"], "critical");
    assert!(told["safe"].as_str().unwrap().contains("durable"), "{told}");
    // It lives on, answers, and says the same a while later.
    std::thread::sleep(Duration::from_secs(2));
    daemon.until_condition(&rig, "disk_full");
    let full = live_status(&rig).unwrap();
    assert_eq!(full["engine"]["digests_agree"], true, "{full}");

    // Killed while the disk is full, it starts again on the full disk.
    daemon.kill();
    let mut daemon = Daemon::spawn(&rig, &mut inside.enter(&command));
    daemon.until_condition(&rig, "disk_full");

    inside.run(&format!("mount -o remount,size=64m {place}"));
    daemon.until_acked(&rig, 2_000);
    daemon.until("the finding to go", || {
        let status = live_status(&rig)?;
        let all = status["conditions"].as_array()?;
        (!all.iter().any(|one| one["kind"] == "disk_full")).then_some(())
    });
    daemon.end();
    copy_tree(&inside.seen(&journal), &journal);
    drop(inside);
    let found = audit(&rig, &mut Promises::default()).unwrap();
    assert!(found.acks > 2_000, "{found:?}");
    rig.ok("journal verify --home h");
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 200);
    daemon.end();
}

#[test]
fn a_wall_clock_set_back_and_forward_neither_stops_time_nor_turns_it_back() {
    let rig = Rig::new();
    let library = power_loss::build_from("common/clock.c", &rig.beside("."));
    let file = rig.beside("offset");
    fs::write(&file, "0").unwrap();
    let start = |rig: &Rig| {
        Daemon::start_with(rig, "", |command| {
            command.env("LD_PRELOAD", &library).env("EVENKEEL_CLOCK_FILE", &file)
        })
    };
    let mut daemon = start(&rig);
    daemon.until_acked(&rig, 500);
    for offset in ["-86400", "172800", "0"] {
        fs::write(&file, offset).unwrap();
        daemon.until_acked(&rig, 500);
        if offset != "0" {
            let told = daemon.until_condition(&rig, "wall_clock_stepped");
            assert!(told["safe"].as_str().unwrap().contains("order"), "{told}");
        }
    }
    daemon.until("the finding to go", || {
        let status = live_status(&rig)?;
        let all = status["conditions"].as_array()?;
        (!all.iter().any(|one| one["kind"] == "wall_clock_stepped")).then_some(())
    });
    daemon.end();
    // Set back by an hour while nothing runs.
    fs::write(&file, "-3600").unwrap();
    let mut daemon = start(&rig);
    daemon.until_acked(&rig, 500);
    daemon.end();
    let found = replay(&rig.journal(), &BTreeSet::new());
    let steps = found.times_ns.windows(2);
    assert!(steps.clone().all(|pair| pair[0] <= pair[1]), "time turned back");
    // No step forward either: a day that never was would expire what is not yet due.
    let longest_ns = steps.map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest_ns < 3_600_000_000_000, "a step of {longest_ns} ns");
    audit(&rig, &mut Promises::default()).unwrap();
}

#[test]
fn a_corrupt_record_at_a_site_neither_stops_a_start_nor_goes_unnoticed() {
    let rig = Rig::new();
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_points(&rig, 1);
    daemon.end();
    let mut random = Random::new(seed() ^ 0xc0);
    let site = &rig.sites()[2];
    for object in objects(site, "records") {
        harm(site, &object, Harm::Flipped, &mut random).unwrap();
    }
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 1_000);
    daemon.end();
    let found = rig.run("verify --home h --json");
    assert_eq!(found.exit, 20, "{found:?}");
    assert!(found.out.contains("site-c") && found.out.contains("records/"), "{found:?}");
    rig.ok("repair --home h");
    rig.ok("verify --home h");
    audit(&rig, &mut Promises::default()).unwrap();
}

#[test]
fn a_garbage_import_is_refused_whole_with_place_and_reason() {
    let rig = Rig::new();
    let mut random = Random::new(seed() ^ 0x6a);
    let noise: Vec<u8> = (0..20_000).map(|_| random.below(256) as u8).collect();
    fs::write(rig.path("noise.csv"), &noise).unwrap();
    fs::write(rig.path("noise.csv.gz"), [&[0x1f, 0x8b, 8, 0][..], &noise].concat()).unwrap();
    fs::write(rig.path("noise.csv.zst"), [&[0x28, 0xb5, 0x2f, 0xfd][..], &noise].concat()).unwrap();
    for format in ["bitstamp-l3", "deribit-ws", "orderflow-csv"] {
        for file in ["noise.csv", "noise.csv.gz", "noise.csv.zst", "absent.csv"] {
            let said = rig.run(&format!("replay {file} --format {format} --json"));
            assert!(!matches!(said.exit, 0 | -1 | 101), "{file} as {format}: {said:?}");
            assert!(said.err.contains(file), "{file} as {format}: {said:?}");
            assert!(!said.err.contains("panicked"), "{file} as {format}: {said:?}");
        }
    }
}

#[test]
fn a_closed_terminal_ends_it_cleanly() {
    let rig = Rig::new();
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 500);
    daemon.signal(Signal::HUP);
    let said = daemon.wait();
    assert_eq!(said.exit, 0, "{}", said.err);
    assert!(said.err.contains("the terminal was closed"), "{}", said.err);
    audit(&rig, &mut Promises::default()).unwrap();
}

#[test]
fn closed_pipes_do_not_end_it() {
    let rig = Rig::new();
    let mut command =
        rig.command("up --role primary --home h --dashboard off --exit-after 6 --ack-log");
    command.arg(rig.beside("ack"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let found = audit(&rig, &mut Promises::default()).unwrap();
    assert!(found.acks > 500, "{found:?}");
}

#[test]
fn a_home_with_a_missing_key_file_says_which_and_how_to_go_on() {
    let rig = Rig::new();
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_points(&rig, 1);
    daemon.end();
    let key = rig.path("h/host/keys/state/writer.key");
    fs::remove_file(&key).unwrap();
    rig.run("up --role primary --home h --dashboard off --exit-after 1")
        .refuses(2, &["writer.key", "safe:", "--promote"]);
    // What the sites hold does not depend on it.
    rig.ok("restore --config h/evenkeel.toml --identity h/recovery-identity.txt --to new");
}
