//! What happens to a host's journal: flipped bits, a frame damaged in the middle, an end that
//! vanished. More flips: `cargo xtask campaign flips`.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "what only tests call is a test as well"
)]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use common::Rig;
use common::audit::{Promises, audit, lost_acks};
use common::daemon::Daemon;
use common::flips::{self, Tally};
use common::random::{Random, seed};

/// A home that ran a while and ended cleanly.
fn ended() -> Rig {
    let rig = Rig::new().with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1");
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_points(&rig, 2);
    daemon.until_acked(&rig, 3_000);
    daemon.end();
    rig
}

#[test]
fn every_flipped_bit_in_a_frame_is_detected_and_in_unused_space_is_harmless() {
    let rig = ended();
    let mut random = Random::new(seed() ^ 0xf1);
    let tally = flips::run(&rig, 60, &mut random).unwrap_or_else(|why| panic!("{why}"));
    let Tally { in_frames, unused, .. } = tally;
    assert!(in_frames >= 15 && unused >= 5, "{tally:?}");
}

/// The journal's frames: file, offset, extent, number of entries.
fn frames(rig: &Rig) -> Vec<flips::Frame> {
    flips::frames(&rig.journal()).into_iter().filter(|frame| frame.entries > 0).collect()
}

fn zero(frame: &flips::Frame) {
    let file = File::options().write(true).open(&frame.file).unwrap();
    file.write_all_at(&vec![0; frame.length_bytes as usize], frame.offset).unwrap();
}

/// Zeroes the last frames with entries, and every seal among and behind them.
fn cut_tail(rig: &Rig, count: usize) -> u64 {
    let all = flips::frames(&rig.journal());
    let with_entries: Vec<usize> = (0..all.len()).filter(|at| all[*at].entries > 0).collect();
    let from = with_entries[with_entries.len() - count];
    let lost = all[from..].iter().map(|frame| frame.entries).sum();
    let kept: Vec<&PathBuf> = all[..from].iter().map(|frame| &frame.file).collect();
    for frame in &all[from..] {
        // Later segments would show by their existence that something is missing.
        assert!(kept.contains(&&frame.file), "cut less: {frame:?}");
        zero(frame);
    }
    lost
}

#[test]
fn an_acknowledged_end_that_vanished_is_noticed_fetched_and_nothing_is_lost() {
    let rig = ended();
    let mut promises = Promises::default();
    audit(&rig, &mut promises).unwrap();
    let acks = rig.acks();
    let lost = cut_tail(&rig, 3);
    assert!(lost > 0);
    // Locally it cannot be seen: the journal just ends earlier.
    assert_eq!(rig.json("journal verify --home h --json")["result"], "ok");
    let said = rig.run("up --role primary --home h --dashboard off --exit-after 2");
    said.refuses(20, &["vanished", "nothing was written", "evenkeel repair"]);
    assert!(!lost_acks(&rig, &acks).is_empty());

    rig.ok("repair --home h --identity h/recovery-identity.txt --json");
    assert_eq!(lost_acks(&rig, &acks), []);
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 200);
    daemon.end();
    audit(&rig, &mut promises).unwrap();
}

#[test]
fn a_damaged_frame_in_the_middle_stops_the_start_and_gets_its_bytes_back_from_the_sites() {
    let rig = ended();
    let mut promises = Promises::default();
    audit(&rig, &mut promises).unwrap();
    let all = frames(&rig);
    // In the last segment, which is read whole at every start.
    let last = all.last().unwrap().file.clone();
    let candidates: Vec<_> = all.iter().filter(|frame| frame.file == last).collect();
    let frame = candidates[candidates.len() / 2];
    let whole = fs::read(&last).unwrap();
    let file = File::options().read(true).write(true).open(&frame.file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, frame.offset + 170).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], frame.offset + 170).unwrap();
    let name = last.file_name().unwrap().to_string_lossy().into_owned();
    rig.run("up --role primary --home h --dashboard off --exit-after 2")
        .refuses(20, &[&name, "safe:", "repair"]);
    rig.run("journal verify --home h").refuses(20, &["nothing was changed", "repair"]);

    rig.ok("repair --home h --identity h/recovery-identity.txt --json");
    assert!(fs::read(&last).unwrap() == whole, "the very bytes are back");
    assert_eq!(lost_acks(&rig, &rig.acks()), []);
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 200);
    daemon.end();
    audit(&rig, &mut promises).unwrap();
    let kept = fs::read_dir(rig.path("h/host")).unwrap().flatten();
    let kept = kept.filter(|entry| entry.file_name().to_string_lossy().contains("damaged"));
    assert_eq!(kept.count(), 0, "the journal was mended where it lies");
}

#[test]
fn damage_in_an_older_segment_is_found_by_verify_and_mended() {
    let rig = Rig::new()
        .with("EVENKEEL_JOURNAL_SEGMENT_BYTES", "1048576")
        .with("EVENKEEL_VENUE_COMMANDS_PER_SECOND", "30000");
    let mut daemon = Daemon::start(&rig, "");
    let second = daemon.until("a second segment", || {
        let name = flips::segments(&rig.journal()).get(1)?.file_stem()?.to_str()?.to_owned();
        u64::from_str_radix(&name, 16).ok()
    });
    // A start replays from the newest snapshot: it has to lie behind what will be damaged.
    daemon.until("a point behind the first segment", || {
        let latest = rig.json("status --home h --json")["recovery_points"]["latest"].clone();
        (latest["position"].as_u64()? > second).then_some(())
    });
    daemon.end();
    let all = frames(&rig);
    let by_file = all.iter().fold(BTreeMap::new(), |mut map, frame| {
        map.entry(frame.file.clone()).or_insert(frame);
        map
    });
    assert!(by_file.len() > 1, "one segment is not enough: {by_file:?}");
    let frame = by_file.values().next().unwrap();
    let file = File::options().write(true).open(&frame.file).unwrap();
    file.write_all_at(b"damage", frame.offset + 200).unwrap();
    assert_eq!(rig.run("journal verify --home h --json").exit, 20);
    // Nothing at the start reads so far back; the running daemon does.
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_condition(&rig, "journal_damaged");
    let scrubbed = rig.json("status --home h --json")["journal"]["scrub"].clone();
    assert_eq!(scrubbed["problems"], 1, "{scrubbed}");
    daemon.until_acked(&rig, 200);
    daemon.end();
    rig.ok("repair --home h --identity h/recovery-identity.txt --json");
    rig.ok("journal verify --home h --json");
    assert_eq!(lost_acks(&rig, &rig.acks()), []);
    let mut daemon = Daemon::start(&rig, "");
    let scrubbed = daemon.until("a whole round", || {
        let scrubbed = rig.json("status --home h --json")["journal"]["scrub"].clone();
        scrubbed["last_finished"].is_string().then_some(scrubbed)
    });
    assert_eq!(scrubbed["problems"], 0, "{scrubbed}");
    assert!(scrubbed["bytes"].as_u64().unwrap() > 1 << 20, "{scrubbed}");
    daemon.end();
}

/// A home that was killed while three of its sites were away; and what the sites hold of it.
fn partly_shipped() -> (Rig, u64) {
    let rig = Rig::new();
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_points(&rig, 1);
    // Three sites go away: from here on nothing is shipped.
    let away = rig.path("away");
    fs::create_dir(&away).unwrap();
    for site in &rig.sites()[..3] {
        fs::rename(site, away.join(site.file_name().unwrap())).unwrap();
    }
    daemon.until_condition(&rig, "not_shipping");
    daemon.until_acked(&rig, 4_000);
    daemon.kill();
    for site in &rig.sites()[..3] {
        fs::rename(away.join(site.file_name().unwrap()), site).unwrap();
    }
    let shipped = rig.json("status --home h --json")["tail"]["shipped_position"].as_u64().unwrap();
    (rig, shipped)
}

#[test]
fn what_is_damaged_before_it_was_shipped_is_never_passed_over() {
    let (rig, shipped) = partly_shipped();
    let acks = rig.acks();
    let mut next = 0;
    let all = frames(&rig);
    let unshipped: Vec<_> = all
        .iter()
        .filter(|frame| {
            next += frame.entries;
            next > shipped + 1_000
        })
        .collect();
    let frame = unshipped[unshipped.len() / 2];
    let before: u64 =
        all.iter().take_while(|other| other.offset < frame.offset).map(|other| other.entries).sum();
    zero(frame);

    rig.run("repair --home h --identity h/recovery-identity.txt")
        .refuses(20, &[&format!("positions {before} to "), "lost", "safe:"]);
    // Everything before the damage was saved, from the sites and from the damaged journal.
    let lost = lost_acks(&rig, &acks);
    assert!(lost.iter().all(|(position, _)| *position >= before), "{before}: {lost:?}");
    assert!(before > shipped, "some of it never was at the sites");
    rig.ok("journal verify --home h");
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 200);
    daemon.end();
}

#[test]
fn a_repair_that_is_killed_at_any_moment_can_be_made_again_and_loses_nothing() {
    let (rig, shipped) = partly_shipped();
    let acks = rig.acks();
    assert!(acks.iter().any(|(position, _)| *position >= shipped));
    let all = frames(&rig);
    // Long since shipped; what follows it is only here.
    zero(&all[2]);
    let mut random = Random::new(seed() ^ 0x4e);
    for _ in 0..4 {
        let copy = rig.copy();
        let line = "repair --home h --identity h/recovery-identity.txt --json";
        let mut repair = copy.command(line).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.below(200)));
        let _ = repair.kill();
        repair.wait().unwrap();
        copy.ok(line);
        assert_eq!(lost_acks(&copy, &acks), []);
        copy.ok("up --role primary --home h --dashboard off --exit-after 1");
        assert_eq!(lost_acks(&copy, &acks), []);
    }
}
