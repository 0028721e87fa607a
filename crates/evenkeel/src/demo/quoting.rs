//! How wide and how large each instrument is quoted.

use super::calibration::{self, LINEAR_HALF_SPREAD, OPTION_SPREADS, QUOTED_LOTS};
use super::plan::MarketPlan;
use super::price::{decimal_to_float, price_of};
use evenkeel_types::{Instrument, InstrumentId, InstrumentKind, Style, Ticks, Timestamp};

/// Sizes quoted and taken in instruments traded by the dollar.
const QUOTED_DOLLARS: (f64, f64) = (1_000.0, 50_000.0);
const TAKEN_DOLLARS: (f64, f64) = (100.0, 5_000.0);
/// Lots of an option that a taker takes: well below what is quoted.
const TAKEN_OPTION_LOTS: (i64, i64) = (1, 8);

/// What traders know of an instrument.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub id: InstrumentId,
    pub is_option: bool,
    pub is_spot: bool,
    pub is_perpetual: bool,
    pub expiry: Option<Timestamp>,
    /// Smallest and largest size of a quote.
    pub quoted_lots: (i64, i64),
    /// Smallest and largest size taken at once.
    pub taken_lots: (i64, i64),
    /// Price of one tick.
    tick: f64,
}

impl Listed {
    pub fn new(instrument: &Instrument, plan: &MarketPlan) -> Self {
        let is_option = matches!(instrument.kind, InstrumentKind::Option { .. });
        let (quoted_lots, taken_lots) = if is_option {
            (QUOTED_LOTS, TAKEN_OPTION_LOTS)
        } else {
            let lot = lot_dollars(instrument, plan);
            (lots_of(QUOTED_DOLLARS, lot), lots_of(TAKEN_DOLLARS, lot))
        };
        Self {
            id: instrument.id,
            is_option,
            is_spot: instrument.kind == InstrumentKind::Spot,
            is_perpetual: instrument.kind == InstrumentKind::Perpetual,
            expiry: instrument.expiry(),
            quoted_lots,
            taken_lots,
            tick: price_of(Ticks(1), instrument),
        }
    }

    /// Half of the spread around this mark, at least one tick.
    pub fn half_spread_ticks(&self, mark: Ticks) -> i64 {
        let price = decimal_to_float(mark.0.into(), 0) * self.tick;
        let half = if self.is_option {
            let spread = OPTION_SPREADS.iter().find(|(below, _)| price < *below);
            spread.map_or(0.0, |(_, spread)| spread / 2.0)
        } else {
            price * LINEAR_HALF_SPREAD
        };
        whole(half / self.tick).max(1)
    }
}

/// About how many dollars one lot is.
fn lot_dollars(instrument: &Instrument, plan: &MarketPlan) -> f64 {
    let size = |part: evenkeel_types::Decimal| decimal_to_float(part.mantissa(), part.scale());
    let lot = size(instrument.lot) * size(instrument.contract_size);
    if instrument.style == Style::Inverse {
        return lot;
    }
    let code = plan.currencies.iter().find(|listed| listed.id == instrument.base);
    let is_ether = code.is_some_and(|listed| listed.code.as_str() == calibration::ETH.code);
    let underlying = if is_ether { calibration::ETH } else { calibration::BTC };
    lot * underlying.index
}

fn lots_of((low, high): (f64, f64), lot_dollars: f64) -> (i64, i64) {
    let low = whole(low / lot_dollars).max(1);
    (low, whole(high / lot_dollars).max(low))
}

#[expect(clippy::cast_possible_truncation, reason = "a float to integer cast saturates")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}
