//! What the templates show, as finished words: templates decide nothing.

use crate::documents::{
    ConditionDocument, FailoverDocument, ModeName, Outcome, ProtectedDocument, Severity,
    SourceKind, SourceState, StatusDocument,
};

use super::words::{self, Part};

/// Findings shown unfolded, unless more are critical.
const CONDITIONS_SHOWN: usize = 3;
/// Sources of a desk among the figures; `status` has all of them.
const SOURCES_SHOWN: usize = 5;
/// A longer message is set as a sentence and its particulars.
const MESSAGE_MAX_BYTES: usize = 140;

/// The sentence at the top.
pub(super) struct Verdict {
    pub tone: &'static str,
    pub mark: &'static str,
    pub headline: &'static str,
    pub sentence: String,
    pub title: String,
    /// Everything critical, and the next few.
    pub conditions: Vec<Finding>,
    /// The rest, folded away.
    pub folded: Vec<Finding>,
    pub folded_label: String,
}

pub(super) fn verdict(status: &StatusDocument, conditions: &[ConditionDocument]) -> Verdict {
    let worst = conditions.first().map(|condition| condition.severity);
    let (tone, mark, headline) = match worst {
        Some(Severity::Critical) => ("bad", "!", "Act now"),
        Some(Severity::Warning) => ("warn", "!", "Needs attention"),
        _ if status.mode == ModeName::Starting => ("wait", "…", "Coming up"),
        _ if status.last_proven_restore.is_none() => ("wait", "…", "Getting ready"),
        _ => ("ok", "✓", "On an even keel"),
    };
    let title = match tone {
        "ok" => "Evenkeel".to_owned(),
        _ => format!("{headline} – Evenkeel"),
    };
    let sentence = verdict_sentence(status, conditions, tone);
    let critical = conditions.iter().filter(|c| c.severity == Severity::Critical).count();
    let (shown, folded) = conditions.split_at(conditions.len().min(critical.max(CONDITIONS_SHOWN)));
    let folded_label = words::count(folded.len() as u64, "more finding", "more findings");
    Verdict {
        tone,
        mark,
        headline,
        sentence,
        title,
        conditions: shown.iter().map(finding).collect(),
        folded: folded.iter().map(finding).collect(),
        folded_label,
    }
}

/// One finding of the verdict.
pub(super) struct Finding {
    pub severity: &'static str,
    /// What happened.
    pub head: String,
    /// The particulars, where there are many.
    pub rest: String,
    pub safe: String,
    pub next: String,
    /// Whether `next` can be typed as it stands.
    pub is_command: bool,
}

fn finding(condition: &ConditionDocument) -> Finding {
    let message = condition.message.as_str();
    let split = message.split_once(": ").filter(|_| message.len() > MESSAGE_MAX_BYTES);
    let (head, rest) = match split {
        Some((head, rest)) => (format!("{head}."), rest),
        None => (message.to_owned(), ""),
    };
    Finding {
        severity: condition.severity.word(),
        head,
        rest: words::capitalised(rest),
        safe: condition.safe.clone(),
        next: condition.next.clone(),
        is_command: condition.next.starts_with("evenkeel "),
    }
}

fn verdict_sentence(
    status: &StatusDocument,
    conditions: &[ConditionDocument],
    tone: &str,
) -> String {
    let grave = conditions.iter().filter(|c| c.severity != Severity::Notice).count() as u64;
    match tone {
        "ok" => {
            let spare = status.recovery_points.latest.as_ref().map_or(0, |p| p.margin.max(0));
            let spare = words::count(spare.unsigned_abs(), "site", "sites");
            format!("Everything that was checked is right. Any {spare} may be lost.")
        }
        "wait" if status.mode == ModeName::Starting => {
            "The journal is being read back and compared with the sites; then orders are admitted."
                .to_owned()
        }
        "wait" if status.role == "desk" => {
            "The first recovery point is made; then a drill proves that it comes back.".to_owned()
        }
        "wait" => "Orders are admitted and journaled. The first drill will prove that they come \
                   back."
            .to_owned(),
        _ => format!(
            "{}, worst first, each with what to type.",
            words::count(grave, "finding", "findings")
        ),
    }
}

/// The large figure.
pub(super) struct Proven {
    pub tone: &'static str,
    pub parts: Vec<Part>,
    pub facts: Vec<(&'static str, String)>,
    pub note: String,
    pub note_tone: &'static str,
}

pub(super) fn proven(status: &StatusDocument, conditions: &[ConditionDocument]) -> Proven {
    let has = |kind: &str| conditions.iter().any(|condition| condition.kind == kind);
    let (note, note_tone) = drill_note(status);
    let Some(last) = &status.last_proven_restore else {
        return Proven { tone: "wait", parts: Vec::new(), facts: Vec::new(), note, note_tone };
    };
    let tone = if has("drill_failed") {
        "bad"
    } else if has("proof_stale") {
        "warn"
    } else {
        "ok"
    };
    let facts = vec![
        ("took", words::duration(last.rto_seconds)),
        ("level", last.level.word().to_owned()),
        ("to position", words::grouped(last.position)),
        ("from point", words::short_hash(&last.recovery_point)),
    ];
    Proven { tone, parts: words::age_parts(last.age_seconds), facts, note, note_tone }
}

fn drill_note(status: &StatusDocument) -> (String, &'static str) {
    let next = status.next_drill_seconds.map(words::ahead);
    let failed = status.last_drill.as_ref().filter(|drill| drill.result != Outcome::Ok);
    if let Some(drill) = failed {
        let word = if drill.result == Outcome::Failed { "failed" } else { "was unproven" };
        let tone = if drill.result == Outcome::Failed { "bad" } else { "warn" };
        let next = next.map(|next| format!(" Next drill {next}.")).unwrap_or_default();
        let text = format!("A later drill, {} ago, {word}.{next}", words::age(drill.age_seconds));
        return (text, tone);
    }
    let text = match (next, status.last_proven_restore.is_some()) {
        (Some(next), true) => format!("Next drill {next}."),
        (Some(next), false) => format!(
            "First drill {next}: it restores from the sites alone, with another identity, replays \
             and checks every root."
        ),
        (None, true) => "No drill is scheduled.".to_owned(),
        (None, false) => "No drill is scheduled. Type: evenkeel drill --level D3".to_owned(),
    };
    (text, "calm")
}

/// One of the figures under the headline.
pub(super) struct Fact {
    pub label: &'static str,
    pub value: String,
    pub unit: &'static str,
    pub tone: &'static str,
    pub lines: Vec<String>,
}

pub(super) fn facts(status: &StatusDocument, conditions: &[ConditionDocument]) -> Vec<Fact> {
    let tone_of = |kinds: &[&str]| {
        let worst = conditions
            .iter()
            .filter(|condition| kinds.contains(&condition.kind.as_str()))
            .map(|condition| condition.severity)
            .min();
        match worst {
            Some(Severity::Critical) => "bad",
            Some(Severity::Warning) => "warn",
            _ => "calm",
        }
    };
    if status.role == "desk" {
        let tone = tone_of(&["source_behind", "source_unprotected", "files_not_protected"]);
        let mut facts = vec![points_fact(status, tone_of(&["margin_thin"]))];
        facts.extend(status.protected.iter().take(SOURCES_SHOWN).map(|one| source_fact(one, tone)));
        return facts;
    }
    let mut facts = vec![
        rpo_fact(
            status,
            tone_of(&["rpo_growing", "tail_unconfirmed", "not_shipping", "spool_filling"]),
        ),
        journal_fact(status, tone_of(&["disk_full", "journal_read_only"])),
        points_fact(status, tone_of(&["margin_thin", "no_point"])),
        venue_fact(status, tone_of(&["mode", "digests_disagree"])),
    ];
    let tone = tone_of(&["failover", "failover_unclean", "standby_missing"]);
    facts.extend(status.last_failover.as_ref().map(|last| failover_fact(last, tone)));
    facts
}

/// One protected source of a desk.
fn source_fact(source: &ProtectedDocument, tone: &'static str) -> Fact {
    let is_well = matches!(source.state, SourceState::Protected | SourceState::Waiting);
    let proven = match &source.last_proven_restore {
        Some(proven) => format!("Proven {} ago.", words::age(proven.age_seconds)),
        None => "Not proven yet.".to_owned(),
    };
    let promised = words::round_duration(source.rpo_target_seconds);
    let mut lines = vec![format!("{}. Promised: at most {promised}.", source.name), proven];
    if source.gaps > 0 {
        lines.push(words::count(source.gaps, "unprotected interval.", "unprotected intervals."));
    }
    lines.extend(source.detail.clone());
    let label = match source.kind {
        SourceKind::Files => "Files, RPO",
        SourceKind::Sqlite => "Database, RPO",
        SourceKind::Network => "Network, RPO",
        SourceKind::Postgres => "PostgreSQL, RPO",
    };
    let value = source.rpo_seconds.map_or_else(|| "–".to_owned(), words::duration);
    Fact { label, value, unit: "", tone: if is_well { "calm" } else { tone }, lines }
}

fn failover_fact(last: &FailoverDocument, tone: &'static str) -> Fact {
    let text = words::duration(last.seconds);
    let (value, unit) = match text.split_once(' ') {
        Some((value, "s")) => (value.to_owned(), "s"),
        Some((value, "ms")) => (value.to_owned(), "ms"),
        _ => (text, ""),
    };
    let told = words::count(last.acknowledged, "acknowledgement", "acknowledgements");
    let again = words::count(last.repeated, "command", "commands");
    Fact {
        label: "Last failover",
        value,
        unit,
        tone,
        lines: vec![
            format!("{}, term {}, at {}.", last.kind.word(), last.term, words::clock(&last.time)),
            format!("{} of {told} lost.", last.acknowledged_lost),
            format!("{again} sent again, {} applied twice.", last.applied_twice),
        ],
    }
}

fn rpo_fact(status: &StatusDocument, tone: &'static str) -> Fact {
    let rpo = &status.tail.rpo;
    if status.tail.last_shipped_time.is_none() {
        return Fact {
            label: "RPO at the sites",
            value: "–".to_owned(),
            unit: "",
            tone,
            lines: vec!["Shown once the first entries have reached the sites.".to_owned()],
        };
    }
    let text = words::duration(rpo.seconds);
    let (value, unit) = match text.split_once(' ') {
        Some((value, "s")) => (value.to_owned(), "s"),
        Some((value, "ms")) => (value.to_owned(), "ms"),
        _ => (text, ""),
    };
    let lost = if rpo.entries == 0 {
        "Nothing would be lost with this host.".to_owned()
    } else {
        format!("{} would be lost with this host.", words::count(rpo.entries, "entry", "entries"))
    };
    let mut lines = vec![lost];
    if rpo.target_seconds > 0.0 {
        lines.push(format!("Promised: at most {}.", words::round_duration(rpo.target_seconds)));
    }
    Fact { label: "RPO at the sites", value, unit, tone, lines }
}

fn journal_fact(status: &StatusDocument, tone: &'static str) -> Fact {
    let journal = &status.journal;
    let waiting = journal.position.saturating_sub(journal.durable_position);
    let durable = match waiting {
        0 => "All of it durable on this host.".to_owned(),
        _ => format!("{} being written now.", words::count(waiting, "entry", "entries")),
    };
    let acks = journal
        .ack_p99_seconds
        .map(|p99| format!(", 99 % acknowledged within {}", words::duration(p99)))
        .unwrap_or_default();
    Fact {
        label: "Journal",
        value: words::grouped(journal.position),
        unit: "",
        tone,
        lines: vec![
            format!("{} entries/s{acks}.", words::rate(journal.entries_per_second)),
            durable,
        ],
    }
}

fn points_fact(status: &StatusDocument, tone: &'static str) -> Fact {
    let points = &status.recovery_points;
    let restorable = points.latest.as_ref().is_none_or(|latest| latest.margin >= 0);
    let tone = if restorable { tone } else { "bad" };
    let lines = match &points.latest {
        Some(latest) => vec![
            format!("Newest {} ago.", words::age(latest.age_seconds)),
            margin_sentence(latest.margin),
        ],
        None => vec![match status.next_point_seconds {
            Some(seconds) => format!("The first is due {}.", words::ahead(seconds)),
            None => "The first follows with the first snapshot.".to_owned(),
        }],
    };
    Fact { label: "Recovery points", value: words::grouped(points.count), unit: "", tone, lines }
}

pub(super) fn margin_sentence(margin: i64) -> String {
    let count = margin.unsigned_abs();
    match margin {
        ..0 => format!("{} short: cannot be restored now.", words::count(count, "shard", "shards")),
        0 => "No site may be lost.".to_owned(),
        _ => format!("Survives the loss of any {}.", words::count(count, "site", "sites")),
    }
}

fn venue_fact(status: &StatusDocument, tone: &'static str) -> Fact {
    let engine = &status.engine;
    let agree = match engine.digests_agree {
        Some(true) => "Engine and follower agree.",
        Some(false) => "Engine and follower disagree.",
        None => "Follower not compared yet.",
    };
    let mut lines = vec![
        format!(
            "{}, {}.",
            words::count(engine.accounts, "account", "accounts"),
            words::count(engine.instruments, "instrument", "instruments")
        ),
        agree.to_owned(),
    ];
    if let Some(index) = &engine.volatility_index {
        lines.push(format!("Volatility index {index} %."));
    }
    if let Some(fund) = &engine.insurance_fund {
        lines.push(format!(
            "Insurance fund {fund}; {} begun, {} under way.",
            words::count(engine.liquidations, "liquidation", "liquidations"),
            engine.in_liquidation
        ));
    }
    if status.mode != ModeName::Normal {
        lines.insert(0, format!("The venue is {}.", status.mode.word()));
    }
    Fact { label: "Open orders", value: words::grouped(engine.open_orders), unit: "", tone, lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_drill_the_page_says_what_will_come_and_when() {
        let status = StatusDocument { next_drill_seconds: Some(37.2), ..StatusDocument::default() };
        let shown = proven(&status, &[]);
        assert!(shown.parts.is_empty());
        assert!(shown.note.starts_with("First drill in 38 s: it restores"), "{}", shown.note);
    }
}
