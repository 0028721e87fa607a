//! Margin of accounts: the figures, kept incrementally, equal to a full recomputation.
//!
//! Margin is a pure function of the state: positions, prices, parameters. The cache only saves
//! work; a figure asked for is always that of the present prices.
//!
//! # Standard margin
//! Each position by its own formula ([`StandardTerms`](evenkeel_types::terms::StandardTerms)). What
//! margin is held against is the balance and the unrealised profit of futures; options' premiums
//! were paid, so a long option counts for nothing and a short one's requirement includes its mark.
//!
//! # Portfolio margin
//! The worst of the scenarios over all positions of one underlying and settlement currency, and
//! contingencies ([`PortfolioTerms`](evenkeel_types::terms::PortfolioTerms)); options' values
//! count.
//!
//! # Open orders
//! Initial margin also covers what open orders could make of the positions, whichever of them
//! fill: under standard margin the larger of the two positions that all buys or all sells would
//! lead to, under portfolio margin in each scenario the side of each book that would lose. Premiums
//! of options to buy, and spot orders, reserve balance order by order instead.
//!
//! # Currencies
//! Per currency, margin balance less requirements is a surplus or a need. In the numeraire a need
//! counts in full at the index, a surplus less its haircut; a surplus of a currency that the
//! venue's terms do not name counts for nothing. All roundings go against the account.

pub(crate) mod cache;
pub(crate) mod figures;
mod keep;
pub(crate) mod leg;
mod levers;
mod orders;
pub(crate) mod sweep;
#[cfg(test)]
mod sweep_tests;

use evenkeel_types::event::MarginFigures;
use evenkeel_types::{CurrencyId, Money, Timestamp, canonical_struct};

pub(crate) use levers::FACTOR_MAX_BP;

/// What the last look at an account found; it orders the next sweep.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RiskRecord {
    /// Whether it is looked at when prices move.
    pub is_member: bool,
    pub checked: Timestamp,
    /// [`sweep::SweepState::changes`] at that time.
    pub changes: u64,
    /// What was left above maintenance, in basis points of what maintenance takes.
    pub cushion_bp: i64,
    pub figures: MarginFigures,
}
canonical_struct!(RiskRecord { is_member, checked, changes, cushion_bp, figures });

/// An account's margin in one currency, in its smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyMargin {
    /// The currency.
    pub currency: CurrencyId,
    /// What margin is held against: balance, unrealised profit, and (portfolio margin) options'
    /// values.
    pub margin_balance: Money,
    /// Initial margin of positions and of what open orders could make of them.
    pub initial: Money,
    /// Maintenance margin of positions.
    pub maintenance: Money,
    /// What open orders reserve of the balance.
    pub reserved: Money,
}

/// An account's margin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountMargin {
    /// Ascending by currency.
    pub currencies: Vec<CurrencyMargin>,
    /// In the numeraire.
    pub figures: MarginFigures,
    /// Oldest time of a price behind it; the present time if there is no price behind it, `None`
    /// if a price that it needs is not there.
    pub priced: Option<Timestamp>,
    /// Whether every price behind it is there and within its underlying's bound of age.
    pub is_fresh: bool,
}
