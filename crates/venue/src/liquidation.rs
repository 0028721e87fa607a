//! Liquidation: when it begins, its rounds, when it waits, when it ends.
//!
//! ```text
//!          below maintenance, prices fresh, no grace, no veto
//!   free ────────────────────────────────────────────────────► in liquidation
//!     ▲                                                          │  a round per interval:
//!     │                    maintenance met (Recovered)           │   smallest step (Reduced)
//!     └──────────────────────────────────────────────────────────┤   nothing offered (NoLiquidity)
//!                                                                │   takeover, then `waterfall.rs`
//!        prices too old (WaitsForPrices) · grace or veto (WaitsForGrace): told once, then
//!        looked at again every interval
//! ```
//!
//! - Due is what stands below maintenance margin at prices that are all within the bound of age. An
//!   account with [`Collateral::Unlimited`] is never liquidated, nor is the insurance fund.
//! - The beginning cancels all orders of the account. The first round is in the same entry.
//! - Nothing is traded, taken over or shared at a price older than the bound, nor in an instrument
//!   that is not open to trading; a takeover waits until everything that the account holds is open.
//! - Index and forwards are journaled one after the other. An account with dated positions is not
//!   judged between them: it waits until every source has told the forwards that belong to its
//!   index, half an interval at most. Sources tell the index first.
//! - Rounds of several accounts that are due at one entry go in order of their shortfall, largest
//!   first, then by id.
//! - Once an interval the insurance fund offers what it took over to the books, at the mark or
//!   better: it neither pays for getting rid of a position nor keeps it longer than it must.

use crate::oracle::fresh_until;
use crate::reduction::Reduction;
use crate::schedule::nanoseconds;
use crate::state::State;
use evenkeel_types::event::{Booking, WaterfallStep};
use evenkeel_types::{
    AccountId, CloseReason, Collateral, Command, CurrencyId, Event, InstrumentId, InstrumentKind,
    Lots, Money, RejectCode, Side, Timestamp, canonical_enum, canonical_struct,
};
use std::collections::BTreeMap;

/// An account in liquidation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnderLiquidation {
    pub since: Timestamp,
    pub round: u32,
    /// Rounds in a row without progress.
    pub idle_rounds: u32,
}
canonical_struct!(UnderLiquidation { since, round, idle_rounds });

/// Why a liquidation that is due does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It does.
    None,
    Prices,
    Grace,
    /// For forwards that were seen before the index moved.
    Forwards,
}
canonical_enum!(Wait { 1 => None, 2 => Prices, 3 => Grace, 4 => Forwards });

/// When an account is looked at again, and what it was told to wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appointment {
    pub at: Timestamp,
    pub wait: Wait,
    /// Since when it waits for the same.
    pub since: Timestamp,
}
canonical_struct!(Appointment { at, wait, since });

/// What is under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Liquidations {
    /// Accounts in liquidation, and those whose liquidation waits to begin.
    pub due: BTreeMap<AccountId, Appointment>,
    /// When the insurance fund next offers what it holds.
    pub fund_round: Timestamp,
}
canonical_struct!(Liquidations { due, fund_round });

impl State {
    /// Rounds that are due, a part of the sweep, and the fund's own round.
    pub(crate) fn liquidate_due(&mut self, events: &mut Vec<Event>) {
        if self.extension.terms.is_none() {
            return;
        }
        self.pass_rounds(events);
        self.sweep(events);
        self.unwind_fund(events);
    }

    /// An account in liquidation opens nothing and takes nothing out; cancels and protections stay.
    pub(crate) fn check_liquidation(
        &self,
        account: u32,
        command: &Command,
    ) -> Result<(), RejectCode> {
        let is_refused = matches!(
            command,
            Command::Place { .. }
                | Command::PlaceWith { .. }
                | Command::Amend { .. }
                | Command::Transfer { .. }
                | Command::RequestWithdrawal { .. }
        );
        if is_refused && self.account(account).extra.liquidation.is_some() {
            return Err(RejectCode::InLiquidation);
        }
        Ok(())
    }

    fn interval(&self) -> u64 {
        self.extension.terms.as_ref().map_or(0, |it| nanoseconds(it.liquidation_interval_ms))
    }

    /// Every appointment that has come, largest shortfall first.
    fn pass_rounds(&mut self, events: &mut Vec<Event>) {
        let now = self.meta.time;
        if now < self.extension.schedule.next_round {
            return;
        }
        let all = self.extension.liquidations.due.iter();
        let come: Vec<AccountId> =
            all.clone().filter(|(_, it)| it.at <= now).map(|(account, _)| *account).collect();
        let later = all.map(|(_, it)| it.at).filter(|at| *at > now).min();
        self.extension.schedule.next_round = later.unwrap_or(Timestamp(u64::MAX));
        let mut slots: Vec<(i128, AccountId, u32)> = Vec::new();
        for account in come {
            if let Ok(slot) = self.client_slot(account) {
                let figures = self.margin_of(slot).figures;
                slots.push((figures.above_maintenance.0, account, slot));
            }
        }
        slots.sort_unstable();
        for (_, _, slot) in slots {
            self.look_at(slot, events);
        }
    }

    /// An account is looked at in this entry, whatever its prices.
    pub(crate) fn summon(&mut self, slot: u32) {
        let (account, at) = (self.account(slot).id, self.meta.time);
        let known = self.extension.liquidations.due.get(&account).copied();
        let fresh = Appointment { at, wait: Wait::None, since: at };
        self.set_due(account, Appointment { at, ..known.unwrap_or(fresh) });
    }

    /// Makes an appointment; returns the one that it replaces.
    fn set_due(&mut self, account: AccountId, next: Appointment) -> Option<Appointment> {
        let schedule = &mut self.extension.schedule;
        schedule.next_round = schedule.next_round.min(next.at);
        self.extension.liquidations.due.insert(account, next)
    }

    /// Looks at some accounts whose prices moved.
    fn sweep(&mut self, events: &mut Vec<Event>) {
        // It ends: a look takes the account off the list until prices move again.
        while let Some(slot) = self.next_to_look_at() {
            let account = self.account(slot).id;
            if !self.extension.liquidations.due.contains_key(&account) {
                self.look_at(slot, events);
            }
        }
    }

    /// Looks at an account and does what is due with it.
    pub(crate) fn look_at(&mut self, slot: u32, events: &mut Vec<Event>) {
        let owner = self.account(slot);
        let account = owner.id;
        let is_exempt = owner.collateral == Collateral::Unlimited || account == AccountId::FUND;
        let is_due = self.extension.liquidations.due.contains_key(&account);
        let margin = self.margin_of(slot);
        if margin.priced.is_none() && is_due {
            // Whether maintenance is met nobody can say.
            self.wait_for(slot, Wait::Prices, events);
        } else if is_exempt || margin.figures.above_maintenance.0 >= 0 {
            if self.has_fresh_prices(slot) {
                self.needs_no_grace(slot, events);
            }
            self.end_liquidation(slot, events);
        } else if !self.has_fresh_prices(slot) {
            self.wait_for(slot, Wait::Prices, events);
        } else if !self.may_liquidate(slot, events) {
            self.wait_for(slot, Wait::Grace, events);
        } else if !self.waits_for_forwards(slot) {
            self.liquidate(slot, events);
        }
    }

    /// Ends what was under way or waited.
    fn end_liquidation(&mut self, slot: u32, events: &mut Vec<Event>) {
        let account = self.account(slot).id;
        self.extension.liquidations.due.remove(&account);
        if let Some(ended) = self.account_mut(slot).extra.liquidation.take() {
            self.tell_step(slot, (ended.round, WaterfallStep::Recovered), None, events);
        }
    }

    /// Comes back in an interval; tells why, once.
    fn wait_for(&mut self, slot: u32, wait: Wait, events: &mut Vec<Event>) {
        let owner = self.account(slot);
        let round = owner.extra.liquidation.map_or(0, |it| it.round);
        if self.appoint(slot, wait) != wait {
            let step = match wait {
                Wait::Grace => WaterfallStep::WaitsForGrace,
                Wait::Prices | Wait::Forwards | Wait::None => WaterfallStep::WaitsForPrices,
            };
            self.tell_step(slot, (round, step), None, events);
        }
    }

    /// Makes the next appointment; returns what the account waited for before.
    fn appoint(&mut self, slot: u32, wait: Wait) -> Wait {
        let since = self.meta.time;
        let at = Timestamp(since.0.saturating_add(self.interval()));
        let account = self.account(slot).id;
        let before = self.set_due(account, Appointment { at, wait, since });
        before.map_or(Wait::None, |it| it.wait)
    }

    /// Index and forwards come one after the other; in between, a perpetual and the future against
    /// it stand at prices of different moments, and a hedged account seems to be ruined. So an
    /// account is left alone until every source that tells both has told its forwards no earlier
    /// than its index; it is looked at with every entry, for half an interval at most.
    /// Sources tell the index first.
    fn waits_for_forwards(&mut self, slot: u32) -> bool {
        let (account, now) = (self.account(slot).id, self.meta.time);
        let known = self.extension.liquidations.due.get(&account).copied();
        let since = known.filter(|it| it.wait == Wait::Forwards).map_or(now, |it| it.since);
        let patience = self.interval() / 2;
        if self.has_joint_prices(slot) || now.0.saturating_sub(since.0) >= patience {
            return false;
        }
        self.set_due(account, Appointment { at: now, wait: Wait::Forwards, since });
        true
    }

    fn has_joint_prices(&self, slot: u32) -> bool {
        let owner = self.account(slot);
        owner.holdings.iter().filter(|it| it.lots != Lots::ZERO).all(|holding| {
            let instrument = self.instrument_slots.get(&holding.instrument);
            let known = instrument.map(|it| self.instrument(*it));
            let underlying = known.and_then(|it| it.extra.underlying);
            let underlying = underlying.and_then(|it| self.extension.underlyings.get(&it));
            let expiry = known.and_then(|it| it.terms.expiry());
            let (Some(underlying), Some(expiry)) = (underlying, expiry) else {
                return true;
            };
            // At its expiry nothing more is heard of a forward.
            expiry <= self.meta.time
                || underlying.sources.values().all(|source| {
                    let forward = source.forwards.get(&expiry);
                    forward
                        .zip(source.index)
                        .is_none_or(|(forward, index)| forward.time >= index.time)
                })
        })
    }

    /// Begins a liquidation or goes on with it: one round.
    fn liquidate(&mut self, slot: u32, events: &mut Vec<Event>) {
        let since = self.meta.time;
        if self.account(slot).extra.liquidation.is_none() {
            let fresh = UnderLiquidation { since, round: 0, idle_rounds: 0 };
            self.account_mut(slot).extra.liquidation = Some(fresh);
            self.tell_step(slot, (0, WaterfallStep::Began), None, events);
            self.look_at_equity(slot, events);
            self.close_orders_of(slot, None, CloseReason::Liquidation, events);
        }
        let Some(mut state) = self.account(slot).extra.liquidation else {
            return;
        };
        state.round = state.round.saturating_add(1);
        self.account_mut(slot).extra.liquidation = Some(state);
        self.appoint(slot, Wait::None);
        let is_bankrupt = self.is_bankrupt(slot);
        let has_traded = !is_bankrupt && self.reduce(slot, state.round, events);
        state.idle_rounds = if has_traded { 0 } else { state.idle_rounds.saturating_add(1) };
        self.account_mut(slot).extra.liquidation = Some(state);
        if !is_bankrupt && !has_traded {
            self.tell_step(slot, (state.round, WaterfallStep::NoLiquidity), None, events);
        }
        let limit = self.extension.terms.as_ref().map_or(u32::MAX, |it| it.takeover_rounds);
        let is_over = is_bankrupt || self.is_bankrupt(slot) || state.idle_rounds >= limit;
        if is_over && self.is_open_everywhere(slot) {
            self.take_over(slot, state.round, events);
        }
        if self.margin_of(slot).figures.above_maintenance.0 >= 0 {
            self.end_liquidation(slot, events);
        }
    }

    /// Trades the smallest step away; false if nothing was traded.
    fn reduce(&mut self, slot: u32, round: u32, events: &mut Vec<Event>) -> bool {
        let Some(step) = self.smallest_step(slot) else {
            return false;
        };
        let Reduction { instrument, side, lots, limit } = step;
        let (id, currency) = {
            let terms = &self.instrument(instrument).terms;
            (terms.id, terms.settlement)
        };
        let first = events.len();
        let traded = self.liquidation_order(slot, instrument, (side, lots, limit), events);
        if traded == 0 {
            return false;
        }
        let basis = self.traded_basis(instrument, side, &events[first..]);
        let fee = self.liquidation_fee(instrument, traded, basis);
        // The fee takes no more than is left: what exceeds it would be the fund's own loss.
        let equity = self.closing_equity(slot).and_then(|it| it.get(&currency).copied());
        let fee = fee.min(equity.unwrap_or_default()).max(0);
        let reason = (Booking::LiquidationFee, Some(id));
        self.book(slot, currency, -fee, reason, events);
        if let Some(fund) = self.fund() {
            self.book(fund, currency, fee, reason, events);
        }
        let signed = Lots(traded * side.sign());
        let price = self.price_of(instrument, signed, Money(basis));
        let done = Some((id, signed, price));
        self.tell_step(slot, (round, WaterfallStep::Reduced), done, events);
        true
    }

    /// What the taker of an entry's last trades paid, as a basis.
    fn traded_basis(&self, instrument: u32, side: Side, events: &[Event]) -> i128 {
        let known = self.instrument(instrument);
        let bases = events.iter().filter_map(|event| match *event {
            Event::Traded { instrument, price, lots, .. } if instrument == known.terms.id => {
                known.valuation.basis(price, Lots(lots.0 * side.sign())).ok()
            }
            _ => None,
        });
        bases.map(|basis| basis.0).sum()
    }

    /// Whether nothing would be left if everything were closed at the marks. What cannot be valued
    /// is not bankrupt.
    fn is_bankrupt(&self, slot: u32) -> bool {
        let equity = self.closing_equity(slot).and_then(|it| self.worth_of_all(&it));
        equity.is_some_and(|equity| equity <= 0)
    }

    /// Whether every price behind an account's margin is within its underlying's bound of age:
    /// index, forward and smile of what it holds, and the index of its other collateral.
    pub(crate) fn has_fresh_prices(&self, slot: u32) -> bool {
        let owner = self.account(slot);
        let mut held = owner.holdings.iter().filter(|it| it.lots != Lots::ZERO);
        let mut money = owner.balances.iter().filter(|it| it.balance != Money::ZERO);
        held.all(|holding| self.is_freshly_priced(holding.instrument) == Some(true))
            && money.all(|money| self.is_freshly_converted(money.currency))
    }

    fn is_freshly_priced(&self, instrument: InstrumentId) -> Option<bool> {
        let known = self.instrument(*self.instrument_slots.get(&instrument)?);
        let underlying = self.extension.underlyings.get(&known.extra.underlying?)?;
        let is_fresh = |time| fresh_until(&underlying.terms.oracle, time) >= self.meta.time;
        let index = is_fresh(underlying.index?.time);
        // At its expiry a position stands at its last mark until it settles.
        let Some(expiry) = known.terms.expiry().filter(|at| *at > self.meta.time) else {
            return Some(index && known.mark.is_some());
        };
        let forward = is_fresh(underlying.forward_of(expiry)?.time);
        let is_option = matches!(known.terms.kind, InstrumentKind::Option { .. });
        let smile = !is_option || is_fresh(underlying.smiles.get(&expiry)?.time);
        Some(index && forward && smile && known.mark.is_some())
    }

    /// Whether the index that values a currency is fresh; the numeraire, and what no index values,
    /// need none.
    fn is_freshly_converted(&self, currency: CurrencyId) -> bool {
        let numeraire = self.extension.terms.as_ref().map(|it| it.numeraire);
        let mut all = self.extension.underlyings.values().map(|it| &it.terms);
        let known = all.find(|it| it.base == currency && Some(it.quote) == numeraire);
        Some(currency) == numeraire || known.is_none_or(|it| self.is_fresh(it.id))
    }

    /// Whether everything that an account holds is open to trading and not at its expiry.
    fn is_open_everywhere(&self, slot: u32) -> bool {
        let owner = self.account(slot);
        owner.holdings.iter().filter(|it| it.lots != Lots::ZERO).all(|holding| {
            self.instrument_slots.get(&holding.instrument).is_some_and(|instrument| {
                let expiry = self.instrument(*instrument).terms.expiry();
                self.can_match(*instrument) && expiry.is_none_or(|at| at > self.meta.time)
            })
        })
    }

    /// The fund's own round: what it took over is offered at the mark or better.
    fn unwind_fund(&mut self, events: &mut Vec<Event>) {
        let now = self.meta.time;
        if now < self.extension.liquidations.fund_round {
            return;
        }
        self.extension.liquidations.fund_round = Timestamp(now.0.saturating_add(self.interval()));
        let Some(fund) = self.fund() else {
            return;
        };
        let held: Vec<_> =
            self.account(fund).holdings.iter().map(|it| (it.instrument, it.lots.0)).collect();
        for (id, lots) in held.into_iter().filter(|(_, lots)| *lots != 0) {
            let Ok(instrument) = self.instrument_slot(id) else {
                continue;
            };
            let known = self.instrument(instrument);
            let is_fresh = known.extra.underlying.is_some_and(|it| self.is_fresh(it));
            let Some(mark) = known.mark.filter(|mark| is_fresh && mark.0 > 0) else {
                continue;
            };
            let side = if lots > 0 { Side::Sell } else { Side::Buy };
            let offered = self.offered(instrument, side, mark, lots.abs());
            if offered > 0 {
                self.liquidation_order(fund, instrument, (side, offered, mark), events);
            }
        }
    }
}
