//! What must hold of orders under rules 2 in any state that a snapshot may carry.

use crate::orders::MAX_OPEN_ORDERS;
use crate::protection::check_protections;
use crate::restore::ensure;
use crate::snapshot::SnapshotError;
use crate::state::State;
use crate::throttle::check_throttle;
use crate::trades::check_trades;
use crate::triggers::check_triggers;
use evenkeel_types::Reader;

/// Refuses orders, trades, protections and bounds that no engine could hold.
pub(crate) fn check_orders(reader: &Reader<'_>, state: &State) -> Result<(), SnapshotError> {
    let count = state.orders.count() + state.extension.triggers.count();
    ensure(reader, count <= MAX_OPEN_ORDERS, "too many orders")?;
    check_triggers(reader, state)?;
    check_trades(reader, state)?;
    check_throttle(reader, state)?;
    state.clients().try_for_each(|it| check_protections(reader, state, &it.extra.protections))
}
