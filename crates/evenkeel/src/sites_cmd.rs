//! `evenkeel sites …`: what the sites hold, and what they let this host do.

use std::time::{Duration, Instant};

use evenkeel_sites::{Attempt, Finding, Outcome, probe_ipfs, probe_s3, probe_web_dav};
use evenkeel_vault::{FolderSite, Janitor, OsRandom, Random, Site};

use crate::cli::{SitesArgs, SitesPinArgs};
use crate::config::{Config, DomainConfig, SiteClassName, SiteConfig, SiteKind};
use crate::control::{Request, ask};
use crate::documents::{
    AttemptDocument, AttemptOutcome, ErasureDocument, MeasuredDocument, ProbeDocument,
    SiteDocument, SiteState, SitesDocument, StatusDocument,
};
use crate::output::{self, Results};
use crate::report::{Exit, Report, Result};
use crate::site_open::{
    Shown, class_of, ipfs_settings, keep_finding, open_ipfs, open_site, s3_settings,
    web_dav_settings,
};

/// How long a running daemon may take to tell what it knows of its sites.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_FIRST: &[u8] = b"evenkeel probe: first content";
const PROBE_SECOND: &[u8] = b"evenkeel probe: other content";

/// `sites list`.
pub(crate) fn list(args: &SitesArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let running = running(&config);
    let sites: Vec<SiteDocument> =
        config.sites.iter().map(|site| look(&config, site, running.as_ref())).collect();
    let good: Vec<&str> = sites
        .iter()
        .filter(|site| site.state != SiteState::Down)
        .map(|site| site.name.as_str())
        .collect();
    let exit = judge(&config, &good);
    if args.json {
        output::document(&SitesDocument { erasure: erasure(&config), sites, probes: Vec::new() })?;
        return Ok(exit);
    }
    let mut results = Results::new();
    results.line(&format!(
        "{:<14} {:<9} {:<11} {:>14} {:>9}  {}",
        "SITE", "STATE", "CLASS", "BYTES", "OBJECTS", "LOCATION"
    ))?;
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    for site in &sites {
        results.line(&format!(
            "{:<14} {:<9} {:<11} {:>14} {:>9}  {}",
            site.name,
            site.state.word(),
            site.class.word(),
            number(site.bytes),
            number(site.objects),
            site.location
        ))?;
        if let Some(detail) = &site.detail
            && site.state != SiteState::Unknown
        {
            results.line(&format!("    {detail}"))?;
        }
    }
    results.finish()?;
    if running.is_none() {
        output::note(
            "no daemon runs here; whether the sites hold what they should: evenkeel verify",
        );
    }
    tell(exit, &config);
    Ok(exit)
}

/// `sites probe`.
pub(crate) fn probe(args: &SitesArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let mut probes = Vec::new();
    for site in &config.sites {
        let probe = try_site(site)?;
        // A folder is mutable whatever is found there.
        if site.folder().is_none() {
            keep_finding(&config, site, &probe)?;
        }
        probes.push(probe);
    }
    let good: Vec<&str> = probes
        .iter()
        .filter(|probe| probe.keeps_promise)
        .map(|probe| probe.site.as_str())
        .collect();
    let exit = judge(&config, &good);
    if args.json {
        let sites = config.sites.iter().map(|site| look(&config, site, None)).collect();
        output::document(&SitesDocument { erasure: erasure(&config), sites, probes })?;
        return Ok(exit);
    }
    let yes = |value: bool| if value { "yes" } else { "no" };
    let mut results = Results::new();
    results.line(&format!(
        "{:<14} {:<8} {:<7} {:<10} {:<18} {:<15} {}",
        "SITE", "PROMISE", "WROTE", "READ BACK", "REFUSES OVERWRITE", "REFUSES DELETE", "WRITE"
    ))?;
    for probe in &probes {
        results.line(&format!(
            "{:<14} {:<8} {:<7} {:<10} {:<18} {:<15} {}",
            probe.site,
            if probe.keeps_promise { "kept" } else { "BROKEN" },
            yes(probe.wrote),
            yes(probe.read_back),
            yes(probe.overwrite_refused),
            yes(probe.delete_refused),
            probe.write_seconds.map_or("-".to_owned(), |time| format!("{:.1} ms", time * 1e3)),
        ))?;
        if let Some(detail) = &probe.detail {
            results.line(&format!("    {detail}"))?;
        }
    }
    results.finish()?;
    tell(exit, &config);
    Ok(exit)
}

/// `sites pin`.
pub(crate) fn pin(args: &SitesPinArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let ipfs = |site: &&SiteConfig| site.kind == SiteKind::Ipfs;
    let site = config.site(&args.site).filter(ipfs).ok_or_else(|| {
        let known: Vec<&str> =
            config.sites.iter().filter(ipfs).map(|site| site.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Report::new(Exit::Usage, format!("no site of kind ipfs is called `{}`", args.site))
            .detail(format!("sites of that kind: {known}"))
            .safe("nothing was changed")
    })?;
    let open = open_ipfs(site).map_err(|why| {
        Report::new(Exit::Usage, format!("site `{}`: {why}", site.name)).safe("nothing was sent")
    })?;
    let replicas = open.replicate().map_err(|error| {
        Report::new(Exit::NotEnoughSites, error.to_string())
            .safe("what peers keep is untouched, and is read while the node is gone")
    })?;
    let mut results = Results::new();
    for replica in &replicas {
        let said = replica.failure.as_deref().unwrap_or("pinned");
        results.line(&format!("{}  {}  {said}", replica.root, replica.peer))?;
    }
    results.finish()?;
    if replicas.is_empty() {
        output::note("nothing to pin: the site is empty, or its `peers` are");
        return Ok(Exit::NothingYet);
    }
    let all = replicas.iter().all(|replica| replica.failure.is_none());
    Ok(if all { Exit::Ok } else { Exit::Partial })
}

/// Ok, partial, or fewer than some domain needs.
fn judge(config: &Config, good: &[&str]) -> Exit {
    let enough = |domain: &DomainConfig| {
        let count = domain.sites.iter().filter(|site| good.contains(&site.as_str())).count();
        domain.sites.is_empty() || count >= domain.data_shards
    };
    if !config.domains.iter().all(|(_, domain)| enough(domain)) {
        Exit::NotEnoughSites
    } else if good.len() < config.sites.len() {
        Exit::Partial
    } else {
        Exit::Ok
    }
}

fn tell(exit: Exit, config: &Config) {
    let erasure = erasure(config);
    let (k, n) = (erasure.data_shards, erasure.total_shards);
    match exit {
        Exit::NotEnoughSites => output::note(&format!(
            "fewer than the {k} sites that are needed: nothing can be shipped or restored now; \
             what is at the sites stays as it is. Bring them back, then: evenkeel repair"
        )),
        Exit::Partial => output::note(&format!(
            "any {k} of {n} sites bring everything back. When the others are there again: \
             evenkeel repair"
        )),
        _ => {}
    }
}

/// Of the first domain that has sites.
fn erasure(config: &Config) -> ErasureDocument {
    let domain = config.domains.iter().map(|(_, domain)| domain).find(|d| !d.sites.is_empty());
    ErasureDocument {
        data_shards: domain.map_or(0, |domain| domain.data_shards as u64),
        total_shards: domain.map_or(0, |domain| domain.sites.len() as u64),
    }
}

/// What a running daemon knows; none if nobody listens or it does not say.
fn running(config: &Config) -> Option<StatusDocument> {
    let answer = ask(&config.control_socket(), &Request::new("status"), DAEMON_TIMEOUT);
    serde_json::from_value(answer.ok()??).ok()
}

fn look(config: &Config, site: &SiteConfig, running: Option<&StatusDocument>) -> SiteDocument {
    let known = running.and_then(|status| status.sites.iter().find(|at| at.name == site.name));
    let mut document = SiteDocument {
        name: site.name.clone(),
        location: site.location(),
        class: class_of(config, site).into(),
        ..SiteDocument::default()
    };
    match open_site(config, site).list("") {
        Ok(objects) => {
            document.objects = Some(objects.len() as u64);
            document.bytes = Some(objects.iter().map(|object| object.length_bytes).sum());
            document.state = known.map_or(SiteState::Unknown, |known| known.state);
            document.behind_seconds = known.and_then(|known| known.behind_seconds);
            document.detail = match known {
                Some(known) => known.detail.clone(),
                None => Some(
                    "answers; whether it holds what it should is told by: evenkeel verify"
                        .to_owned(),
                ),
            };
        }
        Err(error) => {
            document.state = SiteState::Down;
            document.detail = Some(error.detail);
        }
    }
    document
}

/// Tries what a thief with this host's rights would, and says what happened.
fn try_site(site: &SiteConfig) -> Result<ProbeDocument> {
    let mut nonce = [0; 8];
    OsRandom.fill(&mut nonce).map_err(Report::from)?;
    let nonce = u64::from_le_bytes(nonce);
    let found = match site.kind {
        SiteKind::Folder => return Ok(try_folder(site, nonce)),
        SiteKind::S3 => {
            s3_settings(site, &Shown::default()).and_then(|settings| probe_s3(&settings, nonce))
        }
        SiteKind::WebDav => {
            web_dav_settings(site, false).and_then(|settings| probe_web_dav(&settings, nonce))
        }
        SiteKind::Ipfs => ipfs_settings(site).and_then(|settings| probe_ipfs(&settings, nonce)),
    };
    Ok(match found {
        Ok(finding) => told(site, &finding),
        Err(why) => ProbeDocument {
            site: site.name.clone(),
            detail: Some(why.to_string()),
            ..ProbeDocument::default()
        },
    })
}

/// A finding as a document, held against what the configuration says of the site.
fn told(site: &SiteConfig, finding: &Finding) -> ProbeDocument {
    let class = finding.class();
    let promised = match site.class {
        SiteClassName::Mutable => true,
        SiteClassName::AppendOnly => class != evenkeel_vault::SiteClass::Mutable,
    };
    let allowed =
        |attempt: &&Attempt| matches!(attempt.outcome, Outcome::Allowed | Outcome::Unclear);
    let taken: Vec<&str> =
        finding.attempts.iter().filter(allowed).map(|attempt| attempt.what).collect();
    let detail = match &finding.detail {
        Some(detail) => Some(detail.clone()),
        None if taken.is_empty() => None,
        None => Some(format!("counts as mutable: it did not refuse {}", taken.join(", "))),
    };
    ProbeDocument {
        site: site.name.clone(),
        wrote: finding.wrote,
        read_back: finding.read_after_write,
        overwrite_refused: finding.refuses("overwrite"),
        delete_refused: finding.refuses("delete"),
        keeps_promise: finding.wrote && finding.read_after_write && promised,
        write_seconds: finding.write.map(|write| write.p50.as_secs_f64()),
        detail,
        class_shown: class.into(),
        conditional_put: finding.wrote.then_some(finding.conditional_put),
        versions: (finding.wrote && site.kind == SiteKind::S3).then_some(finding.versions),
        lock_mode: finding.lock.as_ref().map(|lock| lock.mode.clone()),
        lock_seconds: finding.lock.as_ref().map(|lock| lock.seconds),
        attempts: finding.attempts.iter().map(attempt).collect(),
        measured: measured(finding),
    }
}

fn attempt(attempt: &Attempt) -> AttemptDocument {
    let outcome = match attempt.outcome {
        Outcome::Refused => AttemptOutcome::Refused,
        Outcome::Allowed => AttemptOutcome::Allowed,
        Outcome::NotOffered => AttemptOutcome::NotOffered,
        Outcome::Unclear => AttemptOutcome::Unclear,
    };
    AttemptDocument { what: attempt.what.to_owned(), outcome, said: attempt.said.clone() }
}

fn measured(finding: &Finding) -> Option<MeasuredDocument> {
    let (write, read) = (finding.write?, finding.read?);
    Some(MeasuredDocument {
        write_p50_seconds: write.p50.as_secs_f64(),
        write_p99_seconds: write.p99.as_secs_f64(),
        read_p50_seconds: read.p50.as_secs_f64(),
        read_p99_seconds: read.p99.as_secs_f64(),
        write_bytes_per_second: finding.write_bytes_per_second?,
        read_bytes_per_second: finding.read_bytes_per_second?,
    })
}

/// Writes, reads back, overwrites and deletes one small object.
fn try_folder(site: &SiteConfig, nonce: u64) -> ProbeDocument {
    let key = format!("probe/{nonce:016x}");
    let open = FolderSite::new(&site.name, site.location(), &site.path);
    let mut probe = ProbeDocument { site: site.name.clone(), ..ProbeDocument::default() };
    let begun = Instant::now();
    if let Err(error) = open.put(&key, PROBE_FIRST) {
        probe.detail = Some(format!("{}: {}", error.action, error.detail));
        return probe;
    }
    probe.wrote = true;
    probe.write_seconds = Some(begun.elapsed().as_secs_f64());
    match open.get(&key) {
        Ok(content) => probe.read_back = content == PROBE_FIRST,
        Err(error) => probe.detail = Some(format!("{}: {}", error.action, error.detail)),
    }
    // As a thief with this host's rights would do it, not as our own client, which never would.
    let file = site.path.join(&key);
    let overwritten = std::fs::write(&file, PROBE_SECOND).is_ok()
        && open.get(&key).is_ok_and(|content| content == PROBE_SECOND);
    probe.overwrite_refused = !overwritten;
    probe.delete_refused = open.delete(&key).is_err() || open.get(&key).is_ok();
    let _ = std::fs::remove_dir(site.path.join("probe"));
    probe.keeps_promise = probe.wrote && probe.read_back;
    if probe.keeps_promise && !(probe.overwrite_refused && probe.delete_refused) {
        probe.detail = Some("mutable: whoever can write here can also replace and delete".into());
    }
    probe
}
