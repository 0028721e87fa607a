//! Where sealed data goes: sites that exist, are apart, and cannot all be lost at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use evenkeel_vault::{Layout, SiteClass};

use super::Findings;
use crate::config::explain::nearest;
use crate::config::{BandwidthConfig, Config, DomainConfig, SiteClassName, SiteConfig, SiteKind};
use crate::site_open::{check_settings, class_of, shown};

pub(super) fn check(config: &Config, findings: &mut Findings) {
    names(config, findings);
    folders(config, findings);
    for (name, domain) in config.domains.iter() {
        if name == "keys" {
            offline(domain, findings);
            continue;
        }
        layout(config, name, domain, findings);
        let sites: Vec<&SiteConfig> = config.sites_of(domain).collect();
        if sites.len() == domain.sites.len() && sites.len() >= domain.data_shards {
            theft(config, name, domain, &sites, findings);
            falling_together(name, domain, &sites, findings);
        }
    }
}

fn names(config: &Config, findings: &mut Findings) {
    let mut seen: Vec<&str> = Vec::new();
    for site in &config.sites {
        let name = site.name.as_str();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            findings.refuse(
                "site",
                format!("site name `{name}`: use 1 to 64 letters, digits, - and _"),
                "rename it in [[sites]] and in the domains",
            );
        }
        if seen.contains(&name) {
            findings.refuse("site", format!("two sites are called `{name}`"), "rename one");
        }
        if site.kind == SiteKind::Folder && site.path.as_os_str().is_empty() {
            findings.refuse("site", format!("site `{name}` has an empty path"), "set its path");
        }
        elsewhere(site, findings);
        seen.push(name);
    }
    for site in &config.sites {
        if !config.domains.iter().any(|(_, domain)| domain.sites.contains(&site.name)) {
            findings.warn(
                "site",
                format!("site `{}` is used by no domain", site.name),
                "name it in a domain's sites, or remove it",
            );
        }
    }
}

/// A site beyond this machine: can it be reached with these settings at all?
fn elsewhere(site: &SiteConfig, findings: &mut Findings) {
    let name = &site.name;
    if site.kind == SiteKind::Folder {
        let others = [&site.endpoint, &site.bucket, &site.prefix, &site.region];
        if others.iter().any(|value| !value.is_empty()) {
            findings.refuse(
                "site",
                format!("site `{name}` is a folder, but has an endpoint, bucket, prefix or region"),
                "set kind = \"s3\", \"webdav\" or \"ipfs\", or remove them",
            );
        }
        if site.bandwidth_bytes_per_second != BandwidthConfig::default() {
            findings.refuse(
                "site",
                format!("site `{name}` is a folder, whose bandwidth is not ours to bound"),
                "remove its bandwidth_bytes_per_second; what is mounted there has its own settings",
            );
        }
        return;
    }
    if !site.path.as_os_str().is_empty() {
        findings.refuse(
            "site",
            format!("site `{name}` is not a folder, but has a path"),
            "remove its path, or set kind = \"folder\"",
        );
    }
    if site.kind != SiteKind::Ipfs && !site.peers.is_empty() {
        findings.refuse(
            "site",
            format!("site `{name}` has peers, which only kind = \"ipfs\" has"),
            "remove them",
        );
    }
    if site.credential_file.is_some() && !site.credential_variable.is_empty() {
        findings.refuse(
            "site",
            format!("site `{name}` has a credential_file and a credential_variable"),
            "keep one of them",
        );
    }
    if let Err(why) = check_settings(site) {
        findings.refuse("site", format!("site `{name}`: {why}"), "see docs/sites.md");
    }
}

/// The `keys` domain: never an online site, whatever its kind.
fn offline(domain: &DomainConfig, findings: &mut Findings) {
    for site in &domain.sites {
        findings.refuse(
            "keys-online",
            format!("domain `keys` names the online site `{site}`"),
            "keys are kept on paper, metal and devices only: remove it from domains.keys.sites",
        );
    }
}

fn layout(config: &Config, name: &str, domain: &DomainConfig, findings: &mut Findings) {
    let known: Vec<&str> = config.sites.iter().map(|site| site.name.as_str()).collect();
    for (index, site) in domain.sites.iter().enumerate() {
        if domain.sites[..index].contains(site) {
            findings.refuse(
                "site",
                format!("domains.{name}.sites names `{site}` twice"),
                "two shards at one site are lost together: name another",
            );
        }
        if config.site(site).is_none() {
            let next = match nearest(site, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known sites: {}", known.join(", ")),
            };
            let message = format!("domains.{name}.sites: there is no site `{site}`");
            findings.refuse("site", message, next);
        }
    }
    let (k, n) = (domain.data_shards, domain.sites.len());
    if let Err(error) = Layout::new(k, n) {
        findings.refuse(
            "layout",
            format!("domains.{name}: data_shards = {k} with {n} sites: {error}"),
            "data_shards is k: how many sites bring everything back",
        );
    } else if k == n {
        findings.warn(
            "layout",
            format!("domains.{name}: all {n} sites are needed, so losing one loses everything"),
            "add sites, or lower data_shards before the first start",
        );
    }
}

/// Only what a probe has shown counts: a class is not had by being written down.
fn theft(
    config: &Config,
    name: &str,
    domain: &DomainConfig,
    sites: &[&SiteConfig],
    findings: &mut Findings,
) {
    let (k, n) = (domain.data_shards, domain.sites.len());
    for site in sites {
        if site.class != SiteClassName::Mutable && !shown(config, site).append_only {
            findings.warn(
                "class-not-shown",
                format!("site `{}` is said to be append-only, which no probe has shown", site.name),
                "evenkeel sites probe; until then it counts as mutable",
            );
        }
    }
    let proof = sites.iter().filter(|site| class_of(config, site) != SiteClass::Mutable).count();
    if proof < k {
        findings.warn(
            "not-theft-proof",
            format!(
                "domains.{name}: {proof} of {n} sites refuse to overwrite and delete, {k} are \
                 needed: who takes over this host can destroy every copy"
            ),
            "add append-only sites (an old machine with evenkeel site serve is one), or keep a \
             further copy where this host cannot write",
        );
    }
}

/// Sites that one person, one court or one disk takes away together.
fn falling_together(
    name: &str,
    domain: &DomainConfig,
    sites: &[&SiteConfig],
    findings: &mut Findings,
) {
    let spare = sites.len() - domain.data_shards;
    let mut groups: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for site in sites {
        let mut member = |what, value: String| {
            groups.entry((what, value)).or_default().push(site.name.as_str());
        };
        if !site.operator.is_empty() {
            member("operator", site.operator.clone());
        }
        if !site.jurisdiction.is_empty() {
            member("jurisdiction", site.jurisdiction.clone());
        }
        if let Some(device) = site.folder().and_then(device) {
            member("filesystem", format!("device {device}"));
        }
        if let Some(server) = server(site) {
            member("server", server);
        }
    }
    for ((what, value), members) in groups {
        if members.len() > spare {
            findings.warn(
                "falls-together",
                format!(
                    "domains.{name}: {} of {} sites share the {what} `{value}` ({}); only {spare} \
                     may be lost",
                    members.len(),
                    sites.len(),
                    members.join(", ")
                ),
                "move sites apart until no more than n - k fall together",
            );
        }
    }
    let unstated = |value: fn(&SiteConfig) -> &str| -> Vec<&str> {
        let unknown = sites.iter().filter(|site| value(site).is_empty());
        unknown.map(|site| site.name.as_str()).collect()
    };
    let operators = unstated(|site| &site.operator);
    let jurisdictions = unstated(|site| &site.jurisdiction);
    for (what, unknown) in [("operator", operators), ("jurisdiction", jurisdictions)] {
        if !unknown.is_empty() {
            findings.warn(
                "unstated",
                format!("domains.{name}: {what} is not stated for {}", unknown.join(", ")),
                "state it, so that what falls together can be told",
            );
        }
    }
}

/// One folder inside another is one folder: for two sites, and for a site and the host's data.
fn folders(config: &Config, findings: &mut Findings) {
    let mut places: Vec<(String, PathBuf)> =
        vec![("host.data".to_owned(), settled(&config.host.data))];
    for site in config.sites.iter().filter(|site| site.folder().is_some()) {
        let path = settled(&site.path);
        let this = format!("site `{}`{}", site.name, users(config, &site.name));
        for (other, taken) in &places {
            if path.starts_with(taken) || taken.starts_with(&path) {
                findings.refuse(
                    "shared-prefix",
                    format!(
                        "{other} and {this} share a site prefix: {} and {}",
                        taken.display(),
                        path.display()
                    ),
                    "give each a folder that is not inside the other's",
                );
            }
        }
        places.push((this, path));
    }
    buckets(config, findings);
}

/// The same of what is not a folder here: one address inside another is one site.
fn buckets(config: &Config, findings: &mut Findings) {
    let mut places: Vec<(String, String)> = Vec::new();
    for site in config.sites.iter().filter(|site| site.folder().is_none()) {
        let here = site.location().to_lowercase() + "/";
        let this = format!("site `{}`{}", site.name, users(config, &site.name));
        for (other, taken) in &places {
            if here.starts_with(taken) || taken.starts_with(&here) {
                findings.refuse(
                    "shared-prefix",
                    format!("{other} and {this} share a site prefix: {taken} and {here}"),
                    "give each a bucket or prefix that is not inside the other's",
                );
            }
        }
        places.push((this, here));
    }
}

/// Host and port of a site beyond this machine: what falls with that machine.
fn server(site: &SiteConfig) -> Option<String> {
    let (_, rest) = site.endpoint.split_once("://")?;
    Some(rest.split('/').next().unwrap_or(rest).to_lowercase())
}

fn users(config: &Config, site: &str) -> String {
    let users: Vec<&str> = config
        .domains
        .iter()
        .filter_map(|(name, domain)| domain.sites.iter().any(|used| used == site).then_some(name))
        .collect();
    match users[..] {
        [] => String::new(),
        _ => format!(" (domain `{}`)", users.join("`, `")),
    }
}

/// The path with links followed as far as it exists, so that two names of one folder are equal.
pub(super) fn settled(path: &Path) -> PathBuf {
    let mut tail = Vec::new();
    let mut at = path;
    loop {
        if let Ok(real) = at.canonicalize() {
            return tail.iter().rev().fold(real, |path, part| path.join(part));
        }
        match (at.parent(), at.file_name()) {
            (Some(parent), Some(name)) => {
                tail.push(name);
                at = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

/// The number of the filesystem that a path is, or would be, on.
fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    path.ancestors().find_map(|at| at.metadata().ok()).map(|found| found.dev())
}
