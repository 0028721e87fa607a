//! `evenkeel journal …`: reading a journal folder, beside a running daemon too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::{JournalError, Problem, Reader, RealDisk, SegmentSummary};
use evenkeel_types::merkle::leaf_hash;
use serde::Serialize;

use crate::cli::{JournalHashesArgs, JournalPlace, JournalShowArgs};
use crate::keyfile::hex;
use crate::output::{self, Results};
use crate::report::{Exit, Report, Result};

/// `journal inspect --json`.
#[derive(Debug, Serialize)]
#[serde(tag = "message_type", rename = "journal_inspect")]
struct InspectDocument {
    dir: PathBuf,
    cluster_id: String,
    lineage: String,
    intact: bool,
    entries: u64,
    /// First position held.
    first: u64,
    /// First position behind the last entry.
    next: u64,
    term: u64,
    chain: String,
    root: Option<String>,
    /// Of all segments, preallocated space included.
    bytes: u64,
    segments: Vec<SegmentDocument>,
}

#[derive(Debug, Serialize)]
struct SegmentDocument {
    file: String,
    first: u64,
    next: u64,
    term: u64,
    frames: u64,
    used_bytes: u64,
    bytes: u64,
    /// Written from the reserve, while the disk was full.
    reserve: bool,
}

impl From<SegmentSummary> for SegmentDocument {
    fn from(segment: SegmentSummary) -> Self {
        Self {
            file: segment.file,
            first: segment.first,
            next: segment.next,
            term: segment.term,
            frames: segment.frames,
            used_bytes: segment.used_bytes,
            bytes: segment.length_bytes,
            reserve: segment.reserve,
        }
    }
}

/// `journal verify --json`.
#[derive(Debug, Serialize)]
#[serde(tag = "message_type", rename = "journal_verify")]
struct VerifyDocument {
    result: &'static str,
    dir: PathBuf,
    entries: u64,
    first: u64,
    next: u64,
    root: Option<String>,
    problems: Vec<ProblemDocument>,
}

#[derive(Debug, Serialize)]
struct ProblemDocument {
    file: String,
    offset: u64,
    kind: String,
    first_position: u64,
    /// `null` where it cannot be told.
    end_position: Option<u64>,
    harmless: bool,
    detail: String,
}

impl From<&Problem> for ProblemDocument {
    fn from(problem: &Problem) -> Self {
        let end = problem.positions.end;
        Self {
            file: problem.file.clone(),
            offset: problem.offset,
            kind: problem.kind.to_string().replace(' ', "_"),
            first_position: problem.positions.start,
            end_position: (end != u64::MAX).then_some(end),
            harmless: problem.harmless,
            detail: problem.detail.clone(),
        }
    }
}

/// Where the journal is that a command names.
fn folder(place: &JournalPlace) -> Result<PathBuf> {
    match &place.dir {
        Some(dir) => Ok(dir.clone()),
        None => Ok(place.place.load()?.journal_dir()),
    }
}

fn read(dir: &Path) -> Result<evenkeel_journal::Report> {
    evenkeel_journal::verify(&RealDisk, dir).map_err(Report::from)
}

/// `journal inspect`.
pub(crate) fn inspect(args: &JournalShowArgs) -> Result<Exit> {
    let dir = folder(&args.place)?;
    let found = read(&dir)?;
    let inside = evenkeel_journal::inspect(&RealDisk, &dir).map_err(Report::from)?;
    let intact = found.is_intact();
    let segments: Vec<SegmentDocument> =
        inside.segments.into_iter().map(SegmentDocument::from).collect();
    let document = InspectDocument {
        dir,
        cluster_id: hex(&inside.identity.cluster_id),
        lineage: hex(&inside.identity.lineage),
        intact,
        entries: found.entries,
        first: found.first,
        next: found.next,
        term: found.term,
        chain: hex(&found.chain),
        root: found.root.map(|root| hex(&root)),
        bytes: segments.iter().map(|segment| segment.bytes).sum(),
        segments,
    };
    if args.json {
        output::document(&document)?;
    } else {
        show(document)?;
    }
    Ok(if intact { Exit::Ok } else { Exit::Integrity })
}

fn show(found: InspectDocument) -> Result<()> {
    let unknown = "unknown: entries are missing or damaged";
    let mut results = Results::new();
    for (name, value) in [
        ("journal", found.dir.display().to_string()),
        ("cluster", found.cluster_id),
        ("lineage", found.lineage),
        ("entries", found.entries.to_string()),
        ("positions", span(found.first, found.next)),
        ("term", found.term.to_string()),
        ("journal root", found.root.unwrap_or_else(|| unknown.to_owned())),
        ("chain", found.chain),
        ("intact", if found.intact { "yes" } else { "NO" }.to_owned()),
    ] {
        results.line(&format!("{name:<13} {value}"))?;
    }
    for segment in &found.segments {
        results.line(&format!(
            "{}  positions {}, term {}, {} frames, {} of {} KiB used{}",
            segment.file,
            span(segment.first, segment.next),
            segment.term,
            segment.frames,
            segment.used_bytes.div_ceil(1 << 10),
            segment.bytes >> 10,
            if segment.reserve { ", from the reserve" } else { "" }
        ))?;
    }
    results.finish()
}

fn span(first: u64, next: u64) -> String {
    if first == next { format!("none yet, next {next}") } else { format!("{first}..={}", next - 1) }
}

/// `journal verify`.
pub(crate) fn verify(args: &JournalShowArgs) -> Result<Exit> {
    let dir = folder(&args.place)?;
    let found = read(&dir)?;
    let intact = found.is_intact();
    if args.json {
        output::document(&VerifyDocument {
            result: if intact { "ok" } else { "failed" },
            dir,
            entries: found.entries,
            first: found.first,
            next: found.next,
            root: found.root.map(|root| hex(&root)),
            problems: found.problems.iter().map(ProblemDocument::from).collect(),
        })?;
    } else {
        let mut results = Results::new();
        for problem in &found.problems {
            let word = if problem.harmless { "harmless" } else { "DAMAGE" };
            results.line(&format!("{word}: {problem}"))?;
        }
        let verdict = if intact { "ok" } else { "failed" };
        let positions = span(found.first, found.next);
        results.line(&format!("{verdict}: {} entries, positions {positions}", found.entries))?;
        results.finish()?;
    }
    if !intact {
        output::note("nothing was changed; mend it from the sites: evenkeel repair");
    }
    Ok(if intact { Exit::Ok } else { Exit::Integrity })
}

/// `journal hashes`.
pub(crate) fn hashes(args: &JournalHashesArgs) -> Result<Exit> {
    let dir = folder(&args.place)?;
    let to = args.to.unwrap_or(u64::MAX);
    if args.from.is_some_and(|from| from > to) {
        return Err(Report::new(Exit::Usage, "--from is behind --to").safe("nothing was read"));
    }
    let mut reader = open(&dir, args.from).map_err(Report::from)?;
    let mut results = Results::new();
    let mut printed = 0_u64;
    while reader.position() <= to && !results.reader_left() {
        match reader.next_batch() {
            Ok(Some(batch)) => {
                for record in batch.records.iter().take_while(|record| record.position <= to) {
                    let hash = hex(&leaf_hash(&record.entry));
                    results.line(&format!("{} {hash}", record.position))?;
                    printed += 1;
                }
            }
            Ok(None) => break,
            Err(error) => {
                results.finish()?;
                return Err(error.into());
            }
        }
    }
    let next = reader.position();
    results.finish()?;
    if printed == 0 {
        output::note(&format!("no entry there: the journal was read up to position {next}"));
    }
    Ok(Exit::Ok)
}

/// From where it was asked, or else from the first position that is held: after trimming that is
/// not 0.
fn open(dir: &Path, from: Option<u64>) -> Result<Reader, JournalError> {
    let disk = Arc::new(RealDisk);
    match Reader::external(disk.clone(), dir, from.unwrap_or(0)) {
        Err(JournalError::OutOfRange { first, .. }) if from.is_none() => {
            Reader::external(disk, dir, first)
        }
        opened => opened,
    }
}
