//! Rounding and arithmetic.

use crate::big::Big;
use evenkeel_types::money::{div, mul_div, pow10};
use evenkeel_types::{Lots, Money, Rounding, Side, Ticks};
use proptest::prelude::*;

pub const EVERY_ROUNDING: [Rounding; 5] = [
    Rounding::Floor,
    Rounding::Ceiling,
    Rounding::TowardZero,
    Rounding::AwayFromZero,
    Rounding::HalfEven,
];

/// Is `quotient` the whole number that `top / bottom` rounds to? By the definition of each
/// rounding, in products only.
pub fn is_rounded(quotient: &Big, top: &Big, bottom: &Big, rounding: Rounding) -> bool {
    let (top, bottom) = if bottom.is_negative() {
        (-top.clone(), -bottom.clone())
    } else {
        (top.clone(), bottom.clone())
    };
    let rest = top.clone() - quotient.clone() * bottom.clone();
    let is_floor = !rest.is_negative() && rest < bottom;
    let is_ceiling = (rest.is_negative() || rest.is_zero()) && -rest.clone() < bottom;
    match rounding {
        Rounding::Floor => is_floor,
        Rounding::Ceiling => is_ceiling,
        Rounding::TowardZero if top.is_negative() => is_ceiling,
        Rounding::TowardZero => is_floor,
        Rounding::AwayFromZero if top.is_negative() => is_floor,
        Rounding::AwayFromZero => is_ceiling,
        Rounding::HalfEven => {
            let twice = rest.abs() * Big::from(2);
            twice < bottom || (twice == bottom && quotient.is_even())
        }
    }
}

/// Does `top / bottom` round to a magnitude of 2^127 or more?
fn is_too_large(top: &Big, bottom: &Big, rounding: Rounding) -> bool {
    let negative = top.is_negative() != bottom.is_negative();
    let (top, bottom) = (top.abs(), bottom.abs());
    let most = Big::from(i128::MAX) * bottom.clone();
    let up = match rounding {
        Rounding::Floor => negative,
        Rounding::Ceiling => !negative,
        Rounding::TowardZero => false,
        Rounding::AwayFromZero => true,
        // i128::MAX is odd: a tie above it goes up.
        Rounding::HalfEven => {
            let two = Big::from(2);
            return top * two.clone() >= most * two + bottom;
        }
    };
    if up { top > most } else { top >= most + bottom }
}

/// Numbers of every magnitude, with the edges drawn often.
pub fn wide() -> impl Strategy<Value = i128> {
    let edges = [0, 1, -1, 2, -2, 10, 1 << 63, 1 << 64, i128::MAX, i128::MAX - 1, i128::MIN];
    prop_oneof![
        1 => prop::sample::select(edges.to_vec()),
        6 => (any::<i128>(), 0u32..127).prop_map(|(bits, shift)| bits >> shift),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn mul_div_is_the_exact_quotient_rounded_once(a in wide(), b in wide(), c in wide()) {
        let (top, bottom) = (Big::from(a) * Big::from(b), Big::from(c));
        for rounding in EVERY_ROUNDING {
            match mul_div(a, b, c, rounding) {
                Ok(quotient) => {
                    prop_assert!(c != 0);
                    let quotient = Big::from(quotient);
                    prop_assert!(is_rounded(&quotient, &top, &bottom, rounding), "{rounding:?}");
                }
                Err(_) => {
                    prop_assert!(c == 0 || is_too_large(&top, &bottom, rounding), "{rounding:?}");
                }
            }
        }
    }

    #[test]
    fn ties_go_to_the_even_neighbour(half in -1_000_000i128..1_000_000, b in 1i128..1_000_000) {
        // (2·half + 1)·b / 2b lies exactly between half and half + 1.
        let even = if half % 2 == 0 { half } else { half + 1 };
        prop_assert_eq!(mul_div(2 * half + 1, b, 2 * b, Rounding::HalfEven), Ok(even));
        prop_assert_eq!(mul_div(2 * half + 1, -b, -2 * b, Rounding::HalfEven), Ok(even));
    }

    #[test]
    fn small_quotients_round_as_the_machine_divides(a in -5_000i128..5_000, b in 1i128..60) {
        prop_assert_eq!(div(a, b, Rounding::Floor), Ok(a.div_euclid(b)));
        prop_assert_eq!(div(a, b, Rounding::Ceiling), Ok(-(-a).div_euclid(b)));
        prop_assert_eq!(div(a, b, Rounding::TowardZero), Ok(a / b));
        let away = a / b + if a % b == 0 { 0 } else { a.signum() };
        prop_assert_eq!(div(a, b, Rounding::AwayFromZero), Ok(away));
        let nearest = (2 * a + b).div_euclid(2 * b);
        let is_tie = (2 * a + b) % (2 * b) == 0;
        let even = if is_tie && nearest % 2 != 0 { nearest - 1 } else { nearest };
        prop_assert_eq!(div(a, b, Rounding::HalfEven), Ok(even));
    }

    #[test]
    fn roundings_mirror_each_other(a in wide(), b in wide(), c in wide()) {
        // The least number has no mirror image.
        let a = a.max(-i128::MAX);
        for (one, other) in [
            (Rounding::Floor, Rounding::Ceiling),
            (Rounding::TowardZero, Rounding::TowardZero),
            (Rounding::AwayFromZero, Rounding::AwayFromZero),
            (Rounding::HalfEven, Rounding::HalfEven),
        ] {
            let mirrored = mul_div(-a, b, c, other).map(|value| -value);
            prop_assert_eq!(mul_div(a, b, c, one), mirrored);
        }
    }

    #[test]
    fn checked_operations_are_exact_or_refuse(a in any::<i64>(), b in any::<i64>()) {
        let (sum, difference) = (i128::from(a) + i128::from(b), i128::from(a) - i128::from(b));
        for (result, exact) in [
            (Ticks(a).add(Ticks(b)), sum),
            (Ticks(a).sub(Ticks(b)), difference),
            (Ticks(a).neg(), -i128::from(a)),
            (Ticks(a).abs(), i128::from(a).abs()),
        ] {
            prop_assert_eq!(result.ok(), i64::try_from(exact).ok().map(Ticks));
        }
        prop_assert_eq!(Lots(a).add(Lots(b)).ok().map(|lots| lots.0), i64::try_from(sum).ok());
        let money = (Money(sum).add(Money(difference)), 2 * i128::from(a));
        prop_assert_eq!(money.0, Ok(Money(money.1)));
    }
}

#[test]
fn the_most_negative_values_have_no_magnitude() {
    assert!(Money(i128::MIN).neg().is_err());
    assert!(Money(i128::MIN).abs().is_err());
    assert!(Money(i128::MAX).add(Money(1)).is_err());
    assert!(Money(i128::MIN).sub(Money(1)).is_err());
    assert!(Lots(i64::MIN).neg().is_err());
}

#[test]
fn powers_of_ten_are_exact_up_to_the_thirty_eighth() {
    for exponent in 0..=38 {
        let power = pow10(exponent).expect("fits");
        assert_eq!(Big::from(power), Big::power_of_ten(exponent));
    }
    assert!(pow10(39).is_err());
}

#[test]
fn sides_are_opposite_in_name_and_sign() {
    for side in [Side::Buy, Side::Sell] {
        assert_eq!(side.opposite().opposite(), side);
        assert_eq!(side.sign(), -side.opposite().sign());
    }
    assert_eq!(Side::Buy.sign(), 1);
}
