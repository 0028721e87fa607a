//! Which records a spool holds, from their beginnings alone.
//!
//! A record says its length first, and a batch which pages it carries before their bytes. So who
//! wants to know where a page is need not read the pages: a few per cent of a snapshot. What is
//! read of a record later is compared with the chain that stands behind it; whether all records
//! together are those that were captured only [`History::load`] can tell.

use std::path::{Path, PathBuf};

use evenkeel_journal::{Access, Disk, DiskFile};
use evenkeel_types::{Canonical as _, Reader};

use crate::error::{Error, Result, io_error};
use crate::spool::frame::{Chain, SEGMENT_HEADER_BYTES, SegmentHeader, record_length};
use crate::spool::history::{Kind, RecordAt, read_full, segment_number, segment_path};
use crate::spool::record::{Batch, Body, Item, TAG_BATCH};

/// Read of a record at first: enough for what a batch of 4 MiB in pages of 4 KiB names.
const AHEAD_BYTES: usize = 8 << 10;
/// Segments whose records are looked for at once: what is far away answers late.
const AT_ONCE: usize = 8;

/// A record, and what it carries but for the pages themselves.
pub(crate) type Head = (RecordAt, Vec<Item>);

/// The segments of a spool, by their headers.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    disk: &'a dyn Disk,
    folder: PathBuf,
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    header: SegmentHeader,
    /// Records from here on do not count: a later segment begins with this one.
    limit: u64,
    /// Begins with an epoch, of which this is the size of pages.
    page_bytes: Option<u32>,
}

impl<'a> Walk<'a> {
    /// Reads the headers in `folder`.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn new(disk: &'a dyn Disk, folder: &Path) -> Result<Self> {
        let names = disk.list(folder).map_err(io_error("list", folder))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
        numbers.sort_unstable();
        let mut walk = Self { disk, folder: folder.to_path_buf(), segments: Vec::new() };
        for number in numbers {
            // One that was being created holds nothing.
            if let Some(segment) = walk.segment(number)? {
                walk.segments.push(segment);
            }
        }
        let mut limit = u64::MAX;
        for segment in walk.segments.iter_mut().rev() {
            segment.limit = limit;
            limit = limit.min(segment.header.first_record);
        }
        // Of one that was begun and given up nothing counts, not even that an epoch begins.
        walk.segments.retain(|segment| segment.header.first_record < segment.limit);
        Ok(walk)
    }

    fn segment(&self, number: u64) -> Result<Option<Segment>> {
        let path = segment_path(&self.folder, number);
        let file = self.disk.open(&path, Access::Read).map_err(io_error("open", &path))?;
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        read_full(file.as_ref(), &mut bytes, 0).map_err(io_error("read", &path))?;
        let header = SegmentHeader::decode(&bytes).filter(|header| header.segment == number);
        let Some(header) = header else { return Ok(None) };
        let mut place = Place::first(&header);
        let page_bytes = match read_head(file.as_ref(), &path, &mut place)? {
            Some((RecordAt { kind: Kind::Epoch { page_bytes, .. }, .. }, _)) => Some(page_bytes),
            _ => None,
        };
        Ok(Some(Segment { header, limit: u64::MAX, page_bytes }))
    }

    /// Segments that begin with an epoch, the newest first, and its size of pages.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = (usize, u32)> {
        let all = self.segments.iter().enumerate().rev();
        all.filter_map(|(at, segment)| Some((at, segment.page_bytes?)))
    }

    /// Gives the records that restore one another, from an epoch's segment on, until `each` says
    /// that it has enough.
    ///
    /// # Errors
    /// [`Error::Damaged`], and whatever the system and `each` say.
    pub(crate) fn follow(
        &self,
        epoch: usize,
        each: &mut dyn FnMut(&RecordAt, Vec<Item>) -> bool,
    ) -> Result<()> {
        let ends = |segment: &&Segment| segment.page_bytes.is_none();
        let first = &self.segments[epoch];
        let others = self.segments[epoch + 1..].iter().take_while(ends);
        let of_it: Vec<&Segment> = std::iter::once(first).chain(others).collect();
        let (mut record, mut chain) = (first.header.first_record, first.header.chain);
        for several in of_it.chunks(AT_ONCE) {
            for (segment, heads) in several.iter().zip(self.heads(several)) {
                if (segment.header.first_record, segment.header.chain) != (record, chain) {
                    return Ok(());
                }
                for (at, items) in heads? {
                    (record, chain) = (at.record + 1, at.chain);
                    let is_gap = matches!(at.kind, Kind::Gap(_));
                    if is_gap || !each(&at, items) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn heads(&self, segments: &[&Segment]) -> Vec<Result<Vec<Head>>> {
        std::thread::scope(|scope| {
            let read = |segment| scope.spawn(move || self.heads_of(segment));
            let threads: Vec<_> = segments.iter().map(|segment| read(*segment)).collect();
            let joined = threads.into_iter().map(|thread| match thread.join() {
                Ok(heads) => heads,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.collect()
        })
    }

    fn heads_of(&self, segment: &Segment) -> Result<Vec<Head>> {
        let path = segment_path(&self.folder, segment.header.segment);
        let file = self.disk.open(&path, Access::Read).map_err(io_error("open", &path))?;
        let mut place = Place::first(&segment.header);
        let mut heads = Vec::new();
        while place.record < segment.limit
            && let Some(head) = read_head(file.as_ref(), &path, &mut place)?
        {
            heads.push(head);
        }
        Ok(heads)
    }
}

/// Where the next record is.
struct Place {
    segment: u64,
    record: u64,
    offset: u64,
    before: Chain,
}

impl Place {
    fn first(header: &SegmentHeader) -> Self {
        Self {
            segment: header.segment,
            record: header.first_record,
            offset: SEGMENT_HEADER_BYTES as u64,
            before: header.chain,
        }
    }
}

/// The record at a place, which moves behind it; none if nothing whole is there.
fn read_head(file: &dyn DiskFile, path: &Path, place: &mut Place) -> Result<Option<Head>> {
    let failed = io_error("read", path);
    let file_bytes = file.length_bytes().map_err(&failed)?;
    let mut bytes = vec![0; AHEAD_BYTES];
    let got = read_full(file, &mut bytes, place.offset).map_err(&failed)?;
    bytes.truncate(got);
    let Some((head_bytes, body_bytes, length)) = record_length(place.record, &bytes) else {
        return Ok(None);
    };
    let end = place.offset + length as u64;
    if end > file_bytes {
        return Ok(None);
    }
    let mut chain: Chain = [0; 32];
    let chain_bytes = chain.len() as u64;
    read_full(file, &mut chain, end - chain_bytes).map_err(&failed)?;
    let (kind, items) = loop {
        let body = &bytes[head_bytes..bytes.len().min(head_bytes + body_bytes)];
        if let Some(found) = begin_of(body, body_bytes) {
            break found;
        }
        if body.len() == body_bytes {
            return Err(Error::Damaged { path: path.to_path_buf(), record: place.record });
        }
        bytes.resize((bytes.len() * 4).min(length), 0);
        read_full(file, &mut bytes, place.offset).map_err(&failed)?;
    };
    let (record, segment, offset) = (place.record, place.segment, place.offset);
    let before = std::mem::replace(&mut place.before, chain);
    (place.record, place.offset) = (record + 1, end);
    let at = RecordAt { record, segment, offset, length_bytes: length, before, chain, kind };
    Ok(Some((at, items)))
}

/// What a body says, from its beginning; none if that is too short, or not canonical.
fn begin_of(body: &[u8], body_bytes: usize) -> Option<(Kind, Vec<Item>)> {
    if body.first() != Some(&TAG_BATCH) {
        let whole = Body::from_bytes(body.get(..body_bytes)?).ok()?;
        return Some((Kind::of(&whole), Vec::new()));
    }
    let items: Vec<Item> = Reader::new(&body[1..]).sequence().ok()?;
    let batch = Batch { items, raw_bytes: 0, compressed: Vec::new() };
    Some((Kind::of_batch(&batch), batch.items))
}
