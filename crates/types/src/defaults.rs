//! Parameters that a venue starts from. Margin rates, powers, fees and windows are those that
//! Deribit publishes; what it does not publish (limits, breakers, grace) is chosen here and said
//! so.

use crate::ids::{CurrencyId, SourceId, UnderlyingId};
use crate::instrument::Symbol;
use crate::money::Money;
use crate::oracle::OracleRule;
use crate::regime::{BreakerTerms, GraceTerms};
use crate::terms::{
    Delivery, FeeTerms, Haircut, LimitTerms, LossRule, PortfolioTerms, SettlementTerms,
    StandardTerms, Underlying, VenueTerms,
};

const MINUTE_MS: u64 = 60_000;

impl StandardTerms {
    /// Futures 2 % and 1 % and 0.005 % per coin; options 15 %, 10 % and 7.5 %.
    pub const BTC: Self = Self {
        future_initial: 20_000,
        future_maintenance: 10_000,
        future_slope: 50,
        option_initial: 150_000,
        option_initial_floor: 100_000,
        option_maintenance: 75_000,
    };
    /// As for BTC, but 0.0004 % per coin.
    pub const ETH: Self = Self { future_slope: 4, ..Self::BTC };
    /// Futures 4 % and 2 % and 0.0005 % per coin.
    pub const SOL: Self =
        Self { future_initial: 40_000, future_maintenance: 20_000, future_slope: 5, ..Self::BTC };
}

impl PortfolioTerms {
    /// Range 16 %, volatility +50 % and −25 %.
    pub const BTC: Self = Self {
        price_range: 160_000,
        volatility_range_up: 500_000,
        volatility_range_down: 250_000,
        short_term_vega_power: 300_000,
        long_term_vega_power: 130_000,
        min_volatility_for_shock_up: 500_000,
        buckets_count: 4,
        extended_table_factor: 1_000_000,
        extended_dampener: 100_000,
        max_delta_shock: 100_000,
        delta_total_liq_shock_threshold: 20_000_000,
        annualised_move_risk: 75_000,
        min_annualised_move: 10_000,
        pnl_offset: 0,
        max_offsetable_pnl: 0,
        maintenance_factor: 800_000,
    };
    /// Range 18 %, volatility +40 % and −25 %.
    pub const ETH: Self = Self {
        price_range: 180_000,
        volatility_range_up: 400_000,
        extended_dampener: 200_000,
        annualised_move_risk: 50_000,
        min_annualised_move: 5_000,
        ..Self::BTC
    };
}

impl FeeTerms {
    /// Futures 0.05 % taker and nothing for the maker, options 0.03 % of the underlying, capped at
    /// 12.5 % of the premium; delivery 0.015 % and 0.025 %. A tenth of all fees and the whole fee
    /// of liquidations (0.5 %) feed the insurance fund (chosen).
    pub const DERIBIT: Self = Self {
        future_maker: 0,
        future_taker: 500,
        option_maker: 300,
        option_taker: 300,
        option_cap: 125_000,
        option_delivery: 150,
        future_delivery: 250,
        liquidation: 5_000,
        fund_share: 100_000,
    };
}

impl LimitTerms {
    /// Chosen: a band of 5 %, a slip of the hand at 30 %, 2,000 open orders.
    pub const USUAL: Self = Self {
        price_band_bp: 500,
        fat_finger_bp: 3_000,
        order_micros: 0,
        position_micros: 0,
        open_orders: 2_000,
    };
}

impl SettlementTerms {
    /// The delivery price is the mean of the index over half an hour before expiry; funding every
    /// 8 hours, damped by 0.025 % (published), capped at 0.5 % (published for BTC).
    pub const DERIBIT: Self = Self {
        delivery: Delivery::Cash,
        window_ms: 30 * MINUTE_MS,
        sample_ms: 4_000,
        min_samples: 100,
        funding_interval_ms: 8 * 60 * MINUTE_MS,
        funding_damper: 250,
        funding_cap: 5_000,
    };
}

impl BreakerTerms {
    /// Chosen, and back-tested on recorded crash days: an index of 250 %, a rise of 40 points in
    /// five minutes.
    pub const USUAL: Self = Self {
        volatility_level: 2_500_000,
        volatility_rise: 400_000,
        volatility_window_ms: 5 * MINUTE_MS,
        stale_ms: 2_000,
        band_hits: 1_000,
        band_window_ms: 10_000,
        negative_equity: Money(0),
        cooldown_ms: MINUTE_MS,
        step_ms: MINUTE_MS / 2,
        auction_ms: MINUTE_MS / 3,
    };
}

impl GraceTerms {
    /// Chosen: five minutes, at most fifteen a day; a veto of two for ten minutes.
    pub const USUAL: Self = Self {
        grace_ms: 5 * MINUTE_MS,
        daily_cap_ms: 15 * MINUTE_MS,
        veto_quorum: 2,
        veto_ms: 10 * MINUTE_MS,
    };
}

impl Underlying {
    /// An underlying with the usual parameters and BTC's margin; the caller changes what differs.
    #[must_use]
    pub fn usual(
        id: UnderlyingId,
        symbol: Symbol,
        (base, quote): (CurrencyId, CurrencyId),
        sources: Vec<SourceId>,
    ) -> Self {
        Self {
            id,
            symbol,
            base,
            quote,
            oracle: OracleRule::usual(sources),
            standard: StandardTerms::BTC,
            portfolio: PortfolioTerms::BTC,
            fees: FeeTerms::DERIBIT,
            limits: LimitTerms::USUAL,
            settlement: SettlementTerms::DERIBIT,
            breakers: BreakerTerms::USUAL,
        }
    }
}

impl OracleRule {
    /// A majority of the sources, fresh within 5 seconds, at most 1 % apart; a point of the surface
    /// moves at most 5 points a second. All chosen.
    #[must_use]
    pub fn usual(sources: Vec<SourceId>) -> Self {
        let majority = u32::try_from(sources.len() / 2 + 1).unwrap_or(u32::MAX);
        Self {
            sources,
            quorum: majority,
            fresh_ms: 5_000,
            disagreement_bp: 100,
            volatility_step: 50_000,
        }
    }
}

impl VenueTerms {
    /// One round of liquidation a second (published); collateral at the given haircuts; the rest
    /// chosen.
    #[must_use]
    pub fn usual(numeraire: CurrencyId, haircuts: Vec<Haircut>) -> Self {
        Self {
            numeraire,
            haircuts,
            liquidation_interval_ms: 1_000,
            liquidation_band_bp: 300,
            takeover_rounds: 10,
            loss_rule: LossRule::AutoDeleverage,
            max_step_ms: 10 * MINUTE_MS,
            grace: GraceTerms::USUAL,
            open_orders: 5_000,
            sweep_accounts: 4,
        }
    }
}
