//! `evenkeel approvals …`, and the gate in front of what takes approvals.

mod gate;
mod held;
mod listing;
mod publish;
mod restore;
mod say;
mod sealing;
mod watch;

use evenkeel_recovery::Clock as _;
use evenkeel_vault::ActionAtSites;

pub(crate) use gate::{Asked, Gate, Pass, gate};
pub(crate) use held::Held;
pub(crate) use listing::action_document;
pub(crate) use publish::{BUNDLE, POLICY, read_armored, write_armored};
pub(crate) use restore::restore_gate;
pub(crate) use say::{message, read_signature, signed};
pub(crate) use sealing::{export_gate, promotion_gate, recipients_gate, refuse_unapproved};
pub(crate) use watch::ApprovalsLoop;

use super::clock::SystemClock;
use super::domain::Domain;
use crate::cli::{ApprovalsCommand, ApprovalsListArgs, ApprovalsShowArgs};
use crate::documents::ApprovalsDocument;
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) const HOUR_NS: u64 = 3_600_000_000_000;
/// Fewer digits of an action could be another one's.
const DIGITS_MIN: usize = 8;

/// Runs `approvals …`.
pub(crate) fn run(command: &ApprovalsCommand) -> Result<Exit> {
    match command {
        ApprovalsCommand::List(args) => list(args),
        ApprovalsCommand::Show(args) => show(args),
        ApprovalsCommand::Message(args) => say::run_message(args),
        ApprovalsCommand::Approve(args) => say::run(args, evenkeel_vault::Word::Approve),
        ApprovalsCommand::Cancel(args) => say::run(args, evenkeel_vault::Word::Cancel),
        ApprovalsCommand::Publish(args) => publish::run(args),
    }
}

fn now_ns() -> u64 {
    SystemClock::new().wall_ns()
}

fn list(args: &ApprovalsListArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let held = Held::read(&config, &domain)?;
    let now_ns = now_ns();
    let pending = |one: &&ActionAtSites| {
        let standing = held.standing(one, now_ns);
        !args.pending || standing.is_some_and(|standing| standing.is_pending())
    };
    let actions = held.found.actions.iter().filter(pending);
    let actions: Vec<_> = actions.map(|one| action_document(&held, one, now_ns)).collect();
    let document = ApprovalsDocument { actions, ..listing::described("list", &domain, &held) };
    if args.json {
        output::document(&document)?;
    } else {
        listing::show(&document, false)?;
    }
    Ok(Exit::Ok)
}

fn show(args: &ApprovalsShowArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let held = Held::read(&config, &domain)?;
    let action = find(&held, &args.action)?;
    let mut document = ApprovalsDocument {
        actions: vec![action_document(&held, action, now_ns())],
        ..listing::described("show", &domain, &held)
    };
    if let Some(out) = &args.out {
        publish::write_armored(out, publish::BUNDLE, &action.bundle)?;
        document.written.push(out.display().to_string());
    }
    if args.json {
        output::document(&document)?;
    } else {
        listing::show(&document, true)?;
    }
    Ok(Exit::Ok)
}

/// The one action that these digits begin.
fn find<'a>(held: &'a Held, digits: &str) -> Result<&'a ActionAtSites> {
    let fits = |one: &&ActionAtSites| {
        digits.len() >= DIGITS_MIN && one.id.to_string().starts_with(&digits.to_lowercase())
    };
    let mut found = held.found.actions.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(action), None) => Ok(action),
        (None, _) => Err(Report::new(Exit::Usage, format!("no action {digits} at the sites"))
            .safe("nothing was changed")
            .next("evenkeel approvals list   (an action is named by 8 of its digits at least)")),
        (Some(_), Some(_)) => {
            Err(Report::new(Exit::Usage, format!("{digits} begins several actions"))
                .safe("nothing was changed")
                .next("give more digits: evenkeel approvals list"))
        }
    }
}

/// The first digits, for people.
fn short(id: &str) -> &str {
    id.get(..16).unwrap_or(id)
}
