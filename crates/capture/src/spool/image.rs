//! A database file as it is at a commit, page by page.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Sum over the pages of a database that tells two contents apart without an order of pages: of
/// each page that is not all zeros, BLAKE3 of its number (four bytes, little-endian) and content,
/// taken as four 64-bit words that are added modulo 2^64.
///
/// It finds mistakes, not attackers: against those, the spool's chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest([u64; 4]);

impl Digest {
    /// The bytes, little-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (slot, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *slot = word.to_le_bytes();
        }
        bytes
    }

    fn of(page: u32, data: &[u8]) -> Option<[u64; 4]> {
        if data.iter().all(|byte| *byte == 0) {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&page.to_le_bytes()).update(data);
        let mut words = [0; 4];
        let hash = hasher.finalize();
        for (word, bytes) in words.iter_mut().zip(hash.as_bytes().as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Some(words)
    }

    /// Takes a page in.
    pub fn add(&mut self, page: u32, data: &[u8]) {
        for (sum, word) in self.0.iter_mut().zip(Self::of(page, data).unwrap_or_default()) {
            *sum = sum.wrapping_add(word);
        }
    }

    /// Takes a page out.
    pub fn remove(&mut self, page: u32, data: &[u8]) {
        for (sum, word) in self.0.iter_mut().zip(Self::of(page, data).unwrap_or_default()) {
            *sum = sum.wrapping_sub(word);
        }
    }
}

/// A database file that is being put together. Pages never written are zeros.
#[derive(Debug)]
pub struct Image {
    file: File,
    path: PathBuf,
    page_bytes: u32,
    /// Pages that may hold something.
    extent: u32,
    digest: Digest,
    previous: Vec<u8>,
}

impl Image {
    /// An empty image in a new file, readable by its owner only; an existing file is emptied.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn create(path: &Path, page_bytes: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let previous = vec![0; page_bytes as usize];
        let digest = Digest::default();
        Ok(Self { file, path: path.to_path_buf(), page_bytes, extent: 0, digest, previous })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of a page.
    #[must_use]
    pub fn page_bytes(&self) -> u32 {
        self.page_bytes
    }

    /// Sum over its pages.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    fn offset(&self, page: u32) -> u64 {
        u64::from(page.saturating_sub(1)) * u64::from(self.page_bytes)
    }

    /// Reads page `page` into `data`, whose length is a page.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn read(&self, page: u32, data: &mut [u8]) -> io::Result<()> {
        if page > self.extent {
            data.fill(0);
            return Ok(());
        }
        read_or_zeros(&self.file, data, self.offset(page))
    }

    /// Puts `data` in the place of page `page`, and gives what was there.
    ///
    /// # Errors
    /// Whatever the system says; the image is then of no use any more.
    pub fn exchange(&mut self, page: u32, data: &[u8]) -> io::Result<&[u8]> {
        let mut previous = std::mem::take(&mut self.previous);
        let result = self.read(page, &mut previous);
        self.previous = previous;
        result?;
        self.digest.remove(page, &self.previous);
        self.digest.add(page, data);
        self.file.write_all_at(data, self.offset(page))?;
        self.extent = self.extent.max(page);
        Ok(&self.previous)
    }

    /// Puts what `data` differs by from page `page` in its place.
    ///
    /// # Errors
    /// As [`Image::exchange`].
    pub fn apply_difference(&mut self, page: u32, data: &mut [u8]) -> io::Result<()> {
        let mut previous = std::mem::take(&mut self.previous);
        let result = self.read(page, &mut previous);
        self.previous = previous;
        result?;
        xor(data, &self.previous);
        self.exchange(page, data).map(|_| ())
    }

    /// Ends a transaction: the database has this many pages; those behind are forgotten.
    ///
    /// # Errors
    /// As [`Image::exchange`].
    pub fn set_pages(&mut self, pages: u32) -> io::Result<()> {
        let mut data = vec![0; self.page_bytes as usize];
        for page in pages.saturating_add(1)..=self.extent {
            self.read(page, &mut data)?;
            self.digest.remove(page, &data);
        }
        self.extent = self.extent.min(pages);
        self.file.set_len(u64::from(pages) * u64::from(self.page_bytes))
    }

    /// Sums up all pages again from the file.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn recompute_digest(&self) -> io::Result<Digest> {
        let mut digest = Digest::default();
        let mut data = vec![0; self.page_bytes as usize];
        for page in 1..=self.extent {
            self.read(page, &mut data)?;
            digest.add(page, &data);
        }
        Ok(digest)
    }

    /// Makes the file durable.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// `data` ^= `other`.
pub fn xor(data: &mut [u8], other: &[u8]) {
    for (byte, other) in data.iter_mut().zip(other) {
        *byte ^= other;
    }
}

/// Fills `data` from `offset`; what is behind the end of the file is zeros.
pub(crate) fn read_or_zeros(file: &File, data: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < data.len() {
        match file.read_at(&mut data[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    data[done..].fill(0);
    Ok(())
}
