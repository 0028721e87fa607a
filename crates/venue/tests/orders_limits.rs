//! Price bands, slips of the hand, sizes, counts, the throttle; market orders and post-only.

mod common;

use common::margin::{
    BTC_USD, CALL, LINEAR_CALL, LINEAR_PERPETUAL, MarginDesk, NO_LIMITS, PERPETUAL, SECOND, SPOT,
    underlying, venue_terms,
};
use common::orders::{
    FOK, IOC, amend, assert_restores, closed, fills, limit, market, open, order_of, place_with,
    refuse_with,
};
use evenkeel_types::conditional::{OrderTerms, Trigger, TriggerKind, TriggerPrice};
use evenkeel_types::terms::{LimitTerms, VenueTerms};
use evenkeel_types::{
    CloseReason, Collateral, Command, Event, NewOrder, RejectCode, Side, Term, Ticks,
};

const MARK: i64 = 120_000;

fn desk_with(limits: LimitTerms) -> MarginDesk {
    let mut terms = underlying();
    terms.limits = limits;
    MarginDesk::open_with(terms, venue_terms())
}

/// A band of 5 %, a slip of the hand at 30 %.
fn banded() -> MarginDesk {
    desk_with(LimitTerms { price_band_bp: 500, fat_finger_bp: 3_000, ..NO_LIMITS })
}

#[test]
fn no_order_goes_further_than_the_band_on_its_aggressive_side() {
    let mut desk = banded();
    let (high, low) = (MARK + 6_000, MARK - 6_000);
    assert_eq!(desk.refuse_order(1, PERPETUAL, Side::Buy, high + 1, 1), RejectCode::PriceBand);
    assert_eq!(desk.refuse_order(1, PERPETUAL, Side::Sell, low - 1, 1), RejectCode::PriceBand);
    desk.place(1, PERPETUAL, Side::Buy, high, 1);
    let resting = desk.place(2, PERPETUAL, Side::Sell, high + 1, 1);
    desk.place(1, PERPETUAL, Side::Buy, low - 1, 1);
    assert_eq!(desk.refuse(2, amend(resting, low - 1, None)), RejectCode::PriceBand);
    assert_eq!(open(&desk, resting), 1, "a refused amendment changes nothing");
    assert_restores(&desk);
}

#[test]
fn options_are_banded_by_the_underlyings_value() {
    let mut desk = banded();
    // 5 % of a coin are 500 ticks of 0.0001; 5 % of 60,000 dollars 3,000 ticks of one.
    for (option, width) in [(CALL, 500), (LINEAR_CALL, 3_000)] {
        let mark = desk.mark(option).expect("a mark");
        let refused = desk.refuse_order(1, option, Side::Buy, mark + width + 1, 1);
        assert_eq!(refused, RejectCode::PriceBand);
        desk.place(1, option, Side::Buy, mark + width, 1);
    }
}

#[test]
fn a_slip_of_the_hand_is_refused_in_either_direction() {
    let mut desk = banded();
    for side in [Side::Buy, Side::Sell] {
        for price in [MARK * 2, MARK / 2] {
            assert_eq!(desk.refuse_order(1, PERPETUAL, side, price, 1), RejectCode::FatFinger);
        }
    }
    desk.place(1, PERPETUAL, Side::Buy, MARK * 7 / 10, 1);
    assert_eq!(
        desk.refuse_order(1, PERPETUAL, Side::Buy, MARK * 7 / 10 - 1, 1),
        RejectCode::FatFinger
    );
}

#[test]
fn without_a_mark_nothing_can_be_judged() {
    let mut desk = banded();
    desk.operator(Command::Resume { term: Term(2) });
    assert_eq!(desk.refuse_order(1, PERPETUAL, Side::Buy, MARK, 1), RejectCode::NoMark);
    assert_eq!(desk.refuse_order(1, SPOT, Side::Buy, MARK, 1), RejectCode::NoMark);
    desk.feed(60_000, 60);
    desk.place(1, PERPETUAL, Side::Buy, MARK, 1);
}

#[test]
fn a_market_order_goes_as_far_as_the_band_or_its_own_protection() {
    let mut desk = banded();
    for above in [0, 1_200, 6_000, 6_001] {
        desk.place(2, PERPETUAL, Side::Sell, MARK + above, 1);
    }
    // 1 % of the mark.
    let protected = OrderTerms { protection_bp: Some(100), ..OrderTerms::default() };
    let events = desk.send_with(1, market(PERPETUAL, Side::Buy, 9), protected);
    assert_eq!(fills(&events).iter().map(|it| it.1).collect::<Vec<_>>(), [MARK, MARK + 1_200]);
    assert_eq!(closed(&events).last().map(|it| (it.1, it.2)), Some((CloseReason::Unfilled, 7)));
    let events = desk.accept(1, Command::Place { order: market(PERPETUAL, Side::Buy, 9) });
    assert_eq!(fills(&events).iter().map(|it| it.1).collect::<Vec<_>>(), [MARK + 6_000]);
    let fill = NewOrder { time_in_force: FOK, ..market(PERPETUAL, Side::Buy, 1) };
    assert_eq!(desk.refuse(1, Command::Place { order: fill }), RejectCode::CannotFill);
}

#[test]
fn protection_shortens_the_way_of_a_limit_order_and_nothing_rests_beyond_it() {
    let mut desk = banded();
    desk.place(2, PERPETUAL, Side::Sell, MARK + 10, 1);
    desk.place(2, PERPETUAL, Side::Sell, MARK + 100, 1);
    let protected = OrderTerms { protection_bp: Some(5), ..OrderTerms::default() };
    let order = NewOrder { time_in_force: IOC, ..limit(PERPETUAL, Side::Buy, MARK + 200, 2) };
    assert_eq!(fills(&desk.send_with(1, order, protected)).len(), 1);
    let order = limit(PERPETUAL, Side::Buy, MARK + 200, 2);
    assert_eq!(refuse_with(&mut desk, 1, order, protected), RejectCode::PriceBand);
}

#[test]
fn without_a_band_a_market_order_goes_as_far_as_the_book() {
    let mut desk = desk_with(NO_LIMITS);
    desk.place(2, PERPETUAL, Side::Sell, MARK * 3, 1);
    let events = desk.accept(1, Command::Place { order: market(PERPETUAL, Side::Buy, 1) });
    assert_eq!(fills(&events).len(), 1);
}

#[test]
fn sizes_of_orders_and_positions_are_bounded_in_coins() {
    // Two coins an order, three a position.
    let limits = LimitTerms { order_micros: 2_000_000, position_micros: 3_000_000, ..NO_LIMITS };
    let mut desk = desk_with(limits);
    assert_eq!(
        desk.refuse_order(1, LINEAR_PERPETUAL, Side::Buy, MARK, 2_001),
        RejectCode::SizeLimit
    );
    // 12,000 lots of 10 dollars are two coins at the mark.
    assert_eq!(desk.refuse_order(1, PERPETUAL, Side::Buy, MARK, 12_001), RejectCode::SizeLimit);
    desk.place(2, PERPETUAL, Side::Sell, MARK, 12_000);
    desk.place(1, PERPETUAL, Side::Buy, MARK, 12_000);
    let resting = desk.place(1, PERPETUAL, Side::Buy, MARK - 5, 6_000);
    assert_eq!(desk.refuse_order(1, PERPETUAL, Side::Buy, MARK - 5, 1), RejectCode::SizeLimit);
    assert_eq!(desk.refuse(1, amend(resting, None, 6_001)), RejectCode::SizeLimit);
    // The other side reduces first.
    desk.place(1, PERPETUAL, Side::Sell, MARK + 5, 12_000);
    assert_eq!(desk.refuse_order(1, CALL, Side::Buy, 100, 21), RejectCode::SizeLimit);
}

#[test]
fn open_orders_are_bounded_by_account_and_by_underlying_conditional_ones_too() {
    let mut desk = desk_with(LimitTerms { open_orders: 3, ..NO_LIMITS });
    let first = desk.place(1, PERPETUAL, Side::Buy, MARK - 5, 1);
    desk.place(1, CALL, Side::Buy, 5, 1);
    let trigger = Trigger { kind: TriggerKind::Stop, price: TriggerPrice::Mark, level: MARK + 100 };
    let conditional = OrderTerms { trigger: Some(trigger), ..OrderTerms::default() };
    let buy = limit(PERPETUAL, Side::Buy, MARK, 1);
    let waiting = place_with(&mut desk, 1, buy, conditional);
    assert_eq!(refuse_with(&mut desk, 1, buy, conditional), RejectCode::LimitReached);
    assert_eq!(desk.refuse_order(1, PERPETUAL, Side::Buy, MARK, 1), RejectCode::LimitReached);
    // What never rests is not bounded, and neither are others.
    desk.accept(1, Command::Place { order: market(PERPETUAL, Side::Buy, 1) });
    desk.place(2, PERPETUAL, Side::Buy, MARK - 5, 1);
    desk.accept(1, Command::Cancel { order: waiting });
    desk.place(1, PERPETUAL, Side::Buy, MARK - 5, 1);
    desk.accept(1, amend(first, MARK - 6, 2));
    let terms = VenueTerms { open_orders: 1, ..venue_terms() };
    desk.operator(Command::SetVenueTerms { terms: Box::new(terms) });
    assert_eq!(desk.refuse_order(2, SPOT, Side::Buy, MARK, 1), RejectCode::LimitReached);
    assert_restores(&desk);
}

#[test]
fn a_throttle_bounds_orders_and_amendments_within_a_second_and_comes_evenly() {
    let mut desk = desk_with(NO_LIMITS);
    let orders_per_second = Some(3);
    desk.operator(Command::SetThrottle { orders_per_second, ramp_ms: 0 });
    desk.wait(SECOND - desk.time.0 % SECOND);
    let order = desk.place(1, PERPETUAL, Side::Buy, MARK, 1);
    desk.accept(1, amend(order, MARK - 1, None));
    // What is refused for another reason was sent all the same.
    desk.refuse_order(1, PERPETUAL, Side::Buy, -1, 1);
    assert_eq!(desk.refuse_order(1, PERPETUAL, Side::Buy, MARK, 1), RejectCode::Throttled);
    assert_eq!(desk.refuse(1, amend(order, MARK, None)), RejectCode::Throttled);
    desk.accept(1, Command::Cancel { order });
    desk.place(2, PERPETUAL, Side::Buy, MARK, 1);
    desk.wait(SECOND);
    desk.place(1, PERPETUAL, Side::Buy, MARK, 1);
    assert_restores(&desk);
    let slow = Command::SetThrottle { orders_per_second: Some(0), ramp_ms: 0 };
    assert_eq!(desk.refuse(0, slow), RejectCode::OutOfBounds);
    let (orders_per_second, ramp_ms) = (Some(103), 10_000);
    let events = desk.operator(Command::SetThrottle { orders_per_second, ramp_ms });
    let told = events.iter().any(|event| {
        matches!(event, Event::ThrottleSet { from, until, .. }
        if until.0 - from.0 == 10 * SECOND)
    });
    assert!(told, "{events:?}");
    // Half of the way: 53.
    desk.wait(SECOND * 5 + SECOND - desk.time.0 % SECOND);
    let sent = (0..80).filter(|_| {
        let order = limit(PERPETUAL, Side::Buy, MARK, 1);
        let events = desk.send(1, Command::Place { order });
        !matches!(common::outcome(&events).kind, evenkeel_types::OutcomeKind::Rejected { .. })
    });
    let sent = sent.count();
    assert!((50..65).contains(&sent), "{sent}");
    desk.operator(Command::SetThrottle { orders_per_second: None, ramp_ms });
    desk.place(1, PERPETUAL, Side::Buy, MARK, 1);
}

#[test]
fn post_only_is_refused_or_slides_behind_the_best_opposite_price() {
    let mut desk = desk_with(NO_LIMITS);
    desk.place(2, PERPETUAL, Side::Sell, MARK + 3, 1);
    let order = NewOrder { post_only: true, ..limit(PERPETUAL, Side::Buy, MARK + 9, 2) };
    let refused = desk.refuse(1, Command::Place { order });
    assert_eq!(refused, RejectCode::WouldTrade);
    let slide = OrderTerms { slide: true, ..OrderTerms::default() };
    let events = desk.send_with(1, order, slide);
    let slid = order_of(&events);
    assert!(events.contains(&Event::OrderSlid { order: slid, price: Ticks(MARK + 2) }));
    assert_eq!(desk.best(PERPETUAL, Side::Buy), Some(MARK + 2));
    // It slides again when it is amended into the book.
    desk.accept(1, amend(slid, MARK + 50, 3));
    assert_eq!((desk.best(PERPETUAL, Side::Buy), open(&desk, slid)), (Some(MARK + 2), 3));
    // There is no price behind the lowest.
    desk.place(2, LINEAR_CALL, Side::Sell, 1, 1);
    let order = NewOrder { post_only: true, ..limit(LINEAR_CALL, Side::Buy, 5, 1) };
    assert_eq!(refuse_with(&mut desk, 1, order, slide), RejectCode::WouldTrade);
    let order = NewOrder { post_only: true, ..market(PERPETUAL, Side::Buy, 1) };
    assert_eq!(refuse_with(&mut desk, 1, order, slide), RejectCode::MarketMayNotRest);
}

#[test]
fn derivatives_need_an_underlying_and_the_venues_terms() {
    let mut desk = desk_with(NO_LIMITS);
    let mut orphan = common::margin::instruments().remove(1);
    orphan.id = evenkeel_types::InstrumentId(99);
    orphan.symbol = evenkeel_types::Symbol::new("ORPHAN").expect("a symbol");
    orphan.quote = common::margin::BTC;
    orphan.base = common::margin::USD;
    orphan.settlement = common::margin::USD;
    let instrument = orphan.id;
    desk.operator(Command::DefineInstrument { instrument: orphan });
    assert_eq!(desk.refuse_order(1, instrument, Side::Buy, MARK, 1), RejectCode::UnknownUnderlying);
    assert_eq!(BTC_USD, underlying().id);
    desk.open_account(30, Collateral::Unlimited);
    let fund = evenkeel_types::AccountId::FUND.0;
    assert_eq!(desk.refuse_order(fund, SPOT, Side::Buy, MARK, 1), RejectCode::FundOnly);
    assert_eq!(desk.refuse_order(0, SPOT, Side::Buy, MARK, 1), RejectCode::UnknownAccount);
}
