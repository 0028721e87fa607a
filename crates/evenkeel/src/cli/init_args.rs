//! `evenkeel init`.

use std::path::PathBuf;

use clap::Args;

use super::root_args::OutsideRootArgs;
use crate::config::{DashboardBind, Profile};

/// Arguments of `init`.
#[derive(Debug, Clone, Default, Args)]
pub struct InitArgs {
    /// Folder to lay out; new or empty [default: ./evenkeel-demo, or $EVENKEEL_HOME]
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// Give the home at --home the keys of a lineage of files, which an older one has not
    #[arg(long, conflicts_with_all = ["seed", "dashboard", "root_public_key"])]
    pub add_files: bool,

    /// The recovery identity, for --add-files
    #[arg(long, value_name = "FILE", requires = "add_files")]
    pub identity: Option<PathBuf>,

    /// For --add-files with a root that is elsewhere: new file for what it has to sign
    #[arg(long, value_name = "FILE", requires = "add_files", conflicts_with = "identity")]
    pub root_request: Option<PathBuf>,

    /// Seed of the demonstration market
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Where the dashboard will listen, or `off`
    #[arg(long, value_name = "ADDR|off")]
    pub dashboard: Option<DashboardBind>,

    /// What the whole promises: `config check`, and every start, enforces it (docs/profiles.md)
    #[arg(long, value_enum, value_name = "NAME", conflicts_with = "add_files")]
    pub profile: Option<Profile>,

    /// Of a profile: a file with the [[sites]] it spreads to, in shard order
    #[arg(long, value_name = "FILE", requires = "profile")]
    pub sites: Option<PathBuf>,

    /// Of the profile multisig: an approver's public key; two or more
    #[arg(long, value_name = "KEY", requires = "profile")]
    pub approver: Vec<String>,

    /// Sign all that is written by a key in a token: the key file of `keys hsm generate`
    #[arg(long, value_name = "FILE", conflicts_with = "add_files")]
    pub writer_key: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub root: OutsideRootArgs,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
