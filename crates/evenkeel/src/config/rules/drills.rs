//! Whether what is asked of a drill can be checked, and told.

use std::collections::BTreeSet;

use super::Findings;
use crate::config::{Config, DrillCheckConfig};

const RULE: &str = "drill-check";

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let mut names = BTreeSet::new();
    for one in &config.drill.checks {
        let shown = format!("[[drill.checks]] `{}`", one.name);
        if one.name.trim().is_empty() || one.name.len() > 100 {
            findings.refuse(RULE, format!("{shown}: that is no name"), "at most 100 letters");
        }
        if !names.insert(&one.name) {
            findings.refuse(RULE, format!("{shown} stands there twice"), "rename one of them");
        }
        if let Err((why, next)) = what(config, one) {
            findings.refuse(RULE, format!("{shown}: {why}"), next);
        }
    }
    let alerts = &config.alerts;
    for (key, url, file) in [
        ("deadman_url", &alerts.deadman_url, &alerts.deadman_url_file),
        ("webhook_url", &alerts.webhook_url, &alerts.webhook_url_file),
    ] {
        if !url.is_empty() && file.is_some() {
            let message = format!("alerts.{key} and alerts.{key}_file are both set");
            findings.refuse("alerts", message, "leave one of them out");
        }
        if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
            let message = format!("alerts.{key} is no address of the web");
            findings.refuse("alerts", message, "it begins with https:// (or http://)");
        }
        if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
            let message = format!("alerts.{key}_file = {} is not there", file.display());
            findings.refuse("alerts", message, "write the address into it, and nothing else");
        }
    }
}

type Wrong = (&'static str, &'static str);

fn what(config: &Config, one: &DrillCheckConfig) -> Result<(), Wrong> {
    let has_path = !one.path.as_os_str().is_empty();
    let kinds = [!one.sql.is_empty(), has_path, !one.command.is_empty()];
    if kinds.into_iter().filter(|is| *is).count() != 1 {
        return Err((
            "it needs exactly one of sql, path and command",
            "a check looks at one thing: make two of them",
        ));
    }
    let of_sql = one.no_rows
        || !one.database.is_empty()
        || [&one.expect, &one.min, &one.max].into_iter().any(Option::is_some);
    if of_sql && one.sql.is_empty() {
        let next = "expect, min, max, no_rows and database belong to sql";
        return Err(("there is no query whose answer could be that", next));
    }
    if one.no_rows && [&one.expect, &one.min, &one.max].into_iter().any(Option::is_some) {
        return Err(("no_rows and a value cannot both be expected", "leave one of them out"));
    }
    let numbers = [one.min_bytes, one.max_bytes, one.min_age_seconds, one.max_age_seconds];
    let has_numbers = numbers.into_iter().any(|one| one.is_some());
    let of_path = one.absent || !one.sha256.is_empty() || has_numbers;
    if of_path && !has_path {
        let next = "absent, sha256 and the limits of size and age belong to path";
        return Err(("there is no file that could be so", next));
    }
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !one.sha256.is_empty() && !is_digest(&one.sha256) {
        return Err(("sha256 is 64 hexadecimal digits", "sha256sum FILE"));
    }
    if one.absent && (has_numbers || !one.sha256.is_empty()) {
        return Err(("a file that is absent has no size, age or hash", "leave them out"));
    }
    asked(config, one)
}

/// Whom a query or a program is about.
fn asked(config: &Config, one: &DrillCheckConfig) -> Result<(), Wrong> {
    if !one.path.as_os_str().is_empty() {
        let next = "path names the file by itself";
        return if one.source.is_empty() { Ok(()) } else { Err(("a path has no source", next)) };
    }
    match one.postgres() {
        Some(name) if config.postgres.iter().any(|known| known.name == name) => Ok(()),
        Some(_) => Err((
            "its source is no [[postgres]] of this configuration",
            "source = \"postgres:NAME\", with the name of one",
        )),
        None if !one.database.is_empty() => {
            Err(("only a PostgreSQL server has databases with names", "leave database out"))
        }
        None if one.command.is_empty() && one.source.is_empty() => Err((
            "it does not say which database to ask",
            "source = \"/path/of/orders.sqlite\" or \"postgres:NAME\"",
        )),
        None if !one.command.is_empty() && !one.source.is_empty() => Err((
            "a program finds every SQLite database below EVENKEEL_DRILL_DIR by itself",
            "leave source out, or name postgres:NAME",
        )),
        None => Ok(()),
    }
}
