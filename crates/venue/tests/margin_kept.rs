//! Margin kept fill by fill equals margin computed from nothing, whatever happened before.
#![allow(missing_docs, reason = "tests")]

#[path = "common/margin_history.rs"]
mod margin_history;

use evenkeel_types::AccountId;
use evenkeel_types::terms::MarginModel;
use evenkeel_venue::Engine;
use margin_history::{MarginHistory, Seeded};

/// Histories; longer campaigns run the fuzzer over the same choices.
const HISTORIES: u64 = 24;
/// Entries of one history.
const ENTRIES: usize = 1_200;

/// What histories went through.
#[derive(Debug, Default)]
struct Seen {
    compared: u64,
    with_needs: u64,
    of_portfolios: u64,
}

/// Plays a history on three engines: one whose margins are compared at every entry, one where that
/// happens now and then, so that sums are brought up over many changes, and one that is left alone.
/// Looking must not change what an engine says.
fn play(seed: u64, seen: &mut Seen) {
    let mut history = MarginHistory::new(Seeded(seed));
    let (mut always, mut rarely, mut never) = (Engine::new(), Engine::new(), Engine::new());
    let mut events = Vec::new();
    for count in 0..ENTRIES {
        let Some(entry) = history.next_entry() else {
            break;
        };
        events.clear();
        never.apply(&entry, &mut events);
        history.hear(&events);
        always.apply(&entry, &mut Vec::new());
        rarely.apply(&entry, &mut Vec::new());
        let differs = |account: AccountId| panic!("seed {seed} entry {count} account {account}");
        always.verify_margins().unwrap_or_else(differs);
        if seed.wrapping_add(count as u64).is_multiple_of(37) {
            rarely.verify_margins().unwrap_or_else(differs);
            look(&never, seen);
        }
    }
    assert_eq!(always.output_digest(), never.output_digest(), "seed {seed}");
    assert_eq!(rarely.state_root(), never.state_root(), "seed {seed}");
}

fn look(engine: &Engine, seen: &mut Seen) {
    for account in engine.accounts() {
        let margin = engine.margin(account.id).expect("exists");
        seen.compared += 1;
        if margin.currencies.iter().any(|it| it.maintenance.0 > 0) {
            seen.with_needs += 1;
            let model = engine.margin_model(account.id);
            seen.of_portfolios += u64::from(model == Some(MarginModel::Portfolio));
        }
    }
}

#[test]
fn margin_kept_up_is_margin_computed_from_nothing() {
    let mut seen = Seen::default();
    for seed in 0..HISTORIES {
        play(seed, &mut seen);
    }
    println!("{seen:?}");
    assert!(seen.with_needs > 100 && seen.of_portfolios > 20, "{seen:?}");
}
