//! Sums over an account's positions, kept fill by fill.
//!
//! A *group* is what an account holds on one underlying in one settlement currency. Each holding
//! contributes numbers that depend on nothing but the holding and its instrument's leg; a group is
//! their sum. When a holding changes, its old contribution is taken out and the new one put in;
//! when a price changes, the group is summed up again the next time somebody asks. Both give the
//! same bits, because contributions are integers.
//!
//! That holds while sums stay within [`SUM_MAX`]; a group beyond it (no account holds that much) is
//! summed up again each time it is asked for.

use crate::risk::leg::Leg;
use crate::state::{Holding, InstrumentState};
use evenkeel_quant::risk::{RiskMatrix, RiskModel, RiskSums};
use evenkeel_quant::scenarios::{Settlement, times};
use evenkeel_quant::standard::{Requirement, StandardParameters};
use evenkeel_types::terms::MarginModel;
use evenkeel_types::{CurrencyId, InstrumentId, InstrumentKind, Money, UnderlyingId};

/// Largest sum that is kept. What a fill adds to it cannot leave 127 bits unnoticed.
const SUM_MAX: u128 = 1 << 120;
/// Largest value of a position that counts, in the settlement currency's smallest unit.
const VALUE_MAX: i128 = 1 << 100;
/// Holdings that may change between two looks before all of them are compared.
const TOUCHED_MAX: usize = 32;

/// What of a holding is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub instrument: InstrumentId,
    /// The instrument's slot.
    pub slot: u32,
    /// Its group; `None` for an instrument without an underlying.
    pub group: Option<(UnderlyingId, CurrencyId)>,
    pub lots: i64,
    pub basis: i128,
    pub open_buy: i64,
    pub open_sell: i64,
}

impl Counted {
    pub fn of(holding: &Holding, slot: u32, instrument: &InstrumentState) -> Self {
        let underlying = instrument.extra.underlying;
        // Spot orders reserve what they pay and make no position: there is nothing to value.
        let is_spot = instrument.terms.kind == InstrumentKind::Spot;
        let open = |lots: i64| if is_spot { 0 } else { lots };
        Self {
            instrument: holding.instrument,
            slot,
            group: underlying.map(|it| (it, instrument.terms.settlement)),
            lots: holding.lots.0,
            basis: holding.basis.0,
            open_buy: open(holding.open_buy),
            open_sell: open(holding.open_sell),
        }
    }

    /// Nothing of the same instrument.
    pub fn flat(&self) -> Self {
        Self { lots: 0, basis: 0, open_buy: 0, open_sell: 0, ..*self }
    }

    pub fn is_flat(&self) -> bool {
        self.lots == 0 && self.open_buy == 0 && self.open_sell == 0
    }

    /// The worst that its open orders can do in a scenario in which a lot gains `one`: the side
    /// that loses fills.
    pub fn orders_worst(&self, one: i128) -> i128 {
        // Of the two sides one gains at most nothing.
        let worst = if one < 0 { times(one, self.open_buy) } else { times(one, -self.open_sell) };
        // Not the most negative value, whose negation would not fit.
        worst.max(-i128::MAX)
    }

    /// The largest position that open orders can make of it, either side.
    fn worst(&self) -> i64 {
        let buys = self.lots.saturating_add(self.open_buy);
        let sells = self.open_sell.saturating_sub(self.lots);
        buys.max(sells)
    }
}

/// What a group needs, in parts of 10^18 of its currency, before the margin factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    pub initial: i128,
    pub maintenance: i128,
    /// Initial margin of what open orders could make of the positions, beyond `initial`.
    pub orders: i128,
}

/// A group's sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupSums {
    /// Unrealised profit and, under portfolio margin, options' values; smallest units.
    pub value: i128,
    /// Standard margin.
    pub standard: Needs,
    /// Portfolio margin: the positions, and what open orders could add in each scenario.
    pub portfolio: Option<PortfolioSums>,
    /// Holdings that are not flat.
    pub legs: u32,
    /// Of them, those that cannot be valued.
    pub unpriced: u32,
}

/// The portfolio's part of a group's sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PortfolioSums {
    pub positions: RiskSums,
    /// In each scenario, the worst that open orders could do if all that hurt filled.
    pub orders: Vec<i128>,
    pub orders_roll: i128,
}

/// What contributions are made of.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub model: MarginModel,
    pub standard: &'a StandardParameters,
    pub portfolio: &'a RiskModel,
}

impl GroupSums {
    pub fn new(terms: &Terms<'_>) -> Self {
        let scenarios = terms.portfolio.grid().scenarios();
        let portfolio = (terms.model == MarginModel::Portfolio).then(|| PortfolioSums {
            positions: RiskSums::new(scenarios),
            orders: vec![0; scenarios],
            orders_roll: 0,
        });
        Self { value: 0, standard: Needs::default(), portfolio, legs: 0, unpriced: 0 }
    }

    /// Replaces a holding's contribution. Only what differs is worked out again.
    pub fn replace(
        &mut self,
        terms: &Terms<'_>,
        (before, after): (&Counted, &Counted),
        (instrument, leg): (&InstrumentState, Option<&Leg>),
    ) {
        let count = |it: &Counted| u32::from(!it.is_flat());
        self.legs = (self.legs + count(after)).saturating_sub(count(before));
        let Some(leg) = leg.filter(|leg| self.portfolio.is_none() || leg.scenarios.is_some())
        else {
            self.unpriced = (self.unpriced + count(after)).saturating_sub(count(before));
            return;
        };
        match &mut self.portfolio {
            None => {
                let old = standard_needs(terms.standard, leg, before);
                let new = standard_needs(terms.standard, leg, after);
                self.standard.initial = moved(self.standard.initial, old.initial, new.initial);
                self.standard.maintenance =
                    moved(self.standard.maintenance, old.maintenance, new.maintenance);
                self.standard.orders = moved(self.standard.orders, old.orders, new.orders);
            }
            Some(sums) => sums.replace(leg, before, after),
        }
        let is_worth = !leg.is_option || self.portfolio.is_some();
        if is_worth && (before.lots, before.basis) != (after.lots, after.basis) {
            let of = |it: &Counted| value_of(it, instrument, leg.is_option);
            self.value = moved(self.value, of(before), of(after));
        }
    }

    /// Whether every sum is small enough to be kept.
    pub fn is_sound(&self) -> bool {
        let is_small = |sum: i128| sum.unsigned_abs() < SUM_MAX;
        let Needs { initial, maintenance, orders } = self.standard;
        let portfolio = self.portfolio.as_ref().is_none_or(|sums| {
            sums.positions.pnl().iter().copied().all(is_small)
                && sums.orders.iter().copied().all(is_small)
                && is_small(sums.orders_roll)
                && is_small(sums.positions.net_delta())
                && sums.positions.expiries().iter().all(|group| is_small(group.delta))
        });
        [self.value, initial, maintenance, orders].into_iter().all(is_small) && portfolio
    }
}

impl PortfolioSums {
    fn replace(&mut self, leg: &Leg, before: &Counted, after: &Counted) {
        let Some(scenarios) = &leg.scenarios else {
            return;
        };
        if before.lots != after.lots {
            self.positions.change(&scenarios.leg(leg), before.lots, after.lots);
        }
        let open = |it: &Counted| (it.open_buy, it.open_sell);
        if open(before) == open(after) {
            return;
        }
        for (sum, one) in self.orders.iter_mut().zip(&scenarios.vector) {
            *sum = moved(*sum, before.orders_worst(*one), after.orders_worst(*one));
        }
        let roll = |it: &Counted| times(scenarios.roll_shock, it.open_buy.max(it.open_sell));
        self.orders_roll = moved(self.orders_roll, roll(before), roll(after));
    }
}

/// A sum in which a part was replaced.
fn moved(sum: i128, before: i128, after: i128) -> i128 {
    sum.saturating_sub(before).saturating_add(after)
}

/// Standard margin of a holding with its open orders.
pub(crate) fn standard_needs(
    parameters: &StandardParameters,
    leg: &Leg,
    counted: &Counted,
) -> Needs {
    let now = standard_margin(parameters, leg, counted.lots);
    let has_orders = counted.open_buy != 0 || counted.open_sell != 0;
    let worst = match (has_orders, leg.is_option) {
        (false, _) => now,
        // Premiums of options bought are reserved order by order.
        (true, true) => {
            let short = counted.lots.saturating_sub(counted.open_sell).min(counted.lots);
            standard_margin(parameters, leg, short)
        }
        (true, false) => standard_margin(parameters, leg, counted.worst().max(counted.lots.abs())),
    };
    let orders = worst.initial.saturating_sub(now.initial).max(0);
    Needs { initial: now.initial, maintenance: now.maintenance, orders }
}

fn standard_margin(parameters: &StandardParameters, leg: &Leg, lots: i64) -> Requirement {
    let coins = leg.coins.saturating_mul(lots.into());
    if !leg.is_option {
        return parameters.future(leg.settlement, coins, leg.mark);
    }
    if lots >= 0 {
        return Requirement::default();
    }
    let coins = coins.saturating_abs();
    let of = |one: i128| {
        use evenkeel_quant::portfolio::ATTO;
        use evenkeel_types::Rounding;
        let product = evenkeel_types::money::mul_div(one, coins, ATTO, Rounding::Ceiling);
        product.unwrap_or(i128::MAX >> 1)
    };
    Requirement { initial: of(leg.short_coin.initial), maintenance: of(leg.short_coin.maintenance) }
}

/// What a position is worth at the mark, in the settlement currency's smallest unit: unrealised
/// profit of futures, the value of options.
pub(crate) fn value_of(counted: &Counted, instrument: &InstrumentState, is_option: bool) -> i128 {
    let Some(mark) = instrument.mark else {
        return 0;
    };
    if counted.lots == 0 {
        return 0;
    }
    let lots = evenkeel_types::Lots(counted.lots);
    let extreme = if counted.lots > 0 { VALUE_MAX } else { -VALUE_MAX };
    let at_mark = instrument.valuation.basis(mark, lots).unwrap_or(Money(extreme));
    let basis = if is_option { 0 } else { counted.basis };
    at_mark.0.saturating_sub(basis).clamp(-VALUE_MAX, VALUE_MAX)
}

/// A group of an account, with what keeps it up.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub underlying: UnderlyingId,
    pub currency: CurrencyId,
    pub settlement: Settlement,
    /// Epoch of the prices behind the sums; `None`: to be summed up again.
    pub epoch: Option<u64>,
    pub sums: GroupSums,
    /// What the sums need, once worked out.
    pub needs: Option<Needs>,
    /// The positions' risk matrix, once worked out (portfolio margin).
    pub matrix: Option<RiskMatrix>,
}

/// Sums over an account's positions; derived.
#[derive(Debug, Clone, Default)]
pub(crate) struct RiskCache {
    /// Ascending by underlying and currency.
    pub groups: Vec<Group>,
    /// Ascending by instrument.
    pub counted: Vec<Counted>,
    /// How many of them belong to no group.
    pub orphans: u32,
    /// Holdings that changed since they were counted.
    touched: Vec<InstrumentId>,
    /// Whether anything is counted at all.
    is_live: bool,
    /// Whether all holdings are to be compared.
    is_behind: bool,
}

impl RiskCache {
    /// A holding is about to change.
    pub fn touch(&mut self, instrument: InstrumentId) {
        if !self.is_live || self.touched.last() == Some(&instrument) {
            return;
        }
        if self.touched.len() < TOUCHED_MAX {
            self.touched.push(instrument);
        } else {
            self.is_behind = true;
        }
    }

    /// Begins to keep count; `true` if all holdings are to be compared.
    pub fn begin(&mut self) -> bool {
        let all = !self.is_live || self.is_behind;
        self.is_live = true;
        self.is_behind = false;
        all
    }

    /// Takes one changed holding off the list.
    pub fn next_touched(&mut self) -> Option<InstrumentId> {
        self.touched.pop()
    }

    /// Whether every holding could be valued and every group's needs worked out.
    pub fn is_priced(&self) -> bool {
        let is_priced = |group: &Group| group.sums.unpriced == 0 && group.needs.is_some();
        self.orphans == 0 && self.groups.iter().all(is_priced)
    }

    /// What of a holding is counted.
    pub fn counted_of(&self, instrument: InstrumentId) -> Option<Counted> {
        let at = self.counted.binary_search_by_key(&instrument, |it| it.instrument);
        at.ok().map(|at| self.counted[at])
    }

    /// Place of a group, or where it belongs.
    pub fn group_at(&self, key: (UnderlyingId, CurrencyId)) -> Result<usize, usize> {
        self.groups.binary_search_by_key(&key, |group| (group.underlying, group.currency))
    }
}
