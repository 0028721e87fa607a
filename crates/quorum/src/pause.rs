//! Time as the log sees it: a clock that only measures, and a way to wait. Nothing safe rests on
//! either.

use std::fmt;
use std::time::{Duration, Instant};

/// Measures and waits; a simulator has its own.
pub trait Pause: fmt::Debug + Send {
    /// Milliseconds since a moment of its own choice; never goes back.
    fn now_ms(&self) -> u64;

    /// Waits about as long as asked.
    fn pause(&mut self, wait_ms: u64);
}

/// The system's monotonic clock.
#[derive(Debug)]
pub struct RealPause(Instant);

impl RealPause {
    /// A clock that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for RealPause {
    fn default() -> Self {
        Self::new()
    }
}

impl Pause for RealPause {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn pause(&mut self, wait_ms: u64) {
        std::thread::sleep(Duration::from_millis(wait_ms));
    }
}
