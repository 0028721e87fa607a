//! What the spools held at one moment, and the recovery point of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_capture::parcel::{Index, Indexed, Piece};
use evenkeel_capture::spool::{SpoolReader, segment_path};
use evenkeel_journal::RealDisk;
use evenkeel_types::Canonical as _;
use evenkeel_vault::{PointSealer, SealedPoint, SealedSource, SiteError, SourceFeed};

use super::follow::Followed;
use super::{INDEX_SOURCE, source_name};
use crate::report::Result;

/// Epochs of a spool that stay on the host: a restart needs the last whole one.
const EPOCHS_KEPT: usize = 3;

/// A database's spool, as it goes to the sites.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) followed: Arc<Followed>,
    reader: SpoolReader,
    spool: Option<[u8; 16]>,
    /// Whole records of each segment.
    lengths: BTreeMap<u64, u64>,
}

impl Outgoing {
    pub(super) fn new(followed: Arc<Followed>) -> Self {
        let reader = SpoolReader::new(Arc::new(RealDisk), &followed.folder);
        Self { followed, reader, spool: None, lengths: BTreeMap::new() }
    }

    /// The next piece; none once all was read that was whole when this was called.
    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>, evenkeel_capture::Error> {
        if !self.followed.folder.is_dir() {
            return Ok(None);
        }
        let Some(stretch) = self.reader.next_stretch()? else { return Ok(None) };
        self.spool = self.reader.spool().or(self.spool);
        let end = stretch.offset + stretch.bytes.len() as u64;
        self.lengths.insert(stretch.segment, end);
        let Some(spool) = self.spool else { return Ok(None) };
        Ok(Some(Piece {
            database: self.followed.path().to_owned(),
            spool,
            segment: stretch.segment,
            offset: stretch.offset,
            bytes: stretch.bytes,
        }))
    }

    fn indexed(&self) -> Option<Indexed> {
        let segments = self.lengths.iter().map(|(number, length)| (*number, *length)).collect();
        let database = self.followed.path().to_owned();
        Some(Indexed { database, spool: self.spool?, segments })
    }

    /// Removes segments of earlier epochs that `point` holds.
    pub(super) fn trim(&mut self, point: &Index) {
        let epochs = self.reader.epochs();
        let kept = epochs.len().checked_sub(EPOCHS_KEPT).and_then(|at| epochs.get(at));
        let held = point.spools.iter().find(|one| Some(one.spool) == self.spool);
        let (Some(kept), Some(held)) = (kept.copied(), held) else { return };
        for (number, length) in held.segments.iter().filter(|(number, _)| *number < kept) {
            if self.lengths.get(number) == Some(length)
                && std::fs::remove_file(segment_path(&self.followed.folder, *number)).is_ok()
            {
                self.lengths.remove(number);
            }
        }
    }
}

/// What the spools hold now, as far as it was read.
pub(super) fn index_of(all: &[Outgoing]) -> Index {
    Index { spools: all.iter().filter_map(Outgoing::indexed).collect() }
}

/// What sealing a point needs; it goes on in a thread of its own.
pub(super) struct Cut {
    pub(super) index: Index,
    /// Tails up to this position are in it.
    pub(super) position: u64,
    /// All that was captured before is in it.
    pub(super) time_ns: u64,
    pub(super) folders: Vec<PathBuf>,
    /// Segments that were sealed before, by name: length, and how to refer to them.
    pub(super) known: BTreeMap<String, (u64, Vec<u8>)>,
}

/// A point that is at the sites but for its record.
pub(super) struct Sealed {
    pub(super) cut: Cut,
    pub(super) point: SealedPoint,
}

impl Cut {
    pub(super) fn seal(mut self, sealer: PointSealer) -> Result<Sealed, evenkeel_vault::Error> {
        let (index, folders, known) = (&self.index, &self.folders, &mut self.known);
        let point = sealer.seal_feed(&mut |feed: &mut SourceFeed<'_, '_>| {
            let mut now = BTreeMap::new();
            for (spool, folder) in index.spools.iter().zip(folders) {
                for (segment, length) in &spool.segments {
                    let name = source_name(&spool.database, &spool.spool, *segment);
                    let sealed = seal_segment(feed, &name, folder, (*segment, *length), known)?;
                    now.insert(name, (*length, sealed));
                }
            }
            feed.read(INDEX_SOURCE, &mut index.to_bytes().as_slice())?;
            *known = now;
            Ok(())
        })?;
        Ok(Sealed { cut: self, point })
    }
}

fn seal_segment(
    feed: &mut SourceFeed<'_, '_>,
    name: &str,
    folder: &Path,
    (segment, length): (u64, u64),
    known: &BTreeMap<String, (u64, Vec<u8>)>,
) -> Result<Vec<u8>, evenkeel_vault::Error> {
    if let Some((_, bytes)) = known.get(name).filter(|(known, _)| *known == length)
        && let Ok(source) = SealedSource::from_bytes(bytes)
        && feed.again(name, &source)?
    {
        return Ok(bytes.clone());
    }
    let path = segment_path(folder, segment);
    let file = File::open(&path).map_err(|error| evenkeel_vault::Error::Stream {
        what: format!("segment {}", path.display()),
        source: error,
    })?;
    feed.read(name, &mut file.take(length)).map(|sealed| sealed.to_bytes())
}

/// Names of sites that did not take it.
pub(super) fn missing(failed: &[(String, SiteError)]) -> Vec<String> {
    failed.iter().map(|(name, _)| name.clone()).collect()
}
