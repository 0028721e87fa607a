//! Keeping an account's sums up, and making them from nothing.

use crate::risk::cache::{Counted, Group, GroupSums, Needs, RiskCache, Terms};
use crate::risk::leg::standard_parameters;
use crate::state::{Holding, State};
use evenkeel_quant::risk::{RiskMatrix, RiskModel};
use evenkeel_quant::scenarios::Settlement;
use evenkeel_quant::standard::StandardParameters;
use evenkeel_types::terms::MarginModel;
use evenkeel_types::{CurrencyId, Style, UnderlyingId};

impl State {
    /// Brings an account's sums up to its positions and the present prices.
    pub(crate) fn keep_risk(&mut self, account: u32) {
        let mut cache = std::mem::take(&mut self.account_mut(account).extra.cache);
        if cache.begin() {
            self.compare_all(account, &mut cache);
        }
        while let Some(instrument) = cache.next_touched() {
            let holding = self.account(account).holding(instrument);
            self.count(account, &mut cache, &holding);
        }
        for at in 0..cache.groups.len() {
            let group = &cache.groups[at];
            let epoch = self.epoch_of(group.underlying);
            if group.epoch != Some(epoch) {
                self.sum_up(account, &mut cache, at, epoch);
            }
        }
        // What was closed after the prices had moved on left its group behind.
        cache.groups.retain(|group| group.sums.legs > 0);
        self.account_mut(account).extra.cache = cache;
    }

    pub(crate) fn epoch_of(&self, underlying: UnderlyingId) -> u64 {
        self.extension.prices.epochs.get(&underlying).copied().unwrap_or_default()
    }

    fn compare_all(&mut self, account: u32, cache: &mut RiskCache) {
        for at in 0..self.account(account).holdings.len() {
            let holding = self.account(account).holdings[at];
            self.count(account, cache, &holding);
        }
    }

    /// Replaces a holding's contribution by that of its present state.
    fn count(&mut self, account: u32, cache: &mut RiskCache, holding: &Holding) {
        let Ok(slot) = self.instrument_slot(holding.instrument) else {
            return;
        };
        let now = Counted::of(holding, slot, self.instrument(slot));
        let place = cache.counted.binary_search_by_key(&now.instrument, |it| it.instrument);
        let before = place.ok().map(|at| cache.counted[at]);
        if before.is_none_or(|before| before == now) && (before.is_some() || now.is_flat()) {
            return;
        }
        if let Some(key) = now.group {
            self.move_group(account, cache, key, (before, now));
        } else {
            let is_counted = |it: Option<Counted>| u32::from(it.is_some_and(|it| !it.is_flat()));
            cache.orphans = cache.orphans + is_counted(Some(now)) - is_counted(before);
        }
        match (place, now.is_flat()) {
            (Ok(at), true) => {
                cache.counted.remove(at);
            }
            (Ok(at), false) => cache.counted[at] = now,
            (Err(_), true) => {}
            (Err(at), false) => cache.counted.insert(at, now),
        }
    }

    /// Carries a holding's change into its group, if the group's sums are of the present prices.
    fn move_group(
        &mut self,
        account: u32,
        cache: &mut RiskCache,
        key: (UnderlyingId, CurrencyId),
        (before, now): (Option<Counted>, Counted),
    ) {
        let model = self.account(account).extra.model;
        let with_scenarios = model == MarginModel::Portfolio;
        let at = match cache.group_at(key) {
            Ok(at) => at,
            Err(at) => {
                let Some(group) = self.new_group(model, key, now.slot) else {
                    return;
                };
                cache.groups.insert(at, group);
                at
            }
        };
        if cache.groups[at].epoch != Some(self.epoch_of(key.0)) {
            return;
        }
        self.ensure_leg(now.slot, with_scenarios);
        let Some((standard, portfolio)) = self.risk_terms(key.0) else {
            return;
        };
        let terms = Terms { model, standard: &standard, portfolio };
        let group = &mut cache.groups[at];
        let instrument = self.instrument(now.slot);
        let of = (instrument, instrument.extra.leg.as_deref());
        let before = before.unwrap_or_else(|| now.flat());
        group.sums.replace(&terms, (&before, &now), of);
        group.needs = None;
        if before.lots != now.lots {
            group.matrix = None;
        }
        if !group.sums.is_sound() {
            group.epoch = None;
        }
        if group.sums.legs == 0 {
            cache.groups.remove(at);
        }
    }

    fn new_group(
        &self,
        model: MarginModel,
        (underlying, currency): (UnderlyingId, CurrencyId),
        slot: u32,
    ) -> Option<Group> {
        let settlement = match self.instrument(slot).terms.style {
            Style::Inverse => Settlement::Coin,
            Style::Linear => Settlement::Quote,
        };
        let (standard, portfolio) = self.risk_terms(underlying)?;
        let sums = GroupSums::new(&Terms { model, standard: &standard, portfolio });
        let epoch = Some(self.epoch_of(underlying));
        Some(Group { underlying, currency, settlement, epoch, sums, needs: None, matrix: None })
    }

    /// The parameters of an underlying, in the units of the formulas.
    pub(crate) fn risk_terms(
        &self,
        underlying: UnderlyingId,
    ) -> Option<(StandardParameters, &RiskModel)> {
        let known = self.extension.underlyings.get(&underlying)?;
        let model = self.extension.prices.models.get(&underlying)?;
        Some((standard_parameters(&known.terms.standard), model))
    }

    /// Sums a group up again.
    fn sum_up(&mut self, account: u32, cache: &mut RiskCache, at: usize, epoch: u64) {
        let model = self.account(account).extra.model;
        let key = (cache.groups[at].underlying, cache.groups[at].currency);
        let members = cache.counted.iter().filter(|it| it.group == Some(key));
        for member in members.clone() {
            self.ensure_leg(member.slot, model == MarginModel::Portfolio);
        }
        let Some((standard, portfolio)) = self.risk_terms(key.0) else {
            return;
        };
        let terms = Terms { model, standard: &standard, portfolio };
        let mut sums = GroupSums::new(&terms);
        for member in members {
            let instrument = self.instrument(member.slot);
            let of = (instrument, instrument.extra.leg.as_deref());
            sums.replace(&terms, (&member.flat(), member), of);
        }
        let group = &mut cache.groups[at];
        group.epoch = sums.is_sound().then_some(epoch);
        group.sums = sums;
        group.needs = None;
        group.matrix = None;
    }

    /// An account's groups from nothing but the state.
    pub(crate) fn full_cache(&self, account: u32) -> RiskCache {
        let owner = self.account(account);
        let model = owner.extra.model;
        let mut cache = RiskCache::default();
        for holding in &owner.holdings {
            let Ok(slot) = self.instrument_slot(holding.instrument) else {
                continue;
            };
            let counted = Counted::of(holding, slot, self.instrument(slot));
            if counted.is_flat() {
                continue;
            }
            cache.counted.push(counted);
            let Some(key) = counted.group else {
                cache.orphans += 1;
                continue;
            };
            let Some((standard, portfolio)) = self.risk_terms(key.0) else {
                continue;
            };
            if let Err(at) = cache.group_at(key) {
                cache.groups.splice(at..at, self.new_group(model, key, slot));
            }
            let terms = Terms { model, standard: &standard, portfolio };
            let leg = self.make_leg(slot, model == MarginModel::Portfolio);
            if let Ok(at) = cache.group_at(key) {
                let of = (self.instrument(slot), leg.as_ref());
                cache.groups[at].sums.replace(&terms, (&counted.flat(), &counted), of);
            }
        }
        self.work_out(&mut cache);
        cache
    }

    /// Works out what groups need, where that is not known yet.
    pub(crate) fn work_out(&self, cache: &mut RiskCache) {
        for group in &mut cache.groups {
            if group.needs.is_none() {
                (group.needs, group.matrix) = self.needs_of(group).unzip();
            }
        }
    }

    /// What a group needs, and under portfolio margin the matrix that says so.
    fn needs_of(&self, group: &Group) -> Option<(Needs, RiskMatrix)> {
        let sums = &group.sums;
        let Some(portfolio) = &sums.portfolio else {
            return Some((sums.standard, RiskMatrix::default()));
        };
        let known = self.extension.underlyings.get(&group.underlying)?;
        let model = self.extension.prices.models.get(&group.underlying)?;
        let market = self.risk_market(known, group.settlement)?;
        let matrix = group.matrix.unwrap_or_else(|| model.assess(&portfolio.positions, &market));
        let orders = portfolio.orders.iter().copied();
        let with_orders = model.worst_with(&portfolio.positions, orders, &market);
        let more = with_orders.saturating_sub(matrix.worst_case).max(0);
        let needs = Needs {
            initial: matrix.total(),
            maintenance: matrix.maintenance(model.parameters()),
            orders: more.saturating_add(portfolio.orders_roll),
        };
        Some((needs, matrix))
    }
}
