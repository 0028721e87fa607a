//! Main and sub-accounts, transfers, segregation, the insurance fund's and the venue's own money.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{BTC, COIN, DOLLAR, LINEAR_PERPETUAL, MarginDesk, PERPETUAL, USD, underlying};
use common::margin::{SPOT, venue_terms};
use evenkeel_types::event::Booking;
use evenkeel_types::{AccountId, Collateral, Command, CurrencyId, Event, Money, RejectCode, Side};

fn sub_account(account: u64, main: u64) -> Command {
    let (account, main) = (AccountId(account), AccountId(main));
    Command::OpenSubAccount { account, main, collateral: Collateral::Checked }
}

fn transfer(to: u64, currency: CurrencyId, amount: i128) -> Command {
    Command::Transfer { to: AccountId(to), currency, amount: Money(amount) }
}

fn check(desk: &MarginDesk) {
    for money in desk.engine.conservation() {
        assert_eq!(money.difference(), 0, "{money:?}");
    }
    assert!(desk.engine.running_sums_hold());
    assert_eq!(desk.restored().state_root(), desk.engine.state_root());
}

/// Accounts 31 and 32 under 3, 41 under 4.
fn desk() -> MarginDesk {
    let mut desk = MarginDesk::open();
    for (account, main) in [(31, 3), (32, 3), (41, 4)] {
        desk.operator(sub_account(account, main));
    }
    desk
}

#[test]
fn sub_accounts_have_one_level_and_known_owners() {
    let mut desk = desk();
    assert_eq!(desk.refuse(0, sub_account(51, 31)), RejectCode::BadTerms);
    assert_eq!(desk.refuse(0, sub_account(51, 99)), RejectCode::UnknownAccount);
    assert_eq!(desk.refuse(0, sub_account(31, 4)), RejectCode::AccountExists);
    assert_eq!(desk.refuse(0, sub_account(51, u64::MAX)), RejectCode::FundOnly);
    assert_eq!(desk.refuse(3, sub_account(51, 3)), RejectCode::NotOperator);
    check(&desk);
}

#[test]
fn money_moves_between_an_owners_accounts_and_is_told_on_both_sides() {
    let mut desk = desk();
    desk.deposit(3, USD, 100);
    let events = desk.accept(3, transfer(31, USD, 60));
    let booked = |account, amount| Event::Booked {
        account: AccountId(account),
        currency: USD,
        amount: Money(amount),
        why: Booking::Transfer,
        instrument: None,
    };
    assert!(events.contains(&booked(3, -60)) && events.contains(&booked(31, 60)), "{events:?}");
    desk.accept(31, transfer(32, USD, 50));
    desk.accept(32, transfer(3, USD, 50));
    assert_eq!([3, 31, 32].map(|it| desk.money(it, USD).0), [90, 10, 0]);
    check(&desk);
}

#[test]
fn money_never_moves_between_owners() {
    let mut desk = desk();
    for account in [3, 31] {
        desk.deposit(account, USD, 100);
        for to in [4, 41, 1] {
            assert_eq!(desk.refuse(account, transfer(to, USD, 1)), RejectCode::NotSameOwner);
        }
        assert_eq!(desk.refuse(account, transfer(u64::MAX, USD, 1)), RejectCode::FundOnly);
        assert_eq!(desk.refuse(account, transfer(0, USD, 1)), RejectCode::UnknownAccount);
        assert_eq!(desk.refuse(account, transfer(account, USD, 1)), RejectCode::BadTerms);
    }
    assert_eq!(desk.refuse(0, transfer(3, USD, 1)), RejectCode::UnknownAccount);
    assert_eq!(desk.refuse(3, transfer(31, USD, 0)), RejectCode::AmountNotPositive);
    assert_eq!(desk.refuse(3, transfer(31, CurrencyId(9), 1)), RejectCode::UnknownCurrency);
    assert_eq!(desk.refuse(3, transfer(31, USD, 101)), RejectCode::InsufficientBalance);
    check(&desk);
}

#[test]
fn only_free_collateral_is_transferred() {
    let mut desk = desk();
    desk.deposit(3, BTC, COIN);
    desk.trade(3, 1, PERPETUAL, 120_000, 3_000);
    assert_eq!(desk.refuse(3, transfer(31, BTC, COIN)), RejectCode::InsufficientMargin);
    desk.accept(3, transfer(31, BTC, COIN / 2));
    // What a resting order reserves is not free either.
    desk.deposit(31, USD, 60_000 * DOLLAR);
    desk.place(31, SPOT, Side::Buy, 118_000, 10_000);
    assert_eq!(desk.refuse(31, transfer(3, USD, 2_000 * DOLLAR)), RejectCode::InsufficientBalance);
    desk.accept(31, transfer(3, USD, 500 * DOLLAR));
    check(&desk);
}

#[test]
fn collateral_of_one_account_never_covers_another_be_it_of_the_same_owner() {
    let mut desk = desk();
    desk.deposit(3, BTC, 1_000 * COIN);
    desk.deposit(31, BTC, COIN / 100);
    // A coin's worth of position takes 0.02 coins.
    let refused = desk.refuse_order(31, PERPETUAL, Side::Buy, 120_000, 6_000);
    assert_eq!(refused, RejectCode::InsufficientMargin);
    // A position against it in the main account does not help.
    desk.trade(1, 3, PERPETUAL, 120_000, 6_000);
    let refused = desk.refuse_order(31, PERPETUAL, Side::Buy, 120_000, 6_000);
    assert_eq!(refused, RejectCode::InsufficientMargin);
    desk.place(31, PERPETUAL, Side::Buy, 119_000, 600);
    check(&desk);
}

#[test]
fn margins_of_accounts_are_those_of_their_own_positions() {
    let mut desk = desk();
    desk.deposit(3, BTC, COIN);
    desk.deposit(31, BTC, COIN);
    desk.trade(3, 1, PERPETUAL, 120_000, 3_000);
    let before = desk.engine.margin(AccountId(3)).expect("exists");
    desk.trade(1, 31, PERPETUAL, 120_000, 3_000);
    desk.deposit(31, USD, 5_000 * DOLLAR);
    assert_eq!(desk.engine.margin(AccountId(3)).expect("exists"), before);
}

#[test]
fn a_surplus_in_another_currency_counts_less_its_haircut() {
    let mut desk = desk();
    desk.deposit(3, BTC, COIN);
    // 2 % of the notional, plus a little for its size: one coin at 60,000 less 10 % covers dollar
    // positions of nearly 45 coins.
    let refused = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 45_000);
    assert_eq!(refused, RejectCode::InsufficientMargin);
    desk.place(3, LINEAR_PERPETUAL, Side::Buy, 120_000, 40_000);
    check(&desk);
}

#[test]
fn the_insurance_fund_is_fed_from_outside_and_nobody_acts_for_it() {
    let mut desk = desk();
    let feed = Command::FundInsurance { currency: USD, amount: Money(500) };
    let events = desk.accept(0, feed.clone());
    let net_deposits = Money(500);
    assert!(events.contains(&Event::NetDepositsChanged { currency: USD, net_deposits }));
    let fund = desk.engine.fund().expect("exists");
    assert_eq!(fund.balances[0].balance, Money(500));
    assert_eq!(desk.refuse(3, feed), RejectCode::NotOperator);
    let (account, currency, amount) = (AccountId::FUND, USD, Money(1));
    let deposit = Command::Deposit { account, currency, amount };
    let withdraw = Command::Withdraw { account, currency, amount };
    assert_eq!(desk.refuse(0, deposit), RejectCode::FundOnly);
    assert_eq!(desk.refuse(0, withdraw), RejectCode::FundOnly);
    let sessions = desk.engine.sessions().count();
    assert_eq!(desk.refuse(u64::MAX, Command::Disconnect), RejectCode::FundOnly);
    assert_eq!(desk.engine.sessions().count(), sessions, "no session is opened for it");
    check(&desk);
}

#[test]
fn collected_fees_can_be_taken_out_and_nothing_more() {
    let mut terms = underlying();
    terms.fees.future_taker = 500;
    terms.fees.fund_share = 0;
    let mut desk = MarginDesk::open_with(terms, venue_terms());
    let pay = |amount| Command::PayFees { currency: BTC, amount: Money(amount) };
    assert_eq!(desk.refuse(0, pay(1)), RejectCode::InsufficientBalance);
    // Half a coin's worth at 500 millionths.
    desk.trade(1, 2, PERPETUAL, 120_000, 3_000);
    let fees = |desk: &MarginDesk| desk.engine.pools(BTC).expect("known").fees.0;
    let collected = COIN / 2 * 500 / 1_000_000;
    assert_eq!(fees(&desk), collected);
    assert_eq!(desk.refuse(0, pay(0)), RejectCode::AmountNotPositive);
    assert_eq!(desk.refuse(0, pay(collected + 1)), RejectCode::InsufficientBalance);
    assert_eq!(desk.refuse(3, pay(1)), RejectCode::NotOperator);
    let unknown = Command::PayFees { currency: CurrencyId(9), amount: Money(1) };
    assert_eq!(desk.refuse(0, unknown), RejectCode::UnknownCurrency);
    desk.operator(pay(collected - 1));
    assert_eq!((fees(&desk), desk.engine.net_deposits(BTC)), (1, Some(Money(1 - collected))));
    check(&desk);
}
