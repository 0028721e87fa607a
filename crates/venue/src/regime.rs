//! Modes in scopes: which holds where, who changes it, and the way back.
//!
//! A mode holds in a scope: the venue, an underlying, an instrument, an account. The strictest of
//! all that apply to an order wins. Tightening takes effect at once; the way back is always
//! `halted → cancel-only → reduce-only → auction → normal`, one step at a time.
//!
//! A scope that a breaker, a resume or a step of time shut walks back by itself: each step after
//! the cooldown, when its cause is gone, prices are fresh and no veto holds. What the operator shut
//! stays until the operator moves it; an account's mode is the operator's alone and may jump.

use crate::schedule::nanoseconds;
use crate::state::State;
use crate::veto::Veto;
use evenkeel_types::regime::{BreakerTerms, Cause, Scope};
use evenkeel_types::{
    AccountId, Event, InstrumentId, Lots, Mode, OutcomeKind, RejectCode, Ticks, Timestamp,
    UnderlyingId, canonical_struct,
};
use std::collections::BTreeMap;

/// A mode that holds somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ModeState {
    pub mode: Mode,
    pub cause: Cause,
    pub since: Timestamp,
    /// Not left before.
    pub cooldown_until: Timestamp,
    /// Walks back by itself.
    pub is_automatic: bool,
}
canonical_struct!(ModeState { mode, cause, since, cooldown_until, is_automatic });

/// What an opening call showed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shown {
    pub at: Timestamp,
    pub price: Option<Ticks>,
    pub lots: Lots,
    pub imbalance: Lots,
}
canonical_struct!(Shown { at, price, lots, imbalance });

/// Modes, vetoes, graces, opening calls; a scope that is not here is normal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Regime {
    pub modes: BTreeMap<Scope, ModeState>,
    pub vetoes: BTreeMap<Scope, Veto>,
    /// Accounts in grace, and since when.
    pub graced: BTreeMap<AccountId, Timestamp>,
    /// Time stepped too far, and no quorum of sources has confirmed it yet.
    pub distrusts_time: bool,
    pub calls: BTreeMap<InstrumentId, Shown>,
    /// An instrument whose price band refused an order in the entry before.
    pub band_hit: Option<InstrumentId>,
}
canonical_struct!(Regime { modes, vetoes, graced, distrusts_time, calls, band_hit });

/// The next step of the way back.
pub(crate) fn step_back(mode: Mode) -> Mode {
    match mode {
        Mode::Halted | Mode::WithdrawOnly => Mode::CancelOnly,
        Mode::CancelOnly => Mode::ReduceOnly,
        Mode::ReduceOnly => Mode::Auction,
        Mode::Auction | Mode::Normal => Mode::Normal,
    }
}

impl State {
    /// The strictest mode that applies to an account in an instrument.
    pub(crate) fn mode_of(&self, instrument: u32, account: u32) -> Mode {
        let modes = &self.extension.regime.modes;
        if modes.is_empty() {
            return self.meta.mode;
        }
        let account = Scope::Account { account: self.account(account).id };
        let own = modes.get(&account).map_or(Mode::Normal, |state| state.mode);
        self.mode_at(instrument).max(own)
    }

    /// The strictest mode that applies to an instrument, whoever trades.
    pub(crate) fn mode_at(&self, instrument: u32) -> Mode {
        let modes = &self.extension.regime.modes;
        if modes.is_empty() {
            return self.meta.mode;
        }
        let known = self.instrument(instrument);
        let scopes = [
            known.extra.underlying.map(|underlying| Scope::Underlying { underlying }),
            Some(Scope::Instrument { instrument: known.terms.id }),
        ];
        let set = scopes.into_iter().flatten().filter_map(|scope| modes.get(&scope));
        set.map(|state| state.mode).fold(self.meta.mode, Mode::max)
    }

    /// Whether orders trade in an instrument now.
    pub(crate) fn can_match(&self, instrument: u32) -> bool {
        matches!(self.mode_at(instrument), Mode::Normal | Mode::ReduceOnly)
    }

    /// The mode set in a scope itself.
    pub(crate) fn mode_in(&self, scope: Scope) -> Mode {
        let set = self.extension.regime.modes.get(&scope).map_or(Mode::Normal, |it| it.mode);
        if scope == Scope::Venue { set.max(self.meta.mode) } else { set }
    }

    /// Sets a scope's mode and says so; leaving an auction crosses it first.
    pub(crate) fn put_mode(
        &mut self,
        scope: Scope,
        state: ModeState,
        told: Cause,
        events: &mut Vec<Event>,
    ) {
        let leaves_auction = self.mode_in(scope) == Mode::Auction && state.mode == Mode::Normal;
        if state.mode == Mode::Normal {
            self.extension.regime.modes.remove(&scope);
        } else {
            self.extension.regime.modes.insert(scope, state);
        }
        if scope == Scope::Venue {
            self.meta.mode = state.mode;
            self.meta.mode_cause = match told {
                Cause::Operator { code } => code,
                _ => 0,
            };
            let (mode, cause) = (state.mode, self.meta.mode_cause);
            events.push(Event::ModeChanged { mode, cause });
        }
        events.push(Event::ModeSetIn { scope, mode: state.mode, cause: told });
        if leaves_auction {
            self.end_calls(scope, events);
        }
    }

    /// The operator's command.
    pub(crate) fn set_mode_in(
        &mut self,
        scope: Scope,
        mode: Mode,
        code: u32,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        self.check_scope(scope)?;
        let before = self.mode_in(scope);
        if mode < before && !matches!(scope, Scope::Account { .. }) {
            self.check_way_back(scope, before, mode)?;
        }
        let cause = Cause::Operator { code };
        let now = self.meta.time;
        let state = ModeState { mode, cause, since: now, cooldown_until: now, is_automatic: false };
        self.put_mode(scope, state, cause, events);
        Ok(OutcomeKind::Done)
    }

    /// The venue-wide command of the first rules: it tightens at once; what it loosens walks back
    /// by itself.
    pub(crate) fn set_venue_mode(&mut self, mode: Mode, code: u32, events: &mut Vec<Event>) {
        let (scope, now) = (Scope::Venue, self.meta.time);
        let before = self.mode_in(scope);
        let cause = Cause::Operator { code };
        let is_automatic = mode < before;
        let mode = mode.max(before);
        let state = ModeState { mode, cause, since: now, cooldown_until: now, is_automatic };
        self.put_mode(scope, state, cause, events);
        if is_automatic {
            self.walk_back(events);
        }
    }

    fn check_scope(&self, scope: Scope) -> Result<(), RejectCode> {
        match scope {
            Scope::Venue => Ok(()),
            Scope::Underlying { underlying } => {
                let known = self.extension.underlyings.contains_key(&underlying);
                known.then_some(()).ok_or(RejectCode::UnknownUnderlying)
            }
            Scope::Instrument { instrument } => self.instrument_slot(instrument).map(|_| ()),
            Scope::Account { account } if account == AccountId::FUND => Err(RejectCode::FundOnly),
            Scope::Account { account } => self.client_slot(account).map(|_| ()),
        }
    }

    /// Whether the operator may loosen a scope by this step now.
    fn check_way_back(&self, scope: Scope, before: Mode, to: Mode) -> Result<(), RejectCode> {
        if to != step_back(before) {
            return Err(RejectCode::WrongMode);
        }
        let set = self.extension.regime.modes.get(&scope);
        let cools = set.is_some_and(|state| state.cooldown_until > self.meta.time);
        if cools || self.is_vetoed(scope) {
            return Err(RejectCode::Cooling);
        }
        if to <= Mode::ReduceOnly && !self.is_priced_in(scope) {
            return Err(RejectCode::PricesNotFresh);
        }
        Ok(())
    }

    /// Whether the prices that a scope's instruments live on are fresh; time too, for the venue.
    pub(crate) fn is_priced_in(&self, scope: Scope) -> bool {
        let underlying = match scope {
            Scope::Venue | Scope::Account { .. } => {
                let mut all = self.extension.underlyings.keys();
                return !self.extension.regime.distrusts_time && all.all(|id| self.is_fresh(*id));
            }
            Scope::Underlying { underlying } => Some(underlying),
            Scope::Instrument { instrument } => self
                .instrument_slot(instrument)
                .ok()
                .and_then(|slot| self.instrument(slot).extra.underlying),
        };
        underlying.is_none_or(|id| self.is_fresh(id))
    }

    /// Shuts a scope: a breaker tripped. What is stricter stays; the cooldown begins anew.
    pub(crate) fn trip(
        &mut self,
        scope: Scope,
        (mode, cause): (Mode, Cause),
        cooldown_ms: u64,
        events: &mut Vec<Event>,
    ) {
        let now = self.meta.time;
        let cooldown_until = Timestamp(now.0.saturating_add(nanoseconds(cooldown_ms)));
        if self.mode_in(scope) >= mode {
            if let Some(state) = self.extension.regime.modes.get_mut(&scope)
                && state.is_automatic
            {
                state.cause = cause;
                state.cooldown_until = state.cooldown_until.max(cooldown_until);
            }
            return;
        }
        let is_automatic = cause != Cause::ConservationBroken;
        let state = ModeState { mode, cause, since: now, cooldown_until, is_automatic };
        self.put_mode(scope, state, cause, events);
    }

    /// Takes every step back that is due.
    pub(crate) fn walk_back(&mut self, events: &mut Vec<Event>) {
        let automatic: Vec<(Scope, ModeState)> = self
            .extension
            .regime
            .modes
            .iter()
            .filter(|(_, state)| state.is_automatic)
            .map(|(scope, state)| (*scope, *state))
            .collect();
        for (scope, state) in automatic {
            if self.may_step_back(scope, &state) {
                let mode = step_back(state.mode);
                let since = self.meta.time;
                let next = ModeState { mode, since, ..state };
                self.put_mode(scope, next, Cause::WayBack, events);
            }
        }
    }

    fn may_step_back(&self, scope: Scope, state: &ModeState) -> bool {
        let now = self.meta.time;
        let terms = self.pace_of(scope);
        let is_prompt = matches!(state.cause, Cause::Resumed | Cause::Operator { .. });
        let dwell_ms = match state.mode {
            Mode::Auction => terms.auction_ms,
            // After a resume service returns as soon as prices are fresh.
            _ if is_prompt => 0,
            _ => terms.step_ms,
        };
        let stays_until = state.since.0.saturating_add(nanoseconds(dwell_ms));
        now >= state.cooldown_until
            && now.0 >= stays_until
            && !self.is_vetoed(scope)
            && (step_back(state.mode) > Mode::ReduceOnly || self.is_priced_in(scope))
            && self.is_over(scope, state.cause)
    }

    /// The pace of a scope's way back: its underlying's, for the venue the slowest of all.
    pub(crate) fn pace_of(&self, scope: Scope) -> BreakerTerms {
        let underlying = match scope {
            Scope::Underlying { underlying } => Some(underlying),
            Scope::Instrument { instrument } => self
                .instrument_slot(instrument)
                .ok()
                .and_then(|slot| self.instrument(slot).extra.underlying),
            Scope::Venue | Scope::Account { .. } => None,
        };
        let all = self.extension.underlyings.values().map(|it| it.terms.breakers);
        if let Some(known) = underlying.and_then(|id| self.extension.underlyings.get(&id)) {
            return known.terms.breakers;
        }
        let slowest = all.reduce(|a, b| BreakerTerms {
            step_ms: a.step_ms.max(b.step_ms),
            auction_ms: a.auction_ms.max(b.auction_ms),
            cooldown_ms: a.cooldown_ms.max(b.cooldown_ms),
            ..a
        });
        let none =
            BreakerTerms { step_ms: 0, auction_ms: 0, cooldown_ms: 0, ..BreakerTerms::USUAL };
        slowest.unwrap_or(none)
    }

    /// A primary began: a venue that holds anything comes back in steps. What was stricter stays,
    /// with its cooldown.
    pub(crate) fn resume_regime(&mut self, events: &mut Vec<Event>) {
        if !self.has_margin() {
            return;
        }
        let is_held = |slot: &u32| {
            let owner = self.account(*slot);
            owner.holdings.iter().any(|it| it.lots != Lots::ZERO)
        };
        if self.orders.count() == 0 && !self.account_slots.values().any(is_held) {
            return;
        }
        let now = self.meta.time;
        self.await_graces();
        let (mode, cause) = (Mode::CancelOnly, Cause::Resumed);
        if self.mode_in(Scope::Venue) < mode {
            let state =
                ModeState { mode, cause, since: now, cooldown_until: now, is_automatic: true };
            self.put_mode(Scope::Venue, state, cause, events);
        }
    }

    /// What the passing of time does to modes, grace and calls; also what confirms the time.
    pub(crate) fn pass_regime(&mut self, events: &mut Vec<Event>) {
        self.look_at_time(events);
        self.look_at_staleness(events);
        if let Some(instrument) = self.extension.regime.band_hit.take() {
            self.look_at_band(instrument, events);
        }
        let regime = &self.extension.regime;
        if !regime.graced.is_empty() {
            self.pass_grace(events);
        }
        if !self.extension.regime.modes.is_empty() {
            self.show_calls(events);
            self.walk_back(events);
        }
    }

    /// A step of time beyond the bound shuts the venue until a quorum of sources confirms the time:
    /// a clock that is wrong must not expire anything.
    fn look_at_time(&mut self, events: &mut Vec<Event>) {
        let (now, last) = (self.meta.time, self.extension.last_time);
        if self.extension.regime.distrusts_time {
            let mut all = self.extension.underlyings.keys();
            if all.any(|id| self.is_fresh(*id)) {
                self.extension.regime.distrusts_time = false;
            }
            return;
        }
        let Some(terms) = &self.extension.terms else {
            return;
        };
        let bound = nanoseconds(terms.max_step_ms);
        let is_step = bound > 0 && now.0.saturating_sub(last.0) > bound;
        if !is_step || self.extension.underlyings.is_empty() {
            return;
        }
        self.extension.regime.distrusts_time = true;
        let cooldown_ms = 0;
        self.trip(Scope::Venue, (Mode::Halted, Cause::TimeStep), cooldown_ms, events);
    }

    /// Underlyings in order of their ids.
    pub(crate) fn underlying_ids(&self) -> Vec<UnderlyingId> {
        self.extension.underlyings.keys().copied().collect()
    }
}
