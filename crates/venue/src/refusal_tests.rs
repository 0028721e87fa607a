//! Snapshots of states that no engine can be in: each is refused, with the rule it breaks.

use crate::book::Book;
use crate::coverage_tests::{CASH, FUTURE, TRADER, venue};
use crate::engine::Engine;
use crate::sessions::{MAX_SESSIONS, Session, WINDOW};
use crate::snapshot::SnapshotError;
use crate::state::{Balance, MAX_MONEY, State};
use evenkeel_types::{
    ClientSequence, CurrencyId, InstrumentId, InstrumentKind, Lots, Money, OrderId, Outcome,
    OutcomeKind, Position, SessionId, Ticks,
};

#[track_caller]
fn refused(rule: &str, change: impl FnOnce(&mut State)) {
    let mut engine = venue();
    assert!(Engine::from_snapshot(&engine.snapshot()).is_ok());
    change(&mut engine.state);
    match Engine::from_snapshot(&engine.snapshot()) {
        Err(SnapshotError::Inconsistent { what, .. }) => assert_eq!(what, rule),
        Err(other) => panic!("{rule}: {other}"),
        Ok(_) => panic!("{rule}: accepted"),
    }
}

/// Refused by the encoding itself.
#[track_caller]
fn damaged(change: impl FnOnce(&mut State)) {
    let mut engine = venue();
    change(&mut engine.state);
    let error = Engine::from_snapshot(&engine.snapshot()).err();
    assert!(matches!(error, Some(SnapshotError::Damaged(_))), "{error:?}");
}

/// Moves the best bid to another price.
fn move_bid(state: &mut State, price: i64) {
    let Book { bids, .. } = &mut state.instruments[0].book;
    let slot = bids.best().expect("a bid").1.oldest;
    bids.unlink(&mut state.orders, slot);
    state.orders.at_mut(slot).price = Ticks(price);
    bids.push(&mut state.orders, slot);
}

fn best_bid(state: &State) -> u32 {
    let bids = &state.instruments[0].book.bids;
    bids.best().expect("a bid").1.oldest
}

fn session(state: &mut State) -> &mut Session {
    let sessions = &mut state.accounts[TRADER].sessions;
    sessions.by_id.values_mut().next().expect("a session")
}

#[test]
fn counters_out_of_range() {
    let rule = "a counter is out of range";
    refused(rule, |state| state.meta.next_position.0 = u64::MAX);
    refused(rule, |state| state.meta.next_order.0 = u64::MAX);
    refused(rule, |state| state.meta.next_trade.0 = 0);
    refused("a venue that was not founded holds something", |state| {
        state.meta.venue = None;
    });
}

#[test]
fn terms_and_marks_that_no_venue_accepts() {
    refused("a currency has too many decimals", |state| {
        state.currencies.get_mut(&CASH).expect("cash").terms.scale = 19;
    });
    refused("net deposits out of range", |state| {
        state.currencies.get_mut(&CASH).expect("cash").net_deposits = Money(MAX_MONEY + 1);
    });
    refused("an instrument has terms that no venue accepts", |state| {
        state.instruments[0].terms.settlement = CurrencyId(77);
    });
    refused("a mark is out of range", |state| {
        state.instruments[0].mark = Some(Ticks(0));
    });
    refused("an instrument is out of order", |state| {
        state.instruments[0].terms.id = InstrumentId(5);
    });
    refused("a position in what has none", |state| {
        state.instruments[0].terms.kind = InstrumentKind::Spot;
    });
}

#[test]
fn books_that_matching_cannot_leave() {
    refused("a book is crossed", |state| move_bid(state, 120));
    refused("an order's price or size is out of range", |state| {
        move_bid(state, (1 << 46) - 1);
        state.instruments[0].book.asks = Book::new().asks;
        let slot = best_bid(state);
        state.orders.at_mut(slot).open = Lots(i64::MAX);
    });
    refused("an order has a number of the future", |state| {
        let slot = best_bid(state);
        state.orders.at_mut(slot).id = OrderId(99);
    });
    refused("two orders have one number", |state| {
        let slot = best_bid(state);
        state.orders.at_mut(slot).id = OrderId(4);
    });
    refused("an order's account does not exist", |state| {
        let slot = best_bid(state);
        state.orders.at_mut(slot).account = 0;
    });
    damaged(|state| move_bid(state, -1));
}

#[test]
fn money_that_does_not_add_up() {
    let rule = "a reserve is not the sum of its orders'";
    refused(rule, |state| {
        state.accounts[TRADER].balances[0].reserved.0 += 1;
    });
    refused(rule, |state| {
        let slot = best_bid(state);
        state.orders.at_mut(slot).open.0 += 100;
    });
    refused(rule, |state| {
        state.accounts[TRADER].collateral = evenkeel_types::Collateral::Unlimited;
    });
    refused("money does not add up to the deposits", |state| {
        state.accounts[TRADER].balances[0].balance.0 += 1;
    });
    refused("a balance is out of range", |state| {
        state.accounts[TRADER].balances[0].balance = Money(-MAX_MONEY - 1);
    });
    refused("a balance is in an unknown currency", |state| {
        state.accounts[TRADER]
            .balances
            .push(Balance { balance: Money(1), ..Balance::new(CurrencyId(99)) });
    });
    refused("longs and shorts do not cancel out", |state| {
        state.accounts[TRADER].holdings[0].lots.0 += 1;
    });
    refused("a position is out of range", |state| {
        state.accounts[TRADER].holdings[0].lots = Lots(i64::MIN);
    });
    refused("an empty position has a basis", |state| {
        state.accounts[TRADER].holdings[0].lots = Lots(0);
    });
    refused("a position could grow too large", |state| {
        for (account, sign) in [(TRADER, 1), (2, -1)] {
            state.accounts[account].holdings[0].lots = Lots(sign << 52);
        }
    });
}

#[test]
fn sessions_that_nobody_can_have_opened() {
    refused("an outcome lies in the future", |state| {
        session(state).window[0].1.position = Position(1_000);
    });
    refused("an outcome names an order of the future", |state| {
        session(state).window[0].1.kind = OutcomeKind::Order { order: OrderId(9) };
    });
    refused("a session's window is out of order", |state| {
        session(state).lowest = ClientSequence(1_000);
    });
    refused("a session's window is too long", |state| {
        let kind = OutcomeKind::Done;
        let position = Position(1);
        let outcome = Outcome { position, kind };
        let entries = (0..=WINDOW as u64).map(|n| (ClientSequence(n), outcome));
        session(state).window = entries.collect();
    });
    refused("too many sessions", |state| {
        let sessions = &mut state.accounts[TRADER].sessions.by_id;
        let ids = (0..=MAX_SESSIONS as u64).map(SessionId);
        sessions.extend(ids.map(|id| (id, Session::default())));
    });
}

#[test]
fn a_salt_that_is_not_the_committed_one() {
    let mut snapshot = venue().snapshot();
    snapshot[5] ^= 1;
    let error = Engine::from_snapshot(&snapshot).err();
    let what = "the salt is not the committed one";
    let found = matches!(error, Some(SnapshotError::Inconsistent { what: w, .. }) if w == what);
    assert!(found, "{error:?}");
}

#[test]
fn a_refusal_tells_what_to_do() {
    let mut engine = venue();
    engine.state.accounts[TRADER].balances[0].balance.0 += 1;
    let error = Engine::from_snapshot(&engine.snapshot()).expect_err("refused");
    assert!(error.to_string().contains("restore an earlier recovery point"), "{error}");
    assert_eq!(engine.instrument(FUTURE).map(|terms| terms.id), Some(FUTURE));
}
