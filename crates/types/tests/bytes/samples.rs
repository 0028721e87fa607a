//! The values whose bytes are golden. They use numbers of several lengths and both signs.

use crate::samples_margin;
use evenkeel_types::merkle::{Frontier, leaf_hash};
use evenkeel_types::*;

fn decimal(mantissa: i128, scale: u8) -> Decimal {
    Decimal::new(mantissa, scale).expect("few decimals")
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).expect("a short printable name")
}

fn bitcoin() -> Currency {
    Currency { id: CurrencyId(1), code: symbol("BTC"), scale: 8 }
}

/// 2026-11-27T08:00:00Z.
const EXPIRY: Timestamp = Timestamp(1_795_766_400_000_000_000);

fn option() -> Instrument {
    let kind = InstrumentKind::Option {
        expiry: EXPIRY,
        strike: decimal(90_000, 0),
        right: OptionRight::Call,
    };
    Instrument {
        id: InstrumentId(300),
        symbol: symbol("BTC-27NOV26-90000-C"),
        kind,
        style: Style::Inverse,
        base: CurrencyId(1),
        quote: CurrencyId(3),
        settlement: CurrencyId(1),
        tick: decimal(5, 4),
        lot: decimal(1, 1),
        contract_size: decimal(1, 0),
    }
}

fn perpetual() -> Instrument {
    Instrument {
        id: InstrumentId(2),
        symbol: symbol("BTC-PERP"),
        kind: InstrumentKind::Perpetual,
        tick: decimal(5, 1),
        lot: decimal(10, 0),
        ..option()
    }
}

fn spot() -> Instrument {
    Instrument {
        id: InstrumentId(1),
        symbol: symbol("BTC_USDC"),
        kind: InstrumentKind::Spot,
        style: Style::Linear,
        settlement: CurrencyId(3),
        tick: decimal(5, 1),
        lot: decimal(1, 4),
        ..option()
    }
}

fn future() -> Instrument {
    Instrument {
        id: InstrumentId(3),
        symbol: symbol("BTC-27NOV26"),
        kind: InstrumentKind::Future { expiry: EXPIRY },
        ..perpetual()
    }
}

pub fn limit_order() -> NewOrder {
    NewOrder {
        instrument: InstrumentId(300),
        side: Side::Buy,
        price: Some(Ticks(125)),
        lots: Lots(40),
        time_in_force: TimeInForce::GoodTillCancel,
        post_only: true,
        label: 0xdead_beef,
    }
}

fn market_order() -> NewOrder {
    NewOrder {
        side: Side::Sell,
        price: None,
        time_in_force: TimeInForce::ImmediateOrCancel,
        post_only: false,
        label: 0,
        ..limit_order()
    }
}

pub fn commands() -> Vec<(&'static str, Command)> {
    let mut commands = order_commands();
    commands.extend(session_commands());
    commands.extend(operator_commands());
    commands.extend(account_commands());
    commands.extend(samples_margin::commands());
    commands
}

fn order_commands() -> Vec<(&'static str, Command)> {
    let order = OrderId(987_654_321);
    let (price, lots) = (Some(Ticks(126)), Some(Lots(10)));
    let mut commands = vec![
        ("limit", Command::Place { order: limit_order() }),
        ("market", Command::Place { order: market_order() }),
        ("", Command::Cancel { order }),
    ];
    for (name, price, lots) in [("both", price, lots), ("price", price, None), ("lots", None, lots)]
    {
        commands.push((name, Command::Amend { order, price, lots }));
    }
    for (name, account, (_, scope)) in [
        ("all", None, scopes()[0]),
        ("of", Some(AccountId(1_001)), scopes()[1]),
        ("session", None, scopes()[2]),
    ] {
        commands.push((name, Command::MassCancel { account, scope }));
    }
    commands
}

fn session_commands() -> Vec<(&'static str, Command)> {
    let connect = |cancel_on_disconnect| Command::Connect { cancel_on_disconnect };
    vec![("cancel", connect(true)), ("keep", connect(false)), ("", Command::Disconnect)]
}

fn operator_commands() -> Vec<(&'static str, Command)> {
    let (venue, salt) = ([0xab; 16], [0xcd; 32]);
    let mut commands = vec![
        ("", Command::Found { venue, salt }),
        ("", Command::Resume { term: Term(7) }),
        ("", Command::DefineCurrency { currency: bitcoin() }),
    ];
    for (name, instrument) in
        [("spot", spot()), ("perpetual", perpetual()), ("future", future()), ("option", option())]
    {
        commands.push((name, Command::DefineInstrument { instrument }));
    }
    commands
}

fn account_commands() -> Vec<(&'static str, Command)> {
    let (account, currency) = (AccountId(1_001), CurrencyId(1));
    let (checked, unlimited) = (Collateral::Checked, Collateral::Unlimited);
    let open = |collateral| Command::OpenAccount { account, collateral };
    let (large, small) = (Money(150_000_000_000), Money(1));
    let (instrument, mark) = (InstrumentId(2), Ticks(157_059));
    let (mode, cause) = (Mode::CancelOnly, 70_000);
    vec![
        ("checked", open(checked)),
        ("unlimited", open(unlimited)),
        ("", Command::Deposit { account, currency, amount: large }),
        ("", Command::Withdraw { account, currency, amount: small }),
        ("", Command::SetMark { instrument, mark }),
        ("", Command::SetMode { mode, cause }),
    ]
}

/// One entry for each command variant, the first of its samples.
pub fn entries() -> Vec<(&'static str, Entry)> {
    let mut entries: Vec<(&'static str, Entry)> = Vec::new();
    for (_, command) in commands() {
        let is_new = entries.last().is_none_or(|(_, last)| {
            std::mem::discriminant(&last.command) != std::mem::discriminant(&command)
        });
        if is_new {
            let number = entries.len() as u64;
            let origin = Origin {
                account: AccountId(1_001),
                session: SessionId(7),
                sequence: ClientSequence(1 << number),
            };
            let time = Timestamp(1_795_225_074_000_000_000 + number);
            entries.push(("", Entry { time, origin, command }));
        }
    }
    entries
}

pub fn scopes() -> Vec<(&'static str, MassCancelScope)> {
    vec![
        ("", MassCancelScope::All),
        ("", MassCancelScope::Instrument { instrument: InstrumentId(300) }),
        ("", MassCancelScope::Session { session: SessionId(7) }),
        ("", MassCancelScope::Currency { currency: CurrencyId(3) }),
        ("", MassCancelScope::Label { label: 1 << 40 }),
    ]
}

pub fn kinds() -> Vec<(&'static str, InstrumentKind)> {
    vec![
        ("", InstrumentKind::Spot),
        ("", InstrumentKind::Perpetual),
        ("", InstrumentKind::Future { expiry: EXPIRY }),
        ("call", option().kind),
        (
            "put",
            InstrumentKind::Option {
                expiry: EXPIRY,
                strike: decimal(25, 1),
                right: OptionRight::Put,
            },
        ),
    ]
}

pub fn outcomes() -> Vec<(&'static str, OutcomeKind)> {
    vec![
        ("", OutcomeKind::Done),
        ("", OutcomeKind::Order { order: OrderId(300) }),
        ("", OutcomeKind::Rejected { code: RejectCode::InsufficientBalance }),
    ]
}

pub fn events() -> Vec<(&'static str, Event)> {
    let mut events = outcome_events();
    events.extend(venue_events());
    events.extend(order_events());
    events.extend(money_events());
    events.extend(samples_margin::events());
    events
}

fn outcome_events() -> Vec<(&'static str, Event)> {
    let position = Position(1_000_000);
    let kinds = outcomes();
    let outcome = |index: usize| Outcome { position, kind: kinds[index].1 };
    let lowest = ClientSequence(65);
    vec![
        ("done", Event::Completed { outcome: outcome(0) }),
        ("order", Event::Completed { outcome: outcome(1) }),
        ("rejected", Event::Completed { outcome: outcome(2) }),
        ("", Event::Repeated { original: outcome(1) }),
        ("", Event::TooOld { lowest }),
    ]
}

fn venue_events() -> Vec<(&'static str, Event)> {
    let (account, session) = (AccountId(1_001), SessionId(7));
    let (term, time) = (Term(7), EXPIRY);
    let (collateral, mode) = (Collateral::Checked, Mode::Halted);
    let (instrument, mark) = (InstrumentId(2), Ticks(157_059));
    let venue = [0xab; 16];
    let mut events = vec![
        ("", Event::Founded { venue }),
        ("", Event::Resumed { term, time }),
        ("", Event::CurrencyDefined { currency: bitcoin() }),
        ("", Event::InstrumentDefined { instrument: option() }),
        ("", Event::AccountOpened { account, collateral }),
        ("", Event::ModeChanged { mode, cause: 3 }),
        ("", Event::MarkChanged { instrument, mark }),
    ];
    for (name, connected, cancel_on_disconnect) in
        [("connected", true, true), ("kept", true, false), ("disconnected", false, true)]
    {
        let event = Event::SessionChanged { account, session, connected, cancel_on_disconnect };
        events.push((name, event));
    }
    events
}

fn order_events() -> Vec<(&'static str, Event)> {
    let order = OrderId(300);
    let (price, open) = (Ticks(125), Lots(30));
    let mut events = vec![
        (
            "",
            Event::OrderAccepted {
                order,
                account: AccountId(1_001),
                session: SessionId(7),
                terms: limit_order(),
            },
        ),
        (
            "",
            Event::Traded {
                trade: TradeId(42),
                instrument: InstrumentId(300),
                price,
                lots: Lots(10),
                taker_side: Side::Sell,
                maker: OrderId(299),
                maker_account: AccountId(1_001),
                maker_open: Lots(30),
                taker: order,
                taker_account: AccountId(1_002),
                taker_open: Lots(0),
            },
        ),
        ("", Event::OrderRested { order, price, open }),
        ("kept", Event::OrderAmended { order, price, open, kept_priority: true }),
        ("lost", Event::OrderAmended { order, price, open, kept_priority: false }),
    ];
    for (name, reason) in [
        ("filled", CloseReason::Filled),
        ("cancelled", CloseReason::Cancelled),
        ("mass_cancelled", CloseReason::MassCancelled),
        ("disconnected", CloseReason::Disconnected),
        ("unfilled", CloseReason::Unfilled),
    ] {
        events.push((name, Event::OrderClosed { order, reason, open }));
    }
    events
}

fn money_events() -> Vec<(&'static str, Event)> {
    let (account, currency) = (AccountId(1_001), CurrencyId(1));
    let amount = Money(150_000_000_000);
    vec![
        ("", Event::BalanceChanged { account, currency, balance: amount, reserved: Money(12_345) }),
        (
            "short",
            Event::PositionChanged {
                account,
                instrument: InstrumentId(2),
                lots: Lots(-5_000),
                basis: Money(63_670_000),
                realised: Money(-1),
            },
        ),
        ("", Event::Deposited { account, currency, amount }),
        ("", Event::Withdrawn { account, currency, amount: Money(1) }),
    ]
}

pub fn values() -> Vec<(String, Vec<u8>)> {
    let mut frontier = Frontier::new();
    let mut values = vec![("frontier.empty", frontier.to_bytes())];
    for leaf in 0..5u8 {
        frontier.push(leaf_hash(&[leaf]));
    }
    values.extend([
        ("frontier.five", frontier.to_bytes()),
        ("u64.zero", 0u64.to_bytes()),
        ("u64.127", 127u64.to_bytes()),
        ("u64.128", 128u64.to_bytes()),
        ("u64.most", u64::MAX.to_bytes()),
        ("i64.minus_one", (-1i64).to_bytes()),
        ("i64.least", i64::MIN.to_bytes()),
        ("i64.most", i64::MAX.to_bytes()),
        ("money.least", Money(i128::MIN).to_bytes()),
        ("money.most", Money(i128::MAX).to_bytes()),
        ("ticks.minus_three", Ticks(-3).to_bytes()),
        ("decimal.zero", decimal(0, 0).to_bytes()),
        ("decimal.minus_half", decimal(-5, 1).to_bytes()),
        ("decimal.smallest", decimal(1, 18).to_bytes()),
        ("symbol.longest", symbol("ABCDEFGHIJKLMNOPQRSTUVWXYZ-01234").to_bytes()),
        ("currency", bitcoin().to_bytes()),
        ("option.none", None::<Ticks>.to_bytes()),
        ("option.some", Some(Ticks(1)).to_bytes()),
        ("bool.false", false.to_bytes()),
        ("bool.true", true.to_bytes()),
        ("array", [1u8, 2, 3, 4].to_bytes()),
        ("list", vec![Ticks(1), Ticks(-1)].to_bytes()),
        ("currency_id.most", CurrencyId(u16::MAX).to_bytes()),
        ("instrument_id.most", InstrumentId(u32::MAX).to_bytes()),
    ]);
    values.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}
