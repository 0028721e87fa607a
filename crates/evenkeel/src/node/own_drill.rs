//! D2: the running writer shows that what it wrote in its current key period comes back.

use std::sync::Arc;

use evenkeel_recovery::{Clock as _, DrillReport, current_report, unproven_current_report};

use super::clock::SystemClock;
use super::drill_cmd::{document, keep_report, unsigned_document};
use super::observed::{Observed, lock};
use super::vault_writer::VaultWriter;
use crate::config::Config;
use crate::documents::DrillDocument;
use crate::keyfile;
use crate::output;

/// Records read back: at two a second, the last minutes.
const RECORDS_MAX: u64 = 1000;

/// Runs the drill and keeps its result. The writer is asked only for what has to be checked;
/// shipping goes on meanwhile.
pub(crate) fn run(
    config: &Config,
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
    let document = signed(config, &report);
    lock(&observed.drills).keep(document.clone());
    document
}

/// Signs with the key by which this host writes: it says no more than the host can know, and
/// whoever holds the host could sign it as well. It never counts as a drill host's report.
fn signed(config: &Config, report: &DrillReport) -> DrillDocument {
    let file = config.domains.state.as_ref().map(|domain| &domain.writer_key_file);
    let key = file.map(|file| keyfile::read_writer_key(file));
    let Some(Ok(key)) = key else {
        return unsigned_document(report);
    };
    let signed = match report.clone().sign_by(key.public(), |message| key.sign(message)) {
        Ok(signed) => signed,
        Err(error) => {
            output::note(&format!("the report of the drill was not signed: {error}"));
            return unsigned_document(report);
        }
    };
    let folder = config.host.data.join("drills");
    if let Err(report) = keep_report(&folder, config.drill.history_keep, &signed) {
        output::note(&format!("the report of the drill was not kept: {}", report.message()));
    }
    document(&signed)
}
