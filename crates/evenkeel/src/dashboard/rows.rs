//! Rows of the tables, as finished words.

use crate::documents::{
    DrillDocument, ErasureDocument, Outcome, PointDocument, PointsDocument, SiteDocument,
    SiteState, StatusDocument,
};

use super::view::margin_sentence;
use super::words;

/// Rows of each table on the page; the rest is one click away.
const POINT_ROWS: usize = 6;
const DRILL_ROWS: usize = 6;

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
        behind: site.behind_seconds.map_or_else(|| "–".to_owned(), words::duration),
        bytes: match site.bytes {
            Some(count) if site.state != SiteState::Down => words::bytes(count),
            _ => "–".to_owned(),
        },
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
        let total = i64::try_from(erasure.total_shards).unwrap_or(i64::MAX).min(64);
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
        let text =
            if margin < 0 { format!("−{}", margin.unsigned_abs()) } else { format!("+{margin}") };
        Self { squares, text, tone, sentence: margin_sentence(margin) }
    }
}

/// The newest rows, newest first.
pub(super) fn point_rows(points: &PointsDocument, all: bool) -> Vec<PointRow> {
    let limit = if all { usize::MAX } else { POINT_ROWS };
    points.points.iter().rev().take(limit).map(|p| point_row(p, &points.erasure)).collect()
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
        rto: drill.rto_seconds.map_or_else(|| "–".to_owned(), words::duration),
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
        let erasure = ErasureDocument { data_shards: 3, total_shards: 5 };
        let drawn = |margin| Margin::of(margin, &erasure).squares;
        assert_eq!(drawn(2), ["need", "need", "need", "spare", "spare"]);
        assert_eq!(drawn(0), ["need", "need", "need", "gone", "gone"]);
        assert_eq!(drawn(-1), ["need", "need", "gone", "gone", "gone"]);
        assert_eq!(Margin::of(-1, &erasure).text, "−1");
        assert_eq!(Margin::of(-1, &erasure).sentence, "1 shard short: cannot be restored now.");
        assert_eq!(Margin::of(i64::MIN, &erasure).squares, ["gone"; 5]);
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_an_address() {
        assert_eq!(path_segment("../a b?c#d"), "..%2Fa%20b%3Fc%23d");
    }
}
