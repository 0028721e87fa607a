//! The example that Deribit's documentation gives of `private/pme/simulate`.

mod margin_support;

use evenkeel_quant::explain::explain;
use evenkeel_quant::portfolio::{EquitySide, PortfolioParameters};
use evenkeel_quant::risk::{ExtraMargin, RiskMarket, RiskModel};
use evenkeel_quant::scenarios::Settlement;
use margin_support::{OwnedLeg, inverse, number, price, recorded};
use serde_json::Value;

/// What the example's numbers, printed as doubles, support.
const TOLERANCE: i128 = 1_000_000_000;
/// 28 June 2024, 08:00 UTC.
const JUNE_MS: u64 = 1_719_561_600_000;

fn example() -> Option<Value> {
    let text = std::fs::read_to_string(recorded("deribit_pme_simulate_docs_btc.json")?);
    Some(serde_json::from_str(&text.expect("readable")).expect("JSON"))
}

fn printed(value: &Value) -> i128 {
    number(value, 18)
}

fn near(ours: i128, theirs: &Value, what: &str) {
    let theirs = printed(theirs);
    assert!((ours - theirs).abs() <= TOLERANCE, "{what}: ours {ours}, theirs {theirs}");
}

fn parameters(document: &Value) -> PortfolioParameters {
    let model = &document["model_params"];
    let rate = |of: &Value| i64::try_from(number(of, 9)).expect("a rate");
    let (pair, coin, general) = (&model["btc_usd"], &model["btc"], &model["general"]);
    let count = |of: &Value| u32::try_from(of.as_u64().expect("a count")).expect("small");
    PortfolioParameters {
        price_range: rate(&pair["price_range"]),
        volatility_range_up: rate(&pair["volatility_range_up"]),
        volatility_range_down: rate(&pair["volatility_range_down"]),
        short_term_vega_power: rate(&pair["short_term_vega_power"]),
        long_term_vega_power: rate(&pair["long_term_vega_power"]),
        min_volatility_for_shock_up: rate(&pair["min_volatility_for_shock_up"]),
        extended_table_factor: rate(&pair["extended_table_factor"]),
        m_inc: rate(&pair["m_inc"]),
        max_delta_shock: rate(&pair["max_delta_shock"]),
        delta_total_liq_shock_threshold: number(&pair["delta_total_liq_shock_threshold"], 9),
        annualised_move_risk: rate(&coin["annualised_move_risk"]),
        min_annualised_move: rate(&coin["min_annualised_move"]),
        extended_dampener: number(&coin["extended_dampener"], 9),
        pnl_offset: rate(&coin["pnl_offset"]),
        max_offsetable_pnl: number(&coin["max_offsetable_pnl"], 9),
        haircut: rate(&coin["haircut"]),
        equity_side_impact: EquitySide::Both,
        correlation_set: coin["correlation_set"].as_bool().expect("a boolean"),
        mm_factor: rate(&general["mm_factor"]),
        buckets_count: count(&general["buckets_count"]),
        vol_scenarios_count: count(&general["vol_scenarios_count"]),
    }
}

struct Example {
    document: Value,
    model: RiskModel,
    market: RiskMarket,
    legs: Vec<(&'static str, OwnedLeg)>,
}

impl Example {
    fn read() -> Option<Self> {
        let document = example()?;
        let parameters = parameters(&document);
        assert_eq!(parameters, PortfolioParameters::BTC, "the defaults are the published ones");
        let model = RiskModel::new(&parameters).expect("valid parameters");
        let market = RiskMarket {
            settlement: Settlement::Coin,
            index_price: price(&document["index_price"].to_string()),
            now_ms: document["model_params"]["general"]["timestamp"].as_u64().expect("a time"),
        };
        let legs = [("BTC-PERPETUAL", None), ("BTC-28JUN24", Some(JUNE_MS))]
            .map(|(name, expiry)| {
                let size = printed(&document["position"][name]);
                (name, inverse(&model, size, expiry))
            })
            .to_vec();
        Some(Self { document, model, market, legs })
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, evenkeel_quant::risk::Leg<'_>, i64)> {
        self.legs.iter().map(|(name, leg)| (*name, leg.leg(), 1))
    }
}

#[test]
fn every_vector_of_the_documented_example_is_reproduced_to_a_billionth() {
    let Some(example) = Example::read() else { return };
    let name = "initial_risk_vectors_by_price_bucket_each_repeated_for_3_vol_scenarios";
    let standard = &example.document[name];
    for (name, leg) in &example.legs {
        let buckets = standard[*name].as_array().expect("buckets");
        assert_eq!(leg.vector.len(), 35);
        for (scenario, ours) in leg.vector[..27].iter().enumerate() {
            near(*ours, &buckets[scenario / 3], &format!("{name} scenario {scenario}"));
        }
    }
    let extended = &example.document["initial_risk_vectors_extended"]["BTC-PERPETUAL"];
    for (at, theirs) in extended.as_array().expect("extended").iter().enumerate() {
        near(example.legs[0].1.vector[27 + at], theirs, &format!("extended {at}"));
    }
    let explained =
        explain(&example.model, &example.market, &ExtraMargin::default(), example.each());
    for (scenario, ours) in explained.aggregated[..27].iter().enumerate() {
        let theirs = &example.document["aggregated_standard"][scenario / 3];
        near(*ours, theirs, &format!("aggregated {scenario}"));
    }
    for (at, ours) in explained.aggregated[27..].iter().enumerate() {
        near(*ours, &example.document["aggregated_extended"][at], &format!("extended {at}"));
    }
}

#[test]
fn every_margin_of_the_documented_example_is_reproduced_to_a_billionth() {
    let Some(example) = Example::read() else { return };
    let margins = &example.document["margins"];
    let extra = ExtraMargin {
        spot: printed(&margins["spot_margin"]),
        market_maker: printed(&margins["mmp_margin"]),
        open_orders: printed(&margins["open_orders_margin"]),
    };
    let explained = explain(&example.model, &example.market, &extra, example.each());
    let matrix = explained.matrix;
    near(matrix.worst_case, &margins["worst_case"], "worst_case");
    assert_eq!(Some(matrix.worst_index as u64), margins["worst_case_index"].as_u64());
    near(matrix.delta_shock, &margins["delta_shock"], "delta_shock");
    near(matrix.roll_shock, &margins["roll_shock"], "roll_shock");
    near(matrix.correlation_contingency, &margins["correlation_contingency"], "correlation");
    near(explained.risk_matrix, &margins["risk_matrix_margin"], "risk_matrix_margin");
    near(explained.initial, &margins["initial_margin"], "initial_margin");
    near(explained.maintenance, &margins["maintenance_margin"], "maintenance_margin");
}
