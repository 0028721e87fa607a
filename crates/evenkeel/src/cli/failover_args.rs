//! `evenkeel failover`, `evenkeel recover-quorum`.

use clap::Args;

use super::place::Place;

/// Arguments of `failover`.
#[derive(Debug, Clone, Default, Args)]
pub struct FailoverArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Only say whether it would work, and what is in its way
    #[arg(long)]
    pub dry_run: bool,

    /// The primary ends in good order first [default]
    #[arg(long, conflicts_with = "unplanned")]
    pub planned: bool,

    /// The primary is killed, or is on a host that is lost
    #[arg(long)]
    pub unplanned: bool,

    /// For a standby on another host: you made sure that the primary is dead and stays dead
    #[arg(long, requires = "unplanned")]
    pub attest_primary_dead: bool,

    /// Where this takes approvals: propose exactly this, and say why; nothing else is done
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `recover-quorum`.
#[derive(Debug, Clone, Default, Args)]
pub struct RecoverQuorumArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// The store, as etcd://HOST:PORT,… [overrides quorum.endpoints and standby.mode]
    #[arg(long, value_name = "URL")]
    pub log: Option<String>,

    /// You made sure that the lost members never come back, and accept what may be lost
    #[arg(long)]
    pub attest_majority_lost: bool,

    /// Where this takes approvals: propose exactly this, and say why; nothing else is done
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,
}
