//! Matching, as cases to read: commands in, events and book out.
//!
//! Commands, one per line: `1 buy 5 @ 100` (account, side, lots, ticks), with `ioc`, `fok` or
//! `post` behind it; `1 buy 5 market ioc`; `1 cancel 3`; `1 amend 3 @ 101 5`, where `-` keeps price
//! or size; `1 masscancel`, `1 masscancel perp`; `0 mode halted`.

mod common;

use common::{Desk, INVERSE_PERPETUAL, LINEAR_FUTURE};
use evenkeel_types::{
    AccountId, Command, Event, InstrumentId, Lots, MassCancelScope, Mode, NewOrder, OrderId,
    OutcomeKind, Side, Ticks, TimeInForce,
};
use std::fmt::Write;

fn parse(line: &str) -> (u64, Command) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let account = words[0].parse().expect("an account");
    let optional = |word: &str| (word != "-").then(|| word.parse::<i64>().expect("a number"));
    let command = match words[1..] {
        [side @ ("buy" | "sell"), lots, ref rest @ ..] => {
            let (price, flags) = match rest {
                ["@", price, flags @ ..] => (optional(price), flags),
                ["market", flags @ ..] => (None, flags),
                _ => panic!("not a price: {line}"),
            };
            Command::Place {
                order: NewOrder {
                    instrument: LINEAR_FUTURE,
                    side: if side == "buy" { Side::Buy } else { Side::Sell },
                    price: price.map(Ticks),
                    lots: Lots(lots.parse().expect("lots")),
                    time_in_force: match flags {
                        ["ioc", ..] => TimeInForce::ImmediateOrCancel,
                        ["fok", ..] => TimeInForce::FillOrKill,
                        _ => TimeInForce::GoodTillCancel,
                    },
                    post_only: flags.contains(&"post"),
                    label: 0,
                },
            }
        }
        ["cancel", order] => Command::Cancel { order: OrderId(order.parse().expect("an order")) },
        ["amend", order, "@", price, lots] => Command::Amend {
            order: OrderId(order.parse().expect("an order")),
            price: optional(price).map(Ticks),
            lots: optional(lots).map(Lots),
        },
        ["masscancel"] => mass_cancel(MassCancelScope::All),
        ["masscancel", "perp"] => {
            mass_cancel(MassCancelScope::Instrument { instrument: INVERSE_PERPETUAL })
        }
        ["masscancel", "future"] => {
            mass_cancel(MassCancelScope::Instrument { instrument: LINEAR_FUTURE })
        }
        ["mode", mode] => Command::SetMode {
            mode: match mode {
                "cancel-only" => Mode::CancelOnly,
                "halted" => Mode::Halted,
                _ => Mode::Normal,
            },
            cause: 0,
        },
        _ => panic!("not a command: {line}"),
    };
    (account, command)
}

fn mass_cancel(scope: MassCancelScope) -> Command {
    Command::MassCancel { account: None, scope }
}

/// Events of matching in words; those of money have tests of their own.
fn describe(event: &Event) -> Option<String> {
    Some(match event {
        Event::OrderAccepted { order, .. } => format!("accept {order}"),
        Event::Traded { price, lots, maker, maker_open, taker, taker_open, .. } => format!(
            "trade {} @ {} maker {maker} ({}) taker {taker} ({})",
            lots.0, price.0, maker_open.0, taker_open.0
        ),
        Event::OrderRested { order, price, open } => {
            format!("rest {order} {} @ {}", open.0, price.0)
        }
        Event::OrderAmended { order, price, open, kept_priority } => {
            let priority = if *kept_priority { "keeps" } else { "loses" };
            format!("amend {order} {} @ {} {priority}", open.0, price.0)
        }
        Event::OrderClosed { order, reason, open } => {
            format!("close {order} {reason:?} {}", open.0)
        }
        Event::Completed { outcome } => match outcome.kind {
            OutcomeKind::Rejected { code } => format!("refused {code:?}"),
            _ => return None,
        },
        _ => return None,
    })
}

fn book(desk: &Desk, instrument: InstrumentId) -> String {
    let book = desk.engine.book(instrument).expect("a book");
    let mut text = String::from("book");
    for (side, mark) in [(Side::Buy, ""), (Side::Sell, " |")] {
        text.push_str(mark);
        for level in book.levels(side) {
            let orders: Vec<String> = book
                .orders_at(side, level.price)
                .map(|order| format!("{}:{}", order.order, order.open.0))
                .collect();
            let total: i64 = book.orders_at(side, level.price).map(|o| o.open.0).sum();
            assert_eq!(total, level.lots.0);
            write!(text, " {}[{}]", level.price.0, orders.join(" ")).expect("writes");
        }
    }
    text
}

/// Runs commands; compares the events of the last one and the book.
#[track_caller]
fn check(commands: &str, expected: &str) {
    let mut desk = Desk::open();
    let mut last = Vec::new();
    for line in commands.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (account, command) = parse(line);
        last = desk.send(account, command);
    }
    let mut lines: Vec<String> = last.iter().filter_map(describe).collect();
    lines.push(book(&desk, LINEAR_FUTURE));
    let expected: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_limit_order_that_meets_nothing_rests() {
    check("1 buy 5 @ 100", "accept 1\nrest 1 5 @ 100\nbook 100[1:5] |");
}

#[test]
fn the_better_price_trades_first_and_at_the_makers_price() {
    check(
        "1 sell 5 @ 102
         1 sell 5 @ 101
         2 buy 7 @ 102",
        "accept 3
         trade 5 @ 101 maker 2 (0) taker 3 (2)
         close 2 Filled 0
         trade 2 @ 102 maker 1 (3) taker 3 (0)
         close 3 Filled 0
         book | 102[1:3]",
    );
}

#[test]
fn at_one_price_the_older_order_trades_first() {
    check(
        "1 buy 5 @ 100
         2 buy 5 @ 100
         1 sell 6 @ 100",
        "accept 3
         trade 5 @ 100 maker 1 (0) taker 3 (1)
         close 1 Filled 0
         trade 1 @ 100 maker 2 (4) taker 3 (0)
         close 3 Filled 0
         book 100[2:4] |",
    );
}

#[test]
fn what_a_limit_order_does_not_fill_rests_at_its_own_price() {
    check(
        "1 sell 2 @ 100
         2 buy 5 @ 103",
        "accept 2
         trade 2 @ 100 maker 1 (0) taker 2 (3)
         close 1 Filled 0
         rest 2 3 @ 103
         book 103[2:3] |",
    );
}

#[test]
fn immediate_or_cancel_never_rests() {
    check(
        "1 sell 2 @ 100
         2 buy 5 @ 100 ioc",
        "accept 2
         trade 2 @ 100 maker 1 (0) taker 2 (3)
         close 1 Filled 0
         close 2 Unfilled 3
         book |",
    );
}

#[test]
fn fill_or_kill_counts_only_prices_within_its_limit() {
    check(
        "1 sell 2 @ 100
         1 sell 9 @ 101
         2 buy 5 @ 100 fok",
        "refused CannotFill
         book | 100[1:2] 101[2:9]",
    );
    check(
        "1 sell 2 @ 100
         1 sell 9 @ 101
         2 buy 5 @ 101 fok",
        "accept 3
         trade 2 @ 100 maker 1 (0) taker 3 (3)
         close 1 Filled 0
         trade 3 @ 101 maker 2 (6) taker 3 (0)
         close 3 Filled 0
         book | 101[2:6]",
    );
}

#[test]
fn a_market_order_takes_any_price_and_never_rests() {
    check(
        "1 buy 2 @ 100
         1 buy 2 @ 1
         2 sell 9 market ioc",
        "accept 3
         trade 2 @ 100 maker 1 (0) taker 3 (7)
         close 1 Filled 0
         trade 2 @ 1 maker 2 (0) taker 3 (5)
         close 2 Filled 0
         close 3 Unfilled 5
         book |",
    );
    check("2 sell 9 market ioc", "accept 1\nclose 1 Unfilled 9\nbook |");
    check("2 sell 9 market fok", "refused CannotFill\nbook |");
    check("2 sell 9 market", "refused MarketMayNotRest\nbook |");
    check("2 sell 9 market ioc post", "refused MarketMayNotRest\nbook |");
}

#[test]
fn post_only_rests_or_is_refused() {
    check(
        "1 sell 2 @ 100
         2 buy 5 @ 100 post",
        "refused WouldTrade
         book | 100[1:2]",
    );
    check(
        "1 sell 2 @ 100
         2 buy 5 @ 99 post",
        "accept 2
         rest 2 5 @ 99
         book 99[2:5] | 100[1:2]",
    );
}

#[test]
fn sizes_and_prices_out_of_range_are_refused() {
    for (order, code) in [
        ("1 buy 0 @ 100", "SizeOutOfRange"),
        ("1 buy -5 @ 100", "SizeOutOfRange"),
        ("1 buy 70368744177665 @ 100", "SizeOutOfRange"),
        ("1 buy 5 @ 0", "PriceOutOfRange"),
        ("1 buy 5 @ -1", "PriceOutOfRange"),
        ("1 buy 5 @ 70368744177665", "PriceOutOfRange"),
    ] {
        check(order, &format!("refused {code}\nbook |"));
    }
}

#[test]
fn an_account_may_trade_with_itself_for_now() {
    check(
        "1 sell 2 @ 100
         1 buy 2 @ 100",
        "accept 2
         trade 2 @ 100 maker 1 (0) taker 2 (0)
         close 1 Filled 0
         close 2 Filled 0
         book |",
    );
}

#[test]
fn a_smaller_size_at_the_same_price_keeps_priority() {
    for amend in ["1 amend 1 @ - 3", "1 amend 1 @ 100 3"] {
        check(
            &format!("1 buy 5 @ 100\n2 buy 5 @ 100\n{amend}"),
            "amend 1 3 @ 100 keeps
             book 100[1:3 2:5] |",
        );
    }
    check(
        "1 buy 5 @ 100
         2 buy 5 @ 100
         1 amend 1 @ - 5",
        "amend 1 5 @ 100 keeps
         book 100[1:5 2:5] |",
    );
}

#[test]
fn a_larger_size_or_another_price_loses_priority() {
    check(
        "1 buy 5 @ 100
         2 buy 5 @ 100
         1 amend 1 @ - 6",
        "amend 1 6 @ 100 loses
         rest 1 6 @ 100
         book 100[2:5 1:6] |",
    );
    check(
        "1 buy 5 @ 100
         2 buy 5 @ 101
         1 amend 1 @ 101 2",
        "amend 1 2 @ 101 loses
         rest 1 2 @ 101
         book 101[2:5 1:2] |",
    );
}

#[test]
fn an_amended_order_that_crosses_trades_under_its_own_id() {
    check(
        "1 sell 5 @ 105
         2 buy 9 @ 100
         2 amend 2 @ 105 -",
        "amend 2 9 @ 105 loses
         trade 5 @ 105 maker 1 (0) taker 2 (4)
         close 1 Filled 0
         rest 2 4 @ 105
         book 105[2:4] |",
    );
    check(
        "1 sell 5 @ 105
         2 buy 9 @ 100
         2 amend 2 @ 105 5",
        "amend 2 5 @ 105 loses
         trade 5 @ 105 maker 1 (0) taker 2 (0)
         close 1 Filled 0
         close 2 Filled 0
         book |",
    );
}

#[test]
fn a_post_only_order_that_an_amend_would_let_trade_stays_as_it_is() {
    check(
        "1 sell 5 @ 105
         2 buy 9 @ 100 post
         2 amend 2 @ 105 -",
        "refused WouldTrade
         book 100[2:9] | 105[1:5]",
    );
}

#[test]
fn amends_without_a_change_or_with_a_wrong_one_are_refused() {
    for (amend, code) in [
        ("1 amend 1 @ - -", "NothingToAmend"),
        ("1 amend 1 @ - 0", "SizeOutOfRange"),
        ("1 amend 1 @ 0 -", "PriceOutOfRange"),
        ("2 amend 1 @ - 3", "NotYourOrder"),
        ("1 amend 7 @ - 3", "UnknownOrder"),
    ] {
        check(&format!("1 buy 5 @ 100\n{amend}"), &format!("refused {code}\nbook 100[1:5] |"));
    }
}

#[test]
fn a_cancel_takes_only_ones_own_open_order() {
    check("1 buy 5 @ 100\n1 cancel 1", "close 1 Cancelled 5\nbook |");
    check("1 buy 5 @ 100\n2 cancel 1", "refused NotYourOrder\nbook 100[1:5] |");
    check("1 buy 5 @ 100\n1 cancel 1\n1 cancel 1", "refused UnknownOrder\nbook |");
    check("1 buy 5 @ 100\n0 cancel 1", "refused NotYourOrder\nbook 100[1:5] |");
}

#[test]
fn a_cancel_in_the_middle_of_a_level_leaves_the_others_in_order() {
    check(
        "1 buy 1 @ 100
         2 buy 2 @ 100
         1 buy 3 @ 100
         2 cancel 2
         2 buy 4 @ 100",
        "accept 4
         rest 4 4 @ 100
         book 100[1:1 3:3 4:4] |",
    );
}

#[test]
fn a_mass_cancel_closes_by_ascending_order_id_even_after_amends() {
    check(
        "1 buy 1 @ 100
         1 sell 2 @ 110
         2 buy 3 @ 100
         1 buy 4 @ 90
         1 amend 1 @ 80 -
         1 masscancel",
        "close 1 MassCancelled 1
         close 2 MassCancelled 2
         close 4 MassCancelled 4
         book 100[3:3] |",
    );
    check("1 buy 1 @ 100\n1 masscancel perp", "book 100[1:1] |");
    check("1 buy 1 @ 100\n1 masscancel future", "close 1 MassCancelled 1\nbook |");
}

#[test]
fn cancel_only_takes_cancels_and_no_orders_or_amends() {
    let before = "1 buy 5 @ 100\n0 mode cancel-only";
    let book = "book 100[1:5] |";
    check(&format!("{before}\n2 buy 1 @ 99"), &format!("refused CancelOnly\n{book}"));
    check(&format!("{before}\n1 amend 1 @ - 3"), &format!("refused CancelOnly\n{book}"));
    check(&format!("{before}\n1 cancel 1"), "close 1 Cancelled 5\nbook |");
    check(&format!("{before}\n1 masscancel"), "close 1 MassCancelled 5\nbook |");
}

#[test]
fn a_halted_venue_takes_nothing_from_clients_and_reopens() {
    let before = "1 buy 5 @ 100\n0 mode halted";
    let book = "book 100[1:5] |";
    for command in ["2 buy 1 @ 99", "1 cancel 1", "1 masscancel", "1 amend 1 @ - 3"] {
        check(&format!("{before}\n{command}"), &format!("refused Halted\n{book}"));
    }
    check(&format!("{before}\n0 mode normal\n1 cancel 1"), "close 1 Cancelled 5\nbook |");
}

#[test]
fn the_operator_trades_nothing_but_may_cancel_for_any_account() {
    check("0 buy 5 @ 100", "refused UnknownAccount\nbook |");
    let mut desk = Desk::open();
    let (_, order) = parse("1 buy 5 @ 100");
    desk.accept(1, order);
    let all = |account| Command::MassCancel {
        account: Some(AccountId(account)),
        scope: MassCancelScope::All,
    };
    assert_eq!(desk.refuse(2, all(1)), evenkeel_types::RejectCode::NotOperator);
    desk.operator(all(1));
    assert_eq!(book(&desk, LINEAR_FUTURE), "book |");
}
