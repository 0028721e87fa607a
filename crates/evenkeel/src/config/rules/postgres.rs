//! Whether the PostgreSQL clusters can be told apart and reached.

use std::collections::BTreeSet;

use evenkeel_capture::postgres::Address;

use super::Findings;
use crate::config::{Config, Confirm, OnOutage};

const RULE: &str = "postgres";

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let mut names = BTreeSet::new();
    for one in &config.postgres {
        let shown = format!("[[postgres]] `{}`", one.name);
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if one.name.is_empty() || one.name.len() > 63 || !one.name.chars().all(is_part) {
            let message = format!("{shown}: that is no name");
            findings.refuse(RULE, message, "small letters, digits, `_` and `-`, at most 63");
        }
        if !names.insert(&one.name) {
            findings.refuse(RULE, format!("{shown} stands there twice"), "rename one of them");
        }
        if let Err(why) = one.url.parse::<Address>() {
            let next = "as postgresql://ROLE@HOST:5432/DATABASE";
            findings.refuse(RULE, format!("{shown}, url: {why}"), next);
        }
        let is_slot = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if one.slot.is_empty() || one.slot.len() > 63 || !one.slot.chars().all(is_slot) {
            let message = format!("{shown}, slot: `{}` is no name of a slot", one.slot);
            findings.refuse(RULE, message, "small letters, digits and `_`, at most 63");
        }
        if one.base_every_hours == 0 || one.bases_keep == 0 {
            let message = format!("{shown}: without base backups nothing can be restored");
            findings.refuse(RULE, message, "base_every_hours and bases_keep: at least 1");
        }
        if one.confirm == Confirm::Sites && one.on_outage == OnOutage::Degrade {
            let message = format!(
                "{shown}: after {} s without the sites a commit is told to be safe while only this \
                 host has it",
                one.outage_seconds
            );
            findings.warn(RULE, message, "on_outage = \"block\" lets commits wait instead");
        }
    }
}
