//! Who is told, outside of this machine: a dead man's switch that is fed by drills, and a webhook
//! for critical conditions. Neither is ever waited for, and neither ends anything.

pub(super) mod deadman;
mod http;
pub(super) mod webhook;

use std::path::Path;

use crate::config::AlertsConfig;

/// An address as configured, or as its file says; `None` if there is none.
///
/// # Errors
/// In words, if the file cannot be read.
fn address(url: &str, file: Option<&Path>) -> Result<Option<String>, String> {
    let url = match file {
        None => url.to_owned(),
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?,
    };
    let url = url.trim();
    Ok((!url.is_empty()).then(|| url.to_owned()))
}

/// The host of an address: what follows it may be a secret and is never shown.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

fn certificates(config: &AlertsConfig) -> Option<&Path> {
    config.certificate_file.as_deref()
}
