//! What the templates show, as finished words: templates decide nothing.

use crate::documents::{
    ConditionDocument, DrillDocument, ErasureDocument, ModeName, Outcome, PointDocument,
    PointsDocument, Severity, SiteDocument, SiteState, StatusDocument,
};

use super::words::{self, Part};

/// Rows of each table on the page; the rest is one click away.
const POINT_ROWS: usize = 6;
const DRILL_ROWS: usize = 6;
/// Findings shown unfolded, unless more are critical.
const CONDITIONS_SHOWN: usize = 3;

/// The sentence at the top.
pub(super) struct Verdict {
    pub tone: &'static str,
    pub mark: &'static str,
    pub headline: &'static str,
    pub sentence: String,
    pub title: String,
    /// Everything critical, and the next few.
    pub conditions: Vec<ConditionDocument>,
    /// The rest, folded away.
    pub folded: Vec<ConditionDocument>,
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
    let critical = conditions
        .iter()
        .filter(|c| c.severity == Severity::Critical)
        .count();
    let (shown, folded) = conditions.split_at(conditions.len().min(critical.max(CONDITIONS_SHOWN)));
    let folded_label = words::count(folded.len() as u64, "more finding", "more findings");
    Verdict {
        tone,
        mark,
        headline,
        sentence,
        title,
        conditions: shown.to_vec(),
        folded: folded.to_vec(),
        folded_label,
    }
}

fn verdict_sentence(
    status: &StatusDocument,
    conditions: &[ConditionDocument],
    tone: &str,
) -> String {
    let grave = conditions
        .iter()
        .filter(|c| c.severity != Severity::Notice)
        .count() as u64;
    match tone {
        "ok" => {
            let spare = status
                .recovery_points
                .latest
                .as_ref()
                .map_or(0, |p| p.margin.max(0));
            let spare = words::count(spare.unsigned_abs(), "site", "sites");
            format!("Everything that was checked is right. Any {spare} may be lost.")
        }
        "wait" if status.mode == ModeName::Starting => {
            "The journal is being read back and compared with the sites; then orders are admitted."
                .to_owned()
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
        return Proven {
            tone: "wait",
            parts: Vec::new(),
            facts: Vec::new(),
            note,
            note_tone,
        };
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
    Proven {
        tone,
        parts: words::age_parts(last.age_seconds),
        facts,
        note,
        note_tone,
    }
}

fn drill_note(status: &StatusDocument) -> (String, &'static str) {
    let next = status.next_drill_seconds.map(words::ahead);
    let failed = status
        .last_drill
        .as_ref()
        .filter(|drill| drill.result != Outcome::Ok);
    if let Some(drill) = failed {
        let word = if drill.result == Outcome::Failed {
            "failed"
        } else {
            "was unproven"
        };
        let tone = if drill.result == Outcome::Failed {
            "bad"
        } else {
            "warn"
        };
        let next = next
            .map(|next| format!(" Next drill {next}."))
            .unwrap_or_default();
        let text = format!(
            "A later drill, {} ago, {word}.{next}",
            words::age(drill.age_seconds)
        );
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
    vec![
        rpo_fact(
            status,
            tone_of(&[
                "rpo_growing",
                "tail_unconfirmed",
                "not_shipping",
                "spool_filling",
            ]),
        ),
        journal_fact(status, tone_of(&["disk_full", "journal_read_only"])),
        points_fact(status, tone_of(&["margin_thin", "no_point"])),
        venue_fact(status, tone_of(&["mode", "digests_disagree"])),
    ]
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
        format!(
            "{} would be lost with this host.",
            words::count(rpo.entries, "entry", "entries")
        )
    };
    let mut lines = vec![lost];
    if rpo.target_seconds > 0.0 {
        lines.push(format!(
            "Promised: at most {}.",
            words::round_duration(rpo.target_seconds)
        ));
    }
    Fact {
        label: "RPO at the sites",
        value,
        unit,
        tone,
        lines,
    }
}

fn journal_fact(status: &StatusDocument, tone: &'static str) -> Fact {
    let journal = &status.journal;
    let waiting = journal.position.saturating_sub(journal.durable_position);
    let durable = match waiting {
        0 => "All of it durable on this host.".to_owned(),
        _ => format!(
            "{} being written now.",
            words::count(waiting, "entry", "entries")
        ),
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
            format!(
                "{} entries/s{acks}.",
                words::rate(journal.entries_per_second)
            ),
            durable,
        ],
    }
}

fn points_fact(status: &StatusDocument, tone: &'static str) -> Fact {
    let points = &status.recovery_points;
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
    Fact {
        label: "Recovery points",
        value: words::grouped(points.count),
        unit: "",
        tone,
        lines,
    }
}

fn margin_sentence(margin: i64) -> String {
    let count = margin.unsigned_abs();
    match margin {
        ..0 => format!(
            "{} short: cannot be restored now.",
            words::count(count, "shard", "shards")
        ),
        0 => "No site may be lost.".to_owned(),
        _ => format!(
            "Survives the loss of any {}.",
            words::count(count, "site", "sites")
        ),
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
    if status.mode != ModeName::Normal {
        lines.insert(0, format!("The venue is {}.", status.mode.word()));
    }
    Fact {
        label: "Open orders",
        value: words::grouped(engine.open_orders),
        unit: "",
        tone,
        lines,
    }
}

/// One row of the table of sites.
pub(super) struct SiteRow {
    pub name: String,
    pub location: String,
    pub location_short: String,
    pub class: &'static str,
    pub tone: &'static str,
    pub mark: &'static str,
    pub state: &'static str,
    pub detail: String,
    pub behind: String,
    pub bytes: String,
}

pub(super) fn site_rows(status: &StatusDocument) -> Vec<SiteRow> {
    status.sites.iter().map(site_row).collect()
}

fn site_row(site: &SiteDocument) -> SiteRow {
    let (tone, mark) = match site.state {
        SiteState::Healthy => ("ok", "✓"),
        SiteState::Behind => ("warn", "↻"),
        SiteState::Damaged => ("warn", "!"),
        SiteState::Down => ("bad", "✕"),
        SiteState::Unknown => ("wait", "…"),
    };
    SiteRow {
        name: site.name.clone(),
        location: site.location.clone(),
        location_short: words::short_path(&site.location),
        class: site.class.word(),
        tone,
        mark,
        state: site.state.word(),
        detail: site.detail.clone().unwrap_or_default(),
        behind: site
            .behind_seconds
            .map_or_else(|| "–".to_owned(), words::duration),
        bytes: site.bytes.map_or_else(|| "–".to_owned(), words::bytes),
    }
}

/// One row of the table of recovery points.
pub(super) struct PointRow {
    pub id: String,
    pub position: String,
    pub root: String,
    pub root_short: String,
    pub time: String,
    pub age: String,
    pub margin: Margin,
    pub proven: bool,
}

/// Shards of a point as squares: first the needed ones, then the spare ones.
pub(super) struct Margin {
    pub squares: Vec<&'static str>,
    pub text: String,
    pub tone: &'static str,
    pub sentence: String,
}

impl Margin {
    fn of(margin: i64, erasure: &ErasureDocument) -> Self {
        let needed = i64::try_from(erasure.data_shards).unwrap_or(i64::MAX);
        let total = i64::try_from(erasure.total_shards)
            .unwrap_or(i64::MAX)
            .min(64);
        let verified = needed.saturating_add(margin);
        let squares = (0..total)
            .map(|index| match index {
                _ if index >= verified => "gone",
                _ if index < needed => "need",
                _ => "spare",
            })
            .collect();
        let tone = match margin {
            ..0 => "bad",
            0 => "warn",
            _ => "ok",
        };
        let text = if margin < 0 {
            format!("−{}", margin.unsigned_abs())
        } else {
            format!("+{margin}")
        };
        Self {
            squares,
            text,
            tone,
            sentence: margin_sentence(margin),
        }
    }
}

/// The newest rows, newest first.
pub(super) fn point_rows(points: &PointsDocument, all: bool) -> Vec<PointRow> {
    let limit = if all { usize::MAX } else { POINT_ROWS };
    points
        .points
        .iter()
        .rev()
        .take(limit)
        .map(|p| point_row(p, &points.erasure))
        .collect()
}

fn point_row(point: &PointDocument, erasure: &ErasureDocument) -> PointRow {
    PointRow {
        id: point.id.clone(),
        position: words::grouped(point.position),
        root: point.state_root.clone(),
        root_short: words::short_hash(&point.state_root),
        time: point.time.clone(),
        age: words::age(point.age_seconds),
        margin: Margin::of(point.margin, erasure),
        proven: point.proven_time.is_some(),
    }
}

/// One row of the table of drills.
pub(super) struct DrillRow {
    pub time: String,
    pub clock: String,
    pub tone: &'static str,
    pub mark: &'static str,
    pub result: &'static str,
    pub level: &'static str,
    pub rto: String,
    pub rpo: String,
    pub position: String,
    pub href: String,
}

/// The newest rows, newest first.
pub(super) fn drill_rows(drills: &[DrillDocument], all: bool) -> Vec<DrillRow> {
    let limit = if all { usize::MAX } else { DRILL_ROWS };
    drills.iter().rev().take(limit).map(drill_row).collect()
}

fn drill_row(drill: &DrillDocument) -> DrillRow {
    let (tone, mark) = outcome_mark(drill.result);
    let rpo = match (drill.rpo_entries, drill.rpo_seconds) {
        (Some(entries), _) => words::grouped(entries),
        (None, Some(seconds)) => words::duration(seconds),
        (None, None) => "–".to_owned(),
    };
    DrillRow {
        time: drill.time.clone(),
        clock: words::clock(&drill.time),
        tone,
        mark,
        result: drill.result.word(),
        level: drill.level.word(),
        rto: drill
            .rto_seconds
            .map_or_else(|| "–".to_owned(), words::duration),
        rpo,
        position: words::grouped(drill.position),
        href: format!("/drills/{}", path_segment(&drill.id)),
    }
}

/// Tone and sign of an outcome.
pub(super) fn outcome_mark(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Ok => ("ok", "✓"),
        Outcome::Failed => ("bad", "✕"),
        Outcome::Unproven => ("warn", "?"),
        Outcome::NotConfigured => ("wait", "–"),
    }
}

/// Percent-encodes everything but unreserved characters.
fn path_segment(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut segment, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            let _ = write!(segment, "%{byte:02X}");
        }
        segment
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_drawn_as_needed_spare_and_lost_shards() {
        let erasure = ErasureDocument {
            data_shards: 3,
            total_shards: 5,
        };
        let drawn = |margin| Margin::of(margin, &erasure).squares;
        assert_eq!(drawn(2), ["need", "need", "need", "spare", "spare"]);
        assert_eq!(drawn(0), ["need", "need", "need", "gone", "gone"]);
        assert_eq!(drawn(-1), ["need", "need", "gone", "gone", "gone"]);
        assert_eq!(Margin::of(-1, &erasure).text, "−1");
        assert_eq!(
            Margin::of(-1, &erasure).sentence,
            "1 shard short: cannot be restored now."
        );
        assert_eq!(Margin::of(i64::MIN, &erasure).squares, ["gone"; 5]);
    }

    #[test]
    fn before_the_first_drill_the_page_says_what_will_come_and_when() {
        let status = StatusDocument {
            next_drill_seconds: Some(37.2),
            ..StatusDocument::default()
        };
        let shown = proven(&status, &[]);
        assert!(shown.parts.is_empty());
        assert!(
            shown.note.starts_with("First drill in 38 s: it restores"),
            "{}",
            shown.note
        );
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_an_address() {
        assert_eq!(path_segment("../a b?c#d"), "..%2Fa%20b%3Fc%23d");
    }
}
