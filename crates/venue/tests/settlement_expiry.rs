//! Delivery prices and expiry: every formula, every gap, exactly once.

#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC, CALL, COIN, DAY, DOLLAR, EXPIRY, FUTURE, HIGH_CALL, LINEAR_CALL, LINEAR_FUTURE,
    LINEAR_PUT, LOW_PUT, MarginDesk, PUT, SECOND, USD, dollars, option, underlying, venue_terms,
};
use evenkeel_types::event::Booking;
use evenkeel_types::oracle::Price;
use evenkeel_types::{
    AccountId, CloseReason, Command, Event, InstrumentId, OptionRight, RejectCode, Side, Style,
    Term, Timestamp,
};
use evenkeel_venue::Engine;
use proptest::prelude::*;

const MINUTE: u64 = 60 * SECOND;
const WINDOW: u64 = 30 * MINUTE;
const OPENS: Timestamp = Timestamp(EXPIRY.0 - WINDOW);

fn conserved(engine: &Engine) {
    for money in engine.conservation() {
        assert_eq!(money.difference(), 0, "{money:?}");
    }
    assert!(engine.running_sums_hold());
}

/// Lets the clock stand at a time; the next entry comes a nanosecond later.
fn go_to(desk: &mut MarginDesk, time: Timestamp) {
    assert!(desk.time <= time, "no way back");
    desk.time = time;
}

/// Feeds the index every `step` until a time, and returns all events.
fn walk(
    desk: &mut MarginDesk,
    until: Timestamp,
    step: u64,
    mut price: impl FnMut(u64) -> Price,
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut count = 0;
    while desk.time.0 + step <= until.0 {
        desk.wait(step);
        events.extend(desk.index(price(count)));
        conserved(&desk.engine);
        count += 1;
    }
    events
}

fn priced(events: &[Event]) -> Vec<(Timestamp, Price, u32)> {
    let found = events.iter().filter_map(|event| match *event {
        Event::DeliveryPriced { expiry, price, samples, .. } => Some((expiry, price, samples)),
        _ => None,
    });
    found.collect()
}

fn waits(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::DeliveryWaits { .. })).count()
}

fn settled(events: &[Event]) -> Vec<InstrumentId> {
    let found = events.iter().filter_map(|event| match *event {
        Event::InstrumentSettled { instrument, .. } => Some(instrument),
        _ => None,
    });
    found.collect()
}

/// A venue a second before the window, its index at 60,000.
fn before_the_window() -> MarginDesk {
    let mut desk = MarginDesk::open();
    go_to(&mut desk, Timestamp(OPENS.0 - SECOND));
    desk.feed(60_000, 60);
    desk
}

/// The mean that somebody computes who has only the index' changes: at each step the last one
/// before it, if it was fresh.
fn mean_by_hand(changes: &[(Timestamp, Timestamp, Price)]) -> (i128, u32) {
    let (mut sum, mut count) = (0, 0);
    for number in 1..=WINDOW / (4 * SECOND) {
        let step = Timestamp(OPENS.0 + number * 4 * SECOND);
        let held = changes.iter().rev().find(|(entry, _, _)| *entry < step);
        if let Some((_, seen, price)) = held
            && step.0 <= seen.0 + 5 * SECOND
        {
            sum += i128::from(price.0);
            count += 1;
        }
    }
    (sum, count)
}

#[test]
fn the_delivery_price_is_the_mean_of_the_index_over_the_window() {
    let mut desk = before_the_window();
    let mut changes = Vec::new();
    let mut found = Vec::new();
    for number in 0..1_900u64 {
        desk.wait(SECOND);
        let price = Price(60_000 * Price::ONE + i64::try_from(number * number).expect("small"));
        for event in desk.index(price) {
            if let Event::IndexChanged { price, time, .. } = event {
                changes.push((desk.time, time, price));
            }
            if let Event::DeliveryPriced { price, samples, .. } = event {
                found.push((price, samples));
            }
        }
    }
    let (sum, count) = mean_by_hand(&changes);
    assert_eq!(count, 450);
    let [(price, 450)] = found[..] else { panic!("{found:?}") };
    let exact = i128::from(price.0) * 450;
    assert!((exact - sum).abs() * 2 <= 450, "{price:?} is not {sum} / 450");
}

/// (what, lots, trade price in ticks, gain of the buyer at 66,000 in smallest units)
fn formulas() -> Vec<(InstrumentId, i64, i64, i128)> {
    vec![
        // 600 lots of 10 dollars: 0.1 coin at 60,000; 6,000 / 66,000 coin at 66,000.
        (FUTURE, 600, 120_000, 10_000_000 - 9_090_909 - 1),
        // Half a coin gains 6,000 dollars a coin.
        (LINEAR_FUTURE, 500, 120_000, 3_000 * DOLLAR),
        // 6,000 / 66,000 of two coins, rounded down.
        (CALL, 20, 500, 18_181_818),
        (PUT, 20, 500, 0),
        (HIGH_CALL, 20, 100, 0),
        (LOW_PUT, 20, 100, 0),
        // 6,000 dollars for three coins.
        (LINEAR_CALL, 300, 2_000, 18_000 * DOLLAR),
        (LINEAR_PUT, 300, 2_000, 0),
    ]
}

#[test]
fn every_instrument_settles_by_its_formula() {
    let mut terms = underlying();
    terms.fees.option_delivery = 0;
    terms.fees.future_delivery = 0;
    let mut desk = MarginDesk::open_with(terms, venue_terms());
    for (instrument, lots, price, _) in formulas() {
        desk.trade(1, 2, instrument, price, lots);
    }
    go_to(&mut desk, Timestamp(OPENS.0 - SECOND));
    let events = walk(&mut desk, Timestamp(EXPIRY.0 + MINUTE), SECOND, |_| dollars(66_000));
    assert_eq!(priced(&events), [(EXPIRY, dollars(66_000), 450)]);
    for (instrument, _, _, gain) in formulas() {
        let paid = |account, why| -> i128 {
            let amounts = events.iter().filter_map(|event| match *event {
                Event::Booked { account: to, amount, why: reason, instrument: on, .. }
                    if to == AccountId(account) && reason == why && on == Some(instrument) =>
                {
                    Some(amount.0)
                }
                _ => None,
            });
            amounts.sum()
        };
        assert_eq!(paid(1, Booking::Settlement), gain, "the buyer of {instrument}");
        let short = paid(2, Booking::Settlement);
        // The rounding pool has what is missing: at most one unit, never negative.
        assert!((-1..=0).contains(&(gain + short)), "{instrument}: {gain} and {short}");
        assert_eq!((desk.lots(1, instrument), desk.lots(2, instrument)), (0, 0));
    }
    conserved(&desk.engine);
}

#[test]
fn a_put_pays_when_the_price_falls() {
    let mut desk = before_the_window();
    desk.trade(1, 2, PUT, 500, 10);
    desk.trade(1, 2, LINEAR_PUT, 2_000, 100);
    let before = (desk.money(1, BTC).0, desk.money(1, USD).0);
    walk(&mut desk, Timestamp(EXPIRY.0 + SECOND * 10), SECOND, |_| dollars(48_000));
    let after = (desk.money(1, BTC).0, desk.money(1, USD).0);
    // 12,000 / 48,000 of a coin; fee 0.015 % of a coin. 12,000 dollars; fee 0.015 % of 48,000.
    assert_eq!(after.0 - before.0, COIN / 4 - 15_000);
    assert_eq!(after.1 - before.1, 12_000 * DOLLAR - 7_200_000);
}

#[test]
fn delivery_fees_are_capped_by_the_payoff_and_shared_with_the_fund() {
    let mut desk = before_the_window();
    // Ten coins, 1 dollar in the money: the cap is an eighth of 10 dollars, the rate 90 dollars.
    desk.trade(1, 2, LINEAR_CALL, 2_000, 1_000);
    desk.trade(1, 2, LINEAR_PUT, 2_000, 1_000);
    let events = walk(&mut desk, Timestamp(EXPIRY.0 + 10 * SECOND), SECOND, |_| dollars(60_001));
    let fees: Vec<(AccountId, i128)> = events
        .iter()
        .filter_map(|event| match *event {
            Event::Booked { account, amount, why: Booking::DeliveryFee, .. } => {
                Some((account, amount.0))
            }
            _ => None,
        })
        .collect();
    let fee = 10 * DOLLAR / 8;
    // Both sides pay; a tenth goes to the fund; who is out of the money pays nothing.
    let expected = [(AccountId(1), -fee), (AccountId(2), -fee), (AccountId::FUND, 2 * fee / 10)];
    assert_eq!(fees, expected);
}

#[test]
fn what_expired_takes_no_orders_and_keeps_none() {
    let mut desk = before_the_window();
    let order = desk.place(1, FUTURE, Side::Buy, 119_000, 10);
    let events = walk(&mut desk, Timestamp(EXPIRY.0 + 10 * SECOND), SECOND, |_| dollars(60_000));
    let closed =
        Event::OrderClosed { order, reason: CloseReason::Expired, open: evenkeel_types::Lots(10) };
    assert!(events.contains(&closed));
    assert_eq!(desk.engine.open_order_count(), 0);
    assert_eq!(desk.refuse_order(1, FUTURE, Side::Buy, 119_000, 10), RejectCode::Expired);
    let again = option(InstrumentId(99), EXPIRY, "60000", OptionRight::Call, Style::Linear);
    assert_eq!(
        desk.refuse(0, Command::DefineInstrument { instrument: again }),
        RejectCode::Expired
    );
}

#[test]
fn an_outage_across_the_expiry_settles_once_and_never_at_a_stale_price() {
    let mut desk = before_the_window();
    desk.trade(1, 2, FUTURE, 120_000, 600);
    // The feed stops 16 seconds into the window and the engine with it, for four hours.
    let mut events = walk(&mut desk, Timestamp(OPENS.0 + 16 * SECOND), SECOND, |_| dollars(60_000));
    go_to(&mut desk, Timestamp(EXPIRY.0 + 4 * 60 * MINUTE));
    events.extend(desk.tick());
    assert_eq!((priced(&events), waits(&events)), (vec![], 1));
    // A new primary: what was heard before is void.
    events.extend(desk.operator(Command::Resume { term: Term(2) }));
    events.extend(desk.tick());
    desk.wait(10 * SECOND);
    events.extend(desk.tick());
    assert_eq!((priced(&events), desk.lots(1, FUTURE)), (vec![], 600));
    let until = Timestamp(desk.time.0 + 20 * MINUTE);
    events.extend(walk(&mut desk, until, SECOND, |_| dollars(50_000)));
    let [(EXPIRY, price, samples)] = priced(&events)[..] else { panic!("{:?}", priced(&events)) };
    // Five samples of before the outage (the last price was fresh for 5 seconds) and 95 of after.
    assert_eq!(samples, 100);
    assert_eq!(price, dollars((60_000 * 5 + 50_000 * 95) / 100));
    assert_eq!(waits(&events), 1);
    assert_eq!(settled(&events).iter().filter(|it| **it == FUTURE).count(), 1);
    assert_eq!(desk.lots(1, FUTURE), 0);
    conserved(&desk.engine);
}

#[test]
fn a_gap_inside_the_window_leaves_the_mean_of_the_rest() {
    let mut desk = before_the_window();
    let mut events = walk(&mut desk, Timestamp(OPENS.0 + 10 * MINUTE), SECOND, |_| dollars(60_000));
    go_to(&mut desk, Timestamp(EXPIRY.0 - 10 * MINUTE));
    events.extend(walk(&mut desk, Timestamp(EXPIRY.0 + 5 * SECOND), SECOND, |_| dollars(63_000)));
    let [(EXPIRY, price, samples)] = priced(&events)[..] else { panic!("{:?}", priced(&events)) };
    assert_eq!(waits(&events), 0);
    // 150 steps and one more at the last fresh price, then those of the last ten minutes.
    assert!((299..=302).contains(&samples), "{samples}");
    assert!(price > dollars(61_400) && price < dollars(61_600), "{price:?}");
}

#[test]
fn a_clock_that_runs_ahead_expires_nothing() {
    let mut desk = before_the_window();
    desk.trade(1, 2, FUTURE, 120_000, 600);
    walk(&mut desk, Timestamp(OPENS.0 + 20 * MINUTE), SECOND, |_| dollars(60_000));
    // 300 of 450 samples are there, and suddenly it is a day later, without a source that says so.
    go_to(&mut desk, Timestamp(EXPIRY.0 + DAY));
    let events = desk.tick();
    assert_eq!((settled(&events), waits(&events)), (vec![], 1));
    assert_eq!(desk.lots(1, FUTURE), 600);
}

#[test]
fn several_expiries_missed_together_settle_in_their_order() {
    let mut desk = MarginDesk::open();
    for (number, hours) in [(91, 3u64), (92, 1), (93, 2)] {
        let at = Timestamp(EXPIRY.0 + hours * 60 * MINUTE);
        let (right, style) = (OptionRight::Call, Style::Linear);
        let instrument = option(InstrumentId(number), at, "60000", right, style);
        desk.operator(Command::DefineInstrument { instrument });
    }
    go_to(&mut desk, Timestamp(EXPIRY.0 + DAY));
    let until = Timestamp(desk.time.0 + 10 * MINUTE);
    let events = walk(&mut desk, until, SECOND, |_| dollars(61_000));
    let order: Vec<u64> =
        priced(&events).iter().map(|(at, _, _)| (at.0 - EXPIRY.0) / (60 * MINUTE)).collect();
    assert_eq!(order, [0, 1, 2, 3]);
    assert_eq!(waits(&events), 4);
    let last: Vec<u32> = settled(&events).iter().rev().take(3).map(|it| it.0).collect();
    assert_eq!(last, [91, 93, 92]);
}

#[test]
fn an_absurd_index_settles_nothing_rather_than_overflow() {
    let mut desk = before_the_window();
    desk.trade(1, 2, FUTURE, 120_000, 1 << 40);
    // At 10^-10 dollars each inverse contract would be worth 10^11 coins.
    let events = walk(&mut desk, Timestamp(EXPIRY.0 + MINUTE), SECOND, |_| Price(1));
    assert_eq!(settled(&events), []);
    assert_eq!(waits(&events), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The same readings with other entries in between: the same delivery price, exactly once.
    #[test]
    fn whatever_steps_time_takes_the_expiry_happens_exactly_once(
        ticks in prop::collection::vec(1u64..30_000, 0..60),
        restore_after in 0usize..200,
    ) {
        let mut desk = before_the_window();
        desk.trade(1, 2, FUTURE, 120_000, 600);
        desk.trade(2, 1, LINEAR_CALL, 2_000, 30);
        let mut ticks = ticks.iter().map(|ms| ms * 1_000_000);
        let mut next_tick = desk.time.0 + ticks.next().unwrap_or(u64::MAX / 2);
        let mut events = Vec::new();
        let mut at = desk.time.0;
        for number in 0..500u64 {
            at += 4 * SECOND;
            while next_tick < at {
                if next_tick > desk.time.0 {
                    desk.time = Timestamp(next_tick);
                    events.extend(desk.tick());
                }
                next_tick += ticks.next().unwrap_or(u64::MAX / 2);
            }
            desk.time = Timestamp(at.max(desk.time.0));
            let price = dollars(60_000 + i64::try_from(number).expect("small"));
            events.extend(desk.index(price));
            if number == restore_after as u64 {
                desk.engine = desk.restored();
            }
        }
        conserved(&desk.engine);
        let all = settled(&events);
        prop_assert_eq!(all.iter().filter(|it| **it == FUTURE).count(), 1);
        let [(EXPIRY, price, 450)] = priced(&events)[..] else {
            return Err(TestCaseError::fail(format!("{:?}", priced(&events))));
        };
        // Readings come 1 s and some nanoseconds before each step; the first is of the second one.
        prop_assert!(price > dollars(60_223) && price < dollars(60_226), "{:?}", price);
        prop_assert_eq!(desk.lots(1, FUTURE), 0);
    }
}

#[test]
fn a_restored_engine_goes_on_sampling_where_it_stood() {
    let mut desk = before_the_window();
    desk.trade(1, 2, CALL, 500, 20);
    walk(&mut desk, Timestamp(OPENS.0 + 7 * MINUTE), SECOND, |_| dollars(60_000));
    let mut restored = desk.restored();
    let from = desk.entries.len();
    walk(&mut desk, Timestamp(EXPIRY.0 + MINUTE), SECOND, |it| {
        dollars(61_000 + i64::try_from(it).expect("small"))
    });
    let mut events = Vec::new();
    for entry in &desk.entries[from..] {
        restored.apply(entry, &mut events);
    }
    assert_eq!(restored.output_digest(), desk.engine.output_digest());
    assert_eq!(restored.state_root(), desk.engine.state_root());
    assert!(events.iter().any(|event| matches!(event, Event::DeliveryPriced { .. })));
}

#[test]
fn a_look_between_two_steps_settles_nothing_that_another_engine_would_not_settle() {
    let mut desk = before_the_window();
    walk(&mut desk, Timestamp(EXPIRY.0 - 30 * SECOND), SECOND, |_| dollars(60_000));
    // At the expiry and at the step behind it the index is stale; between two steps it is not.
    go_to(&mut desk, Timestamp(EXPIRY.0 + 5 * SECOND));
    assert_eq!(settled(&desk.tick()), []);
    desk.index(dollars(60_000));
    let mut restored = desk.restored();
    let mut settled_at = None;
    for _ in 0..8 {
        desk.wait(SECOND / 2);
        let events = desk.tick();
        let mut theirs = Vec::new();
        restored.apply(desk.entries.last().expect("sent"), &mut theirs);
        assert_eq!(theirs, events, "restored between two steps");
        if !settled(&events).is_empty() {
            settled_at = Some(desk.time.0 - EXPIRY.0);
        }
    }
    let at = settled_at.expect("settles at the next step");
    assert!((8 * SECOND..9 * SECOND).contains(&at), "{at}");
    assert_eq!(restored.state_root(), desk.engine.state_root());
}
