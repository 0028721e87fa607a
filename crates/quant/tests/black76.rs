//! Black-76 against the formulas on integers with 320 fractional bits, over everything that a
//! market may ask, and its own laws: parity, symmetry, monotony.

mod big;

use big::BITS;
use evenkeel_quant::Fixed;
use evenkeel_quant::black76::{
    ATTO, Moneyness, Right, Value, delta, total_volatility, unit_price, value, value_in, years,
};
use evenkeel_quant::functions::{exp, ln_ratio, sqrt};
use evenkeel_quant::implied::{ImpliedError, implied_volatility};
use num_bigint::BigInt;
use proptest::prelude::*;

const ONE: i128 = 1 << 96;

/// What an option is worth, each figure in units of 2^-320.
struct Exact {
    price: BigInt,
    delta: BigInt,
    gamma: BigInt,
    vega: BigInt,
    theta: BigInt,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    right: Right,
    forward: i128,
    strike: i128,
    years: Fixed,
    volatility: Fixed,
}

impl Case {
    /// With the strike so many thousandths of a standard deviation away.
    fn standing(self, thousandths: i128) -> Self {
        let total = total_volatility(self.volatility, self.years);
        let ratio = exp(total.mul(Fixed::ratio(thousandths, 1_000)));
        let strike = ratio.times(self.forward).clamp(ATTO / 1_000_000, ATTO * 1_000_000_000);
        Self { strike, ..self }
    }

    fn ours(self) -> Value {
        value(self.right, self.forward, self.strike, self.years, self.volatility)
    }

    fn exact(self) -> Exact {
        let (years, volatility) = (big::wide(self.years.0), big::wide(self.volatility.0));
        let root = (years << BITS).sqrt();
        let total = (&volatility * &root) >> BITS;
        let start = ln_ratio(self.forward, self.strike).0;
        let log = big::ln_ratio_wide(self.forward, self.strike, start);
        let d1: BigInt = (log << BITS) / &total + (&total >> 1);
        let d2: BigInt = &d1 - &total;
        let sign = if self.right == Right::Call { 1 } else { -1 };
        let (below, density) = big::normal_wide(&(&d1 * sign));
        let (below_strike, _) = big::normal_wide(&(&d2 * sign));
        let (forward, strike) = (BigInt::from(self.forward), BigInt::from(self.strike));
        let price = (&forward * &below - strike * below_strike) * sign / ATTO;
        let weighted: BigInt = &forward * &density / ATTO;
        let per_forward: BigInt = (BigInt::from(ATTO) << BITS) / &forward;
        Exact {
            price,
            delta: below * sign,
            gamma: (&density * per_forward) / &total,
            vega: (&weighted * &root) >> BITS,
            theta: -(weighted * volatility / root) >> 1,
        }
    }
}

/// How far a figure in [`ATTO`] is from the exact one, in atto, rounded up.
fn off(ours: i128, exact: &BigInt) -> i128 {
    let difference: BigInt = (BigInt::from(ours) << BITS) - exact * ATTO;
    let size = BigInt::from(difference.magnitude().clone());
    i128::try_from((size >> BITS) + 1).unwrap_or(i128::MAX)
}

/// `10^(low … high)` in units of `1 / scale`, uniform in the exponent.
fn log_uniform(low: i32, high: i32, scale: i128) -> impl Strategy<Value = i128> {
    (low..high, 1_000_000i128..10_000_000).prop_map(move |(exponent, mantissa)| {
        let power = 10i128.pow(exponent.unsigned_abs());
        if exponent < 0 {
            mantissa * (scale / 1_000_000) / power
        } else {
            mantissa * (scale / 1_000_000) * power
        }
    })
}

fn right() -> impl Strategy<Value = Right> {
    prop_oneof![Just(Right::Call), Just(Right::Put)]
}

/// Forwards and strikes from a millionth to a billion, from seconds to decades, volatilities from
/// 0.1 % to 2000 %.
fn any_case() -> impl Strategy<Value = Case> {
    let years = log_uniform(-8, 2, ONE);
    let volatility = log_uniform(-3, 1, ONE).prop_map(|v| v * 2);
    let near = log_uniform(-6, 9, ATTO).prop_flat_map(|forward| {
        let strike = (1i128..4_000_000).prop_map(move |parts| forward / 1_000_000 * parts + 1);
        (Just(forward), strike)
    });
    let far = (log_uniform(-6, 9, ATTO), log_uniform(-6, 9, ATTO));
    let standing = -5_000i128..5_000;
    (right(), prop_oneof![near, far], years, volatility, standing, any::<bool>()).prop_map(
        |(right, (forward, strike), years, volatility, standing, is_at_money)| {
            let case =
                Case { right, forward, strike, years: Fixed(years), volatility: Fixed(volatility) };
            if is_at_money { case.standing(standing) } else { case }
        },
    )
}

/// What a figure may be off, in atto: so many parts of 2^-57 of `scale`, and a rounding or two.
fn allowed(scale: i128) -> i128 {
    (scale >> 57) + 2
}

/// A quotient in units of `1 / ATTO`, for bounds.
fn over(a: i128, b: i128) -> i128 {
    Fixed::ratio(a, b).times(ATTO)
}

/// Each figure's error as (error, allowed), in atto.
fn errors(case: Case, ours: &Value) -> [(&'static str, i128, i128); 5] {
    let exact = case.exact();
    let root = sqrt(case.years);
    let total = total_volatility(case.volatility, case.years);
    let forward_root = root.times(case.forward);
    let half_decay = case.volatility.div(root).half().times(case.forward);
    let per_total = over(ONE, total.0);
    [
        ("price", off(ours.price, &exact.price), allowed(case.forward.max(case.strike))),
        ("delta", off(ours.delta, &exact.delta), allowed(ATTO)),
        // Of gamma · F, a density over the total volatility; a rounding of gamma counts F times.
        (
            "gamma",
            off(ours.gamma, &exact.gamma),
            over(allowed(per_total), case.forward).saturating_add(2),
        ),
        ("vega", off(ours.vega, &exact.vega), allowed(forward_root)),
        ("theta", off(ours.theta, &exact.theta), allowed(half_decay)),
    ]
}

fn rows(table: &str) -> impl Iterator<Item = (&str, Case, [i128; 6])> {
    table.lines().skip(1).map(|line| {
        let (right, rest) = line.split_once(',').expect("a right");
        let right = if right == "C" { Right::Call } else { Right::Put };
        let numbers: Vec<i128> =
            rest.split(',').map(|number| number.parse().expect("an integer")).collect();
        let case = Case {
            right,
            forward: numbers[0],
            strike: numbers[1],
            years: Fixed(numbers[2]),
            volatility: Fixed(numbers[3]),
        };
        (line, case, numbers[4..].try_into().expect("six results"))
    })
}

#[test]
fn values_and_implied_volatilities_are_the_released_ones_to_the_bit() {
    let mut count = 0;
    for (line, case, released) in rows(include_str!("golden/black76.csv")) {
        let ours = case.ours();
        let Case { right, forward, strike, years, .. } = case;
        let implied = implied_volatility(right, forward, strike, years, ours.price);
        let implied = implied.unwrap_or_else(|error| panic!("{line}: {error}"));
        let Value { price, delta, gamma, vega, theta } = ours;
        assert_eq!([price, delta, gamma, vega, theta, implied.0], released, "{line}");
        for (name, error, allowed) in errors(case, &ours) {
            assert!(error <= allowed, "{line}: {name} is off by {error} of {allowed}");
        }
        count += 1;
    }
    assert_eq!(count, 64);
}

#[test]
fn at_expiry_and_without_volatility_an_option_is_what_it_pays() {
    let pays = |right, strike: i128, years, volatility| {
        let got = value(right, 100 * ATTO, strike * ATTO, years, volatility);
        assert_eq!((got.gamma, got.vega, got.theta), (0, 0, 0));
        (got.price / ATTO, got.delta)
    };
    for (years, volatility) in [(Fixed::ZERO, Fixed::ONE), (Fixed::ONE, Fixed::ZERO)] {
        assert_eq!(pays(Right::Call, 90, years, volatility), (10, ATTO));
        assert_eq!(pays(Right::Call, 110, years, volatility), (0, 0));
        assert_eq!(pays(Right::Call, 100, years, volatility), (0, ATTO / 2));
        assert_eq!(pays(Right::Put, 90, years, volatility), (0, 0));
        assert_eq!(pays(Right::Put, 110, years, volatility), (10, -ATTO));
        assert_eq!(pays(Right::Put, 100, years, volatility), (0, -ATTO / 2));
        let at = Moneyness::new(100, 90);
        assert_eq!(unit_price(Right::Call, at, Fixed::ZERO), ATTO / 10);
        assert_eq!(delta(Right::Put, at.log, Fixed::ZERO), 0);
    }
}

#[test]
fn the_last_instants_before_expiry_do_not_overflow() {
    // A nanosecond, a strike far away, volatility of a ten-thousandth: d1 is beyond any range.
    let moment = years(0, 1);
    for basis_points in [1, 100, 10_000, 200_000] {
        let total = total_volatility(Fixed::ratio(basis_points, 10_000), moment);
        for strike in [1, 50, 99, 101, 1_000, 1_000_000_000] {
            let at = Moneyness::new(100, strike);
            let call = unit_price(Right::Call, at, total);
            assert_eq!(call, unit_price(Right::Call, at, Fixed::ZERO), "{strike}");
            let expected = if strike < 100 { ATTO } else { 0 };
            assert_eq!(delta(Right::Call, at.log, total), expected, "{strike}");
        }
    }
    assert_eq!(years(5, 5), Fixed::ZERO);
    assert_eq!(years(6, 5), Fixed::ZERO);
    assert_eq!(years(0, 365 * 86_400_000_000_000), Fixed::ONE);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_500, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn every_figure_is_the_formula_within_its_bound(case in any_case()) {
        for (name, error, allowed) in errors(case, &case.ours()) {
            prop_assert!(error <= allowed, "{name} is off by {error} of {allowed}");
        }
    }

    #[test]
    fn the_fast_price_and_delta_are_those_of_the_formula(case in any_case()) {
        let at = Moneyness::new(case.forward, case.strike);
        prop_assume!(case.strike / case.forward < 1_000_000);
        let total = total_volatility(case.volatility, case.years);
        let exact = case.exact();
        let per_forward: BigInt = exact.price * ATTO / case.forward;
        let scale = at.strike_ratio.times(ATTO).max(ATTO);
        let error = off(unit_price(case.right, at, total), &per_forward);
        prop_assert!(error <= allowed(scale), "off by {error}");
        // A delta feels the short division: 2^-63 of d1, beside the error of the distribution.
        prop_assert!(off(delta(case.right, at.log, total), &exact.delta) <= allowed(ATTO) + 1);
    }

    #[test]
    fn a_call_less_a_put_is_the_forward_less_the_strike(case in any_case()) {
        let call = Case { right: Right::Call, ..case }.ours();
        let put = Case { right: Right::Put, ..case }.ours();
        prop_assert_eq!(call.price - put.price, case.forward - case.strike);
        prop_assert!((call.delta - put.delta - ATTO).abs() <= 1);
        prop_assert_eq!((call.gamma, call.vega, call.theta), (put.gamma, put.vega, put.theta));
        prop_assert!(call.gamma >= 0 && call.vega >= 0 && call.theta <= 0);
    }

    #[test]
    fn a_price_lies_between_what_it_pays_now_and_what_it_can_pay(case in any_case()) {
        let price = case.ours().price;
        let call = case.forward - case.strike;
        let (least, most) = match case.right {
            Right::Call => (call.max(0), case.forward),
            Right::Put => ((-call).max(0), case.strike),
        };
        prop_assert!(least <= price && price <= most + 2);
    }

    #[test]
    fn a_call_is_a_put_with_forward_and_strike_exchanged(case in any_case()) {
        let call = Case { right: Right::Call, ..case }.ours();
        let (forward, strike) = (case.strike, case.forward);
        let put = Case { right: Right::Put, forward, strike, ..case }.ours();
        let largest = forward.max(strike);
        prop_assert!((call.price - put.price).abs() <= 2 * allowed(largest));
    }

    #[test]
    fn more_volatility_or_time_is_worth_more(case in any_case(), percent in 1i128..100) {
        let slack = 2 * allowed(case.forward.max(case.strike));
        let more = |x: Fixed| x.mul(Fixed::ratio(100 + percent, 100));
        let price = case.ours().price;
        let wilder = Case { volatility: more(case.volatility), ..case };
        let longer = Case { years: more(case.years), ..case };
        prop_assert!(wilder.ours().price >= price - slack);
        prop_assert!(longer.ours().price >= price - slack);
    }

    #[test]
    fn a_call_falls_and_a_put_rises_with_the_strike(case in any_case(), percent in 1i128..100) {
        let slack = 4 * allowed(case.forward.max(case.strike));
        let higher = Case { strike: case.strike + case.strike * percent / 100, ..case };
        let rise = higher.ours().price - case.ours().price;
        let falls = if case.right == Right::Call { rise } else { -rise };
        prop_assert!(falls <= slack);
    }

    #[test]
    fn finer_units_tell_the_same_value(case in any_case()) {
        prop_assume!(case.forward.max(case.strike) < 1_000_000 * ATTO);
        let Case { right, forward, strike, years, volatility } = case;
        let unit = ATTO * 1_000_000;
        let [f, k] = [forward, strike].map(|price| price * 1_000_000);
        let (fine, plain) = (value_in(right, f, k, unit, years, volatility), case.ours());
        prop_assert!((fine.price - plain.price).abs() <= 2);
        prop_assert_eq!((fine.delta, fine.gamma), (plain.delta, plain.gamma));
        prop_assert!((fine.vega - plain.vega).abs() <= 1);
        prop_assert!((fine.theta - plain.theta).abs() <= 1);
    }

    #[test]
    fn a_price_implies_the_volatility_it_was_made_with(
        case in any_case(), thousandths in -4_000i128..4_000,
    ) {
        let case = case.standing(thousandths);
        let ours = case.ours();
        let largest = case.forward.max(case.strike);
        prop_assume!(ours.vega >= case.forward / 1_000_000);
        // What the last digits of the price hide of the volatility.
        prop_assume!(over(2 * allowed(largest), ours.vega) <= ATTO / 1_000_000_000);
        let Case { right, forward, strike, years, .. } = case;
        let implied = implied_volatility(right, forward, strike, years, ours.price);
        let error = implied.expect("a price within its bounds").sub(case.volatility);
        prop_assert!(error.times(1_000_000_000).abs() <= 1, "{error:?}");
    }

    #[test]
    fn any_price_within_the_bounds_is_met_by_the_volatility_it_implies(
        case in any_case(), share in 1i128..1_000,
    ) {
        let Case { right, forward, strike, years, .. } = case;
        prop_assume!(strike / forward < 1_000 && forward / strike < 1_000);
        let least = value(right, forward, strike, years, Fixed::ZERO).price;
        let most = if right == Right::Call { forward } else { strike };
        let price = least + (most - least) / 1_000 * share;
        let volatility = implied_volatility(right, forward, strike, years, price);
        let volatility = volatility.expect("a price within its bounds");
        let again = Case { volatility, ..case }.ours().price;
        let slack = 4 * allowed(forward.max(strike));
        prop_assert!((again - price).abs() <= slack, "{again} is not {price}");
    }
}

#[test]
fn a_price_outside_the_bounds_implies_nothing_and_says_why() {
    let implied =
        |right, price: i128| implied_volatility(right, 100 * ATTO, 90 * ATTO, Fixed::ONE, price);
    assert_eq!(implied(Right::Call, 10 * ATTO - 1), Err(ImpliedError::BelowIntrinsic));
    assert_eq!(implied(Right::Call, 10 * ATTO), Ok(Fixed::ZERO));
    assert_eq!(implied(Right::Call, 100 * ATTO), Err(ImpliedError::TooHigh));
    assert_eq!(implied(Right::Put, -1), Err(ImpliedError::BelowIntrinsic));
    assert_eq!(implied(Right::Put, 90 * ATTO), Err(ImpliedError::TooHigh));
    assert!(implied(Right::Put, 90 * ATTO - 1).is_ok_and(|high| high > Fixed::ONE));
    let bad = |forward, strike, years| implied_volatility(Right::Call, forward, strike, years, 1);
    for (forward, strike, years) in [(0, 1, Fixed::ONE), (1, -1, Fixed::ONE), (1, 1, Fixed::ZERO)] {
        assert_eq!(bad(forward, strike, years), Err(ImpliedError::BadInput));
    }
}
