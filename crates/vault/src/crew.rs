//! Compression on several threads; what comes out keeps the order in which it went in.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;

use crate::effort::Effort;
use crate::error::{Error, Result};
use crate::pack::compress;
use crate::seal::Compressor;

/// Plaintext handed over at once: much work against the price of handing it over.
const BATCH_BYTES: usize = 1024 * 1024;

/// A chunk to be sealed.
pub(crate) struct Raw {
    pub(crate) id: [u8; 32],
    pub(crate) plain: Vec<u8>,
}

/// A chunk ready for a pack.
pub(crate) struct Compressed {
    pub(crate) id: [u8; 32],
    pub(crate) bytes: Vec<u8>,
    pub(crate) plain_bytes: usize,
}

type Done = Result<Vec<Compressed>>;

struct Job {
    batch: Vec<Raw>,
    done: SyncSender<Done>,
}

/// Threads that compress, or the caller's own.
pub(crate) struct Crew<'e> {
    /// `None`: the caller does it.
    jobs: Option<SyncSender<Job>>,
    own: Compressor,
    effort: &'e Effort,
    batch: Vec<Raw>,
    batch_bytes: usize,
    /// Oldest first.
    under_way: VecDeque<Receiver<Done>>,
    under_way_max: usize,
}

/// Where the workers of a crew find what to do.
pub(crate) struct Queue<'e> {
    jobs: Mutex<Receiver<Job>>,
    effort: &'e Effort,
}

impl<'e> Crew<'e> {
    /// A crew of `workers` threads that compress with this effort, and the queue to start them
    /// with; with none, and no queue, the caller compresses.
    pub(crate) fn new(workers: usize, effort: &'e Effort) -> Result<(Self, Option<Queue<'e>>)> {
        let (jobs, queue) = match workers {
            0 => (None, None),
            _ => {
                let (sender, receiver) = sync_channel(workers);
                (Some(sender), Some(Queue { jobs: Mutex::new(receiver), effort }))
            }
        };
        let crew = Self {
            jobs,
            own: Compressor::new(effort.level())?,
            effort,
            batch: Vec::new(),
            batch_bytes: 0,
            under_way: VecDeque::new(),
            under_way_max: workers * 2,
        };
        Ok((crew, queue))
    }

    /// Takes a chunk.
    pub(crate) fn add(&mut self, id: [u8; 32], plain: &[u8]) -> Result<()> {
        self.batch_bytes += plain.len();
        self.batch.push(Raw { id, plain: plain.to_vec() });
        if self.batch_bytes < BATCH_BYTES { Ok(()) } else { self.hand_over() }
    }

    /// Says that nothing more comes.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.under_way_max = 0;
        self.hand_over()
    }

    fn hand_over(&mut self) -> Result<()> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        let (done, receiver) = sync_channel(1);
        match &self.jobs {
            Some(jobs) => jobs.send(Job { batch, done }).map_err(|_| gone())?,
            None => {
                let _ = done.send(all(&mut self.own, self.effort, batch));
            }
        }
        self.under_way.push_back(receiver);
        Ok(())
    }

    /// The oldest batch, if enough others are under way to keep everybody busy.
    pub(crate) fn take(&mut self) -> Result<Option<Vec<Compressed>>> {
        if self.under_way.len() <= self.under_way_max {
            return Ok(None);
        }
        let Some(oldest) = self.under_way.pop_front() else {
            return Ok(None);
        };
        oldest.recv().map_err(|_| gone())?.map(Some)
    }
}

impl<'e> Queue<'e> {
    /// Starts the workers; they end when the crew is dropped.
    pub(crate) fn start<'scope>(self, workers: usize, scope: &'scope Scope<'scope, '_>)
    where
        'e: 'scope,
    {
        let queue = std::sync::Arc::new(self);
        for _ in 0..workers {
            let queue = std::sync::Arc::clone(&queue);
            scope.spawn(move || queue.work());
        }
    }

    fn work(&self) {
        let Ok(mut compressor) = Compressor::new(self.effort.level()) else {
            // Nobody left to receive is what the crew reports.
            return;
        };
        loop {
            let next = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Job { batch, done }) = next else {
                return;
            };
            // A crew that was dropped after a failure does not wait for this.
            let _ = done.send(all(&mut compressor, self.effort, batch));
        }
    }
}

fn all(compressor: &mut Compressor, effort: &Effort, batch: Vec<Raw>) -> Done {
    compressor.set_level(effort.level())?;
    let one = |raw: Raw| {
        let bytes = compress(compressor, &raw.plain)?;
        Ok(Compressed { id: raw.id, bytes, plain_bytes: raw.plain.len() })
    };
    batch.into_iter().map(one).collect()
}

fn gone() -> Error {
    Error::EncodeCheck { stage: "compression", detail: "its threads stopped".to_owned() }
}
