//! `evenkeel audit` and `evenkeel prune …`: what the sites still have, and what of it may go.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::approvals_args::{ApprovalsCommand, ApprovalsMessageArgs, WordArgs};
use super::domain_arg::DomainArg;
use super::kit_args::KitCommand;
use super::network_args::NetworkCommand;
use super::place::Place;
use super::recipients_args::RecipientsCommand;
use super::root_args::RootCommand;
use super::slashing_args::SlashingCommand;

/// What the sites still have, and what of it may go.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Show, by reading little, that the sites still have what they should; needs no key
    ///
    /// Reads unpredictable parts of 8 KiB of what each site should hold, 8 MB at most whatever it
    /// holds, and compares them with what was signed. Finds a loss of 1 % of a site's bytes with a
    /// probability of 99 %; `verify` reads everything.
    #[command(after_help = "Example:\n  evenkeel audit --confidence 0.99 --loss 0.01 --json\n\n\
        Exit codes: 0 every site passed, 3 a site does not answer or could not be looked at \
        enough, 20 a site has lost something")]
    Audit(AuditArgs),

    /// Delete what is no longer needed: planned, allowed by m of n approvers, after a delay
    ///
    /// Nothing that stays is touched. See docs/deletion.md.
    #[command(subcommand)]
    Prune(PruneCommand),

    /// What takes the word of several people: exports, recipients, promotions; their words
    ///
    /// See docs/approvals.md.
    #[command(subcommand)]
    Approvals(ApprovalsCommand),

    /// How chains and exchanges are reached: ask it all, protect it, bring it back
    ///
    /// RPC endpoints, indexers' cursors, exchanges, allow-lists and pins, as one document with
    /// versions and a security domain of its own. See docs/network.md.
    #[command(subcommand)]
    Network(NetworkCommand),

    /// Signing histories of validators: brought back merged forward, never stale
    #[command(subcommand)]
    Slashing(SlashingCommand),

    /// Who can open what the sites hold: list, add, remove, re-wrap
    ///
    /// See docs/recipients.md.
    #[command(subcommand)]
    Recipients(RecipientsCommand),

    /// A domain's root that is elsewhere, with a group, in a token: what it has to sign
    ///
    /// See docs/root.md.
    #[command(subcommand)]
    Root(RootCommand),

    /// The recovery kit: what a stranger needs to bring everything back on a blank machine
    ///
    /// See docs/recovery-kit.md.
    #[command(subcommand)]
    Kit(KitCommand),
}

/// Arguments of `audit`.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// Probability, at least, with which a loss is found
    #[arg(long, value_name = "P", default_value_t = 0.99)]
    pub confidence: f64,

    /// The loss that is found with it: a fraction of a site's bytes
    #[arg(long, value_name = "F", default_value_t = 0.01)]
    pub loss: f64,

    /// Audit this site alone [default: all of them]
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `prune …`
#[derive(Debug, Subcommand)]
pub enum PruneCommand {
    /// Show what could go and what would stay, and what would be there in some days
    #[command(after_help = "Example:\n  evenkeel prune plan --keep-points 30 --keep-daily 90 \
        --in-days 365\n\nExit codes: 0 shown, 21 not enough sites")]
    Plan(PrunePlanArgs),

    /// Publish a plan that names the exact objects; nothing comes of it before approvers sign
    #[command(after_help = "Example:\n  evenkeel prune propose --keep-points 30\n\n\
        Exit codes: 0 published, 10 nothing could go, 21 not enough sites")]
    Propose(PruneProposeArgs),

    /// Show the plans at the sites and how each stands
    #[command(after_help = "Example:\n  evenkeel prune list --json\n\nExit codes: 0 shown")]
    List(PruneListArgs),

    /// Sign a plan, as an approver
    ///
    /// Read first what it names: evenkeel prune list --plan PLAN.
    #[command(after_help = "Example:\n  evenkeel prune approve --plan 3f2a91c0 --key \
        approver.key\n\nExit codes: 0 signed, 2 no such plan, 12 not an approver's key")]
    Approve(PruneSayArgs),

    /// Object to a plan, as an approver: it is never executed then
    #[command(after_help = "Example:\n  evenkeel prune cancel --plan 3f2a91c0 --key \
        approver.key\n\nExit codes: 0 cancelled, 2 no such plan, 12 not an approver's key")]
    Cancel(PruneSayArgs),

    /// Print exactly the text about a plan that a wallet, a token or a group signs
    #[command(after_help = "Example:\n  evenkeel prune message --plan 3f2a91c0 --approver \
        0x5aAe… --out text\n\nExit codes: 0 printed, 2 no such plan, 12 not an approver")]
    Message(ApprovalsMessageArgs),

    /// Delete what a plan names, once m of n approvers have signed it and the delay is over
    ///
    /// Everything is checked again first: nothing that stays may need what goes. After an
    /// interruption, the same command goes on where it ended.
    #[command(after_help = "Example:\n  evenkeel prune execute --plan 3f2a91c0\n\nExit codes: 0 \
        deleted everywhere, 1 it may never be executed, 3 deleted in part, 11 not yet, 20 \
        something needs what it names, 21 not enough sites")]
    Execute(PruneExecuteArgs),

    /// Make an approver's key, and print its public half for [deletion] approvers
    #[command(after_help = "Example:\n  evenkeel prune key --out approver.key\n\n\
        Exit codes: 0 made, 1 the file exists")]
    Key(PruneKeyArgs),
}

/// What retention keeps.
#[derive(Debug, Clone, Args)]
pub struct KeepArgs {
    /// Keep the newest points, so many
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub keep_points: usize,

    /// Keep the last point of each of the last days that have one (UTC), so many
    #[arg(long, value_name = "N", default_value_t = 90)]
    pub keep_daily: usize,

    /// Keep tails that are younger than this, so that any position since can be restored
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub keep_tails_hours: u64,
}

/// Arguments of `prune plan`.
#[derive(Debug, Clone, Args)]
pub struct PrunePlanArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub keep: KeepArgs,

    /// Also tell what would be there in so many days, if points go on as they came
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub in_days: u64,

    /// List every object
    #[arg(long)]
    pub objects: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `prune propose`.
#[derive(Debug, Clone, Args)]
pub struct PruneProposeArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub keep: KeepArgs,

    /// Show it and publish nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `prune list`.
#[derive(Debug, Clone, Args)]
pub struct PruneListArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// Show this plan alone, with every object that it names (its first digits are enough)
    #[arg(long, value_name = "PLAN")]
    pub plan: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `prune approve` and `prune cancel`.
#[derive(Debug, Clone, Args)]
pub struct PruneSayArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The plan, by its first digits
    #[arg(long, value_name = "PLAN")]
    pub plan: String,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub word: WordArgs,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `prune execute`.
#[derive(Debug, Clone, Args)]
pub struct PruneExecuteArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The plan, by its first digits
    #[arg(long, value_name = "PLAN")]
    pub plan: String,

    /// Check everything and delete nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `prune key`.
#[derive(Debug, Clone, Args)]
pub struct PruneKeyArgs {
    /// File for the secret half; kept off every host that writes or deletes
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}
