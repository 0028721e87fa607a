//! A second pair of eyes: knows nothing but events, and computes equity and standard margin from
//! the published formulas, in integers of its own. It judges every liquidation: was it due, at
//! prices within their bound of age, and did it come in time?

use evenkeel_types::event::{MarginFigures, WaterfallStep};
use evenkeel_types::terms::{Underlying, VenueTerms};
use evenkeel_types::{
    AccountId, Collateral, CurrencyId, Event, Instrument, InstrumentId, InstrumentKind,
    OptionRight, Style, Ticks, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

const ATTO: i128 = 1_000_000_000_000_000_000;
const MICRO: i128 = 1_000_000;
const NANO_PER_MS: u64 = 1_000_000;
/// A price's unit is 10^-10.
const PRICE_PER_MICRO: i128 = 10_000;

/// What it found.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    /// Liquidations that began, and their steps by kind.
    pub steps: BTreeMap<WaterfallStep, u32>,
    /// Longest time for which an account stood below maintenance at fresh prices with entries at
    /// which its liquidation could have begun and did not, in ns.
    pub latest_ns: u64,
    /// Largest difference between the engine's figure and its own, in the numeraire's unit.
    pub largest_difference: i128,
}

#[derive(Default)]
pub struct Checker {
    scales: BTreeMap<CurrencyId, u32>,
    instruments: BTreeMap<InstrumentId, Instrument>,
    underlying: Option<Underlying>,
    terms: Option<VenueTerms>,
    checked: BTreeSet<AccountId>,
    balances: BTreeMap<(AccountId, CurrencyId), i128>,
    positions: BTreeMap<AccountId, BTreeMap<InstrumentId, (i64, i128)>>,
    marks: BTreeMap<InstrumentId, Ticks>,
    index: Option<(i128, Timestamp)>,
    forwards: BTreeMap<Timestamp, (i128, Timestamp)>,
    smiles: BTreeMap<Timestamp, Timestamp>,
    under: BTreeSet<AccountId>,
    below_since: BTreeMap<AccountId, Timestamp>,
    last_entry: Timestamp,
    pub findings: Findings,
}

impl Checker {
    /// Takes an entry's events in, judges its liquidations, then looks for late ones.
    pub fn see(&mut self, now: Timestamp, events: &[Event]) {
        for event in events {
            self.fold(event);
            if let Event::Liquidation { account, step, figures, .. } = event {
                self.judge(now, *account, *step, figures);
            }
        }
        self.look_for_late_ones(now);
        self.last_entry = now;
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::CurrencyDefined { currency } => {
                self.scales.insert(currency.id, currency.scale.into());
            }
            Event::InstrumentDefined { instrument } => {
                self.instruments.insert(instrument.id, instrument.clone());
            }
            Event::UnderlyingSet { underlying } => {
                self.underlying = Some(Underlying::clone(underlying));
            }
            Event::VenueTermsSet { terms } => self.terms = Some(VenueTerms::clone(terms)),
            Event::AccountOpened { account, collateral: Collateral::Checked } => {
                self.checked.insert(*account);
            }
            Event::BalanceChanged { account, currency, balance, .. } => {
                self.balances.insert((*account, *currency), balance.0);
            }
            Event::PositionChanged { account, instrument, lots, basis, .. } => {
                let held = self.positions.entry(*account).or_default();
                held.insert(*instrument, (lots.0, basis.0));
            }
            Event::MarkChanged { instrument, mark } => {
                self.marks.insert(*instrument, *mark);
            }
            Event::IndexChanged { price, time, .. } => {
                self.index = Some((price.0.into(), *time));
            }
            Event::ForwardChanged { expiry, price, time, .. } => {
                self.forwards.insert(*expiry, (price.0.into(), *time));
            }
            Event::SmileChanged { expiry, time, .. } => {
                self.smiles.insert(*expiry, *time);
            }
            Event::Resumed { .. } => {
                self.index = None;
                self.forwards.clear();
                self.smiles.clear();
                self.marks.clear();
            }
            _ => {}
        }
    }

    fn judge(
        &mut self,
        now: Timestamp,
        account: AccountId,
        step: WaterfallStep,
        figures: &MarginFigures,
    ) {
        *self.findings.steps.entry(step).or_default() += 1;
        let told = figures.above_maintenance.0;
        // A price that is not there makes no figure; such a step says that it waits.
        let Some(own) = self.above_maintenance(account) else {
            assert_eq!(step, WaterfallStep::WaitsForPrices, "{account} without prices");
            return;
        };
        let difference = (own - told).abs();
        self.findings.largest_difference = self.findings.largest_difference.max(difference);
        assert!(difference <= self.tolerance(account), "{account} {step:?}: {own}, not {told}");
        let acts = !matches!(step, WaterfallStep::WaitsForPrices | WaterfallStep::WaitsForGrace);
        if acts && step != WaterfallStep::Recovered {
            assert!(self.is_fresh(now, account), "{account} {step:?} at old prices");
        }
        match step {
            WaterfallStep::Began => {
                assert!(own < 0, "{account} was not due: {own}");
                assert!(self.under.insert(account), "{account} began twice");
                let since = self.below_since.remove(&account).unwrap_or(now);
                let waited_ns = self.last_entry.0.saturating_sub(since.0);
                self.findings.latest_ns = self.findings.latest_ns.max(waited_ns);
            }
            WaterfallStep::Recovered => {
                assert!(own >= 0, "{account} did not recover: {own}");
                assert!(self.under.remove(&account), "{account} was not in liquidation");
            }
            _ => {}
        }
    }

    /// Whoever is below maintenance at fresh prices for longer than an interval is late.
    fn look_for_late_ones(&mut self, now: Timestamp) {
        let Some(terms) = &self.terms else {
            return;
        };
        let interval_ns = terms.liquidation_interval_ms * NANO_PER_MS;
        for account in self.checked.clone() {
            let is_below = !self.under.contains(&account)
                && self.is_fresh(now, account)
                && self
                    .above_maintenance(account)
                    .is_some_and(|own| own < -self.tolerance(account));
            if !is_below {
                self.below_since.remove(&account);
                continue;
            }
            let since = *self.below_since.entry(account).or_insert(now);
            assert!(now.0 - since.0 <= interval_ns, "{account} is late by {}", now.0 - since.0);
        }
    }

    /// A unit of rounding for each position and currency, worth at most a coin's unit.
    fn tolerance(&self, account: AccountId) -> i128 {
        let held = self.positions.get(&account).map_or(0, BTreeMap::len);
        let worth = self.index.map_or(1, |(price, _)| price / 1_000_000_000_000 + 1);
        (i128::try_from(held).expect("few") + 3) * worth
    }

    fn is_fresh(&self, now: Timestamp, account: AccountId) -> bool {
        let (Some(underlying), Some((_, index))) = (&self.underlying, self.index) else {
            return false;
        };
        let bound = underlying.oracle.fresh_ms * NANO_PER_MS;
        let is_fresh = |time: Timestamp| now.0 <= time.0 + bound;
        let none = BTreeMap::new();
        let held = self.positions.get(&account).unwrap_or(&none);
        let mut open = held.iter().filter(|(_, (lots, _))| *lots != 0);
        is_fresh(index)
            && open.all(|(id, _)| {
                let terms = &self.instruments[id];
                let Some(expiry) = terms.expiry().filter(|at| *at > now) else {
                    return true;
                };
                let forward = self.forwards.get(&expiry).is_none_or(|it| is_fresh(it.1));
                let is_option = matches!(terms.kind, InstrumentKind::Option { .. });
                let smile = self.smiles.get(&expiry).is_some_and(|it| is_fresh(*it));
                forward && (smile || !is_option)
            })
    }

    /// Margin balance less maintenance margin over all currencies, in the numeraire's unit.
    pub fn above_maintenance(&self, account: AccountId) -> Option<i128> {
        let terms = self.terms.as_ref()?;
        let mut above: BTreeMap<CurrencyId, i128> = BTreeMap::new();
        for ((owner, currency), balance) in &self.balances {
            if *owner == account && *balance != 0 {
                *above.entry(*currency).or_default() += balance;
            }
        }
        let none = BTreeMap::new();
        for (id, (lots, basis)) in self.positions.get(&account).unwrap_or(&none) {
            if *lots != 0 {
                let settlement = self.instruments[id].settlement;
                *above.entry(settlement).or_default() += self.contribution(*id, *lots, *basis)?;
            }
        }
        let mut sum = 0;
        for (currency, amount) in above.into_iter().filter(|(_, amount)| *amount != 0) {
            if currency == terms.numeraire {
                sum += amount;
                continue;
            }
            let power = |id| 10i128.pow(self.scales[&id]);
            let top = amount * self.index?.0 * power(terms.numeraire);
            let worth = top.div_euclid(power(currency) * 10_000_000_000);
            let haircut = terms.haircuts.iter().find(|it| it.currency == currency);
            sum += match haircut {
                _ if amount < 0 => worth,
                Some(it) => worth * (MICRO - i128::from(it.haircut)) / MICRO,
                None => 0,
            };
        }
        Some(sum)
    }

    /// What a position adds to margin balance less maintenance, in its currency's unit.
    fn contribution(&self, id: InstrumentId, lots: i64, basis: i128) -> Option<i128> {
        let terms = &self.instruments[&id];
        let rates = &self.underlying.as_ref()?.standard;
        let unit = ATTO / 10i128.pow(self.scales[&terms.settlement]);
        let lot = terms.lot.in_units(9)? * terms.contract_size.in_units(9)?;
        let size = lot * i128::from(lots);
        let mark_micro = terms.tick.in_units(6)? * i128::from(self.marks.get(&id)?.0);
        let is_inverse = terms.style == Style::Inverse;
        let InstrumentKind::Option { expiry, right, .. } = terms.kind else {
            // Coins and their value in settlement currency, parts of 10^18.
            let (coins, value) = if is_inverse {
                let coins = size * MICRO / mark_micro;
                (coins, coins)
            } else {
                (size, size / MICRO * mark_micro)
            };
            let slope = coins.abs() / MICRO * i128::from(rates.future_slope);
            let rate = i128::from(rates.future_maintenance) * (ATTO / MICRO) + slope;
            let needed = (value.abs() / MICRO) * (rate / MICRO) / MICRO;
            let at_mark = if is_inverse { -value } else { value };
            return Some(at_mark / unit - basis - needed / unit);
        };
        if lots > 0 {
            return Some(0);
        }
        let forward = self.forwards.get(&expiry).map(|it| it.0).or(self.index.map(|it| it.0))?;
        let share = i128::from(rates.option_maintenance);
        // Per coin, in millionths of the settlement currency.
        let one = if is_inverse { MICRO } else { forward / PRICE_PER_MICRO };
        let mut kept = share * one / MICRO;
        if right == OptionRight::Put {
            kept = kept.max(share * mark_micro / MICRO);
        }
        Some(-(size.abs() / MICRO * (kept + mark_micro)) / unit)
    }
}
