//! Entries that are passed over: the program panicked at them, and a second process again.
//!
//! An engine that passes over an entry takes nothing of it but its place: position, time, the
//! sender's sequence, so that a retry is answered and not tried again, and the digest. It
//! remembers which entries those are, as the journal says later, in a `Skip`, that it was to.

use crate::engine::Engine;
use crate::regime::ModeState;
use crate::restore::ensure;
use crate::sessions::Admission;
use crate::snapshot::SnapshotError;
use crate::state::State;
use evenkeel_types::merkle::Hash;
use evenkeel_types::regime::{Cause, Scope};
use evenkeel_types::{
    AccountId, Canonical, Command, Entry, Event, InstrumentId, MassCancelScope, Mode, Outcome,
    OutcomeKind, Position, Reader, RejectCode,
};
use std::collections::BTreeMap;

/// Entries passed over that are remembered; the oldest are forgotten. Between an entry and its
/// `Skip` lies at most a batch.
pub const SKIPS_MAX: usize = 1_024;
/// Cause of a halt of the whole venue, under rules that know no instrument's mode.
pub const CAUSE_SKIPPED: u32 = 5;

/// Position and RFC 6962 leaf hash of each.
pub(crate) type Skips = BTreeMap<Position, Hash>;

impl Engine {
    /// Passes over the next entry, in the place of [`Engine::apply`], and appends its events; the
    /// last of them is its outcome. `hash` is the entry's RFC 6962 leaf hash.
    pub fn skip(&mut self, entry: &Entry, hash: Hash, events: &mut Vec<Event>) {
        let first = events.len();
        events.push(Event::Skipped { entry: hash });
        let last = self.state.skip_entry(entry, hash);
        events.push(last);
        self.digest_events(&events[first..]);
    }

    /// Leaf hash of the entry at a position, if this engine passed over it and remembers.
    #[must_use]
    pub fn skipped(&self, position: Position) -> Option<Hash> {
        self.state.skips.get(&position).copied()
    }

    /// Entries that it passed over and remembers.
    pub fn skips(&self) -> impl ExactSizeIterator<Item = (Position, Hash)> + '_ {
        self.state.skips.iter().map(|(position, hash)| (*position, *hash))
    }

    /// The instrument that a command is about, as far as this state tells; `None` if it is about
    /// none, or about several.
    #[must_use]
    pub fn instrument_of(&self, command: &Command) -> Option<InstrumentId> {
        let named = match command {
            Command::Place { order } | Command::PlaceWith { order, .. } => order.instrument,
            Command::Cancel { order } | Command::Amend { order, .. } => {
                let armed = || self.state.extension.triggers.armed(*order);
                let resting = self.order(*order).map(|order| order.instrument);
                resting.or_else(|| armed().map(|it| it.order.instrument))?
            }
            Command::MassCancel { scope: MassCancelScope::Instrument { instrument }, .. }
            | Command::SetMark { instrument, .. }
            | Command::SetModeIn { scope: Scope::Instrument { instrument }, .. }
            | Command::Veto { scope: Scope::Instrument { instrument }, .. } => *instrument,
            Command::BustTrade { trade, .. } => {
                self.recent_trades().find(|it| it.trade == *trade).map(|it| it.instrument)?
            }
            _ => return None,
        };
        self.instrument(named).map(|it| it.id)
    }
}

impl State {
    /// The entry's place is taken; nothing else changes.
    fn skip_entry(&mut self, entry: &Entry, hash: Hash) -> Event {
        let position = self.meta.next_position;
        self.meta.next_position.0 += 1;
        self.meta.time = self.meta.time.max(entry.time);
        self.skips.insert(position, hash);
        if self.skips.len() > SKIPS_MAX {
            self.skips.pop_first();
        }
        let kind = OutcomeKind::Rejected { code: RejectCode::Skipped };
        let outcome = Outcome { position, kind };
        let closing = Event::Completed { outcome };
        let origin = entry.origin;
        let Some(account) = self.account_slots.get(&origin.account).copied() else {
            return closing;
        };
        if self.meta.venue.is_none() || self.has_margin() && origin.account == AccountId::FUND {
            return closing;
        }
        let sessions = &mut self.account_mut(account).sessions;
        match sessions.admit(origin.session, origin.sequence) {
            Admission::New { dropped: None } => {}
            Admission::New { dropped: Some(session) } => self.forget_session(account, session),
            Admission::Repeated(original) => return Event::Repeated { original },
            Admission::TooOld { lowest } => return Event::TooOld { lowest },
            Admission::LimitReached => return closing,
        }
        let sessions = &mut self.account_mut(account).sessions;
        sessions.record(origin.session, origin.sequence, outcome);
        closing
    }

    /// The journal says that an entry was passed over. Refused unless this engine did so: whoever
    /// drives the engine goes back before it then.
    pub(crate) fn note_skip(
        &mut self,
        position: Position,
        entry: Hash,
        instrument: Option<InstrumentId>,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        if self.skips.get(&position) != Some(&entry) {
            return Err(RejectCode::NotSkipped);
        }
        events.push(Event::SkipNoted { position, entry, instrument });
        if let Some(instrument) = instrument
            && self.instrument_slots.contains_key(&instrument)
        {
            self.halt_skipped(instrument, position, events);
        }
        Ok(OutcomeKind::Done)
    }

    /// Halts what the entry was about, until the operator opens it again.
    fn halt_skipped(
        &mut self,
        instrument: InstrumentId,
        position: Position,
        events: &mut Vec<Event>,
    ) {
        let (mode, now) = (Mode::Halted, self.meta.time);
        if !self.has_margin() {
            // These rules know a mode of the venue only.
            let cause = CAUSE_SKIPPED;
            (self.meta.mode, self.meta.mode_cause) = (mode, cause);
            events.push(Event::ModeChanged { mode, cause });
            return;
        }
        let (scope, cause) = (Scope::Instrument { instrument }, Cause::Skipped { position });
        let state = ModeState { mode, cause, since: now, cooldown_until: now, is_automatic: false };
        self.put_mode(scope, state, cause, events);
    }
}

/// Reads the value of the leaf of skips.
pub(crate) fn read_skips(reader: &mut Reader<'_>, state: &mut State) -> Result<(), SnapshotError> {
    let skips = Skips::decode(reader)?;
    let in_range = !skips.is_empty()
        && skips.len() <= SKIPS_MAX
        && skips.keys().all(|position| *position < state.meta.next_position);
    ensure(reader, in_range, "entries passed over are out of range")?;
    state.skips = skips;
    Ok(())
}
