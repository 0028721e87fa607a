//! The whole engine on the flow, in its configurations.

use crate::contest::{Book, Fill};
use crate::flow::{Act, Flow};
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Decimal, Entry, Event,
    Instrument, InstrumentId, InstrumentKind, Lots, Money, NewOrder, OrderId, Origin, SessionId,
    Side, Style, Symbol, Term, Ticks, TimeInForce, Timestamp,
};
use evenkeel_venue::Engine;
use std::hint::black_box;
use std::marker::PhantomData;

const BTC: CurrencyId = CurrencyId(1);
const USD: CurrencyId = CurrencyId(2);
pub(crate) const ACCOUNTS: usize = 300;

/// How the engine is set up.
pub(crate) trait Setup {
    const COLLATERAL: Collateral;
}

/// Nothing has to be covered.
pub(crate) struct Unlimited;

impl Setup for Unlimited {
    const COLLATERAL: Collateral = Collateral::Unlimited;
}

/// Every order has to be covered by its owner's balance.
pub(crate) struct Checked;

impl Setup for Checked {
    const COLLATERAL: Collateral = Collateral::Checked;
}

/// Entries as clients and the operator send them.
pub(crate) struct Entries {
    sequences: Vec<u64>,
    count: u64,
}

impl Entries {
    pub(crate) fn new() -> Self {
        Self { sequences: vec![0; ACCOUNTS + 1], count: 0 }
    }

    pub(crate) fn entry(&mut self, account: usize, command: Command) -> Entry {
        let sequence = &mut self.sequences[account];
        *sequence += 1;
        let origin = Origin {
            account: AccountId(account as u64),
            session: SessionId(1),
            sequence: ClientSequence(*sequence),
        };
        self.count += 1;
        Entry { time: Timestamp(self.count), origin, command }
    }
}

/// A founded venue with instruments 1 to `instruments`, and rich accounts.
pub(crate) fn founded(entries: &mut Entries, collateral: Collateral, instruments: u32) -> Engine {
    let mut commands =
        vec![Command::Found { venue: [1; 16], salt: [2; 32] }, Command::Resume { term: Term(1) }];
    for (id, code, scale) in [(BTC, "BTC", 8), (USD, "USD", 2)] {
        let code = Symbol::new(code).expect("a symbol");
        commands.push(Command::DefineCurrency { currency: Currency { id, code, scale } });
    }
    for id in 1..=instruments {
        commands.push(Command::DefineInstrument { instrument: perpetual(id) });
    }
    for id in 1..=ACCOUNTS {
        let account = AccountId(id as u64);
        commands.push(Command::OpenAccount { account, collateral });
        commands.push(Command::Deposit { account, currency: USD, amount: Money(1 << 60) });
    }
    let (mut engine, mut events) = (Engine::new(), Vec::new());
    for command in commands {
        events.clear();
        engine.apply(&entries.entry(0, command), &mut events);
        let refused = matches!(events.last(), Some(Event::Completed { outcome })
            if matches!(outcome.kind, evenkeel_types::OutcomeKind::Rejected { .. }));
        assert!(!refused, "the venue refuses its own setup: {events:?}");
    }
    engine
}

fn perpetual(id: u32) -> Instrument {
    Instrument {
        id: InstrumentId(id),
        symbol: Symbol::new(&format!("BTC-{id}")).expect("a symbol"),
        kind: InstrumentKind::Perpetual,
        style: Style::Linear,
        base: BTC,
        quote: USD,
        settlement: USD,
        tick: Decimal::new(5, 1).expect("a tick"),
        lot: Decimal::new(1, 3).expect("a lot"),
        contract_size: Decimal::whole(1),
    }
}

/// The engine as a book: it counts its orders itself, the flow names them by operation.
pub(crate) struct WholeEngine<S> {
    engine: Engine,
    events: Vec<Event>,
    /// Operation that brought an order, by its number less one.
    brought: Vec<usize>,
    setup: PhantomData<S>,
}

impl<S: Setup> Book for WholeEngine<S> {
    type Op = (usize, Entry);

    fn translate(flow: &Flow) -> Vec<Self::Op> {
        let mut entries = Entries::new();
        // The numbers of the operator's commands are used up.
        founded(&mut entries, S::COLLATERAL, 1);
        let mut placed = 0;
        // By operation: number of its order and the owner.
        let mut named = vec![(OrderId(0), 0); flow.acts.len()];
        let mut ops = Vec::with_capacity(flow.acts.len());
        for (at, act) in flow.acts.iter().enumerate() {
            let (account, command) = match *act {
                Act::Limit { side, price, lots } => {
                    (1 + at % ACCOUNTS, place(side, Some(Ticks(price)), lots))
                }
                Act::Market { side, lots } => (1 + at % ACCOUNTS, place(side, None, lots)),
                Act::Cancel { order } => {
                    let (order, owner) = named[order];
                    (owner, Command::Cancel { order })
                }
                Act::Amend { order, price, lots } => {
                    let (order, owner) = named[order];
                    let (price, lots) = (price.map(Ticks), lots.map(Lots));
                    (owner, Command::Amend { order, price, lots })
                }
            };
            if matches!(command, Command::Place { .. }) {
                placed += 1;
                named[at] = (OrderId(placed), account);
            }
            // What was never placed cannot be cancelled; anyone may try.
            ops.push((at, entries.entry(account.max(1), command)));
        }
        ops
    }

    fn new() -> Self {
        let engine = founded(&mut Entries::new(), S::COLLATERAL, 1);
        Self { engine, events: Vec::new(), brought: Vec::new(), setup: PhantomData }
    }

    fn apply(&mut self, (_, entry): &Self::Op) {
        self.events.clear();
        self.engine.apply(entry, &mut self.events);
        black_box(&self.events);
    }

    fn apply_told(&mut self, op: &Self::Op, fills: &mut Vec<Fill>) {
        if matches!(op.1.command, Command::Place { .. }) {
            self.brought.push(op.0);
        }
        self.apply(op);
        for event in &self.events {
            if let Event::Traded { maker, taker, price, lots, .. } = event {
                let [maker, taker] = [maker, taker].map(|id| self.brought[id.0 as usize - 1]);
                fills.push(Fill { taker, maker, price: price.0, lots: lots.0 });
            }
        }
    }
}

fn place(side: Side, price: Option<Ticks>, lots: i64) -> Command {
    let time_in_force = match price {
        Some(_) => TimeInForce::GoodTillCancel,
        None => TimeInForce::ImmediateOrCancel,
    };
    let order = NewOrder {
        instrument: InstrumentId(1),
        side,
        price,
        lots: Lots(lots),
        time_in_force,
        post_only: false,
        label: 0,
    };
    Command::Place { order }
}
