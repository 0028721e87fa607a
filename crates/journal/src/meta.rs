//! The file `meta`: whose journal this is and where it begins. Two copies, each with its own CRC.

use crate::disk::{Access, Disk, read_full};
use crate::envelope::{self, Contents, Magic};
use crate::error::{IoContext as _, JournalError, Problem, ProblemKind, Result};
use crate::sector::is_zero;
use crate::{Base, Identity};
use evenkeel_types::codec::{Canonical as _, DecodeError, Reader};
use evenkeel_types::merkle::Frontier;
use std::io;
use std::path::Path;

/// File name.
pub(crate) const META: &str = "meta";
const META_NEW: &str = "meta.new";
const MAGIC: &Magic = b"evenkeel journal meta docs/formats.md!\r\n";
const COPY_BYTES: usize = 4096;

/// What `meta` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) identity: Identity,
    pub(crate) base: Base,
}

impl Meta {
    fn to_copy(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        fields.extend_from_slice(&self.identity.cluster_id);
        fields.extend_from_slice(&self.identity.lineage);
        fields.extend_from_slice(&self.base.position.to_le_bytes());
        fields.extend_from_slice(&self.base.chain);
        fields.extend_from_slice(&self.base.frontier.to_bytes());
        let mut copy = envelope::seal(MAGIC, &fields);
        copy.resize(COPY_BYTES, 0);
        copy
    }

    fn from_fields(fields: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(fields);
        let identity = Identity { cluster_id: reader.array()?, lineage: reader.array()? };
        let position = u64::from_le_bytes(reader.array()?);
        let chain = reader.array()?;
        let frontier = Frontier::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { identity, base: Base { position, chain, frontier } })
    }

    /// Writes `meta` anew; after a crash either the old or the new one is there, whole.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        let (new, path) = (dir.join(META_NEW), dir.join(META));
        match disk.remove(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).during("remove", &new);
            }
            _ => {}
        }
        let file = disk.create(&new).during("create", &new)?;
        let copy = self.to_copy();
        file.write_all_at(&[copy.as_slice(), &copy].concat(), 0).during("write", &new)?;
        file.sync_all().during("sync", &new)?;
        disk.rename(&new, &path).during("rename", &new)?;
        disk.sync_dir(dir).during("sync", dir)
    }

    /// Reads `meta`, and says which of its parts have gone bad without doing harm.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<(Self, Vec<Problem>)> {
        let path = dir.join(META);
        let file = match disk.open(&path, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(JournalError::NotAJournal { dir: dir.to_owned() });
            }
            other => other.during("open", &path)?,
        };
        let mut bytes = vec![0; 2 * COPY_BYTES];
        read_full(file.as_ref(), &mut bytes, 0).during("read", &path)?;
        Self::choose(dir, &bytes)
    }

    fn choose(dir: &Path, bytes: &[u8]) -> Result<(Self, Vec<Problem>)> {
        let mut problems = Vec::new();
        let mut best: Option<Self> = None;
        let mut newer = None;
        for (index, copy) in bytes.chunks_exact(COPY_BYTES).enumerate() {
            let detail = match envelope::open(MAGIC, copy) {
                Contents::Fields(fields) => match Self::from_fields(fields) {
                    Ok(meta) => {
                        best.get_or_insert(meta);
                        if is_zero(&copy[envelope::sealed_bytes(fields.len())..]) {
                            continue;
                        }
                        "the padding of this copy is not zero"
                    }
                    Err(_) => "this copy does not decode",
                },
                Contents::UnknownVersion(version) => {
                    newer = Some(version);
                    "this copy has an unknown version"
                }
                Contents::Damaged => "this copy fails its checksum",
            };
            problems.push(problem((index * COPY_BYTES) as u64, ProblemKind::DamagedMeta, detail));
        }
        if let Some(meta) = best {
            return Ok((meta, problems));
        }
        let problem = match newer {
            Some(version) => {
                let detail = format!("version {version} was written by a newer evenkeel; use that");
                problem(0, ProblemKind::UnknownVersion, &detail)
            }
            None => problem(0, ProblemKind::DamagedMeta, "both copies fail their checksum"),
        };
        let problem = Box::new(Problem { harmless: false, ..problem });
        Err(JournalError::Corrupt { dir: dir.to_owned(), problem, safe_next: 0 })
    }
}

fn problem(offset: u64, kind: ProblemKind, detail: &str) -> Problem {
    let detail = detail.to_owned();
    Problem { file: META.to_owned(), offset, positions: 0..0, kind, detail, harmless: true }
}
