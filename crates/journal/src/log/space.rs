//! Room for the next frame: new segments, the full disk, the reserve.

use super::{Active, Admission, FileLog};
use crate::disk::{DiskFile, is_out_of_space};
use crate::error::{JournalError, Result};
use crate::segment::{self, FRAMES_AT, RESERVE, RESERVE_NEW, SPARE, SegmentHeader};
use std::io;

impl FileLog {
    /// Makes sure that the active segment has room for a frame and admits it.
    ///
    /// While the disk is full the log stands on the reserve segment, which admits reserve entries
    /// only. Ordinary ones go on as soon as both a segment and a new reserve can be allocated.
    pub(super) fn make_room(&mut self, frame_bytes: u64, admission: Admission) -> Result<()> {
        let fits = self.segment.offset + frame_bytes <= self.segment.header.length_bytes;
        let admitted = admission == Admission::Reserve || !self.segment.header.reserve;
        if fits && admitted {
            return Ok(());
        }
        match self.begin_segment(admission) {
            Err(JournalError::DiskFull { .. })
                if admission == Admission::Reserve
                    && FRAMES_AT + frame_bytes <= self.options.reserve_bytes
                    && self.begin_reserve()? =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Goes on in an ordinary segment, with a reserve in place behind it.
    fn begin_segment(&mut self, admission: Admission) -> Result<()> {
        if self.full {
            // Asked for by every refused append: find out cheaply.
            let needed_bytes = self.options.segment_bytes + self.options.reserve_bytes;
            if self.free_bytes() < needed_bytes {
                return Err(self.disk_full(admission));
            }
        }
        let ready = if self.ensure_reserve()? {
            self.take_spare()
        } else {
            Err(io::ErrorKind::StorageFull.into())
        };
        let file = match ready {
            Ok(file) => file,
            Err(error) if is_out_of_space(&error) => {
                self.full = true;
                return Err(self.disk_full(admission));
            }
            Err(error) => {
                let path = self.dir.join(SPARE);
                return self.or_poison_at(Err(error), "prepare", &path);
            }
        };
        self.full = false;
        self.begin(file, SPARE, self.options.segment_bytes, false)?;
        self.keep_pace();
        Ok(())
    }

    /// Has the next segment prepared as this one fills.
    pub(super) fn keep_pace(&mut self) {
        self.preparer.keep_pace(self.segment.offset, self.segment.header.length_bytes);
    }

    /// The spare. What the preparer found long ago does not count against space freed since.
    fn take_spare(&mut self) -> io::Result<Box<dyn DiskFile>> {
        match self.preparer.take() {
            Err(error)
                if is_out_of_space(&error)
                    && (segment::remove_given_up(self.disk.as_ref(), &self.dir)?
                        || self.free_bytes() >= self.options.segment_bytes) =>
            {
                self.preparer.take()
            }
            other => other,
        }
    }

    /// Goes on in the reserve. False if it is used up.
    fn begin_reserve(&mut self) -> Result<bool> {
        let path = self.dir.join(RESERVE);
        let length_bytes = self.options.reserve_bytes;
        let reopened = segment::reopen_zeroed(self.disk.as_ref(), &path, length_bytes);
        let Some(file) = self.or_poison_at(reopened, "open", &path)? else {
            return Ok(false);
        };
        self.reserve_ready = false;
        self.begin(file, RESERVE, length_bytes, true)?;
        Ok(true)
    }

    /// Turns a prepared file into the active segment: header, sync, name, sync of the name. A crash
    /// before the name is durable leaves the segment before as the last one, and loses nothing.
    fn begin(
        &mut self,
        file: Box<dyn DiskFile>,
        prepared_name: &str,
        length_bytes: u64,
        reserve: bool,
    ) -> Result<()> {
        let current = &self.segment.header;
        // A segment without entries is replaced under its own name.
        let previous_first =
            if current.first == self.next { current.previous_first } else { Some(current.first) };
        let header = SegmentHeader {
            reserve,
            length_bytes,
            first: self.next,
            previous_first,
            term: self.durable_term,
            identity: self.identity,
            chain: self.chain,
        };
        let prepared = self.dir.join(prepared_name);
        let path = self.dir.join(segment::file_name(header.first));
        let written = file.write_all_at(&header.to_sector(), 0);
        self.or_poison_at(written, "write", &prepared)?;
        let synced = file.sync_data();
        self.or_poison_at(synced, "sync", &prepared)?;
        let renamed = self.disk.rename(&prepared, &path);
        self.or_poison_at(renamed, "rename", &prepared)?;
        let synced = self.disk.sync_dir(&self.dir);
        let dir = self.dir.clone();
        self.or_poison_at(synced, "sync", &dir)?;
        self.segment = Active { file, path, header, offset: FRAMES_AT };
        self.dirty.clear();
        Ok(())
    }

    /// Creates the reserve unless it is there. False if the disk is full.
    ///
    /// # Errors
    /// System errors other than a full disk.
    pub(super) fn ensure_reserve(&mut self) -> Result<bool> {
        if self.reserve_ready {
            return Ok(true);
        }
        let (path, new) = (self.dir.join(RESERVE), self.dir.join(RESERVE_NEW));
        let disk = self.disk.as_ref();
        let length_bytes = self.options.reserve_bytes;
        let made = segment::reopen_zeroed(disk, &path, length_bytes).and_then(|found| {
            if found.is_none() {
                match segment::create_zeroed(disk, &new, length_bytes) {
                    Err(error)
                        if is_out_of_space(&error)
                            && segment::remove_given_up(disk, &self.dir)? =>
                    {
                        segment::create_zeroed(disk, &new, length_bytes)?;
                    }
                    other => drop(other?),
                }
                disk.rename(&new, &path)?;
                disk.sync_dir(&self.dir)?;
            }
            Ok(true)
        });
        self.reserve_ready = match made {
            Err(error) if is_out_of_space(&error) => false,
            other => self.or_poison_at(other, "prepare", &path)?,
        };
        Ok(self.reserve_ready)
    }

    fn free_bytes(&self) -> u64 {
        // Where the system cannot tell, trying is the way to find out.
        self.disk.free_bytes(&self.dir).unwrap_or(u64::MAX)
    }

    fn disk_full(&self, admission: Admission) -> JournalError {
        JournalError::DiskFull {
            dir: self.dir.clone(),
            admission,
            needed_bytes: self.options.segment_bytes,
            free_bytes: self.free_bytes(),
        }
    }
}
