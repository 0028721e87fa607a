//! At the very edge of what is accepted, every fill still fits.

use crate::coverage_tests::{CASH, FUTURE, order, venue};
use crate::engine::Engine;
use crate::state::{HEADROOM, MAX_MONEY, MAX_POSITION};
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Entry, Event, Instrument, Lots, Money, Origin,
    OutcomeKind, RejectCode, SessionId, Side, Ticks, Timestamp,
};

fn send(engine: &mut Engine, account: u64, sequence: u64, command: Command) -> OutcomeKind {
    let mut events = Vec::new();
    let origin = Origin {
        account: AccountId(account),
        session: SessionId(9),
        sequence: ClientSequence(sequence),
    };
    let time = Timestamp(1_000);
    engine.apply(&Entry { time, origin, command }, &mut events);
    match events.last() {
        Some(Event::Completed { outcome }) => outcome.kind,
        other => panic!("{other:?}"),
    }
}

/// Accounts 1 and 2 hold as much as an account may that still opens risk.
fn rich(magnitude: i128) -> Engine {
    let mut engine = venue();
    let state = &mut engine.state;
    for (slot, sign) in [(1, 1), (2, -1)] {
        let account = &mut state.accounts[slot];
        account.collateral = Collateral::Unlimited;
        account.balances[0].balance = Money(sign * magnitude);
        let holding = &mut account.holdings[0];
        holding.lots = Lots(3 * i64::try_from(sign).expect("one"));
        holding.basis = Money(sign * magnitude);
        holding.realised = Money(-sign * magnitude);
    }
    engine
}

#[test]
fn beyond_the_headroom_no_risk_is_opened_and_no_deposit_taken() {
    let refused = |code| OutcomeKind::Rejected { code };
    let mut engine = rich(HEADROOM + 1);
    let found = send(&mut engine, 1, 1, order(Side::Buy, 1, 1));
    assert_eq!(found, refused(RejectCode::ValueTooLarge));
    let deposit = Command::Deposit { account: AccountId(1), currency: CASH, amount: Money(1) };
    assert_eq!(send(&mut engine, 0, 99, deposit), refused(RejectCode::ValueTooLarge));
    let mut engine = rich(HEADROOM);
    let found = send(&mut engine, 1, 1, order(Side::Buy, 1, 1));
    assert!(matches!(found, OutcomeKind::Order { .. }), "{found:?}");
}

#[test]
fn orders_accepted_at_the_edge_fill_in_full_without_overflow() {
    let (price, lots) = (1 << 38, 1 << 45);
    for side in [Side::Buy, Side::Sell] {
        // A little room for the few lots that rest in the book already.
        let mut engine = rich(HEADROOM - (1 << 20));
        let valuation = engine.state.instruments[0].valuation;
        let value = valuation.value(Ticks(price), Lots(lots));
        assert!(value.is_ok_and(|value| value.0 > Instrument::MAX_VALUE.0 / 4));
        // The other side has room, so that it is refused nothing.
        let other = &mut engine.state.accounts[2];
        other.balances[0].balance = Money(0);
        other.holdings[0].basis = Money(-1);
        other.holdings[0].realised = Money(0);
        for sequence in 0..100 {
            let kind = send(&mut engine, 1, sequence, order(side, price, lots));
            assert!(matches!(kind, OutcomeKind::Order { .. }), "{kind:?}");
        }
        let first_trade = engine.state.meta.next_trade.0;
        for sequence in 0..100 {
            let kind = send(&mut engine, 2, sequence, order(side.opposite(), price, lots));
            assert!(matches!(kind, OutcomeKind::Order { .. }), "{kind:?}");
        }
        assert!(engine.state.meta.next_trade.0 >= first_trade + 100);
        let account = &engine.state.accounts[1];
        assert!(account.holding(FUTURE).lots.0.abs() <= MAX_POSITION);
        let money = [account.balances[0].balance, account.holding(FUTURE).realised];
        assert!(money.iter().any(|money| money.0.abs() > HEADROOM / 2));
        assert!(money.iter().all(|money| money.0.abs() <= MAX_MONEY));
    }
}
