//! `evenkeel journal …`: reading a journal folder, beside a running daemon too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::{JournalError, Problem, Reader, RealDisk};
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
    intact: bool,
    entries: u64,
    /// First position held.
    first: u64,
    /// First position behind the last entry.
    next: u64,
    term: u64,
    chain: String,
    root: Option<String>,
    bytes: u64,
    files: Vec<FileDocument>,
}

#[derive(Debug, Serialize)]
struct FileDocument {
    name: String,
    bytes: u64,
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
    let files = files(&dir)?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    let root = found.root.map(|root| hex(&root));
    let intact = found.is_intact();
    if args.json {
        output::document(&InspectDocument {
            dir,
            intact,
            entries: found.entries,
            first: found.first,
            next: found.next,
            term: found.term,
            chain: hex(&found.chain),
            root,
            bytes,
            files,
        })?;
    } else {
        let mut results = Results::new();
        let root = root.unwrap_or_else(|| "unknown: entries are missing or damaged".to_owned());
        let mib = bytes / (1 << 20);
        for (name, value) in [
            ("journal", dir.display().to_string()),
            ("entries", found.entries.to_string()),
            ("positions", span(found.first, found.next)),
            ("term", found.term.to_string()),
            ("journal root", root),
            ("chain", hex(&found.chain)),
            ("on disk", format!("{mib} MiB in {} files", files.len())),
            ("intact", if intact { "yes" } else { "NO" }.to_owned()),
        ] {
            results.line(&format!("{name:<13} {value}"))?;
        }
        results.finish()?;
    }
    Ok(if intact { Exit::Ok } else { Exit::Integrity })
}

fn span(first: u64, next: u64) -> String {
    if first == next {
        format!("none yet; next is {next}")
    } else {
        format!("{first}..={}", next - 1)
    }
}

fn files(dir: &Path) -> Result<Vec<FileDocument>> {
    let failed = |error: std::io::Error| Report::io("read the folder", dir, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A segment may be renamed or trimmed while we look.
        let Ok(found) = entry.metadata() else {
            continue;
        };
        if found.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push(FileDocument {
                name,
                bytes: found.len(),
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
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
            let word = if problem.harmless {
                "harmless"
            } else {
                "DAMAGE"
            };
            results.line(&format!("{word}: {problem}"))?;
        }
        let verdict = if intact { "ok" } else { "failed" };
        let positions = span(found.first, found.next);
        results.line(&format!(
            "{verdict}: {} entries, positions {positions}",
            found.entries
        ))?;
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
                for record in batch
                    .records
                    .iter()
                    .take_while(|record| record.position <= to)
                {
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
        output::note(&format!(
            "no entry there: the journal was read up to position {next}"
        ));
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
