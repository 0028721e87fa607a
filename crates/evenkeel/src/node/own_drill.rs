//! D2: the running writer shows that what it wrote in its current key period comes back.

use std::sync::Arc;

use evenkeel_recovery::{Clock as _, current_report, unproven_current_report};

use super::clock::SystemClock;
use super::drill_cmd::unsigned_document;
use super::observed::{Observed, lock};
use super::vault_writer::VaultWriter;
use crate::documents::DrillDocument;

/// Records read back: at two a second, the last minutes.
const RECORDS_MAX: u64 = 1000;

/// Runs the drill and keeps its result. The writer is asked only for what has to be checked;
/// shipping goes on meanwhile.
pub(crate) fn run(
    vault: &Arc<VaultWriter>,
    clock: &SystemClock,
    observed: &Observed,
) -> DrillDocument {
    let (started_ns, begun_ns) = (clock.wall_ns(), clock.monotonic_ns());
    let report = match vault.with(|writer| Ok(writer.current_check())) {
        Ok(Some(check)) => {
            let found = check.run(RECORDS_MAX);
            let elapsed_ns = clock.monotonic_ns().saturating_sub(begun_ns);
            current_report(&found, started_ns, elapsed_ns)
        }
        Ok(None) => unproven_current_report(started_ns, "nothing was written since the start"),
        Err(report) => unproven_current_report(started_ns, report.message()),
    };
    // The host has no report key: who holds this host could sign whatever it liked.
    let document = unsigned_document(&report);
    lock(&observed.drills).keep(document.clone());
    document
}
