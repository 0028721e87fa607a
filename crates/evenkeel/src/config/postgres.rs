//! `[[postgres]]`: PostgreSQL clusters that are captured as a standby would be fed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// When the server is told that its log is flushed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    /// Once it is durable on this host.
    #[default]
    Spool,
    /// Once the sites hold it in a recovery point.
    Sites,
}

/// What happens to commits that wait, while the sites do not confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnOutage {
    /// They wait.
    #[default]
    Block,
    /// After a while this host's disk has to do.
    Degrade,
}

/// One of `[[postgres]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresConfig {
    /// What it is called here: `restore --only postgres:NAME`.
    pub name: String,
    /// Where the server is, and as which role.
    pub url: String,
    /// Holds the role's password, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The physical replication slot.
    pub slot: String,
    /// When the server is told that its log is flushed.
    pub confirm: Confirm,
    /// With `sites`: how many more sites may be lost, at least, for a point to confirm.
    pub margin_min: i64,
    /// With `sites`: what commits do that wait, while none confirm.
    pub on_outage: OnOutage,
    /// After how long without a confirmation `degrade` begins.
    pub outage_seconds: u64,
    /// A base backup this often.
    pub base_every_hours: u64,
    /// How many base backups stay, with the log behind the oldest.
    pub bases_keep: usize,
    /// Beyond this the log stays on the server.
    pub spool_limit_bytes: u64,
    /// How old the sites' copy may be, in seconds; beyond it is an alarm.
    pub rpo_seconds: u64,
    /// How long a drill may take until a server has recovered it, in seconds.
    pub rto_seconds: u64,
    /// Who may do everything in the restored copy that a drill starts.
    pub superuser: String,
    /// Queries of the drill in the URL's database; each has to give one `true`.
    pub checks: Vec<String>,
    /// Where the server's programs are, for drills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programs: Option<PathBuf>,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            password_file: None,
            slot: "evenkeel".to_owned(),
            confirm: Confirm::Spool,
            margin_min: 0,
            on_outage: OnOutage::Block,
            outage_seconds: 30,
            base_every_hours: 24,
            bases_keep: 2,
            spool_limit_bytes: 64 << 30,
            rpo_seconds: 120,
            rto_seconds: 3_600,
            superuser: "postgres".to_owned(),
            checks: Vec::new(),
            programs: None,
        }
    }
}
