//! Plays a random history of orders with every term, watched from their events alone.

use crate::common::history::Random;
use crate::common::margin::{
    BTC_USD, LINEAR_CALL, LINEAR_PERPETUAL, MarginDesk, SECOND, dollars, underlying, venue_terms,
};
use crate::common::order_watch::{OrderWatch, Seen};
use crate::common::tally::{self, Tally};
use evenkeel_types::conditional::{
    OrderTerms, Protection, SelfTrade, Trigger, TriggerKind, TriggerPrice,
};
use evenkeel_types::terms::FeeTerms;
use evenkeel_types::{
    AccountId, Collateral, Command, Lots, MassCancelScope, Mode, NewOrder, OrderId, SessionId,
    Side, Ticks, TimeInForce, TradeId,
};
use evenkeel_venue::Engine;

const MARK: i64 = 120_000;
struct Play {
    desk: MarginDesk,
    random: Random,
    watch: OrderWatch,
    orders: Vec<(u64, OrderId)>,
    twin: Option<Engine>,
    next_trade: u64,
    tally: Tally,
}

impl Play {
    /// Accounts 1, 2, 11 and 12 without a check of collateral, 10 a sub-account of 1; account 3 is
    /// checked and rich.
    fn new(seed: u64) -> Self {
        let mut terms = underlying();
        terms.oracle.volatility_step = 10_000_000;
        if seed % 2 == 1 {
            terms.fees = FeeTerms { future_maker: -100, ..FeeTerms::DERIBIT };
        }
        let mut desk = MarginDesk::open_with(terms, venue_terms());
        for account in [11, 12] {
            desk.open_account(account, Collateral::Unlimited);
        }
        let (account, main) = (AccountId(10), AccountId(1));
        let collateral = Collateral::Unlimited;
        desk.operator(Command::OpenSubAccount { account, main, collateral });
        desk.deposit(3, crate::common::margin::USD, 1_000_000 * crate::common::margin::DOLLAR);
        let mut watch = OrderWatch::default();
        let mut engine = Engine::new();
        let mut events = Vec::new();
        for entry in &desk.entries {
            events.clear();
            engine.apply(entry, &mut events);
            watch.follow(&events);
        }
        let (orders, twin, next_trade) = (Vec::new(), None, 1);
        let (random, tally) = (Random(seed), Tally::new());
        Self { desk, random, watch, orders, twin, next_trade, tally }
    }

    fn account(&mut self) -> u64 {
        self.random.pick(&[1, 1, 2, 3, 10, 11, 12])
    }

    fn side(&mut self) -> Side {
        self.random.pick(&[Side::Buy, Side::Sell])
    }

    fn send(&mut self, account: u64, session: u64, command: Command) {
        let events = self.desk.send_in(account, session, command);
        for event in &events {
            match event {
                evenkeel_types::Event::OrderAccepted { order, account, .. } => {
                    self.orders.push((account.0, *order));
                }
                evenkeel_types::Event::Traded { trade, .. } => self.next_trade = trade.0,
                _ => {}
            }
        }
        self.watch.follow(&events);
        tally::count(&mut self.tally, &events);
        if let Some(twin) = &mut self.twin {
            let entry = self.desk.entries.last().expect("sent");
            twin.apply(entry, &mut Vec::new());
            assert_eq!(twin.output_digest(), self.desk.engine.output_digest());
        }
    }

    fn terms(&mut self) -> OrderTerms {
        let wishes = [
            SelfTrade::Allow,
            SelfTrade::CancelTaker,
            SelfTrade::CancelMaker,
            SelfTrade::CancelBoth,
        ];
        let trigger = self.random.one_in(5).then(|| Trigger {
            kind: self.random.pick(&[TriggerKind::Stop, TriggerKind::TakeProfit]),
            price: self.random.pick(&[TriggerPrice::Mark, TriggerPrice::Index]),
            level: self.random.between(119_990, 120_010),
        });
        let trigger = trigger.map(|it| match it.price {
            TriggerPrice::Mark => it,
            TriggerPrice::Index => Trigger { level: it.level * 5_000_000_000, ..it },
        });
        OrderTerms {
            reduce_only: self.random.one_in(3),
            slide: self.random.one_in(2),
            self_trade: self.random.pick(&wishes),
            protected: self.random.one_in(3),
            protection_bp: None,
            trigger,
        }
    }

    fn place(&mut self) {
        let times = [
            TimeInForce::GoodTillCancel,
            TimeInForce::GoodTillCancel,
            TimeInForce::GoodTillCancel,
            TimeInForce::ImmediateOrCancel,
            TimeInForce::FillOrKill,
        ];
        let instrument = self.random.pick(&[LINEAR_PERPETUAL, LINEAR_PERPETUAL, LINEAR_CALL]);
        let middle = if instrument == LINEAR_CALL { 4_000 } else { MARK };
        let time_in_force = self.random.pick(&times);
        let is_market = time_in_force != TimeInForce::GoodTillCancel && self.random.one_in(4);
        let order = NewOrder {
            instrument,
            side: self.side(),
            price: (!is_market).then(|| Ticks(middle + self.random.between(-6, 6))),
            lots: Lots(self.random.between(1, 40)),
            time_in_force,
            post_only: !is_market && self.random.one_in(5),
            label: self.random.below(3),
        };
        let (account, terms) = (self.account(), self.terms());
        let session = 1 + self.random.below(2);
        self.send(account, session, Command::PlaceWith { order, terms });
    }

    fn change(&mut self) {
        if self.orders.is_empty() {
            return;
        }
        let at = self.orders.len() as u64 - 1 - self.random.below(self.orders.len().min(60) as u64);
        let (account, order) = self.orders[usize::try_from(at).expect("small")];
        let command = if self.random.one_in(3) {
            Command::Cancel { order }
        } else {
            let price = self.random.one_in(2).then(|| Ticks(MARK + self.random.between(-6, 6)));
            let lots = self.random.one_in(2).then(|| Lots(self.random.between(1, 40)));
            Command::Amend { order, price, lots }
        };
        self.send(account, 1, command);
    }

    fn lever(&mut self) {
        let account = self.account();
        match self.random.below(8) {
            0..=3 => {
                let protection = Protection {
                    interval_ms: self.random.pick(&[0, 1_000, 60_000]),
                    frozen_ms: self.random.pick(&[0, 1, 500]),
                    quantity_limit: self.random.below(100_000),
                    delta_limit: self.random.below(60_000),
                };
                let command = Command::SetProtection { underlying: BTC_USD, protection };
                self.send(account, 1, command);
            }
            4 => {
                let scopes = [
                    MassCancelScope::All,
                    MassCancelScope::Label { label: 1 },
                    MassCancelScope::Session { session: SessionId(2) },
                    MassCancelScope::Currency { currency: crate::common::margin::USD },
                ];
                let scope = self.random.pick(&scopes);
                self.send(account, 1, Command::MassCancel { account: None, scope });
            }
            5 => {
                let trade = TradeId(self.random.below(self.next_trade + 1));
                self.send(0, 1, Command::BustTrade { trade, code: 1 });
            }
            6 => {
                let mode = self.random.pick(&[Mode::ReduceOnly, Mode::Normal, Mode::Normal]);
                self.send(0, 1, Command::SetMode { mode, cause: 1 });
            }
            _ => self.send(account, 1, Command::Disconnect),
        }
    }

    fn prices(&mut self) {
        self.desk.wait(self.random.below(200) * SECOND / 1_000);
        let from = self.desk.entries.len();
        let whole = self.random.between(59_995, 60_005);
        let mut reference = self.desk.engine.clone();
        if self.random.one_in(4) {
            self.desk.feed(whole, 60);
        } else {
            self.desk.index(dollars(whole));
        }
        // The desk applied them itself: the watch hears of them from a second engine.
        let entries = self.desk.entries[from..].to_vec();
        for entry in &entries {
            let mut events = Vec::new();
            reference.apply(entry, &mut events);
            self.watch.follow(&events);
            tally::count(&mut self.tally, &events);
            if let Some(twin) = &mut self.twin {
                twin.apply(entry, &mut Vec::new());
            }
        }
    }

    fn run(mut self, steps: usize, restore_at: usize) -> (Seen, Tally) {
        for count in 0..steps {
            match self.random.below(20) {
                0..=11 => self.place(),
                12..=16 => self.change(),
                17..=18 => self.prices(),
                _ => self.lever(),
            }
            if count % 40 == 0 {
                self.watch.compare(&self.desk.engine);
                crate::common::orders::assert_conserved(&self.desk);
            }
            if count == restore_at {
                self.twin = Some(self.desk.restored());
            }
        }
        self.watch.compare(&self.desk.engine);
        let twin = self.twin.map(|twin| twin.state_root());
        assert_eq!(twin, Some(self.desk.engine.state_root()));
        (self.watch.seen, self.tally)
    }
}

/// Plays so many steps. Behind one of them, drawn by the seed, a second engine is restored from a
/// snapshot and must go on with the same digests.
pub fn play(seed: u64, steps: usize) -> (Seen, Tally) {
    let restore_at = usize::try_from(seed % 991).expect("small") % steps;
    Play::new(seed).run(steps, restore_at)
}
