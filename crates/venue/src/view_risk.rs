//! Looking at prices and margin without changing anything.

use crate::engine::Engine;
use crate::risk::AccountMargin;

use evenkeel_types::oracle::{Price, Smile, Volatility};
use evenkeel_types::terms::{MarginModel, Underlying, VenueTerms};
use evenkeel_types::{AccountId, Timestamp, UnderlyingId};

/// The prices of an underlying that hold now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderlyingPrices {
    /// The index and the time of the oldest reading behind it.
    pub index: Option<(Price, Timestamp)>,
    /// Forwards by expiry.
    pub forwards: Vec<(Timestamp, Price)>,
    /// Volatility smiles by expiry.
    pub smiles: Vec<(Timestamp, Smile)>,
    /// Whether the index is not older than the bound.
    pub is_fresh: bool,
    /// Whether the fresh sources lie further apart than the rule allows.
    pub disagrees: bool,
    /// Margin factor in basis points.
    pub factor_bp: u32,
}

impl Engine {
    /// An underlying's volatility index; `None` before there is a smile to make it of.
    #[must_use]
    pub fn volatility_index(&self, underlying: UnderlyingId) -> Option<Volatility> {
        self.state.extension.underlyings.get(&underlying)?.breaker.index
    }

    /// The venue's parameters; `None` before they are set.
    #[must_use]
    pub fn venue_terms(&self) -> Option<&VenueTerms> {
        self.state.extension.terms.as_ref()
    }

    /// Underlyings in order of their ids.
    pub fn underlyings(&self) -> impl Iterator<Item = &Underlying> + '_ {
        self.state.extension.underlyings.values().map(|known| &known.terms)
    }

    /// An underlying's prices.
    #[must_use]
    pub fn prices(&self, underlying: UnderlyingId) -> Option<UnderlyingPrices> {
        let known = self.state.extension.underlyings.get(&underlying)?;
        Some(UnderlyingPrices {
            index: known.index.map(|quote| (quote.price, quote.time)),
            forwards: known.forwards.iter().map(|(at, quote)| (*at, quote.price)).collect(),
            smiles: known.smiles.iter().map(|(at, quote)| (*at, quote.smile)).collect(),
            is_fresh: self.state.is_fresh(underlying),
            disagrees: known.disagrees,
            factor_bp: known.factor.at(self.state.meta.time),
        })
    }

    /// How an account is margined.
    #[must_use]
    pub fn margin_model(&self, account: AccountId) -> Option<MarginModel> {
        let slot = self.state.client_slot(account).ok()?;
        Some(self.state.account(slot).extra.model)
    }

    /// An account's margin at the present prices, computed from nothing but the state.
    #[must_use]
    pub fn margin(&self, account: AccountId) -> Option<AccountMargin> {
        let slot = self.state.client_slot(account).ok()?;
        Some(self.state.full_margin_of(slot))
    }

    /// Compares the margin kept up fill by fill with one computed from nothing, account by account.
    ///
    /// # Errors
    /// The first account whose margins differ: a defect of this program.
    pub fn verify_margins(&mut self) -> Result<(), AccountId> {
        let accounts: Vec<u32> = self.state.account_slots.values().copied().collect();
        for slot in accounts {
            let kept = self.state.margin_of(slot);
            if kept != self.state.full_margin_of(slot) {
                return Err(self.state.account(slot).id);
            }
        }
        Ok(())
    }
}
