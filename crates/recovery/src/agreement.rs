//! Agreement of primary and follower: both publish the digest of their output at the end of every
//! batch, whoever comes second compares. A snapshot counts only at or below the agreed position.

use std::collections::BTreeMap;
use std::sync::Mutex;
use thiserror::Error;

/// Digest of an engine's output up to a position.
pub type Digest = [u8; 32];

/// Two engines that read the same journal gave different output: one of them is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "primary and follower diverge: they agree up to position {agreed} and differ at {position}. \
     No snapshot is taken and no recovery point is made from here on; those up to {agreed} are \
     safe. Stop, keep the folder, and replay it: evenkeel drill --home DIR"
)]
pub struct Divergence {
    /// Everything before this position is agreed.
    pub agreed: u64,
    /// First position compared at which the digests differ.
    pub position: u64,
}

/// Who publishes a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The engine that answers clients.
    Primary,
    /// The engine that takes snapshots.
    Follower,
}

#[derive(Debug, Default)]
struct Board {
    waiting: BTreeMap<u64, (Party, Digest)>,
    agreed: u64,
    agreed_digest: Option<Digest>,
    /// Where they differ: the primary's digest and the follower's.
    differing: Option<[Digest; 2]>,
    /// The primary's newest position.
    primary: u64,
    divergence: Option<Divergence>,
}

/// Where both sides publish.
#[derive(Debug, Default)]
pub struct Agreement(Mutex<Board>);

/// Digests kept for the slower side; older ones are dropped, which only coarsens the comparison.
const WAITING_MAX: usize = 65_536;

impl Agreement {
    /// An empty board.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Publishes the digest after all entries before `position`.
    ///
    /// # Errors
    /// [`Divergence`] if the other side published another digest here, now or at any time before.
    pub fn publish(&self, party: Party, position: u64, digest: Digest) -> Result<(), Divergence> {
        let mut board = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(divergence) = board.divergence {
            return Err(divergence);
        }
        if party == Party::Primary {
            board.primary = board.primary.max(position);
        }
        match board.waiting.get(&position) {
            Some((other, theirs)) if *other != party => {
                if *theirs != digest {
                    let divergence = Divergence { agreed: board.agreed, position };
                    let (mine, theirs) = (digest, *theirs);
                    board.differing = Some(match party {
                        Party::Primary => [mine, theirs],
                        Party::Follower => [theirs, mine],
                    });
                    board.divergence = Some(divergence);
                    return Err(divergence);
                }
                board.agreed = board.agreed.max(position);
                board.agreed_digest = Some(digest);
                board.waiting = board.waiting.split_off(&(position + 1));
            }
            _ => {
                board.waiting.insert(position, (party, digest));
                if board.waiting.len() > WAITING_MAX {
                    board.waiting.pop_first();
                }
            }
        }
        Ok(())
    }

    /// Every entry before this position gave the same output on both sides.
    #[must_use]
    pub fn agreed(&self) -> u64 {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).agreed
    }

    /// The digest at [`Agreement::agreed`]; `None` as long as nothing was compared.
    #[must_use]
    pub fn agreed_digest(&self) -> Option<Digest> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).agreed_digest
    }

    /// The digests that differ, the primary's first.
    #[must_use]
    pub fn differing(&self) -> Option<[Digest; 2]> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).differing
    }

    /// Whether the two sides may still come to agree exactly here: the primary has not passed this
    /// position yet. False for positions that it left before it began to publish, as while a
    /// follower replays what was there at the start; then only going on helps.
    #[must_use]
    pub fn may_come(&self, position: u64) -> bool {
        let board = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        board.agreed < position && board.primary < position && board.divergence.is_none()
    }

    /// The divergence found, if any.
    #[must_use]
    pub fn divergence(&self) -> Option<Divergence> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).divergence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_grows_where_both_sides_say_the_same() {
        let board = Agreement::new();
        board.publish(Party::Primary, 10, [1; 32]).expect("first");
        board.publish(Party::Primary, 20, [2; 32]).expect("second");
        assert_eq!(board.agreed(), 0);
        board.publish(Party::Follower, 10, [1; 32]).expect("agrees");
        assert_eq!(board.agreed(), 10);
        board.publish(Party::Follower, 20, [2; 32]).expect("agrees");
        assert_eq!(board.agreed(), 20);
    }

    #[test]
    fn a_side_that_stands_still_costs_bounded_memory_and_is_compared_again_later() {
        let board = Agreement::new();
        let digest = |position: u64| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&position.to_le_bytes());
            digest
        };
        let end = 3 * WAITING_MAX as u64;
        for position in 1..=end {
            let published = board.publish(Party::Primary, position, digest(position));
            published.expect("nobody differs");
        }
        assert_eq!(board.0.lock().expect("unpoisoned").waiting.len(), WAITING_MAX);
        for position in 1..=end {
            let published = board.publish(Party::Follower, position, digest(position));
            published.expect("nobody differs");
            assert!(board.0.lock().expect("unpoisoned").waiting.len() <= WAITING_MAX);
        }
        assert_eq!(board.agreed(), end);
        assert!(board.0.lock().expect("unpoisoned").waiting.is_empty());
    }

    #[test]
    fn agreement_may_come_only_where_the_primary_has_not_passed() {
        let board = Agreement::new();
        assert!(board.may_come(10), "the primary has not begun");
        board.publish(Party::Follower, 10, [1; 32]).expect("first");
        assert!(board.may_come(10));
        board.publish(Party::Primary, 20, [2; 32]).expect("another");
        assert!(!board.may_come(10), "it began behind this position");
        assert!(board.may_come(30));
        board.publish(Party::Follower, 20, [2; 32]).expect("agrees");
        assert!(!board.may_come(20), "it has come");
    }

    #[test]
    fn a_divergence_names_its_bounds_and_stays() {
        let board = Agreement::new();
        for (position, theirs) in [(10, 1), (20, 9)] {
            board.publish(Party::Follower, position, [theirs; 32]).expect("first");
        }
        board.publish(Party::Primary, 10, [1; 32]).expect("agrees");
        let divergence = board.publish(Party::Primary, 20, [2; 32]).expect_err("differs");
        assert_eq!(divergence, Divergence { agreed: 10, position: 20 });
        assert_eq!(board.publish(Party::Primary, 30, [3; 32]), Err(divergence));
        assert_eq!(board.divergence(), Some(divergence));
    }
}
