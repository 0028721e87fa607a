//! Who has to approve what, and whether anybody could object in time.

use super::Findings;
use crate::config::Config;

const RULE: &str = "approvals";

pub(super) fn check(config: &Config, findings: &mut Findings) {
    if let Err(why) = config.approvals.rules() {
        findings.refuse(
            RULE,
            format!("[approvals]: {}", why.message()),
            "name approvers once each, how many of them have to agree, a delay, and a longer life",
        );
        return;
    }
    for (kind, rule) in config.approvals.kinds() {
        if rule.needed == 1 {
            findings.warn(
                RULE,
                format!("approvals.{}.needed = 1: a single stolen key is enough", kind.name()),
                "make it 2 at least, of keys that are kept apart",
            );
        }
    }
}
