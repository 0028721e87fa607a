//! Liquidation: when it begins, what each round takes, when it waits, when it ends.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC, COIN, DOLLAR, FUTURE, LINEAR_FUTURE, LINEAR_PERPETUAL, MarginDesk, SECOND, USD,
    underlying, venue_terms,
};
use evenkeel_types::event::{Booking, MarginFigures, WaterfallStep};
use evenkeel_types::terms::MarginModel;
use evenkeel_types::{
    AccountId, CloseReason, Collateral, Command, Event, InstrumentId, Lots, Mode, RejectCode, Side,
    Term, Ticks,
};

/// A step as an event tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    step: WaterfallStep,
    round: u32,
    instrument: Option<InstrumentId>,
    lots: i64,
    price: Option<Ticks>,
    figures: MarginFigures,
}

fn steps(events: &[Event], of: u64) -> Vec<Step> {
    let found = events.iter().filter_map(|event| match *event {
        Event::Liquidation { account, round, step, instrument, lots, price, figures }
            if account == AccountId(of) =>
        {
            Some(Step { step, round, instrument, lots: lots.0, price, figures })
        }
        _ => None,
    });
    found.collect()
}

fn kinds(events: &[Event], of: u64) -> Vec<WaterfallStep> {
    steps(events, of).into_iter().map(|it| it.step).collect()
}

fn conserved(desk: &mut MarginDesk) {
    for money in desk.engine.conservation() {
        assert_eq!(money.difference(), 0, "{money:?}");
    }
    assert!(desk.engine.running_sums_hold());
    desk.engine.verify_margins().expect("kept margin is full margin");
}

/// Account 3 has bought ten coins at 60,000 with 20,000 dollars; account 1 makes the market.
fn desk() -> MarginDesk {
    let mut desk = MarginDesk::open_with(underlying(), venue_terms());
    desk.deposit(3, USD, 20_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 10_000);
    desk
}

/// All sources say a price; an entry later it was acted upon.
fn fall_to(desk: &mut MarginDesk, price: i64) -> Vec<Event> {
    desk.wait(SECOND);
    let mut events = desk.feed(price, 60);
    events.extend(desk.tick());
    conserved(desk);
    events
}

#[test]
fn an_account_at_maintenance_is_left_alone_and_below_it_is_not() {
    let mut desk = desk();
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_000, 100_000);
    // Ten coins at 58,620: 6,200 dollars left, 6,155.1 needed. At 58,600: 6,000 and 6,153.
    assert_eq!(kinds(&fall_to(&mut desk, 58_620), 3), []);
    let events = fall_to(&mut desk, 58_600);
    assert_eq!(kinds(&events, 3)[0], WaterfallStep::Began);
}

#[test]
fn a_round_trades_the_fewest_lots_that_restore_maintenance() {
    let mut desk = desk();
    let own = desk.place(3, LINEAR_PERPETUAL, Side::Sell, 130_000, 1);
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_200, 100_000);
    let events = fall_to(&mut desk, 58_600);
    use WaterfallStep::{Began, Recovered, Reduced};
    assert_eq!(kinds(&events, 3), [Began, Reduced, Recovered]);
    let closed = Event::OrderClosed { order: own, reason: CloseReason::Liquidation, open: Lots(1) };
    assert!(events.contains(&closed));
    let all = steps(&events, 3);
    let reduced = all[1];
    assert_eq!((reduced.instrument, reduced.price), (Some(LINEAR_PERPETUAL), Some(Ticks(117_200))));
    // x coins less: 6,000 − 293·x ≥ 58,600·(10 − x)·(1 % + 0.005 %·(10 − x)), so x = 0.4367…
    assert_eq!(reduced.lots, -437);
    assert!(reduced.figures.above_maintenance.0 >= 0);
    // One lot less would not have been enough.
    assert!(reduced.figures.above_maintenance.0 < DOLLAR / 2);
    assert_eq!(desk.lots(3, LINEAR_PERPETUAL), 10_000 - 437);
    // 0.5 % of 0.437 coins to the fund.
    let fee = 437 * 58_600 * DOLLAR / 1_000 / 200;
    assert_eq!(desk.money(AccountId::FUND.0, USD).0, fee);
    let paid = events.iter().any(|event| {
        matches!(*event, Event::Booked {
        account: AccountId(3), amount, why: Booking::LiquidationFee, .. } if amount.0 == -fee)
    });
    assert!(paid);
}

#[test]
fn rounds_come_one_an_interval_and_what_the_book_lacks_waits_for_the_next() {
    let mut desk = desk();
    // A tenth of a coin at a time.
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_200, 100);
    let events = fall_to(&mut desk, 58_600);
    assert_eq!(kinds(&events, 3), [WaterfallStep::Began, WaterfallStep::Reduced]);
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_200, 100_000);
    desk.wait(SECOND / 2);
    assert_eq!(kinds(&desk.feed(58_600, 60), 3), []);
    desk.wait(SECOND / 2);
    let events = desk.tick();
    assert_eq!(kinds(&events, 3), [WaterfallStep::Reduced, WaterfallStep::Recovered]);
    assert_eq!(steps(&events, 3)[0].round, 2);
    conserved(&mut desk);
}

#[test]
fn nothing_trades_further_from_the_mark_than_the_band() {
    let mut desk = desk();
    // 3 % below 58,600 is 56,842.
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 113_683, 100_000);
    let events = fall_to(&mut desk, 58_600);
    assert_eq!(kinds(&events, 3), [WaterfallStep::Began, WaterfallStep::NoLiquidity]);
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 113_684, 100_000);
    let events = fall_to(&mut desk, 58_600);
    assert_eq!(kinds(&events, 3)[0], WaterfallStep::Reduced);
}

#[test]
fn a_hedge_is_left_and_the_naked_side_goes() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 60_000 * DOLLAR);
    desk.set_model(3, MarginModel::Portfolio);
    // Long 4, short 2 of a future: the short leg is a hedge, closing it would raise the margin.
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 4_000);
    desk.trade(1, 3, LINEAR_FUTURE, 120_000, 2_000);
    assert_eq!(kinds(&fall_to(&mut desk, 36_500), 3), []);
    for instrument in [LINEAR_PERPETUAL, LINEAR_FUTURE] {
        desk.place(1, instrument, Side::Buy, 67_900, 100_000);
        desk.place(1, instrument, Side::Sell, 70_000, 100_000);
    }
    let events = fall_to(&mut desk, 34_000);
    let all = steps(&events, 3);
    assert_eq!(all[0].step, WaterfallStep::Began, "{all:?}");
    let reduced: Vec<_> = all.iter().filter(|it| it.step == WaterfallStep::Reduced).collect();
    assert!(!reduced.is_empty());
    assert!(reduced.iter().all(|it| it.instrument == Some(LINEAR_PERPETUAL) && it.lots < 0));
}

#[test]
fn stale_prices_liquidate_nobody_and_that_is_said_once() {
    let mut desk = desk();
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_200, 10);
    let events = fall_to(&mut desk, 58_600);
    assert_eq!(kinds(&events, 3), [WaterfallStep::Began, WaterfallStep::Reduced]);
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_200, 100_000);
    // The feed is silent for longer than the bound.
    let mut events = Vec::new();
    for _ in 0..8 {
        desk.wait(SECOND);
        events.extend(desk.tick());
    }
    use WaterfallStep::{Recovered, Reduced, WaitsForPrices};
    let told = kinds(&events, 3);
    // Until the price was five seconds old rounds went on.
    assert_eq!(told, [Reduced, Recovered], "{told:?}");
    conserved(&mut desk);

    let mut desk = self::desk();
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_200, 10);
    fall_to(&mut desk, 58_600);
    let mut events = Vec::new();
    for _ in 0..20 {
        desk.wait(SECOND);
        events.extend(desk.tick());
    }
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_200, 100_000);
    desk.operator(Command::Resume { term: Term(2) });
    for _ in 0..20 {
        desk.wait(SECOND);
        events.extend(desk.tick());
    }
    assert_eq!(kinds(&events, 3).last(), Some(&WaitsForPrices), "{:?}", kinds(&events, 3));
    let told = kinds(&events, 3);
    assert_eq!(told.iter().filter(|it| **it == WaitsForPrices).count(), 1, "{told:?}");
    assert!(!told.contains(&Reduced) && !told.contains(&Recovered));
    // Looked at again within an interval of the first fresh prices.
    let mut events = fall_to(&mut desk, 58_600);
    events.extend(fall_to(&mut desk, 58_600));
    assert_eq!(kinds(&events, 3), [Reduced, Recovered]);
}

#[test]
fn a_halted_venue_trades_nothing_away_and_takes_nothing_over() {
    let mut desk = desk();
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_200, 100_000);
    desk.operator(Command::SetMode { mode: Mode::Halted, cause: 1 });
    let mut events = Vec::new();
    for _ in 0..15 {
        events.extend(fall_to(&mut desk, 50_000));
    }
    assert_eq!(desk.lots(3, LINEAR_PERPETUAL), 10_000);
    assert!(!kinds(&events, 3).contains(&WaterfallStep::TakenOver));
}

#[test]
fn an_account_in_liquidation_opens_nothing_and_takes_nothing_out() {
    let mut desk = desk();
    fall_to(&mut desk, 58_600);
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Sell, 117_000, 1);
    assert_eq!(code, RejectCode::InLiquidation);
    let view: Vec<_> = desk.engine.liquidations().collect();
    assert_eq!(view.len(), 1);
    assert_eq!((view[0].account, view[0].round, view[0].idle_rounds), (AccountId(3), 1, 1));
    assert!(view[0].figures.above_maintenance.0 < 0);
}

#[test]
fn accounts_without_limits_and_the_fund_are_never_liquidated() {
    let mut desk = desk();
    desk.open_account(9, Collateral::Unlimited);
    desk.trade(9, 1, FUTURE, 120_000, 1_000_000);
    let mut events = Vec::new();
    for price in [50_000, 30_000, 10_000] {
        events.extend(fall_to(&mut desk, price));
    }
    assert_eq!(kinds(&events, 9), []);
    assert_eq!(kinds(&events, 1), []);
    assert_eq!(kinds(&events, AccountId::FUND.0), []);
}

#[test]
fn coins_cover_a_loss_in_dollars_less_their_haircut() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, BTC, COIN);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 10_000);
    // At 56,000 a coin counts 50,400; 40,000 are lost, 5,880 needed: enough.
    assert_eq!(kinds(&fall_to(&mut desk, 56_000), 3), []);
    // At 55,000: 49,500 less 50,000.
    let events = fall_to(&mut desk, 55_000);
    assert_eq!(kinds(&events, 3)[0], WaterfallStep::Began);
}

#[test]
fn a_restored_engine_goes_on_with_the_round_that_is_next() {
    let mut desk = desk();
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_200, 50);
    fall_to(&mut desk, 58_600);
    let mut restored = desk.restored();
    let from = desk.entries.len();
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_100, 200);
    for _ in 0..4 {
        fall_to(&mut desk, 58_590);
    }
    let mut events = Vec::new();
    for entry in &desk.entries[from..] {
        restored.apply(entry, &mut events);
    }
    assert!(kinds(&events, 3).contains(&WaterfallStep::Reduced));
    assert_eq!(restored.output_digest(), desk.engine.output_digest());
    assert_eq!(restored.state_root(), desk.engine.state_root());
}
