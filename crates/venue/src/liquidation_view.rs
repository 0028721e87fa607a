//! What an outsider may see of settlement, funding, liquidations and the insurance fund.

use crate::engine::Engine;
use crate::view::{BalanceView, PositionView};
use evenkeel_types::event::MarginFigures;
use evenkeel_types::oracle::Price;
use evenkeel_types::{AccountId, CurrencyId, InstrumentId, Money, Timestamp};

/// A liquidation under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiquidationView {
    /// Whose.
    pub account: AccountId,
    /// When it began; `None` if it is due and waits for fresh prices, grace or a veto.
    pub since: Option<Timestamp>,
    /// Rounds so far.
    pub round: u32,
    /// Of them, the last ones in a row in which nothing could be traded.
    pub idle_rounds: u32,
    /// When the account is looked at again.
    pub next: Timestamp,
    /// What the last look found, in the numeraire's smallest unit.
    pub figures: MarginFigures,
}

/// The insurance fund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundView {
    /// Its balances; negative: what it owes.
    pub balances: Vec<BalanceView>,
    /// What it took over and still holds.
    pub positions: Vec<PositionView>,
    /// What closing its positions at the marks would leave, all currencies together in the
    /// numeraire's smallest unit; `None` if a mark or an index is missing.
    pub equity: Option<Money>,
}

/// A perpetual's funding so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerpetualView {
    /// When the interval ends.
    pub until: Timestamp,
    /// Samples of the premium taken in it.
    pub samples: u64,
    /// Sum of the sampled premiums, in `10^-12` of the index.
    pub premium_sum: i128,
}

impl Engine {
    /// Liquidations under way or waiting to begin, in order of account ids.
    pub fn liquidations(&self) -> impl Iterator<Item = LiquidationView> + '_ {
        self.state.extension.liquidations.due.iter().filter_map(|(account, appointment)| {
            let slot = self.state.client_slot(*account).ok()?;
            let extra = &self.state.account(slot).extra;
            let under = extra.liquidation;
            Some(LiquidationView {
                account: *account,
                since: under.map(|it| it.since),
                round: under.map_or(0, |it| it.round),
                idle_rounds: under.map_or(0, |it| it.idle_rounds),
                next: appointment.at,
                figures: extra.record.figures,
            })
        })
    }

    /// The insurance fund; `None` before the upgrade to margin.
    #[must_use]
    pub fn fund(&self) -> Option<FundView> {
        let view = self.account(AccountId::FUND)?;
        let slot = self.state.fund()?;
        let equity = self.state.closing_equity(slot);
        let equity = equity.and_then(|it| self.state.worth_of_all(&it)).map(Money);
        Some(FundView { balances: view.balances, positions: view.positions, equity })
    }

    /// The price at which a dated instrument was settled; `None` while it is not.
    #[must_use]
    pub fn delivery_price(&self, instrument: InstrumentId) -> Option<Price> {
        let slot = self.state.instrument_slot(instrument).ok()?;
        self.state.instrument(slot).extra.delivered.price
    }

    /// A perpetual's present funding interval; `None` for another instrument, or before the first.
    #[must_use]
    pub fn funding(&self, instrument: InstrumentId) -> Option<PerpetualView> {
        let slot = self.state.instrument_slot(instrument).ok()?;
        let funding = self.state.instrument(slot).extra.funding;
        (funding.interval_end.0 != 0).then_some(PerpetualView {
            until: funding.interval_end,
            samples: funding.samples,
            premium_sum: funding.premium_sum,
        })
    }

    /// A currency's pools: fees, rounding, withdrawals that are not final.
    #[must_use]
    pub fn pools(&self, currency: CurrencyId) -> Option<evenkeel_types::event::Pools> {
        Some(self.state.currencies.get(&currency)?.extra.pools)
    }
}
