//! Parameters of portfolio margin, named as Deribit names them (`private/pme/simulate`).

use thiserror::Error;

/// 10^9: rates are held in billionths.
pub const NANO: i64 = 1_000_000_000;
/// 10^18: money and sizes are held in parts of 10^18 ("atto") of a coin or of the quote currency.
pub const ATTO: i128 = 1_000_000_000_000_000_000;
/// 10^10: prices are held in parts of 10^10 of the quote currency.
pub const PRICE_ONE: i128 = 10_000_000_000;
/// Milliseconds of a year of 365 days (Act/365).
pub const YEAR_MS: i128 = 365 * DAY_MS;
/// Milliseconds of a day.
pub const DAY_MS: i128 = 86_400_000;

/// Extended moves in billionths, in the order in which they are reported. Volatility goes up.
pub const EXTENDED_MOVES: [i64; 8] = [
    -660_000_000,
    -330_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    3_000_000_000,
    4_000_000_000,
    5_000_000_000,
];

/// Most price buckets on each side.
pub const MAX_BUCKETS: u32 = 16;
/// Most volatility columns.
pub const MAX_COLUMNS: u32 = 9;

/// Which side of a currency's equity is charged its haircut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EquitySide {
    /// Neither.
    #[default]
    None,
    /// What the account owns.
    Long,
    /// What the account owes.
    Short,
    /// Both.
    Both,
}

/// Parameters of one index. Rates, powers and volatilities are billionths ([`NANO`]); amounts of
/// quote currency are billionths of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortfolioParameters {
    /// Largest move of the price grid, below 1.
    pub price_range: i64,
    /// Relative volatility move upward, at 30 days.
    pub volatility_range_up: i64,
    /// Relative volatility move downward, at 30 days.
    pub volatility_range_down: i64,
    /// Power of (30 days / days to expiry) below 30 days.
    pub short_term_vega_power: i64,
    /// The same from 30 days.
    pub long_term_vega_power: i64,
    /// Least volatility after an upward move.
    pub min_volatility_for_shock_up: i64,
    /// Scales the profit and loss of extended moves.
    pub extended_table_factor: i64,
    /// Delta shock per coin of delta above the threshold: in every published set the increment of
    /// standard margin per coin of a future.
    pub m_inc: i64,
    /// Largest delta shock.
    pub max_delta_shock: i64,
    /// Value of the delta from which the delta shock grows, in quote currency.
    pub delta_total_liq_shock_threshold: i128,
    /// Roll shock per year to expiry.
    pub annualised_move_risk: i64,
    /// Least roll shock.
    pub min_annualised_move: i64,
    /// Taken off extended moves' results, in quote currency per `price_range` beyond the first.
    pub extended_dampener: i128,
    /// Share of a scenario's profit that counts.
    pub pnl_offset: i64,
    /// Most profit of a scenario that counts, in quote currency; 0: no bound.
    pub max_offsetable_pnl: i128,
    /// Charged on equity in the currency itself.
    pub haircut: i64,
    /// On which side of it.
    pub equity_side_impact: EquitySide,
    /// Whether this index moves with the others of its set.
    pub correlation_set: bool,
    /// Maintenance margin as a share of the risk matrix.
    pub mm_factor: i64,
    /// Price buckets on each side of the present price: 4 make 9.
    pub buckets_count: u32,
    /// Volatility columns of a price bucket, an odd number: 3 are down, unchanged, up.
    pub vol_scenarios_count: u32,
}

impl PortfolioParameters {
    /// Deribit's for BTC: range 16 %, volatility +50 % and −25 %.
    pub const BTC: Self = Self {
        price_range: 160_000_000,
        volatility_range_up: 500_000_000,
        volatility_range_down: 250_000_000,
        short_term_vega_power: 300_000_000,
        long_term_vega_power: 130_000_000,
        min_volatility_for_shock_up: 500_000_000,
        extended_table_factor: NANO,
        m_inc: 50_000,
        max_delta_shock: 100_000_000,
        delta_total_liq_shock_threshold: 20_000_000 * NANO as i128,
        annualised_move_risk: 75_000_000,
        min_annualised_move: 10_000_000,
        extended_dampener: 100_000 * NANO as i128,
        pnl_offset: 0,
        max_offsetable_pnl: 0,
        haircut: 0,
        equity_side_impact: EquitySide::Both,
        correlation_set: false,
        mm_factor: 800_000_000,
        buckets_count: 4,
        vol_scenarios_count: 3,
    };

    /// Deribit's for ETH: range 18 %, volatility +40 % and −25 %.
    pub const ETH: Self = Self {
        price_range: 180_000_000,
        volatility_range_up: 400_000_000,
        m_inc: 4_000,
        annualised_move_risk: 50_000_000,
        min_annualised_move: 5_000_000,
        extended_dampener: 200_000 * NANO as i128,
        ..Self::BTC
    };

    /// For a smaller coin such as SOL, of which no set is published here: a wider range, the
    /// dampener and the move risk that Deribit gives to what it trusts least (chosen).
    pub const SOL: Self = Self {
        price_range: 240_000_000,
        m_inc: 5_000,
        delta_total_liq_shock_threshold: 2_000_000 * NANO as i128,
        annualised_move_risk: 100_000_000,
        extended_dampener: 25_000 * NANO as i128,
        ..Self::BTC
    };

    /// Price buckets: the present price and `buckets_count` on each side.
    #[must_use]
    pub fn price_buckets(&self) -> usize {
        2 * self.buckets_count as usize + 1
    }

    /// Scenarios of the grid of prices and volatilities, without the extended moves.
    #[must_use]
    pub fn standard_scenarios(&self) -> usize {
        self.price_buckets() * self.vol_scenarios_count as usize
    }

    /// All scenarios: 9 × 3 + 8 = 35 unless configured otherwise.
    #[must_use]
    pub fn scenarios(&self) -> usize {
        self.standard_scenarios() + EXTENDED_MOVES.len()
    }

    /// Checks every parameter against what the formulas can carry.
    ///
    /// # Errors
    /// The first parameter out of bounds, and what is allowed.
    pub fn check(&self) -> Result<(), ParameterError> {
        let one = NANO;
        let rates = [
            ("price_range", self.price_range, 1, one - 1),
            ("volatility_range_up", self.volatility_range_up, 0, 10 * one),
            ("volatility_range_down", self.volatility_range_down, 0, 10 * one),
            ("short_term_vega_power", self.short_term_vega_power, 0, 2 * one),
            ("long_term_vega_power", self.long_term_vega_power, 0, 2 * one),
            ("min_volatility_for_shock_up", self.min_volatility_for_shock_up, 0, 20 * one),
            ("extended_table_factor", self.extended_table_factor, 0, 10 * one),
            ("m_inc", self.m_inc, 0, one),
            ("max_delta_shock", self.max_delta_shock, 0, one),
            ("annualised_move_risk", self.annualised_move_risk, 0, 10 * one),
            ("min_annualised_move", self.min_annualised_move, 0, one),
            ("pnl_offset", self.pnl_offset, 0, one),
            ("haircut", self.haircut, 0, one),
            ("mm_factor", self.mm_factor, 0, one),
        ];
        for (name, value, low, high) in rates {
            if !(low..=high).contains(&value) {
                return Err(ParameterError { name, low: low.into(), high: high.into() });
            }
        }
        // A million million of quote currency: more than any venue holds.
        let most = 1_000_000_000_000 * i128::from(one);
        let amounts = [
            ("delta_total_liq_shock_threshold", self.delta_total_liq_shock_threshold),
            ("extended_dampener", self.extended_dampener),
            ("max_offsetable_pnl", self.max_offsetable_pnl),
        ];
        for (name, value) in amounts {
            if !(0..=most).contains(&value) {
                return Err(ParameterError { name, low: 0, high: most });
            }
        }
        self.check_counts()
    }

    fn check_counts(&self) -> Result<(), ParameterError> {
        let one = i128::from(NANO);
        if !(1..=MAX_BUCKETS).contains(&self.buckets_count) {
            let high = i128::from(MAX_BUCKETS) * one;
            return Err(ParameterError { name: "buckets_count", low: one, high });
        }
        let columns = self.vol_scenarios_count;
        if !(1..=MAX_COLUMNS).contains(&columns) || columns.is_multiple_of(2) {
            let high = i128::from(MAX_COLUMNS) * one;
            return Err(ParameterError { name: "vol_scenarios_count (odd)", low: one, high });
        }
        Ok(())
    }
}

/// A parameter is out of bounds. The bounds are billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{name} must lie from {} to {}", Shown(*low), Shown(*high))]
pub struct ParameterError {
    /// The parameter.
    pub name: &'static str,
    /// Smallest allowed value.
    pub low: i128,
    /// Largest allowed value.
    pub high: i128,
}

/// Billionths as a decimal.
struct Shown(i128);

impl core::fmt::Display for Shown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (whole, rest) = (self.0 / i128::from(NANO), self.0 % i128::from(NANO));
        let digits = format!("{rest:09}");
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() { write!(f, "{whole}") } else { write!(f, "{whole}.{digits}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sets_are_valid_and_make_35_scenarios() {
        for set in [PortfolioParameters::BTC, PortfolioParameters::ETH, PortfolioParameters::SOL] {
            assert_eq!(set.check(), Ok(()));
            assert_eq!(set.scenarios(), 35);
        }
    }

    #[test]
    fn a_parameter_out_of_bounds_is_named_with_what_is_allowed() {
        let said = |change: fn(&mut PortfolioParameters)| {
            let mut set = PortfolioParameters::BTC;
            change(&mut set);
            set.check().expect_err("out of bounds").to_string()
        };
        let range = said(|set| set.price_range = NANO);
        assert_eq!(range, "price_range must lie from 0.000000001 to 0.999999999");
        assert_eq!(said(|set| set.pnl_offset = -1), "pnl_offset must lie from 0 to 1");
        let dampener = said(|set| set.extended_dampener = -1);
        assert_eq!(dampener, "extended_dampener must lie from 0 to 1000000000000");
        assert_eq!(said(|set| set.buckets_count = 17), "buckets_count must lie from 1 to 16");
        let columns = said(|set| set.vol_scenarios_count = 2);
        assert_eq!(columns, "vol_scenarios_count (odd) must lie from 1 to 9");
    }
}
