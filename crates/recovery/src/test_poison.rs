//! A panic on demand, for tests of what follows from one; only in builds with debug assertions.
//! The engine knows nothing of it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_types::{Command, Entry};
use evenkeel_venue::Engine;

static EVERYWHERE: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static HERE: Cell<u64> = const { Cell::new(0) };
}

/// From now on a new order with this label is poison to this process; 0: none is.
pub fn set_everywhere(label: u64) {
    EVERYWHERE.store(label, Ordering::SeqCst);
}

/// As [`set_everywhere`], for this thread alone.
pub fn set_here(label: u64) {
    HERE.set(label);
}

/// Panics at a poisoned entry; not at a retry of it, which the engine does not execute.
pub(crate) fn strike(engine: &Engine, entry: &Entry) {
    let (Command::Place { order } | Command::PlaceWith { order, .. }) = &entry.command else {
        return;
    };
    let is_it = |label: u64| label != 0 && label == order.label;
    let is_poison = is_it(HERE.get()) || is_it(EVERYWHERE.load(Ordering::Relaxed));
    if is_poison && engine.outcome_of(entry.origin).is_none() {
        panic!("a test's poison: an order with label {}", order.label);
    }
}
