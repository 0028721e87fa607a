//! A standby beside a primary: agreement, disputes, and what bars it from promotion.

use evenkeel_journal::{Batch, JournalError, Reader};
use evenkeel_recovery::divergence::{Difference, Verdict, first_difference};
use evenkeel_recovery::link::{Beat, DIGEST_EVERY, DigestAt, Wrong};
use evenkeel_recovery::{Bar, Checkpoint, Lag, RecoveryError, Standby};
use evenkeel_types::codec::Canonical;
use evenkeel_types::{Command, Entry, Event, Outcome, OutcomeKind, Timestamp};
use evenkeel_venue::Engine;

use crate::support::Host;

/// A host that has traded, its batches, and its digests at the multiples.
struct Past {
    host: Host,
    batches: Vec<Batch>,
    digests: Vec<DigestAt>,
}

fn past(seed: u64, entries: u64) -> Past {
    let mut host = Host::founded(seed);
    host.primary.keep_outputs(true);
    host.trade(entries);
    let digests = host.primary.take_digests();
    let batches = reader(&host, 0).map(Result::unwrap).collect();
    Past { host, batches, digests }
}

fn reader(host: &Host, from: u64) -> Reader {
    Reader::external(host.disk.clone(), &host.dir, from).unwrap()
}

fn started() -> Standby {
    Standby::start(&Checkpoint::genesis()).unwrap().with_checkpoint_every(DIGEST_EVERY)
}

/// As memory that changed would: the label of one accepted order is another, from `from` on.
/// Returns the position concerned.
fn flip_label(batches: &mut [Batch], from: u64) -> u64 {
    let mut engine = Engine::new();
    for batch in batches {
        for record in &mut batch.records {
            let mut entry = Entry::from_bytes(&record.entry).unwrap();
            let mut events = Vec::new();
            engine.apply(&entry, &mut events);
            let is_order = matches!(
                events.last(),
                Some(Event::Completed { outcome: Outcome { kind: OutcomeKind::Order { .. }, .. } })
            );
            if let Command::Place { order } = &mut entry.command
                && is_order
                && record.position >= from
            {
                order.label ^= 4;
                record.entry = entry.to_bytes();
                return record.position;
            }
        }
    }
    panic!("no order is accepted behind {from}");
}

#[test]
fn a_standby_follows_and_agrees_at_every_multiple() {
    let Past { host, batches, digests } = past(70, 2_500);
    assert_eq!(digests.len() as u64, host.position() / DIGEST_EVERY);
    let mut standby = started();
    for batch in &batches {
        standby.apply(batch).unwrap();
    }
    assert_eq!(standby.take_digests(), digests);
    assert_eq!(standby.position(), host.position());
    assert_eq!(standby.chain(), host.primary.log().chain());
    assert_eq!(standby.engine().state_root(), host.primary.engine().state_root());
    assert_eq!(standby.agreed_next(), 0);
    for digest in &digests {
        assert_eq!(standby.hear_digest(*digest), None);
        assert_eq!(standby.agreed_next(), digest.position);
    }
    assert_eq!(standby.promotable(), Ok(()));
    assert!(standby.checkpoint().is_none(), "what lies behind the last multiple is not agreed");
    assert_eq!(standby.hear_digest(host.primary.digest()), None);
    let (checkpoint, promise) = standby.checkpoint().unwrap();
    assert_eq!((checkpoint, promise), host.checkpoint());
}

#[test]
fn what_comes_twice_is_applied_once_and_what_is_behind_a_gap_bars_promotion_until_it_is_filled() {
    let Past { batches, .. } = past(71, 40);
    let mut standby = started();
    standby.apply(&batches[0]).unwrap();
    assert_eq!(standby.apply(&batches[0]).unwrap(), 0);
    let refused = standby.apply(&batches[2]);
    assert!(matches!(refused, Err(RecoveryError::Behind { missing_from, missing_to })
        if missing_from == batches[1].first && missing_to == batches[2].first));
    assert_eq!(standby.position(), batches[1].first, "nothing of it was applied");
    assert!(matches!(standby.promotable(), Err(Bar::Gap { .. })));
    standby.apply(&batches[1]).unwrap();
    assert_eq!(standby.promotable(), Ok(()));
    standby.apply(&batches[2]).unwrap();
}

#[test]
fn frames_of_a_primary_that_was_replaced_are_refused() {
    let mut host = Host::founded(72);
    host.trade(20);
    let mut host = host.restart();
    host.trade(20);
    let batches: Vec<Batch> = reader(&host, 0).map(Result::unwrap).collect();
    let mut standby = started();
    for batch in &batches {
        standby.apply(batch).unwrap();
    }
    let mut stale = batches.last().unwrap().clone();
    (stale.first, stale.term) = (stale.next(), stale.term - 1);
    for (record, position) in stale.records.iter_mut().zip(stale.first..) {
        (record.position, record.term) = (position, stale.term);
    }
    let refused = standby.apply(&stale);
    let error = refused.expect_err("a lower term");
    assert!(matches!(error, RecoveryError::Journal(JournalError::StaleTerm { .. })), "{error}");
}

#[test]
fn a_standby_whose_memory_changed_names_the_first_field_that_differs_and_is_barred() {
    let Past { host, mut batches, digests } = past(73, 5_000);
    let flipped = flip_label(&mut batches, 3_300);
    let mut standby = started();
    let mut digests = digests.into_iter().peekable();
    for batch in &batches {
        standby.apply(batch).unwrap();
        while let Some(digest) = digests.next_if(|one| one.position <= standby.position()) {
            let diverged = standby.hear_digest(digest);
            assert_eq!(diverged.is_some(), digest.position > flipped, "at {}", digest.position);
        }
    }
    let divergence = standby.divergence().unwrap();
    assert_eq!(divergence.agreed, flipped / DIGEST_EVERY * DIGEST_EVERY);
    assert_eq!(divergence.position, divergence.agreed + DIGEST_EVERY);
    assert_eq!(standby.promotable(), Err(Bar::Undecided(divergence)));
    assert!(standby.arbitrates_from() > 0, "it keeps an agreed checkpoint");
    let mut source = reader(&host, standby.arbitrates_from());
    let verdict = standby.arbitrate(&mut source).unwrap().unwrap().clone();
    let Verdict::StandbyWrong { first: Some(first) } = &verdict else {
        panic!("{verdict}");
    };
    let Difference { position, event, kind, fields } = first;
    assert_eq!((*position, *event, kind.as_str()), (flipped, 0, "OrderAccepted"));
    assert_eq!(fields.len(), 1);
    assert_eq!(fields[0].field, "terms.label");
    assert_ne!(fields[0].said, fields[0].replayed);
    assert_eq!(standby.wrong(), Some(Wrong::Standby));
    let bar = standby.promotable().expect_err("barred").to_string();
    assert!(bar.contains("barred from promotion"), "{bar}");
    assert!(bar.contains(&format!("position {flipped}, event 0 (OrderAccepted)")), "{bar}");
    assert!(bar.contains("terms.label"), "{bar}");
    assert!(standby.checkpoint().is_none());
}

#[test]
fn a_primary_whose_memory_changed_is_found_wrong_and_its_outputs_since_the_agreement_are_listed() {
    let Past { mut host, batches, digests } = past(74, 3_000);
    let mut wrong = batches.clone();
    let flipped = flip_label(&mut wrong, 2_500);
    let mut strange = Engine::new();
    for record in wrong.iter().flat_map(|batch| &batch.records) {
        strange.apply(&Entry::from_bytes(&record.entry).unwrap(), &mut Vec::new());
    }
    let mut standby = started();
    for batch in &batches {
        standby.apply(batch).unwrap();
    }
    for digest in &digests {
        assert_eq!(standby.hear_digest(*digest), None);
    }
    let agreed = standby.agreed_next();
    host.primary.note_agreed(agreed);
    let position = host.position();
    let strange = DigestAt { position, digest: strange.output_digest() };
    assert!(standby.hear_digest(strange).is_some());
    let mut source = reader(&host, standby.arbitrates_from());
    let verdict = standby.arbitrate(&mut source).unwrap().unwrap().clone();
    assert_eq!(verdict, Verdict::PrimaryWrong);
    assert_eq!(standby.wrong(), Some(Wrong::Primary));
    assert_eq!(standby.promotable(), Ok(()), "the right one may go on");
    let said: Vec<u64> =
        host.primary.outputs().unwrap().iter().map(|output| output.position).collect();
    assert_eq!(said, (agreed..position).collect::<Vec<u64>>());
    // The primary's own words, against a replay of what a changed memory would have made of them.
    struct Replayed(std::vec::IntoIter<Batch>);
    impl evenkeel_recovery::divergence::BatchSource for Replayed {
        fn next_batch(&mut self) -> evenkeel_recovery::Result<Option<Batch>> {
            Ok(self.0.next())
        }
    }
    let genesis = Checkpoint::genesis().engine;
    let outputs = host.primary.outputs().unwrap();
    let found = first_difference(&genesis, outputs, &mut Replayed(wrong.into_iter())).unwrap();
    assert_eq!(found.unwrap().position, flipped);
    let same = first_difference(&genesis, outputs, &mut reader(&host, 0)).unwrap();
    assert_eq!(same, None);
}

#[test]
fn where_a_replay_gives_a_third_output_both_are_wrong() {
    let Past { host, mut batches, .. } = past(75, 1_200);
    flip_label(&mut batches, 400);
    let mut standby = started();
    for batch in &batches {
        standby.apply(batch).unwrap();
    }
    let strange = DigestAt { position: DIGEST_EVERY, digest: [9; 32] };
    assert!(standby.hear_digest(strange).is_some());
    let verdict = standby.arbitrate(&mut reader(&host, 0)).unwrap().unwrap().clone();
    assert!(matches!(verdict, Verdict::BothWrong { first: Some(_) }), "{verdict}");
    assert_eq!(standby.wrong(), Some(Wrong::Both));
    assert!(matches!(standby.promotable(), Err(Bar::Wrong { .. })));
}

#[test]
fn without_the_entries_nothing_is_decided_and_the_standby_stays_barred() {
    let Past { mut host, batches, .. } = past(76, 1_200);
    let mut standby = started();
    for batch in &batches {
        standby.apply(batch).unwrap();
    }
    assert!(standby.hear_digest(DigestAt { position: DIGEST_EVERY, digest: [9; 32] }).is_some());
    host.trade(3);
    let late = host.position() - 3;
    let error = standby.arbitrate(&mut reader(&host, late)).expect_err("entries are missing");
    assert!(matches!(error, RecoveryError::Behind { missing_from: 0, .. }), "{error}");
    assert!(matches!(standby.promotable(), Err(Bar::Undecided(_))));
}

#[test]
fn the_lag_is_counted_in_entries_and_in_the_primarys_time() {
    let Past { host, batches, .. } = past(77, 60);
    let mut standby = started();
    assert_eq!(standby.lag(), Lag::default(), "nothing was heard yet");
    let half = batches.len() / 2;
    for batch in &batches[..half] {
        standby.apply(batch).unwrap();
    }
    let time = Timestamp(host.time);
    standby.hear_beat(Beat { term: 1, durable_next: host.position(), time });
    let entries = host.position() - standby.position();
    assert_eq!(standby.lag(), Lag { entries, time_ns: host.time - standby.time().0 });
    for batch in &batches[half..] {
        standby.apply(batch).unwrap();
    }
    standby.hear_beat(Beat { term: 1, durable_next: host.position(), time: Timestamp(time.0 + 5) });
    assert_eq!(standby.lag(), Lag::default(), "a quiet primary makes no lag");
}

#[test]
fn damage_of_the_local_journal_bars_promotion_until_it_is_mended() {
    let mut standby = started();
    standby.note_damage(Some("segment 0 at byte 4096".to_owned()));
    let bar = standby.promotable().expect_err("damaged").to_string();
    assert!(bar.contains("segment 0 at byte 4096"), "{bar}");
    standby.note_damage(None);
    assert_eq!(standby.promotable(), Ok(()));
}
