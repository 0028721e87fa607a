//! What must add up in any state an engine can be in.

use crate::margin;
use crate::orders::NIL;
use crate::restore::ensure;
use crate::snapshot::SnapshotError;
use crate::state::{Account, MAX_POSITION, State};
use evenkeel_types::{CurrencyId, InstrumentId, InstrumentKind, Reader, Side};
use std::collections::BTreeMap;

/// Checks reserves against orders, positions against each other, money against deposits.
pub(crate) fn check_sums(reader: &Reader<'_>, state: &State) -> Result<(), SnapshotError> {
    let mut positions: BTreeMap<InstrumentId, i128> = BTreeMap::new();
    // Modulo 2^128: the total of many accounts may pass through values beyond 127 bits.
    let mut money: BTreeMap<CurrencyId, i128> = BTreeMap::new();
    for account in state.clients() {
        let reserves_fit = reserves_fit(state, account);
        ensure(reader, reserves_fit, "a reserve is not the sum of its orders'")?;
        for holding in &account.holdings {
            let worst = holding.worst(Side::Buy).max(holding.worst(Side::Sell));
            ensure(reader, worst <= MAX_POSITION, "a position could grow too large")?;
            let total = positions.entry(holding.instrument).or_default();
            *total += i128::from(holding.lots.0);
        }
        for balance in &account.balances {
            let total = money.entry(balance.currency).or_default();
            *total = total.wrapping_add(balance.balance.0);
        }
        for holding in &account.holdings {
            let Some(slot) = state.instrument_slots.get(&holding.instrument) else {
                continue;
            };
            let terms = &state.instrument(*slot).terms;
            if !matches!(terms.kind, InstrumentKind::Option { .. }) {
                let total = money.entry(terms.settlement).or_default();
                *total = total.wrapping_sub(holding.basis.0);
            }
        }
    }
    let is_balanced = positions.values().all(|total| *total == 0);
    ensure(reader, is_balanced, "longs and shorts do not cancel out")?;
    let is_conserved = state.currencies.iter().all(|(id, known)| {
        let total = money.get(id).copied().unwrap_or_default();
        let pools = known.extra.pools;
        let pooled = [pools.fees, pools.rounding, pools.withdrawals];
        let total = pooled.iter().fold(total, |total, pool| total.wrapping_add(pool.0));
        total == known.net_deposits.0
    });
    ensure(reader, is_conserved, "money does not add up to the deposits")
}

/// Whether what an account has reserved is what its orders reserve.
fn reserves_fit(state: &State, account: &Account) -> bool {
    let mut reserves: BTreeMap<CurrencyId, i128> = BTreeMap::new();
    let mut slot = account.first_order;
    while slot != NIL {
        let order = state.orders.at(slot);
        let terms = &state.instrument(order.instrument).terms;
        let currency = margin::reserve_currency(terms, order.side);
        // At most 2^24 orders of at most 2^91 units.
        *reserves.entry(currency).or_default() += order.reserve.0;
        slot = order.in_account.next;
    }
    let all_found = reserves
        .iter()
        .all(|(currency, reserve)| account.balance(*currency).reserved.0 == *reserve);
    all_found
        && account.balances.iter().all(|money| {
            let reserve = reserves.get(&money.currency).copied();
            money.reserved.0 == reserve.unwrap_or_default()
        })
}
