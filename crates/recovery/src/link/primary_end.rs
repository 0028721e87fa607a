//! The primary's end of a connection to one standby. It reads the journal below the durable
//! watermark by itself, so that no standby, however slow, holds up the primary.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_journal::{Base, Chain, Disk, JournalError, Reader, Watermark};
use evenkeel_types::Timestamp;
use thiserror::Error;

use super::message::{
    Beat, DigestAt, Diverged, HandOver, Held, Hello, LinkFrame, Range, Refusal, ToPrimary,
    ToStandby, Welcome,
};
use crate::detector::{Beats, Rhythm};
use crate::divergence::BatchSource;
use crate::error::Result;
use crate::framing::ProtocolVersion;

/// What the primary's end asks of the local journal.
pub trait Past {
    /// The unbroken history it is.
    fn lineage(&self) -> [u8; 16];

    /// First position that it still holds.
    fn base(&self) -> u64;

    /// First position that is not durable.
    fn durable_next(&self) -> u64;

    /// Chain before a position; `None` if no frame ends there, or the journal does not reach back.
    ///
    /// # Errors
    /// Damage, system errors.
    fn chain_at(&self, position: u64) -> Result<Option<Chain>>;

    /// Reads from a position on.
    ///
    /// # Errors
    /// A position that is not held, damage, system errors.
    fn read_from(&self, position: u64) -> Result<Box<dyn BatchSource + Send>>;
}

/// The journal that this process writes, read beside the writer.
#[derive(Debug, Clone)]
pub struct LocalPast {
    /// Where it is.
    pub disk: Arc<dyn Disk>,
    /// Its folder.
    pub dir: PathBuf,
    /// Whose history it is.
    pub lineage: [u8; 16],
    /// Where it began when it was opened.
    pub base: Base,
    /// The writer's.
    pub watermark: Watermark,
}

impl LocalPast {
    fn reader(&self, from: u64) -> Result<Reader, JournalError> {
        Reader::follow(Arc::clone(&self.disk), &self.dir, from, self.watermark.clone())
    }
}

impl Past for LocalPast {
    fn lineage(&self) -> [u8; 16] {
        self.lineage
    }

    fn base(&self) -> u64 {
        self.base.position
    }

    fn durable_next(&self) -> u64 {
        self.watermark.durable_next()
    }

    fn chain_at(&self, position: u64) -> Result<Option<Chain>> {
        let Some(before) = position.checked_sub(1).filter(|_| position > self.base.position) else {
            return Ok((position == self.base.position).then_some(self.base.chain));
        };
        let batch = match self.reader(before) {
            Err(JournalError::OutOfRange { .. }) => return Ok(None),
            reader => reader?.next_batch()?,
        };
        Ok(batch.filter(|batch| batch.next() == position).map(|batch| batch.chain))
    }

    fn read_from(&self, position: u64) -> Result<Box<dyn BatchSource + Send>> {
        Ok(Box::new(self.reader(position)?))
    }
}

/// Bounds of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkPlan {
    /// Bytes of entries that may be under way without the standby having confirmed them. One frame
    /// is sent in any case.
    pub window_bytes: u64,
    /// Bytes of entries given out at a time, so that beats keep their pace.
    pub burst_bytes: u64,
    /// When beats are sent.
    pub rhythm: Rhythm,
}

impl Default for LinkPlan {
    /// 16 MiB under way, 1 MiB at a time.
    fn default() -> Self {
        Self { window_bytes: 16 << 20, burst_bytes: 1 << 20, rhythm: Rhythm::default() }
    }
}

/// What a standby told, for the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It was accepted.
    Joined,
    /// It was refused; the connection ends once that is sent.
    Refused,
    /// It holds everything below a position.
    Holds(Held),
    /// What its engine said.
    Digest(DigestAt),
    /// The two differ.
    Diverged(Diverged),
}

/// A message that does not belong where it came; the connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the other side of the link sent {what}; the connection is closed, nothing else is lost")]
pub struct Unexpected {
    /// What was wrong with it.
    pub what: String,
}

/// How a standby stands, for status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name; empty before its first message.
    pub name: String,
    /// First position that it does not hold.
    pub holds_next: u64,
    /// First position that was not sent to it.
    pub sent_next: u64,
    /// Durable entries that it does not hold.
    pub lag_entries: u64,
    /// What it said about a divergence.
    pub diverged: Option<Diverged>,
}

/// A stream to an accepted standby.
struct Stream {
    source: Box<dyn BatchSource + Send>,
    name: String,
    sent_next: u64,
    holds_next: u64,
    /// Ends and sizes of the frames under way.
    under_way: VecDeque<(u64, u64)>,
    under_way_bytes: u64,
    fetch: Option<(Range, Box<dyn BatchSource + Send>)>,
    diverged: Option<Diverged>,
}

enum State {
    Waits,
    Streams(Box<Stream>),
    Refused,
}

/// See the module.
pub struct PrimaryEnd {
    past: Box<dyn Past + Send>,
    plan: LinkPlan,
    term: u64,
    beats: Beats,
    state: State,
    queue: VecDeque<ToStandby>,
    hand_over: Option<HandOver>,
    has_handed_over: bool,
    /// The primary comes round: a connection alone is no sign of life.
    is_alive: bool,
}

impl std::fmt::Debug for PrimaryEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrimaryEnd").field("standing", &self.standing()).finish_non_exhaustive()
    }
}

impl PrimaryEnd {
    /// A connection was accepted by a primary of this term.
    #[must_use]
    pub fn new(past: Box<dyn Past + Send>, plan: LinkPlan, term: u64, now_ns: u64) -> Self {
        let beats = Beats::start(plan.rhythm, now_ns);
        let (state, queue) = (State::Waits, VecDeque::new());
        Self {
            past,
            plan,
            term,
            beats,
            state,
            queue,
            hand_over: None,
            has_handed_over: false,
            is_alive: true,
        }
    }

    /// Takes a message.
    ///
    /// # Errors
    /// [`crate::RecoveryError::Link`] for a message out of place; damage of the journal.
    pub fn hear(&mut self, message: ToPrimary) -> Result<Option<Heard>> {
        let stream = match (&mut self.state, message) {
            (State::Waits, ToPrimary::Hello(hello)) => return self.admit(&hello).map(Some),
            (State::Waits | State::Refused, message) => {
                return Err(unexpected(format!("{} out of place", kind(&message))));
            }
            (State::Streams(_), ToPrimary::Hello(_)) => {
                return Err(unexpected("a second greeting".to_owned()));
            }
            (State::Streams(stream), message) => (stream, message),
        };
        let (stream, message) = stream;
        match message {
            ToPrimary::Holds(held) if held.position > stream.sent_next => {
                Err(unexpected(format!("position {}, which was never sent", held.position)))
            }
            ToPrimary::Holds(held) => {
                stream.holds(held.position);
                Ok(Some(Heard::Holds(held)))
            }
            ToPrimary::Digest(digest) => Ok(Some(Heard::Digest(digest))),
            ToPrimary::Diverged(diverged) => {
                stream.diverged = Some(diverged);
                Ok(Some(Heard::Diverged(diverged)))
            }
            ToPrimary::Fetch(range) => {
                let held = self.past.base()..self.past.durable_next();
                let from = range.from.clamp(held.start, held.end);
                let range = Range { from, to: range.to.clamp(from, held.end) };
                stream.fetch = Some((range, self.past.read_from(from)?));
                Ok(None)
            }
            ToPrimary::Hello(_) => Ok(None),
        }
    }

    fn admit(&mut self, hello: &Hello) -> Result<Heard> {
        if let Some(why) = self.refuses(hello)? {
            self.queue.push_back(ToStandby::Refused(Refusal { why: why.into() }));
            self.state = State::Refused;
            return Ok(Heard::Refused);
        }
        let (version, term) = (ProtocolVersion, self.term);
        let (base, next) = (self.past.base(), self.past.durable_next());
        self.queue.push_back(ToStandby::Welcome(Welcome { version, term, base, next }));
        self.state = State::Streams(Box::new(Stream {
            source: self.past.read_from(hello.position)?,
            name: hello.name.0.clone(),
            sent_next: hello.position,
            holds_next: hello.position,
            under_way: VecDeque::new(),
            under_way_bytes: 0,
            fetch: None,
            diverged: None,
        }));
        Ok(Heard::Joined)
    }

    /// Why a standby cannot be served.
    fn refuses(&self, hello: &Hello) -> Result<Option<String>> {
        let (base, next) = (self.past.base(), self.past.durable_next());
        let position = hello.position;
        Ok(if hello.lineage != self.past.lineage() {
            Some(
                "it follows another lineage than this primary writes: a restore that went live \
                 began a new one; start it with an empty home"
                    .to_owned(),
            )
        } else if position > next {
            Some(format!(
                "it holds entries up to position {position}, this primary only up to {next}: one \
                 of them has lost entries or has written alone; do not start either anew before \
                 both were compared: evenkeel verify"
            ))
        } else if position < base {
            Some(format!(
                "it needs entries from position {position} on, and this journal begins at {base}; \
                 start it from a newer snapshot"
            ))
        } else {
            match self.past.chain_at(position)? {
                Some(chain) if chain == hello.chain => None,
                Some(_) => Some(format!(
                    "it holds another history: the chains differ at position {position}; it must \
                     not be promoted. Compare both: evenkeel verify"
                )),
                None => Some(format!(
                    "no frame of this journal ends at position {position}, or it was trimmed; \
                     start it from a newer snapshot"
                )),
            }
        })
    }

    /// The primary's digest somewhere, for the standby.
    pub fn digest(&mut self, digest: DigestAt) {
        if matches!(self.state, State::Streams(_)) {
            self.queue.push_back(ToStandby::Digest(digest));
        }
    }

    /// The primary has ended in good order: once every frame was sent, so is this.
    pub fn hand_over(&mut self, over: HandOver) {
        self.hand_over = Some(over);
    }

    /// Whether the primary comes round. Without that no beats are sent, although the connection,
    /// which another thread may serve, still could: the standby is to see that it stands still.
    pub fn set_alive(&mut self, is_alive: bool) {
        self.is_alive = is_alive;
    }

    /// First position that was not sent; 0 before a standby was accepted.
    #[must_use]
    pub fn sent_next(&self) -> u64 {
        match &self.state {
            State::Streams(stream) => stream.sent_next,
            State::Waits | State::Refused => 0,
        }
    }

    /// What is to be sent now, in order. `time` is the primary's journal time. To be asked again
    /// when something became durable, when the standby was heard, and at
    /// [`PrimaryEnd::wakes_at_ns`]; at once as long as something comes.
    ///
    /// # Errors
    /// Damage of the journal.
    pub fn outputs(&mut self, now_ns: u64, time: Timestamp) -> Result<Vec<ToStandby>> {
        let mut out: Vec<ToStandby> = self.queue.drain(..).collect();
        let (State::Streams(stream), false) = (&mut self.state, self.has_handed_over) else {
            return Ok(out);
        };
        stream.send(&self.plan, &mut out)?;
        stream.send_fetched(self.plan.burst_bytes, &mut out)?;
        if self.beats.is_due(now_ns) && self.is_alive {
            let durable_next = self.past.durable_next();
            out.push(ToStandby::Beat(Beat { term: self.term, durable_next, time }));
        }
        if let Some(over) = self.hand_over
            && stream.sent_next >= over.position
        {
            out.push(ToStandby::HandOver(over));
            self.has_handed_over = true;
        }
        Ok(out)
    }

    /// When a beat is due.
    #[must_use]
    pub fn wakes_at_ns(&self) -> u64 {
        self.beats.next_ns()
    }

    /// Whether the connection has nothing more to say once [`PrimaryEnd::outputs`] was sent.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let has_ended = self.has_handed_over || matches!(self.state, State::Refused);
        has_ended && self.queue.is_empty()
    }

    /// How the standby stands; `None` before it was accepted.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        let State::Streams(stream) = &self.state else { return None };
        Some(Standing {
            name: stream.name.clone(),
            holds_next: stream.holds_next,
            sent_next: stream.sent_next,
            lag_entries: self.past.durable_next().saturating_sub(stream.holds_next),
            diverged: stream.diverged,
        })
    }
}

impl Stream {
    fn holds(&mut self, position: u64) {
        self.holds_next = self.holds_next.max(position);
        while let Some((_, bytes)) = self.under_way.pop_front_if(|(end, _)| *end <= position) {
            self.under_way_bytes -= bytes;
        }
    }

    fn send(&mut self, plan: &LinkPlan, out: &mut Vec<ToStandby>) -> Result<()> {
        let mut given = 0;
        while given < plan.burst_bytes && self.has_room(plan) {
            let Some(batch) = self.source.next_batch()? else { break };
            let frame = LinkFrame(batch);
            let bytes = frame.entry_bytes();
            self.sent_next = frame.0.next();
            self.under_way.push_back((self.sent_next, bytes));
            self.under_way_bytes += bytes;
            given += bytes;
            out.push(ToStandby::Frame(frame));
        }
        Ok(())
    }

    fn has_room(&self, plan: &LinkPlan) -> bool {
        self.under_way.is_empty() || self.under_way_bytes < plan.window_bytes
    }

    fn send_fetched(&mut self, burst_bytes: u64, out: &mut Vec<ToStandby>) -> Result<()> {
        let Some((range, source)) = &mut self.fetch else { return Ok(()) };
        let mut given = 0;
        let mut next = range.from;
        while given < burst_bytes && next < range.to {
            let Some(batch) = source.next_batch()? else { break };
            let frame = LinkFrame(batch);
            (next, given) = (frame.0.next(), given + frame.entry_bytes());
            out.push(ToStandby::Fetched(frame));
        }
        let is_stuck = next == range.from;
        range.from = next;
        if next >= range.to || is_stuck {
            out.push(ToStandby::FetchEnd(Range { from: next, to: range.to }));
            self.fetch = None;
        }
        Ok(())
    }
}

fn kind(message: &ToPrimary) -> &'static str {
    match message {
        ToPrimary::Hello(_) => "a greeting",
        ToPrimary::Holds(_) => "a confirmation",
        ToPrimary::Digest(_) => "a digest",
        ToPrimary::Diverged(_) => "a divergence",
        ToPrimary::Fetch(_) => "a request for entries",
    }
}

pub(super) fn unexpected(what: String) -> crate::RecoveryError {
    Unexpected { what }.into()
}
