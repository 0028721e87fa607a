//! `evenkeel audit`: samples of what the sites hold, without a key, and a signed report of it.

use std::path::PathBuf;
use std::time::Instant;

use evenkeel_recovery::Clock;
use evenkeel_types::Canonical;
use evenkeel_vault::{AuditOptions, AuditReport, Audited, OsRandom, SiteAudit};

use super::clock::SystemClock;
use super::domain::{Domain, chosen_name};
use super::verify_cmd::repair_words;
use crate::cli::AuditArgs;
use crate::config::{Config, DomainName};
use crate::documents::{AuditDocument, Outcome, ProblemDocument, SiteAuditDocument};
use crate::report::{Exit, Report, Result};
use crate::{keyfile, output};

const REPORT_EXTENSION: &str = "audit";

/// Runs `audit`.
pub(crate) fn run(args: &AuditArgs) -> Result<Exit> {
    let begun = Instant::now();
    let config = args.place.load()?;
    let name = chosen_name(&config, args.domain);
    let catalog = Domain::named(&config, name)?.catalog(None)?;
    let options =
        AuditOptions { confidence: args.confidence, loss: args.loss, ..AuditOptions::default() };
    let audited = evenkeel_vault::audit(&catalog, args.site.as_deref(), &options, &mut OsRandom)?;
    let report = keep(&config, name, &options, &audited)?;
    let sites: Vec<SiteAuditDocument> = audited.sites.iter().map(site).collect();
    let any = |outcome| sites.iter().any(|site| site.verdict == outcome);
    let result = if any(Outcome::Failed) {
        Outcome::Failed
    } else if any(Outcome::Unproven) || sites.is_empty() {
        Outcome::Unproven
    } else {
        Outcome::Ok
    };
    let document = AuditDocument {
        result,
        confidence: args.confidence,
        loss: args.loss,
        sites,
        report: report.map(|path| path.display().to_string()),
        elapsed_seconds: begun.elapsed().as_secs_f64(),
    };
    tell(&document, args.json, &repair_words(&config, name))?;
    Ok(match result {
        Outcome::Ok => Exit::Ok,
        Outcome::Failed => Exit::Integrity,
        Outcome::Unproven | Outcome::NotConfigured => Exit::Partial,
    })
}

fn tell(document: &AuditDocument, json: bool, mends: &str) -> Result<()> {
    if json {
        return output::document(document);
    }
    let mut results = output::Results::new();
    for site in &document.sites {
        for one in &site.damaged {
            results
                .line(&format!("{}: {}: {} ({})", one.site, one.object, one.kind, one.detail))?;
        }
        let why = site.detail.as_deref().map_or(String::new(), |why| format!(" ({why})"));
        results.line(&format!(
            "{}: {}: {} of {} challenges failed, {} unproven, {} of {} bytes read{why}",
            site.site,
            site.verdict.word(),
            site.failed,
            site.challenges,
            site.unproven,
            site.bytes_read,
            site.bytes
        ))?;
    }
    results.line(&format!(
        "audit {}: a loss of {} of a site's bytes is found with a probability of {} at least",
        document.result.word(),
        document.loss,
        document.confidence
    ))?;
    results.finish()?;
    if document.result != Outcome::Ok {
        output::note(&format!(
            "every recovery point with a margin of 0 or more still comes back\nnext:  {mends}"
        ));
    }
    Ok(())
}

fn site(found: &SiteAudit) -> SiteAuditDocument {
    let verdict = match (found.is_sound(), found.is_complete()) {
        (false, _) => Outcome::Failed,
        (true, true) => Outcome::Ok,
        (true, false) => Outcome::Unproven,
    };
    let damaged = found.damaged.iter().map(|one| ProblemDocument {
        site: one.site.clone(),
        object: one.object.clone(),
        kind: one.kind.to_string(),
        detail: one.detail.clone(),
    });
    let unproven = (found.unproven > 0).then(|| {
        "nothing at the site proves parts of some shards, and to read them whole is too much: \
         evenkeel repair makes what is missing"
            .to_owned()
    });
    SiteAuditDocument {
        site: found.site.clone(),
        verdict,
        challenges: found.challenges,
        failed: found.failed,
        unproven: found.unproven,
        bytes_read: found.bytes_read,
        objects: found.objects,
        bytes: found.bytes,
        damaged: damaged.collect(),
        detail: found.unreachable.clone().or(unproven),
    }
}

/// Signs the report with the drill host's key and keeps it beside the drills', if this host has
/// that key.
fn keep(
    config: &Config,
    name: DomainName,
    options: &AuditOptions,
    audited: &Audited,
) -> Result<Option<PathBuf>> {
    let key = &config.drill.report_key_file;
    if !key.exists() {
        output::note(&format!(
            "no report is kept: there is no key to sign it at {}",
            key.display()
        ));
        return Ok(None);
    }
    let key = keyfile::read_report_key(key)?;
    let time_ns = SystemClock::new().wall_ns();
    let signed = AuditReport::of(name.word(), time_ns, options, audited).sign(&key);
    let folder = config.drill.home.join("audits");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Report::io("make the folder of audits", &folder, &error))?;
    let path = folder.join(format!("{time_ns:020}.{REPORT_EXTENSION}"));
    let part = path.with_extension("part");
    std::fs::write(&part, signed.to_bytes())
        .and_then(|()| std::fs::rename(&part, &path))
        .map_err(|error| Report::io("keep the audit's report", &path, &error))?;
    let mut all: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == REPORT_EXTENSION))
        .collect();
    all.sort();
    let excess = all.len().saturating_sub(config.drill.history_keep.max(1) as usize);
    for old in &all[..excess] {
        // The next audit tries again.
        let _ = std::fs::remove_file(old);
    }
    Ok(Some(path))
}
