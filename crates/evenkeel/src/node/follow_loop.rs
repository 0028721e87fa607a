//! The follower's thread: applies, compares, and hands out checkpoints when asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use evenkeel_journal::Watermark;
use evenkeel_recovery::{Checkpoint, Follower, Promise};

use super::observed::{Observed, lock};
use super::stop::Stop;
use super::suspect;
use crate::report::{Report, Result};

/// How long the follower waits for new entries before it looks at its requests again.
const IDLE: Duration = Duration::from_millis(20);
/// Batches applied between two looks at the requests.
const BATCHES: usize = 64;
/// How long it waits for the primary to confirm the position of a checkpoint.
const AGREEMENT: Duration = Duration::from_millis(1);

type Answer = Sender<(Checkpoint, Promise)>;

/// Asks the follower for checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints(Sender<Answer>);

impl Checkpoints {
    pub(crate) fn new() -> (Self, Receiver<Answer>) {
        let (sender, receiver) = channel();
        (Self(sender), receiver)
    }

    /// The state at the follower's position, as soon as primary and follower agree on it; `None`
    /// if that takes too long or the follower has ended.
    pub(crate) fn take(&self, patience: Duration) -> Option<(Checkpoint, Promise)> {
        let (answer, checkpoint) = channel();
        self.0.send(answer).ok()?;
        checkpoint.recv_timeout(patience).ok()
    }
}

pub(crate) struct FollowLoop {
    pub(crate) follower: Follower,
    pub(crate) watermark: Watermark,
    pub(crate) requests: Receiver<Answer>,
    pub(crate) observed: Arc<Observed>,
    /// Where it writes down an entry at which it panics.
    pub(crate) host: PathBuf,
}

impl FollowLoop {
    /// Runs until asked to stop, caught up with everything durable, and nobody is left who could
    /// ask for a checkpoint: the last recovery point is made after the stop.
    pub(crate) fn run(mut self, stop: &Stop) -> Result<()> {
        let mut asked: Option<Answer> = None;
        let mut is_wanted = true;
        loop {
            if asked.is_none() {
                match self.requests.try_recv() {
                    Ok(answer) => asked = Some(answer),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => is_wanted = false,
                }
            }
            if let Some(answer) = asked.take() {
                match self.follower.checkpoint() {
                    // Whoever asked may have given up meanwhile.
                    Some(checkpoint) => drop(answer.send(checkpoint)),
                    None => asked = Some(answer),
                }
            }
            // While somebody waits for agreement the follower stays where it is.
            let is_waiting = asked.is_some() && self.follower.awaits_primary();
            let batches = if is_waiting { 0 } else { BATCHES };
            let applied = self.follower.step(batches).map_err(|error| {
                suspect::note_error(&self.host, &error);
                Report::from(error)
            })?;
            self.observe();
            if applied > 0 {
                continue;
            }
            let is_behind = self.follower.position() < self.watermark.durable_next();
            if stop.is_set() && !is_wanted && !is_behind {
                return Ok(());
            }
            if is_waiting {
                if self.watermark.is_closed() {
                    asked = None;
                }
                std::thread::sleep(AGREEMENT);
            } else {
                let _ = self.watermark.wait_beyond(self.follower.position(), IDLE);
                if self.watermark.is_closed() {
                    std::thread::sleep(IDLE);
                }
            }
        }
    }

    fn observe(&self) {
        let mut figures = lock(&self.observed.follower);
        figures.position = self.follower.position();
        figures.journal_root = Some(self.follower.journal_root());
    }
}
