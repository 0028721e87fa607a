//! Money that moves for another reason than a trade's price.
//!
//! Every movement is told twice: why (`Booked`) and to what (`BalanceChanged`, `PoolsChanged`).

use crate::margin::has_headroom;
use crate::state::State;
use evenkeel_types::event::{Booking, Pools};
use evenkeel_types::money::mul_div;
use evenkeel_types::{AccountId, CurrencyId, Event, InstrumentId, Money, Rounding};

/// Largest amount that one booking moves. With balances within [`crate::state::HEADROOM`] before, a
/// settlement of all 2^20 instruments at once stays below 2^125.
pub(crate) const MAX_BOOKED: i128 = 1 << 100;

/// Why money moves, and for which instrument.
pub(crate) type Reason = (Booking, Option<InstrumentId>);

const MILLION: i128 = 1_000_000;

impl State {
    /// Slot of the insurance fund, from the upgrade to margin on.
    pub(crate) fn fund(&self) -> Option<u32> {
        self.account_slots.get(&AccountId::FUND).copied()
    }

    /// Credits (negative: debits) an account.
    pub(crate) fn book(
        &mut self,
        slot: u32,
        currency: CurrencyId,
        amount: i128,
        (why, instrument): Reason,
        events: &mut Vec<Event>,
    ) {
        if amount == 0 {
            return;
        }
        let owner = self.account_mut(slot);
        let (account, booked) = (owner.id, Money(amount));
        events.push(Event::Booked { account, currency, amount: booked, why, instrument });
        owner.adjust(currency, amount, 0, events);
    }

    /// Changes a currency's pools and tells their new values, unless nothing changes.
    pub(crate) fn change_pools(
        &mut self,
        currency: CurrencyId,
        change: impl FnOnce(&mut Pools),
        events: &mut Vec<Event>,
    ) {
        let Some(known) = self.currencies.get_mut(&currency) else {
            return;
        };
        let pools = &mut known.extra.pools;
        let before = *pools;
        change(pools);
        if *pools != before {
            let pools = *pools;
            events.push(Event::PoolsChanged { currency, pools });
        }
    }

    /// What rounding left over (negative: took).
    pub(crate) fn round_into_pool(
        &mut self,
        currency: CurrencyId,
        left_over: i128,
        events: &mut Vec<Event>,
    ) {
        self.change_pools(currency, |pools| pools.rounding.0 += left_over, events);
    }

    /// Puts a fee that was taken from accounts where it belongs: `fund_share` millionths of it,
    /// rounded down, to the insurance fund, the rest to the fees. Returns the fund's part.
    pub(crate) fn collect_fee(
        &mut self,
        currency: CurrencyId,
        fee: i128,
        fund_share: u32,
        reason: Reason,
        events: &mut Vec<Event>,
    ) -> i128 {
        let share = mul_div(fee, fund_share.into(), MILLION, Rounding::Floor);
        let share = share.unwrap_or_default().clamp(0, fee.max(0));
        match self.fund() {
            Some(fund) => {
                self.book(fund, currency, share, reason, events);
                self.change_pools(currency, |pools| pools.fees.0 += fee - share, events);
                share
            }
            None => {
                self.change_pools(currency, |pools| pools.fees.0 += fee, events);
                0
            }
        }
    }

    /// Whether an account can be credited (negative: debited) this much without leaving the range
    /// in which sums are safe.
    pub(crate) fn can_book(&self, slot: u32, currency: CurrencyId, amount: i128) -> bool {
        let is_small = amount.unsigned_abs() <= MAX_BOOKED.unsigned_abs();
        is_small && has_headroom(self.account(slot).balance(currency).balance)
    }

    /// Whether a currency's pools can take a settlement's fees and residue.
    pub(crate) fn can_pool(&self, currency: CurrencyId) -> bool {
        self.currencies.get(&currency).is_some_and(|known| {
            let Pools { fees, rounding, withdrawals } = known.extra.pools;
            [fees, rounding, withdrawals].into_iter().all(has_headroom)
        })
    }
}
