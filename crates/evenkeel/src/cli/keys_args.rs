//! `evenkeel keys …`: custody of keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// SLIP-39: a secret as cards of words, some of which bring it back
    #[command(subcommand)]
    Slip39(Slip39Command),
}

/// `keys slip39 …`
#[derive(Debug, Subcommand)]
pub enum Slip39Command {
    /// Split a secret into cards: groups of members, some of each needed
    ///
    /// Every card is read back, and all of them are shown to give the secret, before any is handed
    /// out. Nothing secret is printed without --reveal.
    #[command(after_help = "Example:\n  evenkeel keys slip39 split --groups 2of3,3of5 \
        --group-threshold 2 --generate 256 --out cards\n\n\
        Exit codes: 0 split, 2 the policy, passphrase or secret is refused")]
    Split(Slip39SplitArgs),

    /// Bring a secret back from its cards, or say what is wrong with them
    ///
    /// More cards than needed are checked against each other. Nothing secret is printed without
    /// --reveal. A wrong passphrase gives another secret and no error, so the result is
    /// UNVERIFIED: compare it with what you know of the wallet.
    #[command(after_help = "Example:\n  evenkeel keys slip39 recover --shares words.txt \
        --passphrase-file passphrase.txt\n\n\
        Exit codes: 0 recovered, 2 a word is not in the list, 20 a card is \
        damaged, forged or of another set, 22 not enough cards")]
    Recover(Slip39RecoverArgs),
}

/// Arguments of `keys slip39 split`.
#[derive(Debug, Clone, Args)]
pub struct Slip39SplitArgs {
    /// The groups, as members needed of members there are
    #[arg(long, value_name = "TofN,…")]
    pub groups: String,

    /// How many groups are needed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub group_threshold: u8,

    /// File with the secret as hexadecimal digits
    #[arg(long, value_name = "FILE", required_unless_present = "generate")]
    pub secret_file: Option<PathBuf>,

    /// Draw a new secret of so many bits instead
    #[arg(long, value_name = "128|256", conflicts_with = "secret_file")]
    #[arg(value_parser = ["128", "256"])]
    pub generate: Option<String>,

    /// File with the passphrase; its last line end is not part of it [default: no passphrase]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,

    /// Makes each guess at the passphrase cost 10,000 · 2^E rounds, 0 to 15
    #[arg(long, value_name = "E", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=15))]
    pub iteration_exponent: u8,

    /// Make cards as before the extendable flag, for wallets that do not know it
    #[arg(long)]
    pub not_extendable: bool,

    /// New folder for the cards, one file each, readable by the owner alone
    #[arg(long, value_name = "DIR", required_unless_present = "reveal")]
    pub out: Option<PathBuf>,

    /// Print the words to stdout
    #[arg(long)]
    pub reveal: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys slip39 recover`.
#[derive(Debug, Clone, Args)]
pub struct Slip39RecoverArgs {
    /// File with the cards' words, one card a line; empty lines and lines that begin with # do not
    /// count; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub shares: PathBuf,

    /// File with the passphrase; its last line end is not part of it [default: no passphrase]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,

    /// Print the secret, as hexadecimal digits
    #[arg(long)]
    pub reveal: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
