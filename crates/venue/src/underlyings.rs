//! Underlyings' parameters: the bounds within which the operator may set them.

use crate::oracle::{
    EXPIRIES_MAX, Quote, SOURCES_MAX, SmileQuote, SourceReadings, UnderlyingState,
};
use crate::restore::ensure;
use crate::risk::cache::RiskCache;
use crate::risk::leg::risk_model;
use crate::snapshot::SnapshotError;
use crate::state::State;
use evenkeel_types::oracle::{OracleRule, Price, Volatility};
use evenkeel_types::regime::BreakerTerms;
use evenkeel_types::terms::{
    FeeTerms, LimitTerms, PortfolioTerms, SettlementTerms, StandardTerms, Underlying,
};
use evenkeel_types::{
    Event, Instrument, InstrumentKind, OutcomeKind, Reader, RejectCode, Style, Timestamp,
    UnderlyingId,
};
use std::collections::BTreeMap;

/// Most underlyings.
pub(crate) const UNDERLYINGS_MAX: usize = 1024;

/// Millionths in one.
const ONE: u32 = 1_000_000;
const DAY_MS: u64 = 86_400_000;
/// Largest amount in whole quote units that a parameter may name.
const AMOUNT_MAX: u64 = 1_000_000_000_000;
/// Largest size of a lot, in millionths of a millionth of a millionth: a billion coins (or quote
/// units of an inverse future). With it no product of a lot and a price leaves 127 bits.
const LOT_MAX: i128 = 1_000_000_000_000_000_000_000_000_000;

impl State {
    /// Adds an underlying or changes one's parameters.
    pub(crate) fn set_underlying(
        &mut self,
        underlying: &Underlying,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        let known = |currency| self.currencies.contains_key(&currency);
        if !known(underlying.base) || !known(underlying.quote) {
            return Err(RejectCode::UnknownCurrency);
        }
        let others = self.extension.underlyings.values().map(|it| &it.terms);
        let is_taken = others.filter(|it| it.id != underlying.id).any(|it| {
            it.symbol == underlying.symbol
                || (it.base, it.quote) == (underlying.base, underlying.quote)
        });
        if is_taken {
            return Err(RejectCode::UnderlyingExists);
        }
        if underlying.base == underlying.quote {
            return Err(RejectCode::BadTerms);
        }
        if !in_bounds(underlying) {
            return Err(RejectCode::OutOfBounds);
        }
        let now = self.meta.time;
        if let Some(known) = self.extension.underlyings.get_mut(&underlying.id) {
            if (known.terms.base, known.terms.quote) != (underlying.base, underlying.quote) {
                return Err(RejectCode::BadTerms);
            }
            known.terms = underlying.clone();
            let rule = &underlying.oracle;
            known.sources.retain(|source, _| rule.sources.binary_search(source).is_ok());
        } else {
            if self.extension.underlyings.len() >= UNDERLYINGS_MAX {
                return Err(RejectCode::LimitReached);
            }
            let fresh = UnderlyingState::new(underlying.clone(), now);
            self.extension.underlyings.insert(underlying.id, fresh);
            self.link_instruments();
            for account in &mut self.accounts {
                account.extra.cache = RiskCache::default();
            }
            for slot in 0..self.accounts.len() {
                if !self.accounts[slot].holdings.is_empty()
                    && let Ok(slot) = u32::try_from(slot)
                {
                    self.join_sweep(slot);
                }
            }
            self.list_orders();
        }
        events.push(Event::UnderlyingSet { underlying: Box::new(underlying.clone()) });
        self.forget_values(underlying.id);
        self.sweep_again();
        self.extension.schedule.forget();
        self.extension.prices.next_lapse = Timestamp(0);
        Ok(OutcomeKind::Done)
    }

    /// The underlying on which an instrument is margined: the one with its base and quote, if the
    /// instrument's terms fit it. Inverse instruments settle in the coin, linear ones in anything
    /// else, which stands for the quote currency one to one.
    pub(crate) fn underlying_of(&self, terms: &Instrument) -> Option<UnderlyingId> {
        let settles = match terms.style {
            Style::Inverse => terms.settlement == terms.base,
            Style::Linear => terms.settlement != terms.base,
        };
        let has_strike = match terms.kind {
            InstrumentKind::Option { strike, .. } => {
                strike.in_units(10).is_some_and(|it| it <= Price::MAX.0.into())
            }
            _ => true,
        };
        if !settles || !has_strike || lot_size(terms).is_none() {
            return None;
        }
        let mut all = self.extension.underlyings.values().map(|it| &it.terms);
        all.find(|it| it.base == terms.base && it.quote == terms.quote).map(|it| it.id)
    }
}

/// Size of one lot in `10^-18`: base coins, or quote units of an inverse future.
pub(crate) fn lot_size(terms: &Instrument) -> Option<i128> {
    let (lot, size) = (terms.lot, terms.contract_size);
    let product = lot.mantissa().checked_mul(size.mantissa())?;
    let scale = u32::from(lot.scale()) + u32::from(size.scale());
    let exact = if scale <= 18 {
        product.checked_mul(10i128.checked_pow(18 - scale)?)?
    } else {
        let divisor = 10i128.checked_pow(scale - 18)?;
        (product % divisor == 0).then_some(product / divisor)?
    };
    (exact > 0 && exact <= LOT_MAX).then_some(exact)
}

/// Whether every parameter is one that the engine's arithmetic and loops are made for.
pub(crate) fn in_bounds(it: &Underlying) -> bool {
    oracle_in_bounds(&it.oracle)
        && standard_in_bounds(&it.standard)
        && portfolio_in_bounds(&it.portfolio)
        && risk_model(it).is_some()
        && fees_in_bounds(&it.fees)
        && limits_in_bounds(&it.limits)
        && settlement_in_bounds(&it.settlement)
        && breakers_in_bounds(&it.breakers)
}

fn oracle_in_bounds(it: &OracleRule) -> bool {
    let count = it.sources.len();
    (1..=SOURCES_MAX).contains(&count)
        && it.sources.is_sorted_by(|a, b| a < b)
        && (1..=count).contains(&(it.quorum as usize))
        && (1..=DAY_MS).contains(&it.fresh_ms)
        && it.disagreement_bp <= 10_000
        && it.volatility_step > 0
}

fn standard_in_bounds(it: &StandardTerms) -> bool {
    it.future_initial <= ONE
        && it.future_maintenance <= it.future_initial
        && it.future_slope <= ONE
        && it.option_initial <= ONE
        && it.option_initial_floor <= it.option_initial
        && it.option_maintenance <= it.option_initial_floor
}

fn portfolio_in_bounds(it: &PortfolioTerms) -> bool {
    // A fall of 90 % leaves a price; more than 16 buckets on a side cost more than they tell.
    (1..=900_000).contains(&it.price_range)
        && it.volatility_range_up <= 10 * ONE
        && it.volatility_range_down <= ONE
        && it.short_term_vega_power <= ONE
        && it.long_term_vega_power <= ONE
        && it.min_volatility_for_shock_up <= 20 * ONE
        && (1..=16).contains(&it.buckets_count)
        && it.extended_table_factor <= 10 * ONE
        && it.extended_dampener <= AMOUNT_MAX
        && it.max_delta_shock <= ONE
        && (1..=AMOUNT_MAX).contains(&it.delta_total_liq_shock_threshold)
        && it.annualised_move_risk <= ONE
        && it.min_annualised_move <= ONE
        && it.pnl_offset <= ONE
        && it.max_offsetable_pnl <= AMOUNT_MAX
        && (1..=ONE).contains(&it.maintenance_factor)
}

fn fees_in_bounds(it: &FeeTerms) -> bool {
    let one = 1_000_000;
    let pairs = [(it.future_maker, it.future_taker), (it.option_maker, it.option_taker)];
    // A rebate is paid by the other side's fee, never by the venue.
    let pays_itself = |(maker, taker): (i32, i32)| {
        (-one..=one).contains(&maker) && (-one..=one).contains(&taker) && maker + taker >= 0
    };
    pairs.into_iter().all(pays_itself)
        && it.option_cap <= ONE
        && it.option_delivery <= ONE
        && it.future_delivery <= ONE
        && it.liquidation <= ONE / 10
        && it.fund_share <= ONE
}

fn limits_in_bounds(it: &LimitTerms) -> bool {
    it.price_band_bp <= 1_000_000
        && it.fat_finger_bp <= 1_000_000
        && it.order_micros <= AMOUNT_MAX
        && it.position_micros <= AMOUNT_MAX
}

fn settlement_in_bounds(it: &SettlementTerms) -> bool {
    (1..=DAY_MS).contains(&it.window_ms)
        && (1..=it.window_ms).contains(&it.sample_ms)
        && (1..=it.window_ms / it.sample_ms).contains(&it.min_samples.into())
        && (1_000..=7 * DAY_MS).contains(&it.funding_interval_ms)
        && it.funding_damper <= ONE
        && it.funding_cap <= ONE
}

fn breakers_in_bounds(it: &BreakerTerms) -> bool {
    let windows =
        [it.volatility_window_ms, it.band_window_ms, it.cooldown_ms, it.step_ms, it.auction_ms];
    windows.into_iter().all(|window| window <= DAY_MS)
        && it.negative_equity.0 >= 0
        && it.negative_equity <= Instrument::MAX_VALUE
}

/// Refuses an underlying that no engine could have written.
pub(crate) fn check_underlying(
    reader: &Reader<'_>,
    state: &State,
    known: &UnderlyingState,
) -> Result<(), SnapshotError> {
    let terms = &known.terms;
    let are_known = [terms.base, terms.quote].iter().all(|it| state.currencies.contains_key(it));
    ensure(reader, are_known && in_bounds(terms), "an underlying's parameters are out of bounds")?;
    let others = state.extension.underlyings.values().map(|it| &it.terms);
    let is_taken = others
        .into_iter()
        .any(|it| it.symbol == terms.symbol || (it.base, it.quote) == (terms.base, terms.quote));
    ensure(reader, !is_taken, "two underlyings have the same name or coins")?;
    let now = state.meta.time;
    let hears = |source| terms.oracle.sources.binary_search(source).is_ok();
    let sound = known.sources.keys().all(hears)
        && known.sources.values().all(|it| is_sound(it, now))
        && known.index.iter().all(|it| is_quote(it, now))
        && are_prices(&known.forwards, &known.smiles, EXPIRIES_MAX * SOURCES_MAX, now)
        && known.valued.values().all(|at| *at <= now)
        && known.revised <= now
        && known.void_before <= now;
    ensure(reader, sound, "an underlying has prices that none could say")?;
    let levels = 10_000..=crate::risk::FACTOR_MAX_BP;
    let factor = &known.factor;
    let is_ramp = levels.contains(&factor.from_level)
        && levels.contains(&factor.to_level)
        && factor.from <= factor.until;
    ensure(reader, is_ramp, "a margin factor is out of bounds")
}

fn is_sound(it: &SourceReadings, now: Timestamp) -> bool {
    it.index.iter().all(|it| is_quote(it, now))
        && are_prices(&it.forwards, &it.smiles, EXPIRIES_MAX, now)
}

fn are_prices(
    forwards: &BTreeMap<Timestamp, Quote>,
    smiles: &BTreeMap<Timestamp, SmileQuote>,
    most: usize,
    now: Timestamp,
) -> bool {
    let is_point = |it: &Volatility| it.0 > 0 && *it <= Volatility::MAX;
    let is_smile =
        |it: &SmileQuote| it.time <= now && it.moved <= now && it.smile.points.iter().all(is_point);
    forwards.len() <= most
        && smiles.len() <= most
        && forwards.values().all(|it| is_quote(it, now))
        && smiles.values().all(is_smile)
}

fn is_quote(it: &Quote, now: Timestamp) -> bool {
    it.price.0 > 0 && it.price <= Price::MAX && it.time <= now
}
