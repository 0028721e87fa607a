//! `network …`: how the outside is reached, as a versioned document.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::place::Place;
use super::root_args::OutsideRootArgs;
use super::time::parse_time_ns;

/// `network …`
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// Ask everything that the document names, now: endpoints, names, keys, exchanges
    ///
    /// Says who is in sync, who is behind, who is of another chain or has another history, and in
    /// which order the endpoints are to be used. Needs no home: --document names a file.
    #[command(after_help = "Example:\n  evenkeel network check --document network.toml\n\nExit \
        codes: 0 all is as it should be, 3 something does not answer or is behind, 20 something \
        must not be used, 10 no document there")]
    Check(NetworkCheckArgs),

    /// Protect a document from now on: a domain of its own, and the first version
    ///
    /// Lays out keys, recovery identity and three sites that share nothing with those of other
    /// domains. Afterwards move the network's recovery identity away.
    #[command(after_help = "Example:\n  evenkeel network protect network.toml --home desk \
        --site /mnt/usb1/net --site /mnt/nas/net --site ~/net\n\nExit codes: 0 protected, 1 it is \
        already, 2 the document is refused, 21 too few sites")]
    Protect(NetworkProtectArgs),

    /// Make a version now: the document, cursors and logs of indexers, and what was measured
    #[command(
        after_help = "Example:\n  evenkeel network backup --home desk\n\nExit codes: 0 it is \
        at the sites, 3 something could not be read, 11 another one is at work, 21 too few sites"
    )]
    Backup(NetworkBackupArgs),

    /// List the versions, from the sites alone
    #[command(after_help = "Example:\n  evenkeel network versions --home desk\n\nExit codes: 0 \
        listed, 10 none yet, 21 too few sites answer")]
    Versions(NetworkVersionsArgs),

    /// Say in words what differs between two versions, or between one and the document as it is
    #[command(after_help = "Example:\n  evenkeel network diff 3 7 --home desk --identity \
        network-recovery-identity.txt\n\nExit codes: 0 compared, 10 no such version, 12 wrong \
        identity, 21 not enough sites")]
    Diff(NetworkDiffArgs),

    /// Bring a version back as working configuration files, in fail-over order by health
    ///
    /// Measures again, unless --offline. An endpoint that is not what it should be is in no list
    /// of endpoints to use, and no cursor goes beyond its chain's head.
    #[command(after_help = "Example:\n  evenkeel network restore --home desk --identity \
        network-recovery-identity.txt --to NEW\n\nExit codes: 0 restored, 3 in part, 10 no such \
        version, 12 wrong identity, 20 what came back is not what was signed, 21 not enough sites")]
    Restore(NetworkRestoreArgs),
}

/// Arguments of `network check`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkCheckArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// The document [default: network.document]
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,

    /// How long one server may take in all [default: network.timeout_seconds]
    #[arg(long = "timeout", value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=300))]
    pub timeout_seconds: Option<u64>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `network protect`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkProtectArgs {
    /// The document, such as network.toml
    #[arg(value_name = "FILE")]
    pub document: PathBuf,

    /// Where the home is, or is to be laid out [default: ./evenkeel-desk, or $EVENKEEL_HOME]
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// A folder that is a site of this domain alone; at least three [default: three in the home]
    #[arg(long, value_name = "DIR")]
    pub site: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub root: OutsideRootArgs,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `network backup`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkBackupArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `network versions`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkVersionsArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `network diff`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkDiffArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// The earlier version's number [default: the newest]
    #[arg(value_name = "A")]
    pub before: Option<u64>,

    /// The later one's [default: the document as it is now]
    #[arg(value_name = "B")]
    pub after: Option<u64>,

    /// The network's recovery identity, or another that can open the versions
    #[arg(long, value_name = "FILE", required_unless_present = "quorum")]
    pub identity: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub quorum: super::QuorumArgs,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `network restore`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkRestoreArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// The network's recovery identity, or another that can open the version
    #[arg(long, value_name = "FILE", required_unless_present = "quorum")]
    pub identity: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub quorum: super::QuorumArgs,

    /// Folder to write into; new or empty
    #[arg(long, value_name = "NEW")]
    pub to: PathBuf,

    /// Which version [default: the newest]
    #[arg(long, value_name = "N", conflicts_with = "at_time")]
    pub version: Option<u64>,

    /// The last version at or before this time, such as 2026-02-03T07:00:00Z
    #[arg(long, value_name = "RFC3339", value_parser = parse_time_ns)]
    pub at_time: Option<u64>,

    /// Ask nobody: the order is as it was measured with the version
    #[arg(long)]
    pub offline: bool,

    /// Where this takes approvals: propose exactly this, and say why; nothing else is done
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
