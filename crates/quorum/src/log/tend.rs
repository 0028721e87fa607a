//! Housekeeping between batches: beats, trimming, compaction. None of it waits for a store that
//! does not answer.

use std::collections::VecDeque;

use evenkeel_journal::{JournalError, Position};

use super::{Housekeeping, QuorumLog};
use crate::ends::list_frames;
use crate::error::QuorumError;
use crate::keys::{Archived, Beat, Value};
use crate::store::{Committed, Guard, Store, Unreachable, Write};

/// When what was last done.
#[derive(Debug, Default)]
pub(super) struct Tending {
    beat_counter: u64,
    beat_at_ms: Option<u64>,
    compacted_at_ms: Option<u64>,
    trimmed_at_ms: Option<u64>,
    /// The last step of trimming ended only because it was long enough.
    trimming: bool,
}

impl<S: Store> QuorumLog<S> {
    pub(super) fn tend_now(&mut self) -> Result<(), JournalError> {
        self.check_going()?;
        self.running.handle.note(|status| status.housekeeping = None);
        self.beat_if_due()?;
        self.look_at_health_if_due();
        self.trim_if_due()?;
        if self.running.settings.housekeeping == Housekeeping::Keeper {
            return Ok(());
        }
        self.compact_if_due();
        if self.room.is_full() && self.room.is_easy() {
            if let Err(unreachable) = self.store.make_space() {
                self.note_trouble(unreachable.to_string());
            }
            self.look_at_health();
        }
        Ok(())
    }

    fn note_trouble(&mut self, trouble: String) {
        self.running.handle.note(|status| status.housekeeping = Some(trouble));
    }

    fn beat_if_due(&mut self) -> Result<(), JournalError> {
        let (now_ms, every_ms) = (self.running.pause.now_ms(), self.running.settings.beat_every_ms);
        let due = self.tending.beat_at_ms.is_none_or(|at| now_ms >= at.saturating_add(every_ms));
        if every_ms == 0 || !due {
            return Ok(());
        }
        self.tending.beat_at_ms = Some(now_ms);
        self.beat()
    }

    /// Writes a sign of life. It is written only while the term is this one's, so a primary that
    /// was replaced finds that out here even if nobody sends it anything.
    ///
    /// # Errors
    /// [`JournalError::Fenced`]. A store that does not answer is no error.
    pub fn beat(&mut self) -> Result<(), JournalError> {
        self.check_going()?;
        self.tending.beat_counter += 1;
        let beat = Beat {
            term: self.term.term,
            counter: self.tending.beat_counter,
            durable_next: self.tail.next,
            address: self.term.holder.address.clone(),
        };
        let writes = [Write { key: self.keys.beat(), value: beat.to_value() }];
        match self.store.commit(&[self.term_guard()], &writes) {
            Committed::Done => Ok(()),
            Committed::Refused(found) => {
                let found = found.into_iter().next().flatten();
                if found.as_ref() == Some(&self.term_value) {
                    return Ok(());
                }
                Err(self.end_by_term(found.as_deref()))
            }
            Committed::Unknown(why) | Committed::Full(why) => {
                self.note_trouble(format!("no beat was written: {why}"));
                Ok(())
            }
        }
    }

    fn trim_if_due(&mut self) -> Result<(), JournalError> {
        let (now_ms, every_ms) = (self.running.pause.now_ms(), self.running.settings.trim_every_ms);
        let last = self.tending.trimmed_at_ms;
        let due = last.is_none_or(|at| now_ms >= at.saturating_add(every_ms));
        if due || self.tending.trimming || !self.room.is_easy() {
            self.tending.trimmed_at_ms = Some(now_ms);
            self.trim()?;
        }
        Ok(())
    }

    /// Gives up frames that the sites hold, some at a time.
    ///
    /// # Errors
    /// [`JournalError::Fenced`]. A store that does not answer is no error: it is tried again.
    pub(super) fn trim(&mut self) -> Result<(), JournalError> {
        let archived_below = self.running.handle.archived_below().min(self.tail.next);
        if archived_below <= self.trimmed_below && !self.archived_key_lags() {
            return Ok(());
        }
        let Some(to) = self.trim_target(archived_below) else { return Ok(()) };
        // First what is no longer promised, then what is gone: a reader that misses a frame finds
        // out where to get it. A store that takes no writes must be emptied nevertheless.
        match self.note_archived(to)? {
            Noted::Yes | Noted::Full => {}
            Noted::NotYet => return Ok(()),
        }
        if to > self.trimmed_below {
            self.discard_below(to);
        }
        Ok(())
    }

    /// The highest end of a frame that may be given up in this step; never below what was given up.
    fn trim_target(&mut self, archived_below: Position) -> Option<Position> {
        if self.frames.is_none() {
            match list_frames(&mut self.store, &self.keys) {
                Ok(firsts) => self.frames = Some(VecDeque::from(firsts)),
                Err(error) => {
                    self.note_trouble(error.to_string());
                    return None;
                }
            }
        }
        let steps = self.running.settings.trim_frames_max;
        let frames = self.frames.as_ref()?;
        let ends = frames.iter().copied().skip(1).chain([self.tail.next]);
        let archived: Vec<Position> =
            ends.take(steps).take_while(|end| *end <= archived_below).collect();
        self.tending.trimming = archived.len() == steps;
        let reached = archived.last().copied().unwrap_or(self.trimmed_below);
        Some(reached.max(self.trimmed_below))
    }

    fn archived_key_lags(&self) -> bool {
        self.noted_archived() < Some(self.trimmed_below)
    }

    fn noted_archived(&self) -> Option<Position> {
        let value = self.archived_value.as_ref()?;
        Archived::from_value(&self.keys.archived(), value).ok().map(|archived| archived.below)
    }

    /// Writes down below which position frames are elsewhere. The guard on its old value keeps an
    /// attempt that comes late from taking it back.
    fn note_archived(&mut self, below: Position) -> Result<Noted, JournalError> {
        if self.noted_archived() >= Some(below) {
            return Ok(Noted::Yes);
        }
        let key = self.keys.archived();
        let old = Guard { key: key.clone(), value: self.archived_value.clone() };
        let value = Archived { below }.to_value();
        let writes = [Write { key, value: value.clone() }];
        match self.store.commit(&[self.term_guard(), old], &writes) {
            Committed::Done => {
                self.archived_value = Some(value);
                Ok(Noted::Yes)
            }
            Committed::Refused(found) => {
                let mut found = found.into_iter().chain([None, None]);
                let (term, archived) = (found.next().flatten(), found.next().flatten());
                if term.as_ref() != Some(&self.term_value) {
                    return Err(self.end_by_term(term.as_deref()));
                }
                // An earlier attempt of this process that was thought lost.
                self.archived_value = archived;
                Ok(Noted::NotYet)
            }
            Committed::Unknown(why) => {
                self.note_trouble(format!("nothing was trimmed: {why}"));
                Ok(Noted::NotYet)
            }
            Committed::Full(_) => Ok(Noted::Full),
        }
    }

    fn discard_below(&mut self, to: Position) {
        self.running.handle.ask_discard(to);
        if self.running.settings.housekeeping == Housekeeping::Inline {
            let (begin, end) = (self.keys.frames_begin(), self.keys.frame(to));
            if let Err(unreachable) = self.store.discard(&begin, &end) {
                self.note_trouble(unreachable.to_string());
                return;
            }
            self.tending.compacted_at_ms = Some(self.running.pause.now_ms());
            self.running.handle.note(|status| status.trimmed_below = to);
        }
        self.trimmed_below = to;
        if let Some(frames) = &mut self.frames {
            frames.retain(|first| *first >= to);
        }
    }

    /// Lets the history of beats and tails go, in a log that carries so little that nothing is
    /// trimmed.
    fn compact_if_due(&mut self) {
        let now_ms = self.running.pause.now_ms();
        let every_ms = self.running.settings.compact_every_ms;
        let last = *self.tending.compacted_at_ms.get_or_insert(now_ms);
        if now_ms < last.saturating_add(every_ms) {
            return;
        }
        self.tending.compacted_at_ms = Some(now_ms);
        let (begin, end) = (self.keys.frames_begin(), self.keys.frame(self.trimmed_below));
        if let Err(Unreachable(why)) = self.store.discard(&begin, &end) {
            let error = QuorumError::Unreachable(Unreachable(why));
            self.note_trouble(error.to_string());
        }
    }
}

enum Noted {
    Yes,
    NotYet,
    Full,
}
