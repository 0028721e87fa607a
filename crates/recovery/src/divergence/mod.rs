//! Two engines read the same journal and differ. Whose output is wrong is told by a third engine,
//! which begins at a checkpoint that both agreed on and replays the entries since.
//!
//! The replay is the judge because a wrong output comes from memory that changed, not from the
//! rules: the same entries through the same program give the same events anywhere else. What it
//! cannot tell is a change of the standby's state that lies before both checkpoints it keeps and
//! showed in no event since; then the primary is blamed, and stops, which is the safe mistake.

mod fields;

use std::collections::VecDeque;
use std::fmt;

use evenkeel_journal::Batch;
use evenkeel_types::{Event, Origin};
use evenkeel_venue::Engine;

use crate::agreement::Digest;
use crate::error::{RecoveryError, Result};
use crate::replica::decode;
use crate::skips::{self, Skips};

/// Where batches come from: a reader of the local journal, in general.
pub trait BatchSource {
    /// The next batch; `None` when there is none (yet).
    ///
    /// # Errors
    /// Damage of what is read.
    fn next_batch(&mut self) -> Result<Option<Batch>>;
}

impl BatchSource for evenkeel_journal::Reader {
    fn next_batch(&mut self) -> Result<Option<Batch>> {
        Ok(Self::next_batch(self)?)
    }
}

/// What an engine said about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The entry's position.
    pub position: u64,
    /// Whose command it was; unknown where only the engine's words are kept.
    pub origin: Option<Origin>,
    /// The events, the outcome last.
    pub events: Vec<Event>,
}

/// The newest outputs, as many as may be kept.
#[derive(Debug, Default)]
pub struct Outputs {
    outputs: VecDeque<Output>,
    events: usize,
    /// Outputs below this position that were not agreed yet had to be dropped.
    dropped_below: u64,
}

impl Outputs {
    /// Most events kept; the oldest outputs give way. About 50 MB.
    pub const EVENTS_MAX: usize = 1 << 18;

    /// Keeps one more.
    pub fn push(&mut self, output: Output) {
        self.events += output.events.len();
        self.outputs.push_back(output);
        while self.events > Self::EVENTS_MAX
            && let Some(oldest) = self.outputs.pop_front()
        {
            self.events -= oldest.events.len();
            self.dropped_below = oldest.position + 1;
        }
    }

    /// Forgets what lies below a position, because it is agreed.
    pub fn agreed(&mut self, position: u64) {
        while let Some(oldest) = self.outputs.front()
            && oldest.position < position
        {
            self.events -= oldest.events.len();
            self.outputs.pop_front();
        }
    }

    /// What is kept, in order of positions.
    pub fn iter(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter()
    }

    /// First position from which everything is kept, if something had to be dropped.
    #[must_use]
    pub fn dropped_below(&self) -> u64 {
        self.dropped_below
    }

    fn at(&self, position: u64) -> Option<&Output> {
        let first = self.outputs.front()?.position;
        let index = usize::try_from(position.checked_sub(first)?).ok()?;
        self.outputs.get(index)
    }
}

/// The first place at which two engines' events differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Position of the entry.
    pub position: u64,
    /// Index of the event among those of the entry.
    pub event: usize,
    /// Kind of the event, as the replay gave it; "nothing" if the replay gave none here.
    pub kind: String,
    /// Each field that differs.
    pub fields: Vec<FieldDifference>,
}

/// One field with two values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDifference {
    /// Its path, as `terms.price`; `type` if the kinds of the events differ.
    pub field: String,
    /// As the replay gave it.
    pub replayed: String,
    /// As the engine said.
    pub said: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, event, kind, fields } = self;
        write!(f, "position {position}, event {event} ({kind})")?;
        for FieldDifference { field, replayed, said } in fields {
            write!(f, "\n  {field}: said {said}, replayed {replayed}")?;
        }
        Ok(())
    }
}

/// Compares what was said about an entry with what a replay gave.
#[must_use]
pub fn difference(position: u64, said: &[Event], replayed: &[Event]) -> Option<Difference> {
    let event =
        (0..said.len().max(replayed.len())).find(|at| said.get(*at) != replayed.get(*at))?;
    let parts = |events: &[Event]| match events.get(event) {
        Some(event) => fields::fields(&format!("{event:?}")),
        None => vec![("type".to_owned(), NOTHING.to_owned())],
    };
    let (said, replayed) = (parts(said), parts(replayed));
    let kind = replayed.first().map_or_else(String::new, |(_, text)| text.clone());
    Some(Difference { position, event, kind, fields: differing(&said, &replayed) })
}

/// For an event that is missing on one side.
const NOTHING: &str = "nothing";

/// The fields that differ, in the order of the replay's, then those that only the other has. If
/// the kinds differ, that says it all.
fn differing(said: &[(String, String)], replayed: &[(String, String)]) -> Vec<FieldDifference> {
    let look = |fields: &[(String, String)], path: &str| {
        let found = fields.iter().find(|(known, _)| known == path);
        found.map_or_else(|| NOTHING.to_owned(), |(_, text)| text.clone())
    };
    let only_said = said.iter().filter(|(path, _)| !replayed.iter().any(|(one, _)| one == path));
    let paths = replayed.iter().chain(only_said).map(|(path, _)| path);
    let all = paths.map(|path| FieldDifference {
        field: path.clone(),
        replayed: look(replayed, path),
        said: look(said, path),
    });
    let mut differing: Vec<FieldDifference> =
        all.filter(|field| field.replayed != field.said).collect();
    if differing.first().is_some_and(|first| first.field == "type") {
        differing.truncate(1);
    }
    differing
}

/// Whose output is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The replay gave the primary's digest.
    StandbyWrong {
        /// Where the standby first differed; `None` if it no longer has what it said there.
        first: Option<Difference>,
    },
    /// The replay gave the standby's digest.
    PrimaryWrong,
    /// The replay gave a third digest: nobody can be trusted.
    BothWrong {
        /// Where the standby first differed from the replay, as far as it is known.
        first: Option<Difference>,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, first) = match self {
            Self::StandbyWrong { first } => {
                ("a replay gives the primary's output: this standby is wrong", first)
            }
            Self::PrimaryWrong => {
                return f.write_str(
                    "a replay gives the standby's output: the primary is wrong, and what it told \
                     its clients since the agreement is to be compared with a replay",
                );
            }
            Self::BothWrong { first } => {
                ("a replay gives neither's output: neither can be trusted", first)
            }
        };
        f.write_str(who)?;
        match first {
            Some(first) => write!(f, ". First difference: {first}"),
            None => f.write_str(". What it said where it first differed is no longer in memory"),
        }
    }
}

/// A dispute and what is needed to settle it.
#[derive(Debug)]
pub struct Case<'a> {
    /// Engine's snapshot at a position on which both agreed.
    pub checkpoint: &'a [u8],
    /// Everything before this position is agreed, with this digest there if it is known.
    pub agreed: (u64, Option<Digest>),
    /// Where they differ.
    pub position: u64,
    /// The primary's digest there.
    pub primary: Digest,
    /// The standby's digest there.
    pub standby: Digest,
    /// What the standby said.
    pub said: &'a Outputs,
    /// Entries that are passed over.
    pub skips: &'a Skips,
}

/// Replays from the checkpoint with a fresh engine and says who is wrong. `source` begins at the
/// checkpoint's position, or in a frame that holds it.
///
/// # Errors
/// A checkpoint that does not hold together, entries that are missing or cannot be read: then
/// nothing is decided.
pub fn arbitrate(case: &Case<'_>, source: &mut dyn BatchSource) -> Result<Verdict> {
    let mut first = None;
    let mut agreed_holds = true;
    let start = (case.checkpoint, case.skips);
    let end = replay(start, case.position, source, &mut |engine, at, events| {
        let expected = case.agreed.1.filter(|_| at + 1 == case.agreed.0);
        agreed_holds &= expected.is_none_or(|expected| expected == engine.output_digest());
        if first.is_none()
            && at >= case.agreed.0
            && let Some(output) = case.said.at(at)
        {
            first = difference(at, &output.events, events);
        }
    })?;
    Ok(match end {
        // What does not give what both said before cannot judge between them.
        _ if !agreed_holds => Verdict::BothWrong { first },
        end if end == case.primary => Verdict::StandbyWrong { first },
        end if end == case.standby => Verdict::PrimaryWrong,
        _ => Verdict::BothWrong { first },
    })
}

/// The first of the kept outputs that a replay from a checkpoint does not give: for a primary that
/// was told that it is wrong.
///
/// # Errors
/// As [`arbitrate`].
pub fn first_difference(
    checkpoint: &[u8],
    said: &Outputs,
    source: &mut dyn BatchSource,
) -> Result<Option<Difference>> {
    let Some(last) = said.iter().last() else {
        return Ok(None);
    };
    let mut first = None;
    let start = (checkpoint, &Skips::none());
    replay(start, last.position + 1, source, &mut |_, at, events| {
        if first.is_none()
            && let Some(output) = said.at(at)
        {
            first = difference(at, &output.events, events);
        }
    })?;
    Ok(first)
}

/// Applies everything below `to` to the checkpoint's engine; the digest there.
fn replay(
    (checkpoint, skips): (&[u8], &Skips),
    to: u64,
    source: &mut dyn BatchSource,
    seen: &mut dyn FnMut(&Engine, u64, &[Event]),
) -> Result<Digest> {
    let mut engine = Engine::from_snapshot(checkpoint)
        .map_err(|error| RecoveryError::Snapshot { detail: error.to_string() })?;
    let mut events = Vec::new();
    while engine.next_position().0 < to {
        let next = engine.next_position().0;
        let batch = source.next_batch()?;
        let missing_to = batch.as_ref().map_or(to, |batch| batch.first);
        let batch = batch.filter(|batch| batch.first <= next);
        let batch = batch.ok_or(RecoveryError::Behind { missing_from: next, missing_to })?;
        for record in batch.records.iter().filter(|one| (next..to).contains(&one.position)) {
            events.clear();
            let entry = decode(record.position, &record.entry)?;
            skips::apply(&mut engine, skips, &entry, &record.entry, &mut events)?;
            seen(&engine, record.position, &events);
        }
    }
    Ok(engine.output_digest())
}
