//! Exactly once: retries, late and old sequences, and sessions that come and go.

mod common;

use common::{Desk, LINEAR_FUTURE, limit, origin, outcome};
use evenkeel_types::{
    CloseReason, Command, Event, MassCancelScope, Origin, OutcomeKind, Position, RejectCode,
    SessionId, Side,
};
use evenkeel_venue::{Engine, MAX_SESSIONS, WINDOW};

fn order() -> Command {
    limit(LINEAR_FUTURE, Side::Buy, 100, 1)
}

/// The closing event of an order sent under this origin.
fn send(desk: &mut Desk, origin: Origin) -> Event {
    let events = desk.send_as(origin, order());
    events.last().expect("an outcome").clone()
}

fn is_applied(event: &Event) -> bool {
    let Event::Completed { outcome } = event else {
        return false;
    };
    matches!(outcome.kind, OutcomeKind::Order { .. })
}

fn is_too_old(event: &Event) -> bool {
    matches!(event, Event::TooOld { .. })
}

#[test]
fn a_retry_gets_the_original_outcome_and_changes_nothing() {
    let mut desk = Desk::open();
    let first = outcome(&desk.send_as(origin(1, 5, 1), order()));
    let root_before = desk.engine.open_order_count();
    let retry = desk.send_as(origin(1, 5, 1), order());
    assert_eq!(retry, [Event::Repeated { original: first }]);
    assert_eq!(desk.engine.open_order_count(), root_before);
    assert_eq!(desk.engine.outcome_of(origin(1, 5, 1)), Some(first));
}

#[test]
fn a_refusal_is_remembered_too() {
    let mut desk = Desk::open();
    let mode = |mode| Command::SetMode { mode, cause: 0 };
    desk.operator(mode(evenkeel_types::Mode::Halted));
    let refused = send(&mut desk, origin(1, 5, 1));
    desk.operator(mode(evenkeel_types::Mode::Normal));
    let retried = send(&mut desk, origin(1, 5, 1));
    let (Event::Completed { outcome }, Event::Repeated { original }) = (refused, retried) else {
        panic!("refused, then repeated");
    };
    assert_eq!(outcome, original);
    assert_eq!(desk.engine.open_order_count(), 0);
}

#[test]
fn a_retry_may_carry_another_command_and_still_changes_nothing() {
    let mut desk = Desk::open();
    send(&mut desk, origin(1, 5, 1));
    let scope = MassCancelScope::All;
    let account = None;
    desk.send_as(origin(1, 5, 1), Command::MassCancel { account, scope });
    assert_eq!(desk.engine.open_order_count(), 1);
}

#[test]
fn the_window_holds_the_last_64_and_below_it_is_too_old() {
    let mut desk = Desk::open();
    for sequence in 1..=WINDOW as u64 + 1 {
        assert!(is_applied(&send(&mut desk, origin(1, 5, sequence * 10))));
    }
    let lowest = evenkeel_types::ClientSequence(11);
    assert_eq!(send(&mut desk, origin(1, 5, 10)), Event::TooOld { lowest });
    assert_eq!(send(&mut desk, origin(1, 5, 3)), Event::TooOld { lowest });
    assert!(matches!(send(&mut desk, origin(1, 5, 20)), Event::Repeated { .. }));
    assert_eq!(desk.engine.open_order_count(), WINDOW + 1);
}

#[test]
fn a_skipped_sequence_that_arrives_late_is_applied_once() {
    let mut desk = Desk::open();
    for sequence in [10, 30, 20] {
        assert!(is_applied(&send(&mut desk, origin(1, 5, sequence))));
    }
    assert!(matches!(send(&mut desk, origin(1, 5, 20)), Event::Repeated { .. }));
}

#[test]
fn no_sequence_of_any_order_of_arrival_is_ever_applied_twice() {
    let mut random = common::history::Random(9);
    let mut desk = Desk::open();
    let mut applied = std::collections::BTreeSet::new();
    for step in 0..20_000u64 {
        let sequence = (step / 20 + random.below(150)).saturating_sub(75);
        let session = random.below(3);
        if is_applied(&send(&mut desk, origin(1, session, sequence))) {
            assert!(applied.insert((session, sequence)), "{sequence} was applied twice");
        }
    }
    assert!(applied.len() > 1_000);
}

#[test]
fn the_largest_sequence_is_a_sequence_like_any_other() {
    let mut desk = Desk::open();
    assert!(is_applied(&send(&mut desk, origin(1, u64::MAX, u64::MAX))));
    for sequence in 0..200 {
        send(&mut desk, origin(1, u64::MAX, sequence));
    }
    let retry = send(&mut desk, origin(1, u64::MAX, u64::MAX));
    assert!(matches!(retry, Event::Repeated { .. }));
}

#[test]
fn one_session_too_many_drops_the_lowest_and_its_commands_stay_refused() {
    let mut desk = Desk::open();
    let sessions = MAX_SESSIONS as u64;
    for session in 1..=sessions {
        assert!(is_applied(&send(&mut desk, origin(2, session + 10, 1))));
    }
    assert!(is_applied(&send(&mut desk, origin(2, sessions + 11, 1))));
    // Session 11 is gone: neither its old command nor a new one is taken.
    assert!(is_too_old(&send(&mut desk, origin(2, 11, 1))));
    assert!(is_too_old(&send(&mut desk, origin(2, 11, 2))));
    // Never seen, but below the floor: nobody can know.
    assert!(is_too_old(&send(&mut desk, origin(2, 4, 1))));
    // Its neighbour is still there.
    assert!(matches!(send(&mut desk, origin(2, 12, 1)), Event::Repeated { .. }));
    let count = desk.engine.sessions().filter(|s| s.account.0 == 2).count();
    assert_eq!(count, MAX_SESSIONS);
}

#[test]
fn connected_sessions_are_never_dropped() {
    let mut desk = Desk::open();
    let connect = Command::Connect { cancel_on_disconnect: true };
    for session in 0..MAX_SESSIONS as u64 {
        desk.send_as(origin(2, 100 + session, 1), connect.clone());
    }
    let refused = desk.send_as(origin(2, 5_000, 1), order());
    let kind = outcome(&refused).kind;
    let code = RejectCode::LimitReached;
    assert_eq!(kind, OutcomeKind::Rejected { code });
    // One that disconnects makes room; those below it stay.
    desk.send_as(origin(2, 150, 2), Command::Disconnect);
    assert!(is_applied(&send(&mut desk, origin(2, 5_000, 1))));
    assert!(is_too_old(&send(&mut desk, origin(2, 150, 3))));
    assert!(is_applied(&send(&mut desk, origin(2, 149, 2))));
    // Room below the dropped one does not bring it back.
    desk.send_as(origin(2, 149, 3), Command::Disconnect);
    assert!(is_too_old(&send(&mut desk, origin(2, 150, 1))));
    assert!(matches!(send(&mut desk, origin(2, 149, 2)), Event::Repeated { .. }));
}

#[test]
fn a_disconnect_cancels_the_sessions_orders_if_it_was_asked_to() {
    for (asked, left) in [(true, vec![2]), (false, vec![1, 2, 3])] {
        let mut desk = Desk::open();
        let connect = Command::Connect { cancel_on_disconnect: asked };
        desk.send_as(origin(1, 5, 1), connect);
        send(&mut desk, origin(1, 5, 2));
        send(&mut desk, origin(1, 6, 1));
        send(&mut desk, origin(1, 5, 3));
        let events = desk.send_as(origin(1, 5, 4), Command::Disconnect);
        let closed = events.iter().filter(|event| {
            let reason = CloseReason::Disconnected;
            matches!(event, Event::OrderClosed { reason: found, .. } if *found == reason)
        });
        assert_eq!(closed.count(), 3 - left.len());
        let book = desk.engine.book(LINEAR_FUTURE).expect("a book");
        let orders: Vec<u64> = book.orders(Side::Buy).map(|order| order.order.0).collect();
        assert_eq!(orders, left);
        let session = desk.engine.sessions().find(|s| s.session == SessionId(5));
        assert_eq!(session.map(|s| s.connected), Some(false));
    }
}

#[test]
fn a_client_that_is_gone_loses_its_orders_even_while_the_venue_is_halted() {
    let mut desk = Desk::open();
    let connect = Command::Connect { cancel_on_disconnect: true };
    desk.send_as(origin(1, 5, 1), connect);
    send(&mut desk, origin(1, 5, 2));
    let mode = evenkeel_types::Mode::Halted;
    desk.operator(Command::SetMode { mode, cause: 1 });
    desk.send_as(origin(1, 5, 3), Command::Disconnect);
    assert_eq!(desk.engine.open_order_count(), 0);
}

#[test]
fn a_stranger_is_refused_and_leaves_no_trace() {
    let mut desk = Desk::open();
    let refused = desk.send_as(origin(99, 1, 1), order());
    let code = RejectCode::UnknownAccount;
    assert_eq!(outcome(&refused).kind, OutcomeKind::Rejected { code });
    assert!(desk.engine.sessions().all(|session| session.account.0 != 99));
    let retry = desk.send_as(origin(99, 1, 1), order());
    assert!(matches!(retry[..], [Event::Completed { .. }]));
}

#[test]
fn before_the_founding_entry_nothing_else_is_taken_or_remembered() {
    let mut desk = Desk::blank();
    let code = |events: &[Event]| outcome(events).kind;
    let refused = |code| OutcomeKind::Rejected { code };
    let resume = Command::Resume { term: evenkeel_types::Term(1) };
    let events = desk.send_as(origin(0, 1, 1), resume.clone());
    assert_eq!(code(&events), refused(RejectCode::NotFounded));
    let found = common::opening()[0].clone();
    let events = desk.send_as(origin(1, 1, 1), found.clone());
    assert_eq!(code(&events), refused(RejectCode::NotOperator));
    assert_eq!(desk.engine.sessions().count(), 0);
    // The refused sequence is still free.
    let events = desk.send_as(origin(0, 1, 1), found.clone());
    assert_eq!(code(&events), OutcomeKind::Done);
    let events = desk.send_as(origin(0, 1, 2), found);
    assert_eq!(code(&events), refused(RejectCode::AlreadyFounded));
    assert_eq!(desk.engine.next_position(), Position(4));
    assert_eq!(desk.engine.venue_id(), Some(common::VENUE));
    assert_eq!(Engine::new().venue_id(), None);
}
