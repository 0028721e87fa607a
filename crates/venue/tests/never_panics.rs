//! Whatever decodes can be applied, and whatever is applied has an outcome.

mod common;

use common::{Desk, INSTRUMENTS, decimal};
use evenkeel_types::{
    AccountId, Canonical, ClientSequence, Collateral, Command, Currency, CurrencyId, Decimal,
    Entry, Event, Instrument, InstrumentId, InstrumentKind, Lots, MassCancelScope, Mode, Money,
    NewOrder, OptionRight, OrderId, Origin, SessionId, Side, Style, Symbol, Term, Ticks,
    TimeInForce, Timestamp,
};
use evenkeel_venue::Engine;
use proptest::prelude::*;

/// Small and extreme numbers, which meet more edges than uniform ones.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0i64..200,
        1 => any::<i64>(),
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
        1 => (0u32..63).prop_map(|bit| 1i64 << bit),
        1 => (0u32..63).prop_map(|bit| (1i64 << bit) + 1),
    ]
}

fn money() -> impl Strategy<Value = i128> {
    prop_oneof![
        3 => (0u32..127).prop_map(|bit| 1i128 << bit),
        1 => any::<i128>(),
        2 => number().prop_map(i128::from),
    ]
}

fn account() -> impl Strategy<Value = AccountId> {
    prop_oneof![9 => 0u64..6, 1 => any::<u64>()].prop_map(AccountId)
}

fn instrument() -> impl Strategy<Value = InstrumentId> {
    prop_oneof![
        9 => prop::sample::select(INSTRUMENTS.to_vec()),
        1 => any::<u32>().prop_map(InstrumentId)
    ]
}

fn order() -> impl Strategy<Value = OrderId> {
    prop_oneof![9 => 0u64..60, 1 => any::<u64>()].prop_map(OrderId)
}

fn side() -> impl Strategy<Value = Side> {
    prop::sample::select(vec![Side::Buy, Side::Sell])
}

fn new_order() -> impl Strategy<Value = NewOrder> {
    let times =
        vec![TimeInForce::GoodTillCancel, TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill];
    (
        (instrument(), side(), prop::option::of(number())),
        (number(), prop::sample::select(times), any::<bool>(), any::<u64>()),
    )
        .prop_map(|((instrument, side, price), (lots, time_in_force, post_only, label))| {
            NewOrder {
                instrument,
                side,
                price: price.map(Ticks),
                lots: Lots(lots),
                time_in_force,
                post_only,
                label,
            }
        })
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    let small = (-2i128..2_000, 0u8..=18);
    let large = (any::<i128>(), 0u8..=18);
    prop_oneof![4 => small, 1 => large]
        .prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).unwrap_or(decimal("1")))
}

fn definition() -> impl Strategy<Value = Instrument> {
    let kinds = (0u8..4, any::<u64>(), any_decimal()).prop_map(|(kind, expiry, strike)| {
        let expiry = Timestamp(expiry);
        match kind {
            0 => InstrumentKind::Spot,
            1 => InstrumentKind::Perpetual,
            2 => InstrumentKind::Future { expiry },
            _ => InstrumentKind::Option { expiry, strike, right: OptionRight::Put },
        }
    });
    let ids = (0u32..20, 0u16..6, 0u16..6, 0u16..6, any::<bool>());
    (ids, kinds, any_decimal(), any_decimal(), any_decimal()).prop_map(
        |((id, base, quote, settlement, is_linear), kind, tick, lot, contract_size)| Instrument {
            id: InstrumentId(id),
            symbol: Symbol::new(&format!("S{id}")).expect("a symbol"),
            kind,
            style: if is_linear { Style::Linear } else { Style::Inverse },
            base: CurrencyId(base),
            quote: CurrencyId(quote),
            settlement: CurrencyId(settlement),
            tick,
            lot,
            contract_size,
        },
    )
}

fn client_command() -> impl Strategy<Value = Command> {
    let scope = prop_oneof![
        Just(MassCancelScope::All),
        instrument().prop_map(|instrument| MassCancelScope::Instrument { instrument }),
        (0u64..4).prop_map(|session| MassCancelScope::Session { session: SessionId(session) }),
    ];
    prop_oneof![
        8 => new_order().prop_map(|order| Command::Place { order }),
        2 => order().prop_map(|order| Command::Cancel { order }),
        4 => (order(), prop::option::of(number()), prop::option::of(number())).prop_map(
            |(order, price, lots)| Command::Amend {
                order,
                price: price.map(Ticks),
                lots: lots.map(Lots)
            }
        ),
        1 => (prop::option::of(account()), scope)
            .prop_map(|(account, scope)| Command::MassCancel { account, scope }),
        1 => any::<bool>().prop_map(|cancel_on_disconnect| Command::Connect {
            cancel_on_disconnect
        }),
        1 => Just(Command::Disconnect),
    ]
}

fn operator_command() -> impl Strategy<Value = Command> {
    let modes = vec![Mode::Normal, Mode::CancelOnly, Mode::Halted, Mode::Normal];
    let transfer = || (account(), 0u16..6, money());
    prop_oneof![
        (any::<[u8; 16]>(), any::<[u8; 32]>())
            .prop_map(|(venue, salt)| Command::Found { venue, salt }),
        any::<u64>().prop_map(|term| Command::Resume { term: Term(term) }),
        (0u16..6, any::<u8>()).prop_map(|(id, scale)| Command::DefineCurrency {
            currency: Currency {
                id: CurrencyId(id),
                code: Symbol::new("X").expect("a symbol"),
                scale
            }
        }),
        definition().prop_map(|instrument| Command::DefineInstrument { instrument }),
        (account(), any::<bool>()).prop_map(|(account, is_checked)| Command::OpenAccount {
            account,
            collateral: if is_checked { Collateral::Checked } else { Collateral::Unlimited }
        }),
        transfer().prop_map(|(account, currency, amount)| Command::Deposit {
            account,
            currency: CurrencyId(currency),
            amount: Money(amount)
        }),
        transfer().prop_map(|(account, currency, amount)| Command::Withdraw {
            account,
            currency: CurrencyId(currency),
            amount: Money(amount)
        }),
        (instrument(), number())
            .prop_map(|(instrument, mark)| Command::SetMark { instrument, mark: Ticks(mark) }),
        (prop::sample::select(modes), any::<u32>())
            .prop_map(|(mode, cause)| Command::SetMode { mode, cause }),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let sent = prop_oneof![
        4 => (account(), client_command()),
        1 => (prop_oneof![9 => Just(AccountId::OPERATOR), 1 => account()], operator_command()),
    ];
    let sequence = prop_oneof![4 => 0u64..500, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    (any::<u64>(), sent, 0u64..4, sequence).prop_map(|(time, sent, session, sequence)| Entry {
        // Rarely beyond every expiry, or nothing would trade.
        time: Timestamp(if time % 50 == 0 { time } else { time % 1_000 }),
        origin: Origin {
            account: sent.0,
            session: SessionId(session),
            sequence: ClientSequence(sequence),
        },
        command: sent.1,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_entries_are_applied_and_leave_a_state_that_restores(
        entries in prop::collection::vec(entry(), 1..200),
        is_open in any::<bool>(),
    ) {
        let mut engine = if is_open { Desk::open().engine } else { Engine::new() };
        let mut events = Vec::new();
        for entry in entries {
            let decoded = Entry::from_bytes(&entry.to_bytes()).expect("canonical");
            prop_assert_eq!(&decoded, &entry);
            events.clear();
            engine.apply(&decoded, &mut events);
            let closes = matches!(
                events.last(),
                Some(Event::Completed { .. } | Event::Repeated { .. } | Event::TooOld { .. })
            );
            prop_assert!(closes);
            for event in &events {
                let decoded = Event::from_bytes(&event.to_bytes());
                prop_assert_eq!(decoded.as_ref(), Ok(event));
            }
        }
        for account in engine.accounts() {
            for currency in engine.currencies() {
                let _ = engine.equity(account.id, currency.id);
            }
            for instrument in engine.instruments() {
                let _ = engine.unrealised(account.id, instrument.id);
            }
        }
        let restored = Engine::from_snapshot(&engine.snapshot());
        let restored = restored.expect("every reachable state restores");
        prop_assert_eq!(restored.state_root(), engine.state_root());
    }

    #[test]
    fn any_bytes_are_a_snapshot_or_an_error(
        tail in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [b"EKVS\x01".as_slice(), &tail].concat();
        prop_assert!(Engine::from_snapshot(&bytes).is_err());
    }
}
