//! `protect`, `backup`, `ls`, `diff`: recovery points of files and folders.

use std::path::PathBuf;

use clap::Args;

use super::place::Place;
use super::root_args::OutsideRootArgs;

/// Arguments of `protect`.
#[derive(Debug, Clone, Default, Args)]
pub struct ProtectArgs {
    /// Files and folders, also live SQLite databases; PostgreSQL as postgresql://ROLE@HOST/DATABASE
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,

    /// Where the home is, or is to be laid out [default: ./evenkeel-desk, or $EVENKEEL_HOME]
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// Holds the password of the PostgreSQL role, and nothing else
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// A folder that is a site, such as a mounted disk; at least three [default: three in the home]
    #[arg(long, value_name = "DIR")]
    pub site: Vec<PathBuf>,

    /// A file of [[sites]] tables, as the configuration has them, for sites of any kind
    #[arg(long, value_name = "FILE", conflicts_with = "site")]
    pub sites: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub root: OutsideRootArgs,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `backup`.
#[derive(Debug, Clone, Default, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Files and folders [default: files.paths]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Leave out what fits, as `*.tmp` or `/srv/cache/`; may be repeated [adds to files.exclude]
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// What to call the point
    #[arg(long, value_name = "TEXT")]
    pub tag: Option<String>,

    /// Read every file again, whatever its size and times say
    #[arg(long)]
    pub force: bool,

    /// Refer to no earlier point: everything is read and sealed anew, and what lies before can be
    /// pruned
    #[arg(long)]
    pub self_contained: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `ls`.
#[derive(Debug, Clone, Args)]
pub struct LsArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// A file, or a folder with what is below it [default: everything]
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,

    /// Which recovery point [default: the newest of files]
    #[arg(long, value_name = "ID")]
    pub point: Option<String>,

    /// The recovery identity, or another that can open it
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,

    /// Print one JSON document a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// The earlier recovery point
    #[arg(value_name = "POINT")]
    pub before: String,

    /// The later one
    #[arg(value_name = "POINT")]
    pub after: String,

    /// The recovery identity, or another that can open them
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
