//! Every account that a move endangers is looked at, the riskiest first and none too late.

use crate::engine::Engine;
use crate::risk::RiskRecord;
use crate::state::State;
use evenkeel_types::decimal::Decimal;
use evenkeel_types::oracle::{Price, Reading};
use evenkeel_types::terms::{Underlying, VenueTerms};
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Entry, Instrument,
    InstrumentId, InstrumentKind, Lots, Money, NewOrder, Origin, OutcomeKind, SessionId, Side,
    SourceId, Style, Symbol, Term, Ticks, TimeInForce, Timestamp, UnderlyingId,
};

const COIN: CurrencyId = CurrencyId(1);
const CASH: CurrencyId = CurrencyId(2);
const PERPETUAL: InstrumentId = InstrumentId(1);
const MAKER: u64 = 1_000;
const TRADERS: u64 = 40;
const SECOND: u64 = 1_000_000_000;

struct Venue {
    engine: Engine,
    time: u64,
    sequence: u64,
}

impl Venue {
    fn send(&mut self, account: u64, command: Command) {
        self.sequence += 1;
        let origin = Origin {
            account: AccountId(account),
            session: SessionId(1),
            sequence: ClientSequence(self.sequence),
        };
        let entry = Entry { time: Timestamp(self.time), origin, command };
        self.engine.apply(&entry, &mut Vec::new());
        let outcome = self.engine.outcome_of(origin).expect("remembered");
        assert!(!matches!(outcome.kind, OutcomeKind::Rejected { .. }), "{outcome:?} {entry:?}");
    }

    fn index(&mut self, whole: i64) {
        let reading = Reading::Index { price: Price(whole * Price::ONE) };
        let (source, underlying, time) = (SourceId(1), UnderlyingId(1), Timestamp(self.time));
        self.send(0, Command::Oracle { source, underlying, time, reading });
    }

    fn place(&mut self, account: u64, side: Side, price: i64, lots: i64) {
        let order = NewOrder {
            instrument: PERPETUAL,
            side,
            price: Some(Ticks(price)),
            lots: Lots(lots),
            time_in_force: TimeInForce::GoodTillCancel,
            post_only: false,
            label: 0,
        };
        self.send(account, Command::Place { order });
    }

    fn record(&self, account: u64) -> RiskRecord {
        let state: &State = &self.engine.state;
        let slot = state.client_slot(AccountId(account)).expect("exists");
        state.account(slot).extra.record
    }

    /// Traders that were looked at since the last change.
    fn seen(&self) -> Vec<u64> {
        let changes = self.engine.state.extension.sweep.changes;
        (1..=TRADERS).filter(|id| self.record(*id).changes == changes).collect()
    }

    /// Traders long one lot each, the one with the lowest id with the least money.
    fn open() -> Self {
        let mut venue = Self { engine: Engine::new(), time: SECOND, sequence: 0 };
        let symbol = |name| Symbol::new(name).expect("a symbol");
        let currency = |id, code| Command::DefineCurrency {
            currency: Currency { id, code: symbol(code), scale: 6 },
        };
        let mut underlying = Underlying::usual(
            UnderlyingId(1),
            symbol("COIN-CASH"),
            (COIN, CASH),
            vec![SourceId(1)],
        );
        underlying.oracle.fresh_ms = 3_600_000;
        let one = Decimal::whole(1);
        let instrument = Instrument {
            id: PERPETUAL,
            symbol: symbol("PERPETUAL"),
            kind: InstrumentKind::Perpetual,
            style: Style::Linear,
            base: COIN,
            quote: CASH,
            settlement: CASH,
            tick: one,
            lot: one,
            contract_size: one,
        };
        for command in [
            Command::Found { venue: [1; 16], salt: [2; 32] },
            Command::Resume { term: Term(1) },
            currency(COIN, "COIN"),
            currency(CASH, "CASH"),
            Command::Upgrade { rules: 2 },
            Command::SetVenueTerms { terms: Box::new(VenueTerms::usual(CASH, Vec::new())) },
            Command::SetUnderlying { underlying: Box::new(underlying) },
            Command::DefineInstrument { instrument },
        ] {
            venue.send(0, command);
        }
        venue.index(1_000);
        let (account, collateral) = (AccountId(MAKER), Collateral::Unlimited);
        venue.send(0, Command::OpenAccount { account, collateral });
        venue.place(MAKER, Side::Sell, 1_000, 1_000);
        for id in 1..=TRADERS {
            let (account, collateral) = (AccountId(id), Collateral::Checked);
            venue.send(0, Command::OpenAccount { account, collateral });
            let amount = Money(i128::from(100 + id) * 1_000_000);
            venue.send(0, Command::Deposit { account, currency: CASH, amount });
            venue.place(id, Side::Buy, 1_000, 1);
        }
        for _ in 0..TRADERS {
            venue.send(0, Command::Tick);
        }
        assert_eq!(venue.seen().len() as u64, TRADERS, "all were looked at");
        venue
    }
}

#[test]
fn an_entry_looks_at_the_riskiest_and_the_oldest_in_turn() {
    let mut venue = Venue::open();
    venue.time += SECOND / 4;
    venue.index(999);
    assert_eq!(venue.seen(), Vec::<u64>::new());
    venue.time += 1;
    venue.send(0, Command::Tick);
    let seen = venue.seen();
    assert_eq!(seen.len(), 4, "as many as the venue's terms say");
    assert!(seen.contains(&1) && seen.contains(&2), "the least cushion: {seen:?}");
}

#[test]
fn nobody_waits_longer_than_an_interval() {
    let mut venue = Venue::open();
    venue.time += SECOND;
    venue.index(999);
    venue.send(0, Command::Tick);
    assert_eq!(venue.seen().len() as u64, TRADERS, "all last looks were an interval old");
}

#[test]
fn moves_that_keep_coming_leave_nobody_out() {
    let mut venue = Venue::open();
    let before: Vec<Timestamp> = (1..=TRADERS).map(|id| venue.record(id).checked).collect();
    for step in 0..TRADERS {
        venue.time += 1_000;
        venue.index(if step % 2 == 0 { 998 } else { 999 });
    }
    let is_later = |id: u64, at: &Timestamp| venue.record(id).checked > *at;
    assert!((1..).zip(&before).all(|(id, at)| is_later(id, at)));
}

#[test]
fn a_restored_engine_looks_at_the_same_accounts_in_the_same_order() {
    let mut venue = Venue::open();
    venue.time += SECOND / 2;
    venue.index(999);
    venue.send(0, Command::Tick);
    let bytes = venue.engine.snapshot();
    let engine = Engine::from_snapshot(&bytes).expect("its own snapshot restores");
    let mut copy = Venue { engine, time: venue.time, sequence: venue.sequence };
    for _ in 0..9 {
        venue.send(0, Command::Tick);
        copy.send(0, Command::Tick);
        assert_eq!(venue.seen(), copy.seen());
    }
    assert_eq!(venue.engine.state_root(), copy.engine.state_root());
}

#[test]
fn who_holds_nothing_any_more_is_looked_at_once_and_then_no_more() {
    let mut venue = Venue::open();
    venue.place(MAKER, Side::Buy, 999, 1);
    venue.place(7, Side::Sell, 999, 1);
    venue.time += 2 * SECOND;
    venue.index(999);
    venue.send(0, Command::Tick);
    assert!(!venue.record(7).is_member);
    assert!(venue.record(8).is_member);
}
