//! What comes back is what was there, at every position and time that can be asked for.

use std::collections::BTreeSet;

use evenkeel_journal::Base;
use evenkeel_recovery::restore::CHAIN_ROOT;
use evenkeel_recovery::{
    Checkpoint, Frame, Frames, History as Span, Ledger, PointMaker, Promise, RecoveryError,
    Restored, Restorer, TailShipper, Target, write_point,
};
use evenkeel_types::Timestamp;
use evenkeel_types::codec::Canonical;
use evenkeel_vault::{Opener, Root};

use crate::support::desk::{Desk, make_point, ship_all};
use crate::support::{History, Host, Scratch};

/// A host with three points; tails end with them, begin before them and reach over them; and a
/// part of the tail lies behind the last point.
struct Scene {
    desk: Desk,
    history: History,
    points: Vec<u64>,
    opener: Opener,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let (mut host, desk) = (Host::founded(seed), Desk::new());
        let mut writer = desk.writer();
        let mut shipper = TailShipper::new(host.frames_from(0));
        let mut maker = PointMaker::new(host.frames_from(0));
        let mut points = Vec::new();
        ship_all(&host, &mut shipper, &mut writer);
        host.trade(9);
        // The first point lies inside what the next tail will cover.
        points.push(make_point(&host, &mut maker, &mut writer).1.position());
        host.trade(11);
        ship_all(&host, &mut shipper, &mut writer);
        points.push(make_point(&host, &mut maker, &mut writer).1.position());
        for _ in 0..2 {
            host.trade(8);
            ship_all(&host, &mut shipper, &mut writer);
        }
        points.push(make_point(&host, &mut maker, &mut writer).1.position());
        for _ in 0..3 {
            host.trade(7);
            ship_all(&host, &mut shipper, &mut writer);
        }
        let (history, opener) = (host.history(), desk.opener());
        Self { desk, history, points, opener }
    }

    fn restorer(&self) -> Restorer<'_> {
        self.desk.restorer(&self.opener)
    }

    fn restore(&self, target: Target, span: Span) -> (Restored, Scratch) {
        let mut scratch = Scratch::new();
        let restored = self.restorer().restore(target, span, None, &mut scratch).unwrap();
        (restored, scratch)
    }

    /// Everything that a restore says and writes, against the original.
    fn assert_is_the_original(&self, restored: &Restored, scratch: &Scratch, position: u64) {
        let at = usize::try_from(position).unwrap();
        assert_eq!(restored.position, position);
        assert_eq!(restored.engine.next_position().0, position);
        assert_eq!(restored.engine.state_root(), self.history.state_roots[at], "at {position}");
        let mut frontier = evenkeel_types::merkle::Frontier::new();
        let entries = self.history.frames.iter().flat_map(|frame| &frame.entries);
        let entries: Vec<_> = entries.take(at).collect();
        entries.iter().for_each(|one| frontier.push(evenkeel_types::merkle::leaf_hash(&one.0)));
        assert_eq!(restored.journal_root, frontier.root());
        assert_eq!(restored.frontier, frontier);
        assert_eq!(restored.replayed, position - restored.checkpoint.position());
        assert_eq!(scratch.snapshot.as_ref(), Some(&restored.checkpoint));
        if let Some(chain) = self.history.chain_at(position) {
            assert_eq!(restored.chain, chain, "the chain at {position}");
        }
        let base = scratch.base.as_ref().unwrap();
        let written: Vec<_> = scratch.frames().into_iter().flat_map(|one| one.entries).collect();
        let from = usize::try_from(base.position).unwrap();
        assert_eq!(written.len(), at - from);
        assert!(written.iter().zip(&entries[from..]).all(|(ours, theirs)| ours == *theirs));
    }
}

#[test]
fn the_latest_state_comes_back_with_the_same_frames_and_chain() {
    let scene = Scene::new(40);
    let end = scene.history.end();
    for span in [Span::Full, Span::SinceSnapshot] {
        let (restored, scratch) = scene.restore(Target::Latest, span);
        scene.assert_is_the_original(&restored, &scratch, end);
        assert_eq!(Some(&restored.point.position), scene.points.last());
        let base = scratch.base.as_ref().unwrap().position;
        let original = scene.history.frames.iter().filter(|frame| frame.first >= base);
        assert!(scratch.frames().iter().eq(original), "{span:?}");
        match span {
            Span::Full => assert_eq!(scratch.base, Some(Base::genesis())),
            Span::SinceSnapshot => assert_eq!(base, restored.point.position),
        }
        let newest = scene.opener.catalog().tails_after(scene.desk.lineage(), None);
        assert_eq!(restored.last_shipped_ns, newest.last().unwrap().time_ns);
    }
}

#[test]
fn every_position_comes_back_as_it_was() {
    let scene = Scene::new(41);
    let frames = scene.history.frames.iter();
    let mut borders: BTreeSet<u64> = frames.flat_map(|f| [f.first, f.first + 1]).collect();
    borders.extend(scene.points.iter().flat_map(|at| [at - 1, *at, at + 1]));
    borders.insert(scene.history.end());
    let asked = borders.range(scene.points[0]..=scene.history.end());
    for (at, position) in asked.enumerate() {
        let span = if at % 4 == 0 { Span::Full } else { Span::SinceSnapshot };
        let (restored, scratch) = scene.restore(Target::Position(*position), span);
        scene.assert_is_the_original(&restored, &scratch, *position);
        let newest = scene.points.iter().filter(|point| *point <= position).max();
        assert_eq!(Some(&restored.point.position), newest, "from the nearest point");
    }
}

#[test]
fn a_position_before_the_first_point_or_beyond_the_sites_is_refused_before_anything_is_written() {
    let scene = Scene::new(42);
    for position in [0, 1, scene.points[0] - 1] {
        let mut scratch = Scratch::new();
        let target = Target::Position(position);
        let restored = scene.restorer().restore(target, Span::Full, None, &mut scratch);
        let error = restored.unwrap_err();
        assert!(matches!(error, RecoveryError::BeforeFirstPoint { .. }), "{error}");
        assert!(error.to_string().contains(&format!("position {}", scene.points[0])), "{error}");
        assert!(scratch.base.is_none());
    }
    let end = scene.history.end();
    for position in [end + 1, u64::MAX] {
        let mut scratch = Scratch::new();
        let target = Target::Position(position);
        let restored = scene.restorer().restore(target, Span::Full, None, &mut scratch);
        let RecoveryError::Gap { missing_from, missing_to } = restored.unwrap_err() else {
            panic!("position {position}");
        };
        assert_eq!((missing_from, missing_to), (end, position));
        assert!(scratch.base.is_none());
    }
}

#[test]
fn every_moment_comes_back_with_all_entries_of_that_moment() {
    let scene = Scene::new(43);
    let times: Vec<u64> = scene.history.entries.iter().map(|entry| entry.time.0).collect();
    let distinct: BTreeSet<u64> = times.iter().copied().collect();
    assert!(distinct.len() * 2 < times.len(), "several entries share a time");
    let first = times[usize::try_from(scene.points[0]).unwrap() - 1];
    let asked = distinct.iter().flat_map(|time| [time - 1, *time, time + 1]);
    let mut refused = 0;
    for time in asked.chain([0, u64::MAX]) {
        let expected = times.iter().filter(|one| **one <= time).count() as u64;
        if time < first {
            let target = Target::Time(Timestamp(time));
            let mut scratch = Scratch::new();
            let restored = scene.restorer().restore(target, Span::Full, None, &mut scratch);
            let error = restored.unwrap_err();
            assert!(matches!(error, RecoveryError::BeforeFirstPoint { .. }), "{error}");
            refused += 1;
        } else {
            let target = Target::Time(Timestamp(time));
            let (restored, scratch) = scene.restore(target, Span::SinceSnapshot);
            scene.assert_is_the_original(&restored, &scratch, expected);
            let newest = scene.points.iter().filter(|point| **point <= expected).max();
            assert_eq!(Some(&restored.point.position), newest, "from the nearest point");
        }
    }
    assert!(refused > 2);
}

#[test]
fn a_wall_clock_that_was_ahead_when_points_were_made_hides_no_moment() {
    let (mut host, desk) = (Host::founded(44), Desk::new());
    let mut writer = desk.writer();
    let mut maker = PointMaker::new(host.frames_from(0));
    const DAY_NS: u64 = 86_400_000_000_000;
    for round in 0..3 {
        host.trade(12);
        let (checkpoint, promise) = host.checkpoint();
        let mut frames = Frames::default();
        maker.frames_up_to(&checkpoint, &mut frames).unwrap();
        let wall_ns = if round == 1 { host.time - DAY_NS } else { host.time + DAY_NS };
        write_point(&mut writer, &checkpoint, &promise, &frames, wall_ns).unwrap();
    }
    let history = host.history();
    let opener = desk.opener();
    let restorer = desk.restorer(&opener);
    let first = usize::try_from(restorer.points()[0].position).unwrap();
    for entry in history.entries.iter().skip(first) {
        let expected = history.entries.iter().filter(|one| one.time <= entry.time).count();
        let (target, mut scratch) = (Target::Time(entry.time), Scratch::new());
        let restored = restorer.restore(target, Span::SinceSnapshot, None, &mut scratch).unwrap();
        assert_eq!(restored.position, expected as u64);
        assert_eq!(restored.engine.state_root(), history.state_roots[expected]);
    }
}

#[test]
fn a_ledger_fed_by_the_restore_agrees_with_what_was_restored() {
    let scene = Scene::new(45);
    for target in [Target::Latest, Target::Position(scene.points[0] + 3)] {
        let mut ledger = Ledger::new();
        let (restorer, mut scratch) = (scene.restorer(), Scratch::new());
        let books = Some(&mut ledger);
        let restored = restorer.restore(target, Span::Full, books, &mut scratch).unwrap();
        assert!(restored.replayed > 0);
        let (accounts, mismatches) = ledger.compare(&restored.engine).unwrap();
        assert!(accounts > 0 && mismatches.is_empty(), "{mismatches:?}");
    }
}

#[test]
fn the_frames_between_any_two_positions_are_the_journals() {
    let scene = Scene::new(46);
    let (restorer, end) = (scene.restorer(), scene.history.end());
    let entries: Vec<_> = scene.history.frames.iter().flat_map(|f| f.entries.clone()).collect();
    for from in (0..=end).step_by(5) {
        for to in [from, from + 1, from + 13, end, u64::MAX] {
            let mut got: Vec<Frame> = Vec::new();
            let reached = restorer
                .frames_between(from, to, &mut |frame| {
                    got.push(frame.clone());
                    Ok(())
                })
                .unwrap();
            assert_eq!(reached, to.min(end).max(from));
            let expected = usize::try_from(from).unwrap()..usize::try_from(reached).unwrap();
            let mut next = from;
            for frame in &got {
                assert_eq!(frame.first, next);
                next = frame.next();
            }
            let got: Vec<_> = got.into_iter().flat_map(|frame| frame.entries).collect();
            assert!(got == entries[expected], "{from} to {to}");
        }
    }
}

#[test]
fn a_missing_tail_is_a_gap_that_names_its_range_and_what_lies_before_comes_back() {
    let scene = Scene::new(47);
    let tails = scene.opener.catalog().tails_after(scene.desk.lineage(), None);
    let [.., missing, last] = tails.as_slice() else { panic!("{tails:?}") };
    let at = usize::try_from(missing.counter).unwrap() - 1;
    for site in 0..5 {
        let name = &scene.desk.records(site)[at];
        scene.desk.remove(site, name);
    }
    let opener = scene.desk.opener();
    let restorer = scene.desk.restorer(&opener);
    let mut scratch = Scratch::new();
    let restored = restorer.restore(Target::Latest, Span::Full, None, &mut scratch);
    let RecoveryError::Gap { missing_from, missing_to } = restored.unwrap_err() else {
        panic!("not a gap");
    };
    assert_eq!((missing_from, missing_to), (missing.first, last.first));
    let mut scratch = Scratch::new();
    let target = Target::Position(missing_from);
    let restored = restorer.restore(target, Span::Full, None, &mut scratch).unwrap();
    scene.assert_is_the_original(&restored, &scratch, missing_from);
}

#[test]
fn a_point_that_promises_other_roots_is_not_restored() {
    let mut host = Host::founded(48);
    host.trade(10);
    let (checkpoint, promise) = host.checkpoint();
    let wrong = [1; 32];
    let cases = [
        ("state root", Promise { state_root: wrong, ..promise }),
        ("journal root", Promise { journal_root: wrong, ..promise }),
        ("output digest", Promise { output_digest: wrong, ..promise }),
        ("chain", Promise { chain: wrong, ..promise }),
    ];
    for (named, promise) in cases {
        let desk = Desk::new();
        let mut writer = desk.writer();
        let mut frames = Frames::default();
        PointMaker::new(host.frames_from(0)).frames_up_to(&checkpoint, &mut frames).unwrap();
        write_point(&mut writer, &checkpoint, &promise, &frames, host.time).unwrap();
        let (opener, mut scratch) = (desk.opener(), Scratch::new());
        let restorer = desk.restorer(&opener);
        let restored = restorer.restore(Target::Latest, Span::Full, None, &mut scratch);
        let RecoveryError::Mismatch { what, .. } = restored.unwrap_err() else {
            panic!("{named}");
        };
        assert_eq!(what, named);
        assert!(scratch.base.is_none(), "nothing was written");
    }
}

#[test]
fn a_snapshot_of_another_venue_is_not_restored() {
    let (mut host, mut other) = (Host::founded(49), Host::founded(50));
    host.trade(10);
    other.trade(10);
    assert_eq!(host.position(), other.position());
    let (checkpoint, promise) = host.checkpoint();
    let foreign = Checkpoint { engine: other.checkpoint().0.engine, ..checkpoint };
    let desk = Desk::new();
    let mut writer = desk.writer();
    write_point(&mut writer, &foreign, &promise, &Frames::default(), host.time).unwrap();
    let (opener, mut scratch) = (desk.opener(), Scratch::new());
    let restorer = desk.restorer(&opener);
    let restored = restorer.restore(Target::Latest, Span::Full, None, &mut scratch);
    assert!(matches!(restored.unwrap_err(), RecoveryError::Mismatch { what: "state root", .. }));
}

#[test]
fn a_tail_whose_chain_is_another_is_found_at_the_end() {
    let (mut host, desk) = (Host::founded(51), Desk::new());
    let mut writer = desk.writer();
    ship_all(&host, &mut TailShipper::new(host.frames_from(0)), &mut writer);
    make_point(&host, &mut PointMaker::new(host.frames_from(0)), &mut writer);
    let from = host.position();
    host.trade(6);
    let frames = host.history().frames.into_iter().filter(|frame| frame.first >= from);
    let payload = Frames(frames.collect()).to_bytes();
    let roots = [Root::new(CHAIN_ROOT, [3; 32])];
    writer.append_tail(from, host.position() - 1, &payload, &roots, host.time).unwrap();
    let (opener, mut scratch) = (desk.opener(), Scratch::new());
    let restorer = desk.restorer(&opener);
    let restored = restorer.restore(Target::Latest, Span::Full, None, &mut scratch);
    let error = restored.unwrap_err();
    assert!(matches!(error, RecoveryError::Mismatch { what: "journal chain", .. }), "{error}");
}

#[test]
fn a_tail_that_begins_later_than_it_says_is_a_gap() {
    let (mut host, desk) = (Host::founded(52), Desk::new());
    let mut writer = desk.writer();
    make_point(&host, &mut PointMaker::new(host.frames_from(0)), &mut writer);
    let from = host.position();
    host.trade(20);
    let frames = host.history().frames.into_iter().filter(|frame| frame.first > from);
    let frames = Frames(frames.collect());
    let begins = frames.0[0].first;
    let end = host.position();
    writer.append_tail(from, end - 1, &frames.to_bytes(), &[], host.time).unwrap();
    let (opener, mut scratch) = (desk.opener(), Scratch::new());
    let restorer = desk.restorer(&opener);
    let restored = restorer.restore(Target::Latest, Span::Full, None, &mut scratch);
    let RecoveryError::Gap { missing_from, missing_to } = restored.unwrap_err() else {
        panic!("not a gap");
    };
    assert_eq!((missing_from, missing_to), (from, begins));
}

#[test]
fn sites_without_a_point_say_that_there_is_none_yet() {
    let (host, desk) = (Host::founded(53), Desk::new());
    let mut writer = desk.writer();
    ship_all(&host, &mut TailShipper::new(host.frames_from(0)), &mut writer);
    let opener = desk.opener();
    let error = Restorer::new(opener.catalog(), &opener, desk.lineage()).unwrap_err();
    assert!(matches!(error, RecoveryError::BeforeFirstPoint { .. }), "{error}");
}

#[test]
fn two_lost_sites_change_nothing() {
    let scene = Scene::new(54);
    scene.desk.lose(1);
    scene.desk.lose(4);
    let opener = scene.desk.opener();
    let restorer = scene.desk.restorer(&opener);
    let mut scratch = Scratch::new();
    let restored = restorer.restore(Target::Latest, Span::Full, None, &mut scratch).unwrap();
    scene.assert_is_the_original(&restored, &scratch, scene.history.end());
}
