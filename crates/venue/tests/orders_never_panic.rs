//! Orders with extreme numbers in every place, under rules 2: each entry has an outcome, money adds
//! up, and a snapshot restores.

mod common;

use common::margin::{
    BTC_USD, CALL, LINEAR_CALL, LINEAR_PERPETUAL, MarginDesk, PERPETUAL, SPOT, usual_underlying,
    venue_terms,
};
use common::order_watch::OrderWatch;
use evenkeel_types::conditional::{
    OrderTerms, Protection, SelfTrade, Trigger, TriggerKind, TriggerPrice,
};
use evenkeel_types::terms::{FeeTerms, LimitTerms};
use evenkeel_types::{
    Command, Event, InstrumentId, Lots, MassCancelScope, NewOrder, OrderId, Side, Ticks,
    TimeInForce, TradeId,
};
use proptest::prelude::*;

/// Small and extreme numbers, which meet more edges than uniform ones.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => 0i64..60,
        6 => 119_950i64..120_050,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MAX, i64::MIN, 1 << 46, (1 << 46) + 1, 1 << 45]),
        1 => (0u32..63).prop_map(|bit| 1i64 << bit),
    ]
}

/// Steps from about where an instrument trades; now and then anything at all.
fn price() -> impl Strategy<Value = (bool, i64)> {
    prop_oneof![
        12 => (-3i64..4).prop_map(|step| (true, step)),
        1 => number().prop_map(|price| (false, price)),
    ]
}

fn priced(instrument: InstrumentId, (is_near, price): (bool, i64)) -> Ticks {
    let middle = match instrument {
        CALL => 690,
        LINEAR_CALL => 4_100,
        _ => 120_000,
    };
    Ticks(if is_near { middle + price } else { price })
}

fn lots() -> impl Strategy<Value = i64> {
    prop_oneof![24 => 1i64..60, 2 => 1_000i64..1_000_000_000, 1 => number()]
}

fn unsigned() -> impl Strategy<Value = u64> {
    prop_oneof![2 => 0u64..5_000, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(0)]
}

fn instrument() -> impl Strategy<Value = InstrumentId> {
    let all = vec![SPOT, PERPETUAL, LINEAR_PERPETUAL, CALL, LINEAR_CALL];
    prop::sample::select(all)
}

fn new_order() -> impl Strategy<Value = NewOrder> {
    let times =
        vec![TimeInForce::GoodTillCancel, TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill];
    let sides = prop::sample::select(vec![Side::Buy, Side::Sell]);
    (
        (instrument(), sides, prop::option::weighted(0.9, price())),
        (lots(), prop::sample::select(times), prop::bool::weighted(0.2), 0u64..3),
    )
        .prop_map(|((instrument, side, price), (lots, time_in_force, post_only, label))| {
            NewOrder {
                instrument,
                side,
                price: price.map(|price| priced(instrument, price)),
                lots: Lots(lots),
                time_in_force,
                post_only,
                label,
            }
        })
}

fn terms() -> impl Strategy<Value = OrderTerms> {
    let wishes = vec![
        SelfTrade::Allow,
        SelfTrade::CancelTaker,
        SelfTrade::CancelMaker,
        SelfTrade::CancelBoth,
    ];
    let trigger = (any::<bool>(), any::<bool>(), number()).prop_map(|(stops, on_mark, level)| {
        let kind = if stops { TriggerKind::Stop } else { TriggerKind::TakeProfit };
        let price = if on_mark { TriggerPrice::Mark } else { TriggerPrice::Index };
        Trigger { kind, price, level }
    });
    (
        (prop::bool::weighted(0.2), any::<bool>(), any::<bool>(), prop::sample::select(wishes)),
        (prop::option::weighted(0.2, any::<u32>()), prop::option::weighted(0.15, trigger)),
    )
        .prop_map(|((reduce_only, slide, protected, self_trade), (protection_bp, trigger))| {
            OrderTerms { reduce_only, slide, self_trade, protected, protection_bp, trigger }
        })
}

fn command() -> impl Strategy<Value = Command> {
    let order = || (0u64..40).prop_map(OrderId);
    let protection = (unsigned(), unsigned(), unsigned(), unsigned()).prop_map(
        |(interval_ms, frozen_ms, quantity_limit, delta_limit)| Protection {
            interval_ms,
            frozen_ms,
            quantity_limit,
            delta_limit,
        },
    );
    prop_oneof![
        12 => (new_order(), terms())
            .prop_map(|(order, terms)| Command::PlaceWith { order, terms }),
        4 => new_order().prop_map(|order| Command::Place { order }),
        1 => order().prop_map(|order| Command::Cancel { order }),
        4 => (order(), prop::option::of(price()), prop::option::of(lots())).prop_map(
            |(order, price, lots)| Command::Amend {
                order,
                price: price.map(|price| priced(PERPETUAL, price)),
                lots: lots.map(Lots),
            }
        ),
        2 => protection
            .prop_map(|protection| Command::SetProtection { underlying: BTC_USD, protection }),
        1 => (0u64..3).prop_map(|label| Command::MassCancel {
            account: None,
            scope: MassCancelScope::Label { label },
        }),
    ]
}

fn operators() -> impl Strategy<Value = Command> {
    prop_oneof![
        (0u64..20, any::<u32>())
            .prop_map(|(trade, code)| Command::BustTrade { trade: TradeId(trade), code }),
        (prop::option::of(any::<u32>()), unsigned()).prop_map(|(orders_per_second, ramp_ms)| {
            Command::SetThrottle { orders_per_second, ramp_ms }
        }),
        Just(Command::Tick),
    ]
}

fn bounds() -> impl Strategy<Value = (LimitTerms, FeeTerms)> {
    let bp = || prop::sample::select(vec![0u32, 0, 0, 500, 3_000, 1_000_000]);
    let size = || prop::sample::select(vec![0u64, 0, 0, 5_000_000, 1_000_000_000_000]);
    let rates =
        prop::sample::select(vec![(0, 0), (-100, 500), (-1_000_000, 1_000_000), (300, 300)]);
    (bp(), bp(), size(), size(), rates).prop_map(|(band, finger, order, position, rates)| {
        let limits = LimitTerms {
            price_band_bp: band,
            fat_finger_bp: finger,
            order_micros: order,
            position_micros: position,
            open_orders: 0,
        };
        let fees = FeeTerms {
            future_maker: rates.0,
            future_taker: rates.1,
            option_maker: rates.0,
            option_taker: rates.1,
            ..FeeTerms::DERIBIT
        };
        (limits, fees)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn extreme_orders_are_refused_or_kept_to_their_promises(
        (limits, fees) in bounds(),
        commands in prop::collection::vec((1u64..4, command(), operators()), 20..120),
        prices in prop::collection::vec(prop_oneof![4 => 59_999i64..60_002, 1 => 1i64..400_000], 8),
    ) {
        let mut terms = usual_underlying();
        (terms.limits, terms.fees) = (limits, fees);
        // No breaker shuts the market.
        terms.oracle.disagreement_bp = 0;
        (terms.breakers.volatility_level, terms.breakers.volatility_rise) = (0, 0);
        let mut desk = MarginDesk::open_with(terms, venue_terms());
        desk.deposit(3, common::margin::BTC, 1 << 89);
        let mut watch = OrderWatch::default();
        let mut second = evenkeel_venue::Engine::new();
        let mut told = 0;
        for (at, (account, command, operators)) in commands.into_iter().enumerate() {
            desk.send(account, command);
            if at % 7 == 0 {
                desk.send(0, operators);
            }
            if at % 15 == 0 {
                desk.feed(prices[at / 15], 60);
            }
        }
        for entry in &desk.entries {
            let mut events: Vec<Event> = Vec::new();
            second.apply(entry, &mut events);
            watch.follow(&events);
            told += events.len();
        }
        prop_assert!(told >= desk.entries.len());
        watch.compare(&desk.engine);
        common::orders::assert_conserved(&desk);
        common::orders::assert_restores(&desk);
    }
}
