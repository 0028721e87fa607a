//! The log of several hosts, as its primary writes it.

mod append;
mod room;
mod tend;

use std::collections::VecDeque;
use std::fmt;

use evenkeel_journal::{Admission, Appended, FileLog, JournalError, Log, Position, Trimmed};

use crate::ends::Ends;
use crate::error::{QuorumError, fenced};
use crate::keys::{BODY_BYTES_MAX, Keys, Tail, Term, Value};
use crate::pause::{Pause, RealPause};
use crate::status::{Driven, Handle, Status, Waiting};
use crate::store::{Guard, Store, Unreachable};

pub(crate) use room::is_easy;

/// Who deletes, compacts, and asks the store how it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Housekeeping {
    /// The log, between batches.
    #[default]
    Inline,
    /// A [`crate::Keeper`] on another thread: a member that does not answer, or a long compaction,
    /// then holds up neither appends nor beats.
    Keeper,
}

/// How a log is driven. The defaults suit a store on a local network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// First wait before trying again, in milliseconds; doubled each time.
    pub retry_ms_min: u64,
    /// Longest wait before trying again, in milliseconds.
    pub retry_ms_max: u64,
    /// How long a take-over asks a store that does not answer, in milliseconds. (An append asks
    /// for as long as it takes.)
    pub patience_ms: u64,
    /// Time between two beats, in milliseconds; 0: none.
    pub beat_every_ms: u64,
    /// Who keeps house.
    pub housekeeping: Housekeeping,
    /// Time between two looks at how the store is doing, in milliseconds.
    pub health_every_ms: u64,
    /// How long an ordinary append waits for room while the store fills, in milliseconds.
    pub room_wait_ms: u64,
    /// Time between two compactions when nothing is trimmed, in milliseconds: beats and tails
    /// leave history behind.
    pub compact_every_ms: u64,
    /// Time between two rounds of trimming, in milliseconds, while there is room: each one
    /// compacts.
    pub trim_every_ms: u64,
    /// Frames given up in one step of trimming.
    pub trim_frames_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retry_ms_min: 10,
            retry_ms_max: 500,
            patience_ms: 5_000,
            beat_every_ms: 200,
            housekeeping: Housekeeping::default(),
            health_every_ms: 1_000,
            room_wait_ms: 250,
            compact_every_ms: 60_000,
            trim_every_ms: 1_000,
            trim_frames_max: 512,
        }
    }
}

/// What a log needs beside a store and a journal.
#[derive(Debug)]
pub struct Running {
    /// Clock and waiting.
    pub pause: Box<dyn Pause>,
    /// For other threads: what the log does, and what it is told.
    pub handle: Handle,
    /// How it is driven.
    pub settings: Settings,
}

impl Default for Running {
    fn default() -> Self {
        Self {
            pause: Box::new(RealPause::new()),
            handle: Handle::default(),
            settings: Settings::default(),
        }
    }
}

/// Why a log takes nothing any more.
#[derive(Debug, Clone)]
enum Ended {
    Fenced(Term),
    Stopped(String),
}

impl Ended {
    fn to_error(&self) -> JournalError {
        match self {
            Self::Fenced(by) => fenced(by),
            Self::Stopped(cause) => JournalError::Poisoned { cause: cause.clone() },
        }
    }
}

/// A log whose appends are transactions of a store that several hosts share, guarded by term and
/// tail; made by [`crate::take_over`].
///
/// An append is durable on a majority of the store's members, then in this host's journal, then
/// acknowledged. While the store does not answer it waits, for as long as it takes, and
/// acknowledges nothing; [`Handle::status`] says so, and [`Handle::stop`] ends the wait.
pub struct QuorumLog<S> {
    store: S,
    file: FileLog,
    keys: Keys,
    running: Running,
    term: Term,
    term_value: Vec<u8>,
    tail: Tail,
    tail_value: Vec<u8>,
    archived_value: Option<Vec<u8>>,
    /// The store's frames below are gone, or are going.
    trimmed_below: Position,
    /// Where the store's frames begin; `None` until it is asked.
    frames: Option<VecDeque<Position>>,
    begun: bool,
    ended: Option<Ended>,
    tending: tend::Tending,
    room: room::Room,
    _driven: Driven,
}

impl<S: Store> QuorumLog<S> {
    pub(crate) fn won(store: S, file: FileLog, keys: Keys, ends: Ends, running: Running) -> Self {
        let trimmed_below = ends.archived.below;
        let driven = Driven::begin(&running.handle, trimmed_below);
        running.handle.note(|status| *status = Status { trimmed_below, ..Status::default() });
        Self {
            store,
            file,
            keys,
            running,
            term: ends.term,
            term_value: ends.term_value,
            tail: ends.tail,
            tail_value: ends.tail_value,
            archived_value: ends.archived_value,
            trimmed_below,
            frames: None,
            begun: false,
            ended: None,
            tending: tend::Tending::default(),
            room: room::Room::default(),
            _driven: driven,
        }
    }

    /// The handle for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.running.handle.clone()
    }

    /// The term that was won, and by whom.
    #[must_use]
    pub fn term(&self) -> &Term {
        &self.term
    }

    /// Gives store and journal back, without ending anything.
    #[must_use]
    pub fn into_parts(self) -> (S, FileLog) {
        (self.store, self.file)
    }

    fn check_going(&self) -> Result<(), JournalError> {
        self.ended.as_ref().map_or(Ok(()), |ended| Err(ended.to_error()))
    }

    /// Ends the log for good.
    fn end(&mut self, ended: Ended) -> JournalError {
        let error = ended.to_error();
        self.running.handle.set_driven(false);
        self.running.handle.note(|status| {
            status.ended = Some(error.to_string());
            status.waiting = None;
        });
        self.ended = Some(ended);
        error
    }

    fn end_stopped(&mut self, cause: impl Into<String>) -> JournalError {
        self.end(Ended::Stopped(cause.into()))
    }

    /// The guard that makes this process the only writer.
    fn term_guard(&self) -> Guard {
        Guard { key: self.keys.term(), value: Some(self.term_value.clone()) }
    }

    /// What a term that is not this one's means: somebody else has taken over.
    fn end_by_term(&mut self, found: Option<&[u8]>) -> JournalError {
        let key = self.keys.term();
        match found.map(|value| Term::from_value(&key, value)) {
            Some(Ok(by)) => self.end(Ended::Fenced(by)),
            Some(Err(error)) => self.end_stopped(error.to_string()),
            None => {
                let key = String::from_utf8_lossy(&key).into_owned();
                self.end_stopped(QuorumError::NotFounded { key }.to_string())
            }
        }
    }

    /// Reads keys, for as long as it takes; only a stop ends it early.
    fn read_at_last(
        &mut self,
        keys: &[&[u8]],
        wait: &mut Wait,
    ) -> Result<Vec<Option<Vec<u8>>>, JournalError> {
        loop {
            match self.store.read(keys) {
                Ok(mut values) => {
                    values.resize(keys.len(), None);
                    return Ok(values);
                }
                Err(Unreachable(why)) => self.wait(wait, why)?,
            }
        }
    }

    /// Waits before the next attempt, and says so.
    ///
    /// # Errors
    /// [`JournalError::Poisoned`] after a stop: what was sent may or may not take place.
    fn wait(&mut self, wait: &mut Wait, why: String) -> Result<(), JournalError> {
        let now_ms = self.running.pause.now_ms();
        let since_ms = *wait.since_ms.get_or_insert(now_ms);
        wait.attempts += 1;
        if self.running.handle.is_stopped() {
            return Err(self.end_stopped(format!(
                "it was stopped while it waited for the shared store: {why}. Whether {} took place \
                 is not known, and it was not acknowledged",
                wait.what
            )));
        }
        let waiting = Waiting {
            since_ms,
            waited_ms: now_ms.saturating_sub(since_ms),
            attempts: wait.attempts,
            why,
        };
        self.running.handle.note(|status| status.waiting = Some(waiting));
        let Settings { retry_ms_min, retry_ms_max, .. } = self.running.settings;
        let doublings = u32::try_from(wait.attempts - 1).unwrap_or(u32::MAX).min(16);
        self.running.pause.pause((retry_ms_min << doublings).min(retry_ms_max));
        Ok(())
    }

    fn waited(&mut self) {
        self.running.handle.note(|status| status.waiting = None);
    }
}

/// One wait, over all its attempts.
#[derive(Debug)]
struct Wait {
    what: &'static str,
    since_ms: Option<u64>,
    attempts: u64,
}

impl Wait {
    fn of(what: &'static str) -> Self {
        Self { what, since_ms: None, attempts: 0 }
    }
}

impl<S: fmt::Debug> fmt::Debug for QuorumLog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuorumLog")
            .field("store", &self.store)
            .field("file", &self.file)
            .field("term", &self.term)
            .field("tail", &self.tail)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<S: Store> Log for QuorumLog<S> {
    fn file(&self) -> &FileLog {
        &self.file
    }

    fn next_term(&self) -> u64 {
        self.term.term
    }

    fn body_bytes_max(&self) -> u64 {
        self.file.body_bytes_max().min(BODY_BYTES_MAX)
    }

    fn begin_term(&mut self, term: u64) -> Result<(), JournalError> {
        self.check_going()?;
        let won = self.term.term;
        if term < won || self.begun {
            return Err(JournalError::StaleTerm { asked: term, last: won });
        }
        if term > won {
            let reason = format!(
                "term {term} was asked for, but the shared store gave term {won}: somebody knows a \
                 higher one. Nothing was written. Was the store put back to an earlier state?"
            );
            return Err(JournalError::SharedLog { reason });
        }
        let mut wait = Wait::of("nothing");
        let term_key = self.keys.term();
        let found = self.read_at_last(&[&term_key], &mut wait)?;
        self.waited();
        let found = found.into_iter().next().flatten();
        if found.as_ref() != Some(&self.term_value) {
            return Err(self.end_by_term(found.as_deref()));
        }
        self.file.begin_term(term)?;
        self.begun = true;
        Ok(())
    }

    fn append(
        &mut self,
        entries: &[&[u8]],
        admission: Admission,
    ) -> Result<Appended, JournalError> {
        self.append_frame(entries, admission)
    }

    fn seal_if_idle(&mut self) -> Result<bool, JournalError> {
        self.file.seal_if_idle()
    }

    fn trim_beside(&mut self, position: u64) -> Result<Trimmed, JournalError> {
        self.file.trim_beside(position)
    }

    fn tend(&mut self) -> Result<(), JournalError> {
        self.tend_now()
    }

    fn close(self: Box<Self>) -> Result<(), JournalError> {
        self.file.close()
    }
}
