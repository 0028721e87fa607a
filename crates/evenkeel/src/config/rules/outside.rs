//! `[network]`, `[[slashing]]` and the commands around a backup.

use std::collections::BTreeSet;

use super::Findings;
use crate::config::{Config, SlashingConfig};

/// Longest time that a server or a command may be given.
const SECONDS_MAX: u64 = 3_600;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let seconds = [
        ("network.timeout_seconds", config.network.timeout_seconds),
        ("files.hook_timeout_seconds", config.files.hook_timeout_seconds),
    ];
    for (key, value) in seconds {
        if !(1..=SECONDS_MAX).contains(&value) {
            findings.refuse(
                "timeout",
                format!("{key} = {value} is not from 1 to {SECONDS_MAX}"),
                "leave it out for the default",
            );
        }
    }
    let mut names = BTreeSet::new();
    for source in &config.slashing {
        slashing(source, findings);
        if !names.insert(source.name.as_str()) {
            findings.refuse(
                "slashing",
                format!("two [[slashing]] are called `{}`", source.name),
                "give each its own name",
            );
        }
    }
    if config.network.is_set() && config.domains.network.is_none() {
        findings.warn(
            "network",
            "network.document is named, and there is no [domains.network]: it is probed and not \
             protected",
            "evenkeel network protect FILE",
        );
    }
}

/// A name is part of a file's name.
fn slashing(source: &SlashingConfig, findings: &mut Findings) {
    let name = &source.name;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        findings.refuse(
            "slashing",
            format!("[[slashing]] has the name `{name}`"),
            "a name has 1 to 64 of the letters A-Z a-z 0-9 - _",
        );
    }
    if source.file.is_some() != source.command.is_empty() {
        findings.refuse(
            "slashing",
            format!("[[slashing]] `{name}` needs either file or command"),
            "name the interchange file, or the command that prints it",
        );
    }
    let is_odd = source.epoch_seconds == 0 || !(1..=SECONDS_MAX).contains(&source.timeout_seconds);
    if is_odd {
        findings.refuse(
            "slashing",
            format!("[[slashing]] `{name}` has an epoch or a timeout that cannot be"),
            "leave them out for the defaults",
        );
    }
}
