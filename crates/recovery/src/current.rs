//! D2: what a writer can prove on its own host, as a drill's report.

use evenkeel_vault::CurrentFindings;

use crate::report::{Check, DrillReport, Level, Phase, Text, Verdict};

/// Name of the check.
const CHECK: &str = "current_period";

/// The report of a check of the current key period. Nothing was restored: there is no RTO and no
/// RPO in it, and it does not count as a proven restore.
#[must_use]
pub fn current_report(found: &CurrentFindings, started_ns: u64, elapsed_ns: u64) -> DrillReport {
    let key = format!("current key period {} of this writer", found.period);
    let mut report = DrillReport::begin(started_ns, Level::D2, &key);
    report.lineage = found.lineage.0;
    if let Some((id, position)) = found.point {
        report.point = id.to_string().into();
        report.position = position;
    }
    report.sites_used = found.sites_used.iter().cloned().map(Text::from).collect();
    report.sites_missing = found.sites_missing.iter().cloned().map(Text::from).collect();
    report.bytes_read = found.bytes;
    let verdict = if found.sites_used.len() < found.sites_needed {
        Verdict::Unproven
    } else if !found.is_clean() {
        Verdict::Failed
    } else if found.is_proof() {
        Verdict::Ok
    } else {
        Verdict::Unproven
    };
    report.checks.push(Check::new(CHECK, verdict, detail(found)));
    report.phases.push(Phase { name: CHECK.into(), elapsed_ns });
    report
}

/// The report when nothing could be checked at all.
#[must_use]
pub fn unproven_current_report(started_ns: u64, why: &str) -> DrillReport {
    let key = "no current key period of this writer";
    let mut report = DrillReport::begin(started_ns, Level::D2, key);
    report.checks.push(Check::new(CHECK, Verdict::Unproven, why));
    report
}

fn detail(found: &CurrentFindings) -> String {
    let mut text = format!(
        "{} records and {} packs of key period {} brought back from {} sites and opened ({} \
         objects, {} bytes)",
        found.records,
        found.packs,
        found.period,
        found.sites_used.len(),
        found.objects,
        found.bytes,
    );
    if found.packs_earlier > 0 {
        text.push_str(&format!(
            "; {} packs of earlier key periods stay closed to this host",
            found.packs_earlier
        ));
    }
    if found.sites_used.len() < found.sites_needed {
        let needed = found.sites_needed;
        text.push_str(&format!("; {needed} sites are needed to rebuild packs"));
    }
    if let Some(first) = found.lost.first() {
        text.push_str(&format!("; {} lost, first: {first}", found.lost.len()));
    }
    if let Some(first) = found.problems.first() {
        text.push_str(&format!(
            "; {} problems, first: {} at {} is {}",
            found.problems.len(),
            first.object,
            first.site,
            first.kind
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_vault::{Lineage, Problem, ProblemKind};

    fn found() -> CurrentFindings {
        CurrentFindings {
            lineage: Lineage([7; 16]),
            period: 4,
            records: 10,
            packs: 2,
            packs_earlier: 1,
            point: None,
            objects: 60,
            bytes: 1000,
            sites_used: vec!["a".into(), "b".into(), "c".into()],
            sites_missing: vec!["d (gone)".into()],
            sites_needed: 3,
            problems: Vec::new(),
            lost: Vec::new(),
        }
    }

    #[test]
    fn what_came_back_is_ok_and_restores_nothing() {
        let report = current_report(&found(), 5, 6);
        assert_eq!((report.verdict(), report.level), (Verdict::Ok, Level::D2));
        assert_eq!(report.key_used.0, "current key period 4 of this writer");
        assert_eq!((report.rto_ns, report.rpo_ns, report.rpo_entries), (None, None, None));
    }

    #[test]
    fn damage_and_loss_fail_and_too_few_sites_or_records_prove_nothing() {
        let verdict = |change: fn(&mut CurrentFindings)| {
            let mut found = found();
            change(&mut found);
            current_report(&found, 5, 6).verdict()
        };
        let problem = |found: &mut CurrentFindings| {
            found.problems.push(Problem {
                site: "a".into(),
                object: "x".into(),
                kind: ProblemKind::Corrupt,
                detail: String::new(),
            });
        };
        assert_eq!(verdict(problem), Verdict::Failed);
        assert_eq!(verdict(|found| found.lost.push("pack".into())), Verdict::Failed);
        assert_eq!(verdict(|found| found.records = 0), Verdict::Unproven);
        assert_eq!(verdict(|found| found.sites_used.truncate(2)), Verdict::Unproven);
        let none = unproven_current_report(5, "nothing was written yet");
        assert_eq!(none.verdict(), Verdict::Unproven);
    }
}
