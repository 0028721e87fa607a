//! Histories that contradict each other, or what was seen before, are said to do so.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::fs;
use std::sync::Arc;

use common::{Desk, SECOND, START};
use evenkeel_vault::{Error, Freshness, Lineage, Opener, Parent, Pin, Writer, WriterKey, repair};

#[test]
fn a_writer_refuses_sites_that_show_less_than_it_signed() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    for at in 0..4 {
        writer.append_tail(at, at, b"a", &[], START).unwrap();
    }
    drop(writer);
    for at in 0..5 {
        for key in desk.objects(at, "/records/").iter().rev().take(2) {
            fs::remove_file(desk.object(at, key)).unwrap();
        }
    }
    let error = desk.try_writer(desk.options(), 2).unwrap_err();
    assert!(matches!(error, Error::RolledBack { pinned: 4, found: 2, .. }), "{error}");
}

#[test]
fn a_writer_set_back_to_an_older_image_is_refused_as_a_fork() {
    let desk = Desk::new();
    let state = desk.folder.path().join("writer-state");
    let mut writer = desk.writer(1);
    writer.append_tail(0, 1, b"a", &[], START).unwrap();
    let older = fs::read(&state).unwrap();
    writer.append_tail(2, 3, b"b", &[], START).unwrap();
    drop(writer);
    fs::write(&state, older).unwrap();
    let error = desk.try_writer(desk.options(), 2).unwrap_err();
    assert!(matches!(error, Error::Fork { .. }), "{error}");
    assert!(error.to_string().contains("set back to an older image"));
}

#[test]
fn hosts_that_take_turns_continue_each_others_records_and_nothing_else() {
    let desk = Desk::new();
    let mut turns = desk.options();
    turns.takes_turns = true;
    let mut elsewhere = turns.clone();
    elsewhere.state_path = Some(desk.folder.path().join("other-host-state"));
    elsewhere.index_path = None;
    let mut writer = desk.try_writer(turns.clone(), 1).unwrap();
    writer.append_tail(0, 1, b"a", &[], START).unwrap();
    drop(writer);
    let mut other = desk.try_writer(elsewhere.clone(), 2).unwrap();
    other.append_tail(2, 3, b"b", &[], START).unwrap();
    other.append_tail(4, 5, b"c", &[], START).unwrap();
    drop(other);
    let mut writer = desk.try_writer(turns.clone(), 3).unwrap();
    assert_eq!(writer.next_position(), Some(6));
    writer.append_tail(6, 7, b"d", &[], START).unwrap();
    drop(writer);
    // What this host signed last reached no site before the other one took over.
    for at in 0..5 {
        let key = desk.objects(at, "/records/").into_iter().next_back().unwrap();
        fs::remove_file(desk.object(at, &key)).unwrap();
    }
    let mut other = desk.try_writer(elsewhere, 4).unwrap();
    assert_eq!(other.next_position(), Some(6));
    other.append_tail(6, 8, b"e", &[], START).unwrap();
    drop(other);
    assert_eq!(desk.try_writer(turns.clone(), 5).unwrap().next_position(), Some(9));
    // Without the record that it continued, its own is one of another history.
    for at in 0..5 {
        let key = desk.objects(at, "/records/").into_iter().nth_back(1).unwrap();
        fs::remove_file(desk.object(at, &key)).unwrap();
    }
    let error = desk.try_writer(turns, 6).unwrap_err();
    assert!(matches!(error, Error::Fork { .. }), "{error}");
}

/// Two writers with one key, each seeing only some of the sites.
fn split() -> Desk {
    let desk = Desk::new();
    let mut options = desk.options();
    options.state_path = None;
    let mut writer = desk.try_writer(options.clone(), 1).unwrap();
    writer.append_tail(0, 1, b"a", &[], START).unwrap();
    let copy = |from: usize, to: &str| {
        for key in desk.objects(from, "") {
            let target = desk.folder.path().join(to).join(&key);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(desk.object(from, &key), target).unwrap();
        }
    };
    // The state before the split is kept, and given back to two sites afterwards.
    let before = ["before-3", "before-4"];
    copy(3, before[0]);
    copy(4, before[1]);
    writer.append_tail(2, 3, b"one story", &[], START).unwrap();
    let aside: Vec<_> = (0..3).map(|at| desk.folder.path().join(format!("after-{at}"))).collect();
    for at in 0..3 {
        copy(at, &format!("after-{at}"));
        for key in desk.objects(at, "/records/").iter().skip(1) {
            fs::remove_file(desk.object(at, key)).unwrap();
        }
    }
    for (at, kept) in [(3, before[0]), (4, before[1])] {
        desk.lose(at);
        fs::rename(desk.folder.path().join(kept), desk.site_path(at)).unwrap();
    }
    let mut writer = desk.try_writer(options, 2).unwrap();
    writer.append_tail(2, 3, b"another story", &[], START).unwrap();
    writer.append_tail(4, 5, b"and on", &[], START).unwrap();
    for (at, kept) in aside.iter().enumerate() {
        desk.lose(at);
        fs::rename(kept, desk.site_path(at)).unwrap();
    }
    desk
}

#[test]
fn two_writers_with_one_key_show_as_a_fork_everywhere() {
    let desk = split();
    let catalog = desk.catalog();
    assert!(!catalog.forks().is_empty());
    assert_eq!(catalog.forks()[0].counter, Some(2));
    let error = desk.try_writer(desk.options(), 3).unwrap_err();
    assert!(matches!(error, Error::Fork { counter: 2, .. }), "{error}");
    // Neither history is destroyed by repairing.
    let repairs = repair(&catalog).unwrap();
    let forked: Vec<_> = repairs
        .iter()
        .filter(|one| one.problem.kind == evenkeel_vault::ProblemKind::Forked)
        .collect();
    assert_eq!(forked.len(), 3);
    assert!(forked.iter().all(|one| !one.is_repaired()));
}

#[test]
fn an_older_copy_at_some_sites_never_wins() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    for at in 0..5 {
        writer.append_tail(at, at, b"a", &[], START).unwrap();
    }
    for at in 1..5 {
        for key in desk.objects(at, "/records/").iter().skip(at) {
            fs::remove_file(desk.object(at, key)).unwrap();
        }
    }
    let catalog = desk.catalog();
    assert_eq!(catalog.pin(writer.lineage()).unwrap(), writer.pin());
    assert_eq!(catalog.records(writer.lineage()).count(), 5);
    assert_eq!(catalog.forks(), []);
}

#[test]
fn sites_set_back_together_are_noticed_with_a_pin_and_unproven_without() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    for at in 0..5 {
        writer.append_tail(at, at, b"a", &[], START).unwrap();
    }
    let pin = writer.pin();
    for at in 0..5 {
        let key = desk.objects(at, "/records/").pop().unwrap();
        fs::remove_file(desk.object(at, &key)).unwrap();
    }
    let catalog = desk.load(&desk.sites(), None).unwrap();
    assert!(matches!(catalog.freshness(), Freshness::Unproven { .. }));
    let catalog = desk.load(&desk.sites(), Some(pin)).unwrap();
    let lineage = writer.lineage();
    assert_eq!(catalog.freshness(), &Freshness::RolledBack { lineage, pinned: 5, found: 4 });
    let identity = desk.recovery.identity().clone();
    let error = Opener::new(Arc::new(catalog), identity).unwrap_err();
    assert!(matches!(error, Error::RolledBack { pinned: 5, found: 4, .. }), "{error}");
    assert!(error.to_string().contains("record 5") && error.to_string().contains("record 4"));
}

#[test]
fn a_pinned_record_that_was_replaced_is_refused() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    writer.append_tail(0, 0, b"a", &[], START).unwrap();
    let pin = Pin { hash: [1; 32], ..writer.pin() };
    let catalog = desk.load(&desk.sites(), Some(pin)).unwrap();
    assert!(matches!(catalog.freshness(), Freshness::Contradicted { counter: 1, .. }));
    assert!(matches!(catalog.check_restorable(), Err(Error::Fork { .. })));
}

#[test]
fn a_pinned_record_that_is_missing_among_others_proves_nothing_and_one_before_all_does() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    writer.append_tail(0, 0, b"a", &[], START).unwrap();
    let first = writer.pin();
    writer.append_tail(1, 1, b"b", &[], START).unwrap();
    let second = writer.pin();
    writer.append_tail(2, 2, b"c", &[], START).unwrap();
    let lose = |pin: Pin| {
        for at in 0..5 {
            let key = desk.objects(at, &format!("/records/{:016x}", pin.counter)).pop().unwrap();
            fs::remove_file(desk.object(at, &key)).unwrap();
        }
    };
    lose(second);
    let catalog = desk.load(&desk.sites(), Some(second)).unwrap();
    assert!(
        matches!(catalog.freshness(), Freshness::Unproven { why } if why.contains("record 2")),
        "{:?}",
        catalog.freshness()
    );
    lose(first);
    let catalog = desk.load(&desk.sites(), Some(first)).unwrap();
    assert_eq!(catalog.freshness(), &Freshness::Proven { pinned: 1 });
}

fn child(desk: &Desk, number: u8, time_ns: u64) -> Writer {
    let parent = Parent {
        lineage: desk.certificate.lineage,
        position: 1,
        record_hash: desk.catalog().pin(desk.certificate.lineage).unwrap().hash,
    };
    let key = WriterKey::from_bytes(&[number; 32]);
    let lineage = Lineage([number; 16]);
    let certificate = desk.recovery.certify(lineage, Some(parent), key.public(), time_ns).unwrap();
    let mut options = desk.options();
    options.index_path = None;
    options.state_path = None;
    Writer::open(
        desk.sites(),
        &desk.recovery.root_public(),
        certificate,
        key,
        Desk::id_key(),
        options,
        Box::new(common::SeededRandom::new(number.into())),
    )
    .unwrap()
}

#[test]
fn a_restored_lineage_continues_its_parent_and_two_of_them_are_a_fork() {
    let desk = Desk::new();
    let mut parent = desk.writer(1);
    parent.append_tail(0, 1, b"a", &[], START).unwrap();
    let mut one = child(&desk, 0x77, START + SECOND);
    assert_eq!(one.next_position(), Some(2));
    one.append_tail(2, 3, b"b", &[], START + SECOND).unwrap();
    let catalog = desk.catalog();
    assert_eq!(catalog.forks(), []);
    assert_eq!(catalog.current_lineage(), Some(one.lineage()));
    assert_eq!(catalog.lineages().len(), 2);
    let mut two = child(&desk, 0x78, START + 2 * SECOND);
    two.append_tail(2, 3, b"c", &[], START + 2 * SECOND).unwrap();
    let catalog = desk.catalog();
    assert_eq!(catalog.forks().len(), 1);
    assert_eq!(catalog.forks()[0].lineages, [one.lineage(), two.lineage()]);
}

#[test]
fn a_parent_that_goes_on_after_it_was_continued_is_a_fork() {
    let desk = Desk::new();
    let mut parent = desk.writer(1);
    parent.append_tail(0, 1, b"a", &[], START).unwrap();
    let child = child(&desk, 0x77, START + SECOND);
    parent.append_tail(2, 3, b"b", &[], START + 2 * SECOND).unwrap();
    let forks = desk.catalog().forks().to_vec();
    assert_eq!(forks.len(), 1);
    assert_eq!(forks[0].lineages, [parent.lineage(), child.lineage()]);
}

#[test]
fn a_parent_whose_clock_is_slow_is_a_fork_all_the_same() {
    let desk = Desk::new();
    let mut parent = desk.writer(1);
    parent.append_tail(0, 1, b"a", &[], START).unwrap();
    let child = child(&desk, 0x77, START + 9 * SECOND);
    parent.append_tail(2, 3, b"b", &[], START + SECOND).unwrap();
    let forks = desk.catalog().forks().to_vec();
    assert_eq!(forks.len(), 1);
    assert_eq!(forks[0].lineages, [parent.lineage(), child.lineage()]);
    // The record it was continued at may be gone: the parent reaches beyond its position.
    for at in 0..5 {
        let key = desk.objects(at, "/records/").into_iter().find(|key| {
            key.contains(&parent.lineage().to_string()) && key.ends_with("0000000000000001")
        });
        fs::remove_file(desk.object(at, &key.unwrap())).unwrap();
    }
    assert_eq!(desk.catalog().forks(), forks);
}

#[test]
fn a_child_whose_clock_is_slow_is_no_fork() {
    let desk = Desk::new();
    let mut parent = desk.writer(1);
    parent.append_tail(0, 1, b"a", &[], START + 9 * SECOND).unwrap();
    let mut child = child(&desk, 0x77, START);
    child.append_tail(2, 3, b"b", &[], START + SECOND).unwrap();
    assert_eq!(desk.catalog().forks(), []);
}
