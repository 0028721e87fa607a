//! Funding: what keeps a perpetual near its index.
//!
//! At equal steps (`sample_ms`) the book's premium over the index is sampled:
//! *(max(0, bid − index) − max(0, index − ask)) / index* at the best prices, a missing side
//! counting for nothing, bounded by damper plus cap so that one swept book does not outweigh an
//! interval. A step at which the index is not fresh gives no sample.
//!
//! At the end of an interval (multiples of `funding_interval_ms` since 1970: 00:00, 08:00 and 16:00
//! UTC for 8 hours) the mean premium, brought `funding_damper` closer to zero and bounded by
//! `funding_cap`, times the share of the interval that was sampled, is the rate: time that nobody
//! could measure funds nothing. A positive rate is paid by longs to shorts on their size at the
//! mean index of the samples, in the settlement currency, each payment rounded against the account
//! that it concerns; the residue goes to the pool of roundings. The insurance fund pays and gets
//! like everybody.
//!
//! **Once.** Each interval is funded at the first entry at or after its end. If that comes after
//! further ends (an outage), the first missed interval is funded for what was sampled of it, and
//! those of which nothing was sampled have no funding: there is no rate, no price and no choice to
//! make up for them.

use crate::margin::has_headroom;
use crate::oracle::Quote;
use crate::schedule::{Grid, nanoseconds};
use crate::settlement::{Sizing, fine};
use crate::state::{OPERATOR_SLOT, State};
use evenkeel_types::event::Booking;
use evenkeel_types::money::{div, mul_div};
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::SettlementTerms;
use evenkeel_types::{
    Event, Instrument, Lots, Rounding, Side, Style, Ticks, Timestamp, canonical_struct,
};

/// Funding of a perpetual in the present interval.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Funding {
    /// When the interval ends; 0 before the first one begins.
    pub interval_end: Timestamp,
    /// Samples taken.
    pub samples: u64,
    /// Sum of sampled premiums, in [`RATE_ONE`]ths.
    pub premium_sum: i128,
    /// Sum of the index at the samples.
    pub index_sum: i128,
}
canonical_struct!(Funding { interval_end, samples, premium_sum, index_sum });

/// A rate of one.
const RATE_ONE: i128 = 1_000_000_000_000;
/// Rate units of a millionth.
const RATE_PER_MILLIONTH: i128 = 1_000_000;
/// A price of one in fine units.
const FINE_ONE: i128 = 1_000_000_000_000_000_000;

/// What an interval came to.
struct Rate {
    /// In [`RATE_ONE`]ths of the value.
    rate: i128,
    /// Mean index of the samples.
    index: Price,
}

impl State {
    /// Samples a perpetual's premium, and funds its interval if it ended. Returns when to look
    /// again.
    pub(crate) fn pass_funding(&mut self, slot: u32, events: &mut Vec<Event>) -> Timestamp {
        let never = Timestamp(u64::MAX);
        let known = self.instrument(slot);
        let underlying = self.underlying_of(&known.terms);
        let Some(under) = underlying.and_then(|id| self.extension.underlyings.get(&id)) else {
            return never;
        };
        let terms = under.terms.settlement;
        let fresh = nanoseconds(under.terms.oracle.fresh_ms);
        let (index, now) = (under.index, self.meta.time);
        let interval = nanoseconds(terms.funding_interval_ms);
        if interval == 0 {
            return never;
        }
        let mut from = self.extension.last_time;
        let mut funding = known.extra.funding;
        if funding.interval_end.0 == 0 {
            from = now;
            funding.interval_end = end_after(now, interval);
        }
        let premium = index.map_or(0, |it| self.premium(slot, it.price, &terms));
        let sample = |funding: &mut Funding, from| {
            if let Some(index) = index {
                funding.take(&terms, (from, now), premium, (index, fresh));
            }
        };
        sample(&mut funding, from);
        if now >= funding.interval_end {
            let ended = funding;
            funding = Funding { interval_end: end_after(now, interval), ..Funding::default() };
            let begins = Timestamp(funding.interval_end.0 - interval);
            sample(&mut funding, from.max(begins));
            self.fund_interval(slot, &ended, &terms, events);
        }
        self.instruments[slot as usize].extra.funding = funding;
        let begins = Timestamp(funding.interval_end.0.saturating_sub(interval));
        Grid::new(begins, &terms).next_after(now).min(funding.interval_end)
    }

    /// The book's premium over the index, bounded, in [`RATE_ONE`]ths.
    fn premium(&self, slot: u32, index: Price, terms: &SettlementTerms) -> i128 {
        let known = self.instrument(slot);
        let best = |side| {
            let (price, _) = known.book.side(side).best()?;
            fine_ticks(&known.terms, price)
        };
        let index = fine(index);
        // Prices are positive, so no difference overflows.
        let above = best(Side::Buy).map_or(0, |bid| (bid - index).max(0));
        let below = best(Side::Sell).map_or(0, |ask| (index - ask).max(0));
        let bound = i128::from(terms.funding_cap) + i128::from(terms.funding_damper);
        let bound = bound * RATE_PER_MILLIONTH;
        let premium = mul_div(above - below, RATE_ONE, index, Rounding::TowardZero);
        let extreme = if above > below { bound } else { -bound };
        premium.unwrap_or(extreme).clamp(-bound, bound)
    }

    fn fund_interval(
        &mut self,
        slot: u32,
        ended: &Funding,
        terms: &SettlementTerms,
        events: &mut Vec<Event>,
    ) {
        let instrument = self.instrument(slot).terms.id;
        let rate = ended.rate(terms);
        let payments = rate.as_ref().and_then(|rate| self.funding_payments(slot, rate));
        let paid_rate = match (&rate, &payments) {
            (Some(rate), Some(_)) => i64::try_from(rate.rate).unwrap_or(0),
            _ => 0,
        };
        let until = ended.interval_end;
        events.push(Event::FundingSet { instrument, rate: paid_rate, until });
        self.sweep_again();
        let currency = self.instrument(slot).terms.settlement;
        let reason = (Booking::Funding, Some(instrument));
        let mut left_over = 0;
        for (account, paid) in payments.unwrap_or_default() {
            self.book(account, currency, -paid, reason, events);
            // At most 2^24 accounts of at most 2^100 units.
            left_over += paid;
        }
        self.round_into_pool(currency, left_over, events);
    }

    /// What each holder pays (negative: gets), by account; `None` if any of it is out of range.
    fn funding_payments(&self, slot: u32, rate: &Rate) -> Option<Vec<(u32, i128)>> {
        if rate.rate == 0 {
            return Some(Vec::new());
        }
        let terms = &self.instrument(slot).terms;
        let currency = terms.settlement;
        let sizing = Sizing::new(terms, self.currencies.get(&currency)?.terms.scale)?;
        let index = fine(rate.index);
        let unit = match terms.style {
            Style::Linear => (index, FINE_ONE),
            Style::Inverse => (FINE_ONE, index),
        };
        let mut payments = Vec::new();
        for account in self.account_slots.values().filter(|it| **it != OPERATOR_SLOT) {
            let lots = self.account(*account).holding(terms.id).lots;
            if lots == Lots::ZERO {
                continue;
            }
            let value = sizing.amount(lots.0, unit, Rounding::HalfEven)?;
            let paid = mul_div(value, rate.rate, RATE_ONE, Rounding::Ceiling).ok()?;
            let balance = self.account(*account).balance(currency).balance;
            if !has_headroom(balance) {
                return None;
            }
            payments.push((*account, paid));
        }
        self.can_pool(currency).then_some(payments)
    }
}

impl Funding {
    /// Takes the samples of this interval that became due since `from`, when the index and the book
    /// last changed.
    fn take(
        &mut self,
        terms: &SettlementTerms,
        (from, now): (Timestamp, Timestamp),
        premium: i128,
        (index, fresh): (Quote, u64),
    ) {
        let interval = nanoseconds(terms.funding_interval_ms);
        let begins = Timestamp(self.interval_end.0.saturating_sub(interval));
        let until = now.0.min(self.interval_end.0).min(index.time.0.saturating_add(fresh));
        let taken = Grid::new(begins, terms).count_between(from, Timestamp(until));
        self.samples = self.samples.saturating_add(taken);
        self.premium_sum += i128::from(taken) * premium;
        self.index_sum += i128::from(taken) * i128::from(index.price.0);
    }

    /// `None` without a sample.
    fn rate(&self, terms: &SettlementTerms) -> Option<Rate> {
        let samples = i128::from(self.samples);
        let premium = div(self.premium_sum, samples, Rounding::TowardZero).ok()?;
        let index = div(self.index_sum, samples, Rounding::HalfEven).ok()?;
        let damper = i128::from(terms.funding_damper) * RATE_PER_MILLIONTH;
        let cap = i128::from(terms.funding_cap) * RATE_PER_MILLIONTH;
        let damped =
            if premium > 0 { (premium - damper).max(0) } else { (premium + damper).min(0) };
        let step = nanoseconds(terms.sample_ms).max(1);
        let whole = i128::from((nanoseconds(terms.funding_interval_ms) / step).max(1));
        let bounded = damped.clamp(-cap, cap);
        let rate = mul_div(bounded, samples.min(whole), whole, Rounding::TowardZero).ok()?;
        Some(Rate { rate, index: Price(i64::try_from(index).ok()?) })
    }
}

/// The first multiple of the interval after a time.
fn end_after(now: Timestamp, interval_ns: u64) -> Timestamp {
    Timestamp((now.0 / interval_ns).saturating_add(1).saturating_mul(interval_ns))
}

/// A price in fine units of the quote currency; `None` if it has more decimals or does not fit.
fn fine_ticks(terms: &Instrument, price: Ticks) -> Option<i128> {
    let tick = terms.tick.in_units(18)?;
    // Prices of indices are below 2^89 fine units; far beyond that nothing needs to be exact.
    tick.checked_mul(price.0.into()).filter(|it| *it < 1 << 120)
}
