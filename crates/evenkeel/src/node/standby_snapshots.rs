//! Snapshots that a standby on another host keeps for itself: one that starts again replays what
//! came since, and not everything since it was last primary.

use std::io;
use std::thread::{self, JoinHandle};

use evenkeel_recovery::{Checkpoint, Standby};

use super::snapshots::Snapshots;
use crate::config::Config;
use crate::output;

/// Saves one now and then, beside the following.
pub(super) struct OwnSnapshots {
    snapshots: Snapshots,
    every_entries: u64,
    /// Position of the newest.
    newest: u64,
    /// Taken, and waiting until the primary's output is known to be the same up to there.
    taken: Option<Checkpoint>,
    saving: Option<JoinHandle<io::Result<()>>>,
}

impl OwnSnapshots {
    /// `newest` is the position of the snapshot that the standby began with: it agreed to that.
    pub(super) fn new(config: &Config, newest: u64) -> Self {
        let keep = usize::try_from(config.recovery.snapshot_keep).unwrap_or(usize::MAX);
        let snapshots = Snapshots::new(config.snapshots_dir(), keep);
        let every_entries = config.recovery.point_every_entries;
        Self { snapshots, every_entries, newest, taken: None, saving: None }
    }

    /// Takes a snapshot if one is due, and saves it once standby and primary agree on everything
    /// before it. What it stands for is in this host's journal already.
    pub(super) fn look(&mut self, standby: &Standby) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        if let Some(Ok(Err(error))) = self.saving.take().map(JoinHandle::join) {
            output::note(&format!("a snapshot cannot be kept on this host: {error}"));
        }
        if standby.divergence().is_some() {
            self.taken = None;
            return;
        }
        if self.taken.is_none()
            && standby.position() >= self.newest.saturating_add(self.every_entries)
        {
            self.taken = standby.unagreed_checkpoint();
        }
        let agreed = standby.agreed_next();
        if let Some(checkpoint) = self.taken.take_if(|taken| taken.position() <= agreed) {
            self.newest = checkpoint.position();
            let snapshots = self.snapshots.clone();
            self.saving = Some(thread::spawn(move || snapshots.save(&checkpoint)));
        }
    }

    /// Forgets what was taken: the standby begins again, from before an entry that is passed over.
    pub(super) fn forget(&mut self) {
        self.taken = None;
    }
}
