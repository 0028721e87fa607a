//! What is known of each source that is protected: files, databases.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use super::super::observed::lock;
use super::super::status::age_seconds;
use crate::cli::format_time_ns;
use crate::documents::{
    DrillDocument, Outcome, ProtectedDocument, ProvenSourceDocument, SourceGapDocument, SourceKind,
    SourceState,
};

/// The source that all files and folders are together.
pub(crate) const FILES: &str = "files";

/// One source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) kind: SourceKind,
    pub(crate) recovery_point: Option<String>,
    /// All that was in it at this moment is at enough sites: nanoseconds since 1970 UTC.
    pub(crate) complete_ns: Option<u64>,
    pub(crate) target: Duration,
    pub(crate) margin: Option<i64>,
    /// Intervals that cannot be brought back.
    pub(crate) gaps: Vec<SourceGapDocument>,
    /// What happens to it now cannot be brought back.
    pub(crate) unprotected: bool,
    pub(crate) detail: Option<String>,
}

/// All of them, by name.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<BTreeMap<String, Source>>);

impl Sources {
    /// Changes what is known of one.
    pub(crate) fn note(&self, name: &str, change: impl FnOnce(&mut Source)) {
        change(lock(&self.0).entry(name.to_owned()).or_default());
    }

    /// Whether it is a database that is followed as it changes.
    pub(crate) fn is_followed(&self, path: &Path) -> bool {
        let all = lock(&self.0);
        path.to_str().and_then(|name| all.get(name)).is_some_and(|source| {
            source.kind == SourceKind::Sqlite && !source.unprotected && source.complete_ns.is_some()
        })
    }

    /// Whether something of any of them can be brought back: of the network, or of the others.
    pub(crate) fn can_be_drilled(&self, of_network: bool) -> bool {
        let asked = |source: &&Source| (source.kind == SourceKind::Network) == of_network;
        lock(&self.0).values().filter(asked).any(|source| source.recovery_point.is_some())
    }

    /// Intervals of any of them that cannot be brought back.
    pub(crate) fn gaps(&self) -> Vec<SourceGapDocument> {
        lock(&self.0).values().flat_map(|source| source.gaps.iter().cloned()).collect()
    }

    /// What people and programs are told.
    pub(crate) fn documents(
        &self,
        now_ns: u64,
        drills: &[DrillDocument],
    ) -> Vec<ProtectedDocument> {
        let all = lock(&self.0);
        all.iter().map(|(name, source)| document(name, source, now_ns, drills)).collect()
    }
}

fn document(
    name: &str,
    source: &Source,
    now_ns: u64,
    drills: &[DrillDocument],
) -> ProtectedDocument {
    let age = source.complete_ns.map(|at| Duration::from_nanos(now_ns.saturating_sub(at)));
    let state = match age {
        _ if source.unprotected => SourceState::Unprotected,
        None => SourceState::Waiting,
        Some(age) if age > source.target => SourceState::Behind,
        Some(_) => SourceState::Protected,
    };
    ProtectedDocument {
        name: name.to_owned(),
        kind: source.kind,
        state,
        recovery_point: source.recovery_point.clone(),
        time: source.complete_ns.map(format_time_ns),
        rpo_seconds: age.map(|age| age.as_secs_f64()),
        rpo_target_seconds: source.target.as_secs_f64(),
        margin: source.margin,
        gaps: source.gaps.len() as u64,
        detail: source.detail.clone(),
        last_proven_restore: proven((name, &check_of(name, source.kind)), drills, now_ns),
    }
}

/// Name of the check by which a drill says that this source came back.
pub(crate) fn check_of(name: &str, kind: SourceKind) -> String {
    match kind {
        SourceKind::Files => FILES.to_owned(),
        SourceKind::Sqlite => format!("sqlite:{name}"),
        SourceKind::Network => name.to_owned(),
        SourceKind::Postgres => name.replacen(':', "_", 1),
    }
}

/// The last drill in which the source came back, whatever else failed there. Reports of earlier
/// versions say it by a check alone.
fn proven(
    (name, check): (&str, &str),
    drills: &[DrillDocument],
    now_ns: u64,
) -> Option<ProvenSourceDocument> {
    let is_ok = |drill: &&DrillDocument| {
        let by_source = drill.sources.iter().find(|one| one.name == name);
        let by_check = drill.checks.iter().find(|one| one.name == check);
        let result = by_source.map(|one| one.result).or(by_check.map(|one| one.result));
        drill.level.proves_restore() && result == Some(Outcome::Ok)
    };
    let drill = drills.iter().rfind(is_ok)?;
    Some(ProvenSourceDocument {
        time: drill.time.clone(),
        age_seconds: age_seconds(&drill.time, now_ns),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{CheckDocument, DrillLevel};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_source_is_behind_once_what_the_sites_hold_is_older_than_promised() {
        let sources = Sources::default();
        sources.note(FILES, |source| source.target = Duration::from_secs(2));
        let state = |now_ns| sources.documents(now_ns, &[])[0].state;
        assert_eq!(state(SECOND), SourceState::Waiting);
        assert!(!sources.can_be_drilled(false));
        sources.note(FILES, |source| {
            (source.complete_ns, source.recovery_point) = (Some(SECOND), Some("p".to_owned()));
        });
        assert_eq!(state(3 * SECOND), SourceState::Protected);
        assert_eq!(state(3 * SECOND + 1), SourceState::Behind);
        assert!(sources.can_be_drilled(false));
        sources.note(FILES, |source| source.unprotected = true);
        assert_eq!(state(SECOND), SourceState::Unprotected);
    }

    #[test]
    fn a_source_is_proven_by_its_own_check_of_a_drill_that_restores() {
        let drill = |second: u64, level, result| DrillDocument {
            level,
            time: format_time_ns(second * SECOND),
            checks: vec![CheckDocument { name: "files".to_owned(), result, detail: String::new() }],
            ..DrillDocument::default()
        };
        let drills = [
            drill(10, DrillLevel::D3, Outcome::Ok),
            drill(20, DrillLevel::D3, Outcome::Failed),
            drill(30, DrillLevel::D1, Outcome::Ok),
        ];
        let found = proven((FILES, FILES), &drills, 40 * SECOND).unwrap();
        assert_eq!(found.time, format_time_ns(10 * SECOND));
        assert!(proven(("/db", "sqlite:/db"), &drills, 40 * SECOND).is_none());
    }
}
