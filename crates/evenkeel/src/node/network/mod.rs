//! Network metadata: the document probed, versioned in a domain of its own, and brought back.

mod backup_cmd;
mod check_cmd;
mod diff_cmd;
mod drill;
mod http;
mod lay_out;
mod opened;
mod probe;
mod protect_cmd;
mod records;
mod restore_cmd;
mod rpc;
mod sites;
mod source;
mod versions_cmd;
mod watch;
mod websocket;
mod whole;
mod wire;

pub(super) use drill::{NetworkDrill, drill, drill_unlock};
pub(super) use protect_cmd::protect_file;
pub(super) use watch::NetworkLoop;
pub(super) use whole::{WholeNetwork, measure_whole};

use crate::cli::NetworkCommand;
use crate::config::Config;
use crate::documents::ConditionDocument;
use crate::report::{Exit, Result};

/// The document's hash among a version's signed roots: that of its canonical form.
const DOCUMENT_ROOT: &str = "network_document";
/// The hash of what was measured among a version's signed roots.
const HEALTH_ROOT: &str = "network_health";
/// The hash of the records of keys among a version's signed roots, where there are any.
const RECORDS_ROOT: &str = "network_records";
/// The document as it was written, among a version's sources.
const DOCUMENT_SOURCE: &str = "network.toml";
/// What was measured, among a version's sources.
const HEALTH_SOURCE: &str = "health.json";
/// In front of an indexer's name, among a version's sources.
const LOG_PREFIX: &str = "log:";

/// What `status` says of keys while no daemon runs: of files alone, nobody is asked.
pub(super) fn key_conditions(config: &Config) -> Vec<ConditionDocument> {
    if !config.network.is_set() {
        return Vec::new();
    }
    let source = source::Source::configured(config);
    source.map_or_else(
        |_| Vec::new(),
        |source| records::conditions(&records::Records::read(&source.document).told),
    )
}

/// Runs `network …`.
pub(crate) fn run(command: &NetworkCommand) -> Result<Exit> {
    match command {
        NetworkCommand::Check(args) => check_cmd::run(args),
        NetworkCommand::Protect(args) => protect_cmd::run(args),
        NetworkCommand::Backup(args) => backup_cmd::run(args),
        NetworkCommand::Versions(args) => versions_cmd::run(args),
        NetworkCommand::Diff(args) => diff_cmd::run(args),
        NetworkCommand::Restore(args) => restore_cmd::run(args),
    }
}
