//! `evenkeel kit …`: what a stranger needs to bring a domain back.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::domain_arg::DomainArg;
use super::place::Place;

/// `kit …`
#[derive(Debug, Subcommand)]
pub enum KitCommand {
    /// Make a recovery kit: what a stranger needs, on paper and for `restore --kit` at once
    ///
    /// Where the sites are, whom to trust, who holds which identity, and what to type. It holds no
    /// key that opens anything; with --with-read-credentials it lets its holder read the sites.
    #[command(
        after_help = "Example:\n  evenkeel kit make --out /media/usb\n\nExit codes: 0 made, \
        3 made without what the sites would say, 1 it exists already"
    )]
    Make(KitMakeArgs),

    /// Compare a recovery kit with the configuration and the sites of today
    #[command(after_help = "Example:\n  evenkeel kit check /media/usb/recovery-kit-state.txt\n\n\
        Exit codes: 0 it is as new, 3 something has changed since, 20 it was changed after it was \
        made")]
    Check(KitCheckArgs),
}

/// Arguments of `kit make`.
#[derive(Debug, Clone, Args)]
pub struct KitMakeArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// A folder (a text and a page for printing are made in it), or a file: FILE.txt or FILE.html
    #[arg(long, value_name = "DIR|FILE")]
    pub out: PathBuf,

    /// Put the sites' read-only credentials into it (those in read_credential_file)
    #[arg(long)]
    pub with_read_credentials: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `kit check`.
#[derive(Debug, Clone, Args)]
pub struct KitCheckArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// The kit: the text or the page that `kit make` wrote
    #[arg(value_name = "KIT")]
    pub file: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
