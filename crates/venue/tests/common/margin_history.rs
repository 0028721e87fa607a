//! Histories of a venue with margin: every command, sensible and not, over markets that walk, jump,
//! fall silent and expire. The choices come from outside: a seed in tests, bytes in the fuzzer.

use evenkeel_types::conditional::{
    OrderTerms, Protection, SelfTrade, Trigger, TriggerKind, TriggerPrice,
};
use evenkeel_types::flows::{DepositStep, FlowKey, Permissions, WithdrawalStep};
use evenkeel_types::oracle::{Price, Reading, SMILE_POINTS, Smile, Volatility};
use evenkeel_types::regime::Scope;
use evenkeel_types::terms::MarginModel;
use evenkeel_types::{
    AccountId, ApiKeyId, ClientSequence, Command, Entry, Event, Instrument, InstrumentId,
    InstrumentKind, Lots, MassCancelScope, Mode, Money, NewOrder, OptionRight, OrderId, Origin,
    SessionId, Side, SourceId, Style, Term, Ticks, TimeInForce, Timestamp, TradeId,
};
use std::collections::BTreeMap;

#[path = "margin_venue.rs"]
mod margin_venue;

pub use margin_venue::{ACCOUNTS, BTC, START, UNDERLYING, USD, instruments};
use margin_venue::{EXPIRIES, SECOND_NS, SOURCES, opening};

/// Where choices come from.
pub trait Choices {
    /// Any number.
    fn next(&mut self) -> u64;
    /// True once nothing more can be chosen.
    fn is_spent(&self) -> bool {
        false
    }
}

/// SplitMix64.
pub struct Seeded(pub u64);

impl Choices for Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A source of entries.
pub struct MarginHistory<C: Choices> {
    choices: C,
    time: Timestamp,
    queue: Vec<(AccountId, Command)>,
    sequences: BTreeMap<AccountId, u64>,
    orders: Vec<(OrderId, AccountId)>,
    index: i64,
    volatility: u32,
    silent_until: Timestamp,
    term: u64,
    next_trade: u64,
    /// Instruments with their present tick prices, roughly.
    instruments: Vec<Instrument>,
    is_dense: bool,
}

impl<C: Choices> MarginHistory<C> {
    pub fn new(choices: C) -> Self {
        Self::of(choices, false)
    }

    fn of(mut choices: C, is_dense: bool) -> Self {
        let mut queue = opening(choices.next(), is_dense);
        queue.reverse();
        Self {
            choices,
            time: START,
            queue,
            sequences: BTreeMap::new(),
            orders: Vec::new(),
            index: 60_000,
            volatility: 600_000,
            silent_until: START,
            term: 1,
            next_trade: 1,
            instruments: instruments(),
            is_dense,
        }
    }

    /// Trades, falls and resumes crowd together; what the others do in thousands of entries comes
    /// in hundreds.
    #[allow(dead_code, reason = "each test binary uses its own part")]
    pub fn dense(choices: C) -> Self {
        Self::of(choices, true)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.choices.next() % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below((high - low + 1).unsigned_abs())).expect("a small span")
    }

    /// Learns of orders and trades.
    pub fn hear(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::OrderAccepted { order, account, .. } => self.orders.push((*order, *account)),
                Event::OrderClosed { order, .. } => self.orders.retain(|known| known.0 != *order),
                Event::Traded { trade, .. } => self.next_trade = trade.0 + 1,
                _ => {}
            }
        }
    }

    /// The next entry; `None` once the choices are spent.
    pub fn next_entry(&mut self) -> Option<Entry> {
        if self.queue.is_empty() {
            if self.choices.is_spent() {
                return None;
            }
            self.pass_time();
            self.choose();
        }
        let (account, command) = self.queue.pop()?;
        let sequence = self.sequences.entry(account).or_insert(0);
        *sequence += 1;
        let (session, sequence) = (SessionId(1), ClientSequence(*sequence));
        Some(Entry { time: self.time, origin: Origin { account, session, sequence }, command })
    }

    fn pass_time(&mut self) {
        if self.is_dense && !self.one_in(40) {
            self.time.0 += self.below(200) * 1_000_000;
            return;
        }
        let step_ms = match self.below(1_000) {
            0 if self.one_in(4) => 1_800_000 + self.below(7_200_000),
            1..=3 => 60_000 + self.below(600_000),
            4..=40 => 1_000 + self.below(15_000),
            _ => self.below(400),
        };
        self.time.0 += step_ms * 1_000_000;
        if self.one_in(400) {
            // The sources fall silent for a while.
            self.silent_until = Timestamp(self.time.0 + self.below(120) * SECOND_NS);
        }
    }

    fn operator(&mut self, command: Command) {
        self.queue.push((AccountId::OPERATOR, command));
    }

    fn account(&mut self) -> AccountId {
        AccountId(1 + self.below(ACCOUNTS + 2))
    }

    fn choose(&mut self) {
        if self.is_dense && !self.one_in(4) {
            return match self.below(200) {
                _ if self.next_trade == 1 && self.one_in(3) => self.prices(),
                0..=29 => self.prices(),
                30..=31 => {
                    self.term += 1;
                    self.operator(Command::Resume { term: Term(self.term) });
                }
                _ => self.meeting(),
            };
        }
        match self.below(100) {
            0..=19 => self.prices(),
            20..=62 => self.order(),
            63..=74 => self.change_order(),
            75..=80 => self.operator(Command::Tick),
            81..=88 => self.money(),
            89..=93 => self.terms_of_an_account(),
            94..=97 => self.lever(),
            98 => self.operator(Command::Tick),
            _ => self.regime(),
        }
    }

    /// A round of readings from some of the sources.
    fn prices(&mut self) {
        let reach = match self.below(100) {
            5..=13 if self.is_dense => 110,
            0 => 150,
            1..=4 => 30,
            _ => 2,
        };
        let move_permille = self.between(-reach, reach);
        self.index = (self.index * (1_000 + move_permille) / 1_000).clamp(5_000, 500_000);
        let calm = (600_000 - i64::from(self.volatility)) / 20;
        let step = calm + self.between(-10_000, 10_000 + move_permille.abs() * 2_000);
        let volatility = i64::from(self.volatility) + step;
        self.volatility = u32::try_from(volatility.clamp(300_000, 1_500_000)).expect("clamped");
        if self.time < self.silent_until {
            return self.operator(Command::Tick);
        }
        let with_smiles = self.one_in(3);
        for source in SOURCES {
            if self.one_in(12) {
                continue;
            }
            let lie = if self.one_in(300) { self.between(-200, 200) } else { 0 };
            let age_ms = if self.one_in(40) { self.below(20_000) } else { self.below(50) };
            let time = Timestamp(self.time.0.saturating_sub(age_ms * 1_000_000));
            self.readings(source, time, self.index * (1_000 + lie) / 1_000, with_smiles);
        }
    }

    fn readings(&mut self, source: SourceId, time: Timestamp, index: i64, with_smiles: bool) {
        let price = |whole: i64| Price(whole * Price::ONE);
        let underlying = UNDERLYING;
        let say = |reading| Command::Oracle { source, underlying, time, reading };
        let mut said = vec![say(Reading::Index { price: price(index) })];
        for (expiry, basis) in EXPIRIES.into_iter().zip([1, 4]) {
            let forward = price(index * (1_000 + basis) / 1_000);
            said.push(say(Reading::Forward { expiry, price: forward }));
            if with_smiles {
                let mut points = [Volatility(self.volatility); SMILE_POINTS];
                points[0].0 += 100_000;
                points[1].0 += 50_000;
                said.push(say(Reading::Smile { expiry, smile: Smile { points } }));
            }
        }
        said.reverse();
        self.queue.splice(0..0, said.into_iter().map(|command| (AccountId::OPERATOR, command)));
    }

    fn order(&mut self) {
        let at = usize::try_from(self.below(10)).expect("small");
        let listed = self.instruments[at].clone();
        let fair = self.fair_ticks(&listed);
        let reach = (fair / if self.one_in(3) { 40 } else { 400 }).max(3);
        let price = (fair + self.between(-reach, reach)).max(1);
        let price = if self.one_in(60) { price * 3 } else { price };
        let size = match listed.kind {
            InstrumentKind::Option { .. } => self.between(1, 60),
            _ if listed.style == Style::Inverse => self.between(1, 4_000),
            _ => self.between(1, 2_000),
        };
        let time_in_force = match self.below(10) {
            0..=1 => TimeInForce::ImmediateOrCancel,
            2 => TimeInForce::FillOrKill,
            _ => TimeInForce::GoodTillCancel,
        };
        let is_market = time_in_force != TimeInForce::GoodTillCancel && self.one_in(2);
        let order = NewOrder {
            instrument: listed.id,
            side: if self.one_in(2) { Side::Buy } else { Side::Sell },
            price: (!is_market).then_some(Ticks(price)),
            lots: Lots(if self.one_in(80) { size * 1_000 } else { size }),
            time_in_force,
            post_only: !is_market && self.one_in(6),
            label: self.below(4),
        };
        let account = self.account();
        let command = if self.one_in(2) {
            Command::Place { order }
        } else {
            Command::PlaceWith { order, terms: self.terms(fair) }
        };
        self.queue.push((account, command));
    }

    /// Two accounts trade at a price near the fair one.
    fn meeting(&mut self) {
        let at = usize::try_from(self.below(10)).expect("small");
        let listed = self.instruments[at].clone();
        let fair = self.fair_ticks(&listed);
        let size = match listed.kind {
            InstrumentKind::Option { .. } => self.between(1, 40),
            _ if listed.style == Style::Inverse => self.between(100, 6_000),
            _ => self.between(10, 800),
        };
        let (maker, taker) = (self.account(), self.account());
        let sides = if self.one_in(2) { [Side::Buy, Side::Sell] } else { [Side::Sell, Side::Buy] };
        for (account, side) in [taker, maker].into_iter().zip(sides) {
            let order = NewOrder {
                instrument: listed.id,
                side,
                price: Some(Ticks(fair.max(1))),
                lots: Lots(size),
                time_in_force: TimeInForce::GoodTillCancel,
                post_only: false,
                label: self.below(4),
            };
            self.queue.push((account, Command::Place { order }));
        }
    }

    fn terms(&mut self, fair: i64) -> OrderTerms {
        let self_trades = [
            SelfTrade::Allow,
            SelfTrade::CancelTaker,
            SelfTrade::CancelMaker,
            SelfTrade::CancelBoth,
        ];
        let trigger = self.one_in(6).then(|| {
            let is_index = self.one_in(2);
            let level = if is_index { self.index * Price::ONE } else { fair };
            Trigger {
                kind: if self.one_in(2) { TriggerKind::Stop } else { TriggerKind::TakeProfit },
                price: if is_index { TriggerPrice::Index } else { TriggerPrice::Mark },
                level: (level / 1_000 * self.between(980, 1_020)).max(1),
            }
        });
        OrderTerms {
            reduce_only: self.one_in(3),
            slide: self.one_in(4),
            self_trade: self_trades[usize::try_from(self.below(4)).expect("small")],
            protected: self.one_in(4),
            protection_bp: self.one_in(4).then(|| u32::try_from(self.below(1_000)).expect("small")),
            trigger,
        }
    }

    /// About what an instrument is worth, in ticks: near enough for orders to meet.
    fn fair_ticks(&self, listed: &Instrument) -> i64 {
        match (listed.kind, listed.style) {
            (InstrumentKind::Option { strike, right, .. }, style) => {
                let strike = i64::try_from(strike.mantissa()).expect("small");
                let inside = match right {
                    OptionRight::Call => self.index - strike,
                    OptionRight::Put => strike - self.index,
                };
                let value = inside.max(0) + self.index / 60;
                match style {
                    Style::Inverse => value * 10_000 / self.index,
                    Style::Linear => value * 2,
                }
            }
            _ => self.index * 2,
        }
    }

    fn change_order(&mut self) {
        if self.one_in(8) {
            let scope = match self.below(5) {
                0 => MassCancelScope::All,
                1 => MassCancelScope::Instrument { instrument: InstrumentId(2) },
                2 => MassCancelScope::Session { session: SessionId(1) },
                3 => MassCancelScope::Currency { currency: BTC },
                _ => MassCancelScope::Label { label: self.below(4) },
            };
            let account = self.account();
            return self.queue.push((account, Command::MassCancel { account: None, scope }));
        }
        if self.orders.is_empty() {
            return self.operator(Command::Tick);
        }
        let drawn = self.below(self.orders.len() as u64);
        let (order, owner) = self.orders[usize::try_from(drawn).expect("small")];
        let command = if self.one_in(2) {
            Command::Cancel { order }
        } else {
            let price = self.one_in(2).then(|| Ticks(self.between(1, 140_000)));
            let lots = self.one_in(2).then(|| Lots(self.between(1, 500)));
            Command::Amend { order, price, lots }
        };
        let account = if self.one_in(20) { self.account() } else { owner };
        self.queue.push((account, command));
    }

    fn money(&mut self) {
        let (account, to) = (self.account(), self.account());
        let currency = if self.one_in(2) { BTC } else { USD };
        let unit = if currency == BTC { 100_000_000 } else { 10_000_000_000 };
        let amount = Money(i128::from(self.between(1, 300)) * unit / 100);
        let key = FlowKey([u8::try_from(self.below(6)).expect("small"); 16]);
        let step = match self.below(5) {
            0..=1 => WithdrawalStep::Approve,
            2 => WithdrawalStep::Send { reference: [1; 32] },
            3 => WithdrawalStep::Final,
            _ => WithdrawalStep::Fail { cause: 1 },
        };
        let deposit = match self.below(4) {
            0..=1 => DepositStep::Seen { currency, amount },
            2 => DepositStep::Final,
            _ => DepositStep::Dropped,
        };
        let destination = [7; 32];
        match self.below(10) {
            0 => self.operator(Command::Deposit { account, currency, amount }),
            1 => self.operator(Command::Withdraw { account, currency, amount }),
            2 => self.queue.push((account, Command::Transfer { to, currency, amount })),
            3..=4 => self
                .queue
                .push((account, Command::RequestWithdrawal { key, currency, amount, destination })),
            5 => self.operator(Command::AdvanceWithdrawal { account, key, step }),
            6 => self.operator(Command::ReportDeposit { account, key, step: deposit }),
            7 => self.queue.push((account, Command::CancelWithdrawal { key })),
            8 => {
                let stalled = self.one_in(2);
                self.operator(Command::SetChain { currency, stalled });
            }
            _ if self.one_in(2) => self.operator(Command::FundInsurance { currency, amount }),
            _ => self.operator(Command::PayFees { currency, amount: Money(amount.0 / 1_000) }),
        }
    }

    fn terms_of_an_account(&mut self) {
        let account = self.account();
        let key = ApiKeyId(self.below(3));
        let command = match self.below(5) {
            0 => Command::Connect { cancel_on_disconnect: self.one_in(2) },
            1 => Command::Disconnect,
            2 => Command::SetKey {
                key,
                permissions: Permissions {
                    trade: self.one_in(2),
                    cancel: true,
                    transfer: self.one_in(2),
                    withdraw: self.one_in(2),
                    valid_until: None,
                },
            },
            3 => Command::SetProtection {
                underlying: UNDERLYING,
                protection: Protection {
                    interval_ms: self.below(5_000),
                    frozen_ms: self.below(3_000),
                    quantity_limit: 1 + self.below(20_000_000),
                    delta_limit: 1 + self.below(20_000_000),
                },
            },
            _ => {
                let model =
                    if self.one_in(2) { MarginModel::Standard } else { MarginModel::Portfolio };
                return self.operator(Command::SetMarginModel { account, model });
            }
        };
        self.queue.push((account, command));
    }

    fn lever(&mut self) {
        let (underlying, ramp_ms) = (UNDERLYING, self.below(120_000));
        let command = match self.below(5) {
            0 => Command::SetMarginFactor {
                underlying,
                factor_bp: 9_000 + u32::try_from(self.below(12_000)).expect("small"),
                ramp_ms,
            },
            1 => Command::SetThrottle {
                orders_per_second: self
                    .one_in(2)
                    .then(|| u32::try_from(1 + self.below(20)).expect("small")),
                ramp_ms,
            },
            2..=3 => {
                let back = self.below(6).min(self.next_trade);
                Command::BustTrade { trade: TradeId(self.next_trade - back), code: 1 }
            }
            _ => Command::SetMark {
                instrument: InstrumentId(1),
                mark: Ticks((self.index * 2).max(1)),
            },
        };
        self.operator(command);
    }

    fn regime(&mut self) {
        let scope = match self.below(4) {
            0 => Scope::Venue,
            1 => Scope::Underlying { underlying: UNDERLYING },
            2 => Scope::Instrument {
                instrument: InstrumentId(u32::try_from(1 + self.below(10)).expect("small")),
            },
            _ => Scope::Account { account: self.account() },
        };
        let modes = [
            Mode::Normal,
            Mode::Auction,
            Mode::ReduceOnly,
            Mode::CancelOnly,
            Mode::WithdrawOnly,
            Mode::Halted,
        ];
        let mode = modes[usize::try_from(self.below(6)).expect("small")];
        if self.one_in(2) {
            // The whole way back; the queue is taken from its end.
            let way = [Mode::Normal, Mode::Auction, Mode::ReduceOnly, Mode::CancelOnly];
            let back = way.map(|mode| Command::SetModeIn { scope, mode, code: 2 });
            return back.into_iter().for_each(|command| self.operator(command));
        }
        let command = match self.below(12) {
            0 => {
                self.term += 1;
                Command::Resume { term: Term(self.term) }
            }
            1..=2 => Command::Veto {
                approver: u32::try_from(self.below(3)).expect("small"),
                scope,
                delay_ms: self.below(30_000),
            },
            3 => Command::SetMode { mode, cause: 1 },
            _ => Command::SetModeIn { scope, mode, code: 1 },
        };
        self.operator(command);
    }
}
