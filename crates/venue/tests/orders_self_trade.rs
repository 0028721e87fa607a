//! Self-trade prevention between all accounts of one owner.

mod common;

use common::margin::{MarginDesk, PERPETUAL};
use common::orders::{FOK, amend, closed, fills, limit, open, place_with, reason_of, refuse_with};
use evenkeel_types::conditional::{OrderTerms, SelfTrade};
use evenkeel_types::{
    AccountId, CloseReason, Collateral, Command, NewOrder, OrderId, RejectCode, Side,
};

const MARK: i64 = 120_000;

/// Account 10 is a sub-account of account 1.
fn desk() -> MarginDesk {
    let mut desk = MarginDesk::open();
    let (account, main) = (AccountId(10), AccountId(1));
    let collateral = Collateral::Unlimited;
    desk.operator(Command::OpenSubAccount { account, main, collateral });
    desk
}

fn wish(self_trade: SelfTrade) -> OrderTerms {
    OrderTerms { self_trade, ..OrderTerms::default() }
}

/// Sells of 1, 2 and 1 again, one lot each, ever dearer; then a buy of account 10 for five.
fn sweep(desk: &mut MarginDesk, self_trade: SelfTrade) -> ([OrderId; 3], OrderId, Vec<OrderId>) {
    let sells = [(1, 1), (2, 2), (1, 3)]
        .map(|(account, above)| desk.place(account, PERPETUAL, Side::Sell, MARK + above, 1));
    let buy = limit(PERPETUAL, Side::Buy, MARK + 9, 5);
    let events = desk.send_with(10, buy, wish(self_trade));
    let makers = fills(&events).iter().map(|it| it.0).collect();
    (sells, common::orders::order_of(&events), makers)
}

#[test]
fn allowed_they_trade() {
    let mut desk = desk();
    let (sells, buy, makers) = sweep(&mut desk, SelfTrade::Allow);
    assert_eq!(makers, sells);
    assert_eq!(open(&desk, buy), 2);
}

#[test]
fn the_incoming_orders_rest_is_cancelled() {
    let mut desk = desk();
    let (sells, buy, makers) = sweep(&mut desk, SelfTrade::CancelTaker);
    assert!(makers.is_empty(), "the best one is the owner's");
    assert_eq!((open(&desk, buy), open(&desk, sells[0]), open(&desk, sells[1])), (0, 1, 1));
}

#[test]
fn the_resting_orders_are_cancelled_and_the_incoming_one_goes_on() {
    let mut desk = desk();
    let (sells, buy, makers) = sweep(&mut desk, SelfTrade::CancelMaker);
    assert_eq!(makers, [sells[1]]);
    assert_eq!((open(&desk, buy), open(&desk, sells[0]), open(&desk, sells[2])), (4, 0, 0));
}

#[test]
fn both_are_cancelled() {
    let mut desk = desk();
    desk.place(2, PERPETUAL, Side::Sell, MARK, 1);
    let (sells, buy, makers) = sweep(&mut desk, SelfTrade::CancelBoth);
    assert_eq!(makers.len(), 1, "another's order was better");
    assert_eq!((open(&desk, buy), open(&desk, sells[0]), open(&desk, sells[2])), (0, 0, 1));
}

#[test]
fn the_incoming_orders_wish_decides_and_others_are_untouched() {
    let mut desk = desk();
    let careful = wish(SelfTrade::CancelBoth);
    let maker = place_with(&mut desk, 1, limit(PERPETUAL, Side::Sell, MARK, 1), careful);
    // The owner's other account sends one that allows it.
    let events = desk.accept(10, Command::Place { order: limit(PERPETUAL, Side::Buy, MARK, 1) });
    assert_eq!(fills(&events), [(maker, MARK, 1)]);
    // Somebody else's order trades whatever its wish.
    let maker = desk.place(2, PERPETUAL, Side::Sell, MARK, 1);
    let events = desk.send_with(1, limit(PERPETUAL, Side::Buy, MARK, 1), careful);
    assert_eq!(fills(&events), [(maker, MARK, 1)]);
}

#[test]
fn an_amended_order_keeps_its_wish() {
    let mut desk = desk();
    let careful = wish(SelfTrade::CancelTaker);
    let buy = place_with(&mut desk, 1, limit(PERPETUAL, Side::Buy, MARK - 9, 1), careful);
    let sell = desk.place(10, PERPETUAL, Side::Sell, MARK, 1);
    let events = desk.accept(1, amend(buy, MARK, None));
    assert_eq!(reason_of(&events, buy), Some(CloseReason::SelfTrade));
    assert_eq!(open(&desk, sell), 1);
    assert!(fills(&events).is_empty());
}

#[test]
fn fill_or_kill_counts_only_what_prevention_leaves() {
    let mut desk = desk();
    for (account, above) in [(2, 1), (1, 2), (2, 3)] {
        desk.place(account, PERPETUAL, Side::Sell, MARK + above, 1);
    }
    let buy = |lots| NewOrder { time_in_force: FOK, ..limit(PERPETUAL, Side::Buy, MARK + 9, lots) };
    let refused = |desk: &mut MarginDesk, lots, mode| refuse_with(desk, 10, buy(lots), wish(mode));
    assert_eq!(refused(&mut desk, 3, SelfTrade::CancelMaker), RejectCode::CannotFill);
    assert_eq!(refused(&mut desk, 2, SelfTrade::CancelTaker), RejectCode::SelfTrade);
    assert_eq!(refused(&mut desk, 2, SelfTrade::CancelBoth), RejectCode::SelfTrade);
    assert_eq!(desk.engine.open_order_count(), 3, "a refusal changes nothing");
    let events = desk.send_with(10, buy(1), wish(SelfTrade::CancelTaker));
    assert_eq!(fills(&events).len(), 1);
    desk.place(2, PERPETUAL, Side::Sell, MARK + 1, 1);
    let events = desk.send_with(10, buy(2), wish(SelfTrade::CancelMaker));
    assert_eq!(fills(&events).len(), 2);
    let reasons: Vec<_> = closed(&events).iter().map(|it| it.1).collect();
    assert!(reasons.contains(&CloseReason::SelfTrade), "{reasons:?}");
    assert_eq!(desk.engine.open_order_count(), 0);
}
