//! Strategies for every type that has canonical bytes.

use evenkeel_types::merkle::{Frontier, leaf_hash};
use evenkeel_types::*;
use proptest::prelude::*;

/// Small and huge ids alike: every varint length.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(bits, shift)| bits >> shift)
}

fn signed() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0u32..63).prop_map(|(bits, shift)| bits >> shift)
}

fn small() -> impl Strategy<Value = u32> {
    (any::<u32>(), 0u32..32).prop_map(|(bits, shift)| bits >> shift)
}

pub fn money() -> impl Strategy<Value = Money> {
    (any::<i128>(), 0u32..127).prop_map(|(bits, shift)| Money(bits >> shift))
}

pub fn decimal() -> impl Strategy<Value = Decimal> {
    (any::<i128>(), 0u32..127, 0u8..=18)
        .prop_map(|(bits, shift, scale)| Decimal::new(bits >> shift, scale).expect("in range"))
}

pub fn symbol() -> impl Strategy<Value = Symbol> {
    "[!-~]{1,32}".prop_map(|name| Symbol::new(&name).expect("printable"))
}

macro_rules! ids {
    ($($name:ident: $type:ident($inner:ident)),* $(,)?) => {
        $(pub fn $name() -> impl Strategy<Value = $type> {
            $inner().prop_map(|value| $type(value.try_into().unwrap_or_default()))
        })*
    };
}
ids!(
    position: Position(number),
    term: Term(number),
    account: AccountId(number),
    session: SessionId(number),
    sequence: ClientSequence(number),
    order_id: OrderId(number),
    trade_id: TradeId(number),
    instrument_id: InstrumentId(small),
    timestamp: Timestamp(number),
    ticks: Ticks(signed),
    lots: Lots(signed),
);

pub fn currency_id() -> impl Strategy<Value = CurrencyId> {
    any::<u16>().prop_map(CurrencyId)
}

pub fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Buy), Just(Side::Sell)]
}

pub fn time_in_force() -> impl Strategy<Value = TimeInForce> {
    prop_oneof![
        Just(TimeInForce::GoodTillCancel),
        Just(TimeInForce::ImmediateOrCancel),
        Just(TimeInForce::FillOrKill),
    ]
}

pub fn collateral() -> impl Strategy<Value = Collateral> {
    prop_oneof![Just(Collateral::Checked), Just(Collateral::Unlimited)]
}

pub fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Normal), Just(Mode::CancelOnly), Just(Mode::Halted)]
}

pub fn close_reason() -> impl Strategy<Value = CloseReason> {
    prop_oneof![
        Just(CloseReason::Filled),
        Just(CloseReason::Cancelled),
        Just(CloseReason::MassCancelled),
        Just(CloseReason::Disconnected),
        Just(CloseReason::Unfilled),
    ]
}

/// Any code that its tag decodes to: the codec itself lists them.
pub fn reject_code() -> impl Strategy<Value = RejectCode> {
    let known: Vec<_> =
        (0..=u8::MAX).filter_map(|tag| RejectCode::from_bytes(&[tag]).ok()).collect();
    prop::sample::select(known)
}

pub fn kind() -> impl Strategy<Value = InstrumentKind> {
    let right = prop_oneof![Just(OptionRight::Call), Just(OptionRight::Put)];
    prop_oneof![
        Just(InstrumentKind::Spot),
        Just(InstrumentKind::Perpetual),
        timestamp().prop_map(|expiry| InstrumentKind::Future { expiry }),
        (timestamp(), decimal(), right).prop_map(|(expiry, strike, right)| {
            InstrumentKind::Option { expiry, strike, right }
        }),
    ]
}

pub fn currency() -> impl Strategy<Value = Currency> {
    (currency_id(), symbol(), any::<u8>()).prop_map(|(id, code, scale)| Currency {
        id,
        code,
        scale,
    })
}

pub fn instrument() -> impl Strategy<Value = Instrument> {
    let style = prop_oneof![Just(Style::Linear), Just(Style::Inverse)];
    let currencies = [currency_id(), currency_id(), currency_id()];
    let parts = [decimal(), decimal(), decimal()];
    (instrument_id(), symbol(), kind(), style, currencies, parts).prop_map(
        |(id, symbol, kind, style, [base, quote, settlement], [tick, lot, contract_size])| {
            Instrument {
                id,
                symbol,
                kind,
                style,
                base,
                quote,
                settlement,
                tick,
                lot,
                contract_size,
            }
        },
    )
}

pub fn origin() -> impl Strategy<Value = Origin> {
    (account(), session(), sequence()).prop_map(|(account, session, sequence)| Origin {
        account,
        session,
        sequence,
    })
}

pub fn new_order() -> impl Strategy<Value = NewOrder> {
    let price = prop::option::of(ticks());
    let flags = (time_in_force(), any::<bool>(), number());
    (instrument_id(), side(), price, lots(), flags).prop_map(
        |(instrument, side, price, lots, (time_in_force, post_only, label))| NewOrder {
            instrument,
            side,
            price,
            lots,
            time_in_force,
            post_only,
            label,
        },
    )
}

pub fn scope() -> impl Strategy<Value = MassCancelScope> {
    prop_oneof![
        Just(MassCancelScope::All),
        instrument_id().prop_map(|instrument| MassCancelScope::Instrument { instrument }),
        session().prop_map(|session| MassCancelScope::Session { session }),
    ]
}

pub fn command() -> impl Strategy<Value = Command> {
    let client = prop_oneof![
        new_order().prop_map(|order| Command::Place { order }),
        order_id().prop_map(|order| Command::Cancel { order }),
        (order_id(), prop::option::of(ticks()), prop::option::of(lots()))
            .prop_map(|(order, price, lots)| Command::Amend { order, price, lots }),
        (prop::option::of(account()), scope())
            .prop_map(|(account, scope)| Command::MassCancel { account, scope }),
        any::<bool>().prop_map(|cancel_on_disconnect| Command::Connect { cancel_on_disconnect }),
        Just(Command::Disconnect),
    ];
    let listing = prop_oneof![
        any::<([u8; 16], [u8; 32])>().prop_map(|(venue, salt)| Command::Found { venue, salt }),
        term().prop_map(|term| Command::Resume { term }),
        currency().prop_map(|currency| Command::DefineCurrency { currency }),
        instrument().prop_map(|instrument| Command::DefineInstrument { instrument }),
        (account(), collateral())
            .prop_map(|(account, collateral)| Command::OpenAccount { account, collateral }),
    ];
    let running = prop_oneof![
        (account(), currency_id(), money()).prop_map(|(account, currency, amount)| {
            Command::Deposit { account, currency, amount }
        }),
        (account(), currency_id(), money()).prop_map(|(account, currency, amount)| {
            Command::Withdraw { account, currency, amount }
        }),
        (instrument_id(), ticks())
            .prop_map(|(instrument, mark)| Command::SetMark { instrument, mark }),
        (mode(), small()).prop_map(|(mode, cause)| Command::SetMode { mode, cause }),
    ];
    prop_oneof![client, listing, running]
}

pub fn entry() -> impl Strategy<Value = Entry> {
    (timestamp(), origin(), command()).prop_map(|(time, origin, command)| Entry {
        time,
        origin,
        command,
    })
}

pub fn outcome() -> impl Strategy<Value = Outcome> {
    let kind = prop_oneof![
        Just(OutcomeKind::Done),
        order_id().prop_map(|order| OutcomeKind::Order { order }),
        reject_code().prop_map(|code| OutcomeKind::Rejected { code }),
    ];
    (position(), kind).prop_map(|(position, kind)| Outcome { position, kind })
}

pub fn traded() -> impl Strategy<Value = Event> {
    let party = || (order_id(), account(), lots());
    (trade_id(), instrument_id(), ticks(), lots(), side(), party(), party()).prop_map(
        |(trade, instrument, price, lots, taker_side, maker, taker)| Event::Traded {
            trade,
            instrument,
            price,
            lots,
            taker_side,
            maker: maker.0,
            maker_account: maker.1,
            maker_open: maker.2,
            taker: taker.0,
            taker_account: taker.1,
            taker_open: taker.2,
        },
    )
}

pub fn event() -> impl Strategy<Value = Event> {
    let outcomes = prop_oneof![
        outcome().prop_map(|outcome| Event::Completed { outcome }),
        outcome().prop_map(|original| Event::Repeated { original }),
        sequence().prop_map(|lowest| Event::TooOld { lowest }),
    ];
    let venue = prop_oneof![
        any::<[u8; 16]>().prop_map(|venue| Event::Founded { venue }),
        (term(), timestamp()).prop_map(|(term, time)| Event::Resumed { term, time }),
        currency().prop_map(|currency| Event::CurrencyDefined { currency }),
        instrument().prop_map(|instrument| Event::InstrumentDefined { instrument }),
        (account(), collateral())
            .prop_map(|(account, collateral)| Event::AccountOpened { account, collateral }),
        (mode(), small()).prop_map(|(mode, cause)| Event::ModeChanged { mode, cause }),
        (instrument_id(), ticks())
            .prop_map(|(instrument, mark)| Event::MarkChanged { instrument, mark }),
        (account(), session(), any::<bool>(), any::<bool>()).prop_map(
            |(account, session, connected, cancel_on_disconnect)| Event::SessionChanged {
                account,
                session,
                connected,
                cancel_on_disconnect,
            }
        ),
    ];
    prop_oneof![outcomes, venue, order_event(), money_event()]
}

fn order_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (order_id(), account(), session(), new_order()).prop_map(
            |(order, account, session, terms)| Event::OrderAccepted {
                order,
                account,
                session,
                terms,
            }
        ),
        traded(),
        (order_id(), ticks(), lots()).prop_map(|(order, price, open)| Event::OrderRested {
            order,
            price,
            open
        }),
        (order_id(), ticks(), lots(), any::<bool>()).prop_map(
            |(order, price, open, kept_priority)| Event::OrderAmended {
                order,
                price,
                open,
                kept_priority,
            }
        ),
        (order_id(), close_reason(), lots()).prop_map(|(order, reason, open)| Event::OrderClosed {
            order,
            reason,
            open
        }),
    ]
}

fn money_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (account(), currency_id(), money(), money()).prop_map(
            |(account, currency, balance, reserved)| Event::BalanceChanged {
                account,
                currency,
                balance,
                reserved,
            }
        ),
        (account(), instrument_id(), lots(), money(), money()).prop_map(
            |(account, instrument, lots, basis, realised)| Event::PositionChanged {
                account,
                instrument,
                lots,
                basis,
                realised,
            }
        ),
        (account(), currency_id(), money()).prop_map(|(account, currency, amount)| {
            Event::Deposited { account, currency, amount }
        }),
        (account(), currency_id(), money()).prop_map(|(account, currency, amount)| {
            Event::Withdrawn { account, currency, amount }
        }),
    ]
}

pub fn frontier() -> impl Strategy<Value = Frontier> {
    prop::collection::vec(any::<u64>(), 0..70).prop_map(|leaves| {
        let mut frontier = Frontier::new();
        for leaf in leaves {
            frontier.push(leaf_hash(&leaf.to_le_bytes()));
        }
        frontier
    })
}
