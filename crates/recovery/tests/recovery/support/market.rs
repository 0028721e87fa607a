//! A small seeded market: every kind of instrument, few accounts, crossing orders, retries,
//! self-trades, transfers, marks. It learns order ids from the answers it is shown.

use std::collections::BTreeMap;

use evenkeel_recovery::Request;
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Event, Instrument,
    InstrumentId, InstrumentKind, Lots, MassCancelScope, Mode, Money, NewOrder, OptionRight,
    OrderId, Origin, SessionId, Side, Style, Symbol, Ticks, TimeInForce, Timestamp,
};

pub const BTC: CurrencyId = CurrencyId(1);
pub const USD: CurrencyId = CurrencyId(2);
pub const START_NS: u64 = 1_790_000_000_000_000_000;
pub const ACCOUNTS: u64 = 5;

/// Instruments with the price around which they trade.
const MIDS: [(u32, i64); 5] = [(10, 120_000), (20, 120_000), (30, 120_000), (40, 40), (50, 60)];

/// SplitMix64.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below(u64::try_from(high - low + 1).unwrap())).unwrap()
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).unwrap()]
    }
}

/// The source of commands.
pub struct Market {
    random: Random,
    opening: std::vec::IntoIter<Command>,
    sequences: BTreeMap<(u64, u64), u64>,
    orders: Vec<(OrderId, AccountId)>,
    last: Option<Request>,
}

impl Market {
    /// A market that founds its venue first.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            opening: founding(seed).into_iter(),
            sequences: BTreeMap::new(),
            orders: Vec::new(),
            last: None,
        }
    }

    /// Commands that the founding takes.
    pub fn founding_count(&self) -> usize {
        self.opening.len()
    }

    /// Learns which orders exist.
    pub fn observe(&mut self, events: &[Event]) {
        for event in events {
            if let Event::OrderAccepted { order, account, .. } = event {
                self.orders.push((*order, *account));
            }
        }
        let excess = self.orders.len().saturating_sub(100);
        self.orders.drain(..excess);
    }

    pub fn next_request(&mut self) -> Request {
        if let Some(command) = self.opening.next() {
            return self.request(0, 1, command);
        }
        if self.random.one_in(25)
            && let Some(last) = &self.last
        {
            return last.clone();
        }
        let account = 1 + self.random.below(ACCOUNTS);
        let session = 1 + self.random.below(2);
        let (account, command) = match self.random.below(100) {
            0..=69 => (account, self.place()),
            70..=79 => self.cancel(account),
            80..=86 => self.amend(account),
            87 => (account, self.mass_cancel()),
            88 => (account, Command::Connect { cancel_on_disconnect: true }),
            89 => (account, Command::Disconnect),
            90..=93 => (0, self.transfer()),
            94..=97 => (0, self.mark()),
            _ => (0, self.mode()),
        };
        self.request(account, session, command)
    }

    fn request(&mut self, account: u64, session: u64, command: Command) -> Request {
        let sequence = self.sequences.entry((account, session)).or_default();
        *sequence += 1;
        let request = Request { origin: origin(account, session, *sequence), command };
        self.last = Some(request.clone());
        request
    }

    fn instrument(&mut self) -> (InstrumentId, i64) {
        let (id, mid) = self.random.pick(&MIDS);
        (InstrumentId(id), mid + self.random.between(-5, 5))
    }

    pub fn place(&mut self) -> Command {
        let (instrument, price) = self.instrument();
        let good = TimeInForce::GoodTillCancel;
        let soon = TimeInForce::ImmediateOrCancel;
        let is_market = self.random.one_in(12);
        Command::Place {
            order: NewOrder {
                instrument,
                side: self.random.pick(&[Side::Buy, Side::Sell]),
                price: (!is_market).then_some(Ticks(price)),
                lots: Lots(self.random.between(1, 60)),
                time_in_force: if is_market { soon } else { self.random.pick(&[good, good, soon]) },
                post_only: false,
                label: self.random.below(1_000),
            },
        }
    }

    fn order(&mut self, account: u64) -> (u64, OrderId) {
        match self.orders.is_empty() {
            true => (account, OrderId(1)),
            false => {
                let orders = std::mem::take(&mut self.orders);
                let (order, owner) = self.random.pick(&orders);
                self.orders = orders;
                (owner.0, order)
            }
        }
    }

    fn cancel(&mut self, account: u64) -> (u64, Command) {
        let (owner, order) = self.order(account);
        (owner, Command::Cancel { order })
    }

    fn amend(&mut self, account: u64) -> (u64, Command) {
        let (owner, order) = self.order(account);
        let (_, near) = self.instrument();
        let price = self.random.one_in(2).then_some(Ticks(near));
        let lots = Some(Lots(self.random.between(1, 60)));
        (owner, Command::Amend { order, price, lots })
    }

    fn mass_cancel(&mut self) -> Command {
        Command::MassCancel { account: None, scope: MassCancelScope::All }
    }

    fn transfer(&mut self) -> Command {
        let account = AccountId(1 + self.random.below(ACCOUNTS));
        let currency = self.random.pick(&[BTC, USD]);
        let amount = Money(self.random.between(1, 5_000_000).into());
        match self.random.one_in(2) {
            true => Command::Deposit { account, currency, amount },
            false => Command::Withdraw { account, currency, amount },
        }
    }

    fn mark(&mut self) -> Command {
        let (instrument, mark) = self.instrument();
        let mark = Ticks(mark);
        Command::SetMark { instrument, mark }
    }

    fn mode(&mut self) -> Command {
        let open = Mode::Normal;
        let mode = self.random.pick(&[open, open, open, open, Mode::CancelOnly]);
        Command::SetMode { mode, cause: 7 }
    }
}

pub fn origin(account: u64, session: u64, sequence: u64) -> Origin {
    Origin {
        account: AccountId(account),
        session: SessionId(session),
        sequence: ClientSequence(sequence),
    }
}

fn founding(seed: u64) -> Vec<Command> {
    let mut salt = [7; 32];
    salt[..8].copy_from_slice(&seed.to_le_bytes());
    let mut commands = vec![Command::Found { venue: *b"a test venue 001", salt }];
    let currency = |id, code, scale| Currency { id, code: Symbol::new(code).unwrap(), scale };
    for currency in [currency(BTC, "BTC", 8), currency(USD, "USD", 2)] {
        commands.push(Command::DefineCurrency { currency });
    }
    let instruments = instruments().into_iter();
    commands.extend(instruments.map(|instrument| Command::DefineInstrument { instrument }));
    for id in 1..=ACCOUNTS {
        let account = AccountId(id);
        let collateral = match id % 2 {
            0 => Collateral::Unlimited,
            _ => Collateral::Checked,
        };
        commands.push(Command::OpenAccount { account, collateral });
        for (currency, amount) in [(BTC, 20_000_000_000), (USD, 9_000_000_000)] {
            commands.push(Command::Deposit { account, currency, amount: Money(amount) });
        }
    }
    commands
}

fn instruments() -> Vec<Instrument> {
    let expiry = Timestamp(START_NS + (1 << 60));
    let option = |right| InstrumentKind::Option { expiry, strike: "60000".parse().unwrap(), right };
    let make = |id, kind, style, [tick, lot, size]: [&str; 3]| Instrument {
        id: InstrumentId(id),
        symbol: Symbol::new(&format!("I{id}")).unwrap(),
        kind,
        style,
        base: BTC,
        quote: USD,
        settlement: if style == Style::Inverse { BTC } else { USD },
        tick: tick.parse().unwrap(),
        lot: lot.parse().unwrap(),
        contract_size: size.parse().unwrap(),
    };
    let future = InstrumentKind::Future { expiry };
    let (call, put) = (option(OptionRight::Call), option(OptionRight::Put));
    let (linear, inverse) = (Style::Linear, Style::Inverse);
    vec![
        make(10, InstrumentKind::Spot, linear, ["0.5", "0.0001", "1"]),
        make(20, InstrumentKind::Perpetual, inverse, ["0.5", "1", "10"]),
        make(30, future, linear, ["0.5", "0.001", "1"]),
        make(40, call, inverse, ["0.0005", "0.1", "1"]),
        make(50, put, linear, ["5", "0.01", "1"]),
    ]
}
