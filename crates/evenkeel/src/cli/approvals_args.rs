//! `evenkeel approvals …`: what takes the word of several people, and their words.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::domain_arg::DomainArg;
use super::place::Place;
use super::time::parse_time_ns;

/// `approvals …`
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// List what was proposed, how each stands, its deadline, and who has signed; and the rules
    #[command(after_help = "Example:\n  evenkeel approvals list --pending\n\nExit codes: 0 \
        listed, 20 the configuration says less than what was published, 21 not enough sites")]
    List(ApprovalsListArgs),

    /// Show one action in full
    #[command(after_help = "Example:\n  evenkeel approvals show --action 3f2a91c0\n\n\
        Exit codes: 0 shown, 2 no such action, 21 not enough sites")]
    Show(ApprovalsShowArgs),

    /// Print exactly the text that a wallet, a token or a group signs
    ///
    /// A wallet signs it as a personal message (EIP-191). The time is part of it: hand the one that
    /// was said to `approve`.
    #[command(after_help = "Example:\n  evenkeel approvals message --action 3f2a91c0 --approver \
        0x5aAe… --out text\n  cast wallet sign \"$(cat text; echo)\"\n\n\
        Exit codes: 0 printed, 2 no such action, 12 not an approver")]
    Message(ApprovalsMessageArgs),

    /// Approve an action: with a key file, or with a signature made elsewhere
    #[command(after_help = "Example:\n  evenkeel approvals approve --action 3f2a91c0 --key \
        ada.key\n  evenkeel approvals approve --action 3f2a91c0 --approver 0x5aAe… --time \
        2026-11-22T07:30:00Z --signature 0x41…\n\n\
        Exit codes: 0 signed, 2 no such action, 12 not an approver, or not signed by it, 21 not \
        enough sites")]
    Approve(ApprovalsSayArgs),

    /// Object to an action: it is never carried out then
    #[command(after_help = "Example:\n  evenkeel approvals cancel --action 3f2a91c0 --key \
        ada.key\n\nExit codes: 0 cancelled, 2 no such action, 12 not an approver, or not signed \
        by it, 21 not enough sites")]
    Cancel(ApprovalsSayArgs),

    /// Sign the rules of the configuration with the root key, and publish them at the sites
    ///
    /// Rules that are less than those published before take an approved action besides.
    #[command(after_help = "Example:\n  evenkeel approvals publish --identity \
        recovery-identity.txt\n\nExit codes: 0 published, 2 no rules in the configuration, 11 it \
        is less than before and not approved, 12 not the recovery identity, 21 not enough sites")]
    Publish(ApprovalsPublishArgs),
}

/// Arguments of `approvals list`.
#[derive(Debug, Clone, Args)]
pub struct ApprovalsListArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// Only what waits, for approvers or for its delay
    #[arg(long)]
    pub pending: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `approvals show`.
#[derive(Debug, Clone, Args)]
pub struct ApprovalsShowArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The action, by its first digits
    #[arg(long, value_name = "ACTION")]
    pub action: String,

    /// New file for the action with every word about it, to hand to holders of a quorum
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `approvals message`, and of `prune message`.
#[derive(Debug, Clone, Args)]
pub struct ApprovalsMessageArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The action or the deletion plan, by its first digits
    #[arg(long, value_name = "ACTION", visible_alias = "plan")]
    pub action: String,

    /// Who will sign: a public key or an address, as the rule has it
    #[arg(long, value_name = "APPROVER")]
    pub approver: String,

    /// The text of an objection instead
    #[arg(long)]
    pub cancel: bool,

    /// New file for the text
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// An approver's word: signed here, or elsewhere.
#[derive(Debug, Clone, Args)]
pub struct WordArgs {
    /// The approver's key
    #[arg(long, value_name = "FILE", required_unless_present = "signature")]
    pub key: Option<PathBuf>,

    /// A signature made elsewhere over what `message` printed: hexadecimal digits, or a file that
    /// holds them or the bytes
    #[arg(long, value_name = "FILE|HEX", conflicts_with = "key")]
    #[arg(requires = "approver", requires = "time")]
    pub signature: Option<String>,

    /// Who made that signature
    #[arg(long, value_name = "APPROVER", requires = "signature")]
    pub approver: Option<String>,

    /// The time in that text, as `message` said it
    #[arg(long, value_name = "RFC3339", value_parser = parse_time_ns, requires = "signature")]
    pub time: Option<u64>,
}

/// Arguments of `approvals approve` and `approvals cancel`.
#[derive(Debug, Clone, Args)]
pub struct ApprovalsSayArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The action, by its first digits
    #[arg(long, value_name = "ACTION")]
    pub action: String,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub word: WordArgs,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `approvals publish`.
#[derive(Debug, Clone, Args)]
pub struct ApprovalsPublishArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The recovery identity, whose root key signs
    #[arg(long, value_name = "FILE", required_unless_present = "root_request")]
    pub identity: Option<PathBuf>,

    /// The root is elsewhere: new file for what it has to sign; nothing is published here
    #[arg(long, value_name = "FILE", conflicts_with_all = ["identity", "out"])]
    pub root_request: Option<PathBuf>,

    /// Propose rules that are less than those published, and say why
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    /// New file for the policy, to hand to holders of a quorum
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
