//! Reading a spool while it is written: whole records, as the bytes that they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::{Access, Disk, DiskFile};

use crate::error::{Result, io_error};
use crate::spool::frame::{self, BODY_BYTES_MAX, Chain, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::spool::history::{read_full, segment_number, segment_path};
use crate::spool::record::Body;

/// Read at a time; a record may be longer.
const READ_BYTES: usize = 1 << 20;

/// Part of a segment: its header, or whole records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The segment.
    pub segment: u64,
    /// Where in it these bytes begin.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Follows a spool that another thread or process writes. What it gives was written whole, and
/// continues the chain; whether it was synced already only the writer knows.
#[derive(Debug)]
pub struct SpoolReader {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// The segment that is being read, or the first that will be.
    segment: u64,
    open: Option<Open>,
    /// Segments that begin with an epoch's snapshot.
    epochs: Vec<u64>,
}

#[derive(Debug)]
struct Open {
    file: Box<dyn DiskFile>,
    offset: u64,
    record: u64,
    chain: Chain,
    spool: [u8; 16],
}

impl SpoolReader {
    /// Begins with the oldest segment in `folder`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, folder: &Path) -> Self {
        Self { disk, folder: folder.to_owned(), segment: 0, open: None, epochs: Vec::new() }
    }

    /// The spool's name, once a header of it was read.
    #[must_use]
    pub fn spool(&self) -> Option<[u8; 16]> {
        self.open.as_ref().map(|open| open.spool)
    }

    /// The segment that is being read, and how much of it was.
    #[must_use]
    pub fn place(&self) -> (u64, u64) {
        (self.segment, self.open.as_ref().map_or(0, |open| open.offset))
    }

    /// Segments that begin with an epoch's snapshot, in order, among those read so far.
    #[must_use]
    pub fn epochs(&self) -> &[u64] {
        &self.epochs
    }

    /// Segments there are, in order.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn segments(&self) -> Result<Vec<u64>> {
        let names = self.disk.list(&self.folder).map_err(io_error("list", &self.folder))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The next bytes, at least one record if there is one; none if all was read. A segment's
    /// header comes with its first record or alone.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn next_stretch(&mut self) -> Result<Option<Stretch>> {
        loop {
            // Listed before it is read: nothing is added to a segment that has a successor.
            let segments = self.segments()?;
            let Some(segment) = segments.iter().copied().find(|one| *one >= self.segment) else {
                return Ok(None);
            };
            if segment != self.segment {
                (self.segment, self.open) = (segment, None);
            }
            let has_next = segments.last().is_some_and(|last| *last > segment);
            if let Some(stretch) = self.read()? {
                return Ok(Some(stretch));
            }
            if !has_next {
                return Ok(None);
            }
            (self.segment, self.open) = (segment + 1, None);
        }
    }

    fn read(&mut self) -> Result<Option<Stretch>> {
        let path = segment_path(&self.folder, self.segment);
        let mut begin = None;
        let mut header_bytes = Vec::new();
        if self.open.is_none() {
            let Some((open, bytes)) = self.open_segment(&path)? else { return Ok(None) };
            (begin, header_bytes) = (Some(0), bytes);
            self.open = Some(open);
        }
        let segment = self.segment;
        let Some(open) = &mut self.open else { return Ok(None) };
        let offset = begin.unwrap_or(open.offset);
        let mut bytes = header_bytes;
        let failed = io_error("read", &path);
        let mut ahead = vec![0; READ_BYTES];
        let mut got = read_full(open.file.as_ref(), &mut ahead, open.offset).map_err(&failed)?;
        let mut used = 0;
        loop {
            let Some(decoded) = frame::decode(&open.chain, open.record, &ahead[used..got]) else {
                // The first record may be longer than what was read.
                if used > 0 || got < ahead.len() || ahead.len() > 2 * BODY_BYTES_MAX {
                    break;
                }
                ahead.resize(ahead.len() * 4, 0);
                got = read_full(open.file.as_ref(), &mut ahead, open.offset).map_err(&failed)?;
                continue;
            };
            if matches!(decoded.body, Body::Epoch { .. }) && self.epochs.last() != Some(&segment) {
                self.epochs.push(segment);
            }
            (open.chain, open.record) = (decoded.chain, open.record + 1);
            used += decoded.length_bytes;
        }
        bytes.extend_from_slice(&ahead[..used]);
        open.offset += used as u64;
        Ok((!bytes.is_empty()).then_some(Stretch { segment, offset, bytes }))
    }

    /// None while its header is not whole.
    fn open_segment(&self, path: &Path) -> Result<Option<(Open, Vec<u8>)>> {
        let file = self.disk.open(path, Access::Read).map_err(io_error("open", path))?;
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES];
        let got = read_full(file.as_ref(), &mut bytes, 0).map_err(io_error("read", path))?;
        let header = SegmentHeader::decode(&bytes[..got]);
        let Some(header) = header.filter(|header| header.segment == self.segment) else {
            return Ok(None);
        };
        let open = Open {
            file,
            offset: SEGMENT_HEADER_BYTES as u64,
            record: header.first_record,
            chain: header.chain,
            spool: header.spool,
        };
        Ok(Some((open, bytes)))
    }
}
