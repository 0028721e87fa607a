//! Rules, actions and words as people and programs read them.

use evenkeel_vault::{ActionAtSites, KindRule, Standing};

use super::held::Held;
use super::short;
use crate::cli::format_time_ns;
use crate::documents::{
    ActionDetailDocument, ActionDocument, ActionLogDocument, ActionWordDocument,
    ApprovalRuleDocument, ApprovalsDocument,
};
use crate::node::domain::Domain;
use crate::output;
use crate::report::Result;

const SECOND_NS: u64 = 1_000_000_000;

/// An action as a document.
pub(crate) fn action_document(held: &Held, action: &ActionAtSites, now_ns: u64) -> ActionDocument {
    let standing = held.standing(action, now_ns);
    let rules = held.rules_of(action.action());
    let (word, from_ns) = match standing {
        None => ("no_rule", None),
        Some(Standing::Waiting { .. }) => ("waiting", None),
        Some(Standing::Delayed { from_ns }) => ("delayed", Some(from_ns)),
        Some(Standing::Valid { from_ns }) => ("valid", Some(from_ns)),
        Some(Standing::Cancelled { .. }) => ("cancelled", None),
        Some(Standing::Lapsed { .. }) => ("lapsed", None),
    };
    let cancelled = word == "cancelled";
    let word = if action.executed().is_some() && !cancelled { "executed" } else { word };
    let inner = action.action();
    let details = inner
        .details
        .iter()
        .map(|one| ActionDetailDocument { name: one.name.clone(), value: one.value.clone() });
    let known =
        |one: &&evenkeel_vault::Statement| rules.iter().any(|rule| rule.rule.has(&one.approver));
    let said = action.bundle.statements.iter().filter(known).map(|one| ActionWordDocument {
        approver: one.approver.to_string(),
        word: one.word.name().to_owned(),
        time: format_time_ns(one.time_ns),
    });
    let log = action.log.iter().map(|line| ActionLogDocument {
        phase: line.phase.name().to_owned(),
        time: format_time_ns(line.time_ns),
        by: line.by.clone(),
        what: line.what.clone(),
        signer: crate::keyfile::hex(&line.signer),
    });
    ActionDocument {
        id: action.id.to_string(),
        kind: inner.kind.name().to_owned(),
        standing: word.to_owned(),
        details: details.collect(),
        why: inner.why.clone(),
        needed: rules.iter().map(|rule| rule.rule.needed() as u64).max().unwrap_or(0),
        valid_from: from_ns.map(format_time_ns),
        proposed: format_time_ns(inner.proposed_time_ns),
        lapses: format_time_ns(inner.expires_time_ns),
        said: said.collect(),
        log: log.collect(),
    }
}

/// How an action stands, in words with its deadline.
pub(crate) fn deadline(action: &ActionAtSites, standing: Standing) -> String {
    let lapses = format_time_ns(action.action().expires_time_ns);
    match standing {
        Standing::Waiting { approvals, needed } => {
            format!("{approvals} of {needed} approvals; it lapses at {lapses}")
        }
        Standing::Delayed { from_ns } => format!(
            "approved; its delay ends at {}, and it lapses at {lapses}",
            format_time_ns(from_ns)
        ),
        Standing::Valid { .. } => format!("in force until {lapses}"),
        Standing::Cancelled { by } => format!("cancelled by {by}"),
        Standing::Lapsed { at_ns } => format!("lapsed at {}", format_time_ns(at_ns)),
    }
}

fn rule_document(rule: &KindRule, published: bool) -> ApprovalRuleDocument {
    ApprovalRuleDocument {
        kind: rule.kind.name().to_owned(),
        approvers: rule.rule.approvers().map(ToString::to_string).collect(),
        needed: rule.rule.needed() as u64,
        delay_seconds: rule.rule.delay_ns() / SECOND_NS,
        lifetime_seconds: rule.lifetime_ns / SECOND_NS,
        published,
    }
}

/// What holds, without any action.
pub(super) fn described(action: &str, domain: &Domain<'_>, held: &Held) -> ApprovalsDocument {
    let policy = held.found.policy.as_ref();
    let published = policy.iter().flat_map(|policy| &policy.rules);
    let mut rules: Vec<_> = published.map(|rule| rule_document(rule, true)).collect();
    rules.extend(held.unpublished().map(|rule| rule_document(rule, false)));
    let refused = held.found.refused.iter();
    ApprovalsDocument {
        action: action.to_owned(),
        domain: domain.name().to_owned(),
        policy: policy.map(|policy| policy.counter),
        rules,
        refused: refused.map(|(number, why)| format!("policy {number}: {why}")).collect(),
        recipients: held.found.recipients().into_iter().flatten().collect(),
        ..ApprovalsDocument::default()
    }
}

/// Prints it; of a single action in full.
pub(super) fn show(document: &ApprovalsDocument, full: bool) -> Result<()> {
    let mut results = output::Results::new();
    for rule in document.rules.iter().filter(|_| !full) {
        results.line(&format!(
            "{}: {} of {} approvers, delay {} s, lapses after {} s{}",
            rule.kind,
            rule.needed,
            rule.approvers.len(),
            rule.delay_seconds,
            rule.lifetime_seconds,
            if rule.published { "" } else { " (in the configuration alone: not published)" }
        ))?;
        for approver in &rule.approvers {
            results.line(&format!("    {approver}"))?;
        }
    }
    for action in &document.actions {
        results.line(&line(action))?;
        for one in action.details.iter().filter(|_| full) {
            results.line(&format!("    {}: {}", one.name, one.value))?;
        }
        if full {
            results.line(&format!("    why: {}\n    id: {}", action.why, action.id))?;
        }
        for one in &action.said {
            results.line(&format!("    {} {} at {}", one.approver, one.word, one.time))?;
        }
        for one in &action.log {
            results
                .line(&format!("    {} at {} by {}: {}", one.phase, one.time, one.by, one.what))?;
        }
    }
    for written in &document.written {
        results.line(&format!("wrote {written}"))?;
    }
    results.finish()?;
    if document.rules.is_empty() && !full {
        output::note(
            "nothing takes approvals here but deletions\nnext:  [approvals.export] in the \
             configuration, then evenkeel approvals publish   (docs/approvals.md)",
        );
    }
    Ok(())
}

fn line(action: &ActionDocument) -> String {
    let approvals = action.said.iter().filter(|one| one.word == "approve").count();
    let until = match (action.standing.as_str(), &action.valid_from) {
        ("delayed", Some(from)) => format!(", from {from}"),
        ("waiting" | "valid", _) => format!(", until {}", action.lapses),
        _ => String::new(),
    };
    let what: Vec<&str> = action.details.iter().map(|one| one.value.as_str()).collect();
    format!(
        "{}  {} {} ({approvals} of {} approvals{until}): {}",
        short(&action.id),
        action.kind,
        action.standing,
        action.needed,
        what.join(", ")
    )
}
