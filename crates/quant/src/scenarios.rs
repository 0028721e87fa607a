//! The grid of scenarios, and what one lot of a leg gains or loses in each.
//!
//! Scenarios are numbered as in the risk matrix: price buckets from the lowest, each with its
//! volatility columns (down … unchanged … up), then the [`EXTENDED_MOVES`] with volatility up.
//!
//! A leg's vector is rounded once, per lot, to whole parts of 10^18 of the settlement currency.
//! Everything after it is sums and products of integers, so legs may be added and removed in any
//! order and the result is the same to the last bit.

use crate::black76::{Moneyness, Right, delta, unit_price};
use crate::fixed::Fixed;
use crate::functions::{exp, ln_ratio, sqrt};
use crate::portfolio::{
    ATTO, DAY_MS, EXTENDED_MOVES, MAX_COLUMNS, NANO, PRICE_ONE, ParameterError,
    PortfolioParameters, YEAR_MS,
};
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

/// One move of the price. A result is scaled if the move is an extended one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Move {
    /// 1 + p, the price after it as a share of the price before.
    growth: Fixed,
    /// 1 / (1 + p).
    reciprocal: Fixed,
    /// ln(1 + p).
    log: Fixed,
    /// Result of a coin-settled future per coin of size: p / (1 + p).
    coin: Ratio,
    /// Result of a linear future per unit of value: p.
    quote: Ratio,
    /// What an option's result counts for, coin-settled and linear; none: all of it.
    scale: Option<(Fixed, Fixed)>,
}

impl Move {
    fn new(growth: Ratio, coin: Ratio, quote: Ratio, scale: Option<(Fixed, Fixed)>) -> Self {
        let log = if growth.numer == growth.denom {
            Fixed::ZERO
        } else {
            ln_ratio(growth.numer, growth.denom)
        };
        let reciprocal = Fixed::ratio(growth.denom, growth.numer);
        let growth = Fixed::ratio(growth.numer, growth.denom);
        Self { growth, reciprocal, log, coin, quote, scale }
    }
}

/// The scenarios of one set of parameters. Made once per set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    moves: Vec<Move>,
    parameters: PortfolioParameters,
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
            Move::new(growth, coin, Ratio { numer, denom }, None)
        });
        let factor = i128::from(parameters.extended_table_factor);
        let extended = EXTENDED_MOVES.into_iter().map(|of| extended_move(of, range, factor));
        let moves: Vec<Move> = standard.chain(extended).collect();
        Ok(Self { moves, parameters: *parameters })
    }

    /// Scenarios in a vector of this grid.
    #[must_use]
    pub fn scenarios(&self) -> usize {
        self.parameters.scenarios()
    }

    /// Scenarios before the extended ones.
    #[must_use]
    pub fn standard(&self) -> usize {
        self.parameters.standard_scenarios()
    }

    /// Volatility columns of a price bucket.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.parameters.vol_scenarios_count as usize
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
        let mut slots = vector.iter_mut();
        for (bucket, price_move) in self.moves.iter().enumerate() {
            let result = match future.settlement {
                Settlement::Coin => price_move.coin.of(value),
                Settlement::Quote => price_move.quote.of(value),
            };
            let is_standard = bucket < self.parameters.price_buckets();
            for slot in slots.by_ref().take(if is_standard { self.columns() } else { 1 }) {
                *slot = result;
            }
        }
    }

    /// What one lot of an option gains in each scenario, and its delta in base coin, parts of
    /// 10^18.
    #[must_use]
    pub fn option(&self, option: &OptionLot) -> (Vec<i128>, i128) {
        let mut vector = vec![0; self.scenarios()];
        let delta = self.option_into(option, &mut vector);
        (vector, delta)
    }

    /// The same into a slice of [`Grid::scenarios`] elements; returns the delta.
    ///
    /// A coin-settled option is worth `price / forward` coins, so a move changes what the coins
    /// are worth too: its result is `c(F', σ') − c(F, σ)`, with each `c` in coins at its own price.
    pub fn option_into(&self, option: &OptionLot, vector: &mut [i128]) -> i128 {
        let root = sqrt(Fixed::ratio(option.left_ms.into(), YEAR_MS));
        let at = Moneyness::new(option.forward, option.strike);
        let total = option.volatility.mul(root);
        let now = unit_price(option.right, at, total);
        let value = match option.settlement {
            Settlement::Coin => option.coins,
            Settlement::Quote => {
                mul_div(option.coins, option.forward, PRICE_ONE, Rounding::HalfEven)
            }
        };
        // A multiplication is much faster than a division, and holds any lot below 2^30 units.
        let factor = (value.abs() < ATTO << 30).then(|| Fixed::ratio(value, ATTO));
        let sized = |gained: i128| match factor {
            Some(factor) => factor.times(gained),
            None => mul_div(gained, value, ATTO, Rounding::HalfEven),
        };
        let result = |price_move: &Move, moved: Moneyness, total: Fixed| {
            let then = unit_price(option.right, moved, total);
            let gained = match option.settlement {
                Settlement::Coin => then - now,
                Settlement::Quote => price_move.growth.times(then) - now,
            };
            sized(match (price_move.scale, option.settlement) {
                (None, _) => gained,
                (Some((coin, _)), Settlement::Coin) => coin.times(gained),
                (Some((_, quote)), Settlement::Quote) => quote.times(gained),
            })
        };
        let (shocked, up) = self.volatilities(option);
        let (shocked, up) = (shocked.map(|volatility| volatility.mul(root)), up.mul(root));
        let (standard, extended) = self.moves.split_at(self.parameters.price_buckets());
        let (grid, rest) = vector.split_at_mut(self.standard().min(vector.len()));
        for (bucket, price_move) in grid.chunks_mut(self.columns()).zip(standard) {
            let moved = at.moved(price_move.log, price_move.reciprocal);
            for (slot, total) in bucket.iter_mut().zip(&shocked) {
                *slot = result(price_move, moved, *total);
            }
        }
        for (slot, price_move) in rest.iter_mut().zip(extended) {
            let moved = at.moved(price_move.log, price_move.reciprocal);
            *slot = result(price_move, moved, up);
        }
        mul_div(delta(option.right, at.log, total), option.coins, ATTO, Rounding::HalfEven)
    }

    /// The volatility of each column, and that of the extended moves.
    fn volatilities(&self, option: &OptionLot) -> ([Fixed; MAX_COLUMNS as usize], Fixed) {
        let set = &self.parameters;
        let stretch = stretch(option.left_ms, set);
        let middle = i128::from(set.vol_scenarios_count / 2);
        let relative = |rate: i64, step: i128| {
            let of = i128::from(NANO) * middle.max(1);
            Fixed::ratio(i128::from(rate) * step, of).mul(stretch)
        };
        let at = |step: i128| match step {
            ..=-1 => {
                let factor = Fixed::ONE.sub(relative(set.volatility_range_down, -step));
                Fixed(option.volatility.mul(factor).0.max(0))
            }
            0 => option.volatility,
            1.. => {
                let factor = Fixed::ONE.add(relative(set.volatility_range_up, step));
                let least = Fixed::ratio(set.min_volatility_for_shock_up.into(), NANO.into());
                option.volatility.mul(factor).max(least)
            }
        };
        let mut columns = [Fixed::ZERO; MAX_COLUMNS as usize];
        for (column, step) in columns.iter_mut().zip(-middle..=middle) {
            *column = at(step);
        }
        (columns, at(middle.max(1)))
    }
}

/// (30 days / days to expiry)^power, by which near expiries' volatility moves more; 1 at expiry,
/// where volatility no longer matters.
fn stretch(left_ms: u64, set: &PortfolioParameters) -> Fixed {
    if left_ms == 0 {
        return Fixed::ONE;
    }
    let month_ms = 30 * DAY_MS;
    let left_ms = i128::from(left_ms);
    let power =
        if left_ms < month_ms { set.short_term_vega_power } else { set.long_term_vega_power };
    exp(ln_ratio(month_ms, left_ms).mul(Fixed::ratio(power.into(), NANO.into())))
}

/// A move beyond the grid. Its result counts as if the same value had been lost at the edge of the
/// grid: `factor · (edge / move)` of it, turned into coin at the edge's price instead of the moved
/// one. For futures that is exactly the edge's own result.
fn extended_move(of: i64, range: i128, factor: i128) -> Move {
    let one = i128::from(NANO);
    let of = i128::from(of);
    let edge = of.signum() * range.min(of.abs());
    let growth = Ratio { numer: one + of, denom: one };
    let coin = Ratio { numer: factor * edge, denom: one * (one + edge) };
    let share = Fixed::ratio(factor * edge, one * of);
    let repriced = share.mul(Fixed::ratio(one + of, one + edge));
    let quote = Ratio { numer: factor * edge, denom: one * one };
    Move::new(growth, coin, quote, Some((repriced, share)))
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

/// One lot of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionLot {
    /// What it is paid in.
    pub settlement: Settlement,
    /// Call or put.
    pub right: Right,
    /// Base coins, parts of 10^18.
    pub coins: i128,
    /// Forward price of its expiry, in the unit of the strike (linear: parts of 10^10); above 0.
    pub forward: i128,
    /// Strike; above 0.
    pub strike: i128,
    /// Volatility a year, 0 or more.
    pub volatility: Fixed,
    /// Milliseconds to expiry.
    pub left_ms: u64,
}

/// Adds `lots` of a leg to a sum of scenarios.
///
/// Exact; beyond 128 bits (no account holds that much) it saturates.
pub fn accumulate(sum: &mut [i128], leg: &[i128], lots: i64) {
    for (total, one) in sum.iter_mut().zip(leg) {
        *total = total.saturating_add(times(*one, lots));
    }
}

/// What `lots` make of one lot's number. Saturates beyond 128 bits.
#[must_use]
pub fn times(one: i128, lots: i64) -> i128 {
    // Of 63 bits each, as nearly always, the product cannot overflow, and is one instruction.
    match i64::try_from(one) {
        Ok(one) => i128::from(one) * i128::from(lots),
        Err(_) => one.saturating_mul(i128::from(lots)),
    }
}
