//! Prices from sources: readings, and the median of the fresh ones.
//!
//! A reading carries the time at which its source saw it. It counts while it is *fresh*: not older
//! than [`OracleRule::fresh_ms`], and seen in the present term, for a new term voids all that was
//! seen before it. An index, forward or smile holds from the moment a quorum of sources has a fresh
//! reading of it; it is their median, point by point for a smile. With an even number of readings
//! the median is the mean of the two in the middle, half to even.
//!
//! The time of a price is that of the *oldest* reading behind it. When that reading ceases to be
//! fresh, the price is made again from those that still are; without a quorum it keeps its value
//! and its old time and is no longer fresh. So a price whose time is within the bound rests on a
//! quorum of readings that all are within the bound: what asks for a fresh price can never act on
//! an older one.
//!
//! A smile's points move at most [`OracleRule::volatility_step`] per second since the smile last
//! moved; what exceeds it is cut off and made up by later readings.

use crate::breakers::BreakerState;
use crate::ramp::Ramp;
use crate::settlement::Deliveries;
use crate::state::State;
use evenkeel_types::canonical_struct;
use evenkeel_types::oracle::{OracleRule, Price, Reading, SMILE_POINTS, Smile, Volatility};
use evenkeel_types::terms::Underlying;
use evenkeel_types::{Event, OutcomeKind, RejectCode, SourceId, Timestamp, UnderlyingId};
use std::collections::BTreeMap;

/// Most expiries of which one source may speak.
pub(crate) const EXPIRIES_MAX: usize = 64;
/// Most sources of an underlying.
pub(crate) const SOURCES_MAX: usize = 16;

const NANOS_PER_MS: u64 = 1_000_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A price and the time for which it holds: the oldest of the readings behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quote {
    pub price: Price,
    pub time: Timestamp,
}
canonical_struct!(Quote { price, time });

/// A smile and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SmileQuote {
    pub smile: Smile,
    pub time: Timestamp,
    /// Entry time at which a point last moved; 0 in what a source said.
    pub moved: Timestamp,
}
canonical_struct!(SmileQuote { smile, time, moved });

/// What one source said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceReadings {
    pub index: Option<Quote>,
    pub forwards: BTreeMap<Timestamp, Quote>,
    pub smiles: BTreeMap<Timestamp, SmileQuote>,
}
canonical_struct!(SourceReadings { index, forwards, smiles });

/// An underlying and its prices.
#[derive(Debug, Clone)]
pub(crate) struct UnderlyingState {
    pub terms: Underlying,
    pub sources: BTreeMap<SourceId, SourceReadings>,
    pub index: Option<Quote>,
    pub forwards: BTreeMap<Timestamp, Quote>,
    pub smiles: BTreeMap<Timestamp, SmileQuote>,
    /// Entry time of the last change of a price behind an expiry's marks: time to expiry counts
    /// from it, so that marks and margin are functions of prices alone.
    pub valued: BTreeMap<Timestamp, Timestamp>,
    /// Entry time of the last change of any price.
    pub revised: Timestamp,
    /// What sources saw before is void: when the present term began.
    pub void_before: Timestamp,
    /// Whether the fresh readings of the index lie further apart than the rule allows.
    pub disagrees: bool,
    /// Margin factor in basis points.
    pub factor: Ramp,
    pub breaker: BreakerState,
    pub deliveries: Deliveries,
}
canonical_struct!(UnderlyingState {
    terms,
    sources,
    index,
    forwards,
    smiles,
    valued,
    revised,
    void_before,
    disagrees,
    factor,
    breaker,
    deliveries,
});

/// What changed in a reading's wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Index,
    Forward(Timestamp),
    Smile(Timestamp),
}

/// How far a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing holds that did not hold before.
    None,
    /// The same price, of a later time.
    Time,
    /// Another price.
    Price,
}

/// Last moment at which something of this time is fresh.
pub(crate) fn fresh_until(rule: &OracleRule, time: Timestamp) -> Timestamp {
    Timestamp(time.0.saturating_add(rule.fresh_ms.saturating_mul(NANOS_PER_MS)))
}

impl UnderlyingState {
    pub fn new(terms: Underlying, now: Timestamp) -> Self {
        Self {
            terms,
            sources: BTreeMap::new(),
            index: None,
            forwards: BTreeMap::new(),
            smiles: BTreeMap::new(),
            valued: BTreeMap::new(),
            revised: now,
            void_before: now,
            disagrees: false,
            factor: Ramp::flat(10_000),
            breaker: BreakerState::default(),
            deliveries: Deliveries::default(),
        }
    }

    /// The price on which an expiry's instruments are valued: its forward, else the index.
    pub fn forward_of(&self, expiry: Timestamp) -> Option<Quote> {
        self.forwards.get(&expiry).copied().or(self.index)
    }

    /// Forgets all prices: a term begins.
    pub fn void(&mut self, now: Timestamp) {
        self.sources.clear();
        self.index = None;
        self.forwards.clear();
        self.smiles.clear();
        self.valued.clear();
        self.void_before = now;
        self.disagrees = false;
    }

    /// Forgets prices of expiries that have passed, and says which: what is not settled yet is
    /// valued at the index from then on.
    fn prune(&mut self, now: Timestamp) -> Vec<(Subject, Change)> {
        let mut passed = Vec::new();
        while let Some((expiry, _)) = self.forwards.first_key_value().filter(|(at, _)| **at <= now)
        {
            passed.push((Subject::Forward(*expiry), Change::Price));
            self.forwards.pop_first();
        }
        while let Some((expiry, _)) = self.smiles.first_key_value().filter(|(at, _)| **at <= now) {
            passed.push((Subject::Smile(*expiry), Change::Price));
            self.smiles.pop_first();
        }
        for readings in self.sources.values_mut() {
            let first = readings.forwards.first_key_value().map(|(at, _)| *at);
            if first.is_some_and(|at| at <= now) {
                readings.forwards.retain(|at, _| *at > now);
            }
            let first = readings.smiles.first_key_value().map(|(at, _)| *at);
            if first.is_some_and(|at| at <= now) {
                readings.smiles.retain(|at, _| *at > now);
            }
        }
        passed
    }

    /// Takes a reading in, or says what is wrong with it.
    fn take(
        &mut self,
        source: SourceId,
        time: Timestamp,
        reading: &Reading,
        now: Timestamp,
    ) -> Result<Subject, RejectCode> {
        if self.terms.oracle.sources.binary_search(&source).is_err() {
            return Err(RejectCode::UnknownSource);
        }
        let is_stale =
            time > now || time < self.void_before || fresh_until(&self.terms.oracle, time) < now;
        if is_stale {
            return Err(RejectCode::StaleReading);
        }
        check_reading(reading, now)?;
        let readings = self.sources.entry(source).or_default();
        match *reading {
            Reading::Index { price } => {
                check_order(readings.index.map(|last| last.time), time)?;
                readings.index = Some(Quote { price, time });
                Ok(Subject::Index)
            }
            Reading::Forward { expiry, price } => {
                let last = readings.forwards.get(&expiry).map(|last| last.time);
                check_room(last, readings.forwards.len())?;
                check_order(last, time)?;
                readings.forwards.insert(expiry, Quote { price, time });
                Ok(Subject::Forward(expiry))
            }
            Reading::Smile { expiry, smile } => {
                let last = readings.smiles.get(&expiry).map(|last| last.time);
                check_room(last, readings.smiles.len())?;
                check_order(last, time)?;
                let moved = Timestamp(0);
                readings.smiles.insert(expiry, SmileQuote { smile, time, moved });
                Ok(Subject::Smile(expiry))
            }
        }
    }

    /// Makes a price again from its fresh readings.
    fn refresh(&mut self, subject: Subject, now: Timestamp, events: &mut Vec<Event>) -> Change {
        match subject {
            Subject::Index => self.refresh_index(now, events),
            Subject::Forward(expiry) => self.refresh_forward(expiry, now, events),
            Subject::Smile(expiry) => self.refresh_smile(expiry, now, events),
        }
    }

    fn refresh_index(&mut self, now: Timestamp, events: &mut Vec<Event>) -> Change {
        let readings = self.sources.values().filter_map(|it| it.index);
        let Some(fresh) = Fresh::of(readings, &self.terms.oracle, now) else {
            return Change::None;
        };
        let quote = fresh.median();
        self.disagrees = fresh.disagrees(quote.price, &self.terms.oracle);
        let change = compare(self.index, quote);
        if change != Change::None {
            self.index = Some(quote);
            let Quote { price, time } = quote;
            events.push(Event::IndexChanged { underlying: self.terms.id, price, time });
        }
        change
    }

    fn refresh_forward(
        &mut self,
        expiry: Timestamp,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) -> Change {
        let readings = self.sources.values().filter_map(|it| it.forwards.get(&expiry).copied());
        let Some(fresh) = Fresh::of(readings, &self.terms.oracle, now) else {
            return Change::None;
        };
        let quote = fresh.median();
        let change = compare(self.forwards.get(&expiry).copied(), quote);
        if change != Change::None {
            self.forwards.insert(expiry, quote);
            let Quote { price, time } = quote;
            let underlying = self.terms.id;
            events.push(Event::ForwardChanged { underlying, expiry, price, time });
        }
        change
    }

    fn refresh_smile(
        &mut self,
        expiry: Timestamp,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) -> Change {
        let rule = &self.terms.oracle;
        let all = self.sources.values().filter_map(|it| it.smiles.get(&expiry));
        let fresh: Vec<&SmileQuote> =
            all.filter(|quote| fresh_until(rule, quote.time) >= now).collect();
        if fresh.len() < rule.quorum as usize {
            return Change::None;
        }
        let Some(time) = fresh.iter().map(|quote| quote.time).min() else {
            return Change::None;
        };
        let target = median_smile(&fresh);
        let last = self.smiles.get(&expiry).copied();
        let smile = last.map_or(target, |last| bounded_move(&last, &target, rule, now));
        let change = match last {
            Some(last) if last.smile == smile && last.time == time => Change::None,
            Some(last) if last.smile == smile => Change::Time,
            _ => Change::Price,
        };
        if change != Change::None {
            let moved = match (change, last) {
                (Change::Time, Some(last)) => last.moved,
                _ => now,
            };
            self.smiles.insert(expiry, SmileQuote { smile, time, moved });
            let underlying = self.terms.id;
            events.push(Event::SmileChanged { underlying, expiry, smile, time });
        }
        change
    }

    /// Prices whose oldest reading is no longer fresh.
    fn lapsed(&self, now: Timestamp) -> Vec<Subject> {
        let is_old = |time: Timestamp| fresh_until(&self.terms.oracle, time) < now;
        let index = self.index.filter(|quote| is_old(quote.time)).map(|_| Subject::Index);
        let forwards = self.forwards.iter().filter(|(_, quote)| is_old(quote.time));
        let smiles = self.smiles.iter().filter(|(_, quote)| is_old(quote.time));
        let forwards = forwards.map(|(expiry, _)| Subject::Forward(*expiry));
        index.into_iter().chain(forwards).chain(smiles.map(|(at, _)| Subject::Smile(*at))).collect()
    }

    /// Until when nothing has to be made again: the next price that ceases to be fresh, of those
    /// that are, or the next expiry.
    fn next_lapse(&self, now: Timestamp) -> Option<Timestamp> {
        let index = self.index.iter().map(|quote| quote.time);
        let forwards = self.forwards.values().map(|quote| quote.time);
        let smiles = self.smiles.values().map(|quote| quote.time);
        let times = index.chain(forwards).chain(smiles);
        let lapses = times.map(|time| fresh_until(&self.terms.oracle, time));
        let expiries = [self.forwards.first_key_value().map(|(at, _)| *at)]
            .into_iter()
            .chain([self.smiles.first_key_value().map(|(at, _)| *at)]);
        let expiries = expiries.flatten().map(|at| Timestamp(at.0.saturating_sub(1)));
        lapses.filter(|at| *at >= now).chain(expiries).min()
    }
}

fn check_reading(reading: &Reading, now: Timestamp) -> Result<(), RejectCode> {
    let is_price = |price: Price| price.0 > 0 && price <= Price::MAX;
    let is_point = |it: &Volatility| it.0 > 0 && *it <= Volatility::MAX;
    let (is_sound, expiry) = match reading {
        Reading::Index { price } => (is_price(*price), None),
        Reading::Forward { expiry, price } => (is_price(*price), Some(*expiry)),
        Reading::Smile { expiry, smile } => (smile.points.iter().all(is_point), Some(*expiry)),
    };
    if !is_sound {
        return Err(RejectCode::BadReading);
    }
    if expiry.is_some_and(|expiry| expiry <= now) {
        return Err(RejectCode::Expired);
    }
    Ok(())
}

/// A source never goes back in time.
fn check_order(last: Option<Timestamp>, time: Timestamp) -> Result<(), RejectCode> {
    if last.is_some_and(|last| time < last) {
        return Err(RejectCode::StaleReading);
    }
    Ok(())
}

fn check_room(last: Option<Timestamp>, count: usize) -> Result<(), RejectCode> {
    if last.is_none() && count >= EXPIRIES_MAX {
        return Err(RejectCode::LimitReached);
    }
    Ok(())
}

fn compare(last: Option<Quote>, quote: Quote) -> Change {
    match last {
        Some(last) if last == quote => Change::None,
        Some(last) if last.price == quote.price => Change::Time,
        _ => Change::Price,
    }
}

/// Fresh readings of one price, ascending; a quorum of them.
struct Fresh {
    prices: [i64; SOURCES_MAX],
    count: usize,
    oldest: Timestamp,
}

impl Fresh {
    /// `None` below the quorum, which is at least 1.
    fn of(
        readings: impl Iterator<Item = Quote>,
        rule: &OracleRule,
        now: Timestamp,
    ) -> Option<Self> {
        let mut fresh = Self { prices: [0; SOURCES_MAX], count: 0, oldest: now };
        // At most as many readings as sources.
        for quote in readings.take(SOURCES_MAX) {
            if fresh_until(rule, quote.time) >= now {
                fresh.prices[fresh.count] = quote.price.0;
                fresh.count += 1;
                fresh.oldest = fresh.oldest.min(quote.time);
            }
        }
        fresh.prices[..fresh.count].sort_unstable();
        (fresh.count >= rule.quorum as usize && fresh.count > 0).then_some(fresh)
    }

    fn median(&self) -> Quote {
        let price = Price(median(&self.prices[..self.count]));
        Quote { price, time: self.oldest }
    }

    fn disagrees(&self, median: Price, rule: &OracleRule) -> bool {
        let spread = i128::from(self.prices[self.count - 1]) - i128::from(self.prices[0]);
        let bound = i128::from(rule.disagreement_bp) * i128::from(median.0);
        rule.disagreement_bp > 0 && spread * 10_000 > bound
    }
}

/// Median of ascending values, at least one.
fn median(sorted: &[i64]) -> i64 {
    let high = sorted[sorted.len() / 2];
    if sorted.len() % 2 == 1 {
        return high;
    }
    // Positive and at most 5·10^18: the sum fits; half of an odd sum goes to the even neighbour.
    let sum = sorted[sorted.len() / 2 - 1] + high;
    let floor = sum / 2;
    if sum % 2 == 0 { floor } else { floor + floor % 2 }
}

fn median_smile(fresh: &[&SmileQuote]) -> Smile {
    let mut points = [Volatility(0); SMILE_POINTS];
    for (at, point) in points.iter_mut().enumerate() {
        let mut values: Vec<i64> =
            fresh.iter().map(|quote| i64::from(quote.smile.points[at].0)).collect();
        values.sort_unstable();
        // Between two values of 32 bits.
        *point = Volatility(u32::try_from(median(&values)).unwrap_or(u32::MAX));
    }
    Smile { points }
}

/// The way from the last smile toward the next, as far as the time since allows.
fn bounded_move(last: &SmileQuote, target: &Smile, rule: &OracleRule, now: Timestamp) -> Smile {
    let elapsed = u128::from(now.0.saturating_sub(last.moved.0));
    let most = u128::from(rule.volatility_step) * elapsed / NANOS_PER_SECOND;
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let mut points = last.smile.points;
    for (point, target) in points.iter_mut().zip(target.points) {
        let (low, high) = (point.0.saturating_sub(most), point.0.saturating_add(most));
        point.0 = target.0.clamp(low, high);
    }
    Smile { points }
}

impl State {
    /// Hears a source.
    pub(crate) fn hear(
        &mut self,
        source: SourceId,
        underlying: UnderlyingId,
        time: Timestamp,
        reading: &Reading,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        let now = self.meta.time;
        let known = self.extension.underlyings.get_mut(&underlying);
        let known = known.ok_or(RejectCode::UnknownUnderlying)?;
        let subject = known.take(source, time, reading, now)?;
        let change = known.refresh(subject, now, events);
        let next = known.next_lapse(now).unwrap_or(Timestamp(u64::MAX));
        self.extension.prices.next_lapse = self.extension.prices.next_lapse.min(next);
        self.prices_changed(underlying, &[(subject, change)], events);
        Ok(OutcomeKind::Done)
    }

    /// Makes prices again whose oldest reading is no longer fresh. It only ever takes readings
    /// away, so it changes nothing when it is called again.
    pub(crate) fn pass_prices(&mut self, events: &mut Vec<Event>) {
        let now = self.meta.time;
        if now <= self.extension.prices.next_lapse {
            return;
        }
        let ids: Vec<UnderlyingId> = self.extension.underlyings.keys().copied().collect();
        for id in ids {
            let Some(known) = self.extension.underlyings.get_mut(&id) else {
                continue;
            };
            let mut changes = known.prune(now);
            for subject in known.lapsed(now) {
                changes.push((subject, known.refresh(subject, now, events)));
            }
            self.prices_changed(id, &changes, events);
        }
        let all = self.extension.underlyings.values().filter_map(|it| it.next_lapse(now));
        self.extension.prices.next_lapse = all.min().unwrap_or(Timestamp(u64::MAX));
    }

    /// Forgets all prices: a term begins.
    pub(crate) fn void_prices(&mut self) {
        let now = self.meta.time;
        let ids: Vec<UnderlyingId> = self.extension.underlyings.keys().copied().collect();
        for id in ids {
            if let Some(known) = self.extension.underlyings.get_mut(&id) {
                known.void(now);
            }
            self.forget_values(id);
        }
    }

    /// The index that holds, fresh or not; `None` before the first of the term.
    pub(crate) fn index_price(&self, underlying: UnderlyingId) -> Option<Quote> {
        self.extension.underlyings.get(&underlying)?.index
    }

    /// Whether a quorum of sources has a fresh reading of the index.
    pub(crate) fn is_fresh(&self, underlying: UnderlyingId) -> bool {
        let known = self.extension.underlyings.get(&underlying);
        known.is_some_and(|known| {
            let rule = &known.terms.oracle;
            known.index.is_some_and(|quote| fresh_until(rule, quote.time) >= self.meta.time)
        })
    }
}
