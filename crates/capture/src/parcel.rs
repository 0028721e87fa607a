//! Spools on their way: what was captured of several databases, as it travels to other machines,
//! and put together again there.
//!
//! ```text
//!  parcel = magic "evenkeel live 1\n" pieces
//!  piece  = database path, spool[16], segment, offset, bytes
//!  index  = magic "evenkeel live index 1\n" spools
//!  spool  = database path, spool[16], segments
//!  segment = number, length
//! ```
//!
//! A piece is part of a segment file, at the offset it has there. Pieces that were sent twice are
//! the same bytes.

use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use evenkeel_types::{Canonical, DecodeError, Reader, Writer};

use crate::error::{Error, Result, io_error};
use crate::spool::segment_path;

const MAGIC: &[u8; 16] = b"evenkeel live 1\n";
const INDEX_MAGIC: &[u8; 22] = b"evenkeel live index 1\n";
const PATH_BYTES_MAX: usize = 4096;
const PIECE_BYTES_MAX: usize = 64 << 20;

/// Part of one segment of one spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The database's path.
    pub database: PathBuf,
    /// The spool's name.
    pub spool: [u8; 16],
    /// The segment.
    pub segment: u64,
    /// Where in it the bytes belong.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What travels together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parcel {
    /// The pieces, in order.
    pub pieces: Vec<Piece>,
}

/// The segments of one spool that are stored whole, as they were at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// The database's path.
    pub database: PathBuf,
    /// The spool's name.
    pub spool: [u8; 16],
    /// Number and length in bytes of each segment, in order.
    pub segments: Vec<(u64, u64)>,
}

/// All spools at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    /// The spools, in order.
    pub spools: Vec<Indexed>,
}

fn path(reader: &mut Reader<'_>) -> Result<PathBuf, DecodeError> {
    let bytes = reader.bytes(PATH_BYTES_MAX)?;
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(reader.not_canonical("not a path"));
    }
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec())))
}

impl Canonical for Piece {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self.database.as_os_str().as_bytes());
        writer.fixed(&self.spool);
        writer.u64(self.segment);
        writer.u64(self.offset);
        writer.bytes(&self.bytes);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (database, spool) = (path(reader)?, reader.array()?);
        let (segment, offset) = (reader.u64()?, reader.u64()?);
        let bytes = reader.bytes(PIECE_BYTES_MAX)?.to_vec();
        if bytes.is_empty() || offset.checked_add(bytes.len() as u64).is_none() {
            return Err(reader.not_canonical("a piece of nothing, or beyond every end"));
        }
        Ok(Self { database, spool, segment, offset, bytes })
    }
}

impl Canonical for Parcel {
    fn encode(&self, writer: &mut Writer) {
        writer.fixed(MAGIC);
        writer.sequence(self.pieces.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.fixed(MAGIC.len())? != MAGIC {
            return Err(reader.not_canonical("not a parcel"));
        }
        Ok(Self { pieces: reader.sequence()? })
    }
}

impl Canonical for Indexed {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self.database.as_os_str().as_bytes());
        writer.fixed(&self.spool);
        writer.u64(self.segments.len() as u64);
        for (number, length) in &self.segments {
            writer.u64(*number);
            writer.u64(*length);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (database, spool) = (path(reader)?, reader.array()?);
        let count = reader.count()?;
        let mut segments: Vec<(u64, u64)> = Vec::with_capacity(count.min(4096));
        for _ in 0..count {
            let segment = (reader.u64()?, reader.u64()?);
            if segments.last().is_some_and(|last| last.0 >= segment.0) {
                return Err(reader.not_canonical("segments out of order"));
            }
            segments.push(segment);
        }
        Ok(Self { database, spool, segments })
    }
}

impl Canonical for Index {
    fn encode(&self, writer: &mut Writer) {
        writer.fixed(INDEX_MAGIC);
        writer.sequence(self.spools.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.fixed(INDEX_MAGIC.len())? != INDEX_MAGIC {
            return Err(reader.not_canonical("not an index of spools"));
        }
        Ok(Self { spools: reader.sequence()? })
    }
}

/// A name for a database's spools that is safe in names of files and sources.
#[must_use]
pub fn name_of(database: &Path) -> String {
    let hash = blake3::hash(database.as_os_str().as_bytes());
    hash.to_hex().as_str()[..16].to_owned()
}

/// Spools put together again in a folder: one folder for each database and spool.
#[derive(Debug)]
pub struct Assembly {
    folder: PathBuf,
    spools: Vec<(PathBuf, PathBuf)>,
}

impl Assembly {
    /// Puts together in `folder`, which is empty.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), spools: Vec::new() }
    }

    /// The folders of a database's spools, in the order in which they came.
    pub fn spools_of<'a>(
        &'a self,
        database: &'a Path,
    ) -> impl DoubleEndedIterator<Item = &'a Path> {
        let of_it = self.spools.iter().filter(move |(path, _)| path == database);
        of_it.map(|(_, folder)| folder.as_path())
    }

    /// The databases there are.
    #[must_use]
    pub fn databases(&self) -> Vec<&Path> {
        let mut all: Vec<&Path> = self.spools.iter().map(|(path, _)| path.as_path()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The folder of a spool, made when it comes first.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn folder_of(&mut self, database: &Path, spool: [u8; 16]) -> Result<PathBuf> {
        let short: String = spool.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let folder = self.folder.join(format!("{}-{short}", name_of(database)));
        if !self.spools.iter().any(|(_, known)| *known == folder) {
            fs::create_dir_all(&folder).map_err(io_error("make the folder", &folder))?;
            self.spools.push((database.to_owned(), folder.clone()));
        }
        Ok(folder)
    }

    /// A segment that is stored whole, to be written.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn segment(&mut self, database: &Path, spool: [u8; 16], segment: u64) -> Result<File> {
        let path = segment_path(&self.folder_of(database, spool)?, segment);
        File::create(&path).map_err(io_error("create", &path))
    }

    /// Puts a piece in its place.
    ///
    /// # Errors
    /// [`Error::Damaged`] if something before it is missing; whatever the system says.
    pub fn put(&mut self, piece: &Piece) -> Result<()> {
        let path = segment_path(&self.folder_of(&piece.database, piece.spool)?, piece.segment);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(io_error("open", &path))?;
        let length = file.metadata().map_err(io_error("look at", &path))?.len();
        if piece.offset > length {
            return Err(Error::Damaged { path, record: piece.segment });
        }
        file.write_all_at(&piece.bytes, piece.offset).map_err(io_error("write", &path))
    }
}
