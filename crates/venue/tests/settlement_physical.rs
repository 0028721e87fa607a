//! Physical delivery: coins change hands at the delivery price and leave as withdrawals.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC, COIN, DOLLAR, EXPIRY, FUTURE, LINEAR_CALL, LINEAR_FUTURE, LINEAR_PUT, MarginDesk, SECOND,
    USD, dollars, underlying, venue_terms,
};
use evenkeel_types::event::Booking;
use evenkeel_types::flows::FlowState;
use evenkeel_types::terms::Delivery;
use evenkeel_types::{AccountId, CurrencyId, Event, Timestamp};

const WINDOW: u64 = 1_800 * SECOND;

/// Physical delivery without fees.
fn desk() -> MarginDesk {
    let mut terms = underlying();
    terms.settlement.delivery = Delivery::Physical;
    terms.fees.option_delivery = 0;
    terms.fees.future_delivery = 0;
    let mut desk = MarginDesk::open_with(terms, venue_terms());
    desk.time = Timestamp(EXPIRY.0 - WINDOW - SECOND);
    desk.feed(60_000, 60);
    desk
}

fn expire_at(desk: &mut MarginDesk, price: i64) -> Vec<Event> {
    let mut events = Vec::new();
    while desk.time.0 < EXPIRY.0 + 5 * SECOND {
        desk.wait(4 * SECOND);
        events.extend(desk.index(dollars(price)));
    }
    for money in desk.engine.conservation() {
        assert_eq!(money.difference(), 0, "{money:?}");
    }
    assert!(desk.engine.running_sums_hold());
    events
}

/// What was booked to an account for a reason.
fn booked(events: &[Event], of: u64, in_currency: CurrencyId, why: Booking) -> i128 {
    let amounts = events.iter().filter_map(|event| match *event {
        Event::Booked { account, currency, amount, why: reason, .. }
            if account == AccountId(of) && currency == in_currency && reason == why =>
        {
            Some(amount.0)
        }
        _ => None,
    });
    amounts.sum()
}

fn withdrawals(events: &[Event]) -> Vec<(u64, i128, FlowState)> {
    let found = events.iter().filter_map(|event| match *event {
        Event::WithdrawalChanged { account, amount, state, currency: BTC, .. } => {
            Some((account.0, amount.0, state))
        }
        _ => None,
    });
    found.collect()
}

fn set_aside(desk: &MarginDesk) -> i128 {
    let all = desk.engine.conservation();
    all.iter().find(|it| it.currency == BTC).expect("coins").pools.withdrawals.0
}

#[test]
fn the_holder_of_a_call_pays_the_strike_and_gets_the_coin() {
    let mut desk = desk();
    desk.deposit(1, USD, 200_000 * DOLLAR);
    desk.deposit(2, BTC, 5 * COIN);
    // Two coins.
    desk.trade(1, 2, LINEAR_CALL, 2_000, 200);
    let (cash, coins) = (desk.money(1, USD).0, desk.money(2, BTC).0);
    let events = expire_at(&mut desk, 66_000);
    assert_eq!(desk.money(1, USD).0 - cash, -2 * 60_000 * DOLLAR);
    assert_eq!(withdrawals(&events), [(1, 2 * COIN, FlowState::Approved)]);
    assert_eq!((desk.money(1, BTC).0, set_aside(&desk)), (0, 2 * COIN));
    assert_eq!(desk.money(2, BTC).0, coins - 2 * COIN);
}

#[test]
fn the_holder_of_a_put_gives_the_coin_and_gets_the_strike() {
    let mut desk = desk();
    desk.deposit(1, BTC, COIN);
    desk.deposit(2, USD, 100_000 * DOLLAR);
    desk.trade(1, 2, LINEAR_PUT, 2_000, 100);
    let cash = desk.money(1, USD).0;
    let events = expire_at(&mut desk, 48_000);
    assert_eq!(desk.money(1, USD).0 - cash, 60_000 * DOLLAR);
    assert_eq!(desk.money(1, BTC).0, 0);
    assert_eq!(withdrawals(&events), [(2, COIN, FlowState::Approved)]);
}

#[test]
fn a_future_delivers_at_the_price_at_which_it_was_bought() {
    let mut desk = desk();
    desk.deposit(1, USD, 100_000 * DOLLAR);
    desk.deposit(2, BTC, COIN);
    desk.trade(1, 2, LINEAR_FUTURE, 120_000, 500);
    let cash = desk.money(1, USD).0;
    let events = expire_at(&mut desk, 63_000);
    assert_eq!(desk.money(1, USD).0 - cash, -30_000 * DOLLAR);
    assert_eq!(withdrawals(&events), [(1, COIN / 2, FlowState::Approved)]);
}

#[test]
fn what_a_deliverer_lacks_stays_settled_in_cash_and_receivers_share_the_rest() {
    let mut desk = desk();
    desk.deposit(1, USD, 500_000 * DOLLAR);
    desk.deposit(3, USD, 500_000 * DOLLAR);
    // Account 2 owes three coins and has one and a half.
    desk.deposit(2, BTC, 3 * COIN / 2);
    desk.trade(1, 2, LINEAR_CALL, 2_000, 200);
    desk.trade(3, 2, LINEAR_CALL, 2_000, 100);
    let cash = desk.money(1, USD).0;
    let events = expire_at(&mut desk, 66_000);
    assert_eq!(
        withdrawals(&events),
        [(1, COIN, FlowState::Approved), (3, COIN / 2, FlowState::Approved)]
    );
    // One coin at the strike, the other one's difference in cash.
    assert_eq!(desk.money(1, USD).0 - cash, (-60_000 + 6_000) * DOLLAR);
    assert_eq!(booked(&events, 2, BTC, Booking::Delivery), -3 * COIN / 2);
    assert_eq!(booked(&events, 2, USD, Booking::Delivery), 99_000 * DOLLAR);
    assert_eq!(desk.money(2, BTC).0, 0);
}

#[test]
fn a_receiver_without_the_cash_takes_what_it_pays_for() {
    let mut desk = desk();
    desk.deposit(2, BTC, 2 * COIN);
    // After its gain of 6,000 dollars account 3 has 33,000: half a coin at 66,000.
    desk.deposit(3, USD, 47_000 * DOLLAR);
    desk.trade(3, 2, LINEAR_CALL, 20_000, 100);
    assert_eq!(desk.money(3, USD).0, 27_000 * DOLLAR);
    let events = expire_at(&mut desk, 66_000);
    assert_eq!(withdrawals(&events), [(3, COIN / 2, FlowState::Approved)]);
    assert_eq!(desk.money(3, USD).0, 0);
}

#[test]
fn out_of_the_money_and_coin_settled_contracts_deliver_nothing() {
    let mut desk = desk();
    desk.deposit(1, USD, 200_000 * DOLLAR);
    desk.deposit(2, BTC, 5 * COIN);
    desk.trade(1, 2, LINEAR_CALL, 2_000, 200);
    desk.trade(1, 2, FUTURE, 120_000, 600);
    let events = expire_at(&mut desk, 59_000);
    assert_eq!(withdrawals(&events), []);
    assert_eq!(set_aside(&desk), 0);
    let is_delivery = |event: &Event| matches!(event, Event::Booked { why: Booking::Delivery, .. });
    assert!(!events.iter().any(is_delivery));
}
