//! `evenkeel keys hsm …`: keys that are born in a token and never leave it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `keys hsm …`
#[derive(Debug, Subcommand)]
pub enum HsmCommand {
    /// Show the tokens of a PKCS#11 module, and what they say about their PINs; tries none
    #[command(after_help = "Example:\n  evenkeel keys hsm list --module \
        /usr/lib/softhsm/libsofthsm2.so\n\n\
        Exit codes: 0 shown, 1 the module could not be used, 10 it shows no token")]
    List(HsmListArgs),

    /// Give an empty token a label and its PINs; one that holds something is refused
    #[command(after_help = "Example:\n  evenkeel keys hsm init --module \
        /usr/lib/softhsm/libsofthsm2.so --label desk --so-pin file:so.pin --pin file:desk.pin\n\n\
        Exit codes: 0 prepared, 2 no token is empty")]
    Init(HsmInitArgs),

    /// Show the keys in a token
    #[command(after_help = "Example:\n  evenkeel keys hsm keys --token \
        'pkcs11:token=desk?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:desk.pin'\
        \n\nExit codes: 0 shown, 12 the PIN was refused or not tried")]
    Keys(HsmKeysArgs),

    /// Make a key in a token, such that it cannot leave it, and prove that
    ///
    /// Reads its attributes back, has it used once, and writes a key file that names it: what the
    /// other commands take, and what a home can use as writer key or identity. It holds no secret.
    #[command(after_help = "Example:\n  evenkeel keys hsm generate --token \
        'pkcs11:token=desk?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:desk.pin' \
        --kind secp256k1 --label payout --holder Ada --place \"safe in Zurich\" \
        --out payout.key\n\n\
        Exit codes: 0 made and proven, 2 the token cannot make this kind, 12 the PIN was refused \
        or not tried, 20 the key is not what was asked for")]
    Generate(HsmGenerateArgs),

    /// Prove that the token still has a key: it signs or opens something drawn now
    #[command(after_help = "Example:\n  evenkeel keys hsm check --key payout.key\n\n\
        Exit codes: 0 proven, 1 no such token or key, 12 the PIN was refused or not tried, 20 \
        another key answers, or it could leave the token")]
    Check(HsmCheckArgs),

    /// Sign with a key in a token; what leaves was verified, and ECDSA has a low s
    #[command(after_help = "Example:\n  evenkeel keys hsm sign --key payout.key --message tx.bin \
        --hash keccak256 --json\n\n\
        Exit codes: 0 signed, 12 the PIN was refused or not tried, 20 the token's signature is not \
        one of the recorded key")]
    Sign(HsmSignArgs),

    /// Wrap a secret with a key in a token: AES-256 (RFC 5649) or RSA (OAEP, no PIN needed)
    #[command(after_help = "Example:\n  evenkeel keys hsm wrap --key wrapping.key --secret-file \
        identity.txt --out identity.wrapped\n\n\
        Exit codes: 0 wrapped and brought back once, 12 the PIN was refused or not tried")]
    Wrap(HsmWrapArgs),

    /// Bring back a secret that was wrapped
    #[command(after_help = "Example:\n  evenkeel keys hsm unwrap --key wrapping.key --wrapped \
        identity.wrapped --out identity.txt\n\n\
        Exit codes: 0 brought back, 12 the PIN was refused, or not wrapped with this key, or \
        changed")]
    Unwrap(HsmUnwrapArgs),

    /// Loads a module for another process of this program; not for people.
    #[command(hide = true)]
    Helper {
        /// The module.
        module: PathBuf,
    },
}

/// How long a token is waited for, and the last try.
#[derive(Debug, Clone, Args)]
pub struct HsmPatience {
    /// How long each answer of the token is waited for; then its module is ended
    #[arg(long, value_name = "N", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub deadline_seconds: u64,

    /// Try the PIN even where the token says that the next wrong one locks it
    #[arg(long)]
    pub final_try: bool,
}

/// Arguments of `keys hsm list`.
#[derive(Debug, Clone, Args)]
pub struct HsmListArgs {
    /// The PKCS#11 module: a shared library of the token's maker
    #[arg(long, value_name = "FILE")]
    pub module: PathBuf,

    /// How long each answer of the module is waited for
    #[arg(long, value_name = "N", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub deadline_seconds: u64,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys hsm init`.
#[derive(Debug, Clone, Args)]
pub struct HsmInitArgs {
    /// The PKCS#11 module
    #[arg(long, value_name = "FILE")]
    pub module: PathBuf,

    /// The token's label, 1 to 32 bytes
    #[arg(long, value_name = "TEXT")]
    pub label: String,

    /// Where the security officer's PIN is kept: file:PATH, env:NAME or command:PROGRAM WORD…
    #[arg(long, value_name = "REFERENCE")]
    pub so_pin: String,

    /// Where the user's PIN is kept
    #[arg(long, value_name = "REFERENCE")]
    pub pin: String,

    /// How long each answer of the module is waited for
    #[arg(long, value_name = "N", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub deadline_seconds: u64,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys hsm keys`.
#[derive(Debug, Clone, Args)]
pub struct HsmKeysArgs {
    /// The token as a PKCS#11 URI (RFC 7512) with module-path and pin-source
    #[arg(long, value_name = "URI")]
    pub token: String,

    /// How long it is waited for, and whether the last try may be used
    #[command(flatten)]
    pub patience: HsmPatience,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys hsm generate`.
#[derive(Debug, Clone, Args)]
pub struct HsmGenerateArgs {
    /// The token as a PKCS#11 URI (RFC 7512) with module-path and pin-source
    #[arg(long, value_name = "URI")]
    pub token: String,

    /// p256, secp256k1 or ed25519 sign; recipient opens what age1tag1… sealed; aes256 and rsa2048
    /// wrap
    #[arg(long, value_name = "KIND")]
    #[arg(value_parser = ["p256", "secp256k1", "ed25519", "recipient", "aes256", "rsa2048"])]
    pub kind: String,

    /// The key's label in the token
    #[arg(long, value_name = "TEXT")]
    pub label: String,

    /// The key's id in the token, as hexadecimal digits [default: drawn]
    #[arg(long, value_name = "HEX")]
    pub id: Option<String>,

    /// Who holds the token
    #[arg(long, value_name = "TEXT")]
    pub holder: Option<String>,

    /// Where the token is kept
    #[arg(long, value_name = "TEXT")]
    pub place: Option<String>,

    /// New file that names the key; it holds no secret
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// New file for its public key as PEM, which other tools read
    #[arg(long, value_name = "FILE")]
    pub public: Option<PathBuf>,

    /// How long it is waited for, and whether the last try may be used
    #[command(flatten)]
    pub patience: HsmPatience,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys hsm check`.
#[derive(Debug, Clone, Args)]
pub struct HsmCheckArgs {
    /// The key file that `generate` wrote
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,

    /// How long it is waited for, and whether the last try may be used
    #[command(flatten)]
    pub patience: HsmPatience,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys hsm sign`.
#[derive(Debug, Clone, Args)]
pub struct HsmSignArgs {
    /// The key file that `generate` wrote
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,

    /// File with the message; - reads standard input
    #[arg(long, value_name = "FILE", group = "what", required = true)]
    pub message: Option<PathBuf>,

    /// A digest of 32 bytes instead, as hexadecimal digits (ECDSA)
    #[arg(long, value_name = "HEX", group = "what")]
    pub digest: Option<String>,

    /// What ECDSA hashes the message with; Ed25519 signs the message itself
    #[arg(long, value_name = "HASH", default_value = "sha256")]
    #[arg(value_parser = ["sha256", "keccak256"])]
    pub hash: String,

    /// New file for the signature: DER for ECDSA, 64 bytes for Ed25519
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// How long it is waited for, and whether the last try may be used
    #[command(flatten)]
    pub patience: HsmPatience,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `keys hsm wrap`.
#[derive(Debug, Clone, Args)]
pub struct HsmWrapArgs {
    /// The key file that `generate` wrote, of kind aes256 or rsa2048
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,

    /// File with the secret, byte for byte; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub secret_file: PathBuf,

    /// New file for the wrapped secret
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// How long it is waited for, and whether the last try may be used
    #[command(flatten)]
    pub patience: HsmPatience,
}

/// Arguments of `keys hsm unwrap`.
#[derive(Debug, Clone, Args)]
pub struct HsmUnwrapArgs {
    /// The key file that `generate` wrote
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,

    /// The file that `wrap` wrote
    #[arg(long, value_name = "FILE")]
    pub wrapped: PathBuf,

    /// New file for the secret, readable by the owner alone
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// How long it is waited for, and whether the last try may be used
    #[command(flatten)]
    pub patience: HsmPatience,
}
