//! What rules 2 add to the state: margin and everything on it. Under rules 1 all of it is at its
//! default and in no leaf, so that a journal from before the upgrade gives the roots it always
//! gave.

use crate::flows::Flows;
use crate::funding::Funding;
use crate::grace::Grace;
use crate::keys::Keys;
use crate::liquidation::{Liquidations, UnderLiquidation};
use crate::marks::PriceCache;
use crate::oracle::UnderlyingState;
use crate::own_orders::OwnOrders;
use crate::protection::Protections;
use crate::regime::Regime;
use crate::risk::RiskRecord;
use crate::risk::cache::RiskCache;
use crate::risk::leg::Leg;
use crate::risk::sweep::{SweepOrder, SweepState};
use crate::schedule::Schedule;
use crate::settlement::Delivered;
use crate::throttle::{SentOrders, Throttle};
use crate::trades::RecentTrades;
use crate::triggers::Triggers;
use evenkeel_types::canonical_struct;
use evenkeel_types::event::Pools;
use evenkeel_types::terms::{MarginModel, VenueTerms};
use evenkeel_types::{AccountId, Timestamp, UnderlyingId};
use std::collections::BTreeMap;

/// Rules of a venue that was never upgraded: orders are covered by flat reserves.
pub(crate) const FIRST_RULES: u32 = 1;
/// Rules with margin.
pub(crate) const MARGIN_RULES: u32 = 2;

/// The venue's part.
#[derive(Debug, Clone)]
pub(crate) struct Extension {
    /// [`FIRST_RULES`] or [`MARGIN_RULES`].
    pub rules: u32,
    /// Time of the entry before the present one.
    pub last_time: Timestamp,
    pub terms: Option<VenueTerms>,
    pub underlyings: BTreeMap<UnderlyingId, UnderlyingState>,
    pub flows: Flows,
    pub regime: Regime,
    pub triggers: Triggers,
    pub trades: RecentTrades,
    pub liquidations: Liquidations,
    pub throttle: Throttle,
    pub sweep: SweepState,
    /// Derived from prices and instruments.
    pub prices: PriceCache,
    /// Derived from the accounts' records.
    pub sweep_order: SweepOrder,
    /// What is due when; derived.
    pub schedule: Schedule,
}

impl Default for Extension {
    fn default() -> Self {
        Self {
            rules: FIRST_RULES,
            last_time: Timestamp(0),
            terms: None,
            underlyings: BTreeMap::new(),
            flows: Flows::default(),
            regime: Regime::default(),
            triggers: Triggers::default(),
            trades: RecentTrades::default(),
            liquidations: Liquidations::default(),
            throttle: Throttle::default(),
            sweep: SweepState::default(),
            prices: PriceCache::default(),
            sweep_order: SweepOrder::default(),
            schedule: Schedule::default(),
        }
    }
}

/// An account's part.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountExtra {
    /// `None` for a main account.
    pub main: Option<AccountId>,
    pub model: MarginModel,
    pub keys: Keys,
    pub protections: Protections,
    pub record: RiskRecord,
    pub grace: Grace,
    pub liquidation: Option<UnderLiquidation>,
    pub sent: SentOrders,
    /// Derived from its orders.
    pub own: OwnOrders,
    /// Derived from positions and prices.
    pub cache: RiskCache,
}

/// An instrument's part.
#[derive(Debug, Clone, Default)]
pub(crate) struct InstrumentExtra {
    /// The underlying with its base and quote; derived.
    pub underlying: Option<UnderlyingId>,
    pub delivered: Delivered,
    pub funding: Funding,
    /// One lot at the present prices; derived.
    pub leg: Option<Box<Leg>>,
    /// Orders that the price band refused since then, within the breaker's window.
    pub band_hits: u32,
    pub band_window_from: Timestamp,
}

/// A currency's part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CurrencyExtra {
    pub pools: Pools,
    pub is_stalled: bool,
}
canonical_struct!(CurrencyExtra { pools, is_stalled });
