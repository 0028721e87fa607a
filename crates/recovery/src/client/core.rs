//! The core of a client: what was submitted is sent until it is answered, unchanged and in order,
//! to whoever is primary.
//!
//! Exactly once rests on three rules kept here, and on the venue's window of remembered sequences:
//! a command keeps its origin for good; an answer is given out once; and of one session no command
//! is sent while [`WINDOW`] or more before it have no answer, so that every repetition is still
//! remembered by the venue.

use std::collections::{BTreeMap, VecDeque};

use evenkeel_types::{AccountId, ClientSequence, Event, Origin, SessionId};
use evenkeel_venue::WINDOW;
use thiserror::Error;

use super::message::{ToClient, ToVenue};
use crate::framing::ProtocolVersion;
use crate::primary::{Ack, Refused, Request};

/// How a client behaves. Times in nanoseconds of any clock that never goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What the venue's people see.
    pub name: String,
    /// Where primaries may be found; tried in turn.
    pub addresses: Vec<String>,
    /// Most commands kept; more are refused here.
    pub pending_max: usize,
    /// Wait after all addresses were tried in vain.
    pub retry_ns: u64,
    /// Without an answer for this long, the next address is tried.
    pub patience_ns: u64,
}

impl Plan {
    /// The usual bounds: 4,096 commands, 20 ms between rounds, 2 s of patience.
    #[must_use]
    pub fn new(name: &str, addresses: Vec<String>) -> Self {
        let (retry_ns, patience_ns) = (20_000_000, 2_000_000_000);
        Self { name: name.to_owned(), addresses, pending_max: 4_096, retry_ns, patience_ns }
    }
}

/// Why a command was not taken here. Nothing of it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotSubmitted {
    /// Too many without an answer.
    #[error("{pending} commands wait for answers already; submit again when some have come")]
    Full {
        /// How many wait.
        pending: usize,
    },
    /// A sequence that is not above the session's last.
    #[error(
        "sequence {sequence} was used in this session: the last one is {last}; take {last} + 1"
    )]
    NotAscending {
        /// The sequence.
        sequence: ClientSequence,
        /// Last one of the session.
        last: ClientSequence,
    },
}

/// What became of a command; given once for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is durable and applied.
    Acked(Ack),
    /// It is not in the journal.
    Refused(Refused),
}

impl Answer {
    /// Whether the venue recognised a repetition: the first attempt had been applied.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        matches!(self, Self::Acked(ack)
            if matches!(ack.events.last(), Some(Event::Repeated { .. })))
    }
}

/// What is to be done outside, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Close what is open, and connect; then [`Client::on_connected`] or [`Client::on_lost`].
    Connect {
        /// Where.
        address: String,
        /// Number of the connection, for what is heard on it.
        connection: u64,
    },
    /// Send this on the connection.
    Send(ToVenue),
    /// An answer for the application.
    Answered {
        /// Whose command.
        origin: Origin,
        /// Its answer.
        answer: Answer,
    },
}

#[derive(Debug)]
struct Pending {
    request: Request,
    /// How often it was sent.
    sent: u32,
    /// Connection on which it was sent last and its answer may come.
    on: Option<u64>,
    /// Not to be sent before.
    not_before_ns: u64,
    answer: Option<Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Nothing is open until then.
    Waiting { until_ns: u64 },
    /// Asked for, and not yet welcomed.
    Opening,
    /// The primary answers.
    Open,
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    plan: Plan,
    line: Line,
    connection: u64,
    /// Index of the address to try next.
    address: usize,
    /// Where a former or other primary said that the primary is.
    hint: Option<String>,
    /// Addresses tried since the last welcome.
    tried: usize,
    /// Last moment at which something was heard or begun.
    heard_ns: u64,
    term: u64,
    pending: VecDeque<Pending>,
    last: BTreeMap<(AccountId, SessionId), ClientSequence>,
    outputs: Vec<Output>,
    /// Since when something waits and nothing was acknowledged.
    silent_since_ns: Option<u64>,
    longest_silence_ns: u64,
}

impl Client {
    /// A client that connects as soon as it is asked what to do.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            line: Line::Waiting { until_ns: 0 },
            connection: 0,
            address: 0,
            hint: None,
            tried: 0,
            heard_ns: 0,
            term: 0,
            pending: VecDeque::new(),
            last: BTreeMap::new(),
            outputs: Vec::new(),
            silent_since_ns: None,
            longest_silence_ns: 0,
        }
    }

    /// Takes a command. It is sent as soon as there is a primary, and again until it is answered.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn submit(&mut self, now_ns: u64, request: Request) -> Result<(), NotSubmitted> {
        if self.pending.len() >= self.plan.pending_max {
            return Err(NotSubmitted::Full { pending: self.pending.len() });
        }
        let Origin { account, session, sequence } = request.origin;
        match self.last.get(&(account, session)) {
            Some(last) if *last >= sequence => {
                return Err(NotSubmitted::NotAscending { sequence, last: *last });
            }
            _ => self.last.insert((account, session), sequence),
        };
        if self.pending.is_empty() {
            self.silent_since_ns = Some(now_ns);
            // Quiet was no sign of a silent primary.
            self.heard_ns = self.heard_ns.max(now_ns);
        }
        self.pending.push_back(Pending {
            request,
            sent: 0,
            on: None,
            not_before_ns: 0,
            answer: None,
        });
        Ok(())
    }

    /// A connection that was asked for is open.
    pub fn on_connected(&mut self, now_ns: u64, connection: u64) {
        if connection == self.connection && self.line == Line::Opening {
            self.heard_ns = now_ns;
            let name = self.plan.name.as_str().into();
            let hello = ToVenue::Hello { version: ProtocolVersion, name };
            self.outputs.push(Output::Send(hello));
        }
    }

    /// A connection could not be opened, has ended or said something that is no message.
    pub fn on_lost(&mut self, now_ns: u64, connection: u64) {
        if connection == self.connection && !matches!(self.line, Line::Waiting { .. }) {
            self.leave(now_ns);
        }
    }

    /// Something was said on a connection. From an earlier one, only answers count.
    pub fn on_message(&mut self, now_ns: u64, connection: u64, message: ToClient) {
        let is_present =
            connection == self.connection && !matches!(self.line, Line::Waiting { .. });
        if is_present {
            self.heard_ns = now_ns;
        }
        match message {
            ToClient::Acked { origin, ack } => {
                self.answered(now_ns, origin, Answer::Acked(*ack));
            }
            ToClient::Refused { origin, refused } => self.refused(now_ns, origin, refused),
            ToClient::Welcome { term, .. } if is_present => {
                if term < self.term {
                    self.leave(now_ns);
                } else {
                    (self.term, self.line, self.tried) = (term, Line::Open, 0);
                }
            }
            ToClient::NotPrimary { term, primary_at } if is_present => {
                if term >= self.term && !primary_at.0.is_empty() {
                    (self.term, self.hint) = (term, Some(primary_at.0));
                }
                self.leave(now_ns);
            }
            ToClient::Welcome { .. } | ToClient::NotPrimary { .. } | ToClient::Market { .. } => {}
        }
    }

    /// Gives up the connection; what was sent on it and not answered will be sent again.
    fn leave(&mut self, now_ns: u64) {
        for pending in &mut self.pending {
            pending.on = None;
        }
        let round_is_over = self.tried >= self.plan.addresses.len();
        if round_is_over {
            self.tried = 0;
        }
        let pause_ns = if round_is_over { self.plan.retry_ns } else { 0 };
        self.line = Line::Waiting { until_ns: now_ns.saturating_add(pause_ns) };
    }

    fn refused(&mut self, now_ns: u64, origin: Origin, refused: Refused) {
        let retry_ns = self.plan.retry_ns;
        let Some(pending) = self.unanswered(origin) else { return };
        if pending.sent == 1 {
            return self.answered(now_ns, origin, Answer::Refused(refused));
        }
        // An earlier attempt may have been journaled, and its answer lost: only the venue knows.
        pending.on = None;
        pending.not_before_ns = now_ns.saturating_add(retry_ns);
    }

    fn unanswered(&mut self, origin: Origin) -> Option<&mut Pending> {
        self.pending
            .iter_mut()
            .find(|one| one.request.origin == origin && one.sent > 0 && one.answer.is_none())
    }

    fn answered(&mut self, now_ns: u64, origin: Origin, answer: Answer) {
        let Some(pending) = self.unanswered(origin) else { return };
        pending.answer = Some(answer);
        if let Some(since_ns) = self.silent_since_ns {
            let silence_ns = now_ns.saturating_sub(since_ns);
            self.longest_silence_ns = self.longest_silence_ns.max(silence_ns);
        }
        while let Some(mut first) = self.pending.pop_front_if(|first| first.answer.is_some()) {
            if let Some(answer) = first.answer.take() {
                let origin = first.request.origin;
                self.outputs.push(Output::Answered { origin, answer });
            }
        }
        self.silent_since_ns = (!self.pending.is_empty()).then_some(now_ns);
    }

    /// What is to be done now; to be called after everything above, and at
    /// [`Client::wakes_at_ns`].
    pub fn outputs(&mut self, now_ns: u64) -> Vec<Output> {
        if self.is_out_of_patience(now_ns) {
            self.leave(now_ns);
        }
        match self.line {
            Line::Waiting { until_ns } if until_ns <= now_ns => self.connect(now_ns),
            Line::Open => self.send(now_ns),
            _ => {}
        }
        std::mem::take(&mut self.outputs)
    }

    fn is_out_of_patience(&self, now_ns: u64) -> bool {
        let waits = match self.line {
            Line::Waiting { .. } => false,
            Line::Opening => true,
            Line::Open => self.pending.iter().any(|one| one.on.is_some() && one.answer.is_none()),
        };
        waits && now_ns.saturating_sub(self.heard_ns) >= self.plan.patience_ns
    }

    fn connect(&mut self, now_ns: u64) {
        let address = match self.hint.take() {
            Some(hint) => hint,
            None => {
                let count = self.plan.addresses.len();
                let Some(address) = self.plan.addresses.get(self.address % count.max(1)) else {
                    return;
                };
                self.address = (self.address + 1) % count;
                address.clone()
            }
        };
        self.connection += 1;
        self.tried += 1;
        (self.line, self.heard_ns) = (Line::Opening, now_ns);
        self.outputs.push(Output::Connect { address, connection: self.connection });
    }

    fn send(&mut self, now_ns: u64) {
        let mut before: BTreeMap<(AccountId, SessionId), usize> = BTreeMap::new();
        for pending in &mut self.pending {
            let Origin { account, session, .. } = pending.request.origin;
            let count = before.entry((account, session)).or_default();
            *count += 1;
            let is_idle = pending.on.is_none() && pending.answer.is_none();
            if is_idle && *count <= WINDOW && pending.not_before_ns <= now_ns {
                (pending.sent, pending.on) =
                    (pending.sent.saturating_add(1), Some(self.connection));
                let request = Box::new(pending.request.clone());
                self.outputs.push(Output::Send(ToVenue::Request { request }));
            }
        }
    }

    /// When [`Client::outputs`] has to be asked again, if nothing happens before.
    #[must_use]
    pub fn wakes_at_ns(&self) -> Option<u64> {
        let patience_ns = self.heard_ns.saturating_add(self.plan.patience_ns);
        match self.line {
            Line::Waiting { until_ns } => Some(until_ns),
            Line::Opening => Some(patience_ns),
            Line::Open => {
                let open = || self.pending.iter().filter(|one| one.answer.is_none());
                let waits = open().any(|one| one.on.is_some()).then_some(patience_ns);
                let held = open().filter(|one| one.on.is_none() && one.not_before_ns > 0);
                held.map(|one| one.not_before_ns).chain(waits).min()
            }
        }
    }

    /// Commands without a final answer.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Highest term heard of.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Whether a primary answers.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.line == Line::Open
    }

    /// Longest time so far, in nanoseconds, in which something waited for its answer and no answer
    /// came.
    #[must_use]
    pub fn longest_silence_ns(&self) -> u64 {
        self.longest_silence_ns
    }
}
