//! Vetoes: approvers may delay liquidations and the way back, never hasten or prevent them.
//!
//! In a scope, [`GraceTerms::veto_quorum`] distinct approvers within [`GraceTerms::veto_ms`] make a
//! veto; it ends by itself after the shortest delay that one of them asked for, at most `veto_ms`.
//! An approver's word counts once a day and scope.
//!
//! [`GraceTerms::veto_quorum`]: evenkeel_types::regime::GraceTerms::veto_quorum
//! [`GraceTerms::veto_ms`]: evenkeel_types::regime::GraceTerms::veto_ms

use crate::schedule::nanoseconds;
use crate::state::State;
use evenkeel_types::regime::Scope;
use evenkeel_types::{Event, Lots, OutcomeKind, RejectCode, Timestamp, canonical_struct};
use std::collections::BTreeMap;

const DAY_NS: u64 = 86_400 * 1_000_000_000;
/// Approvers that are numbered.
const APPROVERS_MAX: u32 = 64;
/// Scopes in which vetoes are remembered.
const SCOPES_MAX: usize = 1_024;

/// An approver's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Approval {
    pub at: Timestamp,
    pub delay_ms: u64,
}
canonical_struct!(Approval { at, delay_ms });

/// Approvals of a veto in a scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Veto {
    /// Approvers' last words.
    pub approvals: BTreeMap<u32, Approval>,
    /// `None` while there are too few.
    pub until: Option<Timestamp>,
}
canonical_struct!(Veto { approvals, until });

impl State {
    pub(crate) fn veto(
        &mut self,
        approver: u32,
        scope: Scope,
        delay_ms: u64,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        let terms = self.extension.terms.as_ref().map(|it| it.grace);
        let terms = terms.ok_or(RejectCode::OutOfBounds)?;
        let now = self.meta.time;
        if approver >= APPROVERS_MAX || delay_ms == 0 || delay_ms > terms.veto_ms {
            return Err(RejectCode::OutOfBounds);
        }
        let vetoes = &mut self.extension.regime.vetoes;
        let window = nanoseconds(terms.veto_ms);
        let is_past = |it: &Approval| it.at.0 / DAY_NS < now.0 / DAY_NS;
        vetoes.retain(|_, it| {
            it.until.is_some_and(|until| until > now) || {
                it.approvals.retain(|_, approval| !is_past(approval));
                !it.approvals.is_empty()
            }
        });
        if !vetoes.contains_key(&scope) && vetoes.len() >= SCOPES_MAX {
            return Err(RejectCode::LimitReached);
        }
        let veto = vetoes.entry(scope).or_default();
        if veto.approvals.get(&approver).is_some_and(|it| !is_past(it)) {
            return Err(RejectCode::VetoUsed);
        }
        veto.approvals.insert(approver, Approval { at: now, delay_ms });
        let recent = veto.approvals.values().filter(|it| now.0 - it.at.0.min(now.0) <= window);
        let (count, shortest) =
            recent.fold((0, u64::MAX), |(count, least), it| (count + 1, least.min(it.delay_ms)));
        let is_running = veto.until.is_some_and(|until| until > now);
        if count >= terms.veto_quorum && !is_running {
            veto.until = Some(Timestamp(now.0.saturating_add(nanoseconds(shortest))));
        }
        let until = veto.until.filter(|until| *until > now);
        events.push(Event::VetoCounted { approver, scope, until });
        Ok(OutcomeKind::Done)
    }

    /// Whether a veto holds in a scope, or in the whole venue.
    pub(crate) fn is_vetoed(&self, scope: Scope) -> bool {
        let now = self.meta.time;
        let vetoes = &self.extension.regime.vetoes;
        let holds = |scope| {
            let until = vetoes.get(&scope).and_then(|veto| veto.until);
            until.is_some_and(|until| until > now)
        };
        !vetoes.is_empty() && (holds(scope) || holds(Scope::Venue))
    }

    /// Whether a veto holds for an account: its own, the venue's, or one on what it holds.
    pub(crate) fn is_account_vetoed(&self, slot: u32) -> bool {
        if self.extension.regime.vetoes.is_empty() {
            return false;
        }
        let owner = self.account(slot);
        let held = owner.holdings.iter().filter(|it| it.lots != Lots::ZERO);
        self.is_vetoed(Scope::Account { account: owner.id })
            || held.into_iter().any(|holding| {
                let instrument = holding.instrument;
                let slot = self.instrument_slots.get(&instrument);
                let underlying = slot.and_then(|slot| self.instrument(*slot).extra.underlying);
                self.is_vetoed(Scope::Instrument { instrument })
                    || underlying
                        .is_some_and(|underlying| self.is_vetoed(Scope::Underlying { underlying }))
            })
    }
}
