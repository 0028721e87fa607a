//! Money, positions and marks, with figures worked out by hand.

mod common;

use common::{
    BTC, DYING_AT, DYING_FUTURE, Desk, INVERSE_OPTION, INVERSE_PERPETUAL, LINEAR_FUTURE,
    LINEAR_OPTION, SPOT, USD, currency, decimal, instruments, limit, place,
};
use evenkeel_types::{
    AccountId, Collateral, Command, CurrencyId, Instrument, InstrumentId, InstrumentKind, Lots,
    Money, RejectCode, Side, Style, Symbol, Term, Ticks, TimeInForce,
};

/// Account 1 buys from account 2.
fn trade(desk: &mut Desk, instrument: InstrumentId, price: i64, lots: i64) {
    desk.accept(2, limit(instrument, Side::Sell, price, lots));
    desk.accept(1, limit(instrument, Side::Buy, price, lots));
}

fn mark(desk: &mut Desk, instrument: InstrumentId, mark: i64) {
    let mark = Ticks(mark);
    desk.operator(Command::SetMark { instrument, mark });
}

#[test]
fn spot_moves_both_legs() {
    let mut desk = Desk::open();
    // 10 lots of 0.0001 BTC at 120,000 ticks of 0.5 USD: 0.001 BTC for 60.00 USD.
    trade(&mut desk, SPOT, 120_000, 10);
    assert_eq!(desk.money(1, BTC), (100_000, 0));
    assert_eq!(desk.money(1, USD), (-6_000, 0));
    assert_eq!(desk.money(2, BTC), (-100_000, 0));
    assert_eq!(desk.money(2, USD), (6_000, 0));
    assert_eq!(desk.position(1, SPOT), (0, 0, 0));
}

#[test]
fn spot_orders_reserve_what_they_give_away_and_cancelling_frees_it() {
    let mut desk = Desk::open();
    desk.deposit(3, USD, 6_000);
    desk.deposit(3, BTC, 100_000);
    desk.accept(3, limit(SPOT, Side::Buy, 120_000, 10));
    assert_eq!(desk.money(3, USD), (6_000, 6_000));
    let more = limit(SPOT, Side::Buy, 1, 1_000);
    assert_eq!(desk.refuse(3, more), RejectCode::InsufficientBalance);
    desk.accept(3, limit(SPOT, Side::Sell, 130_000, 10));
    assert_eq!(desk.money(3, BTC), (100_000, 100_000));
    let order = evenkeel_types::OrderId(1);
    desk.accept(3, Command::Cancel { order });
    assert_eq!(desk.money(3, USD), (6_000, 0));
}

#[test]
fn a_partial_fill_frees_the_filled_part_of_the_reserve() {
    let mut desk = Desk::open();
    desk.deposit(3, USD, 6_000);
    desk.accept(3, limit(SPOT, Side::Buy, 120_000, 10));
    desk.accept(1, limit(SPOT, Side::Sell, 120_000, 4));
    assert_eq!(desk.money(3, USD), (3_600, 3_600));
    assert_eq!(desk.money(3, BTC), (40_000, 0));
}

#[test]
fn a_market_order_must_be_covered_at_the_worst_price_it_would_reach() {
    let mut desk = Desk::open();
    desk.accept(1, limit(SPOT, Side::Sell, 120_000, 5));
    desk.accept(1, limit(SPOT, Side::Sell, 140_000, 5));
    desk.deposit(3, USD, 6_999);
    let buy = |lots| place(SPOT, Side::Buy, None, lots, TimeInForce::ImmediateOrCancel);
    // 10 lots at 140,000 ticks of 0.5: 70.00 USD, although they would cost 65.00.
    assert_eq!(desk.refuse(3, buy(10)), RejectCode::InsufficientBalance);
    desk.deposit(3, USD, 1);
    desk.accept(3, buy(10));
    assert_eq!(desk.money(3, USD), (500, 0));
}

#[test]
fn linear_futures_realise_profit_when_reduced() {
    let mut desk = Desk::open();
    // 10 lots of 0.001 at 120,000 · 0.5: basis 600.00 USD.
    trade(&mut desk, LINEAR_FUTURE, 120_000, 10);
    assert_eq!(desk.position(1, LINEAR_FUTURE), (10, 60_000, 0));
    assert_eq!(desk.position(2, LINEAR_FUTURE), (-10, -60_000, 0));
    assert_eq!(desk.money(1, USD), (0, 0));
    // Account 1 sells 4 at 61,000 USD: 4 · (61,000 − 60,000) · 0.001 = 4.00.
    desk.accept(2, limit(LINEAR_FUTURE, Side::Buy, 122_000, 4));
    desk.accept(1, limit(LINEAR_FUTURE, Side::Sell, 122_000, 4));
    assert_eq!(desk.position(1, LINEAR_FUTURE), (6, 36_000, 400));
    assert_eq!(desk.position(2, LINEAR_FUTURE), (-6, -36_000, -400));
    assert_eq!((desk.money(1, USD).0, desk.money(2, USD).0), (400, -400));
}

#[test]
fn a_fill_through_zero_closes_everything_and_opens_the_rest() {
    let mut desk = Desk::open();
    trade(&mut desk, LINEAR_FUTURE, 120_000, 10);
    desk.accept(2, limit(LINEAR_FUTURE, Side::Buy, 119_000, 25));
    desk.accept(1, limit(LINEAR_FUTURE, Side::Sell, 119_000, 25));
    // −10 · 500 · 0.001 = −5.00; then 15 short at 59,500: basis −892.50.
    assert_eq!(desk.position(1, LINEAR_FUTURE), (-15, -89_250, -500));
    assert_eq!(desk.position(2, LINEAR_FUTURE), (15, 89_250, 500));
}

#[test]
fn inverse_perpetuals_pay_in_coin() {
    let mut desk = Desk::open();
    // 100 lots of 10 USD at 50,000 USD: 0.02 BTC; a long's basis is negative.
    trade(&mut desk, INVERSE_PERPETUAL, 100_000, 100);
    assert_eq!(desk.position(1, INVERSE_PERPETUAL), (100, -2_000_000, 0));
    // At 62,500 USD: 1000/50,000 − 1000/62,500 = 0.004 BTC.
    mark(&mut desk, INVERSE_PERPETUAL, 125_000);
    let account = |id| AccountId(id);
    let profit = |desk: &Desk, id| desk.engine.unrealised(account(id), INVERSE_PERPETUAL);
    assert_eq!(profit(&desk, 1), Some(Money(400_000)));
    assert_eq!(profit(&desk, 2), Some(Money(-400_000)));
    assert_eq!(desk.engine.equity(account(1), BTC), Some(Money(400_000)));
    desk.accept(2, limit(INVERSE_PERPETUAL, Side::Buy, 125_000, 100));
    desk.accept(1, limit(INVERSE_PERPETUAL, Side::Sell, 125_000, 100));
    assert_eq!(desk.position(1, INVERSE_PERPETUAL), (0, 0, 400_000));
    assert_eq!(desk.money(1, BTC), (400_000, 0));
}

#[test]
fn option_premiums_move_at_once_and_options_count_at_their_mark() {
    let mut desk = Desk::open();
    // 10 lots of 0.1 at 100 ticks of 0.0005 BTC: 0.05 BTC.
    trade(&mut desk, INVERSE_OPTION, 100, 10);
    assert_eq!(desk.money(1, BTC), (-5_000_000, 0));
    assert_eq!(desk.money(2, BTC), (5_000_000, 0));
    assert_eq!(desk.position(1, INVERSE_OPTION), (10, 5_000_000, 0));
    mark(&mut desk, INVERSE_OPTION, 120);
    let (one, two) = (AccountId(1), AccountId(2));
    assert_eq!(desk.engine.unrealised(one, INVERSE_OPTION), Some(Money(1_000_000)));
    assert_eq!(desk.engine.equity(one, BTC), Some(Money(1_000_000)));
    assert_eq!(desk.engine.equity(two, BTC), Some(Money(-1_000_000)));
    // Sold again at 130 ticks: proceeds 0.065, profit 0.015.
    desk.accept(2, limit(INVERSE_OPTION, Side::Buy, 130, 10));
    desk.accept(1, limit(INVERSE_OPTION, Side::Sell, 130, 10));
    assert_eq!(desk.position(1, INVERSE_OPTION), (0, 0, 1_500_000));
    assert_eq!(desk.money(1, BTC), (1_500_000, 0));
}

#[test]
fn odd_sizes_reduce_without_losing_a_unit() {
    let mut desk = Desk::open();
    // 7 lots of 10 USD at 49,999.50 USD: 140,001.4 satoshi; one lot: 20,000.2.
    trade(&mut desk, INVERSE_PERPETUAL, 99_999, 7);
    assert_eq!(desk.position(1, INVERSE_PERPETUAL), (7, -140_001, 0));
    for _ in 0..7 {
        desk.accept(2, limit(INVERSE_PERPETUAL, Side::Buy, 99_999, 1));
        desk.accept(1, limit(INVERSE_PERPETUAL, Side::Sell, 99_999, 1));
    }
    // What rounding once and rounding seven times differ by is one side's gain, the other's loss.
    assert_eq!(desk.position(1, INVERSE_PERPETUAL), (0, 0, 1));
    assert_eq!(desk.position(2, INVERSE_PERPETUAL), (0, 0, -1));
    assert_eq!((desk.money(1, BTC).0, desk.money(2, BTC).0), (1, -1));
}

#[test]
fn futures_and_options_reserve_their_rates() {
    let mut desk = Desk::open();
    desk.deposit(3, USD, 10_000);
    // Value 600.00, a tenth of it reserved.
    desk.accept(3, limit(LINEAR_FUTURE, Side::Buy, 120_000, 10));
    assert_eq!(desk.money(3, USD).1, 6_000);
    // 2 lots of 0.01 at 100 ticks of 5 USD: premium 10.00, the whole of it for either side.
    desk.accept(3, limit(LINEAR_OPTION, Side::Buy, 100, 2));
    assert_eq!(desk.money(3, USD).1, 7_000);
    desk.accept(3, limit(LINEAR_OPTION, Side::Sell, 110, 2));
    assert_eq!(desk.money(3, USD).1, 8_100);
    let too_much = limit(LINEAR_FUTURE, Side::Sell, 130_000, 10);
    assert_eq!(desk.refuse(3, too_much), RejectCode::InsufficientBalance);
}

#[test]
fn an_amend_needs_cover_only_for_what_it_adds() {
    let mut desk = Desk::open();
    desk.deposit(3, USD, 6_000);
    desk.accept(3, limit(SPOT, Side::Buy, 120_000, 10));
    let amend = |price, lots| Command::Amend {
        order: evenkeel_types::OrderId(1),
        price: Some(Ticks(price)),
        lots: Some(Lots(lots)),
    };
    assert_eq!(desk.refuse(3, amend(120_000, 11)), RejectCode::InsufficientBalance);
    desk.accept(3, amend(60_000, 20));
    assert_eq!(desk.money(3, USD), (6_000, 6_000));
    desk.accept(3, amend(60_000, 5));
    assert_eq!(desk.money(3, USD), (6_000, 1_500));
}

#[test]
fn only_free_money_can_be_withdrawn_unlimited_accounts_included() {
    let mut desk = Desk::open();
    desk.deposit(3, USD, 6_000);
    desk.accept(3, limit(SPOT, Side::Buy, 120_000, 4));
    let withdraw = |account, amount| Command::Withdraw {
        account: AccountId(account),
        currency: USD,
        amount: Money(amount),
    };
    assert_eq!(desk.refuse(0, withdraw(3, 3_601)), RejectCode::InsufficientBalance);
    desk.operator(withdraw(3, 3_600));
    assert_eq!(desk.money(3, USD), (2_400, 2_400));
    assert_eq!(desk.refuse(0, withdraw(1, 1)), RejectCode::InsufficientBalance);
    assert_eq!(desk.engine.net_deposits(USD), Some(Money(2_400)));
}

#[test]
fn transfers_with_wrong_particulars_are_refused() {
    let mut desk = Desk::open();
    let deposit = |account, currency, amount| Command::Deposit {
        account: AccountId(account),
        currency: CurrencyId(currency),
        amount: Money(amount),
    };
    assert_eq!(desk.refuse(0, deposit(9, 1, 5)), RejectCode::UnknownAccount);
    assert_eq!(desk.refuse(0, deposit(0, 1, 5)), RejectCode::UnknownAccount);
    assert_eq!(desk.refuse(0, deposit(1, 9, 5)), RejectCode::UnknownCurrency);
    assert_eq!(desk.refuse(0, deposit(1, 1, 0)), RejectCode::AmountNotPositive);
    assert_eq!(desk.refuse(0, deposit(1, 1, -1)), RejectCode::AmountNotPositive);
    assert_eq!(desk.refuse(0, deposit(1, 1, i128::MAX)), RejectCode::ValueTooLarge);
    assert_eq!(desk.refuse(1, deposit(1, 1, 5)), RejectCode::NotOperator);
}

#[test]
fn without_a_mark_there_is_no_equity_and_a_new_term_voids_all_marks() {
    let mut desk = Desk::open();
    trade(&mut desk, LINEAR_FUTURE, 120_000, 10);
    let equity = |desk: &Desk| desk.engine.equity(AccountId(1), USD);
    assert_eq!(equity(&desk), None);
    assert_eq!(desk.engine.equity(AccountId(1), BTC), Some(Money(0)));
    mark(&mut desk, LINEAR_FUTURE, 120_002);
    assert_eq!(equity(&desk), Some(Money(1)));
    desk.operator(Command::Resume { term: Term(2) });
    assert_eq!(equity(&desk), None);
    assert_eq!(desk.engine.mark(LINEAR_FUTURE), None);
    let stale = Command::Resume { term: Term(2) };
    assert_eq!(desk.refuse(0, stale), RejectCode::StaleTerm);
}

#[test]
fn marks_are_positive_except_that_an_option_may_be_worth_nothing() {
    let mut desk = Desk::open();
    let set = |instrument, mark| Command::SetMark { instrument, mark: Ticks(mark) };
    assert_eq!(desk.refuse(0, set(LINEAR_FUTURE, 0)), RejectCode::PriceOutOfRange);
    assert_eq!(desk.refuse(0, set(INVERSE_OPTION, -1)), RejectCode::PriceOutOfRange);
    let unknown = set(InstrumentId(999), 1);
    assert_eq!(desk.refuse(0, unknown), RejectCode::UnknownInstrument);
    desk.operator(set(INVERSE_OPTION, 0));
}

#[test]
fn an_expired_instrument_takes_no_order_but_lets_orders_go() {
    let mut desk = Desk::open();
    desk.accept(1, limit(DYING_FUTURE, Side::Buy, 100, 5));
    desk.time = evenkeel_types::Timestamp(DYING_AT.0 - 1);
    let order = evenkeel_types::OrderId(1);
    let amend = Command::Amend { order, price: None, lots: Some(Lots(1)) };
    assert_eq!(desk.refuse(1, limit(DYING_FUTURE, Side::Buy, 100, 5)), RejectCode::Expired);
    assert_eq!(desk.refuse(1, amend), RejectCode::Expired);
    desk.accept(1, Command::Cancel { order });
}

#[test]
fn time_never_goes_back_whatever_an_entry_says() {
    let mut desk = Desk::open();
    desk.time = evenkeel_types::Timestamp(DYING_AT.0);
    desk.operator(Command::Resume { term: Term(9) });
    desk.time = common::START;
    assert_eq!(desk.refuse(1, limit(DYING_FUTURE, Side::Buy, 100, 5)), RejectCode::Expired);
    assert_eq!(desk.engine.time().0, DYING_AT.0 + 1);
}

/// 2^52 lots is the bound; an order here has 2^46, so 64 of them reach it.
#[test]
fn position_and_open_orders_together_never_pass_the_bound() {
    let (price, lots) = (1 << 45, 1 << 46);
    for side in [Side::Buy, Side::Sell] {
        let mut desk = Desk::open();
        let order = |side, price| limit(INVERSE_PERPETUAL, side, price, lots);
        let is_full = |desk: &mut Desk| {
            let code = desk.refuse(1, order(side, price));
            assert_eq!(code, RejectCode::PositionTooLarge);
        };
        for _ in 0..64 {
            desk.accept(1, order(side, price));
        }
        is_full(&mut desk);
        // A fill moves lots from the orders to the position.
        desk.accept(2, order(side.opposite(), price));
        is_full(&mut desk);
        // A cancelled order makes room for another, a smaller one for its own old size.
        let id = evenkeel_types::OrderId;
        desk.accept(1, Command::Cancel { order: id(2) });
        desk.accept(1, order(side, price));
        is_full(&mut desk);
        for size in [lots / 2, lots] {
            let change = Command::Amend { order: id(3), price: None, lots: Some(Lots(size)) };
            desk.accept(1, change);
        }
        is_full(&mut desk);
        // So does a position that was sold again; account 2 bids better than account 1 itself.
        let better = price + side.sign();
        desk.accept(2, order(side, better));
        desk.accept(1, order(side.opposite(), better));
        assert_eq!(desk.position(1, INVERSE_PERPETUAL).0, 0);
        desk.accept(1, order(side, price));
        is_full(&mut desk);
    }
}

#[test]
fn one_side_of_a_book_takes_no_more_than_its_bound() {
    let mut desk = Desk::open();
    let order = || limit(INVERSE_PERPETUAL, Side::Buy, 1 << 45, 1 << 46);
    let accounts = (evenkeel_venue::MAX_SIDE_LOTS.0 >> 52).cast_unsigned();
    for id in 10..=10 + accounts {
        let account = AccountId(id);
        let collateral = Collateral::Unlimited;
        desk.operator(Command::OpenAccount { account, collateral });
        if id < 10 + accounts {
            (0..64).for_each(|_| assert!(!desk.accept(id, order()).is_empty()));
        }
    }
    assert_eq!(desk.refuse(10 + accounts, order()), RejectCode::LimitReached);
    desk.accept(10 + accounts, limit(INVERSE_PERPETUAL, Side::Sell, 1 << 46, 1 << 46));
}

#[test]
fn an_order_beyond_the_largest_value_is_refused() {
    let mut desk = Desk::open();
    let huge = limit(LINEAR_OPTION, Side::Buy, 1 << 46, 1 << 46);
    assert_eq!(desk.refuse(1, huge), RejectCode::ValueTooLarge);
}

fn define(change: impl FnOnce(&mut Instrument)) -> RejectCode {
    let mut desk = Desk::open();
    let mut instrument = instruments().swap_remove(0);
    instrument.id = InstrumentId(777);
    instrument.symbol = Symbol::new("NEW").expect("a symbol");
    change(&mut instrument);
    desk.refuse(0, Command::DefineInstrument { instrument })
}

#[test]
fn inconsistent_terms_are_refused() {
    use RejectCode::{BadTerms, InstrumentExists, UnknownCurrency};
    assert_eq!(define(|i| i.id = SPOT), InstrumentExists);
    assert_eq!(define(|i| i.symbol = Symbol::new("BTC_USD").expect("ok")), InstrumentExists);
    assert_eq!(define(|i| i.base = CurrencyId(9)), UnknownCurrency);
    assert_eq!(define(|i| i.tick = decimal("0")), BadTerms);
    assert_eq!(define(|i| i.style = Style::Inverse), BadTerms);
    // Coins that the base currency cannot count.
    assert_eq!(define(|i| i.lot = decimal("0.000000001")), BadTerms);
    assert_eq!(define(|i| i.base = i.quote), BadTerms);
    let free = InstrumentKind::Option {
        expiry: DYING_AT,
        strike: decimal("0"),
        right: evenkeel_types::OptionRight::Put,
    };
    assert_eq!(define(|i| i.kind = free), BadTerms);
}

#[test]
fn what_exists_cannot_be_defined_again() {
    let mut desk = Desk::open();
    let define = |id, scale| Command::DefineCurrency { currency: currency(id, "NEW", scale) };
    assert_eq!(desk.refuse(0, define(BTC, 8)), RejectCode::CurrencyExists);
    assert_eq!(desk.refuse(0, define(CurrencyId(9), 19)), RejectCode::BadTerms);
    let open =
        |id| Command::OpenAccount { account: AccountId(id), collateral: Collateral::Checked };
    assert_eq!(desk.refuse(0, open(1)), RejectCode::AccountExists);
    assert_eq!(desk.refuse(0, open(0)), RejectCode::AccountExists);
    assert_eq!(desk.refuse(1, open(8)), RejectCode::NotOperator);
}
