//! Seeded histories: every kind of command, right and wrong, over every kind of instrument.

use super::{
    BTC, DYING_FUTURE, ETH, INSTRUMENTS, INVERSE_OPTION, LINEAR_OPTION, START, USD, opening,
};
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, CurrencyId, Entry, Event, InstrumentId, Lots,
    MassCancelScope, Mode, Money, NewOrder, OrderId, Origin, SessionId, Side, Term, Ticks,
    TimeInForce, Timestamp,
};
use std::collections::BTreeMap;

/// SplitMix64.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize].clone()
    }
}

const ACCOUNTS: u64 = 9;

/// A source of entries. It learns order ids from the events it is shown.
pub struct History {
    random: Random,
    time: Timestamp,
    opening: std::vec::IntoIter<Command>,
    sequences: BTreeMap<(u64, u64), u64>,
    mids: BTreeMap<InstrumentId, i64>,
    orders: Vec<(OrderId, AccountId)>,
    sent: Vec<Entry>,
    term: u64,
}

impl History {
    pub fn new(seed: u64) -> Self {
        let mut commands = opening();
        for id in 1..=ACCOUNTS {
            let collateral = if id % 4 == 0 { Collateral::Unlimited } else { Collateral::Checked };
            let account = AccountId(id);
            commands.push(Command::OpenAccount { account, collateral });
            for (currency, amount) in [(BTC, 2_000_000_000), (USD, 500_000_000)] {
                commands.push(Command::Deposit { account, currency, amount: Money(amount) });
            }
        }
        let mid = |id: InstrumentId| match id {
            INVERSE_OPTION => 40,
            LINEAR_OPTION => 60,
            DYING_FUTURE => 60_000,
            _ => 120_000,
        };
        Self {
            random: Random(seed),
            time: START,
            opening: commands.into_iter(),
            sequences: BTreeMap::new(),
            mids: INSTRUMENTS.into_iter().map(|id| (id, mid(id))).collect(),
            orders: Vec::new(),
            sent: Vec::new(),
            term: 1,
        }
    }

    /// Learns which orders exist.
    pub fn observe(&mut self, events: &[Event]) {
        for event in events {
            if let Event::OrderAccepted { order, account, .. } = event {
                self.orders.push((*order, *account));
                if self.orders.len() > 400 {
                    self.orders.remove(0);
                }
            }
        }
    }

    pub fn next_entry(&mut self) -> Entry {
        self.time.0 += self.random.below(1_000);
        if let Some(command) = self.opening.next() {
            return self.entry(0, 1, command);
        }
        if self.random.one_in(25) && !self.sent.is_empty() {
            // A retry, recent or old.
            let mut entry = self.random.pick(&self.sent);
            entry.time = self.time;
            return entry;
        }
        let account = 1 + self.random.below(ACCOUNTS);
        let session = 1 + self.random.below(3);
        let command = self.command();
        let is_operators = !matches!(
            command,
            Command::Place { .. }
                | Command::Cancel { .. }
                | Command::Amend { .. }
                | Command::MassCancel { .. }
                | Command::Connect { .. }
                | Command::Disconnect
        );
        let account = match command {
            Command::Cancel { order } | Command::Amend { order, .. } if !self.random.one_in(20) => {
                let known = self.orders.iter().find(|known| known.0 == order);
                known.map_or(account, |known| known.1.0)
            }
            _ if is_operators && !self.random.one_in(30) => 0,
            _ if self.random.one_in(200) => 77,
            _ => account,
        };
        self.entry(account, session, command)
    }

    fn entry(&mut self, account: u64, session: u64, command: Command) -> Entry {
        let sequence = self.sequences.entry((account, session)).or_default();
        *sequence += 1 + u64::from(self.random.one_in(10));
        let mut sequence = *sequence;
        if self.random.one_in(40) {
            // Late, or far too late.
            sequence = sequence.saturating_sub(self.random.below(100));
        }
        let entry = Entry {
            time: self.time,
            origin: Origin {
                account: AccountId(account),
                session: SessionId(session),
                sequence: ClientSequence(sequence),
            },
            command,
        };
        self.sent.push(entry.clone());
        if self.sent.len() > 300 {
            self.sent.remove(0);
        }
        entry
    }

    fn command(&mut self) -> Command {
        match self.random.below(1000) {
            0..=599 => self.place(),
            600..=739 => Command::Cancel { order: self.order() },
            740..=879 => self.amend(),
            880..=899 => self.mass_cancel(),
            900..=914 => Command::Connect { cancel_on_disconnect: self.random.one_in(2) },
            915..=929 => Command::Disconnect,
            930..=959 => self.transfer(),
            960..=985 => {
                let instrument = self.random.pick(&INSTRUMENTS);
                let mark = Ticks(self.mid(instrument));
                Command::SetMark { instrument, mark }
            }
            986..=995 => Command::SetMode {
                mode: match self.random.below(8) {
                    0 => Mode::CancelOnly,
                    1 => Mode::Halted,
                    _ => Mode::Normal,
                },
                cause: self.random.below(5) as u32,
            },
            _ => {
                self.term += self.random.below(2);
                Command::Resume { term: Term(self.term) }
            }
        }
    }

    fn mid(&mut self, instrument: InstrumentId) -> i64 {
        let step = self.random.between(-2, 2);
        let mid = self.mids.entry(instrument).or_insert(100);
        *mid = (*mid + step).max(5);
        *mid
    }

    fn order(&mut self) -> OrderId {
        if self.orders.is_empty() || self.random.one_in(50) {
            return OrderId(self.random.below(1_000_000));
        }
        self.random.pick(&self.orders).0
    }

    fn lots(&mut self) -> i64 {
        match self.random.below(60) {
            0 => 0,
            1 => -3,
            2 => i64::MAX,
            3 => 1 << 45,
            _ => self.random.between(1, 60),
        }
    }

    fn place(&mut self) -> Command {
        let instrument = self.random.pick(&INSTRUMENTS);
        let price = self.mid(instrument) + self.random.between(-6, 6);
        let time_in_force = match self.random.below(10) {
            0..=6 => TimeInForce::GoodTillCancel,
            7 | 8 => TimeInForce::ImmediateOrCancel,
            _ => TimeInForce::FillOrKill,
        };
        Command::Place {
            order: NewOrder {
                instrument: if self.random.one_in(200) { InstrumentId(999) } else { instrument },
                side: self.random.pick(&[Side::Buy, Side::Sell]),
                price: (!self.random.one_in(12)).then_some(Ticks(price)),
                lots: Lots(self.lots()),
                time_in_force,
                post_only: self.random.one_in(8),
                label: self.random.below(1000),
            },
        }
    }

    fn amend(&mut self) -> Command {
        let order = self.order();
        let price = 5 + self.random.below(10) as i64;
        let instrument = self.random.pick(&INSTRUMENTS);
        let near = self.mid(instrument);
        let price = match self.random.below(4) {
            0 => Some(Ticks(near + price - 10)),
            _ => None,
        };
        let lots = match self.random.below(3) {
            0 => None,
            _ => Some(Lots(self.lots())),
        };
        Command::Amend { order, price, lots }
    }

    fn mass_cancel(&mut self) -> Command {
        let scope = match self.random.below(4) {
            0 => MassCancelScope::All,
            1 => MassCancelScope::Session { session: SessionId(1 + self.random.below(3)) },
            _ => MassCancelScope::Instrument { instrument: self.random.pick(&INSTRUMENTS) },
        };
        let account = match self.random.below(6) {
            0 => Some(AccountId(1 + self.random.below(ACCOUNTS))),
            _ => None,
        };
        Command::MassCancel { account, scope }
    }

    fn transfer(&mut self) -> Command {
        let account = AccountId(1 + self.random.below(ACCOUNTS + 1));
        let currency = self.random.pick(&[BTC, USD, ETH, CurrencyId(99)]);
        let amount = Money(match self.random.below(20) {
            0 => 0,
            1 => -1,
            _ => i128::from(self.random.between(1, 50_000_000)),
        });
        if self.random.one_in(2) {
            Command::Deposit { account, currency, amount }
        } else {
            Command::Withdraw { account, currency, amount }
        }
    }
}
