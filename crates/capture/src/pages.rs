//! Single pages of a database at a commit, without the rest of it.
//!
//! SQLite reads its files through a VFS, and the binding in use here has none to fill in. So this
//! is the part below one: it serves any page of any captured commit from the spool, and
//! [`PageReader::fill`] puts ranges of pages into a sparse file in whatever order they are wanted.
//! Whoever opens that file has to have filled what will be read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::Disk;

use crate::error::{Error, Result, io_error};
use crate::restore::{Target, find};
use crate::spool::{Body, Commit, History, Image, Item, RecordAt, xor};

/// Decompressed batches that are kept, in bytes.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// Where a part of a page lies: a record, and which of its pages.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Index into the history's records.
    record: usize,
    page_in_batch: usize,
}

/// Serves pages of one commit.
#[derive(Debug)]
pub struct PageReader {
    disk: Arc<dyn Disk>,
    history: History,
    page_bytes: u32,
    commit: Commit,
    /// A whole page, and the differences to it that follow; pages that are not here are zeros.
    parts: HashMap<u32, Vec<Part>>,
    cache: BTreeMap<usize, Vec<u8>>,
    cached: VecDeque<usize>,
    cached_bytes: usize,
}

impl PageReader {
    /// Finds out where every page of a commit lies. Chains are checked, nothing is decompressed.
    ///
    /// # Errors
    /// As [`crate::restore::find`].
    pub fn open(disk: Arc<dyn Disk>, folder: &Path, target: Target) -> Result<Self> {
        let history = History::load(disk.as_ref(), folder)?;
        let (run, commit) = find(disk.as_ref(), &history, target)?;
        let mut parts = Parts::default();
        for (at, record) in history.records[run.records.clone()].iter().enumerate() {
            if let Body::Batch(batch) = history.read(disk.as_ref(), record)?
                && parts.take(&batch.items, run.records.start + at, commit.number)
            {
                break;
            }
        }
        Ok(Self {
            disk,
            history,
            page_bytes: run.page_bytes,
            commit,
            parts: parts.of,
            cache: BTreeMap::new(),
            cached: VecDeque::new(),
            cached_bytes: 0,
        })
    }

    /// Which commit it is.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        &self.commit
    }

    /// Size of a page.
    #[must_use]
    pub fn page_bytes(&self) -> u32 {
        self.page_bytes
    }

    /// Records that have to be read for these pages.
    #[must_use]
    pub fn records_needed(&self, pages: RangeInclusive<u32>) -> usize {
        let mut records: Vec<usize> = pages
            .filter_map(|page| self.parts.get(&page))
            .flat_map(|parts| parts.iter().map(|part| part.record))
            .collect();
        records.sort_unstable();
        records.dedup();
        records.len()
    }

    /// A page; zeros if the database never wrote it.
    ///
    /// # Errors
    /// [`Error::NoSuchPoint`] if the database has fewer pages, [`Error::Damaged`], and whatever
    /// the system says.
    pub fn page(&mut self, page: u32) -> Result<Vec<u8>> {
        if page == 0 || page > self.commit.pages {
            return Err(Error::NoSuchPoint {
                path: self.history.folder.clone(),
                what: format!("page {page}"),
                held: format!("commit {} has {}", self.commit.number, self.commit.pages),
            });
        }
        let mut data = vec![0; self.page_bytes as usize];
        for part in self.parts.get(&page).cloned().unwrap_or_default() {
            let length = data.len();
            let (raw, damaged) = self.batch(part.record)?;
            let piece = raw.chunks_exact(length).nth(part.page_in_batch);
            xor(&mut data, piece.ok_or(damaged)?);
        }
        Ok(data)
    }

    /// Puts pages into a file that may be sparse elsewhere.
    ///
    /// # Errors
    /// As [`PageReader::page`].
    pub fn fill(&mut self, image: &mut Image, pages: RangeInclusive<u32>) -> Result<()> {
        for page in pages {
            let data = self.page(page)?;
            let path = image.path().to_path_buf();
            image.exchange(page, &data).map_err(io_error("write", &path))?;
        }
        Ok(())
    }

    fn batch(&mut self, record: usize) -> Result<(&[u8], Error)> {
        let at = self.history.records[record];
        let damaged = Error::Damaged { path: self.history.folder.clone(), record: at.record };
        if !self.cache.contains_key(&record) {
            let raw = self.decompress(&at)?;
            self.make_room(raw.len());
            self.cached.push_back(record);
            self.cached_bytes += raw.len();
            self.cache.insert(record, raw);
        }
        Ok((self.cache.get(&record).map_or(&[], Vec::as_slice), damaged))
    }

    fn decompress(&self, at: &RecordAt) -> Result<Vec<u8>> {
        let damaged = || Error::Damaged { path: self.history.folder.clone(), record: at.record };
        match self.history.read(self.disk.as_ref(), at)? {
            Body::Batch(batch) => batch.decompress().map_err(|_| damaged()),
            Body::Epoch { .. } | Body::Gap(_) | Body::Downtime { .. } => Err(damaged()),
        }
    }

    fn make_room(&mut self, bytes: usize) {
        while self.cached_bytes + bytes > CACHE_BYTES_MAX {
            let Some(oldest) = self.cached.pop_front() else { return };
            self.cached_bytes -= self.cache.remove(&oldest).map_or(0, |raw| raw.len());
        }
    }
}

#[derive(Debug, Default)]
struct Parts {
    of: HashMap<u32, Vec<Part>>,
    pages: u32,
}

impl Parts {
    /// Takes a batch's items up to commit `until`; says whether that is reached.
    fn take(&mut self, items: &[Item], record: usize, until: u64) -> bool {
        let mut page_in_batch = 0;
        for item in items {
            match item {
                Item::Whole(page) => {
                    self.of.insert(*page, vec![Part { record, page_in_batch }]);
                    page_in_batch += 1;
                }
                Item::Difference(page) => {
                    self.of.entry(*page).or_default().push(Part { record, page_in_batch });
                    page_in_batch += 1;
                }
                Item::Commit(commit) => {
                    if commit.pages < self.pages {
                        self.of.retain(|page, _| *page <= commit.pages);
                    }
                    self.pages = commit.pages;
                    if commit.number >= until {
                        return true;
                    }
                }
            }
        }
        false
    }
}
