//! Who may come in from other machines, and whether they find their way.

use std::collections::BTreeSet;

use super::Findings;
use crate::config::quorum::is_address;
use crate::config::{Config, FollowMode};

const RULE: &str = "clients";
/// The shared log holds both addresses of a primary, and a space.
const ADDRESSES_BYTES_MAX: usize = 256;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let clients = &config.clients;
    let Some(listen) = clients.listen else {
        if !clients.gateways.is_empty() {
            findings.warn(
                RULE,
                "[[clients.gateways]] names clients, but clients.listen is not set: none comes in",
                "set clients.listen, or take the gateways away",
            );
        }
        return;
    };
    if clients.gateways.is_empty() {
        findings.refuse(
            RULE,
            format!("clients.listen = \"{listen}\" lets nobody in: no [[clients.gateways]]"),
            "evenkeel clients key --name NAME --to DIR   (on the client's machine: says what to \
             add)",
        );
    }
    if config.standby.mode == FollowMode::Quorum {
        if !is_address(&clients.advertise) {
            findings.refuse(
                RULE,
                format!("clients.advertise = \"{}\" is not HOST:PORT", clients.advertise),
                "name the address at which clients reach this host's clients.listen: the other \
                 hosts tell them",
            );
        }
        if clients.advertise.len() + config.quorum.advertise.len() >= ADDRESSES_BYTES_MAX {
            findings.refuse(
                RULE,
                "clients.advertise and quorum.advertise are too long for the shared log",
                format!("together they have fewer than {ADDRESSES_BYTES_MAX} bytes"),
            );
        }
        if listen.port() == 0 {
            findings.refuse(
                RULE,
                "clients.listen has no fixed port, so no client can find this host",
                "clients.listen = \"0.0.0.0:7173\", for example",
            );
        }
    }
    let (mut names, mut certificates) = (BTreeSet::new(), BTreeSet::new());
    for gateway in &clients.gateways {
        let name = &gateway.name;
        if name.is_empty() || !names.insert(name) {
            findings.refuse(
                RULE,
                format!("clients.gateways: the name \"{name}\" is empty, or there twice"),
                "give each client a name of its own",
            );
        }
        match gateway.fingerprint() {
            None => findings.refuse(
                RULE,
                format!("clients.gateways: certificate_sha256 of \"{name}\" is no SHA-256"),
                "openssl x509 -noout -fingerprint -sha256 -in client.pem",
            ),
            Some(fingerprint) if !certificates.insert(fingerprint) => findings.refuse(
                RULE,
                format!("clients.gateways: \"{name}\" has the certificate of another client"),
                "give each client a certificate of its own",
            ),
            Some(_) => {}
        }
    }
}
