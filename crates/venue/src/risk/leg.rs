//! What one lot of an instrument is worth and risks at the present prices: derived, kept with the
//! instrument until a price behind it changes.

use crate::oracle::UnderlyingState;
use crate::state::{InstrumentState, State};
use crate::surface::OptionValue;
use crate::underlyings::lot_size;
use evenkeel_quant::Right;
use evenkeel_quant::portfolio::{ATTO, NANO, PRICE_ONE, PortfolioParameters};
use evenkeel_quant::risk::{ExpiryDelta, RiskMarket, RiskModel};
use evenkeel_quant::scenarios::{FutureLot, Settlement};
use evenkeel_quant::standard::{OptionPosition, Requirement, StandardParameters};
use evenkeel_types::money::{mul_div, pow10};
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::{PortfolioTerms, StandardTerms, Underlying};
use evenkeel_types::{InstrumentKind, OptionRight, Rounding, Style, Ticks, Timestamp};

/// Millionths to billionths.
const TO_NANO: i64 = 1_000;
const NANOS_PER_MS: u64 = 1_000_000;

/// One lot of an instrument at the present prices.
#[derive(Debug, Clone)]
pub(crate) struct Leg {
    pub is_option: bool,
    /// Base coins of a lot at the mark, parts of 10^18.
    pub coins: i128,
    /// The mark in parts of 10^10 of the quote currency (futures).
    pub mark: i128,
    pub settlement: Settlement,
    /// Standard margin of a short option, for one coin.
    pub short_coin: Requirement,
    pub expiry_ms: Option<u64>,
    /// What portfolio margin needs; made when first asked for.
    pub scenarios: Option<Scenarios>,
}

/// One lot of an instrument in the scenarios of portfolio margin.
#[derive(Debug, Clone)]
pub(crate) struct Scenarios {
    /// Profit and loss in each, parts of 10^18 of the settlement currency.
    pub vector: Vec<i128>,
    /// Black-76 delta in base coin, parts of 10^18.
    pub delta: i128,
    /// Roll shock of a lot, for resting orders.
    pub roll_shock: i128,
}

impl Scenarios {
    /// As the portfolio's sums take it.
    pub fn leg<'a>(&'a self, of: &Leg) -> evenkeel_quant::risk::Leg<'a> {
        evenkeel_quant::risk::Leg {
            vector: &self.vector,
            delta: self.delta,
            expiry_ms: of.expiry_ms,
            is_option: of.is_option,
        }
    }
}

/// Milliseconds, rounded down.
pub(crate) fn in_ms(time: Timestamp) -> u64 {
    time.0 / NANOS_PER_MS
}

/// Standard margin's parameters in the units of the formulas.
pub(crate) fn standard_parameters(terms: &StandardTerms) -> StandardParameters {
    let nano = |rate: u32| i64::from(rate) * TO_NANO;
    StandardParameters {
        future_initial: nano(terms.future_initial),
        future_maintenance: nano(terms.future_maintenance),
        future_slope: nano(terms.future_slope),
        option_initial: nano(terms.option_initial),
        option_initial_floor: nano(terms.option_initial_floor),
        option_maintenance: nano(terms.option_maintenance),
    }
}

/// Portfolio margin's parameters in the units of the formulas. The delta shock grows by the
/// futures' slope per coin, as it does in Deribit's published sets.
pub(crate) fn portfolio_parameters(terms: &Underlying) -> PortfolioParameters {
    let nano = |rate: u32| i64::from(rate) * TO_NANO;
    let whole = |amount: u64| i128::from(amount) * i128::from(NANO);
    let PortfolioTerms {
        price_range,
        volatility_range_up,
        volatility_range_down,
        short_term_vega_power,
        long_term_vega_power,
        min_volatility_for_shock_up,
        buckets_count,
        extended_table_factor,
        extended_dampener,
        max_delta_shock,
        delta_total_liq_shock_threshold,
        annualised_move_risk,
        min_annualised_move,
        pnl_offset,
        max_offsetable_pnl,
        maintenance_factor,
    } = terms.portfolio;
    PortfolioParameters {
        price_range: nano(price_range),
        volatility_range_up: nano(volatility_range_up),
        volatility_range_down: nano(volatility_range_down),
        short_term_vega_power: nano(short_term_vega_power),
        long_term_vega_power: nano(long_term_vega_power),
        min_volatility_for_shock_up: nano(min_volatility_for_shock_up),
        extended_table_factor: nano(extended_table_factor),
        m_inc: nano(terms.standard.future_slope),
        max_delta_shock: nano(max_delta_shock),
        delta_total_liq_shock_threshold: whole(delta_total_liq_shock_threshold),
        annualised_move_risk: nano(annualised_move_risk),
        min_annualised_move: nano(min_annualised_move),
        extended_dampener: whole(extended_dampener),
        pnl_offset: nano(pnl_offset),
        max_offsetable_pnl: whole(max_offsetable_pnl),
        mm_factor: nano(maintenance_factor),
        buckets_count,
        ..PortfolioParameters::BTC
    }
}

/// A mark in parts of `10^decimals` of a whole unit of its currency.
fn mark_in(instrument: &InstrumentState, mark: Ticks, decimals: u32) -> Option<i128> {
    let tick = instrument.terms.tick;
    let top = i128::from(mark.0).checked_mul(pow10(decimals).ok()?)?;
    let bottom = pow10(tick.scale().into()).ok()?;
    mul_div(top, tick.mantissa(), bottom, Rounding::HalfEven).ok()
}

impl State {
    /// One lot of an instrument at the present prices; `None` without a mark or an underlying.
    pub(crate) fn make_leg(&self, slot: u32, with_scenarios: bool) -> Option<Leg> {
        let instrument = self.instrument(slot);
        let terms = &instrument.terms;
        let id = instrument.extra.underlying?;
        let known = self.extension.underlyings.get(&id)?;
        let mark = instrument.mark?;
        let size = lot_size(terms)?;
        let settlement = match terms.style {
            Style::Inverse => Settlement::Coin,
            Style::Linear => Settlement::Quote,
        };
        let mut leg = Leg {
            is_option: matches!(terms.kind, InstrumentKind::Option { .. }),
            coins: size,
            mark: 0,
            settlement,
            short_coin: Requirement::default(),
            expiry_ms: terms.expiry().map(in_ms),
            scenarios: None,
        };
        match terms.kind {
            InstrumentKind::Spot => return None,
            InstrumentKind::Perpetual | InstrumentKind::Future { .. } => {
                leg.mark = mark_in(instrument, mark, 10)?;
                if settlement == Settlement::Coin {
                    let coins = mul_div(size, PRICE_ONE, leg.mark, Rounding::HalfEven);
                    leg.coins = coins.ok()?;
                }
            }
            InstrumentKind::Option { expiry, strike, right } => {
                let position = OptionPosition {
                    settlement,
                    right: match right {
                        OptionRight::Call => Right::Call,
                        OptionRight::Put => Right::Put,
                    },
                    coins: -ATTO,
                    underlying: known.forward_of(expiry)?.price.0.into(),
                    strike: strike.in_units(Price::SCALE)?,
                    mark: mark_in(instrument, mark, 18)?,
                };
                leg.short_coin = standard_parameters(&known.terms.standard).option(&position);
            }
        }
        if with_scenarios {
            leg.scenarios = Some(self.make_scenarios(instrument, known, &leg)?);
        }
        Some(leg)
    }

    fn make_scenarios(
        &self,
        instrument: &InstrumentState,
        known: &UnderlyingState,
        leg: &Leg,
    ) -> Option<Scenarios> {
        let model = self.extension.prices.models.get(&known.terms.id)?;
        let (vector, delta) = match instrument.terms.kind {
            InstrumentKind::Spot => return None,
            InstrumentKind::Option { .. } => {
                let value = OptionValue::of(known, instrument.terms.kind)?;
                model.grid().option(&value.lot(leg.settlement, leg.coins))
            }
            InstrumentKind::Perpetual | InstrumentKind::Future { .. } => {
                let (settlement, size, price) = (leg.settlement, leg.coins, leg.mark);
                (model.grid().future(&FutureLot { settlement, coins: size, price }), leg.coins)
            }
        };
        let expiry = instrument.terms.expiry();
        let valued = expiry.and_then(|at| known.valued.get(&at)).copied();
        let price = match expiry {
            Some(at) => known.forward_of(at),
            None => known.index,
        };
        let market = RiskMarket {
            settlement: leg.settlement,
            index_price: price?.price.0.into(),
            now_ms: in_ms(valued.unwrap_or_default()),
        };
        let group = ExpiryDelta { expiry_ms: leg.expiry_ms, delta, legs: 1 };
        let roll_shock = model.roll_shock_of(&group, &market);
        Some(Scenarios { vector, delta, roll_shock })
    }

    /// Sees to it that an instrument's leg is there, if it can be.
    pub(crate) fn ensure_leg(&mut self, slot: u32, with_scenarios: bool) {
        let known = &self.instruments[slot as usize].extra.leg;
        let is_there = known.as_ref().is_some_and(|leg| !with_scenarios || leg.scenarios.is_some());
        if !is_there {
            self.instruments[slot as usize].extra.leg =
                self.make_leg(slot, with_scenarios).map(Box::new);
        }
    }

    /// The market behind an underlying's contingencies; `None` without an index.
    pub(crate) fn risk_market(
        &self,
        known: &UnderlyingState,
        settlement: Settlement,
    ) -> Option<RiskMarket> {
        let index_price = known.index?.price.0.into();
        Some(RiskMarket { settlement, index_price, now_ms: in_ms(known.revised) })
    }
}

/// The model of an underlying's portfolio margin; its bounds were checked with the parameters.
pub(crate) fn risk_model(terms: &Underlying) -> Option<RiskModel> {
    RiskModel::new(&portfolio_parameters(terms)).ok()
}
