//! The vault's writer, opened when the sites answer: a host must be able to start, and trade, while
//! they do not.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_journal::{Base, Disk, Watermark};
use evenkeel_recovery::{FrameReader, RecoveryError};
use evenkeel_vault::Writer;

use super::domain::Domain;
use super::observed::{Observed, lock};
use super::recipients::Rotation;
use crate::config::Config;
use crate::report::{Exit, Report, Result};

/// How long ago the primary may have found that it holds the term: less than a successor needs.
const PROOF: Duration = Duration::from_secs(1);

/// The journal as its readers in this process see it.
#[derive(Debug, Clone)]
pub(crate) struct JournalView {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) watermark: Watermark,
    /// First position that the journal holds.
    pub(crate) base: u64,
    /// Where it began when it was opened.
    pub(crate) begins: Base,
}

impl JournalView {
    pub(crate) fn frames_from(&self, position: u64) -> Result<FrameReader, RecoveryError> {
        let disk = Arc::clone(&self.disk);
        FrameReader::start(disk, &self.dir, position, self.watermark.clone())
    }
}

/// One writer for tails and points.
pub(crate) struct VaultWriter {
    config: Config,
    /// Durable position when this process began to write.
    began_at: u64,
    /// Of a log that several hosts share: where the primary says that it still holds the term.
    proof: Option<Arc<Observed>>,
    writer: Mutex<Option<Writer>>,
    rotation: Rotation,
}

impl VaultWriter {
    pub(crate) fn new(config: Config, began_at: u64, proof: Option<Arc<Observed>>) -> Self {
        let rotation = Rotation::new(&config);
        Self { config, began_at, proof, writer: Mutex::new(None), rotation }
    }

    /// Works with the writer, opening it first if the sites did not answer before.
    ///
    /// # Errors
    /// What opening says; what `work` says.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        // A primary that stood still may have a successor that signs in its place: two records with
        // one number would be a fork.
        if self.proof.as_ref().is_some_and(|proof| !proof.link.came_round_within(PROOF)) {
            return Err(Report::new(
                Exit::Failed,
                "whether this host still holds the term is not known",
            )
            .safe(
                "nothing was sent; what is acknowledged is on a majority of the store's members",
            ));
        }
        let mut slot = lock(&self.writer);
        if slot.is_none() {
            *slot = Some(self.open()?);
        }
        match slot.as_mut() {
            Some(writer) => {
                self.rotation.follow(writer);
                work(writer)
            }
            None => Err(Report::new(Exit::Failed, "the vault's writer did not open")),
        }
    }

    fn open(&self) -> Result<Writer> {
        let mut writer = Domain::of(&self.config)?.writer()?;
        writer.settle()?;
        match writer.next_position() {
            // The start could not ask the sites. What this process wrote since is another history.
            Some(theirs) if theirs > self.began_at => Err(Report::new(
                Exit::Integrity,
                format!(
                    "the sites hold entries up to position {theirs}, this host began to write at \
                     {}: it had lost its tail and could not know",
                    self.began_at
                ),
            )
            .safe("nothing more is shipped; both histories are kept")
            .next("stop this daemon, then decide: evenkeel restore --promote")),
            _ => Ok(writer),
        }
    }
}
