//! Money that does not add up halts the venue; states of settlement and liquidation that no engine
//! can be in are refused.

use crate::coverage_tests::{CASH, TRADER, venue};
use crate::engine::Engine;
use crate::funding::Funding;
use crate::liquidation::{Appointment, UnderLiquidation, Wait};
use crate::settlement::Delivered;
use crate::snapshot::SnapshotError;
use crate::state::{MAX_MONEY, State};
use evenkeel_types::oracle::Price;
use evenkeel_types::{
    AccountId, ClientSequence, Command, Entry, Event, Mode, Money, Origin, SessionId, Timestamp,
};

fn send(engine: &mut Engine, sequence: u64, command: Command) -> Vec<Event> {
    let origin = Origin {
        account: AccountId::OPERATOR,
        session: SessionId(9),
        sequence: ClientSequence(sequence),
    };
    let mut events = Vec::new();
    engine.apply(&Entry { time: Timestamp(10_000 + sequence), origin, command }, &mut events);
    events
}

fn upgraded() -> Engine {
    let mut engine = venue();
    send(&mut engine, 1, Command::Upgrade { rules: 2 });
    assert!(engine.state.has_margin());
    engine
}

#[track_caller]
fn refused(rule: &str, change: impl FnOnce(&mut State)) {
    let mut engine = upgraded();
    assert!(Engine::from_snapshot(&engine.snapshot()).is_ok());
    change(&mut engine.state);
    match Engine::from_snapshot(&engine.snapshot()) {
        Err(SnapshotError::Inconsistent { what, .. }) => assert_eq!(what, rule),
        Err(other) => panic!("{rule}: {other}"),
        Ok(_) => panic!("{rule}: accepted"),
    }
}

#[test]
fn money_that_appears_from_nowhere_halts_the_venue_at_the_entry_that_touches_it() {
    let mut engine = upgraded();
    let deposit =
        |amount| Command::Deposit { account: AccountId(1), currency: CASH, amount: Money(amount) };
    send(&mut engine, 2, deposit(5));
    assert!(engine.running_sums_hold());
    assert_eq!(engine.mode(), Mode::Normal);
    engine.state.accounts[TRADER].balance_mut(CASH).balance.0 += 1;
    let events = send(&mut engine, 3, deposit(5));
    assert!(
        events.iter().any(|event| matches!(event, Event::ModeSetIn { mode: Mode::Halted, .. }))
    );
    assert_eq!(engine.mode(), Mode::Halted);
    let broken: Vec<i128> = engine.conservation().iter().map(|it| it.difference()).collect();
    assert!(broken.contains(&1), "{broken:?}");
}

#[test]
fn pools_belong_to_the_money_that_adds_up() {
    let mut engine = upgraded();
    let pools = |state: &mut State, amount| {
        state.currencies.get_mut(&CASH).expect("cash").extra.pools.fees.0 += amount;
    };
    pools(&mut engine.state, 7);
    assert!(!engine.state.conservation_holds(CASH));
    pools(&mut engine.state, -7);
    assert!(engine.state.conservation_holds(CASH));
    refused("money does not add up to the deposits", |state| pools(state, 1));
    refused("a pool is out of range", |state| pools(state, MAX_MONEY + 1));
}

#[test]
fn settlement_and_funding_out_of_range_are_refused() {
    refused("a delivery price is out of range", |state| {
        state.instruments[0].extra.delivered = Delivered { price: Some(Price(0)) };
    });
    refused("a delivery price is out of range", |state| {
        // The only instrument is a perpetual, which is never delivered.
        state.instruments[0].extra.delivered = Delivered { price: Some(Price(1)) };
    });
    refused("a funding interval is out of range", |state| {
        state.instruments[0].extra.funding = Funding {
            interval_end: Timestamp(1),
            samples: 1,
            premium_sum: 0,
            index_sum: i128::MAX,
        };
    });
    refused("a funding interval is out of range", |state| {
        state.instruments[0].extra.funding.samples = u64::MAX;
    });
    refused("the last entry's time lies in the future", |state| {
        state.extension.last_time = Timestamp(u64::MAX);
    });
}

#[test]
fn liquidations_and_appointments_belong_to_each_other() {
    let appointment = Appointment { at: Timestamp(0), wait: Wait::None, since: Timestamp(0) };
    refused("a liquidation of an unknown account", |state| {
        state.extension.liquidations.due.insert(AccountId(77), appointment);
    });
    refused("a liquidation of an unknown account", |state| {
        state.extension.liquidations.due.insert(AccountId::FUND, appointment);
    });
    refused("a liquidation without a next round", |state| {
        let since = Timestamp(0);
        state.accounts[TRADER].extra.liquidation =
            Some(UnderLiquidation { since, round: 1, idle_rounds: 0 });
    });
}
