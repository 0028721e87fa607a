//! Random histories of a venue with margin, checked at every entry.

#[path = "common/margin_history.rs"]
mod margin_history;
#[path = "common/order_watch.rs"]
mod order_watch;

use evenkeel_types::{Event, InstrumentId, OutcomeKind};
use evenkeel_venue::Engine;
use margin_history::{MarginHistory, Seeded};
use order_watch::OrderWatch;
use std::collections::BTreeMap;

/// Entries of one history.
const ENTRIES: usize = 1_500;

/// Longs and shorts cancel out in every instrument.
fn check_positions(engine: &Engine) {
    let mut totals: BTreeMap<InstrumentId, i128> = BTreeMap::new();
    for account in engine.accounts() {
        for position in &account.positions {
            *totals.entry(position.instrument).or_default() += i128::from(position.lots.0);
        }
    }
    for (instrument, total) in totals {
        assert_eq!(total, 0, "positions of instrument {instrument}");
    }
}

/// Plays a history; at one entry a second engine is restored from a snapshot and must go on with
/// the same digests.
fn play(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut history = MarginHistory::new(Seeded(seed));
    let (mut engine, mut twin) = (Engine::new(), None::<Engine>);
    let restore_at = usize::try_from(seed % 1_000).expect("small") + 200;
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut watch = OrderWatch::default();
    let mut events = Vec::new();
    for count in 0..ENTRIES {
        let Some(entry) = history.next_entry() else {
            break;
        };
        events.clear();
        engine.apply(&entry, &mut events);
        history.hear(&events);
        watch.follow(&events);
        if count % 100 == 0 {
            watch.compare(&engine);
        }
        for event in &events {
            *seen.entry(name(event)).or_default() += 1;
        }
        check_positions(&engine);
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
    assert_eq!(twin.map(|twin| twin.state_root()), Some(engine.state_root()), "seed {seed}");
    seen
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Traded { .. } => "trades",
        Event::Liquidation { .. } => "liquidation steps",
        Event::InstrumentSettled { .. } => "settlements",
        Event::FundingSet { .. } => "fundings",
        Event::ModeSetIn { .. } => "mode changes",
        Event::OrderTriggered { .. } => "triggers",
        Event::TradeBusted { .. } => "busts",
        Event::AuctionCrossed { .. } => "auctions",
        Event::ProtectionHit { .. } => "protections",
        Event::WithdrawalChanged { .. } => "withdrawal steps",
        Event::Completed { outcome } => match outcome.kind {
            OutcomeKind::Rejected { code } => code.sentence(),
            _ => "done",
        },
        _ => "other",
    }
}

#[test]
fn random_histories_keep_every_promise_at_every_entry() {
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 0..60 {
        for (name, count) in play(seed) {
            *seen.entry(name).or_default() += count;
        }
    }
    println!("{seen:?}");
    assert!(seen.get("trades").is_some_and(|count| *count > 100));
}
