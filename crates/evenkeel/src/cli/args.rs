//! What can be typed. Each command says in two lines what it does, shows an example, and lists the
//! exit codes it has beyond 0, 1 and 2.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::demo_args::{ClientsCommand, DemoCommand, DemoKind, Role, Slot};
use super::failover_args::{FailoverArgs, RecoverQuorumArgs};
use super::files_args::{BackupArgs, DiffArgs, LsArgs, ProtectArgs};
use super::init_args::InitArgs;
use super::journal_args::JournalCommand;
use super::keys_args::KeysCommand;
use super::margin_args::MarginCommand;
use super::place::Place;
use super::postgres_args::PostgresCommand;
use super::site_args::{SiteCommand, SitesCommand};
use super::time::parse_time_ns;
use super::vault_args::VaultCommand;
use crate::config::DashboardBind;
use crate::{price::PriceArgs, replay::ReplayArgs};

const CODES: &str = "\
Exit codes of every command:
   0  done, and every configured check passed
   1  failed; the message says what is safe
   2  the command line or the configuration is wrong; nothing was started
   3  partial, or something configured could not be checked (unproven)
  10  nothing there yet
  11  locked by another process
  12  wrong key, identity or passphrase
  20  integrity violated
  21  not enough sites
  22  not enough shares
  23  an entry cannot be applied; a second process tries it at the next start
 130  interrupted

stdout carries the result, stderr everything else. With --json the result is one document on
stdout, and an error is one line of JSON on stderr.";

/// Backup and disaster recovery for desks and venues that trade derivatives.
///
/// One journal, one root: everything protected is an ordered journal of entries, sealed and spread
/// over sites, and restored again and again to prove that it comes back.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", bin_name = "evenkeel", version)]
#[command(after_long_help = CODES, max_term_width = 100)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run what the configuration names; without one, lay out and run the demonstration
    ///
    /// Everything stays under one folder. A start after any crash recovers by itself and says what
    /// it found; Ctrl-C ends cleanly.
    #[command(after_help = "Example:\n  evenkeel up                      (demonstration in \
        ./evenkeel-demo)\n  evenkeel up --config evenkeel.toml\n\nExit codes: 0 ended cleanly, 11 \
        another process runs here, 20 the journal or its end is not intact, 2 the configuration is \
        refused")]
    Up(UpArgs),

    /// Say what is going on: journal, engine, sites, recovery points, drills
    ///
    /// Asks the running daemon; without one it reads the folder at rest and the sites.
    #[command(after_help = "Example:\n  evenkeel status --json\n\nExit codes: 0 shown, 10 no \
        configuration there")]
    Status(StatusArgs),

    /// Protect files and folders from now on: a home, the first recovery point, the first drill
    ///
    /// Lays out a home with three sites where there is none, and adds the paths to it. Afterwards
    /// move the recovery identity away, and have `backup` run by a timer.
    #[command(
        after_help = "Example:\n  evenkeel protect ~/bot/orders.sqlite ~/bot/logs --home desk \
        --site /mnt/usb1/ek --site /mnt/nas/ek --site ~/ek\n\nExit codes: 0 protected and proven, \
        3 something could not be read or proven, 20 the drill failed, 21 too few sites"
    )]
    Protect(ProtectArgs),

    /// Back up files and folders: one recovery point, now
    ///
    /// Reads what changed since the last one, seals it and sends it to the sites; whatever could
    /// not be read is named. Live SQLite databases are copied consistently.
    #[command(after_help = "Example:\n  evenkeel backup /srv/bot ~/keys.sqlite --exclude '*.tmp' \
        --home desk\n\nExit codes: 0 it is at the sites, 3 something could not be read, 11 another \
        backup runs, 21 too few sites")]
    Backup(BackupArgs),

    /// List what a recovery point of files holds
    ///
    /// Reads the sites only; nothing is written.
    #[command(after_help = "Example:\n  evenkeel ls /srv/bot --home desk --identity \
        recovery-identity.txt\n\nExit codes: 0 listed, 1 no such path in it, 10 no point yet, 12 \
        wrong identity, 21 not enough sites")]
    Ls(LsArgs),

    /// Say what differs between two recovery points of files
    ///
    /// Added, removed, changed in content, changed in mode, owner or time only.
    #[command(
        after_help = "Example:\n  evenkeel diff 3f0a6c11-7 3f0a6c11-9 --home desk --identity \
        recovery-identity.txt\n\nExit codes: 0 compared, 12 wrong identity, 21 not enough sites"
    )]
    Diff(DiffArgs),

    /// List the recovery points, from the sites alone
    ///
    /// Each with its position, state root and margin: how many more sites may be lost.
    #[command(after_help = "Example:\n  evenkeel points --home evenkeel-demo\n\nExit codes: 0 \
        listed, 10 none yet, 21 too few sites answer")]
    Points(PointsArgs),

    /// Restore into scratch, from the sites alone; time it, check it, sign the report
    ///
    /// D1 audits ciphertext, D2 what the current key opens, D3 any period as the drill host, D4
    /// with the recovery identity. Only D3 and D4 count as a proven restore.
    #[command(after_help = "Example:\n  evenkeel drill --level D3 --json\n\nExit codes: 0 every \
        configured check passed, 3 unproven, 10 nothing to restore yet, 12 wrong identity, 20 a \
        check failed, 21 not enough sites")]
    Drill(super::DrillArgs),

    /// Restore from the sites into a new home: now, to a time, or to a position
    ///
    /// What comes back is compared with what was signed before it counts. With --promote it begins
    /// a new lineage that the sites show.
    #[command(after_help = "Example:\n  evenkeel restore --config evenkeel.toml --identity \
        recovery-identity.txt --to NEW\n\nExit codes: 0 restored, 12 wrong identity, 20 what came \
        back is not what was signed, 21 not enough sites")]
    Restore(RestoreArgs),

    /// Compare every object at every site with what was signed
    ///
    /// Names site and object of whatever is missing, damaged, swapped, older or foreign. Changes
    /// nothing; `repair` mends.
    #[command(after_help = "Example:\n  evenkeel verify --json\n\nExit codes: 0 clean, 3 a site \
        does not answer, 20 something is damaged")]
    Verify(VerifyArgs),

    #[command(flatten)]
    #[allow(missing_docs)]
    Vault(VaultCommand),

    /// Mend what `verify` finds: copies from a good site, shards from any k
    ///
    /// Needs no key. With --identity it also mends this host's journal from the sites.
    #[command(after_help = "Example:\n  evenkeel repair && evenkeel verify\n\nExit codes: 0 \
        nothing is left to mend, 3 something is")]
    Repair(RepairArgs),

    /// Lay out a home: keys, five local sites, a commented configuration; start nothing
    ///
    /// Never overwrites anything: a folder that is not empty is refused. Afterwards move the
    /// recovery identity away from this machine.
    #[command(after_help = "Example:\n  evenkeel init --home desk && evenkeel up --home desk\n\n\
        Exit codes: 0 laid out, 1 the folder is not empty or cannot be written, 11 another init \
        is at work there")]
    Init(InitArgs),

    /// Drive journal and engine with recorded market data
    ///
    /// Reads plain, .gz, .xz and .zst files; every entry goes through a synced journal and the
    /// engine, and the same file always gives the same roots. Nothing of a malformed file is
    /// applied.
    #[command(after_help = "Example:\n  evenkeel replay orders.csv.zst --format orderflow-csv \
        --json\n\nExit codes: 0 replayed, 3 in part (lines set aside), 2 the arguments or a \
        malformed instruments file")]
    Replay(ReplayArgs),

    /// Price a table of options with the engine's own arithmetic
    ///
    /// Black-76 without a rate, Act/365: price, delta, gamma, vega (per 1.0) and theta (per year)
    /// with 18 decimals, to hold against any other library.
    #[command(after_help = "Example:\n  evenkeel price --csv options.csv --out prices.csv\n\n\
        Exit codes: 0 every row is priced, 2 a row is wrong and nothing was written")]
    Price(PriceArgs),

    /// Capture PostgreSQL servers, and show what can be brought back of them
    #[command(subcommand)]
    Postgres(PostgresCommand),

    /// Read a journal: what it holds, whether it is intact, the hash of each entry
    ///
    /// Works while the daemon runs; takes no lock and changes nothing.
    #[command(subcommand)]
    Journal(JournalCommand),

    /// Compute margin and show what it is made of
    ///
    /// Nothing of a running venue is touched.
    #[command(subcommand)]
    Margin(MarginCommand),

    /// Make the standby the primary, or say whether that would work
    ///
    /// Planned: the primary ends in good order, the standby takes over, and the old one follows it.
    /// Unplanned: the primary of this home is killed; on another host, you attest that it is dead.
    #[command(after_help = "Example:\n  evenkeel failover --dry-run && evenkeel failover\n\nExit \
        codes: 0 taken over, or it would work; 2 an attestation is missing; 10 no standby is \
        ready; 20 the standby is barred, or something acknowledged was lost")]
    Failover(FailoverArgs),

    /// Begin the log of several hosts again, after a majority of the store's members was lost
    ///
    /// Says first what may be lost: whatever came neither to this host nor to the sites.
    #[command(
        after_help = "Example:\n  evenkeel recover-quorum --home desk\n\nExit codes: 0 begun \
        again; 2 an attestation is missing, or nothing is lost; 11 this host's process still runs; \
        20 the sites hold more than this host; 21 not enough sites"
    )]
    RecoverQuorum(RecoverQuorumArgs),

    /// Do something to the running demonstration, to see what comes of it
    #[command(subcommand)]
    Demo(DemoCommand),

    /// Clients on other machines: their keys
    #[command(subcommand)]
    Clients(ClientsCommand),

    /// List the sites and try what they let this host do
    ///
    /// A site is a place that keeps sealed data; any k of the n sites bring everything back.
    #[command(subcommand)]
    Sites(SitesCommand),

    /// Be a site for others: serve a folder that nothing can be taken from
    #[command(subcommand)]
    Site(SiteCommand),

    /// Custody: split keys among people and places, and bring them back
    #[command(subcommand)]
    Keys(KeysCommand),

    /// Show the configuration in effect, or check it
    ///
    /// Defaults, then the file, then EVENKEEL_* of the environment. No secret is ever shown.
    #[command(subcommand)]
    Config(ConfigCommand),

    /// Check this machine: durable writes, disk, clocks, limits, processor, sites
    ///
    /// Each line is ok, warn or fail, with what to do. Writes only small files into the home (or,
    /// without one, into the folder named), and removes them.
    #[command(after_help = "Example:\n  evenkeel doctor --home evenkeel-demo\n\n\
        Exit codes: 0 all ok, 3 warnings, 1 failures")]
    Doctor(DoctorArgs),

    /// Print a completion script for a shell
    ///
    /// Source it, or put it where the shell looks for completions.
    #[command(after_help = "Example:\n  evenkeel completions bash > \
        ~/.local/share/bash-completion/completions/evenkeel\n\nExit codes: 0 printed")]
    Completions(CompletionsArgs),

    /// Print the manual page, or write all of them into a folder
    ///
    /// One page for the program and one for each command, in roff.
    #[command(
        after_help = "Example:\n  evenkeel man --out man1 && man ./man1/evenkeel-drill.1\n\n\
        Exit codes: 0 written, 1 the folder cannot be written"
    )]
    Man(ManArgs),
}

/// Arguments of `up`.
#[derive(Debug, Clone, Default, Args)]
pub struct UpArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Append `position entry_hash` to this file for every command a client saw acknowledged
    #[arg(long, value_name = "FILE")]
    pub ack_log: Option<PathBuf>,

    /// Where the dashboard listens, or `off` [overrides dashboard.bind]
    #[arg(long, value_name = "ADDR|off")]
    pub dashboard: Option<DashboardBind>,

    /// Commands per second that the demonstration aims at [overrides venue.commands_per_second]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,

    /// Seed of the demonstration market [overrides venue.seed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Accounts of the demonstration market [overrides venue.accounts]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub accounts: Option<u32>,

    /// Another demonstration than the market, in ./evenkeel-KIND unless --home says where
    #[arg(long, value_name = "KIND", value_enum)]
    pub demo: Option<DemoKind>,

    /// End cleanly after this many seconds, as if by Ctrl-C
    #[arg(long, value_name = "SECONDS")]
    pub exit_after: Option<u64>,

    /// What this process is [default: keeper]
    #[arg(long, value_name = "ROLE", value_enum)]
    pub role: Option<Role>,

    /// Several hosts: their store, as etcd://HOST:PORT,… [overrides quorum and standby.mode]
    #[arg(long, value_name = "URL")]
    pub log: Option<String>,

    /// Which of a keeper's processes this is
    #[arg(long, hide = true)]
    pub slot: Option<Slot>,

    /// Test switch: do not sync the journal, so that a power cut loses acknowledged entries
    #[arg(long, hide = true)]
    pub unsafe_no_fdatasync: bool,
}

/// Arguments of `status`.
#[derive(Debug, Clone, Default, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `points`.
#[derive(Debug, Clone, Default, Args)]
pub struct PointsArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: super::DomainArg,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// The recovery identity, or another that can open what is restored
    #[arg(long, value_name = "FILE", required_unless_present_any = ["quorum", "propose"])]
    pub identity: Option<PathBuf>,

    /// Where a restore takes approvals: propose exactly this one, and say why; nothing is restored
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub quorum: super::QuorumArgs,

    /// Folder to restore into; new or empty
    #[arg(long, value_name = "NEW")]
    pub to: PathBuf,

    /// Restore the last state at or before this time, such as 2026-02-03T07:00:00Z
    #[arg(long, value_name = "RFC3339", value_parser = parse_time_ns)]
    #[arg(conflicts_with = "at_position")]
    pub at_time: Option<u64>,

    /// Restore the first N entries: those before position N
    #[arg(long, value_name = "N")]
    pub at_position: Option<u64>,

    /// Restore this recovery point, as `evenkeel points` names it
    #[arg(long, value_name = "ID", conflicts_with_all = ["at_time", "at_position"])]
    pub point: Option<String>,

    /// Of PostgreSQL: restore what was committed up to this position, such as 0/3000148
    #[arg(long, value_name = "LSN", conflicts_with = "at_time")]
    pub at_lsn: Option<String>,

    /// Of PostgreSQL: restore up to this point of pg_create_restore_point
    #[arg(long, value_name = "NAME", conflicts_with_all = ["at_time", "at_lsn"])]
    pub at_point: Option<String>,

    /// Bring back only this file or folder, or postgres:NAME; files may be repeated
    #[arg(long, value_name = "PATH")]
    pub only: Vec<PathBuf>,

    /// Show the followed databases that --only names in this folder (FUSE), at once: queries are
    /// answered while the rest comes; until Ctrl-C or `fusermount3 -u DIR`
    #[arg(long, value_name = "DIR", requires = "only")]
    #[arg(conflicts_with_all = ["at_position", "at_lsn", "at_point", "point", "promote"])]
    #[arg(conflicts_with_all = ["propose", "without_history"])]
    pub lazy: Option<PathBuf>,

    /// With --lazy: end once all of it is back, instead of showing it on
    #[arg(long, requires = "lazy")]
    pub until_whole: bool,

    /// Read the sites as fast as they give, whatever bandwidth the configuration leaves them
    #[arg(long)]
    pub no_limit: bool,

    /// Bring back only what is needed to resume, not the journal's older history
    #[arg(long)]
    pub without_history: bool,

    /// Lineage to restore, by its first digits [default: the one certified last]
    #[arg(long, value_name = "ID")]
    pub lineage: Option<String>,

    /// Do not compare with the newest record that this drill host has seen: accepts a rollback
    #[arg(long)]
    pub without_pin: bool,

    /// Begin a new lineage there, ready for `evenkeel up --home NEW`
    #[arg(long)]
    pub promote: bool,

    /// Of a new lineage, where the root is elsewhere: new file for what it has to sign
    #[arg(long, value_name = "FILE", requires = "promote")]
    pub root_request: Option<PathBuf>,

    /// Vouch that the primary of the old lineage is dead and stays dead, where this host cannot see
    /// it: two that live make two histories
    #[arg(long, requires = "promote")]
    pub attest_primary_dead: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Clone, Default, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: super::DomainArg,

    /// Also open and compare everything, with this identity; without it ciphertext alone is checked
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `repair`.
#[derive(Debug, Clone, Default, Args)]
pub struct RepairArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: super::DomainArg,

    /// Also mend this host's journal from the sites; the identity opens what they hold
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration in effect, as TOML or JSON
    ///
    /// Every path is absolute. Secrets are in files that it names and are never shown.
    #[command(after_help = "Example:\n  EVENKEEL_DASHBOARD_BIND=off evenkeel config show\n\n\
        Exit codes: 0 shown, 2 the file cannot be read, 10 no configuration there")]
    Show(ConfigShowArgs),

    /// Check the rules that start-up enforces, and print each finding
    ///
    /// Two domains that share a key, a credential or a folder, keys on an online site, circles,
    /// limits: each refuses and names both sides. Warnings do not fail the check.
    #[command(after_help = "Example:\n  evenkeel config check --config evenkeel.toml\n\n\
        Exit codes: 0 nothing is refused, 2 something is, 10 no configuration there")]
    Check(ConfigCheckArgs),
}

/// Arguments of `config show`.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigShowArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print the commented reference instead
    #[arg(long, conflicts_with_all = ["environment", "json"])]
    pub reference: bool,

    /// List the variables of the environment and the keys they override instead
    #[arg(long, conflicts_with = "json")]
    pub environment: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `config check`.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigCheckArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Clone, Default, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Clone, Default, Args)]
pub struct ManArgs {
    /// Folder for all pages; without it the main page goes to stdout
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
