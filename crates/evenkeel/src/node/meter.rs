//! What clients were acknowledged, and how long they had to wait for it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use evenkeel_recovery::Ack;

use super::observed::lock;

/// Acknowledgements remembered: more than a primary gives in the seconds around its end.
const REMEMBERED: usize = 200_000;

/// An acknowledgement as a client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) position: u64,
    pub(crate) entry_hash: [u8; 32],
}

/// Shared by all lines of a process.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Figures>);

#[derive(Debug, Default)]
struct Figures {
    /// Oldest first.
    noted: VecDeque<Noted>,
    count: u64,
    last: Option<Instant>,
    /// Since the last [`Meter::begin`].
    longest_wait: Duration,
    longest_gap: Duration,
}

/// How long clients were without an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Longest time any one client waited for an answer.
    pub(crate) client: Duration,
    /// Longest time in which no client at all got one.
    pub(crate) all: Duration,
}

impl Meter {
    /// A client got its answer to what it first sent at `since`.
    pub(crate) fn acknowledged(&self, ack: &Ack, since: Instant) {
        let mut figures = lock(&self.0);
        let now = Instant::now();
        figures.longest_wait = figures.longest_wait.max(now - since);
        if let Some(last) = figures.last.replace(now) {
            figures.longest_gap = figures.longest_gap.max(now.saturating_duration_since(last));
        }
        figures.count += 1;
        if figures.noted.len() == REMEMBERED {
            figures.noted.pop_front();
        }
        figures.noted.push_back(Noted { position: ack.position.0, entry_hash: ack.entry_hash });
    }

    /// Measures waits from here on.
    pub(crate) fn begin(&self) {
        let mut figures = lock(&self.0);
        (figures.longest_wait, figures.longest_gap) = Default::default();
    }

    /// The longest since the beginning.
    pub(crate) fn waits(&self) -> Waits {
        let figures = lock(&self.0);
        Waits { client: figures.longest_wait, all: figures.longest_gap }
    }

    /// Acknowledgements so far.
    pub(crate) fn count(&self) -> u64 {
        lock(&self.0).count
    }

    /// Those remembered at or behind a position.
    pub(crate) fn noted_from(&self, position: u64) -> Vec<Noted> {
        let figures = lock(&self.0);
        figures.noted.iter().filter(|noted| noted.position >= position).copied().collect()
    }
}
