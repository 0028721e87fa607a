//! An entry at which the program panics: reproduced, passed over by everybody, refused to its
//! sender; and whatever must never be passed over.

use std::sync::Arc;

use evenkeel_journal::{Admission, Batch, Reader};
use evenkeel_recovery::primary::PRIMARY_SESSION;
use evenkeel_recovery::test_poison::set_here;
use evenkeel_recovery::{
    Agreement, Bar, Checkpoint, FolderAuthority, Follower, Found, Frames, History as Span,
    NotPromoted, PassedOver, PointMaker, Poisoned, Promise, Promoted, RecoveryError, Refused,
    Request, Rescue, Result, Skips, Standby, TailShipper, Target, Verdict, boot, take_over,
    take_over_or_rescue, write_point,
};
use evenkeel_types::codec::Canonical;
use evenkeel_types::merkle::{Hash, leaf_hash};
use evenkeel_types::{
    AccountId, ClientSequence, Command, Entry, Event, Mode, Origin, OutcomeKind, Position,
    RejectCode, Timestamp,
};
use evenkeel_vault::Writer;

use crate::drills::Ask;
use crate::support::desk::{Desk, make_point, ship_all};
use crate::support::market::origin;
use crate::support::{Host, SMALL, Scratch, open};

const LABEL: u64 = 77_777_777;

/// A host's part, with a second process that is played.
struct Second {
    found: Found,
    snapshots: Vec<Checkpoint>,
    asked: Vec<Poisoned>,
}

impl Second {
    fn process(found: Found) -> Self {
        Self { found, snapshots: Vec::new(), asked: Vec::new() }
    }
}

impl Rescue for Second {
    fn snapshots(&mut self) -> Result<Vec<Checkpoint>> {
        Ok(self.snapshots.clone())
    }

    fn try_again(&mut self, poisoned: &Poisoned) -> Result<Found> {
        self.asked.push(poisoned.clone());
        if self.found == Found::Nothing {
            // It was this process's memory, and is no more.
            set_here(0);
        }
        Ok(self.found)
    }
}

/// An order that is poison.
fn poison(host: &mut Host, sequence: u64) -> Request {
    let mut command = host.market.place();
    let Command::Place { order } = &mut command else { panic!("an order") };
    order.label = LABEL;
    Request { origin: origin(1, 9, sequence), command }
}

/// A host that has traded, without any closure of its venue.
fn trading(seed: u64) -> Host {
    let mut host = Host::founded(seed);
    host.trade(30);
    let request = |sequence, mode| Request {
        origin: origin(0, 8, sequence),
        command: Command::SetMode { mode, cause: 0 },
    };
    host.commit_these(vec![request(1, Mode::Normal)]);
    host
}

/// The primary dies at the second of three requests; its position, and what was sent.
fn dies(host: &mut Host) -> (u64, Request) {
    let poisoned = poison(host, 1);
    let position = host.position() + 1;
    let requests = vec![host.market.next_request(), poisoned.clone(), host.market.next_request()];
    set_here(LABEL);
    let died = host.primary.commit(Timestamp(host.time), requests).unwrap_err();
    let RecoveryError::Poisoned(found) = died else { panic!("{died}") };
    assert_eq!(found.position, position);
    assert!(found.text.contains("a test's poison"), "{found:?}");
    (position, poisoned)
}

fn reader(host: &Host) -> Reader {
    Reader::external(host.disk.clone(), &host.dir, 0).unwrap()
}

fn hash_at(host: &Host, position: u64) -> Hash {
    let records = reader(host).flat_map(|batch| batch.unwrap().records);
    leaf_hash(&records.into_iter().find(|one| one.position == position).unwrap().entry)
}

fn boot_from(host: &Host, snapshots: &[Checkpoint]) -> Result<evenkeel_recovery::Booted> {
    let log = host.primary.log();
    boot(&host.disk, &host.dir, log.base(), &log.watermark(), snapshots)
}

/// A standby over the whole journal, beginning again wherever the journal sends it back.
fn follows(batches: &[Batch]) -> (Standby, Skips) {
    let mut skips = Skips::none();
    'again: loop {
        let standby = Standby::start(&Checkpoint::genesis()).unwrap();
        let mut standby = standby.passing_over(skips.clone());
        for batch in batches {
            match standby.apply(batch) {
                Ok(_) => {}
                Err(RecoveryError::GoBack { position, entry }) => {
                    skips.insert(position, entry).unwrap();
                    continue 'again;
                }
                Err(error) => panic!("{error}"),
            }
        }
        return (standby, skips);
    }
}

#[test]
fn a_primary_that_dies_at_an_entry_passes_over_it_once_a_second_process_died_there_too() {
    let mut host = trading(300);
    let (position, request) = dies(&mut host);
    let end = host.position();
    let again = boot_from(&host, &[]).unwrap_err();
    assert!(matches!(&again, RecoveryError::Poisoned(at) if at.position == position), "{again}");
    let term = host.primary.log().term();
    let mut second = Second::process(Found::Same);
    let (rescued, passed_over) = host.rescued(&mut second);
    let mut host = rescued.unwrap();
    let Command::Place { order } = &request.command else { panic!("an order") };
    let [PassedOver { poisoned, instrument, said_at }] = &passed_over[..] else {
        panic!("{passed_over:?}")
    };
    assert_eq!((poisoned.position, *instrument, *said_at), (position, Some(order.instrument), end));
    assert_eq!(second.asked.len(), 1);
    let hash = hash_at(&host, position);
    assert_eq!(host.primary.engine().skipped(Position(position)), Some(hash));
    let last: Vec<Batch> = reader(&host).map(|batch| batch.unwrap()).collect();
    let terms: Vec<u64> = last[last.len() - 2..].iter().map(|batch| batch.term).collect();
    assert_eq!(terms, [term + 1, term + 1], "the word and the Resume, in one new term");
    // Its sender is refused, however often it comes.
    for _ in 0..2 {
        let acks = host.commit_these(vec![request.clone()]);
        let Some(Event::Repeated { original }) = acks[0].events.last() else { panic!("{acks:?}") };
        let kind = OutcomeKind::Rejected { code: RejectCode::Skipped };
        assert_eq!((original.position, original.kind), (Position(position), kind));
    }
    assert_eq!(host.primary.engine().mode(), Mode::Halted, "the first rules halt the venue");
    set_here(0);
}

#[test]
fn everybody_has_the_same_state_whether_the_entry_panics_there_or_not() {
    let mut host = trading(301);
    let before = host.checkpoint().0;
    let (position, _) = dies(&mut host);
    // A snapshot behind it, of an engine that applied it.
    set_here(0);
    let healthy = {
        let mut follower = host.follower(&Checkpoint::genesis());
        while follower.step(64).unwrap() > 0 {}
        assert_eq!(follower.engine().skipped(Position(position)), None);
        Checkpoint { engine: follower.engine().snapshot(), ..before.clone() }
    };
    let healthy = Checkpoint { frontier: frontier_at_end(&host), ..healthy };
    set_here(LABEL);
    let (rescued, _) = host.rescued(&mut Second::process(Found::Same));
    let mut host = rescued.unwrap();
    host.trade(20);
    let root = host.primary.engine().state_root();
    let digest = host.primary.engine().output_digest();
    let batches: Vec<Batch> = reader(&host).map(|batch| batch.unwrap()).collect();
    for label in [LABEL, 0] {
        set_here(label);
        let own = host.checkpoint().0;
        for snapshots in [
            Vec::new(),
            vec![before.clone()],
            vec![healthy.clone()],
            vec![before.clone(), healthy.clone()],
            vec![before.clone(), healthy.clone(), own],
        ] {
            let booted = boot_from(&host, &snapshots).unwrap();
            assert_eq!(booted.engine.state_root(), root);
            assert_eq!(booted.engine.output_digest(), digest);
            assert_ne!(booted.checkpoint, healthy);
            let log = host.primary.log();
            let (disk, board) = (Arc::clone(&host.disk), Arc::new(Agreement::new()));
            let checkpoint = &booted.checkpoint;
            let follower = Follower::start(checkpoint, disk, &host.dir, log.watermark(), board);
            let mut follower = follower.unwrap().passing_over(booted.skips);
            while follower.step(64).unwrap() > 0 {}
            assert_eq!(follower.engine().state_root(), root);
        }
        let (standby, skips) = follows(&batches);
        assert_eq!(standby.engine().state_root(), root);
        assert_eq!(standby.promotable(), Ok(()));
        assert!(skips.contains(position) && skips.len() == 1);
    }
    set_here(0);
}

fn frontier_at_end(host: &Host) -> evenkeel_types::merkle::Frontier {
    let mut frontier = evenkeel_types::merkle::Frontier::new();
    for batch in reader(host) {
        batch.unwrap().records.iter().for_each(|one| frontier.push(leaf_hash(&one.entry)));
    }
    frontier
}

#[test]
fn a_standby_at_which_it_panics_waits_and_one_that_applied_it_goes_back() {
    let mut host = trading(302);
    let (position, _) = dies(&mut host);
    let batches: Vec<Batch> = reader(&host).map(|batch| batch.unwrap()).collect();
    let start = || Standby::start(&Checkpoint::genesis()).unwrap();
    let (mut lost, mut healthy) = (start(), start());
    batches.iter().for_each(|batch| assert!(lost.apply(batch).is_ok()));
    set_here(0);
    batches.iter().for_each(|batch| assert!(healthy.apply(batch).is_ok()));
    assert_eq!((lost.position(), lost.chain()), (healthy.position(), healthy.chain()));
    assert_eq!(lost.journal_root(), healthy.journal_root());
    assert_eq!(healthy.promotable(), Ok(()));
    assert!(matches!(lost.promotable(), Err(Bar::Poisoned { position: at, .. }) if at == position));
    assert!(lost.checkpoint().is_none());
    set_here(LABEL);
    let (rescued, _) = host.rescued(&mut Second::process(Found::Same));
    let host = rescued.unwrap();
    let next = reader(&host).map(|batch| batch.unwrap()).nth(batches.len()).unwrap();
    for standby in [&mut lost, &mut healthy] {
        let back = standby.apply(&next).unwrap_err();
        let RecoveryError::GoBack { position: at, entry } = back else { panic!("{back}") };
        assert_eq!((at, entry), (position, hash_at(&host, position)));
    }
    set_here(0);
}

#[test]
fn a_standby_takes_over_from_a_primary_that_died_at_an_entry() {
    for follows_to_the_end in [true, false] {
        let mut host = trading(303);
        let mut standby = Standby::start(&Checkpoint::genesis()).unwrap();
        for batch in reader(&host) {
            standby.apply(&batch.unwrap()).unwrap();
        }
        let (position, _) = dies(&mut host);
        if follows_to_the_end {
            let last = reader(&host).map(|batch| batch.unwrap()).last().unwrap();
            standby.apply(&last).unwrap();
            assert!(standby.poisoned().is_some());
        }
        let (disk, dir, term) = (host.disk.clone(), host.dir.clone(), host.primary.log().term());
        let folder = host.die();
        let mut authority = FolderAuthority {
            disk: Arc::clone(&disk),
            dir,
            options: SMALL,
            confirmations: Vec::new(),
        };
        let later = |time: Timestamp| Timestamp(time.0 + 1);
        let board = Arc::new(Agreement::new());
        let alone = take_over(standby, term, &mut authority, &disk, board, later).unwrap_err();
        let NotPromoted { standby: Some(standby), error } = alone else { panic!("{alone}") };
        assert!(matches!(error, RecoveryError::Barred(_)), "{error}");
        let mut second = Second::process(Found::Same);
        let taken = take_over_or_rescue(
            *standby,
            (term, &mut authority),
            &disk,
            Arc::new(Agreement::new()),
            Some(&mut second),
            later,
        );
        let Promoted { primary, term: new, skips, passed_over, .. } = taken.unwrap();
        assert_eq!((new, passed_over.len(), second.asked.len()), (term + 1, 1, 1));
        assert!(skips.contains(position));
        assert!(primary.engine().skipped(Position(position)).is_some());
        drop(folder);
    }
    set_here(0);
}

#[test]
fn what_a_second_process_applies_is_not_passed_over() {
    let mut host = trading(304);
    let (position, _) = dies(&mut host);
    let end = host.position();
    let mut second = Second::process(Found::Nothing);
    let (rescued, passed_over) = host.rescued(&mut second);
    let host = rescued.unwrap();
    assert_eq!((second.asked.len(), passed_over.len()), (1, 0));
    assert_eq!(host.primary.engine().skipped(Position(position)), None);
    assert_eq!(host.position(), end + 1, "its Resume");
    set_here(0);
}

#[test]
fn what_may_have_been_acknowledged_is_never_passed_over() {
    let mut host = trading(305);
    let request = poison(&mut host, 1);
    host.commit_these(vec![request]);
    host.trade(3);
    let (disk, dir, end) = (host.disk.clone(), host.dir.clone(), host.position());
    set_here(LABEL);
    let mut second = Second::process(Found::Same);
    let keep = host.kept();
    let (refused, _) = host.rescued(&mut second);
    let refused = refused.err().unwrap();
    assert!(matches!(refused, RecoveryError::NotPassedOver { .. }), "{refused}");
    assert!(refused.to_string().contains("acknowledged"), "{refused}");
    assert!(second.asked.is_empty());
    assert_eq!(open(&disk, &dir, SMALL).next(), end, "nothing was written");
    drop(keep);
    set_here(0);
}

#[test]
fn two_poisoned_entries_of_one_batch_are_passed_over_one_after_the_other() {
    let mut host = trading(306);
    let requests = vec![poison(&mut host, 1), host.market.next_request(), poison(&mut host, 2)];
    let first = host.position();
    set_here(LABEL);
    host.primary.commit(Timestamp(host.time), requests).unwrap_err();
    let mut second = Second::process(Found::Same);
    let (rescued, passed_over) = host.rescued(&mut second);
    let host = rescued.unwrap();
    let at: Vec<u64> = passed_over.iter().map(|one| one.poisoned.position).collect();
    assert_eq!(at, [first, first + 2]);
    let root = host.primary.engine().state_root();
    set_here(0);
    assert_eq!(boot_from(&host, &[]).unwrap().engine.state_root(), root);
}

#[test]
fn a_word_about_another_entry_is_damage_and_never_obeyed() {
    let mut host = trading(307);
    let (position, _) = dies(&mut host);
    let (disk, dir) = (host.disk.clone(), host.dir.clone());
    let keep = host.kept();
    drop(host);
    let mut log = open(&disk, &dir, SMALL);
    let (account, session) = (AccountId::OPERATOR, PRIMARY_SESSION);
    let origin = Origin { account, session, sequence: ClientSequence(log.next()) };
    let command = Command::Skip { position: Position(position), entry: [9; 32], instrument: None };
    let word = Entry { time: Timestamp(u64::MAX / 2), origin, command };
    log.begin_term(log.term() + 1).unwrap();
    log.append(&[&word.to_bytes()], Admission::Normal).unwrap();
    for label in [LABEL, 0] {
        set_here(label);
        let base = log.base().clone();
        let refused = boot(&disk, &dir, &base, &log.watermark(), &[]).unwrap_err();
        let RecoveryError::WrongSkip { position: at, said, .. } = refused else {
            panic!("{refused}")
        };
        assert_eq!((at, said), (position, [9; 32]));
    }
    drop(keep);
}

#[test]
fn clients_cannot_have_an_entry_passed_over() {
    let mut host = trading(308);
    let position = Position(host.position() - 1);
    let entry = hash_at(&host, position.0);
    let command = Command::Skip { position, entry, instrument: None };
    let as_primary = Origin {
        account: AccountId::OPERATOR,
        session: PRIMARY_SESSION,
        sequence: ClientSequence(1 << 40),
    };
    let requests = vec![
        Request { origin: as_primary, command: command.clone() },
        Request { origin: origin(0, 5, 1), command },
    ];
    let end = host.position();
    let answers = host.primary.commit(Timestamp(host.time), requests).unwrap();
    assert_eq!(answers[0], Err(Refused::DiskFull), "it is not journaled");
    let Some(Event::Completed { outcome }) = answers[1].as_ref().unwrap().events.last() else {
        panic!("{answers:?}")
    };
    assert_eq!(outcome.kind, OutcomeKind::Rejected { code: RejectCode::NotSkipped });
    assert_eq!(host.position(), end + 1);
    assert!(boot_from(&host, &[]).unwrap().skips.is_empty());
}

#[test]
fn restores_and_drills_pass_over_it_and_over_points_that_applied_it() {
    for applied_by_a_point in [false, true] {
        let (mut host, desk) = (trading(309), Desk::new());
        let mut writer = desk.writer();
        let mut shipper = TailShipper::new(host.frames_from(0));
        let mut maker = PointMaker::new(host.frames_from(0));
        ship_all(&host, &mut shipper, &mut writer);
        let first = make_point(&host, &mut maker, &mut writer).1.position();
        host.trade(10);
        let (position, _) = dies(&mut host);
        ship_all(&host, &mut shipper, &mut writer);
        if applied_by_a_point {
            set_here(0);
            make_point_of(&host, &mut maker, &mut writer);
            set_here(LABEL);
        }
        let (rescued, _) = host.rescued(&mut Second::process(Found::Same));
        let mut host = rescued.unwrap();
        host.trade(12);
        let mut shipper = TailShipper::new(host.frames_from(shipped_to(&desk)));
        ship_all(&host, &mut shipper, &mut writer);
        let root = host.primary.engine().state_root();
        for label in [LABEL, 0] {
            set_here(label);
            let opener = desk.opener();
            for span in [Span::Full, Span::SinceSnapshot] {
                let mut scratch = Scratch::new();
                let restorer = desk.restorer(&opener);
                let restored = restorer.restore(Target::Latest, span, None, &mut scratch).unwrap();
                assert_eq!(restored.engine.state_root(), root, "{span:?}");
                assert_eq!(restored.point.position, first);
                assert_eq!(scratch.snapshot.as_ref(), Some(&restored.checkpoint));
                assert!(restored.skips.contains(position));
                let (log, base) = (open(&scratch.disk, &scratch.dir, SMALL), &scratch.base);
                let base = base.as_ref().unwrap();
                let snapshots = scratch.snapshot.as_slice();
                let disk = &scratch.disk;
                let booted = boot(disk, &scratch.dir, base, &log.watermark(), snapshots).unwrap();
                assert_eq!(booted.engine.state_root(), root);
            }
            let (drilled, _) = Ask::with_key(&desk).run(&desk);
            assert_eq!(
                drilled.report.report.verdict(),
                Verdict::Ok,
                "{:?}",
                drilled.report.report.checks
            );
            assert_eq!(drilled.report.report.state_root, Some(root));
        }
        // To just behind the entry, where the journal says nothing of it yet.
        set_here(LABEL);
        let opener = desk.opener();
        let (restorer, mut scratch) = (desk.restorer(&opener), Scratch::new());
        let target = Target::Position(position + 1);
        let restored = restorer.restore(target, Span::SinceSnapshot, None, &mut scratch).unwrap();
        assert!(restored.engine.skipped(Position(position)).is_some());
        // Once another point covers it, nobody has to know.
        let last = desk.catalog().points().last().unwrap().position;
        let mut maker = PointMaker::new(host.frames_from(last));
        make_point(&host, &mut maker, &mut writer);
        let (drilled, _) = Ask::with_key(&desk).run(&desk);
        assert_eq!(
            drilled.report.report.verdict(),
            Verdict::Ok,
            "{:?}",
            drilled.report.report.checks
        );
        set_here(0);
    }
}

/// A point of an engine that applied everything in the journal, whatever its primary did.
fn make_point_of(host: &Host, maker: &mut PointMaker, writer: &mut Writer) {
    let booted = boot_from(host, &[]).unwrap().engine;
    let frontier = frontier_at_end(host);
    let chain = host.primary.log().chain();
    let promise = Promise {
        state_root: booted.state_root(),
        journal_root: frontier.root(),
        output_digest: booted.output_digest(),
        chain,
    };
    let checkpoint = Checkpoint { chain, frontier, engine: booted.snapshot() };
    let mut frames = Frames::default();
    maker.frames_up_to(&checkpoint, &mut frames).unwrap();
    write_point(writer, &checkpoint, &promise, &frames, host.time + 500).unwrap();
}

/// Where the last tail at the sites ends.
fn shipped_to(desk: &Desk) -> u64 {
    let tails = desk.catalog().tails_after(desk.lineage(), None);
    tails.last().map_or(0, |tail| tail.last + 1)
}
