//! The market against the types' own rules, and its determinism.

use super::*;
use evenkeel_types::{
    Command, Decimal, Event, InstrumentKind, Origin, Outcome, OutcomeKind, Position, SessionId,
    Ticks, Timestamp,
};
use std::collections::BTreeSet;

/// 2026-11-21T01:37:54Z.
const START: Timestamp = Timestamp(1_795_225_074_000_000_000);
const STEP_NS: u64 = 50_000_000;

fn market() -> MarketPlan {
    plan(7, 300, START)
}

#[test]
fn every_listed_instrument_has_consistent_terms_and_a_name_of_its_own() {
    let plan = market();
    let mut names = BTreeSet::new();
    for (listed, number) in plan.instruments.iter().zip(1..) {
        assert_eq!(listed.id.0, number);
        assert!(names.insert(listed.symbol.as_str().to_owned()), "{}", listed.symbol);
        let scale = plan.currencies.iter().find(|known| known.id == listed.settlement);
        let scale = scale.expect("settles in a known currency").scale;
        listed.valuation(scale).expect("terms fit");
        if let Some(expiry) = listed.expiry() {
            assert!(expiry.0 >= START.0 + 7 * calendar::DAY_NS);
        }
    }
    for name in ["BTC_USDC", "ETH-PERP", "BTC-26MAR27", "BTC-25DEC26-80000-C"] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
    assert_eq!(names.len(), 2 * (3 + 4 * 11 * 2));
}

#[test]
fn a_spot_lot_is_a_whole_number_of_coins_smallest_units() {
    let plan = market();
    for listed in plan.instruments.iter().filter(|it| it.kind == InstrumentKind::Spot) {
        let base = plan.currencies.iter().find(|known| known.id == listed.base);
        assert!(listed.lot.in_units(base.expect("known").scale).is_some());
        assert_eq!(listed.contract_size, Decimal::whole(1));
    }
}

#[test]
fn cheap_options_trade_on_the_small_tick() {
    let plan = market();
    let marks = PriceModel::new(&plan, 7).marks();
    let option =
        |it: &&evenkeel_types::Instrument| matches!(it.kind, InstrumentKind::Option { .. });
    let mut small = 0;
    for listed in plan.instruments.iter().filter(option) {
        let index = plan.index_of(listed.id).expect("listed");
        let coin = listed.tick.times(marks[index].1.0.into()).expect("fits");
        let is_small = listed.tick == Decimal::new(1, 4).expect("decimal");
        small += usize::from(is_small);
        let limit = Decimal::new(5, 3).expect("decimal");
        assert!(if is_small { coin <= limit } else { coin >= limit }, "{}: {coin}", listed.symbol);
    }
    assert!(small > 0);
}

#[test]
fn founding_names_everything_before_it_is_used() {
    let plan = market();
    let commands = plan.founding_commands([1; 16], [2; 32]);
    assert!(matches!(commands[0], Command::Found { .. }));
    let mut accounts = BTreeSet::new();
    let mut currencies = BTreeSet::new();
    for command in &commands[1..] {
        match command {
            Command::DefineCurrency { currency } => assert!(currencies.insert(currency.id)),
            Command::DefineInstrument { instrument } => {
                assert!(currencies.contains(&instrument.base));
                assert!(currencies.contains(&instrument.quote));
            }
            Command::OpenAccount { account, .. } => assert!(accounts.insert(*account)),
            Command::Deposit { account, currency, amount } => {
                assert!(accounts.contains(account) && currencies.contains(currency));
                assert!(amount.0 > 0);
            }
            other => panic!("{other:?} does not found anything"),
        }
    }
    assert_eq!(accounts.len(), 300);
}

#[test]
fn prices_stay_within_their_bounds_for_a_simulated_day() {
    let plan = market();
    let mut model = PriceModel::new(&plan, 11);
    let mut stressed = 0;
    for _ in 0..24 * 60 {
        model.step(60_000_000_000);
        let index = model.index("BTC").expect("quoted");
        assert!((49_000.0..126_000.0).contains(&index), "{index}");
        stressed += usize::from(model.stress() > 0.5);
        assert!(model.marks().iter().all(|(_, mark)| mark.0 >= 1));
    }
    assert!(stressed > 0, "an hour sees stress now and then, a day certainly");
    assert_eq!(model.now().0, START.0 + calendar::DAY_NS);
}

#[test]
fn a_model_that_continues_begins_at_the_last_marks() {
    let plan = market();
    let mut model = PriceModel::new(&plan, 11);
    for _ in 0..600 {
        model.step(1_000_000_000);
    }
    let marks = model.marks();
    let instruments = plan.instruments.clone();
    let accounts: Vec<_> = plan.accounts.iter().map(|account| account.id).collect();
    let reopened = MarketPlan::reopen(plan.currencies, instruments, &accounts, model.now());
    let mut next = PriceModel::new(&reopened, 12);
    next.continue_from(&marks);
    let (old, new) = (model.index("ETH").expect("quoted"), next.index("ETH").expect("quoted"));
    assert!((old - new).abs() <= 0.05, "{old} {new}");
}

#[test]
fn a_reopened_plan_has_the_same_makers() {
    let plan = market();
    let accounts: Vec<_> = plan.accounts.iter().map(|account| account.id).collect();
    let again =
        MarketPlan::reopen(plan.currencies.clone(), plan.instruments.clone(), &accounts, START);
    let makers = |plan: &MarketPlan| -> Vec<bool> {
        plan.accounts.iter().map(|account| account.is_maker).collect()
    };
    assert_eq!(makers(&plan), makers(&again));
    assert_eq!(makers(&plan).iter().filter(|is_maker| **is_maker).count(), 21);
}

/// Commands of two crowds whose every command is refused or accepted by a rule that both runs
/// share; the venue itself is tested in `tests/demo_market.rs`.
fn commands(seed: u64) -> Vec<(Origin, Command)> {
    let plan = plan(seed, 60, START);
    let board = QuoteBoard::new(&plan);
    let mut model = PriceModel::new(&plan, seed);
    let mut crowds = [0..30, 30..60].map(|range| Crowd::new(&plan, seed, range, SessionId(1)));
    let (mut all, mut next_order) = (Vec::new(), 0);
    for round in 0..40 {
        model.step(STEP_NS);
        board.publish(&model.marks());
        for crowd in &mut crowds {
            for (origin, command) in crowd.next_batch(START.0 + round * STEP_NS, &board, 50) {
                let kind = match command {
                    Command::Place { .. } => {
                        next_order += 1;
                        OutcomeKind::Order { order: evenkeel_types::OrderId(next_order) }
                    }
                    _ => OutcomeKind::Done,
                };
                let outcome = Outcome { position: Position(all.len() as u64), kind };
                crowd.on_ack(&origin, &[Event::Completed { outcome }]);
                all.push((origin, command));
            }
        }
    }
    all
}

#[test]
fn the_same_seed_sends_the_same_commands_and_another_seed_others() {
    assert_eq!(commands(5), commands(5));
    assert_ne!(commands(5), commands(6));
}

#[test]
fn sequences_of_a_session_begin_at_one_and_have_no_gap() {
    let mut next = std::collections::BTreeMap::new();
    for (origin, command) in commands(5) {
        let expected = next.entry(origin.account).or_insert(1);
        assert_eq!(origin.sequence.0, *expected);
        let connects = matches!(command, Command::Connect { cancel_on_disconnect: true });
        assert_eq!(connects, *expected == 1);
        *expected += 1;
    }
    assert_eq!(next.len(), 60);
}

#[test]
fn without_answers_a_crowd_falls_silent_instead_of_flooding() {
    let plan = market();
    let board = QuoteBoard::new(&plan);
    board.publish(&PriceModel::new(&plan, 1).marks());
    let mut crowd = Crowd::new(&plan, 1, 0..300, SessionId(1));
    while !crowd.next_batch(START.0, &board, 1_000).is_empty() {}
    assert!(crowd.in_flight() <= 8_192);
    assert_eq!(crowd.open_orders(), 0);
}

#[test]
fn a_board_shows_what_was_published_and_nothing_before() {
    let plan = market();
    let board = QuoteBoard::new(&plan);
    let id = plan.instruments[5].id;
    assert_eq!(board.mark(id), None);
    board.clone().publish(&[(id, Ticks(42))]);
    assert_eq!(board.mark(id), Some(Ticks(42)));
    assert_eq!(board.version(), 1);
}
