//! What a writer promises: one chain, nothing counted before it is at k sites, nothing written
//! twice, nothing readable from earlier periods.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::fs;
use std::sync::Arc;

use common::{Desk, SECOND, START, noise, point, read, site_name};
use evenkeel_vault::{Error, Identity, Kind, Layout, Opener, Verify, Writer, repair, verify};

const DAY: u64 = 24 * 60 * 60 * SECOND;

#[test]
fn a_restarted_writer_continues_the_chain_in_a_new_key_period() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    writer.append_tail(0, 4, b"a", &[], START).unwrap();
    assert_eq!(writer.period(), Some(1));
    drop(writer);
    let mut writer = desk.writer(2);
    assert_eq!(writer.next_position(), Some(5));
    let shipped = writer.append_tail(5, 9, b"b", &[], START + SECOND).unwrap();
    assert_eq!((shipped.counter, writer.period()), (2, Some(2)));
    assert_eq!(shipped.sites_ok.len(), 5);
    let opener = desk.opener();
    let tails = opener.catalog().tails_after(writer.lineage(), None);
    assert_eq!(opener.read_tail(&tails[0]).unwrap(), b"a");
    assert_eq!(opener.read_tail(&tails[1]).unwrap(), b"b");
    assert_eq!(opener.catalog().tails_after(writer.lineage(), Some(4)).len(), 1);
    assert_eq!(opener.catalog().tails_after(writer.lineage(), Some(9)).len(), 0);
}

#[test]
fn a_key_period_ends_after_a_day_by_itself() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    for (hours, period) in [(0, 1), (23, 1), (24, 2), (30, 2), (60, 3)] {
        let time_ns = START + hours * DAY / 24;
        writer.append_heartbeat(None, &[], time_ns).unwrap();
        assert_eq!(writer.period(), Some(period), "after {hours} hours");
    }
}

#[test]
fn the_host_has_nothing_that_opens_an_earlier_period() {
    let desk = Desk::new();
    let secret = b"a secret position of two hundred contracts".repeat(10);
    let mut writer = desk.writer(1);
    point(&mut writer, 1, START, &[("source", &secret)]).unwrap();
    drop(writer);
    let mut writer = desk.writer(2);
    point(&mut writer, 2, START + SECOND, &[("source", b"other")]).unwrap();
    // All a thief finds on the host: the writer key, the id key, the state and index files. None
    // of these is an age identity; a fresh one opens nothing, and no file holds the plaintext.
    let opener = Opener::new(Arc::new(desk.catalog()), Identity::generate()).unwrap();
    for info in opener.catalog().points() {
        assert!(matches!(opener.sources(info.id), Err(Error::WrongIdentity { .. })));
    }
    let opened = |bytes: &[u8]| bytes.windows(16).any(|window| secret.starts_with(window));
    for name in ["index", "writer-state"] {
        assert!(!opened(&fs::read(desk.folder.path().join(name)).unwrap()), "{name}");
    }
    for at in 0..5 {
        for key in desk.objects(at, "") {
            assert!(!opened(&fs::read(desk.object(at, &key)).unwrap()), "{key}");
        }
    }
}

#[test]
fn known_chunks_are_not_written_again_across_periods_and_restarts() {
    let desk = Desk::new();
    let mut content = noise(5, 4_000_000);
    let mut writer = desk.writer(1);
    let first = point(&mut writer, 1, START, &[("source", &content)]).unwrap();
    assert_eq!((first.bytes_new, first.bytes_dedup), (4_000_000, 0));
    assert!(first.self_contained);
    // A change in the middle, in the next key period.
    content.splice(2_000_000..2_000_010, *b"changed");
    let second = point(&mut writer, 2, START + DAY, &[("source", &content)]).unwrap();
    assert_eq!(writer.period(), Some(2));
    assert!(second.bytes_new < 1_000_000, "{}", second.bytes_new);
    assert!(!second.self_contained);
    assert_eq!(second.margin, 2);
    drop(writer);
    let mut writer = desk.writer(2);
    let third = point(&mut writer, 3, START + DAY + 1, &[("source", &content)]).unwrap();
    assert_eq!(third.bytes_new, 0);
    assert_eq!(third.objects, 2);
    desk.lose(1);
    desk.lose(3);
    assert!(read(&desk.opener(), &third, "source").unwrap() == content);
}

#[test]
fn a_lost_or_damaged_index_costs_room_and_nothing_else() {
    let desk = Desk::new();
    let content = noise(5, 1_000_000);
    point(&mut desk.writer(1), 1, START, &[("source", &content)]).unwrap();
    fs::write(desk.folder.path().join("index"), b"garbage").unwrap();
    let mut writer = desk.writer(2);
    let again = point(&mut writer, 2, START + 1, &[("source", &content)]).unwrap();
    assert_eq!(again.bytes_new, 1_000_000);
    assert!(again.self_contained);
    assert!(read(&desk.opener(), &again, "source").unwrap() == content);
}

#[test]
fn whoever_holds_an_identity_can_rebuild_the_index() {
    let desk = Desk::new();
    let content = noise(5, 1_000_000);
    let mut writer = desk.writer(1);
    point(&mut writer, 1, START, &[("source", &content)]).unwrap();
    let rebuilt = desk.opener().rebuild_index(writer.lineage()).unwrap();
    assert_eq!(&rebuilt, writer.index());
    drop(writer);
    fs::remove_file(desk.folder.path().join("index")).unwrap();
    let mut writer = desk.writer(2);
    writer.set_index(rebuilt).unwrap();
    let again = point(&mut writer, 2, START + 1, &[("source", &content)]).unwrap();
    assert_eq!(again.bytes_new, 0);
}

#[test]
fn every_nth_point_refers_to_nothing_earlier() {
    let desk = Desk::new();
    let mut options = desk.options();
    options.self_contained_every = 3;
    let mut writer = desk.try_writer(options, 1).unwrap();
    let content = noise(5, 300_000);
    let whole: Vec<bool> = (0..7)
        .map(|at| {
            point(&mut writer, at, START + at, &[("source", &content)]).unwrap().self_contained
        })
        .collect();
    assert_eq!(whole, [true, false, false, true, false, false, true]);
}

#[test]
fn packs_that_vanished_from_the_sites_are_not_referred_to() {
    let desk = Desk::new();
    let content = noise(5, 300_000);
    let mut writer = desk.writer(1);
    point(&mut writer, 1, START, &[("source", &content)]).unwrap();
    for at in 0..3 {
        for key in desk.objects(at, "/shards/") {
            fs::remove_file(desk.object(at, &key)).unwrap();
        }
    }
    let again = point(&mut writer, 2, START + 1, &[("source", &content)]).unwrap();
    assert_eq!(again.bytes_new, 300_000);
    assert_eq!(again.margin, 2);
    assert!(read(&desk.opener(), &again, "source").unwrap() == content);
}

#[test]
fn a_point_that_reuses_a_pack_missing_at_one_site_has_the_smaller_margin() {
    let desk = Desk::new();
    let content = noise(5, 300_000);
    let mut writer = desk.writer(1);
    point(&mut writer, 1, START, &[("source", &content)]).unwrap();
    for key in desk.objects(4, "/shards/") {
        fs::remove_file(desk.object(4, &key)).unwrap();
    }
    let again = point(&mut writer, 2, START + 1, &[("source", &content)]).unwrap();
    assert_eq!((again.bytes_new, again.margin), (0, 1));
}

#[test]
fn tails_have_no_gap_and_no_overlap() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    assert_eq!(writer.next_position(), None);
    writer.append_tail(3, 9, b"a", &[], START).unwrap();
    for (first, last) in [(11, 12), (9, 12), (3, 9)] {
        let error = writer.append_tail(first, last, b"b", &[], START).unwrap_err();
        assert!(matches!(error, Error::NotContiguous { next: 10, .. }), "{error}");
    }
    assert!(matches!(writer.append_tail(10, 9, b"", &[], START), Err(Error::Invalid { .. })));
    // What a point covers needs no tail.
    point(&mut writer, 20, START, &[("source", b"x")]).unwrap();
    assert!(writer.append_tail(22, 23, b"b", &[], START).is_err());
    writer.append_tail(21, 23, b"b", &[], START).unwrap();
}

#[test]
fn a_site_that_dies_is_named_and_the_others_go_on_until_repair_mends_it() {
    let desk = Desk::new();
    let content = noise(5, 500_000);
    let mut writer = desk.writer(1);
    writer.append_tail(0, 1, b"a", &[], START).unwrap();
    desk.lose(2);
    let shipped = writer.append_tail(2, 3, b"b", &[], START).unwrap();
    assert_eq!(shipped.sites_failed.len(), 1);
    assert_eq!(shipped.sites_failed[0].0, site_name(2));
    let written = point(&mut writer, 3, START, &[("source", &content)]).unwrap();
    assert_eq!(written.margin, 1);
    assert!(!desk.site_path(2).exists(), "a dead site is not made anew by writing");
    fs::create_dir(desk.site_path(2)).unwrap();
    writer.append_tail(4, 5, b"c", &[], START).unwrap();
    let repairs = repair(&desk.catalog()).unwrap();
    assert!(!repairs.is_empty() && repairs.iter().all(|one| one.problem.site == site_name(2)));
    let found = verify(&desk.catalog(), Verify::Ciphertext).unwrap();
    assert_eq!(found.problems, []);
    assert_eq!(found.margins, [(written.id, 2)]);
}

#[test]
fn a_key_period_that_did_not_reach_enough_sites_is_sent_again_and_not_begun_anew() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let aside = desk.folder.path().join("aside");
    fs::create_dir(&aside).unwrap();
    let away = || {
        for at in 0..3 {
            fs::rename(desk.site_path(at), aside.join(site_name(at))).unwrap();
        }
    };
    let back = || {
        for at in 0..3 {
            fs::rename(aside.join(site_name(at)), desk.site_path(at)).unwrap();
        }
    };
    away();
    for seconds in 0..3 {
        let time_ns = START + seconds * SECOND;
        let error = writer.append_tail(0, 1, b"a", &[], time_ns).unwrap_err();
        assert!(matches!(error, Error::NotEnoughSites { found: 2, .. }), "{error}");
    }
    assert_eq!((desk.objects(4, "/keys/").len(), writer.period()), (1, None));
    back();
    writer.append_tail(0, 1, b"a", &[], START + 3 * SECOND).unwrap();
    assert_eq!((desk.objects(0, "/keys/").len(), writer.period()), (1, Some(1)));
    let opener = desk.opener();
    let tails = opener.catalog().tails_after(writer.lineage(), None);
    assert_eq!(opener.read_tail(&tails[0]).unwrap(), b"a");
    // One that is over meanwhile is not begun late.
    writer.end_period();
    away();
    writer.append_tail(2, 3, b"b", &[], START + 4 * SECOND).unwrap_err();
    back();
    writer.append_tail(2, 3, b"b", &[], START + 2 * DAY).unwrap();
    assert_eq!(writer.period(), Some(3));
}

#[test]
fn below_k_sites_nothing_advances_and_the_same_tail_again_is_written_once() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    writer.append_tail(0, 1, b"a", &[], START).unwrap();
    let aside = desk.folder.path().join("aside");
    fs::create_dir(&aside).unwrap();
    for at in 0..3 {
        fs::rename(desk.site_path(at), aside.join(site_name(at))).unwrap();
    }
    let error = writer.append_tail(2, 3, b"b", &[], START).unwrap_err();
    assert!(matches!(&error, Error::NotEnoughSites { needed: 3, found: 2, .. }), "{error}");
    assert_eq!((writer.pin().counter, writer.next_position()), (1, Some(2)));
    assert!(writer.append_tail(2, 3, b"b", &[], START).is_err());
    for at in 0..3 {
        fs::rename(aside.join(site_name(at)), desk.site_path(at)).unwrap();
    }
    let shipped = writer.append_tail(2, 3, b"b", &[], START).unwrap();
    assert_eq!(shipped.counter, 2);
    assert_eq!(writer.next_position(), Some(4));
    assert_eq!(desk.catalog().records(writer.lineage()).count(), 2);
    assert_eq!(desk.catalog().forks(), []);
}

#[test]
fn a_longer_tail_after_a_failure_is_told_where_to_begin() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    writer.append_tail(0, 1, b"a", &[], START).unwrap();
    let aside = desk.folder.path().join("aside");
    fs::create_dir(&aside).unwrap();
    for at in 0..3 {
        fs::rename(desk.site_path(at), aside.join(site_name(at))).unwrap();
    }
    assert!(writer.append_tail(2, 3, b"b", &[], START).is_err());
    for at in 0..3 {
        fs::rename(aside.join(site_name(at)), desk.site_path(at)).unwrap();
    }
    let error = writer.append_tail(2, 7, b"b more", &[], START).unwrap_err();
    assert!(matches!(error, Error::NotContiguous { next: 4, .. }), "{error}");
    writer.append_tail(4, 7, b"more", &[], START).unwrap();
    assert_eq!(desk.catalog().tails_after(writer.lineage(), None).len(), 3);
}

#[test]
fn a_writer_that_died_between_sites_sends_the_same_record_again() {
    for with_state in [true, false] {
        let desk = Desk::new();
        let mut options = desk.options();
        if !with_state {
            options.state_path = None;
        }
        let mut writer = desk.try_writer(options.clone(), 1).unwrap();
        writer.append_tail(0, 1, b"a", &[], START).unwrap();
        writer.append_tail(2, 3, b"b", &[], START).unwrap();
        drop(writer);
        // As if it had died after the second of five sites.
        for at in 2..5 {
            let key = desk.objects(at, "/records/").pop().unwrap();
            fs::remove_file(desk.object(at, &key)).unwrap();
        }
        let mut writer = desk.try_writer(options, 2).unwrap();
        assert_eq!(writer.next_position(), Some(4));
        writer.append_tail(4, 5, b"c", &[], START).unwrap();
        assert_eq!(verify(&desk.catalog(), Verify::Ciphertext).unwrap().problems, []);
        assert_eq!(desk.catalog().forks(), []);
        assert_eq!(desk.catalog().tails_after(writer.lineage(), None).len(), 3);
    }
}

#[test]
fn a_record_signed_but_sent_nowhere_is_sent_after_the_restart() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    writer.append_tail(0, 1, b"a", &[], START).unwrap();
    writer.append_tail(2, 3, b"b", &[], START).unwrap();
    drop(writer);
    for at in 0..5 {
        let key = desk.objects(at, "/records/").pop().unwrap();
        fs::remove_file(desk.object(at, &key)).unwrap();
    }
    let mut writer = desk.writer(2);
    assert_eq!(writer.settle().unwrap().unwrap().counter, 2);
    assert_eq!(writer.next_position(), Some(4));
    assert_eq!(writer.settle().unwrap(), None);
}

#[test]
fn a_writer_without_its_certified_key_or_enough_sites_does_not_open() {
    let desk = Desk::new();
    let open = |certificate, key, options| {
        Writer::open(
            desk.sites(),
            &desk.recovery.root_public(),
            certificate,
            key,
            Desk::id_key(),
            options,
            Box::new(common::SeededRandom::new(1)),
        )
        .map(|_| ())
        .unwrap_err()
    };
    let other = Desk::of(Layout::default(), 9);
    let certificate = desk.certificate.clone();
    let error = open(other.certificate.clone(), other.key(), desk.options());
    assert!(matches!(error, Error::Integrity { .. }), "{error}");
    let error = open(certificate.clone(), other.key(), desk.options());
    assert!(matches!(error, Error::Invalid { what: "writer key", .. }), "{error}");
    let mut options = desk.options();
    options.recipients.clear();
    let error = open(certificate.clone(), desk.key(), options);
    assert!(matches!(error, Error::Invalid { what: "recipients", .. }), "{error}");
    (0..3).for_each(|at| desk.lose(at));
    let error = open(certificate, desk.key(), desk.options());
    assert!(matches!(error, Error::NotEnoughSites { needed: 3, found: 2, .. }), "{error}");
}

#[test]
fn a_source_that_fails_leaves_the_chain_as_it_was() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    writer.append_tail(0, 1, b"a", &[], START).unwrap();
    let mut large: &[u8] = &noise(1, 20_000_000);
    let error = writer
        .append_point(evenkeel_vault::PointInput {
            position: 1,
            time_ns: START,
            roots: Vec::new(),
            sources: vec![
                ("large".to_owned(), &mut large as &mut dyn std::io::Read),
                ("broken".to_owned(), &mut Broken),
            ],
            self_contained: false,
        })
        .unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
    assert_eq!(writer.pin().counter, 1);
    point(&mut writer, 1, START, &[("source", b"x")]).unwrap();
    let catalog = desk.catalog();
    let counters: Vec<_> =
        catalog.records(writer.lineage()).map(|record| record.header.counter).collect();
    assert_eq!(counters, [1, 2]);
    assert!(verify(&catalog, Verify::Ciphertext).unwrap().is_clean());
}

#[test]
fn heartbeats_say_that_the_writer_lives() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    writer.append_heartbeat(None, &[], START).unwrap();
    writer.append_heartbeat(Some(7), &[], START + SECOND).unwrap();
    let kinds: Vec<_> =
        desk.catalog().records(writer.lineage()).map(|record| record.header.kind).collect();
    let beat = |position| Kind::Heartbeat { position };
    assert_eq!(kinds, [beat(None), beat(Some(7))]);
}

#[test]
fn writers_and_openers_can_move_between_threads() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    sent::<Writer>();
    shared::<Opener>();
    shared::<evenkeel_vault::Catalog>();
}
