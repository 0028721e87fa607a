//! What clients were told, and whether the journal that is left in the end says the same.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_journal::Batch;
use evenkeel_recovery::Ack;
use evenkeel_types::codec::Canonical;
use evenkeel_types::merkle::leaf_hash;
use evenkeel_types::{AccountId, Command, Entry, Event, Origin};
use evenkeel_venue::Engine;

use crate::market::Watch;

/// Entries between two counts of all money.
const COUNT_EVERY: u64 = 512;

/// The reference model: acknowledgements by the clients' eyes.
#[derive(Debug, Default)]
pub struct Oracle {
    acked: BTreeMap<u64, Ack>,
    refused: BTreeSet<Origin>,
    /// Who acknowledged in a term: process and its life.
    terms: BTreeMap<u64, (usize, u64)>,
    /// Entries that no copy holds any more, and that were said to be lost.
    lost: u64,
    /// Where histories that were given up part from the one that goes on, and their last terms.
    given_up: Vec<(u64, u64)>,
}

/// What a replay of everything says.
#[derive(Debug)]
pub struct Judged {
    /// Digest of all output.
    pub digest: [u8; 32],
    /// Steps of liquidations.
    pub liquidations: u64,
}

impl Oracle {
    /// Whether what a term says of a position is of a history that was given up meanwhile: it was
    /// on its way for long.
    #[must_use]
    pub fn is_of_the_past(&self, term: u64, position: u64) -> bool {
        self.given_up.iter().any(|(next, last)| term <= *last && position >= *next)
    }

    /// A client was acknowledged.
    ///
    /// # Errors
    /// A position that was acknowledged as something else before.
    pub fn acked(&mut self, ack: Ack) -> Result<(), String> {
        if matches!(ack.events.last(), Some(Event::TooOld { .. })) {
            return Err(format!("position {}: a command in the window is too old", ack.position));
        }
        let position = ack.position.0;
        match self.acked.get(&position) {
            Some(before) if *before != ack => Err(format!(
                "position {position} was acknowledged twice, as different entries: {before:?}, \
                 {ack:?}"
            )),
            _ => {
                self.acked.insert(position, ack);
                Ok(())
            }
        }
    }

    /// A client was told that its command was not taken.
    pub fn refused(&mut self, origin: Origin) {
        self.refused.insert(origin);
    }

    /// Another copy of a command that was refused has come: it may be taken.
    pub fn not_refused(&mut self, origin: &Origin) {
        self.refused.remove(origin);
    }

    /// A process in one of its lives acknowledges in a term.
    ///
    /// # Errors
    /// Another one has done so before.
    pub fn speaks(&mut self, term: u64, who: (usize, u64)) -> Result<(), String> {
        let before = *self.terms.entry(term).or_insert(who);
        if before == who {
            return Ok(());
        }
        Err(format!("two primaries acknowledged in term {term}: {before:?} and {who:?}"))
    }

    /// First position behind everything acknowledged.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.acked.last_key_value().map_or(0, |(position, _)| position + 1)
    }

    /// Number of entries acknowledged and not given up.
    #[must_use]
    pub fn count(&self) -> usize {
        self.acked.len()
    }

    /// Number of entries that were said to be lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// A journal goes on at `next` after its disk was hurt: what earlier terms say of positions
    /// behind may still be on its way to clients, and is of another history.
    pub fn parts(&mut self, next: u64, last_term: u64) {
        self.given_up.push((next, last_term));
    }

    /// Every copy of what lies behind `next` was destroyed, and that was said.
    pub fn give_up(&mut self, next: u64, last_term: u64) {
        self.parts(next, last_term);
        // Terms stand in the journal: those that were lost with it may be begun again.
        self.terms.clear();
        let gone = self.acked.split_off(&next);
        self.lost += gone.len() as u64;
    }

    /// Replays the history that is left and compares it with what was acknowledged.
    ///
    /// # Errors
    /// What does not hold.
    pub fn judge(&self, history: &[Batch]) -> Result<Judged, String> {
        let mut engine = Engine::new();
        let mut watch = Watch::default();
        let mut events = Vec::new();
        let mut once: BTreeSet<(AccountId, u64)> = BTreeSet::new();
        let mut applied: BTreeMap<Origin, u64> = BTreeMap::new();
        for record in history.iter().flat_map(|batch| &batch.records) {
            let position = record.position;
            let entry = Entry::from_bytes(&record.entry)
                .map_err(|error| format!("entry {position} cannot be read: {error}"))?;
            events.clear();
            engine.apply(&entry, &mut events);
            watch.follow(&entry, &events)?;
            if let Some(ack) = self.acked.get(&position) {
                if ack.entry_hash != leaf_hash(&record.entry) {
                    return Err(format!("acknowledged entry {position} is another one now"));
                }
                if ack.events != events {
                    return Err(format!("acknowledged entry {position} did something else"));
                }
            }
            let is_first = matches!(events.last(), Some(Event::Completed { .. }));
            if is_first && entry.origin.account != AccountId::OPERATOR {
                if let Some(before) = applied.insert(entry.origin, position) {
                    let origin = entry.origin;
                    return Err(format!(
                        "{origin:?} was applied at {before} and at {position}: {entry:?}, \
                         {events:?}"
                    ));
                }
                if let Command::Place { order } = &entry.command
                    && !once.insert((entry.origin.account, order.label))
                {
                    return Err(format!("command {} was applied twice", order.label));
                }
            }
            if position.is_multiple_of(COUNT_EVERY) {
                conserved(&engine)?;
            }
        }
        conserved(&engine)?;
        let next = history.last().map_or(0, Batch::next);
        if self.next() > next {
            let last = self.next() - 1;
            return Err(format!("acknowledged entries {next} to {last} are lost"));
        }
        if let Some(origin) = self.refused.iter().find(|origin| applied.contains_key(origin)) {
            return Err(format!("{origin:?} was refused and applied nevertheless"));
        }
        Ok(Judged { digest: engine.output_digest(), liquidations: watch.liquidations })
    }
}

fn conserved(engine: &Engine) -> Result<(), String> {
    let position = engine.next_position();
    for currency in engine.conservation() {
        if currency.difference() != 0 {
            return Err(format!("money is not conserved before {position}: {currency:?}"));
        }
    }
    Ok(())
}
