//! `[drill]` and `[[drill.checks]]`: restores that are timed, and what has to be true of them.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

/// How much a drill proves.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
pub enum DrillLevel {
    /// Ciphertext audit, without any key.
    #[value(name = "D1", alias = "d1")]
    D1,
    /// On the writer host: what the current key opens.
    #[value(name = "D2", alias = "d2")]
    D2,
    /// On the drill host, with its own recipient and read-only access: any period.
    #[default]
    #[value(name = "D3", alias = "d3")]
    D3,
    /// With the recovery identity, or its quorum.
    #[value(name = "D4", alias = "d4")]
    D4,
}

impl std::fmt::Display for DrillLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// `[drill]`: restores that are timed and checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrillConfig {
    /// Folder of the drill host: scratch, history, its keys.
    pub home: PathBuf,
    /// The drill host's own identity.
    pub identity_file: PathBuf,
    /// A drill this often. 0: only when asked for.
    pub every_seconds: u64,
    /// How much it proves.
    pub level: DrillLevel,
    /// How many reports stay.
    pub history_keep: u32,
    /// What the drill host signs its reports with.
    pub report_key_file: PathBuf,
    /// The public half, 64 hexadecimal digits: reports of anybody else do not count.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub report_public_key: String,
    /// Where restores are laid out, best in memory; none: in the drill host's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch: Option<PathBuf>,
    /// Whether what lies there is encrypted with a key that ends with the drill, where it is not in
    /// memory.
    pub scratch_encrypted: bool,
    /// Whether rows that break a foreign key of a restored SQLite database fail the drill.
    pub foreign_keys: bool,
    /// What has to be true of what came back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<DrillCheckConfig>,
}

impl Default for DrillConfig {
    fn default() -> Self {
        Self {
            home: "drill-host".into(),
            identity_file: "drill-host/drill-identity.txt".into(),
            every_seconds: 60,
            level: DrillLevel::D3,
            history_keep: 500,
            report_key_file: "drill-host/report.key".into(),
            report_public_key: String::new(),
            scratch: None,
            scratch_encrypted: false,
            foreign_keys: true,
            checks: Vec::new(),
        }
    }
}

/// One of `[[drill.checks]]`: an SQL assertion (`sql`), a file (`path`) or a program (`command`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrillCheckConfig {
    /// What it is called in reports.
    pub name: String,
    /// Whom to ask: the path of a SQLite database, or `postgres:NAME`. A command with
    /// `postgres:NAME` runs while that server does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Database of the PostgreSQL server; empty: the one in the URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub database: String,
    /// One query. Without `expect`, `min`, `max` and `no_rows` its first value has to be true.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sql: String,
    /// What the first value of the first row is.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    pub expect: Option<String>,
    /// The first value is a number, and at least this.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    pub min: Option<String>,
    /// The first value is a number, and at most this.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    pub max: Option<String>,
    /// The query finds nothing.
    #[serde(skip_serializing_if = "is_off")]
    pub no_rows: bool,
    /// A protected file or folder, as it was called on the protected machine.
    #[serde(skip_serializing_if = "is_unset")]
    pub path: PathBuf,
    /// It must not be there.
    #[serde(skip_serializing_if = "is_off")]
    pub absent: bool,
    /// SHA-256 of the file, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// It has at least so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<u64>,
    /// It has at most so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// It was last changed at least so long before the recovery point, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_age_seconds: Option<u64>,
    /// It was last changed at most so long before the recovery point, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
    /// A program and its arguments; it has to end with exit code 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// How long the query or the program may take, in seconds.
    pub timeout_seconds: u64,
    /// Whether the program may reach networks.
    #[serde(skip_serializing_if = "is_off")]
    pub network: bool,
}

impl Default for DrillCheckConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            source: String::new(),
            database: String::new(),
            sql: String::new(),
            expect: None,
            min: None,
            max: None,
            no_rows: false,
            path: PathBuf::new(),
            absent: false,
            sha256: String::new(),
            min_bytes: None,
            max_bytes: None,
            min_age_seconds: None,
            max_age_seconds: None,
            command: Vec::new(),
            timeout_seconds: 60,
            network: false,
        }
    }
}

impl DrillCheckConfig {
    /// The name of the PostgreSQL cluster it is about.
    #[must_use]
    pub fn postgres(&self) -> Option<&str> {
        self.source.strip_prefix("postgres:")
    }
}

fn is_off(flag: &bool) -> bool {
    !flag
}

fn is_unset(path: &std::path::Path) -> bool {
    path.as_os_str().is_empty()
}

/// A value as people write it: `42`, `"42.5"`, `true`.
fn scalar<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scalar {
        Text(String),
        Integer(i64),
        Flag(bool),
    }
    Ok(Some(match Scalar::deserialize(from)? {
        Scalar::Text(text) => text,
        Scalar::Integer(number) => number.to_string(),
        Scalar::Flag(flag) => flag.to_string(),
    }))
}
