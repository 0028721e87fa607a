//! Records of keys in the network's versions: what is captured of them, brought back, and told.

use evenkeel_capture::network::{Change, ChangeKind, Document, KeyEntry};
use evenkeel_vault::{Opener, PointInfo};

use super::RECORDS_ROOT;
use crate::documents::{
    ConditionDocument, NetworkKeyDocument, NetworkShareDrillDocument, Outcome, Severity,
    ShareDrillState,
};
use crate::keys_cmd::{CardDrill, Facts, KeptRecord, NotKept};
use crate::report::{Exit, Report, Result};

/// In front of a key's name, among a version's sources.
pub(super) const RECORD_PREFIX: &str = "record:";
/// Likewise, of the log of drills of its cards.
pub(super) const DRILLS_PREFIX: &str = "drills:";
/// Most of a log of drills that a version keeps: its end says what is needed.
const LOG_BYTES_MAX: usize = 4 << 20;
const DAY_NS: u64 = 86_400_000_000_000;

/// A record that is captured.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) name: String,
    /// As it was written.
    pub(super) text: String,
    pub(super) record: KeptRecord,
    /// What of the log proves something.
    pub(super) drills: String,
}

/// What there is of every key, and what is said of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    pub(super) kept: Vec<Kept>,
    pub(super) told: Vec<NetworkKeyDocument>,
}

impl Records {
    /// Reads the records that a document names; its paths are absolute.
    pub(super) fn read(document: &Document) -> Self {
        let mut records = Self::default();
        for entry in &document.keys {
            let mut told = NetworkKeyDocument {
                name: entry.name.clone(),
                record: entry.record.display().to_string(),
                stale_days: entry.stale_days,
                ..NetworkKeyDocument::default()
            };
            match KeptRecord::read(&entry.record) {
                Ok((text, record)) => {
                    tell(entry, &record, &mut told);
                    let drills = drills(entry, &record);
                    let name = entry.name.clone();
                    records.kept.push(Kept { name, text, record, drills });
                }
                Err(NotKept::Secret(what)) => {
                    told.secret = true;
                    told.error = Some(format!(
                        "it holds {what}: not taken; move it away, and treat it as seen"
                    ));
                }
                Err(NotKept::NoRecord(why)) => told.error = Some(format!("not taken: {why}")),
            }
            records.told.push(told);
        }
        records
    }

    /// What could not be taken.
    pub(super) fn problems(&self) -> Vec<String> {
        let of = |key: &NetworkKeyDocument| {
            Some(format!("record of key {}: {}: {}", key.name, key.record, key.error.as_ref()?))
        };
        self.told.iter().filter_map(of).collect()
    }
}

/// What follows for the whole from what is said of keys.
pub(super) fn outcome(keys: &[NetworkKeyDocument]) -> Outcome {
    if keys.iter().any(|key| key.secret) {
        Outcome::Failed
    } else if keys.iter().any(|key| key.error.is_some() || key.cards_due > 0) {
        Outcome::Unproven
    } else {
        Outcome::Ok
    }
}

fn tell(entry: &KeyEntry, record: &KeptRecord, told: &mut NetworkKeyDocument) {
    told.kind = record.kind().to_owned();
    told.generation = Some(record.generation());
    match record.cards(entry.drill_log.as_deref(), entry.stale_days) {
        Ok(cards) => {
            told.cards = cards.iter().map(|card| card_document(card, entry.stale_days)).collect();
            told.cards_due = told.cards.iter().filter(|card| card.due).count() as u64;
        }
        Err(report) => told.error = Some(format!("its log of drills: {}", report.message())),
    }
}

fn card_document(drill: &CardDrill, stale_days: u64) -> NetworkShareDrillDocument {
    let card = &drill.card;
    NetworkShareDrillDocument {
        card: format!("{}.{}", card.group, card.member),
        holder: card.holder.clone(),
        place: card.place.clone(),
        last_drill: card.last_drill.clone(),
        age_seconds: std::time::Duration::from_nanos(drill.age_ns).as_secs_f64(),
        never: card.state == ShareDrillState::Never,
        due: drill.age_ns / DAY_NS > stale_days,
    }
}

/// The kinds of [`conditions`].
pub(super) const KINDS: [&str; 3] =
    ["network_key_secret", "network_key_record", "share_drill_stale"];

/// What a person should know of keys.
pub(super) fn conditions(keys: &[NetworkKeyDocument]) -> Vec<ConditionDocument> {
    let wrong = |secret: bool| -> Vec<String> {
        let wrong = keys.iter().filter(|key| key.error.is_some() && key.secret == secret);
        wrong.map(|key| format!("{} ({})", key.name, key.record)).collect()
    };
    let cards = keys.iter().flat_map(|key| key.cards.iter().map(move |card| (key, card)));
    let due: Vec<String> = cards
        .filter(|(_, card)| card.due)
        .map(|(key, card)| format!("{}, {}", key.name, due_words(card)))
        .collect();
    let [secret, record, stale] = KINDS;
    let told = [
        (
            (secret, Severity::Critical, wrong(true)),
            "what is named as the record of a key holds a secret",
            ("it was not taken, and nothing of it is at a site", "evenkeel network check"),
        ),
        (
            (record, Severity::Warning, wrong(false)),
            "the record of a key cannot be kept",
            ("versions have the others, and earlier ones what they had", "evenkeel network check"),
        ),
        (
            (stale, Severity::Critical, due),
            "nobody knows whether cards are still good",
            (
                "whatever the other cards bring back; nothing was changed",
                "evenkeel keys drill prove --share CARD --fingerprint RECORD --log DRILLS   (by \
                 its holder)",
            ),
        ),
    ];
    let condition = |((kind, severity, names), what, (safe, next)): (_, &str, (&str, &str))| {
        let (kind, severity, names): (&str, Severity, Vec<String>) = (kind, severity, names);
        (!names.is_empty()).then(|| ConditionDocument {
            kind: kind.to_owned(),
            severity,
            message: format!("{what}: {}", names.join("; ")),
            safe: safe.to_owned(),
            next: next.to_owned(),
        })
    };
    told.into_iter().filter_map(condition).collect()
}

/// A card that is due, for people.
pub(super) fn due_words(card: &NetworkShareDrillDocument) -> String {
    let days = std::time::Duration::from_secs_f64(card.age_seconds).as_secs() / 86_400;
    let since = match card.never {
        true => format!("never drilled in the {days} days since its record was made"),
        false => format!("last drilled {days} days ago"),
    };
    let of = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
    format!("card {} of {} @ {}: {since}", card.card, of(&card.holder), of(&card.place))
}

fn drills(entry: &KeyEntry, record: &KeptRecord) -> String {
    let log = entry.drill_log.as_ref().and_then(|log| std::fs::read_to_string(log).ok());
    let log = log.unwrap_or_default();
    let mut begin = log.len().saturating_sub(LOG_BYTES_MAX);
    while !log.is_char_boundary(begin) {
        begin += 1;
    }
    record.proofs(&log[begin..])
}

/// The hash of records, in order of their keys' names; `None` where there are none.
pub(super) fn hash<'k>(records: impl Iterator<Item = (&'k str, &'k [u8])>) -> Option<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_derive_key("evenkeel 2026 records of keys");
    let mut any = false;
    for (name, text) in records {
        any = true;
        for part in [name.as_bytes(), text] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
    }
    any.then(|| *hasher.finalize().as_bytes())
}

/// As [`hash`], of what was read.
pub(super) fn hash_of(kept: &[Kept]) -> Option<[u8; 32]> {
    hash(kept.iter().map(|one| (one.name.as_str(), one.text.as_bytes())))
}

/// Hash of a version's records, as it was signed.
pub(super) fn signed_hash(point: &PointInfo) -> Option<[u8; 32]> {
    point.roots.iter().find(|root| root.name == RECORDS_ROOT).map(|root| root.hash)
}

/// The records of a version, compared with what was signed.
///
/// # Errors
/// [`Exit::Integrity`] if they are others.
pub(super) fn open(opener: &Opener, point: &PointInfo) -> Result<Vec<Kept>> {
    let refuse = |what: &str| {
        Report::new(Exit::Integrity, format!("version {}: {what}", point.position))
            .at(point.id.to_string())
            .safe("nothing of it was used")
            .next("evenkeel network versions   (an earlier one may serve)")
    };
    let content = opener.content(point.id)?;
    let read = |source: &str| -> Result<String> {
        let mut bytes = Vec::new();
        opener.read_content(&content, source, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| refuse("a record of a key is no text"))
    };
    let sources: Vec<String> = content.sources().map(|source| source.name).collect();
    let mut kept = Vec::new();
    for source in &sources {
        let Some(name) = source.strip_prefix(RECORD_PREFIX) else { continue };
        let text = read(source)?;
        let record = KeptRecord::parse(&text).map_err(|_| refuse("a record of a key is none"))?;
        let log = format!("{DRILLS_PREFIX}{name}");
        let drills = if sources.contains(&log) { read(&log)? } else { String::new() };
        kept.push(Kept { name: name.to_owned(), text, record, drills });
    }
    kept.sort_by(|a, b| a.name.cmp(&b.name));
    if hash_of(&kept) != signed_hash(point) {
        return Err(refuse("its records of keys are not those that were signed"));
    }
    Ok(kept)
}

/// What differs between the records of two versions, in words; keys that are in one alone are told
/// by the document.
pub(super) fn compare(before: &[Kept], after: &[Kept]) -> Vec<Change> {
    let mut changes = Vec::new();
    for old in before {
        let Some(new) = after.iter().find(|new| new.name == old.name) else { continue };
        changes.extend(of_key(&old.name, &old.record.facts(), &new.record.facts()));
    }
    changes
}

fn of_key(key: &str, before: &Facts, after: &Facts) -> Vec<Change> {
    let mut changes = Vec::new();
    let change = |who: &str, kind| Change {
        table: "keys".to_owned(),
        name: if who.is_empty() { key.to_owned() } else { format!("{key}, holder {who}") },
        kind,
        key: String::new(),
        before: String::new(),
        after: String::new(),
    };
    for (who, old) in before {
        let Some(new) = after.get(who) else {
            changes.push(change(who, ChangeKind::Removed));
            continue;
        };
        let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for name in names.into_iter().filter(|name| old.get(*name) != new.get(*name)) {
            let said = |of: Option<&String>| of.cloned().unwrap_or_default();
            changes.push(Change {
                key: (*name).to_owned(),
                before: said(old.get(*name)),
                after: said(new.get(*name)),
                ..change(who, ChangeKind::Changed)
            });
        }
    }
    let new = after.keys().filter(|who| !before.contains_key(*who));
    changes.extend(new.map(|who| change(who, ChangeKind::Added)));
    changes
}
