//! An account in one piece: money, margin, positions, and who owes whom by how things settle.

use crate::engine::Engine;
use crate::flows::{Flow, FlowMap, flows_of};
use crate::physical::direction;
use crate::risk::AccountMargin;
use crate::settlement::Sizing;
use crate::state::{Holding, InstrumentState, State};
use crate::view::{BalanceView, PositionView};
use evenkeel_quant::greeks::Greeks;
use evenkeel_types::flows::{FlowKey, FlowState, Permissions};
use evenkeel_types::terms::{Delivery, MarginModel};
use evenkeel_types::{
    AccountId, ApiKeyId, Collateral, CurrencyId, Instrument, InstrumentId, InstrumentKind, Lots,
    Money, Rounding, SessionId, Style, UnderlyingId,
};
use std::collections::BTreeMap;

/// How a position's profit is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettlementRule {
    /// Inverse: in the coin, valued by one over the price.
    InverseCoin,
    /// Linear: in the settlement currency.
    LinearCash,
    /// Linear and dated, on an underlying that delivers the coin itself at expiry.
    Physical,
}

/// What an account and the others of the venue owe each other under one rule in one currency, at
/// the marks, in the currency's smallest unit. Owed is what would be paid if everything were closed
/// now: unrealised profit of futures and perpetuals, the value of options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// The rule.
    pub rule: SettlementRule,
    /// The currency.
    pub currency: CurrencyId,
    /// What the others owe the account.
    pub owed_to: Money,
    /// What the account owes the others.
    pub owed_by: Money,
    /// Positions without a mark, which are in neither.
    pub unpriced: u32,
    /// Physical: coins that the account would get if everything expired at the index.
    pub to_receive: Money,
    /// Physical: coins that it would give.
    pub to_deliver: Money,
    /// Physical: delivered coins on their way out, not final yet.
    pub in_delivery: Money,
}

/// A deposit or withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowView {
    /// Its key.
    pub key: FlowKey,
    /// In which currency.
    pub currency: CurrencyId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub state: FlowState,
    /// The instrument whose physical delivery it carries.
    pub delivery_of: Option<InstrumentId>,
}

/// An account in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountReport {
    /// The account.
    pub account: AccountId,
    /// Its main account; `None` if it is one.
    pub main: Option<AccountId>,
    /// Its sub-accounts.
    pub sub_accounts: Vec<AccountId>,
    /// How its orders are covered.
    pub collateral: Collateral,
    /// How it is margined.
    pub model: MarginModel,
    /// Ascending by currency.
    pub balances: Vec<BalanceView>,
    /// Ascending by instrument.
    pub positions: Vec<PositionView>,
    /// Margin per currency and in the numeraire.
    pub margin: AccountMargin,
    /// Net Greeks by underlying.
    pub greeks: Vec<(UnderlyingId, Greeks)>,
    /// Ascending by rule and currency.
    pub exposures: Vec<Exposure>,
    /// Deposits that are pending, and the finished ones that are remembered.
    pub deposits: Vec<FlowView>,
    /// Likewise withdrawals.
    pub withdrawals: Vec<FlowView>,
    /// API keys.
    pub keys: Vec<(ApiKeyId, Permissions)>,
    /// Sessions that were opened with a key.
    pub keyed_sessions: Vec<(SessionId, ApiKeyId)>,
}

impl Engine {
    /// Every withdrawal that is open or remembered, by account and key.
    pub fn withdrawals(&self) -> impl Iterator<Item = (AccountId, FlowView)> + '_ {
        let all = self.state.extension.flows.withdrawals.iter();
        all.map(|((account, key), flow)| (*account, view((*key, flow))))
    }

    /// Everything about an account; `None` for an unknown one. The insurance fund has one too.
    #[must_use]
    pub fn account_report(&self, account: AccountId) -> Option<AccountReport> {
        let view = self.account(account)?;
        let slot = self.state.client_slot(account).ok()?;
        let extra = &self.state.account(slot).extra;
        let clients = self.state.clients();
        let flows = &self.state.extension.flows;
        Some(AccountReport {
            account,
            main: extra.main,
            sub_accounts: clients
                .filter(|it| it.extra.main == Some(account))
                .map(|it| it.id)
                .collect(),
            collateral: view.collateral,
            model: extra.model,
            balances: view.balances,
            positions: view.positions,
            margin: self.state.full_margin_of(slot),
            greeks: self.net_greeks(account)?,
            exposures: self.state.exposures(slot),
            deposits: views(&flows.deposits, account),
            withdrawals: views(&flows.withdrawals, account),
            keys: extra.keys.permissions.iter().map(|(key, it)| (*key, *it)).collect(),
            keyed_sessions: extra.keys.sessions.iter().map(|(id, key)| (*id, *key)).collect(),
        })
    }
}

fn view((key, flow): (FlowKey, &Flow)) -> FlowView {
    FlowView {
        key,
        currency: flow.currency,
        amount: flow.amount,
        state: flow.state,
        delivery_of: flow.instrument,
    }
}

fn views(flows: &FlowMap, account: AccountId) -> Vec<FlowView> {
    flows_of(flows, account).map(view).collect()
}

/// Exposures by rule and currency.
type Exposures = BTreeMap<(SettlementRule, CurrencyId), Exposure>;

impl Exposure {
    /// Of a rule and currency, from `all`.
    fn of(all: &mut Exposures, rule: SettlementRule, currency: CurrencyId) -> &mut Self {
        let zero = Money::ZERO;
        all.entry((rule, currency)).or_insert(Self {
            rule,
            currency,
            owed_to: zero,
            owed_by: zero,
            unpriced: 0,
            to_receive: zero,
            to_deliver: zero,
            in_delivery: zero,
        })
    }
}

impl State {
    fn exposures(&self, slot: u32) -> Vec<Exposure> {
        let owner = self.account(slot);
        let mut all = Exposures::new();
        for holding in owner.holdings.iter().filter(|it| it.lots != Lots::ZERO) {
            if let Some(slot) = self.instrument_slots.get(&holding.instrument) {
                self.add_exposure(self.instrument(*slot), holding, &mut all);
            }
        }
        for (_, flow) in flows_of(&self.extension.flows.withdrawals, owner.id) {
            if flow.is_open() && flow.instrument.is_some() {
                let rule = SettlementRule::Physical;
                let exposure = Exposure::of(&mut all, rule, flow.currency);
                exposure.in_delivery.0 = exposure.in_delivery.0.saturating_add(flow.amount.0);
            }
        }
        all.into_values().collect()
    }

    fn add_exposure(&self, known: &InstrumentState, holding: &Holding, all: &mut Exposures) {
        let terms = &known.terms;
        let rule = self.settlement_rule(known);
        let exposure = Exposure::of(all, rule, terms.settlement);
        let at_mark = known.mark.and_then(|mark| known.valuation.basis(mark, holding.lots).ok());
        match at_mark {
            None => exposure.unpriced += 1,
            Some(at_mark) => {
                let is_option = matches!(terms.kind, InstrumentKind::Option { .. });
                let paid = if is_option { 0 } else { holding.basis.0 };
                let worth = at_mark.0.saturating_sub(paid);
                let side = if worth >= 0 { &mut exposure.owed_to } else { &mut exposure.owed_by };
                side.0 = side.0.saturating_add(worth.saturating_abs());
            }
        }
        if rule == SettlementRule::Physical {
            let coins = self.coins_at_expiry(terms, known.extra.underlying, holding.lots.0);
            let exposure = Exposure::of(all, rule, terms.base);
            let coins = coins.unwrap_or_default();
            let side = if coins >= 0 { &mut exposure.to_receive } else { &mut exposure.to_deliver };
            side.0 = side.0.saturating_add(coins.saturating_abs());
        }
    }

    fn settlement_rule(&self, known: &InstrumentState) -> SettlementRule {
        if known.terms.style == Style::Inverse {
            return SettlementRule::InverseCoin;
        }
        let underlying = known.extra.underlying.and_then(|it| self.extension.underlyings.get(&it));
        let is_physical = known.terms.expiry().is_some()
            && underlying.is_some_and(|it| it.terms.settlement.delivery == Delivery::Physical);
        if is_physical { SettlementRule::Physical } else { SettlementRule::LinearCash }
    }

    /// Coins that a position would get (negative: give) if it expired at the index.
    fn coins_at_expiry(
        &self,
        terms: &Instrument,
        underlying: Option<UnderlyingId>,
        lots: i64,
    ) -> Option<i128> {
        let index = self.extension.underlyings.get(&underlying?)?.index?.price;
        let scale = self.currencies.get(&terms.base)?.terms.scale;
        let coins =
            Sizing::new(terms, scale)?.amount(lots.checked_abs()?, (1, 1), Rounding::Floor)?;
        let sign = lots.signum().checked_mul(direction(terms, index))?;
        coins.checked_mul(sign.into())
    }
}
