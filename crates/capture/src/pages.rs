//! Single pages of a database at a commit, without the rest of it.
//!
//! [`PageReader`] finds out from the beginnings of a spool's records where every page of a commit
//! is, and reads of the spool what the pages asked for need. So a database can be shown while most
//! of its spool is still far away. [`PageReader::fill`] puts ranges of pages into a sparse file.
//!
//! What a page is made of is compared with the chain behind each of its records. That all pages
//! together are those of the commit only [`crate::restore::restore`] shows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::Disk;

use crate::error::{Error, Result, io_error};
use crate::restore::Target;
use crate::spool::{Body, Commit, Image, Item, RecordAt, Walk, read_record, xor};

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
    folder: PathBuf,
    records: Vec<RecordAt>,
    page_bytes: u32,
    commit: Commit,
    /// A whole page, and the differences to it that follow; pages that are not here are zeros.
    parts: HashMap<u32, Vec<Part>>,
    cache: BTreeMap<usize, Vec<u8>>,
    cached: VecDeque<usize>,
    cached_bytes: usize,
}

impl PageReader {
    /// Finds out where every page of a commit lies, from the beginnings of the records: a few per
    /// cent of a snapshot are read, and nothing is decompressed. The commit is the one that
    /// [`crate::restore::restore`] brings back.
    ///
    /// # Errors
    /// [`Error::NoSuchPoint`], [`Error::Damaged`], and whatever the system says.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path, target: Target) -> Result<Self> {
        let walk = Walk::new(disk.as_ref(), folder)?;
        let mut found = None;
        for (epoch, page_bytes) in walk.epochs() {
            let mut finder = Finder::new(target);
            walk.follow(epoch, &mut |at, items| finder.take(at, items))?;
            if let Some(commit) = finder.commit {
                found = Some((finder, page_bytes, commit));
                break;
            }
        }
        let exact = |commit: &Commit| match target {
            Target::Commit(number) => commit.number == number,
            Target::End | Target::Time(_) => true,
        };
        let found = found.filter(|(.., commit)| exact(commit));
        let (finder, page_bytes, commit) = found.ok_or_else(|| Error::NoSuchPoint {
            path: folder.to_path_buf(),
            what: target.words(),
            held: "what it holds begins later, or is something else".to_owned(),
        })?;
        Ok(Self {
            disk,
            folder: folder.to_path_buf(),
            records: finder.records,
            page_bytes,
            commit,
            parts: finder.parts.of,
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
                path: self.folder.clone(),
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
        let at = self.records[record];
        let damaged = Error::Damaged { path: self.folder.clone(), record: at.record };
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
        let damaged = || Error::Damaged { path: self.folder.clone(), record: at.record };
        match read_record(self.disk.as_ref(), &self.folder, at)? {
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

/// Looks for where the pages of one commit are, along the records of an epoch.
#[derive(Debug)]
struct Finder {
    target: Target,
    records: Vec<RecordAt>,
    parts: Parts,
    /// Pages of the transaction that no commit ends yet.
    open: Vec<(Item, Part)>,
    commit: Option<Commit>,
}

impl Finder {
    fn new(target: Target) -> Self {
        let (records, open) = (Vec::new(), Vec::new());
        Self { target, records, parts: Parts::default(), open, commit: None }
    }

    /// Takes a record; says whether the next one is wanted.
    fn take(&mut self, at: &RecordAt, items: Vec<Item>) -> bool {
        let mut part = Part { record: self.records.len(), page_in_batch: 0 };
        self.records.push(*at);
        for item in items {
            if let Item::Commit(commit) = item {
                if !self.target.fits(&commit) {
                    return false;
                }
                self.parts.commit(std::mem::take(&mut self.open), commit.pages);
                self.commit = Some(commit);
            } else {
                self.open.push((item, part));
                part.page_in_batch += 1;
            }
        }
        true
    }
}

#[derive(Debug, Default)]
struct Parts {
    of: HashMap<u32, Vec<Part>>,
    /// No page behind this one is mentioned.
    extent: u32,
}

impl Parts {
    /// Takes what a transaction says of pages; those behind its end are forgotten.
    fn commit(&mut self, said: Vec<(Item, Part)>, pages: u32) {
        for (item, part) in said {
            match item {
                Item::Whole(page) => {
                    self.of.insert(page, vec![part]);
                    self.extent = self.extent.max(page);
                }
                Item::Difference(page) => {
                    self.of.entry(page).or_default().push(part);
                    self.extent = self.extent.max(page);
                }
                Item::Commit(_) => {}
            }
        }
        if self.extent > pages {
            self.of.retain(|page, _| *page <= pages);
        }
        self.extent = self.extent.min(pages);
    }
}
