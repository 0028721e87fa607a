//! Beginning a shared log, and taking it over.

use std::fmt;

use evenkeel_journal::{Confirmation, FileLog};

use crate::ends::{Ends, fetch, read_ends};
use crate::error::{QuorumError, Result};
use crate::follow::agree_at_end;
use crate::keys::{Archived, HOLDER_TEXT_BYTES_MAX, Holder, Keys, Tail, Term, Value};
use crate::log::{QuorumLog, Running};
use crate::store::{Committed, Guard, Store, Unreachable, Write};

/// What [`found`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Founded {
    /// The log begins where this host's journal ends.
    Begun,
    /// There is one already; it was not touched. Where it ends.
    AlreadyThere(Tail),
}

/// Begins the shared log of a cluster where this host's journal ends. What is below stays where it
/// is: in that journal and at the sites.
///
/// # Errors
/// [`QuorumError::NotKnown`] if the store does not tell whether it was done: ask again.
/// [`QuorumError::Unreachable`], [`QuorumError::Full`], [`QuorumError::Damaged`].
pub fn found<S: Store>(store: &mut S, file: &FileLog, running: &mut Running) -> Result<Founded> {
    let keys = Keys::new(&file.identity());
    let term = Term { term: file.term(), holder: Holder::default() };
    let tail = Tail { next: file.next(), chain: file.chain(), term: file.term() };
    let writes = [
        Write { key: keys.term(), value: term.to_value() },
        Write { key: keys.tail(), value: tail.to_value() },
        Write { key: keys.archived(), value: Archived { below: file.next() }.to_value() },
    ];
    let guards: Vec<Guard> =
        writes.iter().map(|one| Guard { key: one.key.clone(), value: None }).collect();
    let mut patience = Patience::begin(running, file.term());
    loop {
        match store.commit(&guards, &writes) {
            Committed::Done => return Ok(Founded::Begun),
            Committed::Full(why) if !patience.in_doubt => return Err(QuorumError::Full(why)),
            Committed::Full(why) => patience.wait(running, why)?,
            Committed::Refused(_) => match read_ends(store, &keys) {
                Ok(ends) if ends.tail == tail && ends.term == term => return Ok(Founded::Begun),
                Ok(ends) => return Ok(Founded::AlreadyThere(ends.tail)),
                Err(QuorumError::Unreachable(Unreachable(why))) => patience.wait(running, why)?,
                Err(error) => return Err(error),
            },
            Committed::Unknown(why) => {
                patience.in_doubt = true;
                patience.wait(running, why)?;
            }
        }
    }
}

/// A log that was not taken over, with what is needed to try again or to go on following.
pub struct NotTaken<S> {
    /// The store.
    pub store: S,
    /// This host's journal; it may have grown by committed frames.
    pub file: FileLog,
    /// Why. After [`QuorumError::NotKnown`] and [`QuorumError::Unreachable`] the term may have been
    /// won nevertheless: trying again with the same term and holder finds that out.
    pub error: QuorumError,
}

impl<S> fmt::Debug for NotTaken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotTaken").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S> fmt::Display for NotTaken<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S> std::error::Error for NotTaken<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<S> From<Box<NotTaken<S>>> for QuorumError {
    fn from(not_taken: Box<NotTaken<S>>) -> Self {
        not_taken.error
    }
}

/// Takes the shared log over: wins the term behind `expected_term`, the highest that was heard of,
/// and brings this host's journal to the log's end. From the moment it is won the former primary
/// commits nothing more, however late its requests arrive.
///
/// The journal is brought up as far as possible beforehand, so that whatever speaks against it is
/// found while the former primary still goes on. The end of the journal is confirmed afterwards; no
/// term is begun in it.
///
/// `me.run` must be this process's own: after an outcome that was not known it tells whose the
/// term is.
///
/// # Errors
/// [`QuorumError::Taken`] if somebody has a higher term; [`QuorumError::TrimmedAway`],
/// [`QuorumError::Missing`], [`QuorumError::LocalAhead`], [`QuorumError::Forked`],
/// [`QuorumError::TermWentBack`] if this journal cannot continue the log;
/// [`QuorumError::NotKnown`] and [`QuorumError::Unreachable`] after as long as the settings allow.
pub fn take_over<S: Store>(
    store: S,
    file: FileLog,
    expected_term: u64,
    me: Holder,
    running: Running,
) -> Result<QuorumLog<S>, Box<NotTaken<S>>> {
    let keys = Keys::new(&file.identity());
    let mut attempt = Attempt { store, file, keys, expected_term, me, running };
    match attempt.run() {
        Ok(ends) => {
            let Attempt { store, file, keys, running, .. } = attempt;
            Ok(QuorumLog::won(store, file, keys, ends, running))
        }
        Err(error) => {
            let Attempt { store, file, .. } = attempt;
            Err(Box::new(NotTaken { store, file, error }))
        }
    }
}

struct Attempt<S> {
    store: S,
    file: FileLog,
    keys: Keys,
    expected_term: u64,
    me: Holder,
    running: Running,
}

impl<S: Store> Attempt<S> {
    fn run(&mut self) -> Result<Ends> {
        if self.me.name.len().max(self.me.address.len()) > HOLDER_TEXT_BYTES_MAX {
            return Err(QuorumError::HolderTooLong { max_bytes: HOLDER_TEXT_BYTES_MAX });
        }
        let next = self.expected_term.checked_add(1);
        let term = next.ok_or_else(|| QuorumError::damaged(&self.keys.term(), "no higher term"))?;
        let mine = Term { term, holder: self.me.clone() };
        let before = self.read_patiently()?;
        let known = self.expected_term.max(self.file.term());
        if before.term != mine {
            if before.term.term > self.expected_term {
                return Err(QuorumError::Taken(Box::new(before.term)));
            }
            if before.term.term < known {
                return Err(QuorumError::TermWentBack { store: before.term.term, known });
            }
            self.catch_up(before.clone())?;
            self.win(&before, &mine)?;
        }
        let now = self.read_patiently()?;
        if now.term != mine {
            return Err(QuorumError::Taken(Box::new(now.term)));
        }
        let ends = self.catch_up(now)?;
        let confirmation = Confirmation {
            source: "the shared log".to_owned(),
            next: ends.tail.next,
            chain: Some(ends.tail.chain),
        };
        self.file.confirm_end(&[confirmation])?;
        Ok(ends)
    }

    fn read_patiently(&mut self) -> Result<Ends> {
        let mut patience = Patience::begin(&self.running, self.expected_term);
        loop {
            match read_ends(&mut self.store, &self.keys) {
                Err(QuorumError::Unreachable(unreachable)) => {
                    if patience.wait(&mut self.running, unreachable.0.clone()).is_err() {
                        return Err(QuorumError::Unreachable(unreachable));
                    }
                }
                result => return result,
            }
        }
    }

    /// Swaps the term, once and for all: whatever the answers, what the store holds decides.
    fn win(&mut self, before: &Ends, mine: &Term) -> Result<()> {
        let term_key = self.keys.term();
        let guards = [Guard { key: term_key.clone(), value: Some(before.term_value.clone()) }];
        let writes = [Write { key: term_key.clone(), value: mine.to_value() }];
        let mut patience = Patience::begin(&self.running, mine.term);
        loop {
            let found = match self.store.commit(&guards, &writes) {
                Committed::Done => return Ok(()),
                Committed::Full(why) if !patience.in_doubt => return Err(QuorumError::Full(why)),
                Committed::Refused(found) => found.into_iter().next().flatten(),
                Committed::Unknown(why) | Committed::Full(why) => {
                    patience.in_doubt = true;
                    patience.wait(&mut self.running, why)?;
                    match self.store.read(&[&term_key]) {
                        Ok(found) => found.into_iter().next().flatten(),
                        Err(Unreachable(_)) => continue,
                    }
                }
            };
            let Some(found) = found else {
                let key = String::from_utf8_lossy(&term_key).into_owned();
                return Err(QuorumError::NotFounded { key });
            };
            if found == before.term_value {
                patience.wait(&mut self.running, "nothing was written".to_owned())?;
                continue;
            }
            let found = Term::from_value(&term_key, &found)?;
            return match found == *mine {
                true => Ok(()),
                false => Err(QuorumError::Taken(Box::new(found))),
            };
        }
    }

    /// Mirrors what is missing here up to the tail in `ends`.
    fn catch_up(&mut self, ends: Ends) -> Result<Ends> {
        let file = &mut self.file;
        agree_at_end(&ends.tail, file.next(), &file.chain())?;
        if file.next() < ends.tail.next && file.end_state().is_none() {
            // Entries are taken in only by a log whose end was looked at; the tail confirms it
            // when all are here.
            file.confirm_end(&[])?;
        }
        while file.next() < ends.tail.next {
            let before = file.next();
            for frame in fetch(&mut self.store, &self.keys, file.next(), &file.chain())? {
                // The tail of this moment is what is compared; later frames come with a later one.
                if frame.next() <= ends.tail.next {
                    file.mirror(&frame.into_batch(), "the shared log")?;
                }
            }
            if file.next() == before {
                return Err(QuorumError::damaged(&self.keys.tail(), "it points into a frame"));
            }
        }
        agree_at_end(&ends.tail, file.next(), &file.chain())?;
        Ok(ends)
    }
}

/// How long one goes on asking.
struct Patience {
    term: u64,
    until_ms: u64,
    wait_ms: u64,
    in_doubt: bool,
}

impl Patience {
    fn begin(running: &Running, term: u64) -> Self {
        let until_ms = running.pause.now_ms().saturating_add(running.settings.patience_ms);
        Self { term, until_ms, wait_ms: running.settings.retry_ms_min, in_doubt: false }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// [`QuorumError::NotKnown`] when it has lasted long enough.
    fn wait(&mut self, running: &mut Running, why: String) -> Result<()> {
        if running.pause.now_ms() >= self.until_ms || running.handle.is_stopped() {
            return Err(QuorumError::NotKnown { term: self.term, why });
        }
        running.pause.pause(self.wait_ms);
        self.wait_ms = (self.wait_ms * 2).min(running.settings.retry_ms_max);
        Ok(())
    }
}
