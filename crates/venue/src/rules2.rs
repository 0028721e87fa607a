//! Rules 2: the commands they add, and what every entry does under them besides its command.

use crate::engine::Engine;
use crate::extension::{FIRST_RULES, MARGIN_RULES};
use crate::state::State;
use evenkeel_types::terms::VenueTerms;
use evenkeel_types::{AccountId, Collateral, Command, Entry, Event, OutcomeKind, RejectCode};

impl Engine {
    /// The rules in force: 1 from the founding, 2 from the upgrade to margin on.
    #[must_use]
    pub fn rules(&self) -> u32 {
        self.state.extension.rules
    }
}

type Done = Result<OutcomeKind, RejectCode>;

impl State {
    /// Whether margin and everything on it is in force.
    pub(crate) fn has_margin(&self) -> bool {
        self.extension.rules >= MARGIN_RULES
    }

    /// What time brings, before the entry's command: modes, settlement, liquidation. While the time
    /// itself is in doubt nothing expires, funds or is liquidated.
    pub(crate) fn pass_time(&mut self, events: &mut Vec<Event>) {
        self.pass_prices(events);
        self.pass_regime(events);
        if !self.extension.regime.distrusts_time {
            self.settle_due(events);
            self.liquidate_due(events);
        }
        self.extension.last_time = self.meta.time;
    }

    /// Whether a client may send the command now.
    pub(crate) fn admit_client(&self, account: u32, entry: &Entry) -> Result<(), RejectCode> {
        self.check_permission(account, entry.origin.session, &entry.command)?;
        self.check_liquidation(account, &entry.command)?;
        self.check_regime(account, &entry.command)
    }

    /// Commands that rules 2 add.
    pub(crate) fn execute_extended(
        &mut self,
        account: u32,
        entry: &Entry,
        events: &mut Vec<Event>,
    ) -> Done {
        if let Command::Upgrade { rules } = entry.command {
            return self.upgrade(rules, events);
        }
        if !self.has_margin() {
            return Err(RejectCode::NeedsUpgrade);
        }
        let session = entry.origin.session;
        match entry.command {
            Command::PlaceWith { ref order, ref terms } => {
                self.place_with(account, session, order, terms, events)
            }
            Command::ConnectKey { key, cancel_on_disconnect } => {
                self.connect_key(account, session, key, cancel_on_disconnect, events)
            }
            Command::SetProtection { underlying, protection } => {
                self.set_protection(account, underlying, protection, events)
            }
            Command::Transfer { to, currency, amount } => {
                self.transfer_between(account, to, (currency, amount), events)
            }
            Command::RequestWithdrawal { key, currency, amount, destination } => {
                self.request_withdrawal(account, key, (currency, amount), destination, events)
            }
            Command::CancelWithdrawal { key } => self.cancel_withdrawal(account, key, events),
            Command::SetKey { key, permissions } => self.set_key(account, key, permissions, events),
            _ => self.execute_operators(&entry.command, events),
        }
    }

    fn execute_operators(&mut self, command: &Command, events: &mut Vec<Event>) -> Done {
        match *command {
            Command::SetVenueTerms { ref terms } => self.set_venue_terms(terms, events),
            Command::SetUnderlying { ref underlying } => self.set_underlying(underlying, events),
            Command::Oracle { source, underlying, time, ref reading } => {
                self.hear(source, underlying, time, reading, events)
            }
            Command::Tick => Ok(OutcomeKind::Done),
            Command::OpenSubAccount { account, main, collateral } => {
                self.open_sub_account(account, main, collateral, events)
            }
            Command::SetMarginModel { account, model } => {
                self.set_margin_model(account, model, events)
            }
            Command::ReportDeposit { account, key, step } => {
                self.report_deposit(account, key, step, events)
            }
            Command::AdvanceWithdrawal { account, key, step } => {
                self.advance_withdrawal(account, key, step, events)
            }
            Command::SetChain { currency, stalled } => self.set_chain(currency, stalled, events),
            Command::FundInsurance { currency, amount } => {
                self.fund_insurance(currency, amount, events)
            }
            Command::PayFees { currency, amount } => self.pay_fees(currency, amount, events),
            Command::SetModeIn { scope, mode, code } => self.set_mode_in(scope, mode, code, events),
            Command::BustTrade { trade, code } => self.bust_trade(trade, code, events),
            Command::SetMarginFactor { underlying, factor_bp, ramp_ms } => {
                self.set_margin_factor(underlying, factor_bp, ramp_ms, events)
            }
            Command::SetThrottle { orders_per_second, ramp_ms } => {
                self.set_throttle(orders_per_second, ramp_ms, events)
            }
            Command::Veto { approver, scope, delay_ms } => {
                self.veto(approver, scope, delay_ms, events)
            }
            // Handled before, or commands of rules 1.
            _ => Err(RejectCode::NeedsUpgrade),
        }
    }

    fn upgrade(&mut self, rules: u32, events: &mut Vec<Event>) -> Done {
        if rules != MARGIN_RULES || self.extension.rules != FIRST_RULES {
            return Err(RejectCode::BadRules);
        }
        self.add_account(AccountId::FUND, Collateral::Unlimited)?;
        self.extension.rules = rules;
        self.extension.last_time = self.meta.time;
        self.count_money();
        self.list_orders();
        events.push(Event::Upgraded { rules });
        Ok(OutcomeKind::Done)
    }

    /// Whether the venue's parameters name known currencies and lie within their bounds.
    pub(crate) fn check_venue_terms(&self, terms: &VenueTerms) -> Result<(), RejectCode> {
        let known = |currency| self.currencies.contains_key(&currency);
        let are_known = terms.haircuts.iter().all(|it| known(it.currency));
        if !known(terms.numeraire) || !are_known {
            return Err(RejectCode::UnknownCurrency);
        }
        let in_bounds = terms.haircuts.iter().all(|it| it.haircut <= 1_000_000)
            && terms.haircuts.is_sorted_by(|a, b| a.currency < b.currency)
            && terms.liquidation_interval_ms > 0
            && terms.sweep_accounts > 0;
        if in_bounds { Ok(()) } else { Err(RejectCode::OutOfBounds) }
    }

    fn set_venue_terms(&mut self, terms: &VenueTerms, events: &mut Vec<Event>) -> Done {
        self.check_venue_terms(terms)?;
        self.extension.terms = Some(terms.clone());
        self.sweep_again();
        events.push(Event::VenueTermsSet { terms: Box::new(terms.clone()) });
        Ok(OutcomeKind::Done)
    }
}
