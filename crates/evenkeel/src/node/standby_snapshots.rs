//! Snapshots that a standby on another host keeps for itself: one that starts again replays what
//! came since, and not everything since it was last primary.

use std::io;
use std::thread::{self, JoinHandle};

use evenkeel_recovery::Standby;

use super::snapshots::Snapshots;
use crate::config::Config;
use crate::output;

/// Saves one now and then, beside the following.
pub(super) struct OwnSnapshots {
    snapshots: Snapshots,
    every_entries: u64,
    /// Position of the newest.
    newest: u64,
    saving: Option<JoinHandle<io::Result<()>>>,
}

impl OwnSnapshots {
    /// `newest` is the position of the snapshot that the standby began with: it agreed to that.
    pub(super) fn new(config: &Config, newest: u64) -> Self {
        let keep = usize::try_from(config.recovery.snapshot_keep).unwrap_or(usize::MAX);
        let snapshots = Snapshots::new(config.snapshots_dir(), keep);
        let every_entries = config.recovery.point_every_entries;
        Self { snapshots, every_entries, newest, saving: None }
    }

    /// Saves a snapshot if one is due and standby and primary agree on everything before it. What
    /// it stands for is in this host's journal already.
    pub(super) fn look(&mut self, standby: &Standby) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        if let Some(Ok(Err(error))) = self.saving.take().map(JoinHandle::join) {
            output::note(&format!("a snapshot cannot be kept on this host: {error}"));
        }
        if standby.position() < self.newest.saturating_add(self.every_entries) {
            return;
        }
        let Some((checkpoint, _)) = standby.checkpoint() else {
            return;
        };
        self.newest = checkpoint.position();
        let snapshots = self.snapshots.clone();
        self.saving = Some(thread::spawn(move || snapshots.save(&checkpoint)));
    }
}
