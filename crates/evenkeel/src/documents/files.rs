//! Recovery points of files and folders.

use serde::{Deserialize, Serialize};

/// `backup --json`: the recovery point that was made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "backup")]
pub struct BackupDocument {
    /// Its id.
    pub recovery_point: String,
    /// Lineage of the files, hex.
    pub lineage: String,
    /// When it was begun, RFC 3339 UTC.
    pub time: String,
    /// What it is called; empty if nothing was said.
    pub tag: String,
    /// Files in it, each name counted.
    pub files: u64,
    /// Folders in it.
    pub folders: u64,
    /// Files whose content is new to the host's memory of earlier points.
    pub new: u64,
    /// Files with another content than in the point before.
    pub changed: u64,
    /// Files with the content they had before.
    pub unchanged: u64,
    /// Paths that patterns left out; what is below them is not counted.
    pub excluded: u64,
    /// Bytes of all files in it.
    pub bytes: u64,
    /// Bytes that were read from files.
    pub bytes_read: u64,
    /// Bytes sent to the sites for it, all sites together.
    pub bytes_added: u64,
    /// How long it took.
    pub elapsed_seconds: f64,
    /// Sites that may still be lost.
    pub margin: i64,
    /// Sites that do not hold all their share of it.
    pub sites_missing: Vec<String>,
    /// Whether it needs no other point to be read.
    pub self_contained: bool,
    /// What is not in it, or not as it was.
    pub problems: Vec<FileProblemDocument>,
}

/// A path that is not in a recovery point, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileProblemDocument {
    /// The path; bytes that are no text are shown as U+FFFD, control characters escaped.
    pub path: String,
    /// `unreadable`, `changed_while_read`, `vanished`, `special`, `in_database`, `own` or
    /// `not_thawed`: the command after the reading failed.
    pub kind: String,
    /// The reason, for people.
    pub detail: String,
}

/// `ls --json`: one line for each path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "ls")]
pub struct LsDocument {
    /// The path; bytes that are no text are shown as U+FFFD, control characters escaped.
    pub path: String,
    /// The path's bytes, hex.
    pub path_hex: String,
    /// `folder`, `file`, `link` or `same_as`.
    pub kind: String,
    /// Permissions, four octal digits.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group of the owner.
    pub gid: u32,
    /// Length of the content.
    pub bytes: u64,
    /// Last change of the content, RFC 3339 UTC.
    pub time: String,
    /// What a link points to, or whose other name this is.
    pub target: Option<String>,
    /// BLAKE3 of the content, hex.
    pub hash: Option<String>,
    /// Whether the content is a consistent copy of an SQLite database.
    pub database: bool,
}

/// `diff --json`: what differs between two recovery points.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "diff")]
pub struct DiffDocument {
    /// The earlier point.
    pub before: String,
    /// The later point.
    pub after: String,
    /// Paths only in the later.
    pub added: u64,
    /// Paths only in the earlier.
    pub removed: u64,
    /// Paths with another content, or of another kind.
    pub content: u64,
    /// Paths with another mode, owner or time only.
    pub metadata: u64,
    /// Bytes of files that are new or changed, in the later point.
    pub bytes_added: u64,
    /// Bytes of files that are gone or changed, in the earlier point.
    pub bytes_removed: u64,
    /// Every path that differs, in order.
    pub differences: Vec<DifferenceDocument>,
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DifferenceDocument {
    /// `added`, `removed`, `content` or `metadata`.
    pub change: String,
    /// The path.
    pub path: String,
    /// Length of its content before; `null` if it was not there.
    pub bytes_before: Option<u64>,
    /// Length of its content after; `null` if it is not there.
    pub bytes_after: Option<u64>,
}
