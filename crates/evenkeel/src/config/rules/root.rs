//! Whether a root that is elsewhere has certified this home's writers.

use super::Findings;
use crate::authority;
use crate::config::{Config, DomainName};

const RULE: &str = "root";

pub(super) fn check(config: &Config, findings: &mut Findings) {
    for domain in DomainName::ALL {
        // A certificate that cannot be read is told by whoever needs it.
        let waiting = authority::drafts(config, domain).map_or(0, |drafts| drafts.len());
        if waiting > 0 {
            findings.warn(
                RULE,
                format!("{waiting} certificates of domain {domain} wait for its root"),
                format!("nothing of it is sealed before; {}", authority::next(config, domain)),
            );
        }
    }
}
