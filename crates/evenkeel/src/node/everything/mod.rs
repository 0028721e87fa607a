//! `evenkeel drill everything`: keys, state and network come back together on a machine that has
//! nothing, from their kits and what people bring, and one signed report says of each what was
//! proven, and whether one could trade with it.
//!
//! Keys come first: an identity that cards bring back opens what comes next. The network comes
//! before the state, because the user's own checks of the state see the network too.

mod kits;
mod part_keys;
mod part_network;
mod part_state;
mod ready;
mod tell;
mod venue;

use std::time::{Duration, Instant};

use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{Clock as _, DrillReport, EverythingReport, Part};

pub(super) use self::tell::{document, words};

use self::kits::Kits;
use self::part_keys::Held;
use super::alerts::deadman;
use super::clock::SystemClock;
use super::drill_checks::{Scratch, below, remove_stale};
use super::drill_cmd;
use super::kit;
use crate::cli::{DrillEverythingArgs, EverythingPart};
use crate::documents::DrillDocument;
use crate::keys_cmd;
use crate::output;
use crate::report::{Exit, Report, Result};

/// How much a part found, and what prevented the rest of it.
struct Found {
    part: Part,
    /// Of a part that failed.
    error: Option<Report>,
}

impl Found {
    /// A part that nobody asked for, or that cannot be begun.
    fn absent(name: EverythingPart, args: &DrillEverythingArgs, why: &str) -> Self {
        let mut part = Part::unproven(name.word(), format!("not drilled: {why}"));
        if args.without.contains(&name) {
            part.verdict = Verdict::NotConfigured;
            part.detail = "not drilled: left out on purpose (--without)".into();
            part.exit_code = 0;
        }
        Self { part, error: None }
    }

    /// A part as the drill of its domain found it.
    fn of_report(part: Part, report: &DrillReport, error: Option<Report>) -> Self {
        let verdict = report.verdict();
        let said = |name: &str| report.checks.iter().find(|check| check.name.0 == name);
        let freshness: Vec<String> = ["freshness", "files_freshness"]
            .into_iter()
            .filter_map(said)
            .map(|check| check.detail.0.clone())
            .collect();
        let failed = report.checks.iter().find(|check| check.verdict == Verdict::Failed);
        let detail = match (&error, failed) {
            (Some(error), _) => error.message().to_owned(),
            (None, Some(check)) => format!("{}: {}", check.name, check.detail),
            (None, None) => format!("{} sources came back", report.sources.len()),
        };
        let exit = match (&error, verdict) {
            (Some(error), _) => error.exit(),
            (None, Verdict::Ok) => Exit::Ok,
            (None, Verdict::Failed) => Exit::Integrity,
            (None, _) => Exit::Partial,
        };
        let part = Part {
            verdict,
            detail: detail.into(),
            exit_code: exit.code(),
            point: report.point.clone(),
            freshness: freshness.join("; ").into(),
            rpo_ns: report.rpo_ns,
            rto_ns: report.rto_ns,
            sites_used: report.sites_used.clone(),
            sites_missing: report.sites_missing.clone(),
            sources: report.sources.clone(),
            checks: report.checks.clone(),
            ..part
        };
        Self { part, error }
    }

    /// A part that ended with an error.
    fn broken(mut part: Part, report: Report) -> Self {
        part.verdict = Verdict::Failed;
        part.exit_code = report.exit().code();
        part.detail = report.message().into();
        if !part.checks.iter().any(|check| check.verdict == Verdict::Failed) {
            part.checks.push(Check::new("restore", Verdict::Failed, report.message()));
        }
        Self { part, error: Some(report) }
    }
}

/// Runs the command.
pub(super) fn run(args: &DrillEverythingArgs) -> Result<Exit> {
    keys_cmd::keep_memory_private();
    let kits = Kits::read(args)?;
    let settings = &kits.settings;
    kit::ready_for_drill(settings)?;
    let key = crate::keyfile::read_report_key(&settings.drill.report_key_file)?;
    let below = below(&settings.drill, &settings.drill.home);
    remove_stale(&below);
    let scratch = Scratch::make(&below, settings.drill.scratch_encrypted)?;
    let (begun, started_ns) = (Instant::now(), SystemClock::new().wall_ns());

    let mut keys = part_keys::drill(&kits, args)?;
    part_keys::lay_out(&keys, scratch.path())?;
    keys_cmd::unlock_memory();
    let network = part_network::drill(&kits, args, &keys.held, &scratch);
    let state = part_state::drill(&kits, args, &keys, &network, &scratch);
    keys.settle([&state.found.part, &network.found.part]);
    let conditions = ready::conditions(&kits, args, &keys, &network, &state, scratch.path());
    let words_of_scratch = scratch.kind().words();
    drop(scratch);

    let elapsed = begun.elapsed();
    let report = EverythingReport {
        started_ns,
        elapsed_ns: nanos(elapsed),
        people_ns: nanos(keys.waited),
        machine: kit::machine().into(),
        program: format!("evenkeel {} {}", env!("CARGO_PKG_VERSION"), kit::program_hash()?).into(),
        scratch: words_of_scratch.into(),
        parts: vec![keys.found.part, state.found.part, network.found.part],
        conditions,
    };
    let signed = report.sign(&key);
    drill_cmd::keep_everything(&settings.drill.home, settings.drill.history_keep, &signed)?;
    let shown = document(&signed);
    match args.json {
        true => output::document(&shown)?,
        false => output::result(&words(&shown))?,
    }
    if !args.no_ping && signed.report.verdict() == Verdict::Ok {
        ping(settings, state.document.as_ref());
    }
    end(&signed.report, [keys.found.error, state.found.error, network.found.error])
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Only what proved everything feeds the switch, by the same rule as a drill of the state.
fn ping(settings: &crate::config::Config, state: Option<&DrillDocument>) {
    if let Some(Err(why)) = state.map(|state| deadman::ping_if_proven(&settings.alerts, state)) {
        output::note(&format!("warning: {why}"));
    }
}

/// What prevented a part has its own exit code; its message says what to do.
fn end(report: &EverythingReport, errors: [Option<Report>; 3]) -> Result<Exit> {
    let mut errors = errors.into_iter().flatten();
    let first = errors.next();
    for other in errors {
        output::note(&other.to_string());
    }
    if let Some(first) = first {
        return Err(first);
    }
    Ok(match report.verdict() {
        Verdict::Ok => Exit::Ok,
        Verdict::Failed => Exit::Integrity,
        Verdict::Unproven | Verdict::NotConfigured => Exit::Partial,
    })
}

/// Whoever of those at hand a domain's keys are wrapped for.
fn opens<'h>(recipients: &[String], held: &'h [Held]) -> Option<&'h Held> {
    held.iter().find(|one| recipients.contains(&one.recipient))
}

/// Why nothing opens a domain: a wrong identity is another fault than none.
fn nobody_opens(mut part: Part, recipients: &[String], strangers: &[&Held]) -> Found {
    let known = recipients.join(", ");
    if let Some(stranger) = strangers.first() {
        let what = format!(
            "wrong identity: {} is for {}, and this kit names {known}",
            stranger.by, stranger.recipient
        );
        return Found::broken(
            part,
            Report::new(Exit::WrongKey, what)
                .safe("nothing was restored")
                .next("bring the identity that the kit names, or the kit that is of this identity"),
        );
    }
    part.detail =
        format!("not drilled: nothing that was brought opens it; it is sealed for {known}").into();
    Found { part, error: None }
}
