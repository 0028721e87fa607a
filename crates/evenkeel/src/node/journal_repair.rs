//! Mending the host's journal from the sites: fetching a tail that vanished, or replacing a damaged
//! journal. Nothing is overwritten: a damaged journal is moved aside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::{
    Admission, FileLog, Identity as JournalIdentity, JournalError, Options, Reader, RealDisk,
};
use evenkeel_recovery::{Clock as _, Frame, History, RecoveryError, Restorer, Target};
use evenkeel_vault::{Identity, Opener};

use super::clock::SystemClock;
use super::domain::{Domain, cluster_id};
use super::journal_sink::JournalSink;
use super::start::confirmations;
use crate::config::Config;
use crate::keyfile;
use crate::output;
use crate::report::{Report, Result};

/// Compares the journal with the sites and mends what is missing or damaged.
pub(crate) fn run(config: &Config, domain: &Domain<'_>, identity: &Identity) -> Result<()> {
    let certificate = keyfile::read_certificate(&domain.settings.writer_certificate_file)?;
    let lineage = certificate.lineage;
    let catalog = Arc::new(domain.catalog(None)?);
    let opener = Opener::new(Arc::clone(&catalog), identity.clone())?;
    let restorer = Restorer::new(&catalog, &opener, lineage)?;
    let dir = config.journal_dir();
    let options = Options {
        segment_bytes: config.journal.segment_bytes,
        reserve_bytes: config.journal.reserve_bytes,
        ..Options::default()
    };
    let mut log = match FileLog::open(Arc::new(RealDisk), &dir, options) {
        Ok((log, _)) => log,
        Err(error)
            if error.is_corruption() || matches!(error, JournalError::NotAJournal { .. }) =>
        {
            output::note(&format!("journal: {error}"));
            return replace(config, domain, &restorer, lineage.0);
        }
        Err(error) => return Err(error.into()),
    };
    // Opening reads the last segment whole; damage in an older one shows only now. Nobody writes
    // meanwhile: the lock is ours.
    let found = evenkeel_journal::verify(&RealDisk, &dir)?;
    if let Some(damage) = found.problems.iter().find(|problem| !problem.harmless) {
        output::note(&format!("journal: {damage}"));
        drop(log);
        return replace(config, domain, &restorer, lineage.0);
    }
    match log.confirm_end(&confirmations(Some(&catalog), lineage)) {
        Ok(_) => {
            output::note(&format!(
                "journal: intact, it ends at position {}",
                log.next()
            ));
            log.close().map_err(Report::from)
        }
        Err(JournalError::TailVanished { .. }) => fetch(log, &restorer),
        Err(error) => Err(error.into()),
    }
}

/// Appends what the sites hold beyond the journal's end, frame by frame, under the same terms.
fn fetch(mut log: FileLog, restorer: &Restorer<'_>) -> Result<()> {
    let from = log.next();
    // The sites were just compared: they hold more, and this is how it comes back.
    log.confirm_end(&[])?;
    restorer.frames_between(from, u64::MAX, &mut |frame| append(&mut log, frame))?;
    output::note(&format!(
        "journal: positions {from} to {} were fetched from the sites",
        log.next().saturating_sub(1)
    ));
    log.close().map_err(Report::from)
}

fn append(log: &mut FileLog, frame: &Frame) -> Result<(), RecoveryError> {
    log.rejoin_term(frame.term)?;
    let entries: Vec<&[u8]> = frame
        .entries
        .iter()
        .map(|entry| entry.0.as_slice())
        .collect();
    log.append(&entries, Admission::Normal)?;
    Ok(())
}

/// Moves a damaged journal aside, restores it from the sites, and adds what the damaged one still
/// holds intact beyond that.
fn replace(
    config: &Config,
    domain: &Domain<'_>,
    restorer: &Restorer<'_>,
    lineage: [u8; 16],
) -> Result<()> {
    let dir = config.journal_dir();
    let aside = aside(&dir);
    if dir.exists() {
        std::fs::rename(&dir, &aside)
            .map_err(|error| Report::io("move the damaged journal aside", &dir, &error))?;
        output::note(&format!(
            "journal: the damaged one was kept as {}",
            aside.display()
        ));
    }
    let identity = JournalIdentity {
        cluster_id: cluster_id(&domain.trust),
        lineage,
    };
    let mut sink = JournalSink::new(&config.host.data, identity, config.journal.segment_bytes);
    let restored = restorer.restore(Target::Latest, History::Full, None, &mut sink)?;
    output::note(&format!(
        "journal: restored from the sites up to position {}",
        restored.position
    ));
    let salvaged = salvage(&dir, &aside, restored.position)?;
    output::note(&match salvaged {
        0 => "journal: the damaged one holds nothing intact beyond that".to_owned(),
        count => format!("journal: {count} entries beyond that came from the damaged one"),
    });
    Ok(())
}

fn aside(dir: &Path) -> PathBuf {
    let seconds = SystemClock::new().wall_ns() / 1_000_000_000;
    dir.with_file_name(format!("journal.damaged-{seconds}"))
}

/// Entries that the damaged journal holds behind `next`, if its history continues the restored one.
fn salvage(dir: &Path, aside: &Path, next: u64) -> Result<u64> {
    let Some(before) = next.checked_sub(1) else {
        return Ok(0);
    };
    let Ok(mut damaged) = Reader::external(Arc::new(RealDisk), aside, before) else {
        return Ok(0);
    };
    let (mut log, _) = FileLog::open(Arc::new(RealDisk), dir, Options::default())?;
    log.confirm_end(&[])?;
    let continues = matches!(damaged.next_batch(),
        Ok(Some(batch)) if batch.next() == next && batch.chain == log.chain());
    if !continues {
        return Ok(0);
    }
    // Whatever does not read back intact ends what can be salvaged.
    while let Ok(Some(batch)) = damaged.next_batch() {
        log.rejoin_term(batch.term)?;
        let entries: Vec<&[u8]> = batch
            .records
            .iter()
            .map(|record| record.entry.as_slice())
            .collect();
        log.append(&entries, Admission::Normal)?;
    }
    let salvaged = log.next() - next;
    log.close()?;
    Ok(salvaged)
}
