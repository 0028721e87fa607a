//! The second bookkeeper over venues with margin: fees, funding, expiries, liquidations, takeovers,
//! busts, transfers, deposits and withdrawals in steps.

use evenkeel_recovery::Ledger;
use evenkeel_types::event::Booking;
use evenkeel_types::flows::{DepositStep, FlowKey, FlowState, WithdrawalStep};
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::{Delivery, LossRule, VenueTerms};
use evenkeel_types::{
    AccountId, Collateral, Command, Event, Lots, Money, Side, Timestamp, TradeId,
};
use evenkeel_venue::Engine;
use std::collections::BTreeMap;

use crate::margin_history::{MarginHistory, Seeded};
use crate::venue_desk::margin::{
    BTC, CALL, COIN, DOLLAR, EXPIRY, FUTURE, LINEAR_CALL, LINEAR_FUTURE, LINEAR_PERPETUAL,
    LINEAR_PUT, MarginDesk, PERPETUAL, PUT, SECOND, USD, underlying, venue_terms,
};

const ENTRIES: usize = 1_500;

fn name(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::Traded { .. } => "trades",
        Event::TradeBusted { .. } => "busts",
        Event::PositionMoved { .. } => "moved positions",
        Event::InstrumentSettled { .. } => "settlements",
        Event::WithdrawalChanged { state: FlowState::Final, .. } => "final withdrawals",
        Event::DepositChanged { state: FlowState::Final, .. } => "final deposits",
        Event::NetDepositsChanged { .. } => "net deposits",
        Event::Booked { why, .. } => match why {
            Booking::TradingFee => "trading fees",
            Booking::DeliveryFee => "delivery fees",
            Booking::LiquidationFee => "liquidation fees",
            Booking::Funding => "funding",
            Booking::Settlement => "payoffs",
            Booking::Insurance => "insurance",
            Booking::SocialisedLoss => "shared losses",
            Booking::Transfer => "transfers",
            Booking::Withdrawal => "withdrawals",
            Booking::Bust => "fees given back",
            Booking::FeesPaid => "fees paid",
            Booking::Delivery => "deliveries",
        },
        _ => return None,
    })
}

fn assert_equal(books: &Ledger, engine: &Engine, what: &str) {
    let (accounts, mismatches) = books.compare(engine).unwrap();
    assert_eq!(accounts, engine.account_count() as u64);
    let position = engine.next_position();
    assert!(mismatches.is_empty(), "{what}, position {position}: {mismatches:?}");
}

/// Plays a history with two ledgers, one from the beginning, one opened midway.
fn play(seed: u64, seen: &mut BTreeMap<&'static str, u64>) {
    let mut history = MarginHistory::new(Seeded(seed));
    let (mut engine, mut books) = (Engine::new(), Ledger::new());
    let mut opened: Option<Ledger> = None;
    let open_at = usize::try_from(seed * 97 % 1_200).unwrap() + 50;
    let mut events = Vec::new();
    for count in 0..ENTRIES {
        let Some(entry) = history.next_entry() else {
            break;
        };
        events.clear();
        engine.apply(&entry, &mut events);
        history.hear(&events);
        for event in &events {
            books.fold(event).unwrap();
            opened.iter_mut().for_each(|books| books.fold(event).unwrap());
            if let Some(name) = name(event) {
                *seen.entry(name).or_default() += 1;
            }
        }
        if count == open_at {
            let restored = Engine::from_snapshot(&engine.snapshot()).unwrap();
            opened = Some(Ledger::opened_with(&restored).unwrap());
        }
        assert_equal(&books, &engine, &format!("seed {seed} from the beginning"));
        if let Some(opened) = &opened {
            assert_equal(opened, &engine, &format!("seed {seed} from entry {open_at}"));
        }
    }
}

#[test]
fn with_margin_it_equals_the_engine_after_every_entry_from_anywhere() {
    let mut seen = BTreeMap::new();
    (0..24).for_each(|seed| play(seed, &mut seen));
    for name in ["trades", "busts", "trading fees", "fees given back", "transfers", "withdrawals"] {
        assert!(seen.contains_key(name), "no {name} in {seen:?}");
    }
}

/// What could be told wrongly about one event, such that somebody's figures are wrong after it.
fn distorted(event: &Event) -> Vec<Option<Event>> {
    let mut versions = Vec::new();
    let mut with = |change: &dyn Fn(&mut Event)| {
        let mut event = event.clone();
        change(&mut event);
        versions.push(Some(event));
    };
    match event {
        // Worked out from the delivery price; what is booked is not read.
        Event::Booked { why: Booking::Settlement, .. } => return Vec::new(),
        Event::Booked { .. } => {
            with(&|event| {
                if let Event::Booked { amount, .. } = event {
                    *amount = Money(amount.0 + 1);
                }
            });
            with(&|event| {
                if let Event::Booked { account, .. } = event {
                    *account = AccountId(1 + account.0 % 5);
                }
            });
        }
        Event::PositionMoved { .. } => {
            with(&|event| {
                if let Event::PositionMoved { lots, .. } = event {
                    *lots = Lots(lots.0 + 1);
                }
            });
            with(&|event| {
                if let Event::PositionMoved { basis, .. } = event {
                    *basis = Money(basis.0 + 1);
                }
            });
        }
        Event::TradeBusted { .. } => {}
        Event::NetDepositsChanged { .. } => with(&|event| {
            if let Event::NetDepositsChanged { net_deposits, .. } = event {
                *net_deposits = Money(net_deposits.0 - 1);
            }
        }),
        Event::WithdrawalChanged { state: FlowState::Requested, .. } => with(&|event| {
            if let Event::WithdrawalChanged { amount, .. } = event {
                *amount = Money(amount.0 + 1);
            }
        }),
        Event::WithdrawalChanged { state: FlowState::Final | FlowState::Failed, .. } => {}
        _ => return Vec::new(),
    }
    versions.push(None);
    versions
}

#[test]
fn a_single_wrong_or_missing_event_of_a_venue_with_margin_is_found() {
    let mut tried: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 0..6 {
        let mut history = MarginHistory::new(Seeded(seed));
        let (mut engine, mut books) = (Engine::new(), Ledger::new());
        let mut parties: BTreeMap<TradeId, [AccountId; 2]> = BTreeMap::new();
        let mut events = Vec::new();
        for _ in 0..ENTRIES {
            let Some(entry) = history.next_entry() else {
                break;
            };
            events.clear();
            engine.apply(&entry, &mut events);
            history.hear(&events);
            for event in &events {
                if let Event::Traded { trade, maker_account, taker_account, .. } = event {
                    parties.insert(*trade, [*maker_account, *taker_account]);
                }
            }
            for (at, event) in events.iter().enumerate() {
                // A trade with oneself moves nothing, nor does it when it is taken back.
                if let Event::TradeBusted { trade, .. } = event
                    && parties[trade][0] == parties[trade][1]
                {
                    continue;
                }
                for version in distorted(event) {
                    let mut wrong = books.clone();
                    let told = events[..at].iter().chain(version.as_ref());
                    told.chain(&events[at + 1..]).for_each(|event| wrong.fold(event).unwrap());
                    let (_, mismatches) = wrong.compare(&engine).unwrap();
                    assert!(!mismatches.is_empty(), "{event:?} told as {version:?}");
                    *tried.entry(name(event).unwrap_or("steps")).or_default() += 1;
                }
            }
            events.iter().for_each(|event| books.fold(event).unwrap());
        }
    }
    assert!(tried.len() >= 6 && tried.values().sum::<u64>() > 500, "{tried:?}");
}

/// What happened of each kind when a desk's entries are followed with a ledger, entry by entry.
fn follow(desk: &MarginDesk, what: &str) -> BTreeMap<&'static str, u64> {
    let (mut engine, mut books) = (Engine::new(), Ledger::new());
    let mut opened: Option<Ledger> = None;
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut events = Vec::new();
    for (count, entry) in desk.entries.iter().enumerate() {
        events.clear();
        engine.apply(entry, &mut events);
        for event in &events {
            books.fold(event).unwrap();
            opened.iter_mut().for_each(|books| books.fold(event).unwrap());
            if let Some(name) = name(event) {
                *seen.entry(name).or_default() += 1;
            }
        }
        assert_equal(&books, &engine, what);
        if let Some(opened) = &opened {
            assert_equal(opened, &engine, what);
        }
        if count == desk.entries.len() / 2 {
            opened = Some(Ledger::opened_with(&engine).unwrap());
        }
    }
    assert_eq!(engine.state_root(), desk.engine.state_root());
    seen
}

/// Holders of everything that expires, in sizes that divide nothing.
fn before_expiry(delivery: Delivery) -> MarginDesk {
    let mut terms = underlying();
    terms.settlement.delivery = delivery;
    let mut desk = MarginDesk::open_with(terms, venue_terms());
    for account in [3, 4] {
        desk.deposit(account, BTC, 50 * COIN);
        desk.deposit(account, USD, 3_000_000 * DOLLAR);
    }
    desk.time = Timestamp(EXPIRY.0 - 1_810 * SECOND);
    desk.feed(60_000, 60);
    for (buyer, seller) in [(1, 2), (3, 4), (4, 3), (3, 2)] {
        let odd = i64::try_from(buyer * 7 + seller).unwrap();
        desk.trade(buyer, seller, FUTURE, 120_001, 1_000 + odd);
        desk.trade(buyer, seller, LINEAR_FUTURE, 119_999, 100 + odd);
        desk.trade(buyer, seller, CALL, 30, odd);
        desk.trade(buyer, seller, PUT, 40, 2 * odd);
        desk.trade(buyer, seller, LINEAR_CALL, 150, odd);
        desk.trade(buyer, seller, LINEAR_PUT, 170, odd);
    }
    desk
}

fn expire(desk: &mut MarginDesk, price: Price) {
    while desk.time.0 < EXPIRY.0 + 5 * SECOND {
        desk.wait(4 * SECOND);
        desk.index(price);
    }
}

#[test]
fn expiries_in_coin_in_cash_and_physical_are_worked_out_to_the_last_unit() {
    for delivery in [Delivery::Cash, Delivery::Physical] {
        for cents in [5_876_543, 6_012_341] {
            let mut desk = before_expiry(delivery);
            expire(&mut desk, Price(cents * (Price::ONE / 100) + 7));
            let mut seen = follow(&desk, &format!("{delivery:?} at {cents}"));
            assert!(seen["payoffs"] > 10 && seen["settlements"] >= 6, "{seen:?}");
            assert!(seen.contains_key("delivery fees"), "{seen:?}");
            assert_eq!(seen.remove("deliveries").is_some(), delivery == Delivery::Physical);
        }
    }
}

#[test]
fn an_expiry_at_another_price_is_found() {
    let mut desk = before_expiry(Delivery::Cash);
    expire(&mut desk, Price(60_123 * Price::ONE));
    let (mut engine, mut books) = (Engine::new(), Ledger::new());
    let (mut events, mut tried) = (Vec::new(), 0);
    for entry in &desk.entries {
        events.clear();
        engine.apply(entry, &mut events);
        for at in 0..events.len() {
            let Event::InstrumentSettled { instrument, price } = events[at] else {
                continue;
            };
            let mut wrong = books.clone();
            for (place, event) in events.iter().enumerate() {
                let price = Price(price.0 / 10 * 11);
                let other = Event::InstrumentSettled { instrument, price };
                wrong.fold(if place == at { &other } else { event }).unwrap();
            }
            tried += u32::from(!wrong.compare(&engine).unwrap().1.is_empty());
        }
        events.iter().for_each(|event| books.fold(event).unwrap());
    }
    // Both futures and both calls; puts are worth nothing at either price, the rest is not held.
    assert_eq!(tried, 4);
}

#[test]
fn takeover_deleverage_and_shared_losses_are_followed() {
    for (loss_rule, fed) in [
        (LossRule::AutoDeleverage, 50_000),
        (LossRule::AutoDeleverage, 7_777),
        (LossRule::Socialise, 0),
    ] {
        let mut desk =
            MarginDesk::open_with(underlying(), VenueTerms { loss_rule, ..venue_terms() });
        desk.deposit(3, USD, 20_000 * DOLLAR + 1);
        for (seller, lots) in [(4, 3_333), (5, 3_334), (6, 3_333)] {
            desk.deposit(seller, USD, 100_000 * DOLLAR);
            desk.trade(3, seller, LINEAR_PERPETUAL, 120_000, lots);
        }
        if fed > 0 {
            desk.feed_fund(USD, fed * DOLLAR);
        }
        for _ in 0..20 {
            desk.wait(SECOND);
            desk.feed(55_000, 60);
            desk.tick();
        }
        assert_eq!(desk.lots(3, LINEAR_PERPETUAL), 0);
        let seen = follow(&desk, &format!("{loss_rule:?} with {fed}"));
        assert!(seen["moved positions"] > 0, "{seen:?}");
        let is_shared = loss_rule == LossRule::Socialise;
        assert_eq!(seen.contains_key("shared losses"), is_shared, "{seen:?}");
    }
}

#[test]
fn funding_fees_busts_and_money_in_steps_are_followed() {
    let mut terms = underlying();
    terms.fees.future_taker = 500;
    terms.fees.future_maker = -100;
    let mut desk = MarginDesk::open_with(terms, venue_terms());
    desk.trade(1, 2, PERPETUAL, 120_000, 6_001);
    desk.trade(1, 2, LINEAR_PERPETUAL, 120_000, 1_001);
    desk.place(1, LINEAR_PERPETUAL, Side::Buy, 120_120, 1);
    desk.place(1, PERPETUAL, Side::Buy, 120_120, 1);
    for _ in 0..5_000 {
        desk.wait(4 * SECOND);
        desk.index(Price(60_000 * Price::ONE));
    }
    desk.operator(Command::BustTrade { trade: TradeId(2), code: 3 });
    let (account, main, currency) = (AccountId(31), AccountId(3), USD);
    let key = FlowKey([1; 16]);
    let seen = DepositStep::Seen { currency, amount: Money(900) };
    desk.operator(Command::OpenSubAccount { account, main, collateral: Collateral::Checked });
    for step in [seen, DepositStep::Final] {
        desk.operator(Command::ReportDeposit { account: main, key, step });
    }
    desk.accept(3, Command::Transfer { to: account, currency, amount: Money(500) });
    let (amount, destination) = (Money(200), [1; 32]);
    for account in [3, 31] {
        desk.accept(account, Command::RequestWithdrawal { key, currency, amount, destination });
    }
    desk.accept(31, Command::CancelWithdrawal { key });
    let send = WithdrawalStep::Send { reference: [2; 32] };
    for step in [WithdrawalStep::Approve, send, WithdrawalStep::Final] {
        desk.operator(Command::AdvanceWithdrawal { account: main, key, step });
    }
    desk.operator(Command::PayFees { currency: BTC, amount: Money(1_000) });
    let followed = follow(&desk, "funding and steps");
    let expected = [
        "funding",
        "trading fees",
        "busts",
        "fees given back",
        "final deposits",
        "transfers",
        "final withdrawals",
        "net deposits",
    ];
    for name in expected {
        assert!(followed.contains_key(name), "no {name} in {followed:?}");
    }
}
