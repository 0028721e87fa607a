//! A small venue and the commands of its clients.

use std::collections::VecDeque;

use evenkeel_recovery::Request;
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Decimal, Event,
    Instrument, InstrumentId, InstrumentKind, Lots, MassCancelScope, Money, NewOrder, OrderId,
    Origin, SessionId, Side, Style, Symbol, Ticks, TimeInForce, Timestamp,
};

use crate::market;
use crate::random::Random;

/// Journal time of the first entry, in nanoseconds since 1970.
pub const START: Timestamp = Timestamp(1_790_000_000_000_000_000);

const BTC: CurrencyId = CurrencyId(1);
const USD: CurrencyId = CurrencyId(2);

fn instrument(id: u32, symbol: &str, kind: InstrumentKind) -> Option<Instrument> {
    let decimal = |text: &str| text.parse::<Decimal>().ok();
    Some(Instrument {
        id: InstrumentId(id),
        symbol: Symbol::new(symbol).ok()?,
        kind,
        style: Style::Linear,
        base: BTC,
        quote: USD,
        settlement: USD,
        tick: decimal("0.5")?,
        lot: decimal("0.0001")?,
        contract_size: decimal("1")?,
    })
}

/// What founds the venue: two currencies, a spot market, a perpetual, and funded accounts.
#[must_use]
pub fn opening(clients: u64, on_margin: bool) -> Vec<Command> {
    let (venue, salt) = (*b"a simulated one!", *b"a salt that only the venue knows");
    let mut commands = vec![Command::Found { venue, salt }];
    for (id, code, scale) in [(BTC, "BTC", 8), (USD, "USD", 2)] {
        if let Ok(code) = Symbol::new(code) {
            let currency = Currency { id, code, scale };
            commands.push(Command::DefineCurrency { currency });
        }
    }
    if on_margin {
        commands.extend(market::terms(BTC, USD));
    }
    let both = [
        instrument(10, "BTC_USD", InstrumentKind::Spot),
        instrument(20, "BTC_USD-PERPETUAL", InstrumentKind::Perpetual),
    ];
    for instrument in both.into_iter().flatten() {
        commands.push(Command::DefineInstrument { instrument });
    }
    for id in 1..=clients {
        let account = AccountId(id);
        let collateral = if id == 1 { Collateral::Unlimited } else { Collateral::Checked };
        commands.push(Command::OpenAccount { account, collateral });
        let rich = [(BTC, 200_000_000_000), (USD, 5_000_000_000)];
        let poor = [(BTC, 1_000_000), (USD, 200_000)];
        for (currency, amount) in if on_margin && id > 1 { poor } else { rich } {
            commands.push(Command::Deposit { account, currency, amount: Money(amount) });
        }
    }
    if on_margin {
        commands.push(Command::FundInsurance { currency: USD, amount: Money(2_000_000) });
    }
    commands
}

/// What one client wants.
#[derive(Debug)]
pub struct Trader {
    account: AccountId,
    random: Random,
    sequence: u64,
    mid: u64,
    lots_max: u64,
    orders: VecDeque<OrderId>,
}

impl Trader {
    /// The client with this index; the history's seed decides what it does.
    #[must_use]
    pub fn new(index: u64, seed: u64) -> Self {
        let random = Random::new(seed ^ (index + 1).wrapping_mul(0x1234_5678_9abc_def1));
        let account = AccountId(index + 1);
        let orders = VecDeque::new();
        Self { account, random, sequence: 0, mid: market::FIRST, lots_max: 50, orders }
    }

    /// Trades more than it can pay for, around this price in ticks.
    pub fn speculates(&mut self, price: u64) {
        (self.mid, self.lots_max) = (price, 1_500);
    }

    /// Learns which orders exist.
    pub fn observe(&mut self, events: &[Event]) {
        for event in events {
            if let Event::OrderAccepted { order, account, .. } = event
                && *account == self.account
            {
                self.orders.push_back(*order);
                if self.orders.len() > 16 {
                    self.orders.pop_front();
                }
            }
        }
    }

    /// Its next command. `label` is the command's number in the history.
    pub fn next(&mut self, label: u64) -> Request {
        self.sequence += 1;
        let sequence = ClientSequence(self.sequence);
        let origin = Origin { account: self.account, session: SessionId(1), sequence };
        let command = match self.random.below(20) {
            0..=14 => self.place(label),
            15..=18 => match self.orders.pop_front() {
                Some(order) => Command::Cancel { order },
                None => self.place(label),
            },
            _ => Command::MassCancel { account: None, scope: MassCancelScope::All },
        };
        Request { origin, command }
    }

    fn place(&mut self, label: u64) -> Command {
        self.mid = self.mid - 3 + self.random.below(7);
        let price = i64::try_from(self.mid - 4 + self.random.below(9)).unwrap_or(1);
        let lots = i64::try_from(self.random.between(1, self.lots_max)).unwrap_or(1);
        Command::Place {
            order: NewOrder {
                instrument: InstrumentId(self.random.pick(&[10, 20])),
                side: self.random.pick(&[Side::Buy, Side::Sell]),
                price: Some(Ticks(price)),
                lots: Lots(lots),
                time_in_force: if self.random.one_in(5) {
                    TimeInForce::ImmediateOrCancel
                } else {
                    TimeInForce::GoodTillCancel
                },
                post_only: false,
                label,
            },
        }
    }
}
