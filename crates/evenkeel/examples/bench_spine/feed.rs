//! A seeded flow of orders: mostly quotes that come and go, some amends, a few that trade.

use evenkeel::demo::Random;
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Decimal, Entry,
    Instrument, InstrumentId, InstrumentKind, Lots, Money, NewOrder, OrderId, Origin, SessionId,
    Side, Style, Symbol, Ticks, TimeInForce, Timestamp,
};

use crate::Outcome;

const BTC: CurrencyId = CurrencyId(1);
const USD: CurrencyId = CurrencyId(2);
pub(crate) const ACCOUNTS: usize = 300;
pub(crate) const INSTRUMENTS: usize = 200;
/// All orders rest within this many ticks of the mid, on their side.
const TICKS_DEEP: i64 = 500;
/// Shares of commands, in percent, once the wanted number of orders is open; the rest are places
/// and cancels, half each.
const AMENDS: usize = 10;
const TAKES: usize = 2;

/// Sent by someone, to do something.
pub(crate) type Sent = (Origin, Command);

#[derive(Debug)]
struct Open {
    account: usize,
    order: OrderId,
}

/// Makes commands without applying them, so that only applying is measured. Order ids are
/// predicted: the engine numbers placed orders from 1.
#[derive(Debug)]
pub(crate) struct Feed {
    random: Random,
    sequences: Vec<u64>,
    next_order: u64,
    open: Vec<Open>,
}

impl Feed {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed, 7),
            sequences: vec![0; ACCOUNTS + 1],
            next_order: 1,
            open: Vec::new(),
        }
    }

    /// Currencies, instruments, accounts with means.
    pub(crate) fn founding(&mut self, collateral: Collateral) -> Outcome<Vec<Sent>> {
        let (venue, salt) = ([1; 16], [2; 32]);
        let mut commands = vec![Command::Found { venue, salt }];
        for (id, code, scale) in [(BTC, "BTC", 8), (USD, "USD", 2)] {
            let code = Symbol::new(code)?;
            commands.push(Command::DefineCurrency { currency: Currency { id, code, scale } });
        }
        for id in 1..=INSTRUMENTS {
            commands.push(Command::DefineInstrument { instrument: perpetual(id as u32)? });
        }
        for id in 1..=ACCOUNTS {
            let account = AccountId(id as u64);
            commands.push(Command::OpenAccount { account, collateral });
            let (currency, amount) = (USD, Money(1 << 60));
            commands.push(Command::Deposit { account, currency, amount });
        }
        Ok(commands.into_iter().map(|command| self.send(0, command)).collect())
    }

    /// A resting order.
    pub(crate) fn rest(&mut self) -> Sent {
        let account = 1 + self.random.below(ACCOUNTS);
        let order = OrderId(self.next_order);
        self.open.push(Open { account, order });
        let (side, ticks) = (self.side(), self.random.between(1, TICKS_DEEP));
        self.place(account, side, -ticks, TimeInForce::GoodTillCancel)
    }

    /// The next command of a market that keeps about `depth` orders open.
    pub(crate) fn next(&mut self, depth: usize) -> Sent {
        if self.open.len() < depth {
            return self.rest();
        }
        let draw = self.random.below(100);
        if draw < TAKES {
            let account = 1 + self.random.below(ACCOUNTS);
            let side = self.side();
            return self.place(account, side, TICKS_DEEP, TimeInForce::ImmediateOrCancel);
        }
        let at = self.random.below(self.open.len());
        if draw < TAKES + AMENDS {
            let Open { account, order } = self.open[at];
            let lots = Some(Lots(self.random.between(1, 20)));
            return self.send(account, Command::Amend { order, price: None, lots });
        }
        let Open { account, order } = self.open.swap_remove(at);
        self.send(account, Command::Cancel { order })
    }

    /// `first` resting orders, then `count` commands around that depth, as entries.
    pub(crate) fn entries(
        &mut self,
        collateral: Collateral,
        depth: usize,
        count: usize,
    ) -> Outcome<Vec<Entry>> {
        let mut sent = self.founding(collateral)?;
        sent.extend((0..depth).map(|_| self.rest()));
        sent.extend((0..count).map(|_| self.next(depth)));
        let numbered = sent.into_iter().zip(0..);
        let entry = |((origin, command), at)| Entry { time: Timestamp(at), origin, command };
        Ok(numbered.map(entry).collect())
    }

    fn side(&mut self) -> Side {
        if self.random.chance(0.5) { Side::Buy } else { Side::Sell }
    }

    /// `over` ticks beyond the mid: negative rests, positive trades.
    fn place(&mut self, account: usize, side: Side, over: i64, tif: TimeInForce) -> Sent {
        let order = NewOrder {
            instrument: InstrumentId(1 + self.random.below(INSTRUMENTS) as u32),
            side,
            price: Some(Ticks(100_000 + side.sign() * over)),
            lots: Lots(self.random.between(1, 20)),
            time_in_force: tif,
            post_only: false,
            label: self.next_order,
        };
        self.next_order += 1;
        self.send(account, Command::Place { order })
    }

    fn send(&mut self, account: usize, command: Command) -> Sent {
        self.sequences[account] += 1;
        let sequence = ClientSequence(self.sequences[account]);
        let account = AccountId(account as u64);
        (Origin { account, session: SessionId(1), sequence }, command)
    }
}

fn perpetual(id: u32) -> Outcome<Instrument> {
    Ok(Instrument {
        id: InstrumentId(id),
        symbol: Symbol::new(&format!("BTC-{id}"))?,
        kind: InstrumentKind::Perpetual,
        style: Style::Linear,
        base: BTC,
        quote: USD,
        settlement: USD,
        tick: Decimal::new(5, 1)?,
        lot: Decimal::new(1, 3)?,
        contract_size: Decimal::whole(1),
    })
}
