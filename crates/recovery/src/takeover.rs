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
use crate::rescue::{PassedOver, Rescue, Rescued, rescue};
use crate::skips::Skips;
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
    /// First position of the new term, or of what follows in it on what is passed over.
    pub position: u64,
    /// Entries that are passed over, for a follower that begins at a snapshot before them.
    pub skips: Skips,
    /// What the journal says since this promotion is passed over.
    pub passed_over: Vec<PassedOver>,
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
    standby: Standby,
    expected_term: u64,
    authority: &mut dyn Authority,
    disk: &Arc<dyn Disk>,
    agreement: Arc<Agreement>,
    now: impl FnOnce(Timestamp) -> Timestamp,
) -> Result<Promoted, NotPromoted> {
    take_over_or_rescue(standby, (expected_term, authority), disk, agreement, None, now)
}

/// As [`take_over`]; what a panic took from the standby is computed again with the log held.
///
/// # Errors
/// As [`take_over`].
pub fn take_over_or_rescue(
    mut standby: Standby,
    (expected_term, authority): (u64, &mut dyn Authority),
    disk: &Arc<dyn Disk>,
    agreement: Arc<Agreement>,
    host: Option<&mut dyn Rescue>,
    now: impl FnOnce(Timestamp) -> Timestamp,
) -> Result<Promoted, NotPromoted> {
    let before = standby.position();
    let (mut log, sound) =
        match prepare(&mut standby, expected_term, authority, disk, host.is_some()) {
            Ok(prepared) => prepared,
            Err(error) => return Err(NotPromoted { standby: Some(Box::new(standby)), error }),
        };
    let position = log.file().next();
    let skips = standby.skips().clone();
    let (engine, skips, term, passed_over) = match host {
        Some(host) if !sound => match rescue(log.as_mut(), disk, host) {
            Ok(Rescued { booted, term, passed_over }) => {
                (booted.engine, booted.skips, term, passed_over)
            }
            Err(error) => {
                // Everything acknowledged is durable in any case; the first error is to be told.
                let _ = log.close();
                return Err(NotPromoted { standby: None, error });
            }
        },
        _ => (standby.into_engine(), skips, None, Vec::new()),
    };
    let now = now(engine.time());
    match Primary::begin_in_term(log, engine, agreement, now, term) {
        Ok(primary) => {
            let (term, applied) = (primary.log().term(), position - before);
            Ok(Promoted { primary, term, applied, position, skips, passed_over })
        }
        Err(error) => Err(NotPromoted { standby: None, error }),
    }
}

/// Everything before the new term: may it be promoted, is the authority to be had, does the log
/// hold all that is known to exist. Says whether the standby's engine is to be gone on with.
fn prepare(
    standby: &mut Standby,
    expected_term: u64,
    authority: &mut dyn Authority,
    disk: &Arc<dyn Disk>,
    can_rescue: bool,
) -> Result<(Box<dyn Log>, bool)> {
    match standby.promotable() {
        // The log may well hold what did not come over the link.
        Ok(()) | Err(Bar::Gap { .. }) => {}
        Err(Bar::Poisoned { .. }) if can_rescue => {}
        Err(bar) => return Err(bar.into()),
    }
    let held = Held { position: standby.position(), chain: standby.chain() };
    let log = authority.acquire(expected_term, held)?;
    let caught_up = match (catch_up(standby, log.file(), disk), standby.poisoned_bar()) {
        (Ok(()), None) => Ok(true),
        (Ok(()), Some(_)) if can_rescue => Ok(false),
        (Ok(()), Some(bar)) => Err(bar.into()),
        (Err(RecoveryError::GoBack { .. }), _) if can_rescue => {
            standby.missing_in(log.file().next()).map_or(Ok(false), |gap| Err(gap.into()))
        }
        (Err(error), _) => Err(error),
    };
    match caught_up {
        Ok(sound) => Ok((log, sound)),
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
