//! Exactly once: sessions and the windows of what they sent.
//!
//! A window holds the last [`WINDOW`] sequences applied in a session with their outcomes, and
//! `lowest`, one above the highest sequence that ever fell out of it. So a sequence was applied if
//! and only if it is in the window or below `lowest`: the first is answered with the original
//! outcome, the second with [`Admission::TooOld`], anything else is new. Sequences may skip, and
//! one that arrives late but above `lowest` is still applied, once.
//!
//! An account has at most [`MAX_SESSIONS`] sessions. One more drops the disconnected session with
//! the lowest id and raises the account's `floor` above that id: from then on an unknown session
//! below the floor is refused for good, so a command of a dropped session can never be applied a
//! second time. A client therefore takes growing session ids. If the new id lies below every
//! session that could be dropped it is itself refused; if all sessions are connected, the command
//! is refused with `LimitReached`.

use evenkeel_types::{ClientSequence, Outcome, SessionId};
use std::collections::{BTreeMap, VecDeque};

/// Sequences remembered per session.
pub const WINDOW: usize = 64;
/// Sessions remembered per account.
pub const MAX_SESSIONS: usize = 1024;

/// One session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    pub connected: bool,
    pub cancel_on_disconnect: bool,
    /// Every sequence below it is refused.
    pub lowest: ClientSequence,
    /// Ascending by sequence.
    pub window: VecDeque<(ClientSequence, Outcome)>,
}

impl Session {
    /// The outcome of a sequence, if it is in the window.
    pub fn outcome(&self, sequence: ClientSequence) -> Option<Outcome> {
        if self.window.back().is_none_or(|last| last.0 < sequence) {
            return None;
        }
        let at = self.window.binary_search_by_key(&sequence, |entry| entry.0);
        at.ok().map(|at| self.window[at].1)
    }

    /// Remembers what became of a sequence that was admitted as new.
    pub fn record(&mut self, sequence: ClientSequence, outcome: Outcome) {
        if self.window.len() == WINDOW {
            // Make room first, so that the queue never grows beyond its allocation. The late
            // arrival below the whole window is itself what falls out.
            match self.window.front() {
                Some(front) if sequence < front.0 => {
                    self.lowest = ClientSequence(sequence.0 + 1);
                    return;
                }
                _ => {}
            }
            if let Some((evicted, _)) = self.window.pop_front() {
                // Below `sequence` or below the rest of the window, so not the largest number.
                self.lowest = ClientSequence(evicted.0 + 1);
            }
        }
        if self.window.back().is_none_or(|last| last.0 < sequence) {
            self.window.push_back((sequence, outcome));
        } else {
            let at = self.window.partition_point(|entry| entry.0 < sequence);
            self.window.insert(at, (sequence, outcome));
        }
    }
}

/// An account's sessions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    /// Unknown sessions below it are refused.
    pub floor: SessionId,
    pub by_id: BTreeMap<SessionId, Session>,
}

/// Whether a command is to be applied.
pub(crate) enum Admission {
    /// It is new, and its session exists; another one may have made room for it.
    New { dropped: Option<SessionId> },
    /// It was applied before.
    Repeated(Outcome),
    /// It may have been applied before; nobody remembers.
    TooOld { lowest: ClientSequence },
    /// Its session cannot be opened.
    LimitReached,
}

impl Sessions {
    /// Looks a command up, and opens its session if need be.
    pub fn admit(&mut self, id: SessionId, sequence: ClientSequence) -> Admission {
        if let Some(session) = self.by_id.get(&id) {
            return match session.outcome(sequence) {
                Some(outcome) => Admission::Repeated(outcome),
                None if sequence < session.lowest => Admission::TooOld { lowest: session.lowest },
                None => Admission::New { dropped: None },
            };
        }
        // No sequence of such a session will ever be taken.
        let refused = Admission::TooOld { lowest: ClientSequence(u64::MAX) };
        if id < self.floor {
            return refused;
        }
        let mut dropped = None;
        if self.by_id.len() >= MAX_SESSIONS {
            let oldest = self.by_id.iter().find(|(_, session)| !session.connected);
            let Some((oldest, _)) = oldest else {
                return Admission::LimitReached;
            };
            let oldest = *oldest;
            if id < oldest {
                return refused;
            }
            self.by_id.remove(&oldest);
            dropped = Some(oldest);
            // `oldest < id`, so it is not the largest number.
            self.floor = self.floor.max(SessionId(oldest.0 + 1));
        }
        self.by_id.insert(id, Session::default());
        Admission::New { dropped }
    }

    /// Remembers what became of an admitted command.
    pub fn record(&mut self, id: SessionId, sequence: ClientSequence, outcome: Outcome) {
        if let Some(session) = self.by_id.get_mut(&id) {
            session.record(sequence, outcome);
        }
    }
}
