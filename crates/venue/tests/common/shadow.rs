//! A second bookkeeper: rebuilds the venue from its events alone.

use evenkeel_types::{
    AccountId, Collateral, CurrencyId, Event, InstrumentId, Lots, Mode, Money, NewOrder, OrderId,
    SessionId, Side, Ticks,
};
use evenkeel_venue::Engine;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq)]
pub struct ShadowOrder {
    pub account: AccountId,
    pub session: SessionId,
    pub terms: NewOrder,
    pub price: Option<Ticks>,
    pub open: Lots,
    pub is_resting: bool,
}

#[derive(Default)]
pub struct Shadow {
    pub mode: Mode,
    pub accounts: BTreeMap<AccountId, Collateral>,
    pub balances: BTreeMap<(AccountId, CurrencyId), (Money, Money)>,
    pub positions: BTreeMap<(AccountId, InstrumentId), (Lots, Money, Money)>,
    pub orders: BTreeMap<OrderId, ShadowOrder>,
    /// Priority: orders in order of arrival at their price.
    pub queues: BTreeMap<(InstrumentId, Side, Ticks), Vec<OrderId>>,
    pub marks: BTreeMap<InstrumentId, Ticks>,
    pub sessions: BTreeMap<(AccountId, SessionId), (bool, bool)>,
    pub transfers: BTreeMap<CurrencyId, i128>,
    pub trades: u64,
    pub closed: BTreeSet<OrderId>,
}

impl Shadow {
    pub fn fold(&mut self, event: &Event) {
        match event {
            Event::Completed { .. }
            | Event::Repeated { .. }
            | Event::TooOld { .. }
            | Event::Founded { .. }
            | Event::CurrencyDefined { .. }
            | Event::InstrumentDefined { .. } => {}
            Event::Resumed { .. } => self.marks.clear(),
            Event::AccountOpened { account, collateral } => {
                self.accounts.insert(*account, *collateral);
            }
            Event::ModeChanged { mode, .. } => self.mode = *mode,
            Event::MarkChanged { instrument, mark } => {
                self.marks.insert(*instrument, *mark);
            }
            Event::SessionChanged { account, session, connected, cancel_on_disconnect } => {
                let state = (*connected, *cancel_on_disconnect);
                self.sessions.insert((*account, *session), state);
            }
            Event::BalanceChanged { account, currency, balance, reserved } => {
                let known = self.balances.entry((*account, *currency)).or_default();
                assert_ne!(*known, (*balance, *reserved), "an event without a change");
                *known = (*balance, *reserved);
            }
            Event::PositionChanged { account, instrument, lots, basis, realised } => {
                let position = (*lots, *basis, *realised);
                self.positions.insert((*account, *instrument), position);
            }
            Event::Deposited { currency, amount, .. } => {
                *self.transfers.entry(*currency).or_default() += amount.0;
            }
            Event::Withdrawn { currency, amount, .. } => {
                *self.transfers.entry(*currency).or_default() -= amount.0;
            }
            order_event => self.fold_order(order_event),
        }
    }

    fn fold_order(&mut self, event: &Event) {
        match event {
            Event::OrderAccepted { order, account, session, terms } => {
                let known = ShadowOrder {
                    account: *account,
                    session: *session,
                    terms: *terms,
                    price: terms.price,
                    open: terms.lots,
                    is_resting: false,
                };
                assert!(self.orders.insert(*order, known).is_none());
            }
            Event::Traded { .. } => self.fold_trade(event),
            Event::OrderRested { order, price, open } => {
                let known = self.orders.get_mut(order).expect("a known order rests");
                assert_eq!((known.price, known.open), (Some(*price), *open));
                known.is_resting = true;
                let key = (known.terms.instrument, known.terms.side, *price);
                self.queues.entry(key).or_default().push(*order);
            }
            Event::OrderAmended { order, price, open, kept_priority } => {
                if !kept_priority {
                    self.unqueue(*order);
                }
                let known = self.orders.get_mut(order).expect("a known order changes");
                known.price = Some(*price);
                known.open = *open;
                known.is_resting = *kept_priority;
            }
            Event::OrderClosed { order, open, .. } => {
                if self.orders[order].is_resting {
                    self.unqueue(*order);
                }
                let known = self.orders.remove(order).expect("a known order closes");
                assert_eq!(known.open, *open);
                assert!(self.closed.insert(*order), "an order closes once");
            }
            other => panic!("not an order's event: {other:?}"),
        }
    }

    fn fold_trade(&mut self, event: &Event) {
        let Event::Traded {
            trade,
            lots,
            maker,
            maker_open,
            taker,
            taker_open,
            maker_account,
            taker_account,
            ..
        } = event
        else {
            panic!("not a trade: {event:?}");
        };
        self.trades += 1;
        assert_eq!(trade.0, self.trades, "trades are numbered without gaps");
        for (order, open, account) in
            [(maker, maker_open, maker_account), (taker, taker_open, taker_account)]
        {
            let known = self.orders.get_mut(order).expect("a known order trades");
            assert_eq!(known.open.0 - lots.0, open.0);
            assert_eq!(known.account, *account);
            known.open = *open;
        }
        assert!(self.orders[maker].is_resting && !self.orders[taker].is_resting);
    }

    fn unqueue(&mut self, order: OrderId) {
        let known = &self.orders[&order];
        let price = known.price.expect("resting orders have a price");
        let key = (known.terms.instrument, known.terms.side, price);
        let queue = self.queues.get_mut(&key).expect("its queue");
        queue.retain(|other| *other != order);
        if queue.is_empty() {
            self.queues.remove(&key);
        }
    }

    /// Compares everything with the engine.
    pub fn compare(&self, engine: &Engine) {
        assert_eq!(self.mode, engine.mode());
        assert_eq!(self.orders.len(), engine.open_order_count());
        assert_eq!(self.accounts.len(), engine.account_count());
        self.compare_accounts(engine);
        for instrument in engine.instruments() {
            assert_eq!(self.marks.get(&instrument.id).copied(), engine.mark(instrument.id));
            self.compare_book(engine, instrument.id);
        }
        for session in engine.sessions() {
            let key = (session.account, session.session);
            let known = self.sessions.get(&key).copied().unwrap_or_default();
            assert_eq!(known, (session.connected, session.cancel_on_disconnect));
        }
        for (currency, total) in &self.transfers {
            assert_eq!(engine.net_deposits(*currency), Some(Money(*total)));
        }
    }

    fn compare_accounts(&self, engine: &Engine) {
        let mut balances = BTreeMap::new();
        let mut positions = BTreeMap::new();
        for account in engine.accounts() {
            assert_eq!(self.accounts.get(&account.id), Some(&account.collateral));
            for money in &account.balances {
                balances.insert((account.id, money.currency), (money.balance, money.reserved));
            }
            for p in &account.positions {
                positions.insert((account.id, p.instrument), (p.lots, p.basis, p.realised));
            }
        }
        let mut own_balances = self.balances.clone();
        own_balances.retain(|_, money| *money != (Money(0), Money(0)));
        let mut own_positions = self.positions.clone();
        own_positions.retain(|_, p| *p != (Lots(0), Money(0), Money(0)));
        assert_eq!(own_balances, balances);
        assert_eq!(own_positions, positions);
    }

    fn compare_book(&self, engine: &Engine, instrument: InstrumentId) {
        let book = engine.book(instrument).expect("a book");
        for side in [Side::Buy, Side::Sell] {
            let mut prices: Vec<Ticks> = self
                .queues
                .keys()
                .filter(|key| key.0 == instrument && key.1 == side)
                .map(|key| key.2)
                .collect();
            if side == Side::Buy {
                prices.reverse();
            }
            let own: Vec<OrderId> = prices
                .iter()
                .flat_map(|price| self.queues[&(instrument, side, *price)].clone())
                .collect();
            let orders: Vec<OrderId> = book.orders(side).map(|order| order.order).collect();
            assert_eq!(own, orders);
            for order in book.orders(side) {
                let known = &self.orders[&order.order];
                assert_eq!(
                    (known.account, known.session, known.price, known.open),
                    (order.account, order.session, Some(order.price), order.open)
                );
                assert_eq!(
                    (known.terms.label, known.terms.post_only, known.terms.side),
                    (order.label, order.post_only, order.side)
                );
                assert_eq!(engine.order(order.order), Some(order));
            }
        }
    }
}
