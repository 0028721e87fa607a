//! A second, independent account of everybody's money: it reads events that say why money moves,
//! never the engine's own balances, and must arrive at the same figures.
//!
//! It deliberately shares only the value formula of an instrument with the engine; who owns what
//! after a trade, what a close realises, what an expiry pays and what a trade taken back undoes is
//! written here again.
//!
//! | event | what it does here |
//! |---|---|
//! | `Deposited`, `Withdrawn` | cash and net deposits |
//! | `Traded` | both sides' cash and positions, from price and size |
//! | `PositionMoved` | both sides' cash and positions, from size and basis (takeover, deleverage) |
//! | `TradeBusted` | the trade, the other way round |
//! | `InstrumentSettled` | positions in it, paid at the delivery price |
//! | `Booked` for a settlement | nothing: it is worked out from the price |
//! | `Booked` for any other reason | cash: fees, funding, transfers, shared losses, deliveries |
//! | `WithdrawalChanged` | what is set aside |
//! | `PoolsChanged`, `NetDepositsChanged` | fees and rounding as told, what came in as told |
//!
//! What is only told must still add up: per currency, cash less the basis of futures, with fees,
//! rounding and withdrawals set aside, is what came in.

use std::collections::{BTreeMap, VecDeque};

use evenkeel_types::event::{Booking, Pools};
use evenkeel_types::flows::{FlowKey, FlowState};
use evenkeel_types::instrument::Valuation;
use evenkeel_types::money::{ArithmeticError, Rounding, mul_div};
use evenkeel_types::{
    AccountId, Currency, CurrencyId, Decimal, Event, Instrument, InstrumentId, InstrumentKind,
    Lots, Money, Side, Ticks, TradeId,
};
use evenkeel_venue::{Engine, PositionView, RECENT_TRADES_MAX};

mod compare;
mod expiry;

/// A difference between the engine's figures and the ledger's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Whose; [`AccountId::OPERATOR`] for what belongs to no account.
    pub account: AccountId,
    /// Of what: a balance, a position's size, its basis or its profit, a pool.
    pub what: String,
    /// The engine's figure.
    pub engine: i128,
    /// The ledger's figure.
    pub ledger: i128,
}

#[derive(Debug, Clone)]
struct Terms {
    instrument: Instrument,
    valuation: Valuation,
    /// Decimals of the settlement currency.
    settlement_scale: u8,
    /// Base currency's smallest units in one lot; only for spot.
    base_per_lot: i128,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Holding {
    lots: i128,
    basis: i128,
    realised: i128,
}

/// A trade that may be taken back.
#[derive(Debug, Clone, Copy)]
struct Deal {
    trade: TradeId,
    instrument: InstrumentId,
    price: Ticks,
    /// Signed size of the taker's side.
    taken: Lots,
    maker: AccountId,
    taker: AccountId,
}

/// Balances and positions by their history.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    currencies: BTreeMap<CurrencyId, Currency>,
    terms: BTreeMap<InstrumentId, Terms>,
    cash: BTreeMap<(AccountId, CurrencyId), i128>,
    holdings: BTreeMap<(AccountId, InstrumentId), Holding>,
    marks: BTreeMap<InstrumentId, Ticks>,
    /// Oldest first.
    deals: VecDeque<Deal>,
    /// Withdrawals that are neither final nor failed.
    set_aside: BTreeMap<(AccountId, FlowKey), (CurrencyId, i128)>,
    /// As told; what is set aside for withdrawals is not read from here.
    pools: BTreeMap<CurrencyId, Pools>,
    net_deposits: BTreeMap<CurrencyId, i128>,
}

impl Ledger {
    /// An empty ledger, to be fed from the first event on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the books with the figures of an engine, to be fed with what follows.
    ///
    /// # Errors
    /// [`ArithmeticError`] if its terms do not fit the arithmetic.
    pub fn opened_with(engine: &Engine) -> Result<Self, ArithmeticError> {
        let mut ledger = Self::new();
        for currency in engine.currencies() {
            ledger.currencies.insert(currency.id, currency.clone());
            let pools = engine.pools(currency.id).unwrap_or_default();
            ledger.pools.insert(currency.id, pools);
            let net_deposits = engine.net_deposits(currency.id).unwrap_or_default();
            ledger.net_deposits.insert(currency.id, net_deposits.0);
        }
        for (account, flow) in engine.withdrawals() {
            ledger.note_withdrawal((account, flow.key), (flow.currency, flow.amount), flow.state);
        }
        for deal in engine.recent_trades() {
            ledger.deals.push_back(Deal {
                trade: deal.trade,
                instrument: deal.instrument,
                price: deal.price,
                taken: Lots(deal.lots.0 * deal.taker_side.sign()),
                maker: deal.maker,
                taker: deal.taker,
            });
        }
        for instrument in engine.instruments() {
            ledger.define(instrument)?;
        }
        ledger.note_marks(engine);
        for account in engine.accounts() {
            for held in &account.balances {
                ledger.cash.insert((account.id, held.currency), held.balance.0);
            }
            for held in &account.positions {
                let key = (account.id, held.instrument);
                ledger.holdings.insert(key, Holding::of(held));
            }
        }
        Ok(ledger)
    }

    fn note_marks(&mut self, engine: &Engine) {
        for instrument in engine.instruments() {
            if let Some(mark) = engine.mark(instrument.id) {
                self.marks.insert(instrument.id, mark);
            }
        }
    }

    fn define(&mut self, instrument: &Instrument) -> Result<(), ArithmeticError> {
        let scale = |id| self.currencies.get(&id).map(|currency: &Currency| currency.scale);
        let settlement = scale(instrument.settlement).ok_or(ArithmeticError)?;
        let valuation = instrument.valuation(settlement).map_err(|_| ArithmeticError)?;
        let base_per_lot = if instrument.kind == InstrumentKind::Spot {
            let base = scale(instrument.base).ok_or(ArithmeticError)?;
            let (lot, size) = (instrument.lot, instrument.contract_size);
            let product = lot.mantissa().checked_mul(size.mantissa()).ok_or(ArithmeticError)?;
            Decimal::new(product, lot.scale() + size.scale())
                .ok()
                .and_then(|per_lot| per_lot.in_units(base))
                .ok_or(ArithmeticError)?
        } else {
            0
        };
        let instrument = instrument.clone();
        let id = instrument.id;
        let terms = Terms { instrument, valuation, settlement_scale: settlement, base_per_lot };
        self.terms.insert(id, terms);
        Ok(())
    }

    /// Takes one event into account; those that move no money are passed over.
    ///
    /// # Errors
    /// [`ArithmeticError`] if a figure leaves 128 bits or an instrument is unknown.
    pub fn fold(&mut self, event: &Event) -> Result<(), ArithmeticError> {
        match event {
            Event::CurrencyDefined { currency } => {
                self.currencies.insert(currency.id, currency.clone());
                Ok(())
            }
            Event::InstrumentDefined { instrument } => self.define(instrument),
            Event::MarkChanged { instrument, mark } => {
                self.marks.insert(*instrument, *mark);
                Ok(())
            }
            Event::Resumed { .. } => {
                self.marks.clear();
                Ok(())
            }
            Event::Deposited { account, currency, amount } => {
                self.come_in(*currency, amount.0)?;
                self.pay(*account, *currency, amount.0)
            }
            Event::Withdrawn { account, currency, amount } => {
                self.come_in(*currency, -amount.0)?;
                self.pay(*account, *currency, -amount.0)
            }
            Event::Traded {
                trade,
                instrument,
                price,
                lots,
                taker_side,
                maker_account,
                taker_account,
                ..
            } => self.deal(Deal {
                trade: *trade,
                instrument: *instrument,
                price: *price,
                taken: signed(*lots, *taker_side),
                maker: *maker_account,
                taker: *taker_account,
            }),
            _ => self.fold_margin(event),
        }
    }

    /// What rules with margin add.
    fn fold_margin(&mut self, event: &Event) -> Result<(), ArithmeticError> {
        match *event {
            // Worked out here, from the delivery price.
            Event::Booked { why: Booking::Settlement, .. } => Ok(()),
            Event::Booked { account, currency, amount, .. } => {
                self.pay(account, currency, amount.0)
            }
            Event::PositionMoved { account, counterparty, instrument, lots, basis } => {
                self.fill(instrument, account, lots, basis.0)?;
                self.fill(instrument, counterparty, lots.neg()?, basis.neg()?.0)
            }
            Event::TradeBusted { trade, .. } => self.undo(trade),
            Event::InstrumentSettled { instrument, price } => self.settle(instrument, price),
            Event::WithdrawalChanged { account, key, currency, amount, state } => {
                self.note_withdrawal((account, key), (currency, amount), state);
                Ok(())
            }
            Event::PoolsChanged { currency, pools } => {
                self.pools.insert(currency, pools);
                Ok(())
            }
            Event::NetDepositsChanged { currency, net_deposits } => {
                self.net_deposits.insert(currency, net_deposits.0);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn come_in(&mut self, currency: CurrencyId, amount: i128) -> Result<(), ArithmeticError> {
        let sum = self.net_deposits.entry(currency).or_default();
        *sum = sum.checked_add(amount).ok_or(ArithmeticError)?;
        Ok(())
    }

    fn note_withdrawal(
        &mut self,
        key: (AccountId, FlowKey),
        (currency, amount): (CurrencyId, Money),
        state: FlowState,
    ) {
        if matches!(state, FlowState::Final | FlowState::Failed) {
            self.set_aside.remove(&key);
        } else {
            self.set_aside.insert(key, (currency, amount.0));
        }
    }

    /// Both sides of a trade.
    fn deal(&mut self, deal: Deal) -> Result<(), ArithmeticError> {
        if self.deals.len() >= RECENT_TRADES_MAX {
            self.deals.pop_front();
        }
        self.deals.push_back(deal);
        // The maker first: it matters where an account trades with itself.
        self.trade(deal.instrument, deal.maker, deal.price, deal.taken.neg()?)?;
        self.trade(deal.instrument, deal.taker, deal.price, deal.taken)
    }

    /// Takes a trade back. One that is not known here shows as a difference.
    fn undo(&mut self, trade: TradeId) -> Result<(), ArithmeticError> {
        let Ok(at) = self.deals.binary_search_by_key(&trade, |deal| deal.trade) else {
            return Ok(());
        };
        let Some(deal) = self.deals.remove(at) else {
            return Ok(());
        };
        self.trade(deal.instrument, deal.maker, deal.price, deal.taken)?;
        self.trade(deal.instrument, deal.taker, deal.price, deal.taken.neg()?)
    }

    fn pay(
        &mut self,
        account: AccountId,
        currency: CurrencyId,
        amount: i128,
    ) -> Result<(), ArithmeticError> {
        let cash = self.cash.entry((account, currency)).or_default();
        *cash = cash.checked_add(amount).ok_or(ArithmeticError)?;
        Ok(())
    }

    fn trade(
        &mut self,
        id: InstrumentId,
        account: AccountId,
        price: Ticks,
        signed: Lots,
    ) -> Result<(), ArithmeticError> {
        let terms = self.terms.get(&id).ok_or(ArithmeticError)?;
        let value = terms.valuation.value(price, signed)?.0;
        if terms.instrument.kind == InstrumentKind::Spot {
            let (base, quote) = (terms.instrument.base, terms.instrument.quote);
            let coins = terms.base_per_lot.checked_mul(signed.0.into());
            self.pay(account, base, coins.ok_or(ArithmeticError)?)?;
            return self.pay(account, quote, -value);
        }
        let basis = if terms.valuation.is_inverse() { -value } else { value };
        self.fill(id, account, signed, basis)
    }

    /// Adds a signed fill of this basis to a position, and pays what it moves.
    fn fill(
        &mut self,
        id: InstrumentId,
        account: AccountId,
        signed: Lots,
        basis: i128,
    ) -> Result<(), ArithmeticError> {
        let terms = self.terms.get(&id).ok_or(ArithmeticError)?;
        let settlement = terms.instrument.settlement;
        let is_option = matches!(terms.instrument.kind, InstrumentKind::Option { .. });
        let profit = self.hold(id, account, signed, basis)?;
        // An option's premium moves at once; what it gained is only told.
        self.pay(account, settlement, if is_option { -basis } else { profit })
    }

    /// Adds a signed fill of this basis to a holding; returns the profit that its closing part
    /// realises. A fill through zero closes everything, then opens the rest.
    fn hold(
        &mut self,
        id: InstrumentId,
        account: AccountId,
        signed: Lots,
        fill_basis: i128,
    ) -> Result<i128, ArithmeticError> {
        let holding = self.holdings.entry((account, id)).or_default();
        let fill = i128::from(signed.0);
        let reduces = holding.lots != 0 && (holding.lots < 0) != (fill < 0);
        if !reduces {
            holding.lots += fill;
            holding.basis += fill_basis;
            return Ok(0);
        }
        let closed = holding.lots.abs().min(fill.abs());
        let share = |basis: i128, whole: i128| {
            if closed == whole {
                Ok(basis)
            } else {
                mul_div(basis, closed, whole, Rounding::HalfEven)
            }
        };
        let basis_out = share(holding.basis, holding.lots.abs())?;
        let proceeds = -share(fill_basis, fill.abs())?;
        let profit = proceeds - basis_out;
        holding.lots += fill;
        holding.basis = holding.basis - basis_out + (fill_basis + proceeds);
        holding.realised += profit;
        Ok(profit)
    }
}

impl Holding {
    fn of(held: &PositionView) -> Self {
        Self { lots: held.lots.0.into(), basis: held.basis.0, realised: held.realised.0 }
    }
}

fn signed(lots: Lots, side: Side) -> Lots {
    Lots(lots.0 * side.sign())
}
