//! What a writer proves by itself: its current key period comes back from the sites and opens.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::fs;

use common::{Desk, START, noise, point, site_name};
use evenkeel_vault::{CurrentFindings, Kind, ProblemKind, Verify, Writer, repair, verify};

fn check(writer: &Writer) -> CurrentFindings {
    writer.current_check().unwrap().run(1000)
}

/// Small tails, a large one, a point, and a tail after it.
fn written(desk: &Desk) -> Writer {
    let mut writer = desk.writer(1);
    for at in 0..70 {
        writer.append_tail(at, at, b"a tail", &[], START + at).unwrap();
    }
    let large = noise(7, 200_000);
    writer.append_tail(70, 79, &large, &[], START + 70).unwrap();
    point(&mut writer, 79, START + 80, &[("source", &noise(5, 900_000))]).unwrap();
    writer.append_tail(80, 80, b"a tail", &[], START + 81).unwrap();
    writer
}

#[test]
fn everything_of_the_current_period_is_brought_back_and_opened() {
    let desk = Desk::new();
    assert!(desk.writer(1).current_check().is_none(), "nothing was written yet");
    let writer = written(&desk);
    let found = check(&writer);
    assert!(found.is_proof() && found.is_clean(), "{found:?}");
    assert_eq!((found.records, found.packs, found.packs_earlier), (73, 2, 0));
    assert_eq!((found.period, found.point.unwrap().1), (1, 79));
    assert_eq!(found.objects, 5 * (73 + 2));
    assert_eq!(found.sites_used.len(), 5);
    // Bounded: the newest five records, and the point however far back it lies.
    let few = writer.current_check().unwrap().run(1);
    assert_eq!((few.records, few.packs, few.point), (2, 1, found.point));
}

#[test]
fn what_an_earlier_period_seals_is_counted_and_not_touched() {
    let desk = Desk::new();
    drop(written(&desk));
    let mut writer = desk.writer(2);
    let content = noise(5, 900_000);
    let more = noise(8, 100_000);
    let sources: [(&str, &[u8]); 2] = [("source", &content), ("more", &more)];
    point(&mut writer, 90, START + 100, &sources).unwrap();
    let found = check(&writer);
    assert!(found.is_proof() && found.is_clean(), "{found:?}");
    assert_eq!((found.period, found.records), (2, 1));
    assert_eq!((found.packs, found.packs_earlier), (1, 1));
}

#[test]
fn damage_at_one_site_is_named_and_nothing_is_lost() {
    let desk = Desk::new();
    let writer = written(&desk);
    let record = desk.objects(1, "/records/").pop().unwrap();
    let mut bytes = fs::read(desk.object(1, &record)).unwrap();
    bytes[100] ^= 1;
    fs::write(desk.object(1, &record), bytes).unwrap();
    fs::remove_file(desk.object(3, &desk.objects(3, "/shards/")[0])).unwrap();
    let found = check(&writer);
    assert!(found.is_proof() && !found.is_clean());
    let problems: Vec<_> = found.problems.iter().map(|one| (one.site.clone(), one.kind)).collect();
    assert_eq!(
        problems,
        [(site_name(1), ProblemKind::Corrupt), (site_name(3), ProblemKind::Missing)]
    );
    assert_eq!((found.lost.as_slice(), found.records, found.packs), ([].as_slice(), 73, 2));
    repair(&desk.catalog()).unwrap();
    assert!(check(&writer).is_clean());
}

#[test]
fn sites_that_are_away_are_named_and_fewer_than_k_prove_nothing() {
    let desk = Desk::new();
    let writer = written(&desk);
    desk.lose(0);
    desk.lose(1);
    let found = check(&writer);
    assert!(found.is_proof() && found.is_clean(), "{found:?}");
    assert_eq!((found.sites_used.len(), found.sites_missing.len()), (3, 2));
    desk.lose(2);
    let found = check(&writer);
    assert!(!found.is_proof());
    assert_eq!(found.lost.len(), 2, "both packs: {:?}", found.lost);
}

#[test]
fn a_record_or_pack_that_is_nowhere_is_lost() {
    let desk = Desk::new();
    let writer = written(&desk);
    for at in 0..5 {
        let records = desk.objects(at, "/records/");
        fs::remove_file(desk.object(at, &records[records.len() - 2])).unwrap();
    }
    let found = check(&writer);
    assert!(found.lost.iter().any(|what| what.contains("record 72")), "{:?}", found.lost);
    // The walk ends where the link is lost.
    assert_eq!(found.records, 1);
}

#[test]
fn records_that_a_later_point_covers_may_be_gone() {
    let desk = Desk::new();
    let mut writer = written(&desk);
    writer.append_tail(81, 81, b"a tail", &[], START + 90).unwrap();
    let lineage = writer.lineage();
    let old: Vec<u64> = desk
        .catalog()
        .records(lineage)
        .filter(|record| matches!(record.header.kind, Kind::Tail { last, .. } if last <= 79))
        .map(|record| record.header.counter)
        .collect();
    for at in 0..5 {
        for counter in &old {
            let key = format!("state/{lineage}/records/{counter:016x}");
            fs::remove_file(desk.object(at, &key)).unwrap();
        }
    }
    assert!(verify(&desk.catalog(), Verify::Ciphertext).unwrap().is_clean());
    let found = check(&writer);
    assert!(found.is_proof() && found.is_clean(), "{found:?}");
    assert_eq!((found.records, found.packs), (3, 1));
}
