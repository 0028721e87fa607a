//! What differs between two documents, in words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::Document;

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Only in the later.
    Added,
    /// Only in the earlier.
    Removed,
    /// In both, with other values.
    Changed,
}

/// One entry that differs, or one value of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The table, such as `endpoints`.
    pub table: String,
    /// The entry's name.
    pub name: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The value's key; empty if the whole entry came or went.
    pub key: String,
    /// What it was; empty if it was not there.
    pub before: String,
    /// What it is; empty if it is not there.
    pub after: String,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, name, key, before, after, .. } = self;
        let one = table.strip_suffix('s').filter(|_| table != "dns" && table != "tls");
        let one = one.unwrap_or(table);
        match self.kind {
            ChangeKind::Added => write!(f, "{one} {name} is new"),
            ChangeKind::Removed => write!(f, "{one} {name} is gone"),
            ChangeKind::Changed if before.is_empty() => {
                write!(f, "{one} {name}: {key} is now {after}, and was not said")
            }
            ChangeKind::Changed if after.is_empty() => {
                write!(f, "{one} {name}: {key} was {before}, and is not said any more")
            }
            ChangeKind::Changed => write!(f, "{one} {name}: {key} was {before}, is now {after}"),
        }
    }
}

/// Every difference, in order of table, name and key.
#[must_use]
pub fn compare(before: &Document, after: &Document) -> Vec<Change> {
    let (old, new) = (entries(before), entries(after));
    let mut changes = Vec::new();
    let whole = |(table, name): &(String, String), kind| Change {
        table: table.clone(),
        name: name.clone(),
        kind,
        key: String::new(),
        before: String::new(),
        after: String::new(),
    };
    for (id, values) in &old {
        let Some(now) = new.get(id) else {
            changes.push(whole(id, ChangeKind::Removed));
            continue;
        };
        let keys: std::collections::BTreeSet<&String> = values.keys().chain(now.keys()).collect();
        for key in keys.into_iter().filter(|key| values.get(*key) != now.get(*key)) {
            let said = |of: &BTreeMap<String, Value>| of.get(key).map(word).unwrap_or_default();
            let (before, after) = (said(values), said(now));
            changes.push(Change {
                key: key.clone(),
                before,
                after,
                ..whole(id, ChangeKind::Changed)
            });
        }
    }
    let added = new.keys().filter(|id| !old.contains_key(*id));
    changes.extend(added.map(|id| whole(id, ChangeKind::Added)));
    changes.sort();
    changes
}

type Entries = BTreeMap<(String, String), BTreeMap<String, Value>>;

fn entries(document: &Document) -> Entries {
    let mut found = Entries::new();
    let Ok(Value::Object(tables)) = serde_json::to_value(document) else {
        return found;
    };
    for (table, list) in tables {
        for entry in list.as_array().into_iter().flatten().filter_map(Value::as_object) {
            let name = entry.get("name").or_else(|| entry.get("host"));
            let name = name.and_then(Value::as_str).unwrap_or_default().to_owned();
            let values = entry.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            found.insert((table.clone(), name), values);
        }
    }
    found
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
