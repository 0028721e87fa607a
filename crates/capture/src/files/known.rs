//! What the last point found, so that files that were not touched are not read again. It is a hint:
//! without it, or with a damaged one, everything is read.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use evenkeel_types::{Canonical, DecodeError, Reader, Writer};

use super::list::{BESIDE_SQLITE, Found, Stat};
use super::path::PATH_BYTES_MAX;
use super::tree::GroupId;

const MAGIC: &[u8; 4] = b"EVKM";
const VERSION: u8 = 1;
const SEALED_BYTES_MAX: usize = 1 << 30;
const HASH_BYTES: usize = 32;

/// What is known of files that were read before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    pub(super) files: BTreeMap<Vec<u8>, KnownFile>,
    pub(super) groups: BTreeMap<GroupId, KnownGroup>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownFile {
    pub(super) stat: Stat,
    /// The log beside it, if it is a database.
    pub(super) beside: Vec<Option<Stat>>,
    /// Whether an equal [`Stat`] means equal bytes: not if it was changed shortly before.
    pub(super) settled: bool,
    pub(super) length_bytes: u64,
    pub(super) hash: [u8; 32],
    pub(super) offset_bytes: u64,
    pub(super) database: bool,
}

/// A group that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownGroup {
    /// Where its first file is.
    pub(super) first: Vec<u8>,
    /// Of the paths in it, in order.
    pub(super) members: [u8; 32],
    /// What the store said of it.
    pub(super) sealed: Vec<u8>,
}

impl Known {
    /// Reads what an earlier point wrote; nothing if there is no such file, or it is damaged.
    #[must_use]
    pub fn load(file: &Path) -> Self {
        let Ok(bytes) = fs::read(file) else {
            return Self::default();
        };
        let parts = bytes.len().checked_sub(HASH_BYTES).map(|at| bytes.split_at(at));
        let whole = parts.filter(|(body, hash)| blake3::hash(body).as_bytes() == *hash);
        whole.and_then(|(body, _)| Self::from_bytes(body).ok()).unwrap_or_default()
    }

    /// Writes it, for the owner alone.
    ///
    /// # Errors
    /// What the system says.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let mut bytes = self.to_bytes();
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        let part = file.with_extension("part");
        let mut open = fs::OpenOptions::new();
        open.write(true).create(true).truncate(true).mode(0o600).open(&part)?.write_all(&bytes)?;
        fs::rename(&part, file)
    }

    /// What is known of a file, if it was not touched since.
    pub(super) fn untouched(&self, found: &Found) -> Option<&KnownFile> {
        let known = self.files.get(found.disk.as_os_str().as_bytes())?;
        let same = known.settled && known.stat == found.stat;
        (same && (!known.database || known.beside == beside(&found.disk))).then_some(known)
    }
}

/// What stands beside a database.
pub(super) fn beside(database: &Path) -> Vec<Option<Stat>> {
    // The shared memory is written by readers too, and holds nothing of its own.
    let endings = BESIDE_SQLITE.iter().filter(|ending| **ending != "-shm");
    endings
        .map(|ending| {
            let mut name = database.as_os_str().to_owned();
            name.push(OsStr::new(ending));
            let meta = fs::symlink_metadata(PathBuf::from(name)).ok()?;
            // SQLite, run by the system's administrator, sets a log's owner whenever it opens one.
            Some(Stat { ctime_ns: 0, ..Stat::of(&meta) })
        })
        .collect()
}

impl Canonical for Stat {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.size_bytes);
        writer.i64(self.mtime_ns);
        writer.i64(self.ctime_ns);
        writer.u64(self.device);
        writer.u64(self.inode);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            size_bytes: reader.u64()?,
            mtime_ns: reader.i64()?,
            ctime_ns: reader.i64()?,
            device: reader.u64()?,
            inode: reader.u64()?,
        })
    }
}

impl Canonical for KnownFile {
    fn encode(&self, writer: &mut Writer) {
        self.stat.encode(writer);
        writer.sequence(self.beside.iter());
        writer.u8(u8::from(self.settled) | u8::from(self.database) << 1);
        writer.u64(self.length_bytes);
        writer.fixed(&self.hash);
        writer.u64(self.offset_bytes);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (stat, beside) = (Stat::decode(reader)?, reader.sequence()?);
        let flags = reader.u8()?;
        if flags > 3 {
            return Err(reader.not_canonical("unknown flags"));
        }
        Ok(Self {
            stat,
            beside,
            settled: flags & 1 != 0,
            database: flags & 2 != 0,
            length_bytes: reader.u64()?,
            hash: reader.array()?,
            offset_bytes: reader.u64()?,
        })
    }
}

impl Canonical for Known {
    fn encode(&self, writer: &mut Writer) {
        writer.fixed(MAGIC);
        writer.u8(VERSION);
        writer.u64(self.files.len() as u64);
        for (path, file) in &self.files {
            writer.bytes(path);
            file.encode(writer);
        }
        writer.u64(self.groups.len() as u64);
        for (id, group) in &self.groups {
            writer.fixed(&id.0);
            writer.bytes(&group.first);
            writer.fixed(&group.members);
            writer.bytes(&group.sealed);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.fixed(MAGIC.len())? != MAGIC || reader.u8()? != VERSION {
            return Err(reader.not_canonical("not what is known of files"));
        }
        let mut known = Self::default();
        for _ in 0..reader.count()? {
            let path = reader.bytes(PATH_BYTES_MAX)?.to_vec();
            known.files.insert(path, KnownFile::decode(reader)?);
        }
        for _ in 0..reader.count()? {
            let id = GroupId(reader.array()?);
            let first = reader.bytes(PATH_BYTES_MAX)?.to_vec();
            let members = reader.array()?;
            let sealed = reader.bytes(SEALED_BYTES_MAX)?.to_vec();
            known.groups.insert(id, KnownGroup { first, members, sealed });
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_reads_back_and_a_damaged_file_is_nothing_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known");
        let stat = Stat { size_bytes: 1, mtime_ns: -2, ctime_ns: 3, device: 4, inode: 5 };
        let mut known = Known::default();
        known.files.insert(
            b"/x".to_vec(),
            KnownFile {
                stat,
                beside: vec![None, Some(stat)],
                settled: true,
                length_bytes: 1,
                hash: [6; 32],
                offset_bytes: 7,
                database: true,
            },
        );
        let group = KnownGroup { first: b"/x".to_vec(), members: [8; 32], sealed: vec![9; 50] };
        known.groups.insert(GroupId([1; 8]), group);
        known.save(&file).unwrap();
        assert_eq!(Known::load(&file), known);
        let mut bytes = fs::read(&file).unwrap();
        bytes[20] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(Known::load(&file), Known::default());
        assert_eq!(Known::load(&folder.path().join("absent")), Known::default());
    }
}
