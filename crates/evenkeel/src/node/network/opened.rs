//! Versions at the sites: found, opened, compared with what was signed.

use std::path::Path;
use std::sync::Arc;

use evenkeel_capture::network::{Document, Health};
use evenkeel_vault::{Catalog, Opener, PointInfo};

use super::super::domain::Domain;
use super::super::evidence;
use super::records::{self, Kept};
use super::source;
use super::{DOCUMENT_ROOT, DOCUMENT_SOURCE, HEALTH_ROOT, HEALTH_SOURCE};
use crate::cli::{DecryptionPurpose, QuorumArgs, format_time_ns};
use crate::config::Config;
use crate::report::{Exit, Report, Result};

/// A version, opened.
pub(super) struct Version {
    pub(super) point: PointInfo,
    /// As it was written.
    pub(super) text: String,
    pub(super) document: Document,
    /// As it was measured with it.
    pub(super) health: Health,
    /// The records of keys that were there.
    pub(super) records: Vec<Kept>,
}

/// The catalog of the domain, with what opens it.
pub(super) fn opener(
    config: &Config,
    identity: Option<&Path>,
    quorum: &QuorumArgs,
) -> Result<Opener> {
    let opens = evidence::unlock(identity, quorum, DecryptionPurpose::Restore)?;
    let (unlock, _) = opens.ok_or_else(|| {
        Report::new(Exit::Usage, "an identity or a quorum is needed")
            .safe("nothing was written")
            .next("--identity FILE, or --quorum DIR --table DIR after keys group ask")
    })?;
    let domain = Domain::network(config)?;
    Opener::new(Arc::new(domain.catalog(None)?), unlock).map_err(Report::from)
}

/// All versions, oldest first.
pub(super) fn versions(catalog: &Catalog) -> Vec<PointInfo> {
    let mut points = catalog.points();
    points.sort_by_key(|point| (point.time_ns, point.position));
    points
}

/// Hash of a version's document, as it was signed.
pub(super) fn document_hash(point: &PointInfo) -> Option<[u8; 32]> {
    point.roots.iter().find(|root| root.name == DOCUMENT_ROOT).map(|root| root.hash)
}

/// A version by its number, or the last at or before a time, or the newest.
pub(super) fn find(
    catalog: &Catalog,
    version: Option<u64>,
    at_time: Option<u64>,
) -> Result<PointInfo> {
    let mut all = versions(catalog);
    let nothing = |what: String| {
        Report::new(Exit::NothingYet, what)
            .safe("nothing was written")
            .next("evenkeel network versions   (lists what there is)")
    };
    // Times are shown in milliseconds: the one that is printed of a version is that version's.
    let millis = |time_ns: u64| time_ns / 1_000_000;
    let found = match (version, at_time) {
        (Some(version), _) => all
            .into_iter()
            .rfind(|point| point.position == version)
            .ok_or_else(|| nothing(format!("there is no version {version}")))?,
        (None, Some(time)) => {
            all.into_iter().rfind(|point| millis(point.time_ns) <= millis(time)).ok_or_else(
                || nothing(format!("there is no version from before {}", format_time_ns(time))),
            )?
        }
        (None, None) => {
            all.pop().ok_or_else(|| nothing("there is no version of the network yet".to_owned()))?
        }
    };
    Ok(found)
}

impl Version {
    /// Opens it, and compares what came back with what was signed.
    pub(super) fn open(opener: &Opener, point: PointInfo) -> Result<Self> {
        let integrity = |what: &str| {
            Report::new(Exit::Integrity, format!("version {}: {what}", point.position))
                .at(point.id.to_string())
                .safe("nothing of it was used")
                .next("evenkeel network versions   (an earlier one may serve)")
        };
        let content = opener.content(point.id)?;
        let read = |name: &str| -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            opener.read_content(&content, name, &mut bytes)?;
            Ok(bytes)
        };
        let promised =
            |name: &str| point.roots.iter().find(|root| root.name == name).map(|root| root.hash);
        let text = String::from_utf8(read(DOCUMENT_SOURCE)?)
            .map_err(|_| integrity("its document is no text"))?;
        let document = source::parse(&text, DOCUMENT_SOURCE)?;
        if promised(DOCUMENT_ROOT) != Some(document.hash()) {
            return Err(integrity("its document is not the one whose hash was signed"));
        }
        let health = read(HEALTH_SOURCE)?;
        if promised(HEALTH_ROOT) != Some(*blake3::hash(&health).as_bytes()) {
            return Err(integrity("what was measured is not what was signed"));
        }
        let health = serde_json::from_slice(&health)
            .map_err(|_| integrity("what was measured has another form"))?;
        let records = records::open(opener, &point)?;
        Ok(Self { point, text, document, health, records })
    }
}
