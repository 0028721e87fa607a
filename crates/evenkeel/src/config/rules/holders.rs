//! Whether what is said of the recipients fits them, and whether they open what they should.

use std::collections::BTreeSet;

use evenkeel_vault::Recipient;

use super::Findings;
use crate::access_seen::AccessSeen;
use crate::config::{Config, DomainConfig, DomainName};

const RULE: &str = "recipients";

pub(super) fn check(config: &Config, findings: &mut Findings) {
    for (name, domain) in config.domains.iter() {
        holders(name, domain, findings);
    }
    for name in DomainName::ALL {
        let Some(domain) = name.settings(config) else { continue };
        closed(config, name, domain, findings);
        if let Some(words) = crate::node::stale_kit(config, name) {
            findings.warn("kit", words, crate::node::next_kit(config, name));
        }
    }
    if let Some(words) = crate::node::stale_keys_kit(config) {
        findings.warn("kit", words, crate::node::next_keys_kit(config));
    }
}

fn holders(name: &str, domain: &DomainConfig, findings: &mut Findings) {
    let mut labels = BTreeSet::new();
    for holder in &domain.holders {
        let shown = format!("domains.{name}.holders `{}`", holder.label);
        if holder.label.is_empty() || !labels.insert(&holder.label) {
            findings.refuse(
                RULE,
                format!("{shown}: a label is missing, or there twice"),
                "give each holder a label of its own",
            );
        }
        if Recipient::parse(&holder.recipient).is_err() {
            findings.refuse(
                RULE,
                format!("{shown}: `{}` is no recipient", holder.recipient),
                "an age1… recipient, as `evenkeel recipients list` prints them",
            );
            continue;
        }
        let listed = domain.recipients.contains(&holder.recipient);
        match (holder.is_removed(), listed) {
            (false, false) => findings.refuse(
                RULE,
                format!("{shown} is not in domains.{name}.recipients: it would open nothing"),
                "add it there, or say when it was `removed`",
            ),
            (true, true) => findings.refuse(
                RULE,
                format!(
                    "{shown} was removed on {}, and is in domains.{name}.recipients: every new \
                     period would be wrapped for it",
                    holder.removed
                ),
                "take it out of the list, or take `removed` away",
            ),
            _ => {}
        }
    }
}

/// What was last seen at the sites; nothing is read from them here.
fn closed(config: &Config, name: DomainName, domain: &DomainConfig, findings: &mut Findings) {
    let Some(seen) = AccessSeen::load(config, name) else {
        return;
    };
    if let Some(words) = seen.closed_words(domain) {
        findings.warn(RULE, words, AccessSeen::next(config, name));
    }
}
