//! Every field of the state is in the root: each is changed, one at a time, and the root must
//! change. The structures are taken apart without `..`, so a field added to one of them does not
//! compile until it is listed here.

use crate::book::{Book, Level};
use crate::engine::Engine;
use crate::orders::Order;
use crate::sessions::{Session, Sessions};
use crate::state::{Account, Balance, CurrencyState, Holding, InstrumentState, Meta, State};
use evenkeel_types::decimal::Decimal;
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Entry, Instrument,
    InstrumentId, InstrumentKind, Lots, Mode, Money, NewOrder, Origin, OutcomeKind, Side, Style,
    Symbol, Term, Ticks, TimeInForce, Timestamp,
};

const COIN: CurrencyId = CurrencyId(1);
pub(crate) const CASH: CurrencyId = CurrencyId(2);
pub(crate) const FUTURE: InstrumentId = InstrumentId(1);
pub(crate) const TRADER: usize = 1;

fn instrument() -> Instrument {
    Instrument {
        id: FUTURE,
        symbol: Symbol::new("FUTURE").expect("a symbol"),
        kind: InstrumentKind::Perpetual,
        style: Style::Linear,
        base: COIN,
        quote: CASH,
        settlement: CASH,
        tick: Decimal::whole(1),
        lot: Decimal::whole(1),
        contract_size: Decimal::whole(1),
    }
}

pub(crate) fn order(side: Side, price: i64, lots: i64) -> Command {
    Command::Place {
        order: NewOrder {
            instrument: FUTURE,
            side,
            price: Some(Ticks(price)),
            lots: Lots(lots),
            time_in_force: TimeInForce::GoodTillCancel,
            post_only: false,
            label: 7,
        },
    }
}

/// A venue in which every field of every structure holds something.
pub(crate) fn venue() -> Engine {
    let mut engine = Engine::new();
    let (venue, salt) = ([1; 16], [2; 32]);
    let currency = |id, code, scale| Command::DefineCurrency {
        currency: Currency { id, code: Symbol::new(code).expect("a symbol"), scale },
    };
    let account =
        |id| Command::OpenAccount { account: AccountId(id), collateral: Collateral::Checked };
    let deposit =
        |id| Command::Deposit { account: AccountId(id), currency: CASH, amount: Money(1_000_000) };
    let instrument = instrument();
    let commands = vec![
        (0, Command::Found { venue, salt }),
        (0, Command::Resume { term: Term(1) }),
        (0, currency(COIN, "COIN", 8)),
        (0, currency(CASH, "CASH", 2)),
        (0, Command::DefineInstrument { instrument }),
        (0, account(1)),
        (0, account(2)),
        (0, deposit(1)),
        (0, deposit(2)),
        (0, Command::SetMark { instrument: FUTURE, mark: Ticks(100) }),
        (1, order(Side::Buy, 100, 5)),
        (2, order(Side::Sell, 100, 3)),
        (2, order(Side::Sell, 120, 4)),
        (1, order(Side::Buy, 100, 6)),
    ];
    for (position, (sender, command)) in commands.into_iter().enumerate() {
        let origin = Origin {
            account: AccountId(sender),
            session: evenkeel_types::SessionId(3),
            sequence: ClientSequence(position as u64 + 1),
        };
        let time = Timestamp(position as u64 + 100);
        let mut events = Vec::new();
        engine.apply(&Entry { time, origin, command }, &mut events);
        let outcome = engine.outcome_of(origin).expect("remembered");
        assert!(!matches!(outcome.kind, OutcomeKind::Rejected { .. }), "{outcome:?}");
    }
    engine
}

/// Changes the state and expects another root.
fn changes_root(what: &str, change: impl FnOnce(&mut State)) {
    let mut engine = venue();
    let root = engine.state_root();
    change(&mut engine.state);
    assert_ne!(engine.state_root(), root, "{what} is not in the root");
}

/// For each field of a structure: a change of it, checked for its effect on the root. Fields
/// behind `derived` are computed from others, or belong to later rules, and are named, not changed.
macro_rules! each_field {
    ($type:ident at $find:expr, derived [$($derived:ident),*];
     $($field:ident => $change:expr,)*) => {
        // Fails to compile if a field is neither changed nor named as derived.
        let _ = |value: &$type| {
            let $type { $($field: _,)* $($derived: _,)* } = value;
        };
        $(changes_root(stringify!($type . $field), |state| {
            #[allow(clippy::redundant_closure_call, reason = "one shape for every place")]
            let value: &mut $type = ($find)(state);
            let field = &mut value.$field;
            #[allow(clippy::redundant_closure_call, reason = "one shape for every change")]
            ($change)(field);
        });)*
    };
}

#[test]
fn every_counter_and_switch_is_in_the_root() {
    fn meta(state: &mut State) -> &mut Meta {
        &mut state.meta
    }
    each_field!(Meta at meta, derived [];
        next_position => |f: &mut evenkeel_types::Position| f.0 += 1,
        time => |f: &mut Timestamp| f.0 += 1,
        term => |f: &mut Term| f.0 += 1,
        mode => |f: &mut Mode| *f = Mode::Halted,
        mode_cause => |f: &mut u32| *f += 1,
        digest => |f: &mut [u8; 32]| f[31] ^= 1,
        next_order => |f: &mut evenkeel_types::OrderId| f.0 += 1,
        next_trade => |f: &mut evenkeel_types::TradeId| f.0 += 1,
        venue => |f: &mut Option<[u8; 16]>| *f = Some([9; 16]),
        salt => |f: &mut [u8; 32]| f[0] ^= 1,
    );
}

#[test]
fn every_field_of_currencies_and_instruments_is_in_the_root() {
    fn currency(state: &mut State) -> &mut CurrencyState {
        state.currencies.get_mut(&CASH).expect("cash")
    }
    fn terms(state: &mut State) -> &mut Instrument {
        &mut state.instruments[0].terms
    }
    fn instrument_state(state: &mut State) -> &mut InstrumentState {
        &mut state.instruments[0]
    }
    each_field!(CurrencyState at currency, derived [extra, held];
        terms => |f: &mut Currency| f.scale += 1,
        net_deposits => |f: &mut Money| f.0 += 1,
    );
    each_field!(InstrumentState at instrument_state, derived [valuation, base_per_lot, extra];
        terms => |f: &mut Instrument| f.tick = Decimal::whole(2),
        mark => |f: &mut Option<Ticks>| *f = None,
        book => |f: &mut Book| *f = Book::new(),
    );
    let other = || Symbol::new("OTHER").expect("a symbol");
    each_field!(Instrument at terms, derived [];
        id => |f: &mut InstrumentId| f.0 += 1,
        symbol => |f: &mut Symbol| *f = other(),
        kind => |f: &mut InstrumentKind| *f = InstrumentKind::Spot,
        style => |f: &mut Style| *f = Style::Inverse,
        base => |f: &mut CurrencyId| f.0 += 1,
        quote => |f: &mut CurrencyId| f.0 += 1,
        settlement => |f: &mut CurrencyId| f.0 += 1,
        tick => |f: &mut Decimal| *f = Decimal::whole(3),
        lot => |f: &mut Decimal| *f = Decimal::whole(3),
        contract_size => |f: &mut Decimal| *f = Decimal::whole(3),
    );
}

#[test]
fn every_field_of_accounts_is_in_the_root() {
    fn account(state: &mut State) -> &mut Account {
        &mut state.accounts[TRADER]
    }
    fn balance(state: &mut State) -> &mut Balance {
        &mut account(state).balances[0]
    }
    fn holding(state: &mut State) -> &mut Holding {
        &mut account(state).holdings[0]
    }
    each_field!(Account at account, derived [held, first_order, last_order, extra];
        collateral => |f: &mut Collateral| *f = Collateral::Unlimited,
        balances => |f: &mut Vec<Balance>| f.clear(),
        holdings => |f: &mut Vec<Holding>| f.clear(),
        sessions => |f: &mut Sessions| *f = Sessions::default(),
        // The id shows in its orders' owners; the rest is the list of its orders.
        id => |f: &mut AccountId| f.0 += 5,
    );
    each_field!(Balance at balance, derived [counted];
        currency => |f: &mut CurrencyId| f.0 += 1,
        balance => |f: &mut Money| f.0 += 1,
        reserved => |f: &mut Money| f.0 += 1,
    );
    each_field!(Holding at holding, derived [open_buy, open_sell, counted];
        instrument => |f: &mut InstrumentId| f.0 += 1,
        lots => |f: &mut Lots| f.0 += 1,
        basis => |f: &mut Money| f.0 += 1,
        realised => |f: &mut Money| f.0 += 1,
    );
}

#[test]
fn every_field_of_sessions_is_in_the_root() {
    fn sessions(state: &mut State) -> &mut Sessions {
        &mut state.accounts[TRADER].sessions
    }
    fn session(state: &mut State) -> &mut Session {
        sessions(state).by_id.values_mut().next().expect("a session")
    }
    fn operators(state: &mut State) -> &mut Sessions {
        &mut state.accounts[0].sessions
    }
    type Window = std::collections::VecDeque<(ClientSequence, evenkeel_types::Outcome)>;
    for place in [sessions, operators] {
        each_field!(Sessions at place, derived [];
            floor => |f: &mut evenkeel_types::SessionId| f.0 += 1,
            by_id => |f: &mut std::collections::BTreeMap<_, _>| f.clear(),
        );
    }
    each_field!(Session at session, derived [];
        connected => |f: &mut bool| *f = !*f,
        cancel_on_disconnect => |f: &mut bool| *f = !*f,
        lowest => |f: &mut ClientSequence| f.0 += 1,
        window => |f: &mut Window| f.truncate(1),
    );
    changes_root("a sequence", |state| session(state).window[0].0.0 += 1);
    changes_root("an outcome's position", |state| {
        session(state).window[0].1.position.0 += 1;
    });
    changes_root("an outcome", |state| {
        session(state).window[0].1.kind = OutcomeKind::Done;
    });
}

#[test]
fn every_field_of_orders_and_their_priority_is_in_the_root() {
    // Slot 0: account 1's first bid, with 2 of 5 left; slot 2: its second, behind it.
    fn resting(state: &mut State) -> &mut Order {
        let slot = state.instruments[0].book.bids.best().expect("a bid").1.oldest;
        state.orders.at_mut(slot)
    }
    each_field!(Order at resting, derived [
        side, instrument, price, reserve, flags, in_level, level, in_account, next_in_bucket
    ];
        id => |f: &mut evenkeel_types::OrderId| f.0 += 50,
        account => |f: &mut u32| *f = 2,
        session => |f: &mut evenkeel_types::SessionId| f.0 += 1,
        label => |f: &mut u64| *f += 1,
        post_only => |f: &mut bool| *f = !*f,
        open => |f: &mut Lots| f.0 += 1,
        // Where it stands is told by its book: side, instrument, price and neighbours follow.
    );
    changes_root("priority within a level", |state| {
        let bids = &mut state.instruments[0].book.bids;
        let oldest = bids.best().expect("a bid").1.oldest;
        bids.unlink(&mut state.orders, oldest);
        bids.push(&mut state.orders, oldest);
    });
    changes_root("an order's price", |state| {
        let bids = &mut state.instruments[0].book.bids;
        let oldest = bids.best().expect("a bid").1.oldest;
        bids.unlink(&mut state.orders, oldest);
        state.orders.at_mut(oldest).price = Ticks(99);
        bids.push(&mut state.orders, oldest);
    });
    changes_root("an order's side", |state| {
        let Book { bids, asks } = &mut state.instruments[0].book;
        let oldest = bids.best().expect("a bid").1.oldest;
        bids.unlink(&mut state.orders, oldest);
        asks.push(&mut state.orders, oldest);
    });
    // Levels are sums over their orders; their fields are named so that a new one is noticed.
    let _ = |level: &Level| {
        let Level { key: _, oldest: _, newest: _, order_count: _, lots: _ } = level;
    };
}

#[test]
fn the_state_has_no_other_fields() {
    let State {
        meta: _,
        currencies,
        instruments: _,
        instrument_slots,
        accounts: _,
        account_slots,
        orders: _,
        // Covered by the tests of the rules that add it.
        extension: _,
        skips: _,
    } = venue().state;
    changes_root("an entry passed over", |state| {
        state.skips.insert(evenkeel_types::Position(1), [3; 32]);
    });
    assert_eq!((currencies.len(), instrument_slots.len(), account_slots.len()), (2, 1, 3));
}
