//! The second bookkeeper: equal to the engine after every entry, and able to find a difference.

use evenkeel_recovery::Ledger;
use evenkeel_types::{AccountId, Entry, Event, Lots, Money, Ticks, Timestamp};
use evenkeel_venue::Engine;
use proptest::prelude::*;

use crate::support::market::{BTC, Market, START_NS, origin};

/// Applies the market's next entry.
fn step(market: &mut Market, engine: &mut Engine, events: &mut Vec<Event>) {
    let request = market.next_request();
    let entry = Entry {
        time: Timestamp(START_NS + engine.next_position().0),
        origin: request.origin,
        command: request.command,
    };
    events.clear();
    engine.apply(&entry, events);
    market.observe(events);
}

fn assert_equal(ledger: &Ledger, engine: &Engine, what: &str) -> Result<(), TestCaseError> {
    let (accounts, mismatches) = ledger.compare(engine).unwrap();
    prop_assert_eq!(accounts, engine.account_count() as u64);
    let position = engine.next_position();
    prop_assert!(mismatches.is_empty(), "{what}, position {position}: {mismatches:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn it_equals_the_engine_after_every_entry_from_anywhere(
        seed in any::<u64>(), opened_at in 0..500u64, resumed_at in 100..500u64,
    ) {
        let (mut market, mut engine) = (Market::new(seed), Engine::new());
        let (mut books, mut events) = (Ledger::new(), Vec::new());
        let mut opened: Option<Ledger> = None;
        let (mut trades, mut position) = (0, 0);
        // A quiet seed trades later, not never.
        while position < 500 || (trades <= 30 && position < 5_000) {
            if position == opened_at {
                let restored = Engine::from_snapshot(&engine.snapshot()).unwrap();
                opened = Some(Ledger::opened_with(&restored).unwrap());
                assert_equal(opened.as_ref().unwrap(), &engine, "opened")?;
            }
            if position == resumed_at {
                let entry = Entry {
                    time: engine.time(),
                    origin: origin(0, 0, 1),
                    command: evenkeel_types::Command::Resume { term: evenkeel_types::Term(9) },
                };
                events.clear();
                engine.apply(&entry, &mut events);
                for event in &events {
                    books.fold(event).unwrap();
                    opened.iter_mut().for_each(|books| books.fold(event).unwrap());
                }
            }
            step(&mut market, &mut engine, &mut events);
            for event in &events {
                trades += u64::from(matches!(event, Event::Traded { .. }));
                books.fold(event).unwrap();
                opened.iter_mut().for_each(|books| books.fold(event).unwrap());
            }
            assert_equal(&books, &engine, "from the beginning")?;
            if let Some(opened) = &opened {
                assert_equal(opened, &engine, "from a checkpoint")?;
            }
            position += 1;
        }
        prop_assert!(trades > 30, "a history without trades proves nothing");
    }
}

/// What could be told wrongly about one event.
fn distorted(event: &Event) -> Vec<Event> {
    let changed = |change: &dyn Fn(&mut Event)| {
        let mut event = event.clone();
        change(&mut event);
        event
    };
    match event {
        Event::Deposited { .. } | Event::Withdrawn { .. } => vec![
            changed(&|event| {
                let (Event::Deposited { amount, .. } | Event::Withdrawn { amount, .. }) = event
                else {
                    return;
                };
                *amount = Money(amount.0 + 1);
            }),
            changed(&|event| {
                let (Event::Deposited { account, .. } | Event::Withdrawn { account, .. }) = event
                else {
                    return;
                };
                *account = AccountId(1 + account.0 % 5);
            }),
        ],
        Event::Traded { maker_account, taker_account, .. } if maker_account != taker_account => {
            vec![
                changed(&|event| {
                    if let Event::Traded { lots, .. } = event {
                        *lots = Lots(lots.0 + 1);
                    }
                }),
                changed(&|event| {
                    if let Event::Traded { taker_side, .. } = event {
                        *taker_side = taker_side.opposite();
                    }
                }),
                changed(&|event| {
                    if let Event::Traded { price, .. } = event {
                        *price = Ticks(price.0 * 2);
                    }
                }),
            ]
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_single_wrong_or_missing_event_is_found() {
    let (mut market, mut engine) = (Market::new(77), Engine::new());
    let (mut books, mut events, mut tried) = (Ledger::new(), Vec::new(), 0);
    for _ in 0..400 {
        step(&mut market, &mut engine, &mut events);
        for (at, event) in events.iter().enumerate() {
            let mut versions: Vec<Option<Event>> = distorted(event).into_iter().map(Some).collect();
            if !versions.is_empty() {
                versions.push(None);
            }
            for version in versions {
                let mut wrong = books.clone();
                let before = events[..at].iter();
                let told = before.chain(version.as_ref()).chain(&events[at + 1..]);
                told.for_each(|event| wrong.fold(event).unwrap());
                let (_, mismatches) = wrong.compare(&engine).unwrap();
                assert!(!mismatches.is_empty(), "{event:?} told as {version:?}");
                tried += 1;
            }
        }
        events.iter().for_each(|event| books.fold(event).unwrap());
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn an_account_that_the_engine_lost_is_found() {
    let (mut market, mut engine, mut events) = (Market::new(78), Engine::new(), Vec::new());
    let mut books = Ledger::new();
    for _ in 0..market.founding_count() {
        step(&mut market, &mut engine, &mut events);
        events.iter().for_each(|event| books.fold(event).unwrap());
    }
    let account = AccountId(4711);
    let amount = Money(5);
    let deposit = Event::Deposited { account, currency: BTC, amount };
    books.fold(&deposit).unwrap();
    let (_, mismatches) = books.compare(&engine).unwrap();
    // What came in differs as well: that is nobody's figure.
    assert_eq!(mismatches.len(), 2, "{mismatches:?}");
    assert_eq!(
        (mismatches[1].account, &*mismatches[1].what),
        (AccountId(0), "net deposits of BTC")
    );
    let lost = &mismatches[0];
    assert_eq!((lost.account, lost.engine, lost.ledger), (account, 0, 5));
    assert_eq!(lost.what, "balance in BTC");
}

/// A defect of the state alone, as a restore from a wrong snapshot would bring.
#[test]
fn books_kept_from_the_beginning_find_a_state_that_is_another() {
    let (mut one, mut other) = (Market::new(79), Market::new(80));
    let (mut engine, mut different) = (Engine::new(), Engine::new());
    let (mut books, mut events) = (Ledger::new(), Vec::new());
    for _ in 0..200 {
        step(&mut other, &mut different, &mut events);
        step(&mut one, &mut engine, &mut events);
        events.iter().for_each(|event| books.fold(event).unwrap());
    }
    assert!(books.compare(&engine).unwrap().1.is_empty());
    assert!(!books.compare(&different).unwrap().1.is_empty());
}
