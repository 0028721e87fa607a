//! The operator's commands: founding, terms, money in and out, marks, modes.

use crate::book::Book;
use crate::extension::{CurrencyExtra, InstrumentExtra};
use crate::margin::has_headroom;
use crate::state::{Account, CurrencyState, InstrumentState, MAX_ACCOUNTS, MAX_INSTRUMENTS, State};
use evenkeel_types::decimal::MAX_SCALE;
use evenkeel_types::{
    AccountId, Collateral, Currency, CurrencyId, Event, Instrument, InstrumentId, InstrumentKind,
    Mode, Money, OutcomeKind, RejectCode, Term, Ticks,
};

type Done = Result<OutcomeKind, RejectCode>;

impl State {
    pub(crate) fn found(
        &mut self,
        venue: [u8; 16],
        salt: [u8; 32],
        events: &mut Vec<Event>,
    ) -> Done {
        if self.meta.venue.is_some() {
            return Err(RejectCode::AlreadyFounded);
        }
        self.meta.venue = Some(venue);
        self.meta.salt = salt;
        events.push(Event::Founded { venue });
        Ok(OutcomeKind::Done)
    }

    pub(crate) fn resume(&mut self, term: Term, events: &mut Vec<Event>) -> Done {
        if term <= self.meta.term {
            return Err(RejectCode::StaleTerm);
        }
        self.meta.term = term;
        for instrument in &mut self.instruments {
            instrument.mark = None;
        }
        self.void_prices();
        let time = self.meta.time;
        events.push(Event::Resumed { term, time });
        self.resume_regime(events);
        Ok(OutcomeKind::Done)
    }

    pub(crate) fn define_currency(&mut self, currency: &Currency, events: &mut Vec<Event>) -> Done {
        if self.currencies.contains_key(&currency.id) {
            return Err(RejectCode::CurrencyExists);
        }
        let state = CurrencyState::new(currency.clone()).ok_or(RejectCode::BadTerms)?;
        self.currencies.insert(currency.id, state);
        let currency = currency.clone();
        events.push(Event::CurrencyDefined { currency });
        Ok(OutcomeKind::Done)
    }

    pub(crate) fn define_instrument(
        &mut self,
        terms: &Instrument,
        events: &mut Vec<Event>,
    ) -> Done {
        let is_taken = |known: &InstrumentState| known.terms.symbol == terms.symbol;
        if self.instrument_slots.contains_key(&terms.id) || self.instruments.iter().any(is_taken) {
            return Err(RejectCode::InstrumentExists);
        }
        let state = self.prepare_instrument(terms.clone())?;
        if self.has_margin() && terms.expiry().is_some_and(|expiry| expiry <= self.meta.time) {
            return Err(RejectCode::Expired);
        }
        let slot = self.add_instrument(state)?;
        self.link_instrument(slot);
        self.extension.schedule.forget();
        let instrument = terms.clone();
        events.push(Event::InstrumentDefined { instrument });
        self.mark_new(slot, events);
        Ok(OutcomeKind::Done)
    }

    /// Checks terms against the currencies and derives what trading needs.
    pub(crate) fn prepare_instrument(
        &self,
        terms: Instrument,
    ) -> Result<InstrumentState, RejectCode> {
        let scale = |id: CurrencyId| {
            let currency = self.currencies.get(&id).ok_or(RejectCode::UnknownCurrency)?;
            Ok(currency.terms.scale)
        };
        let base_scale = scale(terms.base)?;
        scale(terms.quote)?;
        let valuation = terms.valuation(scale(terms.settlement)?);
        let valuation = valuation.map_err(|_| RejectCode::BadTerms)?;
        let base_per_lot = match terms.kind {
            InstrumentKind::Spot if terms.base == terms.quote => None,
            InstrumentKind::Spot => base_per_lot(&terms, base_scale),
            InstrumentKind::Option { strike, .. } if strike.mantissa() <= 0 => None,
            _ => Some(0),
        };
        Ok(InstrumentState {
            base_per_lot: base_per_lot.ok_or(RejectCode::BadTerms)?,
            terms,
            valuation,
            mark: None,
            book: Book::new(),
            extra: InstrumentExtra::default(),
        })
    }

    /// Adds a prepared instrument whose id is new.
    pub(crate) fn add_instrument(&mut self, state: InstrumentState) -> Result<u32, RejectCode> {
        let slot = free_slot(self.instruments.len(), MAX_INSTRUMENTS)?;
        self.instrument_slots.insert(state.terms.id, slot);
        self.instruments.push(state);
        Ok(slot)
    }

    pub(crate) fn open_account(
        &mut self,
        account: AccountId,
        collateral: Collateral,
        events: &mut Vec<Event>,
    ) -> Done {
        self.add_account(account, collateral)?;
        events.push(Event::AccountOpened { account, collateral });
        Ok(OutcomeKind::Done)
    }

    /// Adds an account.
    pub(crate) fn add_account(
        &mut self,
        id: AccountId,
        collateral: Collateral,
    ) -> Result<u32, RejectCode> {
        if self.account_slots.contains_key(&id) {
            return Err(RejectCode::AccountExists);
        }
        let slot = free_slot(self.accounts.len(), MAX_ACCOUNTS)?;
        self.account_slots.insert(id, slot);
        self.accounts.push(Account::new(id, collateral));
        Ok(slot)
    }

    pub(crate) fn deposit(
        &mut self,
        account: AccountId,
        currency: CurrencyId,
        amount: Money,
        events: &mut Vec<Event>,
    ) -> Done {
        let slot = self.holder_slot(account)?;
        self.check_amount(currency, amount)?;
        self.credit_from_outside(slot, currency, amount, events)?;
        Ok(OutcomeKind::Done)
    }

    pub(crate) fn withdraw(
        &mut self,
        account: AccountId,
        currency: CurrencyId,
        amount: Money,
        events: &mut Vec<Event>,
    ) -> Done {
        let slot = self.holder_slot(account)?;
        self.check_amount(currency, amount)?;
        if self.has_margin() {
            self.check_takeout(slot, currency, amount)?;
        } else if amount.0 > self.account(slot).free(currency) {
            return Err(RejectCode::InsufficientBalance);
        }
        if !has_headroom(Money(self.net_deposits(currency).0 - amount.0)) {
            return Err(RejectCode::ValueTooLarge);
        }
        events.push(Event::Withdrawn { account, currency, amount });
        self.move_across_border(slot, currency, -amount.0, events);
        Ok(OutcomeKind::Done)
    }

    pub(crate) fn net_deposits(&self, currency: CurrencyId) -> Money {
        let known = self.currencies.get(&currency);
        known.map_or(Money::ZERO, |known| known.net_deposits)
    }

    /// Changes an account's balance and the net deposits together.
    pub(crate) fn move_across_border(
        &mut self,
        slot: u32,
        currency: CurrencyId,
        change: i128,
        events: &mut Vec<Event>,
    ) {
        if let Some(known) = self.currencies.get_mut(&currency) {
            known.net_deposits.0 += change;
        }
        self.account_mut(slot).adjust(currency, change, 0, events);
    }

    pub(crate) fn set_mark(
        &mut self,
        instrument: InstrumentId,
        mark: Ticks,
        events: &mut Vec<Event>,
    ) -> Done {
        let slot = self.instrument_slot(instrument)?;
        let known = &mut self.instruments[slot as usize];
        if known.extra.underlying.is_some() && known.terms.kind != InstrumentKind::Spot {
            return Err(RejectCode::MarkedByOracle);
        }
        if !is_mark(&known.terms, mark) {
            return Err(RejectCode::PriceOutOfRange);
        }
        known.mark = Some(mark);
        let underlying = known.extra.underlying;
        events.push(Event::MarkChanged { instrument, mark });
        if let Some(underlying) = underlying {
            self.release_triggers(underlying, events);
        }
        Ok(OutcomeKind::Done)
    }

    pub(crate) fn set_mode(&mut self, mode: Mode, cause: u32, events: &mut Vec<Event>) -> Done {
        // The first rules know three modes only.
        let is_first = matches!(mode, Mode::Normal | Mode::CancelOnly | Mode::Halted);
        if !is_first && !self.has_margin() {
            return Err(RejectCode::NeedsUpgrade);
        }
        if self.has_margin() {
            self.set_venue_mode(mode, cause, events);
            return Ok(OutcomeKind::Done);
        }
        self.meta.mode = mode;
        self.meta.mode_cause = cause;
        events.push(Event::ModeChanged { mode, cause });
        Ok(OutcomeKind::Done)
    }
}

impl CurrencyState {
    /// `None` if the scale is out of range.
    pub(crate) fn new(terms: Currency) -> Option<Self> {
        (terms.scale <= MAX_SCALE).then_some(Self {
            terms,
            net_deposits: Money::ZERO,
            extra: CurrencyExtra::default(),
            held: 0,
        })
    }
}

/// Whether an instrument can have this mark: only an option can be worth nothing.
pub(crate) fn is_mark(terms: &Instrument, mark: Ticks) -> bool {
    let lowest = match terms.kind {
        InstrumentKind::Option { .. } => 0,
        InstrumentKind::Spot | InstrumentKind::Perpetual | InstrumentKind::Future { .. } => 1,
    };
    mark.0 >= lowest && mark <= Instrument::MAX_TICKS
}

fn free_slot(count: usize, limit: usize) -> Result<u32, RejectCode> {
    let slot = u32::try_from(count).ok().filter(|_| count < limit);
    slot.ok_or(RejectCode::LimitReached)
}

/// Coins per lot in the base currency's smallest unit, if that is a whole number.
fn base_per_lot(terms: &Instrument, base_scale: u8) -> Option<i128> {
    let size = terms.lot.mantissa().checked_mul(terms.contract_size.mantissa())?;
    let decimals = u32::from(terms.lot.scale()) + u32::from(terms.contract_size.scale());
    let exponent = i64::from(base_scale) - i64::from(decimals);
    let power = 10i128.checked_pow(u32::try_from(exponent.unsigned_abs()).ok()?)?;
    if exponent >= 0 {
        size.checked_mul(power)
    } else {
        (size % power == 0).then_some(size / power)
    }
}
