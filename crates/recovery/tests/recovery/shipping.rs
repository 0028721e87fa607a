//! The tail and the points on their way to the sites.

use evenkeel_recovery::restore::{CHAIN_ROOT, JOURNAL_SOURCE};
use evenkeel_recovery::{Frame, Frames, PointMaker, RecoveryError, TailShipper, write_point};
use evenkeel_types::codec::Canonical;
use evenkeel_vault::{Error, Opener, TailInfo};

use crate::support::Host;
use crate::support::desk::{Desk, make_point, ship_all};

fn tails(opener: &Opener, desk: &Desk) -> Vec<(TailInfo, Frames)> {
    let tails = opener.catalog().tails_after(desk.lineage(), None);
    let read = |tail: TailInfo| {
        let frames = Frames::from_bytes(&opener.read_tail(&tail).unwrap()).unwrap();
        (tail, frames)
    };
    tails.into_iter().map(read).collect()
}

/// All shipped tails are exactly the journal's frames, each with the chain behind it.
fn assert_tails_are_the_journal(host: &Host, desk: &Desk) {
    let history = host.history();
    let mut shipped: Vec<Frame> = Vec::new();
    for (tail, frames) in tails(&desk.opener(), desk) {
        assert_eq!(tail.first, frames.0[0].first);
        assert_eq!(Some(tail.last + 1), frames.next());
        let chain = tail.roots.iter().find(|root| root.name == CHAIN_ROOT).unwrap();
        assert_eq!(Some(chain.hash), history.chain_at(tail.last + 1));
        shipped.extend(frames.0);
    }
    assert!(shipped == history.frames, "the tails are not the journal");
}

#[test]
fn everything_durable_is_shipped_frame_by_frame_and_nothing_when_nothing_is_new() {
    let (mut host, desk) = (Host::founded(30), Desk::new());
    let mut writer = desk.writer();
    let mut shipper = TailShipper::new(host.frames_from(0));
    for _ in 0..4 {
        host.trade(25);
        let (shipped, caught_up) = shipper.ship(&mut writer, host.time, 1 << 20).unwrap();
        assert_eq!(shipped.unwrap().sites_ok.len(), 5);
        assert!(caught_up);
        assert_eq!(shipper.shipped_next(), host.position());
        assert_eq!(shipper.ship(&mut writer, host.time, 1 << 20).unwrap(), (None, true));
    }
    assert_eq!(desk.records(0).len(), 4);
    assert_tails_are_the_journal(&host, &desk);
}

#[test]
fn a_large_backlog_is_cut_into_bounded_objects() {
    let (mut host, desk) = (Host::founded(31), Desk::new());
    host.trade(300);
    let mut writer = desk.writer();
    let mut shipper = TailShipper::new(host.frames_from(0));
    let mut count = 0;
    loop {
        let (shipped, caught_up) = shipper.ship(&mut writer, host.time, 1_000).unwrap();
        count += u64::from(shipped.is_some());
        if caught_up {
            break;
        }
    }
    assert!(count > 6, "{count}");
    for (_, frames) in tails(&desk.opener(), &desk) {
        let before_last = &frames.0[..frames.0.len() - 1];
        let bytes: u64 = before_last.iter().map(Frame::entry_bytes).sum();
        assert!(bytes < 1_000, "{bytes} bytes and another frame");
    }
    assert_tails_are_the_journal(&host, &desk);
}

#[test]
fn what_could_not_be_shipped_is_sent_again_unchanged_and_what_came_since_follows() {
    let (mut host, desk) = (Host::founded(32), Desk::new());
    let mut writer = desk.writer();
    let mut shipper = TailShipper::new(host.frames_from(0));
    ship_all(&host, &mut shipper, &mut writer);
    let shipped_next = shipper.shipped_next();
    host.trade(20);
    (0..3).for_each(|at| desk.lose(at));
    for _ in 0..3 {
        let error = shipper.ship(&mut writer, host.time, 1 << 20).unwrap_err();
        assert!(matches!(error, RecoveryError::Vault(Error::NotEnoughSites { .. })), "{error}");
        assert_eq!(shipper.shipped_next(), shipped_next, "nothing advanced");
        assert!(shipper.pending_bytes() > 0);
        host.trade(10);
    }
    let name = desk.records(3).pop().unwrap();
    let sent = desk.read(3, &name);
    (0..3).for_each(|at| desk.mend(at));
    let (shipped, caught_up) = shipper.ship(&mut writer, host.time, 1 << 20).unwrap();
    assert!(shipped.is_some());
    assert!(!caught_up, "more has come since, and is not claimed to be shipped");
    for at in 0..5 {
        assert_eq!(desk.read(at, &name), sent, "the same record at every site");
    }
    ship_all(&host, &mut shipper, &mut writer);
    assert_eq!(shipper.pending_bytes(), 0);
    assert_eq!(shipper.shipped_next(), host.position());
    assert_tails_are_the_journal(&host, &desk);
}

#[test]
fn a_retry_does_not_claim_that_it_was_all() {
    let (mut host, desk) = (Host::founded(39), Desk::new());
    let mut writer = desk.writer();
    let mut shipper = TailShipper::new(host.frames_from(0));
    // Not even a key period can be published: no record is signed.
    (0..3).for_each(|at| desk.lose(at));
    shipper.ship(&mut writer, host.time, 1 << 20).unwrap_err();
    let first = host.position();
    host.trade(10);
    (0..3).for_each(|at| desk.mend(at));
    let (shipped, caught_up) = shipper.ship(&mut writer, host.time, 1 << 20).unwrap();
    assert!(shipped.is_some() && !caught_up);
    assert_eq!(writer.next_position(), Some(first), "the same as was to be sent before");
    ship_all(&host, &mut shipper, &mut writer);
    assert_tails_are_the_journal(&host, &desk);
}

#[test]
fn a_restarted_shipper_goes_on_where_the_sites_are() {
    let (mut host, desk) = (Host::founded(33), Desk::new());
    for _ in 0..3 {
        let mut writer = desk.writer();
        let from = writer.next_position().unwrap_or(0);
        let mut shipper = TailShipper::new(host.frames_from(from));
        assert_eq!(shipper.shipped_next(), from);
        host.trade(15);
        ship_all(&host, &mut shipper, &mut writer);
        host.trade(15);
    }
    let mut writer = desk.writer();
    let from = writer.next_position().unwrap();
    ship_all(&host, &mut TailShipper::new(host.frames_from(from)), &mut writer);
    assert_tails_are_the_journal(&host, &desk);
}

#[test]
fn a_record_that_a_crash_left_over_is_finished_and_not_shipped_twice() {
    let (mut host, desk) = (Host::founded(34), Desk::new());
    let mut writer = desk.writer();
    let mut shipper = TailShipper::new(host.frames_from(0));
    host.trade(20);
    desk.refuse(Some("/records/"));
    shipper.ship(&mut writer, host.time, 1 << 20).unwrap_err();
    drop((writer, shipper));
    desk.refuse(None);
    host.trade(20);
    // The restarted writer has a record to send, and the shipper begins before it.
    let mut writer = desk.writer();
    let from = writer.next_position().unwrap_or(0);
    assert_eq!(from, 0, "the record is not settled yet");
    let mut shipper = TailShipper::new(host.frames_from(from));
    ship_all(&host, &mut shipper, &mut writer);
    assert_eq!(shipper.shipped_next(), host.position());
    assert_tails_are_the_journal(&host, &desk);
}

#[test]
fn a_tail_that_went_out_before_a_point_that_failed_is_not_shipped_twice() {
    let (mut host, desk) = (Host::founded(35), Desk::new());
    let mut writer = desk.writer();
    let mut shipper = TailShipper::new(host.frames_from(0));
    ship_all(&host, &mut shipper, &mut writer);
    host.trade(20);
    desk.refuse(Some("/records/"));
    shipper.ship(&mut writer, host.time, 1 << 20).unwrap_err();
    // The point's thread comes first: the tail goes out, then the point's own record fails.
    desk.refuse(None);
    let (checkpoint, promise) = host.checkpoint();
    let mut frames = Frames::default();
    PointMaker::new(host.frames_from(0)).frames_up_to(&checkpoint, &mut frames).unwrap();
    writer.settle().unwrap();
    desk.refuse(Some("/records/"));
    write_point(&mut writer, &checkpoint, &promise, &frames, host.time).unwrap_err();
    desk.refuse(None);
    host.trade(20);
    ship_all(&host, &mut shipper, &mut writer);
    assert_eq!(shipper.shipped_next(), host.position());
    assert_tails_are_the_journal(&host, &desk);
}

#[test]
fn points_and_tails_interleave_and_a_points_frames_cover_exactly_what_lies_between() {
    let (mut host, desk) = (Host::founded(36), Desk::new());
    let mut writer = desk.writer();
    let mut shipper = TailShipper::new(host.frames_from(0));
    let mut maker = PointMaker::new(host.frames_from(0));
    let mut previous = 0;
    for round in 0..5 {
        host.trade(20);
        if round % 2 == 0 {
            ship_all(&host, &mut shipper, &mut writer);
        }
        let (point, checkpoint, _, frames) = make_point(&host, &mut maker, &mut writer);
        assert_eq!(point.shipped.sites_ok.len(), 5);
        assert_eq!(maker.last_position(), checkpoint.position());
        assert_eq!(frames.0[0].first, previous);
        assert_eq!(frames.next(), Some(checkpoint.position()));
        assert_eq!(frames.entry_count(), checkpoint.position() - previous);
        let mut kept = Vec::new();
        desk.opener().read_source(point.id, JOURNAL_SOURCE, &mut kept).unwrap();
        assert_eq!(Frames::from_bytes(&kept).unwrap(), frames);
        previous = checkpoint.position();
    }
    ship_all(&host, &mut shipper, &mut writer);
    assert_tails_are_the_journal(&host, &desk);
}

#[test]
fn a_point_without_new_entries_has_an_empty_journal_part() {
    let (host, desk) = (Host::founded(37), Desk::new());
    let mut writer = desk.writer();
    let mut maker = PointMaker::new(host.frames_from(0));
    let (_, _, _, first) = make_point(&host, &mut maker, &mut writer);
    assert_eq!(first.next(), Some(host.position()));
    let (_, _, _, second) = make_point(&host, &mut maker, &mut writer);
    assert_eq!(second, Frames::default());
    assert_eq!(second.next(), None);
}

#[test]
fn a_checkpoint_before_the_last_point_or_inside_a_frame_makes_no_point() {
    let mut host = Host::founded(38);
    let (early, _) = host.checkpoint();
    host.trade(10);
    let mut maker = PointMaker::new(host.frames_from(host.position()));
    let error = maker.frames_up_to(&early, &mut Frames::default()).unwrap_err();
    assert!(matches!(error, RecoveryError::Snapshot { .. }), "{error}");
    // Three entries in one frame, and a state between them.
    let before = host.checkpoint().0;
    let from = host.position();
    host.commit(3);
    let history = host.history();
    let (mut engine, mut frontier) = (before.engine().unwrap(), before.frontier);
    let inside = usize::try_from(from).unwrap();
    engine.apply(&history.entries[inside], &mut Vec::new());
    let bytes = &history.frames.last().unwrap().entries[0].0;
    frontier.push(evenkeel_types::merkle::leaf_hash(bytes));
    let between =
        evenkeel_recovery::Checkpoint { chain: before.chain, frontier, engine: engine.snapshot() };
    assert_eq!(between.position(), from + 1);
    let mut maker = PointMaker::new(host.frames_from(from));
    assert!(maker.frames_up_to(&between, &mut Frames::default()).is_err());
}
