//! Reads the whole journal again, slowly and now and then: rot has to be found while followers and
//! sites still hold what it destroyed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_journal::{JournalError, Problem, Scrubbed, Scrubber};
use evenkeel_recovery::Clock as _;

use super::clock::SystemClock;
use super::observed::{Observed, lock};
use super::stop::Stop;
use super::vault_writer::JournalView;
use crate::documents::Severity;
use crate::report::Result;

/// Read at a time, and the pause behind it: about 10 MB a second, so that nobody waits for it.
const STEP_BYTES: u64 = 1 << 20;
const PAUSE: Duration = Duration::from_millis(100);
/// Between two rounds while something is wrong: it may have been mended.
const AGAIN: Duration = Duration::from_secs(600);
const BEAT: Duration = Duration::from_secs(1);

/// What the last whole round found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScrubFigures {
    /// When it ended, in nanoseconds since 1970.
    pub(crate) finished_wall_ns: Option<u64>,
    pub(crate) bytes: u64,
    /// Problems that concern entries.
    pub(crate) problems: u64,
}

pub(crate) struct ScrubLoop {
    pub(crate) journal: JournalView,
    pub(crate) clock: SystemClock,
    pub(crate) observed: Arc<Observed>,
    pub(crate) every_hours: u64,
}

impl ScrubLoop {
    pub(crate) fn run(self, stop: &Stop) -> Result<()> {
        let every = Duration::from_secs(self.every_hours * 3_600);
        let mut scrubber = Scrubber::new(Arc::clone(&self.journal.disk), &self.journal.dir);
        while !every.is_zero() {
            let whole = match self.round(&mut scrubber, stop) {
                None => return Ok(()),
                Some(Ok(found)) => self.note(&found),
                Some(Err(error)) => {
                    self.damaged(&error.to_string());
                    false
                }
            };
            let next_at = Instant::now() + if whole { every } else { every.min(AGAIN) };
            while Instant::now() < next_at {
                if stop.sleep(BEAT) {
                    return Ok(());
                }
            }
        }
        while !stop.sleep(BEAT) {}
        Ok(())
    }

    /// `None` if the daemon ends meanwhile.
    fn round(
        &self,
        scrubber: &mut Scrubber,
        stop: &Stop,
    ) -> Option<std::result::Result<Scrubbed, JournalError>> {
        loop {
            if stop.sleep(PAUSE) {
                return None;
            }
            match scrubber.step(STEP_BYTES) {
                Ok(None) => {}
                Ok(Some(found)) => return Some(Ok(found)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Says whether every entry was intact.
    fn note(&self, found: &Scrubbed) -> bool {
        let concerned = |problem: &&Problem| !problem.harmless;
        *lock(&self.observed.scrub) = ScrubFigures {
            finished_wall_ns: Some(self.clock.wall_ns()),
            bytes: found.bytes,
            problems: found.problems.iter().filter(concerned).count() as u64,
        };
        match found.damage() {
            Some(problem) => self.damaged(&problem.to_string()),
            None => self.observed.conditions.clear("journal_damaged"),
        }
        found.damage().is_none()
    }

    fn damaged(&self, what: &str) {
        self.observed.conditions.raise(
            "journal_damaged",
            Severity::Critical,
            format!("this host's copy of the journal is damaged: {what}"),
            "trading goes on and new entries are journaled; nothing was changed or skipped, but \
             nothing should be started from this copy before it is mended",
            "evenkeel repair",
        );
    }
}
