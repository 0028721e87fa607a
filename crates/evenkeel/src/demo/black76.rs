//! Black-76 in floats, for marks only: the engine never sees them, it gets whole ticks.

/// Value of an option on a future and its first derivative, undiscounted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptionValue {
    /// Value in quote currency.
    pub value: f64,
    /// Derivative by the future's price.
    pub delta: f64,
}

/// Black (1976) with zero rate: `future`, `strike` in quote currency, `years` to expiry,
/// `volatility` per √year. At or after expiry the intrinsic value.
#[must_use]
pub fn option_value(
    is_call: bool,
    future: f64,
    strike: f64,
    years: f64,
    volatility: f64,
) -> OptionValue {
    let sign = if is_call { 1.0 } else { -1.0 };
    let deviation = volatility * years.max(0.0).sqrt();
    if deviation <= 0.0 {
        let value = (sign * (future - strike)).max(0.0);
        let delta = if value > 0.0 { sign } else { 0.0 };
        return OptionValue { value, delta };
    }
    let d1 = (future / strike).ln() / deviation + deviation / 2.0;
    let delta = sign * normal_cdf(sign * d1);
    let value = future * delta - sign * strike * normal_cdf(sign * (d1 - deviation));
    OptionValue { value: value.max(0.0), delta }
}

/// Standard normal distribution function: Hart's rational approximation as given by West,
/// "Better approximations to cumulative normal functions" (2005); absolute error below 1e-15.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    const TOP: [f64; 7] = [
        3.526_249_659_989_11e-2,
        0.700_383_064_443_688,
        6.373_962_203_531_65,
        33.912_866_078_383,
        112.079_291_497_871,
        221.213_596_169_931,
        220.206_867_912_376,
    ];
    const BOTTOM: [f64; 8] = [
        8.838_834_764_831_84e-2,
        1.755_667_163_182_64,
        16.064_177_579_207,
        86.780_732_202_946_1,
        296.564_248_779_674,
        637.333_633_378_831,
        793.826_512_519_948,
        440.413_735_824_752,
    ];
    const ROOT_TWO_PI: f64 = 2.506_628_274_631;
    let z = x.abs();
    let density = (-z * z / 2.0).exp();
    let tail = if z > 37.0 {
        0.0
    } else if z < 7.071_067_811_865_47 {
        let horner = |terms: &[f64]| terms.iter().fold(0.0, |sum, term| sum * z + term);
        density * horner(&TOP) / horner(&BOTTOM)
    } else {
        let build = [4.0, 3.0, 2.0, 1.0].iter().fold(z + 0.65, |build, term| z + term / build);
        density / build / ROOT_TWO_PI
    };
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_function_meets_known_values_and_mirrors() {
        for (x, expected) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (2.0, 0.977_249_868_051_820_8),
            (-3.0, 1.349_898_031_630_094_6e-3),
            (-6.0, 9.865_876_450_376_946e-10),
            (-8.0, 6.220_960_574_271_785e-16),
        ] {
            assert!((normal_cdf(x) - expected).abs() < 1e-15, "{x}");
            assert!((normal_cdf(x) + normal_cdf(-x) - 1.0).abs() < 1e-15, "{x}");
        }
    }

    #[test]
    fn call_minus_put_is_future_minus_strike() {
        for strike in [50.0, 90.0, 100.0, 130.0, 400.0] {
            let call = option_value(true, 100.0, strike, 0.25, 0.6);
            let put = option_value(false, 100.0, strike, 0.25, 0.6);
            assert!((call.value - put.value - (100.0 - strike)).abs() < 1e-9);
            assert!((call.delta - put.delta - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn at_expiry_only_the_intrinsic_value_is_left() {
        let call = option_value(true, 100.0, 80.0, 0.0, 0.6);
        assert_eq!(call, OptionValue { value: 20.0, delta: 1.0 });
        assert_eq!(option_value(true, 100.0, 120.0, 0.0, 0.6).value, 0.0);
    }
}
