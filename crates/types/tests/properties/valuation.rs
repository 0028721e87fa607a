//! The value formula: against exact fractions, and in the sense it makes.

use crate::big::Big;
use crate::money::is_rounded;
use evenkeel_types::instrument::Valuation;
use evenkeel_types::{
    CurrencyId, Decimal, Instrument, InstrumentError, InstrumentId, InstrumentKind, Lots, Money,
    OptionRight, Rounding, Style, Symbol, Ticks, Timestamp,
};
use proptest::prelude::*;

/// Terms that vary in what the formula reads. The ranges below keep every value under 2^126:
/// three parts of 10^4, 12 decimals, 3·10^6 ticks and 2·10^6 lots.
#[derive(Debug, Clone)]
struct Case {
    terms: Instrument,
    settlement_scale: u8,
}

fn instrument(kind: InstrumentKind, style: Style, [tick, lot, size]: [Decimal; 3]) -> Instrument {
    Instrument {
        id: InstrumentId(1),
        symbol: Symbol::new("BTC-PERP").expect("a name"),
        kind,
        style,
        base: CurrencyId(1),
        quote: CurrencyId(2),
        settlement: CurrencyId(2),
        tick,
        lot,
        contract_size: size,
    }
}

fn decimal(mantissa: i128, scale: u8) -> Decimal {
    Decimal::new(mantissa, scale).expect("few decimals")
}

fn part() -> impl Strategy<Value = Decimal> {
    prop_oneof![prop::sample::select(vec![1i128, 5, 10, 25, 100, 1_000]), 1i128..10_000,]
        .prop_flat_map(|mantissa| (0u8..=6).prop_map(move |scale| decimal(mantissa, scale)))
}

fn kind() -> impl Strategy<Value = (InstrumentKind, Style)> {
    let option = InstrumentKind::Option {
        expiry: Timestamp(1),
        strike: Decimal::whole(60_000),
        right: OptionRight::Put,
    };
    let future = InstrumentKind::Future { expiry: Timestamp(1) };
    prop::sample::select(vec![
        (InstrumentKind::Spot, Style::Linear),
        (InstrumentKind::Perpetual, Style::Linear),
        (InstrumentKind::Perpetual, Style::Inverse),
        (future, Style::Inverse),
        (future, Style::Linear),
        (option, Style::Inverse),
        (option, Style::Linear),
    ])
}

fn case() -> impl Strategy<Value = Case> {
    (kind(), [part(), part(), part()], 0u8..=12).prop_map(
        |((kind, style), parts, settlement_scale)| Case {
            terms: instrument(kind, style, parts),
            settlement_scale,
        },
    )
}

impl Case {
    fn valuation(&self) -> Valuation {
        self.terms.valuation(self.settlement_scale).expect("the ranges above fit")
    }

    fn is_inverse(&self) -> bool {
        let is_option = matches!(self.terms.kind, InstrumentKind::Option { .. });
        self.terms.style == Style::Inverse && !is_option
    }

    /// Value of `lots` at `price` as an exact fraction, straight from the definition of the terms.
    fn fraction(&self, price: i64, lots: i64) -> (Big, Big) {
        let Instrument { tick, lot, contract_size, .. } = &self.terms;
        let product = |parts: &[i128]| {
            parts.iter().fold(Big::from(1), |product, part| product * Big::from(*part))
        };
        let size = product(&[lots.into(), lot.mantissa(), contract_size.mantissa()]);
        let size_scale = u32::from(lot.scale()) + u32::from(contract_size.scale());
        let price = product(&[price.into(), tick.mantissa()]);
        let (price_scale, scale) = (u32::from(tick.scale()), u32::from(self.settlement_scale));
        if self.is_inverse() {
            let top = size * Big::power_of_ten(scale + price_scale);
            (top, price * Big::power_of_ten(size_scale))
        } else {
            let top = size * price * Big::power_of_ten(scale);
            (top, Big::power_of_ten(size_scale + price_scale))
        }
    }
}

/// Prices whose products with the other ranges always fit.
fn price() -> impl Strategy<Value = i64> {
    prop_oneof![1i64..200, 1i64..2_000_000]
}

/// The largest price as well.
fn any_price() -> impl Strategy<Value = i64> {
    prop_oneof![4 => price(), 1 => Just(Instrument::MAX_TICKS.0)]
}

fn lots() -> impl Strategy<Value = i64> {
    let most = Instrument::MAX_LOTS.0;
    prop_oneof![-50i64..50, -1_000_000i64..1_000_000, Just(most), Just(-most)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn value_is_the_exact_fraction_rounded_half_to_even(
        case in case(), price in any_price(), lots in lots(),
    ) {
        let valuation = case.valuation();
        prop_assert_eq!(valuation.is_inverse(), case.is_inverse());
        let (top, bottom) = case.fraction(price, lots);
        match valuation.value(Ticks(price), Lots(lots)) {
            Ok(Money(value)) => {
                prop_assert!(is_rounded(&Big::from(value), &top, &bottom, Rounding::HalfEven));
            }
            Err(_) => prop_assert!(top.abs() > Big::from(1 << 126) * bottom),
        }
    }

    #[test]
    fn a_buy_and_a_sell_cancel_exactly(case in case(), price in any_price(), lots in lots()) {
        let valuation = case.valuation();
        let value = |lots| valuation.value(Ticks(price), Lots(lots)).map(|value| value.0);
        let basis = |lots| valuation.basis(Ticks(price), Lots(lots)).map(|basis| basis.0);
        prop_assert_eq!(value(lots), value(-lots).map(|value| -value));
        prop_assert_eq!(basis(lots), basis(-lots).map(|basis| -basis));
        let sign = if case.is_inverse() { -1 } else { 1 };
        prop_assert_eq!(basis(lots), value(lots).map(|value| sign * value));
    }

    #[test]
    fn value_grows_with_size_and_with_price_or_against_it(
        case in case(), price in price(), more in 0i64..1_000_000, lots in 1i64..1_000_000,
    ) {
        let valuation = case.valuation();
        let value = |price, lots| valuation.value(Ticks(price), Lots(lots)).expect("fits");
        prop_assert!(value(price, lots) <= value(price, lots + more));
        prop_assert!(value(price, lots) >= Money::ZERO);
        let (low, high) = (value(price, lots), value(price + more, lots));
        let (low, high) = if case.is_inverse() { (high, low) } else { (low, high) };
        prop_assert!(low <= high);
    }

    #[test]
    fn a_long_gains_when_the_mark_rises_whatever_the_style(
        case in case(), entry in price(), rise in 0i64..1_000_000, lots in 1i64..1_000_000,
    ) {
        let valuation = case.valuation();
        let basis = |price, lots| valuation.basis(Ticks(price), Lots(lots)).expect("fits").0;
        prop_assert!(basis(entry + rise, lots) - basis(entry, lots) >= 0);
        prop_assert!(basis(entry + rise, -lots) - basis(entry, -lots) <= 0);
    }

    #[test]
    fn splitting_a_fill_moves_at_most_the_roundings(
        case in case(), price in price(), first in 0i64..1_000_000, second in 0i64..1_000_000,
    ) {
        let valuation = case.valuation();
        let value = |lots| valuation.value(Ticks(price), Lots(lots)).expect("fits").0;
        // Three roundings of at most one half each, and the sum is whole.
        prop_assert!((value(first) + value(second) - value(first + second)).abs() <= 1);
    }

    #[test]
    fn a_finer_settlement_currency_gives_the_same_value_finer(
        case in case(), price in price(), lots in -500i64..500, finer in 1u8..=5,
    ) {
        let fine = Case { settlement_scale: case.settlement_scale + finer, ..case.clone() };
        let value = |case: &Case| case.valuation().value(Ticks(price), Lots(lots)).expect("fits").0;
        let power = 10i128.pow(finer.into());
        let distance = value(&fine) - value(&case) * power;
        prop_assert!(2 * distance.abs() <= power + 1, "{distance} of {power}");
    }

    #[test]
    fn ten_lots_are_one_lot_of_ten_times_the_size(
        case in case(), price in price(), lots in -100_000i64..100_000,
    ) {
        let lot = case.terms.lot.times(10).expect("fits");
        let size = case.terms.contract_size.times(10).expect("fits");
        let larger_lot = Instrument { lot, ..case.terms.clone() };
        let larger_contract = Instrument { contract_size: size, ..case.terms.clone() };
        let ten = case.valuation().value(Ticks(price), Lots(10 * lots));
        for terms in [larger_lot, larger_contract] {
            let case = Case { terms, ..case.clone() };
            prop_assert_eq!(case.valuation().value(Ticks(price), Lots(lots)), ten);
        }
    }

    #[test]
    fn a_larger_tick_is_more_ticks(case in case(), price in 1i64..200_000, lots in -999i64..999) {
        let tick = case.terms.tick.times(10).expect("fits");
        let coarse = Case { terms: Instrument { tick, ..case.terms.clone() }, ..case.clone() };
        let fine = case.valuation().value(Ticks(10 * price), Lots(lots));
        prop_assert_eq!(coarse.valuation().value(Ticks(price), Lots(lots)), fine);
    }

    #[test]
    fn average_price_is_the_exact_quotient_rounded(
        case in case(), price in 1i64..2_000_000, lots in lots(), decimals in 0u32..=8,
    ) {
        let valuation = case.valuation();
        let Ok(basis) = valuation.basis(Ticks(price), Lots(lots)) else { return Ok(()) };
        let Ok(average) = valuation.average_price(Lots(lots), basis, decimals) else {
            prop_assert!(lots == 0 || basis == Money::ZERO || lots.abs() > 1 << 40);
            return Ok(());
        };
        // With the value of one lot at one tick as fraction u: linear, average = basis / (lots·u);
        // inverse, average = −lots·u / basis.
        let (unit_top, unit_bottom) = case.fraction(1, 1);
        let (lots, basis) = (Big::from(i128::from(lots)), Big::from(basis.0));
        let power = Big::power_of_ten(decimals);
        let (top, bottom) = if case.is_inverse() {
            (-(lots * unit_top * power), basis * unit_bottom)
        } else {
            (basis * unit_bottom * power, lots * unit_top)
        };
        prop_assert!(is_rounded(&Big::from(average), &top, &bottom, Rounding::HalfEven));
    }

    #[test]
    fn average_price_comes_back_exactly_where_value_is_whole(
        price in 1i64..2_000_000, lots in 1i64..1_000_000, decimals in 0u32..=8, is_short: bool,
    ) {
        // One lot at one tick is worth 5 units here, so nothing is rounded.
        let parts = [decimal(5, 1), decimal(1, 4), Decimal::whole(1)];
        let terms = instrument(InstrumentKind::Perpetual, Style::Linear, parts);
        let valuation = terms.valuation(5).expect("fits");
        let lots = if is_short { -lots } else { lots };
        let basis = valuation.basis(Ticks(price), Lots(lots)).expect("fits");
        prop_assert_eq!(basis.0, i128::from(price) * i128::from(lots) * 5);
        let average = valuation.average_price(Lots(lots), basis, decimals);
        prop_assert_eq!(average, Ok(i128::from(price) * 10i128.pow(decimals)));
    }

    #[test]
    fn inverse_average_price_is_off_by_the_rounding_of_the_basis_only(
        price in 1_000i64..2_000_000, lots in 1i64..1_000_000, is_short: bool,
    ) {
        // 10 dollars a lot in BTC with 8 decimals: one lot at 100,000 is 10,000 units.
        let parts = [decimal(5, 1), Decimal::whole(10), Decimal::whole(1)];
        let terms = instrument(InstrumentKind::Perpetual, Style::Inverse, parts);
        let valuation = terms.valuation(8).expect("fits");
        let lots = if is_short { -lots } else { lots };
        let basis = valuation.basis(Ticks(price), Lots(lots)).expect("fits");
        prop_assert_eq!(basis.0.signum(), i128::from(-lots.signum()));
        let average = valuation.average_price(Lots(lots), basis, 6).expect("fits");
        let exact = i128::from(price) * 1_000_000;
        // |basis| is off by at most one half: relative error at most 1 / (2·|basis| − 1).
        let bound = exact / (2 * basis.0.abs() - 1) + 1;
        prop_assert!((average - exact).abs() <= bound, "{average} {exact} ±{bound}");
    }
}

#[test]
fn worked_examples_from_exchange_documentation_style_contracts() {
    // BTC perpetual: 1,000 lots of 10 USD at 50,000.0 are 0.2 BTC.
    let parts = [decimal(5, 1), Decimal::whole(10), Decimal::whole(1)];
    let perpetual = instrument(InstrumentKind::Perpetual, Style::Inverse, parts);
    let valuation = perpetual.valuation(8).expect("fits");
    assert_eq!(valuation.value(Ticks(100_000), Lots(1_000)), Ok(Money(20_000_000)));
    assert_eq!(valuation.basis(Ticks(100_000), Lots(1_000)), Ok(Money(-20_000_000)));
    // BTC option: 25 lots of 0.1 BTC at 0.0125 BTC are 0.03125 BTC.
    let kind = InstrumentKind::Option {
        expiry: Timestamp(1),
        strike: Decimal::whole(60_000),
        right: OptionRight::Call,
    };
    let parts = [decimal(5, 4), decimal(1, 1), Decimal::whole(1)];
    let valuation = instrument(kind, Style::Inverse, parts).valuation(8).expect("fits");
    assert!(!valuation.is_inverse());
    assert_eq!(valuation.value(Ticks(25), Lots(25)), Ok(Money(3_125_000)));
    // Spot: 3 lots of 0.0001 BTC at 78,529.50 are 23.55885 USDC.
    let parts = [decimal(5, 1), decimal(1, 4), Decimal::whole(1)];
    let valuation = instrument(InstrumentKind::Spot, Style::Linear, parts).valuation(6);
    let value = valuation.expect("fits").value(Ticks(157_059), Lots(3));
    assert_eq!(value, Ok(Money(23_558_850)));
}

#[test]
fn inconsistent_terms_are_refused_by_name() {
    let one = Decimal::whole(1);
    let perpetual = InstrumentKind::Perpetual;
    for position in 0..3 {
        for bad in [Decimal::whole(0), Decimal::whole(-1)] {
            let mut parts = [one; 3];
            parts[position] = bad;
            let terms = instrument(perpetual, Style::Linear, parts);
            assert_eq!(terms.valuation(8), Err(InstrumentError::NotPositive));
        }
    }
    let inverse_spot = instrument(InstrumentKind::Spot, Style::Inverse, [one; 3]);
    assert_eq!(inverse_spot.valuation(8), Err(InstrumentError::BadSpot));
    let mut spot = instrument(InstrumentKind::Spot, Style::Linear, [one; 3]);
    spot.settlement = CurrencyId(1);
    assert_eq!(spot.valuation(8), Err(InstrumentError::BadSpot));
    let huge = decimal(i128::MAX, 0);
    let terms = instrument(perpetual, Style::Linear, [huge; 3]);
    assert_eq!(terms.valuation(8), Err(InstrumentError::Unrepresentable));
}

#[test]
fn nothing_is_worth_anything_at_price_zero_of_an_inverse_contract() {
    let terms = instrument(InstrumentKind::Perpetual, Style::Inverse, [Decimal::whole(1); 3]);
    let valuation = terms.valuation(8).expect("fits");
    assert!(valuation.value(Ticks(0), Lots(1)).is_err());
    assert!(valuation.average_price(Lots(0), Money(1), 2).is_ok());
    assert!(valuation.average_price(Lots(1), Money(0), 2).is_err());
}

#[test]
fn every_order_within_the_limits_has_a_value_or_a_refusal() {
    let most = (Instrument::MAX_TICKS, Instrument::MAX_LOTS);
    for style in [Style::Linear, Style::Inverse] {
        let terms = instrument(InstrumentKind::Perpetual, style, [Decimal::whole(1); 3]);
        for scale in 0..=18 {
            let valuation = terms.valuation(scale).expect("fits");
            let value = valuation.value(most.0, most.1);
            let exact = 10i128.checked_pow(scale.into()).and_then(|it| it.checked_mul(1 << 92));
            match (style, exact) {
                (Style::Linear, None) => assert!(value.is_err()),
                (Style::Linear, Some(exact)) => assert_eq!(value, Ok(Money(exact))),
                (Style::Inverse, _) => assert_eq!(value, Ok(Money(10i128.pow(scale.into())))),
            }
        }
    }
}
