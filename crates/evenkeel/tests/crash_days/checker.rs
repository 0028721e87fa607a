//! A checker that knows only the events: it keeps balances, positions and marks by itself, works
//! out equity and standard margin with its own arithmetic, and says whether each liquidation was
//! due and whether one was late.

use super::market::BTC;
use super::paths::Point;
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::{MarginModel, StandardTerms};
use evenkeel_types::{
    AccountId, Event, Instrument, InstrumentId, InstrumentKind, Mode, OptionRight, Ticks, Timestamp,
};
use evenkeel_venue::Engine;
use std::collections::BTreeMap;

/// What figures may differ by: marks are whole ticks, margins are rounded up to a satoshi a leg.
const TOLERANCE: f64 = 1e-6;

#[derive(Debug, Default)]
struct Account {
    balance: f64,
    is_portfolio: bool,
    /// Lots and basis in coin.
    positions: BTreeMap<InstrumentId, (f64, f64)>,
    is_liquidated: bool,
    /// Below maintenance since.
    due_since: Option<Timestamp>,
}

/// The checker.
#[derive(Debug)]
pub struct Checker {
    pub point: Option<Point>,
    step_s: u64,
    terms: StandardTerms,
    instruments: BTreeMap<InstrumentId, Instrument>,
    marks: BTreeMap<InstrumentId, f64>,
    index: f64,
    accounts: BTreeMap<AccountId, Account>,
    /// While a mode stops trading nobody can be liquidated in the book.
    halted: BTreeMap<String, Mode>,
    halted_since: Option<Timestamp>,
    pub liquidations_checked: u64,
    pub most_late_s: f64,
}

fn coins(satoshi: i128) -> f64 {
    satoshi as f64 / 1e8
}

impl Checker {
    pub fn new(step_s: u64) -> Self {
        Self {
            point: None,
            step_s,
            terms: StandardTerms::BTC,
            instruments: BTreeMap::new(),
            marks: BTreeMap::new(),
            index: 0.0,
            accounts: BTreeMap::new(),
            halted: BTreeMap::new(),
            halted_since: None,
            liquidations_checked: 0,
            most_late_s: 0.0,
        }
    }

    /// Money adds up at every entry, and every margin that is kept equals its recomputation.
    pub fn check_money(&self, engine: &Engine) {
        for currency in engine.conservation() {
            assert_eq!(currency.difference(), 0, "{currency:?}");
        }
    }

    pub fn hear(&mut self, time: Timestamp, events: &[Event]) {
        for event in events {
            match event {
                Event::InstrumentDefined { instrument } => {
                    self.instruments.insert(instrument.id, instrument.clone());
                }
                Event::MarginModelSet { account, model } => {
                    self.account(*account).is_portfolio = *model == MarginModel::Portfolio;
                }
                Event::BalanceChanged { account, currency, balance, .. } if *currency == BTC => {
                    self.account(*account).balance = coins(balance.0);
                }
                Event::PositionChanged { account, instrument, lots, basis, .. } => {
                    let position = (lots.0 as f64, coins(basis.0));
                    let positions = &mut self.account(*account).positions;
                    positions.insert(*instrument, position);
                }
                Event::InstrumentSettled { instrument, .. } => {
                    for account in self.accounts.values_mut() {
                        account.positions.remove(instrument);
                    }
                }
                Event::IndexChanged { price, .. } => {
                    self.index = price.0 as f64 / Price::ONE as f64;
                }
                Event::MarkChanged { instrument, mark } => self.mark(*instrument, *mark),
                Event::ModeSetIn { scope, mode, .. } => {
                    self.halted.insert(format!("{scope:?}"), *mode);
                    let stops = self.halted.values().any(|mode| *mode != Mode::Normal);
                    self.halted_since = stops.then_some(time);
                }
                Event::Liquidation { account, step: WaterfallStep::Began, .. } => {
                    self.check_due(*account);
                }
                Event::Liquidation { account, step: WaterfallStep::Recovered, .. } => {
                    self.account(*account).is_liquidated = false;
                }
                _ => {}
            }
        }
    }

    fn account(&mut self, id: AccountId) -> &mut Account {
        self.accounts.entry(id).or_default()
    }

    fn mark(&mut self, id: InstrumentId, mark: Ticks) {
        let tick = &self.instruments[&id].tick;
        let size = tick.mantissa() as f64 / 10f64.powi(tick.scale().into());
        self.marks.insert(id, mark.0 as f64 * size);
    }

    /// Margin balance and maintenance margin of an account under standard margin, in coin; the
    /// formulas of the published rulebook, position by position.
    fn standing(&self, account: &Account) -> Option<(f64, f64)> {
        let rate = |millionths: u32| f64::from(millionths) / 1e6;
        let (mut balance, mut maintenance) = (account.balance, 0.0);
        for (id, (lots, basis)) in &account.positions {
            if *lots == 0.0 {
                continue;
            }
            let instrument = &self.instruments[id];
            let mark = *self.marks.get(id)?;
            let lot = instrument.lot.mantissa() as f64 / 10f64.powi(instrument.lot.scale().into());
            match instrument.kind {
                InstrumentKind::Option { right, .. } => {
                    let size = lots * lot;
                    if size < 0.0 {
                        let least = rate(self.terms.option_maintenance);
                        let least = match right {
                            OptionRight::Call => least,
                            OptionRight::Put => least.max(least * mark),
                        };
                        maintenance += -size * (least + mark);
                    }
                }
                _ => {
                    // Inverse: −value at the mark, less what it cost.
                    balance += -(lots * lot) / mark - basis;
                    let size = (lots * lot / self.index).abs();
                    let maintained =
                        rate(self.terms.future_maintenance) + rate(self.terms.future_slope) * size;
                    maintenance += maintained * size;
                }
            }
        }
        Some((balance, maintenance))
    }

    fn check_due(&mut self, id: AccountId) {
        let account = &self.accounts[&id];
        if !account.is_portfolio {
            let (balance, maintenance) = self.standing(account).expect("prices are there");
            let allowed = TOLERANCE * (1.0 + maintenance);
            assert!(
                balance - maintenance <= allowed,
                "account {id} was liquidated with {balance} against {maintenance}"
            );
            self.liquidations_checked += 1;
        }
        let account = self.account(id);
        account.is_liquidated = true;
        account.due_since = None;
    }

    /// Nobody is below maintenance for longer than a step without being liquidated.
    pub fn check_liquidations(&mut self, time: Timestamp) {
        let ids: Vec<AccountId> = self.accounts.keys().copied().collect();
        for id in ids {
            let account = &self.accounts[&id];
            let is_exempt = account.is_portfolio || id.0 <= 1 || id == AccountId::FUND;
            if is_exempt || account.is_liquidated {
                continue;
            }
            let Some((balance, maintenance)) = self.standing(account) else {
                continue;
            };
            let is_due = balance - maintenance < -TOLERANCE * (1.0 + maintenance);
            let halted = self.halted_since.is_some();
            let account = self.account(id);
            if !is_due || halted {
                account.due_since = None;
                continue;
            }
            let since = *account.due_since.get_or_insert(time);
            let late_s = (time.0 - since.0) as f64 / 1e9;
            self.most_late_s = self.most_late_s.max(late_s);
            assert!(
                late_s <= self.step_s as f64,
                "account {id} is due for {late_s} s: {balance} against {maintenance}"
            );
        }
    }
}
