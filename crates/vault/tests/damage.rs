//! Every kind of damage to every kind of object: restoring is right, verify names it, repair mends
//! it.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::fs;

use common::{Desk, SECOND, START, noise, point, read, site_name};
use evenkeel_vault::{Layout, Point, ProblemKind, RepairOutcome, Verify, repair, verify};

struct Written {
    desk: Desk,
    points: [Point; 2],
    contents: [Vec<u8>; 2],
}

fn written() -> Written {
    written_by(1)
}

fn written_by(number: u8) -> Written {
    let desk = Desk::of(Layout::default(), number);
    let contents = [noise(1, 400_000), noise(2, 400_000)];
    let mut writer = desk.writer(number.into());
    writer.append_tail(0, 9, b"tail", &[], START).unwrap();
    let first = point(&mut writer, 9, START + SECOND, &[("source", &contents[0])]).unwrap();
    writer.end_period();
    let second = point(&mut writer, 19, START + 2 * SECOND, &[("source", &contents[1])]).unwrap();
    Written { desk, points: [first, second], contents }
}

fn assert_restores(written: &Written) {
    let opener = written.desk.opener();
    for (point, content) in written.points.iter().zip(&written.contents) {
        assert!(read(&opener, point, "source").unwrap() == *content);
    }
    let tails = opener.catalog().tails_after(written.points[0].id.lineage, None);
    assert_eq!(opener.read_tail(&tails[0]).unwrap(), b"tail");
}

/// Damages objects, then: restores, verifies that exactly these are named, repairs, verifies clean.
fn check(damage: impl Fn(&Written) -> Vec<(usize, String, ProblemKind)>) {
    let written = written();
    let mut expected: Vec<_> = damage(&written)
        .into_iter()
        .map(|(at, object, kind)| (site_name(at), object, kind))
        .collect();
    expected.sort();
    assert_restores(&written);
    let found = verify(&written.desk.catalog(), Verify::Ciphertext).unwrap();
    let named: Vec<_> = found
        .problems
        .iter()
        .map(|problem| (problem.site.clone(), problem.object.clone(), problem.kind))
        .collect();
    assert_eq!(named, expected, "{:?}", found.problems);
    let repairs = repair(&written.desk.catalog()).unwrap();
    assert_eq!(repairs.len(), expected.len());
    for one in &repairs {
        assert!(one.is_repaired(), "{one:?}");
        let kept = matches!(&one.outcome, RepairOutcome::Repaired { moved_to: Some(_) });
        assert_eq!(kept, one.problem.kind != ProblemKind::Missing, "{one:?}");
    }
    let opener = written.desk.opener();
    let clean = verify(opener.catalog(), Verify::Full(&opener)).unwrap();
    assert_eq!(clean.problems, []);
    assert!(clean.margins.iter().all(|(_, margin)| *margin == 2));
    let proofs = |at| written.desk.objects(at, "/proofs/").len();
    assert!(proofs(0) > 0 && (1..5).all(|at| proofs(at) == proofs(0)));
    assert_restores(&written);
}

/// One object of each kind at a site: shard, record, key object, certificate.
fn objects(written: &Written, at: usize) -> Vec<String> {
    ["/shards/", "/records/", "/keys/", "/certificate"]
        .iter()
        .map(|part| written.desk.objects(at, part).pop().unwrap())
        .collect()
}

fn change(written: &Written, at: usize, key: &str, change: impl Fn(&mut Vec<u8>)) {
    let path = written.desk.object(at, key);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn missing_objects() {
    for at in [0, 4] {
        check(|written| {
            let keys = objects(written, at);
            for key in &keys {
                fs::remove_file(written.desk.object(at, key)).unwrap();
            }
            keys.into_iter().map(|key| (at, key, ProblemKind::Missing)).collect()
        });
    }
}

#[test]
fn flipped_bits() {
    for at in [0, 3] {
        check(|written| {
            let keys = objects(written, at);
            for key in &keys {
                change(written, at, key, |bytes| {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                });
            }
            keys.into_iter().map(|key| (at, key, ProblemKind::Corrupt)).collect()
        });
    }
}

#[test]
fn truncated_objects() {
    check(|written| {
        let (shard, record) = {
            let keys = objects(written, 1);
            (keys[0].clone(), keys[1].clone())
        };
        for key in [&shard, &record] {
            change(written, 1, key, |bytes| bytes.truncate(bytes.len() - 1));
        }
        let key_object = objects(written, 2)[2].clone();
        change(written, 2, &key_object, Vec::clear);
        vec![
            (1, shard, ProblemKind::Truncated),
            (1, record, ProblemKind::Truncated),
            (2, key_object, ProblemKind::Truncated),
        ]
    });
}

#[test]
fn lengthened_objects() {
    check(|written| {
        let keys = objects(written, 1);
        for key in &keys {
            change(written, 1, key, |bytes| bytes.push(0));
        }
        keys.into_iter().map(|key| (1, key, ProblemKind::Corrupt)).collect()
    });
}

#[test]
fn swapped_and_older_objects() {
    check(|written| {
        let mut expected = Vec::new();
        for part in ["/records/", "/keys/"] {
            let keys = written.desk.objects(2, part);
            let (older, newer) = (&keys[keys.len() - 2], &keys[keys.len() - 1]);
            let (old, new) = (written.desk.object(2, older), written.desk.object(2, newer));
            let (old_bytes, new_bytes) = (fs::read(&old).unwrap(), fs::read(&new).unwrap());
            fs::write(&old, new_bytes).unwrap();
            fs::write(&new, old_bytes).unwrap();
            expected.push((2, older.clone(), ProblemKind::Foreign));
            expected.push((2, newer.clone(), ProblemKind::Stale));
        }
        // The shard of the newer pack is replaced by the older one's.
        let point = |at: usize| {
            let id = written.points[at].id;
            let catalog = written.desk.catalog();
            let pack = catalog.record(id.lineage, id.counter).unwrap().header.objects[0].pack;
            let hex: String = pack.iter().map(|byte| format!("{byte:02x}")).collect();
            written.desk.objects(2, &hex).pop().unwrap()
        };
        let (older, newer) = (point(0), point(1));
        fs::copy(written.desk.object(2, &older), written.desk.object(2, &newer)).unwrap();
        expected.push((2, newer, ProblemKind::Stale));
        expected
    });
}

#[test]
fn objects_of_another_domain() {
    let other = written_by(2);
    check(|written| {
        let mut expected = Vec::new();
        for (ours, theirs) in objects(written, 0).into_iter().zip(objects(&other, 0)) {
            fs::copy(other.desk.object(0, &theirs), written.desk.object(0, &ours)).unwrap();
            // A wrapped key does not tell from outside whose it is.
            let opaque = ours.contains("/keys/");
            let kind = if opaque { ProblemKind::Corrupt } else { ProblemKind::Foreign };
            expected.push((0, ours, kind));
        }
        expected
    });
}

#[test]
fn two_sites_damaged_at_once_in_the_same_pack() {
    check(|written| {
        let shards = [0, 3].map(|at| (at, objects(written, at)[0].clone()));
        for (at, key) in &shards {
            change(written, *at, key, |bytes| bytes[7] ^= 0x80);
        }
        shards.into_iter().map(|(at, key)| (at, key, ProblemKind::Corrupt)).collect()
    });
}

#[test]
fn a_site_that_comes_back_empty_is_filled_again() {
    check(|written| {
        let lost = written.desk.objects(3, "");
        written.desk.lose(3);
        fs::create_dir(written.desk.site_path(3)).unwrap();
        // What only audits need is made again as well, and its absence is no damage.
        let needed = lost.into_iter().filter(|key| !key.contains("/proofs/"));
        needed.map(|key| (3, key, ProblemKind::Missing)).collect()
    });
}

#[test]
fn a_site_that_is_gone_is_named_once_and_not_repaired_by_guessing() {
    let written = written();
    written.desk.lose(2);
    let catalog = written.desk.catalog();
    let found = verify(&catalog, Verify::Ciphertext).unwrap();
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].site, site_name(2));
    assert_eq!(found.problems[0].kind, ProblemKind::Unreadable);
    assert!(found.margins.iter().all(|(_, margin)| *margin == 1));
    let repairs = repair(&catalog).unwrap();
    assert!(repairs.len() == 1 && !repairs[0].is_repaired());
    assert!(!written.desk.site_path(2).exists());
}

#[test]
fn what_nothing_refers_to_is_named_and_left_alone() {
    let written = written();
    let stray = "state/11111111111111111111111111111111/shards/stray";
    let stranger = "state/22222222222222222222222222222222/records/0000000000000001";
    let site = written.desk.site(1);
    site.put(stray, b"stray").unwrap();
    site.put(stranger, b"stranger").unwrap();
    let found = verify(&written.desk.catalog(), Verify::Ciphertext).unwrap();
    let named: Vec<_> = found.problems.iter().map(|one| (one.object.as_str(), one.kind)).collect();
    let unexpected = ProblemKind::Unexpected;
    let certificate = "state/22222222222222222222222222222222/certificate";
    assert_eq!(named, [(stray, unexpected), (stranger, unexpected), (certificate, unexpected)]);
    assert!(found.is_clean());
    assert_eq!(repair(&written.desk.catalog()).unwrap(), []);
    assert_eq!(site.get(stray).unwrap(), b"stray");
}

#[test]
fn opening_names_the_bad_shards_it_did_without() {
    let written = written();
    let bad = written.desk.objects(0, "/shards/");
    for key in &bad {
        change(&written, 0, key, |bytes| bytes[0] ^= 1);
    }
    let opener = written.desk.opener();
    for (point, content) in written.points.iter().zip(&written.contents) {
        assert!(read(&opener, point, "source").unwrap() == *content);
    }
    let mut named: Vec<_> = opener.seen().problems.into_iter().map(|one| one.object).collect();
    named.sort();
    assert_eq!(named, bad);
    assert!(!opener.seen().sites_used.contains(&site_name(0)));
}

#[test]
fn damage_beyond_repair_is_said_and_nothing_is_made_worse() {
    let written = written();
    let catalog = written.desk.catalog();
    let id = written.points[1].id;
    let pack = catalog.record(id.lineage, id.counter).unwrap().header.objects[0].pack;
    let hex: String = pack.iter().map(|byte| format!("{byte:02x}")).collect();
    for at in 0..3 {
        let key = written.desk.objects(at, &hex).pop().unwrap();
        change(&written, at, &key, |bytes| bytes[0] ^= 1);
    }
    let catalog = written.desk.catalog();
    let found = verify(&catalog, Verify::Ciphertext).unwrap();
    assert_eq!(found.margins, [(written.points[0].id, 2), (id, -1)]);
    let repairs = repair(&catalog).unwrap();
    assert_eq!(repairs.len(), 3);
    assert!(repairs.iter().all(|one| !one.is_repaired()));
    assert_eq!(verify(&catalog, Verify::Ciphertext).unwrap().problems, found.problems);
    let opener = written.desk.opener();
    assert!(read(&opener, &written.points[0], "source").is_ok());
    assert!(read(&opener, &written.points[1], "source").is_err());
    let full = verify(opener.catalog(), Verify::Full(&opener)).unwrap();
    assert_eq!(full.points_opened, 1);
    let unopened = full.problems.last().unwrap();
    assert_eq!((unopened.site.as_str(), unopened.kind), ("every site", ProblemKind::Unreadable));
    assert!(unopened.detail.contains(&id.to_string()));
}

#[test]
fn what_is_written_or_pruned_while_verifying_is_not_held_against_a_site() {
    let written = written();
    let catalog = written.desk.catalog();
    let mut writer = written.desk.writer(5);
    writer.append_tail(10, 11, &noise(9, 100_000), &[], START + 3 * SECOND).unwrap();
    let tail = written.desk.objects(0, "/records/")[0].clone();
    for at in 0..5 {
        fs::remove_file(written.desk.object(at, &tail)).unwrap();
    }
    assert_eq!(verify(&catalog, Verify::Ciphertext).unwrap().problems, []);
}
