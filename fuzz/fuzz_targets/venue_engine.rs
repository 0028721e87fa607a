//! The engine with margin, driven by commands that the bytes choose; every promise is checked at
//! every entry.
#![no_main]

#[path = "../../crates/venue/tests/common/margin_history.rs"]
#[allow(dead_code)]
mod margin_history;

use evenkeel_types::{Canonical, Entry};
use evenkeel_venue::Engine;
use margin_history::{Choices, MarginHistory};
use std::collections::BTreeMap;

/// Two bytes a choice; zeros once they are used up.
struct Bytes<'a> {
    bytes: &'a [u8],
}

impl Choices for Bytes<'_> {
    fn next(&mut self) -> u64 {
        let (taken, rest) = self.bytes.split_at(self.bytes.len().min(2));
        self.bytes = rest;
        taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn is_spent(&self) -> bool {
        self.bytes.is_empty()
    }
}

fn check(engine: &Engine) {
    for currency in engine.conservation() {
        assert_eq!(currency.difference(), 0, "{currency:?}");
    }
    assert!(engine.running_sums_hold());
    let mut totals = BTreeMap::new();
    for account in engine.accounts() {
        for position in &account.positions {
            *totals.entry(position.instrument).or_insert(0i128) += i128::from(position.lots.0);
        }
    }
    assert!(totals.values().all(|total| *total == 0), "{totals:?}");
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let restore_at = bytes.len() / 8 + 60;
    let mut history = MarginHistory::new(Bytes { bytes });
    let (mut engine, mut twin) = (Engine::new(), None::<Engine>);
    let mut events = Vec::new();
    let mut count = 0;
    while let Some(entry) = history.next_entry() {
        assert_eq!(Entry::from_bytes(&entry.to_bytes()).as_ref(), Ok(&entry));
        events.clear();
        engine.apply(&entry, &mut events);
        history.hear(&events);
        check(&engine);
        if let Some(twin) = &mut twin {
            twin.apply(&entry, &mut Vec::new());
            assert_eq!(twin.output_digest(), engine.output_digest());
        }
        if count == restore_at {
            let restored = Engine::from_snapshot(&engine.snapshot()).expect("its own snapshot");
            assert_eq!(restored.state_root(), engine.state_root());
            twin = Some(restored);
        }
        count += 1;
    }
    engine.verify_margins().expect("kept margin is computed margin");
});
