//! `evenkeel journal replay`: what the engine is at a position, from this host alone. It takes no
//! lock and changes nothing, so it works beside the daemon.

use std::sync::Arc;

use evenkeel_journal::{Disk, Reader, RealDisk};
use evenkeel_recovery::skips::{self, with_skips};
use evenkeel_recovery::{Checkpoint, RecoveryError, Skips, read_ahead};
use evenkeel_types::{Canonical as _, Entry};
use evenkeel_venue::Engine;
use serde_json::json;

use super::snapshots::Snapshots;
use crate::cli::JournalReplayArgs;
use crate::config::Config;
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command.
pub(crate) fn run(args: &JournalReplayArgs) -> Result<Exit> {
    super::poison_for_tests();
    let config = args.place.load()?;
    let engine = engine(&config, args.until.unwrap_or(u64::MAX))?;
    let (position, root) = (engine.next_position().0, hex(&engine.state_root()));
    let digest = hex(&engine.output_digest());
    if args.json {
        let passed_over: Vec<u64> = engine.skips().map(|(position, _)| position.0).collect();
        output::document(&json!({
            "message_type": "journal_replay",
            "position": position,
            "state_root": root,
            "output_digest": digest,
            "passed_over": passed_over,
        }))?;
    } else {
        output::result(&format!("{position} {root} {digest}"))?;
    }
    Ok(Exit::Ok)
}

/// The engine before position `until`, or at the end of the journal: the newest snapshot on this
/// host that lies before, and what lies behind it.
///
/// # Errors
/// No journal; damage of it; an entry that cannot be applied.
pub(super) fn engine(config: &Config, until: u64) -> Result<Engine> {
    let folder = config.snapshots_dir();
    let snapshots = Snapshots::new(folder.clone(), 1);
    let (mut starts, _) =
        snapshots.load().map_err(|error| Report::io("read the snapshots", &folder, &error))?;
    starts.push(Checkpoint::genesis());
    starts.retain(|one| one.position() <= until);
    starts.sort_by_key(|one| std::cmp::Reverse(one.position()));
    let (dir, disk): (_, Arc<dyn Disk>) = (config.journal_dir(), Arc::new(RealDisk));
    let reader = |from| Reader::external(Arc::clone(&disk), &dir, from);
    let mut ahead = |from, skips: &mut Skips| read_ahead(&mut reader(from)?, skips);
    let mut attempt = |skips: &Skips| {
        let mut refused = None;
        for start in &starts {
            let Some(engine) = start.engine().ok().filter(|engine| skips.permit(engine)) else {
                continue;
            };
            match reader(start.position()) {
                Ok(mut reader) => return replay(&mut reader, engine, until, skips).map(Some),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(None), |error| Err(error.into()))
    };
    let (engine, _) = with_skips(Skips::none(), &mut ahead, &mut attempt)?;
    engine
        .ok_or_else(|| Report::new(Exit::NothingYet, "there is no journal yet").next("evenkeel up"))
}

fn replay(
    reader: &mut Reader,
    mut engine: Engine,
    until: u64,
    skips: &Skips,
) -> Result<Engine, RecoveryError> {
    let mut events = Vec::new();
    while engine.next_position().0 < until
        && let Some(batch) = reader.next_batch()?
    {
        for record in batch.records.iter().filter(|record| record.position < until) {
            let position = record.position;
            let entry = Entry::from_bytes(&record.entry)
                .map_err(|source| RecoveryError::Entry { position, source })?;
            events.clear();
            skips::apply(&mut engine, skips, &entry, &record.entry, &mut events)?;
        }
    }
    Ok(engine)
}
