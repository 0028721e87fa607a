//! `evenkeel keys ceremony …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `keys ceremony …`
#[derive(Debug, Subcommand)]
pub enum CeremonyCommand {
    /// Lay out a ceremony: who takes part, which cards there will be, who gets them
    #[command(
        after_help = "Example:\n  evenkeel keys ceremony begin --dir /dev/shm/ceremony --title \
        \"desk key\" --groups 2of3,3of5 --group-threshold 2 --holders holders.txt --operator Ada \
        --witness Bo\n\n\
        Exit codes: 0 laid out, 2 the policy, the holders or the roles are refused"
    )]
    Begin(CeremonyBeginArgs),

    /// Do the step that is due, or say what it needs
    ///
    /// Each step is verified and written to the transcript before the next. After an interruption
    /// the same command goes on.
    #[command(after_help = "Example:\n  evenkeel keys ceremony next --dir /dev/shm/ceremony\n\n\
        Exit codes: 0 done, 3 something is asked of you first, 12 not the recorded key (wrong \
        passphrase), 20 a card was not read back as it was dealt")]
    Next(CeremonyNextArgs),

    /// Show the checklist
    #[command(after_help = "Example:\n  evenkeel keys ceremony status --dir /dev/shm/ceremony\n\n\
        Exit codes: 0 finished, 3 not yet")]
    Status(CeremonyStatusArgs),

    /// Check a finished ceremony's transcript
    #[command(after_help = "Example:\n  evenkeel keys ceremony verify --transcript \
        transcript.jsonl --fingerprint fingerprint.json\n\n\
        Exit codes: 0 whole and finished, 3 not finished, 20 changed, or of another key")]
    Verify(CeremonyVerifyArgs),
}

/// Arguments of `keys ceremony begin`.
#[derive(Debug, Clone, Args)]
pub struct CeremonyBeginArgs {
    /// New folder for the ceremony; in memory (/dev/shm) nothing of it reaches a disk
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,

    /// What the key is for, in words
    #[arg(long, value_name = "TEXT")]
    pub title: String,

    /// The groups, as members needed of members there are
    #[arg(long, value_name = "TofN,…")]
    pub groups: String,

    /// How many groups are needed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub group_threshold: u8,

    /// Who gets which card and where it goes, a line each: GROUP.MEMBER PERSON @ PLACE
    #[arg(long, value_name = "FILE")]
    pub holders: PathBuf,

    /// Who types
    #[arg(long, value_name = "NAME")]
    pub operator: String,

    /// Who watches; may be given more than once
    #[arg(long, value_name = "NAME", required = true)]
    pub witness: Vec<String>,

    /// Bits of the secret
    #[arg(long, value_name = "128|256", default_value = "256", value_parser = ["128", "256"])]
    pub bits: String,

    /// Makes each guess at the passphrase cost 10,000 · 2^E rounds, 0 to 15
    #[arg(long, value_name = "E", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=15))]
    pub iteration_exponent: u8,

    /// Which split of this key it is, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub generation: u32,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys ceremony next`.
#[derive(Debug, Clone, Args)]
pub struct CeremonyNextArgs {
    /// The ceremony's folder
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,

    /// Goes on although the machine is not as it should be, with the reason for the transcript
    #[arg(long, value_name = "REASON")]
    pub accept: Option<String>,

    /// Who is in the room; once for each person
    #[arg(long, value_name = "NAME")]
    pub present: Vec<String>,

    /// File with rolls of a die (digits 1 to 6) to mix into the secret
    #[arg(long, value_name = "FILE")]
    pub dice: Option<PathBuf>,

    /// File with the passphrase, asked for when the cards are dealt and again when they are proven
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,

    /// Deals cards that no passphrase protects: whoever has a quorum of them has the key
    #[arg(long, conflicts_with = "passphrase_file")]
    pub no_passphrase: bool,

    /// All cards were copied to their sheets
    #[arg(long)]
    pub copied: bool,

    /// File with the words of cards as they were typed off their sheets, one card a line
    #[arg(long, value_name = "FILE")]
    pub words: Option<PathBuf>,

    /// Which card was handed out in which sealed envelope: GROUP.MEMBER=NUMBER
    #[arg(long, value_name = "CARD=SEAL")]
    pub handed: Vec<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys ceremony status`.
#[derive(Debug, Clone, Args)]
pub struct CeremonyStatusArgs {
    /// The ceremony's folder
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys ceremony verify`.
#[derive(Debug, Clone, Args)]
pub struct CeremonyVerifyArgs {
    /// The transcript
    #[arg(long, value_name = "FILE")]
    pub transcript: PathBuf,

    /// The fingerprint record it is to belong to
    #[arg(long, value_name = "FILE")]
    pub fingerprint: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
