//! Deposits and withdrawals against a table of their own: every step in every state, every short
//! sequence, and random longer ones sent twice.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{BTC, MarginDesk, USD};
use common::outcome;
use evenkeel_types::flows::{DepositStep, FlowKey, WithdrawalStep};
use evenkeel_types::{AccountId, Command, CurrencyId, Money, OutcomeKind, RejectCode};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const KEY: FlowKey = FlowKey([1; 16]);
const BALANCE: i128 = 1_000;
const AMOUNT: i128 = 400;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Absent,
    Requested,
    Approved,
    Queued,
    Sent,
    Final,
    Failed,
}
use State::{Absent, Approved, Failed, Final, Queued, Requested, Sent};

/// A withdrawal as the table has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Model {
    state: State,
    was_approved: bool,
    transaction: Option<u8>,
    is_stalled: bool,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Request,
    RequestOther,
    Approve,
    Send(u8),
    Finish,
    Fail,
    Cancel,
    Chain(bool),
}

const STEPS: [Step; 10] = [
    Step::Request,
    Step::RequestOther,
    Step::Approve,
    Step::Send(1),
    Step::Send(2),
    Step::Finish,
    Step::Fail,
    Step::Cancel,
    Step::Chain(true),
    Step::Chain(false),
];

impl Step {
    fn command(self) -> (u64, Command) {
        let request = |destination| Command::RequestWithdrawal {
            key: KEY,
            currency: USD,
            amount: Money(AMOUNT),
            destination,
        };
        let advance = |step| Command::AdvanceWithdrawal { account: AccountId(3), key: KEY, step };
        match self {
            Self::Request => (3, request([1; 32])),
            Self::RequestOther => (3, request([2; 32])),
            Self::Approve => (0, advance(WithdrawalStep::Approve)),
            Self::Send(by) => (0, advance(WithdrawalStep::Send { reference: [by; 32] })),
            Self::Finish => (0, advance(WithdrawalStep::Final)),
            Self::Fail => (0, advance(WithdrawalStep::Fail { cause: 0 })),
            Self::Cancel => (3, Command::CancelWithdrawal { key: KEY }),
            Self::Chain(stalled) => (0, Command::SetChain { currency: USD, stalled }),
        }
    }
}

impl Model {
    const START: Self =
        Self { state: Absent, was_approved: false, transaction: None, is_stalled: false };

    fn after(self, step: Step) -> Result<Self, RejectCode> {
        use RejectCode::{ChainStalled, FlowConflict, UnknownFlow, WrongStep};
        let becomes = |state| Ok(Self { state, ..self });
        match (step, self.state) {
            (Step::Chain(is_stalled), Approved) if is_stalled => {
                Ok(Self { is_stalled, state: Queued, ..self })
            }
            (Step::Chain(is_stalled), Queued) if !is_stalled => {
                Ok(Self { is_stalled, state: Approved, ..self })
            }
            (Step::Chain(is_stalled), _) => Ok(Self { is_stalled, ..self }),
            (Step::Request, Absent) => becomes(Requested),
            (Step::Request, _) => Ok(self),
            // Another first request would be a different withdrawal: not in this table.
            (Step::RequestOther, Absent) => Ok(self),
            (Step::RequestOther, _) => Err(FlowConflict),
            (_, Absent) => Err(UnknownFlow),
            (Step::Approve, Requested) => {
                let state = if self.is_stalled { Queued } else { Approved };
                Ok(Self { state, was_approved: true, ..self })
            }
            (Step::Approve, Failed) if !self.was_approved => Err(WrongStep),
            (Step::Approve, _) => Ok(self),
            (Step::Send(by), _) if self.transaction == Some(by) => Ok(self),
            (Step::Send(_), _) if self.transaction.is_some() => Err(FlowConflict),
            (Step::Send(by), Approved) => Ok(Self { state: Sent, transaction: Some(by), ..self }),
            (Step::Send(_), Queued) => Err(ChainStalled),
            (Step::Send(_), _) => Err(WrongStep),
            (Step::Finish, Sent) => becomes(Final),
            (Step::Finish, Final) => Ok(self),
            (Step::Finish, _) => Err(WrongStep),
            (Step::Fail, Final) => Err(WrongStep),
            (Step::Fail, _) => becomes(Failed),
            (Step::Cancel, Sent | Final) => Err(WrongStep),
            (Step::Cancel, _) => becomes(Failed),
        }
    }

    /// Balance, pool of withdrawals, net deposits.
    fn money(self) -> [i128; 3] {
        match self.state {
            Absent | Failed => [BALANCE, 0, BALANCE],
            Requested | Approved | Queued | Sent => [BALANCE - AMOUNT, AMOUNT, BALANCE],
            Final => [BALANCE - AMOUNT, 0, BALANCE - AMOUNT],
        }
    }
}

fn open() -> MarginDesk {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, BALANCE);
    desk
}

fn money(desk: &MarginDesk) -> [i128; 3] {
    let pools = desk.engine.pools(USD).expect("known");
    let net_deposits = desk.engine.net_deposits(USD).expect("known");
    [desk.money(3, USD).0, pools.withdrawals.0, net_deposits.0]
}

fn take(desk: &mut MarginDesk, (account, command): (u64, Command)) -> Result<(), RejectCode> {
    let taken = match outcome(&desk.send(account, command)).kind {
        OutcomeKind::Rejected { code } => Err(code),
        _ => Ok(()),
    };
    for sum in desk.engine.conservation() {
        assert_eq!(sum.difference(), 0, "{sum:?}");
    }
    taken
}

/// Takes a step in both, unless the table leaves it out.
fn step_both(desk: &mut MarginDesk, model: Model, step: Step) -> Option<Model> {
    if matches!((step, model.state), (Step::RequestOther, Absent)) {
        return None;
    }
    let expected = model.after(step);
    let taken = take(desk, step.command());
    assert_eq!(taken, expected.map(|_| ()), "{step:?} in {model:?}");
    let after = expected.unwrap_or(model);
    assert_eq!(money(desk), after.money(), "{step:?} in {model:?}");
    Some(after)
}

#[test]
fn every_step_in_every_reachable_state_does_what_the_table_says() {
    let mut reached: BTreeMap<Model, MarginDesk> = BTreeMap::from([(Model::START, open())]);
    let mut open = vec![Model::START];
    while let Some(model) = open.pop() {
        for step in STEPS {
            let mut desk = reached[&model].fork();
            let Some(after) = step_both(&mut desk, model, step) else {
                continue;
            };
            let root = desk.engine.state_root();
            assert_eq!(desk.restored().state_root(), root, "{step:?} in {model:?}");
            if let std::collections::btree_map::Entry::Vacant(entry) = reached.entry(after) {
                entry.insert(desk);
                open.push(after);
            }
        }
    }
    // None, requested, approved or queued, sent or final by one of two transactions, failed from
    // each of these; each with the chain moving and stalled.
    assert_eq!(reached.len(), 2 * 11, "{:?}", reached.keys().collect::<Vec<_>>());
}

fn all_sequences(desk: &MarginDesk, model: Model, depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    let mut count = 0;
    for step in STEPS {
        let mut next = desk.fork();
        if let Some(after) = step_both(&mut next, model, step) {
            count += all_sequences(&next, after, depth - 1);
        }
    }
    count
}

#[test]
fn every_sequence_of_four_steps_does_what_the_table_says() {
    // Ten steps to choose from, but nine while there is no withdrawal yet.
    assert!(all_sequences(&open(), Model::START, 4) > 9u32.pow(4));
}

#[test]
fn every_sequence_of_six_reports_credits_a_deposit_at_most_once() {
    let seen = |amount| DepositStep::Seen { currency: USD, amount: Money(amount) };
    let steps = [seen(5), seen(6), DepositStep::Final, DepositStep::Dropped];
    for sequence in 0..4usize.pow(6) {
        let mut desk = open().fork();
        // `None`: never seen, or dropped; then it is not credited, and a final one stays so.
        let (mut amount, mut pending, mut credited) = (None, false, false);
        for place in 0..6 {
            let step = steps[sequence / 4usize.pow(place) % 4];
            let report = Command::ReportDeposit { account: AccountId(3), key: KEY, step };
            let taken = take(&mut desk, (0, report));
            let expected = match step {
                DepositStep::Seen { amount: told, .. } if amount.is_some_and(|it| it != told) => {
                    Err(RejectCode::FlowConflict)
                }
                DepositStep::Seen { amount: told, .. } => {
                    amount = Some(told);
                    pending |= !credited;
                    Ok(())
                }
                _ if amount.is_none() => Err(RejectCode::UnknownFlow),
                DepositStep::Final if pending || credited => {
                    (pending, credited) = (false, true);
                    Ok(())
                }
                DepositStep::Dropped if !credited => {
                    pending = false;
                    Ok(())
                }
                _ => Err(RejectCode::WrongStep),
            };
            assert_eq!(taken, expected, "{step:?} at {place} of {sequence}");
            let plus = if credited { amount.map_or(0, |it| it.0) } else { 0 };
            assert_eq!(money(&desk), [BALANCE + plus, 0, BALANCE + plus]);
        }
    }
}

/// A step of some flow of some account.
fn some_step() -> impl Strategy<Value = (u64, Command)> {
    (3u64..6, 0u8..4, 0u8..14, any::<bool>(), 1i128..600).prop_map(
        |(id, number, kind, is_coin, amount)| {
            let account = AccountId(id);
            let key = FlowKey([number; 16]);
            let currency: CurrencyId = if is_coin { BTC } else { USD };
            // The amount hangs on the key, so that retries are retries.
            let fixed = Money(100 + i128::from(number) * 50);
            let flow = |step| (0, Command::AdvanceWithdrawal { account, key, step });
            let deposit = |step| (0, Command::ReportDeposit { account, key, step });
            let destination = [number; 32];
            match kind {
                0..=3 => {
                    let amount = if kind == 0 { Money(amount) } else { fixed };
                    (id, Command::RequestWithdrawal { key, currency, amount, destination })
                }
                4..=5 => flow(WithdrawalStep::Approve),
                6 => flow(WithdrawalStep::Send { reference: [number; 32] }),
                7 => flow(WithdrawalStep::Final),
                8 => flow(WithdrawalStep::Fail { cause: 1 }),
                9 => (id, Command::CancelWithdrawal { key }),
                10 => deposit(DepositStep::Seen { currency, amount: fixed }),
                11 => deposit(DepositStep::Final),
                12 => deposit(DepositStep::Dropped),
                _ => (0, Command::SetChain { currency, stalled: amount > 300 }),
            }
        },
    )
}

fn all_money(desk: &MarginDesk) -> Vec<[i128; 3]> {
    let mut all = Vec::new();
    for account in 3..6 {
        all.push([desk.money(account, BTC).0, desk.money(account, USD).0, 0]);
    }
    for currency in [BTC, USD] {
        let pools = desk.engine.pools(currency).expect("known");
        let net_deposits = desk.engine.net_deposits(currency).expect("known");
        all.push([pools.withdrawals.0, net_deposits.0, 1]);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sent_twice_happens_once(steps in vec(some_step(), 1..120)) {
        let mut once = MarginDesk::open();
        for account in 3..6 {
            for currency in [BTC, USD] {
                once.deposit(account, currency, BALANCE);
            }
        }
        let mut twice = once.fork();
        for (account, command) in steps {
            let first = take(&mut once, (account, command.clone()));
            let second = take(&mut twice, (account, command.clone()));
            prop_assert_eq!(first, second);
            let again = take(&mut twice, (account, command));
            // A dropped deposit's `Dropped` and the like are done again; a refusal stays one.
            prop_assert_eq!(again, first);
            prop_assert_eq!(all_money(&once), all_money(&twice));
        }
        prop_assert_eq!(once.restored().state_root(), once.engine.state_root());
        prop_assert!(once.engine.running_sums_hold());
    }
}
