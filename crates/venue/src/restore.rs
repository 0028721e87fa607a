//! Reading leaves back: strictly, and with every cross-check that the state allows.

use crate::extension::MARGIN_RULES;
use crate::leaf::{LeafKey, salt_commitment};
use crate::leaf_extended::read_extended;
use crate::operator::is_mark;
use crate::order_checks::check_orders;
use crate::restore_books::{read_books, read_owners};
use crate::restore_checks::check_sums;
use crate::sessions::{MAX_SESSIONS, Session, Sessions, WINDOW};
use crate::settlement_checks::check_settlement;
use crate::skips::read_skips;
use crate::snapshot::SnapshotError;
use crate::state::{CurrencyState, MAX_MONEY, MAX_POSITION, Meta, OPERATOR_SLOT, State};
use crate::view::{AccountView, BalanceView, PositionView};
use evenkeel_types::merkle::Hash;
use evenkeel_types::{
    AccountId, Canonical, ClientSequence, Currency, DecodeError, Instrument, InstrumentKind, Lots,
    Money, OrderId, Outcome, OutcomeKind, Reader, SessionId, Side, Ticks,
};

/// Largest counter that a snapshot may carry: far beyond any history, and counting on from it
/// never overflows.
const MAX_COUNTER: u64 = 1 << 62;

/// An order as its book's leaf tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookOrder {
    /// Limit price.
    pub price: Ticks,
    /// The order.
    pub order: OrderId,
    /// Open size.
    pub open: Lots,
}

/// A book as its leaf tells it, in priority order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookRecord {
    /// Buys, best price first, oldest first.
    pub bids: Vec<BookOrder>,
    /// Sells, best price first, oldest first.
    pub asks: Vec<BookOrder>,
}

/// Counts of leaves, from the first of them.
struct Counts {
    currencies: u64,
    instruments: u64,
    accounts: u64,
}

/// An error behind what was read so far.
pub(crate) fn inconsistent(reader: &Reader<'_>, what: &'static str) -> SnapshotError {
    SnapshotError::Inconsistent { at: reader.at(), what }
}

/// Fails unless the condition holds.
pub(crate) fn ensure(
    reader: &Reader<'_>,
    holds: bool,
    what: &'static str,
) -> Result<(), SnapshotError> {
    if holds { Ok(()) } else { Err(inconsistent(reader, what)) }
}

/// Reads everything behind a snapshot's version.
pub(crate) fn read_state(
    reader: &mut Reader<'_>,
    has_margin: bool,
) -> Result<State, SnapshotError> {
    let salt = reader.array()?;
    let mut state = State::new();
    if has_margin {
        state.extension.rules = MARGIN_RULES;
    }
    let counts = read_meta(reader, salt, &mut state)?;
    for _ in 0..counts.currencies {
        read_currency(reader, &mut state)?;
    }
    for _ in 0..counts.instruments {
        read_instrument(reader, &mut state)?;
    }
    for _ in 0..counts.accounts {
        read_account(reader, &mut state)?;
    }
    let slots: Vec<u32> = state.account_slots.values().copied().collect();
    for slot in slots {
        read_sessions(reader, &mut state, slot)?;
    }
    let slots: Vec<u32> = state.instrument_slots.values().copied().collect();
    let orders = read_books(reader, &mut state, &slots)?;
    read_owners(reader, &mut state, &slots, orders)?;
    if has_margin {
        read_extended(reader, &mut state)?;
        check_settlement(reader, &state)?;
        check_orders(reader, &state)?;
        state.list_orders();
    }
    if reader.remaining() > 0 {
        expect_key(reader, LeafKey::Skips)?;
        read_skips(reader, &mut state)?;
    }
    check_sums(reader, &state)?;
    state.count_money();
    Ok(state)
}

/// Reads a leaf's key, which must be the one that comes next.
pub(crate) fn expect_key(reader: &mut Reader<'_>, expected: LeafKey) -> Result<(), SnapshotError> {
    let key = LeafKey::decode(reader)?;
    ensure(reader, key == expected, "a leaf is not where its key belongs")
}

fn read_meta(
    reader: &mut Reader<'_>,
    salt: [u8; 32],
    state: &mut State,
) -> Result<Counts, SnapshotError> {
    expect_key(reader, LeafKey::Meta)?;
    state.meta = Meta {
        next_position: Canonical::decode(reader)?,
        time: Canonical::decode(reader)?,
        term: Canonical::decode(reader)?,
        mode: Canonical::decode(reader)?,
        mode_cause: Canonical::decode(reader)?,
        digest: Canonical::decode(reader)?,
        next_order: Canonical::decode(reader)?,
        next_trade: Canonical::decode(reader)?,
        venue: Canonical::decode(reader)?,
        salt,
    };
    let commitment: Hash = Canonical::decode(reader)?;
    let counts = Counts {
        currencies: reader.count()? as u64,
        instruments: reader.count()? as u64,
        accounts: reader.count()? as u64,
    };
    let meta = &state.meta;
    ensure(reader, commitment == salt_commitment(&salt), "the salt is not the committed one")?;
    let counters = [meta.next_position.0, meta.next_order.0, meta.next_trade.0];
    let in_range = counters.into_iter().all(|counter| counter <= MAX_COUNTER);
    let numbered = meta.next_order.0 > 0 && meta.next_trade.0 > 0;
    ensure(reader, in_range && numbered, "a counter is out of range")?;
    let is_empty = counts.currencies + counts.instruments + counts.accounts == 0;
    ensure(
        reader,
        meta.venue.is_some() || (is_empty && salt == [0; 32]),
        "a venue that was not founded holds something",
    )?;
    Ok(counts)
}

fn read_currency(reader: &mut Reader<'_>, state: &mut State) -> Result<(), SnapshotError> {
    let key = LeafKey::decode(reader)?;
    let terms = Currency::decode(reader)?;
    let net_deposits = Money::decode(reader)?;
    let id = terms.id;
    let last = state.currencies.last_key_value().map(|(last, _)| *last);
    let ascends = key == LeafKey::Currency { currency: id } && last.is_none_or(|last| last < id);
    ensure(reader, ascends, "a currency is out of order")?;
    ensure(reader, is_money(net_deposits), "net deposits out of range")?;
    let known = CurrencyState::new(terms);
    let mut known = known.ok_or(inconsistent(reader, "a currency has too many decimals"))?;
    known.net_deposits = net_deposits;
    state.currencies.insert(id, known);
    Ok(())
}

fn read_instrument(reader: &mut Reader<'_>, state: &mut State) -> Result<(), SnapshotError> {
    let key = LeafKey::decode(reader)?;
    let terms = Instrument::decode(reader)?;
    let mark = <Option<Ticks>>::decode(reader)?;
    let instrument = terms.id;
    let last = state.instrument_slots.last_key_value();
    let ascends = key == LeafKey::Instrument { instrument }
        && last.is_none_or(|(last, _)| *last < instrument);
    ensure(reader, ascends, "an instrument is out of order")?;
    let in_range = mark.is_none_or(|mark| is_mark(&terms, mark));
    ensure(reader, in_range, "a mark is out of range")?;
    let refused = |_| inconsistent(reader, "an instrument has terms that no venue accepts");
    let mut known = state.prepare_instrument(terms).map_err(refused)?;
    known.mark = mark;
    state.add_instrument(known).map(|_| ()).map_err(refused)
}

fn read_account(reader: &mut Reader<'_>, state: &mut State) -> Result<(), SnapshotError> {
    let LeafKey::Account { account: id } = LeafKey::decode(reader)? else {
        return Err(inconsistent(reader, "an account is missing"));
    };
    let record = read_account_record(id, reader)?;
    let last = state.account_slots.last_key_value().map(|(last, _)| *last);
    let ascends = last.is_none_or(|last| last < id);
    ensure(reader, ascends, "an account is out of order")?;
    let refused = |_| inconsistent(reader, "an account cannot be added");
    let slot = state.add_account(id, record.collateral).map_err(refused)?;
    for money in &record.balances {
        let in_range = is_money(money.balance) && is_money(money.reserved);
        ensure(reader, in_range, "a balance is out of range")?;
        let is_known = state.currencies.contains_key(&money.currency);
        ensure(reader, is_known, "a balance is in an unknown currency")?;
        let balance = state.account_mut(slot).balance_mut(money.currency);
        balance.balance = money.balance;
        balance.reserved = money.reserved;
    }
    for position in &record.positions {
        add_position(reader, state, slot, position)?;
    }
    Ok(())
}

fn add_position(
    reader: &Reader<'_>,
    state: &mut State,
    slot: u32,
    position: &PositionView,
) -> Result<(), SnapshotError> {
    let known = state.instrument_slots.get(&position.instrument);
    let is_spot = known.map(|slot| state.instrument(*slot).terms.kind == InstrumentKind::Spot);
    let is_positioned = is_spot == Some(false);
    ensure(reader, is_positioned, "a position in what has none")?;
    let in_range = position.lots.0.unsigned_abs() <= MAX_POSITION.unsigned_abs()
        && is_money(position.basis)
        && is_money(position.realised);
    ensure(reader, in_range, "a position is out of range")?;
    let fits = position.lots != Lots::ZERO || position.basis == Money::ZERO;
    ensure(reader, fits, "an empty position has a basis")?;
    let holding = state.account_mut(slot).holding_mut(position.instrument);
    holding.lots = position.lots;
    holding.basis = position.basis;
    holding.realised = position.realised;
    Ok(())
}

fn is_money(money: Money) -> bool {
    money.0.unsigned_abs() <= MAX_MONEY.unsigned_abs()
}

/// Reads the value of an account's leaf.
pub(crate) fn read_account_record(
    id: AccountId,
    reader: &mut Reader<'_>,
) -> Result<AccountView, DecodeError> {
    let mut record = AccountView {
        id,
        collateral: Canonical::decode(reader)?,
        balances: Vec::new(),
        positions: Vec::new(),
    };
    for _ in 0..reader.count()? {
        let money = BalanceView {
            currency: Canonical::decode(reader)?,
            balance: Canonical::decode(reader)?,
            reserved: Canonical::decode(reader)?,
        };
        let ascends = record.balances.last().is_none_or(|last| last.currency < money.currency);
        if !ascends || (money.balance == Money::ZERO && money.reserved == Money::ZERO) {
            return Err(reader.not_canonical("balances"));
        }
        record.balances.push(money);
    }
    for _ in 0..reader.count()? {
        let position = PositionView {
            instrument: Canonical::decode(reader)?,
            lots: Canonical::decode(reader)?,
            basis: Canonical::decode(reader)?,
            realised: Canonical::decode(reader)?,
        };
        let last = record.positions.last();
        let ascends = last.is_none_or(|last| last.instrument < position.instrument);
        let is_empty = position.lots.0 == 0 && position.basis.0 == 0 && position.realised.0 == 0;
        if !ascends || is_empty {
            return Err(reader.not_canonical("positions"));
        }
        record.positions.push(position);
    }
    Ok(record)
}

fn read_sessions(
    reader: &mut Reader<'_>,
    state: &mut State,
    slot: u32,
) -> Result<(), SnapshotError> {
    let account = state.account(slot).id;
    expect_key(reader, LeafKey::Sessions { account })?;
    let mut sessions = Sessions { floor: Canonical::decode(reader)?, ..Sessions::default() };
    let count = reader.count()?;
    ensure(reader, count <= MAX_SESSIONS, "too many sessions")?;
    for _ in 0..count {
        let id = SessionId::decode(reader)?;
        let last = sessions.by_id.last_key_value();
        let ascends = last.is_none_or(|(last, _)| *last < id);
        ensure(reader, ascends, "sessions are out of order")?;
        let session = read_session(reader, &state.meta)?;
        sessions.by_id.insert(id, session);
    }
    let is_unfounded = state.meta.venue.is_none();
    let fits = !(is_unfounded && slot == OPERATOR_SLOT && count > 0);
    ensure(reader, fits, "a venue that was not founded has sessions")?;
    state.account_mut(slot).sessions = sessions;
    Ok(())
}

fn read_session(reader: &mut Reader<'_>, meta: &Meta) -> Result<Session, SnapshotError> {
    let mut session = Session {
        connected: Canonical::decode(reader)?,
        cancel_on_disconnect: Canonical::decode(reader)?,
        lowest: Canonical::decode(reader)?,
        ..Session::default()
    };
    let count = reader.count()?;
    ensure(reader, count <= WINDOW, "a session's window is too long")?;
    for _ in 0..count {
        let sequence = ClientSequence::decode(reader)?;
        let outcome = Outcome::decode(reader)?;
        let last = session.window.back().map(|last| last.0);
        let ascends = last.is_none_or(|last| last < sequence) && sequence >= session.lowest;
        ensure(reader, ascends, "a session's window is out of order")?;
        let is_past = outcome.position < meta.next_position;
        ensure(reader, is_past, "an outcome lies in the future")?;
        if let OutcomeKind::Order { order } = outcome.kind {
            let is_past = order.0 > 0 && order < meta.next_order;
            ensure(reader, is_past, "an outcome names an order of the future")?;
        }
        session.window.push_back((sequence, outcome));
    }
    Ok(session)
}

/// Reads the value of a book's leaf.
pub(crate) fn read_book_record(reader: &mut Reader<'_>) -> Result<BookRecord, DecodeError> {
    Ok(BookRecord { bids: read_ladder(reader, Side::Buy)?, asks: read_ladder(reader, Side::Sell)? })
}

fn read_ladder(reader: &mut Reader<'_>, side: Side) -> Result<Vec<BookOrder>, DecodeError> {
    let mut orders: Vec<BookOrder> = Vec::new();
    for _ in 0..reader.count()? {
        let price = Ticks::decode(reader)?;
        // Positive prices in order: descending bids, ascending asks.
        let follows = orders.last().is_none_or(|last| match side {
            Side::Buy => price < last.price,
            Side::Sell => price > last.price,
        });
        if !follows || price.0 <= 0 {
            return Err(reader.not_canonical("price levels"));
        }
        let count = reader.count()?;
        if count == 0 {
            return Err(reader.not_canonical("empty price level"));
        }
        for _ in 0..count {
            orders.push(BookOrder {
                price,
                order: Canonical::decode(reader)?,
                open: Canonical::decode(reader)?,
            });
        }
    }
    Ok(orders)
}
