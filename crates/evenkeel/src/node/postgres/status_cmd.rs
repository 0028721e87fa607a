//! `evenkeel postgres status`: what this host holds of the configured clusters.

use evenkeel_capture::postgres::{Happening, Holdings, Kind, Lsn, Window};

use crate::cli::{PostgresStatusArgs, format_time_ns};
use crate::documents::{
    PostgresCaptureDocument, PostgresEventDocument, PostgresNamedPointDocument,
    PostgresStatusDocument, PostgresWindowDocument,
};
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
        output::document(&PostgresStatusDocument { captures: shown })?;
        return Ok(Exit::Ok);
    }
    for one in &shown {
        print(one)?;
    }
    Ok(Exit::Ok)
}

fn print(one: &PostgresCaptureDocument) -> Result<()> {
    output::result(&format!("{}  {}", one.name, one.version))?;
    for window in &one.windows {
        output::result(&format!(
            "    {} to {} ({} to {}, timeline {})",
            window.from_time, window.until_time, window.from_lsn, window.until_lsn, window.timeline
        ))?;
    }
    for point in &one.named_points {
        output::result(&format!("  @ {} {} at {}", point.time, point.name, point.lsn))?;
    }
    for event in &one.events {
        let PostgresEventDocument { time, event, lsn, detail, .. } = event;
        output::result(&format!("  - {time} {event} at {lsn} {detail}"))?;
    }
    Ok(())
}

fn describe(name: &str, holdings: &Holdings) -> PostgresCaptureDocument {
    let window = |window: Window| PostgresWindowDocument {
        from_time: format_time_ns(window.from_ns),
        until_time: format_time_ns(window.until_ns),
        from_lsn: window.from.to_string(),
        until_lsn: window.until.to_string(),
        timeline: window.timeline,
    };
    let point = |(lsn, time_ns, name): (Lsn, u64, String)| PostgresNamedPointDocument {
        name,
        time: format_time_ns(time_ns),
        lsn: lsn.to_string(),
    };
    let event = |one: &Happening| PostgresEventDocument {
        time: format_time_ns(one.time_ns),
        event: one.kind.word().to_owned(),
        timeline: one.timeline,
        lsn: one.lsn.to_string(),
        detail: one.detail.clone(),
    };
    // What is in no window already.
    let told = holdings.happenings.iter().filter(|one| one.kind != Kind::Base);
    PostgresCaptureDocument {
        name: name.to_owned(),
        system_identifier: holdings.cluster.identifier.to_string(),
        version: holdings.cluster.version.clone(),
        base_backups: holdings.bases.len() as u64,
        windows: holdings.windows().into_iter().map(window).collect(),
        named_points: holdings.named_points().into_iter().map(point).collect(),
        events: told.map(event).collect(),
    }
}
