//! Standard margin: what positions and orders must be covered by.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC, CALL, COIN, DOLLAR, FUTURE, LINEAR_CALL, LINEAR_PERPETUAL, MarginDesk, PERPETUAL, PUT,
    SECOND, SPOT, USD, new_order, underlying, venue_terms,
};
use evenkeel_types::conditional::OrderTerms;
use evenkeel_types::terms::{MarginModel, VenueTerms};
use evenkeel_types::{AccountId, Collateral, Command, Money, RejectCode, Side, Term, UnderlyingId};
use evenkeel_venue::{AccountMargin, CurrencyMargin};

fn margin(desk: &MarginDesk, account: u64) -> AccountMargin {
    desk.engine.margin(AccountId(account)).expect("exists")
}

fn of(desk: &MarginDesk, account: u64, currency: evenkeel_types::CurrencyId) -> CurrencyMargin {
    let margin = margin(desk, account);
    *margin.currencies.iter().find(|it| it.currency == currency).expect("has it")
}

#[test]
fn options_are_marked_by_black_76_on_the_smile() {
    let desk = MarginDesk::open();
    // At the money, 30 days, 60 %: 2·Φ(σ√T/2) − 1 = 0.06854
    assert_eq!(desk.mark(CALL), Some(685));
    assert_eq!(desk.mark(PUT), Some(685));
    assert_eq!(desk.mark(LINEAR_CALL), Some(4_112));
}

#[test]
fn a_linear_position_needs_two_percent_and_a_slope() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 20_000 * DOLLAR);
    // Ten coins at 60,000.
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 10_000);
    let it = of(&desk, 3, USD);
    let value = 600_000 * DOLLAR;
    assert_eq!(it.initial.0, value * 2 / 100 + value * 10 * 5 / 100_000);
    assert_eq!(it.maintenance.0, value / 100 + value * 10 * 5 / 100_000);
    assert_eq!(it.margin_balance.0, 20_000 * DOLLAR);
    desk.feed(59_000, 60);
    let it = of(&desk, 3, USD);
    assert_eq!(it.margin_balance.0, 10_000 * DOLLAR, "a thousand a coin is lost");
    let figures = margin(&desk, 3).figures;
    assert_eq!(figures.above_maintenance.0, 10_000 * DOLLAR - it.maintenance.0);
    desk.engine.verify_margins().expect("kept as computed");
}

#[test]
fn an_order_that_margin_does_not_cover_is_refused_and_one_lot_less_is_not() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 10_000 * DOLLAR);
    // value·(2 % + 0.005 % per coin) = 10,000 at 8.174… coins.
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 8_175);
    assert_eq!(code, RejectCode::InsufficientMargin);
    desk.place(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 8_165);
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 10);
    assert_eq!(code, RejectCode::InsufficientMargin, "resting orders count");
    desk.place(3, LINEAR_PERPETUAL, Side::Sell, 121_000, 8_165);
    desk.engine.verify_margins().expect("kept as computed");
}

#[test]
fn what_only_brings_a_position_closer_to_zero_needs_no_margin() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 10_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 8_000);
    desk.feed(59_500, 60);
    assert!(margin(&desk, 3).figures.above_initial.0 < 0);
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 119_000, 1);
    assert_eq!(code, RejectCode::InsufficientMargin);
    let resting = desk.place(3, LINEAR_PERPETUAL, Side::Sell, 120_000, 8_000);
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Sell, 120_000, 9_000);
    assert_eq!(code, RejectCode::InsufficientMargin, "both would turn it into a larger short");
    desk.accept(3, Command::Cancel { order: resting });
    desk.place(3, LINEAR_PERPETUAL, Side::Sell, 120_000, 8_000);
}

#[test]
fn a_closing_order_left_behind_by_another_fill_is_covered_from_then_on() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 30_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 8_000);
    desk.place(3, LINEAR_PERPETUAL, Side::Sell, 122_000, 8_000);
    let before = of(&desk, 3, USD).initial;
    desk.trade(1, 3, LINEAR_PERPETUAL, 120_000, 8_000);
    assert_eq!(desk.lots(3, LINEAR_PERPETUAL), 0);
    let after = of(&desk, 3, USD);
    assert_eq!(after.initial, before, "the resting sell would open as much as was closed");
    assert_eq!(after.maintenance, Money(0));
}

#[test]
fn a_bad_price_must_be_covered_beyond_the_rate() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 2_000 * DOLLAR);
    desk.place(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 1_000);
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 2_000 * DOLLAR);
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 124_000, 1_000);
    assert_eq!(code, RejectCode::InsufficientMargin, "two thousand are lost at once");
}

#[test]
fn a_short_option_needs_its_mark_and_a_share_of_the_coin() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, BTC, COIN);
    // One coin, sold at its mark of 0.0685.
    desk.trade(1, 3, CALL, 685, 10);
    let it = of(&desk, 3, BTC);
    assert_eq!(it.margin_balance.0, COIN + 6_850_000, "the premium came in");
    assert_eq!(it.initial.0, 15_000_000 + 6_850_000);
    assert_eq!(it.maintenance.0, 7_500_000 + 6_850_000);
    desk.deposit(4, BTC, COIN);
    desk.trade(4, 1, CALL, 685, 10);
    let it = of(&desk, 4, BTC);
    assert_eq!(it.margin_balance.0, COIN - 6_850_000, "a long option was paid for");
    assert_eq!((it.initial.0, it.maintenance.0), (0, 0));
    desk.engine.verify_margins().expect("kept as computed");
}

#[test]
fn a_bought_option_reserves_its_premium_until_it_fills() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, BTC, COIN / 10);
    let order = desk.place(3, CALL, Side::Buy, 500, 10);
    assert_eq!(desk.money(3, BTC), (COIN / 10, 5_000_000));
    assert_eq!(of(&desk, 3, BTC).reserved.0, 5_000_000);
    let code = desk.refuse_order(3, CALL, Side::Buy, 500, 20);
    assert_eq!(code, RejectCode::InsufficientMargin);
    desk.accept(3, Command::Cancel { order });
    assert_eq!(desk.money(3, BTC), (COIN / 10, 0));
}

#[test]
fn surpluses_count_less_their_haircut_and_needs_in_full() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, BTC, COIN);
    // A dollar position on coin: 60,000 less a tenth.
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 1_000);
    let needed = of(&desk, 3, USD);
    let figures = margin(&desk, 3).figures;
    assert_eq!(figures.above_initial.0, 54_000 * DOLLAR - needed.initial.0);
    assert_eq!(figures.above_maintenance.0, 54_000 * DOLLAR - needed.maintenance.0);
    // A coin position on dollars: the need counts in full.
    desk.deposit(4, USD, 5_000 * DOLLAR);
    desk.trade(4, 1, PERPETUAL, 120_000, 600);
    let needed = of(&desk, 4, BTC);
    let figures = margin(&desk, 4).figures;
    let in_dollars = |coins: Money| coins.0 * 60_000 * DOLLAR / COIN;
    assert_eq!(figures.above_initial.0, 5_000 * DOLLAR - in_dollars(needed.initial));
}

#[test]
fn a_currency_without_a_haircut_counts_only_for_its_own_needs() {
    let terms = VenueTerms { haircuts: Vec::new(), ..venue_terms() };
    let mut desk = MarginDesk::open_with(underlying(), terms);
    desk.deposit(3, BTC, COIN);
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 1);
    assert_eq!(code, RejectCode::InsufficientMargin);
    desk.place(3, PERPETUAL, Side::Buy, 120_000, 600);
}

#[test]
fn without_fresh_prices_nothing_that_needs_margin_is_taken() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 20_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 1_000);
    desk.wait(60 * SECOND);
    let code = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 1);
    assert_eq!(code, RejectCode::PricesNotFresh);
    assert!(!margin(&desk, 3).is_fresh);
    desk.place(3, LINEAR_PERPETUAL, Side::Sell, 120_000, 1_000);
    desk.operator(Command::Resume { term: Term(2) });
    assert_eq!(margin(&desk, 3).priced, None);
    let order = new_order(LINEAR_PERPETUAL, Side::Sell, 120_000, 1);
    let terms = OrderTerms { reduce_only: true, ..OrderTerms::default() };
    let _ = desk.send(3, Command::PlaceWith { order, terms });
    desk.feed(60_000, 60);
    desk.place(3, LINEAR_PERPETUAL, Side::Buy, 119_000, 1);
    desk.engine.verify_margins().expect("kept as computed");
}

#[test]
fn an_instrument_without_an_underlying_takes_no_orders_of_derivatives() {
    let mut desk = MarginDesk::open();
    let mut other = underlying();
    other.id = UnderlyingId(7);
    let mut orphan = common::margin::instruments().remove(3);
    orphan.id = evenkeel_types::InstrumentId(99);
    orphan.symbol = evenkeel_types::Symbol::new("ORPHAN").expect("a symbol");
    (orphan.base, orphan.quote) = (USD, BTC);
    orphan.settlement = BTC;
    desk.operator(Command::DefineInstrument { instrument: orphan.clone() });
    desk.deposit(3, USD, 20_000 * DOLLAR);
    let code = desk.refuse_order(3, orphan.id, Side::Buy, 1, 1);
    assert_eq!(code, RejectCode::UnknownUnderlying);
}

#[test]
fn spot_is_paid_from_the_balance_and_must_leave_margin_met() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 20_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 10_000);
    // 12,300 are initial margin; a fifth of a coin costs 12,000.
    let code = desk.refuse_order(3, SPOT, Side::Buy, 120_000, 2_000);
    assert_eq!(code, RejectCode::InsufficientMargin);
    desk.place(3, SPOT, Side::Buy, 60_000, 500);
    let code = desk.refuse_order(3, SPOT, Side::Buy, 120_000, 20_000);
    assert_eq!(code, RejectCode::InsufficientBalance);
}

#[test]
fn a_margin_factor_is_reached_evenly_and_scales_what_is_needed() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 50_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 10_000);
    let before = of(&desk, 3, USD);
    let lever = |factor_bp, ramp_ms| Command::SetMarginFactor {
        underlying: common::margin::BTC_USD,
        factor_bp,
        ramp_ms,
    };
    assert_eq!(desk.refuse(0, lever(9_999, 0)), RejectCode::OutOfBounds);
    assert_eq!(desk.refuse(0, lever(30_001, 0)), RejectCode::OutOfBounds);
    assert_eq!(desk.refuse(0, lever(20_000, 8 * 86_400_000)), RejectCode::OutOfBounds);
    desk.operator(lever(20_000, 4_000));
    desk.wait(2 * SECOND - 1);
    desk.tick();
    let half = of(&desk, 3, USD);
    assert_eq!(half.initial.0, before.initial.0 * 3 / 2);
    desk.wait(60 * SECOND);
    desk.tick();
    let whole = of(&desk, 3, USD);
    assert_eq!(
        (whole.initial.0, whole.maintenance.0),
        (before.initial.0 * 2, before.maintenance.0 * 2)
    );
    desk.engine.verify_margins().expect("kept as computed");
}

#[test]
fn unlimited_accounts_are_not_asked_for_margin() {
    let mut desk = MarginDesk::open();
    desk.open_account(9, Collateral::Unlimited);
    desk.place(9, FUTURE, Side::Buy, 120_000, 1_000_000);
    desk.place(9, CALL, Side::Sell, 686, 1_000);
}

#[test]
fn a_model_is_refused_to_whom_would_not_meet_its_margin() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 13_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 10_000);
    let portfolio =
        Command::SetMarginModel { account: AccountId(3), model: MarginModel::Portfolio };
    assert_eq!(desk.refuse(0, portfolio.clone()), RejectCode::InsufficientMargin);
    assert_eq!(desk.engine.margin_model(AccountId(3)), Some(MarginModel::Standard));
    desk.deposit(3, USD, 200_000 * DOLLAR);
    desk.operator(portfolio);
    desk.engine.verify_margins().expect("kept as computed");
    let worst = of(&desk, 3, USD);
    // A fall of 16 %, and a hundredth for the roll.
    assert_eq!(worst.initial.0, 600_000 * DOLLAR * 17 / 100);
    assert_eq!(worst.maintenance.0, worst.initial.0 * 8 / 10);
    desk.place(3, LINEAR_PERPETUAL, Side::Buy, 119_000, 100);
}
