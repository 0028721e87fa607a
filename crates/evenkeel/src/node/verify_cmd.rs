//! `evenkeel verify` and `evenkeel repair`: what the sites hold against what was signed.

use std::sync::Arc;
use std::time::Instant;

use evenkeel_vault::{FolderSite, Opener, Problem, ProblemKind, RepairOutcome, Verify};

use super::domain::Domain;
use crate::cli::{RepairArgs, VerifyArgs};
use crate::config::{Config, DomainName, SiteConfig};
use crate::documents::{
    Outcome, ProblemDocument, RepairDocument, RepairProblemDocument, VerifyDocument,
};
use crate::report::{Exit, Report, Result};
use crate::{keyfile, output};

/// Runs `verify`.
pub(crate) fn verify(args: &VerifyArgs) -> Result<Exit> {
    let begun = Instant::now();
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let catalog = Arc::new(domain.catalog(None)?);
    let opener = match &args.identity {
        Some(file) => Some(Opener::new(Arc::clone(&catalog), keyfile::read_identity(file)?)?),
        None => None,
    };
    let depth = opener.as_ref().map_or(Verify::Ciphertext, Verify::Full);
    let found = evenkeel_vault::verify(&catalog, depth)?;
    let result = match (found.is_clean(), found.problems.iter().any(is_unreadable)) {
        (true, _) => Outcome::Ok,
        (false, true) if found.problems.iter().all(is_unreadable) => Outcome::Unproven,
        (false, _) => Outcome::Failed,
    };
    let document = VerifyDocument {
        result,
        problems: found.problems.iter().map(problem).collect(),
        objects_checked: found.objects,
        bytes_checked: found.bytes,
        points_checked: found.margins.len() as u64,
        margin_min: found.margins.iter().map(|(_, margin)| *margin).min(),
        elapsed_seconds: begun.elapsed().as_secs_f64(),
    };
    super::recipients::look_after(&config, &domain, &catalog);
    if args.json {
        output::document(&document)?;
    } else {
        let mut results = output::Results::new();
        for one in &document.problems {
            results
                .line(&format!("{}: {}: {} ({})", one.site, one.object, one.kind, one.detail))?;
        }
        results.line(&format!(
            "verify {}: {} objects, {} bytes, {} points, {} problems",
            document.result.word(),
            document.objects_checked,
            document.bytes_checked,
            document.points_checked,
            document.problems.len()
        ))?;
        results.finish()?;
        if document.result != Outcome::Ok {
            output::note(&format!("next:  {}", repair_words(&config, domain.name)));
        }
    }
    Ok(match document.result {
        Outcome::Ok => Exit::Ok,
        Outcome::Unproven | Outcome::NotConfigured => Exit::Partial,
        Outcome::Failed => Exit::Integrity,
    })
}

/// What mends it: with a kit nothing of the protected machine is there to say where.
pub(super) fn repair_words(config: &Config, name: DomainName) -> String {
    match &config.kit {
        Some(kit) => format!("evenkeel repair --kit {}", kit.display()),
        None => format!("evenkeel repair{} --config {}", name.option(), config.file.display()),
    }
}

/// Runs `repair`.
pub(crate) fn repair(args: &RepairArgs) -> Result<Exit> {
    let begun = Instant::now();
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    if let Some(identity) = &args.identity {
        refuse_journal(domain.name)?;
        super::journal_repair::run(&config, &domain, &keyfile::read_identity(identity)?)?;
    }
    make_missing_folders(&config, &domain)?;
    let catalog = domain.catalog(None)?;
    let repairs = evenkeel_vault::repair(&catalog)?;
    let mut problems = Vec::new();
    for one in &repairs {
        let mut found = problem(&one.problem);
        match &one.outcome {
            RepairOutcome::Repaired { moved_to: Some(to) } => {
                found.detail.push_str(&format!("; the bad object was kept as {to}"));
            }
            RepairOutcome::Repaired { moved_to: None } => {}
            RepairOutcome::Unrepaired { why } => found.detail.push_str(&format!("; {why}")),
        }
        problems.push(RepairProblemDocument { problem: found, repaired: one.is_repaired() });
    }
    let document = RepairDocument::of(problems, 0, begun.elapsed().as_secs_f64());
    if args.json {
        output::document(&document)?;
    } else {
        let mut results = output::Results::new();
        for one in &document.problems {
            let word = if one.repaired { "repaired" } else { "NOT repaired" };
            let ProblemDocument { site, object, kind, detail } = &one.problem;
            results.line(&format!("{word}: {site}: {object}: {kind} ({detail})"))?;
        }
        results.line(&format!(
            "repair {}: {} of {} problems mended",
            document.result.word(),
            document.repaired.len(),
            document.problems.len()
        ))?;
        results.finish()?;
    }
    Ok(if document.result == Outcome::Ok { Exit::Ok } else { Exit::Partial })
}

/// Only the state has a journal.
fn refuse_journal(name: DomainName) -> Result<()> {
    match name {
        DomainName::State => Ok(()),
        DomainName::Network => {
            let what = "--identity mends a journal, and the domain `network` has none";
            Err(Report::new(Exit::Usage, what)
                .safe("nothing was started")
                .next("evenkeel repair --domain network   (mends its sites; needs no key)"))
        }
    }
}

/// A folder that is gone is made again, so that it can be filled: `repair` is asked for that.
fn make_missing_folders(config: &Config, domain: &Domain<'_>) -> Result<()> {
    for site in missing_folders(config, domain) {
        FolderSite::create(&site.name, site.path.display().to_string(), &site.path)?;
        output::note(&format!(
            "{}: {} was gone and was made again (if a disk should be mounted there, mount it)",
            site.name,
            site.path.display()
        ));
    }
    Ok(())
}

fn missing_folders<'a>(
    config: &'a Config,
    domain: &'a Domain<'_>,
) -> impl Iterator<Item = &'a SiteConfig> {
    let sites = config.sites_of(domain.settings);
    sites.filter(|site| site.folder().is_some_and(|folder| !folder.exists()))
}

fn is_unreadable(problem: &Problem) -> bool {
    problem.kind == ProblemKind::Unreadable || !problem.kind.is_damage()
}

fn problem(problem: &Problem) -> ProblemDocument {
    ProblemDocument {
        site: problem.site.clone(),
        object: problem.object.clone(),
        kind: problem.kind.to_string(),
        detail: problem.detail.clone(),
    }
}
