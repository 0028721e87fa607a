//! The account report: who owes whom, by how things settle.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC, BTC_USD, CALL, COIN, DOLLAR, EXPIRY, LINEAR_CALL, LINEAR_FUTURE, LINEAR_PERPETUAL,
    MarginDesk, PERPETUAL, SECOND, USD, dollars, underlying, venue_terms,
};
use evenkeel_types::flows::{FlowKey, FlowState, Permissions, WithdrawalStep};
use evenkeel_types::terms::Delivery;
use evenkeel_types::{AccountId, ApiKeyId, Collateral, Command, CurrencyId, Money, Timestamp};
use evenkeel_venue::{AccountReport, Exposure, SettlementRule};

fn report(desk: &MarginDesk, account: u64) -> AccountReport {
    desk.engine.account_report(AccountId(account)).expect("exists")
}

fn exposure(report: &AccountReport, rule: SettlementRule, currency: CurrencyId) -> Exposure {
    let mut all = report.exposures.iter();
    *all.find(|it| (it.rule, it.currency) == (rule, currency)).expect("there is one")
}

fn physical() -> MarginDesk {
    let mut terms = underlying();
    terms.settlement.delivery = Delivery::Physical;
    terms.fees.future_delivery = 0;
    MarginDesk::open_with(terms, venue_terms())
}

#[test]
fn each_settlement_rule_has_its_own_line_and_both_sides_mirror_each_other() {
    let mut desk = physical();
    desk.trade(1, 2, PERPETUAL, 120_000, 600);
    desk.trade(1, 2, LINEAR_PERPETUAL, 120_000, 1_000);
    desk.trade(1, 2, LINEAR_FUTURE, 120_000, 2_000);
    desk.trade(1, 2, CALL, 700, 3);
    desk.feed(63_000, 60);
    let (long, short) = (report(&desk, 1), report(&desk, 2));
    use SettlementRule::{InverseCoin, LinearCash, Physical};
    let rules: Vec<_> = long.exposures.iter().map(|it| (it.rule, it.currency)).collect();
    assert_eq!(rules, [(InverseCoin, BTC), (LinearCash, USD), (Physical, BTC), (Physical, USD)]);
    // A coin of the perpetual and two of the future gained 3,000 each.
    assert_eq!(exposure(&long, LinearCash, USD).owed_to, Money(3_000 * DOLLAR));
    assert_eq!(exposure(&long, Physical, USD).owed_to, Money(6_000 * DOLLAR));
    assert_eq!(exposure(&long, Physical, BTC).to_receive, Money(2 * COIN));
    assert_eq!(exposure(&short, Physical, BTC).to_deliver, Money(2 * COIN));
    for mine in &long.exposures {
        let theirs = exposure(&short, mine.rule, mine.currency);
        assert_eq!((mine.owed_to, mine.owed_by), (theirs.owed_by, theirs.owed_to), "{mine:?}");
        assert_eq!(mine.unpriced, 0);
    }
    let coin = exposure(&long, InverseCoin, BTC);
    let equity = desk.engine.equity(AccountId(1), BTC).expect("marked").0;
    assert_eq!(coin.owed_to.0 - coin.owed_by.0, equity - desk.money(1, BTC).0);
    // 600 lots of 10 dollars: 0.1 coin at 60,000 against 6,000 / 63,000 of a coin, and three calls.
    let future = COIN / 10 - 6_000 * COIN / 63_000;
    assert!(coin.owed_to.0 > future && coin.owed_by == Money(0), "{coin:?}");
    assert_eq!(long.greeks.len(), 1);
    assert_eq!((long.greeks[0].0, short.greeks[0].0), (BTC_USD, BTC_USD));
    assert_eq!(long.greeks[0].1.delta, -short.greeks[0].1.delta);
    assert!(long.greeks[0].1.delta > 0 && long.greeks[0].1.vega > 0);
}

#[test]
fn positions_without_a_mark_are_counted_and_not_valued() {
    let mut desk = MarginDesk::open();
    desk.trade(1, 2, LINEAR_PERPETUAL, 120_000, 1_000);
    desk.operator(Command::Resume { term: evenkeel_types::Term(2) });
    let line = exposure(&report(&desk, 1), SettlementRule::LinearCash, USD);
    assert_eq!((line.unpriced, line.owed_to, line.owed_by), (1, Money(0), Money(0)));
}

#[test]
fn options_out_of_the_money_deliver_nothing() {
    let mut desk = physical();
    desk.trade(1, 2, LINEAR_CALL, 1_000, 100);
    desk.feed(59_000, 60);
    let line = exposure(&report(&desk, 1), SettlementRule::Physical, BTC);
    assert_eq!((line.to_receive, line.to_deliver), (Money(0), Money(0)));
    desk.feed(61_000, 60);
    let line = exposure(&report(&desk, 2), SettlementRule::Physical, BTC);
    assert_eq!((line.to_receive, line.to_deliver), (Money(0), Money(COIN)));
}

#[test]
fn delivered_coins_show_until_they_are_final() {
    let mut desk = physical();
    desk.deposit(3, USD, 200_000 * DOLLAR);
    desk.deposit(4, BTC, 5 * COIN);
    desk.deposit(4, USD, 200_000 * DOLLAR);
    desk.time = Timestamp(EXPIRY.0 - 1_810 * SECOND);
    desk.feed(60_000, 60);
    desk.trade(3, 4, LINEAR_FUTURE, 120_000, 1_000);
    while desk.time.0 < EXPIRY.0 + 5 * SECOND {
        desk.wait(4 * SECOND);
        desk.index(dollars(60_000));
    }
    let after = report(&desk, 3);
    let line = exposure(&after, SettlementRule::Physical, BTC);
    assert_eq!((line.in_delivery, line.to_receive), (Money(COIN), Money(0)));
    let flow = after.withdrawals[0];
    assert_eq!((flow.delivery_of, flow.state), (Some(LINEAR_FUTURE), FlowState::Approved));
    let (account, key) = (AccountId(3), flow.key);
    for step in [WithdrawalStep::Send { reference: [1; 32] }, WithdrawalStep::Final] {
        desk.operator(Command::AdvanceWithdrawal { account, key, step });
    }
    assert!(report(&desk, 3).exposures.is_empty());
}

#[test]
fn the_report_names_owner_flows_and_keys() {
    let mut desk = MarginDesk::open();
    let (account, main) = (AccountId(31), AccountId(3));
    desk.operator(Command::OpenSubAccount { account, main, collateral: Collateral::Checked });
    desk.deposit(3, USD, 100);
    let key = FlowKey([4; 16]);
    let (currency, amount, destination) = (USD, Money(60), [1; 32]);
    desk.accept(3, Command::RequestWithdrawal { key, currency, amount, destination });
    let permissions = Permissions { cancel: true, ..Permissions::default() };
    desk.accept(3, Command::SetKey { key: ApiKeyId(5), permissions });
    let of_main = report(&desk, 3);
    assert_eq!((of_main.main, of_main.sub_accounts), (None, vec![AccountId(31)]));
    assert_eq!(report(&desk, 31).main, Some(main));
    assert_eq!(of_main.balances[0].balance, Money(40));
    assert_eq!((of_main.withdrawals[0].key, of_main.withdrawals[0].amount), (key, Money(60)));
    assert_eq!(of_main.keys, [(ApiKeyId(5), permissions)]);
    assert_eq!(of_main.margin, desk.engine.margin(main).expect("exists"));
    assert!(desk.engine.account_report(AccountId(99)).is_none());
    assert!(desk.engine.account_report(AccountId::FUND).is_some());
}
