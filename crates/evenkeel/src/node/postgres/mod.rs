//! PostgreSQL: `postgres run`, `postgres status`, and their part of backups, restores and drills.

mod drill;
mod protect;
mod publish;
mod restore;
mod run_cmd;
mod server;
mod session;
mod source;
mod status_cmd;

pub(super) use drill::PostgresDrill;
pub(super) use protect::{Wanted, add as add_protected, first_base, wanted as wanted_of};
pub(super) use publish::publish;
pub(super) use restore::{restore, wanted};
pub(crate) use run_cmd::run as postgres_run;
pub(super) use source::{gaps, note as note_sources};
pub(crate) use status_cmd::run as postgres_status;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_capture::files::{Kind, Tree};
use evenkeel_capture::postgres::{Error, Login};
use zeroize::Zeroizing;

use crate::config::PostgresConfig;
use crate::report::{Exit, Report, Result};

/// What a connection is opened with.
fn login(of: &PostgresConfig, stop: Arc<dyn Fn() -> bool + Send + Sync>) -> Result<Login> {
    let address = of.url.parse().map_err(|why: String| {
        Report::new(Exit::Usage, why).at(format!("[[postgres]] `{}`, url", of.name))
    })?;
    let password = match &of.password_file {
        None => None,
        Some(file) => {
            let read = std::fs::read(file).map(Zeroizing::new);
            let mut text = read.map_err(|error| Report::io("read the password", file, &error))?;
            while text.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
                text.pop();
            }
            Some(text)
        }
    };
    Ok(Login { address, password, stop })
}

/// Where captures lie in a tree: name, and the folder as the tree stores it.
fn captures(tree: &Tree) -> Vec<(String, PathBuf)> {
    use std::os::unix::ffi::OsStrExt as _;
    let folders = tree.entries.iter().filter(|entry| matches!(entry.kind, Kind::Folder));
    let paths = folders.map(|entry| Path::new(std::ffi::OsStr::from_bytes(&entry.path)));
    let capture = |path: &Path| {
        let name = path.file_name()?.to_str()?.to_owned();
        let above = path.parent()?.file_name()? == "postgres";
        let cluster = path.join("cluster");
        let is_one =
            above && tree.entries.iter().any(|entry| entry.path == cluster.as_os_str().as_bytes());
        is_one.then(|| (name, path.to_path_buf()))
    };
    paths.filter_map(capture).collect()
}

impl From<Error> for Report {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::NotLetIn { .. } => Exit::WrongKey,
            Error::OtherCluster { .. } | Error::Contradiction { .. } | Error::Damaged { .. } => {
                Exit::Integrity
            }
            Error::Locked { .. } => Exit::Locked,
            Error::NoReplicationRight { .. }
            | Error::WalLevel { .. }
            | Error::Version { .. }
            | Error::NotCovered { .. }
            | Error::Occupied { .. } => Exit::Usage,
            Error::Stopped => Exit::Interrupted,
            _ => Exit::Failed,
        };
        // The message says what is safe and what to type itself.
        Self::new(exit, error.to_string())
    }
}
