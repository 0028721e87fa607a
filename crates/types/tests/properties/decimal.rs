//! Decimal numbers: text, order, units.

use crate::big::Big;
use crate::values;
use evenkeel_types::decimal::MAX_SCALE;
use evenkeel_types::{Decimal, DecimalError};
use proptest::prelude::*;

/// `decimal · 10^MAX_SCALE`, exactly.
fn scaled(decimal: Decimal) -> Big {
    let power = u32::from(MAX_SCALE - decimal.scale());
    Big::from(decimal.mantissa()) * Big::power_of_ten(power)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn text_comes_back_as_the_same_number(decimal in values::decimal()) {
        let text = decimal.to_string();
        prop_assert_eq!(text.parse(), Ok(decimal), "{}", text);
    }

    #[test]
    fn text_is_shortest_and_plain(decimal in values::decimal()) {
        let text = decimal.to_string();
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte)));
        if let Some((_, decimals)) = text.split_once('.') {
            prop_assert!(!decimals.ends_with('0'));
            prop_assert_eq!(decimals.len(), usize::from(decimal.scale()));
        } else {
            prop_assert_eq!(decimal.scale(), 0);
        }
    }

    #[test]
    fn superfluous_zeros_change_nothing(decimal in values::decimal(), left: bool, zeros in 1..9) {
        let text = decimal.to_string();
        let zeros = "0".repeat(usize::try_from(zeros).expect("small"));
        let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |it| ("-", it));
        let padded = match (left, digits.contains('.')) {
            (true, _) => format!("{sign}{zeros}{digits}"),
            (false, true) => format!("{text}{zeros}"),
            (false, false) => format!("{text}.{zeros}"),
        };
        prop_assert_eq!(padded.parse(), Ok(decimal), "{}", padded);
    }

    #[test]
    fn order_is_that_of_the_exact_numbers(a in values::decimal(), b in values::decimal()) {
        prop_assert_eq!(a.cmp(&b), scaled(a).cmp(&scaled(b)));
        prop_assert_eq!(a == b, scaled(a) == scaled(b));
    }

    #[test]
    fn near_numbers_of_different_scales_are_ordered(mantissa in any::<i64>(), scale in 0u8..18) {
        let below = Decimal::new(i128::from(mantissa) * 10 - 1, scale + 1).expect("fits");
        let exact = Decimal::new(mantissa.into(), scale).expect("fits");
        let above = Decimal::new(i128::from(mantissa) * 10 + 1, scale + 1).expect("fits");
        prop_assert!(below < exact && exact < above);
    }

    #[test]
    fn equal_numbers_are_equal_values(
        mantissa in any::<i64>(), scale in 0u8..=9, more in 0u8..=9,
    ) {
        let stretched = i128::from(mantissa) * 10i128.pow(more.into());
        let plain = Decimal::new(mantissa.into(), scale);
        prop_assert_eq!(Decimal::new(stretched, scale + more), plain);
    }

    #[test]
    fn units_are_exact_or_refused(decimal in values::decimal(), scale in 0u8..=30) {
        match decimal.in_units(scale) {
            Some(units) => {
                let left = Big::from(units) * Big::power_of_ten(decimal.scale().into());
                let right = Big::from(decimal.mantissa()) * Big::power_of_ten(scale.into());
                prop_assert_eq!(left, right);
            }
            None => {
                let is_fraction = scale < decimal.scale();
                let power = u32::from(scale.saturating_sub(decimal.scale()));
                let units = Big::from(decimal.mantissa()) * Big::power_of_ten(power);
                let fits = units >= Big::from(i128::MIN) && units <= Big::from(i128::MAX);
                prop_assert!(is_fraction || !fits);
            }
        }
    }

    #[test]
    fn multiples_of_a_step_are_recognised(
        step in (1i128..1_000_000, 0u8..=8), count in -1_000_000i128..1_000_000,
    ) {
        let step = Decimal::new(step.0, step.1).expect("fits");
        let product = step.times(count).expect("fits");
        prop_assert_eq!(product.whole_multiples_of(step), Some(count));
        prop_assert_eq!(scaled(product), scaled(step) * Big::from(count));
        let between = Decimal::new(step.mantissa() * 10 * count + 1, step.scale() + 1);
        prop_assert_eq!(between.expect("fits").whole_multiples_of(step), None);
    }

    #[test]
    fn any_text_parses_or_is_refused_without_panic(text in "[-+0-9.eE_ ]{0,60}") {
        if let Ok(decimal) = text.parse::<Decimal>() {
            prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
        }
    }
}

#[test]
fn what_is_not_a_plain_decimal_number_is_refused() {
    for text in [
        "", "-", ".", "-.", "1.", ".5", "+1", "--1", "1.2.3", "1e5", " 1", "1 ", "1_000", "1,5",
        "0x10", "∞", "１", "NaN", "-.5", "1.-5",
    ] {
        assert_eq!(text.parse::<Decimal>(), Err(DecimalError::NotANumber), "{text:?}");
    }
    let digits = "9".repeat(40);
    assert_eq!(digits.parse::<Decimal>(), Err(DecimalError::TooLarge));
    let fine = "0.0000000000000000001";
    assert_eq!(fine.parse::<Decimal>(), Err(DecimalError::TooManyDecimals));
    let long = format!("0.{}1", "0".repeat(300));
    assert_eq!(long.parse::<Decimal>(), Err(DecimalError::TooManyDecimals));
    assert_eq!(Decimal::new(1, 19), Err(DecimalError::TooManyDecimals));
}

#[test]
fn zero_has_one_form() {
    for text in ["0", "-0", "0.0", "-0.000", "000"] {
        assert_eq!(text.parse(), Ok(Decimal::whole(0)), "{text}");
    }
    assert_eq!(Decimal::new(0, 255), Ok(Decimal::default()));
    assert_eq!(Decimal::whole(0).whole_multiples_of(Decimal::whole(0)), None);
}

#[test]
fn the_extremes_keep_their_text_and_order() {
    let extremes = [i128::MIN, i128::MIN + 1, -1, 0, 1, i128::MAX];
    let numbers = extremes.map(|mantissa| Decimal::new(mantissa, 0).expect("whole"));
    assert!(numbers.is_sorted());
    for number in numbers {
        assert_eq!(number.to_string().parse(), Ok(number), "{number}");
    }
    let least = Decimal::new(i128::MIN, MAX_SCALE).expect("fits");
    assert_eq!(least.to_string(), "-170141183460469231731.687303715884105728");
    assert_eq!(least.to_string().parse(), Ok(least));
    assert!(numbers[0] < least && least < Decimal::whole(0));
}
