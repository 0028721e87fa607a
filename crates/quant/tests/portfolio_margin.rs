//! Each parameter of portfolio margin, by numbers that were worked out by hand.

mod margin_support;

use evenkeel_quant::explain::explain;
use evenkeel_quant::portfolio::{ATTO, NANO, PortfolioParameters};
use evenkeel_quant::risk::{ExtraMargin, RiskMarket, RiskModel};
use evenkeel_quant::scenarios::{FutureLot, Settlement};
use evenkeel_quant::sets::{SetMember, set_risk};
use margin_support::{
    DAY_MS, NOW_MS, OwnedLeg, atto, coin_market, inverse, model, nano, price, sums_of,
};

const BTC: PortfolioParameters = PortfolioParameters::BTC;

/// A long perpetual of so many coins.
fn long(model: &RiskModel, coins: i128) -> Vec<(OwnedLeg, i64)> {
    vec![(inverse(model, coins, None), 1)]
}

#[test]
fn an_answer_of_the_exchange_itself_with_profits_that_offset_is_reproduced() {
    // private/pme/simulate for -0.999487053 ETH in the perpetual, index 1949.34, February 2026.
    let parameters = PortfolioParameters {
        pnl_offset: nano("0.6"),
        max_offsetable_pnl: 20_000_000 * i128::from(NANO),
        ..PortfolioParameters::ETH
    };
    let model = model(&parameters);
    let market = coin_market("1949.34");
    let sums = sums_of(&model, &[(inverse(&model, atto("-0.999487053"), None), 1)]);
    let near = |ours: i128, theirs: &str| {
        assert!((ours - atto(theirs)).abs() < 1_000_000_000, "{ours} is not {theirs}");
    };
    near(sums.pnl()[0], "0.219399596999999970");
    near(sums.pnl()[27], "0.219399596999999970");
    near(sums.pnl()[34], "-0.152464126728813570");
    let counted = model.aggregated(&sums, &market);
    near(counted[0], "0.131639758199999980");
    near(counted[9], "0.028257749142408375");
    assert!(counted[27..].iter().all(|total| *total == 0));
    let matrix = model.assess(&sums, &market);
    near(matrix.worst_case, "0.152464126728813570");
    assert_eq!(matrix.worst_index, 25);
    near(matrix.roll_shock, "0.004997435265");
    near(matrix.total(), "0.157461562265");
    near(matrix.maintenance(&parameters), "0.125969249812");
}

#[test]
fn the_grid_follows_range_and_buckets() {
    let parameters = PortfolioParameters { price_range: nano("0.2"), buckets_count: 2, ..BTC };
    let model = model(&parameters);
    assert_eq!(model.grid().scenarios(), 5 * 3 + 8);
    let leg = inverse(&model, ATTO, None);
    // p = −20 %, −10 %, 0, 10 %, 20 %: 1 − 1/(1 + p).
    let expected = ["-0.25", "-0.111111111111111111", "0", "0.090909090909090909"].map(atto);
    for (bucket, result) in expected.into_iter().enumerate() {
        assert_eq!(leg.vector[3 * bucket..3 * bucket + 3], [result; 3]);
    }
    // Extended moves count as the edge: 20 % up is a sixth of a coin.
    assert_eq!(leg.vector[15..17], [atto("-0.25"); 2]);
    assert_eq!(leg.vector[17..], [atto("0.166666666666666667"); 6]);
}

#[test]
fn a_single_column_has_the_price_moves_alone() {
    let model = model(&PortfolioParameters { vol_scenarios_count: 1, ..BTC });
    assert_eq!(model.grid().scenarios(), 9 + 8);
    let matrix = model.assess(&sums_of(&model, &long(&model, ATTO)), &coin_market("50000"));
    assert_eq!(matrix.worst_index, 0);
}

#[test]
fn a_linear_future_gains_its_value_times_the_move() {
    let model = model(&BTC);
    let lot = FutureLot { settlement: Settlement::Quote, coins: ATTO, price: price("50000.5") };
    let vector = model.grid().future(&lot);
    assert_eq!(vector[0], atto("-8000.08"));
    assert_eq!(vector[26], atto("8000.08"));
    assert_eq!(vector[27], atto("-8000.08"), "extended moves count as the edge");
    assert_eq!(vector[34], atto("8000.08"));
}

#[test]
fn the_extended_table_is_scaled_by_its_factor() {
    let model = model(&PortfolioParameters { extended_table_factor: nano("2"), ..BTC });
    let leg = inverse(&model, ATTO, None);
    assert_eq!(leg.vector[0], atto("-0.190476190476190476"));
    assert_eq!(leg.vector[27], atto("-0.380952380952380952"));
}

#[test]
fn an_extended_move_inside_the_grid_is_not_scaled_up() {
    let model = model(&PortfolioParameters { price_range: nano("0.4"), ..BTC });
    let leg = inverse(&model, ATTO, None);
    // −33 % lies within ±40 %: its own result; −66 % counts as −40 %.
    assert_eq!(leg.vector[28], atto("-0.492537313432835821"));
    assert_eq!(leg.vector[27], atto("-0.666666666666666667"));
}

#[test]
fn profits_count_by_their_offset_and_up_to_their_bound_and_losses_in_full() {
    let market = coin_market("50000");
    let counted = |offset: &str, most: i128| {
        let parameters = PortfolioParameters {
            pnl_offset: nano(offset),
            max_offsetable_pnl: most * i128::from(NANO),
            ..BTC
        };
        let model = model(&parameters);
        let sums = sums_of(&model, &long(&model, 29 * ATTO));
        let all = model.aggregated(&sums, &market);
        (all[0], all[26])
    };
    let loss = 29 * atto("-0.190476190476190476") - 6;
    assert_eq!(loss, margin_support::inverse_result(29 * ATTO, -16, 100));
    assert_eq!(counted("0", 0), (loss, 0));
    assert_eq!(counted("0.5", 0), (loss, 2 * ATTO));
    assert_eq!(counted("1", 0), (loss, 4 * ATTO));
    // 75,000 of quote currency are 1.5 coins.
    assert_eq!(counted("0.5", 75_000), (loss, atto("1.5")));
    assert_eq!(counted("0.5", 200_000), (loss, 2 * ATTO));
}

#[test]
fn the_dampener_takes_its_amount_from_extended_results_but_never_turns_their_sign() {
    let market = coin_market("50000");
    let counted = |dampener: i128| {
        let parameters = PortfolioParameters {
            extended_dampener: dampener * i128::from(NANO),
            pnl_offset: nano("1"),
            ..BTC
        };
        let model = model(&parameters);
        let sums = sums_of(&model, &long(&model, 21 * ATTO));
        model.aggregated(&sums, &market)
    };
    let none = counted(0);
    assert_eq!(none[27], -4 * ATTO);
    // −66 %: 1,680 · (0.66/0.16 − 1) = 5,250 of quote currency at a price of 42,000: 0.125 coins.
    let some = counted(1_680);
    assert_eq!(some[27], atto("-3.875"));
    assert!(some[34] < none[34] && some[34] > 0);
    let much = counted(10_000_000);
    assert!(much[27..].iter().all(|total| *total == 0));
    assert_eq!(much[..27], none[..27], "the standard table is never damped");
}

#[test]
fn among_equal_losses_the_unchanged_volatility_of_the_lowest_bucket_is_reported() {
    let model = model(&PortfolioParameters { extended_dampener: 0, ..BTC });
    let market = coin_market("50000");
    let worst = |coins| {
        let matrix = model.assess(&sums_of(&model, &long(&model, coins)), &market);
        (matrix.worst_index, matrix.worst_case)
    };
    assert_eq!(worst(21 * ATTO), (1, 4 * ATTO), "−66 % loses as much, but comes later");
    assert_eq!(worst(-29 * ATTO), (25, 4 * ATTO));
    assert_eq!(worst(0), (1, 0));
}

#[test]
fn delta_above_the_threshold_is_shocked_by_its_excess_up_to_the_bound() {
    let shock = |coins: i128, change: fn(&mut PortfolioParameters)| {
        let mut parameters = BTC;
        change(&mut parameters);
        let model = model(&parameters);
        model.delta_shock(&sums_of(&model, &long(&model, coins * ATTO)), &coin_market("50000"))
    };
    // The threshold, 20 million, is 400 coins.
    assert_eq!(shock(400, |_| ()), 0);
    assert_eq!(shock(-1_400, |_| ()), 1_400 * atto("0.05"));
    assert_eq!(shock(10_000, |_| ()), 10_000 * atto("0.1"));
    assert_eq!(shock(10_000, |set| set.max_delta_shock = nano("0.02")), 10_000 * atto("0.02"));
    assert_eq!(shock(1_400, |set| set.m_inc = nano("0.00001")), 1_400 * atto("0.01"));
    let lower = |set: &mut PortfolioParameters| {
        set.delta_total_liq_shock_threshold = 15_000_000 * i128::from(NANO);
    };
    assert_eq!(shock(1_300, lower), 1_300 * atto("0.05"));
}

#[test]
fn long_options_relieve_the_delta_that_is_shocked_but_never_add_to_it() {
    let model = model(&BTC);
    let option = |delta: i128| OwnedLeg { is_option: true, ..inverse(&model, delta, None) };
    let hedged = |future: i128, option_delta: i128, lots: i64| {
        let legs = [(inverse(&model, future, None), 1), (option(option_delta), lots)];
        sums_of(&model, &legs).hedged_delta()
    };
    assert_eq!(hedged(-5, 3, 1), -2);
    assert_eq!(hedged(-5, -3, 1), -5);
    assert_eq!(hedged(-5, 8, 1), 0);
    assert_eq!(hedged(5, -3, 1), 2);
    assert_eq!(hedged(5, 3, 1), 5);
    assert_eq!(hedged(5, 3, -1), 2, "a short option counts like a future");
    assert_eq!(hedged(5, -3, -1), 8);
}

#[test]
fn the_roll_shock_grows_with_the_time_to_expiry_and_nets_only_within_one() {
    let model = model(&BTC);
    let market = coin_market("50000");
    let at = |days: u64| Some(NOW_MS + days * DAY_MS);
    let shock = |legs: &[(OwnedLeg, i64)]| model.roll_shock(&sums_of(&model, legs), &market);
    let leg = |expiry| inverse(&model, ATTO, expiry);
    assert_eq!(shock(&[(leg(None), 1)]), atto("0.01"));
    assert_eq!(shock(&[(leg(at(30)), -2)]), atto("0.02"));
    // A year: 7.5 %; two years: 15 %.
    assert_eq!(shock(&[(leg(at(365)), 1)]), atto("0.075"));
    assert_eq!(shock(&[(leg(at(730)), 1)]), atto("0.15"));
    assert_eq!(shock(&[(leg(at(30)), 1), (leg(at(30)), -1)]), 0);
    assert_eq!(shock(&[(leg(at(30)), 1), (leg(at(40)), -1)]), atto("0.02"));
    assert_eq!(shock(&[(leg(at(30)), 1), (leg(None), -1)]), atto("0.02"));
}

#[test]
fn linear_legs_are_charged_in_quote_currency() {
    let model = model(&BTC);
    let market = RiskMarket { settlement: Settlement::Quote, ..coin_market("50000") };
    let lot = FutureLot { settlement: Settlement::Quote, coins: ATTO, price: price("50000") };
    let leg = OwnedLeg {
        vector: model.grid().future(&lot),
        delta: ATTO,
        expiry_ms: None,
        is_option: false,
    };
    let matrix = model.assess(&sums_of(&model, &[(leg, 1_400)]), &market);
    assert_eq!(matrix.worst_case, 1_400 * atto("8000"));
    assert_eq!(matrix.roll_shock, 1_400 * atto("500"));
    assert_eq!(matrix.delta_shock, 1_400 * atto("2500"));
}

#[test]
fn margins_add_the_reserves_and_maintenance_is_its_factor_of_the_matrix_alone() {
    let parameters = PortfolioParameters { mm_factor: nano("0.65"), ..BTC };
    let model = model(&parameters);
    let legs = long(&model, 21 * ATTO);
    let extra = ExtraMargin { spot: 1, market_maker: 20, open_orders: 300 };
    let each = legs.iter().map(|(leg, lots)| ("perpetual", leg.leg(), *lots));
    let explained = explain(&model, &coin_market("50000"), &extra, each);
    assert_eq!(explained.risk_matrix, 4 * ATTO + atto("0.21"));
    assert_eq!(explained.initial, explained.risk_matrix + 321);
    assert_eq!(explained.maintenance, atto("2.7365"));
}

#[test]
fn a_set_that_moves_together_needs_less_than_its_members_and_pays_for_parting_by_a_bucket() {
    let parameters = PortfolioParameters { pnl_offset: NANO, correlation_set: true, ..BTC };
    let model = model(&parameters);
    let (first, second) = (coin_market("50000"), coin_market("2500"));
    let aggregated = |coins: i128, market: &RiskMarket| {
        model.aggregated(&sums_of(&model, &long(&model, coins)), market)
    };
    let (one, other) = (aggregated(ATTO, &first), aggregated(-20 * ATTO, &second));
    let member = |market, aggregated| SetMember { model: &model, market, aggregated };
    let risk = set_risk(&[member(&first, &one), member(&second, &other)]).expect("equal grids");
    assert!(risk.worst_case < atto("0.000001"), "a hedge: {}", risk.worst_case);
    assert!(risk.correlation_contingency > 0);
    assert!(risk.worst_case + risk.correlation_contingency < risk.separate);
    // Both long: nothing offsets, and parting cannot be worse than each one's worst.
    let both = aggregated(20 * ATTO, &second);
    let risk = set_risk(&[member(&first, &one), member(&second, &both)]).expect("equal grids");
    assert_eq!(risk.worst_case, risk.separate);
    assert_eq!(risk.correlation_contingency, 0);
    let alone = set_risk(&[member(&first, &one)]).expect("equal grids");
    assert_eq!((alone.worst_case, alone.correlation_contingency), (alone.separate, 0));
}

#[test]
fn a_set_refuses_members_with_other_scenarios() {
    let (one, other) = (model(&BTC), model(&PortfolioParameters { buckets_count: 3, ..BTC }));
    let market = coin_market("50000");
    let members =
        [&one, &other].map(|of| SetMember { model: of, market: &market, aggregated: &[] });
    let refused = set_risk(&members).expect_err("unequal");
    assert!(refused.to_string().contains("buckets_count"));
}
