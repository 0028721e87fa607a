//! The standby's end of the connection to its primary.

use evenkeel_journal::Batch;

use super::message::{
    Diverged, HandOver, Held, Hello, LinkFrame, Range, ToPrimary, ToStandby, Welcome,
};
use super::primary_end::unexpected;
use crate::detector::{Detector, Rhythm, Suspicion};
use crate::error::{RecoveryError, Result};
use crate::framing::ProtocolVersion;
use crate::report::Text;
use crate::standby::Standby;

/// What happened that the standby's process has to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The primary accepted it.
    Welcome(Welcome),
    /// The outputs differ: [`Standby::arbitrate`], then [`StandbyEnd::diverged`].
    Diverged,
    /// The primary has ended in good order, and everything of it is here.
    HandOver(HandOver),
    /// The primary cannot serve it, and says why.
    Refused(Text),
    /// A frame that was asked for.
    Fetched(Batch),
    /// The rest of what was asked for is not held there, or there is none.
    FetchEnd(Range),
}

/// See the module.
#[derive(Debug)]
pub struct StandbyEnd {
    detector: Detector,
    /// Highest term heard of, on any connection.
    term: u64,
    welcomed: bool,
    has_told_divergence: bool,
    next: u64,
    held: Option<Held>,
    queue: Vec<ToPrimary>,
}

impl StandbyEnd {
    /// A connection was opened. `term` is the highest term heard of before: a primary of an older
    /// one is not followed.
    #[must_use]
    pub fn new(
        standby: &Standby,
        lineage: [u8; 16],
        name: &str,
        term: u64,
        rhythm: Rhythm,
        now_ns: u64,
    ) -> Self {
        let (position, chain) = (standby.position(), standby.chain());
        let (version, name) = (ProtocolVersion, name.into());
        let hello = Hello { version, lineage, position, chain, name };
        Self {
            detector: Detector::start(rhythm, now_ns),
            term: term.max(standby.term()),
            welcomed: false,
            has_told_divergence: false,
            next: position,
            held: None,
            queue: vec![ToPrimary::Hello(hello)],
        }
    }

    /// Takes a message into the standby. A frame is shown to `mirror` before it is applied: what
    /// the primary is told to be held lies in the local journal by then, if the standby keeps one.
    ///
    /// # Errors
    /// [`RecoveryError::Link`]: a message out of place, a primary of an older term. What `mirror`
    /// and [`Standby::apply`] refuse. The connection is to be closed.
    pub fn hear(
        &mut self,
        now_ns: u64,
        message: ToStandby,
        standby: &mut Standby,
        mirror: &mut dyn FnMut(&Batch) -> Result<()>,
    ) -> Result<Option<Notice>> {
        self.detector.heard(now_ns);
        let was_diverged = standby.divergence().is_some();
        let notice = match message {
            ToStandby::Welcome(welcome) if !self.welcomed => {
                self.check_term(welcome.term)?;
                self.welcomed = true;
                Some(Notice::Welcome(welcome))
            }
            ToStandby::Refused(refusal) => Some(Notice::Refused(refusal.why)),
            _ if !self.welcomed => {
                return Err(unexpected("something before its welcome".to_owned()));
            }
            ToStandby::Welcome(_) => return Err(unexpected("a second welcome".to_owned())),
            ToStandby::Frame(LinkFrame(batch)) => {
                self.take(&batch, standby, mirror)?;
                None
            }
            ToStandby::Beat(beat) => {
                self.check_term(beat.term)?;
                standby.hear_beat(beat);
                // Each beat is answered, so that the primary too hears a sign of life.
                let (position, chain) = (standby.position(), standby.chain());
                self.held = Some(Held { position, chain });
                None
            }
            ToStandby::Digest(digest) => {
                standby.hear_digest(digest);
                None
            }
            ToStandby::HandOver(over) => Some(take_over_from(over, standby)?),
            ToStandby::Fetched(LinkFrame(batch)) => Some(Notice::Fetched(batch)),
            ToStandby::FetchEnd(range) => Some(Notice::FetchEnd(range)),
        };
        if !was_diverged && standby.divergence().is_some() {
            return Ok(Some(Notice::Diverged));
        }
        Ok(notice)
    }

    fn check_term(&mut self, term: u64) -> Result<()> {
        if term < self.term {
            let (found, known) = (term, self.term);
            return Err(unexpected(format!("term {found}, which term {known} has replaced")));
        }
        self.term = term;
        Ok(())
    }

    fn take(
        &mut self,
        batch: &Batch,
        standby: &mut Standby,
        mirror: &mut dyn FnMut(&Batch) -> Result<()>,
    ) -> Result<()> {
        if batch.first != self.next {
            let (first, next) = (batch.first, self.next);
            return Err(unexpected(format!("a frame at {first} where {next} is due")));
        }
        mirror(batch)?;
        standby.apply(batch)?;
        self.next = batch.next();
        self.held = Some(Held { position: batch.next(), chain: batch.chain });
        Ok(())
    }

    /// What is to be sent now; to be asked once everything that came was taken in.
    pub fn outputs(&mut self, standby: &mut Standby) -> Vec<ToPrimary> {
        let mut out = std::mem::take(&mut self.queue);
        if !self.welcomed {
            return out;
        }
        out.extend(self.held.take().map(ToPrimary::Holds));
        out.extend(standby.take_digests().into_iter().map(ToPrimary::Digest));
        out
    }

    /// A replay has decided who is wrong: the primary is told, once.
    pub fn diverged(&mut self, standby: &Standby) {
        if let (Some(divergence), Some(wrong), false) =
            (standby.divergence(), standby.wrong(), self.has_told_divergence)
        {
            let (agreed, position) = (divergence.agreed, divergence.position);
            self.queue.push(ToPrimary::Diverged(Diverged { agreed, position, wrong }));
            self.has_told_divergence = true;
        }
    }

    /// Asks for frames of the past.
    pub fn fetch(&mut self, range: Range) {
        self.queue.push(ToPrimary::Fetch(range));
    }

    /// The connection has ended.
    pub fn ended(&mut self) {
        self.detector.ended();
    }

    /// Whether the primary is suspected; see [`Detector::look`].
    pub fn look(&mut self, now_ns: u64) -> Option<Suspicion> {
        self.detector.look(now_ns)
    }

    /// When to look again, if nothing comes before.
    #[must_use]
    pub fn looks_at_ns(&self) -> u64 {
        self.detector.looks_at_ns()
    }

    /// Highest term heard of: what a promotion replaces.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }
}

/// A hand-over counts only if everything that the primary wrote is here.
fn take_over_from(over: HandOver, standby: &Standby) -> Result<Notice> {
    let (position, chain) = (standby.position(), standby.chain());
    if position < over.position {
        let (missing_from, missing_to) = (position, over.position);
        return Err(RecoveryError::Behind { missing_from, missing_to });
    }
    if (position, chain) != (over.position, over.chain) {
        return Err(unexpected("a hand-over of another history".to_owned()));
    }
    Ok(Notice::HandOver(over))
}
