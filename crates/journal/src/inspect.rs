//! What lies in a journal folder, segment by segment, for people who look into it.

use crate::disk::{Access, Disk};
use crate::error::{JournalError, Problem, Result};
use crate::log::held_segments;
use crate::meta::Meta;
use crate::scan::{Cursor, Step};
use crate::{Base, Identity, Position};
use std::path::Path;

/// A journal folder as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Whose journal it is.
    pub identity: Identity,
    /// Where it begins.
    pub base: Base,
    /// Its segments, in order.
    pub segments: Vec<SegmentSummary>,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSummary {
    /// File name inside the journal folder.
    pub file: String,
    /// First position.
    pub first: Position,
    /// First position behind the last intact frame.
    pub next: Position,
    /// Term of the last intact frame.
    pub term: u64,
    /// Number of intact frames with entries.
    pub frames: u64,
    /// Number of seals.
    pub seals: u64,
    /// Bytes up to the end of the last intact frame, header included.
    pub used_bytes: u64,
    /// Bytes of the file.
    pub length_bytes: u64,
    /// Written from the reserve, while the disk was full.
    pub reserve: bool,
    /// What ended the walk other than unused space; [`crate::verify`] judges it.
    pub stopped_by: Option<String>,
}

/// Looks into the journal in `dir`: no lock, no judgement, nothing written.
///
/// # Errors
/// [`JournalError::NotAJournal`], an unreadable `meta`, system errors. A segment whose header is
/// damaged is listed with `stopped_by`.
pub fn inspect(disk: &dyn Disk, dir: &Path) -> Result<Inspection> {
    let (meta, _) = Meta::read(disk, dir)?;
    let mut segments = Vec::new();
    for first in held_segments(disk, dir, &meta)? {
        match Cursor::open(disk, dir, first, &meta.identity, Access::Read) {
            Ok((cursor, _)) => segments.push(summary(cursor)?),
            Err(JournalError::Corrupt { problem, .. }) => segments.push(unreadable(*problem)),
            Err(error) => return Err(error),
        }
    }
    Ok(Inspection { identity: meta.identity, base: meta.base, segments })
}

fn summary(mut cursor: Cursor) -> Result<SegmentSummary> {
    let (mut frames, mut seals) = (0, 0);
    let stopped_by = loop {
        match cursor.step()? {
            Step::Frame(frame) if frame.header.seal => seals += 1,
            Step::Frame(_) => frames += 1,
            Step::End => break None,
            Step::Bad(damage) => break Some(damage.detail),
        }
    };
    Ok(SegmentSummary {
        file: cursor.name,
        first: cursor.header.first,
        next: cursor.expect.position,
        term: cursor.expect.term,
        frames,
        seals,
        used_bytes: cursor.offset,
        length_bytes: cursor.header.length_bytes,
        reserve: cursor.header.reserve,
        stopped_by,
    })
}

fn unreadable(problem: Problem) -> SegmentSummary {
    let first = problem.positions.start;
    SegmentSummary {
        file: problem.file,
        first,
        next: first,
        term: 0,
        frames: 0,
        seals: 0,
        used_bytes: 0,
        length_bytes: 0,
        reserve: false,
        stopped_by: Some(problem.detail),
    }
}
