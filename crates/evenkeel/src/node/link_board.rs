//! What the primary and the connections of its standbys tell each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel_recovery::link::{DigestAt, Diverged, HandOver};
use evenkeel_types::Timestamp;

use super::observed::lock;

/// Digests kept for connections that are behind; who misses one compares the next.
const DIGESTS_MAX: usize = 4_096;
/// A primary that has not come round for this long is not said to be alive. It is long, because a
/// slow disk is no reason to kill it: its successor would write to the same one.
const ROUND_MAX: Duration = Duration::from_secs(10);
/// A standby that said nothing for this long counts as gone.
const SILENCE: Duration = Duration::from_secs(3);

/// The primary came round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// Time of its last entry.
    pub(crate) time: Timestamp,
    at: Instant,
}

/// A connected standby.
#[derive(Debug, Clone)]
pub(crate) struct StandbyFigures {
    pub(crate) name: String,
    /// First position that it does not hold.
    pub(crate) position: u64,
    /// Everything before this position gave the same output there.
    pub(crate) agreed: u64,
    /// Since when it holds less than is durable, if it does.
    pub(crate) behind_since: Option<Instant>,
    pub(crate) heard: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct LinkBoard {
    round: Mutex<Option<Round>>,
    /// The newest digests, with the number of the first.
    digests: Mutex<(u64, VecDeque<DigestAt>)>,
    standbys: Mutex<BTreeMap<u64, StandbyFigures>>,
    connections: AtomicU64,
    asked_to_hand_over: AtomicBool,
    hand_over: Mutex<Option<HandOver>>,
    told: AtomicBool,
    fenced: AtomicBool,
    diverged: Mutex<Option<Diverged>>,
}

impl LinkBoard {
    /// The primary is at work.
    pub(crate) fn come_round(&self, time: Timestamp) {
        *lock(&self.round) = Some(Round { time, at: Instant::now() });
    }

    /// Whether the primary came round lately. It asks for the term in each round that comes after a
    /// longer one.
    pub(crate) fn came_round_within(&self, longest: Duration) -> bool {
        lock(&self.round).is_some_and(|round| round.at.elapsed() < longest)
    }

    /// What a sign of life says, while there is life.
    pub(crate) fn round(&self) -> Option<Round> {
        lock(&self.round).filter(|round| round.at.elapsed() < ROUND_MAX)
    }

    /// The primary's newest digests.
    pub(crate) fn publish(&self, digests: Vec<DigestAt>) {
        if digests.is_empty() {
            return;
        }
        let mut board = lock(&self.digests);
        board.1.extend(digests);
        while board.1.len() > DIGESTS_MAX {
            board.1.pop_front();
            board.0 += 1;
        }
    }

    /// The digests from number `seen` on, which then is the number of the next.
    pub(crate) fn digests_from(&self, seen: &mut u64) -> Vec<DigestAt> {
        let board = lock(&self.digests);
        let skip = usize::try_from(seen.saturating_sub(board.0)).unwrap_or(usize::MAX);
        let fresh: Vec<DigestAt> = board.1.iter().skip(skip).copied().collect();
        *seen = board.0 + board.1.len() as u64;
        fresh
    }

    /// A standby is connected; returns its number here.
    pub(crate) fn enter(&self, name: String, position: u64) -> u64 {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let heard = Instant::now();
        let figures = StandbyFigures { name, position, agreed: 0, behind_since: None, heard };
        lock(&self.standbys).insert(number, figures);
        number
    }

    /// A standby holds everything before a position, of what was durable.
    pub(crate) fn holds(&self, number: u64, position: u64, durable_next: u64) {
        if let Some(figures) = lock(&self.standbys).get_mut(&number) {
            figures.position = position;
            figures.heard = Instant::now();
            figures.behind_since = match figures.behind_since {
                _ if position >= durable_next => None,
                since => since.or(Some(figures.heard)),
            };
        }
    }

    /// A standby gave the same output up to a position.
    pub(crate) fn agrees(&self, number: u64, position: u64) {
        if let Some(figures) = lock(&self.standbys).get_mut(&number) {
            figures.agreed = figures.agreed.max(position);
        }
    }

    /// Whether the primary published this digest; `None` if it published none there, or not yet.
    pub(crate) fn agrees_with(&self, theirs: &DigestAt) -> Option<bool> {
        let board = lock(&self.digests);
        let ours = board.1.iter().rev().find(|ours| ours.position == theirs.position);
        ours.map(|ours| ours.digest == theirs.digest)
    }

    pub(crate) fn leave(&self, number: u64) {
        lock(&self.standbys).remove(&number);
    }

    /// The connected standbys that live.
    pub(crate) fn standbys(&self) -> Vec<StandbyFigures> {
        let all = lock(&self.standbys);
        all.values().filter(|one| one.heard.elapsed() < SILENCE).cloned().collect()
    }

    /// What every standby agrees with; `None` without a standby.
    pub(crate) fn agreed(&self) -> Option<u64> {
        lock(&self.standbys).values().map(|one| one.agreed).min()
    }

    /// Asks the primary to end in favour of a standby.
    pub(crate) fn ask_to_hand_over(&self) {
        self.asked_to_hand_over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_asked_to_hand_over(&self) -> bool {
        self.asked_to_hand_over.load(Ordering::SeqCst)
    }

    /// The primary has ended in good order.
    pub(crate) fn hand_over(&self, hand_over: HandOver) {
        *lock(&self.hand_over) = Some(hand_over);
    }

    pub(crate) fn handed_over(&self) -> Option<HandOver> {
        *lock(&self.hand_over)
    }

    /// A standby was told that the primary has ended.
    pub(crate) fn note_told(&self) {
        self.told.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_told(&self) -> bool {
        self.told.load(Ordering::SeqCst)
    }

    /// Another primary holds a higher term.
    pub(crate) fn note_fenced(&self) {
        self.fenced.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::SeqCst)
    }

    /// A standby proved that the two differ.
    pub(crate) fn diverged(&self, diverged: Diverged) {
        lock(&self.diverged).get_or_insert(diverged);
    }

    pub(crate) fn divergence(&self) -> Option<Diverged> {
        *lock(&self.diverged)
    }
}
