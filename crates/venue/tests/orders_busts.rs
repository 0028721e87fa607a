//! Trades that are taken back.

mod common;

use common::margin::{
    BTC, CALL, EXPIRY, LINEAR_CALL, LINEAR_PERPETUAL, MarginDesk, PERPETUAL, SECOND, SPOT, USD,
    underlying, usual_underlying, venue_terms,
};
use common::orders::{assert_conserved, assert_restores, limit, open, place_with, reduce_only};
use evenkeel_types::event::Booking;
use evenkeel_types::{
    AccountId, Command, CurrencyId, Event, InstrumentId, RejectCode, Side, TradeId,
};

const MARK: i64 = 120_000;

fn desk() -> MarginDesk {
    let mut terms = underlying();
    terms.fees = usual_underlying().fees;
    MarginDesk::open_with(terms, venue_terms())
}

/// 1 sells to 2; the trade's id.
fn trade(desk: &mut MarginDesk, instrument: InstrumentId, price: i64, lots: i64) -> TradeId {
    desk.place(1, instrument, Side::Sell, price, lots);
    let buy = limit(instrument, Side::Buy, price, lots);
    let events = desk.accept(2, Command::Place { order: buy });
    let trade = events.iter().find_map(|event| match event {
        Event::Traded { trade, .. } => Some(*trade),
        _ => None,
    });
    trade.expect("a trade")
}

fn bust(desk: &mut MarginDesk, trade: TradeId) -> Vec<Event> {
    desk.operator(Command::BustTrade { trade, code: 7 })
}

fn wealth(desk: &MarginDesk, currency: CurrencyId) -> Vec<i128> {
    [1, 2, AccountId::FUND.0].map(|account| desk.money(account, currency).0).to_vec()
}

#[test]
fn price_size_and_fees_are_undone_in_every_kind_of_instrument() {
    let cases = [
        (PERPETUAL, 110_000, 600, BTC),
        (LINEAR_PERPETUAL, 130_000, 40, USD),
        (CALL, 500, 10, BTC),
        (LINEAR_CALL, 5_000, 3, USD),
    ];
    for (instrument, price, lots, currency) in cases {
        let mut desk = desk();
        let before = (wealth(&desk, currency), desk.engine.conservation());
        let trade = trade(&mut desk, instrument, price, lots);
        assert_ne!(wealth(&desk, currency), before.0);
        let events = bust(&mut desk, trade);
        assert_eq!(events[0], Event::TradeBusted { trade, code: 7 });
        assert_eq!((desk.lots(1, instrument), desk.lots(2, instrument)), (0, 0));
        assert_eq!((wealth(&desk, currency), desk.engine.conservation()), before, "{instrument}");
        assert_restores(&desk);
    }
}

#[test]
fn the_coins_of_a_spot_trade_go_back_or_it_stands() {
    let mut desk = desk();
    for account in [3, 4] {
        desk.deposit(account, BTC, 100_000_000);
        desk.deposit(account, USD, 60_000_000_000);
    }
    let spot = |desk: &mut MarginDesk| {
        desk.place(3, SPOT, Side::Sell, MARK, 5_000);
        let events = desk.accept(4, Command::Place { order: limit(SPOT, Side::Buy, MARK, 5_000) });
        events.iter().find_map(|event| match event {
            Event::Traded { trade, .. } => Some(*trade),
            _ => None,
        })
    };
    let first = spot(&mut desk).expect("a trade");
    bust(&mut desk, first);
    assert_eq!((desk.money(3, BTC).0, desk.money(4, USD).0), (100_000_000, 60_000_000_000));
    let second = spot(&mut desk).expect("a trade");
    let (account, currency) = (AccountId(4), BTC);
    let amount = evenkeel_types::Money(150_000_000);
    desk.operator(Command::Withdraw { account, currency, amount });
    let refused = desk.refuse(0, Command::BustTrade { trade: second, code: 1 });
    assert_eq!(refused, RejectCode::InsufficientBalance);
    assert_conserved(&desk);
}

#[test]
fn a_trade_in_the_middle_of_a_position_leaves_the_others_and_money_adds_up() {
    let mut desk = desk();
    let trades: Vec<_> =
        [118_001, 119_003, 120_007].map(|price| trade(&mut desk, PERPETUAL, price, 333)).into();
    desk.place(2, PERPETUAL, Side::Sell, 121_001, 500);
    desk.place(1, PERPETUAL, Side::Buy, 121_001, 500);
    bust(&mut desk, trades[1]);
    assert_eq!((desk.lots(1, PERPETUAL), desk.lots(2, PERPETUAL)), (-166, 166));
    assert_conserved(&desk);
    bust(&mut desk, trades[2]);
    bust(&mut desk, trades[0]);
    assert_eq!((desk.lots(1, PERPETUAL), desk.lots(2, PERPETUAL)), (500, -500));
    assert_conserved(&desk);
    assert_restores(&desk);
}

#[test]
fn each_trade_once_and_only_recent_ones() {
    let mut desk = desk();
    let first = trade(&mut desk, PERPETUAL, MARK, 1);
    bust(&mut desk, first);
    let again = Command::BustTrade { trade: first, code: 1 };
    assert_eq!(desk.refuse(0, again.clone()), RejectCode::UnknownTrade);
    assert_eq!(desk.refuse(1, again), RejectCode::NotOperator);
    let never = Command::BustTrade { trade: TradeId(99), code: 1 };
    assert_eq!(desk.refuse(0, never), RejectCode::UnknownTrade);
    let old = trade(&mut desk, PERPETUAL, MARK, 1);
    desk.place(1, PERPETUAL, Side::Sell, MARK, 4_096);
    for _ in 0..4_095 {
        desk.place(2, PERPETUAL, Side::Buy, MARK, 1);
    }
    let mut last = desk.engine.clone();
    bust(&mut desk, old);
    std::mem::swap(&mut desk.engine, &mut last);
    desk.place(2, PERPETUAL, Side::Buy, MARK, 1);
    let too_old = Command::BustTrade { trade: old, code: 1 };
    assert_eq!(desk.refuse(0, too_old), RejectCode::UnknownTrade);
    assert_restores(&desk);
}

#[test]
fn a_settled_instruments_trades_stand() {
    let mut terms = underlying();
    terms.settlement.window_ms = 60_000;
    terms.settlement.min_samples = 1;
    let mut desk = MarginDesk::open_with(terms, venue_terms());
    let trade = trade(&mut desk, CALL, 500, 10);
    desk.time.0 = EXPIRY.0 - 10 * SECOND;
    desk.feed(60_000, 60);
    desk.time.0 = EXPIRY.0 + 1;
    desk.index(common::margin::dollars(60_000));
    desk.wait(4 * SECOND);
    desk.index(common::margin::dollars(60_000));
    assert_eq!(desk.refuse(0, Command::BustTrade { trade, code: 1 }), RejectCode::Expired);
}

#[test]
fn reduce_only_orders_are_cut_to_what_a_bust_leaves() {
    let mut desk = desk();
    trade(&mut desk, PERPETUAL, MARK, 6);
    let second = trade(&mut desk, PERPETUAL, MARK, 4);
    let resting =
        place_with(&mut desk, 2, limit(PERPETUAL, Side::Sell, MARK + 9, 10), reduce_only());
    bust(&mut desk, second);
    assert_eq!(open(&desk, resting), 6);
}

#[test]
fn the_fund_gives_its_part_back_as_far_as_it_reaches() {
    let mut desk = desk();
    let trade = trade(&mut desk, PERPETUAL, MARK, 600);
    let events = bust(&mut desk, trade);
    let given: i128 = events
        .iter()
        .map(|event| match event {
            Event::Booked { account, amount, why: Booking::Bust, .. }
                if *account == AccountId::FUND =>
            {
                amount.0
            }
            _ => 0,
        })
        .sum();
    assert_eq!(given, -500);
}
