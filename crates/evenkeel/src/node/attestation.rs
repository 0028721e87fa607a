//! Whether the primary that a promotion replaces may still be alive.
//!
//! A new lineage beside a primary that still trades makes two histories of one venue. The lock of
//! the old home proves that its process has ended, if the home is on this host; nothing else does:
//! a primary that reaches no site looks from here as dead as one that burnt.

use std::time::Duration;

use evenkeel_journal::{JournalError, RealDisk, lock_holder};
use evenkeel_recovery::Clock as _;
use evenkeel_vault::{Catalog, Lineage};

use super::clock::SystemClock;
use crate::config::Config;
use crate::output;
use crate::report::{Exit, Report, Result};

/// A writer signs at least a heartbeat this often while it reaches the sites, with room to spare.
const SILENCE: Duration = Duration::from_secs(30);

/// Refuses a promotion beside a primary that lives, or may live and was not attested to be dead.
///
/// # Errors
/// [`Exit::Locked`] if it runs on this host; [`Exit::Usage`] if it cannot be known.
pub(crate) fn check(
    config: &Config,
    catalog: &Catalog,
    lineage: Lineage,
    attested: bool,
) -> Result<()> {
    let dir = config.journal_dir();
    match lock_holder(&RealDisk, &dir) {
        Ok(None) => return Ok(()),
        Ok(Some(holder)) => {
            let what = format!("the primary is alive: process {} runs it here", holder.pid);
            return Err(Report::new(Exit::Locked, what)
                .at(dir.display().to_string())
                .safe("nothing was written; it goes on trading")
                .next(format!("kill -INT {}   (ends it cleanly), then again", holder.pid))
                .next("without --promote, to look at a copy beside it"));
        }
        // The old home is not here, or cannot say: only a person can.
        Err(JournalError::NotAJournal { .. } | JournalError::Io { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let sign = last_sign(catalog, lineage);
    if attested {
        output::note(&format!("attested: the old primary is dead; {sign}"));
        return Ok(());
    }
    Err(Report::new(
        Exit::Usage,
        "whether the old primary is dead cannot be seen from here; if it lives, the venue would \
         have two histories",
    )
    .detail(sign)
    .safe("nothing was written; both histories stay possible and none is chosen")
    .next("make sure that it is dead and stays dead: power its host off, or take its network away")
    .next("the same command with --attest-primary-dead"))
}

/// When the lineage was last written to the sites.
fn last_sign(catalog: &Catalog, lineage: Lineage) -> String {
    let infos = catalog.lineages();
    let head = infos.iter().find(|one| one.lineage == lineage).and_then(|one| one.head);
    let Some((_, _, time_ns)) = head else {
        return "the sites hold no record of it".to_owned();
    };
    let age = Duration::from_nanos(SystemClock::new().wall_ns().saturating_sub(time_ns));
    let seconds = age.as_secs();
    if age < SILENCE {
        format!("it wrote to the sites {seconds} s ago: by this it is ALIVE, or died just now")
    } else {
        format!("its last record at the sites is {seconds} s old")
    }
}
