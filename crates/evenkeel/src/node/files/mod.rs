//! Files and folders: `backup`, `ls`, `diff`, their part of `restore` and of drills.

mod backup_cmd;
mod diff_cmd;
mod drill;
mod hooks;
mod lazy;
mod live;
mod ls_cmd;
mod opened;
mod progress;
mod protect_cmd;
mod restore;
mod writer;

pub(super) use backup_cmd::make as make_point;
pub(crate) use backup_cmd::run as backup;
pub(crate) use diff_cmd::run as diff_files;
pub(crate) use drill::FilesDrill;
pub(super) use drill::Times;
pub(crate) use lazy::not_followed;
pub(crate) use live::is_left_over;
pub(crate) use ls_cmd::run as list_files;
pub(crate) use opened::remove_all;
pub(super) use opened::{Opened, nothing_yet};
pub(crate) use protect_cmd::run as protect;
pub(crate) use restore::wanted;
pub(crate) use writer::{Keys, WriterHome, open_writer, refuse_without_keys};

use evenkeel_capture::files::{Error, Note, shown};
use evenkeel_vault::{Catalog, Lineage};

use super::domain::NETWORK;
use crate::documents::{FileProblemDocument, PointKind};
use crate::init::{FILES_LINEAGE, LIVE_LINEAGE};
use crate::report::{Exit, Report};

/// The tree's hash among a point's signed roots.
pub(super) const TREE_ROOT: &str = "files_tree";
/// The tree among a point's sources; the others are groups, named by 16 hexadecimal digits.
pub(super) const TREE_SOURCE: &str = "tree";

/// What the points of a lineage hold.
pub(crate) fn kind_of(lineage: Lineage) -> PointKind {
    match lineage.kind_beside() {
        Some(FILES_LINEAGE) => PointKind::Files,
        Some(LIVE_LINEAGE) => PointKind::Live,
        _ => PointKind::Venue,
    }
}

/// What the points of a lineage of this catalog's domain hold.
pub(crate) fn kind_in(catalog: &Catalog, lineage: Lineage) -> PointKind {
    if catalog.domain() == NETWORK {
        return PointKind::Network;
    }
    kind_of(lineage)
}

fn problem(note: &Note) -> FileProblemDocument {
    FileProblemDocument {
        path: shown(&note.path),
        kind: note.kind.word().to_owned(),
        detail: note.detail.clone(),
    }
}

impl From<Error> for Report {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NothingThere { path } => {
                Self::new(Exit::Failed, "there is no such file or folder")
                    .at(path.display().to_string())
                    .safe("no recovery point was made; those before are as they were")
            }
            Error::SamePlace { .. } | Error::ThroughLink { .. } | Error::Pattern { .. } => {
                Self::new(Exit::Usage, text).safe("no recovery point was made")
            }
            Error::NotEmpty { path } => {
                Self::new(Exit::Usage, "the folder to restore into is not empty")
                    .at(path.display().to_string())
                    .safe("nothing was written")
                    .next("name a new or empty folder: --to NEW")
            }
            Error::NoSuchPath { path, nearest } => {
                Self::new(Exit::Failed, format!("the recovery point holds no `{path}`"))
                    .detail(format!("nearest: {nearest}"))
                    .safe("nothing was written")
                    .next("evenkeel ls --identity FILE   (lists what it holds)")
            }
            Error::Mismatch { .. } => {
                Self::new(Exit::Integrity, text).safe("what was written was removed again")
            }
            Error::Content { .. } => Self::new(Exit::Failed, text),
            Error::Io { action, path, source } => Self::io(action, &path, &source),
        }
    }
}
