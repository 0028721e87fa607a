//! What holds after every entry of random histories.

mod common;

use common::history::History;
use common::shadow::Shadow;
use evenkeel_types::{
    AccountId, Collateral, CurrencyId, Event, Instrument, InstrumentId, InstrumentKind, Lots,
    Money, OutcomeKind, RejectCode, Side, Ticks,
};
use evenkeel_venue::{Engine, FUTURE_RATE_BP, OPTION_SELL_RATE_BP, OrderView};
use std::collections::{BTreeMap, BTreeSet};

/// Runs a history and calls `check` after every entry.
fn run(seed: u64, length: usize, mut check: impl FnMut(&Engine, &[Event])) {
    let (mut engine, mut history, mut events) = (Engine::new(), History::new(seed), Vec::new());
    for _ in 0..length {
        let entry = history.next_entry();
        events.clear();
        engine.apply(&entry, &mut events);
        history.observe(&events);
        check(&engine, &events);
    }
}

#[test]
fn events_alone_rebuild_the_venue_after_every_entry() {
    for seed in 0..6 {
        let mut shadow = Shadow::default();
        run(seed, 2_500, |engine, events| {
            events.iter().for_each(|event| shadow.fold(event));
            shadow.compare(engine);
        });
        assert!(shadow.trades > 150, "{} trades in history {seed}", shadow.trades);
    }
}

#[test]
fn every_entry_ends_with_exactly_one_outcome() {
    run(7, 5_000, |_, events| {
        let is_outcome = |event: &&Event| {
            matches!(event, Event::Completed { .. } | Event::Repeated { .. } | Event::TooOld { .. })
        };
        assert_eq!(events.iter().filter(is_outcome).count(), 1);
        assert!(events.last().as_ref().is_some_and(is_outcome));
    });
}

#[test]
fn histories_reach_every_kind_of_refusal_that_clients_can_cause() {
    let mut codes = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for seed in 20..24 {
        run(seed, 8_000, |_, events| match events.last() {
            Some(Event::Completed { outcome }) => {
                if let OutcomeKind::Rejected { code } = outcome.kind {
                    codes.insert(code);
                }
            }
            Some(Event::Repeated { .. }) => {
                kinds.insert("repeated");
            }
            _ => {
                kinds.insert("too old");
            }
        });
    }
    use RejectCode::*;
    for code in [
        NotOperator,
        UnknownAccount,
        UnknownCurrency,
        UnknownInstrument,
        UnknownOrder,
        NotYourOrder,
        SizeOutOfRange,
        MarketMayNotRest,
        WouldTrade,
        CannotFill,
        InsufficientBalance,
        AmountNotPositive,
        CancelOnly,
        Halted,
        Expired,
        StaleTerm,
        NothingToAmend,
    ] {
        assert!(codes.contains(&code), "{code:?} never happened");
    }
    assert_eq!(kinds.len(), 2);
}

#[test]
fn money_is_conserved_exactly_through_every_entry() {
    for seed in 30..34 {
        run(seed, 2_500, |engine, _| {
            for currency in engine.currencies() {
                let mut total = 0;
                for account in engine.accounts() {
                    let money = account.balances.iter().find(|b| b.currency == currency.id);
                    total += money.map_or(0, |money| money.balance.0);
                    for position in &account.positions {
                        let terms = engine.instrument(position.instrument).expect("known");
                        let is_option = matches!(terms.kind, InstrumentKind::Option { .. });
                        if terms.settlement == currency.id && !is_option {
                            total -= position.basis.0;
                        }
                    }
                }
                assert_eq!(Some(Money(total)), engine.net_deposits(currency.id));
            }
        });
    }
}

#[test]
fn positions_of_an_instrument_always_cancel_out() {
    run(40, 4_000, |engine, _| {
        let mut totals: BTreeMap<InstrumentId, i64> = BTreeMap::new();
        for account in engine.accounts() {
            for position in &account.positions {
                *totals.entry(position.instrument).or_default() += position.lots.0;
                if position.lots == Lots(0) {
                    assert_eq!(position.basis, Money(0));
                }
            }
        }
        assert!(totals.values().all(|total| *total == 0));
    });
}

#[test]
fn no_book_is_ever_crossed_and_levels_are_the_sums_of_their_orders() {
    run(50, 3_000, |engine, _| {
        for instrument in engine.instruments() {
            let book = engine.book(instrument.id).expect("a book");
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
                assert!(bid < ask);
            }
            for side in [Side::Buy, Side::Sell] {
                let levels: Vec<_> = book.levels(side).collect();
                let is_ordered = levels.windows(2).all(|pair| match side {
                    Side::Buy => pair[0].price > pair[1].price,
                    Side::Sell => pair[0].price < pair[1].price,
                });
                assert!(is_ordered);
                let mut sums: BTreeMap<Ticks, (i64, usize)> = BTreeMap::new();
                for order in book.orders(side) {
                    assert!(order.open.0 > 0);
                    let sum = sums.entry(order.price).or_default();
                    *sum = (sum.0 + order.open.0, sum.1 + 1);
                }
                assert_eq!(levels.len(), sums.len());
                for level in levels {
                    assert_eq!(sums[&level.price], (level.lots.0, level.order_count));
                }
            }
        }
    });
}

/// The reserve of an order, from the terms in decimals and nothing else.
fn expected_reserve(
    engine: &Engine,
    terms: &Instrument,
    collateral: Collateral,
    order: &OrderView,
) -> (CurrencyId, i128) {
    let scale = |id| engine.currencies().find(|c| c.id == id).expect("known").scale;
    let units = |mantissa: i128, decimals: i32, divisor: i128, half_even: bool| {
        // mantissa · 10^-decimals / divisor
        let power = 10i128.pow(decimals.unsigned_abs());
        let (top, bottom) =
            if decimals < 0 { (mantissa * power, divisor) } else { (mantissa, divisor * power) };
        let (whole, rest) = (top / bottom, top % bottom);
        let up = if half_even {
            rest * 2 > bottom || (rest * 2 == bottom && whole % 2 == 1)
        } else {
            rest > 0
        };
        whole + i128::from(up)
    };
    let (lots, price) = (i128::from(order.open.0), i128::from(order.price.0));
    let size = lots * terms.lot.mantissa() * terms.contract_size.mantissa();
    let size_scale = i32::from(terms.lot.scale()) + i32::from(terms.contract_size.scale());
    let settles = i32::from(scale(terms.settlement));
    let (tick, tick_scale) = (terms.tick.mantissa(), i32::from(terms.tick.scale()));
    let is_option = matches!(terms.kind, InstrumentKind::Option { .. });
    let value = if terms.style == evenkeel_types::Style::Inverse && !is_option {
        units(size, size_scale - tick_scale - settles, price * tick, true)
    } else {
        units(size * price * tick, size_scale + tick_scale - settles, 1, true)
    };
    let rate = |basis_points| units(value * basis_points, 4, 1, false);
    let (currency, reserve) = match (terms.kind, order.side) {
        (InstrumentKind::Spot, Side::Sell) => {
            let base = i32::from(scale(terms.base));
            (terms.base, units(size, size_scale - base, 1, false))
        }
        (InstrumentKind::Spot, Side::Buy) => (terms.quote, value),
        (InstrumentKind::Option { .. }, Side::Buy) => (terms.settlement, value),
        (InstrumentKind::Option { .. }, Side::Sell) => {
            (terms.settlement, rate(OPTION_SELL_RATE_BP))
        }
        _ => (terms.settlement, rate(FUTURE_RATE_BP)),
    };
    match collateral {
        Collateral::Checked => (currency, reserve),
        Collateral::Unlimited => (currency, 0),
    }
}

#[test]
fn what_is_reserved_is_what_the_open_orders_need() {
    for seed in 60..63 {
        run(seed, 2_000, |engine, _| {
            let collaterals: BTreeMap<AccountId, Collateral> =
                engine.accounts().map(|a| (a.id, a.collateral)).collect();
            let mut reserves: BTreeMap<(AccountId, CurrencyId), i128> = BTreeMap::new();
            for terms in engine.instruments() {
                let book = engine.book(terms.id).expect("a book");
                for order in book.orders(Side::Buy).chain(book.orders(Side::Sell)) {
                    let collateral = collaterals[&order.account];
                    let (currency, reserve) = expected_reserve(engine, terms, collateral, &order);
                    assert_eq!(order.reserve, Money(reserve), "{order:?}");
                    *reserves.entry((order.account, currency)).or_default() += reserve;
                }
            }
            for account in engine.accounts() {
                for money in &account.balances {
                    let key = (account.id, money.currency);
                    let reserve = reserves.remove(&key).unwrap_or_default();
                    assert_eq!(money.reserved, Money(reserve));
                }
            }
            assert!(reserves.values().all(|reserve| *reserve == 0));
        });
    }
}
