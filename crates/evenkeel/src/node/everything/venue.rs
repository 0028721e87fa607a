//! A venue that was brought back is started in scratch, as a primary would be, and asked.

use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::{Disk, Durability, FileLog, Options, RealDisk};
use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{Agreement, Clock as _, Primary, RecoveryError, boot};
use evenkeel_types::merkle::Hash;
use evenkeel_types::{Command, Event, MassCancelScope, Mode, OutcomeKind, Timestamp};

use crate::keyfile::hex;
use crate::node::clock::SystemClock;
use crate::node::snapshots::Snapshots;

/// Why the operator opens nothing but cancels here; no venue has such a cause of its own.
const CAUSE: u32 = 0x6472_696c;

/// Starts it on the journal and snapshots below `scratch`; nothing without a venue.
pub(super) fn start(scratch: &Path, expected: Option<Hash>) -> Check {
    let name = "venue_start";
    let Some(expected) = expected else {
        return Check::new(name, Verdict::NotConfigured, "there is no venue");
    };
    match attempt(scratch, expected) {
        Ok(Answered::Yes(detail)) => Check::new(name, Verdict::Ok, detail),
        Ok(Answered::Otherwise(detail)) => Check::new(name, Verdict::Failed, detail),
        Err(error) => Check::new(name, Verdict::Failed, format!("it does not start: {error}")),
    }
}

enum Answered {
    Yes(String),
    Otherwise(String),
}

fn attempt(scratch: &Path, expected: Hash) -> Result<Answered, RecoveryError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = Options { durability: Durability::NoSync, ..Options::default() };
    let dir = scratch.join("journal");
    let (mut log, _) = FileLog::open(Arc::clone(&disk), &dir, options)?;
    log.confirm_end(&[])?;
    let folder = Snapshots::new(scratch.join("snapshots"), 1);
    let (snapshots, _) = folder.load().map_err(|source| RecoveryError::Sink {
        action: "reading the snapshots in scratch".to_owned(),
        source,
    })?;
    let booted = boot(&disk, &dir, log.base(), &log.watermark(), &snapshots)?;
    let root = booted.engine.state_root();
    if root != expected {
        return Ok(Answered::Otherwise(format!(
            "it starts with state root {}…, and {}… was brought back",
            hex(&root[..8]),
            hex(&expected[..8])
        )));
    }
    let now = Timestamp(SystemClock::new().wall_ns().max(booted.engine.time().0));
    let replayed = booted.replayed;
    let mut primary = Primary::begin(log, booted.engine, Arc::new(Agreement::new()), now)?;
    let closed = Command::SetMode { mode: Mode::CancelOnly, cause: CAUSE };
    let mut answers = vec![primary.operate(now, closed)?];
    let account = primary.engine().accounts().next().map(|account| account.id);
    if account.is_some() {
        let all = Command::MassCancel { account, scope: MassCancelScope::All };
        answers.push(primary.operate(now, all)?);
    }
    if let Some(refused) = answers.iter().find_map(|answer| rejection(&answer.events)) {
        return Ok(Answered::Otherwise(format!("it starts, and refuses its operator: {refused}")));
    }
    let engine = primary.engine();
    if engine.mode() != Mode::CancelOnly {
        return Ok(Answered::Otherwise(format!("it starts in mode {:?}", engine.mode())));
    }
    Ok(Answered::Yes(format!(
        "started in scratch on {replayed} entries behind the snapshot: term {}, {} accounts, {} \
         open orders, state root as brought back; cancel-only, and a mass cancel is answered",
        engine.term().0,
        engine.account_count(),
        engine.open_order_count()
    )))
}

/// Why a command was refused, if it was.
fn rejection(events: &[Event]) -> Option<&'static str> {
    events.iter().find_map(|event| match event {
        Event::Completed { outcome } => match outcome.kind {
            OutcomeKind::Rejected { code } => Some(code.sentence()),
            OutcomeKind::Done | OutcomeKind::Order { .. } => None,
        },
        _ => None,
    })
}
