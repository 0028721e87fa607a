//! Deposits and withdrawals in steps: order, idempotency, stalled chains, money conserved.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{BTC, COIN, DOLLAR, MarginDesk, PERPETUAL, SECOND, USD};
use common::outcome;
use evenkeel_types::event::Pools;
use evenkeel_types::flows::{DepositStep, FlowKey, FlowState, WithdrawalStep};
use evenkeel_types::{AccountId, Command, CurrencyId, Event, Money, OutcomeKind, RejectCode, Side};
use evenkeel_venue::{MAX_FINISHED_FLOWS, MAX_OPEN_FLOWS};

const HOME: [u8; 32] = [7; 32];
const SENT: WithdrawalStep = WithdrawalStep::Send { reference: [9; 32] };
const APPROVE: WithdrawalStep = WithdrawalStep::Approve;
const FINAL: WithdrawalStep = WithdrawalStep::Final;
const FAIL: WithdrawalStep = WithdrawalStep::Fail { cause: 1 };

fn key(number: u16) -> FlowKey {
    let mut key = [0; 16];
    key[..2].copy_from_slice(&number.to_be_bytes());
    FlowKey(key)
}

fn request(number: u16, currency: CurrencyId, amount: i128) -> Command {
    let (key, amount) = (key(number), Money(amount));
    Command::RequestWithdrawal { key, currency, amount, destination: HOME }
}

fn advance(account: u64, number: u16, step: WithdrawalStep) -> Command {
    Command::AdvanceWithdrawal { account: AccountId(account), key: key(number), step }
}

fn report(account: u64, number: u16, step: DepositStep) -> Command {
    Command::ReportDeposit { account: AccountId(account), key: key(number), step }
}

fn seen(amount: i128) -> DepositStep {
    DepositStep::Seen { currency: USD, amount: Money(amount) }
}

/// States of withdrawals that an entry told, with account and first byte of the key.
fn withdrawal_states(events: &[Event]) -> Vec<(u64, u8, FlowState)> {
    let told = events.iter().filter_map(|event| match event {
        Event::WithdrawalChanged { account, key, state, .. } => Some((account.0, key.0[1], *state)),
        _ => None,
    });
    told.collect()
}

fn check(desk: &MarginDesk) {
    for money in desk.engine.conservation() {
        assert_eq!(money.difference(), 0, "{money:?}");
    }
    assert!(desk.engine.running_sums_hold());
    assert_eq!(desk.restored().state_root(), desk.engine.state_root());
}

fn accept(desk: &mut MarginDesk, account: u64, command: Command) -> Vec<Event> {
    let events = desk.accept(account, command);
    check(desk);
    events
}

/// Applied, and nothing but its outcome told.
fn is_without_effect(events: &[Event]) -> bool {
    events.len() == 1 && outcome(events).kind == OutcomeKind::Done
}

fn pools(desk: &MarginDesk, currency: CurrencyId) -> Pools {
    desk.engine.pools(currency).expect("known")
}

#[test]
fn a_deposit_counts_for_nothing_until_it_is_final_and_then_once() {
    let mut desk = MarginDesk::open();
    let deposited = 500 * DOLLAR;
    accept(&mut desk, 0, report(3, 1, seen(deposited)));
    assert_eq!(desk.money(3, USD), (0, 0));
    assert!(is_without_effect(&accept(&mut desk, 0, report(3, 1, seen(deposited)))));
    accept(&mut desk, 0, report(3, 1, DepositStep::Final));
    assert_eq!(desk.money(3, USD), (deposited, 0));
    for step in [seen(deposited), DepositStep::Final] {
        assert!(is_without_effect(&accept(&mut desk, 0, report(3, 1, step))));
    }
    assert_eq!(desk.money(3, USD), (deposited, 0));
    assert_eq!(desk.engine.net_deposits(USD), Some(Money(deposited)));
}

#[test]
fn a_dropped_deposit_is_not_credited_and_may_come_back() {
    let mut desk = MarginDesk::open();
    accept(&mut desk, 0, report(3, 1, seen(7)));
    accept(&mut desk, 0, report(3, 1, DepositStep::Dropped));
    assert!(is_without_effect(&accept(&mut desk, 0, report(3, 1, DepositStep::Dropped))));
    assert_eq!(desk.refuse(0, report(3, 1, DepositStep::Final)), RejectCode::WrongStep);
    accept(&mut desk, 0, report(3, 1, seen(7)));
    accept(&mut desk, 0, report(3, 1, DepositStep::Final));
    assert_eq!(desk.money(3, USD), (7, 0));
    assert_eq!(desk.refuse(0, report(3, 1, DepositStep::Dropped)), RejectCode::WrongStep);
}

#[test]
fn a_deposits_key_stands_for_one_deposit_of_one_account() {
    let mut desk = MarginDesk::open();
    accept(&mut desk, 0, report(3, 1, seen(7)));
    assert_eq!(desk.refuse(0, report(3, 1, seen(8))), RejectCode::FlowConflict);
    let other = DepositStep::Seen { currency: BTC, amount: Money(7) };
    assert_eq!(desk.refuse(0, report(3, 1, other)), RejectCode::FlowConflict);
    assert_eq!(desk.refuse(0, report(4, 1, DepositStep::Final)), RejectCode::UnknownFlow);
    accept(&mut desk, 0, report(4, 1, seen(9)));
    assert_eq!(desk.refuse(0, report(3, 2, seen(0))), RejectCode::AmountNotPositive);
    assert_eq!(desk.refuse(0, report(99, 2, seen(1))), RejectCode::UnknownAccount);
    assert_eq!(desk.refuse(0, report(u64::MAX, 2, seen(1))), RejectCode::FundOnly);
    assert_eq!(desk.refuse(3, report(3, 2, seen(1))), RejectCode::NotOperator);
}

#[test]
fn a_withdrawal_leaves_the_balance_when_requested_and_the_venue_when_final() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 1_000);
    accept(&mut desk, 3, request(1, USD, 400));
    assert_eq!((desk.money(3, USD), pools(&desk, USD).withdrawals), ((600, 0), Money(400)));
    accept(&mut desk, 0, advance(3, 1, APPROVE));
    accept(&mut desk, 0, advance(3, 1, SENT));
    assert_eq!(desk.engine.net_deposits(USD), Some(Money(1_000)));
    let events = accept(&mut desk, 0, advance(3, 1, FINAL));
    assert_eq!((desk.money(3, USD), pools(&desk, USD).withdrawals), ((600, 0), Money(0)));
    assert_eq!(desk.engine.net_deposits(USD), Some(Money(600)));
    let net_deposits = Money(600);
    assert!(events.contains(&Event::NetDepositsChanged { currency: USD, net_deposits }));
}

#[test]
fn each_step_of_a_withdrawal_again_changes_nothing() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 1_000);
    accept(&mut desk, 3, request(1, USD, 400));
    let mut taken = vec![];
    for step in [APPROVE, SENT, FINAL] {
        accept(&mut desk, 0, advance(3, 1, step));
        taken.push(step);
        let root = |desk: &MarginDesk| (desk.money(3, USD), pools(desk, USD));
        let before = root(&desk);
        for again in &taken {
            assert!(is_without_effect(&accept(&mut desk, 0, advance(3, 1, *again))));
        }
        assert!(is_without_effect(&accept(&mut desk, 3, request(1, USD, 400))));
        assert_eq!(root(&desk), before);
    }
}

#[test]
fn a_withdrawals_key_stands_for_one_withdrawal() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 1_000);
    desk.deposit(3, BTC, 1_000);
    accept(&mut desk, 3, request(1, USD, 400));
    assert_eq!(desk.refuse(3, request(1, USD, 401)), RejectCode::FlowConflict);
    assert_eq!(desk.refuse(3, request(1, BTC, 400)), RejectCode::FlowConflict);
    let (key, currency, amount) = (key(1), USD, Money(400));
    let elsewhere = Command::RequestWithdrawal { key, currency, amount, destination: [8; 32] };
    assert_eq!(desk.refuse(3, elsewhere.clone()), RejectCode::FlowConflict);
    accept(&mut desk, 0, advance(3, 1, APPROVE));
    accept(&mut desk, 0, advance(3, 1, SENT));
    let other = WithdrawalStep::Send { reference: [1; 32] };
    assert_eq!(desk.refuse(0, advance(3, 1, other)), RejectCode::FlowConflict);
    accept(&mut desk, 0, advance(3, 1, FINAL));
    assert_eq!(desk.refuse(0, advance(3, 1, other)), RejectCode::FlowConflict);
    assert_eq!(desk.refuse(3, elsewhere), RejectCode::FlowConflict);
}

#[test]
fn steps_out_of_order_are_refused() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 1_000);
    for step in [APPROVE, SENT, FINAL, FAIL] {
        assert_eq!(desk.refuse(0, advance(3, 1, step)), RejectCode::UnknownFlow);
    }
    assert_eq!(desk.refuse(3, Command::CancelWithdrawal { key: key(1) }), RejectCode::UnknownFlow);
    accept(&mut desk, 3, request(1, USD, 400));
    for step in [SENT, FINAL] {
        assert_eq!(desk.refuse(0, advance(3, 1, step)), RejectCode::WrongStep);
    }
    accept(&mut desk, 0, advance(3, 1, APPROVE));
    assert_eq!(desk.refuse(0, advance(3, 1, FINAL)), RejectCode::WrongStep);
    accept(&mut desk, 0, advance(3, 1, SENT));
    assert_eq!(desk.refuse(3, Command::CancelWithdrawal { key: key(1) }), RejectCode::WrongStep);
    accept(&mut desk, 0, advance(3, 1, FINAL));
    assert_eq!(desk.refuse(0, advance(3, 1, FAIL)), RejectCode::WrongStep);
    assert_eq!(desk.refuse(3, Command::CancelWithdrawal { key: key(1) }), RejectCode::WrongStep);
}

#[test]
fn a_withdrawal_that_fails_or_is_taken_back_is_the_accounts_again() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 1_000);
    let untaken = vec![vec![], vec![APPROVE], vec![APPROVE, SENT]];
    for (number, steps) in (1..).zip(untaken) {
        accept(&mut desk, 3, request(number, USD, 400));
        for step in steps {
            accept(&mut desk, 0, advance(3, number, step));
        }
        assert_eq!(desk.money(3, USD), (600, 0));
        accept(&mut desk, 0, advance(3, number, FAIL));
        assert_eq!(desk.money(3, USD), (1_000, 0));
        assert!(is_without_effect(&accept(&mut desk, 0, advance(3, number, FAIL))));
        assert!(is_without_effect(&accept(&mut desk, 3, request(number, USD, 400))));
        assert_eq!(desk.refuse(0, advance(3, number, FINAL)), RejectCode::WrongStep);
    }
    accept(&mut desk, 3, request(10, USD, 400));
    accept(&mut desk, 0, advance(3, 10, APPROVE));
    let take_back = Command::CancelWithdrawal { key: key(10) };
    accept(&mut desk, 3, take_back.clone());
    assert_eq!(desk.money(3, USD), (1_000, 0));
    assert!(is_without_effect(&accept(&mut desk, 3, take_back)));
    assert_eq!(desk.refuse(0, advance(3, 10, SENT)), RejectCode::WrongStep);
    assert_eq!(pools(&desk, USD).withdrawals, Money(0));
}

#[test]
fn a_failed_request_that_was_not_approved_cannot_be_approved_later() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 1_000);
    accept(&mut desk, 3, request(1, USD, 400));
    accept(&mut desk, 0, advance(3, 1, FAIL));
    assert_eq!(desk.refuse(0, advance(3, 1, APPROVE)), RejectCode::WrongStep);
}

#[test]
fn while_a_chain_stalls_approved_withdrawals_queue_and_go_in_the_order_of_approval() {
    let mut desk = MarginDesk::open();
    for account in [3, 4, 5] {
        desk.deposit(account, USD, 1_000);
        desk.deposit(account, BTC, 1_000);
        accept(&mut desk, account, request(1, USD, 100));
        accept(&mut desk, account, request(2, BTC, 100));
    }
    accept(&mut desk, 0, advance(5, 1, APPROVE));
    accept(&mut desk, 0, advance(4, 2, APPROVE));
    let stall = |stalled| Command::SetChain { currency: USD, stalled };
    let events = accept(&mut desk, 0, stall(true));
    assert_eq!(withdrawal_states(&events), [(5, 1, FlowState::Queued)]);
    assert!(is_without_effect(&accept(&mut desk, 0, stall(true))));
    for account in [4, 3] {
        let events = accept(&mut desk, 0, advance(account, 1, APPROVE));
        assert_eq!(withdrawal_states(&events), [(account, 1, FlowState::Queued)]);
        assert_eq!(desk.refuse(0, advance(account, 1, SENT)), RejectCode::ChainStalled);
    }
    // The other currency's chain moves, and the venue goes on: trades, deposits, new requests.
    accept(&mut desk, 0, advance(4, 2, SENT));
    accept(&mut desk, 3, request(3, USD, 50));
    desk.trade(1, 2, PERPETUAL, 120_000, 5);
    accept(&mut desk, 0, report(3, 1, seen(10)));
    let events = accept(&mut desk, 0, stall(false));
    let expected = [5, 4, 3].map(|account| (account, 1, FlowState::Approved));
    assert_eq!(withdrawal_states(&events), expected);
    for account in [5, 4, 3] {
        accept(&mut desk, 0, advance(account, 1, SENT));
        accept(&mut desk, 0, advance(account, 1, FINAL));
    }
    assert_eq!(pools(&desk, USD).withdrawals, Money(50));
}

#[test]
fn a_queued_withdrawal_can_be_taken_back_while_the_chain_stalls() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 1_000);
    accept(&mut desk, 0, Command::SetChain { currency: USD, stalled: true });
    accept(&mut desk, 3, request(1, USD, 100));
    accept(&mut desk, 0, advance(3, 1, APPROVE));
    accept(&mut desk, 3, Command::CancelWithdrawal { key: key(1) });
    let events = accept(&mut desk, 0, Command::SetChain { currency: USD, stalled: false });
    assert_eq!(withdrawal_states(&events), []);
    assert_eq!(desk.money(3, USD), (1_000, 0));
    let unknown = Command::SetChain { currency: CurrencyId(77), stalled: true };
    assert_eq!(desk.refuse(0, unknown), RejectCode::UnknownCurrency);
}

#[test]
fn only_free_collateral_can_be_withdrawn() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, BTC, COIN);
    // 3,000 lots of 10 dollars at 60,000 are half a coin: initial margin is about 0.01 coin.
    desk.trade(3, 1, PERPETUAL, 120_000, 3_000);
    assert_eq!(desk.refuse(3, request(1, BTC, 2 * COIN)), RejectCode::InsufficientBalance);
    assert_eq!(desk.refuse(3, request(1, BTC, COIN)), RejectCode::InsufficientMargin);
    let account = AccountId(3);
    let plain = |amount| Command::Withdraw { account, currency: BTC, amount: Money(amount) };
    assert_eq!(desk.refuse(0, plain(COIN)), RejectCode::InsufficientMargin);
    let before = desk.engine.state_root();
    assert_ne!(desk.refuse(3, request(1, BTC, 99 * COIN / 100)), RejectCode::FlowConflict);
    assert_ne!(desk.engine.state_root(), before, "the session remembers the refusal");
    accept(&mut desk, 3, request(1, BTC, COIN / 2));
    accept(&mut desk, 0, plain(COIN / 4));
    let margin = desk.engine.margin(account).expect("exists");
    assert!(margin.figures.above_initial.0 >= 0, "{margin:?}");
    desk.engine.verify_margins().expect("a trial leaves no trace");
}

#[test]
fn old_prices_hold_withdrawals_back_only_where_they_matter() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, BTC, COIN);
    desk.deposit(4, BTC, COIN);
    desk.trade(3, 1, PERPETUAL, 120_000, 300);
    desk.wait(120 * SECOND);
    assert_eq!(desk.refuse(3, request(1, BTC, 1)), RejectCode::PricesNotFresh);
    accept(&mut desk, 4, request(1, BTC, COIN));
    desk.feed(60_000, 60);
    accept(&mut desk, 3, request(1, BTC, 1));
}

#[test]
fn a_debt_in_one_currency_holds_the_others_back() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, BTC, COIN / 10);
    desk.deposit(3, USD, 10 * DOLLAR);
    // Bought at a bad price and sold at a worse one: a loss of 2,000 dollars on a coin.
    desk.trade(3, 1, common::margin::LINEAR_PERPETUAL, 120_000, 1_000);
    desk.place(1, common::margin::LINEAR_PERPETUAL, Side::Buy, 116_000, 1_000);
    desk.place(3, common::margin::LINEAR_PERPETUAL, Side::Sell, 116_000, 1_000);
    assert_eq!(desk.lots(3, common::margin::LINEAR_PERPETUAL), 0);
    assert_eq!(desk.money(3, USD).0, -1_990 * DOLLAR);
    assert_eq!(desk.refuse(3, request(1, BTC, COIN / 10)), RejectCode::InsufficientMargin);
    // 1,990 dollars at a haircut of 10 % take 0.03685… coins.
    accept(&mut desk, 3, request(1, BTC, 63 * COIN / 1_000));
    assert_eq!(desk.refuse(3, request(2, BTC, COIN / 1_000)), RejectCode::InsufficientMargin);
}

#[test]
fn flows_are_bounded_and_the_oldest_finished_ones_are_forgotten() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 1_000_000);
    let limit = u16::try_from(MAX_OPEN_FLOWS).expect("small");
    for number in 0..limit {
        desk.accept(3, request(number, USD, 1));
    }
    assert_eq!(desk.refuse(3, request(limit, USD, 1)), RejectCode::LimitReached);
    check(&desk);
    for number in 0..limit {
        desk.accept(3, Command::CancelWithdrawal { key: key(number) });
    }
    let finished = u16::try_from(MAX_FINISHED_FLOWS).expect("small");
    for number in limit..finished {
        desk.accept(3, request(number, USD, 1));
        desk.accept(3, Command::CancelWithdrawal { key: key(number) });
    }
    assert_eq!(desk.refuse(3, request(0, USD, 2)), RejectCode::FlowConflict);
    desk.accept(3, request(finished, USD, 1));
    desk.accept(3, Command::CancelWithdrawal { key: key(finished) });
    assert_eq!(desk.refuse(3, request(1, USD, 2)), RejectCode::FlowConflict);
    accept(&mut desk, 3, request(0, USD, 2));
}
