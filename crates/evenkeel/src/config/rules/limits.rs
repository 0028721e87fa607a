//! A limit on everything, and nothing needed left out.

use std::ops::RangeInclusive;

use super::Findings;
use crate::config::{Config, DomainConfig, DrillLevel};

const RULE: &str = "limit";
const MISSING: &str = "missing";

/// Hours for which one data key may encrypt.
const KEY_PERIOD_HOURS_MAX: u32 = 24;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    numbers(config, findings);
    dashboard(config, findings);
    drill(config, findings);
    if config.domains.iter().next().is_none() {
        findings.refuse(
            MISSING,
            "no domain is configured, so nothing would be protected",
            "add [domains.state]; `evenkeel init --home DIR` writes one with its keys",
        );
    }
    for (name, domain) in config.domains.iter() {
        needed(name, domain, findings);
        let hours = domain.key_period_hours;
        if !(1..=KEY_PERIOD_HOURS_MAX).contains(&hours) {
            findings.refuse(
                RULE,
                format!("domains.{name}.key_period_hours = {hours} is not in 1..=24"),
                "a thief of the host reads one key period: 24 hours is the longest allowed",
            );
        }
    }
}

fn numbers(config: &Config, findings: &mut Findings) {
    let mut limit = |key: &str, value: u64, range: RangeInclusive<u64>| {
        if !range.contains(&value) {
            findings.refuse(
                RULE,
                format!("{key} = {value} is not in {}..={}", range.start(), range.end()),
                "the commented reference says what it does: evenkeel config show --reference",
            );
        }
    };
    let venue = &config.venue;
    limit("venue.accounts", venue.accounts.into(), 2..=100_000);
    limit("venue.commands_per_second", venue.commands_per_second.into(), 1..=1_000_000);
    limit("venue.rules", venue.rules.into(), 1..=2);
    let journal = &config.journal;
    limit("journal.segment_bytes", journal.segment_bytes, 1 << 20..=4 << 30);
    limit("journal.reserve_bytes", journal.reserve_bytes, 1 << 20..=1 << 30);
    limit("journal.batch_max_entries", journal.batch_max_entries.into(), 1..=65_536);
    limit("journal.group_commit_wait_us", journal.group_commit_wait_us.into(), 0..=100_000);
    limit("journal.scrub_every_hours", journal.scrub_every_hours, 0..=24 * 31);
    let recovery = &config.recovery;
    let self_contained = recovery.self_contained_every_points.into();
    limit("recovery.tail_interval_ms", recovery.tail_interval_ms, 50..=60_000);
    limit("recovery.point_every_seconds", recovery.point_every_seconds, 1..=86_400);
    limit("recovery.point_every_entries", recovery.point_every_entries, 1_000..=100_000_000);
    limit("recovery.self_contained_every_points", self_contained, 1..=10_000);
    limit("recovery.spool_limit_bytes", recovery.spool_limit_bytes, 1 << 20..=1 << 40);
    limit("recovery.snapshot_keep", recovery.snapshot_keep.into(), 1..=1_000);
    limit("recovery.disk_limit_bytes", recovery.disk_limit_bytes, 0..=1 << 50);
    limit("files.every_seconds", config.files.every_seconds, 0..=86_400 * 31);
    // A negative level is as wrong as one that is too high.
    limit("files.zstd_level", u64::try_from(config.files.zstd_level).unwrap_or(0), 1..=19);
    let most = u64::try_from(config.files.zstd_level_max).unwrap_or(0);
    limit("files.zstd_level_max", most, 1..=19);
    limit("files.rpo_seconds", config.files.rpo_seconds, 1..=86_400 * 366);
    limit("files.rto_seconds", config.files.rto_seconds, 1..=86_400 * 366);
    limit("files.settle_seconds", config.files.settle_seconds, 0..=3_600);
    for database in &config.databases {
        let key = |name: &str| format!("databases.{name} of {}", database.path.display());
        limit(&key("every_seconds"), database.every_seconds, 1..=3_600);
        limit(&key("rpo_seconds"), database.rpo_seconds, 1..=86_400 * 366);
        limit(&key("rto_seconds"), database.rto_seconds, 1..=86_400 * 366);
    }
    for one in &config.postgres {
        let key = |name: &str| format!("postgres.{name} of {}", one.name);
        limit(&key("rpo_seconds"), one.rpo_seconds, 1..=86_400 * 366);
        limit(&key("rto_seconds"), one.rto_seconds, 1..=86_400 * 366);
    }
    for one in &config.drill.checks {
        let key = format!("drill.checks.timeout_seconds of {}", one.name);
        limit(&key, one.timeout_seconds, 1..=86_400);
    }
    limit("network.scrub_every_hours", config.network.scrub_every_hours, 0..=24 * 31);
    limit("network.rpo_seconds", config.network.rpo_seconds, 1..=86_400 * 366);
    limit("network.rto_seconds", config.network.rto_seconds, 1..=86_400 * 366);
    limit("alerts.repeat_seconds", config.alerts.repeat_seconds, 0..=86_400 * 31);
    limit("drill.every_seconds", config.drill.every_seconds, 0..=86_400 * 31);
    limit("drill.history_keep", config.drill.history_keep.into(), 1..=100_000);
    if recovery.tail_interval_ms > 1_000 {
        findings.warn(
            "rpo",
            format!(
                "recovery.tail_interval_ms = {}: the sites will be more than 1 second behind",
                recovery.tail_interval_ms
            ),
            "losing the host would lose what was acknowledged since the last tick",
        );
    }
}

fn dashboard(config: &Config, findings: &mut Findings) {
    let Some(address) = config.dashboard.bind.0 else {
        return;
    };
    match &config.dashboard.token_file {
        None if !address.ip().is_loopback() => findings.refuse(
            "dashboard",
            format!(
                "dashboard.bind = {address} can be reached from other machines without a token"
            ),
            "set dashboard.token_file, or bind to 127.0.0.1",
        ),
        Some(file) if !file.is_file() => findings.refuse(
            MISSING,
            format!("dashboard.token_file = {} is not there", file.display()),
            format!("(umask 077; head -c 32 /dev/urandom | base64 > {})", file.display()),
        ),
        _ => {}
    }
}

fn drill(config: &Config, findings: &mut Findings) {
    let drill = &config.drill;
    if drill.every_seconds == 0 {
        findings.warn(
            "drill",
            "drill.every_seconds = 0: no restore is ever proven by itself",
            "set it, or run `evenkeel drill` from a timer",
        );
        return;
    }
    if drill.level == DrillLevel::D4 {
        findings.refuse(
            "drill",
            "drill.level = \"D4\" every few seconds would need the recovery identity on this \
             machine",
            "use D3 here; run D4 by hand: evenkeel drill --level D4 --identity FILE",
        );
    }
    if drill.level == DrillLevel::D3 && !drill.identity_file.is_file() {
        findings.warn(
            MISSING,
            format!("drill.identity_file = {} is not there", drill.identity_file.display()),
            "drills will end unproven; put the drill host's identity there, or set level = \"D1\"",
        );
    }
}

fn needed(name: &str, domain: &DomainConfig, findings: &mut Findings) {
    let mut missing = |key: &str, next: &str| {
        findings.refuse(MISSING, format!("domains.{name}.{key} is not set"), next);
    };
    if domain.recipients.is_empty() {
        missing("recipients", "without one nobody could ever read what is written");
    }
    if domain.root_public_key.is_empty() {
        missing("root_public_key", "it stands in the recovery identity file, as a comment");
    }
    if name == "keys" {
        return;
    }
    let unset: Vec<&str> = domain
        .key_files()
        .into_iter()
        .filter_map(|(key, file)| file.as_os_str().is_empty().then_some(key))
        .collect();
    for key in unset {
        missing(key, "`evenkeel init --home DIR` makes a home with all of them");
    }
    for (key, file) in domain.key_files() {
        if !file.as_os_str().is_empty() && !file.is_file() {
            findings.refuse(
                MISSING,
                format!("domains.{name}.{key} = {} is not there", file.display()),
                "bring the file back; if the host is lost: evenkeel restore --promote",
            );
        }
    }
    for (key, file) in domain.key_files() {
        if let Some(Err(report)) = crate::token_key::named_in(file) {
            findings.refuse(
                RULE,
                format!("domains.{name}.{key} = {}: {}", file.display(), report.message()),
                "evenkeel keys hsm generate wrote it; bring that file back",
            );
        }
    }
    for recipient in &domain.recipients {
        if let Err(error) = evenkeel_vault::Recipient::parse(recipient) {
            findings.refuse(
                RULE,
                format!("domains.{name}.recipients: {error}"),
                "a recipient begins with age1; it stands in the identity file, as a comment",
            );
        }
    }
    if !domain.root_public_key.is_empty()
        && let Err(error) = evenkeel_vault::RootPublicKey::parse(&domain.root_public_key)
    {
        findings.refuse(RULE, format!("domains.{name}.root_public_key: {error}"), "");
    }
}
