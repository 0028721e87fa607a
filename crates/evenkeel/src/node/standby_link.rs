//! A standby's end of the link: takes frames, digests and signs of life, says what it holds and
//! what its own engine said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_journal::{Batch, Reader};
use evenkeel_recovery::RecoveryError;
use evenkeel_recovery::detector::{Rhythm, Suspicion};
use evenkeel_recovery::link::{Notice, StandbyEnd, ToStandby, Wrong};

use super::client_door::Duty;
use super::link_wire::{Wire, WireError};
use super::standby::{Following, barred};
use super::stop::Stop;
use crate::config::FollowMode;
use crate::output;
use crate::report::{Exit, Report, Result};

/// How long it waits for the next message.
const LOOK: Duration = Duration::from_millis(20);
/// How often it says what it holds.
const ANSWER_EVERY: Duration = Duration::from_millis(50);

/// Why a connection is over.
pub(super) enum Lost {
    /// It says nothing any more, since several beats.
    Silent,
    /// It ended in good order, in favour of this standby.
    HandedOver,
    /// The primary's process ended, or the network did, at this moment.
    Closed(Instant),
    /// A person calls this standby to take the term from a primary that may live.
    Called,
    /// This process is to end.
    Stopped,
}

impl Following<'_> {
    /// Follows one connection to its end.
    pub(super) fn follow(&mut self, mut wire: Wire, stop: &Stop) -> Result<Lost> {
        let begun = Instant::now();
        let now_ns = || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (rhythm, name) = (Rhythm::default(), self.name());
        let mut end =
            StandbyEnd::new(&self.standby, self.lineage.0, &name, self.term, rhythm, now_ns());
        // Before the primary can know of it, whoever asks can see whether it may be promoted.
        self.status.heard(&self.standby, "joining");
        if let Err(error) = self.answer(&mut end, &mut wire) {
            return self.over(&error);
        }
        let mut next_answer = begun + ANSWER_EVERY;
        loop {
            if stop.is_set() {
                return Ok(Lost::Stopped);
            }
            if self.config.standby.mode == FollowMode::Quorum && self.status.is_asked_to_promote() {
                return Ok(Lost::Called);
            }
            match wire.next::<ToStandby>(LOOK) {
                Ok(Some(message)) => {
                    if let Some(lost) = self.take(&mut end, now_ns(), message)? {
                        return Ok(lost);
                    }
                }
                // Everything that came was taken in: only now silence means something.
                Ok(None) => {
                    if let Some(Suspicion::Silent { .. }) = end.look(now_ns()) {
                        output::note("the primary says nothing any more");
                        return Ok(Lost::Silent);
                    }
                }
                Err(error) => return self.over(&error),
            }
            if Instant::now() >= next_answer {
                next_answer = Instant::now() + ANSWER_EVERY;
                if let Err(error) = self.answer(&mut end, &mut wire) {
                    return self.over(&error);
                }
                self.settle(&mut end, &mut wire)?;
                match self.standby.poisoned() {
                    None => self.status.heard(&self.standby, "following"),
                    Some(_) => self.status.heard(&self.standby, "waiting behind a panic"),
                }
                self.send_clients_on();
                if let Some(snapshots) = &mut self.snapshots {
                    snapshots.look(&self.standby);
                }
            }
        }
    }

    /// Clients learn here which term there is, once everything of it has come.
    fn send_clients_on(&mut self) {
        let has_come = self.standby.position() >= self.welcomed_next;
        if self.shown_term != self.term && has_come && self.standby.lag().entries == 0 {
            self.shown_term = self.term;
            let primary_at = self.clients_at.clone();
            self.door.set(Duty::Elsewhere { term: self.term, primary_at });
        }
    }

    fn name(&self) -> String {
        format!("{} (process {})", self.config.standby.name, std::process::id())
    }

    fn over(&mut self, error: &WireError) -> Result<Lost> {
        match error {
            WireError::Stranger(_) => Err(Report::new(Exit::WrongKey, error.to_string())
                .at(self.config.link_dir().display().to_string())
                .safe("nothing was sent, and nothing taken")),
            WireError::Closed | WireError::Io(_) => Ok(Lost::Closed(Instant::now())),
            WireError::Garbled(_) => Err(Report::new(Exit::Failed, error.to_string())
                .safe("the primary goes on; nothing was changed here")
                .next("run the same version of this program on both sides")),
        }
    }

    /// Takes a message in; says why the connection is over, if it is.
    fn take(
        &mut self,
        end: &mut StandbyEnd,
        now_ns: u64,
        message: ToStandby,
    ) -> Result<Option<Lost>> {
        let copy = &mut self.copy;
        let mut mirror = |batch: &Batch| match copy {
            Some(copy) => Ok(copy.mirror(batch, "the primary").map(|_| ())?),
            None => Ok(()),
        };
        let notice = match end.hear(now_ns, message, &mut self.standby, &mut mirror) {
            Ok(notice) => notice,
            // Whoever was replaced, or does not keep to the order, is not listened to any more.
            Err(error @ (RecoveryError::Link(_) | RecoveryError::Behind { .. })) => {
                self.tell(&error.to_string());
                return Ok(Some(Lost::Closed(Instant::now())));
            }
            // The next connection begins where the standby begins again.
            Err(RecoveryError::GoBack { position, entry }) => {
                self.go_back(position, entry)?;
                return Ok(Some(Lost::Closed(Instant::now())));
            }
            Err(error) => return Err(error.into()),
        };
        self.term = end.term();
        match notice {
            Some(Notice::Welcome(welcome)) => {
                let at = self.standby.position();
                self.welcomed_next = welcome.next;
                output::note(&format!(
                    "linked to the primary of term {}: here position {at}, there {}",
                    welcome.term, welcome.next
                ));
            }
            Some(Notice::HandOver(over)) => {
                self.status.heard(&self.standby, "the primary hands over");
                output::note(&format!("handed over at position {}", over.position));
                return Ok(Some(Lost::HandedOver));
            }
            Some(Notice::Refused(why)) => {
                return Err(Report::new(
                    Exit::Failed,
                    format!("the primary does not serve this standby: {why}"),
                )
                .safe("the primary goes on; nothing was changed here")
                .next(
                    "move host/journal and host/snapshots away and start it again: with \
                     standby.identity_file it begins with what the sites hold",
                ));
            }
            Some(Notice::Diverged | Notice::Fetched(_) | Notice::FetchEnd(_)) | None => {}
        }
        Ok(None)
    }

    /// Decides who is wrong where the two differ, and says so.
    fn settle(&mut self, end: &mut StandbyEnd, wire: &mut Wire) -> Result<()> {
        let Some(divergence) = self.standby.divergence() else {
            return Ok(());
        };
        if self.standby.wrong().is_none() {
            let dir = self.config.journal_dir();
            let from = self.standby.arbitrates_from();
            let mut reader = Reader::external(Arc::clone(&self.disk), &dir, from)?;
            match self.standby.arbitrate(&mut reader) {
                // From outside the last frame is read only when another follows.
                Ok(_) | Err(RecoveryError::Behind { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(wrong) = self.standby.wrong() else {
            return Ok(());
        };
        if !std::mem::replace(&mut self.has_told, true) {
            end.diverged(&self.standby);
            // A primary that is gone need not be told.
            let _ = self.answer(end, wire);
            output::note(&divergence.to_string());
        }
        match self.standby.promotable() {
            Err(bar) if wrong != Wrong::Primary => Err(barred(&bar)),
            _ => Ok(()),
        }
    }

    /// Says what it holds and what its engine said.
    fn answer(&mut self, end: &mut StandbyEnd, wire: &mut Wire) -> Result<(), WireError> {
        for message in end.outputs(&mut self.standby) {
            wire.put(&message)?;
        }
        wire.flush()
    }
}
