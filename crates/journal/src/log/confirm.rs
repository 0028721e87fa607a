//! Comparing the end with what others confirm. A tail that vanished whole leaves no trace here.

use super::FileLog;
use crate::disk::Access;
use crate::error::{IoContext as _, JournalError, Result};
use crate::scan::{Cursor, Step};
use crate::segment;
use crate::{Chain, Position};

/// What a site or follower holds of this lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Who says so, for messages.
    pub source: String,
    /// First position that it does not hold.
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
    /// A chain is compared where a frame of this log ends at the position it belongs to.
    ///
    /// # Errors
    /// [`JournalError::TailVanished`] if one holds more, [`JournalError::Forked`] if one holds
    /// another history; the log then stays closed to appends. Corruption and system errors.
    pub fn confirm_end(&mut self, confirmed: &[Confirmation]) -> Result<EndState> {
        let before = self.end.take();
        if let Some(most) = confirmed.iter().max_by_key(|one| one.next)
            && most.next > self.next
        {
            return Err(JournalError::TailVanished {
                ours: self.next,
                theirs: most.next,
                confirmed_by: most.source.clone(),
            });
        }
        for one in confirmed {
            let Some(theirs) = one.chain else { continue };
            if self.chain_at(one.next)?.is_some_and(|ours| ours != theirs) {
                let (position, confirmed_by) = (one.next, one.source.clone());
                return Err(JournalError::Forked { position, confirmed_by });
            }
        }
        let state = match (confirmed.is_empty(), before) {
            // What was once confirmed is not made doubtful by a later silence.
            (true, before) => before.unwrap_or(EndState::Unconfirmed),
            (false, _) => EndState::Confirmed,
        };
        self.end = Some(state);
        Ok(state)
    }

    /// Chain before a position, if the log holds it and a frame begins or ends there.
    ///
    /// # Errors
    /// Corruption of the segment concerned, system errors.
    pub fn chain_at(&self, position: Position) -> Result<Option<Chain>> {
        if position == self.next {
            return Ok(Some(self.chain));
        }
        if position < self.base.position || position > self.next {
            return Ok(None);
        }
        let disk = self.disk.as_ref();
        let firsts = segment::list(disk, &self.dir).during("list", &self.dir)?;
        let Some(first) = firsts.into_iter().rev().find(|first| *first <= position) else {
            return Ok(None);
        };
        let (mut cursor, _) = Cursor::open(disk, &self.dir, first, &self.identity, Access::Read)?;
        while cursor.expect.position < position {
            match cursor.step()? {
                Step::Frame(_) => {}
                Step::End | Step::Bad(_) => return Ok(None),
            }
        }
        Ok((cursor.expect.position == position).then_some(cursor.expect.chain))
    }
}
