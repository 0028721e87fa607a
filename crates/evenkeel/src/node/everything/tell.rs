//! The report as a document, and in words.

use evenkeel_recovery::report::{Check, Text};
use evenkeel_recovery::{Part, SignedEverything};

use crate::cli::format_time_ns;
use crate::documents::{CheckDocument, DrillEverythingDocument, EverythingPartDocument, Outcome};
use crate::keyfile::hex;
use crate::node::drill_cmd::{outcome, seconds, source_document, source_words};
use crate::node::restore_cmd::site_name;

/// A report as a document.
pub(in super::super) fn document(signed: &SignedEverything) -> DrillEverythingDocument {
    let report = &signed.report;
    let machine_ns = report.elapsed_ns.saturating_sub(report.people_ns);
    DrillEverythingDocument {
        result: outcome(report.verdict()),
        ready_to_trade: outcome(report.ready()),
        id: format!("{:020}", report.started_ns),
        time: format_time_ns(report.started_ns),
        machine: report.machine.0.clone(),
        program: report.program.0.clone(),
        scratch: report.scratch.0.clone(),
        elapsed_seconds: seconds(report.elapsed_ns),
        machine_seconds: seconds(machine_ns),
        people_seconds: seconds(report.people_ns),
        parts: report.parts.iter().map(part).collect(),
        conditions: report.conditions.iter().map(check).collect(),
        signer_hex: hex(&signed.signer),
        signature_hex: hex(&signed.signature),
    }
}

fn check(check: &Check) -> CheckDocument {
    CheckDocument {
        name: check.name.0.clone(),
        result: outcome(check.verdict),
        detail: check.detail.0.clone(),
    }
}

fn part(part: &Part) -> EverythingPartDocument {
    let texts = |texts: &[Text]| texts.iter().map(|text| text.0.clone()).collect();
    EverythingPartDocument {
        name: part.name.0.clone(),
        result: outcome(part.verdict),
        detail: part.detail.0.clone(),
        exit_code: part.exit_code,
        kit: part.kit.0.clone(),
        opened_by: part.opened_by.0.clone(),
        recovery_point: part.point.0.clone(),
        freshness: part.freshness.0.clone(),
        rpo_seconds: part.rpo_ns.map(seconds),
        rto_seconds: part.rto_ns.map(seconds),
        sites_used: texts(&part.sites_used),
        sites_missing: part
            .sites_missing
            .iter()
            .map(|text| site_name(&text.0).to_owned())
            .collect(),
        sources: part.sources.iter().map(source_document).collect(),
        checks: part.checks.iter().map(check).collect(),
    }
}

/// For people.
pub(in super::super) fn words(document: &DrillEverythingDocument) -> String {
    let ready = match document.ready_to_trade {
        Outcome::Ok => "ready to trade",
        Outcome::Failed => "NOT ready to trade",
        Outcome::Unproven | Outcome::NotConfigured => "whether one could trade is unproven",
    };
    let mut lines = vec![
        format!("drill of everything {}: {ready}", document.result.word()),
        format!(
            "  took {:.1} s: the machine {:.1} s, people {:.1} s; laid out {}",
            document.elapsed_seconds,
            document.machine_seconds,
            document.people_seconds,
            document.scratch
        ),
    ];
    for part in &document.parts {
        lines.push(format!("{:<9}{:<15}{}", part.name, part.result.word(), part.detail));
        let facts = [
            ("kit", &part.kit),
            ("opened by", &part.opened_by),
            ("point", &part.recovery_point),
            ("freshness", &part.freshness),
        ];
        let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty());
        lines.extend(facts.map(|(name, fact)| format!("  {name:<16} {fact}")));
        lines.extend(part.sources.iter().map(source_words));
        lines.extend(part.checks.iter().map(check_words));
        if !part.sites_missing.is_empty() {
            lines.push(format!("  sites missing: {}", part.sites_missing.join(", ")));
        }
    }
    lines.push("conditions of trading".to_owned());
    lines.extend(document.conditions.iter().map(check_words));
    lines.push(format!("  signed by {}", document.signer_hex));
    lines.join("\n")
}

fn check_words(check: &CheckDocument) -> String {
    format!("  {:<16} {:<15} {}", check.name, check.result.word(), check.detail)
}
