//! What other threads see of the log, and tell it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_journal::Position;

use crate::store::Health;

/// What an append is waiting for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Since when, in milliseconds of the log's clock.
    pub since_ms: u64,
    /// How long by now, in milliseconds; brought up to date with every attempt.
    pub waited_ms: u64,
    /// Attempts that failed.
    pub attempts: u64,
    /// Why, in words.
    pub why: String,
}

/// How the log is doing, for a daemon to show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// An append that waits; nothing is acknowledged meanwhile.
    pub waiting: Option<Waiting>,
    /// What the store last said about itself.
    pub health: Option<Health>,
    /// Frames below are no longer in the store.
    pub trimmed_below: Position,
    /// Appends that were slowed down for want of room.
    pub slowed: u64,
    /// Ordinary appends that were refused for want of room.
    pub refused: u64,
    /// Housekeeping that did not reach the store: beats, trimming. `None` while it does.
    pub housekeeping: Option<String>,
    /// What kept the [`crate::Keeper`] from its work, if there is one.
    pub keeper: Option<String>,
    /// Why the log takes nothing any more.
    pub ended: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    status: Mutex<Status>,
    archived_below: AtomicU64,
    health_told: Mutex<Option<Health>>,
    discard_below: AtomicU64,
    driven: AtomicBool,
    stop: AtomicBool,
}

/// A handle on a log that another thread drives; clones are the same handle.
#[derive(Debug, Clone, Default)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// The sites hold everything below `position`: the store need not carry it any more. Never goes
    /// back.
    pub fn archived_to(&self, position: Position) {
        self.0.archived_below.fetch_max(position, Ordering::AcqRel);
    }

    /// What [`Handle::archived_to`] was told.
    #[must_use]
    pub fn archived_below(&self) -> Position {
        self.0.archived_below.load(Ordering::Acquire)
    }

    /// Whether there is a log behind this handle that takes something.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        self.0.driven.load(Ordering::Acquire)
    }

    pub(crate) fn set_driven(&self, driven: bool) {
        self.0.driven.store(driven, Ordering::Release);
    }

    /// Frames below may be deleted: the store says that they are archived.
    pub(crate) fn ask_discard(&self, below: Position) {
        self.0.discard_below.fetch_max(below, Ordering::AcqRel);
    }

    pub(crate) fn discard_asked(&self) -> Position {
        self.0.discard_below.load(Ordering::Acquire)
    }

    pub(crate) fn note_health(&self, health: Health) {
        *lock(&self.0.health_told) = Some(health);
    }

    pub(crate) fn take_health(&self) -> Option<Health> {
        lock(&self.0.health_told).take()
    }

    /// Ends every wait. An append that waited returns an error that says that its outcome is not
    /// known, and the log takes nothing any more.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
    }

    /// Whether [`Handle::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stop.load(Ordering::Acquire)
    }

    /// How the log is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.guard().clone()
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.guard());
    }

    fn guard(&self) -> MutexGuard<'_, Status> {
        lock(&self.0.status)
    }
}

/// Held by the log: a keeper ends with it.
#[derive(Debug)]
pub(crate) struct Driven(Handle);

impl Driven {
    pub(crate) fn begin(handle: &Handle, trimmed_below: Position) -> Self {
        handle.archived_to(trimmed_below);
        handle.ask_discard(trimmed_below);
        handle.set_driven(true);
        Self(handle.clone())
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.set_driven(false);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked held it around single assignments: the values are whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
