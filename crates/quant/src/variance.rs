//! Model-free variance: what a strip of out-of-the-money options says about the time to its expiry,
//! and a volatility index between two expiries (the method of Cboe's VIX, as used for DVOL).
//!
//! Strikes are parts of 10^10 of the quote currency; premiums, in quote currency too, and variances
//! are parts of 10^18.

use crate::portfolio::{ATTO, PRICE_ONE, YEAR_MS};
use crate::ratio::{Rounding, mul_div};
use thiserror::Error;

/// Highest strike: what types hold as a price.
const MAX_STRIKE: i128 = 5_000_000_000_000_000_000;
/// Highest premium: above any strike.
const MAX_PREMIUM: i128 = MAX_STRIKE * (ATTO / PRICE_ONE);
/// Strikes without a bid, one after the other, that end the strip on their side.
const GAP: u32 = 2;

/// One strike of an expiry. A right without a bid is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StripQuote {
    /// Strike.
    pub strike: i128,
    /// Price of a call on one coin, middle of bid and ask.
    pub call: Option<i128>,
    /// Price of a put.
    pub put: Option<i128>,
}

/// An option that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StripPart {
    /// Strike.
    pub strike: i128,
    /// Premium used.
    pub premium: i128,
    /// `ΔK / K² · premium`.
    pub contribution: i128,
}

/// The variance of one expiry, with every intermediate value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripVariance {
    /// Forward price from the strike whose call and put are closest.
    pub forward: i128,
    /// The strike at or next below the forward, where puts end and calls begin.
    pub middle: i128,
    /// The options that count, ascending.
    pub parts: Vec<StripPart>,
    /// Sum of their contributions.
    pub contribution: i128,
    /// Variance from now to expiry: `2 · growth · contribution − (forward/middle − 1)²`.
    pub total: i128,
}

/// Why there is no variance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VarianceError {
    /// Strikes are not ascending, or a number is out of bounds.
    #[error("strikes must ascend from above 0, premiums be 0 or more, growth be 1 or more")]
    Malformed,
    /// No strike has both a call and a put.
    #[error("no strike has both a call and a put with a bid")]
    NoForward,
    /// Fewer than three options count.
    #[error("fewer than three options count: there is no strip")]
    TooFew,
    /// What the options say is no variance.
    #[error("the options' variance is not positive")]
    NotPositive,
    /// No expiry.
    #[error("no expiry has a variance")]
    NoTerm,
}

/// Variance from quotes. `growth` is e^(rT), parts of 10^18: 10^18 where nothing is earned.
///
/// The option of the middle strike counts with the mean of call and put. Away from it each option
/// with a bid counts, until two strikes in a row have none.
///
/// # Errors
/// See [`VarianceError`].
pub fn strip_variance(quotes: &[StripQuote], growth: i128) -> Result<StripVariance, VarianceError> {
    check(quotes, growth)?;
    let forward = forward(quotes, growth).ok_or(VarianceError::NoForward)?;
    let at = quotes.partition_point(|quote| quote.strike <= forward);
    let at = at.checked_sub(1).ok_or(VarianceError::NoForward)?;
    let middle = quotes[at].strike;
    let below = walk(quotes[..at].iter().rev().map(|quote| (quote.strike, quote.put)));
    let above = walk(quotes[at + 1..].iter().map(|quote| (quote.strike, quote.call)));
    let centre = match (quotes[at].call, quotes[at].put) {
        (Some(call), Some(put)) => Some(i128::midpoint(call, put)),
        (one, other) => one.or(other),
    };
    let chosen = below.into_iter().rev().chain(centre.map(|premium| (middle, premium)));
    let chosen: Vec<(i128, i128)> = chosen.chain(above).collect();
    if chosen.len() < 3 {
        return Err(VarianceError::TooFew);
    }
    let parts = parts(&chosen);
    let contribution: i128 = parts.iter().map(|part| part.contribution).sum();
    let off = mul_div(forward - middle, ATTO, middle, Rounding::HalfEven);
    let off = mul_div(off, off, ATTO, Rounding::HalfEven);
    let total = mul_div(contribution, growth.saturating_mul(2), ATTO, Rounding::HalfEven) - off;
    if total <= 0 {
        return Err(VarianceError::NotPositive);
    }
    Ok(StripVariance { forward, middle, parts, contribution, total })
}

fn check(quotes: &[StripQuote], growth: i128) -> Result<(), VarianceError> {
    let ascending = quotes.windows(2).all(|pair| pair[0].strike < pair[1].strike);
    let premiums = quotes.iter().flat_map(|quote| [quote.call, quote.put]).flatten();
    let mut strikes = quotes.iter().map(|quote| quote.strike);
    let bounded = strikes.all(|strike| (1..=MAX_STRIKE).contains(&strike))
        && premiums.into_iter().all(|premium| (0..=MAX_PREMIUM).contains(&premium))
        && (ATTO..=ATTO * 1_000).contains(&growth);
    if ascending && bounded { Ok(()) } else { Err(VarianceError::Malformed) }
}

/// `K + growth · (call − put)` at the strike where they are closest; of equal ones the lowest.
fn forward(quotes: &[StripQuote], growth: i128) -> Option<i128> {
    let pairs = quotes.iter().filter_map(|quote| Some((quote.strike, quote.call?, quote.put?)));
    let (strike, call, put) = pairs.min_by_key(|(_, call, put)| (call - put).abs())?;
    let to_price = ATTO * (ATTO / PRICE_ONE);
    Some(strike + mul_div(call - put, growth, to_price, Rounding::HalfEven))
}

/// Options outward from the middle until two strikes in a row have no bid.
fn walk(outward: impl Iterator<Item = (i128, Option<i128>)>) -> Vec<(i128, i128)> {
    let mut missing = 0;
    let mut chosen = Vec::new();
    for (strike, premium) in outward {
        match premium {
            Some(premium) => {
                missing = 0;
                chosen.push((strike, premium));
            }
            None => missing += 1,
        }
        if missing == GAP {
            break;
        }
    }
    chosen
}

/// Each option's `ΔK / K² · premium`, with ΔK half the distance of its neighbours, at the ends the
/// distance to the only one.
fn parts(chosen: &[(i128, i128)]) -> Vec<StripPart> {
    let last = chosen.len() - 1;
    let part = |(at, (strike, premium)): (usize, &(i128, i128))| {
        let (low, high) = (at.saturating_sub(1), (at + 1).min(last));
        let twice = (chosen[high].0 - chosen[low].0) * if high - low == 2 { 1 } else { 2 };
        let square = 2 * strike * strike;
        let scaled = premium * PRICE_ONE;
        let contribution = mul_div(scaled, twice, square, Rounding::HalfEven);
        StripPart { strike: *strike, premium: *premium, contribution }
    };
    chosen.iter().enumerate().map(part).collect()
}

/// What one expiry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermVariance {
    /// Milliseconds to expiry, above 0.
    pub left_ms: u64,
    /// Variance until then, parts of 10^18.
    pub total: i128,
}

/// Annual variance over a horizon, parts of 10^18: between the expiries around the horizon linear
/// in total variance, beyond all of them the rate of the nearest. `terms` ascend.
///
/// # Errors
/// [`VarianceError::NoTerm`] without an expiry, [`VarianceError::Malformed`] if they do not ascend.
pub fn horizon_variance(terms: &[TermVariance], horizon_ms: u64) -> Result<i128, VarianceError> {
    let ascending = terms.windows(2).all(|pair| pair[0].left_ms < pair[1].left_ms);
    let bounded = |of: &TermVariance| of.left_ms > 0 && (0..=1_000 * ATTO).contains(&of.total);
    if !ascending || horizon_ms == 0 || !terms.iter().all(bounded) {
        return Err(VarianceError::Malformed);
    }
    let next = terms.partition_point(|of| of.left_ms < horizon_ms);
    let per_year =
        |total: i128, left_ms: i128| mul_div(total, YEAR_MS, left_ms, Rounding::HalfEven);
    match (next.checked_sub(1).map(|at| terms[at]), terms.get(next)) {
        (Some(near), Some(next)) => {
            let [from, to, at] = [near.left_ms, next.left_ms, horizon_ms].map(i128::from);
            let spread = next.total - near.total;
            let total = near.total + mul_div(spread, at - from, to - from, Rounding::HalfEven);
            Ok(per_year(total, at))
        }
        (Some(only), None) => Ok(per_year(only.total, only.left_ms.into())),
        (None, Some(only)) => Ok(per_year(only.total, only.left_ms.into())),
        (None, None) => Err(VarianceError::NoTerm),
    }
}

/// The volatility of an annual variance, both parts of 10^18; rounded down. Negative counts as 0.
#[must_use]
pub fn volatility(variance: i128) -> i128 {
    let square = variance.max(0).unsigned_abs().saturating_mul(ATTO.unsigned_abs());
    i128::try_from(square.isqrt()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(strike: i128, call: Option<i128>, put: Option<i128>) -> StripQuote {
        let premium = |of: Option<i128>| of.map(|value| value * ATTO / 100);
        StripQuote { strike: strike * PRICE_ONE, call: premium(call), put: premium(put) }
    }

    /// Premiums in hundredths around a forward of 100.
    fn strip() -> Vec<StripQuote> {
        vec![
            quote(80, None, Some(50)),
            quote(90, None, Some(150)),
            quote(100, Some(400), Some(400)),
            quote(110, Some(200), None),
            quote(120, Some(80), None),
        ]
    }

    #[test]
    fn puts_below_and_calls_above_the_forward_add_up_by_their_strikes() {
        let found = strip_variance(&strip(), ATTO).expect("a strip");
        assert_eq!((found.forward, found.middle), (100 * PRICE_ONE, 100 * PRICE_ONE));
        let contribution: Vec<i128> = found.parts.iter().map(|part| part.contribution).collect();
        // 10/6400·0.5, 10/8100·1.5, 10/10000·4, 10/12100·2, 10/14400·0.8.
        let expected = [781_250, 1_851_852, 4_000_000, 1_652_893, 555_556];
        let nano: Vec<i128> =
            contribution.iter().map(|of| (of + 500_000_000) / 1_000_000_000).collect();
        assert_eq!(nano, expected);
        assert_eq!(found.total, 2 * found.contribution);
    }

    #[test]
    fn two_strikes_without_a_bid_end_the_strip_and_one_does_not() {
        let mut quotes = strip();
        quotes.extend([quote(130, None, None), quote(140, Some(5), None)]);
        let strikes =
            |quotes: &[StripQuote]| strip_variance(quotes, ATTO).expect("a strip").parts.len();
        assert_eq!(strikes(&quotes), 6);
        quotes.insert(6, quote(135, None, None));
        assert_eq!(strikes(&quotes), 5);
    }

    #[test]
    fn a_forward_between_strikes_takes_its_distance_off_the_variance() {
        let mut quotes = strip();
        quotes[2] = quote(100, Some(500), Some(300));
        let found = strip_variance(&quotes, ATTO).expect("a strip");
        assert_eq!(found.forward, 102 * PRICE_ONE);
        // (102/100 − 1)² = 0.0004; the middle option is the mean of both, as before.
        assert_eq!(found.total, 2 * found.contribution - ATTO * 4 / 10_000);
    }

    #[test]
    fn what_is_no_strip_is_refused_by_name() {
        let refused = |quotes: &[StripQuote]| strip_variance(quotes, ATTO).expect_err("refused");
        assert_eq!(refused(&[]), VarianceError::NoForward);
        assert_eq!(refused(&strip()[..2]), VarianceError::NoForward);
        assert_eq!(refused(&strip()[2..3]), VarianceError::TooFew);
        let mut reversed = strip();
        reversed.reverse();
        assert_eq!(refused(&reversed), VarianceError::Malformed);
        let worthless: Vec<StripQuote> =
            [90, 100, 110].map(|strike| quote(strike, Some(0), Some(0))).to_vec();
        assert_eq!(refused(&worthless), VarianceError::NotPositive);
        let huge = StripQuote { strike: 1, call: Some(i128::MAX), put: Some(0) };
        assert_eq!(refused(&[huge]), VarianceError::Malformed);
    }

    #[test]
    fn the_horizon_lies_between_its_neighbours_in_total_variance() {
        let day = 86_400_000;
        let term = |days: u64, total: i128| TermVariance { left_ms: days * day, total };
        // 20 % a year for 20 days and 40 % a year for 40: totals 4 %·20/365 and 16 %·40/365.
        let year = |rate: i128, days: i128| ATTO / 10_000 * rate * days / 365;
        let terms = [term(20, year(400, 20)), term(40, year(1_600, 40))];
        let at = |days: u64| horizon_variance(&terms, days * day).expect("terms");
        let close = |ours: i128, theirs: i128| assert!((ours - theirs).abs() < 100, "{ours}");
        close(at(20), ATTO * 4 / 100);
        close(at(40), ATTO * 16 / 100);
        // Half way in total variance: (0.8 + 6.4)/2 per 30 days = 12 %.
        close(at(30), ATTO * 12 / 100);
        close(at(10), ATTO * 4 / 100);
        close(at(90), ATTO * 16 / 100);
        assert_eq!(horizon_variance(&[], day), Err(VarianceError::NoTerm));
        assert_eq!(volatility(ATTO * 4 / 100), ATTO / 5);
        assert_eq!(volatility(-1), 0);
    }
}
