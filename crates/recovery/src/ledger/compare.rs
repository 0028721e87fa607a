//! The ledger against an engine.

use super::{Holding, Ledger, Mismatch, Terms};
use evenkeel_types::money::ArithmeticError;
use evenkeel_types::{AccountId, CurrencyId, InstrumentId, InstrumentKind, Lots, Money};
use evenkeel_venue::{AccountView, Engine};
use std::collections::{BTreeMap, BTreeSet};

impl Ledger {
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
        self.compare_venue(engine, &mut mismatches);
        Ok((compared, mismatches))
    }

    /// What belongs to no account, and whether everything adds up to what came in.
    fn compare_venue(&self, engine: &Engine, mismatches: &mut Vec<Mismatch>) {
        let sums = self.sums();
        for currency in self.currencies.values() {
            let id = currency.id;
            let theirs = engine.pools(id).unwrap_or_default();
            let told = self.pools.get(&id).copied().unwrap_or_default();
            let set_aside = self.set_aside.values().filter(|it| it.0 == id);
            let set_aside = set_aside.fold(0i128, |sum, it| sum.wrapping_add(it.1));
            let net_deposits = self.net_deposits.get(&id).copied().unwrap_or_default();
            let engine_net = engine.net_deposits(id).unwrap_or_default().0;
            let pools = [told.fees.0, told.rounding.0, set_aside];
            let owned = sums.get(&id).copied().unwrap_or_default();
            let owned = pools.into_iter().fold(owned, i128::wrapping_add);
            let figures = [
                ("fees in", theirs.fees.0, told.fees.0),
                ("rounding in", theirs.rounding.0, told.rounding.0),
                ("set aside for withdrawals in", theirs.withdrawals.0, set_aside),
                ("net deposits of", engine_net, net_deposits),
                ("all that is owned, against net deposits, of", net_deposits, owned),
            ];
            for (what, engine, ledger) in figures.into_iter().filter(|it| it.1 != it.2) {
                let what = format!("{what} {}", currency.code);
                let account = AccountId::OPERATOR;
                mismatches.push(Mismatch { account, what, engine, ledger });
            }
        }
    }

    /// Cash less the basis of futures, by currency, modulo 2^128.
    fn sums(&self) -> BTreeMap<CurrencyId, i128> {
        let mut sums: BTreeMap<CurrencyId, i128> = BTreeMap::new();
        for ((_, currency), cash) in &self.cash {
            let sum = sums.entry(*currency).or_default();
            *sum = sum.wrapping_add(*cash);
        }
        for ((_, id), holding) in &self.holdings {
            let terms = self.terms.get(id).map(|it| &it.instrument);
            let Some(terms) = terms else {
                continue;
            };
            if !matches!(terms.kind, InstrumentKind::Option { .. }) {
                let sum = sums.entry(terms.settlement).or_default();
                *sum = sum.wrapping_sub(holding.basis);
            }
        }
        sums
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
