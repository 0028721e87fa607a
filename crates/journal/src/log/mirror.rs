//! Copying frames that another log has committed: by a standby, from a shared store, by a repair.

use super::{Admission, Appended, FileLog};
use crate::Chain;
use crate::error::{JournalError, Result};
use crate::frame;
use crate::reader::Batch;

impl FileLog {
    /// Appends a whole frame of the same history under the term it was written in. A batch that is
    /// held already is passed over (`None`).
    ///
    /// # Errors
    /// [`JournalError::OutOfRange`] if frames between the end and this one are missing;
    /// [`JournalError::Forked`] if it does not continue this history. Nothing was written then.
    /// Otherwise as [`FileLog::append`].
    pub fn mirror(&mut self, batch: &Batch, from: &str) -> Result<Option<Appended>> {
        if batch.next() <= self.next() {
            return Ok(None);
        }
        if batch.first != self.next() {
            let (first, next) = (self.base().position, self.next());
            return Err(JournalError::OutOfRange { asked: batch.first, first, next });
        }
        if self.chain_with(batch) != Some(batch.chain) {
            let confirmed_by = from.to_owned();
            return Err(JournalError::Forked { position: batch.next(), confirmed_by });
        }
        self.rejoin_term(batch.term)?;
        let entries: Vec<&[u8]> = batch.records.iter().map(|one| one.entry.as_slice()).collect();
        self.append(&entries, Admission::Normal).map(Some)
    }

    /// The chain that this log would have behind the batch.
    fn chain_with(&self, batch: &Batch) -> Option<Chain> {
        let entries: Vec<&[u8]> = batch.records.iter().map(|one| one.entry.as_slice()).collect();
        frame::chain_behind(&self.chain(), batch.term, batch.first, &entries)
    }
}
