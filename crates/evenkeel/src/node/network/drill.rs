//! The network's part of a drill: the newest version comes back whole, with the drill host's own
//! identity of that domain.

use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_recovery::Clock as _;
use evenkeel_recovery::report::{Check, Verdict};

use super::super::clock::SystemClock;
use super::lay_out::drill_identity;
use super::opened::{Version, find, opener};
use super::restore_cmd::write_offline;
use crate::config::Config;
use crate::report::{Exit, Result};

/// Name of the check.
const NAME: &str = "network";

/// Brings the newest version back below `scratch`; nothing without such a domain.
pub(in super::super) fn drill(config: &Config, scratch: &Path) -> Option<Check> {
    config.domains.network.as_ref()?;
    Some(match restore(config, scratch) {
        Ok(detail) => Check::new(NAME, Verdict::Ok, detail),
        Err(report) => {
            // What cannot be looked at is not known to be wrong.
            let verdict = match report.exit() {
                Exit::Integrity | Exit::NotEnoughSites => Verdict::Failed,
                _ => Verdict::Unproven,
            };
            Check::new(NAME, verdict, report.message().to_owned())
        }
    })
}

fn restore(config: &Config, scratch: &Path) -> Result<String> {
    let begun = Instant::now();
    let opener = opener(config, &drill_identity(config))?;
    let version = Version::open(&opener, find(opener.catalog(), None, None)?)?;
    let files = write_offline(&opener, &version, &scratch.join(NAME))?;
    let now_ns = SystemClock::new().wall_ns();
    let age = Duration::from_nanos(now_ns.saturating_sub(version.point.time_ns));
    Ok(format!(
        "version {}: the document is the one that was signed, {files} files written; {:.0} s old, \
         back in {:.2} s",
        version.point.position,
        age.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    ))
}
