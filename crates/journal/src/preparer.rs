//! Zero-fills the next segment ahead of need, so that no acknowledgement waits for it.

use crate::disk::{Disk, DiskFile};
use crate::segment::{self, Pace};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

type Prepared = io::Result<Box<dyn DiskFile>>;

#[derive(Debug)]
pub(crate) struct Preparer {
    work: Work,
    worker: Option<Worker>,
}

#[derive(Debug, Clone)]
struct Work {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    length_bytes: u64,
    pace: Arc<Pace>,
}

impl Work {
    fn prepare(&self) -> Prepared {
        let (disk, path) = (self.disk.as_ref(), self.path.as_path());
        if let Some(file) = segment::reopen_zeroed(disk, path, self.length_bytes)? {
            return Ok(file);
        }
        segment::create_zeroed(disk, path, self.length_bytes, &self.pace)
    }
}

#[derive(Debug)]
struct Worker {
    jobs: Sender<()>,
    done: Receiver<Prepared>,
    handle: JoinHandle<()>,
    /// A job was given whose result was not yet taken.
    outstanding: bool,
}

impl Preparer {
    /// Prepares `spare.seg` in `dir`; in a thread of its own unless `inline`.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        length_bytes: u64,
        inline: bool,
    ) -> io::Result<Self> {
        let pace = Arc::new(Pace::default());
        let work = Work { disk, path: dir.join(segment::SPARE), length_bytes, pace };
        let worker = if inline { None } else { Some(Worker::start(work.clone())?) };
        Ok(Self { work, worker })
    }

    /// Asks for a spare; returns at once.
    pub(crate) fn request(&mut self) {
        if let Some(worker) = &mut self.worker
            && !worker.outstanding
        {
            self.work.pace.take_time(true);
            worker.outstanding = worker.jobs.send(()).is_ok();
        }
    }

    /// The spare, waiting for it if need be. Its file is still named `spare.seg`.
    pub(crate) fn take(&mut self) -> Prepared {
        self.request();
        let Some(worker) = &mut self.worker else {
            return self.work.prepare();
        };
        worker.outstanding = false;
        // Now an append waits for it.
        self.work.pace.take_time(false);
        match worker.done.recv() {
            Ok(prepared) => prepared,
            // The thread is gone; what it did can be done here.
            Err(_) => self.work.prepare(),
        }
    }
}

impl Worker {
    fn start(work: Work) -> io::Result<Self> {
        let (jobs, todo) = channel();
        let (results, done) = channel();
        let handle =
            thread::Builder::new().name("journal-preparer".to_owned()).spawn(move || {
                for () in todo {
                    if results.send(work.prepare()).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { jobs, done, handle, outstanding: false })
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.work.pace.stop();
        if let Some(Worker { jobs, done, handle, .. }) = self.worker.take() {
            drop((jobs, done));
            // Joined, so that nothing writes here once the lock is given up.
            let _ = handle.join();
        }
    }
}
