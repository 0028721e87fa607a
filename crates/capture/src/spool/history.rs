//! What a spool holds: records in order, and the runs of them that can be restored.

use std::ops::Range;
use std::path::{Path, PathBuf};

use evenkeel_journal::{Access, Disk, DiskFile};

use crate::error::{Error, Result, io_error};
use crate::spool::frame::{self, BODY_BYTES_MAX, Chain, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::spool::record::{Batch, Body, Commit, GapBegin};

const SUFFIX: &str = ".spool";
const RECORD_MAGIC: &[u8] = b"EKsp";

/// Where segment `segment` lies.
#[must_use]
pub fn segment_path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:016}{SUFFIX}"))
}

pub(super) fn segment_number(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// What kind of record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// See [`Body::Epoch`].
    Epoch {
        /// Counts epochs, from 1.
        epoch: u64,
        /// Size of its pages.
        page_bytes: u32,
    },
    /// A batch.
    Batch {
        /// First and last commit in it, if there is one.
        commits: Option<(Commit, Commit)>,
        /// Whether no transaction is left open at its end.
        complete: bool,
    },
    /// An unprotected interval begins.
    Gap(GapBegin),
    /// Capture was down.
    Downtime {
        /// The last time it looked before.
        from_ns: u64,
        /// When it looked again.
        to_ns: u64,
    },
}

impl Kind {
    pub(super) fn of(body: &Body) -> Self {
        match body {
            Body::Epoch { epoch, page_bytes } => {
                Self::Epoch { epoch: *epoch, page_bytes: *page_bytes }
            }
            Body::Batch(batch) => Self::of_batch(batch),
            Body::Gap(gap) => Self::Gap(*gap),
            Body::Downtime { from_ns, to_ns } => {
                Self::Downtime { from_ns: *from_ns, to_ns: *to_ns }
            }
        }
    }

    pub(super) fn of_batch(batch: &Batch) -> Self {
        let mut commits = batch.commits();
        let first = commits.next().copied();
        let last = commits.next_back().copied().or(first);
        Self::Batch { commits: first.zip(last), complete: batch.is_complete() }
    }

    /// The last commit in it.
    #[must_use]
    pub fn last_commit(&self) -> Option<&Commit> {
        match self {
            Self::Batch { commits: Some((_, last)), .. } => Some(last),
            _ => None,
        }
    }
}

/// A record, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordAt {
    /// Its number.
    pub record: u64,
    /// Its segment.
    pub segment: u64,
    /// Where it begins in the segment.
    pub offset: u64,
    /// Its length there.
    pub length_bytes: usize,
    /// Chain before it.
    pub before: Chain,
    /// Chain behind it.
    pub chain: Chain,
    /// What it is.
    pub kind: Kind,
}

/// Records that should be there and are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The first of them.
    pub record: u64,
    /// The first that is there again; none if they are missing at the end.
    pub until_record: Option<u64>,
    /// The segment in which reading stopped.
    pub segment: PathBuf,
}

/// Records that restore one another: they begin with an epoch's snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Counts epochs, from 1.
    pub epoch: u64,
    /// Size of a page.
    pub page_bytes: u32,
    /// Indices into [`History::records`].
    pub records: Range<usize>,
    /// First commit: the snapshot.
    pub first: Commit,
    /// Last commit.
    pub last: Commit,
}

/// An unprotected interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// How it began.
    pub begin: GapBegin,
    /// The snapshot that ended it; none while it lasts.
    pub until: Option<Commit>,
}

/// What a spool holds.
#[derive(Debug, Clone)]
pub struct History {
    /// Its folder.
    pub folder: PathBuf,
    /// Its name; none while it is empty.
    pub spool: Option<[u8; 16]>,
    /// Records, in order.
    pub records: Vec<RecordAt>,
    /// What is missing between them.
    pub lost: Vec<Lost>,
    /// Bytes behind the last record that were never finished.
    pub unfinished_bytes: u64,
    /// Number of the next segment.
    pub next_segment: u64,
    /// Number of the first record that this folder holds or will hold.
    pub first_record: u64,
    /// Chain before it.
    pub first_chain: Chain,
}

impl History {
    /// Reads a spool's segments and checks every chain.
    ///
    /// # Errors
    /// Only what the system says: damage is in [`History::lost`].
    pub fn load(disk: &dyn Disk, folder: &Path) -> Result<Self> {
        let names = disk.list(folder).map_err(io_error("list", folder))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
        numbers.sort_unstable();
        let mut history = Self {
            folder: folder.to_path_buf(),
            spool: None,
            records: Vec::new(),
            lost: Vec::new(),
            unfinished_bytes: 0,
            next_segment: numbers.last().map_or(0, |last| last + 1),
            first_record: 0,
            first_chain: [0; 32],
        };
        for number in numbers {
            let path = segment_path(folder, number);
            let file = disk.open(&path, Access::Read).map_err(io_error("open", &path))?;
            history.take_segment(file.as_ref(), &path, number)?;
        }
        Ok(history)
    }

    fn take_segment(&mut self, file: &dyn DiskFile, path: &Path, number: u64) -> Result<()> {
        let bytes = read_all(file).map_err(io_error("read", path))?;
        // One that was being created holds nothing, which the next one confirms.
        let header = SegmentHeader::decode(&bytes)
            .filter(|header| header.segment == number)
            .filter(|header| self.spool.is_none_or(|spool| spool == header.spool));
        let Some(header) = header else {
            if number + 1 < self.next_segment {
                let record = self.next_record();
                self.lost.push(Lost { record, until_record: None, segment: path.to_path_buf() });
            }
            return Ok(());
        };
        self.join(&header, path);
        let mut offset = SEGMENT_HEADER_BYTES;
        let (mut before, mut record) = (header.chain, header.first_record);
        while let Some(decoded) = frame::decode(&before, record, &bytes[offset..]) {
            self.records.push(RecordAt {
                record,
                segment: number,
                offset: offset as u64,
                length_bytes: decoded.length_bytes,
                before,
                chain: decoded.chain,
                kind: Kind::of(&decoded.body),
            });
            (before, record) = (decoded.chain, record + 1);
            offset += decoded.length_bytes;
        }
        // Space that was prepared and not used is zeros.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let rest = &bytes[offset..used.max(offset)];
        self.unfinished_bytes = rest.len() as u64;
        if holds_record_behind(rest, record) {
            self.lost.push(Lost { record, until_record: None, segment: path.to_path_buf() });
        }
        Ok(())
    }

    /// Continues with a segment: what was begun before it and not finished does not count.
    fn join(&mut self, header: &SegmentHeader, path: &Path) {
        if self.spool.replace(header.spool).is_none() {
            (self.first_record, self.first_chain) = (header.first_record, header.chain);
        }
        let kept = self.records.partition_point(|at| at.record < header.first_record);
        self.records.truncate(kept);
        let (next, chain) = (self.next_record(), self.chain());
        // What was thought to be lost was given up by whoever wrote this segment.
        self.lost.retain(|lost| lost.until_record.is_some() || lost.record < header.first_record);
        let until_record = Some(header.first_record);
        if let Some(lost) = self.lost.last_mut().filter(|lost| lost.until_record.is_none()) {
            lost.until_record = until_record;
        } else if next != header.first_record || chain != header.chain {
            self.lost.push(Lost { record: next, until_record, segment: path.into() });
        }
    }

    /// Number of the next record.
    #[must_use]
    pub fn next_record(&self) -> u64 {
        self.records.last().map_or(self.first_record, |last| last.record + 1)
    }

    /// Chain behind the last record.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.records.last().map_or(self.first_chain, |last| last.chain)
    }

    /// How many records count for whoever goes on writing: the others are parts of a transaction
    /// or of a snapshot that was never finished.
    #[must_use]
    pub fn finished(&self) -> usize {
        let mut count = self.records.len();
        while let Some(last) = count.checked_sub(1).and_then(|at| self.records.get(at)) {
            match last.kind {
                Kind::Batch { complete: false, .. } | Kind::Epoch { .. } => count -= 1,
                Kind::Batch { .. } | Kind::Gap(_) | Kind::Downtime { .. } => break,
            }
        }
        count
    }

    /// Runs of records that can be restored, in order.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut begun: Option<(u64, u32, usize)> = None;
        for (at, record) in self.records.iter().enumerate() {
            let hole = at > 0 && self.records[at - 1].chain != record.before;
            if hole || matches!(record.kind, Kind::Epoch { .. } | Kind::Gap(_)) {
                runs.extend(self.run(begun.take(), at));
            }
            if let Kind::Epoch { epoch, page_bytes } = record.kind {
                begun = Some((epoch, page_bytes, at));
            }
        }
        runs.extend(self.run(begun, self.records.len()));
        runs
    }

    fn run(&self, begun: Option<(u64, u32, usize)>, end: usize) -> Option<Run> {
        let (epoch, page_bytes, begin) = begun?;
        let mut commits = self.records[begin..end].iter().filter_map(|at| match at.kind {
            Kind::Batch { commits, .. } => commits,
            _ => None,
        });
        let (first, only) = commits.next()?;
        let last = commits.next_back().map_or(only, |(_, last)| last);
        Some(Run { epoch, page_bytes, records: begin..end, first, last })
    }

    /// The last commit that counts, wherever it is.
    #[must_use]
    pub fn last_commit(&self) -> Option<Commit> {
        self.records.iter().rev().find_map(|at| at.kind.last_commit().copied())
    }

    /// The highest number of an epoch; 0 if there is none.
    #[must_use]
    pub fn epochs(&self) -> u64 {
        let numbers = self.records.iter().filter_map(|at| match at.kind {
            Kind::Epoch { epoch, .. } => Some(epoch),
            _ => None,
        });
        numbers.max().unwrap_or(0)
    }

    /// Bytes of a run behind its snapshot.
    #[must_use]
    pub fn bytes(&self, run: &Run) -> u64 {
        let behind = |at: &&RecordAt| {
            at.kind.last_commit().is_some_and(|commit| commit.number > run.first.number)
        };
        let records = self.records[run.records.clone()].iter().filter(behind);
        records.map(|at| at.length_bytes as u64).sum()
    }

    /// Unprotected intervals, in order; the last may not have ended.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        for record in &self.records {
            let open = gaps.last_mut().filter(|gap| gap.until.is_none());
            match (record.kind, open) {
                (Kind::Gap(begin), None) => gaps.push(Gap { begin, until: None }),
                (Kind::Batch { commits: Some((first, _)), .. }, Some(gap)) => {
                    gap.until = Some(first);
                }
                _ => {}
            }
        }
        gaps
    }

    /// Reads a record again and checks it.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it changed since; whatever the system says.
    pub fn read(&self, disk: &dyn Disk, at: &RecordAt) -> Result<Body> {
        read_record(disk, &self.folder, at)
    }

    /// As [`History::read`], from the open segment.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn read_from(&self, file: &dyn DiskFile, at: &RecordAt) -> Result<Body> {
        read_checked(file, &segment_path(&self.folder, at.segment), at)
    }
}

/// Reads a record of the spool in `folder` and compares it with the chain behind it.
///
/// # Errors
/// As [`History::read`].
pub(crate) fn read_record(disk: &dyn Disk, folder: &Path, at: &RecordAt) -> Result<Body> {
    let path = segment_path(folder, at.segment);
    let file = disk.open(&path, Access::Read).map_err(io_error("open", &path))?;
    read_checked(file.as_ref(), &path, at)
}

fn read_checked(file: &dyn DiskFile, path: &Path, at: &RecordAt) -> Result<Body> {
    let mut bytes = vec![0; at.length_bytes];
    read_full(file, &mut bytes, at.offset).map_err(io_error("read", path))?;
    match frame::decode(&at.before, at.record, &bytes) {
        Some(decoded) if decoded.chain == at.chain => Ok(decoded.body),
        _ => Err(Error::Damaged { path: path.to_path_buf(), record: at.record }),
    }
}

/// Whether bytes that do not continue a spool hold a later record of it: every append is synced
/// before the next, so a write that was cut short has nothing behind it, and this is damage.
fn holds_record_behind(rest: &[u8], record: u64) -> bool {
    rest.windows(16).any(|window| {
        let (magic, fields) = window.split_at(4);
        let number = fields[4..].try_into().map_or(0, u64::from_le_bytes);
        let length = fields[..4].try_into().map_or(u32::MAX, u32::from_le_bytes);
        magic == RECORD_MAGIC
            && length as usize <= BODY_BYTES_MAX
            && number > record
            && number - record < 1 << 32
    })
}

fn read_all(file: &dyn DiskFile) -> std::io::Result<Vec<u8>> {
    let length = usize::try_from(file.length_bytes()?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    let done = read_full(file, &mut bytes, 0)?;
    bytes.truncate(done);
    Ok(bytes)
}

pub(super) fn read_full(
    file: &dyn DiskFile,
    bytes: &mut [u8],
    offset: u64,
) -> std::io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
