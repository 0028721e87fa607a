//! `EVENKEEL_SECTION_KEY` overrides one value of the file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::alerts::AlertsConfig;
use super::drill::DrillCheckConfig;
use super::explain::nearest;
use super::files::DatabaseConfig;
use super::holders::{HolderConfig, RemovedBecause};
use super::model::{Config, DomainConfig};
use super::postgres::PostgresConfig;
use super::profile::Profile;
use super::site::{BandwidthConfig, SiteConfig};
use super::slashing::SlashingConfig;
use crate::report::{Exit, Report, Result};

const PREFIX: &str = "EVENKEEL_";

/// Variables that are no configuration values.
const OTHERS: &[&str] = &["EVENKEEL_HOME", "EVENKEEL_CONFIG"];

/// What a value is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    List,
    Flag,
}

/// A key of the configuration.
#[derive(Debug)]
pub(super) struct Key {
    /// `section.key`.
    pub(super) path: String,
    pub(super) kind: Kind,
}

impl Key {
    fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.replace('.', "_").to_uppercase())
    }
}

/// One variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name, beginning with `EVENKEEL_`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Every key of the model, found by writing out one in which everything is set.
pub(super) fn known_keys() -> &'static [Key] {
    static KEYS: OnceLock<Vec<Key>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut keys = Vec::new();
        if let Ok(table) = toml::Table::try_from(everything_set()) {
            collect("", &table, &mut keys);
        }
        keys
    })
}

fn collect(prefix: &str, table: &toml::Table, keys: &mut Vec<Key>) {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => collect(&path, inner, keys),
            toml::Value::Array(items) => match items.first() {
                Some(toml::Value::Table(inner)) => collect(&path, inner, keys),
                _ => keys.push(Key { path, kind: Kind::List }),
            },
            toml::Value::Integer(_) => keys.push(Key { path, kind: Kind::Integer }),
            toml::Value::Boolean(_) => keys.push(Key { path, kind: Kind::Flag }),
            _ => keys.push(Key { path, kind: Kind::Text }),
        }
    }
}

fn everything_set() -> Config {
    let some = || PathBuf::from("x");
    let domain = || {
        Some(DomainConfig {
            root_public_key: "x".to_owned(),
            writer_key_file: some(),
            writer_certificate_file: some(),
            chunk_id_key_file: some(),
            holders: vec![HolderConfig {
                since: "x".to_owned(),
                kept_at: "x".to_owned(),
                removed: "x".to_owned(),
                because: Some(RemovedBecause::Lost),
                ..HolderConfig::default()
            }],
            ..DomainConfig::default()
        })
    };
    let mut config = Config { profile: Some(Profile::AirGapped), ..Config::default() };
    config.domains.state = domain();
    config.domains.network = domain();
    config.domains.keys = domain();
    config.network.document = some();
    config.dashboard.token_file = Some(some());
    config.drill.report_public_key = "x".to_owned();
    config.drill.scratch = Some(some());
    config.drill.checks.push(everything_checked());
    everybody_told(&mut config.alerts);
    config.standby.follow = "x".to_owned();
    config.standby.identity_file = Some(some());
    config.quorum.user = "x".to_owned();
    config.quorum.advertise = "x".to_owned();
    config.quorum.ca_file = Some(some());
    config.quorum.certificate_file = Some(some());
    config.quorum.key_file = Some(some());
    config.quorum.password_file = Some(some());
    config.clients.listen = Some(([127, 0, 0, 1], 1).into());
    config.clients.advertise = "x".to_owned();
    config.postgres.push(PostgresConfig {
        password_file: Some(some()),
        programs: Some(some()),
        ..PostgresConfig::default()
    });
    config.slashing.push(SlashingConfig {
        file: Some(some()),
        command: vec!["x".to_owned()],
        ..SlashingConfig::default()
    });
    config.databases.push(DatabaseConfig { path: some(), ..DatabaseConfig::default() });
    config.sites.push(SiteConfig {
        operator: "x".to_owned(),
        jurisdiction: "x".to_owned(),
        credential_file: Some(some()),
        read_credential_file: Some(some()),
        path: some(),
        endpoint: "x".to_owned(),
        bucket: "x".to_owned(),
        prefix: "x".to_owned(),
        region: "x".to_owned(),
        certificate_file: Some(some()),
        allow_http: true,
        credential_variable: "x".to_owned(),
        peers: vec!["x".to_owned()],
        bandwidth_bytes_per_second: BandwidthConfig { up: Some(1), down: Some(1) },
        ..SiteConfig::default()
    });
    config
}

fn everybody_told(alerts: &mut AlertsConfig) {
    let some = || Some(PathBuf::from("x"));
    alerts.deadman_url = "x".to_owned();
    alerts.deadman_url_file = some();
    alerts.webhook_url = "x".to_owned();
    alerts.webhook_url_file = some();
    alerts.certificate_file = some();
}

fn everything_checked() -> DrillCheckConfig {
    let text = || Some("1".to_owned());
    DrillCheckConfig {
        source: "x".to_owned(),
        database: "x".to_owned(),
        sql: "x".to_owned(),
        expect: text(),
        min: text(),
        max: text(),
        no_rows: true,
        path: PathBuf::from("x"),
        absent: true,
        sha256: "x".to_owned(),
        min_bytes: Some(1),
        max_bytes: Some(1),
        min_age_seconds: Some(1),
        max_age_seconds: Some(1),
        command: vec!["x".to_owned()],
        network: true,
        ..DrillCheckConfig::default()
    }
}

/// Keys that a variable can set (all but those of `[[sites]]`, `[[postgres]]`, `[[databases]]`,
/// checks and holders, which have no fixed name).
fn settable() -> impl Iterator<Item = &'static Key> {
    let lists = ["sites.", "postgres.", "databases.", "slashing.", "drill.checks."];
    let listed = move |key: &&Key| {
        lists.iter().any(|list| key.path.starts_with(list)) || key.path.contains(".holders.")
    };
    known_keys().iter().filter(move |key| !listed(key))
}

/// Every variable that is understood, with the key it sets; for the documentation.
#[must_use]
pub fn environment_keys() -> Vec<(String, String)> {
    settable().map(|key| (key.variable(), key.path.clone())).collect()
}

/// The `EVENKEEL_*` variables among `all`, sorted.
///
/// # Errors
/// [`Exit::Usage`] if one of them is not UTF-8.
pub(super) fn variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Variable>> {
    let mut found = Vec::new();
    for (name, value) in all {
        let Ok(name) = name.into_string() else {
            continue;
        };
        if !name.starts_with(PREFIX) || OTHERS.contains(&name.as_str()) {
            continue;
        }
        let Ok(value) = value.into_string() else {
            return Err(Report::new(Exit::Usage, "the value is not UTF-8")
                .at(format!("environment {name}")));
        };
        found.push(Variable { name, value });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The file's text with the variables laid over it.
///
/// # Errors
/// [`Exit::Usage`] naming the variable whose value cannot be, or that is nearly one of ours.
pub(super) fn apply(text: &str, variables: &[Variable]) -> Result<Config> {
    let read = |error: toml::de::Error| Report::new(Exit::Usage, error.message().to_owned());
    let mut table: toml::Table = toml::from_str(text).map_err(read)?;
    let mut config: Config = toml::from_str(text).map_err(read)?;
    for variable in variables {
        let Some(key) = settable().find(|key| key.variable() == variable.name) else {
            refuse_if_meant(variable)?;
            continue;
        };
        set(&mut table, key, variable)?;
        config = table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| refused(variable, error.message()))?;
    }
    Ok(config)
}

fn refused(variable: &Variable, why: &str) -> Report {
    Report::new(Exit::Usage, format!("`{}` cannot be: {}", variable.value, why.trim()))
        .at(format!("environment {}", variable.name))
        .next(format!("unset {}, or give it another value", variable.name))
}

fn set(table: &mut toml::Table, key: &Key, variable: &Variable) -> Result<()> {
    let value = match key.kind {
        Kind::Text => toml::Value::String(variable.value.clone()),
        Kind::Integer => {
            let number = variable.value.trim().replace('_', "").parse();
            number
                .map(toml::Value::Integer)
                .map_err(|_| refused(variable, "a whole number is expected"))?
        }
        Kind::Flag => match variable.value.trim() {
            "true" => toml::Value::Boolean(true),
            "false" => toml::Value::Boolean(false),
            _ => return Err(refused(variable, "`true` or `false` is expected")),
        },
        Kind::List => {
            let items = variable.value.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(str::to_owned).collect::<Vec<_>>().into()
        }
    };
    let mut at = table;
    let mut parts: Vec<&str> = key.path.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    if let ["domains", domain] = parts[..]
        && !has_domain(at, domain)
    {
        let why = format!("the file has no [domains.{domain}], which it would change");
        return Err(refused(variable, &why));
    }
    for part in parts {
        let inner = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        match inner {
            toml::Value::Table(inner) => at = inner,
            _ => {
                return Err(refused(variable, "the file has a value where a section belongs"));
            }
        }
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

fn has_domain(table: &toml::Table, domain: &str) -> bool {
    table.get("domains").and_then(|domains| domains.get(domain)).is_some()
}

/// A misspelt variable would be ignored without a word; one that is clearly of another program
/// that shares the prefix is none of our business.
fn refuse_if_meant(variable: &Variable) -> Result<()> {
    let names: Vec<String> = settable().map(Key::variable).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let section = variable.name[PREFIX.len()..].split('_').next().unwrap_or_default();
    let of_ours = names
        .iter()
        .any(|name| name[PREFIX.len()..].split('_').next().is_some_and(|ours| ours == section));
    let near = nearest(&variable.name[PREFIX.len()..], &bare(&names));
    let close = names.iter().any(|name| strsim::levenshtein(name, &variable.name) <= 3);
    if !of_ours && !close {
        return Ok(());
    }
    let report = Report::new(Exit::Usage, "this variable sets no configuration key")
        .at(format!("environment {}", variable.name));
    Err(match near {
        Some(near) => report.next(format!("did you mean {PREFIX}{near}?")),
        None => report.next("evenkeel config show --environment   (lists them all)"),
    })
}

fn bare<'a>(names: &[&'a str]) -> Vec<&'a str> {
    names.iter().map(|name| &name[PREFIX.len()..]).collect()
}
