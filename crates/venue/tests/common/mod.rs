//! What the tests share: a venue to set up, and seeded histories of commands.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(missing_docs, reason = "test support")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "small random numbers"
)]

pub mod history;
pub mod margin;
pub mod order_watch;
pub mod orders;
pub mod risk_watch;
pub mod shadow;
pub mod tally;

use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Decimal, Entry, Event,
    Instrument, InstrumentId, InstrumentKind, Lots, Money, NewOrder, OptionRight, Origin, Outcome,
    OutcomeKind, RejectCode, SessionId, Side, Style, Symbol, Term, Ticks, TimeInForce, Timestamp,
};
use evenkeel_venue::Engine;

pub const BTC: CurrencyId = CurrencyId(1);
pub const ETH: CurrencyId = CurrencyId(2);
pub const USD: CurrencyId = CurrencyId(3);

pub const SPOT: InstrumentId = InstrumentId(10);
pub const INVERSE_PERPETUAL: InstrumentId = InstrumentId(20);
pub const LINEAR_FUTURE: InstrumentId = InstrumentId(30);
pub const INVERSE_OPTION: InstrumentId = InstrumentId(40);
pub const LINEAR_OPTION: InstrumentId = InstrumentId(50);
pub const DYING_FUTURE: InstrumentId = InstrumentId(60);
pub const INSTRUMENTS: [InstrumentId; 6] =
    [SPOT, INVERSE_PERPETUAL, LINEAR_FUTURE, INVERSE_OPTION, LINEAR_OPTION, DYING_FUTURE];

/// When [`DYING_FUTURE`] expires: in the middle of a longer history.
pub const DYING_AT: Timestamp = Timestamp(START.0 + 2_000_000);
pub const START: Timestamp = Timestamp(1_790_000_000_000_000_000);

pub const VENUE: [u8; 16] = *b"test venue 00001";
pub const SALT: [u8; 32] = *b"a salt that only the venue knows";

pub fn decimal(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

pub fn currency(id: CurrencyId, code: &str, scale: u8) -> Currency {
    let code = Symbol::new(code).expect("a symbol");
    Currency { id, code, scale }
}

fn instrument(
    id: InstrumentId,
    symbol: &str,
    kind: InstrumentKind,
    (style, settlement): (Style, CurrencyId),
    [tick, lot, size]: [&str; 3],
) -> Instrument {
    Instrument {
        id,
        symbol: Symbol::new(symbol).expect("a symbol"),
        kind,
        style,
        base: BTC,
        quote: USD,
        settlement,
        tick: decimal(tick),
        lot: decimal(lot),
        contract_size: decimal(size),
    }
}

pub fn instruments() -> Vec<Instrument> {
    let far = Timestamp(START.0 + (1 << 60));
    let option = |right| InstrumentKind::Option { expiry: far, strike: decimal("60000"), right };
    let (linear, inverse) = ((Style::Linear, USD), (Style::Inverse, BTC));
    let future = |expiry| InstrumentKind::Future { expiry };
    let (spot, perpetual) = (InstrumentKind::Spot, InstrumentKind::Perpetual);
    let (call, put) = (option(OptionRight::Call), option(OptionRight::Put));
    let dying = future(DYING_AT);
    vec![
        instrument(SPOT, "BTC_USD", spot, linear, ["0.5", "0.0001", "1"]),
        instrument(INVERSE_PERPETUAL, "BTC-PERPETUAL", perpetual, inverse, ["0.5", "1", "10"]),
        instrument(LINEAR_FUTURE, "BTC_USD-FUT", future(far), linear, ["0.5", "0.001", "1"]),
        instrument(INVERSE_OPTION, "BTC-60000-C", call, inverse, ["0.0005", "0.1", "1"]),
        instrument(LINEAR_OPTION, "BTC_USD-60000-P", put, linear, ["5", "0.01", "1"]),
        instrument(DYING_FUTURE, "BTC_USD-SOON", dying, linear, ["1", "0.001", "1"]),
    ]
}

pub fn place(
    instrument: InstrumentId,
    side: Side,
    price: impl Into<Option<i64>>,
    lots: i64,
    time_in_force: TimeInForce,
) -> Command {
    Command::Place {
        order: NewOrder {
            instrument,
            side,
            price: price.into().map(Ticks),
            lots: Lots(lots),
            time_in_force,
            post_only: false,
            label: 0,
        },
    }
}

pub fn limit(instrument: InstrumentId, side: Side, price: i64, lots: i64) -> Command {
    place(instrument, side, price, lots, TimeInForce::GoodTillCancel)
}

/// An engine with entries applied in the names of its accounts, one session each.
pub struct Desk {
    pub engine: Engine,
    pub entries: Vec<Entry>,
    pub events: Vec<Event>,
    pub time: Timestamp,
    sequence: u64,
}

impl Desk {
    /// Not founded yet.
    pub fn blank() -> Self {
        Self {
            engine: Engine::new(),
            entries: Vec::new(),
            events: Vec::new(),
            time: START,
            sequence: 0,
        }
    }

    /// Founded, with currencies, every instrument, and accounts 1–4: 1 and 2 unlimited, 3 and 4
    /// checked and without money.
    pub fn open() -> Self {
        let mut desk = Self::blank();
        for command in opening() {
            desk.operator(command);
        }
        for (id, collateral) in [
            (1, Collateral::Unlimited),
            (2, Collateral::Unlimited),
            (3, Collateral::Checked),
            (4, Collateral::Checked),
        ] {
            let account = AccountId(id);
            desk.operator(Command::OpenAccount { account, collateral });
        }
        desk
    }

    /// Applies a command and returns its events.
    pub fn send(&mut self, account: u64, command: Command) -> Vec<Event> {
        self.sequence += 1;
        let origin = origin(account, 1, self.sequence);
        self.send_as(origin, command)
    }

    pub fn send_as(&mut self, origin: Origin, command: Command) -> Vec<Event> {
        self.time.0 += 1;
        let entry = Entry { time: self.time, origin, command };
        self.events.clear();
        self.engine.apply(&entry, &mut self.events);
        self.entries.push(entry);
        self.events.clone()
    }

    /// Sends for an account and expects acceptance.
    pub fn accept(&mut self, account: u64, command: Command) -> Vec<Event> {
        let events = self.send(account, command);
        let kind = outcome(&events).kind;
        assert!(!matches!(kind, OutcomeKind::Rejected { .. }), "{events:?}");
        events
    }

    /// Sends for an account and expects refusal.
    pub fn refuse(&mut self, account: u64, command: Command) -> RejectCode {
        let events = self.send(account, command);
        assert_eq!(events.len(), 1, "a refusal has no other event: {events:?}");
        match outcome(&events).kind {
            OutcomeKind::Rejected { code } => code,
            kind => panic!("not refused: {kind:?}"),
        }
    }

    pub fn operator(&mut self, command: Command) -> Vec<Event> {
        self.accept(0, command)
    }

    pub fn deposit(&mut self, account: u64, currency: CurrencyId, amount: i128) {
        self.operator(Command::Deposit {
            account: AccountId(account),
            currency,
            amount: Money(amount),
        });
    }

    /// (balance, reserved) of an account.
    pub fn money(&self, account: u64, currency: CurrencyId) -> (i128, i128) {
        let view = self.engine.account(AccountId(account)).expect("exists");
        let found = view.balances.iter().find(|b| b.currency == currency);
        found.map_or((0, 0), |found| (found.balance.0, found.reserved.0))
    }

    /// (lots, basis, realised) of an account.
    pub fn position(&self, account: u64, instrument: InstrumentId) -> (i64, i128, i128) {
        let view = self.engine.account(AccountId(account)).expect("exists");
        let found = view.positions.iter().find(|p| p.instrument == instrument);
        found.map_or((0, 0, 0), |p| (p.lots.0, p.basis.0, p.realised.0))
    }
}

/// Founding, first term, currencies and instruments.
pub fn opening() -> Vec<Command> {
    let mut commands =
        vec![Command::Found { venue: VENUE, salt: SALT }, Command::Resume { term: Term(1) }];
    for currency in [currency(BTC, "BTC", 8), currency(ETH, "ETH", 8), currency(USD, "USD", 2)] {
        commands.push(Command::DefineCurrency { currency });
    }
    for instrument in instruments() {
        commands.push(Command::DefineInstrument { instrument });
    }
    commands
}

pub fn origin(account: u64, session: u64, sequence: u64) -> Origin {
    Origin {
        account: AccountId(account),
        session: SessionId(session),
        sequence: ClientSequence(sequence),
    }
}

/// The outcome that closes an entry's events.
pub fn outcome(events: &[Event]) -> Outcome {
    match events.last() {
        Some(Event::Completed { outcome } | Event::Repeated { original: outcome }) => *outcome,
        other => panic!("no outcome but {other:?}"),
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
