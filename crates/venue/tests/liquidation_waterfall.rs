//! The waterfall behind the book: takeover, fund, deleveraging, shared losses, debt.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC, CALL, COIN, DOLLAR, LINEAR_PERPETUAL, MarginDesk, PERPETUAL, SECOND, USD, underlying,
    venue_terms,
};
use evenkeel_types::event::{Booking, WaterfallStep};
use evenkeel_types::terms::{LossRule, VenueTerms};
use evenkeel_types::{AccountId, CurrencyId, Event, Side, Ticks};

const FUND: u64 = AccountId::FUND.0;

fn steps(events: &[Event], of: u64) -> Vec<(WaterfallStep, i64, Option<Ticks>)> {
    let found = events.iter().filter_map(|event| match *event {
        Event::Liquidation { account, step, lots, price, .. } if account == AccountId(of) => {
            Some((step, lots.0, price))
        }
        _ => None,
    });
    found.collect()
}

fn kinds(events: &[Event], of: u64) -> Vec<WaterfallStep> {
    steps(events, of).into_iter().map(|(step, _, _)| step).collect()
}

fn booked(events: &[Event], of: u64, currency: CurrencyId, reason: Booking) -> i128 {
    let amounts = events.iter().filter_map(|event| match *event {
        Event::Booked { account, currency: is, amount, why, .. }
            if account == AccountId(of) && is == currency && why == reason =>
        {
            Some(amount.0)
        }
        _ => None,
    });
    amounts.sum()
}

fn conserved(desk: &mut MarginDesk) {
    for money in desk.engine.conservation() {
        assert_eq!(money.difference(), 0, "{money:?}");
    }
    assert!(desk.engine.running_sums_hold());
    desk.engine.verify_margins().expect("kept margin is full margin");
}

fn fall_to(desk: &mut MarginDesk, price: i64) -> Vec<Event> {
    desk.wait(SECOND);
    let mut events = desk.feed(price, 60);
    events.extend(desk.tick());
    conserved(desk);
    events
}

/// Rounds until nothing is under way.
fn fall_and_wait(desk: &mut MarginDesk, price: i64) -> Vec<Event> {
    let mut events = fall_to(desk, price);
    for _ in 0..30 {
        if desk.engine.liquidations().next().is_none() {
            return events;
        }
        events.extend(fall_to(desk, price));
    }
    panic!("a liquidation does not end");
}

/// Account 3 has bought ten coins at 60,000 with 20,000 dollars, from 4, 5 and 6.
fn desk_with(terms: VenueTerms) -> MarginDesk {
    let mut desk = MarginDesk::open_with(underlying(), terms);
    desk.deposit(3, USD, 20_000 * DOLLAR);
    for (seller, lots, dollars) in [(4, 5_000, 100_000), (5, 3_000, 10_000), (6, 2_000, 20_000)] {
        desk.deposit(seller, USD, dollars * DOLLAR);
        desk.trade(3, seller, LINEAR_PERPETUAL, 120_000, lots);
    }
    desk
}

fn desk() -> MarginDesk {
    desk_with(venue_terms())
}

fn socialising() -> VenueTerms {
    VenueTerms { loss_rule: LossRule::Socialise, ..venue_terms() }
}

#[test]
fn without_liquidity_the_fund_takes_over_at_the_mark_and_the_rest_stays() {
    let mut desk = desk();
    let events = fall_and_wait(&mut desk, 58_600);
    use WaterfallStep::{Began, NoLiquidity, Recovered, TakenOver};
    let told = kinds(&events, 3);
    let mut expected = vec![Began];
    expected.extend([NoLiquidity; 10]);
    expected.extend([TakenOver, Recovered]);
    assert_eq!(told, expected);
    let taken = steps(&events, 3)[11];
    assert_eq!(taken, (TakenOver, -10_000, Some(Ticks(117_200))));
    assert_eq!((desk.lots(3, LINEAR_PERPETUAL), desk.lots(FUND, LINEAR_PERPETUAL)), (0, 10_000));
    // 6,000 dollars were left; 0.5 % of 586,000 went to the fund.
    assert_eq!(desk.money(3, USD).0, 6_000 * DOLLAR - 2_930 * DOLLAR);
    assert_eq!(desk.money(FUND, USD).0, 2_930 * DOLLAR);
}

#[test]
fn the_fund_gives_back_what_it_took_at_the_mark_or_better() {
    let mut desk = desk();
    fall_and_wait(&mut desk, 58_600);
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_199, 4_000);
    fall_to(&mut desk, 58_600);
    assert_eq!(desk.lots(FUND, LINEAR_PERPETUAL), 10_000, "half a dollar below the mark");
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 117_201, 4_000);
    fall_to(&mut desk, 58_600);
    assert_eq!(desk.lots(FUND, LINEAR_PERPETUAL), 6_000);
}

#[test]
fn the_fund_pays_what_a_bankrupt_account_lacks() {
    let mut desk = desk();
    desk.feed_fund(USD, 50_000 * DOLLAR);
    // 50,000 dollars lost, 20,000 there.
    let events = fall_and_wait(&mut desk, 55_000);
    use WaterfallStep::{Began, Recovered, TakenOver};
    assert_eq!(kinds(&events, 3), [Began, TakenOver, Recovered]);
    assert_eq!(booked(&events, 3, USD, Booking::Insurance), 30_000 * DOLLAR);
    assert_eq!(booked(&events, FUND, USD, Booking::Insurance), -30_000 * DOLLAR);
    assert_eq!((desk.money(3, USD).0, desk.money(FUND, USD).0), (0, 20_000 * DOLLAR));
    assert_eq!(desk.engine.fund().expect("exists").equity.expect("priced").0, 20_000 * DOLLAR);
}

#[test]
fn the_ranking_is_profit_ratio_times_leverage() {
    let mut desk = desk();
    desk.deposit(3, USD, 100_000 * DOLLAR);
    desk.feed(55_000, 60);
    let ranks = desk.engine.deleverage_ranking(LINEAR_PERPETUAL, Side::Sell);
    let table: Vec<(u64, i64, i128)> =
        ranks.iter().map(|it| (it.account.0, it.lots.0, it.score)).collect();
    // All sold at 60,000: a ratio of 1/12. Leverage: 165,000 / 25,000, 110,000 / 30,000 and
    // 275,000 / 125,000; all in millionths.
    let ratio = 83_333;
    assert_eq!(
        table,
        [
            (5, -3_000, ratio * 6_600_000),
            (6, -2_000, ratio * 3_666_666),
            (4, -5_000, ratio * 2_200_000),
        ]
    );
}

#[test]
fn an_empty_fund_deleverages_by_rank_at_the_bankruptcy_price() {
    let mut desk = desk();
    let events = fall_and_wait(&mut desk, 55_000);
    use WaterfallStep::{Began, Deleveraged, Recovered};
    assert_eq!(kinds(&events, 3), [Began, Deleveraged, Deleveraged, Deleveraged, Recovered]);
    // 30,000 dollars are missing on ten coins: each is closed at 58,000 instead of 55,000.
    let price = Some(Ticks(116_000));
    let closed: Vec<_> = steps(&events, 3).into_iter().filter(|it| it.0 == Deleveraged).collect();
    assert_eq!(
        closed,
        [(Deleveraged, -3_000, price), (Deleveraged, -2_000, price), (Deleveraged, -5_000, price)]
    );
    assert_eq!((desk.money(3, USD).0, desk.money(FUND, USD).0), (0, 0));
    // Who had sold at 60,000 gains 2,000 a coin.
    assert_eq!(desk.money(4, USD).0, 110_000 * DOLLAR);
    assert_eq!(desk.money(5, USD).0, 16_000 * DOLLAR);
    for account in 3..=6 {
        assert_eq!(desk.lots(account, LINEAR_PERPETUAL), 0);
    }
}

#[test]
fn what_the_fund_has_goes_first_and_only_the_rest_is_deleveraged() {
    let mut desk = desk();
    desk.feed_fund(USD, 10_000 * DOLLAR);
    let events = fall_and_wait(&mut desk, 55_000);
    assert_eq!(booked(&events, FUND, USD, Booking::Insurance), -10_000 * DOLLAR);
    assert_eq!(steps(&events, 3)[1].2, Some(Ticks(114_000)), "20,000 on ten coins");
    assert_eq!((desk.money(3, USD).0, desk.money(FUND, USD).0), (0, 0));
}

#[test]
fn a_socialised_loss_is_shared_by_the_other_sides_profits() {
    let mut desk = desk_with(socialising());
    // Account 7 gains on the same side as the bankrupt one loses: it shares nothing.
    desk.deposit(7, USD, 100_000 * DOLLAR);
    let events = fall_and_wait(&mut desk, 55_000);
    use WaterfallStep::{Began, Recovered, Socialised, TakenOver};
    assert_eq!(kinds(&events, 3), [Began, TakenOver, Socialised, Recovered]);
    // 30,000 of profits of 25,000, 15,000 and 10,000.
    for (account, share) in [(4, 15_000), (5, 9_000), (6, 6_000), (7, 0)] {
        let paid = booked(&events, account, USD, Booking::SocialisedLoss);
        assert_eq!(paid, -share * DOLLAR, "{account}");
    }
    assert_eq!((desk.money(3, USD).0, desk.money(FUND, USD).0), (0, 0));
    assert_eq!(desk.lots(FUND, LINEAR_PERPETUAL), 10_000);
}

#[test]
fn shares_of_a_loss_that_do_not_divide_add_up_to_the_last_unit() {
    let mut desk = MarginDesk::open_with(underlying(), socialising());
    desk.deposit(3, USD, 21_000 * DOLLAR + 1);
    for seller in [4, 5, 6] {
        desk.deposit(seller, USD, 100_000 * DOLLAR);
        desk.trade(3, seller, LINEAR_PERPETUAL, 120_000, 3_333);
    }
    let events = fall_and_wait(&mut desk, 57_000);
    let shares: Vec<i128> =
        [4, 5, 6].map(|it| -booked(&events, it, USD, Booking::SocialisedLoss)).to_vec();
    let loss = 9_999 * 3 * DOLLAR - 21_000 * DOLLAR - 1;
    assert_eq!(shares.iter().sum::<i128>(), loss);
    let (least, most) = (shares.iter().min().expect("3"), shares.iter().max().expect("3"));
    assert!(most - least <= 2, "{shares:?}");
}

#[test]
fn other_collateral_is_taken_before_the_fund_pays() {
    let mut desk = MarginDesk::open();
    // A coin and 10,000 dollars; ten coins long.
    desk.deposit(3, BTC, COIN);
    desk.deposit(3, USD, 10_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 10_000);
    // At 54,500: 55,000 lost, 10,000 and a coin of 54,500 there; 49,050 of it count.
    let events = fall_and_wait(&mut desk, 54_500);
    assert!(kinds(&events, 3).contains(&WaterfallStep::TakenOver));
    let sold = booked(&events, 3, BTC, Booking::Insurance);
    // 45,000 dollars at 54,500 a coin, rounded up.
    assert_eq!(sold, -((45_000 * COIN + 54_499) / 54_500));
    assert_eq!(booked(&events, FUND, BTC, Booking::Insurance), -sold);
    assert_eq!(booked(&events, FUND, USD, Booking::Insurance), -45_000 * DOLLAR);
    assert!(desk.money(3, BTC).0 > 0);
    assert_eq!(desk.money(3, USD).0, 0);
}

#[test]
fn inverse_positions_and_options_go_the_same_way() {
    let mut desk = MarginDesk::open();
    // Short calls and long perpetuals, all in coin.
    desk.deposit(3, BTC, 2 * COIN);
    desk.trade(1, 3, CALL, 685, 60);
    desk.trade(3, 1, PERPETUAL, 120_000, 6_000);
    let events = fall_and_wait(&mut desk, 120_000);
    let told = kinds(&events, 3);
    assert!(told.contains(&WaterfallStep::Deleveraged), "{told:?}");
    assert_eq!((desk.lots(3, CALL), desk.lots(3, PERPETUAL)), (0, 0));
    assert!(desk.money(3, BTC).0 >= 0);
}

#[test]
fn a_loss_without_a_position_is_shared_and_what_nobody_gained_the_fund_owes() {
    // The position is traded away below its bankruptcy price; nobody has an open profit.
    let mut desk = MarginDesk::open();
    desk.deposit(3, USD, 13_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 10_000);
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 115_000, 100_000);
    let events = fall_and_wait(&mut desk, 58_750);
    let told = kinds(&events, 3);
    assert!(told.contains(&WaterfallStep::Reduced), "{told:?}");
    assert_eq!(desk.lots(3, LINEAR_PERPETUAL), 0);
    assert_eq!(desk.money(3, USD).0, 0);
    assert!(desk.money(FUND, USD).0 < 0, "{}", desk.money(FUND, USD).0);
}
