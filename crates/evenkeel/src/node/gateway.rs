//! The way in: clients hand over batches of requests and wait for their acknowledgements.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use evenkeel_recovery::{Ack, Refused, Request};
use evenkeel_types::{AccountId, ClientSequence, Command, Origin, SessionId};

/// Answers to a batch, in the order of its requests.
pub(crate) type Answers = Vec<Result<Ack, Refused>>;

/// Requests of one client, with where to answer.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) requests: Vec<Request>,
    pub(crate) received: Instant,
    pub(crate) reply: Sender<Answers>,
}

/// A client's end. Bounded: a primary that cannot follow makes clients wait, not memory grow.
#[derive(Debug, Clone)]
pub(crate) struct Gateway(SyncSender<Batch>);

/// Batches that may wait for the primary.
const WAITING_MAX: usize = 256;

impl Gateway {
    pub(crate) fn new() -> (Self, Intake) {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        (Self(sender), Intake(receiver))
    }

    /// Sends a batch and waits for its answers; `None` once the primary is gone.
    pub(crate) fn submit(&self, requests: Vec<Request>) -> Option<Answers> {
        let (reply, answers) = channel();
        self.0.send(Batch { requests, received: Instant::now(), reply }).ok()?;
        answers.recv().ok()
    }
}

/// What the primary took in one go.
#[derive(Debug)]
pub(crate) enum Taken {
    Batches(Vec<Batch>),
    Nothing,
    NoClients,
}

/// The primary's end.
#[derive(Debug)]
pub(crate) struct Intake(Receiver<Batch>);

impl Intake {
    /// Waits up to `idle` for a batch, then up to `gather` for others, as long as no more than
    /// `entries_max` requests are together (a single larger batch is taken alone).
    pub(crate) fn take(&self, idle: Duration, gather: Duration, entries_max: usize) -> Taken {
        let first = match self.0.recv_timeout(idle) {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => return Taken::Nothing,
            Err(RecvTimeoutError::Disconnected) => return Taken::NoClients,
        };
        let deadline = Instant::now() + gather;
        let mut count = first.requests.len();
        let mut batches = vec![first];
        while count < entries_max {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(batch) = self.0.recv_timeout(left) else {
                break;
            };
            count += batch.requests.len();
            batches.push(batch);
        }
        Taken::Batches(batches)
    }
}

/// How a client reaches the primary: within the process, or over a line.
pub(crate) trait Way: Send {
    /// Hands requests over and waits for their answers, in their order; `None` once this client is
    /// to end.
    fn submit(&mut self, requests: Vec<Request>) -> Option<Answers>;

    /// One more way to the same primary, for another thread.
    fn another(&self) -> Box<dyn Way>;
}

impl Way for Gateway {
    fn submit(&mut self, requests: Vec<Request>) -> Option<Answers> {
        Gateway::submit(self, requests)
    }

    fn another(&self) -> Box<dyn Way> {
        Box::new(self.clone())
    }
}

/// Numbers the operator's commands of one session, used nowhere else.
#[derive(Debug, Clone)]
pub(crate) struct Numbering {
    session: SessionId,
    sequence: Arc<AtomicU64>,
}

impl Numbering {
    pub(crate) fn new(session: SessionId) -> Self {
        Self { session, sequence: Arc::default() }
    }

    /// The next request, with the operator's next sequence.
    pub(crate) fn request(&self, command: Command) -> Request {
        let sequence = ClientSequence(self.sequence.fetch_add(1, Ordering::Relaxed) + 1);
        let account = AccountId::OPERATOR;
        Request { origin: Origin { account, session: self.session, sequence }, command }
    }
}

/// Sends the operator's commands, each with the next sequence of its session.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    gateway: Gateway,
    numbering: Numbering,
}

impl Operator {
    /// A session used nowhere else in this term.
    pub(crate) fn new(gateway: Gateway, session: SessionId) -> Self {
        Self { gateway, numbering: Numbering::new(session) }
    }

    /// Sends a command; says whether it was acknowledged.
    pub(crate) fn send(&self, command: Command) -> bool {
        let answers = self.gateway.submit(vec![self.numbering.request(command)]);
        answers.is_some_and(|answers| answers.iter().all(Result::is_ok))
    }
}
