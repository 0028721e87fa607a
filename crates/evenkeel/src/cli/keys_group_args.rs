//! `evenkeel keys group …`: a key that nobody holds.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[cfg(feature = "whole")]
use super::{GroupAnswerArgs, GroupAskArgs, GroupOpenArgs, GroupTrustArgs};

/// `keys group …`
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Become a holder: make the key that signs your messages
    #[command(after_help = "Example:\n  evenkeel keys group enroll --name Ada --place \"bank in \
        Zurich\" --holder ada\n\nExit codes: 0 enrolled, 1 the folder has a key already")]
    Enroll(GroupEnrollArgs),

    /// Plan a new key, or a change of one: refresh, repair, removal, addition
    ///
    /// Nothing is drawn yet: everybody reads the plan first, then runs `keys group step`.
    #[command(after_help = "Example:\n  evenkeel keys group plan --table founding --curve \
        ed25519 --threshold 2 --enrolment ada/enrolment.txt --enrolment bob/enrolment.txt \
        --enrolment eve/enrolment.txt\n  \
        evenkeel keys group plan --table refresh --record ada/record.txt\n  \
        evenkeel keys group plan --table repair --record ada/record.txt --anew \
        2=bob2/enrolment.txt\n  \
        evenkeel keys group plan --table leave --record ada/record.txt --remove 3\n\n\
        Exit codes: 0 planned, 2 the plan is refused, 22 too few holders can take part")]
    Plan(GroupPlanArgs),

    /// Do what is next for one holder in a planned ceremony, or say who is waited for
    ///
    /// Run it again whenever messages of others came. After a crash it goes on with the same
    /// messages.
    #[command(
        after_help = "Example:\n  evenkeel keys group step --table founding --holder ada\n\n\
        Exit codes: 0 the new key is in force here, 3 waiting for others, 12 not a holder of \
        the plan, 20 somebody did wrong: the message says who"
    )]
    Step(GroupStepArgs),

    /// Ask holders to sign a file
    #[command(after_help = "Example:\n  evenkeel keys group request --table grant --record \
        ada/record.txt --message grant.bin --signers 1,3\n\n\
        Exit codes: 0 asked, 2 the request is refused")]
    Request(GroupRequestArgs),

    /// Take part in a signing: this process waits for the other signers
    ///
    /// What it draws for one signature stays in its memory. If it is interrupted the signing is
    /// over: make a new request.
    #[command(after_help = "Example:\n  evenkeel keys group sign --table grant --holder ada\n\n\
        Exit codes: 0 signed, 3 others did not come in time, 12 not a signer or a share of \
        another generation, 20 somebody did wrong: the message says who")]
    Sign(GroupSignArgs),

    /// Check a group's signature, or that a holder's share is still good
    #[command(after_help = "Example:\n  evenkeel keys group verify --record ada/record.txt \
        --message grant.bin --signature grant/signature.txt\n  \
        evenkeel keys group verify --holder ada\n\n\
        Exit codes: 0 good, 12 the share is of another generation, 20 not signed by this group")]
    Verify(GroupVerifyArgs),

    /// Name a domain for which you, as a holder, decrypt
    #[command(after_help = "Example:\n  evenkeel keys group trust --holder ada --root 9f…\n\n\
        Exit codes: 0 trusted, 2 no public root key, 10 no holder's folder")]
    #[cfg(feature = "whole")]
    Trust(GroupTrustArgs),

    /// Ask holders of a recipient to decrypt what a restore or a drill needs
    ///
    /// Shows them key objects that the domain signed, and nothing else can be asked for. What they
    /// answer is sealed for this host.
    #[command(
        after_help = "Example:\n  evenkeel keys group ask --home h --table ask --quorum mine \
        --record ada/record.txt --purpose drill --requester \"Ada's drill host\"\n\n\
        Exit codes: 0 asked, 2 the request is refused, 21 not enough sites"
    )]
    #[cfg(feature = "whole")]
    Ask(GroupAskArgs),

    /// As a holder: see what is asked for, and answer it
    ///
    /// Without --id it is shown. Answered is what a trusted domain signed, for this generation,
    /// before the request is over.
    #[command(after_help = "Example:\n  evenkeel keys group answer --table ask --holder ada\n  \
        evenkeel keys group answer --table ask --holder ada --id 3f9a01c255d07be8\n\n\
        Exit codes: 0 answered, 2 another request than was read to you, or it is over, 3 shown \
        and not answered, 12 another generation, or a domain that is not trusted, 20 in nothing \
        that the domain signed")]
    #[cfg(feature = "whole")]
    Answer(GroupAnswerArgs),

    /// See who has answered, and whether it opens
    #[command(after_help = "Example:\n  evenkeel keys group open --table ask --quorum mine\n\n\
        Exit codes: 0 it opens, 20 somebody answered wrongly and the others do not suffice, 22 \
        not enough answers: the message says whose are missing")]
    #[cfg(feature = "whole")]
    Open(GroupOpenArgs),
}

/// What the key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GroupCurve {
    /// Ordinary Ed25519 signatures: manifests, grants
    Ed25519,
    /// Schnorr signatures on secp256k1: contracts
    Secp256k1,
    /// No signatures: an age1… recipient whose files a quorum decrypts
    Recipient,
}

/// Arguments of `keys group enroll`.
#[derive(Debug, Clone, Args)]
pub struct GroupEnrollArgs {
    /// Your name, as others will read it
    #[arg(long, value_name = "NAME")]
    pub name: String,

    /// Where your share will be kept
    #[arg(long, value_name = "PLACE")]
    pub place: String,

    /// New folder for what is yours alone; its enrolment.txt is for everybody
    #[arg(long, value_name = "DIR")]
    pub holder: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys group plan`.
#[derive(Debug, Clone, Args)]
pub struct GroupPlanArgs {
    /// New folder in which everybody lays messages
    #[arg(long, value_name = "DIR")]
    pub table: PathBuf,

    /// Curve of a new key
    #[arg(long, value_enum, required_unless_present = "record", conflicts_with = "record")]
    pub curve: Option<GroupCurve>,

    /// How many holders are needed to sign [default of a change: as before]
    #[arg(long, value_name = "N", required_unless_present = "record")]
    pub threshold: Option<u16>,

    /// Enrolment of a holder of the new key, or of one who comes in addition
    #[arg(long, value_name = "FILE")]
    pub enrolment: Vec<PathBuf>,

    /// Record of the key that is to be changed; without further options: a refresh
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Number of a holder who leaves
    #[arg(long, value_name = "N", requires = "record")]
    pub remove: Vec<u16>,

    /// Number of a holder who lost the share or cannot be reached, and gets a new one all the same
    #[arg(long, value_name = "N", requires = "record")]
    pub absent: Vec<u16>,

    /// A holder who lost the key as well: number and new enrolment
    #[arg(long, value_name = "N=FILE", requires = "record")]
    pub anew: Vec<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys group step`.
#[derive(Debug, Clone, Args)]
pub struct GroupStepArgs {
    /// The folder with the plan and the messages
    #[arg(long, value_name = "DIR")]
    pub table: PathBuf,

    /// Your own folder
    #[arg(long, value_name = "DIR")]
    pub holder: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys group request`.
#[derive(Debug, Clone, Args)]
pub struct GroupRequestArgs {
    /// New folder in which the signers lay messages
    #[arg(long, value_name = "DIR")]
    pub table: PathBuf,

    /// Record of the group's key
    #[arg(long, value_name = "FILE")]
    pub record: PathBuf,

    /// File whose bytes are to be signed; given again, each is signed on a table of its own below
    #[arg(long, value_name = "FILE", required = true)]
    pub message: Vec<PathBuf>,

    /// Numbers of the holders who sign
    #[arg(long, value_name = "N,…", value_delimiter = ',', required = true)]
    pub signers: Vec<u16>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys group sign`.
#[derive(Debug, Clone, Args)]
pub struct GroupSignArgs {
    /// The folder with the request, or with a ceremony whose test signature is due
    #[arg(long, value_name = "DIR")]
    pub table: PathBuf,

    /// Your own folder
    #[arg(long, value_name = "DIR")]
    pub holder: PathBuf,

    /// How long to wait for the other signers
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub wait: u64,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys group verify`.
#[derive(Debug, Clone, Args)]
pub struct GroupVerifyArgs {
    /// Record of the group's key
    #[arg(long, value_name = "FILE", required_unless_present = "holder")]
    pub record: Option<PathBuf>,

    /// File that was signed
    #[arg(long, value_name = "FILE", requires = "signature", requires = "record")]
    pub message: Option<PathBuf>,

    /// Its signature, as hexadecimal digits
    #[arg(long, value_name = "FILE", requires = "message")]
    pub signature: Option<PathBuf>,

    /// Your own folder: is the share in it good?
    #[arg(long, value_name = "DIR", conflicts_with = "message")]
    pub holder: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
