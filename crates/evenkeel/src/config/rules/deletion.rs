//! Who may allow deletions, and whether anybody could object in time.

use super::Findings;
use crate::config::Config;

const RULE: &str = "deletion";

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let deletion = &config.deletion;
    if deletion.approvers.is_empty() {
        return;
    }
    if let Err(why) = deletion.rule() {
        findings.refuse(
            RULE,
            format!("[deletion]: {}", why.message()),
            "name the approvers' public keys, each once, and how many of them have to agree",
        );
        return;
    }
    if deletion.needed == 1 {
        findings.warn(
            RULE,
            "deletion.needed = 1: a single stolen key can have old copies deleted",
            "make it 2 at least, of keys that are kept apart",
        );
    }
    if deletion.delay_hours == 0 {
        findings.warn(
            RULE,
            "deletion.delay_hours = 0: nobody has time to object to a deletion",
            "make it long enough that an approver notices, such as 72",
        );
    }
}
