//! Days that went wrong elsewhere, and what stands between them and this engine; told in
//! `docs/scenarios`.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC_USD, DOLLAR, LINEAR_PERPETUAL, MarginDesk, SECOND, SOURCES, USD, dollars, underlying,
    venue_terms,
};
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::oracle::Reading;
use evenkeel_types::regime::{BreakerTerms, Cause, GraceTerms, Scope};
use evenkeel_types::terms::Underlying;
use evenkeel_types::{AccountId, Command, Event, Mode, RejectCode, Side, Term, Timestamp, TradeId};
use evenkeel_venue::Engine;

/// A market in which account 3 is long ten coins at 60,000 on 20,000 dollars: below 51,000 or so
/// it is liquidated. Breakers are on.
fn desk() -> MarginDesk {
    let mut terms: Underlying = underlying();
    terms.breakers = BreakerTerms {
        cooldown_ms: 5_000,
        step_ms: 2_000,
        auction_ms: 2_000,
        ..BreakerTerms::USUAL
    };
    let mut venue = venue_terms();
    venue.grace = GraceTerms { grace_ms: 10_000, ..GraceTerms::USUAL };
    venue.max_step_ms = 600_000;
    let mut desk = MarginDesk::open_with(terms, venue);
    desk.deposit(3, USD, 20_000 * DOLLAR);
    desk.trade(3, 1, LINEAR_PERPETUAL, 120_000, 1_000);
    desk
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

fn steps(events: &[Event]) -> Vec<WaterfallStep> {
    let found = events.iter().filter_map(|event| match event {
        Event::Liquidation { account, step, .. } if *account == AccountId(3) => Some(*step),
        _ => None,
    });
    found.collect()
}

fn modes(events: &[Event]) -> Vec<(Mode, Cause)> {
    let found = events.iter().filter_map(|event| match event {
        Event::ModeSetIn { mode, cause, .. } => Some((*mode, *cause)),
        _ => None,
    });
    found.collect()
}

fn conserved(engine: &Engine) {
    assert!(engine.conservation().iter().all(|money| money.difference() == 0));
}

/// dYdX, October 2025: after an outage the chain resumed on prices from before it.
#[test]
fn after_a_resume_nobody_is_liquidated_on_a_price_from_before_it() {
    let mut desk = desk();
    live(&mut desk, 60_000, 3);
    // The last price before the outage is a spike that would liquidate account 3 at once.
    desk.operator(Command::Resume { term: Term(2) });
    let old = Timestamp(desk.time.0 - 2 * SECOND);
    let price = dollars(40_000);
    for source in SOURCES {
        let reading = Reading::Index { price };
        let (underlying, time) = (BTC_USD, old);
        desk.send(0, Command::Oracle { source, underlying, time, reading });
    }
    let events = silent(&mut desk, 30);
    assert_eq!(steps(&events), [], "no price of this term, no liquidation");
    let refused = desk.refuse_order(4, LINEAR_PERPETUAL, Side::Buy, 120_000, 1);
    assert_eq!(refused, RejectCode::CancelOnly);
    // Fresh prices: the way back, and account 3 stands where it stood.
    let events = live(&mut desk, 60_000, 12);
    let way: Vec<Mode> = modes(&events).into_iter().map(|(mode, _)| mode).collect();
    assert!(way.ends_with(&[Mode::ReduceOnly, Mode::Auction, Mode::Normal]), "{way:?}");
    assert_eq!(steps(&events), []);
    assert_eq!(desk.lots(3, LINEAR_PERPETUAL), 1_000);
    conserved(&desk.engine);
}

/// The same day: a fall during the outage is real, and the account gets grace before it is taken.
#[test]
fn who_is_below_maintenance_after_a_resume_has_a_while_to_act_and_then_is_liquidated() {
    let mut desk = desk();
    live(&mut desk, 60_000, 3);
    desk.operator(Command::Resume { term: Term(2) });
    let events = live(&mut desk, 40_100, 8);
    let granted = events.iter().any(
        |event| matches!(event, Event::GraceChanged { account, left_ms: 10_000 } if account.0 == 3),
    );
    assert!(granted, "{events:?}");
    assert!(!steps(&events).contains(&WaterfallStep::Began));
    // In grace it may reduce, not add, and takes nothing out.
    let currency = USD;
    let (key, amount) = (evenkeel_types::flows::FlowKey([1; 16]), evenkeel_types::Money(1));
    let withdrawal = Command::RequestWithdrawal { key, currency, amount, destination: [0; 32] };
    assert_eq!(desk.refuse(3, withdrawal), RejectCode::InGrace);
    let events = live(&mut desk, 40_100, 30);
    assert!(steps(&events).contains(&WaterfallStep::Began), "{:?}", steps(&events));
    conserved(&desk.engine);
}

/// Paradex, January 2026: a migration set prices to zero and positions were liquidated.
#[test]
fn a_price_of_zero_is_no_price_and_sources_that_part_shut_what_adds_risk() {
    let mut desk = desk();
    live(&mut desk, 60_000, 2);
    for source in SOURCES {
        let (underlying, time) = (BTC_USD, Timestamp(desk.time.0));
        let reading = Reading::Index { price: dollars(0) };
        let zero = Command::Oracle { source, underlying, time, reading };
        assert_eq!(desk.refuse(0, zero), RejectCode::BadReading);
    }
    // One source gone mad: the median holds, and the disagreement is acted upon.
    let mut events = Vec::new();
    for _ in 0..3 {
        desk.wait(SECOND);
        events.extend(desk.say(SOURCES[0], Reading::Index { price: dollars(1) }));
        for source in &SOURCES[1..] {
            events.extend(desk.say(*source, Reading::Index { price: dollars(60_000) }));
        }
        events.extend(desk.tick());
    }
    assert_eq!(steps(&events), []);
    assert!(modes(&events).contains(&(Mode::ReduceOnly, Cause::OracleDisagrees)), "{events:?}");
    let refused = desk.refuse_order(4, LINEAR_PERPETUAL, Side::Buy, 120_000, 1);
    assert_eq!(refused, RejectCode::ReduceOnly);
    // Agreement, cooldown, and the way back by itself.
    let events = live(&mut desk, 60_000, 15);
    assert_eq!(modes(&events).last().map(|(mode, _)| *mode), Some(Mode::Normal));
    conserved(&desk.engine);
}

/// Deribit, October 2019: an index bug liquidated accounts; the exchange repaid 150 BTC.
#[test]
fn one_wrong_source_moves_nothing_and_a_wrong_trade_can_be_taken_back() {
    let mut desk = desk();
    live(&mut desk, 60_000, 2);
    let balance = desk.money(3, USD).0;
    for _ in 0..5 {
        desk.wait(SECOND);
        for (source, whole) in SOURCES.into_iter().zip([60_000, 30_000, 60_010]) {
            desk.say(source, Reading::Index { price: dollars(whole) });
        }
        let events = desk.tick();
        assert_eq!(steps(&events), []);
    }
    assert_eq!(desk.mark(LINEAR_PERPETUAL), Some(120_000));
    // What traded wrongly all the same is taken back at its price.
    live(&mut desk, 60_000, 20);
    desk.trade(2, 1, LINEAR_PERPETUAL, 120_000, 7);
    let events = desk.operator(Command::BustTrade { trade: TradeId(2), code: 7 });
    assert!(events.iter().any(|event| matches!(event, Event::TradeBusted { code: 7, .. })));
    assert_eq!(desk.lots(2, LINEAR_PERPETUAL), 0);
    assert_eq!(desk.money(3, USD).0, balance);
    conserved(&desk.engine);
}

/// A clock that jumps by a day shuts the venue instead of expiring everything; confirmed by the
/// sources it walks back.
#[test]
fn a_step_of_time_beyond_the_bound_halts_until_a_quorum_confirms_it() {
    let mut desk = desk();
    live(&mut desk, 60_000, 2);
    desk.wait(86_400 * SECOND);
    let events = desk.tick();
    assert_eq!(modes(&events)[0], (Mode::Halted, Cause::TimeStep));
    let restored = desk.restored();
    assert_eq!(restored.mode(), Mode::Halted, "a halt is state");
    let events = live(&mut desk, 60_000, 30);
    assert_eq!(modes(&events).last().map(|(mode, _)| *mode), Some(Mode::Normal));
    assert_eq!(desk.engine.mode(), Mode::Normal);
}

/// The volatility halt and its cooldown survive a restore in the middle.
#[test]
fn a_volatility_halt_is_state_and_walks_back_step_by_step() {
    let mut desk = desk();
    live(&mut desk, 60_000, 3);
    let mut events = Vec::new();
    for _ in 0..120 {
        desk.wait(SECOND);
        events.extend(desk.feed(60_000, 300));
        if modes(&events).iter().any(|(mode, _)| *mode == Mode::Halted) {
            break;
        }
    }
    let halted = modes(&events);
    assert!(halted.iter().any(|(mode, _)| *mode == Mode::Halted), "{halted:?}");
    let refused = desk.refuse_order(4, LINEAR_PERPETUAL, Side::Buy, 120_000, 1);
    assert_eq!(refused, RejectCode::Halted);
    desk.engine = desk.restored();
    let mut events = Vec::new();
    for _ in 0..400 {
        desk.wait(SECOND);
        events.extend(desk.feed(60_000, 60));
        events.extend(desk.tick());
    }
    let way: Vec<Mode> = modes(&events).into_iter().map(|(mode, _)| mode).collect();
    let tail = [Mode::CancelOnly, Mode::ReduceOnly, Mode::Auction, Mode::Normal];
    assert!(way.ends_with(&tail), "{way:?}");
}

/// The operator opens one step at a time and no sooner than prices are fresh.
#[test]
fn the_operator_walks_back_one_step_at_a_time() {
    let mut desk = desk();
    live(&mut desk, 60_000, 2);
    let scope = Scope::Underlying { underlying: BTC_USD };
    let set = |mode| Command::SetModeIn { scope, mode, code: 1 };
    desk.operator(set(Mode::Halted));
    for wrong in [Mode::Normal, Mode::Auction, Mode::ReduceOnly] {
        assert_eq!(desk.refuse(0, set(wrong)), RejectCode::WrongMode);
    }
    desk.accept(0, set(Mode::CancelOnly));
    desk.wait(20 * SECOND);
    assert_eq!(desk.refuse(0, set(Mode::ReduceOnly)), RejectCode::PricesNotFresh);
    desk.feed(60_000, 60);
    for mode in [Mode::ReduceOnly, Mode::Auction, Mode::Normal] {
        desk.accept(0, set(mode));
    }
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 119_000, 1);
}

/// A call crosses at the price at which most trades, and leaves the rest.
#[test]
fn an_opening_call_crosses_at_the_price_of_the_largest_volume() {
    let mut desk = desk();
    live(&mut desk, 60_000, 2);
    let scope = Scope::Underlying { underlying: BTC_USD };
    let set = |mode| Command::SetModeIn { scope, mode, code: 1 };
    desk.operator(set(Mode::Auction));
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 120_010, 5);
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 120_000, 5);
    desk.place(2, LINEAR_PERPETUAL, Side::Sell, 119_990, 4);
    desk.place(2, LINEAR_PERPETUAL, Side::Sell, 120_000, 4);
    let events = desk.accept(0, set(Mode::Normal));
    let crossed = events.iter().find_map(|event| match event {
        Event::AuctionCrossed { price, lots, .. } => Some((price.map(|it| it.0), lots.0)),
        _ => None,
    });
    assert_eq!(crossed, Some((Some(120_000), 8)));
    let prices = events.iter().filter_map(|event| match event {
        Event::Traded { price, .. } => Some(price.0),
        _ => None,
    });
    assert!(prices.into_iter().all(|price| price == 120_000));
    assert_eq!(desk.best(LINEAR_PERPETUAL, Side::Buy), Some(120_000));
    assert_eq!(desk.best(LINEAR_PERPETUAL, Side::Sell), None);
    conserved(&desk.engine);
}

/// Vetoes need a quorum, hold for a while, and count once a day.
#[test]
fn a_veto_of_a_quorum_delays_the_way_back_and_ends_by_itself() {
    let mut desk = desk();
    live(&mut desk, 60_000, 2);
    let scope = Scope::Underlying { underlying: BTC_USD };
    let set = |mode| Command::SetModeIn { scope, mode, code: 1 };
    let veto = |approver| Command::Veto { approver, scope, delay_ms: 60_000 };
    desk.operator(set(Mode::Halted));
    desk.accept(0, veto(1));
    assert_eq!(desk.refuse(0, veto(1)), RejectCode::VetoUsed);
    desk.accept(0, veto(2));
    assert_eq!(desk.refuse(0, set(Mode::CancelOnly)), RejectCode::Cooling);
    desk.wait(61 * SECOND);
    desk.accept(0, set(Mode::CancelOnly));
}
