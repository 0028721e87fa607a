//! Conditional orders that wait for a price.
//!
//! A conditional order gets its id at acceptance and waits (`OrderArmed`) outside every book. It
//! can be cancelled, amended and mass-cancelled like a resting one, and counts toward the limits on
//! open orders; margin is asked for only when it is released. It is released by the first change of
//! the instrument's mark, or of the underlying's index, that meets its level:
//!
//! | | buy | sell |
//! |---|---|---|
//! | stop | at or above | at or below |
//! | take-profit | at or below | at or above |
//!
//! Whatever one change meets is released in the order of ids, each as if it was sent then
//! (`OrderTriggered` with the price that met it): it trades, rests, or is closed as `Refused` if it
//! would have been refused. A reduce-only one that is larger than the position is cut first
//! (`OrderAmended`; its price is 0 for a market order). Only prices that a quorum of sources stands
//! behind change index and marks, so no stale price releases anything. While the mode takes no
//! orders that trade (opening call, cancel-only, halted), what is met stays armed, and the next
//! change after it releases it.
//!
//! One change costs what it releases: conditional orders lie in order of their levels.

use crate::entering::Wish;
use crate::restore::ensure;
use crate::snapshot::SnapshotError;
use crate::state::State;
use evenkeel_types::conditional::{OrderTerms, Trigger, TriggerKind, TriggerPrice};
use evenkeel_types::oracle::Price;
use evenkeel_types::{
    AccountId, Canonical, CloseReason, DecodeError, Event, Instrument, InstrumentId, Lots, Mode,
    NewOrder, OrderId, OutcomeKind, Reader, RejectCode, SessionId, Side, Ticks, TimeInForce,
    UnderlyingId, Writer, canonical_struct,
};
use std::collections::{BTreeMap, BTreeSet};

/// A conditional order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Armed {
    pub account: AccountId,
    pub session: SessionId,
    pub order: NewOrder,
    pub terms: OrderTerms,
}
canonical_struct!(Armed { account, session, order, terms });

/// Which price a conditional order looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Watched {
    Mark(InstrumentId),
    Index(UnderlyingId),
}

/// Who waits for a price: by level, then by id.
#[derive(Debug, Clone, Default)]
struct Waiting {
    /// Released at or above the level.
    rising: BTreeSet<(i64, OrderId)>,
    /// Released at or below the level.
    falling: BTreeSet<(i64, OrderId)>,
}

impl Waiting {
    fn of(&mut self, rises: bool) -> &mut BTreeSet<(i64, OrderId)> {
        if rises { &mut self.rising } else { &mut self.falling }
    }

    fn is_empty(&self) -> bool {
        self.rising.is_empty() && self.falling.is_empty()
    }

    /// All that a price meets.
    fn met(&self, price: i64) -> impl Iterator<Item = OrderId> {
        let rising = self.rising.range(..=(price, OrderId(u64::MAX)));
        let falling = self.falling.range((price, OrderId(0))..);
        rising.chain(falling).map(|(_, order)| *order)
    }
}

/// All conditional orders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Triggers {
    by_id: BTreeMap<OrderId, Armed>,
    /// Derived.
    waiting: BTreeMap<Watched, Waiting>,
}

impl Canonical for Triggers {
    fn encode(&self, writer: &mut Writer) {
        let Self {
            by_id,
            // Derived from the orders and the instruments' underlyings.
            waiting: _,
        } = self;
        by_id.encode(writer);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { by_id: Canonical::decode(reader)?, waiting: BTreeMap::new() })
    }
}

impl Triggers {
    /// Number of conditional orders.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// One of them.
    pub fn armed(&self, order: OrderId) -> Option<&Armed> {
        self.by_id.get(&order)
    }
}

/// Whether it is released from below.
fn rises(trigger: &Trigger, side: Side) -> bool {
    (trigger.kind == TriggerKind::Stop) == (side == Side::Buy)
}

fn is_met(trigger: &Trigger, side: Side, price: i64) -> bool {
    if rises(trigger, side) { price >= trigger.level } else { price <= trigger.level }
}

impl State {
    /// Takes a conditional order.
    pub(crate) fn arm(
        &mut self,
        wish: &Wish,
        session: SessionId,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        self.check_shape(wish)?;
        self.check_armable(wish)?;
        self.check_open_orders(wish.account, wish.instrument)?;
        self.check_order_count()?;
        let (order, terms) = (&wish.order, &wish.terms);
        let id = self.tell_accepted(wish.account, session, (order, terms), events);
        events.push(Event::OrderArmed { order: id });
        let account = self.account(wish.account).id;
        let armed = Armed { account, session, order: *order, terms: *terms };
        self.extension.triggers.by_id.insert(id, armed);
        self.list_one_armed(id);
        Ok(OutcomeKind::Order { order: id })
    }

    /// Whether the modes take it, and its trigger waits for something.
    fn check_armable(&self, wish: &Wish) -> Result<(), RejectCode> {
        match self.mode_of(wish.instrument, wish.account) {
            Mode::Normal | Mode::Auction | Mode::ReduceOnly => {}
            Mode::CancelOnly => return Err(RejectCode::CancelOnly),
            Mode::WithdrawOnly => return Err(RejectCode::WithdrawOnly),
            Mode::Halted => return Err(RejectCode::Halted),
        }
        let trigger = wish.terms.trigger.ok_or(RejectCode::BadTrigger)?;
        let most = match trigger.price {
            TriggerPrice::Mark => Instrument::MAX_TICKS.0,
            TriggerPrice::Index => Price::MAX.0,
        };
        let instrument = self.instrument(wish.instrument);
        let underlying = instrument.extra.underlying.ok_or(RejectCode::UnknownUnderlying)?;
        let price = match trigger.price {
            TriggerPrice::Mark => instrument.mark.map(|mark| mark.0),
            TriggerPrice::Index => self.index_price(underlying).map(|index| index.price.0),
        };
        let price = price.ok_or(RejectCode::NoMark)?;
        let is_sound = (1..=most).contains(&trigger.level);
        if !is_sound || is_met(&trigger, wish.order.side, price) {
            return Err(RejectCode::BadTrigger);
        }
        Ok(())
    }

    /// Where a conditional order waits.
    fn place_of(&self, armed: &Armed) -> Option<(Watched, bool, i64)> {
        let trigger = armed.terms.trigger?;
        let watched = match trigger.price {
            TriggerPrice::Mark => Watched::Mark(armed.order.instrument),
            TriggerPrice::Index => {
                let slot = self.instrument_slots.get(&armed.order.instrument)?;
                Watched::Index(self.instrument(*slot).extra.underlying?)
            }
        };
        Some((watched, rises(&trigger, armed.order.side), trigger.level))
    }

    /// Lists a conditional order by its level and with its owner.
    fn list_one_armed(&mut self, id: OrderId) {
        let Some(armed) = self.extension.triggers.armed(id).copied() else {
            return;
        };
        if let Some((watched, rises, level)) = self.place_of(&armed) {
            let waiting = self.extension.triggers.waiting.entry(watched).or_default();
            waiting.of(rises).insert((level, id));
        }
        let underlying = self.underlying_of_armed(id);
        if let Some(owner) = self.account_slots.get(&armed.account).copied() {
            let own = &mut self.account_mut(owner).extra.own;
            own.add(underlying);
            own.armed.insert(id);
        }
    }

    /// Lists all conditional orders anew.
    pub(crate) fn list_armed(&mut self) {
        self.extension.triggers.waiting.clear();
        let all: Vec<OrderId> = self.extension.triggers.by_id.keys().copied().collect();
        for id in all {
            self.list_one_armed(id);
        }
    }

    /// The underlying of a conditional order's instrument.
    pub(crate) fn underlying_of_armed(&self, id: OrderId) -> Option<UnderlyingId> {
        let armed = self.extension.triggers.armed(id)?;
        let slot = self.instrument_slots.get(&armed.order.instrument)?;
        self.instrument(*slot).extra.underlying
    }

    /// Takes a conditional order out of every list.
    fn disarm(&mut self, id: OrderId) -> Option<Armed> {
        let underlying = self.underlying_of_armed(id);
        let armed = self.extension.triggers.by_id.remove(&id)?;
        if let Some((watched, rises, level)) = self.place_of(&armed)
            && let Some(waiting) = self.extension.triggers.waiting.get_mut(&watched)
        {
            waiting.of(rises).remove(&(level, id));
            if waiting.is_empty() {
                self.extension.triggers.waiting.remove(&watched);
            }
        }
        if let Some(owner) = self.account_slots.get(&armed.account).copied() {
            let own = &mut self.account_mut(owner).extra.own;
            own.remove(underlying);
            own.armed.remove(&id);
        }
        Some(armed)
    }

    /// Closes a conditional order; false if there is none.
    pub(crate) fn close_armed(
        &mut self,
        id: OrderId,
        reason: CloseReason,
        events: &mut Vec<Event>,
    ) -> bool {
        let Some(armed) = self.disarm(id) else {
            return false;
        };
        events.push(Event::OrderClosed { order: id, reason, open: armed.order.lots });
        true
    }

    /// Closes all conditional orders on an instrument, by id.
    pub(crate) fn close_armed_in(
        &mut self,
        instrument: InstrumentId,
        reason: CloseReason,
        events: &mut Vec<Event>,
    ) {
        let all = self.extension.triggers.by_id.iter();
        let here = all.filter(|(_, armed)| armed.order.instrument == instrument);
        let here: Vec<OrderId> = here.map(|(id, _)| *id).collect();
        for id in here {
            self.close_armed(id, reason, events);
        }
    }

    /// Changes price or size of a conditional order with a limit price.
    pub(crate) fn amend_armed(
        &mut self,
        account: u32,
        id: OrderId,
        (price, lots): (Option<Ticks>, Option<Lots>),
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        let armed = self.extension.triggers.armed(id).ok_or(RejectCode::UnknownOrder)?;
        if armed.account != self.account(account).id {
            return Err(RejectCode::NotYourOrder);
        }
        let before = armed.order.price.ok_or(RejectCode::MarketMayNotRest)?;
        let (price, lots) = (price.unwrap_or(before), lots.unwrap_or(armed.order.lots));
        let order = NewOrder { price: Some(price), lots, ..armed.order };
        let (terms, instrument) = (armed.terms, self.instrument_slot(order.instrument)?);
        self.check_shape(&Wish { account, instrument, order, terms, replaces: None })?;
        if let Some(armed) = self.extension.triggers.by_id.get_mut(&id) {
            armed.order = order;
        }
        let kept_priority = true;
        events.push(Event::OrderAmended { order: id, price, open: lots, kept_priority });
        Ok(OutcomeKind::Done)
    }

    /// Releases conditional orders that a changed index or mark of an underlying meets.
    pub(crate) fn release_triggers(&mut self, underlying: UnderlyingId, events: &mut Vec<Event>) {
        if self.extension.triggers.waiting.is_empty() {
            return;
        }
        let mut met: Vec<(OrderId, i64)> = Vec::new();
        for (watched, waiting) in &self.extension.triggers.waiting {
            let price = match *watched {
                Watched::Index(of) if of == underlying => {
                    self.index_price(underlying).map(|index| index.price.0)
                }
                Watched::Index(_) => None,
                Watched::Mark(instrument) => self.mark_in(instrument, underlying),
            };
            if let Some(price) = price {
                met.extend(waiting.met(price).map(|order| (order, price)));
            }
        }
        met.sort_unstable();
        for (order, price) in met {
            self.release(order, price, events);
        }
    }

    /// An instrument's mark if it is on the underlying.
    fn mark_in(&self, instrument: InstrumentId, underlying: UnderlyingId) -> Option<i64> {
        let slot = self.instrument_slots.get(&instrument)?;
        let known = self.instrument(*slot);
        if known.extra.underlying != Some(underlying) {
            return None;
        }
        known.mark.map(|mark| mark.0)
    }

    fn release(&mut self, id: OrderId, price: i64, events: &mut Vec<Event>) {
        let Some(armed) = self.extension.triggers.armed(id).copied() else {
            // One that was released before it took this one along.
            return;
        };
        let account = self.client_slot(armed.account);
        let instrument = self.instrument_slot(armed.order.instrument);
        let (Ok(account), Ok(instrument)) = (account, instrument) else {
            return;
        };
        let mode = self.mode_of(instrument, account);
        if !matches!(mode, Mode::Normal | Mode::ReduceOnly) {
            return;
        }
        self.disarm(id);
        events.push(Event::OrderTriggered { order: id, level: price });
        let (order, terms) = (armed.order, armed.terms);
        let wish = Wish { account, instrument, order, terms, replaces: None };
        match self.prepare(&wish) {
            Ok(prepared) => {
                if prepared.lots < order.lots {
                    let price = order.price.unwrap_or_default();
                    let (open, kept_priority) = (prepared.lots, true);
                    events.push(Event::OrderAmended { order: id, price, open, kept_priority });
                }
                self.enter(id, armed.session, &wish, &prepared, events);
            }
            Err(_) => {
                let (reason, open) = (CloseReason::Refused, order.lots);
                events.push(Event::OrderClosed { order: id, reason, open });
            }
        }
    }
}

/// Refuses conditional orders that no engine could hold.
pub(crate) fn check_triggers(reader: &Reader<'_>, state: &State) -> Result<(), SnapshotError> {
    let sound = state.extension.triggers.by_id.iter().all(|(id, armed)| {
        let NewOrder { price, lots, time_in_force, .. } = armed.order;
        let is_price = |price: Ticks| price.0 > 0 && price <= Instrument::MAX_TICKS;
        let may_rest = time_in_force == TimeInForce::GoodTillCancel;
        id.0 > 0
            && *id < state.meta.next_order
            && state.orders.find(*id).is_none()
            && state.client_slot(armed.account).is_ok()
            && state.instrument_slot(armed.order.instrument).is_ok()
            && lots > Lots::ZERO
            && lots <= Instrument::MAX_LOTS
            && price.map_or(!may_rest, is_price)
            && state.place_of(armed).is_some_and(|(_, _, level)| level > 0)
    });
    ensure(reader, sound, "a conditional order is out of range")
}
