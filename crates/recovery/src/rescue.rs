//! A start that holds the log and meets an entry at which the program panics.
//!
//! | found | done |
//! |---|---|
//! | the journal says that the entry is passed over | it is, see [`crate::skips`] |
//! | a second process panics there too | a new term begins, the journal says so, boot again |
//! | a second process does not | boot again; the host stops if it happens twice |
//! | something behind it may have been acknowledged | nothing; an error |
//!
//! The last row is why nothing acknowledged can be lost by this: a primary applies a frame before
//! it journals the next, so what panicked in a living primary lies in the journal's last frame.

use std::sync::Arc;

use evenkeel_journal::{Admission, Disk, Log};
use evenkeel_types::codec::Canonical;
use evenkeel_types::merkle::leaf_hash;
use evenkeel_types::{
    AccountId, ClientSequence, Command, Entry, InstrumentId, Origin, Position, Timestamp,
};

use crate::boot::{Booted, Journal, boot_to};
use crate::checkpoint::Checkpoint;
use crate::error::{RecoveryError, Result};
use crate::primary::PRIMARY_SESSION;
use crate::replica::decode;
use crate::skips::{Poisoned, Skips, is_primarys, order_in};

/// What a second process gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It panicked at the same entry.
    Same,
    /// It applied the entry.
    Nothing,
}

/// The host's part.
pub trait Rescue {
    /// The snapshots of this host.
    ///
    /// # Errors
    /// A folder that cannot be read.
    fn snapshots(&mut self) -> Result<Vec<Checkpoint>>;

    /// Lets a second process apply the journal up to and including the entry.
    ///
    /// # Errors
    /// It cannot be told whether it panics there, or it is told for the second time that it does
    /// not: then this host must not go on by itself.
    fn try_again(&mut self, poisoned: &Poisoned) -> Result<Found>;
}

/// An entry that the journal now says is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The entry, and how it ended.
    pub poisoned: Poisoned,
    /// What is halted for it.
    pub instrument: Option<InstrumentId>,
    /// Where the journal says so.
    pub said_at: u64,
}

/// A host that stands where it stood.
#[derive(Debug)]
pub struct Rescued {
    /// Engine and snapshot.
    pub booted: Booted,
    /// The term that had to be begun, if one was: what follows is written in it.
    pub term: Option<u64>,
    /// What was said to be passed over, in order.
    pub passed_over: Vec<PassedOver>,
}

/// Boots with the log held. Its end is confirmed, and no term is begun.
///
/// # Errors
/// As [`crate::boot`]; [`RecoveryError::NotPassedOver`]; whatever the host says.
pub fn rescue(log: &mut dyn Log, disk: &Arc<dyn Disk>, host: &mut dyn Rescue) -> Result<Rescued> {
    let snapshots = host.snapshots()?;
    let (dir, base) = (log.file().dir().to_owned(), log.file().base().clone());
    let mut term = None;
    let mut passed_over: Vec<PassedOver> = Vec::new();
    loop {
        let watermark = log.file().watermark();
        let journal = Journal { disk, dir: &dir, base: &base, watermark: &watermark };
        let end = watermark.durable_next();
        let poisoned = match boot_to(&journal, end, &snapshots, Skips::none()) {
            Ok(booted) => return Ok(Rescued { booted, term, passed_over }),
            Err(RecoveryError::Poisoned(poisoned)) => *poisoned,
            Err(error) => return Err(error),
        };
        let suspect = look(&journal, &poisoned)?;
        if host.try_again(&poisoned)? == Found::Nothing {
            continue;
        }
        let before = boot_to(&journal, poisoned.position, &snapshots, suspect.skips)?.engine;
        let instrument = before.instrument_of(&suspect.entry.command);
        let number = log.next_term().max(before.term().0 + 1);
        if term.is_none() {
            log.begin_term(number)?;
            term = Some(number);
        }
        let said_at = log.file().next();
        let skip = word(&poisoned, instrument, (said_at, suspect.last_time));
        log.append(&[&skip.to_bytes()], Admission::Reserve)?;
        passed_over.push(PassedOver { poisoned, instrument, said_at });
    }
}

fn word(
    poisoned: &Poisoned,
    instrument: Option<InstrumentId>,
    (at, time): (u64, Timestamp),
) -> Entry {
    let (account, session) = (AccountId::OPERATOR, PRIMARY_SESSION);
    let (position, entry) = (Position(poisoned.position), poisoned.entry);
    let origin = Origin { account, session, sequence: ClientSequence(at) };
    Entry { time, origin, command: Command::Skip { position, entry, instrument } }
}

/// What the journal holds at and behind the entry.
struct Suspect {
    entry: Entry,
    /// Of the journal's last entry.
    last_time: Timestamp,
    /// What is said to be passed over already.
    skips: Skips,
}

/// Refuses to pass over what must not be.
fn look(journal: &Journal<'_>, poisoned: &Poisoned) -> Result<Suspect> {
    let refused = |why: &str| {
        let (position, text) = (poisoned.position, poisoned.text.clone());
        Err(RecoveryError::NotPassedOver { position, text, why: why.to_owned() })
    };
    let mut reader = journal.reader(poisoned.position)?;
    let mut found: Option<Suspect> = None;
    while let Some(batch) = reader.next_batch()? {
        let is_its_frame = found.is_none();
        for record in &batch.records {
            let entry = decode(record.position, &record.entry)?;
            let Some(suspect) = &mut found else {
                if leaf_hash(&record.entry) != poisoned.entry {
                    return refused("another entry was read there before; test this host's memory");
                }
                let (last_time, skips) = (entry.time, Skips::none());
                found = Some(Suspect { entry, last_time, skips });
                continue;
            };
            if order_in(&entry).is_none() && !is_its_frame {
                return refused(
                    "what follows it may have been acknowledged, so an earlier run applied it; \
                     nothing was changed. Start the version of the program that wrote it, or go \
                     back to before it: evenkeel restore --at-position",
                );
            }
            suspect.skips.read(&entry)?;
            suspect.last_time = suspect.last_time.max(entry.time);
        }
    }
    let Some(suspect) = found else {
        return refused("it cannot be read again; evenkeel journal verify");
    };
    let is_own = is_primarys(&suspect.entry)
        && matches!(
            suspect.entry.command,
            Command::Skip { .. } | Command::Resume { .. } | Command::Found { .. }
        );
    if is_own {
        return refused(
            "it is the primary's own, so the state before it is to blame; nothing was changed. Go \
             back to before that: evenkeel restore --at-position",
        );
    }
    if suspect.skips.contains(poisoned.position) {
        return refused("passing over it panics as well; go back: evenkeel restore --at-position");
    }
    Ok(suspect)
}
