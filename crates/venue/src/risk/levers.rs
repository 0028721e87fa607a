//! What the operator sets about margin: an account's model, an underlying's factor.

use crate::ramp::Ramp;
use crate::risk::cache::RiskCache;
use crate::state::State;
use evenkeel_types::terms::MarginModel;
use evenkeel_types::{AccountId, Event, OutcomeKind, RejectCode, Timestamp, UnderlyingId};

/// Smallest margin factor, in basis points: margin is never below the rule.
const FACTOR_MIN_BP: u32 = 10_000;
/// Largest margin factor, in basis points.
pub(crate) const FACTOR_MAX_BP: u32 = 30_000;
/// Longest way to a margin factor: 7 days.
const RAMP_MAX_MS: u64 = 7 * 86_400_000;

const NANOS_PER_MS: u64 = 1_000_000;

impl State {
    /// Changes an account's margin model, if it meets its initial margin under it.
    pub(crate) fn set_margin_model(
        &mut self,
        account: AccountId,
        model: MarginModel,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        let slot = self.client_slot(account)?;
        let extra = &mut self.account_mut(slot).extra;
        let before = std::mem::replace(&mut extra.model, model);
        extra.cache = RiskCache::default();
        let refusal = self.check_collateral(slot).err();
        if let Some(code) = refusal.filter(|_| before != model) {
            let extra = &mut self.account_mut(slot).extra;
            extra.model = before;
            extra.cache = RiskCache::default();
            return Err(code);
        }
        events.push(Event::MarginModelSet { account, model });
        Ok(OutcomeKind::Done)
    }

    /// Scales an underlying's margin, reached evenly over a while, from where it is now.
    pub(crate) fn set_margin_factor(
        &mut self,
        underlying: UnderlyingId,
        factor_bp: u32,
        ramp_ms: u64,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        let now = self.meta.time;
        let known = self.extension.underlyings.get_mut(&underlying);
        let known = known.ok_or(RejectCode::UnknownUnderlying)?;
        if !(FACTOR_MIN_BP..=FACTOR_MAX_BP).contains(&factor_bp) || ramp_ms > RAMP_MAX_MS {
            return Err(RejectCode::OutOfBounds);
        }
        let until = Timestamp(now.0.saturating_add(ramp_ms * NANOS_PER_MS));
        let from_bp = known.factor.at(now);
        known.factor = Ramp { from_level: from_bp, to_level: factor_bp, from: now, until };
        self.sweep_again();
        events.push(Event::MarginFactorSet {
            underlying,
            from_bp,
            to_bp: factor_bp,
            from: now,
            until,
        });
        Ok(OutcomeKind::Done)
    }
}
