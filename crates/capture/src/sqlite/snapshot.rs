//! All pages of a database at one commit, while others go on writing.
//!
//! The caller holds the read lock since before `index` was read. If the log was wholly copied into
//! the database file then, nobody changes the file while the lock is held, and it is read alone.
//! Otherwise the lock keeps the log from starting over: pages in it are read from it, whatever is
//! copied meanwhile, and the others do not change in the file.

use std::collections::HashMap;

use crate::error::Result;
use crate::spool::{Body, Commit, Spool};
use crate::sqlite::follow::{Look, each_frame};
use crate::sqlite::recorder::{Recorder, Seen};
use crate::sqlite::source::Source;
use crate::sqlite::wal::{
    FRAME_HEADER_BYTES, Place, WalChain, WalHeader, WalProblem, frame_offset,
};
use crate::sqlite::wal_index::WalIndex;

/// Bytes of the database read at once.
const READ_BYTES: usize = 1 << 20;

/// Begins epoch `epoch` with all pages.
///
/// # Errors
/// [`crate::Error::Log`], and whatever the spool and the system say.
pub fn snapshot(
    source: &Source,
    index: &WalIndex,
    (epoch, last): (u64, Option<&Commit>),
    recorder: &mut Recorder,
    spool: &mut Spool,
    look: Look,
) -> Result<Commit> {
    let newest = if index.is_backfilled() { HashMap::new() } else { newest(source, index)? };
    let page_bytes = source.page_bytes();
    let pages = if index.pages > 0 { index.pages } else { source.file_pages()? };
    spool.append(&Body::Epoch { epoch, page_bytes })?;
    let mut data = vec![0; READ_BYTES.max(page_bytes as usize)];
    let mut page = 1;
    while page <= pages {
        source.read_pages(&mut data, page)?;
        for data in data.chunks_exact_mut(page_bytes as usize) {
            if page > pages {
                break;
            }
            if let Some(frame) = newest.get(&page) {
                let offset = frame_offset(page_bytes, *frame) + FRAME_HEADER_BYTES as u64;
                source.read_log(data, offset)?;
            }
            // What is not mentioned is zeros.
            if data.iter().any(|byte| *byte != 0) {
                recorder.page(spool, page, data)?;
            }
            page += 1;
        }
    }
    let place = Place { salts: index.salts, frame: index.frames, sum: index.sum };
    let Look { time_ns, after_ns } = look;
    let commit = recorder.commit(last, Seen { time_ns, after_ns, pages, place })?;
    recorder.flush(spool)?;
    Ok(commit)
}

/// The newest committed frame of each page in the log.
fn newest(source: &Source, index: &WalIndex) -> Result<HashMap<u32, u32>> {
    let damaged = |frame| source.log_error(WalProblem::Salt(frame));
    let header: WalHeader = source
        .log_header()?
        .filter(|header| header.salts == index.salts)
        .ok_or_else(|| damaged(index.frames))?;
    let mut newest = HashMap::new();
    let begin = WalChain::begin(header).place();
    let behind = each_frame(source, header, begin, index.frames, |frame, place| {
        newest.insert(frame.page, place.frame);
        Ok(())
    })?;
    if behind.sum == index.sum {
        Ok(newest)
    } else {
        Err(source.log_error(WalProblem::FrameChecksum(index.frames)))
    }
}
