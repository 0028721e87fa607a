//! A second, independent account of everybody's money: it reads events (deposits, withdrawals and
//! trades), never the engine's own balances, and must arrive at the same figures.
//!
//! It deliberately shares only the value formula of an instrument with the engine; who owns what
//! after a trade, and what a close realises, is written here again.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_types::instrument::Valuation;
use evenkeel_types::money::{ArithmeticError, Rounding, mul_div};
use evenkeel_types::{
    AccountId, Currency, CurrencyId, Decimal, Event, Instrument, InstrumentId, InstrumentKind,
    Lots, Money, Ticks,
};
use evenkeel_venue::{AccountView, Engine, PositionView};

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
                // The maker first: it matters where an account trades with itself.
                let taken = lots.0 * taker_side.sign();
                self.trade(*instrument, *maker_account, *price, Lots(-taken))?;
                self.trade(*instrument, *taker_account, *price, Lots(taken))
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
        let terms = self.terms.get(&id).ok_or(ArithmeticError)?;
        let value = terms.valuation.value(price, signed)?.0;
        let (base, quote) = (terms.instrument.base, terms.instrument.quote);
        let settlement = terms.instrument.settlement;
        match terms.instrument.kind {
            InstrumentKind::Spot => {
                let coins = terms.base_per_lot.checked_mul(signed.0.into());
                self.pay(account, base, coins.ok_or(ArithmeticError)?)?;
                self.pay(account, quote, -value)
            }
            InstrumentKind::Option { .. } => {
                self.pay(account, settlement, -value)?;
                self.hold(id, account, signed, value).map(|_| ())
            }
            InstrumentKind::Perpetual | InstrumentKind::Future { .. } => {
                let is_inverse = terms.valuation.is_inverse();
                let basis = if is_inverse { -value } else { value };
                let profit = self.hold(id, account, signed, basis)?;
                self.pay(account, settlement, profit)
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
    /// basis (options: in full, since their premium is paid). `None` if a mark is missing or a
    /// position is worth more at its mark than 128 bits hold: then nobody knows it.
    ///
    /// # Errors
    /// [`ArithmeticError`] for a position in an unknown instrument.
    pub fn equity(
        &self,
        account: AccountId,
        currency: CurrencyId,
    ) -> Result<Option<Money>, ArithmeticError> {
        let mut equity = self.cash.get(&(account, currency)).copied().unwrap_or(0);
        for (id, holding) in self.held_by(account) {
            let terms = self.terms.get(&id).ok_or(ArithmeticError)?;
            if terms.instrument.settlement != currency || holding.lots == 0 {
                continue;
            }
            let above = self.worth(terms, holding);
            match above.and_then(|above| equity.checked_add(above)) {
                Some(sum) => equity = sum,
                None => return Ok(None),
            }
        }
        Ok(Some(Money(equity)))
    }

    /// What a position adds to equity.
    fn worth(&self, terms: &Terms, holding: &Holding) -> Option<i128> {
        let mark = self.marks.get(&terms.instrument.id)?;
        let lots = Lots(i64::try_from(holding.lots).ok()?);
        let worth = terms.valuation.basis(*mark, lots).ok()?.0;
        match terms.instrument.kind {
            InstrumentKind::Option { .. } => Some(worth),
            _ => worth.checked_sub(holding.basis),
        }
    }

    fn held_by(&self, account: AccountId) -> impl Iterator<Item = (InstrumentId, &Holding)> {
        let from = (account, InstrumentId(0));
        let to = (account, InstrumentId(u32::MAX));
        let held = self.holdings.range(from..=to);
        held.map(|((_, id), holding)| (*id, holding))
    }

    /// Every figure in which the engine and this ledger differ; also counts accounts compared.
    ///
    /// # Errors
    /// [`ArithmeticError`] for a position in an unknown instrument.
    pub fn compare(&self, engine: &Engine) -> Result<(u64, Vec<Mismatch>), ArithmeticError> {
        let mut mismatches = Vec::new();
        let mut seen = BTreeSet::new();
        for view in engine.accounts() {
            seen.insert(view.id);
            self.compare_account(engine, &view, &mut mismatches)?;
        }
        let compared = seen.len() as u64;
        self.find_lost(&seen, &mut mismatches);
        Ok((compared, mismatches))
    }

    /// Money and positions of accounts that the engine does not know.
    fn find_lost(&self, seen: &BTreeSet<AccountId>, mismatches: &mut Vec<Mismatch>) {
        let cash = self.cash.iter().map(|((account, currency), cash)| {
            let code = self.currencies.get(currency).map(|one| one.code.to_string());
            let code = code.unwrap_or_else(|| currency.to_string());
            (*account, format!("balance in {code}"), *cash)
        });
        let held = self.holdings.iter().map(|((account, id), holding)| {
            (*account, format!("size of {}", self.symbol(*id)), holding.lots)
        });
        let lost = cash.chain(held);
        mismatches.extend(
            lost.filter(|(account, _, figure)| *figure != 0 && !seen.contains(account))
                .map(|(account, what, ledger)| Mismatch { account, what, engine: 0, ledger }),
        );
    }

    fn symbol(&self, id: InstrumentId) -> String {
        let terms = self.terms.get(&id);
        terms.map_or_else(|| id.to_string(), |terms| terms.instrument.symbol.to_string())
    }

    fn compare_account(
        &self,
        engine: &Engine,
        view: &AccountView,
        mismatches: &mut Vec<Mismatch>,
    ) -> Result<(), ArithmeticError> {
        let account = view.id;
        // The name is only made for a difference: there are many figures and few of those.
        let mut differ = |what: &str, of: &dyn Fn() -> String, engine: i128, ledger: i128| {
            if engine != ledger {
                mismatches.push(Mismatch {
                    account,
                    what: format!("{what} {}", of()),
                    engine,
                    ledger,
                });
            }
        };
        for currency in self.currencies.values() {
            let of = || currency.code.to_string();
            let held = view.balances.iter().find(|held| held.currency == currency.id);
            let theirs = held.map_or(0, |held| held.balance.0);
            let ours = self.cash.get(&(account, currency.id)).copied().unwrap_or(0);
            differ("balance in", &of, theirs, ours);
            // A mark that is missing on both sides is agreement as well.
            let figure = |equity: Option<Money>| equity.map_or(i128::MIN, |money| money.0);
            let theirs = figure(engine.equity(account, currency.id));
            let ours = figure(self.equity(account, currency.id)?);
            differ("equity in", &of, theirs, ours);
        }
        let mut held: BTreeMap<InstrumentId, (Holding, Holding)> = view
            .positions
            .iter()
            .map(|held| (held.instrument, (Holding::of(held), Holding::default())))
            .collect();
        for (id, holding) in self.held_by(account) {
            held.entry(id).or_default().1 = *holding;
        }
        for (id, (theirs, ours)) in held {
            let of = || self.symbol(id);
            differ("size of", &of, theirs.lots, ours.lots);
            differ("basis of", &of, theirs.basis, ours.basis);
            differ("profit on", &of, theirs.realised, ours.realised);
        }
        Ok(())
    }
}

impl Holding {
    fn of(held: &PositionView) -> Self {
        Self { lots: held.lots.0.into(), basis: held.basis.0, realised: held.realised.0 }
    }
}
