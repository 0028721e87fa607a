//! A new standby gets the history so far from the sites, with an identity of its own, and follows
//! the primary from there: the primary's journal may begin later, and is not read for it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::Identity as JournalIdentity;
use evenkeel_recovery::{History, Restorer, Target};
use evenkeel_vault::{Lineage, Opener};

use super::domain::{Domain, cluster_id};
use super::journal_sink::JournalSink;
use crate::config::{Config, FollowMode};
use crate::keyfile;
use crate::output;
use crate::report::{Report, Result};

/// Where it is gathered before it counts.
const JOINING: &str = "joining";

/// Restores the newest state of `lineage` into this host's folder, if the host holds no journal yet
/// and has an identity that may open the sites' records. The journal is moved into its place last,
/// so that an end in the middle leaves a host that begins again.
///
/// # Errors
/// Sites that hold too little, an identity that opens nothing, a folder that cannot be written.
pub(super) fn from_sites(config: &Config, domain: &Domain<'_>, lineage: Lineage) -> Result<()> {
    let Some(file) = &config.standby.identity_file else { return Ok(()) };
    if config.standby.mode == FollowMode::Shared || config.journal_dir().exists() {
        return Ok(());
    }
    let identity = keyfile::read_identity(file)?;
    let joining = config.host.data.join(JOINING);
    begin_anew(&joining)?;
    let catalog = Arc::new(domain.catalog(None)?);
    let opener = Opener::new(Arc::clone(&catalog), identity)?;
    let restorer = Restorer::new(&catalog, &opener, lineage)?;
    let journal = JournalIdentity { cluster_id: cluster_id(&domain.trust), lineage: lineage.0 };
    let mut sink = JournalSink::new(&joining, journal, config.journal.segment_bytes);
    let restored = restorer.restore(Target::Latest, History::SinceSnapshot, None, &mut sink)?;
    take_place(&joining, config)?;
    output::note(&format!(
        "joined from the sites: {} and {} entries behind it, up to position {}",
        restored.point.id, restored.replayed, restored.position
    ));
    Ok(())
}

fn begin_anew(joining: &Path) -> Result<()> {
    match fs::remove_dir_all(joining) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Report::io("clear the folder", joining, &error));
        }
        _ => {}
    }
    fs::create_dir_all(joining).map_err(|error| Report::io("make the folder", joining, &error))
}

fn take_place(joining: &Path, config: &Config) -> Result<()> {
    let (snapshots, journal) = (config.snapshots_dir(), config.journal_dir());
    let moved = |from: &str, to: &Path| {
        fs::rename(joining.join(from), to).map_err(|error| Report::io("move to", to, &error))
    };
    // Without a journal beside them, those there belong to no history of this host.
    match fs::remove_dir_all(&snapshots) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Report::io("clear the folder", &snapshots, &error));
        }
        _ => {}
    }
    moved("snapshots", &snapshots)?;
    moved("journal", &journal)?;
    let host = &config.host.data;
    let synced = fs::File::open(host).and_then(|dir| dir.sync_all());
    synced.map_err(|error| Report::io("sync the folder", host, &error))?;
    fs::remove_dir_all(joining).map_err(|error| Report::io("clear the folder", joining, &error))
}
