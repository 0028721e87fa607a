//! Primary and follower: agreement, divergence, checkpoints.

use std::sync::Arc;

use evenkeel_recovery::agreement::Party;
use evenkeel_recovery::{Agreement, Checkpoint, RecoveryError};
use evenkeel_types::Timestamp;

use crate::support::Host;

#[test]
fn the_follower_comes_to_the_same_state_and_gives_its_checkpoint() {
    let mut host = Host::founded(20);
    let mut follower = host.follower(&Checkpoint::genesis());
    host.trade(100);
    assert_eq!(follower.step(3).unwrap(), {
        let frames = host.history().frames;
        frames[..3].iter().map(|frame| frame.entries.len() as u64).sum::<u64>()
    });
    while follower.step(8).unwrap() > 0 {}
    assert_eq!(follower.position(), host.position());
    assert_eq!(follower.engine().state_root(), host.primary.engine().state_root());
    let (checkpoint, promise) = follower.checkpoint().unwrap();
    assert_eq!(checkpoint.position(), host.position());
    assert_eq!(promise.state_root, host.primary.engine().state_root());
    assert_eq!(promise.output_digest, host.primary.engine().output_digest());
    assert_eq!(promise.chain, host.primary.log().chain());
    assert_eq!(promise.journal_root, follower.journal_root());
    assert_eq!(host.agreement.agreed(), host.position());
    assert_eq!(follower.time(), Timestamp(host.time));
}

#[test]
fn a_follower_that_starts_at_a_checkpoint_is_no_other() {
    let mut host = Host::founded(21);
    host.trade(50);
    let (checkpoint, _) = host.checkpoint();
    let mut late = host.follower(&checkpoint);
    host.trade(50);
    while late.step(8).unwrap() > 0 {}
    assert_eq!(late.checkpoint().unwrap(), host.checkpoint());
}

#[test]
fn where_the_primary_has_not_confirmed_there_is_no_checkpoint() {
    let mut host = Host::founded(22);
    host.trade(10);
    let (checkpoint, _) = host.checkpoint();
    // A board on which the primary says nothing.
    host.agreement = Arc::new(Agreement::new());
    let mut follower = host.follower(&checkpoint);
    assert!(follower.checkpoint().is_none());
    assert!(follower.awaits_primary());
    host.trade(30);
    while follower.step(8).unwrap() > 0 {}
    assert!(follower.checkpoint().is_none());
    // The primary's word arrives late.
    let (position, digest) = {
        let engine = host.primary.engine();
        (engine.next_position().0, engine.output_digest())
    };
    host.agreement.publish(Party::Primary, position, digest).unwrap();
    assert!(follower.checkpoint().is_some());
    assert!(!follower.awaits_primary());
}

#[test]
fn a_follower_behind_the_primarys_beginning_has_to_go_on_before_it_can_be_asked() {
    let mut host = Host::founded(23);
    host.trade(60);
    let host = host.restart();
    let mut follower = host.follower(&Checkpoint::genesis());
    follower.step(4).unwrap();
    assert!(follower.checkpoint().is_none());
    assert!(!follower.awaits_primary(), "no digest of this place will ever come");
    while !follower.awaits_primary() && follower.checkpoint().is_none() {
        assert!(follower.step(1).unwrap() > 0);
    }
    assert_eq!(follower.position(), host.position());
    assert!(follower.checkpoint().is_some());
}

/// A checkpoint of this host's journal with another venue's engine in it.
fn with_another_engine(host: &Host, seed: u64) -> Checkpoint {
    let mut other = Host::founded(seed);
    other.trade(host.position() - other.position());
    let (checkpoint, _) = host.checkpoint();
    let engine = other.checkpoint().0.engine;
    assert_ne!(engine, checkpoint.engine);
    Checkpoint { engine, ..checkpoint }
}

#[test]
fn a_divergence_ends_checkpoints_at_the_agreed_position_and_ends_the_primary_too() {
    let mut host = Host::founded(24);
    let mut honest = host.follower(&Checkpoint::genesis());
    host.trade(40);
    while honest.step(8).unwrap() > 0 {}
    let agreed = host.position();
    let mut wrong = host.follower(&with_another_engine(&host, 99));
    host.trade(1);
    let error = wrong.step(1).unwrap_err();
    let RecoveryError::Divergence(divergence) = error else {
        panic!("{error}");
    };
    assert_eq!((divergence.agreed, divergence.position), (agreed, agreed + 1));
    assert!(wrong.checkpoint().is_none());
    assert!(!wrong.awaits_primary());
    assert_eq!(host.agreement.divergence(), Some(divergence));
    // The primary learns it with its next batch: what it journals is durable, but unanswered.
    let requests = vec![host.market.next_request()];
    let error = host.primary.commit(Timestamp(host.time), requests).unwrap_err();
    assert!(matches!(error, RecoveryError::Divergence(same) if same == divergence));
    assert_eq!(host.history().end(), agreed + 2);
    // The follower that agreed gives what was agreed, and nothing beyond it.
    assert_eq!(honest.checkpoint().unwrap().0.position(), agreed);
    assert!(honest.step(1).is_err());
    assert!(honest.checkpoint().is_none());
    assert_eq!(host.agreement.agreed(), agreed);
}

#[test]
fn whoever_comes_second_finds_the_divergence() {
    let mut host = Host::founded(25);
    host.trade(10);
    let wrong = with_another_engine(&host, 98);
    let mut follower = host.follower(&wrong);
    // The follower's word stands there first, as when the primary is slow to publish.
    let position = host.position() + 1;
    host.agreement.publish(Party::Follower, position, [9; 32]).unwrap();
    let requests = vec![host.market.next_request()];
    let error = host.primary.commit(Timestamp(host.time), requests).unwrap_err();
    assert!(matches!(error, RecoveryError::Divergence(one) if one.position == position));
    assert!(follower.step(1).is_err());
}

#[test]
fn a_checkpoint_that_is_not_of_this_journal_is_refused_at_the_start() {
    let mut host = Host::founded(26);
    host.trade(10);
    let mut longer = Host::founded(26);
    longer.trade(50);
    let (checkpoint, _) = longer.checkpoint();
    let started = evenkeel_recovery::Follower::start(
        &checkpoint,
        Arc::clone(&host.disk),
        &host.dir,
        host.primary.log().watermark(),
        Arc::clone(&host.agreement),
    );
    assert!(started.is_err(), "the journal does not reach that far");
    let mut mixed = host.checkpoint().0;
    mixed.engine = checkpoint.engine;
    let started = evenkeel_recovery::Follower::start(
        &mixed,
        Arc::clone(&host.disk),
        &host.dir,
        host.primary.log().watermark(),
        Arc::clone(&host.agreement),
    );
    assert!(started.is_err(), "engine and journal are of different places");
}
