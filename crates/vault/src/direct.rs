//! Large objects past the page cache: written straight to the disk, and read back from it.
//!
//! What a backup writes is not read again soon, so in the cache it would only push out what the
//! desk's databases need; and bytes that are read back from the cache say nothing about the disk.
//! Copying them there is also a third of a backup's processor time on a virtual machine whose host
//! has to find each fresh page. Where the file system has no direct access, the cache is used.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Below this an object is written and read like any file.
const DIRECT_BYTES_MIN: usize = 256 * 1024;
/// What the addresses and lengths of direct access are a multiple of, on every common disk.
const ALIGN_BYTES: usize = 4096;
/// Bytes handed over at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Memory that a disk can read from and write to.
struct Piece {
    room: Vec<u8>,
    from: usize,
}

impl Piece {
    fn new() -> Self {
        let room = vec![0; PIECE_BYTES + ALIGN_BYTES];
        let from = room.as_ptr().align_offset(ALIGN_BYTES).min(ALIGN_BYTES);
        Self { room, from }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.room[self.from..self.from + PIECE_BYTES]
    }
}

/// Writes a new file, durably; what has the name already is replaced.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = match bytes.len() {
        DIRECT_BYTES_MIN.. => write_direct(path, bytes)?,
        _ => None,
    };
    let file = match written {
        Some(file) => file,
        None => {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
            file.write_all(bytes)?;
            file
        }
    };
    file.sync_all()
}

/// The file with `bytes` in it, not synced; `None` where there is no direct access.
fn write_direct(path: &Path, bytes: &[u8]) -> io::Result<Option<File>> {
    let mut how = OpenOptions::new();
    how.write(true).create(true).truncate(true);
    let Some(mut file) = open_direct(&mut how, path)? else {
        return Ok(None);
    };
    let mut piece = Piece::new();
    for part in bytes.chunks(PIECE_BYTES) {
        let room = piece.bytes();
        room[..part.len()].copy_from_slice(part);
        let padded = part.len().next_multiple_of(ALIGN_BYTES);
        room[part.len()..padded].fill(0);
        let mut left = &room[..padded];
        while !left.is_empty() {
            match file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                // The next write would begin where direct access cannot.
                Ok(some) if some % ALIGN_BYTES != 0 => return Ok(None),
                Ok(some) => left = &left[some..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_refused(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
    file.set_len(bytes.len() as u64)?;
    Ok(Some(file))
}

/// Whether a file holds exactly these bytes, read from the disk if they are many.
pub(crate) fn holds(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    if bytes.len() >= DIRECT_BYTES_MIN
        && let Some(same) = holds_direct(path, bytes)?
    {
        return Ok(same);
    }
    Ok(std::fs::read(path)? == bytes)
}

fn holds_direct(path: &Path, bytes: &[u8]) -> io::Result<Option<bool>> {
    let Some(mut file) = open_direct(OpenOptions::new().read(true), path)? else {
        return Ok(None);
    };
    if file.metadata()?.len() != bytes.len() as u64 {
        return Ok(Some(false));
    }
    let (mut piece, mut left) = (Piece::new(), bytes);
    loop {
        match file.read(piece.bytes()) {
            Ok(0) => return Ok(Some(left.is_empty())),
            Ok(some) => {
                if left.get(..some) != piece.bytes().get(..some) {
                    return Ok(Some(false));
                }
                left = &left[some..];
                if left.is_empty() {
                    return Ok(Some(true));
                }
                if some % ALIGN_BYTES != 0 {
                    return Ok(None);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_refused(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

fn open_direct(how: &mut OpenOptions, path: &Path) -> io::Result<Option<File>> {
    let flag = i32::try_from(OFlags::DIRECT.bits()).unwrap_or_default();
    match how.custom_flags(flag).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_refused(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What file systems without direct access, or with other rules for it, answer.
fn is_refused(error: &io::Error) -> bool {
    let refused = [rustix::io::Errno::INVAL, rustix::io::Errno::NOTSUP];
    refused.iter().any(|one| error.raw_os_error() == Some(one.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
    }

    /// A disk, and a file system in memory where there is one, with or without direct access.
    fn folders() -> Vec<tempfile::TempDir> {
        let mut folders = vec![tempfile::tempdir().unwrap()];
        folders.extend(tempfile::tempdir_in("/dev/shm"));
        folders
    }

    #[test]
    fn objects_of_every_length_come_back_and_differences_are_seen() {
        for folder in folders() {
            let path = folder.path().join("object");
            let pieces = [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 4097];
            let small = [0, 1, DIRECT_BYTES_MIN - 1, DIRECT_BYTES_MIN, DIRECT_BYTES_MIN + 511];
            for length in small.into_iter().chain(pieces) {
                let bytes = pattern(length);
                write_synced(&path, &bytes).unwrap();
                assert!(std::fs::read(&path).unwrap() == bytes, "{length}");
                assert!(holds(&path, &bytes).unwrap(), "{length}");
                assert!(!holds(&path, &pattern(length + 1)).unwrap(), "longer than {length}");
                let Some(last) = length.checked_sub(1) else { continue };
                assert!(!holds(&path, &bytes[..last]).unwrap(), "shorter than {length}");
                for at in [0, last / 2, last] {
                    let mut other = bytes.clone();
                    other[at] ^= 1;
                    assert!(!holds(&path, &other).unwrap(), "byte {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn what_has_the_name_already_is_replaced_whole() {
        for folder in folders() {
            let path = folder.path().join("object");
            write_synced(&path, &pattern(2 * PIECE_BYTES)).unwrap();
            write_synced(&path, &pattern(DIRECT_BYTES_MIN + 7)).unwrap();
            assert!(holds(&path, &pattern(DIRECT_BYTES_MIN + 7)).unwrap());
        }
    }
}
