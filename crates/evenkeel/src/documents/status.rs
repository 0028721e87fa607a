//! What is going on now.

use serde::{Deserialize, Serialize};

use super::{DrillLevel, FailoverDocument, NetworkCheckDocument, Outcome, ProtectedDocument};

/// `status --json` and `/api/status`: the state of everything protected, as of `time`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "status")]
pub struct StatusDocument {
    /// When this was true, RFC 3339 UTC.
    pub time: String,
    /// Version of the program.
    pub version: String,
    /// The home folder.
    pub home: String,
    /// What this process is: `primary`, `standby`, `keeper`, or `desk` without a venue; empty for
    /// a folder at rest.
    pub role: String,
    /// Whether this is the embedded demonstration.
    pub demonstration: bool,
    /// Security domain described here (`state`).
    pub domain: String,
    /// Lineage, hex: a restore that went live starts a new one.
    pub lineage: String,
    /// Time since this process started; `null` when no daemon runs.
    pub uptime_seconds: Option<f64>,
    /// Whether a daemon runs, or the folder was read at rest.
    pub running: bool,
    /// What the venue admits.
    pub mode: ModeName,
    /// Why it admits no more than that, when it is not `normal`.
    pub mode_cause: Option<String>,
    /// The journal.
    pub journal: JournalDocument,
    /// The engine.
    pub engine: EngineDocument,
    /// The continuous copy of the journal's tail to the sites.
    pub tail: TailDocument,
    /// The erasure code in force.
    pub erasure: ErasureDocument,
    /// Recovery points.
    pub recovery_points: PointsSummaryDocument,
    /// Sites, in configured order.
    pub sites: Vec<SiteDocument>,
    /// The last drill of any level and any result.
    pub last_drill: Option<LastDrillDocument>,
    /// The last drill that proved a restore (result ok at D3 or D4).
    pub last_proven_restore: Option<ProvenRestoreDocument>,
    /// Seconds until the next scheduled drill; `null` when none is scheduled.
    pub next_drill_seconds: Option<f64>,
    /// Time between scheduled drills; `null` when none is scheduled.
    pub drill_interval_seconds: Option<f64>,
    /// Seconds until the next recovery point is due; `null` when unknown.
    pub next_point_seconds: Option<f64>,
    /// Files and databases that this home protects, each as a source of its own.
    pub protected: Vec<ProtectedDocument>,
    /// What was last measured of the network; `null` where none is configured, or before.
    pub network: Option<NetworkCheckDocument>,
    /// What waits for approvers; `null` before the sites were asked.
    pub approvals: Option<PendingApprovalsDocument>,
    /// The sites of the network's versions; empty without such a domain, or before.
    #[serde(default)]
    pub network_sites: Vec<SiteDocument>,
    /// The standbys that this primary serves; of a standby, itself.
    pub standbys: Vec<StandbyDocument>,
    /// The last change of the primary that this keeper's clients went through.
    pub last_failover: Option<FailoverDocument>,
    /// How many they went through.
    pub failovers: u64,
    /// What only the running program can know: a crash found at start, a stepped wall clock, an
    /// unconfirmed tail, a reserve segment in use. Worst first.
    pub conditions: Vec<ConditionDocument>,
}

/// A standby.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StandbyDocument {
    /// What people call it.
    pub name: String,
    /// First position that it has not applied.
    pub position: u64,
    /// Durable entries that it has not applied.
    pub lag_entries: u64,
    /// How long it has been behind.
    pub lag_seconds: f64,
    /// Everything before this position gave the same output there.
    pub agreed_position: u64,
    /// `following`, or what keeps it from that.
    pub state: String,
    /// Whether it may take over.
    pub promotable: bool,
}

/// What a venue admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModeName {
    /// Recovering or starting: nothing is admitted yet.
    #[default]
    Starting,
    /// Everything.
    Normal,
    /// Cancels and withdrawals.
    CancelOnly,
    /// Orders gather without trading until the opening call.
    Auction,
    /// Orders that shrink positions.
    ReduceOnly,
    /// Withdrawals.
    WithdrawOnly,
    /// Only the operator.
    Halted,
}

impl ModeName {
    /// The word of the JSON documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Normal => "normal",
            Self::CancelOnly => "cancel-only",
            Self::Auction => "auction",
            Self::ReduceOnly => "reduce-only",
            Self::WithdrawOnly => "withdraw-only",
            Self::Halted => "halted",
        }
    }
}

impl From<evenkeel_types::Mode> for ModeName {
    fn from(mode: evenkeel_types::Mode) -> Self {
        match mode {
            evenkeel_types::Mode::Normal => Self::Normal,
            evenkeel_types::Mode::Auction => Self::Auction,
            evenkeel_types::Mode::ReduceOnly => Self::ReduceOnly,
            evenkeel_types::Mode::CancelOnly => Self::CancelOnly,
            evenkeel_types::Mode::WithdrawOnly => Self::WithdrawOnly,
            evenkeel_types::Mode::Halted => Self::Halted,
        }
    }
}

/// The journal of this host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct JournalDocument {
    /// Entries written: the next entry gets this position.
    pub position: u64,
    /// Entries below this are durable on this host and may be acknowledged.
    pub durable_position: u64,
    /// Fencing number of the primary.
    pub term: u64,
    /// Entries per second over the last few seconds.
    pub entries_per_second: f64,
    /// Bytes of the journal on this host.
    pub bytes: u64,
    /// RFC 6962 root over the entries below `durable_position`, hex; `null` until computed.
    pub journal_root: Option<String>,
    /// Latency of an acknowledgement, 99th percentile of the last few seconds.
    pub ack_p99_seconds: Option<f64>,
    /// The last time that everything in it was read again, to find what the disk has lost.
    pub scrub: ScrubDocument,
}

/// The last whole reading of the journal since the daemon started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScrubDocument {
    /// When it ended, RFC 3339 UTC; `null` before the first.
    pub last_finished: Option<String>,
    /// How long ago that was; `null` before the first.
    pub age_seconds: Option<f64>,
    /// Bytes of entries and their frames that were read.
    pub bytes: u64,
    /// Damaged places that concern entries.
    pub problems: u64,
}

/// The engine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EngineDocument {
    /// Digest chain over its events, hex.
    pub output_digest: String,
    /// Orders resting in all books.
    pub open_orders: u64,
    /// Accounts.
    pub accounts: u64,
    /// Instruments listed.
    pub instruments: u64,
    /// Trades since the beginning of the lineage.
    pub trades: u64,
    /// Liquidations begun since the daemon started.
    pub liquidations: u64,
    /// Accounts being liquidated, or waiting for it.
    pub in_liquidation: u64,
    /// Rules that the engine applies: 1, or 2 with margin.
    pub rules: u32,
    /// The highest volatility index of an underlying, in percent a year.
    pub volatility_index: Option<String>,
    /// What the insurance fund is worth, in the currency that adds up margin.
    pub insurance_fund: Option<String>,
    /// Entries the follower has applied; it takes the snapshots.
    pub follower_position: Option<u64>,
    /// Whether primary and follower agreed at the last compared digest; `null` before the first.
    pub digests_agree: Option<bool>,
}

/// How the end of the journal stands to what the sites hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TailState {
    /// The sites hold no more than this host does.
    Confirmed,
    /// No site could be asked: entries may exist that this host lost.
    #[default]
    Unconfirmed,
    /// Shipping is switched off or cannot go on.
    Stopped,
}

/// The continuous copy of the tail.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TailDocument {
    /// Comparison of this journal's end with what the sites hold.
    pub state: TailState,
    /// Entries below this can be restored from the sites alone (on at least k of them).
    pub shipped_position: u64,
    /// When the last tail object or heartbeat reached the sites, RFC 3339 UTC.
    pub last_shipped_time: Option<String>,
    /// What would be lost if this host vanished now.
    pub rpo: SitesRpoDocument,
    /// Bytes waiting on this host for a site.
    pub spool_bytes: u64,
    /// Bound of the spool; beyond it the venue goes cancel-only. `null` when not bounded.
    pub spool_limit_bytes: Option<u64>,
}

/// Recovery point objective as measured at the sites.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SitesRpoDocument {
    /// Age of the oldest acknowledged entry not on enough sites; 0 when all are.
    pub seconds: f64,
    /// Number of such entries.
    pub entries: u64,
    /// What was promised; above it is an alarm.
    pub target_seconds: f64,
}

/// Reed–Solomon parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ErasureDocument {
    /// Shards that suffice to read (k).
    pub data_shards: u64,
    /// Sites that hold one shard each (n).
    pub total_shards: u64,
}

/// Recovery points in short; `points --json` has them all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PointsSummaryDocument {
    /// How many can be listed.
    pub count: u64,
    /// Smallest margin among them; `null` when there is none.
    pub margin_min: Option<i64>,
    /// The newest.
    pub latest: Option<LatestPointDocument>,
}

/// The newest recovery point.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LatestPointDocument {
    /// Its id.
    pub id: String,
    /// Position it restores.
    pub position: u64,
    /// When it was taken, RFC 3339 UTC.
    pub time: String,
    /// How long ago that is.
    pub age_seconds: f64,
    /// State root at the position, hex.
    pub state_root: String,
    /// Sites that may still be lost: verified shards − k. Negative: cannot be restored now.
    pub margin: i64,
}

/// What a site's class promises about deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteClass {
    /// Versioning and object lock.
    Immutable,
    /// Refuses overwrite and delete.
    AppendOnly,
    /// Whoever holds the credential can delete.
    #[default]
    Mutable,
}

impl From<evenkeel_vault::SiteClass> for SiteClass {
    fn from(class: evenkeel_vault::SiteClass) -> Self {
        match class {
            evenkeel_vault::SiteClass::Immutable => Self::Immutable,
            evenkeel_vault::SiteClass::AppendOnly => Self::AppendOnly,
            evenkeel_vault::SiteClass::Mutable => Self::Mutable,
        }
    }
}

impl SiteClass {
    /// The word of the JSON documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Immutable => "immutable",
            Self::AppendOnly => "append-only",
            Self::Mutable => "mutable",
        }
    }
}

/// How a site is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteState {
    /// Answers, and holds what it should.
    Healthy,
    /// Answers, and has yet to receive something.
    Behind,
    /// Answers, and holds something wrong or lacks something it had.
    Damaged,
    /// Does not answer.
    Down,
    /// Not asked yet.
    #[default]
    Unknown,
}

impl SiteState {
    /// The word of the JSON documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Behind => "behind",
            Self::Damaged => "damaged",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// One site.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SiteDocument {
    /// Its configured name.
    pub name: String,
    /// Where it is: a folder or an address, without credentials.
    pub location: String,
    /// What it promises about deletion.
    pub class: SiteClass,
    /// How it is doing.
    pub state: SiteState,
    /// Why, when it is not healthy.
    pub detail: Option<String>,
    /// How far it is behind the durable journal; `null` when that is not known.
    pub behind_seconds: Option<f64>,
    /// Bytes it holds of ours; `null` when it does not answer.
    pub bytes: Option<u64>,
    /// Objects it holds of ours; `null` when not counted.
    pub objects: Option<u64>,
}

/// The last drill of any level.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LastDrillDocument {
    /// How it ended.
    pub result: Outcome,
    /// Its level.
    pub level: DrillLevel,
    /// From the moment the identity was present until every check had passed; `null` when the
    /// drill did not get that far.
    pub rto_seconds: Option<f64>,
    /// How long ago it ended.
    pub age_seconds: f64,
    /// First check that did not pass, in words; `null` when all did.
    pub detail: Option<String>,
}

/// The last restore that was proven.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProvenRestoreDocument {
    /// Level, D3 or D4.
    pub level: DrillLevel,
    /// When it ended, RFC 3339 UTC.
    pub time: String,
    /// How long ago that is: the headline figure.
    pub age_seconds: f64,
    /// How long it took.
    pub rto_seconds: f64,
    /// Recovery point it started from.
    pub recovery_point: String,
    /// Position it restored.
    pub position: u64,
}

/// How much a condition matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something is lost or unprotected now.
    Critical,
    /// Protection is thinner than configured.
    Warning,
    /// Worth knowing.
    #[default]
    Notice,
}

impl Severity {
    /// The word of the JSON documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// What waits for approvers, or for a delay.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PendingApprovalsDocument {
    /// Actions and deletion plans.
    pub pending: u64,
    /// How long ago the oldest of them was proposed; `null` without any.
    pub oldest_pending_seconds: Option<f64>,
}

/// Something a person should know, with what is safe and what to type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConditionDocument {
    /// Stable name, snake case: `site_down`, `drill_failed`, `tail_unconfirmed`, ….
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// What happened, in one sentence.
    pub message: String,
    /// What is safe, and what is lost.
    pub safe: String,
    /// The next command to type; empty when there is nothing to do.
    pub next: String,
}
