//! Reading books and their orders' owners back.

use crate::book::MAX_SIDE_LOTS;
use crate::leaf::LeafKey;
use crate::margin;
use crate::orders::{Link, MAX_OPEN_ORDERS, NIL, Order, OrderFlags};
use crate::restore::{BookOrder, ensure, expect_key, inconsistent, read_book_record};
use crate::snapshot::SnapshotError;
use crate::state::{InstrumentState, State};
use evenkeel_types::{AccountId, Canonical, Instrument, Lots, Money, Reader, SessionId, Side};

/// An order read from a book's leaf, whose owner is yet to come.
pub(crate) struct Ownerless {
    side: Side,
    order: BookOrder,
}

/// Reads the books' leaves: the orders of each, in the order of their owners to come.
pub(crate) fn read_books(
    reader: &mut Reader<'_>,
    state: &mut State,
    slots: &[u32],
) -> Result<Vec<Vec<Ownerless>>, SnapshotError> {
    let mut books = Vec::with_capacity(slots.len());
    let mut order_count = 0;
    for slot in slots {
        let known = state.instrument(*slot);
        let instrument = known.terms.id;
        expect_key(reader, LeafKey::Book { instrument })?;
        let record = read_book_record(reader)?;
        let best = (record.bids.first(), record.asks.first());
        // In an opening call orders gather without trading.
        if let (Some(bid), Some(ask), false) = (best.0, best.1, state.has_margin()) {
            ensure(reader, bid.price < ask.price, "a book is crossed")?;
        }
        order_count += record.bids.len() + record.asks.len();
        ensure(reader, order_count <= MAX_OPEN_ORDERS, "too many orders")?;
        let mut orders = Vec::with_capacity(record.bids.len() + record.asks.len());
        for (side, side_orders) in [(Side::Buy, record.bids), (Side::Sell, record.asks)] {
            let mut lots: i64 = 0;
            for order in side_orders {
                check_order(reader, state, known, &order)?;
                lots += order.open.0;
                ensure(reader, lots <= MAX_SIDE_LOTS.0, "a book's side is too large")?;
                orders.push(Ownerless { side, order });
            }
        }
        books.push(orders);
    }
    Ok(books)
}

fn check_order(
    reader: &Reader<'_>,
    state: &State,
    instrument: &InstrumentState,
    order: &BookOrder,
) -> Result<(), SnapshotError> {
    let is_numbered = order.order.0 > 0 && order.order < state.meta.next_order;
    ensure(reader, is_numbered, "an order has a number of the future")?;
    let in_range = order.price <= Instrument::MAX_TICKS
        && order.open > Lots::ZERO
        && order.open <= Instrument::MAX_LOTS
        && margin::checked_value(instrument, order.price, order.open).is_ok();
    ensure(reader, in_range, "an order's price or size is out of range")
}

/// Reads the owners' leaves and rebuilds books, reserves and lists.
pub(crate) fn read_owners(
    reader: &mut Reader<'_>,
    state: &mut State,
    slots: &[u32],
    books: Vec<Vec<Ownerless>>,
) -> Result<(), SnapshotError> {
    let mut by_id = Vec::new();
    for (slot, orders) in slots.iter().zip(books) {
        let instrument = state.instrument(*slot).terms.id;
        expect_key(reader, LeafKey::Owners { instrument })?;
        for ownerless in orders {
            let order = read_owner(reader, state, *slot, &ownerless)?;
            let is_new = state.orders.find(order.id).is_none();
            ensure(reader, is_new, "two orders have one number")?;
            by_id.push((order.id, add_order(state, order)));
        }
    }
    by_id.sort_unstable();
    for (_, slot) in by_id {
        state.list_with_owner(slot);
    }
    Ok(())
}

fn read_owner(
    reader: &mut Reader<'_>,
    state: &State,
    instrument: u32,
    ownerless: &Ownerless,
) -> Result<Order, SnapshotError> {
    let owner = AccountId::decode(reader)?;
    let session = SessionId::decode(reader)?;
    let (label, post_only) = (u64::decode(reader)?, bool::decode(reader)?);
    let unknown = |_| inconsistent(reader, "an order's account does not exist");
    let account = state.client_slot(owner).map_err(unknown)?;
    let BookOrder { price, order, open } = ownerless.order;
    let side = ownerless.side;
    let (flags, reserve) = if state.has_margin() {
        let kept: (OrderFlags, Money) = Canonical::decode(reader)?;
        let is_valid = kept.0.is_valid() && kept.1 >= Money::ZERO && kept.1.0 < 1 << 100;
        ensure(reader, is_valid, "an order's terms or reserve are out of range")?;
        kept
    } else {
        let (collateral, known) = (state.account(account).collateral, state.instrument(instrument));
        let reserve = margin::resting_reserve(collateral, known, side, price, open);
        (OrderFlags::default(), reserve)
    };
    Ok(Order {
        id: order,
        account,
        instrument,
        session,
        label,
        side,
        post_only,
        flags,
        price,
        open,
        reserve,
        in_level: Link::UNLINKED,
        level: NIL,
        in_account: Link::UNLINKED,
        next_in_bucket: NIL,
    })
}

/// Puts an order into its book; returns its slot.
fn add_order(state: &mut State, order: Order) -> u32 {
    let (side, open, instrument) = (order.side, order.open, order.instrument as usize);
    debug_assert!(order.reserve >= Money::ZERO);
    let terms_id = state.instruments[instrument].terms.id;
    let account = state.account_mut(order.account);
    *account.holding_mut(terms_id).open_mut(side) += open.0;
    let slot = state.orders.insert(order);
    let ladder = state.instruments[instrument].book.side_mut(side);
    ladder.push(&mut state.orders, slot);
    slot
}
