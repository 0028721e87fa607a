//! Writing frames.

use super::{Admission, Durability, FileLog};
use crate::error::{JournalError, Result};
use crate::frame::{self, FrameHeader, HEADER_BYTES};
use crate::{Chain, Position, sector};
use std::io;
use std::path::Path;

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first entry.
    pub first: Position,
    /// Position of the last entry.
    pub last: Position,
    /// Chain behind the last entry.
    pub chain: Chain,
}

impl FileLog {
    /// Appends entries as one frame and returns when they are durable.
    ///
    /// # Errors
    /// [`JournalError::EndNotConfirmed`], [`JournalError::NoTerm`], [`JournalError::EmptyBatch`],
    /// [`JournalError::FrameTooLarge`], [`JournalError::DiskFull`]: nothing was written, the log
    /// goes on. [`JournalError::Poisoned`]: the entries may or may not be durable, and nothing more
    /// is written until the log was opened again.
    pub fn append(&mut self, entries: &[&[u8]], admission: Admission) -> Result<Appended> {
        let (count, body_length) = self.prepare_append(entries, admission)?;
        frame::encode_body(entries, &mut self.body);
        self.write_frame(count, body_length)?;
        let first = self.next;
        self.next += u64::from(count);
        self.watermark.advance(self.next);
        Ok(Appended { first, last: self.next - 1, chain: self.chain })
    }

    /// Everything that can refuse an append, done before it: then only a failing disk keeps
    /// [`FileLog::append`] of the same entries from succeeding. For a log whose order is decided
    /// elsewhere, where what was decided must be taken. Returns the frame's count of entries and
    /// the length of its body in bytes.
    ///
    /// # Errors
    /// As [`FileLog::append`].
    pub fn prepare_append(
        &mut self,
        entries: &[&[u8]],
        admission: Admission,
    ) -> Result<(u32, u32)> {
        self.check_writable()?;
        if entries.is_empty() {
            return Err(JournalError::EmptyBatch);
        }
        let max_bytes = self.body_bytes_max();
        let body_bytes: u64 = entries.iter().map(|entry| encoded_bytes(entry)).sum();
        let (true, Ok(body_length), Ok(count)) =
            (body_bytes <= max_bytes, u32::try_from(body_bytes), u32::try_from(entries.len()))
        else {
            return Err(JournalError::FrameTooLarge { body_bytes, max_bytes });
        };
        self.clean_dirty()?;
        self.make_room(sector::physical_bytes(HEADER_BYTES as u64 + body_bytes), admission)?;
        Ok((count, body_length))
    }

    /// Writes an empty frame that carries the watermark, unless the last frame is one already: then
    /// the last batch is known to have been acknowledged, and its loss cannot pass for a torn tail.
    /// Returns whether it wrote one. For quiet moments; the history is not changed by it.
    ///
    /// # Errors
    /// [`JournalError::Poisoned`] if the disk fails, or did before.
    pub fn seal_if_idle(&mut self) -> Result<bool> {
        self.check_poisoned()?;
        let room = self.segment.header.length_bytes - self.segment.offset;
        let needed = sector::physical_bytes(HEADER_BYTES as u64);
        if self.sealed || self.end.is_none() || room < needed {
            return Ok(false);
        }
        self.body.clear();
        self.write_frame(0, 0)?;
        Ok(true)
    }

    fn check_writable(&self) -> Result<()> {
        self.check_poisoned()?;
        if self.end.is_none() {
            return Err(JournalError::EndNotConfirmed);
        }
        if !self.term_begun {
            return Err(JournalError::NoTerm { last: self.term });
        }
        Ok(())
    }

    pub(super) fn check_poisoned(&self) -> Result<()> {
        match &self.poisoned {
            Some(cause) => Err(JournalError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Writes the frame whose body is in `self.body`, and syncs it.
    fn write_frame(&mut self, count: u32, body_bytes: u32) -> Result<()> {
        self.clean_dirty()?;
        let mut header = FrameHeader {
            seal: count == 0,
            count,
            body_bytes,
            term: self.term,
            first: self.next,
            own_offset: self.segment.offset,
            watermark: self.next,
            identity: self.identity,
            previous_chain: self.chain,
            body_crc: 0,
        };
        frame::encode(&mut header, self.body.as_bytes(), &mut self.physical);
        let written = self.segment.file.write_all_at(&self.physical, header.own_offset);
        self.or_poison(written, "write")?;
        self.sync_segment()?;
        self.segment.offset += header.physical_bytes();
        self.chain = frame::chain_after(&header, self.body.as_bytes());
        self.sealed = header.seal;
        self.durable_term = header.term;
        self.keep_pace();
        Ok(())
    }

    /// Zeroes what a crash or stray damage left behind the end, before anything is written there:
    /// the sector rule depends on it.
    fn clean_dirty(&mut self) -> Result<()> {
        if self.dirty.is_empty() {
            return Ok(());
        }
        for range in std::mem::take(&mut self.dirty) {
            let length = usize::try_from(range.end - range.start).unwrap_or(0);
            let written = self.segment.file.write_all_at(&vec![0; length], range.start);
            self.or_poison(written, "write")?;
        }
        self.sync_segment()
    }

    pub(super) fn sync_segment(&mut self) -> Result<()> {
        let synced = match self.options.durability {
            Durability::Fdatasync => self.segment.file.sync_data(),
            Durability::NoSync => Ok(()),
        };
        self.or_poison(synced, "sync")
    }

    fn or_poison<T>(&mut self, result: io::Result<T>, action: &'static str) -> Result<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                let path = self.segment.path.clone();
                self.or_poison_at(Err(error), action, &path)
            }
        }
    }

    /// Turns a failed write or sync into the sticky state: a second attempt on the same pages may
    /// succeed without having written them.
    pub(super) fn or_poison_at<T>(
        &mut self,
        result: io::Result<T>,
        action: &'static str,
        path: &Path,
    ) -> Result<T> {
        result.map_err(|error| {
            let cause = format!("cannot {action} {}: {error}", path.display());
            self.poisoned = Some(cause.clone());
            self.watermark.close();
            JournalError::Poisoned { cause }
        })
    }
}

/// Size of an entry inside a body: its length as a varint, and its bytes.
fn encoded_bytes(entry: &[u8]) -> u64 {
    let length = entry.len() as u64;
    let bits = u64::from((u64::BITS - length.leading_zeros()).max(1));
    length + bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_types::codec::Writer;

    #[test]
    fn the_predicted_size_of_a_body_is_its_size() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let entry = vec![1; length];
            let mut body = Writer::new();
            frame::encode_body(&[&entry], &mut body);
            assert_eq!(body.as_bytes().len() as u64, encoded_bytes(&entry));
        }
    }
}
