//! What a host remembers of its newest kit of keys, so that it can tell when it is stale.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{STALE_DAYS, age_days, keep};
use crate::config::Config;
use crate::documents::{ConditionDocument, Severity};
use crate::keys_cmd::record_hash;
use crate::report::Result;

const FILE: &str = "newest-keys-kit.json";

/// The newest kit of keys. Neither a secret nor an address is in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct NewestKeysKit {
    /// When it was made, RFC 3339 UTC.
    pub(crate) made: String,
    /// Version of the program that made it.
    pub(crate) version: String,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) keys: Vec<RememberedKey>,
}

/// A key of that kit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RememberedKey {
    /// What it is for.
    pub(crate) name: String,
    /// Where its record was read.
    pub(crate) record: PathBuf,
    /// Of the record in the kit.
    pub(crate) sha256: String,
}

impl NewestKeysKit {
    /// Writes it down.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn remember(&self, config: &Config) -> Result<()> {
        if !config.host.data.is_dir() {
            return Ok(());
        }
        keep(&config.host.data.join(FILE), &serde_json::to_vec(self).unwrap_or_default())
    }

    /// What makes it stale. A record that is not there now, as on a stick that is not plugged in,
    /// tells nothing.
    fn changes(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.version != env!("CARGO_PKG_VERSION") {
            found.push(format!("it was made by version {} of the program", self.version));
        }
        let is_other =
            |key: &&RememberedKey| record_hash(&key.record).is_some_and(|now| now != key.sha256);
        let others = self.keys.iter().filter(is_other);
        found.extend(others.map(|key| format!("the record of `{}` is another now", key.name)));
        found
    }
}

/// What this host remembers.
pub(crate) fn newest(config: &Config) -> Option<NewestKeysKit> {
    serde_json::from_slice(&std::fs::read(config.host.data.join(FILE)).ok()?).ok()
}

/// What `status` and `config check` say of the newest kit of keys, if anything is to be said.
pub(crate) fn stale_words(config: &Config) -> Option<String> {
    let newest = newest(config)?;
    let changes = newest.changes();
    let days = age_days(&newest.made);
    match changes.split_first() {
        Some((first, rest)) => Some(format!(
            "the newest kit of keys ({days} days old) is not of today: {first}{}",
            if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) }
        )),
        None if days >= STALE_DAYS => Some(format!("the newest kit of keys is {days} days old")),
        None => None,
    }
}

/// What to type then.
pub(crate) fn next(config: &Config) -> String {
    let newest = newest(config).unwrap_or_default();
    let record = |key: &RememberedKey| format!(" --record '{}={}'", key.record.display(), key.name);
    let records: String = newest.keys.iter().map(record).collect();
    format!("evenkeel keys kit{records} --out DIR --home {}", config.home().display())
}

pub(super) fn condition(config: &Config) -> Option<ConditionDocument> {
    Some(ConditionDocument {
        kind: "keys_kit_stale".to_owned(),
        severity: Severity::Warning,
        message: stale_words(config)?,
        safe: "nothing is lost; whoever has only that kit may call the wrong people".to_owned(),
        next: next(config),
    })
}
