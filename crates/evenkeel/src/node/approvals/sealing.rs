//! Who may be sealed for, and the gates of commands that change it, or who writes.

use std::collections::BTreeSet;

use evenkeel_vault::{ActionKind, Detail};

use super::gate::{Asked, Gate, Pass, gate};
use super::held::Held;
use crate::config::Config;
use crate::node::domain::Domain;
use crate::report::{Exit, Report, Result};

/// Refuses to seal for anybody whom nobody approved, and without anybody whom nobody removed.
///
/// # Errors
/// [`Exit::Integrity`] naming that recipient; as [`Held::read`].
pub(crate) fn refuse_unapproved(
    config: &Config,
    domain: &Domain<'_>,
    recipients: &[String],
) -> Result<()> {
    let Some(held) = Held::answered(config, domain)? else {
        // Where too few sites answer, nothing can be sent to them either.
        return Ok(());
    };
    let Some(approved) = held.found.recipients() else {
        return Ok(());
    };
    let now: BTreeSet<String> = recipients.iter().cloned().collect();
    let mut wrong: Vec<String> =
        now.difference(&approved).map(|one| format!("nobody approved {one}")).collect();
    wrong.extend(approved.difference(&now).map(|one| format!("nobody removed {one}")));
    if wrong.is_empty() {
        return Ok(());
    }
    let report = Report::new(
        Exit::Integrity,
        format!("the recipients are not those that were approved: {}", wrong[0]),
    )
    .at(config.file.display().to_string())
    .safe("nothing was sealed for this list; what the sites hold is as it was");
    let report = wrong.iter().skip(1).fold(report, Report::detail);
    Err(report.next("evenkeel approvals list --json   (recipients: who was approved)").next(
        "find out who changed the file; put it back, or: evenkeel recipients add … --propose WHY",
    ))
}

/// The gate in front of a change of recipients, or of who is believed.
///
/// # Errors
/// As [`gate`].
pub(crate) fn recipients_gate(
    of: (&Config, &Domain<'_>),
    details: &[(&str, &str)],
    how: (Option<&str>, bool),
    command: &str,
) -> Result<Option<Pass>> {
    one_gate(&[ActionKind::Recipients], of, details, how, command)
}

/// The gate in front of what else is decrypted to a disk.
///
/// # Errors
/// As [`gate`].
pub(crate) fn export_gate(
    of: (&Config, &Domain<'_>),
    details: &[(&str, &str)],
    how: (Option<&str>, bool),
    command: &str,
) -> Result<Option<Pass>> {
    one_gate(&[ActionKind::Export], of, details, how, command)
}

fn one_gate(
    kinds: &[ActionKind],
    (config, domain): (&Config, &Domain<'_>),
    details: &[(&str, &str)],
    (propose, json): (Option<&str>, bool),
    command: &str,
) -> Result<Option<Pass>> {
    let asked = Asked {
        kinds,
        details: details.iter().map(|(name, value)| Detail::new(name, value)).collect(),
        propose,
        command,
        also: None,
        json,
    };
    match gate(config, domain, &asked)? {
        Gate::Open(pass) => Ok(Some(*pass)),
        Gate::Proposed => Ok(None),
    }
}

/// The gate in front of a promotion by hand. Where nothing is known of approvals here, the sites
/// are not asked: a failover waits for none.
///
/// # Errors
/// As [`gate`].
pub(crate) fn promotion_gate(
    config: &Config,
    details: &[(&str, &str)],
    (propose, json): (Option<&str>, bool),
    command: &str,
) -> Result<Option<Pass>> {
    if config.domains.state.is_none() && propose.is_none() {
        return Ok(Some(Pass::free()));
    }
    let domain = Domain::of(config)?;
    if propose.is_none() && !Held::is_known_of(config, &domain) {
        return Ok(Some(Pass::free()));
    }
    one_gate(&[ActionKind::Promotion], (config, &domain), details, (propose, json), command)
}
