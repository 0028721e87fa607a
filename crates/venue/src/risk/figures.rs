//! From an account's groups to one figure in the numeraire.

use crate::oracle::fresh_until;
use crate::risk::cache::{Group, Needs, RiskCache};
use crate::risk::{AccountMargin, CurrencyMargin};
use crate::state::State;
use evenkeel_quant::portfolio::ATTO;
use evenkeel_types::event::MarginFigures;
use evenkeel_types::money::{mul_div, pow10};
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::VenueTerms;
use evenkeel_types::{CurrencyId, InstrumentKind, Money, Rounding, Timestamp, UnderlyingId};

const BASIS_POINTS: i128 = 10_000;
const MILLION: i128 = 1_000_000;

/// What a currency's groups add to its balance and take from it, in its smallest unit.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    value: i128,
    initial: i128,
    maintenance: i128,
}

impl State {
    /// An account's margin at the present prices.
    pub(crate) fn margin_of(&mut self, account: u32) -> AccountMargin {
        self.keep_risk(account);
        let mut cache = std::mem::take(&mut self.account_mut(account).extra.cache);
        self.work_out(&mut cache);
        let margin = self.margin_from(account, &cache);
        self.account_mut(account).extra.cache = cache;
        margin
    }

    /// The same from nothing but the state: what the kept sums must equal bit for bit.
    pub(crate) fn full_margin_of(&self, account: u32) -> AccountMargin {
        let cache = self.full_cache(account);
        self.margin_from(account, &cache)
    }

    /// Margin of sums that are worked out.
    pub(crate) fn margin_from(&self, account: u32, cache: &RiskCache) -> AccountMargin {
        let currencies = self.currency_margins(account, cache);
        let (priced, is_fresh) = self.age_of(cache, &currencies);
        let figures = self.figures_of(&currencies);
        let is_complete = figures.is_some() && cache.is_priced();
        AccountMargin {
            currencies,
            figures: figures.unwrap_or_default(),
            priced: priced.filter(|_| is_complete),
            is_fresh: is_fresh && is_complete,
        }
    }

    /// Margin currency by currency, ascending.
    pub(crate) fn currency_margins(&self, account: u32, cache: &RiskCache) -> Vec<CurrencyMargin> {
        let owner = self.account(account);
        let mut currencies: Vec<CurrencyMargin> = Vec::with_capacity(owner.balances.len() + 1);
        // What is nothing has no price to wait for.
        let balances = owner.balances.iter().filter(|it| it.balance.0 != 0 || it.reserved.0 != 0);
        let of_balances = balances.map(|money| money.currency);
        let of_groups = cache.groups.iter().map(|group| group.currency);
        for currency in of_balances.chain(of_groups) {
            if let Err(at) = currencies.binary_search_by_key(&currency, |it| it.currency) {
                currencies.insert(at, self.currency_margin(account, cache, currency));
            }
        }
        currencies
    }

    fn currency_margin(
        &self,
        account: u32,
        cache: &RiskCache,
        currency: CurrencyId,
    ) -> CurrencyMargin {
        let money = self.account(account).balance(currency);
        let mut totals = Totals::default();
        for group in cache.groups.iter().filter(|group| group.currency == currency) {
            let needs = self.scaled_needs(group);
            totals.value = totals.value.saturating_add(group.sums.value);
            let initial = needs.initial.saturating_add(needs.orders);
            totals.initial = totals.initial.saturating_add(self.in_units(currency, initial));
            let maintenance = self.in_units(currency, needs.maintenance);
            totals.maintenance = totals.maintenance.saturating_add(maintenance);
        }
        CurrencyMargin {
            currency,
            margin_balance: Money(money.balance.0.saturating_add(totals.value)),
            initial: Money(totals.initial),
            maintenance: Money(totals.maintenance),
            reserved: money.reserved,
        }
    }

    /// What a group needs, times its underlying's margin factor.
    pub(crate) fn scaled_needs(&self, group: &Group) -> Needs {
        let needs = group.needs.unwrap_or_default();
        let known = self.extension.underlyings.get(&group.underlying);
        let factor = known.map_or(BASIS_POINTS, |it| it.factor.at(self.meta.time).into());
        if factor == BASIS_POINTS {
            return needs;
        }
        let scaled =
            |it: i128| mul_div(it, factor, BASIS_POINTS, Rounding::Ceiling).unwrap_or(i128::MAX);
        Needs {
            initial: scaled(needs.initial),
            maintenance: scaled(needs.maintenance),
            orders: scaled(needs.orders),
        }
    }

    /// Parts of 10^18 of a currency in its smallest unit, rounded up.
    pub(crate) fn in_units(&self, currency: CurrencyId, atto: i128) -> i128 {
        let scale = self.currencies.get(&currency).map_or(0, |known| known.terms.scale);
        let power = pow10(scale.into()).unwrap_or(1);
        mul_div(atto, power, ATTO, Rounding::Ceiling).unwrap_or(i128::MAX)
    }

    /// Surpluses and needs in the numeraire; `None` if a price is missing, or the venue's terms.
    pub(crate) fn figures_of(&self, currencies: &[CurrencyMargin]) -> Option<MarginFigures> {
        let terms = self.extension.terms.as_ref()?;
        let mut figures = MarginFigures::default();
        // An account in one currency stands or falls with it, whatever it is worth elsewhere.
        let is_alone = currencies.len() == 1;
        for it in currencies {
            let above_maintenance = it.margin_balance.0.saturating_sub(it.maintenance.0);
            let needs = it.initial.0.saturating_add(it.reserved.0);
            let above_initial = it.margin_balance.0.saturating_sub(needs);
            let counted = |amount| match self.in_numeraire(terms, it.currency, amount) {
                None if is_alone => Some(amount),
                counted => counted,
            };
            let add = |sum: &mut Money, it: i128| sum.0 = sum.0.saturating_add(it);
            add(&mut figures.above_maintenance, counted(above_maintenance)?);
            add(&mut figures.above_initial, counted(above_initial)?);
        }
        Some(figures)
    }

    /// A surplus or need in the numeraire, rounded down.
    pub(crate) fn in_numeraire(
        &self,
        terms: &VenueTerms,
        currency: CurrencyId,
        amount: i128,
    ) -> Option<i128> {
        if currency == terms.numeraire || amount == 0 {
            return Some(amount);
        }
        let haircut = terms.haircuts.binary_search_by_key(&currency, |it| it.currency);
        let kept = match haircut {
            Ok(at) => MILLION - i128::from(terms.haircuts[at].haircut),
            Err(_) if amount > 0 => return Some(0),
            Err(_) => MILLION,
        };
        let index = self.conversion(currency)?;
        let scale = |id| Some(u32::from(self.currencies.get(&id)?.terms.scale));
        let (from, to) = (pow10(scale(currency)?).ok()?, pow10(scale(terms.numeraire)?).ok()?);
        let whole = i128::from(index.0).checked_mul(to)?;
        let divisor = from.checked_mul(Price::ONE.into())?;
        let extreme = if amount > 0 { i128::MAX } else { -i128::MAX };
        let value = mul_div(amount, whole, divisor, Rounding::Floor).unwrap_or(extreme);
        if amount < 0 {
            return Some(value);
        }
        mul_div(value, kept, MILLION, Rounding::Floor).ok()
    }

    /// What a whole unit of a currency is worth in the numeraire.
    pub(crate) fn conversion(&self, currency: CurrencyId) -> Option<Price> {
        Some(self.index_price(self.converter(currency)?)?.price)
    }

    /// Oldest time of a price behind an account's margin, and whether all are within their bounds:
    /// those of its positions, and the indices that value one currency in another.
    fn age_of(
        &self,
        cache: &RiskCache,
        currencies: &[CurrencyMargin],
    ) -> (Option<Timestamp>, bool) {
        let now = self.meta.time;
        let mut oldest = Some(now);
        let mut is_fresh = true;
        let mut rest_on = |underlying: UnderlyingId, time: Option<Timestamp>| {
            let known = self.extension.underlyings.get(&underlying);
            let until = time.zip(known).map(|(time, it)| fresh_until(&it.terms.oracle, time));
            is_fresh &= until.is_some_and(|until| until >= now);
            oldest = oldest.zip(time).map(|(a, b)| a.min(b));
        };
        for counted in cache.counted.iter().filter(|it| it.lots != 0) {
            let Some((underlying, _)) = counted.group else {
                return (None, false);
            };
            let terms = &self.instrument(counted.slot).terms;
            let is_option = matches!(terms.kind, InstrumentKind::Option { .. });
            rest_on(underlying, self.priced_at(underlying, terms.expiry(), is_option));
        }
        if currencies.len() > 1 {
            for underlying in currencies.iter().filter_map(|it| self.converter(it.currency)) {
                rest_on(underlying, self.index_price(underlying).map(|it| it.time));
            }
        }
        (oldest, is_fresh)
    }

    /// The underlying whose index values a currency in the numeraire.
    fn converter(&self, currency: CurrencyId) -> Option<UnderlyingId> {
        let numeraire = self.extension.terms.as_ref()?.numeraire;
        let mut all = self.extension.underlyings.values().map(|it| &it.terms);
        all.find(|it| it.base == currency && it.quote == numeraire).map(|it| it.id)
    }

    /// Oldest time of the prices behind an expiry's instruments.
    fn priced_at(
        &self,
        underlying: UnderlyingId,
        expiry: Option<Timestamp>,
        is_option: bool,
    ) -> Option<Timestamp> {
        let known = self.extension.underlyings.get(&underlying)?;
        let index = known.index?.time;
        let Some(expiry) = expiry.filter(|expiry| *expiry > self.meta.time) else {
            return Some(index);
        };
        let forward = known.forwards.get(&expiry).map_or(index, |it| it.time.min(index));
        if !is_option {
            return Some(forward);
        }
        Some(known.smiles.get(&expiry)?.time.min(forward))
    }
}
