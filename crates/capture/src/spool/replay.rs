//! From records back to a database file.

use evenkeel_journal::{Access, Disk, DiskFile};

use crate::error::{Error, Result, io_error};
use crate::spool::history::{History, Run, segment_path};
use crate::spool::image::Image;
use crate::spool::record::{Batch, Body, Commit, Item};

/// Applies a run's records to an empty image, up to and with commit number `until`.
///
/// # Errors
/// [`Error::Damaged`], [`Error::NotRestored`] if the pages are not those that were captured, and
/// whatever the system says.
pub fn replay(
    disk: &dyn Disk,
    history: &History,
    run: &Run,
    until: u64,
    image: &mut Image,
) -> Result<Commit> {
    let mut open: Option<(u64, Box<dyn DiskFile>)> = None;
    let mut last = None;
    for at in &history.records[run.records.clone()] {
        let path = segment_path(&history.folder, at.segment);
        let file = match open.take() {
            Some((segment, file)) if segment == at.segment => file,
            _ => disk.open(&path, Access::Read).map_err(io_error("open", &path))?,
        };
        let body = history.read_from(file.as_ref(), at)?;
        open = Some((at.segment, file));
        if let Body::Batch(batch) = body {
            let damaged = || Error::Damaged { path: path.clone(), record: at.record };
            let raw = batch.decompress().map_err(|_| damaged())?;
            last = apply(&batch, raw, until, image)?.or(last);
        }
        if last.is_some_and(|commit: Commit| commit.number >= until) {
            break;
        }
    }
    let found = last.filter(|commit| commit.number == until);
    found.ok_or_else(|| Error::NoSuchPoint {
        path: history.folder.clone(),
        what: format!("commit {until}"),
        held: format!("epoch {} holds {} to {}", run.epoch, run.first.number, run.last.number),
    })
}

/// Applies a batch up to commit `until`; gives the last commit applied.
fn apply(batch: &Batch, mut raw: Vec<u8>, until: u64, image: &mut Image) -> Result<Option<Commit>> {
    let target = image.path().to_path_buf();
    let failed = io_error("write", &target);
    let page_bytes = image.page_bytes() as usize;
    let mut pages = raw.chunks_exact_mut(page_bytes);
    let mut last = None;
    let short = || Error::NotRestored {
        path: target.clone(),
        detail: "a batch holds fewer pages than it names".to_owned(),
    };
    for item in &batch.items {
        match item {
            Item::Whole(page) => {
                image.exchange(*page, pages.next().ok_or_else(short)?).map_err(&failed)?;
            }
            Item::Difference(page) => {
                let data = pages.next().ok_or_else(short)?;
                image.apply_difference(*page, data).map_err(&failed)?;
            }
            Item::Commit(commit) => {
                image.set_pages(commit.pages).map_err(&failed)?;
                if image.digest().to_bytes() != commit.digest {
                    return Err(Error::NotRestored {
                        path: target.clone(),
                        detail: format!("its pages are not those of commit {}", commit.number),
                    });
                }
                last = Some(*commit);
                if commit.number >= until {
                    break;
                }
            }
        }
    }
    Ok(last)
}
