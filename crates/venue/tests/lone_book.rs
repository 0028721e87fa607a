//! The book that is measured beside other books is the engine's book.

mod common;

use common::history::Random;
use common::{Desk, LINEAR_FUTURE, outcome, place};
use evenkeel_types::{Command, Event, Lots, OrderId, OutcomeKind, Side, Ticks, TimeInForce};
use evenkeel_venue::{LoneBook, LoneTrade};

fn trades_of(events: &[Event]) -> Vec<LoneTrade> {
    let trades = events.iter().filter_map(|event| match *event {
        Event::Traded { taker, maker, price, lots, .. } => {
            Some(LoneTrade { taker, maker, price, lots })
        }
        _ => None,
    });
    trades.collect()
}

/// A limit order, or now and then a market order.
fn order(random: &mut Random) -> (Side, Option<Ticks>, Lots) {
    let side = random.pick(&[Side::Buy, Side::Sell]);
    let price = (!random.one_in(10)).then(|| Ticks(random.between(90, 110)));
    (side, price, Lots(random.between(1, 20)))
}

#[test]
fn a_lone_book_trades_and_rests_as_the_engine_does() {
    let mut random = Random(8);
    let (mut desk, mut book) = (Desk::open(), LoneBook::new());
    let mut trade_count = 0;
    for _ in 0..6_000 {
        let mut trades = Vec::new();
        let known = OrderId(1 + random.below(desk.entries.len() as u64));
        let (side, price, lots) = order(&mut random);
        let command = match random.below(10) {
            0..3 => Command::Cancel { order: known },
            3..6 => {
                let lots = random.one_in(2).then_some(lots);
                Command::Amend { order: known, price, lots }
            }
            _ => {
                let time_in_force = match price {
                    Some(_) => TimeInForce::GoodTillCancel,
                    None => TimeInForce::ImmediateOrCancel,
                };
                let price = price.map(|price| price.0);
                place(LINEAR_FUTURE, side, price, lots.0, time_in_force)
            }
        };
        let events = desk.send(1, command.clone());
        match (command, outcome(&events).kind) {
            (Command::Cancel { order }, kind) => {
                assert_eq!(book.cancel(order), kind == OutcomeKind::Done);
            }
            (Command::Amend { order, price, lots }, kind) if (price, lots) != (None, None) => {
                let found = book.amend(order, price, lots, &mut trades);
                assert_eq!(found, kind == OutcomeKind::Done);
            }
            (Command::Place { order: terms }, OutcomeKind::Order { order }) => {
                book.place(order, side, terms.price, lots, &mut trades);
            }
            (Command::Amend { .. }, _) => {}
            (command, kind) => panic!("{command:?}: {kind:?}"),
        }
        assert_eq!(trades, trades_of(&events));
        trade_count += trades.len();
    }
    assert!(trade_count > 1_500, "{trade_count} trades");
    let engine = desk.engine.book(LINEAR_FUTURE).expect("a book");
    for side in [Side::Buy, Side::Sell] {
        let own = engine.orders(side).map(|order| (order.order, order.price, order.open));
        let lone = book.orders(side).map(|order| (order.order, order.price, order.open));
        assert!(own.eq(lone), "{side:?}");
        assert_eq!(engine.levels(side).count(), book.level_count(side));
    }
    assert_eq!(book.order_count(), desk.engine.open_order_count());
}

#[test]
fn a_lone_book_says_what_a_limit_admits() {
    let mut book = LoneBook::new();
    for (order, price) in [(1, 100), (2, 101), (3, 103)] {
        book.place(OrderId(order), Side::Sell, Some(Ticks(price)), Lots(10), &mut Vec::new());
    }
    let fillable = |limit, lots| book.fillable(Side::Buy, limit, Lots(lots)).0;
    assert_eq!(fillable(Some(Ticks(99)), 50), 0);
    assert_eq!(fillable(Some(Ticks(102)), 50), 20);
    assert_eq!(fillable(Some(Ticks(102)), 15), 15);
    assert_eq!(fillable(None, 50), 30);
}
