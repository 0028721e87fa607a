//! The durable watermark: how far readers may read.

use crate::Position;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The first position that is not yet known to be durable; shared between writer and readers.
///
/// It moves only after `fdatasync` has returned.
#[derive(Debug, Clone)]
pub struct Watermark(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    durable_next: AtomicU64,
    closed: Mutex<bool>,
    moved: Condvar,
}

impl Watermark {
    pub(crate) fn new(next: Position) -> Self {
        Self(Arc::new(Shared {
            durable_next: AtomicU64::new(next),
            closed: Mutex::new(false),
            moved: Condvar::new(),
        }))
    }

    /// First position that is not durable; every position below it is.
    #[must_use]
    pub fn durable_next(&self) -> Position {
        self.0.durable_next.load(Ordering::Acquire)
    }

    /// Whether the writer is gone (closed, dropped or stopped by a disk error): it moves no more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.guard()
    }

    /// Waits until `position` is durable, the writer is gone, or the time is over. Returns
    /// [`Watermark::durable_next`], greater than `position` only in the first case.
    #[must_use]
    pub fn wait_beyond(&self, position: Position, timeout: Duration) -> Position {
        let deadline = Instant::now() + timeout;
        let mut closed = self.guard();
        loop {
            let next = self.durable_next();
            let left = deadline.saturating_duration_since(Instant::now());
            if next > position || *closed || left.is_zero() {
                return next;
            }
            let waited = self.0.moved.wait_timeout(closed, left);
            closed = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn advance(&self, next: Position) {
        // Under the lock, so that no reader falls asleep between its look and this step.
        let _closed = self.guard();
        self.0.durable_next.store(next, Ordering::Release);
        self.0.moved.notify_all();
    }

    pub(crate) fn close(&self) {
        *self.guard() = true;
        self.0.moved.notify_all();
    }

    fn guard(&self) -> MutexGuard<'_, bool> {
        // Whoever panicked held it around one store: the value is whole.
        self.0.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Longer than any test run: whoever waits for it hangs, and is seen to hang.
    const VERY_LONG: Duration = Duration::from_secs(100_000);

    #[test]
    fn waiting_ends_when_the_watermark_moves_beyond_and_when_the_writer_goes() {
        let watermark = Watermark::new(5);
        assert_eq!(watermark.wait_beyond(4, VERY_LONG), 5, "already beyond");
        assert_eq!(watermark.wait_beyond(5, Duration::ZERO), 5, "no time to wait");
        let waiting = watermark.clone();
        let beyond = thread::spawn(move || waiting.wait_beyond(6, VERY_LONG));
        watermark.advance(6);
        watermark.advance(7);
        assert_eq!(beyond.join().unwrap(), 7);
        let waiting = watermark.clone();
        let closed = thread::spawn(move || waiting.wait_beyond(7, VERY_LONG));
        watermark.close();
        assert_eq!(closed.join().unwrap(), 7);
        assert!(watermark.is_closed());
    }
}
