//! Segment files: named by their first position, preallocated, zero-filled, begun by one sector of
//! header. Drawn in `docs/formats/journal.md`.

use crate::disk::{Access, Claim, Disk, DiskFile};
use crate::envelope::{self, Contents, Magic};
use crate::sector::{self, SECTOR_BYTES};
use crate::{Chain, Identity, Position};
use evenkeel_types::codec::{DecodeError, Reader};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const MAGIC: &Magic = b"evenkeel journal segment docs/formats/\r\n";
const FIELD_BYTES: usize = 100;
const FLAG_RESERVE: u32 = 1;
const FLAG_NO_PREVIOUS: u32 = 2;

/// Offset of the first frame, in bytes.
pub(crate) const FRAMES_AT: u64 = SECTOR_BYTES as u64;
/// A zero-filled segment prepared ahead of need.
pub(crate) const SPARE: &str = "spare.seg";
/// A spare still being filled.
pub(crate) const SPARE_NEW: &str = "spare.new";
/// Ending of a segment's name once it was given up.
const GIVEN_UP: &str = ".old";
/// A zero-filled segment kept for the day the disk is full.
pub(crate) const RESERVE: &str = "reserve.seg";
/// A reserve still being filled.
pub(crate) const RESERVE_NEW: &str = "reserve.new";

/// The header of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Written from the reserve, while the disk was full.
    pub(crate) reserve: bool,
    pub(crate) length_bytes: u64,
    pub(crate) first: Position,
    /// First position of the segment before; `None` for the first one of a log.
    pub(crate) previous_first: Option<Position>,
    /// Last term before this segment.
    pub(crate) term: u64,
    pub(crate) identity: Identity,
    /// Chain before the first frame.
    pub(crate) chain: Chain,
}

/// What the first sector of a segment holds.
#[derive(Debug)]
pub(crate) enum HeaderSector {
    Header { header: SegmentHeader, padding_damaged: bool },
    UnknownVersion(u16),
    Damaged,
}

impl SegmentHeader {
    /// The sector as it lies on disk.
    pub(crate) fn to_sector(&self) -> [u8; SECTOR_BYTES] {
        let mut flags = if self.reserve { FLAG_RESERVE } else { 0 };
        if self.previous_first.is_none() {
            flags |= FLAG_NO_PREVIOUS;
        }
        let mut fields = Vec::with_capacity(FIELD_BYTES);
        fields.extend_from_slice(&flags.to_le_bytes());
        let previous_first = self.previous_first.unwrap_or(0);
        for value in [self.length_bytes, self.first, previous_first, self.term] {
            fields.extend_from_slice(&value.to_le_bytes());
        }
        fields.extend_from_slice(&self.identity.cluster_id);
        fields.extend_from_slice(&self.identity.lineage);
        fields.extend_from_slice(&self.chain);
        let sealed = envelope::seal(MAGIC, &fields);
        let mut sector = [0; SECTOR_BYTES];
        sector[..sealed.len()].copy_from_slice(&sealed);
        sector
    }

    /// Reads a segment's first sector.
    pub(crate) fn from_sector(sector: &[u8; SECTOR_BYTES]) -> HeaderSector {
        match envelope::open(MAGIC, sector) {
            Contents::Fields(fields) => match Self::from_fields(fields) {
                Ok(header) => {
                    let padding = &sector[envelope::sealed_bytes(FIELD_BYTES)..];
                    let padding_damaged = !sector::is_zero(padding);
                    HeaderSector::Header { header, padding_damaged }
                }
                Err(_) => HeaderSector::Damaged,
            },
            Contents::UnknownVersion(version) => HeaderSector::UnknownVersion(version),
            Contents::Damaged => HeaderSector::Damaged,
        }
    }

    fn from_fields(fields: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(fields);
        let flags = u32::from_le_bytes(reader.array()?);
        if flags & !(FLAG_RESERVE | FLAG_NO_PREVIOUS) != 0 {
            return Err(reader.not_canonical("unknown flag"));
        }
        let length_bytes = u64::from_le_bytes(reader.array()?);
        let first = u64::from_le_bytes(reader.array()?);
        let previous_first = u64::from_le_bytes(reader.array()?);
        let header = Self {
            reserve: flags & FLAG_RESERVE != 0,
            length_bytes,
            first,
            previous_first: (flags & FLAG_NO_PREVIOUS == 0).then_some(previous_first),
            term: u64::from_le_bytes(reader.array()?),
            identity: Identity { cluster_id: reader.array()?, lineage: reader.array()? },
            chain: reader.array()?,
        };
        reader.finish()?;
        Ok(header)
    }
}

/// File name of the segment that begins at this position.
pub(crate) fn file_name(first: Position) -> String {
    format!("{first:016x}.seg")
}

/// First position of the segment with this file name; `None` for any other file.
pub(crate) fn first_of(name: &str) -> Option<Position> {
    let hex = name.strip_suffix(".seg")?;
    let first = Position::from_str_radix(hex, 16).ok()?;
    // Only the exact spelling: "+1.seg" and "A.seg" are not ours.
    (file_name(first) == name).then_some(first)
}

/// First positions of all segments in a folder, ascending.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Position>> {
    let mut firsts: Vec<_> = disk.list(dir)?.iter().filter_map(|name| first_of(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// File name of a segment that was given up and may be filled with zeros again.
pub(crate) fn given_up_name(first: Position) -> String {
    format!("{first:016x}{GIVEN_UP}")
}

/// Segments that were given up and not yet used again.
pub(crate) fn given_up(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let names = disk.list(dir)?.into_iter();
    Ok(names.filter(|name| name.ends_with(GIVEN_UP)).map(|name| dir.join(name)).collect())
}

/// Gives their space back; says whether there was any.
pub(crate) fn remove_given_up(disk: &dyn Disk, dir: &Path) -> io::Result<bool> {
    let mut removed = false;
    for path in given_up(disk, dir)? {
        match disk.remove(&path) {
            // The preparer took it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => {
                other?;
                removed = true;
            }
        }
    }
    Ok(removed)
}

/// Creates a file of zeros, allocated and durable. On error nothing remains of it.
pub(crate) fn create_zeroed(
    disk: &dyn Disk,
    path: &Path,
    length_bytes: u64,
) -> io::Result<Box<dyn DiskFile>> {
    let mut zeroing = Zeroing::begin(disk, path, length_bytes)?;
    match zeroing.fill_to(length_bytes, &AtomicBool::new(false)) {
        Ok(()) => Ok(zeroing.file),
        Err(error) => {
            // Space is what is short: give back what was taken. The first error is the one to tell.
            let _ = disk.remove(path);
            Err(error)
        }
    }
}

/// A file that is being filled with zeros.
#[derive(Debug)]
pub(crate) struct Zeroing {
    pub(crate) file: Box<dyn DiskFile>,
    length_bytes: u64,
    /// Zeros before this are durable.
    at: u64,
}

impl Zeroing {
    /// Creates the file and allocates its space; what had its name is replaced. On error nothing
    /// remains of it.
    pub(crate) fn begin(disk: &dyn Disk, path: &Path, length_bytes: u64) -> io::Result<Self> {
        match disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(path)?;
        if let Err(error) = file.preallocate(length_bytes) {
            // As above.
            let _ = disk.remove(path);
            return Err(error);
        }
        Ok(Self { file, length_bytes, at: 0 })
    }

    /// Takes a segment that was given up instead, and gives it the name, if there is one that
    /// nobody reads: its blocks were all written before, so that the file system has nothing to
    /// note, and its syncs wait for nothing but the bytes.
    pub(crate) fn reuse(
        disk: &dyn Disk,
        dir: &Path,
        path: &Path,
        length_bytes: u64,
    ) -> io::Result<Option<Self>> {
        for old in given_up(disk, dir)? {
            let file = disk.open(&old, Access::ReadWrite)?;
            if file.length_bytes()? == length_bytes && file.claim(Claim::Exclusive)? {
                disk.rename(&old, path)?;
                return Ok(Some(Self { file, length_bytes, at: 0 }));
            }
            disk.remove(&old)?;
        }
        Ok(None)
    }

    /// Whether it is full and durable.
    pub(crate) fn is_done(&self) -> bool {
        self.at == self.length_bytes
    }

    /// Fills it up to an offset, and syncs it. Told to stop, it ends early, with `Interrupted`.
    pub(crate) fn fill_to(&mut self, end: u64, stop: &AtomicBool) -> io::Result<()> {
        // In small portions, so that an append's sync never waits for a whole segment of zeros.
        static PORTION: [u8; 1 << 18] = [0; 1 << 18];
        let end = end.min(self.length_bytes);
        while self.at < end {
            if stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let left = usize::try_from(end - self.at).unwrap_or(PORTION.len());
            let part = &PORTION[..left.min(PORTION.len())];
            self.file.write_all_at(part, self.at)?;
            self.file.sync_data()?;
            self.at += part.len() as u64;
            if self.is_done() {
                self.file.sync_all()?;
                self.file.claim(Claim::None)?;
            }
        }
        Ok(())
    }
}

/// Opens a prepared file again if it is whole and still all zero.
pub(crate) fn reopen_zeroed(
    disk: &dyn Disk,
    path: &Path,
    length_bytes: u64,
) -> io::Result<Option<Box<dyn DiskFile>>> {
    let file = match disk.open(path, Access::ReadWrite) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.length_bytes()? != length_bytes {
        return Ok(None);
    }
    let mut clean = true;
    sector::for_each_nonzero(file.as_ref(), 0, length_bytes, |_, _| clean = false)?;
    Ok(clean.then_some(file))
}
