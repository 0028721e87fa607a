//! Zero-fills the next segment ahead of need, so that no acknowledgement waits for it: a little
//! after each append, since a disk that is given a whole segment of zeros at once keeps the syncs
//! of appends waiting.

use crate::disk::{Disk, DiskFile};
use crate::segment::{self, SPARE, SPARE_NEW, Zeroing};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

type Prepared = io::Result<Box<dyn DiskFile>>;

/// The spare is asked for in steps of at least so many bytes.
const STEP_BYTES: u64 = 1 << 18;

#[derive(Debug)]
pub(crate) struct Preparer {
    work: Work,
    worker: Option<Worker>,
}

#[derive(Debug, Clone)]
struct Work {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    length_bytes: u64,
    /// The work ends early.
    stop: Arc<AtomicBool>,
}

/// How far the spare is.
#[derive(Debug, Default)]
enum Spare {
    #[default]
    None,
    Filling(Zeroing),
    Ready(Box<dyn DiskFile>),
    Failed(io::Error),
}

impl Work {
    /// Brings a spare on, so that at least its first `end` bytes are zero.
    fn bring_on(&self, spare: Spare, end: u64) -> Spare {
        let (disk, path) = (self.disk.as_ref(), self.dir.join(SPARE));
        let brought = match spare {
            Spare::None => match segment::reopen_zeroed(disk, &path, self.length_bytes) {
                Ok(Some(file)) => Ok(Spare::Ready(file)),
                Ok(None) => self.begin().and_then(|zeroing| self.fill(zeroing, end)),
                Err(error) => Err(error),
            },
            Spare::Filling(zeroing) => self.fill(zeroing, end),
            Spare::Ready(_) | Spare::Failed(_) => Ok(spare),
        };
        brought.unwrap_or_else(Spare::Failed)
    }

    fn begin(&self) -> io::Result<Zeroing> {
        let (disk, new) = (self.disk.as_ref(), self.dir.join(SPARE_NEW));
        match Zeroing::reuse(disk, &self.dir, &new, self.length_bytes) {
            Ok(Some(zeroing)) => Ok(zeroing),
            // What cannot be used again is made anew.
            Ok(None) | Err(_) => Zeroing::begin(disk, &new, self.length_bytes),
        }
    }

    fn fill(&self, mut zeroing: Zeroing, end: u64) -> io::Result<Spare> {
        let (disk, new) = (self.disk.as_ref(), self.dir.join(SPARE_NEW));
        let filled = zeroing.fill_to(end, &self.stop).and_then(|()| {
            // Only what is whole has the name of a spare: holes would make its syncs slow.
            if zeroing.is_done() { disk.rename(&new, &self.dir.join(SPARE)) } else { Ok(()) }
        });
        if let Err(error) = filled {
            // Space may be what is short: what was taken is given back. This error is the one to
            // tell.
            let _ = disk.remove(&new);
            return Err(error);
        }
        Ok(if zeroing.is_done() { Spare::Ready(zeroing.file) } else { Spare::Filling(zeroing) })
    }

    fn finish(&self, spare: Spare) -> Prepared {
        match self.bring_on(spare, self.length_bytes) {
            Spare::Ready(file) => Ok(file),
            Spare::Failed(error) => Err(error),
            // Neither is what a spare that was brought on to its end can be.
            Spare::None | Spare::Filling(_) => Err(io::ErrorKind::Other.into()),
        }
    }
}

enum Job {
    /// So many of its bytes should be zero by now.
    FillTo(u64),
    /// It is needed.
    Finish,
}

#[derive(Debug)]
struct Worker {
    jobs: Sender<Job>,
    done: Receiver<Prepared>,
    handle: JoinHandle<()>,
    /// How far the spare was asked to be, in bytes.
    asked: u64,
}

impl Preparer {
    /// Prepares `spare.seg` in `dir`; in a thread of its own unless `inline`.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        length_bytes: u64,
        inline: bool,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let work = Work { disk, dir: dir.to_owned(), length_bytes, stop };
        let worker = if inline { None } else { Some(Worker::start(work.clone())?) };
        Ok(Self { work, worker })
    }

    /// Has the spare brought on with the use of the active segment, a third faster than that is
    /// filled; returns at once.
    pub(crate) fn keep_pace(&mut self, used_bytes: u64, of_bytes: u64) {
        let Some(worker) = &mut self.worker else { return };
        let length = u128::from(self.work.length_bytes);
        let share = length * u128::from(used_bytes) * 4 / (u128::from(of_bytes.max(1)) * 3);
        let wanted = u64::try_from(share.min(length)).unwrap_or(self.work.length_bytes);
        if wanted >= worker.asked + STEP_BYTES || wanted > worker.asked && share >= length {
            worker.asked = wanted;
            // Without the thread the spare is made when it is needed.
            let _ = worker.jobs.send(Job::FillTo(wanted));
        }
    }

    /// The spare, waiting for it if need be. Its file is still named `spare.seg`.
    pub(crate) fn take(&mut self) -> Prepared {
        let Some(worker) = &mut self.worker else {
            return self.work.finish(Spare::None);
        };
        worker.asked = 0;
        // A thread that is gone says so when it is listened to.
        let _ = worker.jobs.send(Job::Finish);
        match worker.done.recv() {
            Ok(prepared) => prepared,
            // What it did can be done here.
            Err(_) => self.work.finish(Spare::None),
        }
    }
}

impl Worker {
    fn start(work: Work) -> io::Result<Self> {
        let (jobs, todo) = channel();
        let (results, done) = channel();
        let handle =
            thread::Builder::new().name("journal-preparer".to_owned()).spawn(move || {
                let mut spare = Spare::None;
                for job in todo {
                    match job {
                        Job::FillTo(end) => {
                            spare = work.bring_on(std::mem::take(&mut spare), end);
                        }
                        Job::Finish => {
                            let finished = work.finish(std::mem::take(&mut spare));
                            if results.send(finished).is_err() {
                                return;
                            }
                        }
                    }
                }
            })?;
        Ok(Self { jobs, done, handle, asked: 0 })
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.work.stop.store(true, Ordering::Relaxed);
        if let Some(Worker { jobs, done, handle, .. }) = self.worker.take() {
            drop((jobs, done));
            // Joined, so that nothing writes here once the lock is given up.
            let _ = handle.join();
        }
    }
}
