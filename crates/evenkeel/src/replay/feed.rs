//! Keeps one instrument's book in the engine equal to a book told from outside.
//!
//! What is told has been matched elsewhere already, so nothing may trade here: every order is
//! post-only. A feed tells both sides of a trade one after the other, and between the two its own
//! book is crossed; an order that would trade waits until the other side was told.

use super::error::ReplayError;
use super::pipeline::Pipeline;
use super::told::{Levels, ToldOrder};
use evenkeel_types::{
    AccountId, Command, InstrumentId, Lots, MassCancelScope, NewOrder, OrderId, OutcomeKind,
    RejectCode, Side, Ticks, TimeInForce,
};
use std::collections::BTreeMap;

/// The account that all told orders belong to.
pub const FEED_ACCOUNT: AccountId = AccountId(1);

/// How recorded units of 10⁻⁸ relate to an instrument's ticks and lots.
#[derive(Debug, Clone, Copy)]
pub struct Units {
    /// Units in a tick.
    pub tick_units: i64,
    /// Units in a lot.
    pub lot_units: i64,
}

impl Units {
    /// A price in ticks.
    #[must_use]
    pub fn ticks(self, price: i64) -> Ticks {
        Ticks(price / self.tick_units)
    }

    /// An amount in lots.
    #[must_use]
    pub fn lots(self, amount: i64) -> Lots {
        Lots(amount / self.lot_units)
    }
}

/// An order as it should stand, and as the engine has it.
#[derive(Debug, Clone, Copy)]
struct Standing {
    told: ToldOrder,
    /// `None` while it waits.
    engine: Option<OrderId>,
}

/// One instrument's told orders, each under a key of the feed's own.
#[derive(Debug)]
pub struct Feed<K> {
    instrument: InstrumentId,
    units: Units,
    orders: BTreeMap<K, Standing>,
    waiting: BTreeMap<K, Side>,
    /// Orders that the engine refused for another reason than that they would trade.
    refused: u64,
}

impl<K: Ord + Copy> Feed<K> {
    /// An empty book.
    #[must_use]
    pub fn new(instrument: InstrumentId, units: Units) -> Self {
        let (orders, waiting) = (BTreeMap::new(), BTreeMap::new());
        Self { instrument, units, orders, waiting, refused: 0 }
    }

    /// Orders that the engine refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Lets an order stand as told, or go.
    ///
    /// # Errors
    /// [`ReplayError::Journal`].
    pub fn set(
        &mut self,
        pipeline: &mut Pipeline,
        time_ns: u64,
        key: K,
        told: Option<ToldOrder>,
    ) -> Result<(), ReplayError> {
        let before = self.orders.remove(&key);
        self.waiting.remove(&key);
        let standing = before.and_then(|standing| Some((standing.engine?, standing.told)));
        match (standing, told) {
            (Some((order, _)), None) => self.cancel(pipeline, time_ns, order)?,
            (None, None) => {}
            (None, Some(told)) => self.place(pipeline, time_ns, key, told)?,
            (Some((order, before)), Some(told)) => {
                if before.side == told.side && self.amend(pipeline, time_ns, order, before, told)? {
                    self.orders.insert(key, Standing { told, engine: Some(order) });
                } else {
                    self.cancel(pipeline, time_ns, order)?;
                    self.place(pipeline, time_ns, key, told)?;
                }
            }
        }
        self.place_waiting(pipeline, time_ns)
    }

    /// Forgets the whole book.
    ///
    /// # Errors
    /// [`ReplayError::Journal`].
    pub fn clear(&mut self, pipeline: &mut Pipeline, time_ns: u64) -> Result<(), ReplayError> {
        self.waiting.clear();
        if !self.orders.is_empty() {
            self.orders.clear();
            let scope = MassCancelScope::Instrument { instrument: self.instrument };
            let command = Command::MassCancel { account: None, scope };
            pipeline.submit(time_ns, FEED_ACCOUNT, command)?;
        }
        Ok(())
    }

    fn place(
        &mut self,
        pipeline: &mut Pipeline,
        time_ns: u64,
        key: K,
        told: ToldOrder,
    ) -> Result<(), ReplayError> {
        let order = NewOrder {
            instrument: self.instrument,
            side: told.side,
            price: Some(self.units.ticks(told.price)),
            lots: self.units.lots(told.amount),
            time_in_force: TimeInForce::GoodTillCancel,
            post_only: true,
            label: 0,
        };
        let engine = match pipeline.submit(time_ns, FEED_ACCOUNT, Command::Place { order })? {
            OutcomeKind::Order { order } => Some(order),
            OutcomeKind::Rejected { code: RejectCode::WouldTrade } => {
                self.waiting.insert(key, told.side);
                None
            }
            OutcomeKind::Done | OutcomeKind::Rejected { .. } => {
                self.refused += 1;
                None
            }
        };
        self.orders.insert(key, Standing { told, engine });
        Ok(())
    }

    /// Changes a standing order; false if that would trade.
    fn amend(
        &self,
        pipeline: &mut Pipeline,
        time_ns: u64,
        order: OrderId,
        before: ToldOrder,
        told: ToldOrder,
    ) -> Result<bool, ReplayError> {
        if before == told {
            return Ok(true);
        }
        let price = (before.price != told.price).then(|| self.units.ticks(told.price));
        let lots = (before.amount != told.amount).then(|| self.units.lots(told.amount));
        let command = Command::Amend { order, price, lots };
        let kind = pipeline.submit(time_ns, FEED_ACCOUNT, command)?;
        Ok(!matches!(kind, OutcomeKind::Rejected { .. }))
    }

    fn cancel(
        &self,
        pipeline: &mut Pipeline,
        time_ns: u64,
        order: OrderId,
    ) -> Result<(), ReplayError> {
        pipeline.submit(time_ns, FEED_ACCOUNT, Command::Cancel { order })?;
        Ok(())
    }

    /// Places what waits and would no longer trade.
    fn place_waiting(&mut self, pipeline: &mut Pipeline, time_ns: u64) -> Result<(), ReplayError> {
        let waiting: Vec<K> = self.waiting.keys().copied().collect();
        for key in waiting {
            let Some(standing) = self.orders.get(&key).copied() else {
                continue;
            };
            let price = self.units.ticks(standing.told.price);
            let other = pipeline.engine().book(self.instrument);
            let best = other.and_then(|book| book.best(standing.told.side.opposite()));
            let crosses = best.is_some_and(|best| match standing.told.side {
                Side::Buy => price >= best,
                Side::Sell => price <= best,
            });
            if !crosses {
                self.waiting.remove(&key);
                self.place(pipeline, time_ns, key, standing.told)?;
            }
        }
        Ok(())
    }

    /// True if the engine's book is exactly this one, level by level.
    #[must_use]
    pub fn engine_agrees(&self, pipeline: &Pipeline, levels: &Levels) -> bool {
        let Some(book) = pipeline.engine().book(self.instrument) else {
            return false;
        };
        [Side::Buy, Side::Sell].into_iter().all(|side| {
            let told = levels.best_first(side);
            let told =
                told.map(|(price, amount)| (self.units.ticks(price), self.units.lots(amount)));
            told.eq(book.levels(side).map(|level| (level.price, level.lots)))
        })
    }
}
