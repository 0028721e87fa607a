//! What clients were acknowledged, and how long they had to wait for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use evenkeel_recovery::Ack;

use evenkeel_types::{Event, OutcomeKind};

use super::observed::lock;

/// Acknowledgements remembered: more than a primary gives in the seconds around its end.
const REMEMBERED: usize = 200_000;
/// Waits shorter than this are no news.
const LONG: Duration = Duration::from_millis(5);
/// Long waits remembered.
const WAITS_MAX: usize = 10_000;

/// An acknowledgement as a client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) position: u64,
    pub(crate) entry_hash: [u8; 32],
    /// The entry itself took effect: it was neither rejected nor a repetition of an earlier one.
    pub(crate) took_effect: bool,
}

/// The primary that clients last found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Index of its address.
    pub(crate) at: usize,
    pub(crate) term: u64,
    /// When the first client found it.
    pub(crate) since: Instant,
}

/// Shared by all lines of a process.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Figures>);

#[derive(Debug, Default)]
struct Figures {
    /// Oldest first.
    noted: VecDeque<Noted>,
    acknowledgements: u64,
    last: Option<Instant>,
    found: Option<Found>,
    /// Longest waits that ended since then, however short; nobody was answered yet without any.
    since_found: Option<Waits>,
    /// When each line that waits for an answer first asked.
    waiting: BTreeMap<u64, Instant>,
    lines: u64,
    /// End and length of long waits of one client, and of all.
    waits: VecDeque<(Instant, Waits)>,
}

/// How long clients were without an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Waits {
    /// Longest time any one client waited for an answer.
    pub(crate) client: Duration,
    /// Longest time in which no client at all got one, while one waited.
    pub(crate) all: Duration,
}

/// How long nobody was answered, from the last answer on or from when the first of those who wait
/// asked: where nobody asks, nobody is kept waiting.
fn silence(now: Instant, last: Instant, first_asked: Option<Instant>) -> Duration {
    now.saturating_duration_since(last.max(first_asked.unwrap_or(now)))
}

impl Meter {
    /// A number for one more line.
    pub(crate) fn enter(&self) -> u64 {
        let mut figures = lock(&self.0);
        figures.lines += 1;
        figures.lines
    }

    /// A line found a primary.
    pub(crate) fn found(&self, at: usize, term: u64) {
        let mut figures = lock(&self.0);
        if figures.found.is_none_or(|found| found.term < term) {
            figures.found = Some(Found { at, term, since: Instant::now() });
            figures.since_found = None;
        }
    }

    /// The primary with the highest term that was ever found.
    pub(crate) fn primary(&self) -> Option<Found> {
        lock(&self.0).found
    }

    /// A line begins to wait for answers.
    pub(crate) fn asked(&self, line: u64) {
        lock(&self.0).waiting.insert(line, Instant::now());
    }

    /// It has them all, or ends.
    pub(crate) fn answered(&self, line: u64) {
        lock(&self.0).waiting.remove(&line);
    }

    /// Whether no line waits that began before a moment.
    pub(crate) fn is_settled(&self, moment: Instant) -> bool {
        lock(&self.0).waiting.values().all(|since| *since > moment)
    }

    /// The longest waits that ended since the present primary was found; `None` until it answered
    /// anyone.
    pub(crate) fn waits_since_found(&self) -> Option<Waits> {
        lock(&self.0).since_found
    }

    /// A line was acknowledged something.
    pub(crate) fn acknowledged(&self, line: u64, ack: &Ack) {
        let mut figures = lock(&self.0);
        let now = Instant::now();
        let asked = figures.waiting.get(&line).copied().unwrap_or(now);
        let last = figures.last.replace(now).unwrap_or(now);
        let client = now.saturating_duration_since(asked);
        let all = silence(now, last, figures.waiting.values().copied().min());
        let longest = figures.since_found.unwrap_or_default();
        figures.since_found =
            Some(Waits { client: longest.client.max(client), all: longest.all.max(all) });
        if client.max(all) >= LONG {
            if figures.waits.len() == WAITS_MAX {
                figures.waits.pop_front();
            }
            figures.waits.push_back((now, Waits { client, all }));
        }
        if figures.noted.len() == REMEMBERED {
            figures.noted.pop_front();
        }
        figures.acknowledgements += 1;
        figures.noted.push_back(Noted {
            position: ack.position.0,
            entry_hash: ack.entry_hash,
            took_effect: matches!(
                ack.events.last(),
                Some(Event::Completed { outcome })
                    if !matches!(outcome.kind, OutcomeKind::Rejected { .. })
            ),
        });
    }

    /// The longest waits that ended at or after a moment.
    pub(crate) fn waits_since(&self, moment: Instant) -> Waits {
        let figures = lock(&self.0);
        let since = figures.waits.iter().rev().take_while(|(end, _)| *end >= moment);
        since.fold(Waits::default(), |longest, (_, waits)| Waits {
            client: longest.client.max(waits.client),
            all: longest.all.max(waits.all),
        })
    }

    /// How many there were in all.
    pub(crate) fn acknowledgements(&self) -> u64 {
        lock(&self.0).acknowledgements
    }

    /// The acknowledgements remembered.
    pub(crate) fn noted(&self) -> Vec<Noted> {
        lock(&self.0).noted.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_the_last_answer_only_as_far_as_somebody_waited() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let of = |first_asked: Option<u64>| silence(at(10), at(4), first_asked.map(at));
        assert_eq!(of(Some(1)), Duration::from_secs(6), "it waited before that answer already");
        assert_eq!(of(Some(9)), Duration::from_secs(1), "nobody waited before");
        assert_eq!(of(None), Duration::ZERO);
    }
}
