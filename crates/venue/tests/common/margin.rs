//! A small venue under rules 2: coins and dollars, an underlying with three sources, a perpetual,
//! a future, options; and helpers to feed prices, open accounts and trade.

use super::{SALT, START, VENUE, currency, decimal, outcome};
use evenkeel_types::conditional::OrderTerms;
use evenkeel_types::oracle::{Price, Reading, SMILE_POINTS, Smile, Volatility};
use evenkeel_types::regime::{BreakerTerms, GraceTerms};
use evenkeel_types::terms::{Haircut, LimitTerms, MarginModel, Underlying, VenueTerms};
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, CurrencyId, Entry, Event, Instrument,
    InstrumentId, InstrumentKind, Lots, Money, NewOrder, OptionRight, OrderId, Origin, OutcomeKind,
    RejectCode, SessionId, Side, SourceId, Style, Symbol, Term, Ticks, TimeInForce, Timestamp,
    UnderlyingId,
};
use evenkeel_venue::Engine;

/// 8 decimals.
pub const BTC: CurrencyId = CurrencyId(1);
/// 6 decimals; the numeraire.
pub const USD: CurrencyId = CurrencyId(2);

pub const BTC_USD: UnderlyingId = UnderlyingId(1);
pub const SOURCES: [SourceId; 3] = [SourceId(1), SourceId(2), SourceId(3)];

pub const SPOT: InstrumentId = InstrumentId(1);
/// Inverse, lots of 10 dollars, ticks of 0.5.
pub const PERPETUAL: InstrumentId = InstrumentId(10);
/// Inverse, lots of 10 dollars, ticks of 0.5; expires at [`EXPIRY`].
pub const FUTURE: InstrumentId = InstrumentId(11);
/// Linear, lots of 0.001 coin, ticks of 0.5.
pub const LINEAR_PERPETUAL: InstrumentId = InstrumentId(12);
/// Linear, lots of 0.001 coin, ticks of 0.5; expires at [`EXPIRY`].
pub const LINEAR_FUTURE: InstrumentId = InstrumentId(13);
/// Strike 60,000, paid in coin, lots of 0.1 coin, ticks of 0.0001.
pub const CALL: InstrumentId = InstrumentId(20);
/// As [`CALL`].
pub const PUT: InstrumentId = InstrumentId(21);
/// Strike 70,000.
pub const HIGH_CALL: InstrumentId = InstrumentId(22);
/// Strike 50,000.
pub const LOW_PUT: InstrumentId = InstrumentId(23);
/// Strike 60,000, paid in dollars, lots of 0.01 coin, ticks of 1.
pub const LINEAR_CALL: InstrumentId = InstrumentId(24);
/// As [`LINEAR_CALL`].
pub const LINEAR_PUT: InstrumentId = InstrumentId(25);

pub const SECOND: u64 = 1_000_000_000;
pub const DAY: u64 = 86_400 * SECOND;
/// 30 days after the start.
pub const EXPIRY: Timestamp = Timestamp(START.0 + 30 * DAY);

/// A coin in its smallest unit.
pub const COIN: i128 = 100_000_000;
/// A dollar in its smallest unit.
pub const DOLLAR: i128 = 1_000_000;

/// A price in whole dollars.
pub fn dollars(whole: i64) -> Price {
    Price(whole * Price::ONE)
}

/// A flat smile, in percent.
pub fn flat(percent: u32) -> Smile {
    Smile { points: [Volatility(percent * 10_000); SMILE_POINTS] }
}

/// The underlying with the usual parameters, a quorum of two of three; but without trading fees and
/// limits, which have tests of their own.
pub fn underlying() -> Underlying {
    let mut plain = usual_underlying();
    let fees = &mut plain.fees;
    (fees.future_maker, fees.future_taker) = (0, 0);
    (fees.option_maker, fees.option_taker) = (0, 0);
    plain.limits = NO_LIMITS;
    plain.breakers = NO_BREAKERS;
    plain
}

/// Nothing trips, and the way back takes no time; breakers have tests of their own.
pub const NO_BREAKERS: BreakerTerms = BreakerTerms {
    volatility_level: 0,
    volatility_rise: 0,
    volatility_window_ms: 0,
    stale_ms: 0,
    band_hits: 0,
    band_window_ms: 0,
    negative_equity: Money(0),
    cooldown_ms: 0,
    step_ms: 0,
    auction_ms: 0,
};

/// The underlying with the usual parameters.
pub fn usual_underlying() -> Underlying {
    let symbol = Symbol::new("BTC-USD").expect("a symbol");
    Underlying::usual(BTC_USD, symbol, (BTC, USD), SOURCES.to_vec())
}

pub const NO_LIMITS: LimitTerms = LimitTerms {
    price_band_bp: 0,
    fat_finger_bp: 0,
    order_micros: 0,
    position_micros: 0,
    open_orders: 0,
};

/// Numeraire dollars, coins at a haircut of 10 %.
pub fn venue_terms() -> VenueTerms {
    let usual = VenueTerms::usual(USD, vec![Haircut { currency: BTC, haircut: 100_000 }]);
    let grace = GraceTerms { grace_ms: 0, ..GraceTerms::USUAL };
    VenueTerms { max_step_ms: 0, grace, ..usual }
}

fn instrument(
    id: InstrumentId,
    symbol: &str,
    kind: InstrumentKind,
    style: Style,
    [tick, lot, size]: [&str; 3],
) -> Instrument {
    let settlement = if style == Style::Inverse { BTC } else { USD };
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

/// An option that expires at `expiry`.
pub fn option(
    id: InstrumentId,
    expiry: Timestamp,
    strike: &str,
    right: OptionRight,
    style: Style,
) -> Instrument {
    let kind = InstrumentKind::Option { expiry, strike: decimal(strike), right };
    let steps = match style {
        Style::Inverse => ["0.0001", "0.1", "1"],
        Style::Linear => ["1", "0.01", "1"],
    };
    instrument(id, &format!("OPTION-{id}"), kind, style, steps)
}

pub fn instruments() -> Vec<Instrument> {
    let dated = InstrumentKind::Future { expiry: EXPIRY };
    let perpetual = InstrumentKind::Perpetual;
    let (inverse, linear) = (Style::Inverse, Style::Linear);
    let (in_coin, in_dollars) = (["0.5", "1", "10"], ["0.5", "0.001", "1"]);
    let (call, put) = (OptionRight::Call, OptionRight::Put);
    vec![
        instrument(SPOT, "BTC_USD", InstrumentKind::Spot, linear, ["0.5", "0.0001", "1"]),
        instrument(PERPETUAL, "BTC-PERPETUAL", perpetual, inverse, in_coin),
        instrument(FUTURE, "BTC-FUTURE", dated, inverse, in_coin),
        instrument(LINEAR_PERPETUAL, "BTC_USD-PERPETUAL", perpetual, linear, in_dollars),
        instrument(LINEAR_FUTURE, "BTC_USD-FUTURE", dated, linear, in_dollars),
        option(CALL, EXPIRY, "60000", call, inverse),
        option(PUT, EXPIRY, "60000", put, inverse),
        option(HIGH_CALL, EXPIRY, "70000", call, inverse),
        option(LOW_PUT, EXPIRY, "50000", put, inverse),
        option(LINEAR_CALL, EXPIRY, "60000", call, linear),
        option(LINEAR_PUT, EXPIRY, "60000", put, linear),
    ]
}

/// A new order.
pub fn new_order(instrument: InstrumentId, side: Side, price: i64, lots: i64) -> NewOrder {
    NewOrder {
        instrument,
        side,
        price: Some(Ticks(price)),
        lots: Lots(lots),
        time_in_force: TimeInForce::GoodTillCancel,
        post_only: false,
        label: 0,
    }
}

/// An engine under rules 2, with entries applied in the names of its accounts, one session each.
pub struct MarginDesk {
    pub engine: Engine,
    pub entries: Vec<Entry>,
    pub time: Timestamp,
    sequence: u64,
}

impl MarginDesk {
    /// Upgraded, with currencies, parameters and every instrument; no prices, no accounts.
    pub fn without_prices(underlying: Underlying, terms: VenueTerms) -> Self {
        let mut desk =
            Self { engine: Engine::new(), entries: Vec::new(), time: START, sequence: 0 };
        desk.operator(Command::Found { venue: VENUE, salt: SALT });
        desk.operator(Command::Resume { term: Term(1) });
        for currency in [currency(BTC, "BTC", 8), currency(USD, "USD", 6)] {
            desk.operator(Command::DefineCurrency { currency });
        }
        desk.operator(Command::Upgrade { rules: 2 });
        desk.operator(Command::SetVenueTerms { terms: Box::new(terms) });
        desk.operator(Command::SetUnderlying { underlying: Box::new(underlying) });
        for instrument in instruments() {
            desk.operator(Command::DefineInstrument { instrument });
        }
        desk
    }

    /// As [`MarginDesk::open`], with other parameters.
    pub fn open_with(underlying: Underlying, terms: VenueTerms) -> Self {
        let mut desk = Self::without_prices(underlying, terms);
        desk.feed(60_000, 60);
        for id in [1, 2] {
            desk.open_account(id, Collateral::Unlimited);
        }
        for id in 3..=8 {
            desk.open_account(id, Collateral::Checked);
        }
        desk
    }

    /// Prices at 60,000 and 60 %; accounts 1 and 2 unlimited, 3 to 8 checked and without money.
    pub fn open() -> Self {
        Self::open_with(underlying(), venue_terms())
    }

    pub fn open_account(&mut self, account: u64, collateral: Collateral) {
        self.operator(Command::OpenAccount { account: AccountId(account), collateral });
    }

    /// Lets time pass; the next entry comes then.
    pub fn wait(&mut self, nanos: u64) {
        self.time.0 += nanos;
    }

    /// Applies a command, one nanosecond after the last, and returns its events.
    pub fn send(&mut self, account: u64, command: Command) -> Vec<Event> {
        self.send_in(account, 1, command)
    }

    /// As [`MarginDesk::send`], in a session.
    pub fn send_in(&mut self, account: u64, session: u64, command: Command) -> Vec<Event> {
        self.sequence += 1;
        self.time.0 += 1;
        let origin = Origin {
            account: AccountId(account),
            session: SessionId(session),
            sequence: ClientSequence(self.sequence),
        };
        let entry = Entry { time: self.time, origin, command };
        let mut events = Vec::new();
        self.engine.apply(&entry, &mut events);
        self.entries.push(entry);
        events
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
        match outcome(&events).kind {
            OutcomeKind::Rejected { code } => code,
            kind => panic!("not refused: {kind:?}"),
        }
    }

    pub fn operator(&mut self, command: Command) -> Vec<Event> {
        self.accept(0, command)
    }

    pub fn deposit(&mut self, account: u64, currency: CurrencyId, amount: i128) {
        let account = AccountId(account);
        self.operator(Command::Deposit { account, currency, amount: Money(amount) });
    }

    /// Money from outside for the insurance fund.
    pub fn feed_fund(&mut self, currency: CurrencyId, amount: i128) {
        self.operator(Command::FundInsurance { currency, amount: Money(amount) });
    }

    /// Time passes.
    pub fn tick(&mut self) -> Vec<Event> {
        self.operator(Command::Tick)
    }

    /// What one source says now.
    pub fn say(&mut self, source: SourceId, reading: Reading) -> Vec<Event> {
        let time = self.time;
        self.operator(Command::Oracle { source, underlying: BTC_USD, time, reading })
    }

    /// What all sources say now.
    pub fn say_all(&mut self, reading: Reading) -> Vec<Event> {
        SOURCES.into_iter().flat_map(|source| self.say(source, reading)).collect()
    }

    /// All sources give the index.
    pub fn index(&mut self, price: Price) -> Vec<Event> {
        self.say_all(Reading::Index { price })
    }

    /// All sources give index and forward in whole dollars and a flat smile in percent, for
    /// [`EXPIRY`] if it has not passed.
    pub fn feed(&mut self, whole_dollars: i64, percent: u32) -> Vec<Event> {
        let price = dollars(whole_dollars);
        let mut events = self.index(price);
        if self.time.0 + 100 < EXPIRY.0 {
            events.extend(self.say_all(Reading::Forward { expiry: EXPIRY, price }));
            let smile = flat(percent);
            events.extend(self.say_all(Reading::Smile { expiry: EXPIRY, smile }));
        }
        events
    }

    /// Places a limit order, expects acceptance and returns its id.
    pub fn place(
        &mut self,
        account: u64,
        instrument: InstrumentId,
        side: Side,
        price: i64,
        lots: i64,
    ) -> OrderId {
        let order = new_order(instrument, side, price, lots);
        let events = self.accept(account, Command::Place { order });
        match outcome(&events).kind {
            OutcomeKind::Order { order } => order,
            kind => panic!("no order but {kind:?}"),
        }
    }

    /// Places an order with further terms, expects acceptance and returns the events.
    pub fn send_with(&mut self, account: u64, order: NewOrder, terms: OrderTerms) -> Vec<Event> {
        self.accept(account, Command::PlaceWith { order, terms })
    }

    /// Expects a limit order to be refused.
    pub fn refuse_order(
        &mut self,
        account: u64,
        instrument: InstrumentId,
        side: Side,
        price: i64,
        lots: i64,
    ) -> RejectCode {
        self.refuse(account, Command::Place { order: new_order(instrument, side, price, lots) })
    }

    /// `buyer` buys from `seller` at a price.
    pub fn trade(
        &mut self,
        buyer: u64,
        seller: u64,
        instrument: InstrumentId,
        price: i64,
        lots: i64,
    ) {
        self.place(seller, instrument, Side::Sell, price, lots);
        self.place(buyer, instrument, Side::Buy, price, lots);
    }

    pub fn set_model(&mut self, account: u64, model: MarginModel) {
        let account = AccountId(account);
        self.operator(Command::SetMarginModel { account, model });
    }

    /// (balance, reserved) of an account.
    pub fn money(&self, account: u64, currency: CurrencyId) -> (i128, i128) {
        let view = self.engine.account(AccountId(account)).expect("exists");
        let found = view.balances.iter().find(|b| b.currency == currency);
        found.map_or((0, 0), |found| (found.balance.0, found.reserved.0))
    }

    /// Signed lots of an account.
    pub fn lots(&self, account: u64, instrument: InstrumentId) -> i64 {
        let view = self.engine.account(AccountId(account)).expect("exists");
        let found = view.positions.iter().find(|p| p.instrument == instrument);
        found.map_or(0, |p| p.lots.0)
    }

    /// Best price of a side.
    pub fn best(&self, instrument: InstrumentId, side: Side) -> Option<i64> {
        self.engine.book(instrument).and_then(|book| book.best(side)).map(|price| price.0)
    }

    /// The mark in ticks.
    pub fn mark(&self, instrument: InstrumentId) -> Option<i64> {
        self.engine.mark(instrument).map(|mark| mark.0)
    }

    /// A desk that goes on from here by itself, with no past entries.
    pub fn fork(&self) -> Self {
        let Self { time, sequence, .. } = *self;
        Self { engine: self.engine.clone(), entries: Vec::new(), time, sequence }
    }

    /// A copy of the engine, restored from its snapshot.
    pub fn restored(&self) -> Engine {
        Engine::from_snapshot(&self.engine.snapshot()).expect("its own snapshot restores")
    }
}
