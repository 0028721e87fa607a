//! Plays a random history of a venue with margin and checks every promise at every entry.

use crate::common::order_watch::OrderWatch;
use crate::common::risk_watch::RiskWatch;
use crate::common::tally::{self, Tally};
use crate::margin_history::{MarginHistory, Seeded};
use evenkeel_types::InstrumentId;
use evenkeel_venue::Engine;
use std::collections::BTreeMap;

/// Entries between two recomputations of all margins.
const VERIFY_EVERY: usize = 40;

/// Money adds up; longs and shorts cancel out in every instrument.
fn check(engine: &Engine, seed: u64) {
    for currency in engine.conservation() {
        assert_eq!(currency.difference(), 0, "seed {seed}: {currency:?}");
    }
    let mut totals: BTreeMap<InstrumentId, i128> = BTreeMap::new();
    for account in engine.accounts() {
        for position in &account.positions {
            *totals.entry(position.instrument).or_default() += i128::from(position.lots.0);
        }
    }
    for (instrument, total) in totals {
        assert_eq!(total, 0, "seed {seed}: positions of instrument {instrument}");
    }
}

/// Plays a history. At one entry a second engine is restored from a snapshot and must go on with
/// the same digests; margin that is kept must be margin computed from nothing; orders and
/// liquidations are watched from their events alone.
pub fn play(mut history: MarginHistory<Seeded>, seed: u64, entries: usize, seen: &mut Tally) {
    let (mut engine, mut twin) = (Engine::new(), None::<Engine>);
    let (mut orders, mut risks) = (OrderWatch::default(), RiskWatch::default());
    let restore_at = usize::try_from(seed % 997).expect("small") % (entries / 2).max(1) + 60;
    let mut events = Vec::new();
    for count in 0..entries {
        let Some(entry) = history.next_entry() else {
            break;
        };
        events.clear();
        engine.apply(&entry, &mut events);
        history.hear(&events);
        tally::count(seen, &events);
        orders.follow(&events);
        risks.follow(&entry, &events);
        check(&engine, seed);
        if count % VERIFY_EVERY == 0 {
            assert_eq!(engine.verify_margins(), Ok(()), "seed {seed} entry {count}");
            orders.compare(&engine);
        }
        if let Some(twin) = &mut twin {
            twin.apply(&entry, &mut Vec::new());
            assert_eq!(twin.output_digest(), engine.output_digest(), "seed {seed} entry {count}");
        }
        if count == restore_at {
            let restored = Engine::from_snapshot(&engine.snapshot());
            let restored = restored.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(restored.state_root(), engine.state_root(), "seed {seed}");
            twin = Some(restored);
        }
    }
    let twin = twin.map(|twin| twin.state_root());
    assert!(twin.is_none_or(|root| root == engine.state_root()), "seed {seed}");
}
