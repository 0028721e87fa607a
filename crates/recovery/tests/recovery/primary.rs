//! Nothing is applied or answered before it is durable; a full disk; a failed disk; terms.

use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_journal::fault_disk::{Fault, FaultDisk, Survival};
use evenkeel_journal::{Base, Durability, FileLog, JournalError, Options, RealDisk};
use evenkeel_recovery::{
    Agreement, Checkpoint, Primary, RecoveryError, Refused, Request, base_of, boot,
};
use evenkeel_types::merkle::leaf_hash;
use evenkeel_types::{
    Command, Event, Mode, OrderId, OutcomeKind, Position, RejectCode, Term, Timestamp,
};

use crate::support::market::{START_NS, origin};
use crate::support::{Host, IDENTITY, SMALL, reopen};

const SYNCED: Options = Options { durability: Durability::Fdatasync, ..SMALL };

fn on_fault_disk(seed: u64) -> (FaultDisk, Host) {
    let fault = FaultDisk::new();
    let host = Host::on(Arc::new(fault.clone()), PathBuf::from("/journal"), None, seed, SYNCED);
    (fault, host)
}

#[test]
fn a_batch_is_answered_in_the_order_of_its_requests() {
    let mut host = Host::founded(1);
    let from = host.position();
    let requests: Vec<Request> = (0..40).map(|_| host.market.next_request()).collect();
    let acks = host.commit_these(requests.clone());
    assert_eq!(acks.len(), 40);
    let history = host.history();
    assert_eq!(history.frames.last().unwrap().entries.len(), 40, "one frame");
    let mut engine = history.engine_at(from);
    for (position, (request, ack)) in (from..).zip(requests.iter().zip(&acks)) {
        let at = usize::try_from(position).unwrap();
        let entry = &history.entries[at];
        assert_eq!(ack.position, Position(position));
        assert_eq!((&entry.origin, &entry.command), (&request.origin, &request.command));
        let mut events = Vec::new();
        engine.apply(entry, &mut events);
        assert_eq!(ack.events, events, "position {position}");
        let last = history.frames.last().unwrap();
        let bytes = &last.entries[usize::try_from(position - last.first).unwrap()];
        assert_eq!(ack.entry_hash, leaf_hash(&bytes.0));
    }
    assert_eq!(host.primary.engine().state_root(), engine.state_root());
}

#[test]
fn an_empty_batch_changes_nothing() {
    let mut host = Host::founded(1);
    let (position, root) = (host.position(), host.primary.engine().state_root());
    assert!(host.commit_these(Vec::new()).is_empty());
    assert_eq!(host.position(), position);
    assert_eq!(host.primary.engine().state_root(), root);
}

/// Founds and trades until the disk fails; what was answered, with the digest behind each answer.
fn trade_until_it_fails(host: &mut Host) -> (u64, Option<RecoveryError>) {
    let mut answered = 0;
    for round in 0..24 {
        let size = if round == 0 { host.market.founding_count() } else { 1 + round % 5 };
        let requests = (0..size).map(|_| host.market.next_request()).collect();
        host.time += 1;
        let before = (host.primary.engine().next_position(), host.primary.engine().state_root());
        match host.primary.commit(Timestamp(host.time), requests) {
            Ok(answers) => {
                for ack in answers.into_iter().map(Result::unwrap) {
                    host.market.observe(&ack.events);
                    answered = ack.position.0 + 1;
                    let durable = host.primary.log().watermark().durable_next();
                    assert!(durable >= answered, "answered before it was durable");
                }
            }
            Err(error) => {
                let engine = host.primary.engine();
                let after = (engine.next_position(), engine.state_root());
                assert_eq!(before, after, "applied although it is not durable");
                return (answered, Some(error));
            }
        }
    }
    (answered, None)
}

#[test]
fn whenever_the_power_goes_every_answer_is_in_the_journal() {
    let total = {
        let (fault, mut host) = on_fault_disk(5);
        let begun = fault.operations();
        assert!(trade_until_it_fails(&mut host).1.is_none());
        begun..fault.operations()
    };
    assert!(total.end - total.start > 40, "{total:?}");
    for operation in total {
        let (fault, mut host) = on_fault_disk(5);
        fault.fail_at(operation, Fault::PowerLoss);
        let (answered, error) = trade_until_it_fails(&mut host);
        assert!(error.is_some(), "operation {operation}");
        let disk = Arc::clone(&host.disk);
        drop(host.primary);
        let survival = match operation % 3 {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Random { seed: operation },
        };
        fault.power_cycle(survival);
        let (log, engine) = reopen(&disk, &host.dir, SYNCED);
        assert!(log.next() >= answered, "operation {operation}: an answer is lost");
        assert_eq!(engine.next_position().0, log.next());
    }
}

#[test]
fn a_failed_sync_ends_commits_until_a_restart_has_read_the_journal_back() {
    let (fault, mut host) = on_fault_disk(6);
    host.found();
    host.trade(20);
    let (position, root) = (host.position(), host.primary.engine().state_root());
    // A commit is a write and a sync.
    fault.fail_at(fault.operations() + 1, Fault::Error { seed: 1 });
    for _ in 0..3 {
        let requests = vec![host.market.next_request()];
        let error = host.primary.commit(Timestamp(host.time), requests).unwrap_err();
        let RecoveryError::Journal(JournalError::Poisoned { .. }) = error else {
            panic!("{error}");
        };
        let now = Timestamp(host.time);
        let mode = Command::SetMode { mode: Mode::Halted, cause: 1 };
        assert!(host.primary.operate(now, mode).is_err());
    }
    assert_eq!(host.primary.engine().next_position().0, position);
    assert_eq!(host.primary.engine().state_root(), root);
    assert_eq!(host.agreement.divergence(), None);
    let disk = Arc::clone(&host.disk);
    drop(host.primary);
    let (log, engine) = reopen(&disk, &host.dir, SYNCED);
    assert!(log.next() >= position);
    let now = Timestamp(host.time);
    let mut primary = Primary::begin(log, engine, Arc::new(Agreement::new()), now).unwrap();
    let answers = primary.commit(now, vec![host.market.next_request()]).unwrap();
    assert!(answers[0].is_ok());
}

#[test]
fn a_full_disk_takes_only_what_protects_and_all_of_it_again_once_there_is_room() {
    let (fault, mut host) = on_fault_disk(7);
    host.found();
    host.trade(30);
    fault.set_capacity_bytes(Some(0));
    let fill = || Command::Connect { cancel_on_disconnect: false };
    let mut sequence = 0;
    let mut request = |command| {
        sequence += 1;
        Request { origin: origin(2, 99, sequence), command }
    };
    let now = Timestamp(host.time);
    let mut filled = 0;
    loop {
        let answers = host.primary.commit(now, vec![request(fill()); 20]).unwrap();
        match answers[0] {
            Ok(_) => filled += 1,
            Err(Refused::DiskFull) => break,
        }
        assert!(filled < 10_000, "the disk never fills");
    }
    let (position, root) = (host.position(), host.primary.engine().state_root());
    let cancel = || Command::Cancel { order: OrderId(987_654) };
    let mixed = vec![request(fill()), request(cancel()), request(fill()), request(cancel())];
    let answers = host.primary.commit(now, mixed).unwrap();
    let taken: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [false, true, false, true]);
    assert_eq!(answers[1].as_ref().unwrap().position, Position(position));
    assert_eq!(answers[3].as_ref().unwrap().position, Position(position + 1));
    assert!(host.primary.log().is_on_reserve());
    assert_ne!(host.primary.engine().state_root(), root, "what was taken was applied");

    let refused = host.primary.operate(
        now,
        Command::SetMark {
            instrument: evenkeel_types::InstrumentId(10),
            mark: evenkeel_types::Ticks(120_000),
        },
    );
    let Err(RecoveryError::Journal(JournalError::DiskFull { .. })) = refused else {
        panic!("{refused:?}");
    };
    let mode = Command::SetMode { mode: Mode::CancelOnly, cause: 2 };
    host.primary.operate(now, mode).unwrap();
    assert_eq!(host.primary.engine().mode(), Mode::CancelOnly);

    fault.set_capacity_bytes(None);
    let answers = host.primary.commit(now, vec![request(fill())]).unwrap();
    assert!(answers[0].is_ok(), "room is back");
    assert!(!host.primary.log().is_on_reserve());
    let history = host.history();
    assert_eq!(history.end(), host.position());
    let replayed = history.engine_at(history.end());
    assert_eq!(replayed.state_root(), host.primary.engine().state_root());
}

#[test]
fn when_even_the_reserve_is_used_up_cancels_are_refused_and_nothing_breaks() {
    let (fault, mut host) = on_fault_disk(8);
    host.found();
    fault.set_capacity_bytes(Some(0));
    let now = Timestamp(host.time);
    let mut sequence = 0;
    let mut cancels = |count: u64| -> Vec<Request> {
        sequence += count;
        (0..count)
            .map(|at| Request {
                origin: origin(2, 98, sequence + at),
                command: Command::Cancel { order: OrderId(at) },
            })
            .collect()
    };
    let mut rounds = 0;
    loop {
        let answers = host.primary.commit(now, cancels(50)).unwrap();
        let taken = answers.iter().filter(|one| one.is_ok()).count();
        assert!(taken == 0 || taken == 50, "a frame is taken whole");
        if taken == 0 {
            break;
        }
        rounds += 1;
        assert!(rounds < 1_000, "the reserve never ends");
    }
    fault.set_capacity_bytes(None);
    assert!(host.primary.commit(now, cancels(1)).unwrap()[0].is_ok());
}

#[test]
fn every_term_begins_with_a_resume_that_voids_marks_and_terms_only_grow() {
    let mut host = Host::founded(9);
    assert_eq!(host.primary.engine().term(), Term(0), "founded in the first term");
    let perpetual = evenkeel_types::InstrumentId(20);
    let mark = evenkeel_types::Ticks(120_000);
    let now = Timestamp(host.time);
    let set = Command::SetMark { instrument: perpetual, mark };
    host.primary.operate(now, set).unwrap();
    assert!(host.primary.engine().mark(perpetual).is_some());
    let mut last = host.primary.log().term();
    for _ in 0..3 {
        let position = host.position();
        host = host.restart();
        let term = host.primary.log().term();
        assert!(term > last);
        last = term;
        assert_eq!(host.position(), position + 1, "one entry: the resume");
        assert_eq!(host.primary.engine().term(), Term(term));
        assert_eq!(host.primary.engine().mark(perpetual), None);
        let history = host.history();
        let resume = &history.entries[usize::try_from(position).unwrap()];
        assert_eq!(resume.command, Command::Resume { term: Term(term) });
        assert_eq!(history.frames.last().unwrap().term, term);
        host.trade(10);
    }
}

#[test]
fn a_venue_that_is_not_founded_yet_journals_no_resume() {
    let host = Host::blank(9);
    assert_eq!(host.position(), 0);
    let host = host.restart();
    assert_eq!(host.position(), 0);
}

#[test]
fn a_journal_that_begins_at_a_snapshot_goes_on_behind_the_terms_of_the_engine() {
    let mut host = Host::founded(10);
    host = host.restart();
    host = host.restart();
    let (checkpoint, _) = host.checkpoint();
    let term = host.primary.engine().term();
    assert!(term > Term(1));
    let folder = tempfile::tempdir().unwrap();
    let (disk, base) = (Arc::new(RealDisk), base_of(&checkpoint));
    let mut log = FileLog::create(disk, &folder.path().join("j"), IDENTITY, base, SMALL).unwrap();
    assert_eq!(log.term(), 0);
    log.confirm_end(&[]).unwrap();
    let (engine, agreement) = (checkpoint.engine().unwrap(), Arc::new(Agreement::new()));
    let primary = Primary::begin(log, engine, agreement, Timestamp(host.time)).unwrap();
    assert_eq!(primary.engine().term(), Term(term.0 + 1), "the resume was not stale");
}

#[test]
fn a_log_whose_end_was_not_compared_takes_no_primary() {
    let host = Host::founded(11);
    let (disk, dir) = (Arc::clone(&host.disk), host.dir.clone());
    let engine = host.primary.engine().clone();
    drop(host.primary);
    let (log, _) = FileLog::open(disk, &dir, SMALL).unwrap();
    let begun = Primary::begin(log, engine, Arc::new(Agreement::new()), Timestamp(START_NS));
    let Err(RecoveryError::Journal(JournalError::EndNotConfirmed)) = begun else {
        panic!("{begun:?}");
    };
}

#[test]
fn the_operators_commands_are_answered_and_never_taken_for_retries() {
    let mut host = Host::founded(12);
    let now = Timestamp(host.time);
    for cause in 0..100 {
        let mode = if cause % 2 == 0 { Mode::CancelOnly } else { Mode::Normal };
        let position = host.position();
        let ack = host.primary.operate(now, Command::SetMode { mode, cause }).unwrap();
        assert_eq!(ack.position, Position(position));
        assert_eq!(ack.events[0], Event::ModeChanged { mode, cause });
        assert_eq!(host.primary.engine().mode(), mode);
    }
    let stale = host.primary.operate(now, Command::Resume { term: Term(0) }).unwrap();
    let Some(Event::Completed { outcome }) = stale.events.last() else {
        panic!("{stale:?}");
    };
    let code = RejectCode::StaleTerm;
    assert_eq!(outcome.kind, OutcomeKind::Rejected { code });
}

#[test]
fn a_retry_gets_the_original_answer_also_after_a_restart() {
    let mut host = Host::founded(13);
    let place = Request { origin: origin(2, 50, 1), command: host.market.place() };
    let first = host.commit_these(vec![place.clone()]).remove(0);
    let Some(Event::Completed { outcome }) = first.events.last().cloned() else {
        panic!("{first:?}");
    };
    host = host.restart();
    let again = host.commit_these(vec![place]).remove(0);
    assert_eq!(again.events, [Event::Repeated { original: outcome }]);
    assert_ne!(again.position, first.position, "the retry is an entry of its own");
}

#[test]
fn the_host_starts_from_the_newest_snapshot_that_is_whole_and_within_the_journal() {
    let mut host = Host::founded(14);
    let mut snapshots = Vec::new();
    for _ in 0..3 {
        host.trade(20);
        snapshots.push(host.checkpoint().0);
    }
    host.trade(7);
    let (root, end) = (host.primary.engine().state_root(), host.position());
    let middle = snapshots[1].position();
    let mut broken = snapshots[2].clone();
    broken.engine.truncate(100);
    let mut ahead = Host::founded(14);
    ahead.trade(500);
    let beyond = ahead.checkpoint().0;
    assert!(beyond.position() > end);
    let base = host.primary.log().base().clone();
    let watermark = host.primary.log().watermark();
    let offered = vec![beyond, snapshots[0].clone(), broken, snapshots[1].clone()];
    let booted = boot(&host.disk, &host.dir, &base, &watermark, &offered).unwrap();
    assert_eq!(booted.checkpoint.position(), middle);
    assert_eq!(booted.replayed, end - middle);
    assert_eq!(booted.engine.state_root(), root);
    let booted = boot(&host.disk, &host.dir, &base, &watermark, &[]).unwrap();
    assert_eq!(booted.checkpoint, Checkpoint::genesis());
    assert_eq!(booted.engine.state_root(), root);
}

#[test]
fn a_journal_that_begins_behind_every_snapshot_is_not_guessed_at() {
    let mut host = Host::founded(15);
    let (early, _) = host.checkpoint();
    host.trade(10);
    let (late, _) = host.checkpoint();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("j");
    let disk: Arc<dyn evenkeel_journal::Disk> = Arc::new(RealDisk);
    let base: Base = base_of(&late);
    let log = FileLog::create(Arc::clone(&disk), &dir, IDENTITY, base.clone(), SMALL).unwrap();
    let booted = boot(&disk, &dir, &base, &log.watermark(), &[early]);
    let error = booted.unwrap_err().to_string();
    assert!(error.contains(&format!("position {}", late.position())), "{error}");
    let booted = boot(&disk, &dir, &base, &log.watermark(), &[late]).unwrap();
    assert_eq!(booted.replayed, 0);
}

/// The engine does not know where its entries come from, and the market repeats exactly.
#[test]
fn the_same_seed_gives_the_same_history() {
    let (mut one, mut other) = (Host::founded(16), Host::founded(16));
    one.trade(60);
    other.trade(60);
    assert_eq!(one.primary.log().chain(), other.primary.log().chain());
    let mut different = Host::founded(17);
    different.trade(60);
    assert_ne!(one.primary.log().chain(), different.primary.log().chain());
}
