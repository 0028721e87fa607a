//! Why a replay ended early, said so that the next thing to type is plain.

use evenkeel_journal::JournalError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What is wrong with one line of an input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFault {
    /// Line of the file, from 1.
    pub line: u64,
    /// Byte of the line, from 1.
    pub column: u64,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.reason)
    }
}

/// A fault at a byte offset of a text whose line is not yet known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Byte offset, from 0.
    pub at: usize,
    /// What is wrong there.
    pub reason: String,
}

impl Fault {
    /// A fault at `at`.
    pub fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }

    /// The same fault, seen from a text in which this one begins at `offset`.
    #[must_use]
    pub fn moved_by(self, offset: usize) -> Self {
        Self { at: self.at + offset, ..self }
    }

    /// The fault with its line.
    #[must_use]
    pub fn on_line(self, line: u64) -> LineFault {
        LineFault { line, column: self.at as u64 + 1, reason: self.reason }
    }
}

/// Why a replay failed, or that it is only partly done.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The arguments do not go together.
    #[error("{reason}\n  nothing was read or written; see `evenkeel replay --help`")]
    Usage {
        /// Which arguments, and why.
        reason: String,
    },
    /// The input cannot be read or decompressed.
    #[error(
        "cannot read {}: {source}\n  nothing was applied; check the file, e.g. \
         `gzip -t`, `xz -t` or `zstd -t`", path.display()
    )]
    Input {
        /// The input file.
        path: PathBuf,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// A line of the input is malformed.
    #[error(
        "{}: {fault}\n  nothing was applied; mend the line, or set bad lines aside with \
         `--rejects FILE`", path.display()
    )]
    Malformed {
        /// The input file.
        path: PathBuf,
        /// The first bad line.
        fault: LineFault,
    },
    /// The input as a whole is not what the format promises; no line can be set aside to mend it.
    #[error("{}: {fault}\n  nothing was applied; {remedy}", path.display())]
    WrongFile {
        /// The input file.
        path: PathBuf,
        /// Where it shows.
        fault: LineFault,
        /// What to do.
        remedy: &'static str,
    },
    /// The file given with `--instruments` is wrong.
    #[error("{}: {reason}\n  nothing was applied; mend the file", path.display())]
    Instruments {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A result cannot be written.
    #[error(
        "cannot write {}: {source}\n  the input is untouched; what was written so far is \
         incomplete", path.display()
    )]
    Output {
        /// The output file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal refused.
    #[error("the replay's journal failed: {0}")]
    Journal(#[from] JournalError),
    /// The folder given with `--journal` is in use.
    #[error(
        "the journal folder {} is not empty\n  nothing was written; name a folder that does not \
         exist yet", dir.display()
    )]
    JournalNotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// The engine refused what the importer itself has to define.
    #[error("the engine refuses {what}: {reason}\n  nothing of the file was applied")]
    Setup {
        /// What was to be defined.
        what: String,
        /// Why it was refused.
        reason: String,
    },
    /// The engine restored from its snapshot is not the engine that wrote it.
    #[error(
        "restored at entry {entry}, but {reason}\n  this is a defect of evenkeel; please report \
         it with the input file"
    )]
    RestoreDiverged {
        /// Entry of the file at which it was restored.
        entry: u64,
        /// What differs.
        reason: String,
    },
    /// Everything that could be applied was, and the result was printed, but parts are missing.
    #[error("replayed in part: {reason}")]
    Partial {
        /// What is missing.
        reason: String,
    },
}

impl ReplayError {
    /// The process's exit code: 1 failed, 2 usage, 3 partial.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Instruments { .. } | Self::JournalNotEmpty { .. } => 2,
            Self::Partial { .. } => 3,
            Self::Input { .. }
            | Self::Malformed { .. }
            | Self::WrongFile { .. }
            | Self::Output { .. }
            | Self::Journal(_)
            | Self::Setup { .. }
            | Self::RestoreDiverged { .. } => 1,
        }
    }

    /// A failure to write `path`.
    #[must_use]
    pub fn output(path: &Path, source: io::Error) -> Self {
        Self::Output { path: path.to_owned(), source }
    }

    /// A failure to read `path`.
    #[must_use]
    pub fn input(path: &Path, source: io::Error) -> Self {
        Self::Input { path: path.to_owned(), source }
    }
}
