//! Entries at which the program panics, and how everybody passes over the same ones.
//!
//! ```text
//!   … ─ P ─ … ─ Skip of P ─ …        the journal: P is durable, and so is what is said of it
//!       ▲            │
//!       └────────────┘ read before P is applied again: whoever replays goes back to a snapshot at
//!                      or before P, passes over P, and has the same state as everybody else
//! ```
//!
//! Nobody reads ahead as long as nothing panics. [`with_skips`] is what every replay does when
//! something does; [`apply`] is how every entry gets into an engine.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use evenkeel_types::merkle::{Hash, leaf_hash};
use evenkeel_types::{AccountId, Command, Entry, Event, Position};
use evenkeel_venue::Engine;

use crate::error::{RecoveryError, Result};
use crate::primary::PRIMARY_SESSION;

/// An entry at which applying it panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poisoned {
    /// Its position.
    pub position: u64,
    /// Its RFC 6962 leaf hash.
    pub entry: Hash,
    /// What the panic said.
    pub text: String,
}

/// Which entries are passed over: position and RFC 6962 leaf hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skips(BTreeMap<u64, Hash>);

impl Skips {
    /// None.
    #[must_use]
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether nothing is passed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of entries passed over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this position is passed over.
    #[must_use]
    pub fn contains(&self, position: u64) -> bool {
        self.0.contains_key(&position)
    }

    /// One more.
    ///
    /// # Errors
    /// [`RecoveryError::WrongSkip`] if two entries are said to stand there.
    pub fn insert(&mut self, position: u64, entry: Hash) -> Result<()> {
        let known = *self.0.entry(position).or_insert(entry);
        if known == entry { Ok(()) } else { Err(wrong(position, known, entry)) }
    }

    /// Takes what an entry says, if it is the primary's word about another one.
    ///
    /// # Errors
    /// As [`Skips::insert`].
    pub fn read(&mut self, entry: &Entry) -> Result<()> {
        match order_in(entry) {
            Some((position, hash)) => self.insert(position, hash),
            None => Ok(()),
        }
    }

    /// Whether an engine passed over all of these that lie before its position.
    #[must_use]
    pub fn permit(&self, engine: &Engine) -> bool {
        let before = self.0.range(..engine.next_position().0);
        before.into_iter().all(|(at, hash)| engine.skipped(Position(*at)) == Some(*hash))
    }

    fn get(&self, position: u64) -> Option<Hash> {
        self.0.get(&position).copied()
    }
}

/// The primary's word about an entry to pass over: its position and hash.
#[must_use]
pub fn order_in(entry: &Entry) -> Option<(u64, Hash)> {
    match entry.command {
        Command::Skip { position, entry: hash, .. } if is_primarys(entry) => {
            Some((position.0, hash))
        }
        _ => None,
    }
}

/// Whether a primary wrote the entry for itself; clients' entries never do.
pub(crate) fn is_primarys(entry: &Entry) -> bool {
    entry.origin.account == AccountId::OPERATOR && entry.origin.session == PRIMARY_SESSION
}

fn wrong(position: u64, stands: Hash, said: Hash) -> RecoveryError {
    RecoveryError::WrongSkip { position, stands, said }
}

/// Applies the next entry, whose canonical bytes are given, or passes over it.
///
/// # Errors
/// [`RecoveryError::Poisoned`]: it panicked; the engine is thrown away, an empty one is in its
/// place. [`RecoveryError::GoBack`]: the journal says that an earlier entry, which this engine has
/// applied, is passed over; the engine is to be thrown away.
/// [`RecoveryError::WrongSkip`]: what is to be passed over is another entry.
pub fn apply(
    engine: &mut Engine,
    skips: &Skips,
    entry: &Entry,
    bytes: &[u8],
    events: &mut Vec<Event>,
) -> Result<()> {
    let position = engine.next_position();
    let skipped = if skips.is_empty() { None } else { skips.get(position.0) };
    if let Some(said) = skipped {
        let stands = leaf_hash(bytes);
        if stands != said {
            return Err(wrong(position.0, stands, said));
        }
    } else if let Some((at, said)) = order_in(entry) {
        match engine.skipped(Position(at)) {
            Some(stands) if stands == said => {}
            Some(stands) => return Err(wrong(at, stands, said)),
            None => return Err(RecoveryError::GoBack { position: at, entry: said }),
        }
    }
    // The engine is not looked at again if it panics, so nothing half done is ever seen.
    let applied = catch_unwind(AssertUnwindSafe(|| match skipped {
        Some(hash) => engine.skip(entry, hash, events),
        None => {
            #[cfg(debug_assertions)]
            crate::test_poison::strike(engine, entry);
            engine.apply(entry, events);
        }
    }));
    applied.map_err(|payload| {
        *engine = Engine::new();
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "no text".to_owned());
        let poisoned = Poisoned { position: position.0, entry: leaf_hash(bytes), text };
        RecoveryError::Poisoned(Box::new(poisoned))
    })
}

/// Replays until it succeeds: `attempt` begins anew with everything that is known to be passed
/// over. Where it panics, `ahead` reads what the journal says behind that position.
///
/// # Errors
/// The last attempt's, if nothing further is known: [`RecoveryError::Poisoned`] if the journal
/// does not say yet that the entry is passed over.
pub fn with_skips<T>(
    mut skips: Skips,
    ahead: &mut dyn FnMut(u64, &mut Skips) -> Result<()>,
    attempt: &mut dyn FnMut(&Skips) -> Result<T>,
) -> Result<(T, Skips)> {
    loop {
        let error = match attempt(&skips) {
            Ok(done) => return Ok((done, skips)),
            Err(error) => error,
        };
        let at = match &error {
            RecoveryError::Poisoned(poisoned) => poisoned.position,
            RecoveryError::GoBack { position, .. } => *position,
            _ => return Err(error),
        };
        if skips.contains(at) {
            return Err(error);
        }
        if let RecoveryError::GoBack { position, entry } = error {
            skips.insert(position, entry)?;
        }
        ahead(at + 1, &mut skips)?;
        if !skips.contains(at) {
            return Err(error);
        }
    }
}
