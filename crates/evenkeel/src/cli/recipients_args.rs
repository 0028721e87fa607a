//! `evenkeel recipients …`: who can open what the sites hold.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::domain_arg::DomainArg;
use super::place::Place;
use crate::config::{HolderRole, RemovedBecause};

/// `recipients …`
#[derive(Debug, Subcommand)]
pub enum RecipientsCommand {
    /// List who can open what: every recipient, with the key periods wrapped for it
    #[command(after_help = "Example:\n  evenkeel recipients list --json\n\nExit codes: 0 listed \
        and every period is wrapped for all of them, 3 some is not, 21 not enough sites")]
    List(RecipientsListArgs),

    /// Add a recipient: every key period from the next one on is wrapped for it
    ///
    /// Earlier periods are not: `recipients rewrap` does that, with the recovery identity.
    #[command(
        after_help = "Example:\n  evenkeel recipients add age1… --label vault-zurich --role \
        holder --kept-at 'safe 3, Zurich'\n\nExit codes: 0 added, 2 it is no recipient or there \
        already"
    )]
    Add(RecipientsAddArgs),

    /// Remove a recipient: no key period from the next one on is wrapped for it
    ///
    /// Says what it can open for as long as those objects exist, and what to do next.
    #[command(after_help = "Example:\n  evenkeel recipients remove old-laptop --because \
        compromised\n\nExit codes: 0 removed, 2 no such recipient, or it is the last one")]
    Remove(RecipientsRemoveArgs),

    /// Wrap earlier key periods for the recipients of today, with the recovery identity
    ///
    /// Costs one small object a period, whatever the period holds. Interrupted, the same command
    /// goes on.
    #[command(after_help = "Example:\n  evenkeel recipients rewrap --identity \
        recovery-identity.txt\n\nExit codes: 0 every period serves every recipient, 3 this \
        identity does not open some, 12 not the recovery identity, 21 not enough sites")]
    Rewrap(RecipientsRewrapArgs),

    /// Begin a new key period at once, for the recipients in the configuration
    ///
    /// A running daemon takes it up with its next write; at rest there is no period to end.
    #[command(after_help = "Example:\n  evenkeel recipients rotate\n\nExit codes: 0 asked for")]
    Rotate(RecipientsListArgs),

    /// Say at the sites that a writer's key was stolen: what it wrote since is not believed
    ///
    /// For good. What it wrote up to the record named stays; another lineage with another key goes
    /// on, and writes everything anew.
    #[command(after_help = "Example:\n  evenkeel recipients revoke-writer --lineage 3f0a6c11 \
        --after 812 --identity recovery-identity.txt\n\nExit codes: 0 revoked, 2 no such lineage \
        or record, 12 not the recovery identity, 21 not enough sites")]
    RevokeWriter(RevokeWriterArgs),
}

/// Arguments of `recipients revoke-writer`.
#[derive(Debug, Clone, Args)]
pub struct RevokeWriterArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The lineage, by its first digits
    #[arg(long, value_name = "ID")]
    pub lineage: String,

    /// The last record that is still believed: what stands behind the dash of a point's name; 0:
    /// none
    #[arg(long, value_name = "COUNTER")]
    pub after: u64,

    /// The recovery identity
    #[arg(long, value_name = "FILE", required_unless_present = "root_request")]
    pub identity: Option<PathBuf>,

    /// The root is elsewhere: new file for what it has to sign; nothing is published here
    #[arg(long, value_name = "FILE", conflicts_with = "identity")]
    pub root_request: Option<PathBuf>,

    /// Where this takes approvals: propose exactly this, and say why; nothing else is done
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `recipients list` and `recipients rotate`.
#[derive(Debug, Clone, Args)]
pub struct RecipientsListArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `recipients add`.
#[derive(Debug, Clone, Args)]
pub struct RecipientsAddArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The recipient, age1…
    #[arg(value_name = "RECIPIENT")]
    pub recipient: String,

    /// What people call it
    #[arg(long, value_name = "NAME")]
    pub label: String,

    /// What it is for
    #[arg(long, value_enum, default_value_t = HolderRole::Holder, value_name = "ROLE")]
    pub role: HolderRole,

    /// Where its identity is kept, in words; never the identity itself
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub kept_at: String,

    /// Where this takes approvals: propose exactly this, and say why; nothing else is done
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `recipients remove`.
#[derive(Debug, Clone, Args)]
pub struct RecipientsRemoveArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// Its label, or the recipient itself
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Why
    #[arg(long, value_enum, value_name = "WHY")]
    pub because: RemovedBecause,

    /// Where this takes approvals: propose exactly this, and say why; nothing else is done
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `recipients rewrap`.
#[derive(Debug, Clone, Args)]
pub struct RecipientsRewrapArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The recovery identity; with --root-request any identity that opens the earlier periods
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,

    /// The root is elsewhere: new file for what it has to sign; nothing is published here
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub root_request: Option<PathBuf>,

    /// Say what would be wrapped, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Where this takes approvals: propose exactly this, and say why; nothing else is done
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
