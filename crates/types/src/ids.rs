//! Identifiers and time, each its own type so that none can be taken for another.

use crate::canonical_newtype;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);
        canonical_newtype!($name);
        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// Index of an entry in one lineage of the journal; the first is 0, there are no gaps.
    Position(u64)
);
id!(
    /// Fencing number of a primary; it only grows.
    Term(u64)
);
id!(
    /// An account. [`AccountId::OPERATOR`] is the venue itself.
    AccountId(u64)
);
id!(
    /// A client's session within its account.
    SessionId(u64)
);
id!(
    /// A client's own number for a command, growing within a session: with it, a retry is
    /// recognised.
    ClientSequence(u64)
);
id!(
    /// An order, numbered by the engine in order of acceptance, from 1.
    OrderId(u64)
);
id!(
    /// A trade, numbered by the engine, from 1.
    TradeId(u64)
);
id!(
    /// A tradable instrument.
    InstrumentId(u32)
);
id!(
    /// A currency.
    CurrencyId(u16)
);
id!(
    /// An underlying: what options and futures are on.
    UnderlyingId(u16)
);
id!(
    /// A source of prices.
    SourceId(u16)
);
id!(
    /// An API key of an account.
    ApiKeyId(u64)
);
id!(
    /// Nanoseconds since 1970-01-01 UTC, as journaled: it never goes back within a lineage.
    Timestamp(u64)
);

impl AccountId {
    /// The venue's operator: the only origin of parameter, deposit and mode commands.
    pub const OPERATOR: Self = Self(0);
    /// The insurance fund: it takes over what cannot be liquidated. It exists from the first
    /// upgrade to rules with margin and sends no commands.
    pub const FUND: Self = Self(u64::MAX);
}
