//! Follows entries and their events and holds the engine to what it promises when things are
//! broken, with readings and positions of its own: no liquidation on a price older than the bound;
//! while an account is in grace its exposure never grows.

use evenkeel_types::event::WaterfallStep;
use evenkeel_types::oracle::Reading;
use evenkeel_types::terms::Underlying;
use evenkeel_types::{
    AccountId, Command, CurrencyId, Entry, Event, Instrument, InstrumentId, InstrumentKind,
    OutcomeKind, SourceId, Timestamp, UnderlyingId,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Index,
    Forward(Timestamp),
    Smile(Timestamp),
}

/// What is known from entries and events alone.
#[derive(Debug, Default)]
pub struct RiskWatch {
    underlyings: BTreeMap<UnderlyingId, Underlying>,
    instruments: BTreeMap<InstrumentId, Instrument>,
    /// When each source last saw what it told.
    readings: BTreeMap<(UnderlyingId, Subject), BTreeMap<SourceId, Timestamp>>,
    positions: BTreeMap<AccountId, BTreeMap<InstrumentId, i64>>,
    balances: BTreeMap<(AccountId, CurrencyId), i128>,
    graced: BTreeSet<AccountId>,
    now: Timestamp,
}

impl RiskWatch {
    /// Follows one entry.
    pub fn follow(&mut self, entry: &Entry, events: &[Event]) {
        self.now = entry.time;
        let before = self.held(events);
        let mut traded = BTreeSet::new();
        let is_bust = matches!(entry.command, Command::BustTrade { .. });
        for event in events {
            match event {
                Event::UnderlyingSet { underlying } => {
                    self.underlyings.insert(underlying.id, (**underlying).clone());
                }
                Event::InstrumentDefined { instrument } => {
                    self.instruments.insert(instrument.id, instrument.clone());
                }
                Event::Traded { instrument, maker_account, taker_account, .. } => {
                    traded.insert((*maker_account, *instrument));
                    traded.insert((*taker_account, *instrument));
                }
                Event::BalanceChanged { account, currency, balance, .. } => {
                    self.balances.insert((*account, *currency), balance.0);
                }
                Event::PositionChanged { account, instrument, lots, .. } => {
                    self.hold(*account, *instrument, lots.0, is_bust);
                }
                Event::GraceChanged { account, left_ms: 0 } => {
                    self.graced.remove(account);
                }
                Event::GraceChanged { account, .. } => {
                    self.graced.insert(*account);
                }
                Event::Liquidation { account, step, instrument, .. } => {
                    let gone = before.get(account).into_iter().flatten();
                    let gone = gone.filter(|it| !traded.contains(&(*account, **it)));
                    let gone: Vec<_> = gone.copied().chain(*instrument).collect();
                    self.liquidated(*account, *step, &gone);
                }
                _ => {}
            }
        }
        // Liquidations come before the command: its reading is no excuse for them.
        self.hear(entry, events);
    }

    /// What accounts that are liquidated in this entry held before it.
    fn held(&self, events: &[Event]) -> BTreeMap<AccountId, Vec<InstrumentId>> {
        let liquidated = events.iter().filter_map(|event| match event {
            Event::Liquidation { account, .. } => Some(*account),
            _ => None,
        });
        liquidated.map(|account| (account, self.holdings(account))).collect()
    }

    fn holdings(&self, account: AccountId) -> Vec<InstrumentId> {
        let held = self.positions.get(&account).into_iter().flatten();
        held.filter(|it| *it.1 != 0).map(|it| *it.0).collect()
    }

    /// Takes in what a source told, if it counted; a new term voids what was told before.
    fn hear(&mut self, entry: &Entry, events: &[Event]) {
        if events.iter().any(|event| matches!(event, Event::Resumed { .. })) {
            self.readings.clear();
        }
        let counted = events.last().is_some_and(|event| match event {
            Event::Completed { outcome } => !matches!(outcome.kind, OutcomeKind::Rejected { .. }),
            _ => false,
        });
        if let (true, Command::Oracle { source, underlying, time, reading }) =
            (counted, &entry.command)
        {
            let subject = match reading {
                Reading::Index { .. } => Subject::Index,
                Reading::Forward { expiry, .. } => Subject::Forward(*expiry),
                Reading::Smile { expiry, .. } => Subject::Smile(*expiry),
            };
            self.readings.entry((*underlying, subject)).or_default().insert(*source, *time);
        }
    }

    /// In grace a position only shrinks. A bust gives back what a trade took.
    fn hold(&mut self, account: AccountId, instrument: InstrumentId, lots: i64, is_bust: bool) {
        let held = self.positions.entry(account).or_default().entry(instrument).or_default();
        let before = std::mem::replace(held, lots);
        if self.graced.contains(&account) && !is_bust {
            let shrinks = lots == 0 || (lots.signum() == before.signum());
            assert!(
                shrinks && lots.abs() <= before.abs(),
                "{account} is in grace and goes from {before} to {lots} of {instrument}"
            );
        }
    }

    fn liquidated(&self, account: AccountId, step: WaterfallStep, gone: &[InstrumentId]) {
        use WaterfallStep::{Began, Deleveraged, Reduced, Socialised, TakenOver};
        if !matches!(step, Began | Reduced | TakenOver | Deleveraged | Socialised) {
            return;
        }
        assert!(!self.graced.contains(&account), "{account} is in grace and liquidated: {step:?}");
        for instrument in self.holdings(account).iter().chain(gone) {
            let subjects = self.subjects(*instrument);
            assert!(!subjects.is_empty(), "{instrument} has no underlying");
            for (underlying, subject) in subjects {
                self.assert_fresh(underlying, subject, (account, step));
            }
        }
        for known in self.underlyings.values() {
            let money = self.balances.get(&(account, known.base));
            if money.is_some_and(|balance| *balance != 0) {
                self.assert_fresh(known.id, Subject::Index, (account, step));
            }
        }
    }

    /// The prices on which an instrument's value rests.
    fn subjects(&self, instrument: InstrumentId) -> Vec<(UnderlyingId, Subject)> {
        let known = &self.instruments[&instrument];
        let mut all = self.underlyings.values();
        let of = all.find(|it| (it.base, it.quote) == (known.base, known.quote));
        let Some(of) = of.map(|it| it.id) else {
            return Vec::new();
        };
        let (expiry, has_smile) = match known.kind {
            InstrumentKind::Option { expiry, .. } => (Some(expiry), true),
            InstrumentKind::Future { expiry } => (Some(expiry), false),
            _ => (None, false),
        };
        let mut subjects = vec![(of, Subject::Index)];
        if let Some(expiry) = expiry.filter(|expiry| *expiry > self.now) {
            // Without a forward of its own the index stands for it.
            if self.readings.contains_key(&(of, Subject::Forward(expiry))) {
                subjects.push((of, Subject::Forward(expiry)));
            }
            if has_smile {
                subjects.push((of, Subject::Smile(expiry)));
            }
        }
        subjects
    }

    /// A quorum of sources has told it within the bound.
    fn assert_fresh(
        &self,
        underlying: UnderlyingId,
        subject: Subject,
        what: (AccountId, WaterfallStep),
    ) {
        let rule = &self.underlyings[&underlying].oracle;
        let bound = rule.fresh_ms.saturating_mul(1_000_000);
        let told = self.readings.get(&(underlying, subject)).into_iter().flatten();
        let fresh = told.filter(|it| self.now.0 - it.1.0 <= bound).count();
        assert!(
            fresh >= rule.quorum as usize,
            "{what:?} at {:?} on {subject:?} with {fresh} fresh of {}",
            self.now,
            rule.quorum
        );
    }
}
