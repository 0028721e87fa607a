//! A second, independent account of everybody's money: it reads events (deposits, withdrawals and
//! trades), never the engine's own balances, and must arrive at the same figures.
//!
//! It deliberately shares only the value formula of an instrument with the engine; who owns what
//! after a trade, and what a close realises, is written here again.

use std::collections::BTreeMap;

use evenkeel_types::instrument::Valuation;
use evenkeel_types::money::{ArithmeticError, Rounding, mul_div};
use evenkeel_types::{
    AccountId, Currency, CurrencyId, Decimal, Event, Instrument, InstrumentId, InstrumentKind,
    Lots, Money, Side, Ticks,
};
use evenkeel_venue::{AccountView, Engine};

/// A difference between the engine's figures and the ledger's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Whose.
    pub account: AccountId,
    /// Of what: a balance, a position's size, its basis or its profit.
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
    /// Base currency's smallest units in one lot; only for spot.
    base_per_lot: i128,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Holding {
    lots: i128,
    basis: i128,
    realised: i128,
}

/// Balances and positions by their history.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    currencies: BTreeMap<CurrencyId, Currency>,
    terms: BTreeMap<InstrumentId, Terms>,
    cash: BTreeMap<(AccountId, CurrencyId), i128>,
    holdings: BTreeMap<(AccountId, InstrumentId), Holding>,
    marks: BTreeMap<InstrumentId, Ticks>,
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
                let holding = Holding {
                    lots: held.lots.0.into(),
                    basis: held.basis.0,
                    realised: held.realised.0,
                };
                ledger.holdings.insert((account.id, held.instrument), holding);
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
        let terms = Terms { instrument: instrument.clone(), valuation, base_per_lot };
        self.terms.insert(instrument.id, terms);
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
                self.pay(*account, *currency, amount.0)
            }
            Event::Withdrawn { account, currency, amount } => {
                self.pay(*account, *currency, -amount.0)
            }
            Event::Traded {
                instrument,
                price,
                lots,
                taker_side,
                maker_account,
                taker_account,
                ..
            } => {
                let (buyer, seller) = match taker_side {
                    Side::Buy => (*taker_account, *maker_account),
                    Side::Sell => (*maker_account, *taker_account),
                };
                self.trade(*instrument, buyer, *price, *lots)?;
                self.trade(*instrument, seller, *price, Lots(-lots.0))
            }
            _ => Ok(()),
        }
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
        let terms = self.terms.get(&id).ok_or(ArithmeticError)?.clone();
        let instrument = &terms.instrument;
        let value = terms.valuation.value(price, signed)?.0;
        match instrument.kind {
            InstrumentKind::Spot => {
                let base = terms.base_per_lot.checked_mul(signed.0.into());
                self.pay(account, instrument.base, base.ok_or(ArithmeticError)?)?;
                self.pay(account, instrument.quote, -value)
            }
            InstrumentKind::Option { .. } => {
                self.pay(account, instrument.settlement, -value)?;
                self.hold(id, account, signed, value).map(|_| ())
            }
            InstrumentKind::Perpetual | InstrumentKind::Future { .. } => {
                let basis = if terms.valuation.is_inverse() { -value } else { value };
                let profit = self.hold(id, account, signed, basis)?;
                self.pay(account, instrument.settlement, profit)
            }
        }
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

    /// Equity of an account in a currency: cash plus what its positions are worth above their
    /// basis (options: in full, since their premium is paid). `None` if a mark is missing.
    ///
    /// # Errors
    /// [`ArithmeticError`] if a figure leaves 128 bits.
    pub fn equity(
        &self,
        account: AccountId,
        currency: CurrencyId,
    ) -> Result<Option<Money>, ArithmeticError> {
        let mut equity = self.cash.get(&(account, currency)).copied().unwrap_or(0);
        let from = (account, InstrumentId(0));
        let to = (account, InstrumentId(u32::MAX));
        for ((_, id), holding) in self.holdings.range(from..=to) {
            let terms = self.terms.get(id).ok_or(ArithmeticError)?;
            if terms.instrument.settlement != currency || holding.lots == 0 {
                continue;
            }
            let Some(mark) = self.marks.get(id) else {
                return Ok(None);
            };
            let lots = Lots(i64::try_from(holding.lots).map_err(|_| ArithmeticError)?);
            let worth = terms.valuation.basis(*mark, lots)?.0;
            let is_option = matches!(terms.instrument.kind, InstrumentKind::Option { .. });
            equity += if is_option { worth } else { worth - holding.basis };
        }
        Ok(Some(Money(equity)))
    }

    /// Every figure in which the engine and this ledger differ; also counts accounts compared.
    ///
    /// # Errors
    /// [`ArithmeticError`] if an equity leaves 128 bits.
    pub fn compare(&self, engine: &Engine) -> Result<(u64, Vec<Mismatch>), ArithmeticError> {
        let mut mismatches = Vec::new();
        let mut compared = 0;
        for view in engine.accounts() {
            compared += 1;
            self.compare_account(engine, &view, &mut mismatches)?;
        }
        Ok((compared, mismatches))
    }
    fn compare_account(
        &self,
        engine: &Engine,
        view: &AccountView,
        mismatches: &mut Vec<Mismatch>,
    ) -> Result<(), ArithmeticError> {
        let account = view.id;
        let mut differ = |what: String, engine: i128, ledger: i128| {
            if engine != ledger {
                mismatches.push(Mismatch { account, what, engine, ledger });
            }
        };
        for currency in self.currencies.values() {
            let held = view.balances.iter().find(|held| held.currency == currency.id);
            let theirs = held.map_or(0, |held| held.balance.0);
            let ours = self.cash.get(&(account, currency.id)).copied().unwrap_or(0);
            differ(format!("balance in {}", currency.code), theirs, ours);
            // A mark that is missing on both sides is agreement as well.
            let figure = |equity: Option<Money>| equity.map_or(i128::MIN, |money| money.0);
            let theirs = figure(engine.equity(account, currency.id));
            let ours = figure(self.equity(account, currency.id)?);
            differ(format!("equity in {}", currency.code), theirs, ours);
        }
        for terms in self.terms.values() {
            let id = terms.instrument.id;
            let ours = self.holdings.get(&(account, id)).copied().unwrap_or_default();
            let held = view.positions.iter().find(|held| held.instrument == id);
            let theirs = held.map_or(Holding::default(), |held| Holding {
                lots: held.lots.0.into(),
                basis: held.basis.0,
                realised: held.realised.0,
            });
            let symbol = &terms.instrument.symbol;
            differ(format!("size of {symbol}"), theirs.lots, ours.lots);
            differ(format!("basis of {symbol}"), theirs.basis, ours.basis);
            differ(format!("profit on {symbol}"), theirs.realised, ours.realised);
        }
        Ok(())
    }
}
