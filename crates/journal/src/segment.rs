//! Segment files: named by their first position, preallocated, zero-filled, begun by one sector of
//! header. Drawn in `docs/formats/journal.md`.

use crate::disk::{Disk, DiskFile};
use crate::envelope::{self, Contents, Magic};
use crate::sector::{self, SECTOR_BYTES};
use crate::{Chain, Identity, Position};
use evenkeel_types::codec::{DecodeError, Reader};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MAGIC: &Magic = b"evenkeel journal segment docs/formats/\r\n";
const FIELD_BYTES: usize = 100;
const FLAG_RESERVE: u32 = 1;
const FLAG_NO_PREVIOUS: u32 = 2;

/// Offset of the first frame, in bytes.
pub(crate) const FRAMES_AT: u64 = SECTOR_BYTES as u64;
/// A zero-filled segment prepared ahead of need.
pub(crate) const SPARE: &str = "spare.seg";
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

/// How fast zeros are written.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    stop: AtomicBool,
    leisurely: AtomicBool,
}

impl Pace {
    /// The work ends early, with `Interrupted`.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether there is time: then half of it is left to the syncs of appends, which otherwise
    /// wait behind the zeros.
    pub(crate) fn take_time(&self, leisurely: bool) {
        self.leisurely.store(leisurely, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Pauses for as long as the last portion took, within a bound.
    fn pause(&self, portion_took: Duration) {
        const LONGEST: Duration = Duration::from_millis(20);
        if self.leisurely.load(Ordering::Relaxed) {
            thread::sleep(portion_took.min(LONGEST));
        }
    }
}

/// Creates a file of zeros, allocated and durable. On error nothing remains of it.
pub(crate) fn create_zeroed(
    disk: &dyn Disk,
    path: &Path,
    length_bytes: u64,
    pace: &Pace,
) -> io::Result<Box<dyn DiskFile>> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(path)?;
    match fill(file.as_ref(), length_bytes, pace) {
        Ok(()) => Ok(file),
        Err(error) => {
            // Space is what is short: give back what was taken. The first error is the one to tell.
            let _ = disk.remove(path);
            Err(error)
        }
    }
}

fn fill(file: &dyn DiskFile, length_bytes: u64, pace: &Pace) -> io::Result<()> {
    static CHUNK: [u8; 1 << 16] = [0; 1 << 16];
    const SYNC_EVERY_BYTES: u64 = 1 << 20;
    file.preallocate(length_bytes)?;
    let (mut at, mut begun) = (0, Instant::now());
    while at < length_bytes {
        if pace.is_stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let part = CHUNK.len().min(usize::try_from(length_bytes - at).unwrap_or(CHUNK.len()));
        file.write_all_at(&CHUNK[..part], at)?;
        at += part as u64;
        // In small portions, so that an append's sync never waits for a whole segment of zeros.
        if at % SYNC_EVERY_BYTES == 0 {
            file.sync_data()?;
            pace.pause(begun.elapsed());
            begun = Instant::now();
        }
    }
    file.sync_all()
}

/// Opens a prepared file again if it is whole and still all zero.
pub(crate) fn reopen_zeroed(
    disk: &dyn Disk,
    path: &Path,
    length_bytes: u64,
) -> io::Result<Option<Box<dyn DiskFile>>> {
    let file = match disk.open(path, crate::disk::Access::ReadWrite) {
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
