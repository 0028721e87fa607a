//! Everything that influences later output.
//!
//! Slots are indexes into dense vectors, in order of definition; they differ between an engine
//! and its restored copy, so nothing outside this crate and no ordering depends on them.

use crate::book::Book;
use crate::extension::{AccountExtra, CurrencyExtra, Extension, InstrumentExtra};
use crate::orders::{NIL, Orders};
use crate::sessions::Sessions;
use crate::skips::Skips;
use evenkeel_types::instrument::Valuation;
use evenkeel_types::{
    AccountId, Collateral, Currency, CurrencyId, Event, Instrument, InstrumentId, Lots, Mode,
    Money, OrderId, Position, RejectCode, Side, Term, Ticks, Timestamp, TradeId,
};
use std::collections::BTreeMap;

/// Slot of [`AccountId::OPERATOR`], which exists from the start.
pub(crate) const OPERATOR_SLOT: u32 = 0;

/// Largest magnitude of a balance, basis or realised profit with which an account may still open
/// risk. The headroom above it is more than all open orders can move ([`crate::MAX_OPEN_ORDERS`]
/// orders of at most 2^91 units, 2^115 together; a trade's fees are at most its value), so no
/// addition on the way of a fill overflows: balance and basis stay below 2^125. Realised profit is
/// *basis − Σ signed fill values*; both terms were below 2^125 when the last order was accepted, so
/// it stays below 2^126.
pub(crate) const HEADROOM: i128 = 1 << 124;

/// Largest magnitude of money in any reachable state; a snapshot with more is refused.
pub(crate) const MAX_MONEY: i128 = 1 << 126;

/// Largest worst-case position: what is held plus everything open on the same side.
pub(crate) const MAX_POSITION: i64 = 1 << 52;

/// Most accounts.
pub(crate) const MAX_ACCOUNTS: usize = 1 << 24;
/// Most instruments.
pub(crate) const MAX_INSTRUMENTS: usize = 1 << 20;

/// Counters and switches.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub next_position: Position,
    pub time: Timestamp,
    pub term: Term,
    pub mode: Mode,
    pub mode_cause: u32,
    pub digest: [u8; 32],
    pub next_order: OrderId,
    pub next_trade: TradeId,
    /// `None` before the founding entry.
    pub venue: Option<[u8; 16]>,
    pub salt: [u8; 32],
}

/// A currency and what came from outside.
#[derive(Debug, Clone)]
pub(crate) struct CurrencyState {
    pub terms: Currency,
    /// Deposits less withdrawals: balances less open basis of futures sum up to it.
    pub net_deposits: Money,
    pub extra: CurrencyExtra,
    /// Balances less open basis of futures over all accounts, modulo 2^128; derived, kept from the
    /// upgrade to margin on.
    pub held: i128,
}

/// An instrument with its mark and book.
#[derive(Debug, Clone)]
pub(crate) struct InstrumentState {
    pub terms: Instrument,
    /// Derived from the terms.
    pub valuation: Valuation,
    /// Base coin per lot of a spot instrument, in the base currency's smallest unit; derived.
    pub base_per_lot: i128,
    /// `None` until marked in the present term.
    pub mark: Option<Ticks>,
    pub book: Book,
    pub extra: InstrumentExtra,
}

/// An account's money in one currency.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Balance {
    pub currency: CurrencyId,
    pub balance: Money,
    /// What its resting orders reserve: the sum of their reserves.
    pub reserved: Money,
    /// How much of the balance is in [`CurrencyState::held`]; derived.
    pub counted: Money,
}

impl Balance {
    /// Nothing.
    pub fn new(currency: CurrencyId) -> Self {
        Self { currency, balance: Money::ZERO, reserved: Money::ZERO, counted: Money::ZERO }
    }
}

/// An account's stake in one instrument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holding {
    pub instrument: InstrumentId,
    pub lots: Lots,
    pub basis: Money,
    pub realised: Money,
    /// Lots of its resting buys; derived from the orders.
    pub open_buy: i64,
    /// Lots of its resting sells; derived from the orders.
    pub open_sell: i64,
    /// How much of the basis is in [`CurrencyState::held`]; derived.
    pub counted: Money,
}

impl Holding {
    pub fn new(instrument: InstrumentId) -> Self {
        Self {
            instrument,
            lots: Lots::ZERO,
            basis: Money::ZERO,
            realised: Money::ZERO,
            open_buy: 0,
            open_sell: 0,
            counted: Money::ZERO,
        }
    }

    pub fn open_mut(&mut self, side: Side) -> &mut i64 {
        match side {
            Side::Buy => &mut self.open_buy,
            Side::Sell => &mut self.open_sell,
        }
    }

    /// The largest position on `side` if everything open there fills.
    pub fn worst(&self, side: Side) -> i64 {
        match side {
            Side::Buy => self.lots.0 + self.open_buy,
            Side::Sell => self.open_sell - self.lots.0,
        }
    }
}

/// An account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub id: AccountId,
    pub collateral: Collateral,
    /// Ascending by currency. An entry of zeros is the same as none.
    pub balances: Vec<Balance>,
    /// Ascending by instrument. An entry of zeros is the same as none.
    pub holdings: Vec<Holding>,
    /// The holdings' instruments again, close together: an account of a market maker holds
    /// hundreds, and a search through the holdings themselves would miss the cache at each step.
    pub held: Vec<InstrumentId>,
    pub sessions: Sessions,
    /// Ends of the list of its orders, ascending by order id.
    pub first_order: u32,
    pub last_order: u32,
    pub extra: AccountExtra,
}

impl Account {
    pub fn new(id: AccountId, collateral: Collateral) -> Self {
        Self {
            id,
            collateral,
            balances: Vec::new(),
            holdings: Vec::new(),
            held: Vec::new(),
            sessions: Sessions::default(),
            first_order: NIL,
            last_order: NIL,
            extra: AccountExtra::default(),
        }
    }

    /// Its money in a currency.
    pub fn balance(&self, currency: CurrencyId) -> Balance {
        let at = self.balances.binary_search_by_key(&currency, |b| b.currency);
        at.map_or(Balance::new(currency), |at| self.balances[at])
    }

    /// As [`Account::balance`], to change.
    pub fn balance_mut(&mut self, currency: CurrencyId) -> &mut Balance {
        let at = self.balances.binary_search_by_key(&currency, |b| b.currency);
        let at = at.unwrap_or_else(|at| {
            self.balances.insert(at, Balance::new(currency));
            at
        });
        &mut self.balances[at]
    }

    /// Balance that is not reserved; negative after losses.
    pub fn free(&self, currency: CurrencyId) -> i128 {
        let money = self.balance(currency);
        money.balance.0 - money.reserved.0
    }

    /// Its stake in an instrument.
    pub fn holding(&self, instrument: InstrumentId) -> Holding {
        let at = self.held.binary_search(&instrument);
        at.map_or(Holding::new(instrument), |at| self.holdings[at])
    }

    /// As [`Account::holding`], to change.
    pub fn holding_mut(&mut self, instrument: InstrumentId) -> &mut Holding {
        self.extra.cache.touch(instrument);
        let at = self.held.binary_search(&instrument);
        let at = at.unwrap_or_else(|at| {
            self.held.insert(at, instrument);
            self.holdings.insert(at, Holding::new(instrument));
            at
        });
        &mut self.holdings[at]
    }

    /// Changes a balance and says so, unless nothing changes.
    pub fn adjust(
        &mut self,
        currency: CurrencyId,
        balance_change: i128,
        reserved_change: i128,
        events: &mut Vec<Event>,
    ) {
        if balance_change == 0 && reserved_change == 0 {
            return;
        }
        let account = self.id;
        let money = self.balance_mut(currency);
        // Bounded by HEADROOM and MAX_OPEN_ORDERS, see there.
        money.balance.0 += balance_change;
        money.reserved.0 += reserved_change;
        events.push(Event::BalanceChanged {
            account,
            currency,
            balance: money.balance,
            reserved: money.reserved,
        });
    }
}

/// The whole state of a venue.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub meta: Meta,
    pub currencies: BTreeMap<CurrencyId, CurrencyState>,
    pub instruments: Vec<InstrumentState>,
    pub instrument_slots: BTreeMap<InstrumentId, u32>,
    pub accounts: Vec<Account>,
    pub account_slots: BTreeMap<AccountId, u32>,
    pub orders: Orders,
    pub extension: Extension,
    /// Entries that were passed over.
    pub skips: Skips,
}

impl State {
    pub fn new() -> Self {
        let operator = Account::new(AccountId::OPERATOR, Collateral::Checked);
        Self {
            meta: Meta {
                next_position: Position(0),
                time: Timestamp(0),
                term: Term(0),
                mode: Mode::Normal,
                mode_cause: 0,
                digest: [0; 32],
                next_order: OrderId(1),
                next_trade: TradeId(1),
                venue: None,
                salt: [0; 32],
            },
            currencies: BTreeMap::new(),
            instruments: Vec::new(),
            instrument_slots: BTreeMap::new(),
            accounts: vec![operator],
            account_slots: BTreeMap::from([(AccountId::OPERATOR, OPERATOR_SLOT)]),
            orders: Orders::default(),
            extension: Extension::default(),
            skips: Skips::new(),
        }
    }

    pub fn instrument_slot(&self, id: InstrumentId) -> Result<u32, RejectCode> {
        let slot = self.instrument_slots.get(&id).copied();
        slot.ok_or(RejectCode::UnknownInstrument)
    }

    /// Slot of an account other than the operator's.
    pub fn client_slot(&self, id: AccountId) -> Result<u32, RejectCode> {
        let slot = self.account_slots.get(&id).copied();
        slot.filter(|slot| *slot != OPERATOR_SLOT).ok_or(RejectCode::UnknownAccount)
    }

    pub fn instrument(&self, slot: u32) -> &InstrumentState {
        &self.instruments[slot as usize]
    }

    pub fn account(&self, slot: u32) -> &Account {
        &self.accounts[slot as usize]
    }

    pub fn account_mut(&mut self, slot: u32) -> &mut Account {
        &mut self.accounts[slot as usize]
    }

    /// Clients' accounts in order of their ids.
    pub fn clients(&self) -> impl Iterator<Item = &Account> {
        self.account_slots
            .values()
            .filter(|slot| **slot != OPERATOR_SLOT)
            .map(|slot| self.account(*slot))
    }

    /// Instruments in order of their ids.
    pub fn instruments_by_id(&self) -> impl Iterator<Item = &InstrumentState> {
        self.instrument_slots.values().map(|slot| self.instrument(*slot))
    }
}

/// The value of arithmetic that was proven to succeed when the order was accepted.
///
/// A failure would be a defect of the proof, not of the input: test builds stop here; others take
/// the zero, on both sides of a trade alike, so that no money appears or vanishes.
pub(crate) fn proven<T: Default, E>(result: Result<T, E>) -> T {
    debug_assert!(result.is_ok(), "arithmetic proven at acceptance failed");
    result.unwrap_or_default()
}
