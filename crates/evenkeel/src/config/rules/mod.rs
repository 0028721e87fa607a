//! What a configuration must not be. A broken rule refuses the start and names both sides;
//! a warning is shown and the start goes on.

mod approvals;
mod circles;
mod clients;
mod deletion;
mod drills;
mod holders;
mod limits;
mod outside;
mod postgres;
mod profiles;
mod quorum;
mod root;
mod shared;
mod sites;
#[cfg(test)]
mod tests;

use std::fmt;

use super::Config;
use crate::report::{Exit, Report, Result};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The start is refused.
    Refused,
    /// True, and better otherwise.
    Warning,
}

impl Severity {
    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Warning => "warning",
        }
    }
}

/// One thing found in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's short name.
    pub rule: &'static str,
    /// What was found, naming both sides.
    pub message: String,
    /// What to do.
    pub next: String,
}

impl Finding {
    /// `{"severity":…,"rule":…,"message":…,"next":…}`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "severity": self.severity.word(),
            "rule": self.rule,
            "message": self.message,
            "next": self.next,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] {}", self.severity.word(), self.rule, self.message)?;
        if self.next.is_empty() { Ok(()) } else { write!(f, "\n    {}", self.next) }
    }
}

/// Findings in the order of the rules.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    fn refuse(&mut self, rule: &'static str, message: impl Into<String>, next: impl Into<String>) {
        self.add(Severity::Refused, rule, message.into(), next.into());
    }

    fn warn(&mut self, rule: &'static str, message: impl Into<String>, next: impl Into<String>) {
        self.add(Severity::Warning, rule, message.into(), next.into());
    }

    fn add(&mut self, severity: Severity, rule: &'static str, message: String, next: String) {
        self.0.push(Finding { severity, rule, message, next });
    }
}

/// Checks every rule: refusals first.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Findings::default();
    limits::check(config, &mut findings);
    quorum::check(config, &mut findings);
    clients::check(config, &mut findings);
    deletion::check(config, &mut findings);
    approvals::check(config, &mut findings);
    root::check(config, &mut findings);
    outside::check(config, &mut findings);
    postgres::check(config, &mut findings);
    drills::check(config, &mut findings);
    sites::check(config, &mut findings);
    shared::check(config, &mut findings);
    circles::check(config, &mut findings);
    holders::check(config, &mut findings);
    profiles::check(config, &mut findings);
    findings.0.sort_by_key(|finding| finding.severity);
    findings.0
}

/// Refuses, naming every broken rule, or gives the warnings.
pub(super) fn refuse(config: &Config) -> Result<Vec<Finding>> {
    let findings = check(config);
    let (refused, warnings): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.severity == Severity::Refused);
    if refused.is_empty() {
        return Ok(warnings);
    }
    let count = match refused.len() {
        1 => "1 rule".to_owned(),
        count => format!("{count} rules"),
    };
    let report = Report::new(Exit::Usage, format!("the configuration breaks {count}"))
        .at(config.file.display().to_string())
        .safe("nothing was started and nothing was changed")
        .next(format!(
            "mend the file, then: evenkeel config check --config {}",
            config.file.display()
        ));
    Err(refused.iter().fold(report, |report, finding| {
        report.detail(format!("[{}] {}\n{}", finding.rule, finding.message, finding.next))
    }))
}
