//! Room in the store: ordinary entries are slowed down, then refused, long before the store itself
//! refuses; what protects goes on until it does.

use evenkeel_journal::{Admission, JournalError};

use super::{Housekeeping, QuorumLog};
use crate::status::Waiting;
use crate::store::{Health, Store};

/// Above this share of the quota ordinary appends wait for trimming, in per cent.
const SLOW_PER_CENT: u64 = 50;

/// Above this share of the quota ordinary appends are refused, in per cent.
const REFUSE_PER_CENT: u64 = 80;

/// Between two looks at the store while an append waits for room, in milliseconds.
const LOOK_EVERY_MS: u64 = 25;

/// What is known about the store's space.
///
/// The live bytes count, not the used ones: pages that trimming freed are used again, but not given
/// back, so the used bytes never fall by themselves.
#[derive(Debug, Default)]
pub(super) struct Room {
    health: Option<Health>,
    asked_at_ms: Option<u64>,
    written_since_bytes: u64,
}

impl Room {
    pub(super) fn note_written(&mut self, bytes: u64) {
        self.written_since_bytes = self.written_since_bytes.saturating_add(bytes);
    }

    /// Whether the store was last heard to refuse writes.
    pub(super) fn is_full(&self) -> bool {
        self.health.is_some_and(|health| health.full)
    }

    fn live_bytes(&self) -> u64 {
        let live_bytes = self.health.map_or(0, |health| health.live_bytes);
        live_bytes.saturating_add(self.written_since_bytes)
    }

    fn quota_bytes(&self) -> u64 {
        self.health.map_or(0, |health| health.quota_bytes)
    }

    fn is_above(&self, per_cent: u64) -> bool {
        let (live, quota) = (u128::from(self.live_bytes()), u128::from(self.quota_bytes()));
        quota > 0 && live * 100 > quota * u128::from(per_cent)
    }

    /// Whether less than the bound for slowing down is in use.
    pub(super) fn is_easy(&self) -> bool {
        !self.is_above(SLOW_PER_CENT)
    }
}

/// Whether so little of a store is in use that a full one has room as soon as it gives it back.
pub(crate) fn is_easy(health: &Health) -> bool {
    Room { health: Some(*health), ..Room::default() }.is_easy()
}

impl<S: Store> QuorumLog<S> {
    /// Lets an append through, if need be after some time.
    pub(super) fn make_room(&mut self, admission: Admission) -> Result<(), JournalError> {
        if admission == Admission::Reserve || (self.room.is_easy() && !self.room.is_full()) {
            return Ok(());
        }
        let begun_ms = self.running.pause.now_ms();
        self.running.handle.note(|status| status.slowed += 1);
        loop {
            let now_ms = self.running.pause.now_ms();
            if self.room.asked_at_ms.is_none_or(|at| now_ms >= at + LOOK_EVERY_MS) {
                self.trim()?;
                self.look_at_health();
            }
            if self.room.is_easy() && !self.room.is_full() {
                break;
            }
            let waited_ms = now_ms.saturating_sub(begun_ms);
            let waiting = Waiting {
                since_ms: begun_ms,
                waited_ms,
                attempts: 0,
                why: format!(
                    "the shared store fills up ({} of {} bytes): ordinary entries wait until the \
                     sites have taken over what it holds",
                    self.room.live_bytes(),
                    self.room.quota_bytes()
                ),
            };
            self.running.handle.note(|status| status.waiting = Some(waiting));
            let over = waited_ms >= self.running.settings.room_wait_ms;
            if over || self.running.handle.is_stopped() {
                break;
            }
            self.running.pause.pause(LOOK_EVERY_MS);
        }
        self.waited();
        if self.room.is_full() || self.room.is_above(REFUSE_PER_CENT) {
            return Err(self.refuse_full(admission));
        }
        Ok(())
    }

    pub(super) fn refuse_full(&mut self, admission: Admission) -> JournalError {
        self.running.handle.note(|status| status.refused += 1);
        self.waited();
        JournalError::StoreFull {
            admission,
            used_bytes: self.room.live_bytes(),
            quota_bytes: self.room.quota_bytes(),
        }
    }

    /// Asks the store how it is doing; what it does not answer leaves the last answer standing.
    pub(super) fn look_at_health(&mut self) {
        self.room.asked_at_ms = Some(self.running.pause.now_ms());
        let health = match self.running.settings.housekeeping {
            Housekeeping::Inline => self.store.health().ok(),
            Housekeeping::Keeper => self.running.handle.take_health(),
        };
        if let Some(health) = health {
            self.room.health = Some(health);
            self.room.written_since_bytes = 0;
            self.running.handle.note(|status| status.health = Some(health));
        }
    }

    pub(super) fn look_at_health_if_due(&mut self) {
        let now_ms = self.running.pause.now_ms();
        let every_ms = match self.running.settings.housekeeping {
            Housekeeping::Inline => self.running.settings.health_every_ms,
            // It costs nothing to look at what the keeper heard.
            Housekeeping::Keeper => 0,
        };
        if self.room.asked_at_ms.is_none_or(|at| now_ms >= at.saturating_add(every_ms)) {
            self.look_at_health();
        }
    }
}
