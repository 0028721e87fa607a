//! The primary: commands become durable entries, durable entries are applied, outcomes return.
//!
//! The order is the product's first promise: nothing is applied, and no outcome leaves, before the
//! entry is durable.

use std::collections::VecDeque;
use std::sync::Arc;

use evenkeel_journal::{Admission, FileLog, JournalError, Log, Trimmed};
use evenkeel_types::codec::{Canonical, Writer};
use evenkeel_types::merkle::{Hash, leaf_hash};
use evenkeel_types::{
    AccountId, ClientSequence, Command, Entry, Event, Origin, Position, SessionId, Term, Timestamp,
};
use evenkeel_venue::Engine;

use crate::agreement::{Agreement, Party};
use crate::divergence::{Output, Outputs};
use crate::error::Result;
use crate::fence::SideEffects;
use crate::link::{DIGEST_EVERY, DigestAt};
use crate::skips::{self, Skips, order_in};

/// A command on its way into the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who sends it.
    pub origin: Origin,
    /// What to do.
    pub command: Command,
}

/// The acknowledgement of a durable, applied entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Where it stands.
    pub position: Position,
    /// Its RFC 6962 leaf hash.
    pub entry_hash: Hash,
    /// What it changed; the last event is its outcome.
    pub events: Vec<Event>,
}

/// Why a request was not taken. It is not in the journal; the client may send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The disk, or the store that hosts share, is full: only cancels, mass cancels, disconnects,
    /// withdrawals and mode changes are taken until space returns.
    DiskFull,
}

/// Session of the primary's own entries.
pub const PRIMARY_SESSION: SessionId = SessionId(0);

/// The one writer: journal and engine together.
#[derive(Debug)]
pub struct Primary {
    log: Box<dyn Log>,
    engine: Engine,
    agreement: Arc<Agreement>,
    encoder: Writer,
    /// Digests at multiples of [`DIGEST_EVERY`] that nobody has taken yet; the newest few.
    digests: VecDeque<DigestAt>,
    /// What it said since the last agreement with a standby, while there is one.
    said: Option<Outputs>,
    /// What was on its way out when the term began.
    side_effects: SideEffects,
}

/// Digests kept until they are taken.
const DIGESTS_MAX: usize = 1_024;

impl Primary {
    /// Takes over an opened log, whose end has been confirmed, with an engine that has applied
    /// everything in it; begins the next term and journals `Resume`.
    ///
    /// # Errors
    /// Whatever the journal refuses.
    pub fn begin(
        log: impl Log + 'static,
        engine: Engine,
        agreement: Arc<Agreement>,
        now: Timestamp,
    ) -> Result<Self> {
        Self::begin_boxed(Box::new(log), engine, agreement, now)
    }

    /// As [`Primary::begin`], whichever log it is.
    ///
    /// # Errors
    /// Whatever the journal refuses.
    pub fn begin_boxed(
        log: Box<dyn Log>,
        engine: Engine,
        agreement: Arc<Agreement>,
        now: Timestamp,
    ) -> Result<Self> {
        Self::begin_in_term(log, engine, agreement, now, None)
    }

    /// As [`Primary::begin_boxed`]; a term that was begun with this log already is gone on with.
    ///
    /// # Errors
    /// Whatever the journal refuses.
    pub fn begin_in_term(
        mut log: Box<dyn Log>,
        engine: Engine,
        agreement: Arc<Agreement>,
        now: Timestamp,
        begun: Option<u64>,
    ) -> Result<Self> {
        let term = match begun {
            Some(term) => term,
            None => {
                let term = log.next_term().max(engine.term().0 + 1);
                log.begin_term(term)?;
                term
            }
        };
        let mut primary = Self {
            log,
            engine,
            agreement,
            encoder: Writer::new(),
            digests: VecDeque::new(),
            said: None,
            side_effects: SideEffects::default(),
        };
        if primary.engine.venue_id().is_some() {
            primary.operate(now, Command::Resume { term: Term(term) })?;
            primary.side_effects = SideEffects::hold_all(&primary.engine);
        }
        Ok(primary)
    }

    /// Journals and applies one command of the operator.
    ///
    /// # Errors
    /// Whatever the journal refuses.
    pub fn operate(&mut self, now: Timestamp, command: Command) -> Result<Ack> {
        let sequence = ClientSequence(self.log().next());
        let origin = Origin { account: AccountId::OPERATOR, session: PRIMARY_SESSION, sequence };
        let entry = Entry { time: now, origin, command };
        let bytes = entry.to_bytes();
        let admission = admission(&entry.command);
        self.log.append(&[&bytes], admission)?;
        let ack = self.apply(&entry, &bytes)?;
        self.publish()?;
        Ok(ack)
    }

    /// Journals a batch as one frame, then applies it; a batch that no frame holds, as several.
    /// Answers stand in the order of the requests.
    ///
    /// # Errors
    /// A failed disk, or [`crate::RecoveryError::Poisoned`]: then nothing of the batch was
    /// acknowledged, and nothing more is taken until a restart has read the journal back. A full
    /// disk is no error but refuses single requests.
    pub fn commit(
        &mut self,
        now: Timestamp,
        requests: Vec<Request>,
    ) -> Result<Vec<Result<Ack, Refused>>> {
        let entries: Vec<Entry> = requests
            .into_iter()
            .map(|Request { origin, command }| Entry { time: now, origin, command })
            .collect();
        let bytes: Vec<Vec<u8>> = entries.iter().map(|entry| self.encode(entry)).collect();
        let mut answers: Vec<Result<Ack, Refused>> =
            entries.iter().map(|_| Err(Refused::DiskFull)).collect();
        for part in parts(&bytes, self.log.body_bytes_max()) {
            // What only the primary says to itself is never taken from others, nor journaled.
            let part = part.into_iter().filter(|at| order_in(&entries[*at]).is_none());
            let part: Vec<usize> = part.collect();
            let admitted = match self.append(&bytes, &part, Admission::Normal) {
                Ok(()) => part,
                Err(error) if error.is_full() => self.commit_protective(&entries, &bytes, &part)?,
                Err(error) => return Err(error.into()),
            };
            for index in admitted {
                answers[index] = Ok(self.apply(&entries[index], &bytes[index])?);
            }
        }
        self.publish()?;
        Ok(answers)
    }

    /// On a full disk, what shrinks risk or frees space still goes into the reserve.
    fn commit_protective(
        &mut self,
        entries: &[Entry],
        bytes: &[Vec<u8>],
        part: &[usize],
    ) -> Result<Vec<usize>> {
        let is_protective = |at: &usize| entries[*at].command.is_protective();
        let protective: Vec<usize> = part.iter().copied().filter(is_protective).collect();
        if protective.is_empty() {
            return Ok(protective);
        }
        match self.append(bytes, &protective, Admission::Reserve) {
            Ok(()) => Ok(protective),
            Err(error) if error.is_full() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn append(
        &mut self,
        bytes: &[Vec<u8>],
        which: &[usize],
        admission: Admission,
    ) -> Result<(), JournalError> {
        if which.is_empty() {
            return Ok(());
        }
        let batch: Vec<&[u8]> = which.iter().map(|at| bytes[*at].as_slice()).collect();
        self.log.append(&batch, admission).map(|_| ())
    }

    fn encode(&mut self, entry: &Entry) -> Vec<u8> {
        self.encoder.clear();
        entry.encode(&mut self.encoder);
        self.encoder.as_bytes().to_vec()
    }

    /// An entry at which this panics is durable and was not answered; see [`crate::skips`].
    fn apply(&mut self, entry: &Entry, bytes: &[u8]) -> Result<Ack> {
        let position = self.engine.next_position();
        let mut events = Vec::new();
        skips::apply(&mut self.engine, &Skips::none(), entry, bytes, &mut events)?;
        self.side_effects.observe(&entry.command, &events);
        if let Some(said) = &mut self.said {
            let (origin, events) = (Some(entry.origin), events.clone());
            said.push(Output { position: position.0, origin, events });
        }
        let next = position.0 + 1;
        if next.is_multiple_of(DIGEST_EVERY) {
            if self.digests.len() == DIGESTS_MAX {
                self.digests.pop_front();
            }
            let digest = self.engine.output_digest();
            self.digests.push_back(DigestAt { position: next, digest });
        }
        Ok(Ack { position, entry_hash: leaf_hash(bytes), events })
    }

    fn publish(&self) -> Result<()> {
        let position = self.engine.next_position().0;
        self.agreement.publish(Party::Primary, position, self.engine.output_digest())?;
        Ok(())
    }

    /// What was on its way out when the term began, and is held until it is reconciled.
    #[must_use]
    pub fn side_effects(&self) -> &SideEffects {
        &self.side_effects
    }

    /// Digests at multiples of [`DIGEST_EVERY`] since the last call, for the standbys.
    pub fn take_digests(&mut self) -> Vec<DigestAt> {
        self.digests.drain(..).collect()
    }

    /// The digest after everything applied; to be sent now and then, so that standbys can agree
    /// between two multiples of [`DIGEST_EVERY`].
    #[must_use]
    pub fn digest(&self) -> DigestAt {
        let position = self.engine.next_position().0;
        DigestAt { position, digest: self.engine.output_digest() }
    }

    /// Begins or ends keeping what it says, for the case that a standby proves it wrong.
    pub fn keep_outputs(&mut self, keep: bool) {
        self.said = keep.then(|| self.said.take().unwrap_or_default());
    }

    /// A standby agrees with everything below `position`: what was said before is not kept.
    pub fn note_agreed(&mut self, position: u64) {
        if let Some(said) = &mut self.said {
            said.agreed(position);
        }
    }

    /// What it said since the last agreement, if it keeps that.
    #[must_use]
    pub fn outputs(&self) -> Option<&Outputs> {
        self.said.as_ref()
    }

    /// The engine, for views.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// This host's copy of the log, for its figures.
    #[must_use]
    pub fn log(&self) -> &FileLog {
        self.log.file()
    }

    /// Housekeeping of the log, between batches.
    ///
    /// # Errors
    /// [`JournalError::Fenced`] if another primary has taken over; a failed disk.
    pub fn tend(&mut self) -> Result<()> {
        Ok(self.log.tend()?)
    }

    /// Seals the journal's end when nothing happens, so that its loss cannot pass for a torn tail.
    ///
    /// # Errors
    /// A failed disk.
    pub fn seal_if_idle(&mut self) -> Result<bool> {
        Ok(self.log.seal_if_idle()?)
    }

    /// Gives up whole segments below `position`, which the caller knows to be safe elsewhere, in
    /// the background. Errors are told by a later call.
    ///
    /// # Errors
    /// Damage in what would be given up; a failed disk.
    pub fn trim_before(&mut self, position: u64) -> Result<Trimmed> {
        Ok(self.log.trim_beside(position)?)
    }

    /// Ends cleanly.
    ///
    /// # Errors
    /// A failed disk; everything acknowledged is durable in any case.
    pub fn close(self) -> Result<()> {
        Ok(self.log.close()?)
    }
}

fn admission(command: &Command) -> Admission {
    if command.is_protective() { Admission::Reserve } else { Admission::Normal }
}

/// Most bytes that the length of an entry takes in a frame.
const LENGTH_BYTES_MAX: u64 = 5;

/// Indices of a batch's entries in runs, each of which fits into one frame.
fn parts(bytes: &[Vec<u8>], frame_bytes_max: u64) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut part_bytes = 0;
    for (at, entry) in bytes.iter().enumerate() {
        let needed = entry.len() as u64 + LENGTH_BYTES_MAX;
        match parts.last_mut() {
            Some(part) if part_bytes + needed <= frame_bytes_max => {
                part.push(at);
                part_bytes += needed;
            }
            _ => {
                parts.push(vec![at]);
                part_bytes = needed;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_batch_is_taken_apart_only_where_a_frame_ends() {
        let entry = vec![0; 95];
        assert_eq!(parts(&[], 300), Vec::<Vec<usize>>::new());
        assert_eq!(parts(&vec![entry.clone(); 3], 300), vec![vec![0, 1, 2]]);
        let five = parts(&vec![entry.clone(); 5], 299);
        assert_eq!(five, vec![vec![0, 1], vec![2, 3], vec![4]]);
        // One that fits nowhere stands alone, so that the journal refuses it and nothing else.
        let three = [entry.clone(), vec![0; 400], entry];
        assert_eq!(parts(&three, 299), vec![vec![0], vec![1], vec![2]]);
    }
}
