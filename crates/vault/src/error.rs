//! Errors. Each carries what is wrong, where, what is safe, and what to do next.

use std::path::PathBuf;

use evenkeel_types::DecodeError;
use thiserror::Error;

use crate::record::PointId;
use crate::site::SiteError;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the vault.
#[derive(Debug, Error)]
pub enum Error {
    /// A site refused or failed one operation.
    #[error(transparent)]
    Site(#[from] SiteError),

    /// Fewer sites than needed hold, or took, what this needs.
    #[error(
        "not enough sites: {what} needs {needed}, {found} answered with good data \
         (missing or bad: {}){}; nothing was changed; bring {} more of these sites back and retry",
        list(.sites), concerning(.points), .needed - .found
    )]
    NotEnoughSites {
        /// What was being done.
        what: String,
        /// How many sites have to be there.
        needed: usize,
        /// How many were.
        found: usize,
        /// The sites that were not, with the reason.
        sites: Vec<String>,
        /// The recovery points concerned (empty if none is known).
        points: Vec<PointId>,
    },

    /// The identity given opens none of the key periods needed.
    #[error(
        "wrong identity: it does not open key period {period} of lineage {lineage}; the data is \
         intact; use the identity whose recipient was configured when that period was written"
    )]
    WrongIdentity {
        /// The lineage, in hexadecimal.
        lineage: String,
        /// The key period.
        period: u64,
    },

    /// The domain's root has not certified the writer yet.
    #[error(
        "the root of domain {domain} has not signed the certificate of lineage {lineage} yet; \
         nothing was written; bring it to whoever signs for the root"
    )]
    AwaitsRoot {
        /// The domain.
        domain: String,
        /// The lineage, in hexadecimal.
        lineage: String,
    },

    /// Whatever holds an identity's secret or a writer's key did not do what it was asked.
    #[error("{0}; what the sites hold is intact, and nothing was written")]
    Elsewhere(std::io::Error),

    /// Two different histories exist where there may be only one.
    #[error(
        "FORK in lineage {lineage} at record {counter}: {detail}; both histories are kept at the \
         sites; stop every writer of this lineage and start a new lineage from the one you trust"
    )]
    Fork {
        /// The lineage, in hexadecimal.
        lineage: String,
        /// First counter at which they differ.
        counter: u64,
        /// What was found, and at which sites.
        detail: String,
    },

    /// The sites show less than was already seen.
    #[error(
        "rolled back: the sites show lineage {lineage} up to record {found}, but record {pinned} \
         was seen before; bring the missing sites back, or load without the pin to accept the loss"
    )]
    RolledBack {
        /// The lineage, in hexadecimal.
        lineage: String,
        /// Highest counter known from the pin.
        pinned: u64,
        /// Highest counter at the sites.
        found: u64,
    },

    /// Bytes that do not match the signature or hash that covers them.
    #[error(
        "integrity violated: {object} at {place}: {detail}; nothing of it was used; run verify"
    )]
    Integrity {
        /// The object.
        object: String,
        /// Site, file or stage.
        place: String,
        /// What does not match.
        detail: String,
    },

    /// Bytes that are no value of the expected format.
    #[error("{what} cannot be read: {source}")]
    Format {
        /// What was being decoded.
        what: String,
        /// Why it failed.
        source: DecodeError,
    },

    /// Text that is no key file, or a damaged one.
    #[error("{what} cannot be read, line {line}: {detail}")]
    KeyFile {
        /// Which file.
        what: &'static str,
        /// 1-based line, 0 for the file as a whole.
        line: usize,
        /// What is wrong.
        detail: String,
    },

    /// The caller asked for something that cannot be.
    #[error("{what}: {detail}")]
    Invalid {
        /// The argument.
        what: &'static str,
        /// What is wrong with it and what would be right.
        detail: String,
    },

    /// The tail given does not continue the one shipped before.
    #[error(
        "tail [{first}, {last}] does not continue what is shipped: the next position is {next}; \
         nothing was written; build the tail from position {next}"
    )]
    NotContiguous {
        /// First position of the tail given.
        first: u64,
        /// Last position of the tail given.
        last: u64,
        /// The position that has to come next.
        next: u64,
    },

    /// What was encoded does not decode to what went in: memory, CPU or library fault.
    #[error(
        "encode check failed at {stage}: {detail}; nothing was sent; retry, and check this \
         machine's memory if it happens again"
    )]
    EncodeCheck {
        /// Stage of the pipeline.
        stage: &'static str,
        /// What differs.
        detail: String,
    },

    /// Nothing has been written yet.
    #[error("nothing there yet: no lineage of domain {domain} exists at the sites")]
    NothingYet {
        /// The domain.
        domain: String,
    },

    /// No such thing in the catalog.
    #[error("{what} is not in the catalog; known: {}", list(.known))]
    NotFound {
        /// What was asked for.
        what: String,
        /// What there is instead.
        known: Vec<String>,
    },

    /// A local file could not be read or written.
    #[error("{action} {}: {source}", .path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A source being sealed, or the destination being restored into, failed.
    #[error("{what}: {source}")]
    Stream {
        /// Which stream.
        what: String,
        /// The reason.
        source: std::io::Error,
    },

    /// The system gave no randomness.
    #[error("the system's random number generator failed: {0}; nothing was written")]
    Random(String),
}

impl Error {
    pub(crate) fn format(what: impl Into<String>) -> impl FnOnce(DecodeError) -> Self {
        let what = what.into();
        move |source| Self::Format { what, source }
    }

    pub(crate) fn integrity(
        object: impl Into<String>,
        place: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::Integrity { object: object.into(), place: place.into(), detail: detail.into() }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn concerning(points: &[PointId]) -> String {
    if points.is_empty() {
        return String::new();
    }
    let names: Vec<String> = points.iter().map(ToString::to_string).collect();
    format!("; recovery points concerned: {}", names.join(", "))
}
