//! `evenkeel root …`, and what other commands say of a root that is elsewhere.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use evenkeel_vault::{Recipient, RootPublicKey};

use super::domain_arg::DomainArg;
use super::place::Place;
use crate::authority::OutsideRoot;
use crate::report::Result;

/// `root …`
#[derive(Debug, Subcommand)]
pub enum RootCommand {
    /// Write down which certificates of this home the root has still to sign
    #[command(after_help = "Example:\n  evenkeel root request --home h --out root-request.txt\n\n\
        Exit codes: 0 written, 1 the file is there already, 10 nothing waits for the root")]
    Request(RootRequestArgs),

    /// Say in words what a request asks the root to sign
    ///
    /// With --out, one file for each message: what a group, a token or any other program signs.
    #[command(after_help = "Example:\n  evenkeel root show root-request.txt --out messages\n  \
        evenkeel keys group request --table t --record ada/record.txt --signers 1,3 --message \
        messages/1-certificate --message messages/2-certificate\n\n\
        Exit codes: 0 shown, 20 it is no request, or damaged")]
    Show(RootShowArgs),

    /// Sign a request where the root key is: a recovery identity, or a key in a token
    #[command(after_help = "Example:\n  evenkeel root sign root-request.txt --key root.key --out \
        signatures\n\nExit codes: 0 signed, 12 it is not the key that the request asks for, 20 it \
        is no request, or damaged")]
    Sign(RootSignArgs),

    /// Take what the root has signed: certificates into this home, everything else to the sites
    #[command(after_help = "Example:\n  evenkeel root accept root-request.txt --signatures t \
        --home h\n\nExit codes: 0 all of it counts, 3 some signatures are still missing, 12 one is \
        not by the root over any of it, 20 it is no request, or damaged, 21 not enough sites")]
    Accept(RootAcceptArgs),
}

/// Arguments of `root request`.
#[derive(Debug, Clone, Args)]
pub struct RootRequestArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// New file for the request; there is no secret in it
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `root show`.
#[derive(Debug, Clone, Args)]
pub struct RootShowArgs {
    /// The request
    #[arg(value_name = "FILE")]
    pub request: PathBuf,

    /// New folder for the messages
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `root sign`.
#[derive(Debug, Clone, Args)]
pub struct RootSignArgs {
    /// The request
    #[arg(value_name = "FILE")]
    pub request: PathBuf,

    /// The recovery identity that has the root key
    #[arg(long, value_name = "FILE", required_unless_present = "key", conflicts_with = "key")]
    pub identity: Option<PathBuf>,

    /// File that names an Ed25519 key in a token (`keys hsm generate`)
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// New folder for the signatures
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `root accept`.
#[derive(Debug, Clone, Args)]
pub struct RootAcceptArgs {
    /// The request
    #[arg(value_name = "FILE")]
    pub request: PathBuf,

    /// Signatures, in any order: files of them, or folders with such files (a group's table too)
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub signatures: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// A root that a new domain gets, and that is not made here.
#[derive(Debug, Clone, Default, Args)]
pub struct OutsideRootArgs {
    /// Root of the domain: an Ed25519 public key that is elsewhere (a group's, a token's); nothing
    /// is sealed before it has signed (`evenkeel root`)
    #[arg(long, value_name = "KEY")]
    pub root_public_key: Option<String>,

    /// Who opens what is sealed, age1…, in place of a recovery identity that is made here
    #[arg(long, value_name = "RECIPIENT", requires = "root_public_key")]
    pub recovery_recipient: Option<String>,
}

impl OutsideRootArgs {
    /// What was given, if anything.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::report::Exit::Usage) if the key is none, or the recipient.
    pub(crate) fn given(&self) -> Result<Option<OutsideRoot>> {
        let Some(key) = &self.root_public_key else {
            return Ok(None);
        };
        let key = RootPublicKey::parse(key)?;
        let recipient = self.recovery_recipient.as_deref().map(Recipient::parse).transpose()?;
        Ok(Some(OutsideRoot { key, recipient }))
    }
}
