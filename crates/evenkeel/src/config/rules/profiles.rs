//! Profiles: one rule for each promise that a profile makes.

use std::collections::BTreeMap;

use super::Findings;
use crate::config::{Config, DomainConfig, HolderRole, Profile, SiteClassName, SiteConfig};

const RULE: &str = "profile";
/// Shorter, and nobody may notice in time that a deletion was approved.
const DELAY_HOURS_MIN: u32 = 24;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    match config.profile {
        None => {}
        Some(Profile::AirGapped) => air_gapped(config, findings),
        Some(Profile::EncryptedDistributed) => distributed(config, findings),
        Some(Profile::Multisig) => {
            distributed(config, findings);
            multisig(config, findings);
        }
    }
}

fn refuse(findings: &mut Findings, profile: Profile, why: &str, next: &str) {
    findings.refuse(RULE, format!("profile \"{}\": {why}", profile.name()), next);
}

/// Keys on paper, metal and devices. That `keys` names no site is a rule of its own.
fn air_gapped(config: &Config, findings: &mut Findings) {
    let profile = Profile::AirGapped;
    let Some(keys) = &config.domains.keys else {
        let why = "it keeps keys in a domain of their own, and there is no [domains.keys]";
        refuse(findings, profile, why, "add [domains.keys] with its recipients and no site");
        return;
    };
    if keys.recipients.is_empty() {
        let why = "domains.keys has no recipient";
        refuse(findings, profile, why, "name whoever can open what is kept of the keys");
    }
    let home = config.home();
    let here = [config.recovery_identity_file(), home.join(crate::init::KEYS_RECOVERY)];
    for file in here.iter().chain([&config.drill.identity_file]).filter(|file| file.is_file()) {
        refuse(
            findings,
            profile,
            &format!("an identity is on this machine: {}", file.display()),
            "move it to paper or a device, compare the copy, then delete it here (a drill host \
             keeps its own)",
        );
    }
    for (name, domain) in config.domains.iter() {
        for holder in domain.holders.iter().filter(|holder| !holder.is_removed()) {
            let place = home.join(&holder.kept_at);
            if holder.kept_at.is_empty() {
                refuse(
                    findings,
                    profile,
                    &format!("domains.{name}.holders `{}` does not say kept_at", holder.label),
                    "say on which paper or device it is: a place that nobody knows is none",
                );
            } else if place.is_file() {
                refuse(
                    findings,
                    profile,
                    &format!("the identity of `{}` is on this machine", holder.label),
                    "move it to paper or a device, and say so in kept_at",
                );
            }
        }
    }
}

/// At sites that do not fall together, k of which keep what they have.
fn distributed(config: &Config, findings: &mut Findings) {
    let profile = config.profile.unwrap_or(Profile::EncryptedDistributed);
    let Some(domain) = &config.domains.state else {
        refuse(findings, profile, "there is no [domains.state]", "evenkeel init lays one out");
        return;
    };
    let sites: Vec<&SiteConfig> = config.sites_of(domain).collect();
    let (k, n) = (domain.data_shards, sites.len());
    if k < 2 || n < k + 2 {
        refuse(
            findings,
            profile,
            &format!(
                "{k} of {n} sites: no single site may hold everything, and two may be lost at once"
            ),
            "at least 2 of 4; 3 of 5 is a good choice",
        );
        return;
    }
    let keep = sites.iter().filter(|site| site.class == SiteClassName::AppendOnly).count();
    if keep < k {
        refuse(
            findings,
            profile,
            &format!("{keep} of {n} sites are append-only, and {k} have to be"),
            "who takes this host can overwrite the others: evenkeel site serve on a machine of \
             its own is append-only",
        );
    }
    apart(profile, n - k, &sites, findings);
    people(profile, domain, findings);
}

/// No operator and no jurisdiction may have more than `spare` sites.
fn apart(profile: Profile, spare: usize, sites: &[&SiteConfig], findings: &mut Findings) {
    let mut groups: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for site in sites {
        for (what, value) in [("operator", &site.operator), ("jurisdiction", &site.jurisdiction)] {
            if value.is_empty() {
                refuse(
                    findings,
                    profile,
                    &format!("site `{}` does not say its {what}", site.name),
                    "say it: what falls together cannot be told otherwise",
                );
            }
            *groups.entry((what, value.as_str())).or_default() += 1;
        }
    }
    let named = groups.into_iter().filter(|((_, value), _)| !value.is_empty());
    for ((what, value), count) in named.filter(|(_, count)| *count > spare) {
        refuse(
            findings,
            profile,
            &format!("{count} sites share the {what} `{value}`, and only {spare} may be lost"),
            "move sites apart until no more than n - k fall together",
        );
    }
}

/// Two can open it, so that the loss of one identity is not the loss of everything.
fn people(profile: Profile, domain: &DomainConfig, findings: &mut Findings) {
    let open = |role: HolderRole| {
        let mut holders = domain.holders.iter().filter(move |one| !one.is_removed());
        holders.any(move |holder| holder.role == role)
    };
    if domain.recipients.len() < 2 || !open(HolderRole::Recovery) {
        refuse(
            findings,
            profile,
            "two recipients have to open everything, one of them with the role recovery",
            "evenkeel recipients add age1… --label NAME --role holder",
        );
    }
}

/// Nothing is deleted by one person, nor at once.
fn multisig(config: &Config, findings: &mut Findings) {
    let deletion = &config.deletion;
    if deletion.approvers.len() < 2 || deletion.needed < 2 {
        refuse(
            findings,
            Profile::Multisig,
            &format!(
                "deletion needs {} of {} approvers: one alone must not be enough",
                deletion.needed,
                deletion.approvers.len()
            ),
            "evenkeel prune key --out FILE   (on each approver's machine), then [deletion] \
             approvers and needed = 2 or more",
        );
    }
    if deletion.delay_hours < DELAY_HOURS_MIN {
        refuse(
            findings,
            Profile::Multisig,
            &format!(
                "deletion.delay_hours = {}: {DELAY_HOURS_MIN} at least, so that the others can \
                 object",
                deletion.delay_hours
            ),
            "delay_hours = 72",
        );
    }
}
