//! The grid of scenarios, and what one lot of a leg gains or loses in each.
//!
//! Scenarios are numbered as in the risk matrix: price buckets from the lowest, each with its
//! volatility columns (down … unchanged … up), then the [`EXTENDED_MOVES`] with volatility up.
//!
//! A leg's vector is rounded once, per lot, to whole parts of 10^18 of the settlement currency.
//! Everything after it is sums and products of integers, so legs may be added and removed in any
//! order and the result is the same to the last bit.

use crate::portfolio::{EXTENDED_MOVES, NANO, PRICE_ONE, ParameterError, PortfolioParameters};
use crate::ratio::{Rounding, mul_div};

/// What an instrument is paid in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Settlement {
    /// The base coin: inverse futures, coin-settled options.
    Coin,
    /// The quote currency: linear instruments.
    Quote,
}

/// A rational number with a positive denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ratio {
    numer: i128,
    denom: i128,
}

impl Ratio {
    fn of(self, value: i128) -> i128 {
        mul_div(value, self.numer, self.denom, Rounding::HalfEven)
    }
}

/// One move of the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Move {
    /// 1 + p, the price after it as a share of the price before.
    growth: Ratio,
    /// Result of a coin-settled future per coin of size: p / (1 + p), scaled if extended.
    coin: Ratio,
    /// Result of a linear future per unit of value: p, scaled if extended.
    quote: Ratio,
}

/// The scenarios of one set of parameters. Made once per set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    moves: Vec<Move>,
    buckets: usize,
    columns: usize,
}

impl Grid {
    /// Lays out the grid.
    ///
    /// # Errors
    /// A parameter is out of bounds.
    pub fn new(parameters: &PortfolioParameters) -> Result<Self, ParameterError> {
        parameters.check()?;
        let one = i128::from(NANO);
        let steps = i128::from(parameters.buckets_count);
        let range = i128::from(parameters.price_range);
        let denom = steps * one;
        let standard = (-steps..=steps).map(|step| {
            let numer = step * range;
            let growth = Ratio { numer: denom + numer, denom };
            let coin = Ratio { numer, denom: denom + numer };
            Move { growth, coin, quote: Ratio { numer, denom } }
        });
        let factor = i128::from(parameters.extended_table_factor);
        let extended = EXTENDED_MOVES.into_iter().map(|of| extended_move(of, range, factor));
        let moves: Vec<Move> = standard.chain(extended).collect();
        let (buckets, columns) = (parameters.price_buckets(), parameters.vol_scenarios_count);
        Ok(Self { moves, buckets, columns: columns as usize })
    }

    /// Scenarios in a vector of this grid.
    #[must_use]
    pub fn scenarios(&self) -> usize {
        self.standard() + EXTENDED_MOVES.len()
    }

    /// Scenarios before the extended ones.
    #[must_use]
    pub fn standard(&self) -> usize {
        self.buckets * self.columns
    }

    /// Volatility columns of a price bucket.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// What one lot of a future or perpetual gains in each scenario.
    #[must_use]
    pub fn future(&self, future: &FutureLot) -> Vec<i128> {
        let mut vector = vec![0; self.scenarios()];
        self.future_into(future, &mut vector);
        vector
    }

    /// The same into a slice of [`Grid::scenarios`] elements; further ones stay as they are.
    pub fn future_into(&self, future: &FutureLot, vector: &mut [i128]) {
        let value = match future.settlement {
            Settlement::Coin => future.coins,
            Settlement::Quote => mul_div(future.coins, future.price, PRICE_ONE, Rounding::HalfEven),
        };
        let results = self.moves.iter().map(|price_move| match future.settlement {
            Settlement::Coin => price_move.coin.of(value),
            Settlement::Quote => price_move.quote.of(value),
        });
        let mut slots = vector.iter_mut();
        for (bucket, result) in results.enumerate() {
            let columns = if bucket < self.buckets { self.columns } else { 1 };
            for slot in slots.by_ref().take(columns) {
                *slot = result;
            }
        }
    }
}

/// A move beyond the grid. Its result counts as if the same value had been lost at the edge of the
/// grid: `factor · (edge / move)` of it, turned into coin at the edge's price.
fn extended_move(of: i64, range: i128, factor: i128) -> Move {
    let one = i128::from(NANO);
    let of = i128::from(of);
    let edge = of.signum() * range.min(of.abs());
    let growth = Ratio { numer: one + of, denom: one };
    let coin = Ratio { numer: factor * edge, denom: one * (one + edge) };
    Move { growth, coin, quote: Ratio { numer: factor * edge, denom: one * one } }
}

/// One lot of a future or perpetual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FutureLot {
    /// What it is paid in.
    pub settlement: Settlement,
    /// Base coins, parts of 10^18. Of an inverse lot: its value in quote currency divided by
    /// the mark price.
    pub coins: i128,
    /// Mark price, parts of 10^10. Only linear lots use it.
    pub price: i128,
}

/// Adds `lots` of a leg to a sum of scenarios.
///
/// Exact; beyond 128 bits (no account holds that much) it saturates.
pub fn accumulate(sum: &mut [i128], leg: &[i128], lots: i64) {
    let lots = i128::from(lots);
    for (total, one) in sum.iter_mut().zip(leg) {
        *total = total.saturating_add(one.saturating_mul(lots));
    }
}
