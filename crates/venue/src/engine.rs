//! The engine: entries in, events and a digest out.

use crate::sessions::Admission;
use crate::state::{OPERATOR_SLOT, State};
use evenkeel_types::{
    AccountId, Canonical, Command, Entry, Event, Mode, Outcome, OutcomeKind, Position, RejectCode,
    Writer,
};

/// A venue's state and the function that advances it.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) state: State,
    /// Reused for every entry's digest.
    scratch: Writer,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// A venue before its founding entry: position 0, only the operator exists.
    #[must_use]
    pub fn new() -> Self {
        Self::from_state(State::new())
    }

    pub(crate) fn from_state(state: State) -> Self {
        Self { state, scratch: Writer::new() }
    }

    /// Position that the next entry gets.
    #[must_use]
    pub fn next_position(&self) -> Position {
        self.state.meta.next_position
    }

    /// Digest chain over all events: `digest' = BLAKE3(digest ‖ canonical bytes of the entry's
    /// events)`, from 32 zero bytes. Two engines with the same digest said the same.
    #[must_use]
    pub fn output_digest(&self) -> [u8; 32] {
        self.state.meta.digest
    }

    /// Applies the next entry and appends its events; the last of them is its outcome. Every
    /// decodable entry has one: a command that cannot be applied is refused in its outcome, with
    /// nothing changed but the sender's session.
    pub fn apply(&mut self, entry: &Entry, events: &mut Vec<Event>) {
        let first = events.len();
        let last = self.state.apply(entry, events);
        events.push(last);
        self.digest_events(&events[first..]);
    }

    /// Adds an entry's events to the digest.
    pub(crate) fn digest_events(&mut self, events: &[Event]) {
        self.scratch.clear();
        self.scratch.fixed(&self.state.meta.digest);
        for event in events {
            event.encode(&mut self.scratch);
        }
        self.state.meta.digest = *blake3::hash(self.scratch.as_bytes()).as_bytes();
    }
}

impl State {
    /// Applies an entry and returns its closing event.
    fn apply(&mut self, entry: &Entry, events: &mut Vec<Event>) -> Event {
        let first = events.len();
        let last = self.apply_entry(entry, events);
        if self.has_margin()
            && let Some(currency) = self.check_conservation(&events[first..])
        {
            self.halt_unconserved(currency, events);
        }
        last
    }

    fn apply_entry(&mut self, entry: &Entry, events: &mut Vec<Event>) -> Event {
        let position = self.meta.next_position;
        self.meta.next_position.0 += 1;
        // The primary never journals a step back; the state would not follow one.
        self.meta.time = self.meta.time.max(entry.time);
        let origin = entry.origin;
        let refused = |code| Event::Completed {
            outcome: Outcome { position, kind: OutcomeKind::Rejected { code } },
        };
        if let Err(code) = self.check_founded(entry) {
            return refused(code);
        }
        let Some(account) = self.account_slots.get(&origin.account).copied() else {
            return refused(RejectCode::UnknownAccount);
        };
        if self.has_margin() {
            if origin.account == AccountId::FUND {
                return refused(RejectCode::FundOnly);
            }
            self.pass_time(events);
        }
        let sessions = &mut self.account_mut(account).sessions;
        match sessions.admit(origin.session, origin.sequence) {
            Admission::New { dropped: None } => {}
            Admission::New { dropped: Some(session) } => self.forget_session(account, session),
            Admission::Repeated(original) => return Event::Repeated { original },
            Admission::TooOld { lowest } => return Event::TooOld { lowest },
            Admission::LimitReached => return refused(RejectCode::LimitReached),
        }
        let kind = match self.execute(account, entry, events) {
            Ok(kind) => kind,
            Err(code) => OutcomeKind::Rejected { code },
        };
        let outcome = Outcome { position, kind };
        let sessions = &mut self.account_mut(account).sessions;
        sessions.record(origin.session, origin.sequence, outcome);
        Event::Completed { outcome }
    }

    /// Before the founding entry nothing else is taken, nor remembered.
    fn check_founded(&self, entry: &Entry) -> Result<(), RejectCode> {
        match (self.meta.venue, &entry.command) {
            (Some(_), _) => Ok(()),
            (None, Command::Found { .. }) if entry.origin.account == AccountId::OPERATOR => Ok(()),
            (None, Command::Found { .. }) => Err(RejectCode::NotOperator),
            (None, _) => Err(RejectCode::NotFounded),
        }
    }

    fn execute(
        &mut self,
        account: u32,
        entry: &Entry,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        let (session, command) = (entry.origin.session, &entry.command);
        if account != OPERATOR_SLOT {
            if is_operators(command) {
                return Err(RejectCode::NotOperator);
            }
            if self.has_margin() {
                self.admit_client(account, entry)?;
            } else {
                check_mode(self.meta.mode, command)?;
            }
        }
        match *command {
            Command::Place { ref order } => self.place(account, session, order, events),
            Command::Cancel { order } => self.cancel(account, order, events),
            Command::Amend { order, price, lots } => {
                self.amend(account, order, (price, lots), events)
            }
            Command::MassCancel { account: named, scope } => {
                self.mass_cancel(account, named, scope, events)
            }
            Command::Connect { cancel_on_disconnect } => {
                Ok(self.connect(account, session, cancel_on_disconnect, events))
            }
            Command::Disconnect => Ok(self.disconnect(account, session, events)),
            Command::Found { venue, salt } => self.found(venue, salt, events),
            Command::Resume { term } => self.resume(term, events),
            Command::DefineCurrency { ref currency } => self.define_currency(currency, events),
            Command::DefineInstrument { ref instrument } => {
                self.define_instrument(instrument, events)
            }
            Command::OpenAccount { account: opened, collateral } => {
                self.open_account(opened, collateral, events)
            }
            Command::Deposit { account: to, currency, amount } => {
                self.deposit(to, currency, amount, events)
            }
            Command::Withdraw { account: from, currency, amount } => {
                self.withdraw(from, currency, amount, events)
            }
            Command::SetMark { instrument, mark } => self.set_mark(instrument, mark, events),
            Command::SetMode { mode, cause } => self.set_mode(mode, cause, events),
            Command::Skip { position, entry, instrument } => {
                self.note_skip(position, entry, instrument, events)
            }
            _ => self.execute_extended(account, entry, events),
        }
    }
}

/// Whether only the operator may send it. Exhaustive, so that a new command is decided here.
fn is_operators(command: &Command) -> bool {
    match command {
        Command::Place { .. }
        | Command::Cancel { .. }
        | Command::Amend { .. }
        | Command::MassCancel { .. }
        | Command::Connect { .. }
        | Command::Disconnect
        | Command::PlaceWith { .. }
        | Command::ConnectKey { .. }
        | Command::SetProtection { .. }
        | Command::Transfer { .. }
        | Command::RequestWithdrawal { .. }
        | Command::CancelWithdrawal { .. }
        | Command::SetKey { .. } => false,
        Command::Found { .. }
        | Command::Resume { .. }
        | Command::DefineCurrency { .. }
        | Command::DefineInstrument { .. }
        | Command::OpenAccount { .. }
        | Command::Deposit { .. }
        | Command::Withdraw { .. }
        | Command::SetMark { .. }
        | Command::SetMode { .. }
        | Command::Upgrade { .. }
        | Command::SetVenueTerms { .. }
        | Command::SetUnderlying { .. }
        | Command::Oracle { .. }
        | Command::Tick
        | Command::OpenSubAccount { .. }
        | Command::SetMarginModel { .. }
        | Command::ReportDeposit { .. }
        | Command::AdvanceWithdrawal { .. }
        | Command::SetChain { .. }
        | Command::FundInsurance { .. }
        | Command::PayFees { .. }
        | Command::SetModeIn { .. }
        | Command::BustTrade { .. }
        | Command::SetMarginFactor { .. }
        | Command::SetThrottle { .. }
        | Command::Veto { .. }
        | Command::Skip { .. } => true,
    }
}

/// What a mode admits of clients' commands; the table is in the crate's documentation.
fn check_mode(mode: Mode, command: &Command) -> Result<(), RejectCode> {
    let places = matches!(
        command,
        Command::Place { .. } | Command::PlaceWith { .. } | Command::Amend { .. }
    );
    match mode {
        Mode::CancelOnly if places => Err(RejectCode::CancelOnly),
        Mode::Halted if !matches!(command, Command::Disconnect) => Err(RejectCode::Halted),
        _ => Ok(()),
    }
}
