//! Pages on their way into the spool: what each differs by from what the spool said of it last.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result, io_error};
use crate::spool::{Batch, Body, Commit, Image, Item, Spool, xor};
use crate::sqlite::follow::Look;
use crate::sqlite::wal::Place;

/// Content of a batch before compression at which it is written, in bytes.
const BATCH_BYTES: usize = 4 << 20;

/// What was put into the spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Commits.
    pub commits: u64,
    /// Pages.
    pub pages: u64,
    /// Bytes in the spool.
    pub bytes: u64,
}

/// The image at the end of the spool, and the batch that will continue it.
#[derive(Debug)]
pub struct Recorder {
    image: Image,
    batch: Batch,
    raw: Vec<u8>,
    /// Differences of each page since it was carried whole: whoever reads one page has to read
    /// all of them.
    differences: HashMap<u32, u32>,
    differences_max: u32,
    pages: u32,
    level: i32,
    tally: Tally,
}

impl Recorder {
    /// Continues from what `image` holds. `level` is zstd's.
    #[must_use]
    pub fn new(image: Image, differences_max: u32, level: i32) -> Self {
        Self {
            image,
            batch: Batch::default(),
            raw: Vec::new(),
            differences: HashMap::new(),
            differences_max,
            pages: 0,
            level,
            tally: Tally::default(),
        }
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// What was put into the spool since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Takes a page as part of the transaction that is being read.
    ///
    /// # Errors
    /// Whatever the system says; then the recorder is of no use any more.
    pub fn page(&mut self, spool: &mut Spool, page: u32, data: &[u8]) -> Result<()> {
        let path = self.image.path().to_path_buf();
        let previous = self.image.exchange(page, data).map_err(io_error("write", &path))?;
        let differences = self.differences.entry(page).or_insert(u32::MAX);
        let at = self.raw.len();
        self.raw.extend_from_slice(data);
        if *differences >= self.differences_max {
            *differences = 0;
            self.batch.items.push(Item::Whole(page));
        } else {
            *differences += 1;
            xor(&mut self.raw[at..], previous);
            self.batch.items.push(Item::Difference(page));
        }
        self.tally.pages += 1;
        if self.raw.len() >= BATCH_BYTES { self.flush(spool) } else { Ok(()) }
    }

    /// Ends the transaction. The commit is captured once it is flushed.
    ///
    /// # Errors
    /// As [`Recorder::page`].
    pub fn commit(&mut self, last: Option<&Commit>, seen: Seen) -> Result<Commit> {
        let Seen { time_ns, after_ns, pages, place } = seen;
        let path = self.image.path().to_path_buf();
        self.image.set_pages(pages).map_err(io_error("write", &path))?;
        // Pages behind the end are forgotten: whoever reads one later need not look before this.
        if std::mem::replace(&mut self.pages, pages) > pages {
            self.differences.retain(|page, _| *page <= pages);
        }
        let digest = self.image.digest().to_bytes();
        let number = last.map_or(0, |last| last.number) + 1;
        let time_ns = time_ns.max(last.map_or(0, |last| last.time_ns));
        let after_ns = after_ns.min(time_ns);
        let commit = Commit { number, time_ns, after_ns, pages, digest, place };
        self.batch.items.push(Item::Commit(commit));
        self.tally.commits += 1;
        Ok(commit)
    }

    /// Begins epoch `epoch` with all pages as they are.
    ///
    /// # Errors
    /// As [`Recorder::page`].
    pub fn begin_epoch(
        &mut self,
        spool: &mut Spool,
        epoch: u64,
        last: &Commit,
        look: Look,
    ) -> Result<Commit> {
        self.flush(spool)?;
        self.differences.clear();
        let page_bytes = self.image.page_bytes();
        spool.append(&Body::Epoch { epoch, page_bytes })?;
        let path = self.image.path().to_path_buf();
        let mut data = vec![0; page_bytes as usize];
        for page in 1..=last.pages {
            self.image.read(page, &mut data).map_err(io_error("read", &path))?;
            if data.iter().any(|byte| *byte != 0) {
                self.raw.extend_from_slice(&data);
                self.batch.items.push(Item::Whole(page));
                self.differences.insert(page, 0);
                if self.raw.len() >= BATCH_BYTES {
                    self.flush(spool)?;
                }
            }
        }
        let Look { time_ns, after_ns } = look;
        let seen = Seen { time_ns, after_ns, pages: last.pages, place: last.place };
        let commit = self.commit(Some(last), seen)?;
        self.flush(spool)?;
        Ok(commit)
    }

    /// Makes what was taken durable.
    ///
    /// # Errors
    /// As [`Spool::append`].
    pub fn flush(&mut self, spool: &mut Spool) -> Result<()> {
        if self.batch.items.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.raw_bytes = self.raw.len() as u64;
        batch.compressed = compress(&self.raw, self.level, spool.folder())?;
        self.raw.clear();
        self.tally.bytes += spool.append(&Body::Batch(batch))?;
        Ok(())
    }
}

fn compress(raw: &[u8], level: i32, folder: &Path) -> Result<Vec<u8>> {
    if raw.is_empty() {
        return Ok(Vec::new());
    }
    zstd::bulk::compress(raw, level).map_err(|source| Error::Io {
        action: "compress for",
        path: folder.to_path_buf(),
        source,
    })
}

/// What was seen of a commit.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// When.
    pub time_ns: u64,
    /// When it was not there yet.
    pub after_ns: u64,
    /// Pages of the database behind it.
    pub pages: u32,
    /// Where it ends in the log.
    pub place: Place,
}
