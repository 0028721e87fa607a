//! The standby: an engine in another process that follows the primary's frames, compares its output
//! with the primary's, and can be promoted.
//!
//! It says and hears digests at every multiple of [`DIGEST_EVERY`] and wherever else the primary
//! publishes one. Where they differ, [`Standby::arbitrate`] decides who is wrong.

use std::collections::VecDeque;

use evenkeel_journal::{Batch, Chain};
use evenkeel_types::merkle::Hash;
use evenkeel_types::{Event, Timestamp};
use evenkeel_venue::Engine;
use thiserror::Error;

use crate::agreement::{Agreement, Divergence, Party};
use crate::checkpoint::Checkpoint;
use crate::divergence::{BatchSource, Case, Output, Outputs, Verdict, arbitrate};
use crate::error::{RecoveryError, Result};
use crate::follower::Promise;
use crate::link::{Beat, DIGEST_EVERY, DigestAt, Wrong};
use crate::replica::Replica;
use crate::skips::{Poisoned, Skips};

/// Entries between two checkpoints that a dispute can be settled from; each costs a snapshot.
pub const CHECKPOINT_EVERY: u64 = 65_536;

/// Why a standby must not be promoted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Bar {
    /// Its output differs from the primary's, and nobody has decided yet who is wrong.
    #[error("{0}; who is wrong is not decided yet")]
    Undecided(Divergence),
    /// Its output is wrong.
    #[error(
        "{divergence}\nThis standby is barred from promotion: {verdict}\nIts memory cannot be \
         trusted; the journal is not touched by this. Test this host's memory, then start it \
         again: it begins from a snapshot, evenkeel up --role standby"
    )]
    Wrong {
        /// Where.
        divergence: Divergence,
        /// What the replay gave.
        verdict: Verdict,
    },
    /// Entries are missing here.
    #[error(
        "entries {missing_from} to below {missing_to} have not come here; follow the primary until \
         they have, or fetch them: evenkeel repair"
    )]
    Gap {
        /// First missing position.
        missing_from: u64,
        /// First position known to exist behind it.
        missing_to: u64,
    },
    /// Applying an entry panicked here.
    #[error(
        "the program panics at entry {position}: {text}; this standby waits until the journal says \
         that the entry is passed over, or until it holds the journal itself"
    )]
    Poisoned {
        /// Its position.
        position: u64,
        /// What the panic said.
        text: String,
    },
    /// The local journal is damaged.
    #[error("the journal here is damaged: {0}; mend it first: evenkeel repair")]
    Damaged(String),
}

/// How far a standby is behind the last sign of life of its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Durable entries not applied here.
    pub entries: u64,
    /// Journal time between the primary's and the last entry applied here, in nanoseconds; 0 if no
    /// entry is missing.
    pub time_ns: u64,
}

/// Engine states on which both agreed, or will have.
#[derive(Debug)]
struct Kept {
    position: u64,
    engine: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Standby {
    replica: Replica,
    agreement: Agreement,
    checkpoint_every: u64,
    /// Agreed, oldest first: at most two. A dispute is replayed from the older, so that a change of
    /// memory that no event has shown yet is not taken into the replay.
    agreed: VecDeque<Kept>,
    /// Taken, and not agreed yet.
    candidate: Option<Kept>,
    said: Outputs,
    /// Digests to be told to the primary.
    told: Vec<DigestAt>,
    term: u64,
    beat: Option<Beat>,
    gap: Option<u64>,
    verdict: Option<Verdict>,
    damage: Option<String>,
}

impl Standby {
    /// Begins at a checkpoint of this history.
    ///
    /// # Errors
    /// A checkpoint that does not hold together.
    pub fn start(checkpoint: &Checkpoint) -> Result<Self> {
        let replica = Replica::start(checkpoint)?;
        let kept = Kept { position: checkpoint.position(), engine: checkpoint.engine.clone() };
        Ok(Self {
            term: replica.engine().term().0,
            replica,
            agreement: Agreement::new(),
            checkpoint_every: CHECKPOINT_EVERY,
            agreed: VecDeque::from([kept]),
            candidate: None,
            said: Outputs::default(),
            told: Vec::new(),
            beat: None,
            gap: None,
            verdict: None,
            damage: None,
        })
    }

    /// With another distance between checkpoints, in entries; it counts up to the next multiple of
    /// [`DIGEST_EVERY`].
    #[must_use]
    pub fn with_checkpoint_every(mut self, entries: u64) -> Self {
        self.checkpoint_every = entries;
        self
    }

    /// Passes over these entries.
    #[must_use]
    pub fn passing_over(mut self, skips: Skips) -> Self {
        self.replica.skips = skips;
        self
    }

    /// Entries that it passes over.
    #[must_use]
    pub fn skips(&self) -> &Skips {
        &self.replica.skips
    }

    /// Where applying panicked, if it did: from there on it only takes note of what comes, until
    /// the journal says that the entry is passed over, and must not be promoted as it is.
    #[must_use]
    pub fn poisoned(&self) -> Option<&Poisoned> {
        self.replica.poisoned()
    }

    /// Applies the next batch. One that is known is passed over. Returns the entries applied.
    /// A divergence is no error here: what is durable is applied in any case, see
    /// [`Standby::divergence`].
    ///
    /// # Errors
    /// [`RecoveryError::Behind`]: frames are missing, nothing was applied, and promotion is barred
    /// until they come. [`evenkeel_journal::JournalError::StaleTerm`]: a frame of a primary that
    /// was replaced. [`RecoveryError::GoBack`]: the standby is to be begun again from before that
    /// position, passing over it. An entry that cannot be decoded.
    pub fn apply(&mut self, batch: &Batch) -> Result<u64> {
        if batch.next() <= self.position() {
            return Ok(0);
        }
        if batch.term < self.term {
            let (asked, last) = (batch.term, self.term);
            return Err(evenkeel_journal::JournalError::StaleTerm { asked, last }.into());
        }
        if batch.first > self.position() {
            self.gap = Some(self.gap.unwrap_or(0).max(batch.first));
        }
        let Self { replica, agreement, said, told, agreed, candidate, .. } = self;
        let newest = agreed.back().map_or(0, |kept| kept.position);
        let due = newest.saturating_add(self.checkpoint_every);
        let applied = replica.apply(batch, &mut |engine, events| {
            let position = engine.next_position().0;
            said.push(output(position - 1, events));
            if !position.is_multiple_of(DIGEST_EVERY) {
                return;
            }
            let digest = engine.output_digest();
            told.push(DigestAt { position, digest });
            if candidate.is_none() && position >= due {
                *candidate = Some(Kept { position, engine: engine.snapshot() });
            }
            // The board keeps a divergence; it is asked for below.
            let _ = agreement.publish(Party::Follower, position, digest);
        })?;
        self.term = batch.term;
        if self.gap.is_some_and(|gap| gap <= self.position()) {
            self.gap = None;
        }
        if self.poisoned().is_some() {
            return Ok(applied);
        }
        let digest = self.replica.engine().output_digest();
        if !self.position().is_multiple_of(DIGEST_EVERY) {
            let _ = self.agreement.publish(Party::Follower, self.position(), digest);
        }
        self.settle();
        Ok(applied)
    }

    /// Takes the primary's digest at a position. Returns the divergence, if there is one.
    pub fn hear_digest(&mut self, heard: DigestAt) -> Option<Divergence> {
        let _ = self.agreement.publish(Party::Primary, heard.position, heard.digest);
        self.settle();
        self.divergence()
    }

    /// Takes the primary's sign of life.
    pub fn hear_beat(&mut self, beat: Beat) {
        self.beat = Some(beat);
    }

    /// Takes note of damage to the local journal, found by a scrub; `None` once it is mended.
    pub fn note_damage(&mut self, damage: Option<String>) {
        self.damage = damage;
    }

    /// Digests at multiples of [`DIGEST_EVERY`] since the last call, for the primary.
    pub fn take_digests(&mut self) -> Vec<DigestAt> {
        std::mem::take(&mut self.told)
    }

    /// Draws what follows from the agreement: checkpoints count, outputs are forgotten.
    fn settle(&mut self) {
        if self.agreement.divergence().is_some() {
            self.candidate = None;
            return;
        }
        let agreed = self.agreement.agreed();
        self.said.agreed(agreed);
        if let Some(candidate) = self.candidate.take_if(|one| one.position <= agreed) {
            self.agreed.push_back(candidate);
            if self.agreed.len() > 2 {
                self.agreed.pop_front();
            }
        }
    }

    /// Where it and the primary differ, if they do.
    #[must_use]
    pub fn divergence(&self) -> Option<Divergence> {
        self.agreement.divergence()
    }

    /// Position from which [`Standby::arbitrate`] reads.
    #[must_use]
    pub fn arbitrates_from(&self) -> u64 {
        self.agreed.front().map_or(0, |kept| kept.position)
    }

    /// Decides who is wrong, by a replay from a checkpoint that both agreed on; `None` if they do
    /// not differ. `source` reads the local journal from [`Standby::arbitrates_from`] on.
    ///
    /// # Errors
    /// As [`arbitrate`]; the standby stays barred then.
    pub fn arbitrate(&mut self, source: &mut dyn BatchSource) -> Result<Option<&Verdict>> {
        let (Some(divergence), Some(kept)) = (self.divergence(), self.agreed.front()) else {
            return Ok(None);
        };
        if self.verdict.is_none() {
            let Some([primary, standby]) = self.agreement.differing() else {
                return Ok(None);
            };
            let agreed = (divergence.agreed.max(kept.position), self.agreement.agreed_digest());
            let agreed = if divergence.agreed > kept.position { agreed } else { (agreed.0, None) };
            let position = divergence.position;
            let (checkpoint, said) = (kept.engine.as_slice(), &self.said);
            let skips = &self.replica.skips;
            let case = Case { checkpoint, agreed, position, primary, standby, said, skips };
            self.verdict = Some(arbitrate(&case, source)?);
        }
        Ok(self.verdict.as_ref())
    }

    /// What was decided, in the form in which the primary is told.
    #[must_use]
    pub fn wrong(&self) -> Option<Wrong> {
        self.verdict.as_ref().map(|verdict| match verdict {
            Verdict::StandbyWrong { .. } => Wrong::Standby,
            Verdict::PrimaryWrong => Wrong::Primary,
            Verdict::BothWrong { .. } => Wrong::Both,
        })
    }

    /// Whether it may be promoted.
    ///
    /// # Errors
    /// Why not.
    pub fn promotable(&self) -> Result<(), Bar> {
        match (self.divergence(), &self.verdict) {
            (None, _) | (Some(_), Some(Verdict::PrimaryWrong)) => {}
            (Some(divergence), None) => return Err(Bar::Undecided(divergence)),
            (Some(divergence), Some(verdict)) => {
                return Err(Bar::Wrong { divergence, verdict: verdict.clone() });
            }
        }
        if let Some(bar) = self.poisoned_bar() {
            return Err(bar);
        }
        if let Some(missing_to) = self.gap {
            return Err(Bar::Gap { missing_from: self.position(), missing_to });
        }
        match &self.damage {
            Some(damage) => Err(Bar::Damaged(damage.clone())),
            None => Ok(()),
        }
    }

    /// What bars a standby at which an entry panicked.
    pub(crate) fn poisoned_bar(&self) -> Option<Bar> {
        let Poisoned { position, text, .. } = self.poisoned()?;
        Some(Bar::Poisoned { position: *position, text: text.clone() })
    }

    /// Entries that are known to exist and have not come here, if any.
    #[must_use]
    pub fn known_missing(&self) -> Option<Bar> {
        self.missing_in(self.position())
    }

    /// The same of a journal that ends at this position.
    pub(crate) fn missing_in(&self, missing_from: u64) -> Option<Bar> {
        let heard = self.beat.map_or(0, |beat| beat.durable_next);
        let missing_to = heard.max(self.gap.unwrap_or(0));
        (missing_to > missing_from).then_some(Bar::Gap { missing_from, missing_to })
    }

    /// How far it is behind what the primary last said.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let Some(beat) = self.beat else {
            return Lag::default();
        };
        let entries = beat.durable_next.saturating_sub(self.position());
        let behind_ns = beat.time.0.saturating_sub(self.time().0);
        Lag { entries, time_ns: if entries == 0 { 0 } else { behind_ns } }
    }

    /// The state here, if the two have agreed on everything before it.
    #[must_use]
    pub fn checkpoint(&self) -> Option<(Checkpoint, Promise)> {
        let is_sound = self.divergence().is_none() && self.poisoned().is_none();
        let is_agreed = is_sound && self.agreed_next() >= self.position();
        is_agreed.then(|| self.replica.checkpoint())
    }

    /// The state here, which counts only once both have agreed on everything before it: see
    /// [`Standby::agreed_next`]. `None` if they differ, or an entry panicked here.
    #[must_use]
    pub fn unagreed_checkpoint(&self) -> Option<Checkpoint> {
        let is_sound = self.divergence().is_none() && self.poisoned().is_none();
        is_sound.then(|| self.replica.checkpoint().0)
    }

    /// Everything before this position gave the same output on both sides; the beginning counts.
    #[must_use]
    pub fn agreed_next(&self) -> u64 {
        let begun = self.agreed.back().map_or(0, |kept| kept.position);
        self.agreement.agreed().max(begun)
    }

    /// Next position it will apply.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.replica.position()
    }

    /// Chain before that position.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.replica.chain()
    }

    /// RFC 6962 root over all entries it has applied.
    #[must_use]
    pub fn journal_root(&self) -> Hash {
        self.replica.journal_root()
    }

    /// Term of the last frame applied.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Time of the last entry applied.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.engine().time()
    }

    /// Its engine, for views.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.replica.engine()
    }

    /// The engine, for the primary that it becomes.
    #[must_use]
    pub fn into_engine(self) -> Engine {
        self.replica.into_engine()
    }
}

fn output(position: u64, events: &[Event]) -> Output {
    Output { position, origin: None, events: events.to_vec() }
}

impl From<Bar> for RecoveryError {
    fn from(bar: Bar) -> Self {
        Self::Barred(Box::new(bar))
    }
}
