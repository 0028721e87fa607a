//! Errors that say what happened, what is safe, and what to type next.

use crate::{Admission, Position};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Result of a journal operation.
pub type Result<T, E = JournalError> = std::result::Result<T, E>;

/// Who holds the lock of a journal folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder {
    /// Process id; 0 if it is unknown.
    pub pid: u32,
    /// When it took the lock, in seconds since 1970; 0 if it is unknown.
    pub since_unix_seconds: u64,
    /// Its command line; empty if it is unknown.
    pub command: String,
}

impl Holder {
    /// The text kept in the lock file.
    #[must_use]
    pub fn to_note(&self) -> String {
        format!(
            "pid={}\nsince_unix_seconds={}\ncommand={}\n",
            self.pid, self.since_unix_seconds, self.command
        )
    }

    /// Reads a lock file's text; whatever is missing stays unknown.
    #[must_use]
    pub fn from_note(text: &str) -> Self {
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
        };
        Self {
            pid: field("pid").parse().unwrap_or(0),
            since_unix_seconds: field("since_unix_seconds").parse().unwrap_or(0),
            command: field("command").to_owned(),
        }
    }
}

/// What is wrong at a place of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The last frame was cut by a crash before it was acknowledged; nothing acknowledged is lost.
    TornTail,
    /// Bytes changed in space that holds no entry.
    StrayDamage,
    /// A frame whose bytes changed.
    DamagedFrame,
    /// A frame at a place where it was not written.
    MisplacedFrame,
    /// A frame that does not continue the one before it.
    BrokenChain,
    /// Positions that no segment holds.
    Gap,
    /// A segment header that changed, or a segment shorter than it was.
    DamagedSegment,
    /// A segment of another journal.
    ForeignSegment,
    /// The file `meta` or one of its two copies changed.
    DamagedMeta,
    /// A version that this program does not read.
    UnknownVersion,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TornTail => "torn tail",
            Self::StrayDamage => "stray damage in unused space",
            Self::DamagedFrame => "damaged frame",
            Self::MisplacedFrame => "misplaced frame",
            Self::BrokenChain => "broken chain",
            Self::Gap => "gap",
            Self::DamagedSegment => "damaged segment",
            Self::ForeignSegment => "foreign segment",
            Self::DamagedMeta => "damaged meta file",
            Self::UnknownVersion => "unknown version",
        })
    }
}

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File name inside the journal folder.
    pub file: String,
    /// Offset in that file, in bytes.
    pub offset: u64,
    /// Positions concerned. The end is `Position::MAX` where it cannot be told, and equal to the
    /// start where no position is concerned.
    pub positions: Range<Position>,
    /// What it is.
    pub kind: ProblemKind,
    /// The particulars, as a sentence.
    pub detail: String,
    /// No entry is concerned and the journal opens; the space is made clean before it is used.
    pub harmless: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} at byte {}", self.kind, self.file, self.offset)?;
        match self.positions {
            Range { start, end } if start == end => {}
            Range { start, end: Position::MAX } => write!(f, ", positions from {start} on")?,
            Range { start, end } if start + 1 == end => write!(f, ", position {start}")?,
            Range { start, end } => write!(f, ", positions {start} to {}", end - 1)?,
        }
        write!(f, ": {}", self.detail)
    }
}

/// Why the journal refused. Every message names what happened, what is safe and what to do next;
/// libraries print nothing, so the caller shows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The operating system failed.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Another process writes this journal.
    #[error(
        "the journal in {} is in use by process {holder_pid} since {since_unix_seconds} (seconds \
         since 1970): {command}\nNothing was touched. Stop that process first, or ask it through \
         its control socket: evenkeel status --home DIR", dir.display()
    )]
    Locked {
        /// Journal folder.
        dir: PathBuf,
        /// Process id of the holder; 0 if unknown.
        holder_pid: u32,
        /// Since when, in seconds since 1970; 0 if unknown.
        since_unix_seconds: u64,
        /// Command line of the holder; empty if unknown.
        command: String,
    },
    /// There is no journal in the folder.
    #[error("there is no journal in {} (no file \"meta\"). If there should be one, restore it: \
             evenkeel restore --home DIR", dir.display())]
    NotAJournal {
        /// The folder.
        dir: PathBuf,
    },
    /// A journal would be overwritten.
    #[error("{} already holds a journal ({found}); it was not touched. Choose an empty folder",
            dir.display())]
    AlreadyExists {
        /// The folder.
        dir: PathBuf,
        /// The file that shows it.
        found: String,
    },
    /// Options that cannot work.
    #[error("journal options: {0}")]
    BadOptions(String),
    /// Bytes that were durable have changed.
    #[error("the journal in {} is corrupt: {problem}\nEvery entry before position {safe_next} is \
             safe and readable. Nothing was truncated or rewritten. Mend it from a follower or the \
             sites: evenkeel repair --home DIR", dir.display())]
    Corrupt {
        /// Journal folder.
        dir: PathBuf,
        /// What and where.
        problem: Box<Problem>,
        /// Every position below this one was read intact or lies before the segment concerned.
        safe_next: Position,
    },
    /// Positions are missing between segments.
    #[error("the journal in {} has a gap: positions {missing_from} to {} are missing (no segment \
             holds them). Entries before {missing_from} are safe. Nothing was skipped. Fetch the \
             range: evenkeel repair --home DIR", dir.display(), missing_to - 1)]
    Gap {
        /// Journal folder.
        dir: PathBuf,
        /// First missing position.
        missing_from: Position,
        /// First position present behind the gap.
        missing_to: Position,
    },
    /// Somebody confirms more than this journal holds: its acknowledged tail has vanished.
    #[error("the journal ends at position {ours}, but {confirmed_by} holds acknowledged entries up \
             to position {theirs}: {} entries have vanished here. Nothing was written. Fetch them: \
             evenkeel repair --home DIR; or, if they are lost everywhere, start a new lineage: \
             evenkeel restore --promote", theirs - ours)]
    TailVanished {
        /// Next position here.
        ours: Position,
        /// Next position there.
        theirs: Position,
        /// Site or follower that said so.
        confirmed_by: String,
    },
    /// Somebody confirms another history.
    #[error(
        "{confirmed_by} holds another history than this journal: the chain differs at position \
             {position}. Nothing was written. Two lineages came from one parent, or one side is \
             damaged: evenkeel verify --home DIR"
    )]
    Forked {
        /// Where the chains were compared (next position).
        position: Position,
        /// Site or follower that said so.
        confirmed_by: String,
    },
    /// The end was not yet compared with followers and sites.
    #[error(
        "the end of this journal was not yet compared with what followers and sites confirm; \
             call confirm_end before appending (an empty list says that none could be reached)"
    )]
    EndNotConfirmed,
    /// No term was begun since this journal was opened.
    #[error(
        "no term was begun since this journal was opened (the last one is {last}); call \
             begin_term with a higher one before appending"
    )]
    NoTerm {
        /// Highest term in the journal.
        last: u64,
    },
    /// A term that is not higher than the last.
    #[error("term {asked} is not higher than the last term {last}: another primary has written")]
    StaleTerm {
        /// Term asked for.
        asked: u64,
        /// Highest term in the journal.
        last: u64,
    },
    /// Another primary has taken over.
    #[error(
        "not primary: term {term} is held by {holder}. Nothing of the batch was acknowledged here, \
             and nothing more will be; send it there"
    )]
    Fenced {
        /// The higher term.
        term: u64,
        /// Who holds it, and where it can be reached.
        holder: String,
    },
    /// An append without entries.
    #[error("an append needs at least one entry")]
    EmptyBatch,
    /// A batch that does not fit into one frame.
    #[error(
        "a batch of {body_bytes} bytes does not fit into one frame (at most {max_bytes}); \
             append it in parts. Nothing was written"
    )]
    FrameTooLarge {
        /// Encoded size of the entries.
        body_bytes: u64,
        /// Largest possible.
        max_bytes: u64,
    },
    /// An earlier write or sync failed; what it wrote may or may not be durable.
    #[error(
        "the journal stopped writing: {cause}\nEverything acknowledged is safe; entries of the \
             failed append may or may not be. It stays read-only until it is opened again, which \
             reads it back from the disk: restart evenkeel up --home DIR"
    )]
    Poisoned {
        /// What failed first.
        cause: String,
    },
    /// The disk is full.
    #[error("the disk of {} is full: {needed_bytes} bytes are needed for the next segment, \
             {free_bytes} are free. Nothing is lost; {}. Free some space: writing resumes by \
             itself", dir.display(), admission_note(*admission))]
    DiskFull {
        /// Journal folder.
        dir: PathBuf,
        /// What was refused.
        admission: Admission,
        /// Bytes needed to go on.
        needed_bytes: u64,
        /// Bytes free now.
        free_bytes: u64,
    },
    /// The store that several hosts share has no room: nothing of the batch was written.
    #[error("the shared store is full: {used_bytes} of {quota_bytes} bytes. Nothing is lost; {}. \
             It empties as the sites take over what it holds, and writing resumes by itself: look \
             at the sites with evenkeel status --home DIR", admission_note(*admission))]
    StoreFull {
        /// What was refused.
        admission: Admission,
        /// Bytes in use, as far as known.
        used_bytes: u64,
        /// Bytes at which the store refuses writes; 0 if unknown.
        quota_bytes: u64,
    },
    /// What several hosts share contradicts this host's journal, or cannot be read.
    #[error("{reason}")]
    SharedLog {
        /// What is wrong, what is safe, what to do next.
        reason: String,
    },
    /// A position that this journal does not hold.
    #[error("position {asked} is not in this journal, which holds {first} to below {next}")]
    OutOfRange {
        /// Position asked for.
        asked: Position,
        /// First position held.
        first: Position,
        /// First position not held.
        next: Position,
    },
}

fn admission_note(admission: Admission) -> &'static str {
    match admission {
        Admission::Normal => "mode changes, cancels and withdrawals are still admitted",
        Admission::Reserve => "the reserve is used up as well, so every entry is refused",
    }
}

impl JournalError {
    /// Whether nothing was written for want of space, so that what needs less may still be.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::StoreFull { .. })
    }

    /// Whether this is damage to what was durable, rather than a refusal or a system error.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Gap { .. } | Self::Forked { .. })
    }
}

/// Adds what was attempted, and where, to a system error.
pub(crate) trait IoContext<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| JournalError::Io { action, path: path.to_owned(), error })
    }
}
