//! Where an account's margin comes from: every number that was added, and net Greeks.

use crate::engine::Engine;
use crate::risk::cache::{Counted, Group, standard_needs, value_of};
use crate::risk::{AccountMargin, CurrencyMargin};
use crate::state::State;
use crate::surface::OptionValue;
use evenkeel_quant::explain::{Explanation, explain};
use evenkeel_quant::greeks::Greeks;
use evenkeel_quant::risk::ExtraMargin;
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::MarginModel;
use evenkeel_types::{
    AccountId, CurrencyId, InstrumentId, InstrumentKind, Lots, Money, Ticks, UnderlyingId,
};

/// An account's margin taken apart. Amounts of parts of 10^18 say so; all others are in the
/// currency's smallest unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarginReport {
    /// The account.
    pub account: AccountId,
    /// How it is margined.
    pub model: MarginModel,
    /// The result.
    pub margin: AccountMargin,
    /// Currency by currency, ascending: what makes the figures.
    pub currencies: Vec<CurrencyReport>,
    /// What it holds on each underlying in each settlement currency.
    pub groups: Vec<GroupReport>,
}

/// A currency's part of the figures: `margin_balance = balance + Σ groups' value`, `initial = Σ
/// groups' initial`, and the figures are the sums of `counted_…` over the currencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyReport {
    /// Its margin.
    pub margin: CurrencyMargin,
    /// The balance itself.
    pub balance: Money,
    /// Index that values it in the numeraire; `None` for the numeraire itself, or without one.
    pub index: Option<Price>,
    /// Taken off a surplus, in millionths; `None`: a surplus counts for nothing elsewhere.
    pub haircut: Option<u32>,
    /// What it adds to `above_initial` in the numeraire; `None` without an index.
    pub counted_initial: Option<Money>,
    /// What it adds to `above_maintenance`.
    pub counted_maintenance: Option<Money>,
}

/// A group: what is held on one underlying in one settlement currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// The underlying.
    pub underlying: UnderlyingId,
    /// What its instruments settle in.
    pub currency: CurrencyId,
    /// Margin factor in basis points.
    pub factor_bp: u32,
    /// Unrealised profit and, under portfolio margin, options' values.
    pub value: Money,
    /// Initial margin of positions before the factor, parts of 10^18.
    pub initial_atto: i128,
    /// Maintenance margin before the factor, parts of 10^18.
    pub maintenance_atto: i128,
    /// Initial margin of what open orders could make of the positions, parts of 10^18.
    pub orders_atto: i128,
    /// Initial margin with orders and factor, rounded up.
    pub initial: Money,
    /// Maintenance margin with factor, rounded up.
    pub maintenance: Money,
    /// Each position, with its open orders.
    pub legs: Vec<LegReport>,
    /// Portfolio margin taken apart, scenario by scenario; `None` under standard margin.
    pub portfolio: Option<Explanation<InstrumentId>>,
    /// Net Greeks of the positions.
    pub greeks: Greeks,
}

/// A position and its open orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegReport {
    /// The instrument.
    pub instrument: InstrumentId,
    /// Signed size.
    pub lots: Lots,
    /// Lots of its resting buys.
    pub open_buy: Lots,
    /// Lots of its resting sells.
    pub open_sell: Lots,
    /// The mark; `None` if there is none: the leg is not valued then.
    pub mark: Option<Ticks>,
    /// What it adds to the group's value.
    pub value: Money,
    /// Standard margin: what it adds to the group's, parts of 10^18; 0 under portfolio margin.
    pub initial_atto: i128,
    /// Likewise.
    pub maintenance_atto: i128,
    /// Likewise.
    pub orders_atto: i128,
    /// Greeks of the position.
    pub greeks: Greeks,
}

impl Engine {
    /// Where an account's margin comes from.
    #[must_use]
    pub fn margin_report(&self, account: AccountId) -> Option<MarginReport> {
        let slot = self.state.client_slot(account).ok()?;
        Some(self.state.report_margin(slot))
    }

    /// Net Greeks of an account in each underlying, ascending.
    #[must_use]
    pub fn net_greeks(&self, account: AccountId) -> Option<Vec<(UnderlyingId, Greeks)>> {
        let slot = self.state.client_slot(account).ok()?;
        let mut all: Vec<(UnderlyingId, Greeks)> = Vec::new();
        for group in &self.state.full_cache(slot).groups {
            let greeks = self.state.greeks_of_group(slot, group);
            match all.last_mut().filter(|(underlying, _)| *underlying == group.underlying) {
                Some((_, sum)) => sum.add(&greeks, 1),
                None => all.push((group.underlying, greeks)),
            }
        }
        Some(all)
    }
}

impl State {
    fn report_margin(&self, slot: u32) -> MarginReport {
        let cache = self.full_cache(slot);
        let margin = self.margin_from(slot, &cache);
        let owner = self.account(slot);
        MarginReport {
            account: owner.id,
            model: owner.extra.model,
            currencies: margin.currencies.iter().map(|it| self.report_currency(slot, it)).collect(),
            groups: cache.groups.iter().map(|group| self.report_group(slot, group)).collect(),
            margin,
        }
    }

    fn report_currency(&self, slot: u32, margin: &CurrencyMargin) -> CurrencyReport {
        let terms = self.extension.terms.as_ref();
        let currency = margin.currency;
        let haircut = terms.and_then(|terms| {
            let at = terms.haircuts.binary_search_by_key(&currency, |it| it.currency).ok()?;
            Some(terms.haircuts[at].haircut)
        });
        let counted = |amount| Some(Money(self.in_numeraire(terms?, currency, amount)?));
        let needs = margin.initial.0.saturating_add(margin.reserved.0);
        let is_numeraire = terms.is_some_and(|terms| terms.numeraire == currency);
        CurrencyReport {
            margin: *margin,
            balance: self.account(slot).balance(currency).balance,
            index: self.conversion(currency),
            haircut: if is_numeraire { Some(0) } else { haircut },
            counted_initial: counted(margin.margin_balance.0.saturating_sub(needs)),
            counted_maintenance: counted(
                margin.margin_balance.0.saturating_sub(margin.maintenance.0),
            ),
        }
    }

    fn report_group(&self, slot: u32, group: &Group) -> GroupReport {
        let needs = group.needs.unwrap_or_default();
        let scaled = self.scaled_needs(group);
        let known = self.extension.underlyings.get(&group.underlying);
        let in_units = |atto| Money(self.in_units(group.currency, atto));
        let legs = self.report_legs(slot, group);
        let mut greeks = Greeks::default();
        for leg in &legs {
            greeks.add(&leg.greeks, 1);
        }
        GroupReport {
            underlying: group.underlying,
            currency: group.currency,
            factor_bp: known.map_or(10_000, |it| it.factor.at(self.meta.time)),
            value: Money(group.sums.value),
            initial_atto: needs.initial,
            maintenance_atto: needs.maintenance,
            orders_atto: needs.orders,
            initial: in_units(scaled.initial.saturating_add(scaled.orders)),
            maintenance: in_units(scaled.maintenance),
            legs,
            portfolio: self.explain_group(slot, group),
            greeks,
        }
    }

    /// An account's holdings that belong to a group and are not flat.
    fn members_of(&self, slot: u32, group: &Group) -> Vec<Counted> {
        let holdings = self.account(slot).holdings.iter();
        let counted = holdings.filter_map(|holding| {
            let at = self.instrument_slot(holding.instrument).ok()?;
            Some(Counted::of(holding, at, self.instrument(at)))
        });
        let key = Some((group.underlying, group.currency));
        counted.filter(|it| it.group == key && !it.is_flat()).collect()
    }

    fn report_legs(&self, slot: u32, group: &Group) -> Vec<LegReport> {
        let is_portfolio = group.sums.portfolio.is_some();
        let of = |counted: Counted| {
            let instrument = self.instrument(counted.slot);
            let leg = self.make_leg(counted.slot, is_portfolio);
            let standard = self.risk_terms(group.underlying).map(|(standard, _)| standard);
            let needs = match (&leg, standard) {
                (Some(leg), Some(standard)) if !is_portfolio => {
                    standard_needs(&standard, leg, &counted)
                }
                _ => crate::risk::cache::Needs::default(),
            };
            let is_option = matches!(instrument.terms.kind, InstrumentKind::Option { .. });
            let is_worth = leg.is_some() && (!is_option || is_portfolio);
            let value = if is_worth { value_of(&counted, instrument, is_option) } else { 0 };
            LegReport {
                instrument: counted.instrument,
                lots: Lots(counted.lots),
                open_buy: Lots(counted.open_buy),
                open_sell: Lots(counted.open_sell),
                mark: instrument.mark,
                value: Money(value),
                initial_atto: needs.initial,
                maintenance_atto: needs.maintenance,
                orders_atto: needs.orders,
                greeks: self.greeks_of(&counted),
            }
        };
        self.members_of(slot, group).into_iter().map(of).collect()
    }

    fn explain_group(&self, slot: u32, group: &Group) -> Option<Explanation<InstrumentId>> {
        group.sums.portfolio.as_ref()?;
        let known = self.extension.underlyings.get(&group.underlying)?;
        let model = self.extension.prices.models.get(&group.underlying)?;
        let market = self.risk_market(known, group.settlement)?;
        let members = self.members_of(slot, group);
        let legs: Vec<_> =
            members.iter().filter_map(|it| Some((it, self.make_leg(it.slot, true)?))).collect();
        let open_orders = group.needs.unwrap_or_default().orders;
        let extra = ExtraMargin { open_orders, ..ExtraMargin::default() };
        let all = legs.iter().filter_map(|(counted, leg)| {
            Some((counted.instrument, leg.scenarios.as_ref()?.leg(leg), counted.lots))
        });
        Some(explain(model, &market, &extra, all))
    }

    fn greeks_of_group(&self, slot: u32, group: &Group) -> Greeks {
        let mut greeks = Greeks::default();
        for counted in self.members_of(slot, group) {
            greeks.add(&self.greeks_of(&counted), 1);
        }
        greeks
    }

    /// Greeks of a position; nothing if it cannot be valued.
    fn greeks_of(&self, counted: &Counted) -> Greeks {
        let mut greeks = Greeks::default();
        let kind = self.instrument(counted.slot).terms.kind;
        let known = counted.group.and_then(|(id, _)| self.extension.underlyings.get(&id));
        let (Some(leg), Some(known)) = (self.make_leg(counted.slot, false), known) else {
            return greeks;
        };
        let lot = match kind {
            InstrumentKind::Option { .. } => OptionValue::of(known, kind)
                .map(|value| Greeks::of_option(&value.lot(leg.settlement, leg.coins))),
            _ => Some(Greeks::of_future(leg.coins)),
        };
        greeks.add(&lot.unwrap_or_default(), counted.lots);
        greeks
    }
}
