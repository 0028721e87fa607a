//! How fast entries are applied, and what a snapshot, a restore and a state root cost with
//! 100,000 and 1,000,000 open orders.
//!
//! `cargo run --release -p evenkeel-venue --example apply_rate`
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "a measurement reads the clock, and its numbers are small"
)]

use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Decimal, Entry,
    Instrument, InstrumentId, InstrumentKind, Lots, Money, NewOrder, OrderId, Origin, SessionId,
    Side, Style, Symbol, Term, Ticks, TimeInForce, Timestamp,
};
use evenkeel_venue::Engine;
use std::time::Instant;

const BTC: CurrencyId = CurrencyId(1);
const USD: CurrencyId = CurrencyId(2);
const ACCOUNTS: u64 = 300;
const INSTRUMENTS: u32 = 200;

/// Builds entries without applying them, so that only applying is measured.
struct Feed {
    random: u64,
    entries: Vec<Entry>,
    sequences: Vec<u64>,
    next_order: u64,
    instruments: u32,
}

impl Feed {
    fn new(collateral: Collateral, instruments: u32) -> Self {
        let mut feed = Self {
            random: 1,
            entries: Vec::new(),
            sequences: vec![0; ACCOUNTS as usize + 1],
            next_order: 1,
            instruments,
        };
        let (venue, salt) = ([1; 16], [2; 32]);
        feed.push(0, Command::Found { venue, salt });
        feed.push(0, Command::Resume { term: Term(1) });
        for (id, code, scale) in [(BTC, "BTC", 8), (USD, "USD", 2)] {
            let code = Symbol::new(code).unwrap();
            let currency = Currency { id, code, scale };
            feed.push(0, Command::DefineCurrency { currency });
        }
        for id in 1..=instruments {
            let instrument = perpetual(id);
            feed.push(0, Command::DefineInstrument { instrument });
        }
        for id in 1..=ACCOUNTS {
            let account = AccountId(id);
            feed.push(0, Command::OpenAccount { account, collateral });
            let (currency, amount) = (USD, Money(1 << 60));
            feed.push(0, Command::Deposit { account, currency, amount });
        }
        feed
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }

    fn push(&mut self, account: u64, command: Command) {
        let sequence = &mut self.sequences[account as usize];
        *sequence += 1;
        let origin = Origin {
            account: AccountId(account),
            session: SessionId(1),
            sequence: ClientSequence(*sequence),
        };
        let time = Timestamp(self.entries.len() as u64);
        self.entries.push(Entry { time, origin, command });
    }

    /// A limit order; it trades only if `offset` is negative.
    fn place(&mut self, account: u64, offset: i64) {
        let side = if self.below(2) == 0 { Side::Buy } else { Side::Sell };
        let order = NewOrder {
            instrument: InstrumentId(1 + self.below(self.instruments.into()) as u32),
            side,
            price: Some(Ticks(100_000 - side.sign() * offset)),
            lots: Lots(1 + self.below(20) as i64),
            time_in_force: TimeInForce::GoodTillCancel,
            post_only: false,
            label: self.next_order,
        };
        self.next_order += 1;
        self.push(account, Command::Place { order });
    }

    /// Places and cancels, keeping about `depth` orders open.
    fn quotes(&mut self, count: usize, depth: usize) {
        let mut open: Vec<(u64, u64)> = Vec::new();
        for _ in 0..count {
            if open.len() >= depth {
                let at = self.below(open.len() as u64) as usize;
                let (account, order) = open.swap_remove(at);
                let order = OrderId(order);
                self.push(account, Command::Cancel { order });
            } else {
                let account = 1 + self.below(ACCOUNTS);
                open.push((account, self.next_order));
                let offset = 1 + self.below(200) as i64;
                self.place(account, offset);
            }
        }
    }

    /// Orders of which about half trade.
    fn trades(&mut self, count: usize) {
        for _ in 0..count {
            let account = 1 + self.below(ACCOUNTS);
            let offset = self.below(20) as i64 - 10;
            self.place(account, offset);
        }
    }

    /// Orders that all rest.
    fn deep(&mut self, count: usize) {
        for _ in 0..count {
            let account = 1 + self.below(ACCOUNTS);
            let offset = 1 + self.below(500) as i64;
            self.place(account, offset);
        }
    }
}

fn perpetual(id: u32) -> Instrument {
    Instrument {
        id: InstrumentId(id),
        symbol: Symbol::new(&format!("BTC-{id}")).unwrap(),
        kind: InstrumentKind::Perpetual,
        style: Style::Linear,
        base: BTC,
        quote: USD,
        settlement: USD,
        tick: Decimal::new(5, 1).unwrap(),
        lot: Decimal::new(1, 3).unwrap(),
        contract_size: Decimal::whole(1),
    }
}

/// Applies everything; returns the engine and entries per second.
fn apply(feed: &Feed) -> (Engine, f64) {
    let (mut engine, mut events) = (Engine::new(), Vec::new());
    let begin = Instant::now();
    for entry in &feed.entries {
        events.clear();
        engine.apply(entry, &mut events);
    }
    let elapsed = begin.elapsed().as_secs_f64();
    (engine, feed.entries.len() as f64 / elapsed)
}

/// `quotes`, `trades` and `depth` as arguments choose what is measured; without any, all of it.
fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|c| c == name);
    for (name, collateral) in
        [("unlimited", Collateral::Unlimited), ("checked", Collateral::Checked)]
    {
        if is_chosen("quotes") {
            for instruments in [1, INSTRUMENTS] {
                let mut feed = Feed::new(collateral, instruments);
                feed.quotes(2_000_000, 1_000);
                let (_, rate) = apply(&feed);
                println!("limit and cancel, {name}, 1,000 open, {instruments} books: {rate:.0}/s");
            }
        }
        if is_chosen("trades") {
            let mut feed = Feed::new(collateral, INSTRUMENTS);
            feed.trades(1_000_000);
            let (engine, rate) = apply(&feed);
            let open = engine.open_order_count();
            println!("orders that trade, {name}: {rate:.0}/s, {open} left open");
        }
    }
    if is_chosen("depth") {
        depth(100_000);
        depth(1_000_000);
    }
}

/// Snapshot, restore and root with `count` open orders.
fn depth(count: usize) {
    let mut feed = Feed::new(Collateral::Checked, INSTRUMENTS);
    feed.deep(count);
    let (engine, rate) = apply(&feed);
    drop(feed);
    let open = engine.open_order_count();
    println!("{open} open orders, built at {rate:.0} entries/s");
    let begin = Instant::now();
    let snapshot = engine.snapshot();
    let (bytes, elapsed_ms) = (snapshot.len(), begin.elapsed().as_millis());
    println!("  snapshot of {bytes} bytes in {elapsed_ms} ms");
    let begin = Instant::now();
    let root = engine.state_root();
    println!("  state root in {} ms", begin.elapsed().as_millis());
    let begin = Instant::now();
    let restored = Engine::from_snapshot(&snapshot).unwrap();
    println!("  restored in {} ms", begin.elapsed().as_millis());
    assert_eq!(restored.state_root(), root);
}
