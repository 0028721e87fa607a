//! Market-maker protection.

mod common;

use common::margin::{BTC_USD, CALL, LINEAR_PERPETUAL, MarginDesk, PERPETUAL, PUT, SECOND};
use common::orders::{
    FOK, IOC, assert_restores, fills, limit, open, order_of, place_with, reason_of, refuse_with,
};
use evenkeel_types::conditional::{OrderTerms, Protection, Trigger, TriggerKind, TriggerPrice};
use evenkeel_types::{
    AccountId, CloseReason, Command, Event, NewOrder, OrderId, RejectCode, Side, UnderlyingId,
};

const MARK: i64 = 120_000;

fn protected() -> OrderTerms {
    OrderTerms { protected: true, ..OrderTerms::default() }
}

/// At most so many coins, in millionths, within a second; frozen for ten.
fn quantity(limit: u64) -> Protection {
    Protection { interval_ms: 1_000, frozen_ms: 10_000, quantity_limit: limit, delta_limit: 0 }
}

fn protect(desk: &mut MarginDesk, account: u64, protection: Protection) {
    desk.accept(account, Command::SetProtection { underlying: BTC_USD, protection });
}

fn hits(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::ProtectionHit { .. })).count()
}

/// Three protected sells of one tenth of a coin, ever dearer.
fn quotes(desk: &mut MarginDesk, account: u64) -> [OrderId; 3] {
    [1, 2, 3].map(|above| {
        let sell = limit(LINEAR_PERPETUAL, Side::Sell, MARK + above, 100);
        place_with(desk, account, sell, protected())
    })
}

fn sweep(desk: &mut MarginDesk, account: u64, lots: i64) -> Vec<Event> {
    let order =
        NewOrder { time_in_force: IOC, ..limit(LINEAR_PERPETUAL, Side::Buy, MARK + 99, lots) };
    desk.accept(account, Command::Place { order })
}

#[test]
fn it_hits_in_the_middle_of_a_sweep_which_goes_on_with_the_rest_of_the_book() {
    let mut desk = MarginDesk::open();
    protect(&mut desk, 1, quantity(150_000));
    let quotes = quotes(&mut desk, 1);
    let plain = desk.place(1, LINEAR_PERPETUAL, Side::Sell, MARK + 4, 100);
    let elsewhere = place_with(&mut desk, 1, limit(CALL, Side::Sell, 900, 1), protected());
    desk.deposit(5, common::margin::USD, 1_000_000_000_000);
    let events = sweep(&mut desk, 5, 1_000);
    // The second fill exceeds 0.15 coin and stands; the third quote is gone before it is reached.
    let makers: Vec<_> = fills(&events).iter().map(|it| it.0).collect();
    assert_eq!(makers, [quotes[0], quotes[1], plain]);
    assert_eq!(hits(&events), 1);
    assert_eq!(reason_of(&events, quotes[2]), Some(CloseReason::Protection));
    assert_eq!(reason_of(&events, elsewhere), Some(CloseReason::Protection));
    assert_restores(&desk);
}

#[test]
fn while_frozen_only_protected_orders_are_refused_and_time_or_a_reset_ends_it() {
    let mut desk = MarginDesk::open();
    protect(&mut desk, 1, quantity(50_000));
    quotes(&mut desk, 1);
    let events = sweep(&mut desk, 2, 100);
    let until = events.iter().find_map(|event| match event {
        Event::ProtectionHit { account, underlying, until } => {
            assert_eq!((*account, *underlying), (AccountId(1), BTC_USD));
            *until
        }
        _ => None,
    });
    assert_eq!(until.map(|until| until.0), Some(desk.time.0 + 10 * SECOND));
    let sell = limit(LINEAR_PERPETUAL, Side::Sell, MARK + 9, 100);
    assert_eq!(refuse_with(&mut desk, 1, sell, protected()), RejectCode::Frozen);
    desk.place(1, LINEAR_PERPETUAL, Side::Sell, MARK + 9, 100);
    place_with(&mut desk, 2, sell, protected());
    desk.wait(10 * SECOND);
    desk.feed(60_000, 60);
    place_with(&mut desk, 1, sell, protected());
    // Until it is reset.
    protect(&mut desk, 1, Protection { frozen_ms: 0, ..quantity(50_000) });
    let events = sweep(&mut desk, 2, 300);
    assert!(events.iter().any(|event| matches!(event, Event::ProtectionHit { until: None, .. })));
    desk.wait(3_600 * SECOND);
    desk.feed(60_000, 60);
    assert_eq!(refuse_with(&mut desk, 1, sell, protected()), RejectCode::Frozen);
    protect(&mut desk, 1, quantity(50_000));
    place_with(&mut desk, 1, sell, protected());
}

#[test]
fn a_fill_after_the_interval_counts_anew() {
    let mut desk = MarginDesk::open();
    protect(&mut desk, 1, quantity(150_000));
    quotes(&mut desk, 1);
    assert_eq!(hits(&sweep(&mut desk, 2, 100)), 0);
    desk.wait(SECOND);
    assert_eq!(hits(&sweep(&mut desk, 2, 100)), 0);
    assert_eq!(hits(&sweep(&mut desk, 2, 100)), 1, "two within one second");
}

#[test]
fn net_delta_counts_calls_against_puts() {
    let mut desk = MarginDesk::open();
    let protection = Protection { quantity_limit: 0, delta_limit: 300_000, ..quantity(0) };
    protect(&mut desk, 1, protection);
    // A coin of calls sold at the money: about half a coin short.
    let call = place_with(&mut desk, 1, limit(CALL, Side::Sell, 500, 10), protected());
    let put = place_with(&mut desk, 1, limit(PUT, Side::Sell, 500, 10), protected());
    let take = |instrument, lots| {
        let order = NewOrder { time_in_force: IOC, ..limit(instrument, Side::Buy, 500, lots) };
        Command::Place { order }
    };
    assert_eq!(hits(&desk.accept(2, take(CALL, 5))), 0);
    assert_eq!(hits(&desk.accept(2, take(PUT, 5))), 0, "they offset each other");
    assert_eq!(hits(&desk.accept(2, take(PUT, 3))), 0);
    assert_eq!((open(&desk, call), open(&desk, put)), (5, 2));
    assert_eq!(hits(&desk.accept(2, take(CALL, 5))), 0);
    let more = place_with(&mut desk, 1, limit(CALL, Side::Sell, 500, 20), protected());
    assert_eq!(hits(&desk.accept(2, take(CALL, 10))), 1);
    assert_eq!(open(&desk, more), 0);
}

#[test]
fn inverse_futures_count_in_quote_units() {
    let mut desk = MarginDesk::open();
    // 100 dollars.
    protect(&mut desk, 1, quantity(100_000_000));
    place_with(&mut desk, 1, limit(PERPETUAL, Side::Sell, MARK, 50), protected());
    let take = |lots| Command::Place { order: limit(PERPETUAL, Side::Buy, MARK, lots) };
    assert_eq!(hits(&desk.accept(2, take(10))), 0);
    assert_eq!(hits(&desk.accept(2, take(1))), 1);
}

#[test]
fn a_protected_taker_stops_when_its_own_protection_hits() {
    let mut desk = MarginDesk::open();
    for above in [1, 2, 3] {
        desk.place(2, LINEAR_PERPETUAL, Side::Sell, MARK + above, 100);
    }
    protect(&mut desk, 1, quantity(150_000));
    let buy = limit(LINEAR_PERPETUAL, Side::Buy, MARK + 9, 300);
    let events = desk.send_with(1, buy, protected());
    assert_eq!(fills(&events).len(), 2);
    assert_eq!(reason_of(&events, order_of(&events)), Some(CloseReason::Protection));
}

#[test]
fn amended_into_its_own_hit_an_order_ends_once() {
    let mut desk = MarginDesk::open();
    for above in [1, 2, 3] {
        desk.place(2, LINEAR_PERPETUAL, Side::Sell, MARK + above, 100);
    }
    protect(&mut desk, 1, quantity(150_000));
    let first =
        place_with(&mut desk, 1, limit(LINEAR_PERPETUAL, Side::Buy, MARK - 9, 300), protected());
    let other =
        place_with(&mut desk, 1, limit(LINEAR_PERPETUAL, Side::Buy, MARK - 8, 300), protected());
    let events = desk.accept(1, common::orders::amend(first, MARK + 9, None));
    let ends = common::orders::closed(&events);
    assert_eq!(ends.iter().filter(|it| it.0 == first).count(), 1);
    assert_eq!(reason_of(&events, other), Some(CloseReason::Protection));
    assert_eq!(desk.engine.open_order_count(), 1);
    assert_restores(&desk);
}

#[test]
fn conditional_orders_are_cancelled_too() {
    let mut desk = MarginDesk::open();
    protect(&mut desk, 1, quantity(50_000));
    quotes(&mut desk, 1);
    let trigger = Trigger { kind: TriggerKind::Stop, price: TriggerPrice::Mark, level: MARK + 200 };
    let waiting = OrderTerms { trigger: Some(trigger), ..protected() };
    let buy = limit(PERPETUAL, Side::Buy, MARK, 1);
    let armed = place_with(&mut desk, 1, buy, waiting);
    let plain = OrderTerms { protected: false, ..waiting };
    let spared = place_with(&mut desk, 1, buy, plain);
    let events = sweep(&mut desk, 2, 100);
    assert_eq!(reason_of(&events, armed), Some(CloseReason::Protection));
    assert_eq!(reason_of(&events, spared), None);
}

#[test]
fn fill_or_kill_knows_what_a_hit_would_take_away() {
    let mut desk = MarginDesk::open();
    protect(&mut desk, 1, quantity(150_000));
    quotes(&mut desk, 1);
    let buy = |lots| NewOrder {
        time_in_force: FOK,
        ..limit(LINEAR_PERPETUAL, Side::Buy, MARK + 9, lots)
    };
    assert_eq!(desk.refuse(2, Command::Place { order: buy(201) }), RejectCode::CannotFill);
    let events = desk.accept(2, Command::Place { order: buy(200) });
    assert_eq!((fills(&events).len(), hits(&events)), (2, 1));
}

#[test]
fn it_is_set_switched_off_and_bounded() {
    let mut desk = MarginDesk::open();
    let underlying = UnderlyingId(9);
    let unknown = Command::SetProtection { underlying, protection: quantity(1) };
    assert_eq!(desk.refuse(1, unknown), RejectCode::UnknownUnderlying);
    let protection = Protection { interval_ms: u64::MAX, ..quantity(1) };
    let endless = Command::SetProtection { underlying: BTC_USD, protection };
    assert_eq!(desk.refuse(1, endless), RejectCode::OutOfBounds);
    protect(&mut desk, 1, quantity(1));
    protect(&mut desk, 1, Protection { interval_ms: 0, ..quantity(1) });
    quotes(&mut desk, 1);
    assert_eq!(hits(&sweep(&mut desk, 2, 300)), 0);
}
