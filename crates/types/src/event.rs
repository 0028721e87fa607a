//! Events: what a command changed. Each carries the new value of every field it changes, so a
//! reader of events alone can rebuild balances, positions and books.

use crate::command::{Collateral, Mode, NewOrder, RejectCode};
use crate::ids::{
    AccountId, ClientSequence, CurrencyId, InstrumentId, OrderId, Position, SessionId, Term,
    Timestamp, TradeId,
};
use crate::instrument::{Currency, Instrument};
use crate::money::{Lots, Money, Side, Ticks};
use crate::{canonical_enum, canonical_struct};

/// Why an order left the book, or never reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Nothing of it is left.
    Filled,
    /// Its owner cancelled it.
    Cancelled,
    /// A mass cancel took it.
    MassCancelled,
    /// Its session disconnected.
    Disconnected,
    /// What an immediate-or-cancel or market order left unfilled.
    Unfilled,
}
canonical_enum!(CloseReason {
    1 => Filled, 2 => Cancelled, 3 => MassCancelled, 4 => Disconnected, 5 => Unfilled,
});

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// It was applied.
    Done,
    /// It was applied and this order was accepted.
    Order {
        /// The order.
        order: OrderId,
    },
    /// It changed nothing.
    Rejected {
        /// Why.
        code: RejectCode,
    },
}
canonical_enum!(OutcomeKind { 1 => Done, 2 => Order { order }, 3 => Rejected { code } });

/// What became of a command, and where it stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Position of the entry that was applied.
    pub position: Position,
    /// Its result.
    pub kind: OutcomeKind,
}
canonical_struct!(Outcome { position, kind });

/// Something that happened. The last event of every entry is its outcome: [`Event::Completed`],
/// [`Event::Repeated`] or [`Event::TooOld`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields carry their types' meaning; what is not plain is said")]
pub enum Event {
    /// The entry was applied or refused.
    Completed {
        outcome: Outcome,
    },
    /// A retry: the command was applied before, with this outcome; nothing changed.
    Repeated {
        original: Outcome,
    },
    /// The sequence lies below the session's window; nothing changed.
    TooOld {
        lowest: ClientSequence,
    },

    /// The venue exists.
    Founded {
        venue: [u8; 16],
    },
    /// A primary began; all marks are void.
    Resumed {
        term: Term,
        time: Timestamp,
    },
    CurrencyDefined {
        currency: Currency,
    },
    InstrumentDefined {
        instrument: Instrument,
    },
    AccountOpened {
        account: AccountId,
        collateral: Collateral,
    },
    ModeChanged {
        mode: Mode,
        cause: u32,
    },
    MarkChanged {
        instrument: InstrumentId,
        mark: Ticks,
    },
    SessionChanged {
        account: AccountId,
        session: SessionId,
        connected: bool,
        cancel_on_disconnect: bool,
    },

    /// An order was accepted; it has not traded yet.
    OrderAccepted {
        order: OrderId,
        account: AccountId,
        session: SessionId,
        terms: NewOrder,
    },
    /// Two orders traded. Open sizes are those after the trade.
    Traded {
        trade: TradeId,
        instrument: InstrumentId,
        price: Ticks,
        lots: Lots,
        taker_side: Side,
        maker: OrderId,
        maker_account: AccountId,
        maker_open: Lots,
        taker: OrderId,
        taker_account: AccountId,
        taker_open: Lots,
    },
    /// An order now rests in the book with this open size.
    OrderRested {
        order: OrderId,
        price: Ticks,
        open: Lots,
    },
    /// A resting order changed; without priority it went to the back of its price.
    OrderAmended {
        order: OrderId,
        price: Ticks,
        open: Lots,
        kept_priority: bool,
    },
    /// An order is closed; `open` is what remained unfilled.
    OrderClosed {
        order: OrderId,
        reason: CloseReason,
        open: Lots,
    },

    /// New balance, and how much of it resting orders reserve.
    BalanceChanged {
        account: AccountId,
        currency: CurrencyId,
        balance: Money,
        reserved: Money,
    },
    /// New position: signed size, its basis (what it cost, see
    /// [`crate::instrument::Valuation::basis`]) and the profit realised so far.
    PositionChanged {
        account: AccountId,
        instrument: InstrumentId,
        lots: Lots,
        basis: Money,
        realised: Money,
    },
    /// Money credited from outside.
    Deposited {
        account: AccountId,
        currency: CurrencyId,
        amount: Money,
    },
    /// Money debited to outside.
    Withdrawn {
        account: AccountId,
        currency: CurrencyId,
        amount: Money,
    },
}
canonical_enum!(Event {
    1 => Completed { outcome },
    2 => Repeated { original },
    3 => TooOld { lowest },
    16 => Founded { venue },
    17 => Resumed { term, time },
    18 => CurrencyDefined { currency },
    19 => InstrumentDefined { instrument },
    20 => AccountOpened { account, collateral },
    21 => ModeChanged { mode, cause },
    22 => MarkChanged { instrument, mark },
    23 => SessionChanged { account, session, connected, cancel_on_disconnect },
    32 => OrderAccepted { order, account, session, terms },
    33 => Traded {
        trade, instrument, price, lots, taker_side, maker, maker_account, maker_open, taker,
        taker_account, taker_open,
    },
    34 => OrderRested { order, price, open },
    35 => OrderAmended { order, price, open, kept_priority },
    36 => OrderClosed { order, reason, open },
    48 => BalanceChanged { account, currency, balance, reserved },
    49 => PositionChanged { account, instrument, lots, basis, realised },
    50 => Deposited { account, currency, amount },
    51 => Withdrawn { account, currency, amount },
});
