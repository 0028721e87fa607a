//! Entries that are passed over: what they leave behind, and what the journal's `Skip` does.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{DOLLAR, LINEAR_PERPETUAL, MarginDesk, USD};
use common::{Desk, LINEAR_FUTURE, limit, origin, outcome};
use evenkeel_types::merkle::{Hash, leaf_hash};
use evenkeel_types::regime::{Cause, Scope};
use evenkeel_types::{
    Canonical, Command, Entry, Event, InstrumentId, Mode, OutcomeKind, Position, RejectCode, Side,
    Timestamp,
};
use evenkeel_venue::{CAUSE_SKIPPED, Engine, SKIPS_MAX};

fn entry(time: Timestamp, sequence: u64, command: Command) -> (Entry, Hash) {
    let entry = Entry { time, origin: origin(3, 9, sequence), command };
    let hash = leaf_hash(&entry.to_bytes());
    (entry, hash)
}

fn skip(engine: &mut Engine, entry: &Entry, hash: Hash) -> Vec<Event> {
    let mut events = Vec::new();
    engine.skip(entry, hash, &mut events);
    events
}

fn note(position: Position, entry: Hash, instrument: InstrumentId) -> Command {
    Command::Skip { position, entry, instrument: Some(instrument) }
}

/// A venue in which account 3 holds a position and has an order open.
fn margin_desk() -> MarginDesk {
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 200_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 1_000);
    desk.accept(3, limit(LINEAR_PERPETUAL, Side::Buy, 119_000, 100));
    desk
}

#[test]
fn an_entry_passed_over_takes_its_place_and_time_and_changes_nothing_else() {
    let desk = margin_desk();
    let mut engine = desk.engine.clone();
    let (before, accounts) = (engine.next_position(), engine.accounts().collect::<Vec<_>>());
    let time = Timestamp(desk.time.0 + 5);
    let (entry, hash) = entry(time, 1, limit(LINEAR_PERPETUAL, Side::Buy, 118_000, 1));
    let events = skip(&mut engine, &entry, hash);
    let kind = OutcomeKind::Rejected { code: RejectCode::Skipped };
    assert_eq!(events[0], Event::Skipped { entry: hash });
    assert_eq!(outcome(&events).kind, kind);
    assert_eq!((events.len(), outcome(&events).position), (2, before));
    assert_eq!((engine.next_position(), engine.time()), (Position(before.0 + 1), time));
    assert_eq!(engine.skipped(before), Some(hash));
    assert_eq!(engine.skipped(Position(before.0 - 1)), None);
    assert_eq!(engine.accounts().collect::<Vec<_>>(), accounts);
    assert_eq!(engine.open_order_count(), desk.engine.open_order_count());
    assert_ne!(engine.output_digest(), desk.engine.output_digest());
    assert_ne!(engine.state_root(), desk.engine.state_root());
}

#[test]
fn a_retry_of_what_was_passed_over_is_answered_and_not_tried_again() {
    let mut desk = margin_desk();
    let command = limit(LINEAR_PERPETUAL, Side::Buy, 118_000, 1);
    let (entry, hash) = entry(desk.time, 7, command);
    let first = outcome(&skip(&mut desk.engine, &entry, hash));
    let orders = desk.engine.open_order_count();
    let mut events = Vec::new();
    desk.engine.apply(&entry, &mut events);
    assert_eq!(events.last(), Some(&Event::Repeated { original: first }));
    assert_eq!(desk.engine.open_order_count(), orders);
    assert_eq!(desk.engine.outcome_of(entry.origin), Some(first));
    let next = Entry { origin: origin(3, 9, 8), ..entry };
    desk.engine.apply(&next, &mut events);
    assert_eq!(desk.engine.open_order_count(), orders + 1, "the session goes on");
}

#[test]
fn a_retry_that_is_itself_passed_over_keeps_its_first_outcome() {
    let mut desk = margin_desk();
    let before = desk.send_in(3, 9, limit(LINEAR_PERPETUAL, Side::Buy, 118_000, 1));
    let origin = desk.entries.last().expect("sent").origin;
    let command = Command::Tick;
    let again = Entry { time: desk.time, origin, command };
    let events = skip(&mut desk.engine, &again, leaf_hash(&again.to_bytes()));
    assert_eq!(events.last(), Some(&Event::Repeated { original: outcome(&before) }));
}

#[test]
fn the_journals_word_halts_the_instrument_and_nothing_else_until_the_operator_opens_it() {
    let mut desk = margin_desk();
    let position = desk.engine.next_position();
    let command = limit(LINEAR_PERPETUAL, Side::Buy, 118_000, 1);
    let (entry, hash) = entry(desk.time, 1, command.clone());
    skip(&mut desk.engine, &entry, hash);
    let events = desk.operator(note(position, hash, LINEAR_PERPETUAL));
    let (instrument, mode) = (LINEAR_PERPETUAL, Mode::Halted);
    let noted = Event::SkipNoted { position, entry: hash, instrument: Some(instrument) };
    let (scope, cause) = (Scope::Instrument { instrument }, Cause::Skipped { position });
    assert!(events.contains(&noted), "{events:?}");
    assert!(events.contains(&Event::ModeSetIn { scope, mode, cause }), "{events:?}");
    assert_eq!(desk.refuse(3, command), RejectCode::Halted);
    assert_eq!(desk.engine.mode(), Mode::Normal);
    for _ in 0..600 {
        desk.wait(1_000_000_000);
        desk.feed(60_000, 60);
        desk.tick();
    }
    let command = limit(LINEAR_PERPETUAL, Side::Buy, 118_000, 1);
    assert_eq!(desk.refuse(3, command), RejectCode::Halted, "it never walks back by itself");
    for mode in [Mode::CancelOnly, Mode::ReduceOnly, Mode::Auction, Mode::Normal] {
        desk.operator(Command::SetModeIn { scope, mode, code: 0 });
    }
    desk.accept(3, limit(LINEAR_PERPETUAL, Side::Buy, 118_000, 1));
}

#[test]
fn under_the_first_rules_the_journals_word_halts_the_venue() {
    let mut desk = Desk::open();
    let position = desk.engine.next_position();
    let (entry, hash) = entry(desk.time, 1, limit(LINEAR_FUTURE, Side::Buy, 100, 1));
    skip(&mut desk.engine, &entry, hash);
    let events = desk.operator(note(position, hash, LINEAR_FUTURE));
    assert!(events.contains(&Event::ModeChanged { mode: Mode::Halted, cause: CAUSE_SKIPPED }));
    assert_eq!(desk.refuse(1, limit(LINEAR_FUTURE, Side::Buy, 100, 1)), RejectCode::Halted);
}

#[test]
fn the_journals_word_about_an_entry_that_was_applied_is_refused() {
    let mut desk = margin_desk();
    let position = desk.engine.next_position();
    desk.accept(3, limit(LINEAR_PERPETUAL, Side::Buy, 118_000, 1));
    let hash = leaf_hash(&desk.entries.last().expect("sent").to_bytes());
    assert_eq!(desk.refuse(0, note(position, hash, LINEAR_PERPETUAL)), RejectCode::NotSkipped);
    let position = desk.engine.next_position();
    let (entry, hash) = entry(desk.time, 1, limit(LINEAR_PERPETUAL, Side::Buy, 117_000, 1));
    skip(&mut desk.engine, &entry, hash);
    let other = note(position, [9; 32], LINEAR_PERPETUAL);
    assert_eq!(desk.refuse(0, other), RejectCode::NotSkipped, "of another entry");
    assert_eq!(desk.refuse(3, note(position, hash, LINEAR_PERPETUAL)), RejectCode::NotOperator);
    let unknown = Command::Skip { position, entry: hash, instrument: Some(InstrumentId(77_777)) };
    desk.operator(unknown);
    desk.operator(Command::Skip { position, entry: hash, instrument: None });
    desk.accept(3, limit(LINEAR_PERPETUAL, Side::Buy, 118_000, 1));
}

#[test]
fn what_was_passed_over_is_in_the_snapshot_and_bounded() {
    for mut engine in [Desk::open().engine, margin_desk().engine] {
        let plain = engine.snapshot();
        let first = engine.next_position();
        for number in 0..SKIPS_MAX as u64 + 3 {
            let (time, command) = (engine.time(), Command::Tick);
            let (entry, hash) = entry(time, number + 1, command);
            skip(&mut engine, &entry, hash);
        }
        assert_eq!(engine.skips().len(), SKIPS_MAX);
        assert_eq!(engine.skipped(Position(first.0 + 2)), None, "the oldest are forgotten");
        assert!(engine.skipped(Position(first.0 + 3)).is_some());
        let restored = Engine::from_snapshot(&engine.snapshot()).expect("its own snapshot");
        assert_eq!(restored.state_root(), engine.state_root());
        assert_eq!(restored.skips().collect::<Vec<_>>(), engine.skips().collect::<Vec<_>>());
        assert_eq!(engine.state_tree().root(), engine.state_root());
        // A leaf that says nothing is not one that an engine writes.
        let mut padded = plain;
        padded.extend_from_slice(&[13, 0]);
        assert!(Engine::from_snapshot(&padded).is_err());
    }
}

#[test]
fn the_instrument_of_a_command_is_told_from_the_state() {
    let mut desk = margin_desk();
    let placed = outcome(&desk.accept(3, limit(LINEAR_PERPETUAL, Side::Buy, 117_000, 2)));
    let OutcomeKind::Order { order } = placed.kind else { panic!("an order") };
    let engine = &desk.engine;
    let named = |command| engine.instrument_of(&command);
    assert_eq!(named(Command::Cancel { order }), Some(LINEAR_PERPETUAL));
    assert_eq!(named(limit(LINEAR_PERPETUAL, Side::Sell, 130_000, 1)), Some(LINEAR_PERPETUAL));
    assert_eq!(named(limit(InstrumentId(77_777), Side::Sell, 130_000, 1)), None);
    assert_eq!(named(Command::Tick), None);
    let trade = engine.recent_trades().next().expect("a trade").trade;
    assert_eq!(named(Command::BustTrade { trade, code: 0 }), Some(LINEAR_PERPETUAL));
}
