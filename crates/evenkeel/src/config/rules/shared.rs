//! Two domains share no key and no credential: by value, whatever the files are called.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroize;

use super::Findings;
use crate::config::{Config, SiteConfig};

/// Larger files are no key files.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// One use of a secret or of a public key.
struct Use {
    domain: String,
    what: String,
}

pub(super) fn check(config: &Config, findings: &mut Findings) {
    for (rule, uses) in [("shared-key", keys(config)), ("shared-credential", credentials(config))] {
        for same in uses.into_values() {
            report(rule, &same, findings);
        }
    }
    uncredentialed(config, findings);
}

/// Reports the first two uses that are of different domains, then any further domain.
fn report(rule: &'static str, same: &[Use], findings: &mut Findings) {
    let Some((first, others)) = same.split_first() else {
        return;
    };
    let mut named = vec![first.domain.as_str()];
    for other in others {
        if named.contains(&other.domain.as_str()) {
            continue;
        }
        named.push(&other.domain);
        findings.refuse(
            rule,
            format!(
                "domains `{}` and `{}` share a {}: {} is the same as {}",
                first.domain,
                other.domain,
                if rule == "shared-key" { "key" } else { "credential" },
                first.what,
                other.what
            ),
            "give each domain its own: who takes one must not open the other",
        );
    }
}

/// Every key by value. Values of files are kept as hashes, never as they are.
fn keys(config: &Config) -> BTreeMap<[u8; 32], Vec<Use>> {
    let mut uses: BTreeMap<[u8; 32], Vec<Use>> = BTreeMap::new();
    for (name, domain) in config.domains.iter() {
        let mut used = |value: [u8; 32], what: String| {
            uses.entry(value).or_default().push(Use { domain: name.to_owned(), what });
        };
        for recipient in &domain.recipients {
            let what = format!("domains.{name}.recipients ({})", shortened(recipient));
            used(fingerprint(recipient.as_bytes()), what);
        }
        if !domain.root_public_key.is_empty() {
            let what =
                format!("domains.{name}.root_public_key ({})", shortened(&domain.root_public_key));
            used(fingerprint(domain.root_public_key.to_lowercase().as_bytes()), what);
        }
        for (key, file) in domain.key_files() {
            let Some(value) = fingerprint_of(file) else {
                continue;
            };
            used(value, format!("domains.{name}.{key} ({})", file.display()));
        }
    }
    uses
}

/// Every credential by value, for the domains whose sites it opens.
fn credentials(config: &Config) -> BTreeMap<[u8; 32], Vec<Use>> {
    let mut uses: BTreeMap<[u8; 32], Vec<Use>> = BTreeMap::new();
    for (name, domain) in config.domains.iter() {
        for site in config.sites_of(domain) {
            let Some(file) = &site.credential_file else {
                continue;
            };
            let Some(value) = fingerprint_of(file) else {
                continue;
            };
            let what = format!("site `{}` credential_file ({})", site.name, file.display());
            uses.entry(value).or_default().push(Use { domain: name.to_owned(), what });
        }
    }
    uses
}

/// Folder sites without credentials: the operating system's user is the credential.
fn uncredentialed(config: &Config, findings: &mut Findings) {
    let mut writers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, domain) in config.domains.iter() {
        let without = |site: &&SiteConfig| {
            site.credential_file.is_none() && site.credential_variable.is_empty()
        };
        for site in config.sites_of(domain).filter(without) {
            writers.entry(&site.name).or_default().push(name);
        }
    }
    for (site, domains) in writers {
        if let [first, second, ..] = domains[..] {
            findings.refuse(
                "shared-credential",
                format!(
                    "domains `{first}` and `{second}` share a credential: both write site \
                     `{site}`, which has none of its own"
                ),
                "give each domain its own site, in a folder of its own",
            );
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(16) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The hash of a key file's content, or of its path while there is no file.
fn fingerprint_of(file: &Path) -> Option<[u8; 32]> {
    if file.as_os_str().is_empty() {
        return None;
    }
    let small = std::fs::metadata(file).is_ok_and(|found| found.len() <= KEY_FILE_BYTES_MAX);
    match small.then(|| std::fs::read(file)) {
        Some(Ok(mut content)) => {
            let value = fingerprint(content.trim_ascii());
            content.zeroize();
            Some(value)
        }
        _ => Some(fingerprint(file.as_os_str().as_encoded_bytes())),
    }
}

fn fingerprint(value: &[u8]) -> [u8; 32] {
    evenkeel_types::merkle::leaf_hash(value)
}
