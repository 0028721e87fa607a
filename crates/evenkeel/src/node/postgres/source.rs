//! What is known of the captured clusters as protected sources: from the capture's folder, and from
//! the part of it that the last recovery point took.

use std::fs;
use std::path::Path;
use std::time::Duration;

use evenkeel_capture::postgres::{Holdings, Kind, Position};
use evenkeel_recovery::Clock as _;

use super::super::clock::SystemClock;
use super::super::desk::Sources;
use crate::cli::format_time_ns;
use crate::config::Config;
use crate::documents::{SourceGapDocument, SourceKind};

/// While somebody captures, the server's clock is heard every second.
const SILENT_NS: u64 = 30_000_000_000;

/// Notes every configured cluster. `point` and its margin are of the newest recovery point of
/// files, if there is one.
pub(in super::super) fn note(config: &Config, sources: &Sources, point: Option<(&str, i64)>) {
    let now_ns = SystemClock::new().wall_ns();
    for one in &config.postgres {
        let (folder, points) =
            (config.postgres_dir(&one.name), config.postgres_points_dir(&one.name));
        let captured = position(&folder);
        let at_sites = point.and(position(&points));
        let gaps = gaps_of(&format!("postgres:{}", one.name), &folder);
        sources.note(&format!("postgres:{}", one.name), |source| {
            source.kind = SourceKind::Postgres;
            source.target = Duration::from_secs(one.rpo_seconds);
            source.gaps = gaps;
            if let (Some((point, margin)), Some(at)) = (point, at_sites) {
                source.complete_ns = Some(at.time_ns);
                (source.recovery_point, source.margin) = (Some(point.to_owned()), Some(margin));
            }
            source.detail = match captured {
                None => Some("nothing of it was captured yet".to_owned()),
                Some(at) if now_ns.saturating_sub(at.time_ns) > SILENT_NS => Some(format!(
                    "the server was last heard at {}: what it commits now waits there",
                    format_time_ns(at.time_ns)
                )),
                Some(_) => None,
            };
        });
    }
}

fn position(folder: &Path) -> Option<Position> {
    let text = fs::read_to_string(folder.join("position")).ok()?;
    Position::parse(&text).filter(|position| position.time_ns > 0)
}

/// Intervals of the configured clusters that cannot be brought back, as this host knows them.
pub(in super::super) fn gaps(config: &Config) -> Vec<SourceGapDocument> {
    let of_one = |one: &crate::config::PostgresConfig| {
        gaps_of(&format!("postgres:{}", one.name), &config.postgres_dir(&one.name))
    };
    config.postgres.iter().flat_map(of_one).collect()
}

/// What lies between one window and the next.
fn gaps_of(source: &str, folder: &Path) -> Vec<SourceGapDocument> {
    let Ok(holdings) = Holdings::read(folder) else { return Vec::new() };
    let windows = holdings.windows();
    let between = windows.windows(2).filter_map(|pair| match pair {
        [before, after] if before.until < after.from || before.until_ns < after.from_ns => {
            let told = holdings.happenings.iter().rev().find(|one| {
                one.kind != Kind::Base
                    && (before.until_ns..=after.from_ns).contains(&one.time_ns)
                    && !one.detail.is_empty()
            });
            Some(SourceGapDocument {
                source: source.to_owned(),
                from: format_time_ns(before.until_ns),
                until: Some(format_time_ns(after.from_ns)),
                why: told.map_or_else(|| "its log is missing".to_owned(), |one| one.detail.clone()),
            })
        }
        _ => None,
    });
    between.collect()
}
