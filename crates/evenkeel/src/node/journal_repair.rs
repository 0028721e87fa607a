//! Mending the host's journal from the sites: fetching a tail that vanished, giving damaged frames
//! back their place, or, where that does not help, replacing the journal, which is then kept aside.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::{
    Admission, Confirmation, FRAME_BYTES_MAX, FetchedFrame, FileLog, Identity as JournalIdentity,
    JournalError, Options, Reader, RealDisk, Repair, RepairScope, repair,
};
use evenkeel_recovery::{Clock as _, Frame, History, RecoveryError, Restorer, Target};
use evenkeel_vault::{Identity, Opener};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::clock::SystemClock;
use super::domain::{Domain, cluster_id};
use super::journal_sink::JournalSink;
use super::start::confirmations;
use crate::config::Config;
use crate::keyfile;
use crate::output;
use crate::report::{Exit, Report, Result};

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
    let Some(mut log) = open_whole(&dir, options, &restorer)? else {
        return replace(config, domain, &restorer, lineage.0);
    };
    let confirmed = confirmations(Some(&catalog), lineage, log.next());
    match log.confirm_end(&confirmed) {
        Ok(_) => output::note(&format!("journal: intact, it ends at position {}", log.next())),
        Err(JournalError::TailVanished { .. }) => fetch(&mut log, &restorer, &confirmed)?,
        Err(error) => return Err(error.into()),
    }
    let next = log.next();
    log.close()?;
    match set_snapshots_aside(config, next)? {
        Some(held) => Err(lost(config, next, held)),
        None => Ok(()),
    }
}

/// Opens the journal if it is whole or can be made so in place; `None` if it is to be replaced.
fn open_whole(dir: &Path, options: Options, restorer: &Restorer<'_>) -> Result<Option<FileLog>> {
    let damage = match look(dir, options)? {
        Ok(log) => return Ok(Some(log)),
        Err(damage) => damage,
    };
    output::note(&format!("journal: {damage}"));
    let mended =
        repair(&RealDisk, dir, RepairScope::Closed, &mut |range| held_by_sites(restorer, range));
    match mended {
        Ok(Repair { mended, left }) => {
            for one in &mended {
                output::note(&format!("journal: {one}"));
            }
            if let Some(problem) = left.first() {
                output::note(&format!("journal: cannot be mended in its place: {problem}"));
            }
        }
        // Without a readable `meta` it is not even known whose journal it is.
        Err(error) => output::note(&format!("journal: cannot be mended in its place: {error}")),
    }
    Ok(look(dir, options)?.ok())
}

/// Opens the journal if every entry of it is intact; otherwise says what is wrong.
fn look(dir: &Path, options: Options) -> Result<std::result::Result<FileLog, String>> {
    let log = match FileLog::open(Arc::new(RealDisk), dir, options) {
        Ok((log, _)) => log,
        Err(error)
            if error.is_corruption() || matches!(error, JournalError::NotAJournal { .. }) =>
        {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    // Opening reads the last segment whole; damage in an older one shows only now. Nobody writes
    // meanwhile: the lock is ours.
    let found = evenkeel_journal::verify(&RealDisk, dir)?;
    match found.problems.iter().find(|problem| !problem.harmless) {
        Some(damage) => Ok(Err(damage.to_string())),
        None => Ok(Ok(log)),
    }
}

/// Whole frames of a range, as far as the sites hold them.
fn held_by_sites(
    restorer: &Restorer<'_>,
    range: Range<u64>,
) -> std::result::Result<Vec<FetchedFrame>, RecoveryError> {
    let mut frames = Vec::new();
    // A range of one may be the beginning of a frame whose end nobody knows: whole ones are
    // wanted, and an entry takes at least a byte of its frame.
    let is_one = range.end - range.start == 1;
    let to = if is_one { range.start.saturating_add(FRAME_BYTES_MAX) } else { range.end };
    restorer.frames_between(range.start, to, &mut |frame| {
        if frame.first < range.end {
            let entries = frame.entries.iter().map(|entry| entry.0.clone()).collect();
            frames.push(FetchedFrame { term: frame.term, first: frame.first, entries });
        }
        Ok(())
    })?;
    Ok(frames)
}

/// Appends what the sites hold beyond the journal's end, frame by frame, under the same terms.
fn fetch(log: &mut FileLog, restorer: &Restorer<'_>, confirmed: &[Confirmation]) -> Result<()> {
    let from = log.next();
    // The sites were just compared: they hold more, and this is how it comes back.
    log.confirm_end(&[])?;
    restorer.frames_between(from, u64::MAX, &mut |frame| append(log, frame))?;
    // What came back has to be what the sites confirm, chain by chain.
    log.confirm_end(confirmed)?;
    output::note(&format!(
        "journal: positions {from} to {} were fetched from the sites",
        log.next().saturating_sub(1)
    ));
    Ok(())
}

fn append(log: &mut FileLog, frame: &Frame) -> Result<(), RecoveryError> {
    log.rejoin_term(frame.term)?;
    let entries: Vec<&[u8]> = frame.entries.iter().map(|entry| entry.0.as_slice()).collect();
    log.append(&entries, Admission::Normal)?;
    Ok(())
}

/// Restores the journal from the sites beside the damaged one, adds what that still holds intact
/// beyond, and only then puts it in its place: a repair that is cut short changes nothing. The
/// damaged one is kept.
fn replace(
    config: &Config,
    domain: &Domain<'_>,
    restorer: &Restorer<'_>,
    lineage: [u8; 16],
) -> Result<()> {
    let (dir, mending) = (config.journal_dir(), config.host.data.join("mending"));
    if mending.exists() {
        // What an interrupted repair left: all of it came from the sites and from `dir`.
        std::fs::remove_dir_all(&mending)
            .map_err(|error| Report::io("remove an unfinished repair", &mending, &error))?;
    }
    let identity = JournalIdentity { cluster_id: cluster_id(&domain.trust), lineage };
    let mut sink = JournalSink::new(&mending, identity, config.journal.segment_bytes);
    let restored = restorer.restore(Target::Latest, History::Full, None, &mut sink)?;
    output::note(&format!("journal: restored from the sites up to position {}", restored.position));
    let mended = mending.join("journal");
    let salvaged = salvage(&mended, &dir, restored.position)?;
    output::note(&match salvaged {
        0 => "journal: the damaged one holds nothing intact beyond that".to_owned(),
        count => format!("journal: {count} entries beyond that came from the damaged one"),
    });
    let next = restored.position + salvaged;
    let (held, unread) = match evenkeel_journal::verify(&RealDisk, &dir) {
        Ok(found) => (found.written_next(), found.may_reach_beyond(next)),
        Err(_) => (next, holds_segments(&dir)),
    };
    take_place(config, &mended, &dir)?;
    let held = set_snapshots_aside(config, next)?.map_or(held, |snapshot| snapshot.max(held));
    if held > next {
        return Err(lost(config, next, held));
    }
    if unread {
        return Err(unreadable(config, next));
    }
    Ok(())
}

fn holds_segments(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|one| one == "seg"))
}

/// Snapshots beyond the journal's end would keep the daemon from starting: they are put aside, and
/// the position of the newest says what was here once.
fn set_snapshots_aside(config: &Config, next: u64) -> Result<Option<u64>> {
    let dir = config.snapshots_dir();
    let failed = |error: std::io::Error| Report::io("put snapshots aside in", &dir, &error);
    let mut newest = None;
    for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let position = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".snapshot"))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if let Some(position) = position.filter(|position| *position > next) {
            std::fs::rename(&path, path.with_extension("beyond")).map_err(failed)?;
            newest = newest.max(Some(position));
        }
    }
    Ok(newest)
}

/// The damaged journal could not even be walked: what it held beyond the sites is not known.
fn unreadable(config: &Config, next: u64) -> Report {
    Report::new(
        Exit::Integrity,
        format!("what the damaged journal held from position {next} on could not be read"),
    )
    .at(config.journal_dir().display().to_string())
    .detail("it is kept beside the mended one, as journal.damaged-…")
    .safe(format!("everything before position {next} is back in place"))
    .next(format!("evenkeel up --config {}   (goes on from there)", config.file.display()))
}

/// Puts the mended journal, and the snapshot that goes with it, where the daemon expects them.
fn take_place(config: &Config, mended: &Path, dir: &Path) -> Result<()> {
    let host = &config.host.data;
    let failed = |error: std::io::Error| Report::io("put the mended journal in", dir, &error);
    let kept = aside(dir);
    if dir.exists() {
        // At one stroke: at no moment is there no journal, which would look like a new home.
        let exchange = renameat_with(CWD, mended, CWD, dir, RenameFlags::EXCHANGE);
        exchange.map_err(|error| failed(error.into()))?;
        std::fs::rename(mended, &kept).map_err(failed)?;
        output::note(&format!("journal: the damaged one was kept as {}", kept.display()));
    } else {
        std::fs::rename(mended, dir).map_err(failed)?;
    }
    let mending = host.join("mending");
    let snapshots = config.snapshots_dir();
    std::fs::create_dir_all(&snapshots).map_err(failed)?;
    for entry in std::fs::read_dir(mending.join("snapshots")).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        std::fs::rename(entry.path(), snapshots.join(entry.file_name())).map_err(failed)?;
    }
    std::fs::remove_dir_all(&mending).map_err(failed)?;
    for folder in [&snapshots, host] {
        File::open(folder).and_then(|open| open.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// What neither this host nor the sites can give back is never passed over.
fn lost(config: &Config, next: u64, held: u64) -> Report {
    let last = held - 1;
    Report::new(
        Exit::Integrity,
        format!("positions {next} to {last} are lost: damaged here, and never shipped"),
    )
    .at(config.journal_dir().display().to_string())
    .detail("the damaged journal is kept beside it, as journal.damaged-…")
    .safe(format!("everything before position {next} is back in place"))
    .next(format!(
        "evenkeel up --config {}   (goes on from there, without them)",
        config.file.display()
    ))
}

fn aside(dir: &Path) -> PathBuf {
    let seconds = SystemClock::new().wall_ns() / 1_000_000_000;
    dir.with_file_name(format!("journal.damaged-{seconds}"))
}

/// Entries that the damaged journal holds behind `next`, if its history continues the restored one:
/// damage before that does not matter, nor does what it tore out of what is restored by now.
fn salvage(dir: &Path, damaged: &Path, next: u64) -> Result<u64> {
    let (mut log, _) = FileLog::open(Arc::new(RealDisk), dir, Options::default())?;
    let disk = Arc::new(RealDisk);
    let Ok(Some(mut damaged)) = Reader::behind_damage(disk, damaged, next, &log.chain()) else {
        return Ok(0);
    };
    log.confirm_end(&[])?;
    // Whatever does not read back intact ends what can be salvaged.
    while let Ok(Some(batch)) = damaged.next_batch() {
        log.rejoin_term(batch.term)?;
        let entries: Vec<&[u8]> =
            batch.records.iter().map(|record| record.entry.as_slice()).collect();
        log.append(&entries, Admission::Normal)?;
    }
    let salvaged = log.next() - next;
    log.close()?;
    Ok(salvaged)
}
