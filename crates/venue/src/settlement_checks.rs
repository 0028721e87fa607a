//! What samples, funding and pools can be in any state an engine can be in.

use crate::restore::{ensure, inconsistent};
use crate::snapshot::SnapshotError;
use crate::state::{MAX_MONEY, State};
use evenkeel_types::oracle::Price;
use evenkeel_types::regime::Scope;
use evenkeel_types::{AccountId, InstrumentKind, Reader};

/// More samples than the whole range of time has milliseconds.
const MAX_SAMPLES: u64 = 1 << 45;
/// Beyond any bounded premium: a rate of 2^33 ones.
const MAX_PREMIUM: i128 = 1 << 73;

/// Checks what settlement and funding go on with.
pub(crate) fn check_settlement(reader: &Reader<'_>, state: &State) -> Result<(), SnapshotError> {
    let is_past = state.extension.last_time <= state.meta.time;
    ensure(reader, is_past, "the last entry's time lies in the future")?;
    for known in state.currencies.values() {
        let pools = known.extra.pools;
        let all = [pools.fees, pools.rounding, pools.withdrawals];
        let in_range = all.iter().all(|it| it.0.unsigned_abs() <= MAX_MONEY.unsigned_abs());
        ensure(reader, in_range, "a pool is out of range")?;
    }
    for known in state.extension.underlyings.values() {
        for samples in known.deliveries.open.values() {
            let fits = is_sum_of_prices(samples.sum, samples.count.into());
            ensure(reader, fits, "delivery samples are out of range")?;
        }
    }
    for known in &state.instruments {
        let delivered = known.extra.delivered.price;
        let fits = delivered.is_none_or(|price| price.0 > 0 && price <= Price::MAX);
        let is_dated = known.terms.expiry().is_some() || delivered.is_none();
        ensure(reader, fits && is_dated, "a delivery price is out of range")?;
        let funding = &known.extra.funding;
        let is_perpetual = known.terms.kind == InstrumentKind::Perpetual;
        if !is_perpetual && (funding.interval_end.0 != 0 || funding.samples != 0) {
            return Err(inconsistent(reader, "funding of what has none"));
        }
        let samples = i128::from(funding.samples);
        let fits = funding.samples <= MAX_SAMPLES
            && is_sum_of_prices(funding.index_sum, funding.samples)
            && funding.premium_sum.unsigned_abs() <= (samples * MAX_PREMIUM).unsigned_abs();
        ensure(reader, fits, "a funding interval is out of range")?;
    }
    check_liquidations(reader, state)
}

/// Checks that accounts and appointments belong to each other.
fn check_liquidations(reader: &Reader<'_>, state: &State) -> Result<(), SnapshotError> {
    ensure(reader, state.graces_fit(), "accounts in grace are not the ones listed")?;
    let venue = state.extension.regime.modes.get(&Scope::Venue).map(|it| it.mode);
    ensure(reader, venue.unwrap_or_default() == state.meta.mode, "the venue has two modes")?;
    let due = &state.extension.liquidations.due;
    let all_known = due
        .keys()
        .all(|account| *account != AccountId::FUND && state.client_slot(*account).is_ok());
    ensure(reader, all_known, "a liquidation of an unknown account")?;
    for account in state.clients() {
        let fits = account.extra.liquidation.is_none() || due.contains_key(&account.id);
        ensure(reader, fits, "a liquidation without a next round")?;
    }
    Ok(())
}

fn is_sum_of_prices(sum: i128, count: u64) -> bool {
    let most = i128::from(count).checked_mul(Price::MAX.0.into());
    sum >= i128::from(count) && most.is_none_or(|most| sum <= most)
}
