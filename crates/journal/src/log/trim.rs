//! Giving up the oldest segments, once others hold them.

use super::FileLog;
use crate::error::{IoContext as _, Result};
use crate::meta::Meta;
use crate::reader::Reader;
use crate::root::RootTracker;
use crate::segment;
use crate::{Base, Position};

/// What a trim did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trimmed {
    /// First position that the log still holds.
    pub first: Position,
    /// Number of segments removed.
    pub segments_removed: usize,
}

impl FileLog {
    /// Removes whole segments whose positions are all below `position`. Whether that is allowed is
    /// for the caller to know. The entries given up are read once more, for the journal root at the
    /// new beginning.
    ///
    /// # Errors
    /// Corruption of what is given up (nothing is removed then), system errors.
    pub fn trim_before(&mut self, position: Position) -> Result<Trimmed> {
        self.check_poisoned()?;
        let disk = self.disk.clone();
        let firsts = segment::list(disk.as_ref(), &self.dir).during("list", &self.dir)?;
        let first = firsts.iter().rev().find(|first| **first <= position).copied();
        let Some(first) = first.filter(|first| *first > self.base.position) else {
            return Ok(Trimmed { first: self.base.position, segments_removed: 0 });
        };
        let base = self.base_at(first)?;
        // First what the log is, then what it is no longer: a crash in between leaves segments
        // before the base, which the next start removes.
        Meta { identity: self.identity, base: base.clone() }.write(disk.as_ref(), &self.dir)?;
        self.base = base;
        let given_up: Vec<_> = firsts.into_iter().filter(|one| *one < first).collect();
        for one in &given_up {
            let path = self.dir.join(segment::file_name(*one));
            disk.remove(&path).during("remove", &path)?;
        }
        disk.sync_dir(&self.dir).during("sync", &self.dir)?;
        Ok(Trimmed { first, segments_removed: given_up.len() })
    }

    /// Chain and journal root's tree before a segment's first position.
    fn base_at(&self, first: Position) -> Result<Base> {
        let mut root = RootTracker::new(&self.base);
        let mut chain = self.base.chain;
        let from = self.base.position;
        let mut reader = Reader::follow(self.disk.clone(), &self.dir, from, self.watermark())?;
        while root.next() < first
            && let Some(batch) = reader.next_batch()?
        {
            root.push_batch(&batch)?;
            chain = batch.chain;
        }
        Ok(Base { position: root.next(), chain, frontier: root.frontier().clone() })
    }
}
