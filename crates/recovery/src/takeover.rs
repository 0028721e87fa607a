//! How a standby becomes primary: take the authority, apply what is beyond its position, begin a
//! term. Until the authority is taken nothing has happened, and the standby goes on following.

use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_journal::{Confirmation, Disk, FileLog, JournalError, Log, Options, Reader};
use evenkeel_types::Timestamp;
use thiserror::Error;

use crate::agreement::Agreement;
use crate::error::{RecoveryError, Result};
use crate::link::{HandOver, Held};
use crate::primary::Primary;
use crate::standby::{Bar, Standby};

/// Who decides which primary may write.
pub trait Authority {
    /// Takes the authority. The log it returns ends where everything acknowledged ends, its end
    /// is confirmed, and no term is begun. A store that others share swaps `expected_term`, the
    /// highest that was heard of, for the next one; the lock of a folder needs no term.
    ///
    /// # Errors
    /// Whatever keeps it from being taken: the holder still has it, somebody else was faster, the
    /// log contradicts what the standby holds. Nothing has changed then.
    fn acquire(&mut self, expected_term: u64, held: Held) -> Result<Box<dyn Log>>;
}

/// The lock of a journal's folder, for a standby on the primary's host. The system gives it back
/// when its holder dies; whoever has it finds everything acknowledged in the folder.
#[derive(Debug)]
pub struct FolderAuthority {
    /// Where the folder is.
    pub disk: Arc<dyn Disk>,
    /// The folder.
    pub dir: PathBuf,
    /// How the log is kept.
    pub options: Options,
    /// What sites and other hosts hold, asked beforehand: it must not delay a promotion.
    pub confirmations: Vec<Confirmation>,
}

impl Authority for FolderAuthority {
    fn acquire(&mut self, _: u64, held: Held) -> Result<Box<dyn Log>> {
        let (mut log, _) = FileLog::open(Arc::clone(&self.disk), &self.dir, self.options)?;
        let own = Confirmation {
            source: "this standby".to_owned(),
            next: held.position,
            chain: Some(held.chain),
        };
        let mut confirmations = self.confirmations.clone();
        confirmations.push(own);
        log.confirm_end(&confirmations)?;
        Ok(Box::new(log))
    }
}

/// A standby that has become primary.
#[derive(Debug)]
pub struct Promoted {
    /// The primary; its `Resume` is journaled.
    pub primary: Primary,
    /// Its term.
    pub term: u64,
    /// Entries of the former primary that were applied only now.
    pub applied: u64,
    /// First position of the new term.
    pub position: u64,
}

/// A promotion that did not take place.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct NotPromoted {
    /// The standby, to go on following; `None` if the new term failed to begin, and the process
    /// has to start again.
    pub standby: Option<Box<Standby>>,
    /// Why.
    #[source]
    pub error: RecoveryError,
}

/// Promotes a standby: see the module. `now` turns the time of the last entry into the time of the
/// first one of the new term.
///
/// `expected_term` is the highest term heard of: of the primary that is gone.
///
/// # Errors
/// [`NotPromoted`]. With a standby in it, nothing was written; the authority was given back if it
/// had been taken.
pub fn take_over(
    mut standby: Standby,
    expected_term: u64,
    authority: &mut dyn Authority,
    disk: &Arc<dyn Disk>,
    agreement: Arc<Agreement>,
    now: impl FnOnce(Timestamp) -> Timestamp,
) -> Result<Promoted, NotPromoted> {
    let before = standby.position();
    let log = match prepare(&mut standby, expected_term, authority, disk) {
        Ok(log) => log,
        Err(error) => return Err(NotPromoted { standby: Some(Box::new(standby)), error }),
    };
    let position = standby.position();
    let now = now(standby.time());
    match Primary::begin_boxed(log, standby.into_engine(), agreement, now) {
        Ok(primary) => {
            let term = primary.log().term();
            Ok(Promoted { primary, term, applied: position - before, position })
        }
        Err(error) => Err(NotPromoted { standby: None, error }),
    }
}

/// Everything before the new term: may it be promoted, is the authority to be had, does the log
/// hold all that is known to exist.
fn prepare(
    standby: &mut Standby,
    expected_term: u64,
    authority: &mut dyn Authority,
    disk: &Arc<dyn Disk>,
) -> Result<Box<dyn Log>> {
    match standby.promotable() {
        // The log may well hold what did not come over the link.
        Ok(()) | Err(Bar::Gap { .. }) => {}
        Err(bar) => return Err(bar.into()),
    }
    let held = Held { position: standby.position(), chain: standby.chain() };
    let log = authority.acquire(expected_term, held)?;
    match catch_up(standby, log.file(), disk) {
        Ok(()) => Ok(log),
        Err(error) => {
            if let RecoveryError::Journal(journal) = &error
                && journal.is_corruption()
            {
                standby.note_damage(Some(journal.to_string()));
            }
            // Everything acknowledged is durable in any case; the first error is the one to tell.
            let _ = log.close();
            Err(error)
        }
    }
}

fn catch_up(standby: &mut Standby, log: &FileLog, disk: &Arc<dyn Disk>) -> Result<()> {
    let from = standby.position();
    if log.next() < from {
        let (ours, theirs) = (log.next(), from);
        let confirmed_by = "this standby".to_owned();
        return Err(JournalError::TailVanished { ours, theirs, confirmed_by }.into());
    }
    if log.chain_at(from)? != Some(standby.chain()) {
        let confirmed_by = "this standby".to_owned();
        return Err(JournalError::Forked { position: from, confirmed_by }.into());
    }
    let mut reader = Reader::follow(Arc::clone(disk), log.dir(), from, log.watermark())?;
    while let Some(batch) = reader.next_batch()? {
        standby.apply(&batch)?;
    }
    match standby.known_missing() {
        None => Ok(()),
        Some(gap) => Err(gap.into()),
    }
}

impl Primary {
    /// Ends in good order, for a successor: the end is sealed, the authority given back. The caller
    /// has stopped taking requests, has answered every one it took, and tells the standby.
    ///
    /// # Errors
    /// A failed disk; everything acknowledged is durable in any case.
    pub fn hand_over(mut self) -> Result<HandOver> {
        self.seal_if_idle()?;
        let log = self.log();
        let over = HandOver { position: log.next(), chain: log.chain(), term: log.term() };
        self.close()?;
        Ok(over)
    }
}
