//! The venue's parameters: everything that a rulebook would print.

use crate::ids::{CurrencyId, UnderlyingId};
use crate::instrument::Symbol;
use crate::oracle::OracleRule;
use crate::regime::{BreakerTerms, GraceTerms};
use crate::{canonical_enum, canonical_struct};

/// How an account is margined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MarginModel {
    /// Each position by its own formula.
    #[default]
    Standard,
    /// The worst of many scenarios of the whole portfolio.
    Portfolio,
}
canonical_enum!(MarginModel { 1 => Standard, 2 => Portfolio });

/// Standard margin. Rates are millionths (20,000 is 2 %).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardTerms {
    /// Initial margin of futures at size zero.
    pub future_initial: u32,
    /// Maintenance margin of futures at size zero.
    pub future_maintenance: u32,
    /// Added to both per base coin of position size.
    pub future_slope: u32,
    /// Highest initial rate of a short option before its out-of-the-money amount.
    pub option_initial: u32,
    /// Lowest initial rate of a short option.
    pub option_initial_floor: u32,
    /// Maintenance rate of a short option.
    pub option_maintenance: u32,
}
canonical_struct!(StandardTerms {
    future_initial,
    future_maintenance,
    future_slope,
    option_initial,
    option_initial_floor,
    option_maintenance,
});

/// Portfolio margin, named as Deribit names its parameters. Rates and powers are millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortfolioTerms {
    /// Largest move of the price grid.
    pub price_range: u32,
    /// Relative volatility move upward.
    pub volatility_range_up: u32,
    /// Relative volatility move downward.
    pub volatility_range_down: u32,
    /// Power of 30 days / days to expiry below 30 days.
    pub short_term_vega_power: u32,
    /// The same from 30 days.
    pub long_term_vega_power: u32,
    /// Least volatility of an upward move.
    pub min_volatility_for_shock_up: u32,
    /// Price buckets on each side of the present price.
    pub buckets_count: u32,
    /// Scales extended moves' losses.
    pub extended_table_factor: u32,
    /// Damps extended moves' losses, in whole units of the quote currency.
    pub extended_dampener: u64,
    /// Largest delta shock.
    pub max_delta_shock: u32,
    /// Delta (whole quote units) from which the delta shock grows.
    pub delta_total_liq_shock_threshold: u64,
    /// Risk of a year's roll.
    pub annualised_move_risk: u32,
    /// Least risk of a roll.
    pub min_annualised_move: u32,
    /// Share of a bucket's profit that offsets losses elsewhere.
    pub pnl_offset: u32,
    /// Most profit that may offset, whole quote units; 0: no bound.
    pub max_offsetable_pnl: u64,
    /// Maintenance margin as a share of the risk matrix.
    pub maintenance_factor: u32,
}
canonical_struct!(PortfolioTerms {
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
});

/// Fees in millionths of the value (futures) or of the underlying (options); negative: a rebate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeTerms {
    /// Futures and perpetuals, maker.
    pub future_maker: i32,
    /// Futures and perpetuals, taker.
    pub future_taker: i32,
    /// Options, maker, of the underlying's value.
    pub option_maker: i32,
    /// Options, taker, of the underlying's value.
    pub option_taker: i32,
    /// An option's fee is at most this share of its premium, in millionths.
    pub option_cap: u32,
    /// On delivery of options, of the underlying's value, capped likewise.
    pub option_delivery: u32,
    /// On delivery of futures.
    pub future_delivery: u32,
    /// On what a liquidation trades, to the insurance fund.
    pub liquidation: u32,
    /// Share of all other fees that goes to the insurance fund, in millionths.
    pub fund_share: u32,
}
canonical_struct!(FeeTerms {
    future_maker,
    future_taker,
    option_maker,
    option_taker,
    option_cap,
    option_delivery,
    future_delivery,
    liquidation,
    fund_share,
});

/// Bounds on orders and positions. Zero means no bound. Basis points are of the mark (futures) or
/// of the underlying (options, whose premium may be tiny).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitTerms {
    /// No order trades or rests further from the mark than this on the aggressive side.
    pub price_band_bp: u32,
    /// An order further away than this is taken for a slip of the hand and refused.
    pub fat_finger_bp: u32,
    /// Largest order, in millionths of a base coin.
    pub order_micros: u64,
    /// Largest net position of an account in an instrument, in millionths of a base coin.
    pub position_micros: u64,
    /// Most open orders of an account in this underlying.
    pub open_orders: u32,
}
canonical_struct!(LimitTerms {
    price_band_bp,
    fat_finger_bp,
    order_micros,
    position_micros,
    open_orders,
});

/// How dated instruments settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The difference is paid in the settlement currency.
    Cash,
    /// The coin itself changes hands, through the withdrawal path.
    Physical,
}
canonical_enum!(Delivery { 1 => Cash, 2 => Physical });

/// Expiry and funding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlementTerms {
    /// Linear dated instruments: cash or the coin itself. Inverse ones always settle in coin.
    pub delivery: Delivery,
    /// Window of the delivery price before expiry.
    pub window_ms: u64,
    /// Spacing of the index samples in the window.
    pub sample_ms: u64,
    /// Fewest samples for a delivery price; with fewer the documented fallback applies.
    pub min_samples: u32,
    /// Funding interval of perpetuals.
    pub funding_interval_ms: u64,
    /// Premium that funds nothing, in millionths.
    pub funding_damper: u32,
    /// Largest funding rate per interval, in millionths.
    pub funding_cap: u32,
}
canonical_struct!(SettlementTerms {
    delivery,
    window_ms,
    sample_ms,
    min_samples,
    funding_interval_ms,
    funding_damper,
    funding_cap,
});

/// An underlying: an index, and the rules of everything traded on it. Instruments belong to the
/// underlying with their base and quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underlying {
    /// Its id.
    pub id: UnderlyingId,
    /// Its name, e.g. `BTC-USD`.
    pub symbol: Symbol,
    /// The coin.
    pub base: CurrencyId,
    /// The currency of the index.
    pub quote: CurrencyId,
    /// How its prices are made.
    pub oracle: OracleRule,
    /// Standard margin.
    pub standard: StandardTerms,
    /// Portfolio margin.
    pub portfolio: PortfolioTerms,
    /// Fees.
    pub fees: FeeTerms,
    /// Limits.
    pub limits: LimitTerms,
    /// Expiry and funding.
    pub settlement: SettlementTerms,
    /// Breakers.
    pub breakers: BreakerTerms,
}
canonical_struct!(Underlying {
    id,
    symbol,
    base,
    quote,
    oracle,
    standard,
    portfolio,
    fees,
    limits,
    settlement,
    breakers,
});

/// What happens to a loss that the insurance fund cannot bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LossRule {
    /// Opposite positions are closed against it, by rank.
    #[default]
    AutoDeleverage,
    /// It is taken from the profits of all who hold the instrument's other side.
    Socialise,
}
canonical_enum!(LossRule { 1 => AutoDeleverage, 2 => Socialise });

/// Share of a currency's surplus that counts for other currencies' needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Haircut {
    /// The currency.
    pub currency: CurrencyId,
    /// Taken off, in millionths.
    pub haircut: u32,
}
canonical_struct!(Haircut { currency, haircut });

/// Parameters of the venue as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VenueTerms {
    /// The currency in which accounts' surpluses and needs are added up.
    pub numeraire: CurrencyId,
    /// Collateral beside the numeraire, ascending; a currency that is not here counts only for its
    /// own needs.
    pub haircuts: Vec<Haircut>,
    /// Time between two rounds of an account's liquidation.
    pub liquidation_interval_ms: u64,
    /// Furthest from the mark that a liquidation's order may trade, in basis points as in
    /// [`LimitTerms`].
    pub liquidation_band_bp: u32,
    /// Rounds without progress after which the insurance fund takes over.
    pub takeover_rounds: u32,
    /// What follows when the fund is empty.
    pub loss_rule: LossRule,
    /// A step of time larger than this without a quorum of sources' time halts the venue.
    pub max_step_ms: u64,
    /// Grace and veto.
    pub grace: GraceTerms,
    /// Most open orders of an account.
    pub open_orders: u32,
    /// Accounts whose margin is looked at again per entry after prices moved.
    pub sweep_accounts: u32,
}
canonical_struct!(VenueTerms {
    numeraire,
    haircuts,
    liquidation_interval_ms,
    liquidation_band_bp,
    takeover_rounds,
    loss_rule,
    max_step_ms,
    grace,
    open_orders,
    sweep_accounts,
});
