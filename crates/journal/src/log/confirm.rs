//! Comparing the end with what others confirm. A tail that vanished whole leaves no trace here.

use super::FileLog;
use crate::disk::Access;
use crate::error::{IoContext as _, JournalError, Problem, Result};
use crate::scan::{Cursor, Step};
use crate::segment;
use crate::{Chain, Position};
use std::collections::{BTreeMap, BTreeSet};

/// What a site or follower holds of this lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Who says so, for messages.
    pub source: String,
    /// First position that it does not hold. With a chain, a frame must have ended there in the
    /// history it holds.
    pub next: Position,
    /// Chain before that position, if it knows it.
    pub chain: Option<Chain>,
}

/// Whether the end of the log is known to be the end of what was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndState {
    /// At least one site or follower holds a part of this history, and none holds more.
    Confirmed,
    /// Nobody could be asked: entries may have vanished; nothing irrevocable should leave.
    Unconfirmed,
}

impl FileLog {
    /// Compares the end with what others hold. Needed before the first append; called again later
    /// it can turn [`EndState::Unconfirmed`] into [`EndState::Confirmed`].
    ///
    /// Every chain for a position that this log reaches is compared. That no frame of this log ends
    /// there proves another history as well as another chain does. Only a log that contradicts
    /// nobody can have lost its tail.
    ///
    /// # Errors
    /// [`JournalError::Forked`] if one holds another history, [`JournalError::TailVanished`] if one
    /// holds more of this one; the log then stays closed to appends. Corruption and system errors.
    pub fn confirm_end(&mut self, confirmed: &[Confirmation]) -> Result<EndState> {
        let before = self.end.take();
        self.check_forks(confirmed)?;
        if let Some(most) = confirmed.iter().max_by_key(|one| one.next)
            && most.next > self.next
        {
            return Err(JournalError::TailVanished {
                ours: self.next,
                theirs: most.next,
                confirmed_by: most.source.clone(),
            });
        }
        let state = match (confirmed.is_empty(), before) {
            // What was once confirmed is not made doubtful by a later silence.
            (true, before) => before.unwrap_or(EndState::Unconfirmed),
            (false, _) => EndState::Confirmed,
        };
        self.end = Some(state);
        Ok(state)
    }

    /// Looks for the lowest position at which somebody holds another history.
    fn check_forks(&self, confirmed: &[Confirmation]) -> Result<()> {
        let held = self.base.position..=self.next;
        let mut claims: Vec<(&Confirmation, Chain)> = confirmed
            .iter()
            .filter(|one| held.contains(&one.next))
            .filter_map(|one| one.chain.map(|theirs| (one, theirs)))
            .collect();
        claims.sort_by_key(|(one, _)| one.next);
        let ours = self.chains_at(&claims.iter().map(|(one, _)| one.next).collect())?;
        for (one, theirs) in claims {
            if ours.get(&one.next) != Some(&theirs) {
                let (position, confirmed_by) = (one.next, one.source.clone());
                return Err(JournalError::Forked { position, confirmed_by });
            }
        }
        Ok(())
    }

    /// Chain before a position, if the log holds it and a frame begins or ends there.
    ///
    /// # Errors
    /// Corruption of the segment concerned, system errors.
    pub fn chain_at(&self, position: Position) -> Result<Option<Chain>> {
        Ok(self.chains_at(&BTreeSet::from([position]))?.remove(&position))
    }

    /// As [`FileLog::chain_at`] for many positions; no segment is read more than once.
    fn chains_at(&self, positions: &BTreeSet<Position>) -> Result<BTreeMap<Position, Chain>> {
        let known = [(self.base.position, self.base.chain), (self.next, self.chain)];
        let mut chains: BTreeMap<_, _> =
            known.into_iter().filter(|(position, _)| positions.contains(position)).collect();
        let inside = |position: &Position| self.base.position < *position && *position < self.next;
        let mut wanted = positions.iter().copied().filter(inside).peekable();
        if wanted.peek().is_none() {
            return Ok(chains);
        }
        let disk = self.disk.as_ref();
        let firsts = segment::list(disk, &self.dir).during("list", &self.dir)?;
        for (index, first) in firsts.iter().enumerate() {
            let end = firsts.get(index + 1).map_or(self.next, |next| (*next).min(self.next));
            let mut cursor = None;
            while let Some(position) = wanted.next_if(|position| (*first..end).contains(position)) {
                let cursor = match &mut cursor {
                    Some(cursor) => cursor,
                    none => none.insert(
                        Cursor::open(disk, &self.dir, *first, &self.identity, Access::Read)?.0,
                    ),
                };
                if self.walk_to(cursor, position, end)? {
                    chains.insert(position, cursor.expect.chain);
                }
            }
        }
        // What is left lies before every segment that is still there.
        match (wanted.next(), firsts.first()) {
            (None, _) => Ok(chains),
            (Some(_), first) => {
                let missing_to = first.copied().unwrap_or(self.next);
                Err(self.gap(self.base.position, missing_to))
            }
        }
    }

    /// Moves to a position of a segment that ends at `end`; says whether a frame begins there.
    fn walk_to(&self, cursor: &mut Cursor, position: Position, end: Position) -> Result<bool> {
        while cursor.expect.position < position {
            match cursor.step()? {
                Step::Frame(_) => {}
                Step::End => return Err(self.gap(cursor.expect.position, end)),
                Step::Bad(damage) => {
                    return Err(cursor.corrupt(Problem {
                        file: cursor.name.clone(),
                        offset: cursor.offset,
                        positions: damage.positions,
                        kind: damage.kind,
                        detail: damage.detail,
                        harmless: false,
                    }));
                }
            }
        }
        Ok(cursor.expect.position == position)
    }

    fn gap(&self, missing_from: Position, missing_to: Position) -> JournalError {
        JournalError::Gap { dir: self.dir.clone(), missing_from, missing_to }
    }
}
