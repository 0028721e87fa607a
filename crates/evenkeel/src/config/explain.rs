//! Turns a TOML error into: which key, where, and what was probably meant.

use std::path::Path;

use super::environment::known_keys;
use crate::report::{Exit, Report};

/// How alike two names have to be (0 to 1, Jaro–Winkler) for one to be suggested for the other.
const ALIKE: f64 = 0.72;

pub(super) fn explain(error: &toml::de::Error, text: &str, file: &Path) -> Report {
    let offset = error.span().map_or(0, |span| span.start);
    let (line, column) = line_and_column(text, offset);
    let place = format!("{}:{line}:{column}", file.display());
    let section = section_at(text, offset);
    let message = error.message();
    if let Some(name) = quoted_after(message, "unknown field ") {
        let of = match &section {
            Some(section) => format!(" in [{section}]"),
            None => String::new(),
        };
        let report = Report::new(Exit::Usage, format!("unknown key `{name}`{of}"))
            .at(place)
            .safe("nothing was started");
        return suggest(report, name, &expected(message), section.as_deref());
    }
    let report = Report::new(Exit::Usage, sentence(message)).at(place).safe("nothing was started");
    match quoted_after(message, "unknown variant ") {
        Some(name) => suggest_value(report, name, &expected(message)),
        None => report.next("the commented reference: evenkeel config show --reference"),
    }
}

fn suggest(report: Report, name: &str, expected: &[&str], section: Option<&str>) -> Report {
    if let Some(near) = nearest(name, expected) {
        return report.next(format!("did you mean `{near}`?"));
    }
    let keys = known_keys();
    let home = keys.iter().map(|key| key.path.as_str()).find_map(|path| {
        let (home, last) = path.rsplit_once('.')?;
        (last == name && Some(home) != section).then_some(home)
    });
    if let Some(home) = home {
        return report.next(format!("`{name}` belongs to [{home}]"));
    }
    match nearest(name, &all_names(keys)) {
        Some(near) => report.next(format!("did you mean `{near}`?")),
        None => report.next(format!("known here: {}", expected.join(", "))),
    }
}

fn all_names(keys: &[super::environment::Key]) -> Vec<&str> {
    keys.iter().filter_map(|key| Some(key.path.rsplit_once('.')?.1)).collect()
}

fn suggest_value(report: Report, name: &str, expected: &[&str]) -> Report {
    match nearest(name, expected) {
        Some(near) => report.next(format!("did you mean `{near}`?")),
        None => report.next(format!("possible here: {}", expected.join(", "))),
    }
}

/// The candidate most like `name`, if one is like it at all.
pub(super) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .iter()
        .map(|candidate| (likeness(&name, &candidate.to_lowercase()), *candidate))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// 0 to 1. A name all of whose words are in the other is a shortened form of it.
fn likeness(name: &str, candidate: &str) -> f64 {
    let shortened = name.split('_').all(|word| candidate.split('_').any(|other| other == word));
    let alike = strsim::jaro_winkler(name, candidate);
    if shortened { alike.max(0.9) } else { alike }
}

/// What stands in backquotes right after `prefix`.
fn quoted_after<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = message.strip_prefix(prefix)?.strip_prefix('`')?;
    rest.split('`').next()
}

/// Every name in backquotes behind "expected".
fn expected(message: &str) -> Vec<&str> {
    let Some((_, list)) = message.split_once(", expected ") else {
        return Vec::new();
    };
    list.split('`').skip(1).step_by(2).collect()
}

/// The header of the table in which `offset` lies.
fn section_at(text: &str, offset: usize) -> Option<String> {
    let before = text.get(..offset)?;
    let header = before.lines().rev().map(str::trim).find(|line| line.starts_with('['))?;
    let name = header.trim_start_matches('[').split(']').next()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// 1-based line and column (in characters).
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn sentence(message: &str) -> String {
    message.trim().replace('\n', "; ")
}
