//! Where a restore writes: a journal folder and a snapshot, as the primary expects to find them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::{
    Admission, Base, Chain, Durability, FileLog, Identity, JournalError, Options, RealDisk,
};
use evenkeel_recovery::Result;
use evenkeel_recovery::{Checkpoint, Frame, RecoveryError, Sink};

use super::snapshots::Snapshots;

/// Writes into `host/journal` and `host/snapshots` of a new home, or into scratch.
#[derive(Debug)]
pub(crate) struct JournalSink {
    dir: PathBuf,
    snapshots: Snapshots,
    identity: Identity,
    segment_bytes: u64,
    log: Option<FileLog>,
}

impl JournalSink {
    pub(crate) fn new(host: &Path, identity: Identity, segment_bytes: u64) -> Self {
        Self {
            dir: host.join("journal"),
            snapshots: Snapshots::new(host.join("snapshots"), 2),
            identity,
            segment_bytes,
            log: None,
        }
    }

    fn log(&mut self) -> Result<&mut FileLog> {
        let dir = self.dir.clone();
        self.log.as_mut().ok_or(RecoveryError::Journal(JournalError::NotAJournal { dir }))
    }

    fn sink_error(&self, action: &str, source: io::Error) -> RecoveryError {
        RecoveryError::Sink { action: format!("{action} {}", self.dir.display()), source }
    }

    /// Removes what this restore has written so far.
    fn discard(&self) -> io::Result<()> {
        std::fs::remove_dir_all(&self.dir)?;
        self.snapshots.discard()
    }

    /// Nothing is promised before a restore has ended: syncing each frame would only make it slow.
    fn sync_all(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.is_file() {
                File::open(path)?.sync_all()?;
            }
        }
        File::open(&self.dir)?.sync_all()
    }
}

impl Sink for JournalSink {
    fn begin(&mut self, base: &Base) -> Result<()> {
        if self.log.take().is_some() {
            self.discard().map_err(|error| self.sink_error("beginning again", error))?;
        }
        let options = Options {
            segment_bytes: self.segment_bytes,
            durability: Durability::NoSync,
            ..Options::default()
        };
        let disk = Arc::new(RealDisk);
        let mut log = FileLog::create(disk, &self.dir, self.identity, base.clone(), options)?;
        log.confirm_end(&[])?;
        self.log = Some(log);
        Ok(())
    }

    fn frame(&mut self, frame: &Frame) -> Result<()> {
        let log = self.log()?;
        if frame.term > log.term() {
            log.begin_term(frame.term)?;
        }
        let entries: Vec<&[u8]> = frame.entries.iter().map(|entry| entry.0.as_slice()).collect();
        log.append(&entries, Admission::Normal)?;
        Ok(())
    }

    fn snapshot(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let saved = self.snapshots.save(checkpoint);
        saved.map_err(|error| self.sink_error("writing the snapshot beside", error))
    }

    fn finish(&mut self) -> Result<Chain> {
        let dir = self.dir.clone();
        let log = self.log.take();
        let log = log.ok_or(RecoveryError::Journal(JournalError::NotAJournal { dir }))?;
        let chain = log.chain();
        log.close()?;
        self.sync_all().map_err(|error| self.sink_error("syncing", error))?;
        Ok(chain)
    }
}
