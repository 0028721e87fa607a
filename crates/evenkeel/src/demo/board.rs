//! The marks that crowds quote around, shared between threads without locks.

use super::plan::MarketPlan;
use evenkeel_types::{InstrumentId, Ticks};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A cheap handle to the latest marks; clones share them. A reader may see one instrument's new
/// mark beside another's old one, as on any ticker.
#[derive(Debug, Clone)]
pub struct QuoteBoard {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    version: AtomicU64,
    ids: Vec<InstrumentId>,
    /// Mark in ticks; 0 while there is none.
    marks: Vec<AtomicI64>,
}

impl QuoteBoard {
    /// An empty board for the plan's instruments.
    #[must_use]
    pub fn new(plan: &MarketPlan) -> Self {
        let ids: Vec<_> = plan.instruments.iter().map(|listed| listed.id).collect();
        let marks = ids.iter().map(|_| AtomicI64::new(0)).collect();
        Self { shared: Arc::new(Shared { version: AtomicU64::new(0), ids, marks }) }
    }

    /// Shows new marks; instruments that are not listed are passed over.
    pub fn publish(&self, marks: &[(InstrumentId, Ticks)]) {
        for (id, mark) in marks {
            if let Some(index) = self.index_of(*id) {
                self.shared.marks[index].store(mark.0, Ordering::Relaxed);
            }
        }
        self.shared.version.fetch_add(1, Ordering::Release);
    }

    /// Grows with every publication.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// Latest mark, if there is one.
    #[must_use]
    pub fn mark(&self, id: InstrumentId) -> Option<Ticks> {
        self.index_of(id).and_then(|index| self.mark_at(index))
    }

    /// Latest mark by index in the plan.
    pub(super) fn mark_at(&self, index: usize) -> Option<Ticks> {
        let mark = self.shared.marks.get(index)?.load(Ordering::Relaxed);
        (mark > 0).then_some(Ticks(mark))
    }

    fn index_of(&self, id: InstrumentId) -> Option<usize> {
        // Ids are listed from 1 without gaps unless the venue was laid out by somebody else.
        let guess = usize::try_from(id.0).ok()?.checked_sub(1)?;
        if self.shared.ids.get(guess) == Some(&id) {
            return Some(guess);
        }
        self.shared.ids.iter().position(|listed| *listed == id)
    }
}
