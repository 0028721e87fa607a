//! The elementary functions against references of 60 digits, against big-integer series at random
//! arguments, and against their own released bits.

mod big;

use evenkeel_quant::Fixed;
use evenkeel_quant::functions::{exp, ln, ln_ratio, normal, sqrt};
use proptest::prelude::*;

const ONE: i128 = 1 << 96;

/// How far `ours` may be from `exact`, both in units of 2^-96.
fn allowed(function: &str, exact: i128) -> i128 {
    match function {
        "exp" => (exact >> 86).max(1 << 8),
        "ln" => 1 << 4,
        "sqrt" => (exact >> 94).max(2),
        // Tails and densities are told in units of 2^-64.
        "normal" => 1 << 38,
        other => panic!("unknown function {other}"),
    }
}

#[test]
fn every_function_is_within_its_bound_of_the_reference() {
    let table = include_str!("golden/reference.csv");
    let mut rows = 0;
    let mut worst = std::collections::BTreeMap::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| -> i128 { fields[at].parse().expect("an integer") };
        let (function, argument) = (fields[0], Fixed(number(1)));
        let pairs = match function {
            "exp" => vec![(exp(argument).0, number(2))],
            "ln" => vec![(ln(argument).0, number(2))],
            "sqrt" => vec![(sqrt(argument).0, number(2))],
            _ => {
                let ours = normal(argument);
                vec![(ours.below << 32, number(2)), (ours.density << 32, number(3))]
            }
        };
        for (ours, exact) in pairs {
            let error = (ours - exact).abs();
            assert!(error <= allowed(function, exact), "{line}: off by {error}");
            let entry = worst.entry(function).or_insert(0);
            *entry = error.max(*entry);
        }
        rows += 1;
    }
    println!("largest errors in units of 2^-96: {worst:?}");
    assert_eq!(rows, 240);
}

/// Error in units of 2^-96, or of 2^-96 of the result, as a power of two.
fn power_of_two(error: i128, of: i128) -> f64 {
    (error as f64 / (of.max(1) as f64 / ONE as f64)).log2() - 96.0
}

/// What `docs/arithmetic.md` tells: `cargo test -p evenkeel-quant --test functions -- --nocapture`.
#[test]
fn the_table_of_errors_is_not_exceeded() {
    let mut worst = std::collections::BTreeMap::new();
    let mut take = |name: &'static str, ours: i128, exact: i128, of: i128| {
        let found = power_of_two((ours - exact).abs(), of);
        let entry = worst.entry(name).or_insert(f64::NEG_INFINITY);
        *entry = found.max(*entry);
    };
    for step in 1..2_000i128 {
        // Arguments that share no factor with the tables' grids.
        let part = ONE / 1_999 * step + 104_729 * step;
        let (power, size) = (part * 40 - ONE * 20, part * 1_000);
        // Below 1 the error is told in units, above it as a share of the result.
        take("exp", exp(Fixed(power)).0, big::exp(power), big::exp(power).max(ONE));
        take("sqrt", sqrt(Fixed(size)).0, big::sqrt(size), big::sqrt(size).max(ONE));
        let log = big::ln(size);
        take("ln", ln(Fixed(size)).0, log, ONE);
        let point = part * 17 - ONE * 17 / 2;
        let ours = normal(Fixed(point));
        let (below, density) = big::normal(point);
        take("normal below", ours.below << 32, below, ONE);
        take("normal above", ours.above << 32, ONE - below, ONE);
        take("density", ours.density << 32, density, ONE);
    }
    println!("largest errors as powers of two: {worst:.1?}");
    let bounds = [("exp", -86), ("ln", -92), ("sqrt", -94)].into_iter();
    let tails = ["normal below", "normal above", "density"].map(|name| (name, -58));
    for (name, bound) in bounds.chain(tails) {
        assert!(worst[name] <= f64::from(bound), "{name}: 2^{} is above 2^{bound}", worst[name]);
    }
}

/// FNV-1a over the results at fixed arguments: it changes with any bit of any of them.
#[test]
fn the_bits_are_the_released_ones() {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut take = |value: i128| {
        for byte in value.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for step in 0..2_000i128 {
        let x = Fixed((step - 1_000) * (ONE / 100) + step * 7_919);
        take(exp(x).0);
        take(ln(Fixed(x.0.abs() + 1)).0);
        take(sqrt(Fixed(x.0.abs())).0);
        let point = normal(x);
        take(point.below);
        take(point.above);
        take(point.density);
    }
    assert_eq!(format!("{hash:016x}"), "358362e48066702d");
}

#[test]
fn the_ends_of_the_domains_are_what_the_documentation_says() {
    assert_eq!(exp(Fixed::ZERO), Fixed::ONE);
    assert_eq!(exp(Fixed(-100 * ONE)), Fixed::ZERO);
    assert_eq!(exp(Fixed(30 * ONE)), Fixed(i128::MAX));
    assert_eq!(ln(Fixed::ONE), Fixed::ZERO);
    assert_eq!(ln(Fixed::ZERO), Fixed(i128::MIN));
    assert_eq!(sqrt(Fixed(-ONE)), Fixed::ZERO);
    assert_eq!(sqrt(Fixed(4 * ONE)), Fixed(2 * ONE));
    assert_eq!(normal(Fixed(20 * ONE)).above, 0);
    assert_eq!(normal(Fixed::ZERO).below, 1 << 63);
    for size in [i128::MIN, i128::MIN + 1, -1, 0, 1, i128::MAX] {
        let _ = (exp(Fixed(size)), ln(Fixed(size)), sqrt(Fixed(size)), normal(Fixed(size)));
        let _ = (ln_ratio(size, 1), ln_ratio(1, size), ln_ratio(size, size));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn exp_agrees_with_its_series(x in -40 * ONE..20 * ONE) {
        let exact = big::exp(x);
        prop_assert!((exp(Fixed(x)).0 - exact).abs() <= allowed("exp", exact));
    }

    #[test]
    fn ln_undoes_the_exponential_of_the_series(x in -40 * ONE..20 * ONE) {
        // e^x is known to 2^-96, so its logarithm to 2^-96 / e^x.
        let power = big::exp(x);
        prop_assume!(power > ONE >> 40);
        let slack = (ONE / power).max(1) + allowed("ln", x);
        prop_assert!((ln(Fixed(power)).0 - x).abs() <= slack);
    }

    #[test]
    fn sqrt_squared_is_the_argument(x in 0i128..i128::MAX) {
        let exact = big::sqrt(x);
        prop_assert!((sqrt(Fixed(x)).0 - exact).abs() <= allowed("sqrt", exact));
    }

    #[test]
    fn the_normal_distribution_agrees_with_its_series(x in -8 * ONE..8 * ONE) {
        let ours = normal(Fixed(x));
        prop_assert!(((ours.below << 32) - big::normal(x).0).abs() <= allowed("normal", 0));
        prop_assert_eq!(ours.below + ours.above, 1 << 64);
    }

    #[test]
    fn a_ratio_has_the_logarithm_of_its_parts(a in 1i128..1 << 120, b in 1i128..1 << 120) {
        prop_assert_eq!(ln_ratio(a, a), Fixed::ZERO);
        prop_assert!((ln_ratio(a, b).0 + ln_ratio(b, a).0).abs() <= 64);
    }

    #[test]
    fn more_is_more(x in -8 * ONE..8 * ONE, more in ONE >> 20..ONE) {
        let (low, high) = (Fixed(x), Fixed(x + more));
        prop_assert!(exp(low) < exp(high));
        prop_assert!(normal(low).below <= normal(high).below);
        prop_assert!(normal(low).above >= normal(high).above);
    }
}
