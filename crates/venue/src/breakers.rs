//! The volatility index, and the breakers that shut a part of the venue.
//!
//! | breaker | trips on | shuts | over when |
//! |---|---|---|---|
//! | level | the volatility index above its bound | the underlying: halted | it is below again |
//! | rate | its rise within a window | the underlying: halted | cooldown |
//! | stale | too few fresh sources, for a while | the underlying: reduce-only | a quorum is fresh |
//! | disagreement | fresh sources too far apart | the underlying: reduce-only | they agree |
//! | band | orders refused by the band | the instrument: cancel-only | cooldown |
//! | equity | an account lacks more than the bound | the underlying: reduce-only | cooldown |
//! | conservation | money does not add up | the venue: halted | never by itself |
//! | time | a step of time beyond the bound | the venue: halted | a quorum confirms it |
//!
//! A bound of 0 switches a breaker off. The volatility index is the square root of the 30-day
//! model-free variance of the oracle's smiles, worked out at most once per second of entry time.

use crate::oracle::{UnderlyingState, fresh_until};
use crate::schedule::nanoseconds;
use crate::state::State;
use crate::surface::volatility_at;
use evenkeel_quant::black76;
use evenkeel_quant::functions::sqrt;
use evenkeel_quant::variance::{TermVariance, horizon_variance, volatility};
use evenkeel_quant::variance_smile::smile_variance;
use evenkeel_types::oracle::Volatility;
use evenkeel_types::regime::{Cause, Scope};
use evenkeel_types::{Event, InstrumentId, Mode, Timestamp, UnderlyingId, canonical_struct};
use std::collections::VecDeque;

const SECOND_NS: u64 = 1_000_000_000;
/// The index looks 30 days ahead.
const HORIZON_MS: u64 = 30 * 86_400 * 1_000;
/// Expiries nearer than this are noise to a 30-day index.
const NEAREST_MS: u64 = 3_600 * 1_000;
/// Values kept for the rate: one a second, five minutes and some.
const RECENT_MAX: usize = 600;
/// Units of 10^-18 in one of [`Volatility`].
const ATTO_PER_MICRO: i128 = 1_000_000_000_000;

/// An underlying's volatility index and its recent past.
#[derive(Debug, Clone, Default)]
pub(crate) struct BreakerState {
    pub index: Option<Volatility>,
    pub looked: Timestamp,
    /// Values within the breaker's window, oldest first.
    pub recent: VecDeque<(Timestamp, Volatility)>,
    /// Whether the sources were too few when last looked at.
    pub is_stale: bool,
}
canonical_struct!(BreakerState { index, looked, recent, is_stale });

impl UnderlyingState {
    /// Whether the index is older than the oracle's bound for longer than the breaker allows.
    fn is_too_old(&self, now: Timestamp) -> bool {
        let patience_ms = self.terms.breakers.stale_ms;
        patience_ms > 0
            && self.index.is_some_and(|index| {
                let fresh_until = fresh_until(&self.terms.oracle, index.time);
                now.0 > fresh_until.0.saturating_add(nanoseconds(patience_ms))
            })
    }

    /// The volatility index of the present smiles; `None` without a smile far enough out.
    fn volatility_index(&self, now: Timestamp) -> Option<Volatility> {
        let mut terms = Vec::new();
        for (expiry, quote) in &self.smiles {
            let left_ms = expiry.0.saturating_sub(now.0) / 1_000_000;
            if left_ms < NEAREST_MS {
                continue;
            }
            let years = black76::years(now.0, expiry.0);
            let root = sqrt(years);
            let smile = &quote.smile;
            // The integral asks by ln(K/F), the surface by ln(F/K).
            let total = smile_variance(|log| volatility_at(smile, log.neg(), years).mul(root));
            terms.push(TermVariance { left_ms, total });
        }
        let annual = horizon_variance(&terms, HORIZON_MS).ok()?;
        let micro = volatility(annual) / ATTO_PER_MICRO;
        u32::try_from(micro).ok().map(|micro| Volatility(micro).min(Volatility::MAX))
    }
}

impl State {
    /// Looks at an underlying whose prices, or whose prices' times, changed.
    pub(crate) fn breakers_look(&mut self, underlying: UnderlyingId, events: &mut Vec<Event>) {
        let now = self.meta.time;
        let Some(known) = self.extension.underlyings.get(&underlying) else {
            return;
        };
        let terms = known.terms.breakers;
        let scope = Scope::Underlying { underlying };
        if known.disagrees {
            let what = (Mode::ReduceOnly, Cause::OracleDisagrees);
            self.trip(scope, what, terms.cooldown_ms, events);
        }
        let Some(known) = self.extension.underlyings.get_mut(&underlying) else {
            return;
        };
        if now.0 < known.breaker.looked.0.saturating_add(SECOND_NS) {
            return;
        }
        known.breaker.looked = now;
        let Some(value) = known.volatility_index(now) else {
            return;
        };
        let breaker = &mut known.breaker;
        if breaker.index != Some(value) {
            breaker.index = Some(value);
            events.push(Event::VolatilityIndexChanged { underlying, value });
        }
        let window = nanoseconds(terms.volatility_window_ms);
        while breaker.recent.len() >= RECENT_MAX
            || breaker.recent.front().is_some_and(|(at, _)| now.0 - at.0.min(now.0) > window)
        {
            breaker.recent.pop_front();
        }
        breaker.recent.push_back((now, value));
        let lowest = breaker.recent.iter().map(|(_, value)| value.0).min().unwrap_or(value.0);
        let rises = terms.volatility_rise > 0 && value.0 - lowest > terms.volatility_rise;
        let is_high = terms.volatility_level > 0 && value.0 > terms.volatility_level;
        if rises {
            // What tripped once does not trip again by the same rise.
            breaker.recent.clear();
        }
        if is_high || rises {
            let cause = if is_high { Cause::VolatilityLevel } else { Cause::VolatilityRate };
            self.trip(scope, (Mode::Halted, cause), terms.cooldown_ms, events);
        }
    }

    /// Trips what went stale since the last entry.
    pub(crate) fn look_at_staleness(&mut self, events: &mut Vec<Event>) {
        let now = self.meta.time;
        let mut all = self.extension.underlyings.values();
        if all.all(|known| known.is_too_old(now) == known.breaker.is_stale) {
            return;
        }
        for underlying in self.underlying_ids() {
            let Some(known) = self.extension.underlyings.get_mut(&underlying) else {
                continue;
            };
            let is_stale = known.is_too_old(now);
            let has_tripped = is_stale && !known.breaker.is_stale;
            known.breaker.is_stale = is_stale;
            if has_tripped {
                let cooldown_ms = 0;
                let what = (Mode::ReduceOnly, Cause::OracleStale);
                self.trip(Scope::Underlying { underlying }, what, cooldown_ms, events);
            }
        }
    }

    /// An instrument's price band was hit once more.
    pub(crate) fn look_at_band(&mut self, instrument: InstrumentId, events: &mut Vec<Event>) {
        let Ok(slot) = self.instrument_slot(instrument) else {
            return;
        };
        let known = self.instrument(slot);
        let scope = Scope::Instrument { instrument };
        let terms = self.pace_of(scope);
        if terms.band_hits == 0 || known.extra.band_hits < terms.band_hits {
            return;
        }
        self.instruments[slot as usize].extra.band_hits = 0;
        self.trip(scope, (Mode::CancelOnly, Cause::PriceBand), terms.cooldown_ms, events);
    }

    /// An account's equity fell below minus an underlying's bound.
    pub(crate) fn look_at_equity(&mut self, slot: u32, events: &mut Vec<Event>) {
        let shortfall = self.margin_of(slot).figures.above_maintenance;
        let held: Vec<UnderlyingId> = self.held_underlyings(slot);
        for underlying in held {
            let known = self.extension.underlyings.get(&underlying);
            let Some(terms) = known.map(|it| it.terms.breakers) else {
                continue;
            };
            let bound = terms.negative_equity.0;
            if bound > 0 && shortfall.0 < -bound {
                let what = (Mode::ReduceOnly, Cause::NegativeEquity);
                self.trip(Scope::Underlying { underlying }, what, terms.cooldown_ms, events);
            }
        }
    }

    fn held_underlyings(&self, slot: u32) -> Vec<UnderlyingId> {
        let held = self.account(slot).holdings.iter().filter(|it| it.lots.0 != 0);
        let mut all: Vec<UnderlyingId> = held
            .filter_map(|it| self.instrument_slots.get(&it.instrument))
            .filter_map(|slot| self.instrument(*slot).extra.underlying)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether what shut a scope is gone.
    pub(crate) fn is_over(&self, scope: Scope, cause: Cause) -> bool {
        let known = match scope {
            Scope::Underlying { underlying } => self.extension.underlyings.get(&underlying),
            _ => None,
        };
        match cause {
            Cause::VolatilityLevel => known.is_none_or(|it| {
                let level = it.terms.breakers.volatility_level;
                level == 0 || it.breaker.index.is_none_or(|value| value.0 <= level)
            }),
            Cause::OracleStale | Cause::TimeStep => self.is_priced_in(scope),
            Cause::OracleDisagrees => known.is_none_or(|it| !it.disagrees),
            Cause::ConservationBroken | Cause::Skipped { .. } => false,
            Cause::Operator { .. }
            | Cause::Resumed
            | Cause::VolatilityRate
            | Cause::PriceBand
            | Cause::NegativeEquity
            | Cause::WayBack => true,
        }
    }
}
