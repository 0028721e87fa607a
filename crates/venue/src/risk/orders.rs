//! What an order must be covered by, and whether an account's collateral is free.

use crate::margin;
use crate::matching::Incoming;
use crate::risk::cache::{Counted, Group, Needs, RiskCache, Terms, standard_needs};
use crate::risk::leg::Leg;
use crate::state::{Holding, InstrumentState, State};
use evenkeel_quant::portfolio::ATTO;
use evenkeel_quant::risk::RiskSums;
use evenkeel_quant::scenarios::times;
use evenkeel_types::terms::MarginModel;
use evenkeel_types::{
    Collateral, CurrencyId, InstrumentKind, Lots, Money, RejectCode, Side, Ticks, UnderlyingId,
};

/// Largest notional of a position with its open orders, in whole units of the quote currency: far
/// above any market, and far below what sums over all instruments can carry.
const NOTIONAL_MAX: i128 = 1_000_000_000_000_000;

/// What an order adds to what its owner must have, in smallest units of a currency.
#[derive(Debug, Clone, Copy, Default)]
struct More {
    /// Beyond the present initial margin.
    initial: i128,
    /// Of the balance.
    reserved: i128,
}

impl State {
    /// Whether an account's figures are known at fresh prices and initial margin is met: what
    /// taking collateral out asks for, after it is taken.
    ///
    /// # Errors
    /// [`RejectCode::PricesNotFresh`], [`RejectCode::InsufficientMargin`].
    pub(crate) fn check_collateral(&mut self, account: u32) -> Result<(), RejectCode> {
        if self.account(account).collateral == Collateral::Unlimited {
            return Ok(());
        }
        let margin = self.margin_of(account);
        let owner = self.account(account);
        // Without positions, orders or debts there is nothing that prices could tell.
        let is_plain = owner.extra.cache.counted.is_empty();
        if is_plain && owner.balances.iter().all(|money| money.balance >= money.reserved) {
            return Ok(());
        }
        if !margin.is_fresh || !self.has_fresh_prices(account) {
            return Err(RejectCode::PricesNotFresh);
        }
        if margin.figures.above_initial < Money::ZERO {
            return Err(RejectCode::InsufficientMargin);
        }
        Ok(())
    }

    /// Whether margin covers an order of `lots` that fills at `price` or better: what it could make
    /// of the position on top of all that is open already, and what filling at that price instead
    /// of the mark would lose.
    ///
    /// # Errors
    /// [`RejectCode::UnknownUnderlying`] for an instrument without one,
    /// [`RejectCode::PricesNotFresh`], [`RejectCode::NoMark`], [`RejectCode::PositionTooLarge`],
    /// [`RejectCode::InsufficientMargin`].
    pub(crate) fn check_margin(
        &mut self,
        order: &Incoming,
        price: Ticks,
        lots: Lots,
    ) -> Result<(), RejectCode> {
        let instrument = self.instrument(order.instrument);
        let currency = margin::reserve_currency(&instrument.terms, order.side);
        if instrument.terms.kind == InstrumentKind::Spot {
            return self.check_spot_margin(order, price, lots);
        }
        let underlying = instrument.extra.underlying.ok_or(RejectCode::UnknownUnderlying)?;
        if self.extension.terms.is_none() {
            return Err(RejectCode::UnknownUnderlying);
        }
        if self.account(order.account).collateral == Collateral::Unlimited || order.reduce_only {
            return Ok(());
        }
        self.keep_risk(order.account);
        let model = self.account(order.account).extra.model;
        self.ensure_leg(order.instrument, model == MarginModel::Portfolio);
        let mut cache = std::mem::take(&mut self.account_mut(order.account).extra.cache);
        self.work_out(&mut cache);
        let more = self.more_needed(&cache, underlying, order, (price, lots));
        let checked = more.and_then(|more| {
            if more.initial <= 0 && more.reserved <= 0 {
                return Ok(());
            }
            if !self.is_fresh(underlying) {
                return Err(RejectCode::PricesNotFresh);
            }
            self.afford(order.account, &cache, currency, more)
        });
        self.account_mut(order.account).extra.cache = cache;
        if checked.is_ok() {
            self.join_sweep(order.account);
        }
        checked
    }

    /// Spot is paid from the balance; what it reserves must be free of margin too.
    fn check_spot_margin(
        &mut self,
        order: &Incoming,
        price: Ticks,
        lots: Lots,
    ) -> Result<(), RejectCode> {
        let owner = self.account(order.account);
        let owes = owner.balances.iter().any(|it| it.balance < Money::ZERO);
        if owner.collateral == Collateral::Unlimited || (owner.holdings.is_empty() && !owes) {
            return Ok(());
        }
        let instrument = self.instrument(order.instrument);
        let value = margin::checked_value(instrument, price, lots)?;
        let reserve = margin::order_reserve(owner.collateral, instrument, order.side, lots, value);
        let currency = margin::reserve_currency(&instrument.terms, order.side);
        let more = More { initial: 0, reserved: reserve.0 - self.replaced_reserve(order) };
        self.keep_risk(order.account);
        let mut cache = std::mem::take(&mut self.account_mut(order.account).extra.cache);
        self.work_out(&mut cache);
        let checked = if more.reserved <= 0 || (cache.counted.is_empty() && !owes) {
            Ok(())
        } else {
            self.afford(order.account, &cache, currency, more)
        };
        self.account_mut(order.account).extra.cache = cache;
        checked
    }

    fn replaced_reserve(&self, order: &Incoming) -> i128 {
        order.replaces.map_or(0, |slot| self.orders.at(slot).reserve.0)
    }

    /// Whether initial margin is still met with more of it needed in a currency.
    fn afford(
        &self,
        account: u32,
        cache: &RiskCache,
        currency: CurrencyId,
        more: More,
    ) -> Result<(), RejectCode> {
        if !cache.is_priced() {
            return Err(RejectCode::PricesNotFresh);
        }
        let mut currencies = self.currency_margins(account, cache);
        let place = currencies.binary_search_by_key(&currency, |it| it.currency);
        let at = place.unwrap_or_else(|at| {
            let zero = Money::ZERO;
            currencies.insert(
                at,
                crate::risk::CurrencyMargin {
                    currency,
                    margin_balance: zero,
                    initial: zero,
                    maintenance: zero,
                    reserved: zero,
                },
            );
            at
        });
        let needs = &mut currencies[at];
        needs.initial.0 = needs.initial.0.saturating_add(more.initial);
        needs.reserved.0 = needs.reserved.0.saturating_add(more.reserved);
        let figures = self.figures_of(&currencies).ok_or(RejectCode::PricesNotFresh)?;
        if figures.above_initial < Money::ZERO {
            return Err(RejectCode::InsufficientMargin);
        }
        Ok(())
    }

    /// What an order of a derivative adds.
    fn more_needed(
        &self,
        cache: &RiskCache,
        underlying: UnderlyingId,
        order: &Incoming,
        (price, lots): (Ticks, Lots),
    ) -> Result<More, RejectCode> {
        let instrument = self.instrument(order.instrument);
        let leg = instrument.extra.leg.as_deref().ok_or(RejectCode::NoMark)?;
        let before = cache.counted_of(instrument.terms.id).unwrap_or_else(|| {
            let none = Holding::new(instrument.terms.id);
            Counted::of(&none, order.instrument, instrument)
        });
        let replaced = order.replaces.map_or(0, |slot| self.orders.at(slot).open.0);
        let mut after = before;
        let open = match order.side {
            Side::Buy => &mut after.open_buy,
            Side::Sell => &mut after.open_sell,
        };
        *open = open.saturating_sub(replaced).saturating_add(lots.0);
        let increase = increase(&after, order.side).min(lots.0);
        check_notional(leg, &after, self.index_price(underlying).map(|it| it.price.0))?;
        let currency = instrument.terms.settlement;
        let key = (underlying, currency);
        let group = cache.group_at(key).ok().map(|at| &cache.groups[at]);
        let (standard, portfolio) =
            self.risk_terms(underlying).ok_or(RejectCode::UnknownUnderlying)?;
        let model = self.account(order.account).extra.model;
        let terms = Terms { model, standard: &standard, portfolio };
        let orders = self.more_for_orders(&terms, group, underlying, leg, (&before, &after));
        let orders = self.scale_up(underlying, orders.ok_or(RejectCode::PricesNotFresh)?);
        let slip = if increase > 0 { slip(instrument, order.side, price, increase) } else { 0 };
        // Standard margin of a short option includes its whole mark, whatever premium comes in.
        let slips = !leg.is_option || (model == MarginModel::Portfolio && order.side == Side::Sell);
        let is_bought = leg.is_option && order.side == Side::Buy;
        let premium = if is_bought {
            let value = margin::checked_value(instrument, price, lots)?;
            value.0 - self.replaced_reserve(order)
        } else {
            0
        };
        let initial = self.in_units(currency, orders);
        let initial = initial.saturating_add(if slips { slip } else { 0 });
        Ok(More { initial, reserved: premium })
    }

    /// How much more initial margin open orders need, in parts of 10^18.
    fn more_for_orders(
        &self,
        terms: &Terms<'_>,
        group: Option<&Group>,
        underlying: UnderlyingId,
        leg: &Leg,
        (before, after): (&Counted, &Counted),
    ) -> Option<i128> {
        if terms.model == MarginModel::Standard {
            let needs = |counted: &Counted| -> Needs {
                if counted.is_flat() {
                    return Needs::default();
                }
                standard_needs(terms.standard, leg, counted)
            };
            return Some(needs(after).orders.saturating_sub(needs(before).orders));
        }
        let scenarios = leg.scenarios.as_ref()?;
        let known = self.extension.underlyings.get(&underlying)?;
        let market = self.risk_market(known, leg.settlement)?;
        let changed =
            |one: &i128| after.orders_worst(*one).saturating_sub(before.orders_worst(*one));
        let open = |it: &Counted| it.open_buy.max(it.open_sell);
        let roll = |it: &Counted| times(scenarios.roll_shock, open(it));
        let roll = roll(after).saturating_sub(roll(before));
        let changes = scenarios.vector.iter().map(changed);
        let Some(group) = group else {
            let sums = RiskSums::new(terms.portfolio.grid().scenarios());
            return Some(terms.portfolio.worst_with(&sums, changes, &market).saturating_add(roll));
        };
        let sums = group.sums.portfolio.as_ref()?;
        let (needs, matrix) = (group.needs?, group.matrix?);
        let added = sums.orders.iter().zip(changes).map(|(sum, more)| sum.saturating_add(more));
        let worst = terms.portfolio.worst_with(&sums.positions, added, &market);
        let more = worst.saturating_sub(matrix.worst_case).max(0);
        let then = more.saturating_add(sums.orders_roll).saturating_add(roll);
        Some(then.saturating_sub(needs.orders))
    }

    fn scale_up(&self, underlying: UnderlyingId, atto: i128) -> i128 {
        let known = self.extension.underlyings.get(&underlying);
        let factor = known.map_or(10_000, |it| i128::from(it.factor.at(self.meta.time)));
        if factor == 10_000 || atto <= 0 {
            return atto;
        }
        atto.saturating_mul(factor).saturating_add(9_999) / 10_000
    }
}

/// Lots by which a side's open orders could increase the position.
fn increase(counted: &Counted, side: Side) -> i64 {
    let open = match side {
        Side::Buy => counted.open_buy,
        Side::Sell => counted.open_sell,
    };
    let reducible = counted.lots.saturating_mul(-side.sign()).max(0);
    open.saturating_sub(reducible).max(0)
}

/// What is lost at once by trading at a price instead of the mark, in smallest units.
fn slip(instrument: &InstrumentState, side: Side, price: Ticks, lots: i64) -> i128 {
    let signed = Lots(lots.saturating_mul(side.sign()));
    let basis = |price| instrument.valuation.basis(price, signed).map(|it| it.0);
    let (Some(mark), Ok(cost)) = (instrument.mark, basis(price)) else {
        return 0;
    };
    // Both are values of accepted sizes.
    basis(mark).map_or(0, |worth| cost.saturating_sub(worth).max(0))
}

/// Keeps positions to what sums over all instruments can carry.
fn check_notional(leg: &Leg, after: &Counted, index: Option<i64>) -> Result<(), RejectCode> {
    let most = after.lots.saturating_add(after.open_buy).max(after.open_sell - after.lots);
    let coins = leg.coins.saturating_mul(most.into()) / (ATTO / 1_000_000_000);
    let notional = coins.saturating_mul(index.unwrap_or(1).into());
    if notional > NOTIONAL_MAX.saturating_mul(1_000_000_000 * 10_000_000_000) {
        return Err(RejectCode::PositionTooLarge);
    }
    Ok(())
}
