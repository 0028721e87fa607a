//! Figures measured in recorded markets, from which the demonstration starts.
//!
//! Source of the levels and surfaces: 20 Deribit option chains of 3–7 February 2026 (33,830 rows).
//! *Calm* is the first (3 February 04:29 UTC), *stress* the one of 5 February 15:51 UTC, when the
//! BTC index had lost 14 % in two days. For every expiry, implied volatility was fitted by least
//! squares as `atm + skew·x + curvature·x²` over `|x| < 1`, `x = ln(strike / future) / √years`.

/// At-the-money volatility and its shape at one time to expiry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smile {
    /// Time to expiry in years (365 days).
    pub years: f64,
    /// Volatility at the money, per √year.
    pub atm: f64,
    /// Slope in `x`.
    pub skew: f64,
    /// Curvature in `x`.
    pub curvature: f64,
    /// Future over index, continuously compounded, per year.
    pub basis: f64,
}

const fn smile(years: f64, atm: f64, skew: f64, curvature: f64, basis: f64) -> Smile {
    Smile { years, atm, skew, curvature, basis }
}

/// One underlying as recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Underlying {
    /// Currency code.
    pub code: &'static str,
    /// Index at the start, quote currency.
    pub index: f64,
    /// Surface of the calm chain, by time to expiry.
    pub calm: [Smile; 6],
    /// Surface of the stressed chain, by time to expiry.
    pub stress: [Smile; 6],
}

/// BTC: index 78,529.81 in the calm chain, 67,765.16 in the stressed one. The basis of expiries
/// below two weeks is noise over a short time; it is held at the two-week level.
pub const BTC: Underlying = Underlying {
    code: "BTC",
    index: 78_529.81,
    calm: [
        smile(0.0086, 0.5134, -0.0968, 0.1166, 0.0004),
        smile(0.0278, 0.4759, -0.0916, 0.1285, 0.0004),
        smile(0.0661, 0.4427, -0.0797, 0.1366, 0.0101),
        smile(0.1428, 0.4389, -0.0655, 0.1238, 0.0279),
        smile(0.3919, 0.4529, -0.0567, 0.1070, 0.0364),
        smile(0.8902, 0.4808, -0.0561, 0.0825, 0.0461),
    ],
    stress: [
        smile(0.0101, 0.9066, -0.1507, 0.0737, 0.0442),
        smile(0.0210, 0.8111, -0.1426, 0.0842, 0.0442),
        smile(0.0593, 0.6672, -0.1436, 0.1109, 0.0465),
        smile(0.1360, 0.5911, -0.1321, 0.1144, 0.0484),
        smile(0.3851, 0.5379, -0.1101, 0.1065, 0.0462),
        smile(0.8834, 0.5276, -0.0781, 0.0822, 0.0496),
    ],
};

/// ETH: index 2,334.96 in the calm chain, 1,968.23 in the stressed one.
pub const ETH: Underlying = Underlying {
    code: "ETH",
    index: 2_334.96,
    calm: [
        smile(0.0086, 0.7705, -0.0945, 0.0771, 0.0281),
        smile(0.0278, 0.6984, -0.0846, 0.0810, 0.0282),
        smile(0.0661, 0.6495, -0.0742, 0.0882, 0.0280),
        smile(0.1428, 0.6362, -0.0578, 0.0815, 0.0287),
        smile(0.3919, 0.6460, -0.0439, 0.0591, 0.0292),
        smile(0.8902, 0.6624, -0.0376, 0.0516, 0.0360),
    ],
    stress: [
        smile(0.0101, 1.1817, -0.1514, 0.0813, 0.0724),
        smile(0.0210, 1.0825, -0.1283, 0.0769, 0.0724),
        smile(0.0593, 0.8978, -0.1053, 0.0793, 0.0632),
        smile(0.1360, 0.7882, -0.0872, 0.0734, 0.0480),
        smile(0.3851, 0.7137, -0.0527, 0.0800, 0.0392),
        smile(0.8834, 0.6866, -0.0428, 0.0949, 0.0390),
    ],
};

/// Correlation of BTC and ETH log returns between the 20 chains.
pub const CORRELATION: f64 = 0.91;

/// Annualised index volatility when calm: the at-the-money level of the nearest calm week.
pub const CALM_INDEX_VOLATILITY: [f64; 2] = [0.50, 0.72];

/// Annualised index volatility under stress: BTC realised 0.99 over the five recorded days; ETH
/// moved 1.21 times as much.
pub const STRESS_INDEX_VOLATILITY: [f64; 2] = [0.99, 1.20];

/// Smaller option tick, for options whose mark lies below [`SMALL_TICK_BELOW`]: the recorded
/// spreads below that mark are 0.6 of the larger tick at the median, so quoted on a finer one.
pub const SMALL_TICK: (i128, u8) = (1, 4);

/// Option tick, in coin (Deribit's instrument list of 22 July 2021: `tick_size` 0.0005).
pub const OPTION_TICK: (i128, u8) = (5, 4);

/// Mark, in coin, below which options trade on the small tick.
pub const SMALL_TICK_BELOW: f64 = 0.005;

/// Median quoted spread of an option, in coin, by the mark it stands at: (mark below, spread).
/// Medians of 448 BTC options with both sides, `|x| < 1`, calm chain.
pub const OPTION_SPREADS: [(f64, f64); 5] =
    [(0.005, 0.000_3), (0.02, 0.001_0), (0.06, 0.001_0), (0.15, 0.002_5), (f64::INFINITY, 0.005_0)];

/// Sizes quoted on BTC options, in lots of 0.1 (lower quartile 0.3 BTC, upper 12 BTC, median 3.0,
/// over every level of the 326 option books recorded on 21 May 2020).
pub const QUOTED_LOTS: (i64, i64) = (3, 120);

/// Half of the spread quoted on futures, perpetuals and spot, as a fraction of the price. Wider
/// than a real venue's half tick, because a maker here re-quotes every few seconds only.
pub const LINEAR_HALF_SPREAD: f64 = 0.8e-4;

/// Values at `years` by linear interpolation in √years, flat beyond the ends.
#[must_use]
pub fn interpolate(table: &[Smile; 6], years: f64) -> Smile {
    let position = table.iter().position(|row| row.years >= years);
    let (low, high) = match position {
        Some(0) => return Smile { years, ..table[0] },
        Some(index) => (table[index - 1], table[index]),
        None => {
            return Smile { years, ..table[table.len() - 1] };
        }
    };
    let weight = (years.sqrt() - low.years.sqrt()) / (high.years.sqrt() - low.years.sqrt());
    Smile { years, ..low.blend(&high, weight) }
}

impl Smile {
    /// `self` at weight 0, `other` at weight 1.
    #[must_use]
    pub fn blend(&self, other: &Self, weight: f64) -> Self {
        let mix = |a: f64, b: f64| a + (b - a) * weight;
        Self {
            years: mix(self.years, other.years),
            atm: mix(self.atm, other.atm),
            skew: mix(self.skew, other.skew),
            curvature: mix(self.curvature, other.curvature),
            basis: mix(self.basis, other.basis),
        }
    }

    /// Volatility at this strike, per √year. Beyond `|x| = 1`, where nothing was fitted, it stays
    /// flat.
    #[must_use]
    pub fn volatility(&self, future: f64, strike: f64) -> f64 {
        let x = ((strike / future).ln() / self.years.sqrt()).clamp(-1.0, 1.0);
        (self.atm + self.skew * x + self.curvature * x * x).clamp(0.05, 5.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surface_is_its_table_at_the_nodes_and_flat_beyond_them() {
        for table in [&BTC.calm, &BTC.stress, &ETH.calm, &ETH.stress] {
            for row in table {
                assert!((interpolate(table, row.years).atm - row.atm).abs() < 1e-12);
            }
            assert!((interpolate(table, 0.001).atm - table[0].atm).abs() < 1e-12);
            assert!((interpolate(table, 3.0).atm - table[5].atm).abs() < 1e-12);
            assert!(table.windows(2).all(|pair| pair[0].years < pair[1].years));
        }
    }

    #[test]
    fn puts_below_the_future_cost_more_volatility_than_calls_above_it() {
        let smile = interpolate(&BTC.stress, 0.06);
        assert!(smile.volatility(70_000.0, 60_000.0) > smile.volatility(70_000.0, 80_000.0));
    }
}
