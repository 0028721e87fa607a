//! What holds of every portfolio.

mod margin_support;

use evenkeel_quant::explain::explain;
use evenkeel_quant::portfolio::{ATTO, NANO, PortfolioParameters};
use evenkeel_quant::risk::{ExtraMargin, RiskModel, RiskSums};
use margin_support::{DAY_MS, NOW_MS, OwnedLeg, coin_market, inverse, model};
use proptest::prelude::*;

/// Legs of every sort: their vectors are arbitrary, because sums know nothing of prices.
fn legs(model: &RiskModel) -> impl Strategy<Value = Vec<OwnedLeg>> + use<> {
    let scenarios = model.grid().scenarios();
    let range = -3 * ATTO..3 * ATTO;
    let expiry = prop_oneof![Just(None), (1u64..4).prop_map(|n| Some(NOW_MS + n * 90 * DAY_MS))];
    let vector = proptest::collection::vec(range.clone(), scenarios);
    let leg =
        (vector, range, expiry, any::<bool>()).prop_map(|(vector, delta, expiry_ms, is_option)| {
            OwnedLeg { vector, delta, expiry_ms, is_option }
        });
    proptest::collection::vec(leg, 1..6)
}

fn lots() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -50i64..50, -1_000_000_000i64..1_000_000_000]
}

fn parameters() -> impl Strategy<Value = PortfolioParameters> {
    let offsets = (0..=NANO, 0i128..100_000_000, 0i128..10_000_000);
    offsets.prop_map(|(pnl_offset, most, dampener)| PortfolioParameters {
        pnl_offset,
        max_offsetable_pnl: most * i128::from(NANO),
        extended_dampener: dampener * i128::from(NANO),
        ..PortfolioParameters::BTC
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_was_added_and_removed_the_sums_are_those_of_what_is_left(
        legs in legs(&model(&PortfolioParameters::BTC)),
        fills in proptest::collection::vec((any::<prop::sample::Index>(), lots()), 0..40),
    ) {
        let model = model(&PortfolioParameters::BTC);
        let mut position = vec![0i64; legs.len()];
        let mut kept = RiskSums::new(model.grid().scenarios());
        for (leg, to) in fills {
            let at = leg.index(legs.len());
            kept.change(&legs[at].leg(), position[at], to);
            position[at] = to;
        }
        let mut full = RiskSums::new(model.grid().scenarios());
        for (leg, lots) in legs.iter().zip(&position).rev() {
            full.add(&leg.leg(), *lots);
        }
        prop_assert_eq!(&kept, &full);
        let market = coin_market("50000");
        prop_assert_eq!(model.assess(&kept, &market), model.assess(&full, &market));
    }

    #[test]
    fn every_number_of_an_explanation_adds_up_to_the_last_digit(
        parameters in parameters(),
        legs in legs(&model(&PortfolioParameters::BTC)),
        positions in proptest::collection::vec(lots(), 6),
        spot in 0i128..ATTO, market_maker in 0i128..ATTO, open_orders in 0i128..ATTO,
    ) {
        let model = model(&parameters);
        let market = coin_market("50000");
        let extra = ExtraMargin { spot, market_maker, open_orders };
        let held = legs.iter().zip(&positions).enumerate();
        let explained =
            explain(&model, &market, &extra, held.map(|(id, (leg, lots))| (id, leg.leg(), *lots)));
        for at in 0..model.grid().scenarios() {
            let sum: i128 = explained.legs.iter().map(|leg| leg.contributions[at]).sum();
            prop_assert_eq!(sum, explained.totals[at]);
            prop_assert_eq!(sum + explained.adjustments[at], explained.aggregated[at]);
        }
        let matrix = explained.matrix;
        prop_assert_eq!(matrix.worst_case, explained.aggregated.iter().fold(0, |a, b| a.max(-b)));
        let (worst_index, worst_case) = model.worst(&explained.aggregated);
        prop_assert_eq!((worst_index, worst_case), (matrix.worst_index, matrix.worst_case));
        if matrix.worst_case > 0 {
            let parts: i128 = explained.worst_contributions().iter().sum();
            prop_assert_eq!(parts + explained.adjustments[worst_index], -worst_case);
        }
        let roll: i128 = explained.roll_shocks.iter().map(|(_, shock)| *shock).sum();
        prop_assert_eq!(roll, matrix.roll_shock);
        let risk = matrix.worst_case + matrix.delta_shock + roll + matrix.correlation_contingency;
        prop_assert_eq!(risk, explained.risk_matrix);
        prop_assert_eq!(explained.initial, risk + spot + market_maker + open_orders);
        prop_assert_eq!(explained.maintenance, (risk * 4 + 4) / 5);
    }

    #[test]
    fn a_longer_position_in_a_future_never_needs_less(
        coins in 1i128..3_000, more in 0i128..3_000, is_short: bool,
    ) {
        let model = model(&PortfolioParameters::BTC);
        let sign = if is_short { -1 } else { 1 };
        let needs = |coins: i128| {
            let mut sums = RiskSums::new(model.grid().scenarios());
            sums.add(&inverse(&model, coins * sign * ATTO, None).leg(), 1);
            model.assess(&sums, &coin_market("50000")).total()
        };
        prop_assert!(needs(coins + more) >= needs(coins));
    }

    #[test]
    fn two_halves_need_no_less_than_the_whole(
        legs in legs(&model(&PortfolioParameters::BTC)),
        positions in proptest::collection::vec(-1_000i64..1_000, 6),
        split in 0usize..6,
    ) {
        // Without offsets the worst case is subadditive: that is why margining a portfolio helps.
        let parameters = PortfolioParameters { extended_dampener: 0, ..PortfolioParameters::BTC };
        let model = model(&parameters);
        let worst = |part: &dyn Fn(usize) -> bool| {
            let mut sums = RiskSums::new(model.grid().scenarios());
            for (at, (leg, lots)) in legs.iter().zip(&positions).enumerate() {
                if part(at) {
                    sums.add(&leg.leg(), *lots);
                }
            }
            model.assess(&sums, &coin_market("50000")).worst_case
        };
        let (one, other) = (worst(&|at| at < split), worst(&|at| at >= split));
        let whole = worst(&|_| true);
        prop_assert!(whole <= one + other, "{whole} > {one} + {other}");
    }
}
