//! `evenkeel site …` and `evenkeel sites …`: being a site for others, and what this host's hold.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::place::Place;

/// `site …`
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Serve a folder as an append-only site that speaks S3
    ///
    /// Objects are created, read and listed. Nothing replaces or deletes one: there is no code
    /// that does. Refusals are told on stderr. Runs until Ctrl-C or SIGTERM.
    #[command(
        after_help = "Example:\n  evenkeel site serve --dir /srv/vault --listen 0.0.0.0:8443 \
        --host 192.0.2.7\n\n\
        Exit codes: 0 stopped when asked to, 1 failed, 2 it cannot be served like this, 10 no key \
        yet, 11 served by another process"
    )]
    Serve(SiteServeArgs),

    /// Make an access key for a bucket, and print its credential
    ///
    /// A domain has a bucket and a key of its own. A server that runs learns of a new key at its
    /// next start. The credential is printed once: it goes into the client's credential_file.
    #[command(
        after_help = "Example:\n  evenkeel site add-key --dir /srv/vault --bucket desk-state \
        --quota-bytes 500000000000 > site-a.credential\n\n\
        Exit codes: 0 made, 2 no such name can be had"
    )]
    AddKey(SiteAddKeyArgs),

    /// Say whose word allows deletions from a bucket; without, none is ever deleted from
    ///
    /// The server looks at the plan and the approvals that lie in the bucket, and counts the delay
    /// by its own clock, from when they came. It knows of the approvers from its next start on.
    #[command(
        after_help = "Example:\n  evenkeel site approvers --dir /srv/vault --bucket desk-state \
        --approver 5f… --approver 91… --needed 2 --delay-hours 72\n\n\
        Exit codes: 0 set, 2 they cannot be approvers"
    )]
    Approvers(SiteApproversArgs),
}

/// Arguments of `site approvers`.
#[derive(Debug, Clone, Args)]
pub struct SiteApproversArgs {
    /// Folder of the buckets and of the server's keys
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,

    /// The bucket
    #[arg(long, value_name = "NAME")]
    pub bucket: String,

    /// Public key of an approver, 64 hexadecimal digits, or a wallet's address (several times)
    #[arg(long = "approver", value_name = "APPROVER")]
    pub approvers: Vec<String>,

    /// How many of them have to agree
    #[arg(long, value_name = "M", default_value_t = 2)]
    pub needed: usize,

    /// Hours in which any of them can object, after the last approval that was needed
    #[arg(long, value_name = "HOURS", default_value_t = 72)]
    pub delay_hours: u32,
}

/// Arguments of `site serve`.
#[derive(Debug, Clone, Args)]
pub struct SiteServeArgs {
    /// Folder of the buckets and of the server's keys
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,

    /// Address and port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,

    /// Name or address that clients use, for the certificate that is made at the first start
    /// (may be given again) [default: the address it listens on]
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,

    /// Certificate of the server, PEM, instead of one made here
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,

    /// Private key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,

    /// Without TLS; only for this machine alone
    #[arg(long, conflicts_with_all = ["tls_certificate", "host"])]
    pub plain: bool,
}

/// Arguments of `site add-key`.
#[derive(Debug, Clone, Args)]
pub struct SiteAddKeyArgs {
    /// Folder of the buckets and of the server's keys
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,

    /// Bucket that the key opens: 3 to 63 small letters, digits and -
    #[arg(long, value_name = "NAME")]
    pub bucket: String,

    /// The key reads and lists only: for a host that restores, drills or audits
    #[arg(long)]
    pub read_only: bool,

    /// How much of the disk the bucket may take, in bytes; replaces an earlier quota
    #[arg(long, value_name = "BYTES")]
    pub quota_bytes: Option<u64>,
}

/// `sites …`
#[derive(Debug, Subcommand)]
pub enum SitesCommand {
    /// List the sites: location, class, bytes held, whether each can be reached
    ///
    /// Reads only.
    #[command(after_help = "Example:\n  evenkeel sites list --json\n\n\
        Exit codes: 0 all reachable, 3 some are not, 21 fewer than k are, 10 no configuration")]
    List(SitesArgs),

    /// Try what each site lets this host do: write, read back, overwrite, delete
    ///
    /// Writes one small object per site under probe/. "Cannot delete" is believed only after
    /// trying.
    #[command(after_help = "Example:\n  evenkeel sites probe --home evenkeel-demo\n\n\
        Exit codes: 0 all keep their promise, 3 some do not, 21 fewer than k do")]
    Probe(SitesArgs),

    /// Have the peers of an IPFS site keep what its node holds now
    ///
    /// Happens by itself after what is written, at most every 10 seconds; this waits for it and
    /// prints the hash of the whole tree with what each peer said.
    #[command(after_help = "Example:\n  evenkeel sites pin --site garden\n\n\
        Exit codes: 0 every peer keeps it, 3 some do not, 10 nothing to keep, 21 the node does \
        not answer")]
    Pin(SitesPinArgs),
}

/// Arguments of `sites pin`.
#[derive(Debug, Clone, Args)]
pub struct SitesPinArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// The site, of kind ipfs
    #[arg(long, value_name = "NAME")]
    pub site: String,
}

/// Arguments of `sites list` and `sites probe`.
#[derive(Debug, Clone, Default, Args)]
pub struct SitesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
