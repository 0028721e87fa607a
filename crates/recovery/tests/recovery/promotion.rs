//! From standby to primary, over real journals: nothing acknowledged is lost, and nobody is
//! promoted who must not be.

use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_journal::fault_disk::{Fault, FaultDisk, Survival};
use evenkeel_journal::{Durability, JournalError, Log, Options, Reader};
use evenkeel_recovery::link::{Beat, DigestAt, HandOver, Held};
use evenkeel_recovery::{
    Ack, Agreement, Authority, Bar, Checkpoint, FolderAuthority, NotPromoted, Promoted,
    RecoveryError, Request, Standby, take_over,
};
use evenkeel_types::merkle::leaf_hash;
use evenkeel_types::{Position, Timestamp};
use proptest::prelude::*;

use crate::support::{History, Host, IDENTITY, SMALL};

const SYNCED: Options = Options { durability: Durability::Fdatasync, ..SMALL };

fn on_fault_disk(seed: u64) -> (FaultDisk, Host) {
    let fault = FaultDisk::new();
    let host = Host::on(Arc::new(fault.clone()), PathBuf::from("/journal"), None, seed, SYNCED);
    (fault, host)
}

fn authority(host: &Host) -> FolderAuthority {
    FolderAuthority {
        disk: Arc::clone(&host.disk),
        dir: host.dir.clone(),
        options: SYNCED,
        confirmations: Vec::new(),
    }
}

/// A standby that has applied the first `batches` of the host's journal.
fn standby(host: &Host, batches: usize) -> Standby {
    let mut standby = Standby::start(&Checkpoint::genesis()).unwrap();
    let reader = Reader::external(Arc::clone(&host.disk), &host.dir, 0).unwrap();
    for batch in reader.take(batches) {
        standby.apply(&batch.unwrap()).unwrap();
    }
    standby
}

fn promote(
    host: &Host,
    standby: Standby,
    authority: &mut dyn Authority,
) -> Result<Promoted, NotPromoted> {
    let agreement = Arc::new(Agreement::new());
    let later = |time: Timestamp| Timestamp(time.0 + 1);
    take_over(standby, host.primary.log().term(), authority, &host.disk, agreement, later)
}

#[test]
fn a_standby_takes_over_from_a_dead_primary_and_goes_on_where_it_ended() {
    let (fault, mut host) = on_fault_disk(80);
    host.found();
    host.trade(60);
    let (end, root) = (host.position(), host.primary.engine().state_root());
    let term = host.primary.log().term();
    let standby = standby(&host, 6);
    let applied = end - standby.position();
    assert!(applied > 10);
    host.disk = Arc::new(fault.fork());
    let mut promoted = promote(&host, standby, &mut authority(&host)).unwrap();
    assert_eq!((promoted.applied, promoted.position), (applied, end));
    assert_eq!(promoted.term, term + 1);
    let history = History::read(&host.disk, &host.dir);
    assert_eq!(history.state_roots[usize::try_from(end).unwrap()], root);
    let last = history.frames.last().unwrap();
    assert_eq!((last.term, last.first), (term + 1, end), "its Resume");
    let now = Timestamp(host.time + 10);
    let answers = promoted.primary.commit(now, vec![host.market.next_request()]).unwrap();
    assert_eq!(answers[0].as_ref().unwrap().position, Position(end + 1));
}

#[test]
fn while_the_primary_holds_the_lock_the_standby_goes_on_following() {
    let (_, mut host) = on_fault_disk(81);
    host.found();
    host.trade(10);
    let waiting = standby(&host, 4);
    let position = waiting.position();
    let refused = promote(&host, waiting, &mut authority(&host)).unwrap_err();
    let error = refused.to_string();
    assert!(
        matches!(refused.error, RecoveryError::Journal(JournalError::Locked { .. })),
        "{error}"
    );
    let standby = refused.standby.expect("it is given back");
    assert_eq!(standby.position(), position);
    assert_eq!(standby.promotable(), Ok(()));
    host.trade(5);
}

#[test]
fn a_barred_standby_does_not_even_ask_for_the_authority() {
    struct Nobody;
    impl Authority for Nobody {
        fn acquire(&mut self, _: u64, _: Held) -> evenkeel_recovery::Result<Box<dyn Log>> {
            panic!("it was asked");
        }
    }
    let (_, mut host) = on_fault_disk(82);
    host.found();
    host.trade(10);
    let mut barred = standby(&host, 100);
    let position = barred.position();
    assert!(barred.hear_digest(DigestAt { position, digest: [1; 32] }).is_some());
    let refused = promote(&host, barred, &mut Nobody).unwrap_err();
    assert!(matches!(&refused.error, RecoveryError::Barred(bar)
        if matches!(**bar, Bar::Undecided(_))));
    let mut damaged = standby(&host, 100);
    damaged.note_damage(Some("a bad sector".to_owned()));
    let refused = promote(&host, damaged, &mut Nobody).unwrap_err();
    assert!(refused.to_string().contains("a bad sector"), "{refused}");
}

#[test]
fn where_entries_known_to_be_durable_are_missing_nobody_is_promoted() {
    let (fault, mut host) = on_fault_disk(83);
    host.found();
    host.trade(30);
    let mut standby = standby(&host, 100);
    let end = host.position();
    let beat = Beat { term: 1, durable_next: end + 2, time: Timestamp(host.time) };
    standby.hear_beat(beat);
    host.disk = Arc::new(fault.fork());
    let refused = promote(&host, standby, &mut authority(&host)).unwrap_err();
    let RecoveryError::Barred(bar) = &refused.error else { panic!("{refused}") };
    assert_eq!(**bar, Bar::Gap { missing_from: end, missing_to: end + 2 });
    let standby = *refused.standby.expect("it is given back");
    // The authority was given back as well; what was missing turns out to be a slip of the beat.
    let mut standby = standby;
    standby.hear_beat(Beat { durable_next: end, ..beat });
    assert_eq!(promote(&host, standby, &mut authority(&host)).unwrap().position, end);
}

#[test]
fn a_standby_of_another_history_is_refused() {
    let (fault, mut host) = on_fault_disk(84);
    host.found();
    let (_, mut other) = on_fault_disk(85);
    other.found();
    let count = host.history().frames.len();
    let stranger = standby(&other, count);
    assert_eq!(stranger.position(), host.position(), "only the content differs");
    host.trade(10);
    host.disk = Arc::new(fault.fork());
    let refused = promote(&host, stranger, &mut authority(&host)).unwrap_err();
    let is_forked = matches!(refused.error, RecoveryError::Journal(JournalError::Forked { .. }));
    assert!(is_forked, "{refused}");
    assert_eq!(History::read(&host.disk, &host.dir).end(), host.position(), "nothing was written");
}

#[test]
fn a_journal_that_lost_what_the_standby_holds_is_not_written_to() {
    let (fault, mut host) = on_fault_disk(86);
    host.found();
    host.trade(20);
    let short = fault.fork();
    host.trade(20);
    let standby = standby(&host, 100);
    host.disk = Arc::new(short);
    let refused = promote(&host, standby, &mut authority(&host)).unwrap_err();
    let error = &refused.error;
    let has_vanished = matches!(error, RecoveryError::Journal(JournalError::TailVanished { .. }));
    assert!(has_vanished, "{error}");
}

#[test]
fn damage_behind_the_standbys_position_is_found_and_bars_it() {
    let (fault, mut host) = on_fault_disk(87);
    host.found();
    host.trade(900);
    let standby = standby(&host, 9);
    let fork = fault.fork();
    let mut segments: Vec<PathBuf> = fork.paths();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    segments.retain(|path| !path.ends_with("reserve.seg"));
    segments.sort();
    assert!(segments.len() > 2, "{segments:?}");
    // The first segment is not read when the log is opened.
    fork.flip_bit(&segments[0], 8 * 20_000);
    host.disk = Arc::new(fork);
    let refused = promote(&host, standby, &mut authority(&host)).unwrap_err();
    let RecoveryError::Journal(error) = &refused.error else { panic!("{refused}") };
    assert!(error.is_corruption(), "{error}");
    let standby = refused.standby.expect("it is given back");
    assert!(matches!(standby.promotable(), Err(Bar::Damaged(_))));
}

#[test]
fn a_planned_end_hands_over_without_a_gap() {
    let (_, mut host) = on_fault_disk(88);
    host.found();
    host.trade(40);
    let standby = standby(&host, 100);
    let (end, chain, term) =
        (host.position(), host.primary.log().chain(), host.primary.log().term());
    let mut authority = authority(&host);
    let disk = Arc::clone(&host.disk);
    let over = host.primary.hand_over().unwrap();
    assert_eq!(over, HandOver { position: end, chain, term });
    assert_eq!((standby.position(), standby.chain()), (over.position, over.chain));
    let agreement = Arc::new(Agreement::new());
    let promoted =
        take_over(standby, over.term, &mut authority, &disk, agreement, |time| time).unwrap();
    assert_eq!((promoted.applied, promoted.position, promoted.term), (0, end, term + 1));
}

/// What clients were told.
fn commit(host: &mut Host, size: usize) -> Option<Vec<Ack>> {
    let requests: Vec<Request> = (0..size).map(|_| host.market.next_request()).collect();
    host.time += 1;
    let answers = host.primary.commit(Timestamp(host.time), requests).ok()?;
    let acks: Vec<Ack> = answers.into_iter().map(Result::unwrap).collect();
    acks.iter().for_each(|ack| host.market.observe(&ack.events));
    Some(acks)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The primary's process, or its machine, goes at any write or sync; the standby has come as
    /// far as it may have come.
    #[test]
    fn whenever_the_primary_dies_every_acknowledged_entry_is_with_its_successor(
        seed in 0..1_000u64,
        dies_after in 2..120u64,
        sizes in prop::collection::vec(1..6usize, 60),
        lag in 0..8usize,
        survival in prop_oneof![
            Just(None),
            Just(Some(Survival::Nothing)),
            any::<u64>().prop_map(|seed| Some(Survival::Random { seed })),
        ],
    ) {
        let (fault, mut host) = on_fault_disk(seed);
        host.found();
        let mut batches: Vec<_> =
            Reader::external(Arc::clone(&host.disk), &host.dir, 0).unwrap().map(Result::unwrap)
                .collect();
        let watermark = host.primary.log().watermark();
        let mut reader =
            Reader::follow(Arc::clone(&host.disk), &host.dir, host.position(), watermark).unwrap();
        fault.fail_at(fault.operations() + dies_after, Fault::PowerLoss);
        let mut acked = Vec::new();
        for size in sizes {
            let Some(acks) = commit(&mut host, size) else { break };
            acked.extend(acks);
            while let Some(batch) = reader.next_batch().unwrap() {
                batches.push(batch);
            }
        }
        let mut standby = Standby::start(&Checkpoint::genesis()).unwrap();
        for batch in &batches[..batches.len().saturating_sub(lag)] {
            standby.apply(batch).unwrap();
        }
        // A killed process leaves what it wrote; a machine may lose what it did not sync.
        let left = fault.fork();
        if let Some(survival) = survival {
            left.power_cycle(survival);
        }
        host.disk = Arc::new(left);
        let promoted = promote(&host, standby, &mut authority(&host)).unwrap();
        let history = History::read(&host.disk, &host.dir);
        for ack in &acked {
            let at = usize::try_from(ack.position.0).unwrap();
            let entry = evenkeel_types::Canonical::to_bytes(&history.entries[at]);
            prop_assert_eq!(leaf_hash(&entry), ack.entry_hash, "position {}", at);
        }
        let end = history.end();
        prop_assert_eq!(end, promoted.position + 1, "and its Resume");
        let expected = history.state_roots.last().unwrap();
        prop_assert_eq!(&promoted.primary.engine().state_root(), expected);
        prop_assert_eq!(promoted.primary.log().identity(), IDENTITY);
    }
}
