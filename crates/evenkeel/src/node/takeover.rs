//! Taking the primary's place: its lock, the rest of its journal, the comparison of both ends.

use std::sync::Arc;

use evenkeel_journal::{
    Base, Confirmation, Disk, Durability, FileLog, Identity, JournalError, Log, Reader, lock_holder,
};
use evenkeel_recovery::link::Held;
use evenkeel_recovery::takeover::Authority;
use evenkeel_recovery::{RecoveryError, Skips, Standby};
use evenkeel_vault::Lineage;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::domain::{Domain, cluster_id};
use super::snapshots::Snapshots;
use super::start;
use crate::config::Config;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Whether nobody holds the lock of the journal any more. With `kill` whoever holds it is stalled,
/// and is killed: a primary that wakes up later must find its process gone, not its lock taken.
///
/// # Errors
/// A holder that is no primary of this home; a folder that cannot be read.
pub(super) fn is_free(disk: &dyn Disk, config: &Config, kill: bool) -> Result<bool> {
    if kill {
        kill_holder(disk, config)?;
    }
    match lock_holder(disk, &config.journal_dir()) {
        Ok(holder) => Ok(holder.is_none()),
        Err(JournalError::NotAJournal { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// `kill -9` for the process that wrote its name into the lock, if it still is that process.
///
/// # Errors
/// [`Exit::Locked`] if another program holds it.
pub(super) fn kill_holder(disk: &dyn Disk, config: &Config) -> Result<()> {
    let Some(holder) = lock_holder(disk, &config.journal_dir())? else {
        return Ok(());
    };
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| unknown_holder(&holder.command))?;
    // A descriptor of the process first: its number may be given to another one, this cannot.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return Ok(());
    };
    let line = std::fs::read(format!("/proc/{}/cmdline", holder.pid)).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let command = words.join(" ").replace(['\n', '\r'], " ");
    let is_it = !holder.command.is_empty() && command.starts_with(&holder.command);
    if !is_it {
        // Gone meanwhile, or a process that never wrote this lock.
        return if line.is_empty() { Ok(()) } else { Err(unknown_holder(&command)) };
    }
    output::note(&format!("the primary (process {}) is killed", holder.pid));
    // It may just have ended by itself.
    let _ = pidfd_send_signal(process, Signal::KILL);
    Ok(())
}

fn unknown_holder(command: &str) -> Report {
    Report::new(Exit::Locked, format!("the journal is held by another process: {command}"))
        .safe("nothing was killed; nothing was written")
        .next("end that process, then start this one again")
}

/// Opens or begins this host's own journal, into which the primary's frames are copied.
///
/// # Errors
/// As [`FileLog::open`].
pub(super) fn open_copy(
    config: &Config,
    domain: &Domain<'_>,
    lineage: Lineage,
    disk: &Arc<dyn Disk>,
) -> Result<FileLog> {
    let options = start::options(config, Durability::Fdatasync);
    let dir = config.journal_dir();
    let mut log = match FileLog::open(Arc::clone(disk), &dir, options) {
        Ok((log, _)) => log,
        Err(JournalError::NotAJournal { .. }) => {
            let identity = Identity { cluster_id: cluster_id(&domain.trust), lineage: lineage.0 };
            FileLog::create(Arc::clone(disk), &dir, identity, Base::genesis(), options)?
        }
        Err(error) => return Err(error.into()),
    };
    // Every frame that comes is compared with this end.
    log.confirm_end(&[])?;
    Ok(log)
}

/// The authority over a copy is a person's word that the primary is dead.
pub(super) struct Attested {
    pub(super) copy: Option<FileLog>,
    pub(super) confirmations: Vec<Confirmation>,
}

impl Authority for Attested {
    fn acquire(&mut self, _: u64, held: Held) -> Result<Box<dyn Log>, RecoveryError> {
        let Some(mut log) = self.copy.take() else {
            return Err(JournalError::EndNotConfirmed.into());
        };
        let mut confirmations = std::mem::take(&mut self.confirmations);
        confirmations.push(Confirmation {
            source: "this standby".to_owned(),
            next: held.position,
            chain: Some(held.chain),
        });
        log.confirm_end(&confirmations)?;
        Ok(Box::new(log))
    }
}

/// A standby at the end of this host's own journal, if it has one, or at its newest snapshot,
/// which passes over these entries and whatever else that journal says.
///
/// # Errors
/// Snapshots that cannot be read; corruption of the journal.
pub(super) fn begin_standby(
    config: &Config,
    copy: Option<&FileLog>,
    disk: &Arc<dyn Disk>,
    mut skips: Skips,
) -> Result<Standby> {
    loop {
        let checkpoint = Snapshots::newest(&config.snapshots_dir(), &skips)?;
        let mut standby = Standby::start(&checkpoint)?.passing_over(skips.clone());
        let Some(log) = copy else {
            return Ok(standby);
        };
        match apply_rest(&mut standby, log, disk) {
            Err(RecoveryError::GoBack { position, entry }) if !skips.contains(position) => {
                skips.insert(position, entry)?;
            }
            applied => return Ok(applied.map(|()| standby)?),
        }
    }
}

/// Applies what the log holds beyond the standby's position.
///
/// # Errors
/// Corruption of the journal; [`RecoveryError::GoBack`].
fn apply_rest(
    standby: &mut Standby,
    log: &FileLog,
    disk: &Arc<dyn Disk>,
) -> Result<(), RecoveryError> {
    if standby.position() >= log.next() {
        return Ok(());
    }
    let from = standby.position();
    let mut reader = Reader::follow(Arc::clone(disk), log.dir(), from, log.watermark())?;
    while let Some(batch) = reader.next_batch()? {
        standby.apply(&batch)?;
    }
    Ok(())
}
