//! `evenkeel network versions`: what there is at the sites; no key is needed.

use super::super::domain::Domain;
use super::opened::{document_hash, versions};
use crate::cli::{NetworkVersionsArgs, format_time_ns};
use crate::documents::{NetworkVersionDocument, NetworkVersionsDocument};
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command.
pub(super) fn run(args: &NetworkVersionsArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let catalog = Domain::network(&config)?.catalog(None)?;
    let versions = versions(&catalog)
        .iter()
        .map(|point| NetworkVersionDocument {
            version: point.position,
            recovery_point: point.id.to_string(),
            time: format_time_ns(point.time_ns),
            document_hash: document_hash(point).map(|hash| hex(&hash)).unwrap_or_default(),
            margin: point.margin,
        })
        .collect();
    let document = NetworkVersionsDocument { versions };
    if document.versions.is_empty() {
        return Err(Report::new(Exit::NothingYet, "there is no version of the network yet")
            .safe("nothing was changed")
            .next("evenkeel network backup   (makes one)"));
    }
    if args.json {
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    let mut results = output::Results::new();
    let mut before = "";
    for version in &document.versions {
        let same = if version.document_hash == before { "same document" } else { "new document" };
        results.line(&format!(
            "version {}  {}  {same} {}  {} more sites may be lost",
            version.version,
            version.time,
            version.document_hash.get(..12).unwrap_or_default(),
            version.margin
        ))?;
        before = &version.document_hash;
    }
    results.finish()?;
    Ok(Exit::Ok)
}
