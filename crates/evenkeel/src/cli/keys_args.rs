//! `evenkeel keys …`: custody of keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// SLIP-39: a secret as cards of words, some of which bring it back
    #[command(subcommand)]
    Slip39(Slip39Command),

    /// Make a key and deal it in front of witnesses, step by step
    #[command(subcommand)]
    Ceremony(super::CeremonyCommand),

    /// Bring a key back, card by card: says what each card is, and who is still missing
    ///
    /// Cards are typed one a line, or read from files. A card that is not the one that was dealt,
    /// of another set, or mistyped is told at once. Nothing secret is printed without --reveal.
    #[command(
        after_help = "Example:\n  evenkeel keys recover --fingerprint fingerprint.json --out \
        secret.txt\n\n\
        Exit codes: 0 recovered, 12 not the recorded key (wrong passphrase), 20 a card is damaged \
        or forged, 22 not enough cards"
    )]
    Recover(KeysRecoverArgs),

    /// Check what a recovery left behind: who brought which card, how long it took
    #[command(
        after_help = "Example:\n  evenkeel keys evidence --evidence recovery.json --key 5f…\n\n\
        Exit codes: 0 genuine, and the recorded key, 3 not compared with a record or no --key \
        given, 12 signed by another key, 20 changed"
    )]
    Evidence(KeysEvidenceArgs),

    /// Make a recovery kit for keys: whose cards bring which key back, on paper and for programs
    ///
    /// Of fingerprint records. It holds no secret, and shows the addresses of the wallets.
    /// `drill everything` reads it; so does --fingerprint, as 'KIT#NAME'.
    #[command(
        after_help = "Example:\n  evenkeel keys kit --record wallet/fingerprint.json=wallet \
        --record 'officers/fingerprint.json=recovery identity of state' --out /media/usb\n\n\
        Exit codes: 0 made, 1 it exists already, 2 one of them is no record"
    )]
    Kit(KeysKitArgs),

    /// Say what to do when a holder of cards leaves, and what the holder could still do
    #[command(
        after_help = "Example:\n  evenkeel keys depart --fingerprint fingerprint.json --holder \
        Eve\n\n\
        Exit codes: 0 the holder's cards reach no quorum with anybody, 3 cards have to be dealt \
        anew or what the key controls has to move, 10 no such holder"
    )]
    Depart(KeysDepartArgs),

    /// Make a new key, as a BIP-39 sentence
    ///
    /// From the system's randomness, with dice mixed in if there are any. Shows only what is no
    /// secret: fingerprint, extended public keys, first addresses.
    #[command(
        after_help = "Example:\n  evenkeel keys generate --dice rolls.txt --out sentence.txt\n\n\
        Exit codes: 0 made, 1 the file is there already"
    )]
    Generate(KeysGenerateArgs),

    /// Record what tells a key from another, and is no secret
    ///
    /// Extended public keys, first addresses, and for cards who holds them where and the keys by
    /// which they prove themselves in drills.
    #[command(
        after_help = "Example:\n  evenkeel keys fingerprint --shares words.txt --passphrase-file \
        passphrase.txt --holders holders.txt --out fingerprint.json\n\n\
        Exit codes: 0 recorded, 2 the secret or sentence is refused, 20 a card is damaged, 22 not \
        enough cards"
    )]
    Fingerprint(KeysFingerprintArgs),

    /// Prove that cards are still good, one holder at a time, with nothing secret sent
    #[command(subcommand)]
    Drill(DrillCommand),

    /// One holder's words or sealed bytes on paper, and back from photographs
    #[command(subcommand)]
    Sheet(super::SheetCommand),

    /// Files between machines without a network, as films of QR symbols
    #[command(subcommand)]
    Qr(super::QrCommand),

    /// A key that nobody holds: a quorum of holders signs, each on a machine of their own
    #[command(subcommand)]
    Group(super::GroupCommand),

    #[cfg(feature = "whole")]
    /// Keys that are born in a token (HSM, TPM) and never leave it: PKCS#11
    #[command(subcommand)]
    Hsm(super::HsmCommand),
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
    /// --reveal. A wrong passphrase gives another secret and no error: without a fingerprint the
    /// result is UNVERIFIED.
    #[command(after_help = "Example:\n  evenkeel keys slip39 recover --shares words.txt \
        --passphrase-file passphrase.txt\n\n\
        Exit codes: 0 recovered, 2 a word is not in the list, 12 not the recorded key (wrong \
        passphrase), 20 a card is damaged, forged or of another set, 22 not enough cards")]
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
    #[arg(long, value_name = "FILE", group = "secret", required = true)]
    pub secret_file: Option<PathBuf>,

    /// Draw a new secret of so many bits instead
    #[arg(long, value_name = "128|256", group = "secret", value_parser = ["128", "256"])]
    pub generate: Option<String>,

    /// Split the entropy of the BIP-39 sentence in this file instead
    #[arg(long, value_name = "FILE", group = "secret")]
    pub bip39_file: Option<PathBuf>,

    /// Split the identity of age in this file instead, such as a recovery identity
    #[arg(long, value_name = "FILE", group = "secret")]
    pub identity_file: Option<PathBuf>,

    /// Passphrase of that sentence, for the fingerprint alone: it is not in the cards
    #[arg(long, value_name = "FILE", requires = "bip39_file")]
    pub bip39_passphrase_file: Option<PathBuf>,

    /// File with rolls of a die (digits 1 to 6) to mix into a drawn secret
    #[arg(long, value_name = "FILE", requires = "generate")]
    pub dice: Option<PathBuf>,

    /// Who gets which card and where it goes, a line each: GROUP.MEMBER PERSON @ PLACE
    #[arg(long, value_name = "FILE")]
    pub holders: Option<PathBuf>,

    /// Which split of this key it is, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub generation: u32,

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

    /// Fingerprint record of the key: only the secret that it describes is accepted
    #[arg(long, value_name = "FILE")]
    pub fingerprint: Option<PathBuf>,

    /// The secret is the entropy of a BIP-39 sentence; --reveal prints the sentence
    #[arg(long)]
    pub bip39: bool,

    /// The secret is an identity of age; --reveal prints AGE-SECRET-KEY-1…
    #[arg(long, conflicts_with = "bip39")]
    pub age: bool,

    /// Passphrase of that sentence, for the fingerprint
    #[arg(long, value_name = "FILE")]
    pub bip39_passphrase_file: Option<PathBuf>,

    /// Print the secret, as hexadecimal digits
    #[arg(long)]
    pub reveal: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys recover`.
#[derive(Debug, Clone, Args)]
pub struct KeysRecoverArgs {
    /// File with cards, one a line; may be given more than once [default: typed on standard input]
    #[arg(long, value_name = "FILE")]
    pub shares: Vec<PathBuf>,

    /// File with the passphrase; its last line end is not part of it [default: asked for on a
    /// terminal, else none]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,

    /// Fingerprint record of the key: who holds which card, and which secret is the right one
    #[arg(long, value_name = "FILE")]
    pub fingerprint: Option<PathBuf>,

    /// The secret is the entropy of a BIP-39 sentence
    #[arg(long)]
    pub bip39: bool,

    /// The secret is an identity of age
    #[arg(long, conflicts_with = "bip39")]
    pub age: bool,

    /// Passphrase of that sentence, for the fingerprint
    #[arg(long, value_name = "FILE")]
    pub bip39_passphrase_file: Option<PathBuf>,

    /// New file for the secret, the sentence, or the identity, readable by the owner alone
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// New file for signed evidence of the recovery, without a secret
    #[arg(long, value_name = "FILE", requires = "report_key")]
    pub evidence: Option<PathBuf>,

    /// Report key that signs the evidence, such as a drill host's
    #[arg(long, value_name = "FILE")]
    pub report_key: Option<PathBuf>,

    /// Print the secret
    #[arg(long)]
    pub reveal: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys evidence`.
#[derive(Debug, Clone, Args)]
pub struct KeysEvidenceArgs {
    /// The evidence, as `keys recover --evidence` wrote it
    #[arg(long, value_name = "FILE")]
    pub evidence: PathBuf,

    /// The report key it has to be signed by, as hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub key: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys kit`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct KeysKitArgs {
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Option<KeysKitCommand>,

    /// A fingerprint record, and what the key is for; may be given more than once
    #[arg(long, value_name = "FILE[=NAME]", required = true)]
    pub record: Vec<String>,

    /// A folder (a text and a page for printing are made in it), or a file: FILE.txt or FILE.html
    #[arg(long, value_name = "DIR|FILE", required = true)]
    pub out: Option<PathBuf>,

    /// Home that remembers it, and tells once it is stale [default: the one that is here, if any]
    #[cfg(feature = "whole")]
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `keys kit check`
#[derive(Debug, Clone, Subcommand)]
pub enum KeysKitCommand {
    /// Compare a kit of keys with the records of today
    #[command(after_help = "Example:\n  evenkeel keys kit check kit.txt --record \
        wallet/fingerprint.json=wallet\n\n\
        Exit codes: 0 it is as new, 3 something has changed since, 20 it was changed after it was \
        made")]
    Check(KeysKitCheckArgs),
}

/// Arguments of `keys kit check`.
#[derive(Debug, Clone, Args)]
pub struct KeysKitCheckArgs {
    /// The kit: the text or the page that `keys kit` wrote
    #[arg(value_name = "KIT")]
    pub file: PathBuf,

    /// A record of today, by the key's name in the kit [default: those of the newest kit of --home]
    #[arg(long, value_name = "FILE[=NAME]")]
    pub record: Vec<String>,

    /// Home that remembers the newest kit [default: the one that is here]
    #[cfg(feature = "whole")]
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys depart`.
#[derive(Debug, Clone, Args)]
pub struct KeysDepartArgs {
    /// Fingerprint record of the key, with its holders
    #[arg(long, value_name = "FILE")]
    pub fingerprint: PathBuf,

    /// Who leaves, as the record names them
    #[arg(long, value_name = "NAME")]
    pub holder: String,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `keys drill …`
#[derive(Debug, Subcommand)]
pub enum DrillCommand {
    /// Prove that one card still has the words that were dealt, alone and offline
    ///
    /// Signs a challenge with a key derived from the words. Nothing secret leaves.
    #[command(after_help = "Example:\n  evenkeel keys drill prove --share card.txt --fingerprint \
        fingerprint.json --log drills.jsonl\n\n\
        Exit codes: 0 proven, 3 answered but not compared with a record, 20 not the card that was \
        dealt, 2 a word is not in the list")]
    Prove(DrillProveArgs),

    /// Check a holder's answer to a challenge against the record, and log it
    #[command(
        after_help = "Example:\n  evenkeel keys drill check --answer answer.json --challenge \
        9f…  --fingerprint fingerprint.json --log drills.jsonl\n\n\
        Exit codes: 0 proven, 20 another challenge, or not the card that was dealt"
    )]
    Check(DrillCheckArgs),

    /// Say when each card was last proven, and which are due
    ///
    /// Every line of the log is verified again; lines that prove nothing do not count.
    #[command(
        after_help = "Example:\n  evenkeel keys drill status --fingerprint fingerprint.json --log \
        drills.jsonl --stale-days 90\n\n\
        Exit codes: 0 all are fresh, 3 some are stale or were never drilled"
    )]
    Status(DrillStatusArgs),
}

/// Arguments of `keys generate`.
#[derive(Debug, Clone, Args)]
pub struct KeysGenerateArgs {
    /// Words of the sentence: 12 (128 bits) or 24 (256 bits)
    #[arg(long, value_name = "12|24", default_value = "24", value_parser = ["12", "24"])]
    pub words: String,

    /// File with rolls of a die (digits 1 to 6), mixed with the system's randomness
    #[arg(long, value_name = "FILE")]
    pub dice: Option<PathBuf>,

    /// New file for the sentence, readable by the owner alone
    #[arg(long, value_name = "FILE", required_unless_present = "reveal")]
    pub out: Option<PathBuf>,

    /// Print the sentence to stdout
    #[arg(long)]
    pub reveal: bool,
}

/// Arguments of `keys fingerprint`.
#[derive(Debug, Clone, Args)]
pub struct KeysFingerprintArgs {
    /// File with the secret as hexadecimal digits: a BIP-32 seed, as SLIP-39 wallets use it
    #[arg(long, value_name = "FILE", group = "source", required = true)]
    pub secret_file: Option<PathBuf>,

    /// File with a BIP-39 sentence, in any language
    #[arg(long, value_name = "FILE", group = "source")]
    pub mnemonic_file: Option<PathBuf>,

    /// File with an identity of age, such as a recovery identity
    #[arg(long, value_name = "FILE", group = "source")]
    pub identity_file: Option<PathBuf>,

    /// File with enough SLIP-39 cards, one a line; their drill keys are recorded too
    #[arg(long, value_name = "FILE", group = "source")]
    pub shares: Option<PathBuf>,

    /// Passphrase of the cards
    #[arg(long, value_name = "FILE", requires = "shares")]
    pub passphrase_file: Option<PathBuf>,

    /// The secret is the entropy of a BIP-39 sentence, not a seed
    #[arg(long)]
    pub bip39: bool,

    /// The cards' secret is an identity of age
    #[arg(long, conflicts_with = "bip39")]
    pub age: bool,

    /// Passphrase of the BIP-39 sentence
    #[arg(long, value_name = "FILE")]
    pub bip39_passphrase_file: Option<PathBuf>,

    /// Who holds which card where, a line each: GROUP.MEMBER PERSON @ PLACE
    #[arg(long, value_name = "FILE")]
    pub holders: Option<PathBuf>,

    /// Which split of this key it is, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub generation: u32,

    /// New file for the record; it holds no secret
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys drill prove`.
#[derive(Debug, Clone, Args)]
pub struct DrillProveArgs {
    /// File with the words of one card; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub share: PathBuf,

    /// Challenge, as hexadecimal digits of 16 bytes or more [default: drawn here]
    #[arg(long, value_name = "HEX")]
    pub challenge: Option<String>,

    /// Fingerprint record to compare with
    #[arg(long, value_name = "FILE")]
    pub fingerprint: Option<PathBuf>,

    /// Log of drills to append to
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// Print one JSON document: the answer to send
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys drill check`.
#[derive(Debug, Clone, Args)]
pub struct DrillCheckArgs {
    /// The holder's answer, as `drill prove --json` printed it; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub answer: PathBuf,

    /// The challenge that was sent
    #[arg(long, value_name = "HEX")]
    pub challenge: String,

    /// Fingerprint record to compare with
    #[arg(long, value_name = "FILE")]
    pub fingerprint: PathBuf,

    /// Log of drills to append to
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys drill status`.
#[derive(Debug, Clone, Args)]
pub struct DrillStatusArgs {
    /// Fingerprint record with the cards
    #[arg(long, value_name = "FILE")]
    pub fingerprint: PathBuf,

    /// Log of drills
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,

    /// Older drills than this are stale
    #[arg(long, value_name = "N", default_value_t = 90)]
    pub stale_days: u64,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
