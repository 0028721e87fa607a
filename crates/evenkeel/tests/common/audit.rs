//! Replays a journal from its beginning, and compares with what anyone ever promised about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::{JournalError, Reader, RealDisk};

use evenkeel_types::merkle::{Frontier, leaf_hash};
use evenkeel_types::{Canonical as _, Entry, Event, Origin, OutcomeKind};
use evenkeel_venue::Engine;
use serde_json::Value;

use super::Rig;

/// What an uninterrupted replay gives at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    pub state_root: String,
    pub journal_root: String,
    pub output_digest: String,
}

/// A replay from position 0 to the end.
#[derive(Debug)]
pub struct Replay {
    /// `entry_hash` of every entry.
    pub hashes: Vec<String>,
    /// When each was journaled, in nanoseconds since 1970.
    pub times_ns: Vec<u64>,
    /// Figures at the positions asked for.
    pub at: BTreeMap<u64, Figures>,
    /// Figures at the end.
    pub end: Figures,
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Replay {
    pub fn next(&self) -> u64 {
        self.hashes.len() as u64
    }
}

fn figures(engine: &Engine, tree: &Frontier) -> Figures {
    Figures {
        state_root: hex(&engine.state_root()),
        journal_root: hex(&tree.root()),
        output_digest: hex(&engine.output_digest()),
    }
}

/// Applies every entry of a journal to a new engine.
pub fn replay(dir: &Path, wanted: &BTreeSet<u64>) -> Replay {
    let mut engine = Engine::new();
    let mut tree = Frontier::new();
    let (mut hashes, mut times_ns, mut at) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut events: Vec<Event> = Vec::new();
    let mut take = |position: u64, bytes: &[u8]| {
        assert_eq!(position, hashes.len() as u64, "positions have no gap");
        if wanted.contains(&position) {
            at.insert(position, figures(&engine, &tree));
        }
        let entry = Entry::from_bytes(bytes).unwrap();
        let hash = leaf_hash(bytes);
        tree.push(hash);
        hashes.push(hex(&hash));
        times_ns.push(entry.time.0);
        events.clear();
        engine.apply(&entry, &mut events);
    };
    match Reader::external(Arc::new(RealDisk), dir, 0) {
        Err(JournalError::NotAJournal { .. }) => {}
        Err(error) => panic!("{error}"),
        Ok(mut reader) => {
            while let Some(batch) = reader.next_batch().unwrap() {
                for record in &batch.records {
                    take(record.position, &record.entry);
                }
            }
        }
    }
    let end = figures(&engine, &tree);
    let next = hashes.len() as u64;
    if wanted.contains(&next) {
        at.insert(next, end.clone());
    }
    Replay { hashes, times_ns, at, end }
}

/// What was promised, and is to be compared with a replay.
#[derive(Debug, Default)]
pub struct Promises {
    /// The daemon's output digest at a position, while it ran.
    pub digests: Vec<(u64, String)>,
    /// Recovery points, as `points --json` lists them.
    pub points: Vec<Value>,
    /// Every entry hash seen in the journal by an earlier audit.
    pub hashes: Vec<String>,
}

/// What an audit looked at.
#[derive(Debug, Default, Clone, Copy)]
pub struct Audited {
    pub entries: u64,
    pub acks: u64,
    pub points: u64,
}

/// The audit itself: every acknowledgement is in the journal with its hash, nothing that was once
/// in the journal changed, every point and every live digest is what a replay gives.
///
/// # Errors
/// The first promise that was broken.
pub fn audit(rig: &Rig, promises: &mut Promises) -> Result<Audited, String> {
    let listed = rig.run("points --home h --json");
    promises.points = match listed.exit {
        0 => listed.json()["points"].as_array().unwrap().clone(),
        10 => Vec::new(),
        _ => return Err(format!("points: {listed:?}")),
    };
    let positions = promises.points.iter().map(position_of);
    let wanted: BTreeSet<u64> =
        positions.chain(promises.digests.iter().map(|(position, _)| *position)).collect();
    let replay = replay(&rig.journal(), &wanted);
    for (position, hash) in promises.hashes.iter().enumerate() {
        if replay.hashes.get(position) != Some(hash) {
            return Err(format!("entry {position} was there before and is not now"));
        }
    }
    let acks = rig.acks();
    compare_acks(rig, &acks, replay.next())?;
    for (position, digest) in &promises.digests {
        let found = replay.at.get(position).map(|one| &one.output_digest);
        if found != Some(digest) {
            return Err(format!(
                "digest at {position}: the daemon said {digest}, a replay {found:?}"
            ));
        }
    }
    for point in &promises.points {
        compare_point(point, &replay)?;
    }
    promises.hashes.clone_from(&replay.hashes);
    Ok(Audited {
        entries: replay.next(),
        acks: acks.len() as u64,
        points: promises.points.len() as u64,
    })
}

fn position_of(point: &Value) -> u64 {
    point["position"].as_u64().unwrap()
}

/// Compares the acknowledgements with `journal hashes`, as a person would.
fn compare_acks(rig: &Rig, acks: &[(u64, String)], next: u64) -> Result<(), String> {
    let lost = lost_acks(rig, acks);
    match lost.first() {
        None => Ok(()),
        Some((position, hash)) => Err(format!(
            "{} of {} acknowledged entries are lost, the first is {position} {hash}; the journal \
             ends at {next}",
            lost.len(),
            acks.len()
        )),
    }
}

/// Acknowledgements that `journal hashes` does not confirm.
pub fn lost_acks(rig: &Rig, acks: &[(u64, String)]) -> Vec<(u64, String)> {
    let hashes = hashes_of(rig, "h");
    let is_lost = |(position, hash): &&(u64, String)| hashes.get(position) != Some(hash);
    acks.iter().filter(is_lost).cloned().collect()
}

/// What `journal hashes` prints; empty while there is no journal.
pub fn hashes_of(rig: &Rig, home: &str) -> BTreeMap<u64, String> {
    let said = rig.run(&format!("journal hashes --home {home}"));
    assert!(said.exit == 0 || said.exit == 10, "{} {}", said.exit, said.err);
    said.out
        .lines()
        .map(|line| {
            let (position, hash) = line.split_once(' ').unwrap();
            (position.parse().unwrap(), hash.to_owned())
        })
        .collect()
}

fn compare_point(point: &Value, replay: &Replay) -> Result<(), String> {
    let position = position_of(point);
    let Some(found) = replay.at.get(&position) else {
        return Err(format!(
            "point {point} lies beyond the journal, which ends at {}",
            replay.next()
        ));
    };
    let promised = Figures {
        state_root: text(&point["state_root"]),
        journal_root: text(&point["journal_root"]),
        output_digest: text(&point["output_digest"]),
    };
    if *found != promised {
        return Err(format!("point at {position} promises {promised:?}, a replay gives {found:?}"));
    }
    Ok(())
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Origins of which more than one entry took effect, by a replay of the whole journal.
pub fn applied_twice(rig: &Rig) -> Vec<Origin> {
    let effects = effects(rig);
    assert!(effects.len() > 1_000);
    effects.into_iter().filter(|(_, count)| *count > 1).map(|(origin, _)| origin).collect()
}

/// How many entries of each origin took effect, by a replay of the whole journal.
pub fn effects(rig: &Rig) -> BTreeMap<Origin, u32> {
    let mut engine = Engine::new();
    let mut effects: BTreeMap<Origin, u32> = BTreeMap::new();
    let mut reader = Reader::external(Arc::new(RealDisk), &rig.journal(), 0).unwrap();
    while let Some(batch) = reader.next_batch().unwrap() {
        for record in batch.records {
            let entry = Entry::from_bytes(&record.entry).unwrap();
            let mut events = Vec::new();
            engine.apply(&entry, &mut events);
            // What the venue would refuse from anyone, it refuses again.
            let Some(Event::Completed { outcome }) = events.last() else { continue };
            if !matches!(outcome.kind, OutcomeKind::Rejected { .. }) {
                *effects.entry(entry.origin).or_default() += 1;
            }
        }
    }
    effects
}
