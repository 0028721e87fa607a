//! No snapshot restores whose flows, keys or owners no engine could have.

use crate::engine::Engine;
use crate::flows::Flow;
use crate::state::State;
use evenkeel_types::flows::{DepositStep, FlowKey, FlowState, Permissions, WithdrawalStep};
use evenkeel_types::{
    AccountId, ApiKeyId, ClientSequence, Collateral, Command, Currency, CurrencyId, Entry, Event,
    InstrumentId, Money, Origin, OutcomeKind, SessionId, Symbol, Timestamp,
};

const CASH: CurrencyId = CurrencyId(1);
const OPENED: (AccountId, FlowKey) = (AccountId(1), FlowKey([1; 16]));
const SENT: (AccountId, FlowKey) = (AccountId(1), FlowKey([2; 16]));
const DONE: (AccountId, FlowKey) = (AccountId(1), FlowKey([3; 16]));

/// A deposit, withdrawals requested, sent and final, a key with a session, a sub-account.
fn venue() -> Engine {
    let mut engine = Engine::new();
    let (account, main) = (AccountId(2), AccountId(1));
    let collateral = Collateral::Checked;
    let (currency, amount) = (CASH, Money(100));
    let request = |(_, key): (AccountId, FlowKey)| {
        let destination = [1; 32];
        (1, Command::RequestWithdrawal { key, currency, amount, destination })
    };
    let advance = |(account, key): (AccountId, FlowKey), step| {
        (0, Command::AdvanceWithdrawal { account, key, step })
    };
    let send = WithdrawalStep::Send { reference: [4; 32] };
    let code = Symbol::new("CASH").expect("a symbol");
    let seen = DepositStep::Seen { currency, amount };
    let permissions = Permissions { trade: true, ..Permissions::default() };
    let key = ApiKeyId(1);
    let commands = [
        (0, Command::Found { venue: [1; 16], salt: [2; 32] }),
        (0, Command::DefineCurrency { currency: Currency { id: CASH, code, scale: 2 } }),
        (0, Command::Upgrade { rules: 2 }),
        (0, Command::OpenAccount { account: main, collateral }),
        (0, Command::OpenSubAccount { account, main, collateral }),
        (0, Command::Deposit { account: main, currency, amount: Money(1_000) }),
        (0, Command::ReportDeposit { account, key: FlowKey([9; 16]), step: seen }),
        request(OPENED),
        request(SENT),
        request(DONE),
        advance(SENT, WithdrawalStep::Approve),
        advance(SENT, send),
        advance(DONE, WithdrawalStep::Approve),
        advance(DONE, send),
        advance(DONE, WithdrawalStep::Final),
        (1, Command::SetKey { key, permissions }),
        (1, Command::ConnectKey { key, cancel_on_disconnect: false }),
    ];
    for ((account, command), sequence) in commands.into_iter().zip(1..) {
        let (session, sequence) = (SessionId(1), ClientSequence(sequence));
        let origin = Origin { account: AccountId(account), session, sequence };
        let mut events = Vec::new();
        engine.apply(&Entry { time: Timestamp(1), origin, command }, &mut events);
        let Some(Event::Completed { outcome }) = events.last() else {
            panic!("{events:?}");
        };
        assert_eq!(outcome.kind, OutcomeKind::Done, "{sequence}");
    }
    engine
}

fn flow(state: &mut State, key: (AccountId, FlowKey)) -> &mut Flow {
    state.extension.flows.withdrawals.get_mut(&key).expect("there is one")
}

/// A change, by name.
type Forgery = (&'static str, fn(&mut State));

fn forgeries() -> Vec<Forgery> {
    vec![
        ("an amount that is not set aside", |it| flow(it, OPENED).amount = Money(101)),
        ("nothing to withdraw", |it| flow(it, DONE).amount = Money(0)),
        ("more than can be withdrawn", |it| flow(it, DONE).amount = Money(i128::MAX)),
        ("an unknown currency", |it| flow(it, DONE).currency = CurrencyId(9)),
        ("a withdrawal that is a deposit", |it| flow(it, OPENED).state = FlowState::Pending),
        ("approved without an approval", |it| flow(it, OPENED).state = FlowState::Approved),
        ("requested and approved", |it| flow(it, OPENED).approved = Some(0)),
        ("sent without a transaction", |it| flow(it, SENT).transaction = None),
        ("an approval of the future", |it| flow(it, SENT).approved = Some(2)),
        ("queued while the chain moves", |it| {
            let flow = flow(it, SENT);
            (flow.state, flow.transaction) = (FlowState::Queued, None);
        }),
        ("open and finished", |it| flow(it, SENT).finished = Some(0)),
        ("final and open", |it| flow(it, DONE).finished = None),
        ("finished in the future", |it| flow(it, DONE).finished = Some(1)),
        ("a delivery of an unknown instrument", |it| {
            flow(it, SENT).instrument = Some(InstrumentId(1));
        }),
        ("a counter beyond all histories", |it| it.extension.flows.next_approval = u64::MAX),
        ("a flow of nobody", |it| {
            let known = *flow(it, DONE);
            it.extension.flows.withdrawals.insert((AccountId(7), FlowKey([1; 16])), known);
        }),
        ("a flow of the fund", |it| {
            let known = *flow(it, DONE);
            it.extension.flows.withdrawals.insert((AccountId::FUND, FlowKey([1; 16])), known);
        }),
        ("a deposit with a destination", |it| {
            for deposit in it.extension.flows.deposits.values_mut() {
                deposit.destination = [1; 32];
            }
        }),
        ("a deposit that was sent", |it| {
            for deposit in it.extension.flows.deposits.values_mut() {
                deposit.state = FlowState::Sent;
            }
        }),
        ("an unknown main account", |it| it.accounts[3].extra.main = Some(AccountId(9))),
        ("a sub-account of a sub-account", |it| it.accounts[2].extra.main = Some(AccountId(2))),
        ("a fund with a main account", |it| it.accounts[1].extra.main = Some(AccountId(1))),
        ("a key that grants nothing", |it| {
            let keys = &mut it.accounts[2].extra.keys;
            keys.permissions.insert(ApiKeyId(1), Permissions::default());
        }),
        ("a key of a session that is not open", |it| {
            it.accounts[2].extra.keys.sessions.insert(SessionId(9), ApiKeyId(1));
        }),
    ]
}

#[test]
fn forged_flows_keys_and_owners_are_refused() {
    let engine = venue();
    let ids: Vec<_> = engine.state.accounts.iter().map(|it| it.id).collect();
    assert_eq!(ids, [AccountId::OPERATOR, AccountId::FUND, AccountId(1), AccountId(2)]);
    Engine::from_snapshot(&engine.snapshot()).expect("the true one restores");
    for (name, forge) in forgeries() {
        let mut forged = engine.clone();
        forge(&mut forged.state);
        assert!(Engine::from_snapshot(&forged.snapshot()).is_err(), "{name}");
    }
}
