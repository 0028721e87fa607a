//! What a process of the venue is at a moment.

use std::sync::Arc;

use evenkeel_journal::{FileLog, JournalError, Log, RootTracker};
use evenkeel_recovery::detector::Rhythm;
use evenkeel_recovery::link::{Held, LinkPlan, LocalPast, PrimaryEnd, StandbyEnd};
use evenkeel_recovery::{
    Agreement, Authority, Follower, JournalClock, Primary, RecoveryError, Request, Standby,
};

use crate::host::{Host, IDENTITY};
use crate::plan::Micros;

/// Beats of primaries.
pub const RHYTHM: Rhythm = Rhythm { beat_every_ns: 5_000_000, beats_missed: 6 };

/// A primary.
#[derive(Debug)]
pub struct Serving {
    /// The product's.
    pub primary: Primary,
    /// Stamps its entries.
    pub clock: JournalClock,
    /// Requests that were not committed yet, and the connections they came on.
    pub queue: Vec<(u64, Request)>,
    /// A commit is on its way.
    pub commits: bool,
    /// The disk is at work until then.
    pub busy_until: Micros,
    /// The standby's connection.
    pub link: Option<(u64, PrimaryEnd)>,
    /// Takes snapshots, where the standby is on another host.
    pub follower: Option<Follower>,
    /// What another host was last known to hold.
    pub held_elsewhere: u64,
    /// Ticks so far.
    pub ticks: u64,
}

impl Serving {
    /// Wraps a primary that has just begun.
    #[must_use]
    pub fn new(primary: Primary, clock: JournalClock, follower: Option<Follower>) -> Self {
        Self {
            primary,
            clock,
            queue: Vec::new(),
            commits: false,
            busy_until: 0,
            link: None,
            follower,
            held_elsewhere: 0,
            ticks: 0,
        }
    }

    /// A standby has connected.
    #[must_use]
    pub fn end(&self, host: &Host, now: Micros) -> PrimaryEnd {
        let log = self.primary.log();
        let past = LocalPast {
            disk: Arc::clone(&host.disk),
            dir: host.dir.clone(),
            lineage: IDENTITY.lineage,
            base: log.base().clone(),
            watermark: log.watermark(),
        };
        let plan = LinkPlan { rhythm: RHYTHM, ..LinkPlan::default() };
        PrimaryEnd::new(Box::new(past), plan, log.term(), now * 1_000)
    }
}

/// A standby.
#[derive(Debug)]
pub struct Standing {
    /// The product's; taken out while it is promoted.
    pub standby: Option<Standby>,
    /// Its own copy of the journal, on another host than the primary.
    pub mirror: Option<FileLog>,
    /// The connection to the primary.
    pub end: StandbyEnd,
    /// Its number.
    pub connection: Option<u64>,
    /// When it may connect again.
    pub connects_at: Micros,
    /// The next entry applied is not the one in the journal.
    pub flips: bool,
    /// Position of an entry that was applied wrongly.
    pub flipped_at: Option<u64>,
    /// A digest behind that came here: it is known to be wrong.
    pub flip_told: bool,
    /// Ticks so far.
    pub ticks: u64,
    /// For the mistake of snapshots without agreement.
    pub roots: Option<RootTracker>,
    /// A hand-over has come, and it is for the process to take over.
    pub called: bool,
}

/// A process.
#[derive(Debug, Default)]
pub enum State {
    /// Not running.
    #[default]
    Down,
    /// Primary.
    Serving(Box<Serving>),
    /// Standby.
    Standing(Box<Standing>),
}

/// A place for a process.
#[derive(Debug, Default)]
pub struct Process {
    /// Counts its starts and ends: what was meant for an earlier life is not for this one.
    pub life: u64,
    /// What it is.
    pub state: State,
    /// It stands still until then.
    pub paused_until: Micros,
    /// The highest term it has heard of.
    pub term: u64,
}

impl Process {
    /// Whether it runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !matches!(self.state, State::Down)
    }

    /// Whether it is primary.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        matches!(self.state, State::Serving(_))
    }
}

/// A standby's own journal becomes the primary's: an operator has seen the former one end.
#[derive(Debug)]
pub struct OwnLog(pub Option<FileLog>);

impl Authority for OwnLog {
    fn acquire(&mut self, _: u64, held: Held) -> Result<Box<dyn Log>, RecoveryError> {
        let (asked, first, next) = (held.position, 0, 0);
        let mut log = self.0.take().ok_or(JournalError::OutOfRange { asked, first, next })?;
        log.confirm_end(&[])?;
        Ok(Box::new(log))
    }
}

/// A board for digests.
#[must_use]
pub fn board() -> Arc<Agreement> {
    Arc::new(Agreement::new())
}
