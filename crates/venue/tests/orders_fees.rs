//! Trading fees: rates, caps, rebates, rounding, and where they go.

mod common;

use common::margin::{
    BTC, CALL, COIN, DOLLAR, LINEAR_CALL, LINEAR_PERPETUAL, MarginDesk, PERPETUAL, SPOT, USD,
    underlying, usual_underlying, venue_terms,
};
use common::orders::{assert_conserved, assert_restores};
use evenkeel_types::event::Booking;
use evenkeel_types::terms::FeeTerms;
use evenkeel_types::{AccountId, Command, CurrencyId, Event, InstrumentId, Money, Side};

/// Published fees, without limits.
fn desk_with(fees: FeeTerms) -> MarginDesk {
    let mut terms = underlying();
    terms.fees = fees;
    MarginDesk::open_with(terms, venue_terms())
}

fn published() -> MarginDesk {
    desk_with(usual_underlying().fees)
}

/// What a trade of 1 (maker, seller) and 2 (taker, buyer) booked: (maker, taker, fund).
fn booked(
    desk: &mut MarginDesk,
    instrument: InstrumentId,
    price: i64,
    lots: i64,
) -> (i128, i128, i128) {
    desk.place(1, instrument, Side::Sell, price, lots);
    let order = common::margin::new_order(instrument, Side::Buy, price, lots);
    let events = desk.accept(2, Command::Place { order });
    let of = |who: AccountId| {
        let amounts = events.iter().filter_map(|event| match event {
            Event::Booked { account, amount, why: Booking::TradingFee, .. } if *account == who => {
                Some(amount.0)
            }
            _ => None,
        });
        amounts.sum()
    };
    assert_conserved(desk);
    (of(AccountId(1)), of(AccountId(2)), of(AccountId::FUND))
}

fn collected(desk: &MarginDesk, currency: CurrencyId) -> i128 {
    let all = desk.engine.conservation();
    all.iter().find(|it| it.currency == currency).map_or(0, |it| it.pools.fees.0)
}

#[test]
fn a_taker_of_a_future_pays_its_rate_of_the_value_and_a_tenth_goes_to_the_fund() {
    let mut desk = published();
    // 6,000 dollars at 60,000: 0.1 coin; 0.05 % of it.
    assert_eq!(booked(&mut desk, PERPETUAL, 120_000, 600), (0, -5_000, 500));
    assert_eq!(collected(&desk, BTC), 4_500);
    // 2 coins at 60,000.
    let fee = 60 * DOLLAR;
    assert_eq!(booked(&mut desk, LINEAR_PERPETUAL, 120_000, 2_000), (0, -fee, fee / 10));
    assert_eq!(collected(&desk, USD), fee - fee / 10);
    assert_restores(&desk);
}

#[test]
fn an_option_pays_of_the_underlying_and_at_most_an_eighth_of_its_premium() {
    let mut desk = published();
    // One coin of options: 0.03 % of a coin a side, far below an eighth of 0.05 coin.
    assert_eq!(booked(&mut desk, CALL, 500, 10), (-30_000, -30_000, 6_000));
    // At 0.0001 coin the premium is 10,000 units.
    assert_eq!(booked(&mut desk, CALL, 1, 10), (-1_250, -1_250, 250));
    // In dollars: 0.03 % of 60,000.
    let fee = 18 * DOLLAR;
    assert_eq!(booked(&mut desk, LINEAR_CALL, 3_000, 100), (-fee, -fee, 2 * fee / 10));
    // An eighth of 8 dollars.
    assert_eq!(booked(&mut desk, LINEAR_CALL, 8, 100), (-DOLLAR, -DOLLAR, DOLLAR / 5));
}

#[test]
fn a_makers_rebate_is_paid_by_the_takers_fee() {
    let fees = FeeTerms {
        future_maker: -100,
        future_taker: 500,
        option_maker: -300,
        option_taker: 300,
        fund_share: 250_000,
        ..FeeTerms::DERIBIT
    };
    let mut desk = desk_with(fees);
    assert_eq!(booked(&mut desk, PERPETUAL, 120_000, 600), (1_000, -5_000, 1_000));
    assert_eq!(collected(&desk, BTC), 3_000);
    // Capped alike on both sides: nothing is left, nothing is missing.
    assert_eq!(booked(&mut desk, CALL, 1, 10), (1_250, -1_250, 0));
    assert_eq!(collected(&desk, BTC), 3_000);
}

#[test]
fn what_is_paid_rounds_up_and_what_is_paid_out_rounds_down() {
    let fees = FeeTerms { future_maker: -100, future_taker: 500, ..FeeTerms::DERIBIT };
    let mut desk = desk_with(fees);
    // 10 dollars at 60,000 are 16,667 units; 0.05 % of them 8.3335, 0.01 % of them 1.6667.
    assert_eq!(booked(&mut desk, PERPETUAL, 120_000, 1), (1, -9, 0));
    assert_eq!(collected(&desk, BTC), 8);
}

#[test]
fn spot_costs_nothing_and_an_option_before_the_first_index_of_a_term_pays_the_cap() {
    let mut desk = published();
    assert_eq!(booked(&mut desk, SPOT, 120_000, 1_000), (0, 0, 0));
    let mut terms = underlying();
    terms.fees = FeeTerms { option_maker: -10, option_taker: 300, ..FeeTerms::DERIBIT };
    let mut desk = MarginDesk::without_prices(terms, venue_terms());
    for account in [1, 2] {
        desk.open_account(account, evenkeel_types::Collateral::Unlimited);
    }
    // 3,000 dollars of premium: an eighth of it; no rebate can be reckoned.
    let fee = 375 * DOLLAR;
    assert_eq!(booked(&mut desk, LINEAR_CALL, 3_000, 100), (0, -fee, fee / 10));
}

#[test]
fn fees_move_the_balance_and_are_told_with_what_they_lead_to() {
    let mut desk = published();
    desk.deposit(3, BTC, COIN);
    desk.place(1, PERPETUAL, Side::Sell, 120_000, 600);
    let order = common::margin::new_order(PERPETUAL, Side::Buy, 120_000, 600);
    let events = desk.accept(3, Command::Place { order });
    assert_eq!(desk.money(3, BTC).0, COIN - 5_000);
    let told = events.iter().rev().find_map(|event| match event {
        Event::BalanceChanged { account, balance, .. } if *account == AccountId(3) => {
            Some(*balance)
        }
        _ => None,
    });
    assert_eq!(told, Some(Money(COIN - 5_000)));
    let fund = desk.engine.account(AccountId::FUND).expect("the fund");
    assert_eq!(fund.balances[0].balance, Money(500));
}
