//! Conditional orders: they wait outside the book for a price.

mod common;

use common::margin::{
    BTC, CALL, COIN, EXPIRY, FUTURE, MarginDesk, NO_LIMITS, PERPETUAL, SECOND, SPOT, dollars,
    underlying, venue_terms,
};
use common::orders::{
    FOK, IOC, amend, amended, assert_restores, closed, fills, limit, market, open, order_of,
    place_with, reason_of, refuse_with,
};
use evenkeel_types::conditional::{OrderTerms, Trigger, TriggerKind, TriggerPrice};
use evenkeel_types::oracle::Price;
use evenkeel_types::{
    CloseReason, Command, Event, MassCancelScope, Mode, NewOrder, OrderId, RejectCode, SessionId,
    Side, Term,
};

const MARK: i64 = 120_000;

fn on(price: TriggerPrice, kind: TriggerKind, level: i64) -> OrderTerms {
    OrderTerms { trigger: Some(Trigger { kind, price, level }), ..OrderTerms::default() }
}

fn stop(level: i64) -> OrderTerms {
    on(TriggerPrice::Mark, TriggerKind::Stop, level)
}

fn take_profit(level: i64) -> OrderTerms {
    on(TriggerPrice::Mark, TriggerKind::TakeProfit, level)
}

/// Ids of released orders, with the price that met them.
fn released(events: &[Event]) -> Vec<(OrderId, i64)> {
    let all = events.iter().filter_map(|event| match event {
        Event::OrderTriggered { order, level } => Some((*order, *level)),
        _ => None,
    });
    all.collect()
}

#[test]
fn stops_and_take_profits_wait_for_their_side_of_the_mark() {
    let mut desk = MarginDesk::open();
    let (buy, sell) =
        (limit(PERPETUAL, Side::Buy, MARK / 2, 1), limit(PERPETUAL, Side::Sell, MARK * 2, 1));
    let buy_stop = place_with(&mut desk, 1, buy, stop(MARK + 200));
    let sell_stop = place_with(&mut desk, 1, sell, stop(MARK - 200));
    let buy_profit = place_with(&mut desk, 1, buy, take_profit(MARK - 200));
    let sell_profit = place_with(&mut desk, 1, sell, take_profit(MARK + 200));
    assert_eq!(desk.engine.open_order_count(), 0, "they rest in no book");
    assert!(released(&desk.feed(60_099, 60)).is_empty());
    let up = desk.feed(60_100, 60);
    assert_eq!(released(&up), [(buy_stop, MARK + 200), (sell_profit, MARK + 200)]);
    assert!(open(&desk, buy_stop) == 1 && open(&desk, sell_profit) == 1);
    let down = desk.feed(59_000, 60);
    assert_eq!(released(&down), [(sell_stop, 118_000), (buy_profit, 118_000)]);
    assert!(released(&desk.feed(61_000, 60)).is_empty(), "each is released once");
    assert_restores(&desk);
}

#[test]
fn it_is_accepted_armed_and_told_with_its_terms() {
    let mut desk = MarginDesk::open();
    let terms = stop(MARK + 200);
    let events = desk.send_with(1, market(PERPETUAL, Side::Buy, 3), terms);
    let order = order_of(&events);
    assert!(events.contains(&Event::OrderTermsSet { order, terms }));
    assert!(events.contains(&Event::OrderArmed { order }));
    let next = desk.place(1, PERPETUAL, Side::Buy, 1, 1);
    assert_eq!(next.0, order.0 + 1, "ids are given at acceptance");
}

#[test]
fn a_released_order_trades_as_if_sent_then() {
    let mut desk = MarginDesk::open();
    desk.place(2, PERPETUAL, Side::Sell, MARK + 150, 2);
    desk.place(2, PERPETUAL, Side::Sell, MARK + 300, 2);
    let order = NewOrder { time_in_force: IOC, ..limit(PERPETUAL, Side::Buy, MARK + 200, 5) };
    let waiting = place_with(&mut desk, 1, order, stop(MARK + 200));
    let events = desk.feed(60_200, 60);
    assert_eq!(fills(&events).len(), 1);
    assert_eq!(reason_of(&events, waiting), Some(CloseReason::Unfilled));
    assert_eq!(desk.lots(1, PERPETUAL), 2);
}

#[test]
fn what_one_change_meets_is_released_in_the_order_of_ids() {
    let mut desk = MarginDesk::open();
    let levels = [MARK + 300, MARK + 100, MARK + 200];
    let waiting = levels.map(|level| {
        place_with(&mut desk, 1, limit(PERPETUAL, Side::Buy, MARK / 2, 1), stop(level))
    });
    let events = desk.feed(60_500, 60);
    assert_eq!(released(&events).iter().map(|it| it.0).collect::<Vec<_>>(), waiting);
}

#[test]
fn the_index_releases_orders_of_every_instrument_on_it() {
    let mut desk = MarginDesk::open();
    let level = 61_000 * Price::ONE;
    let rising = on(TriggerPrice::Index, TriggerKind::Stop, level);
    let all = [PERPETUAL, FUTURE, SPOT].map(|instrument| {
        place_with(&mut desk, 1, limit(instrument, Side::Buy, 50_000, 1), rising)
    });
    let option = place_with(&mut desk, 1, limit(CALL, Side::Buy, 10, 1), rising);
    let events = desk.index(dollars(61_000));
    let expected: Vec<_> = all.into_iter().chain([option]).map(|it| (it, level)).collect();
    assert_eq!(released(&events), expected);
}

#[test]
fn one_source_alone_releases_nothing() {
    let mut desk = MarginDesk::open();
    place_with(&mut desk, 1, limit(PERPETUAL, Side::Buy, MARK, 1), stop(MARK + 2));
    let price = dollars(90_000);
    let source = common::margin::SOURCES[0];
    let events = desk.say(source, evenkeel_types::oracle::Reading::Index { price });
    assert!(released(&events).is_empty(), "the median did not move");
}

#[test]
fn bad_triggers_are_refused() {
    let mut desk = MarginDesk::open();
    let buy = limit(PERPETUAL, Side::Buy, MARK, 1);
    for met_or_senseless in
        [stop(MARK), stop(MARK - 5), take_profit(MARK), stop(0), stop(-7), stop(i64::MAX)]
    {
        assert_eq!(refuse_with(&mut desk, 1, buy, met_or_senseless), RejectCode::BadTrigger);
    }
    let unlisted = limit(SPOT, Side::Buy, MARK, 1);
    assert_eq!(refuse_with(&mut desk, 1, unlisted, stop(MARK + 9)), RejectCode::NoMark);
    let resting = NewOrder { price: None, ..buy };
    assert_eq!(refuse_with(&mut desk, 1, resting, stop(MARK + 9)), RejectCode::MarketMayNotRest);
    desk.operator(Command::Resume { term: Term(2) });
    assert_eq!(refuse_with(&mut desk, 1, buy, stop(MARK + 9)), RejectCode::NoMark);
}

#[test]
fn it_can_be_cancelled_and_amended_by_its_owner() {
    let mut desk = MarginDesk::open();
    let waiting = place_with(&mut desk, 1, limit(PERPETUAL, Side::Buy, MARK, 5), stop(MARK + 200));
    assert_eq!(desk.refuse(2, Command::Cancel { order: waiting }), RejectCode::NotYourOrder);
    assert_eq!(desk.refuse(2, amend(waiting, None, 3)), RejectCode::NotYourOrder);
    assert_eq!(desk.refuse(1, amend(waiting, None, None)), RejectCode::NothingToAmend);
    assert_eq!(desk.refuse(1, amend(waiting, None, -1)), RejectCode::SizeOutOfRange);
    desk.accept(1, amend(waiting, MARK - 7, 3));
    let events = desk.feed(60_200, 60);
    assert_eq!(released(&events).len(), 1);
    let view = desk.engine.order(waiting).expect("it rests");
    assert_eq!((view.price.0, view.open.0), (MARK - 7, 3));
    let waiting = place_with(&mut desk, 1, market(PERPETUAL, Side::Buy, 5), stop(MARK + 600));
    assert_eq!(desk.refuse(1, amend(waiting, MARK, None)), RejectCode::MarketMayNotRest);
    let events = desk.accept(1, Command::Cancel { order: waiting });
    assert_eq!(closed(&events), [(waiting, CloseReason::Cancelled, 5)]);
    assert_eq!(desk.refuse(1, Command::Cancel { order: waiting }), RejectCode::UnknownOrder);
    assert!(released(&desk.feed(61_000, 60)).is_empty());
}

#[test]
fn mass_cancels_and_disconnects_reach_it() {
    let scopes = [
        MassCancelScope::All,
        MassCancelScope::Instrument { instrument: PERPETUAL },
        MassCancelScope::Session { session: SessionId(1) },
        MassCancelScope::Currency { currency: BTC },
        MassCancelScope::Label { label: 7 },
    ];
    let mut desk = MarginDesk::open();
    for scope in scopes {
        let order = NewOrder { label: 7, ..limit(PERPETUAL, Side::Buy, MARK, 1) };
        let waiting = place_with(&mut desk, 1, order, stop(MARK + 200));
        // Another's, and one that no narrower scope takes.
        let others = place_with(&mut desk, 2, order, stop(MARK + 200));
        let spared = NewOrder { instrument: common::margin::LINEAR_PERPETUAL, label: 8, ..order };
        let spared = place_with(&mut desk, 1, spared, stop(MARK + 200));
        let events = desk.accept(1, Command::MassCancel { account: None, scope });
        assert_eq!(reason_of(&events, waiting), Some(CloseReason::MassCancelled), "{scope:?}");
        let takes_all = matches!(scope, MassCancelScope::All | MassCancelScope::Session { .. });
        assert_eq!(reason_of(&events, spared).is_some(), takes_all, "{scope:?}");
        assert_eq!(reason_of(&events, others), None);
        desk.accept(1, Command::MassCancel { account: None, scope: MassCancelScope::All });
    }
    desk.accept(1, Command::Connect { cancel_on_disconnect: true });
    let waiting = place_with(&mut desk, 1, limit(PERPETUAL, Side::Buy, MARK, 1), stop(MARK + 200));
    let events = desk.accept(1, Command::Disconnect);
    assert_eq!(reason_of(&events, waiting), Some(CloseReason::Disconnected));
    assert_restores(&desk);
}

#[test]
fn margin_is_asked_for_at_release_and_the_order_is_closed_as_refused() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, BTC, COIN / 1_000);
    let waiting =
        place_with(&mut desk, 3, limit(PERPETUAL, Side::Buy, MARK, 90_000), stop(MARK + 2));
    let events = desk.feed(60_001, 60);
    assert_eq!(released(&events).len(), 1);
    assert_eq!(closed(&events), [(waiting, CloseReason::Refused, 90_000)]);
}

#[test]
fn reduce_only_is_judged_at_release() {
    let mut desk = MarginDesk::open();
    desk.trade(1, 2, PERPETUAL, MARK, 10);
    let guard = OrderTerms { reduce_only: true, ..stop(MARK - 200) };
    // It may wait without a position, and for more than there is.
    let idle = place_with(&mut desk, 4, market(PERPETUAL, Side::Sell, 5), guard);
    let waiting = place_with(&mut desk, 1, market(PERPETUAL, Side::Sell, 99), guard);
    desk.place(2, PERPETUAL, Side::Buy, MARK - 300, 50);
    let events = desk.feed(59_800, 60);
    assert_eq!(reason_of(&events, idle), Some(CloseReason::Refused));
    assert_eq!(amended(&events, waiting), Some(10));
    assert_eq!(reason_of(&events, waiting), Some(CloseReason::Filled));
    assert_eq!(desk.lots(1, PERPETUAL), 0);
}

#[test]
fn a_release_that_moves_nothing_else_lets_the_next_see_the_book_it_left() {
    let mut desk = MarginDesk::open();
    desk.place(2, PERPETUAL, Side::Sell, MARK + 10, 5);
    let order = NewOrder { time_in_force: FOK, ..limit(PERPETUAL, Side::Buy, MARK + 10, 3) };
    let first = place_with(&mut desk, 1, order, stop(MARK + 4));
    let second = place_with(&mut desk, 4, order, stop(MARK + 2));
    let third = place_with(&mut desk, 1, order, stop(MARK + 2));
    let events = desk.feed(60_002, 60);
    assert_eq!(reason_of(&events, first), Some(CloseReason::Filled));
    // Account 4 has no margin, and for the last one too little is left.
    assert_eq!(reason_of(&events, second), Some(CloseReason::Refused));
    assert_eq!(reason_of(&events, third), Some(CloseReason::Refused));
}

#[test]
fn while_orders_do_not_trade_it_stays_armed() {
    for mode in [Mode::CancelOnly, Mode::Halted, Mode::Auction, Mode::WithdrawOnly] {
        let mut desk = MarginDesk::open();
        let waiting =
            place_with(&mut desk, 1, limit(PERPETUAL, Side::Buy, MARK, 1), stop(MARK + 200));
        desk.operator(Command::SetMode { mode, cause: 1 });
        assert!(released(&desk.index(dollars(60_200))).is_empty(), "{mode:?}");
        desk.operator(Command::SetMode { mode: Mode::Normal, cause: 2 });
        // The way back, a step an entry.
        (0..4).for_each(|_| drop(desk.tick()));
        let events = desk.index(dollars(60_201));
        assert_eq!(released(&events).len(), 1, "{mode:?}");
        assert_eq!(open(&desk, waiting), 1);
    }
}

#[test]
fn it_ends_with_its_instrument() {
    let mut terms = underlying();
    terms.settlement.window_ms = 60_000;
    terms.settlement.min_samples = 1;
    terms.limits = NO_LIMITS;
    let mut desk = MarginDesk::open_with(terms, venue_terms());
    let waiting = place_with(&mut desk, 1, limit(FUTURE, Side::Buy, MARK, 1), stop(MARK + 200));
    desk.time.0 = EXPIRY.0 - 10 * SECOND;
    desk.feed(60_000, 60);
    desk.time.0 = EXPIRY.0 + 1;
    let mut events = desk.index(dollars(60_000));
    desk.wait(4 * SECOND);
    events.extend(desk.index(dollars(60_000)));
    assert_eq!(reason_of(&events, waiting), Some(CloseReason::Expired));
    assert_restores(&desk);
}

#[test]
fn a_restored_engine_releases_the_same_at_the_same_price() {
    let mut desk = MarginDesk::open();
    for above in 1..40 {
        let order = limit(PERPETUAL, Side::Buy, MARK + above, 1);
        place_with(&mut desk, 1, order, stop(MARK + 10 * above));
        place_with(
            &mut desk,
            2,
            limit(PERPETUAL, Side::Sell, MARK + above, 1),
            stop(MARK - 10 * above),
        );
    }
    let mut twin = desk.restored();
    let from = desk.entries.len();
    for price in [60_050, 59_900, 60_300, 59_700] {
        desk.feed(price, 60);
    }
    for entry in &desk.entries[from..] {
        twin.apply(entry, &mut Vec::new());
    }
    assert_eq!(twin.output_digest(), desk.engine.output_digest());
    assert_eq!(twin.state_root(), desk.engine.state_root());
}

#[test]
fn orders_are_cancelled_by_id_whenever_they_came_to_rest() {
    let mut desk = MarginDesk::open();
    let order = limit(PERPETUAL, Side::Buy, MARK / 2, 1);
    let early = desk.place(1, PERPETUAL, Side::Buy, MARK / 2, 1);
    let waiting = [MARK + 100, MARK + 200].map(|at| place_with(&mut desk, 1, order, stop(at)));
    let young = desk.place(1, PERPETUAL, Side::Buy, MARK / 2, 1);
    desk.feed(60_100, 60);
    let mut twin = desk.restored();
    let mass_cancel = Command::MassCancel { account: None, scope: MassCancelScope::All };
    let events = desk.accept(1, mass_cancel);
    let ids: Vec<_> = closed(&events).iter().map(|it| it.0).collect();
    assert_eq!(ids, [early, waiting[0], waiting[1], young]);
    let mut again = Vec::new();
    twin.apply(desk.entries.last().expect("sent"), &mut again);
    assert_eq!(again, events);
}
