//! From the log's frames to the recorder: in order, checked, and only what is committed.

use crate::error::Result;
use crate::spool::{Commit, Spool};
use crate::sqlite::recorder::{Recorder, Seen};
use crate::sqlite::source::Source;
use crate::sqlite::wal::{Frame, Place, WalChain, WalHeader, WalProblem, frame_end};
use crate::sqlite::wal_index::WalIndex;

/// Bytes of the log read at once.
const READ_BYTES: usize = 1 << 20;

/// When it was looked, and when before.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Now.
    pub time_ns: u64,
    /// The time before.
    pub after_ns: u64,
}

/// Gives frames `from.frame + 1` to `to_frame`, checked, to `take`; returns the place behind them.
///
/// # Errors
/// [`crate::Error::Log`] if a frame does not continue the chain; whatever `take` and the system
/// say.
pub fn each_frame(
    source: &Source,
    header: WalHeader,
    from: Place,
    to_frame: u32,
    mut take: impl FnMut(Frame<'_>, Place) -> Result<()>,
) -> Result<Place> {
    let mut chain = WalChain::resume(header, from).map_err(|bad| source.log_error(bad))?;
    let frame_bytes = header.frame_bytes();
    let frames_at_once = (READ_BYTES / frame_bytes).max(1);
    let mut bytes = Vec::new();
    while chain.place().frame < to_frame {
        let next = chain.place().frame + 1;
        let frames = frames_at_once.min((to_frame - next + 1) as usize);
        bytes.resize(frames * frame_bytes, 0);
        source.read_log(&mut bytes, header.frame_offset(next))?;
        for frame in bytes.chunks_exact(frame_bytes) {
            let frame = chain.accept(frame).map_err(|bad| source.log_error(bad))?;
            take(frame, chain.place())?;
        }
    }
    Ok(chain.place())
}

/// Where capture goes on after a time in which it was down; none if the log cannot show that
/// nothing is missing since `place`.
///
/// # Errors
/// What the system says.
pub fn continued(source: &Source, index: &WalIndex, place: Place) -> Result<Option<Place>> {
    if continues(source, index, place)? {
        return Ok(Some(place));
    }
    let started_over = started_over_behind(source, index, place)?;
    Ok(started_over.then_some(Place { salts: index.salts, ..Place::default() }))
}

/// Whether the log started over once, and nothing was appended behind `place` before. A new round
/// overwrites the old one from the beginning, so as long as it is shorter, the end of the old one
/// is still there to be looked at.
fn started_over_behind(source: &Source, index: &WalIndex, place: Place) -> Result<bool> {
    let header = match source.log_header() {
        Ok(header) => header.filter(|header| header.salts == index.salts),
        Err(crate::Error::Log { .. }) => None,
        Err(error) => return Err(error),
    };
    // Each round's first salt is one more than that of the round before.
    let next_salt = place.salts[0].wrapping_add(1);
    let Some(header) = header.filter(|header| header.salts[0] == next_salt) else {
        return Ok(false);
    };
    if place.frame == 0 || index.frames >= place.frame {
        return Ok(false);
    }
    let mut last = vec![0; header.frame_bytes()];
    source.read_log(&mut last, header.frame_offset(place.frame))?;
    let end = WalChain::resume(WalHeader { salts: place.salts, ..header }, place);
    let Some(mut chain) = end.ok().filter(|_| frame_end(&last) == (place.salts, place.sum)) else {
        return Ok(false);
    };
    let mut next = vec![0; header.frame_bytes()];
    source.read_log(&mut next, header.frame_offset(place.frame + 1))?;
    Ok(chain.accept(&next).is_err())
}

/// Whether the log still holds, unchanged, what was captured from it up to `place`.
fn continues(source: &Source, index: &WalIndex, place: Place) -> Result<bool> {
    // Salts of zero are those of a log that was never written: every such log looks the same.
    if place.salts == [0, 0] || index.salts != place.salts || index.frames < place.frame {
        return Ok(false);
    }
    if place.frame == 0 {
        return Ok(true);
    }
    let Some(header) = source.log_header()?.filter(|header| header.salts == place.salts) else {
        return Ok(false);
    };
    let begin = WalChain::begin(header).place();
    match each_frame(source, header, begin, place.frame, |_, _| Ok(())) {
        Ok(there) => Ok(there == place),
        Err(crate::Error::Log { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Captures frames behind `from` up to the last committed one; returns the last commit, and the
/// place behind it.
///
/// # Errors
/// [`crate::Error::Log`], and whatever the spool and the system say; then the recorder is of no
/// use any more.
pub fn capture_frames(
    source: &Source,
    index: &WalIndex,
    from: Place,
    last: Option<Commit>,
    recorder: &mut Recorder,
    spool: &mut Spool,
    look: Look,
) -> Result<(Option<Commit>, Place)> {
    let Some(header) = source.log_header()?.filter(|header| header.salts == index.salts) else {
        return Err(source.log_error(WalProblem::Salt(from.frame.saturating_add(1))));
    };
    let mut last = last;
    let Look { time_ns, after_ns } = look;
    let behind = each_frame(source, header, from, index.frames, |frame, place| {
        recorder.page(spool, frame.page, frame.data)?;
        if let Some(pages) = frame.commit_pages {
            let seen = Seen { time_ns, after_ns, pages, place };
            last = Some(recorder.commit(last.as_ref(), seen)?);
        }
        Ok(())
    })?;
    // The wal-index knows the checksum of the last committed frame, and that it is a commit.
    if behind.sum != index.sum || last.is_none_or(|commit| commit.place != behind) {
        return Err(source.log_error(WalProblem::FrameChecksum(index.frames)));
    }
    recorder.flush(spool)?;
    Ok((last, behind))
}
