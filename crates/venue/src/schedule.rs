//! What is due when: samples, expiries, funding. Derived from instruments, underlyings and what
//! was sampled; [`Schedule::next`] says when the state has to be looked at again, so that an entry
//! before it costs one comparison.

use crate::state::State;
use evenkeel_types::terms::SettlementTerms;
use evenkeel_types::{InstrumentKind, Timestamp, UnderlyingId};
use std::collections::BTreeSet;

/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;

/// What is not settled yet, and when something happens to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    /// False until built from the instruments.
    pub is_built: bool,
    /// Nothing is sampled, settled or funded before.
    pub next: Timestamp,
    /// No account under liquidation has a round before.
    pub next_round: Timestamp,
    /// Expiries that are not settled, in the order in which they settle.
    pub expiries: BTreeSet<(Timestamp, UnderlyingId)>,
    /// Slots of perpetuals, in order of their ids.
    pub perpetuals: Vec<u32>,
}

impl Schedule {
    /// To be called when instruments or underlyings change: the next entry builds it anew.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Milliseconds in the units of a [`Timestamp`]; saturates far beyond any date.
pub(crate) fn nanoseconds(ms: u64) -> u64 {
    ms.saturating_mul(MS)
}

/// Samples at equal steps behind a start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub start: Timestamp,
    /// Nanoseconds between two samples, positive.
    pub step: u64,
}

impl Grid {
    pub fn new(start: Timestamp, terms: &SettlementTerms) -> Self {
        Self { start, step: nanoseconds(terms.sample_ms).max(1) }
    }

    /// Number of the last sample at or before a time; sample 1 is one step behind the start.
    pub fn number_at(&self, time: Timestamp) -> u64 {
        time.0.saturating_sub(self.start.0) / self.step
    }

    /// When a sample is due; the end of time if that is beyond it.
    pub fn time_of(&self, number: u64) -> Timestamp {
        Timestamp(number.saturating_mul(self.step).saturating_add(self.start.0))
    }

    /// The first sample after a time.
    pub fn next_after(&self, time: Timestamp) -> Timestamp {
        self.time_of(self.number_at(time).saturating_add(1))
    }

    /// How many samples lie behind one time and not behind another.
    pub fn count_between(&self, after: Timestamp, until: Timestamp) -> u64 {
        self.number_at(until).saturating_sub(self.number_at(after))
    }
}

impl State {
    /// Samples, expiries and funding that are due.
    pub(crate) fn settle_due(&mut self, events: &mut Vec<evenkeel_types::Event>) {
        if self.meta.time < self.extension.schedule.next {
            return;
        }
        if !self.extension.schedule.is_built {
            self.build_schedule();
        }
        let expiries: Vec<_> = self.extension.schedule.expiries.iter().copied().collect();
        let mut next = Timestamp(u64::MAX);
        for (expiry, underlying) in expiries {
            next = next.min(self.pass_expiry(expiry, underlying, events));
            // No later one has begun its window, whichever is the longest.
            let first_window = self.first_window(expiry);
            if next > self.meta.time && first_window > self.meta.time {
                next = next.min(first_window);
                break;
            }
        }
        for slot in self.extension.schedule.perpetuals.clone() {
            next = next.min(self.pass_funding(slot, events));
        }
        self.extension.schedule.next = next;
    }

    /// No window that ends at this expiry or later begins before.
    fn first_window(&self, expiry: Timestamp) -> Timestamp {
        let windows = self.extension.underlyings.values().map(|it| it.terms.settlement.window_ms);
        let longest = nanoseconds(windows.max().unwrap_or(0));
        Timestamp(expiry.0.saturating_sub(longest))
    }

    fn build_schedule(&mut self) {
        let mut expiries = BTreeSet::new();
        let mut perpetuals = Vec::new();
        for slot in self.instrument_slots.values() {
            let known = self.instrument(*slot);
            let Some(underlying) = self.underlying_of(&known.terms) else {
                continue;
            };
            match (known.terms.kind, known.terms.expiry()) {
                (InstrumentKind::Perpetual, _) => perpetuals.push(*slot),
                (_, Some(expiry)) if known.extra.delivered.price.is_none() => {
                    expiries.insert((expiry, underlying));
                }
                _ => {}
            }
        }
        let schedule = &mut self.extension.schedule;
        schedule.is_built = true;
        schedule.expiries = expiries;
        schedule.perpetuals = perpetuals;
    }
}
