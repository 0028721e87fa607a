//! Funding of perpetuals: rate, payments, gaps, exactly once.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC, DOLLAR, LINEAR_PERPETUAL, MarginDesk, PERPETUAL, SECOND, USD, dollars, underlying,
    venue_terms,
};
use evenkeel_types::event::Booking;
use evenkeel_types::{AccountId, Event, InstrumentId, Side, Term, Timestamp};

const INTERVAL: u64 = 8 * 3_600 * SECOND;
const MINUTE: u64 = 60 * SECOND;

/// Whole multiples of eight hours since 1970.
fn next_end(time: Timestamp) -> Timestamp {
    Timestamp((time.0 / INTERVAL + 1) * INTERVAL)
}

fn rates(events: &[Event], of: InstrumentId) -> Vec<(i64, Timestamp)> {
    let found = events.iter().filter_map(|event| match *event {
        Event::FundingSet { instrument, rate, until } if instrument == of => Some((rate, until)),
        _ => None,
    });
    found.collect()
}

fn funded(events: &[Event], of: InstrumentId) -> Vec<(u64, i128)> {
    let found = events.iter().filter_map(|event| match *event {
        Event::Booked { account, amount, why: Booking::Funding, instrument, .. }
            if instrument == Some(of) =>
        {
            Some((account.0, amount.0))
        }
        _ => None,
    });
    found.collect()
}

/// Feeds an index of 60,000 every four seconds until a time.
fn walk(desk: &mut MarginDesk, until: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    while desk.time.0 + 4 * SECOND <= until.0 {
        desk.wait(4 * SECOND - 3);
        events.extend(desk.index(dollars(60_000)));
    }
    for money in desk.engine.conservation() {
        assert_eq!(money.difference(), 0);
    }
    assert!(desk.engine.running_sums_hold());
    events
}

/// At the beginning of an interval; account 1 is long, 2 short: one coin of each perpetual.
fn desk() -> MarginDesk {
    let mut desk = MarginDesk::open_with(underlying(), venue_terms());
    desk.trade(1, 2, PERPETUAL, 120_000, 6_000);
    desk.trade(1, 2, LINEAR_PERPETUAL, 120_000, 1_000);
    desk.time = Timestamp(next_end(desk.time).0 - 1);
    desk.tick();
    desk.index(dollars(60_000));
    desk
}

#[test]
fn longs_pay_shorts_the_damped_mean_premium() {
    let mut desk = desk();
    // Bids 0.1 % above the index all the interval: 60,060.
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 120_120, 1);
    desk.place(1, PERPETUAL, Side::Buy, 120_120, 1);
    let end = next_end(desk.time);
    let events = walk(&mut desk, Timestamp(end.0 + 8 * SECOND));
    // 0.1 % less the damper of 0.025 %.
    let rate = 750_000_000;
    assert_eq!(rates(&events, LINEAR_PERPETUAL), [(rate, end)]);
    assert_eq!(rates(&events, PERPETUAL), [(rate, end)]);
    assert_eq!(funded(&events, LINEAR_PERPETUAL), [(1, -45 * DOLLAR), (2, 45 * DOLLAR)]);
    assert_eq!(funded(&events, PERPETUAL), [(1, -75_000), (2, 75_000)]);
}

#[test]
fn shorts_pay_when_the_book_is_below_the_index() {
    let mut desk = desk();
    desk.place(2, LINEAR_PERPETUAL, Side::Sell, 119_880, 1);
    let end = next_end(desk.time);
    let events = walk(&mut desk, Timestamp(end.0 + 8 * SECOND));
    assert_eq!(rates(&events, LINEAR_PERPETUAL), [(-750_000_000, end)]);
    assert_eq!(funded(&events, LINEAR_PERPETUAL), [(1, 45 * DOLLAR), (2, -45 * DOLLAR)]);
}

#[test]
fn a_book_around_the_index_or_within_the_damper_funds_nothing() {
    for (bid, ask) in [(119_990, 120_010), (120_020, 120_040)] {
        let mut desk = desk();
        desk.place(1, LINEAR_PERPETUAL, Side::Buy, bid, 1);
        desk.place(2, LINEAR_PERPETUAL, Side::Sell, ask, 1);
        let end = next_end(desk.time);
        let events = walk(&mut desk, Timestamp(end.0 + 8 * SECOND));
        assert_eq!(rates(&events, LINEAR_PERPETUAL), [(0, end)]);
        assert_eq!(funded(&events, LINEAR_PERPETUAL), []);
    }
}

#[test]
fn the_rate_is_bounded_by_the_cap() {
    let mut desk = desk();
    // 3 % above the index.
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 123_600, 1);
    let end = next_end(desk.time);
    let events = walk(&mut desk, Timestamp(end.0 + 8 * SECOND));
    assert_eq!(rates(&events, LINEAR_PERPETUAL), [(5_000_000_000, end)]);
}

#[test]
fn an_outage_funds_what_was_measured_and_no_interval_twice() {
    let mut desk = desk();
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 120_120, 1);
    let end = next_end(desk.time);
    // Half of the interval, then silence for two days.
    let mut events = walk(&mut desk, Timestamp(end.0 - INTERVAL / 2));
    desk.time = Timestamp(end.0 + 6 * INTERVAL + MINUTE);
    events.extend(desk.operator(evenkeel_types::Command::Resume { term: Term(2) }));
    events.extend(desk.tick());
    let [(rate, until)] = rates(&events, LINEAR_PERPETUAL)[..] else { panic!("{events:?}") };
    assert_eq!(until, end);
    // Half of 0.075 %, and the few seconds for which the last price was fresh.
    assert!((375_000_000..=375_200_000).contains(&rate), "{rate}");
    let before = funded(&events, LINEAR_PERPETUAL).len();
    assert_eq!(before, 2);
    // The interval in which the venue is back is its own.
    let end = next_end(desk.time);
    let events = walk(&mut desk, Timestamp(end.0 + 8 * SECOND));
    assert_eq!(rates(&events, LINEAR_PERPETUAL).len(), 1);
    assert_eq!(rates(&events, LINEAR_PERPETUAL)[0].1, end);
}

#[test]
fn odd_amounts_round_against_each_account_and_the_rest_is_kept() {
    let mut desk = MarginDesk::open_with(underlying(), venue_terms());
    // Shorts of 1, 1 and 1 lots of 10 dollars against a long of 3: 0.75 of 16,667 units each.
    for buyer in [1, 1, 1] {
        desk.trade(buyer, 2, PERPETUAL, 120_000, 7);
    }
    desk.time = Timestamp(next_end(desk.time).0 - 1);
    desk.tick();
    desk.index(dollars(60_000));
    desk.place(1, PERPETUAL, Side::Buy, 120_120, 1);
    let end = next_end(desk.time);
    let events = walk(&mut desk, Timestamp(end.0 + 8 * SECOND));
    // 210 dollars: 350,000 units of coin; 0.075 % of it is 262.5.
    assert_eq!(funded(&events, PERPETUAL), [(1, -263), (2, 262)]);
    let pools = desk.engine.conservation();
    let coins = pools.iter().find(|it| it.currency == BTC).expect("coins");
    assert_eq!(coins.pools.rounding.0, 1);
    assert_eq!(desk.money(AccountId::FUND.0, USD).0, 0);
}

#[test]
fn a_restored_engine_funds_the_same() {
    let mut desk = desk();
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 120_120, 1);
    let end = next_end(desk.time);
    walk(&mut desk, Timestamp(end.0 - INTERVAL / 2));
    let mut restored = desk.restored();
    let from = desk.entries.len();
    walk(&mut desk, Timestamp(end.0 + MINUTE));
    let mut events = Vec::new();
    for entry in &desk.entries[from..] {
        restored.apply(entry, &mut events);
    }
    assert_eq!(restored.output_digest(), desk.engine.output_digest());
    assert_eq!(rates(&events, LINEAR_PERPETUAL).len(), 1);
}
