//! Whether a kit of keys is still of the records of today, and what the host remembers of it.

use sha2::{Digest as _, Sha256};

#[cfg(feature = "whole")]
use super::file_of;
use super::{KeyOfKit, KeysKit, ReadKeysKit, all_keys, described, record};
use crate::cli::{KeysKitCheckArgs, parse_time_ns};
use crate::documents::{KeyFingerprintDocument, KeysKitDocument};
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Report, Result};

const DAY_NS: u64 = 86_400_000_000_000;

/// Whole days since a kit was made.
pub(super) fn age_days(made: &str) -> u64 {
    parse_time_ns(made).map_or(0, |made| record::now_ns().saturating_sub(made) / DAY_NS)
}

/// Runs `keys kit check`.
pub(super) fn run(args: &KeysKitCheckArgs) -> Result<Exit> {
    let ReadKeysKit { kit, intact } = KeysKit::read(&args.file)?;
    let named = records_of(args)?;
    let today = all_keys(&named)?;
    let document = KeysKitDocument {
        action: "check".to_owned(),
        files: vec![args.file.display().to_string()],
        intact,
        changes: differences(&kit, &today),
        ..described(&kit)
    };
    if args.json {
        output::document(&document)?;
    } else {
        let mut results = output::Results::new();
        for change in &document.changes {
            results.line(&format!("  {change}"))?;
        }
        results.line(&format!(
            "keys kit {}, {} days old: {}{}",
            document.kit,
            document.age_days,
            if document.changes.is_empty() { "as new" } else { "not of today" },
            if intact { "" } else { ", and changed after it was made" }
        ))?;
        results.finish()?;
    }
    if !document.changes.is_empty() {
        output::note("next:  evenkeel keys kit --record FILE=NAME … --out DIR   (all of them)");
    }
    Ok(match (intact, document.changes.is_empty()) {
        (false, _) => Exit::Integrity,
        (true, false) => Exit::Partial,
        (true, true) => Exit::Ok,
    })
}

/// The records to compare with: those that were given, or those of the newest kit.
fn records_of(args: &KeysKitCheckArgs) -> Result<Vec<String>> {
    if !args.record.is_empty() {
        return Ok(args.record.clone());
    }
    #[cfg(feature = "whole")]
    if let Some(config) = home(args.home.as_deref())?
        && let Some(newest) = crate::node::newest_keys_kit(&config)
    {
        let named = newest.keys.iter();
        return Ok(named.map(|key| format!("{}={}", key.record.display(), key.name)).collect());
    }
    Err(Report::new(Exit::Usage, "no home here remembers a kit of keys: say what it is to fit")
        .safe("nothing was compared")
        .next("--record FILE=NAME   (each key's record of today, by its name in the kit)"))
}

/// What differs between a kit and the records of today.
fn differences(kit: &KeysKit, today: &[KeyOfKit]) -> Vec<String> {
    let mut found = Vec::new();
    let version = env!("CARGO_PKG_VERSION");
    if kit.version != version {
        let made_by = &kit.version;
        found.push(format!(
            "version of the program: the kit says `{made_by}`, now it is `{version}`"
        ));
    }
    for now in today {
        match kit.keys.iter().find(|key| key.name == now.name) {
            None => found.push(format!("key `{}` is not in the kit", now.name)),
            Some(key) if key.record != now.record => found.push(changed(key, &now.record)),
            Some(_) => {}
        }
    }
    for key in kit.keys.iter().filter(|key| !today.iter().any(|now| now.name == key.name)) {
        found.push(format!("key `{}` of the kit is none of those of today", key.name));
    }
    found
}

fn changed(key: &KeyOfKit, now: &KeyFingerprintDocument) -> String {
    let KeyOfKit { name, record } = key;
    let is_same = record.master_fingerprint == now.master_fingerprint
        && record.recipient == now.recipient
        && record.accounts == now.accounts;
    let cards = |of: &KeyFingerprintDocument| of.set.as_ref().map(|set| set.cards.clone());
    if !is_same {
        format!("key `{name}` is another one now: {}", record::name(now))
    } else if record.generation != now.generation {
        let (old, new) = (record.generation, now.generation);
        format!("key `{name}` was dealt anew: generation {old} in the kit, now {new}")
    } else if cards(record) != cards(now) {
        format!("the cards of `{name}` are others now, or with others, or elsewhere")
    } else {
        format!("the record of `{name}` was made anew")
    }
}

/// Tells a record from another.
pub(super) fn hash(record: &KeyFingerprintDocument) -> String {
    hex(&Sha256::digest(serde_json::to_vec(record).unwrap_or_default()))
}

/// The configuration of the home that was named, or of the one that is here.
#[cfg(feature = "whole")]
fn home(named: Option<&std::path::Path>) -> Result<Option<crate::config::Config>> {
    let place = crate::cli::Place { home: named.map(Into::into), ..Default::default() };
    if named.is_none() && !place.file().exists() {
        return Ok(None);
    }
    place.load().map(Some)
}

/// Has the home remember the kit, where there is one.
#[cfg(feature = "whole")]
pub(super) fn remember(
    args: &crate::cli::KeysKitArgs,
    kit: &KeysKit,
    files: &[std::path::PathBuf],
) -> Result<()> {
    use crate::node::{NewestKeysKit, RememberedKey};

    let Some(config) = home(args.home.as_deref())? else { return Ok(()) };
    let absolute = |path: &std::path::Path| std::path::absolute(path).unwrap_or_default();
    let keys = args.record.iter().zip(&kit.keys).map(|(named, key)| RememberedKey {
        name: key.name.clone(),
        record: absolute(file_of(named).0),
        sha256: hash(&key.record),
    });
    let newest = NewestKeysKit {
        made: kit.made.clone(),
        version: kit.version.clone(),
        files: files.iter().map(|file| absolute(file)).collect(),
        keys: keys.collect(),
    };
    newest.remember(&config)
}

/// The hash of a record as it is now; `None` if it is not there, or none.
#[cfg(feature = "whole")]
pub(crate) fn record_hash(file: &std::path::Path) -> Option<String> {
    record::read(file).ok().map(|record| hash(&record))
}
