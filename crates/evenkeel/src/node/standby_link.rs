//! A standby's end of the link: takes frames, digests and signs of life, says what it holds and
//! what its own engine said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_journal::{JournalError, Reader};
use evenkeel_recovery::RecoveryError;
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::link::{Diverged, Held, Hello, ToPrimary, ToStandby, Wrong};

use super::client_door::Duty;
use super::link_wire::{Wire, WireError};
use super::standby::{Following, barred};
use super::stop::Stop;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Without a sign of life for this long the primary counts as stalled.
const SILENCE: Duration = Duration::from_millis(600);
/// How long it waits for the next message.
const LOOK: Duration = Duration::from_millis(20);
/// A longer wait than asked for means that this process itself stood still: it proves nothing.
const LOOK_MAX: Duration = Duration::from_millis(40);
/// How often it says what it holds.
const HOLDS_EVERY: Duration = Duration::from_millis(50);

/// Why a connection is over.
pub(super) enum Lost {
    /// It says nothing any more, since about [`SILENCE`].
    Silent,
    /// It ended in good order, in favour of this standby.
    HandedOver,
    /// The primary's process ended, or the network did, at this moment.
    Closed(Instant),
    /// This process is to end.
    Stopped,
}

impl Following<'_> {
    /// Follows one connection to its end.
    pub(super) fn follow(&mut self, mut wire: Wire, stop: &Stop) -> Result<Lost> {
        let hello = ToPrimary::Hello(Hello {
            version: ProtocolVersion,
            lineage: self.lineage.0,
            position: self.standby.position(),
            chain: self.standby.chain(),
            name: self.name().into(),
        });
        let sent = wire.put(&hello).and_then(|()| wire.flush());
        if let Err(error) = sent {
            return self.over(&error);
        }
        let (mut silence, mut next_holds) = (Duration::ZERO, Instant::now());
        loop {
            if stop.is_set() {
                return Ok(Lost::Stopped);
            }
            let asked = Instant::now();
            match wire.next::<ToStandby>(LOOK) {
                Ok(Some(ToStandby::HandOver(hand_over))) => {
                    self.status.heard(&self.standby, "the primary hands over");
                    output::note(&format!("handed over at position {}", hand_over.position));
                    return Ok(Lost::HandedOver);
                }
                Ok(Some(message)) => {
                    silence = Duration::ZERO;
                    self.take(message)?;
                }
                Ok(None) => silence += asked.elapsed().min(LOOK_MAX),
                Err(error) => return self.over(&error),
            }
            if silence >= SILENCE {
                output::note("the primary says nothing any more");
                return Ok(Lost::Silent);
            }
            if Instant::now() >= next_holds {
                next_holds = Instant::now() + HOLDS_EVERY;
                if let Err(error) = self.answer(&mut wire) {
                    return self.over(&error);
                }
                self.settle(&mut wire)?;
                self.status.heard(&self.standby, "following");
                self.send_clients_on();
            }
        }
    }

    /// Clients learn here which term there is, once everything of it has come.
    fn send_clients_on(&mut self) {
        if self.shown_term != self.term && self.standby.lag().entries == 0 {
            self.shown_term = self.term;
            let primary_at = String::new();
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

    fn take(&mut self, message: ToStandby) -> Result<()> {
        match message {
            ToStandby::Welcome(welcome) => {
                let at = self.standby.position();
                output::note(&format!(
                    "linked to the primary of term {}: here position {at}, there {}",
                    welcome.term, welcome.next
                ));
                self.term = welcome.term;
            }
            ToStandby::Frame(frame) => {
                if let Some(copy) = &mut self.copy {
                    copy.mirror(&frame.0, "the primary")?;
                }
                match self.standby.apply(&frame.0) {
                    Ok(_) => {}
                    // What a replaced primary still sends is not taken.
                    Err(RecoveryError::Journal(JournalError::StaleTerm { .. })) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            ToStandby::Beat(beat) => self.standby.hear_beat(beat),
            ToStandby::Digest(digest) => {
                let _ = self.standby.hear_digest(digest);
            }
            ToStandby::Refused(refusal) => {
                return Err(Report::new(
                    Exit::Failed,
                    format!("the primary does not serve this standby: {}", refusal.why),
                )
                .safe("the primary goes on; nothing was changed here")
                .next("evenkeel restore --to NEW   (a home that begins at a recovery point)"));
            }
            ToStandby::HandOver(_) | ToStandby::Fetched(_) | ToStandby::FetchEnd(_) => {}
        }
        Ok(())
    }

    /// Decides who is wrong where the two differ, and says so.
    fn settle(&mut self, wire: &mut Wire) -> Result<()> {
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
            let (agreed, position) = (divergence.agreed, divergence.position);
            let told = wire.put(&ToPrimary::Diverged(Diverged { agreed, position, wrong }));
            // A primary that is gone need not be told.
            let _ = told.and_then(|()| wire.flush());
            output::note(&divergence.to_string());
        }
        match self.standby.promotable() {
            Err(bar) if wrong != Wrong::Primary => Err(barred(&bar)),
            _ => Ok(()),
        }
    }

    /// Says what it holds and what its engine said.
    fn answer(&mut self, wire: &mut Wire) -> Result<(), WireError> {
        let held = Held { position: self.standby.position(), chain: self.standby.chain() };
        wire.put(&ToPrimary::Holds(held))?;
        for digest in self.standby.take_digests() {
            wire.put(&ToPrimary::Digest(digest))?;
        }
        wire.flush()
    }
}
