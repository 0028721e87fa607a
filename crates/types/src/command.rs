//! Commands: everything that can change the venue, each as one journal entry.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::ids::{
    AccountId, ClientSequence, CurrencyId, InstrumentId, OrderId, SessionId, Term, Timestamp,
};
use crate::instrument::{Currency, Instrument};
use crate::money::{Lots, Money, Side, Ticks};
use crate::{canonical_enum, canonical_struct};

/// Who sent a command. With the client's own sequence a retry is recognised and answered with
/// the original outcome instead of being applied again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The account, [`AccountId::OPERATOR`] for the venue itself.
    pub account: AccountId,
    /// The session within the account.
    pub session: SessionId,
    /// Grows by any step within a session.
    pub sequence: ClientSequence,
}
canonical_struct!(Origin { account, session, sequence });

/// How long an order lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeInForce {
    /// Until filled or cancelled.
    GoodTillCancel,
    /// What does not fill at once is cancelled.
    ImmediateOrCancel,
    /// All at once, or nothing.
    FillOrKill,
}
canonical_enum!(TimeInForce { 1 => GoodTillCancel, 2 => ImmediateOrCancel, 3 => FillOrKill });

/// A new order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewOrder {
    /// Where.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Limit price; `None` for a market order, which never rests.
    pub price: Option<Ticks>,
    /// Size, positive.
    pub lots: Lots,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Refused if it would trade at once.
    pub post_only: bool,
    /// The client's own mark, echoed in events.
    pub label: u64,
}
canonical_struct!(NewOrder { instrument, side, price, lots, time_in_force, post_only, label });

/// Which of an account's orders a mass cancel takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MassCancelScope {
    /// All of them.
    All,
    /// Those on one instrument.
    Instrument {
        /// The instrument.
        instrument: InstrumentId,
    },
    /// Those sent by one session.
    Session {
        /// The session.
        session: SessionId,
    },
}
canonical_enum!(MassCancelScope {
    1 => All,
    2 => Instrument { instrument },
    3 => Session { session },
});

/// How an account's orders are covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collateral {
    /// By its balances: an order that they do not cover is refused.
    Checked,
    /// Not checked: for replaying recorded markets whose accounts' means are unknown.
    Unlimited,
}
canonical_enum!(Collateral { 1 => Checked, 2 => Unlimited });

/// What the venue admits. Ordered from open to shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mode {
    /// Everything.
    #[default]
    Normal,
    /// Cancels and withdrawals, no new orders or amends.
    CancelOnly,
    /// Only the operator.
    Halted,
}
canonical_enum!(Mode { 1 => Normal, 2 => CancelOnly, 3 => Halted });

/// Something to do. The first group is for any account, the second for the operator alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Place an order.
    Place {
        /// The order.
        order: NewOrder,
    },
    /// Cancel one's order.
    Cancel {
        /// The order.
        order: OrderId,
    },
    /// Change price or open size of one's order. A smaller size at the same price keeps priority;
    /// anything else loses it.
    Amend {
        /// The order.
        order: OrderId,
        /// New price, `None` to keep it.
        price: Option<Ticks>,
        /// New open size, `None` to keep it; positive.
        lots: Option<Lots>,
    },
    /// Cancel many of one's orders; the operator may name any account.
    MassCancel {
        /// Whose orders; `None` for the sender's.
        account: Option<AccountId>,
        /// Which of them.
        scope: MassCancelScope,
    },
    /// Open or re-open the sender's session.
    Connect {
        /// Cancel the session's orders when it disconnects.
        cancel_on_disconnect: bool,
    },
    /// The session's connection ended; sent by the gateway in the session's name.
    Disconnect,

    /// Found the venue: always the first entry of a lineage's history.
    Found {
        /// The venue's identity.
        venue: [u8; 16],
        /// Secret from which the salts of the state root's leaves are derived.
        salt: [u8; 32],
    },
    /// A new primary begins; every earlier price is void until marked again.
    Resume {
        /// Its fencing number.
        term: Term,
    },
    /// Add a currency.
    DefineCurrency {
        /// The currency.
        currency: Currency,
    },
    /// Add an instrument.
    DefineInstrument {
        /// Its terms.
        instrument: Instrument,
    },
    /// Add an account.
    OpenAccount {
        /// Its id.
        account: AccountId,
        /// How its orders are covered.
        collateral: Collateral,
    },
    /// Credit an account.
    Deposit {
        /// The account.
        account: AccountId,
        /// The currency.
        currency: CurrencyId,
        /// How much, positive.
        amount: Money,
    },
    /// Debit an account's free balance.
    Withdraw {
        /// The account.
        account: AccountId,
        /// The currency.
        currency: CurrencyId,
        /// How much, positive.
        amount: Money,
    },
    /// Set an instrument's mark price.
    SetMark {
        /// The instrument.
        instrument: InstrumentId,
        /// The mark.
        mark: Ticks,
    },
    /// Open or shut the venue.
    SetMode {
        /// The new mode.
        mode: Mode,
        /// Why, as a stable code chosen by the operator.
        cause: u32,
    },
}
canonical_enum!(Command {
    1 => Place { order },
    2 => Cancel { order },
    3 => Amend { order, price, lots },
    4 => MassCancel { account, scope },
    5 => Connect { cancel_on_disconnect },
    6 => Disconnect,
    32 => Found { venue, salt },
    33 => Resume { term },
    34 => DefineCurrency { currency },
    35 => DefineInstrument { instrument },
    36 => OpenAccount { account, collateral },
    37 => Deposit { account, currency, amount },
    38 => Withdraw { account, currency, amount },
    39 => SetMark { instrument, mark },
    40 => SetMode { mode, cause },
});

impl Command {
    /// True for what a nearly full disk or a cancel-only venue still admits: mode changes,
    /// cancels and withdrawals, which shrink risk or free space.
    #[must_use]
    pub fn is_protective(&self) -> bool {
        matches!(
            self,
            Self::Cancel { .. }
                | Self::MassCancel { .. }
                | Self::Disconnect
                | Self::Withdraw { .. }
                | Self::SetMode { .. }
                | Self::Resume { .. }
        )
    }
}

/// A journal entry: a command, who sent it and when the primary took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When the primary took it; never before the previous entry's time.
    pub time: Timestamp,
    /// Who sent it.
    pub origin: Origin,
    /// What to do.
    pub command: Command,
}

impl Entry {
    /// Version byte that every encoded entry begins with.
    pub const VERSION: u8 = 1;
    /// Longest encoding of an entry, so that no reader allocates more.
    pub const MAX_BYTES: usize = 4096;
}

impl Canonical for Entry {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(Self::VERSION);
        self.time.encode(writer);
        self.origin.encode(writer);
        self.command.encode(writer);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u8()?;
        if version != Self::VERSION {
            return Err(reader.unknown_tag("entry version", version.into()));
        }
        Ok(Self {
            time: Canonical::decode(reader)?,
            origin: Canonical::decode(reader)?,
            command: Canonical::decode(reader)?,
        })
    }
}

/// Why a command changed nothing. The numbers are stable: clients and journals keep them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each code is its sentence, see `RejectCode::sentence`")]
pub enum RejectCode {
    NotFounded,
    AlreadyFounded,
    NotOperator,
    UnknownAccount,
    AccountExists,
    UnknownCurrency,
    CurrencyExists,
    UnknownInstrument,
    InstrumentExists,
    BadTerms,
    UnknownOrder,
    NotYourOrder,
    PriceOutOfRange,
    SizeOutOfRange,
    ValueTooLarge,
    MarketMayNotRest,
    WouldTrade,
    CannotFill,
    InsufficientBalance,
    AmountNotPositive,
    CancelOnly,
    Halted,
    Expired,
    StaleTerm,
    PositionTooLarge,
    NothingToAmend,
    LimitReached,
}
canonical_enum!(RejectCode {
    1 => NotFounded, 2 => AlreadyFounded, 3 => NotOperator, 4 => UnknownAccount,
    5 => AccountExists, 6 => UnknownCurrency, 7 => CurrencyExists, 8 => UnknownInstrument,
    9 => InstrumentExists, 10 => BadTerms, 11 => UnknownOrder, 12 => NotYourOrder,
    13 => PriceOutOfRange, 14 => SizeOutOfRange, 15 => ValueTooLarge, 16 => MarketMayNotRest,
    17 => WouldTrade, 18 => CannotFill, 19 => InsufficientBalance, 20 => AmountNotPositive,
    21 => CancelOnly, 22 => Halted, 23 => Expired, 24 => StaleTerm, 25 => PositionTooLarge,
    26 => NothingToAmend, 27 => LimitReached,
});

impl RejectCode {
    /// What happened, for people.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotFounded => "the venue has not been founded yet",
            Self::AlreadyFounded => "the venue is founded already",
            Self::NotOperator => "only the operator may do this",
            Self::UnknownAccount => "no such account",
            Self::AccountExists => "the account exists already",
            Self::UnknownCurrency => "no such currency",
            Self::CurrencyExists => "the currency exists already",
            Self::UnknownInstrument => "no such instrument",
            Self::InstrumentExists => "the instrument exists already",
            Self::BadTerms => "the terms are inconsistent",
            Self::UnknownOrder => "no such open order",
            Self::NotYourOrder => "the order belongs to another account",
            Self::PriceOutOfRange => "the price is not positive or too large",
            Self::SizeOutOfRange => "the size is not positive or too large",
            Self::ValueTooLarge => "price times size is too large",
            Self::MarketMayNotRest => "a market order cannot rest or be post-only",
            Self::WouldTrade => "post-only, but it would trade at once",
            Self::CannotFill => "fill-or-kill, but it cannot fill in full",
            Self::InsufficientBalance => "the free balance does not cover it",
            Self::AmountNotPositive => "the amount must be positive",
            Self::CancelOnly => "the venue takes only cancels and withdrawals",
            Self::Halted => "the venue is halted",
            Self::Expired => "the instrument has expired",
            Self::StaleTerm => "a primary of this or a later term has begun already",
            Self::PositionTooLarge => "the position could grow too large",
            Self::NothingToAmend => "neither price nor size is given",
            Self::LimitReached => {
                "a limit on the number of orders, sessions or accounts is reached"
            }
        }
    }
}
