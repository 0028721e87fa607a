//! Grace, vetoes, breakers, the way back and the opening call, each rule by itself.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC_USD, DAY, DOLLAR, LINEAR_PERPETUAL, MarginDesk, NO_BREAKERS, NO_LIMITS, SECOND, USD,
    underlying, venue_terms,
};
use common::orders::{closed, fills, limit};
use evenkeel_types::conditional::{OrderTerms, SelfTrade};
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::flows::FlowKey;
use evenkeel_types::regime::{BreakerTerms, Cause, GraceTerms, Scope};
use evenkeel_types::terms::LimitTerms;
use evenkeel_types::{
    AccountId, CloseReason, Command, Event, Mode, Money, RejectCode, Side, Term, Timestamp,
};

const PACE: BreakerTerms =
    BreakerTerms { cooldown_ms: 5_000, step_ms: 2_000, auction_ms: 2_000, ..NO_BREAKERS };
const GRACE: GraceTerms =
    GraceTerms { grace_ms: 10_000, daily_cap_ms: 15_000, ..GraceTerms::USUAL };
const NO_GRACE: GraceTerms = GraceTerms { grace_ms: 0, ..GraceTerms::USUAL };
/// At which account 3 is below maintenance, but not ruined.
const LOW: i64 = 56_200;
const PERPETUAL: Scope = Scope::Instrument { instrument: LINEAR_PERPETUAL };

/// Account 3 is long five coins at 60,000 on 20,000 dollars.
fn desk(grace: GraceTerms, breakers: BreakerTerms) -> MarginDesk {
    let mut terms = underlying();
    terms.breakers = breakers;
    // Sources tell a fall one after the other.
    terms.oracle.disagreement_bp = 0;
    terms.limits = LimitTerms { price_band_bp: 500, ..NO_LIMITS };
    let mut venue = venue_terms();
    venue.grace = grace;
    let mut desk = MarginDesk::open_with(terms, venue);
    desk.deposit(3, USD, 20_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 5_000);
    desk
}

fn resume(desk: &mut MarginDesk, term: u64) {
    desk.operator(Command::Resume { term: Term(term) });
}

/// A second a step, with prices.
fn live(desk: &mut MarginDesk, whole_dollars: i64, seconds: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..seconds {
        desk.wait(SECOND);
        events.extend(desk.feed(whole_dollars, 60));
        events.extend(desk.tick());
    }
    events
}

/// A second a step, without.
fn silent(desk: &mut MarginDesk, seconds: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..seconds {
        desk.wait(SECOND);
        events.extend(desk.tick());
    }
    events
}

/// What graces of account 3 were told to have left.
fn graces(events: &[Event]) -> Vec<u64> {
    let found = events.iter().filter_map(|event| match event {
        Event::GraceChanged { account: AccountId(3), left_ms } => Some(*left_ms),
        _ => None,
    });
    found.collect()
}

fn begins(events: &[Event]) -> bool {
    events.iter().any(
        |event| matches!(event, Event::Liquidation { step, .. } if *step == WaterfallStep::Began),
    )
}

fn modes(events: &[Event]) -> Vec<(Scope, Mode, Cause)> {
    let found = events.iter().filter_map(|event| match event {
        Event::ModeSetIn { scope, mode, cause } => Some((*scope, *mode, *cause)),
        _ => None,
    });
    found.collect()
}

fn veto(approver: u32, delay_ms: u64) -> Command {
    Command::Veto { approver, scope: Scope::Account { account: AccountId(3) }, delay_ms }
}

#[test]
fn without_grace_a_resume_liquidates_at_the_first_fresh_prices() {
    let mut desk = desk(NO_GRACE, PACE);
    resume(&mut desk, 2);
    let events = live(&mut desk, LOW, 2);
    assert!(begins(&events) && graces(&events).is_empty());
}

#[test]
fn grace_runs_only_while_prices_are_fresh_and_then_liquidation_begins() {
    let mut desk = desk(GRACE, PACE);
    resume(&mut desk, 2);
    let events = live(&mut desk, LOW, 2);
    assert_eq!(graces(&events), [10_000]);
    // Five of these seconds the last prices are fresh; a minute of silence costs no more.
    let events = silent(&mut desk, 60);
    assert!(graces(&events).is_empty() && !begins(&events));
    let events = live(&mut desk, LOW, 10);
    assert_eq!(graces(&events), [0]);
    assert!(begins(&events));
}

#[test]
fn whoever_meets_maintenance_leaves_grace_at_the_next_look_and_gets_it_once_a_term() {
    let mut desk = desk(GRACE, PACE);
    resume(&mut desk, 2);
    live(&mut desk, LOW, 2);
    assert_eq!(graces(&live(&mut desk, 60_000, 2)), [0]);
    let events = live(&mut desk, LOW, 2);
    assert!(graces(&events).is_empty() && begins(&events));
}

#[test]
fn grace_is_capped_per_day_and_comes_back_the_next() {
    let mut desk = desk(GRACE, PACE);
    let mut given = Vec::new();
    for term in 2..5 {
        resume(&mut desk, term);
        given.extend(graces(&live(&mut desk, LOW, 6)).first().copied());
        live(&mut desk, 60_000, 2);
    }
    let [first, second, third] = given[..] else {
        panic!("{given:?}");
    };
    assert!(first == 10_000 && (8_000..10_000).contains(&second), "{given:?}");
    assert!((1..=second - 4_000).contains(&third), "{given:?}");
    // What is left is used up: a further term of the same day gets none.
    resume(&mut desk, 5);
    let events = live(&mut desk, LOW, 6);
    assert!(graces(&events).iter().all(|left| *left < 2_000) && begins(&events), "{given:?}");
    live(&mut desk, 60_000, 2);
    desk.wait(DAY);
    resume(&mut desk, 6);
    assert_eq!(graces(&live(&mut desk, LOW, 2)), [10_000]);
}

#[test]
fn in_grace_an_account_reduces_and_neither_grows_nor_takes_out() {
    let mut desk = desk(GRACE, PACE);
    resume(&mut desk, 2);
    assert_eq!(graces(&live(&mut desk, LOW, 3)), [10_000]);
    let grows = desk.refuse_order(3, LINEAR_PERPETUAL, Side::Buy, 112_000, 1);
    assert!(matches!(grows, RejectCode::InGrace | RejectCode::ReduceOnly), "{grows:?}");
    let (currency, amount) = (USD, Money(DOLLAR));
    let transfer = Command::Transfer { to: AccountId(4), currency, amount };
    assert_eq!(desk.refuse(3, transfer), RejectCode::InGrace);
    let (key, destination) = (FlowKey([1; 16]), [7; 32]);
    let request = Command::RequestWithdrawal { key, currency, amount, destination };
    assert_eq!(desk.refuse(3, request), RejectCode::InGrace);
    desk.place(3, LINEAR_PERPETUAL, Side::Sell, 113_000, 100);
}

#[test]
fn a_veto_needs_its_quorum_holds_for_the_shortest_delay_and_ends_by_itself() {
    let mut desk = desk(NO_GRACE, PACE);
    let longest = NO_GRACE.veto_ms;
    assert_eq!(desk.refuse(0, veto(0, longest + 1)), RejectCode::OutOfBounds);
    assert_eq!(desk.refuse(0, veto(64, 1_000)), RejectCode::OutOfBounds);
    let counted = |events: &[Event]| {
        events.iter().find_map(|event| match event {
            Event::VetoCounted { until, .. } => Some(*until),
            _ => None,
        })
    };
    assert_eq!(counted(&desk.operator(veto(0, 60_000))), Some(None));
    assert_eq!(desk.refuse(0, veto(0, 60_000)), RejectCode::VetoUsed);
    let events = desk.operator(veto(1, 20_000));
    assert_eq!(counted(&events), Some(Some(Timestamp(desk.time.0 + 20 * SECOND))));
    assert!(!begins(&live(&mut desk, LOW, 18)));
    assert!(begins(&live(&mut desk, LOW, 4)));
}

#[test]
fn one_approval_of_two_delays_nothing() {
    let mut desk = desk(NO_GRACE, PACE);
    desk.operator(veto(0, 60_000));
    assert!(begins(&live(&mut desk, LOW, 2)));
}

/// Orders that the price band refuses.
fn hit_the_band(desk: &mut MarginDesk, times: u32) {
    for _ in 0..times {
        let code = desk.refuse_order(2, LINEAR_PERPETUAL, Side::Buy, 140_000, 1);
        assert_eq!(code, RejectCode::PriceBand);
    }
}

#[test]
fn band_hits_within_the_window_shut_the_instrument_to_cancels() {
    let mut desk = desk(NO_GRACE, BreakerTerms { band_hits: 3, band_window_ms: 10_000, ..PACE });
    hit_the_band(&mut desk, 2);
    live(&mut desk, 60_000, 11);
    hit_the_band(&mut desk, 2);
    assert_eq!(modes(&desk.tick()), []);
    hit_the_band(&mut desk, 1);
    assert_eq!(modes(&desk.tick()), [(PERPETUAL, Mode::CancelOnly, Cause::PriceBand)]);
    let code = desk.refuse_order(2, LINEAR_PERPETUAL, Side::Buy, 120_000, 1);
    assert_eq!(code, RejectCode::CancelOnly);
}

#[test]
fn the_way_back_goes_step_by_step_after_the_cooldown() {
    let mut desk = desk(NO_GRACE, BreakerTerms { band_hits: 1, band_window_ms: 10_000, ..PACE });
    hit_the_band(&mut desk, 1);
    desk.tick();
    let begin = desk.time.0;
    let mut way = Vec::new();
    for _ in 0..20 {
        let events = live(&mut desk, 60_000, 1);
        let after = (desk.time.0 - begin) / SECOND;
        way.extend(modes(&events).into_iter().map(|(_, mode, cause)| (mode, cause, after)));
    }
    let steps: Vec<_> = way.iter().map(|(mode, cause, _)| (*mode, *cause)).collect();
    let back = [Mode::ReduceOnly, Mode::Auction, Mode::Normal].map(|mode| (mode, Cause::WayBack));
    assert_eq!(steps, back);
    let [reduce, auction, normal] = [way[0].2, way[1].2, way[2].2];
    assert!(reduce >= 5 && auction >= reduce + 2 && normal >= auction + 2, "{way:?}");
}

#[test]
fn the_way_back_waits_for_fresh_prices_and_for_vetoes() {
    let mut desk = desk(NO_GRACE, BreakerTerms { band_hits: 1, band_window_ms: 10_000, ..PACE });
    hit_the_band(&mut desk, 1);
    assert_eq!(modes(&silent(&mut desk, 30)).len(), 1);
    for approver in [0, 1] {
        desk.operator(Command::Veto { approver, scope: PERPETUAL, delay_ms: 20_000 });
    }
    assert_eq!(modes(&live(&mut desk, 60_000, 18)), []);
    assert_eq!(modes(&live(&mut desk, 60_000, 12)).len(), 3);
}

#[test]
fn an_account_that_lacks_more_than_the_bound_makes_its_underlying_reduce_only() {
    let bound = BreakerTerms { negative_equity: Money(5_000 * DOLLAR), ..PACE };
    let mut near = desk(NO_GRACE, bound);
    let events = live(&mut near, LOW, 2);
    assert!(begins(&events) && modes(&events).is_empty());
    let mut far = desk(NO_GRACE, bound);
    let events = live(&mut far, 53_000, 2);
    let scope = Scope::Underlying { underlying: BTC_USD };
    assert!(begins(&events));
    assert_eq!(modes(&events), [(scope, Mode::ReduceOnly, Cause::NegativeEquity)]);
}

#[test]
fn the_operator_loosens_one_step_at_a_time_and_only_with_fresh_prices() {
    let mut desk = desk(NO_GRACE, PACE);
    let scope = Scope::Underlying { underlying: BTC_USD };
    let set = |mode| Command::SetModeIn { scope, mode, code: 7 };
    desk.operator(set(Mode::Halted));
    assert_eq!(desk.refuse(0, set(Mode::Normal)), RejectCode::WrongMode);
    desk.operator(set(Mode::CancelOnly));
    silent(&mut desk, 10);
    assert_eq!(desk.refuse(0, set(Mode::ReduceOnly)), RejectCode::PricesNotFresh);
    live(&mut desk, 60_000, 1);
    for mode in [Mode::ReduceOnly, Mode::Auction, Mode::Normal] {
        desk.operator(set(mode));
    }
    // What the operator shut stays shut.
    desk.operator(set(Mode::ReduceOnly));
    assert_eq!(modes(&live(&mut desk, 60_000, 60)), []);
}

#[test]
fn the_strictest_of_all_scopes_holds() {
    let mut desk = desk(NO_GRACE, PACE);
    let account = Scope::Account { account: AccountId(2) };
    let set = |scope, mode| Command::SetModeIn { scope, mode, code: 7 };
    desk.operator(set(PERPETUAL, Mode::ReduceOnly));
    desk.operator(set(account, Mode::CancelOnly));
    let refused = |desk: &mut MarginDesk, account| {
        desk.refuse_order(account, LINEAR_PERPETUAL, Side::Buy, 120_000, 1)
    };
    assert_eq!(refused(&mut desk, 2), RejectCode::CancelOnly);
    assert_eq!(refused(&mut desk, 4), RejectCode::ReduceOnly);
    // An account's mode is the operator's alone and may jump.
    desk.operator(set(account, Mode::Normal));
    assert_eq!(refused(&mut desk, 2), RejectCode::ReduceOnly);
}

#[test]
fn a_call_is_shown_at_most_once_a_second_and_only_when_it_changed() {
    let mut desk = desk(NO_GRACE, PACE);
    let set = |mode| Command::SetModeIn { scope: PERPETUAL, mode, code: 7 };
    desk.operator(set(Mode::Auction));
    let mut shown = Vec::new();
    for step in 0..30 {
        desk.wait(SECOND / 10);
        let side = if step % 2 == 0 { Side::Buy } else { Side::Sell };
        let order = limit(LINEAR_PERPETUAL, side, 120_000, 1);
        let events = desk.accept(1 + step % 2, Command::Place { order });
        assert!(fills(&events).is_empty(), "a call gathers");
        let is_shown = |event: &Event| matches!(event, Event::AuctionShown { .. });
        shown.extend(events.iter().filter(|event| is_shown(event)).map(|_| desk.time.0));
    }
    assert!((2..=4).contains(&shown.len()), "{shown:?}");
    assert!(shown.windows(2).all(|pair| pair[1] - pair[0] >= SECOND), "{shown:?}");
    let still = silent(&mut desk, 5);
    let more = still.iter().filter(|event| matches!(event, Event::AuctionShown { .. })).count();
    assert!(more <= 1, "nothing changed any more");
    desk.feed(60_000, 60);
    let events = desk.operator(set(Mode::Normal));
    assert_eq!(fills(&events).iter().map(|fill| fill.2).sum::<i64>(), 15);
    assert!(fills(&events).iter().all(|fill| fill.1 == 120_000), "one price");
}

#[test]
fn a_call_prevents_trades_with_oneself() {
    let mut desk = desk(NO_GRACE, PACE);
    let set = |mode| Command::SetModeIn { scope: PERPETUAL, mode, code: 7 };
    desk.operator(set(Mode::Auction));
    let terms = OrderTerms { self_trade: SelfTrade::CancelTaker, ..OrderTerms::default() };
    for (side, lots) in [(Side::Buy, 5), (Side::Sell, 3)] {
        desk.send_with(2, limit(LINEAR_PERPETUAL, side, 120_000, lots), terms);
    }
    desk.place(1, LINEAR_PERPETUAL, Side::Sell, 120_000, 4);
    let events = desk.operator(set(Mode::Normal));
    let mut own = events.iter().filter(|event| {
        matches!(event, Event::Traded { maker_account, taker_account, .. }
            if maker_account == taker_account)
    });
    assert!(own.next().is_none());
    assert!(closed(&events).iter().any(|it| it.1 == CloseReason::SelfTrade), "{events:?}");
    assert!(!fills(&events).is_empty(), "the others trade on");
}
