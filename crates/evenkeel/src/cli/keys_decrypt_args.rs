//! `evenkeel keys group ask|answer|open|trust`: having holders decrypt.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Place;
use super::domain_arg::DomainArg;

/// What a decryption is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DecryptionPurpose {
    /// To bring the domain back
    Restore,
    /// To prove that it could be brought back
    Drill,
}

/// What `keys group ask` made, in place of an identity.
#[derive(Debug, Clone, Default, Args)]
pub struct QuorumArgs {
    /// Instead of an identity: the folder that `keys group ask` made here
    #[arg(long, value_name = "DIR", requires = "table", conflicts_with = "identity")]
    pub quorum: Option<PathBuf>,

    /// The folder in which the holders laid their answers
    #[arg(long, value_name = "DIR", requires = "quorum")]
    pub table: Option<PathBuf>,
}

/// Arguments of `keys group ask`.
#[derive(Debug, Clone, Args)]
pub struct GroupAskArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// New folder in which the holders lay their answers
    #[arg(long, value_name = "DIR")]
    pub table: PathBuf,

    /// New folder for what is this host's alone: the key that the answers are sealed for
    #[arg(long, value_name = "DIR")]
    pub quorum: PathBuf,

    /// Record of the recipient
    #[arg(long, value_name = "FILE")]
    pub record: PathBuf,

    /// What it is for; holders read it
    #[arg(long, value_enum, value_name = "PURPOSE")]
    pub purpose: DecryptionPurpose,

    /// Who asks, as the holders will read it
    #[arg(long, value_name = "NAME")]
    pub requester: String,

    /// Only what this recovery point and what follows it need [default: every key period]
    #[arg(long, value_name = "ID")]
    pub point: Option<String>,

    /// Where a restore takes approvals: propose exactly this request, and say why; nobody is asked
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    /// How long holders may answer, at most 168
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub hours: u64,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys group answer`.
#[derive(Debug, Clone, Args)]
pub struct GroupAnswerArgs {
    /// The folder with the request
    #[arg(long, value_name = "DIR")]
    pub table: PathBuf,

    /// Your own folder
    #[arg(long, value_name = "DIR")]
    pub holder: PathBuf,

    /// The first 16 digits or more of the request's id, as whoever asks read them to you; without
    /// them the request is shown and not answered
    #[arg(long, value_name = "HEX")]
    pub id: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys group open`.
#[derive(Debug, Clone, Args)]
pub struct GroupOpenArgs {
    /// The folder in which the holders laid their answers
    #[arg(long, value_name = "DIR")]
    pub table: PathBuf,

    /// The folder that `keys group ask` made
    #[arg(long, value_name = "DIR")]
    pub quorum: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys group trust`.
#[derive(Debug, Clone, Args)]
pub struct GroupTrustArgs {
    /// Your own folder
    #[arg(long, value_name = "DIR")]
    pub holder: PathBuf,

    /// Name of the domain
    #[arg(long, value_name = "NAME", default_value = "state")]
    pub domain: String,

    /// The domain's public root key, from its configuration: root_public_key
    #[arg(long, value_name = "HEX", required_unless_present_any = ["policy", "word"])]
    pub root: Option<String>,

    /// A policy that this root signed, to pin: no restore is answered then without the approvals
    /// that it asks for (`approvals publish --out FILE`)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// An action with an objection: it is never answered for. Beside --policy: the action that
    /// approved a policy that is less than the pinned one (`approvals show --out FILE`)
    #[arg(long, value_name = "FILE")]
    pub word: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
