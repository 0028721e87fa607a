//! Reading the records of a log: where it ends, when commits were made, where named points are.
//!
//! Layout: PostgreSQL's `access/xlogrecord.h` and `access/xlog_internal.h`, versions 15 to 18,
//! little-endian machines. Only records whose CRC-32C is right count.

use super::lsn::{Lsn, Timeline};
use super::replication::time_ns;

const PAGE_BYTES: u64 = 8192;
const SHORT_HEADER: u64 = 24;
const SHORT_HEADER_BYTES: usize = 24;
const LONG_HEADER: u64 = 40;
const RECORD_HEADER: usize = 24;
const CRC_AT: usize = 20;
/// PostgreSQL refuses longer ones itself.
const RECORD_BYTES_MAX: usize = 1020 << 20;
const IS_CONTINUED: u16 = 1;
const IS_OVERWRITTEN: u16 = 8;
const MANAGER_XLOG: u8 = 0;
const MANAGER_XACT: u8 = 1;

/// What a record is, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A transaction ended.
    Ended {
        /// When, by the server's clock: nanoseconds since 1970 UTC.
        time_ns: u64,
        /// It was committed, not rolled back.
        committed: bool,
    },
    /// `pg_create_restore_point`.
    Named {
        /// When: nanoseconds since 1970 UTC.
        time_ns: u64,
        /// Its name.
        name: String,
    },
    /// Anything else.
    Other,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub start: Lsn,
    /// What follows begins here or, aligned, a little behind.
    pub end: Lsn,
    /// What it is.
    pub what: What,
}

/// Gives segments.
pub trait Segments {
    /// The bytes of a segment, possibly only its beginning; none if it is not there.
    fn segment(&mut self, number: u64) -> Option<(Timeline, Vec<u8>)>;
}

/// Reads records one after the other.
pub struct Records<'a> {
    segments: &'a mut dyn Segments,
    segment_bytes: u64,
    held: Option<(u64, Vec<u8>)>,
    at: Lsn,
}

impl std::fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("at", &self.at).finish_non_exhaustive()
    }
}

struct Page {
    info: u16,
    rest: u64,
    header: u64,
}

enum Step {
    Record(Record),
    /// The log goes on at this page: what was begun before it was never finished.
    GoOn(Lsn),
    End,
}

impl<'a> Records<'a> {
    /// Begins at a record's beginning.
    pub fn at(segments: &'a mut dyn Segments, segment_bytes: u64, start: Lsn) -> Self {
        Self { segments, segment_bytes, held: None, at: start }
    }

    /// Begins at the first record of a segment; none if it is not there or is no log.
    pub fn of_segment(
        segments: &'a mut dyn Segments,
        segment_bytes: u64,
        number: u64,
    ) -> Option<Self> {
        let mut records = Self::at(segments, segment_bytes, Lsn(number * segment_bytes));
        let page = records.page(records.at)?;
        records.at = records.behind_rest(records.at, &page)?;
        Some(records)
    }

    /// Where the next record would begin: the end of what is valid, once there is none.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.at
    }

    /// Behind what a page begins with that belongs to a record of pages before.
    fn behind_rest(&mut self, page_start: Lsn, page: &Page) -> Option<Lsn> {
        let rest = if page.info & IS_CONTINUED == 0 { 0 } else { page.rest };
        let mut at = page_start.plus(page.header);
        let mut left = rest;
        loop {
            let room = PAGE_BYTES - at.0 % PAGE_BYTES;
            if left < room {
                return Some(aligned(at.plus(left)));
            }
            left -= room;
            at = at.plus(room);
            let page = self.page(at)?;
            at = at.plus(page.header);
            if left == 0 {
                return Some(at);
            }
        }
    }

    fn bytes(&mut self, at: Lsn, wanted_bytes: usize) -> Option<&[u8]> {
        let number = at.segment(self.segment_bytes);
        if self.held.as_ref().is_none_or(|(held, _)| *held != number) {
            let (_, bytes) = self.segments.segment(number)?;
            self.held = Some((number, bytes));
        }
        let from = usize::try_from(at.0 % self.segment_bytes).ok()?;
        self.held.as_ref()?.1.get(from..from.checked_add(wanted_bytes)?)
    }

    fn page(&mut self, at: Lsn) -> Option<Page> {
        let bytes = self.bytes(at, SHORT_HEADER_BYTES)?;
        let info = u16::from_le_bytes([bytes[2], bytes[3]]);
        let address = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
        let rest = u32::from_le_bytes(bytes[16..20].try_into().ok()?);
        let header =
            if at.0.is_multiple_of(self.segment_bytes) { LONG_HEADER } else { SHORT_HEADER };
        (address == at.0).then_some(Page { info, rest: rest.into(), header })
    }

    /// Copies a whole record, leaving out the headers of pages.
    fn copy(&mut self, into: &mut Vec<u8>, wanted_bytes: usize) -> Result<(), Step> {
        let mut wanted = wanted_bytes as u64;
        while wanted > 0 {
            if self.at.0.is_multiple_of(PAGE_BYTES) {
                let page = self.page(self.at).ok_or(Step::End)?;
                if page.info & IS_OVERWRITTEN != 0 {
                    return Err(Step::GoOn(self.at.plus(page.header)));
                }
                if page.info & IS_CONTINUED == 0 || page.rest != wanted {
                    return Err(Step::End);
                }
                self.at = self.at.plus(page.header);
            }
            let piece = wanted.min(PAGE_BYTES - self.at.0 % PAGE_BYTES);
            let bytes = usize::try_from(piece).ok().and_then(|piece| self.bytes(self.at, piece));
            into.extend_from_slice(bytes.ok_or(Step::End)?);
            self.at = self.at.plus(piece);
            wanted -= piece;
        }
        Ok(())
    }

    fn step(&mut self) -> Step {
        if self.at.0.is_multiple_of(PAGE_BYTES) {
            let at = self.at;
            let Some(page) = self.page(at) else {
                return Step::End;
            };
            if page.info & IS_CONTINUED != 0 {
                return Step::End;
            }
            self.at = at.plus(page.header);
        }
        let start = self.at;
        let Some(length) = self.bytes(start, 4).and_then(|bytes| bytes.first_chunk::<4>()) else {
            return Step::End;
        };
        let length = u32::from_le_bytes(*length) as usize;
        if !(RECORD_HEADER..=RECORD_BYTES_MAX).contains(&length) {
            return Step::End;
        }
        let mut bytes = Vec::with_capacity(length.min(64 << 10));
        if let Err(step) = self.copy(&mut bytes, length) {
            self.at = start;
            return step;
        }
        if !is_whole(&bytes) {
            self.at = start;
            return Step::End;
        }
        let end = self.at;
        let (info, manager) = (bytes[16], bytes[17]);
        self.at = match (manager, info & 0xf0) {
            // The rest of the segment is empty.
            (MANAGER_XLOG, 0x40) if !end.0.is_multiple_of(self.segment_bytes) => {
                end.segment_start(self.segment_bytes).plus(self.segment_bytes)
            }
            _ => aligned(end),
        };
        Step::Record(Record { start, end, what: what(manager, info, &bytes[RECORD_HEADER..]) })
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            match self.step() {
                Step::Record(record) => return Some(record),
                Step::GoOn(at) => self.at = at,
                Step::End => return None,
            }
        }
    }
}

fn aligned(at: Lsn) -> Lsn {
    Lsn(at.0.next_multiple_of(8))
}

/// CRC-32C over the content and then the header before the sum.
fn is_whole(record: &[u8]) -> bool {
    let (header, content) = record.split_at(RECORD_HEADER);
    let sum = crc32c::crc32c_append(crc32c::crc32c(content), &header[..CRC_AT]);
    header[CRC_AT..RECORD_HEADER] == sum.to_le_bytes()
}

fn what(manager: u8, info: u8, content: &[u8]) -> What {
    let found = match (manager, info & 0x70) {
        (MANAGER_XACT, 0x00 | 0x30) => ended(content, true),
        (MANAGER_XACT, 0x20 | 0x40) => ended(content, false),
        (MANAGER_XLOG, 0x70) if info & 0xf0 == 0x70 => named(content),
        _ => None,
    };
    found.unwrap_or(What::Other)
}

fn ended(content: &[u8], committed: bool) -> Option<What> {
    let (time, _) = main_data(content)?.split_first_chunk::<8>()?;
    Some(What::Ended { time_ns: time_ns(i64::from_le_bytes(*time)), committed })
}

fn named(content: &[u8]) -> Option<What> {
    let (time, rest) = main_data(content)?.split_first_chunk::<8>()?;
    let name = rest.split(|byte| *byte == 0).next()?;
    let name = String::from_utf8_lossy(name).into_owned();
    Some(What::Named { time_ns: time_ns(i64::from_le_bytes(*time)), name })
}

/// A record's own data; none of one that also changes pages, which those we read never do.
fn main_data(mut content: &[u8]) -> Option<&[u8]> {
    loop {
        let (id, rest) = content.split_first()?;
        content = match id {
            255 => {
                let (length, rest) = rest.split_first()?;
                return rest.get(..usize::from(*length));
            }
            254 => {
                let (length, rest) = rest.split_first_chunk::<4>()?;
                return rest.get(..u32::from_le_bytes(*length) as usize);
            }
            253 => rest.get(2..)?,
            252 => rest.get(4..)?,
            _ => return None,
        };
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "lengths of a test's own")]
mod tests {
    use super::*;

    const SEGMENT: u64 = 1 << 20;

    /// A log that is written as PostgreSQL writes it.
    struct Log {
        bytes: Vec<u8>,
    }

    impl Segments for Log {
        fn segment(&mut self, number: u64) -> Option<(Timeline, Vec<u8>)> {
            let from = usize::try_from(number.checked_sub(1)? * SEGMENT).ok()?;
            let rest = self.bytes.get(from..).filter(|rest| !rest.is_empty())?;
            Some((1, rest[..rest.len().min(SEGMENT as usize)].to_vec()))
        }
    }

    impl Log {
        fn header(&mut self, info: u16, rest: usize) {
            let at = SEGMENT + self.bytes.len() as u64;
            let long = at.is_multiple_of(SEGMENT);
            let mut page = vec![0; if long { LONG_HEADER } else { SHORT_HEADER } as usize];
            page[2..4].copy_from_slice(&info.to_le_bytes());
            page[8..16].copy_from_slice(&at.to_le_bytes());
            page[16..20].copy_from_slice(&(rest as u32).to_le_bytes());
            self.bytes.extend_from_slice(&page);
        }

        fn put(&mut self, manager: u8, info: u8, main: &[u8]) {
            let mut content = vec![254];
            content.extend_from_slice(&(main.len() as u32).to_le_bytes());
            content.extend_from_slice(main);
            let mut record = ((RECORD_HEADER + content.len()) as u32).to_le_bytes().to_vec();
            record.extend_from_slice(&[0; 12]);
            record.extend_from_slice(&[info, manager, 0, 0]);
            let sum = crc32c::crc32c_append(crc32c::crc32c(&content), &record);
            record.extend_from_slice(&sum.to_le_bytes());
            record.extend_from_slice(&content);
            while !self.bytes.len().is_multiple_of(8) {
                self.bytes.push(0);
            }
            let mut rest = record.as_slice();
            while !rest.is_empty() {
                if (self.bytes.len() as u64).is_multiple_of(PAGE_BYTES) {
                    let info = if rest.len() == record.len() { 0 } else { IS_CONTINUED };
                    self.header(info, if info == 0 { 0 } else { rest.len() });
                }
                let room = PAGE_BYTES as usize - self.bytes.len() % PAGE_BYTES as usize;
                let (piece, behind) = rest.split_at(room.min(rest.len()));
                self.bytes.extend_from_slice(piece);
                rest = behind;
            }
        }

        fn commit(&mut self, microseconds: i64) {
            self.put(MANAGER_XACT, 0, &microseconds.to_le_bytes());
        }
    }

    fn times(log: &mut Log) -> Vec<u64> {
        let records = Records::of_segment(log, SEGMENT, 1).unwrap();
        let time = |record: Record| match record.what {
            What::Ended { time_ns, .. } => Some(time_ns),
            _ => None,
        };
        records.filter_map(time).collect()
    }

    #[test]
    fn commits_are_found_across_pages_and_segments() {
        let mut log = Log { bytes: Vec::new() };
        let mut expected = Vec::new();
        for at in 0..4_000_i64 {
            log.commit(at * 1_000_000);
            expected.push(time_ns(at * 1_000_000));
            log.put(10, 0, &vec![7; usize::try_from(at % 900).unwrap()]);
        }
        assert!(log.bytes.len() as u64 > SEGMENT, "more than a segment");
        assert_eq!(times(&mut log), expected);
        // The second segment alone: from its first whole record on.
        let from_second = Records::of_segment(&mut log, SEGMENT, 2).unwrap().count();
        assert!(from_second > 0 && from_second < 8_000);
    }

    #[test]
    fn the_log_ends_where_a_record_is_cut_short_or_damaged() {
        let mut log = Log { bytes: Vec::new() };
        (0..300).for_each(|at| log.commit(at));
        let whole = times(&mut log).len();
        log.bytes.truncate(log.bytes.len() - 3);
        assert_eq!(times(&mut log).len(), whole - 1);
        log.bytes[5_000] ^= 1;
        assert!(times(&mut log).len() < whole / 2);
    }

    #[test]
    fn a_named_point_is_found_by_its_name() {
        let mut log = Log { bytes: Vec::new() };
        log.commit(1);
        let mut main = 5_i64.to_le_bytes().to_vec();
        main.extend_from_slice(b"before-migration\0\0\0");
        log.put(MANAGER_XLOG, 0x70, &main);
        let records = Records::of_segment(&mut log, SEGMENT, 1).unwrap();
        let found = records.last().unwrap();
        let name = "before-migration".to_owned();
        assert_eq!(found.what, What::Named { time_ns: time_ns(5), name });
    }
}
