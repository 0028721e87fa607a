//! Owners, their accounts, and what of their collateral is free.
//!
//! An owner has a main account and sub-accounts of it, one level. Each account stands alone:
//! margin, liquidation and losses of one never touch another, be it of the same owner. What is free
//! may be moved between accounts of one owner, or withdrawn: the balance must hold it beyond what
//! orders reserve, and what is left must meet initial margin. An account in liquidation or in grace
//! has nothing free. Where positions or debts take prices to judge, they must be fresh; an account
//! that holds nothing and owes nothing needs none, so it can leave during an outage.

use crate::booking::Reason;
use crate::margin::has_headroom;
use crate::state::State;
use evenkeel_types::event::Booking;
use evenkeel_types::{
    AccountId, Collateral, CurrencyId, Event, Instrument, Money, OutcomeKind, RejectCode,
};

type Done = Result<OutcomeKind, RejectCode>;

impl State {
    /// Slot of an account that belongs to somebody: not the operator's, not the fund's.
    pub(crate) fn holder_slot(&self, account: AccountId) -> Result<u32, RejectCode> {
        if self.has_margin() && account == AccountId::FUND {
            return Err(RejectCode::FundOnly);
        }
        self.client_slot(account)
    }

    /// Whether an amount can be moved at all.
    pub(crate) fn check_amount(
        &self,
        currency: CurrencyId,
        amount: Money,
    ) -> Result<(), RejectCode> {
        if !self.currencies.contains_key(&currency) {
            return Err(RejectCode::UnknownCurrency);
        }
        if amount.0 <= 0 {
            return Err(RejectCode::AmountNotPositive);
        }
        if amount > Instrument::MAX_VALUE {
            return Err(RejectCode::ValueTooLarge);
        }
        Ok(())
    }

    /// An account in liquidation or in grace gives nothing away.
    pub(crate) fn check_not_held(&self, slot: u32) -> Result<(), RejectCode> {
        let extra = &self.account(slot).extra;
        if extra.liquidation.is_some() {
            return Err(RejectCode::InLiquidation);
        }
        if extra.grace.left_ms > 0 {
            return Err(RejectCode::InGrace);
        }
        Ok(())
    }

    /// Whether an account may give so much away: it is there, and initial margin is met without it.
    pub(crate) fn check_takeout(
        &mut self,
        slot: u32,
        currency: CurrencyId,
        amount: Money,
    ) -> Result<(), RejectCode> {
        if amount.0 > self.account(slot).free(currency) {
            return Err(RejectCode::InsufficientBalance);
        }
        self.check_not_held(slot)?;
        // Tried, looked at, taken back: nothing else reads the balance meanwhile.
        self.account_mut(slot).balance_mut(currency).balance.0 -= amount.0;
        let checked = self.check_collateral(slot);
        self.account_mut(slot).balance_mut(currency).balance.0 += amount.0;
        checked
    }

    pub(crate) fn open_sub_account(
        &mut self,
        account: AccountId,
        main: AccountId,
        collateral: Collateral,
        events: &mut Vec<Event>,
    ) -> Done {
        let main_slot = self.holder_slot(main)?;
        if self.account(main_slot).extra.main.is_some() {
            return Err(RejectCode::BadTerms);
        }
        let slot = self.add_account(account, collateral)?;
        self.account_mut(slot).extra.main = Some(main);
        events.push(Event::SubAccountOpened { account, main, collateral });
        Ok(OutcomeKind::Done)
    }

    pub(crate) fn transfer_between(
        &mut self,
        from: u32,
        to: AccountId,
        (currency, amount): (CurrencyId, Money),
        events: &mut Vec<Event>,
    ) -> Done {
        self.holder_slot(self.account(from).id)?;
        let to = self.holder_slot(to)?;
        if self.owner_id(from) != self.owner_id(to) {
            return Err(RejectCode::NotSameOwner);
        }
        if from == to {
            return Err(RejectCode::BadTerms);
        }
        self.check_amount(currency, amount)?;
        let credited = Money(self.account(to).balance(currency).balance.0 + amount.0);
        if !has_headroom(credited) {
            return Err(RejectCode::ValueTooLarge);
        }
        self.check_takeout(from, currency, amount)?;
        let reason: Reason = (Booking::Transfer, None);
        self.book(from, currency, -amount.0, reason, events);
        self.book(to, currency, amount.0, reason, events);
        Ok(OutcomeKind::Done)
    }

    /// Feeds the insurance fund from outside.
    pub(crate) fn fund_insurance(
        &mut self,
        currency: CurrencyId,
        amount: Money,
        events: &mut Vec<Event>,
    ) -> Done {
        self.check_amount(currency, amount)?;
        let fund = self.fund().ok_or(RejectCode::UnknownAccount)?;
        let credited = Money(self.account(fund).balance(currency).balance.0 + amount.0);
        let net_deposits = Money(self.net_deposits(currency).0 + amount.0);
        if ![credited, net_deposits].into_iter().all(has_headroom) {
            return Err(RejectCode::ValueTooLarge);
        }
        self.book(fund, currency, amount.0, (Booking::Insurance, None), events);
        self.set_net_deposits(currency, net_deposits, events);
        Ok(OutcomeKind::Done)
    }

    /// Takes collected fees out.
    pub(crate) fn pay_fees(
        &mut self,
        currency: CurrencyId,
        amount: Money,
        events: &mut Vec<Event>,
    ) -> Done {
        self.check_amount(currency, amount)?;
        let known = self.currencies.get(&currency).ok_or(RejectCode::UnknownCurrency)?;
        if amount > known.extra.pools.fees {
            return Err(RejectCode::InsufficientBalance);
        }
        let net_deposits = Money(known.net_deposits.0 - amount.0);
        if !has_headroom(net_deposits) {
            return Err(RejectCode::ValueTooLarge);
        }
        self.change_pools(currency, |pools| pools.fees.0 -= amount.0, events);
        self.set_net_deposits(currency, net_deposits, events);
        Ok(OutcomeKind::Done)
    }

    /// Sets what came in less what left, and tells it.
    pub(crate) fn set_net_deposits(
        &mut self,
        currency: CurrencyId,
        net_deposits: Money,
        events: &mut Vec<Event>,
    ) {
        if let Some(known) = self.currencies.get_mut(&currency) {
            known.net_deposits = net_deposits;
            events.push(Event::NetDepositsChanged { currency, net_deposits });
        }
    }
}
