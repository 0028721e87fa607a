//! What tests of orders ask of events.

use super::margin::MarginDesk;
use super::outcome;
use evenkeel_types::conditional::OrderTerms;
use evenkeel_types::{
    CloseReason, Command, Event, InstrumentId, Lots, NewOrder, OrderId, OutcomeKind, RejectCode,
    Side, Ticks, TimeInForce,
};

pub const IOC: TimeInForce = TimeInForce::ImmediateOrCancel;
pub const FOK: TimeInForce = TimeInForce::FillOrKill;

pub fn limit(instrument: InstrumentId, side: Side, price: i64, lots: i64) -> NewOrder {
    super::margin::new_order(instrument, side, price, lots)
}

/// A market order.
pub fn market(instrument: InstrumentId, side: Side, lots: i64) -> NewOrder {
    NewOrder { price: None, time_in_force: IOC, ..limit(instrument, side, 1, lots) }
}

pub fn reduce_only() -> OrderTerms {
    OrderTerms { reduce_only: true, ..OrderTerms::default() }
}

/// The order that an entry accepted.
pub fn order_of(events: &[Event]) -> OrderId {
    match outcome(events).kind {
        OutcomeKind::Order { order } => order,
        kind => panic!("no order but {kind:?}"),
    }
}

/// (maker, price, lots) of trades.
pub fn fills(events: &[Event]) -> Vec<(OrderId, i64, i64)> {
    let fills = events.iter().filter_map(|event| match event {
        Event::Traded { maker, price, lots, .. } => Some((*maker, price.0, lots.0)),
        _ => None,
    });
    fills.collect()
}

/// (order, reason, open) of closed orders.
pub fn closed(events: &[Event]) -> Vec<(OrderId, CloseReason, i64)> {
    let closed = events.iter().filter_map(|event| match event {
        Event::OrderClosed { order, reason, open } => Some((*order, *reason, open.0)),
        _ => None,
    });
    closed.collect()
}

/// Why an order was closed, if it was.
pub fn reason_of(events: &[Event], order: OrderId) -> Option<CloseReason> {
    closed(events).into_iter().find(|it| it.0 == order).map(|it| it.1)
}

/// Open size that an entry gave to an order that it amended.
pub fn amended(events: &[Event], order: OrderId) -> Option<i64> {
    events.iter().rev().find_map(|event| match event {
        Event::OrderAmended { order: known, open, .. } if *known == order => Some(open.0),
        _ => None,
    })
}

/// Places an order with further terms and returns its id.
pub fn place_with(
    desk: &mut MarginDesk,
    account: u64,
    order: NewOrder,
    terms: OrderTerms,
) -> OrderId {
    order_of(&desk.send_with(account, order, terms))
}

pub fn refuse_with(
    desk: &mut MarginDesk,
    account: u64,
    order: NewOrder,
    terms: OrderTerms,
) -> RejectCode {
    desk.refuse(account, Command::PlaceWith { order, terms })
}

/// Open lots of an order; 0 if it rests in no book.
pub fn open(desk: &MarginDesk, order: OrderId) -> i64 {
    desk.engine.order(order).map_or(0, |view| view.open.0)
}

pub fn amend(
    order: OrderId,
    price: impl Into<Option<i64>>,
    lots: impl Into<Option<i64>>,
) -> Command {
    Command::Amend { order, price: price.into().map(Ticks), lots: lots.into().map(Lots) }
}

/// Holds for every currency.
pub fn assert_conserved(desk: &MarginDesk) {
    for money in desk.engine.conservation() {
        assert_eq!(money.difference(), 0, "{money:?}");
    }
    assert!(desk.engine.running_sums_hold());
}

/// A restored copy has the same root.
pub fn assert_restores(desk: &MarginDesk) {
    assert_eq!(desk.restored().state_root(), desk.engine.state_root());
}
