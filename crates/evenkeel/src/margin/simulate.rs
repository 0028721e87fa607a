//! From a read input to the document: each index by itself, then the sets that move together.

use std::collections::BTreeMap;
use std::path::Path;

use evenkeel_quant::Fixed;
use evenkeel_quant::explain::{Explanation, explain};
use evenkeel_quant::implied::implied_volatility;
use evenkeel_quant::portfolio::{NANO, PRICE_ONE, YEAR_MS};
use evenkeel_quant::risk::{ExtraMargin, Leg, RiskMarket, RiskModel};
use evenkeel_quant::scenarios::{FutureLot, OptionLot, Settlement};
use evenkeel_quant::sets::{SetMember, set_risk};

use super::input::{IndexInput, Input, Position, refusal};
use super::number::decimal;
use crate::cli::format_time_ns;
use crate::documents::{
    CorrelationDocument, MarginNumbers, MarginSimulationDocument, RiskVectorDocument,
    RollShockDocument,
};
use crate::report::Result;

/// One index, computed.
struct Computed<'a> {
    input: &'a IndexInput,
    model: RiskModel,
    market: RiskMarket,
    explained: Explanation<&'a str>,
}

/// Computes everything that the document says.
pub(super) fn simulate(file: &Path, input: &Input) -> Result<MarginSimulationDocument> {
    let computed: Vec<Computed<'_>> =
        input.indices.iter().map(|of| compute(file, of, input)).collect::<Result<_>>()?;
    let mut indices = BTreeMap::new();
    for of in &computed {
        indices.insert(of.input.name.clone(), numbers(of));
    }
    let only = if computed.len() == 1 { indices.values().next().cloned() } else { None };
    Ok(MarginSimulationDocument {
        time: format_time_ns(input.now_ms.saturating_mul(1_000_000)),
        total: only.unwrap_or_default(),
        indices,
        correlation: correlation(file, &computed)?,
    })
}

fn compute<'a>(file: &Path, of: &'a IndexInput, input: &Input) -> Result<Computed<'a>> {
    let refused = |error: &dyn std::error::Error| refusal(file, &error.to_string(), &of.name);
    let model = RiskModel::new(&of.parameters).map_err(|error| refused(&error))?;
    let settlement = of.positions.first().map_or(Settlement::Coin, |p| p.instrument.settlement);
    let market = RiskMarket { settlement, index_price: of.price, now_ms: input.now_ms };
    let mut vectors = Vec::new();
    for position in &of.positions {
        vectors.push(vector(file, &model, of, position, input.now_ms)?);
    }
    let extra =
        ExtraMargin { spot: of.spot, market_maker: of.market_maker, open_orders: of.open_orders };
    let legs = of.positions.iter().zip(&vectors).map(|(position, (vector, delta))| {
        let leg = Leg {
            vector,
            delta: *delta,
            expiry_ms: position.instrument.expiry_ms,
            is_option: position.instrument.option.is_some(),
        };
        // The whole position is one lot, so its vector is rounded once.
        (position.name.as_str(), leg, if position.coins < 0 { -1 } else { 1 })
    });
    let explained = explain(&model, &market, &extra, legs);
    Ok(Computed { input: of, model, market, explained })
}

/// Vector and delta of a position's size, as if it were long.
fn vector(
    file: &Path,
    model: &RiskModel,
    of: &IndexInput,
    position: &Position,
    now_ms: u64,
) -> Result<(Vec<i128>, i128)> {
    let (instrument, coins) = (&position.instrument, position.coins.abs());
    let settlement = instrument.settlement;
    let missing = |what: &str| refusal(file, &format!("{what}.{} is missing", position.name), "");
    let Some((strike, right)) = instrument.option else {
        let price = match settlement {
            Settlement::Coin => 0,
            Settlement::Quote => position.mark.ok_or_else(|| missing("mark_price"))?,
        };
        return Ok((model.grid().future(&FutureLot { settlement, coins, price }), coins));
    };
    let expiry_ms = instrument.expiry_ms.unwrap_or(now_ms);
    let forward = position.forward.unwrap_or(of.price);
    let left_ms = expiry_ms.saturating_sub(now_ms);
    let volatility = match (position.volatility, position.mark) {
        (Some(nano), _) => Fixed::ratio(nano, NANO.into()),
        (None, Some(mark)) => {
            let to_atto = 100_000_000;
            let price = match settlement {
                // Parts of 10^18 of a coin at so many parts of 10^10.
                Settlement::Coin => Fixed::ratio(forward, PRICE_ONE).times(mark),
                Settlement::Quote => mark.saturating_mul(to_atto),
            };
            let years = Fixed::ratio(left_ms.into(), YEAR_MS);
            let (forward, strike) = (forward * to_atto, strike * to_atto);
            implied_volatility(right, forward, strike, years, price).map_err(|error| {
                let name = &position.name;
                refusal(file, &format!("mark_price.{name} has no volatility: {error}"), "")
                    .next(format!("or give it: mark_iv.{name}, in percent"))
            })?
        }
        (None, None) => return Err(missing("mark_iv, or mark_price,")),
    };
    let lot = OptionLot { settlement, right, coins, forward, strike, volatility, left_ms };
    Ok(model.grid().option(&lot))
}

fn numbers(of: &Computed<'_>) -> MarginNumbers {
    let explained = &of.explained;
    let (standard, columns) = (of.model.grid().standard(), of.model.grid().columns());
    let all = |values: &[i128]| values.iter().map(|value| decimal(*value)).collect::<Vec<_>>();
    let by_bucket = |values: &[i128]| {
        let worst = |bucket: &[i128]| decimal(bucket.iter().copied().min().unwrap_or(0));
        values[..standard].chunks(columns).map(worst).collect::<Vec<_>>()
    };
    let split = |values: &[i128]| RiskVectorDocument {
        standard: all(&values[..standard]),
        extended: all(&values[standard..]),
    };
    let legs = explained.legs.iter();
    let each = |of: &dyn Fn(&[i128]) -> Vec<String>| {
        legs.clone().map(|leg| (leg.id.to_owned(), of(&leg.contributions))).collect()
    };
    let matrix = &explained.matrix;
    let text = |value: i128| Some(decimal(value));
    let vectors = legs.clone().map(|leg| (leg.id.to_owned(), split(&leg.contributions)));
    MarginNumbers {
        standard_by_bucket: Some(each(&by_bucket)),
        extended: Some(each(&|values| all(&values[standard..]))),
        aggregated_standard: Some(by_bucket(&explained.aggregated)),
        aggregated_extended: Some(all(&explained.aggregated[standard..])),
        worst_case: text(matrix.worst_case),
        worst_case_index: Some(matrix.worst_index as u64),
        delta_shock: text(matrix.delta_shock),
        roll_shock: text(matrix.roll_shock),
        correlation_contingency: text(matrix.correlation_contingency),
        risk_matrix_margin: text(explained.risk_matrix),
        spot_margin: text(explained.extra.spot),
        mmp_margin: text(explained.extra.market_maker),
        open_orders_margin: text(explained.extra.open_orders),
        initial_margin: text(explained.initial),
        maintenance_margin: text(explained.maintenance),
        hedged_delta: text(explained.hedged_delta),
        roll_shocks: Some(roll_shocks(explained)),
        initial_risk_vectors: Some(vectors.collect()),
        pre_aggregated_risk_vectors: Some(split(&explained.totals)),
        aggregated_risk_vectors: Some(split(&explained.aggregated)),
    }
}

fn roll_shocks(explained: &Explanation<&str>) -> Vec<RollShockDocument> {
    let each = explained.roll_shocks.iter().map(|(group, shock)| RollShockDocument {
        expiry: group.expiry_ms.map(|ms| format_time_ns(ms.saturating_mul(1_000_000))),
        delta: decimal(group.delta),
        roll_shock: decimal(*shock),
    });
    each.collect()
}

/// The indices whose parameters say that they move together, if there are two.
fn correlation(file: &Path, computed: &[Computed<'_>]) -> Result<Option<CorrelationDocument>> {
    let set: Vec<&Computed<'_>> =
        computed.iter().filter(|of| of.input.parameters.correlation_set).collect();
    if set.len() < 2 {
        return Ok(None);
    }
    let members: Vec<SetMember<'_>> = set
        .iter()
        .map(|of| SetMember {
            model: &of.model,
            market: &of.market,
            aggregated: &of.explained.aggregated,
        })
        .collect();
    let risk = set_risk(&members).map_err(|error| refusal(file, &error.to_string(), ""))?;
    Ok(Some(CorrelationDocument {
        indices: set.iter().map(|of| of.input.name.clone()).collect(),
        worst_case: decimal(risk.worst_case),
        worst_case_index: risk.worst_index as u64,
        correlation_contingency: decimal(risk.correlation_contingency),
        separate_worst_case: decimal(risk.separate),
    }))
}
