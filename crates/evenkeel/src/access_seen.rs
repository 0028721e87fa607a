//! Who opened which key periods when the sites were last looked at: kept on the host, so that
//! `config check` and `status` can tell without reading key objects.

use std::collections::BTreeMap;

use evenkeel_vault::{PeriodAccess, Recipient};
use serde::{Deserialize, Serialize};

use crate::config::{Config, DomainConfig, DomainName, HolderConfig};
use crate::keyfile;
use crate::report::{Report, Result};

const FILE: &str = "recipients-seen.json";

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessSeen {
    /// When, RFC 3339 UTC.
    pub(crate) time: String,
    /// Key periods that something at the sites needs.
    pub(crate) periods: u64,
    /// By recipient: periods that are not wrapped for it.
    pub(crate) closed: BTreeMap<String, u64>,
}

impl AccessSeen {
    /// Counts what is there.
    pub(crate) fn of(time: String, periods: &[PeriodAccess], recipients: &[Recipient]) -> Self {
        let closed = |recipient: &Recipient| {
            let closed = periods.iter().filter(|one| one.opens_for(recipient) == Some(false));
            (recipient.to_string(), closed.count() as u64)
        };
        let closed = recipients.iter().map(closed).collect();
        Self { time, periods: periods.len() as u64, closed }
    }

    /// What was last seen from this host; `None` if nobody has looked.
    pub(crate) fn load(config: &Config, name: DomainName) -> Option<Self> {
        let file = config.host.data.join(name.file(FILE));
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }

    /// Keeps it.
    pub(crate) fn save(&self, config: &Config, name: DomainName) -> Result<()> {
        let path = config.host.data.join(name.file(FILE));
        let part = path.with_extension("json.part");
        let _ = std::fs::remove_file(&part);
        let text = serde_json::to_vec(self).unwrap_or_default();
        keyfile::write_new(&part, &text)?;
        std::fs::rename(&part, &path)
            .map_err(|error| Report::io("keep what was seen of the recipients", &path, &error))
    }

    /// For whom some period is not wrapped, in one sentence.
    pub(crate) fn closed_words(&self, domain: &DomainConfig) -> Option<String> {
        if self.periods == 0 {
            return None;
        }
        let told = domain.recipients.iter().filter_map(|recipient| {
            let closed = self.closed.get(recipient).copied().unwrap_or(self.periods);
            let name = label_of(domain, recipient);
            (closed > 0).then(|| format!("{closed} of {} for {name}", self.periods))
        });
        let told: Vec<String> = told.collect();
        if told.is_empty() {
            return None;
        }
        Some(format!("key periods that are not wrapped for a recipient: {}", told.join(", ")))
    }

    /// What to type then.
    pub(crate) fn next(config: &Config, name: DomainName) -> String {
        let place = match &config.kit {
            Some(kit) => format!("--kit {}", kit.display()),
            None => format!("--config {}", config.file.display()),
        };
        format!(
            "evenkeel recipients rewrap{} --identity {} {place}",
            name.option(),
            name.recovery_identity()
        )
    }
}

/// What people call a recipient.
pub(crate) fn label_of(domain: &DomainConfig, recipient: &str) -> String {
    let same = |holder: &&HolderConfig| holder.recipient == recipient;
    match domain.holders.iter().find(same) {
        Some(holder) => holder.label.clone(),
        None => recipient.chars().take(16).chain(['…']).collect(),
    }
}
