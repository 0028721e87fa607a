//! What can go wrong with files and folders. Each says what is safe and what to do next.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while listing or bringing back. What goes wrong with a single file while it is
/// read is a [`crate::files::Note`] instead.
#[derive(Debug, Error)]
pub enum Error {
    /// None of the paths is there.
    #[error("{path}: there is no such file or folder")]
    NothingThere {
        /// The first of them.
        path: PathBuf,
    },
    /// Two paths would come back at the same place.
    #[error("{first} and {second} would come back at the same place; name one of them")]
    SamePlace {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// A path lies below another, but is reached through a link that is not followed from there.
    #[error(
        "{inner} lies below {outer} by its name, but is reached through a link, which is stored as \
         a link; name the folder that the link points to"
    )]
    ThroughLink {
        /// The inner path.
        inner: String,
        /// The outer one.
        outer: String,
    },
    /// A pattern that cannot be.
    #[error("the pattern `{pattern}` cannot be: {detail}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The folder to restore into holds something.
    #[error("{path}: the folder to restore into is not empty; nothing was written")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The tree does not hold what is asked for.
    #[error("the recovery point holds no `{path}`; nothing was written; nearest: {nearest}")]
    NoSuchPath {
        /// What was asked for.
        path: String,
        /// What there is with a similar name.
        nearest: String,
    },
    /// A content is not what was hashed when it was read.
    #[error("{path}: what came back is not what was read when the point was made")]
    Mismatch {
        /// The file.
        path: String,
    },
    /// The store could not give a content.
    #[error("{path}: {detail}")]
    Content {
        /// The file.
        path: String,
        /// Why.
        detail: String,
    },
    /// The system refused.
    #[error("{path}: could not {action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

pub(super) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::Io { action, path: path.to_path_buf(), source }
}
