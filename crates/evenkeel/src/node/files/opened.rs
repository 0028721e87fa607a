//! A recovery point of files, opened: its tree, and the contents by group.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use evenkeel_capture::files::{Contents, Error, Extracted, GroupId, Selected, Tree, extract};
use evenkeel_types::Canonical as _;
use evenkeel_vault::{Catalog, Opener, PointContent, PointInfo};

use super::super::domain::Domain;
use super::{TREE_ROOT, TREE_SOURCE, kind_of};
use crate::cli::Place;
use crate::config::Config;
use crate::documents::PointKind;
use crate::init::FILES_LINEAGE;
use crate::keyfile::{self, hex};
use crate::report::{Exit, Report, Result};

/// One point.
pub(in super::super) struct Opened<'a> {
    opener: &'a Opener,
    pub(in super::super) tree: Tree,
    /// Of the tree, hex.
    pub(super) tree_hash: String,
    content: PointContent,
}

impl<'a> Opened<'a> {
    pub(in super::super) fn new(opener: &'a Opener, point: &PointInfo) -> Result<Self> {
        let content = opener.content(point.id)?;
        let mut bytes = Vec::new();
        opener.read_content(&content, TREE_SOURCE, &mut bytes)?;
        let hash = *blake3::hash(&bytes).as_bytes();
        let integrity = |what: &str| {
            Report::new(Exit::Integrity, format!("the tree of recovery point {}: {what}", point.id))
                .safe("nothing of it was used")
        };
        let promised = point.roots.iter().find(|root| root.name == TREE_ROOT);
        if promised.map(|root| root.hash) != Some(hash) {
            return Err(integrity("it is not the one whose hash was signed"));
        }
        let tree = Tree::from_bytes(&bytes).map_err(|error| integrity(&error.to_string()))?;
        Ok(Self { opener, tree, tree_hash: hex(&hash), content })
    }

    /// Writes what was selected; nothing stays after a failure.
    pub(in super::super) fn extract(&self, selected: &Selected, to: &Path) -> Result<Extracted> {
        let existed = to.exists();
        let mut reader = Reader { opened: self, error: None };
        let order = |group: GroupId| self.content.place(&group.to_string());
        let done = extract(&self.tree, selected, to, &order, &mut reader);
        done.map_err(|error| {
            if !matches!(error, Error::NotEmpty { .. }) {
                remove(to, existed);
            }
            match reader.error.take() {
                // What the vault said has its own exit code.
                Some(cause) if matches!(error, Error::Content { .. }) => Report::from(cause),
                _ => Report::from(error),
            }
        })
    }
}

/// The folder was new or empty before: all that is in it came from us.
fn remove(to: &Path, existed: bool) {
    for entry in fs::read_dir(to).into_iter().flatten().flatten() {
        remove_all(&entry.path());
    }
    if !existed {
        // What stays is an empty folder.
        let _ = fs::remove_dir(to);
    }
}

/// Removes a file, or a folder with all that is in it, also where a folder that was brought back
/// may not be written. What cannot be removed is in the way of the next restore, which names it.
pub(crate) fn remove_all(path: &Path) {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    if !is_folder {
        let _ = fs::remove_file(path);
        return;
    }
    if fs::remove_dir_all(path).is_ok() {
        return;
    }
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        remove_all(&entry.path());
    }
    let _ = fs::remove_dir(path);
}

struct Reader<'o, 'a> {
    opened: &'o Opened<'a>,
    error: Option<evenkeel_vault::Error>,
}

impl Contents for Reader<'_, '_> {
    fn write(&mut self, group: GroupId, into: &mut dyn Write) -> io::Result<()> {
        let Opened { opener, content, .. } = self.opened;
        let read = opener.read_content(content, &group.to_string(), into);
        read.map(drop).map_err(|error| {
            let shown = io::Error::other(error.to_string());
            self.error = Some(error);
            shown
        })
    }
}

/// The catalog with an identity, for commands that only look.
pub(super) fn opener(place: &Place, identity: &Path) -> Result<Opener> {
    let config: Config = place.load()?;
    let domain = Domain::of(&config)?;
    let identity = keyfile::read_identity(identity)?;
    Opener::new(Arc::new(domain.catalog(None)?), identity).map_err(Report::from)
}

/// A point of files by its name, or the newest.
pub(super) fn point_of_files(catalog: &Catalog, named: Option<&str>) -> Result<PointInfo> {
    let Some(named) = named else {
        return catalog.latest_point_of(Some(FILES_LINEAGE)).ok_or_else(nothing_yet);
    };
    let point = catalog.point(named)?;
    match kind_of(point.id.lineage) {
        PointKind::Files => Ok(point),
        PointKind::Venue | PointKind::Live | PointKind::Network => {
            Err(Report::new(Exit::Usage, format!("recovery point {named} holds no files"))
                .safe("nothing was changed")
                .next("evenkeel points   (says what each one holds)"))
        }
    }
}

pub(in super::super) fn nothing_yet() -> Report {
    Report::new(Exit::NothingYet, "there is no recovery point of files yet")
        .safe("nothing was changed")
        .next("evenkeel backup PATH   (makes one)")
}
