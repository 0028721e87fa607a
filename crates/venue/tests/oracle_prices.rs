//! Prices from sources: quorum, freshness, medians, terms, bounded moves.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC_USD, CALL, EXPIRY, FUTURE, LINEAR_PERPETUAL, MarginDesk, PERPETUAL, SECOND, SOURCES,
    dollars, flat, underlying, venue_terms,
};
use evenkeel_types::oracle::{Price, Reading, Volatility};
use evenkeel_types::terms::Underlying;
use evenkeel_types::{
    Command, Event, Money, RejectCode, SourceId, Term, Ticks, Timestamp, UnderlyingId,
};

fn desk() -> MarginDesk {
    MarginDesk::without_prices(underlying(), venue_terms())
}

fn index(whole: i64) -> Reading {
    Reading::Index { price: dollars(whole) }
}

/// The index that events tell, with its time.
fn told(events: &[Event]) -> Option<(Price, Timestamp)> {
    events.iter().find_map(|event| match event {
        Event::IndexChanged { price, time, .. } => Some((*price, *time)),
        _ => None,
    })
}

/// The middle of a smile that an event tells, in millionths.
fn level(event: &Event) -> Option<u32> {
    match event {
        Event::SmileChanged { smile, .. } => Some(smile.points[4].0),
        _ => None,
    }
}

#[test]
fn one_source_is_no_quorum_and_two_make_the_mean_of_both() {
    let mut desk = desk();
    assert_eq!(told(&desk.say(SOURCES[0], index(60_000))), None);
    assert_eq!(desk.mark(PERPETUAL), None);
    let first = desk.time;
    let (price, time) = told(&desk.say(SOURCES[1], index(60_003))).expect("a quorum");
    assert_eq!(price, Price(600_015_000_000_000));
    assert_eq!(time.0, first.0 - 1, "the time of the older reading");
    assert_eq!(desk.mark(PERPETUAL), Some(120_003), "60,001.5 in ticks of a half");
}

#[test]
fn the_median_of_three_ignores_one_wild_source() {
    let mut desk = desk();
    desk.say(SOURCES[0], index(60_000));
    desk.say(SOURCES[1], index(60_010));
    let (price, _) = told(&desk.say(SOURCES[2], index(1))).expect("a median");
    assert_eq!(price, dollars(60_000));
}

#[test]
fn a_source_that_falls_silent_leaves_the_median_when_its_reading_is_too_old() {
    let mut desk = desk();
    desk.say(SOURCES[0], index(60_000));
    desk.wait(4 * SECOND);
    desk.say(SOURCES[1], index(60_010));
    desk.say(SOURCES[2], index(60_020));
    assert_eq!(desk.mark(PERPETUAL), Some(120_020));
    desk.wait(2 * SECOND);
    let (price, time) = told(&desk.tick()).expect("made again of the other two");
    assert_eq!(price, dollars(60_015));
    assert!(time.0 > desk.time.0 - 3 * SECOND);
    assert_eq!(desk.mark(PERPETUAL), Some(120_030));
    desk.wait(60 * SECOND);
    assert_eq!(told(&desk.tick()), None, "without a quorum nothing new holds");
    assert_eq!(desk.mark(PERPETUAL), Some(120_030));
}

#[test]
fn readings_are_refused_with_the_reason() {
    let mut desk = desk();
    let say = |desk: &mut MarginDesk, source, underlying, time, reading| {
        desk.refuse(0, Command::Oracle { source, underlying, time, reading })
    };
    let (source, now) = (SOURCES[0], desk.time);
    let stranger = say(&mut desk, SourceId(9), BTC_USD, now, index(1));
    assert_eq!(stranger, RejectCode::UnknownSource);
    let elsewhere = say(&mut desk, source, UnderlyingId(9), now, index(1));
    assert_eq!(elsewhere, RejectCode::UnknownUnderlying);
    let later = Timestamp(now.0 + SECOND);
    assert_eq!(say(&mut desk, source, BTC_USD, later, index(1)), RejectCode::StaleReading);
    for price in [0, -1, Price::MAX.0 + 1] {
        let reading = Reading::Index { price: Price(price) };
        assert_eq!(say(&mut desk, source, BTC_USD, now, reading), RejectCode::BadReading);
    }
    let forward = Reading::Forward { expiry: now, price: dollars(1) };
    assert_eq!(say(&mut desk, source, BTC_USD, now, forward), RejectCode::Expired);
    let mut smile = flat(50);
    smile.points[3] = Volatility(0);
    let broken = Reading::Smile { expiry: EXPIRY, smile };
    assert_eq!(say(&mut desk, source, BTC_USD, now, broken), RejectCode::BadReading);
    desk.wait(10 * SECOND);
    assert_eq!(say(&mut desk, source, BTC_USD, now, index(1)), RejectCode::StaleReading);
    desk.say(source, index(60_000));
    let before = Timestamp(desk.time.0 - 2);
    assert_eq!(say(&mut desk, source, BTC_USD, before, index(1)), RejectCode::StaleReading);
}

#[test]
fn a_new_term_voids_what_was_seen_before_it() {
    let mut desk = MarginDesk::open();
    assert_eq!(desk.mark(PERPETUAL), Some(120_000));
    let before = desk.time;
    desk.operator(Command::Resume { term: Term(2) });
    assert_eq!([PERPETUAL, FUTURE, CALL].map(|id| desk.mark(id)), [None; 3]);
    let (source, reading) = (SOURCES[0], index(60_000));
    let old = Command::Oracle { source, underlying: BTC_USD, time: before, reading };
    assert_eq!(desk.refuse(0, old), RejectCode::StaleReading);
    desk.say(source, reading);
    assert_eq!(desk.mark(PERPETUAL), None, "one fresh source is not enough");
    desk.say(SOURCES[1], reading);
    assert_eq!(desk.mark(PERPETUAL), Some(120_000));
}

#[test]
fn a_future_is_marked_at_the_index_until_its_forward_is_known() {
    let mut desk = desk();
    desk.index(dollars(60_000));
    assert_eq!(desk.mark(FUTURE), Some(120_000));
    desk.say_all(Reading::Forward { expiry: EXPIRY, price: dollars(61_000) });
    assert_eq!(desk.mark(FUTURE), Some(122_000));
    desk.index(dollars(59_000));
    assert_eq!((desk.mark(FUTURE), desk.mark(PERPETUAL)), (Some(122_000), Some(118_000)));
    assert_eq!(desk.mark(LINEAR_PERPETUAL), Some(118_000));
}

#[test]
fn a_smile_moves_no_faster_than_its_bound() {
    let mut desk = desk();
    desk.say_all(Reading::Smile { expiry: EXPIRY, smile: flat(60) });
    let levels = [2, 2, 1, 10].map(|seconds| {
        desk.wait(seconds * SECOND);
        let events = desk.say_all(Reading::Smile { expiry: EXPIRY, smile: flat(90) });
        events.iter().rev().find_map(level).expect("told")
    });
    // Five points a second, and a little for the nanoseconds between entries.
    let whole = levels.map(|level| level / 10_000);
    assert_eq!(whole, [70, 80, 85, 90], "{levels:?}");
}

#[test]
fn every_parameter_of_an_underlying_has_bounds() {
    type Changed = (&'static str, fn(&mut Underlying));
    let mut desk = desk();
    let changes: [Changed; 12] = [
        ("no source", |it| it.oracle.sources.clear()),
        ("sources out of order", |it| it.oracle.sources.reverse()),
        ("quorum", |it| it.oracle.quorum = 4),
        ("no quorum", |it| it.oracle.quorum = 0),
        ("freshness", |it| it.oracle.fresh_ms = 0),
        ("maintenance", |it| it.standard.future_maintenance = it.standard.future_initial + 1),
        ("range", |it| it.portfolio.price_range = 1_000_000),
        ("buckets", |it| it.portfolio.buckets_count = 17),
        ("rebate", |it| it.fees.future_maker = -501),
        ("samples", |it| it.settlement.min_samples = 1_000),
        ("funding", |it| it.settlement.funding_interval_ms = 0),
        ("equity", |it| it.breakers.negative_equity = Money(-1)),
    ];
    for (what, change) in changes {
        let mut it = underlying();
        change(&mut it);
        let command = Command::SetUnderlying { underlying: Box::new(it) };
        assert_eq!(desk.refuse(0, command), RejectCode::OutOfBounds, "{what}");
    }
    let mut twin = underlying();
    twin.id = UnderlyingId(2);
    let command = Command::SetUnderlying { underlying: Box::new(twin) };
    assert_eq!(desk.refuse(0, command), RejectCode::UnderlyingExists);
    let mut turned = underlying();
    (turned.base, turned.quote) = (turned.quote, turned.base);
    let command = Command::SetUnderlying { underlying: Box::new(turned) };
    assert_eq!(desk.refuse(0, command), RejectCode::BadTerms);
}

#[test]
fn the_operator_cannot_mark_what_the_oracle_marks() {
    let mut desk = MarginDesk::open();
    let command = Command::SetMark { instrument: PERPETUAL, mark: Ticks(1) };
    assert_eq!(desk.refuse(0, command), RejectCode::MarkedByOracle);
}

#[test]
fn prices_live_on_in_a_restored_engine() {
    let mut desk = MarginDesk::open();
    let (mut copy, known) = (desk.restored(), desk.entries.len());
    desk.wait(3 * SECOND);
    desk.feed(61_000, 62);
    desk.wait(9 * SECOND);
    desk.tick();
    let mut events = Vec::new();
    for entry in &desk.entries[known..] {
        copy.apply(entry, &mut events);
    }
    assert_eq!(copy.output_digest(), desk.engine.output_digest());
    assert_eq!(copy.state_root(), desk.engine.state_root());
}
