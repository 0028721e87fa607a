//! What a host among several needs: a store, an address, and a secret that is none of the vault's.

use super::Findings;
use crate::config::quorum::is_address;
use crate::config::{Config, FollowMode};

const RULE: &str = "quorum";
const QUOTA_BYTES: std::ops::RangeInclusive<u64> = 512 << 20..=8 << 30;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let quorum = &config.quorum;
    if config.standby.mode != FollowMode::Quorum {
        if !quorum.endpoints.is_empty() {
            findings.warn(
                RULE,
                "[quorum] endpoints is set, but standby.mode is not \"quorum\": the store is not \
                 asked, and the lock of this host's folder decides who writes",
                "set standby.mode = \"quorum\", or take the endpoints away",
            );
        }
        return;
    }
    if quorum.endpoints.is_empty() {
        findings.refuse(
            RULE,
            "standby.mode = \"quorum\" needs [quorum] endpoints",
            "name every member of the store: endpoints = [\"host-a:2379\", \"host-b:2379\", …]",
        );
    }
    for wrong in quorum.endpoints.iter().filter(|one| !is_address(one)) {
        findings.refuse(
            RULE,
            format!("quorum.endpoints: `{wrong}` is not HOST:PORT"),
            "name a member as host-a.internal:2379",
        );
    }
    if !is_address(&quorum.advertise) {
        findings.refuse(
            RULE,
            format!("quorum.advertise = \"{}\" is not HOST:PORT", quorum.advertise),
            "name the address at which the other hosts reach this one's link.listen",
        );
    }
    if config.link.listen.port() == 0 {
        findings.refuse(
            RULE,
            "link.listen has no fixed port, so the other hosts cannot find this one",
            "link.listen = \"0.0.0.0:7172\", for example",
        );
    }
    if !QUOTA_BYTES.contains(&quorum.quota_bytes) {
        findings.refuse(
            RULE,
            format!("quorum.quota_bytes = {} is not in 512 MiB..=8 GiB", quorum.quota_bytes),
            "give it what the members were started with as --quota-backend-bytes",
        );
    }
    access(config, findings);
}

fn access(config: &Config, findings: &mut Findings) {
    let quorum = &config.quorum;
    if quorum.certificate_file.is_some() != quorum.key_file.is_some() {
        findings.refuse(
            RULE,
            "quorum.certificate_file and quorum.key_file belong together",
            "set both, or neither",
        );
    }
    if quorum.ca_file.is_none() {
        findings.warn(
            RULE,
            "the store is reached without TLS: whoever is on the network reads the journal, and \
             can write to it",
            "give the members certificates and set quorum.ca_file; docs/etcd.md",
        );
    }
    if quorum.user.is_empty() != quorum.password_file.is_none() {
        findings.refuse(
            RULE,
            "quorum.user and quorum.password_file belong together",
            "set both, or neither",
        );
    }
    if quorum.endpoints.len() == 1 || quorum.endpoints.len() == 2 {
        findings.warn(
            RULE,
            format!(
                "a store of {} members does not survive the loss of one",
                quorum.endpoints.len()
            ),
            "run three members on three hosts",
        );
    }
}
