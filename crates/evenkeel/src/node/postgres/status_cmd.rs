//! `evenkeel postgres status`: what this host holds of the configured clusters.

use evenkeel_capture::postgres::{Holdings, Kind};

use crate::cli::{PostgresStatusArgs, format_time_ns};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command.
pub(crate) fn run(args: &PostgresStatusArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let mut shown = Vec::new();
    for of in &config.postgres {
        let folder = config.postgres_dir(&of.name);
        if folder.join("cluster").exists() {
            shown.push(describe(&of.name, &Holdings::read(&folder)?));
        }
    }
    if shown.is_empty() {
        return Err(Report::new(Exit::NothingYet, "no PostgreSQL cluster was captured here yet")
            .at(config.file.display().to_string())
            .next("evenkeel postgres run"));
    }
    if args.json {
        let document = serde_json::json!({"message_type": "postgres_status", "captures": shown});
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    for one in &shown {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        output::result(&format!("{}  {}", text("name"), text("version")))?;
        for (list, mark) in [("windows", ' '), ("named_points", '@'), ("events", '-')] {
            for item in one[list].as_array().into_iter().flatten() {
                output::result(&format!("  {mark} {}", words(item)))?;
            }
        }
    }
    Ok(Exit::Ok)
}

fn describe(name: &str, holdings: &Holdings) -> serde_json::Value {
    let window = |window: evenkeel_capture::postgres::Window| {
        serde_json::json!({
            "from_time": format_time_ns(window.from_ns),
            "until_time": format_time_ns(window.until_ns),
            "from_lsn": window.from.to_string(),
            "until_lsn": window.until.to_string(),
            "timeline": window.timeline,
        })
    };
    let windows: Vec<_> = holdings.windows().into_iter().map(window).collect();
    let points: Vec<_> = holdings
        .named_points()
        .into_iter()
        .map(|(lsn, time_ns, name)| {
            let (time, lsn) = (format_time_ns(time_ns), lsn.to_string());
            serde_json::json!({"name": name, "time": time, "lsn": lsn})
        })
        .collect();
    // What is in no window already.
    let told = holdings.happenings.iter().filter(|one| one.kind != Kind::Base);
    let events: Vec<_> = told
        .map(|one| {
            serde_json::json!({
                "time": format_time_ns(one.time_ns),
                "event": one.kind.word(),
                "timeline": one.timeline,
                "lsn": one.lsn.to_string(),
                "detail": one.detail,
            })
        })
        .collect();
    serde_json::json!({
        "name": name,
        "system_identifier": holdings.cluster.identifier.to_string(),
        "version": holdings.cluster.version,
        "base_backups": holdings.bases.len(),
        "windows": windows,
        "named_points": points,
        "events": events,
    })
}

fn words(item: &serde_json::Value) -> String {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    if item.get("until_time").is_some() {
        return format!(
            "{} to {} ({} to {}, timeline {})",
            text("from_time"),
            text("until_time"),
            text("from_lsn"),
            text("until_lsn"),
            item["timeline"]
        );
    }
    let what = if item.get("event").is_some() { text("event") } else { text("name") };
    format!("{} {what} at {} {}", text("time"), text("lsn"), text("detail"))
}
