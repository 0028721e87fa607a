//! Reduce-only orders never open, grow or turn a position.

mod common;

use common::margin::{BTC, COIN, MarginDesk, PERPETUAL, SPOT};
use common::orders::{
    FOK, amend, amended, assert_restores, closed, fills, limit, market, open, order_of, place_with,
    reason_of, reduce_only, refuse_with,
};
use evenkeel_types::{CloseReason, Command, Event, Lots, NewOrder, RejectCode, Side};

const MARK: i64 = 120_000;

/// Account 1 is long 10, account 2 short.
fn desk() -> MarginDesk {
    let mut desk = MarginDesk::open();
    desk.trade(1, 2, PERPETUAL, MARK, 10);
    desk
}

#[test]
fn without_a_position_on_the_other_side_it_is_refused() {
    let mut desk = desk();
    let buy = limit(PERPETUAL, Side::Buy, MARK, 1);
    assert_eq!(refuse_with(&mut desk, 1, buy, reduce_only()), RejectCode::NotReducing);
    assert_eq!(refuse_with(&mut desk, 5, buy, reduce_only()), RejectCode::NotReducing);
    let spot = limit(SPOT, Side::Sell, MARK, 1);
    assert_eq!(refuse_with(&mut desk, 1, spot, reduce_only()), RejectCode::NotReducing);
}

#[test]
fn what_exceeds_the_position_is_cut_off_at_acceptance() {
    let mut desk = desk();
    let events = desk.send_with(1, limit(PERPETUAL, Side::Sell, MARK + 9, 25), reduce_only());
    let taken = events.iter().find_map(|event| match event {
        Event::OrderAccepted { terms, .. } => Some(terms.lots),
        _ => None,
    });
    assert_eq!(taken, Some(Lots(10)));
    assert_eq!(open(&desk, order_of(&events)), 10);
    assert_restores(&desk);
}

#[test]
fn several_at_once_are_cut_as_the_position_shrinks_and_closed_when_it_is_gone() {
    let mut desk = desk();
    let all: Vec<_> = [1, 2, 3]
        .map(|above| {
            let order = limit(PERPETUAL, Side::Sell, MARK + above, 10);
            place_with(&mut desk, 1, order, reduce_only())
        })
        .into();
    let buy = limit(PERPETUAL, Side::Buy, MARK + 1, 6);
    let events = desk.accept(2, Command::Place { order: buy });
    assert_eq!(fills(&events), [(all[0], MARK + 1, 6)]);
    assert_eq!(all.iter().map(|order| open(&desk, *order)).collect::<Vec<_>>(), [4, 4, 4]);
    assert_eq!((amended(&events, all[1]), amended(&events, all[2])), (Some(4), Some(4)));
    // One sweep over all of them trades what is left of the position and no more.
    let sweep = NewOrder {
        time_in_force: common::orders::IOC,
        ..limit(PERPETUAL, Side::Buy, MARK + 9, 12)
    };
    let events = desk.accept(2, Command::Place { order: sweep });
    assert_eq!(fills(&events), [(all[0], MARK + 1, 4)]);
    assert_eq!(reason_of(&events, all[1]), Some(CloseReason::ReduceOnly));
    assert_eq!(reason_of(&events, all[2]), Some(CloseReason::ReduceOnly));
    assert_eq!(desk.lots(1, PERPETUAL), 0);
    assert_restores(&desk);
}

#[test]
fn it_is_closed_when_the_position_is_closed_by_another_order_or_turns() {
    let mut desk = desk();
    let resting =
        place_with(&mut desk, 1, limit(PERPETUAL, Side::Sell, MARK + 5, 10), reduce_only());
    desk.place(2, PERPETUAL, Side::Buy, MARK, 15);
    let sell = limit(PERPETUAL, Side::Sell, MARK, 15);
    let events = desk.accept(1, Command::Place { order: sell });
    assert_eq!(desk.lots(1, PERPETUAL), -5);
    assert_eq!(reason_of(&events, resting), Some(CloseReason::ReduceOnly));
}

#[test]
fn growing_the_position_leaves_it_as_it_is() {
    let mut desk = desk();
    let resting =
        place_with(&mut desk, 1, limit(PERPETUAL, Side::Sell, MARK + 5, 8), reduce_only());
    desk.trade(1, 2, PERPETUAL, MARK, 10);
    assert_eq!(open(&desk, resting), 8);
}

#[test]
fn a_taker_fills_no_more_than_its_position_and_fill_or_kill_means_what_is_left() {
    let mut desk = desk();
    desk.place(2, PERPETUAL, Side::Buy, MARK, 30);
    let order = NewOrder { time_in_force: FOK, ..limit(PERPETUAL, Side::Sell, MARK, 25) };
    let events = desk.send_with(1, order, reduce_only());
    assert_eq!(fills(&events).iter().map(|it| it.2).sum::<i64>(), 10);
    assert_eq!(closed(&events).last().map(|it| it.1), Some(CloseReason::Filled));
    assert_eq!(desk.lots(1, PERPETUAL), 0);
}

#[test]
fn a_market_order_may_be_reduce_only() {
    let mut desk = desk();
    desk.place(2, PERPETUAL, Side::Buy, MARK, 4);
    let events = desk.send_with(1, market(PERPETUAL, Side::Sell, 99), reduce_only());
    assert_eq!(desk.lots(1, PERPETUAL), 6);
    assert_eq!(closed(&events).last().map(|it| (it.1, it.2)), Some((CloseReason::Unfilled, 6)));
}

#[test]
fn amended_above_the_position_it_is_cut_again_and_stays_reduce_only() {
    let mut desk = desk();
    let resting =
        place_with(&mut desk, 1, limit(PERPETUAL, Side::Sell, MARK + 5, 3), reduce_only());
    let events = desk.accept(1, amend(resting, MARK + 4, 40));
    assert_eq!((open(&desk, resting), amended(&events, resting)), (10, Some(10)));
    // Amended into the book it trades, and what rests is cut to what is left of the position.
    desk.place(2, PERPETUAL, Side::Buy, MARK + 1, 7);
    desk.accept(1, amend(resting, MARK + 1, 10));
    assert_eq!((desk.lots(1, PERPETUAL), open(&desk, resting)), (3, 3));
    desk.trade(2, 1, PERPETUAL, MARK, 3);
    assert_eq!(open(&desk, resting), 0, "the position is gone");
}

#[test]
fn amended_through_ones_own_other_reduce_only_orders_nothing_breaks() {
    let mut desk = desk();
    let first = place_with(&mut desk, 1, limit(PERPETUAL, Side::Sell, MARK + 5, 10), reduce_only());
    let second =
        place_with(&mut desk, 1, limit(PERPETUAL, Side::Sell, MARK + 6, 10), reduce_only());
    desk.place(2, PERPETUAL, Side::Buy, MARK + 1, 4);
    let events = desk.accept(1, amend(second, MARK + 1, None));
    assert_eq!(fills(&events).len(), 1);
    assert_eq!((open(&desk, first), open(&desk, second)), (6, 6));
    assert_restores(&desk);
}

#[test]
fn trading_with_oneself_moves_no_position_and_cuts_nothing_twice() {
    let mut desk = desk();
    let resting =
        place_with(&mut desk, 1, limit(PERPETUAL, Side::Sell, MARK + 1, 10), reduce_only());
    let buy = limit(PERPETUAL, Side::Buy, MARK + 1, 4);
    let events = desk.accept(1, Command::Place { order: buy });
    assert_eq!(fills(&events), [(resting, MARK + 1, 4)]);
    assert_eq!((desk.lots(1, PERPETUAL), open(&desk, resting)), (10, 6));
}

#[test]
fn an_account_without_free_collateral_can_still_reduce() {
    let mut desk = MarginDesk::open();
    desk.deposit(3, BTC, COIN / 100);
    desk.trade(3, 1, PERPETUAL, MARK, 2_000);
    desk.place(2, PERPETUAL, Side::Buy, MARK, 2_000);
    // 1 % down: a third of a coin long, of which a third of a hundredth is lost.
    desk.feed(59_400, 60);
    assert_eq!(
        desk.refuse_order(3, PERPETUAL, Side::Buy, MARK, 2_000),
        RejectCode::InsufficientMargin
    );
    let order = NewOrder {
        time_in_force: common::orders::IOC,
        ..limit(PERPETUAL, Side::Sell, MARK, 2_000)
    };
    desk.send_with(3, order, reduce_only());
    assert_eq!(desk.lots(3, PERPETUAL), 0);
}
