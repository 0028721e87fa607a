//! Liquidation in rounds, takeover by the insurance fund, auto-deleverage, socialised loss.

use crate::state::State;
use evenkeel_types::{AccountId, Event, Timestamp, canonical_struct};
use std::collections::BTreeMap;

/// An account in liquidation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnderLiquidation {
    pub since: Timestamp,
    pub next_round: Timestamp,
    pub round: u32,
    /// Rounds in a row without progress.
    pub idle_rounds: u32,
}
canonical_struct!(UnderLiquidation { since, next_round, round, idle_rounds });

/// What is under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Liquidations {
    /// Accounts in liquidation and the time of their next round.
    pub due: BTreeMap<AccountId, Timestamp>,
    /// Accounts still to be looked at since prices moved, riskiest and oldest first.
    pub sweep: Vec<AccountId>,
}
canonical_struct!(Liquidations { due, sweep });

impl State {
    /// Rounds that are due, and a part of the sweep.
    pub(crate) fn liquidate_due(&mut self, _events: &mut Vec<Event>) {}
}
