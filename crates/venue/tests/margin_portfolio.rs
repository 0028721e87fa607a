//! Portfolio margin: what a whole portfolio must be covered by, and where it comes from.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC, BTC_USD, CALL, COIN, DOLLAR, HIGH_CALL, LINEAR_CALL, LINEAR_PERPETUAL, LINEAR_PUT,
    LOW_PUT, MarginDesk, PERPETUAL, PUT, SECOND, USD,
};
use evenkeel_types::terms::MarginModel;
use evenkeel_types::{AccountId, Command, CurrencyId, Money, RejectCode, Side};
use evenkeel_venue::{CurrencyMargin, MarginReport};

/// A coin in parts of 10^18.
const ATTO: i128 = 1_000_000_000_000_000_000;

/// Account 3 under portfolio margin, with coins and dollars.
fn desk() -> MarginDesk {
    let mut desk = MarginDesk::open();
    desk.set_model(3, MarginModel::Portfolio);
    desk.deposit(3, BTC, 10 * COIN);
    desk.deposit(3, USD, 500_000 * DOLLAR);
    desk
}

fn of(desk: &MarginDesk, account: u64, currency: CurrencyId) -> CurrencyMargin {
    let margin = desk.engine.margin(AccountId(account)).expect("exists");
    *margin.currencies.iter().find(|it| it.currency == currency).expect("has it")
}

fn report(desk: &MarginDesk, account: u64) -> MarginReport {
    desk.engine.margin_report(AccountId(account)).expect("exists")
}

#[test]
fn a_future_in_coin_loses_most_when_the_price_falls() {
    let mut desk = desk();
    // One coin at 60,000.
    desk.trade(3, 1, PERPETUAL, 120_000, 6_000);
    let it = of(&desk, 3, BTC);
    // 1/0.84 − 1 = 0.190476…, and a hundredth for the roll.
    let worst = 20_047_620;
    assert_eq!(it.initial, Money(worst));
    assert_eq!(it.maintenance, Money(16_038_096));
}

#[test]
fn a_hedge_lowers_the_requirement_and_a_naked_position_raises_it() {
    let mut desk = desk();
    desk.trade(1, 3, CALL, 685, 10);
    let naked = of(&desk, 3, BTC).initial.0;
    desk.trade(3, 1, HIGH_CALL, 260, 10);
    let spread = of(&desk, 3, BTC).initial.0;
    assert!(spread * 2 < naked, "{spread} against {naked}");
    desk.trade(1, 3, PUT, 685, 10);
    let with_put = of(&desk, 3, BTC).initial.0;
    assert!(with_put > spread, "{with_put}");
    desk.engine.verify_margins().expect("kept as computed");
}

#[test]
fn a_conversion_needs_only_its_contingencies() {
    let mut desk = desk();
    // Short call, long put, long future: whatever the price does, nothing is won or lost.
    desk.trade(1, 3, LINEAR_CALL, 4_112, 100);
    desk.trade(3, 1, LINEAR_PUT, 4_112, 100);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 1_000);
    let report = report(&desk, 3);
    let group = report.groups.iter().find(|it| it.currency == USD).expect("has it");
    let matrix = group.portfolio.as_ref().expect("a portfolio").matrix;
    assert!(matrix.worst_case < ATTO / 100, "less than a cent: {matrix:?}");
    assert!(matrix.roll_shock > 0, "perpetual and options expire apart");
    assert!(group.greeks.delta.abs() < ATTO / 1_000_000, "{:?}", group.greeks);
}

#[test]
fn options_count_for_what_they_are_worth() {
    let mut desk = desk();
    desk.trade(3, 1, CALL, 685, 10);
    let it = of(&desk, 3, BTC);
    assert_eq!(it.margin_balance.0, 10 * COIN, "paid for and counted at the same price");
    assert!(it.initial.0 <= 6_850_000 + COIN / 100, "no more than it cost: {it:?}");
}

#[test]
fn the_report_adds_up_to_the_last_digit() {
    let mut desk = desk();
    desk.trade(1, 3, CALL, 685, 17);
    desk.trade(1, 3, LOW_PUT, 90, 31);
    desk.trade(3, 1, PERPETUAL, 120_000, 777);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 1_234);
    desk.trade(1, 3, LINEAR_CALL, 4_112, 321);
    desk.place(3, CALL, Side::Sell, 700, 5);
    desk.place(3, LINEAR_PERPETUAL, Side::Buy, 119_000, 99);
    desk.operator(Command::SetMarginFactor { underlying: BTC_USD, factor_bp: 13_337, ramp_ms: 0 });
    desk.wait(SECOND);
    desk.feed(58_000, 71);
    let report = report(&desk, 3);
    assert_eq!(report.groups.len(), 2);
    for group in &report.groups {
        let parts = group.portfolio.as_ref().expect("a portfolio");
        for (at, total) in parts.totals.iter().enumerate() {
            let sum: i128 = parts.legs.iter().map(|leg| leg.contributions[at]).sum();
            assert_eq!(sum, *total);
            assert_eq!(total + parts.adjustments[at], parts.aggregated[at]);
        }
        let worst = parts.aggregated[parts.matrix.worst_index].min(0);
        assert_eq!(parts.matrix.worst_case, -worst);
        let matrix = parts.matrix;
        let sum = matrix.worst_case + matrix.delta_shock + matrix.roll_shock;
        assert_eq!(parts.risk_matrix, sum + matrix.correlation_contingency);
        assert_eq!(group.initial_atto, parts.risk_matrix);
        assert_eq!(parts.initial, group.initial_atto + group.orders_atto);
        assert_eq!(parts.maintenance, group.maintenance_atto);
        assert!(group.orders_atto > 0);
        let value: i128 = group.legs.iter().map(|leg| leg.value.0).sum();
        assert_eq!(group.value.0, value);
        let delta: i128 = group.legs.iter().map(|leg| leg.greeks.delta).sum();
        assert_eq!(group.greeks.delta, delta);
        let scaled = |atto: i128| (atto * 13_337 + 9_999) / 10_000;
        let scale = if group.currency == BTC { ATTO / COIN } else { ATTO / DOLLAR };
        let units = |atto: i128| (atto + scale - 1) / scale;
        let initial = units(scaled(group.initial_atto) + scaled(group.orders_atto));
        assert_eq!(group.initial.0, initial);
        assert_eq!(group.maintenance.0, units(scaled(group.maintenance_atto)));
    }
    let mut above = (0, 0);
    for it in &report.currencies {
        let group = report.groups.iter().find(|group| group.currency == it.margin.currency);
        let group = group.expect("both have positions");
        assert_eq!(it.margin.margin_balance.0, it.balance.0 + group.value.0);
        assert_eq!((it.margin.initial, it.margin.maintenance), (group.initial, group.maintenance));
        above.0 += it.counted_initial.expect("an index").0;
        above.1 += it.counted_maintenance.expect("an index").0;
    }
    let figures = report.margin.figures;
    assert_eq!((figures.above_initial.0, figures.above_maintenance.0), above);
    assert_eq!(desk.engine.margin(AccountId(3)), Some(report.margin));
}

#[test]
fn an_order_is_covered_in_the_scenario_that_it_makes_worst() {
    let mut desk = MarginDesk::open();
    desk.set_model(3, MarginModel::Portfolio);
    desk.deposit(3, USD, 10_000 * DOLLAR);
    // 17 % of 60,000 are 10,200.
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 1_000);
    assert_eq!(code, RejectCode::InsufficientMargin);
    desk.place(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 900);
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 100);
    assert_eq!(code, RejectCode::InsufficientMargin, "what rests may fill as well");
    desk.place(3, LINEAR_PERPETUAL, Side::Sell, 121_000, 900);
    desk.engine.verify_margins().expect("kept as computed");
    desk.place(1, LINEAR_PERPETUAL, Side::Sell, 120_000, 900);
    assert_eq!(desk.lots(3, LINEAR_PERPETUAL), 900);
    let margin = desk.engine.margin(AccountId(3)).expect("exists");
    assert!(margin.figures.above_initial.0 >= 0, "a fill at the limit leaves it met: {margin:?}");
    desk.engine.verify_margins().expect("kept as computed");
}

#[test]
fn net_greeks_are_those_of_the_book() {
    let mut desk = desk();
    desk.trade(3, 1, CALL, 685, 10);
    desk.trade(3, 1, PUT, 685, 10);
    let greeks = desk.engine.net_greeks(AccountId(3)).expect("exists");
    let [(underlying, straddle)] = greeks.as_slice() else {
        panic!("one underlying: {greeks:?}");
    };
    assert_eq!(*underlying, BTC_USD);
    // 2·Φ(σ√T/2) − 1 for the pair of one coin.
    assert!((straddle.delta - 68_539_000_000_000_000).abs() < 10_000_000_000_000, "{straddle:?}");
    assert!(straddle.gamma > 0 && straddle.vega > 0 && straddle.theta < 0, "{straddle:?}");
}
