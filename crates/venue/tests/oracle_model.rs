//! Prices against a model that knows nothing but the last reading of each source.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{BTC_USD, MarginDesk, SOURCES, underlying, venue_terms};
use evenkeel_types::oracle::{Price, Reading};
use evenkeel_types::{Command, Term, Timestamp};
use proptest::prelude::*;

const MS: u64 = 1_000_000;

#[derive(Debug, Clone, Copy)]
enum Step {
    Say { source: usize, price: i64, late_ms: u64 },
    Wait { ms: u64 },
    Resume,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3usize, 1..200_000i64, 0..3_000u64)
            .prop_map(|(source, price, late_ms)| Step::Say { source, price, late_ms }),
        4 => (1..4_000u64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Resume),
    ]
}

/// What the sources said last, and what followed from it.
#[derive(Default)]
struct Model {
    last: [Option<(i64, u64)>; 3],
    index: Option<(i64, u64)>,
    void_before: u64,
}

impl Model {
    const FRESH: u64 = 5_000 * MS;

    /// The median of the fresh readings, if two of three are; else what held before.
    fn settle(&mut self, now: u64) {
        let fresh: Vec<(i64, u64)> =
            self.last.iter().flatten().copied().filter(|it| it.1 + Self::FRESH >= now).collect();
        let mut prices: Vec<i64> = fresh.iter().map(|it| it.0).collect();
        prices.sort_unstable();
        let oldest = fresh.iter().map(|it| it.1).min();
        let price = match prices.as_slice() {
            [low, high] => Some(half_even(low + high)),
            [_, middle, _] => Some(*middle),
            _ => None,
        };
        if let (Some(price), Some(oldest)) = (price, oldest) {
            self.index = Some((price, oldest));
        }
    }
}

fn half_even(sum: i64) -> i64 {
    let half = sum.div_euclid(2);
    if sum % 2 != 0 && half % 2 != 0 { half + 1 } else { half }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_index_is_the_median_of_what_is_fresh_and_of_this_term(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut desk = MarginDesk::without_prices(underlying(), venue_terms());
        let mut model = Model { void_before: desk.time.0, ..Model::default() };
        let mut term = 1;
        for step in steps {
            match step {
                Step::Wait { ms } => {
                    desk.wait(ms * MS);
                    desk.tick();
                }
                Step::Resume => {
                    term += 1;
                    desk.operator(Command::Resume { term: Term(term) });
                    model = Model { void_before: desk.time.0, ..Model::default() };
                }
                Step::Say { source, price, late_ms } => {
                    let time = desk.time.0 - late_ms * MS;
                    let reading = Reading::Index { price: Price(price) };
                    let sent = Command::Oracle {
                        source: SOURCES[source],
                        underlying: BTC_USD,
                        time: Timestamp(time),
                        reading,
                    };
                    let events = desk.send(0, sent);
                    let is_refused = format!("{:?}", events.last()).contains("StaleReading");
                    let is_older = model.last[source].is_some_and(|last| time < last.1);
                    prop_assert_eq!(is_refused, is_older || time < model.void_before);
                    if !is_refused {
                        model.last[source] = Some((price, time));
                    }
                }
            }
            model.settle(desk.time.0);
            let prices = desk.engine.prices(BTC_USD).expect("exists");
            let index = prices.index.map(|(price, time)| (price.0, time.0));
            prop_assert_eq!(index, model.index);
            let is_fresh = model.index.is_some_and(|it| it.1 + Model::FRESH >= desk.time.0);
            prop_assert_eq!(prices.is_fresh, is_fresh);
        }
    }
}
