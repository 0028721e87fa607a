//! Withdrawals on their way out are held when a term begins, until each was reconciled.

use std::sync::Arc;

use evenkeel_journal::{Base, FileLog, RealDisk};
use evenkeel_recovery::fence::WithdrawalId;
use evenkeel_recovery::{Agreement, Primary, SideEffects};
use evenkeel_types::flows::{DepositStep, FlowKey, FlowState, WithdrawalStep};
use evenkeel_types::merkle::Frontier;
use evenkeel_types::{AccountId, Command, Event, Money, Timestamp};

use crate::support::{IDENTITY, SMALL};
use crate::venue_desk::margin::{DOLLAR, MarginDesk, USD};

const OWNER: u64 = 3;
const SENT: WithdrawalStep = WithdrawalStep::Send { reference: [9; 32] };

fn id(number: u8) -> WithdrawalId {
    (AccountId(OWNER), FlowKey([number; 16]))
}

fn advance(number: u8, step: WithdrawalStep) -> Command {
    let (account, key) = id(number);
    Command::AdvanceWithdrawal { account, key, step }
}

/// Withdrawals 1 to 6: requested, approved, approved, sent, final, failed.
fn desk() -> MarginDesk {
    let mut desk = MarginDesk::open();
    let (account, key) = id(1);
    let seen = DepositStep::Seen { currency: USD, amount: Money(500 * DOLLAR) };
    for step in [seen, DepositStep::Final] {
        desk.accept(0, Command::ReportDeposit { account, key, step });
    }
    for number in 1..=6 {
        let (key, amount) = (id(number).1, Money(DOLLAR * i128::from(number)));
        let destination = [7; 32];
        let currency = USD;
        desk.accept(OWNER, Command::RequestWithdrawal { key, currency, amount, destination });
    }
    for number in 2..=6 {
        desk.accept(0, advance(number, WithdrawalStep::Approve));
    }
    for number in 4..=5 {
        desk.accept(0, advance(number, SENT));
    }
    desk.accept(0, advance(5, WithdrawalStep::Final));
    desk.accept(0, advance(6, WithdrawalStep::Fail { cause: 1 }));
    desk
}

fn held(effects: &SideEffects) -> Vec<(u8, FlowState)> {
    effects.held().map(|held| (held.key.0[0], held.state)).collect()
}

fn step(desk: &mut MarginDesk, effects: &mut SideEffects, number: u8, step: WithdrawalStep) {
    let command = advance(number, step);
    let events = desk.accept(0, command.clone());
    effects.observe(&command, &events);
}

const ALL: [(u8, FlowState); 3] =
    [(2, FlowState::Approved), (3, FlowState::Approved), (4, FlowState::Sent)];

#[test]
fn what_was_on_its_way_out_is_held_and_the_rest_is_not() {
    let desk = desk();
    let effects = SideEffects::hold_all(&desk.engine);
    assert_eq!(held(&effects), ALL);
    for number in 1..=7 {
        assert!(!effects.may_send(&desk.engine, id(number)), "withdrawal {number}");
    }
    let nothing_held = SideEffects::default();
    assert!(nothing_held.may_send(&desk.engine, id(2)), "but for the fence it would be sent");
}

#[test]
fn a_second_approval_releases_one_withdrawal_and_no_other() {
    let mut desk = desk();
    let mut effects = SideEffects::hold_all(&desk.engine);
    step(&mut desk, &mut effects, 3, WithdrawalStep::Approve);
    assert_eq!(held(&effects), [ALL[0], ALL[2]]);
    assert!(effects.may_send(&desk.engine, id(3)));
    assert!(!effects.may_send(&desk.engine, id(2)));
    step(&mut desk, &mut effects, 3, SENT);
    assert!(!effects.may_send(&desk.engine, id(3)), "once");
}

#[test]
fn what_the_operator_found_on_the_chain_settles_it() {
    let mut desk = desk();
    let mut effects = SideEffects::hold_all(&desk.engine);
    // It had been sent, and the journal did not say so.
    step(&mut desk, &mut effects, 2, SENT);
    assert_eq!(held(&effects), [ALL[1], ALL[2]]);
    // A second approval says nothing about one that was sent; its transaction does.
    step(&mut desk, &mut effects, 4, WithdrawalStep::Approve);
    assert_eq!(held(&effects), [ALL[1], ALL[2]]);
    step(&mut desk, &mut effects, 4, SENT);
    assert_eq!(held(&effects), [ALL[1]]);
    step(&mut desk, &mut effects, 3, WithdrawalStep::Fail { cause: 2 });
    assert_eq!(held(&effects), []);
    for number in 1..=6 {
        assert!(!effects.may_send(&desk.engine, id(number)));
    }
}

#[test]
fn what_is_approved_in_this_term_was_never_held() {
    let mut desk = desk();
    let mut effects = SideEffects::hold_all(&desk.engine);
    step(&mut desk, &mut effects, 1, WithdrawalStep::Approve);
    assert!(effects.may_send(&desk.engine, id(1)));
    assert_eq!(held(&effects), ALL);
}

#[test]
fn a_command_that_was_refused_or_repeated_releases_nothing() {
    let mut desk = desk();
    let mut effects = SideEffects::hold_all(&desk.engine);
    let other = WithdrawalStep::Send { reference: [1; 32] };
    let command = advance(4, other);
    let events = desk.send(0, command.clone());
    assert!(!matches!(events.last(), Some(Event::Repeated { .. })));
    effects.observe(&command, &events);
    assert_eq!(held(&effects), ALL, "another transaction is a conflict");
    let Some(Event::Completed { outcome }) = events.last() else { panic!("{events:?}") };
    effects
        .observe(&advance(2, WithdrawalStep::Approve), &[Event::Repeated { original: *outcome }]);
    assert_eq!(held(&effects), ALL, "an approval of an earlier term, sent again");
}

#[test]
fn every_term_begins_with_everything_held_that_is_still_on_its_way() {
    let desk = desk();
    let position = desk.engine.next_position().0;
    let mut frontier = Frontier::new();
    (0..position).for_each(|_| frontier.push([0; 32]));
    let base = Base { position, chain: [3; 32], frontier };
    let folder = tempfile::tempdir().unwrap();
    let (disk, dir) = (Arc::new(RealDisk), folder.path().join("journal"));
    let mut log = FileLog::create(disk.clone(), &dir, IDENTITY, base, SMALL).unwrap();
    log.confirm_end(&[]).unwrap();
    let now = Timestamp(desk.engine.time().0 + 1);
    let board = || Arc::new(Agreement::new());
    let mut primary = Primary::begin(log, desk.engine.clone(), board(), now).unwrap();
    assert_eq!(held(primary.side_effects()), ALL);
    primary.operate(now, advance(2, WithdrawalStep::Approve)).unwrap();
    assert_eq!(held(primary.side_effects()), [ALL[1], ALL[2]]);
    let engine = primary.engine().clone();
    drop(primary);
    let (mut log, _) = FileLog::open(disk, &dir, SMALL).unwrap();
    log.confirm_end(&[]).unwrap();
    let next = Primary::begin(log, engine, board(), now).unwrap();
    assert_eq!(held(next.side_effects()), ALL, "what the last operator found is not taken over");
    let lines: Vec<String> = next.side_effects().held().map(ToString::to_string).collect();
    assert!(lines[0].contains("it may have been sent"), "{lines:?}");
    assert!(lines[2].contains("do not send it again"), "{lines:?}");
}
