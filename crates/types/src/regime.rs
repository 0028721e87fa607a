//! Modes in scopes, breakers, and why.

use crate::ids::{AccountId, InstrumentId, Position, UnderlyingId};
use crate::{canonical_enum, canonical_struct};

/// Where a mode holds; the strictest of all that apply wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The whole venue.
    Venue,
    /// All instruments of an underlying.
    Underlying {
        /// Which.
        underlying: UnderlyingId,
    },
    /// One instrument.
    Instrument {
        /// Which.
        instrument: InstrumentId,
    },
    /// One account, in every instrument.
    Account {
        /// Which.
        account: AccountId,
    },
}
canonical_enum!(Scope {
    1 => Venue,
    2 => Underlying { underlying },
    3 => Instrument { instrument },
    4 => Account { account },
});

/// What changed a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The operator, with a code of its own.
    Operator {
        /// The operator's code.
        code: u32,
    },
    /// A new primary began.
    Resumed,
    /// The volatility index is above its bound.
    VolatilityLevel,
    /// The volatility index moved too fast.
    VolatilityRate,
    /// Too few fresh sources.
    OracleStale,
    /// Fresh sources are too far apart.
    OracleDisagrees,
    /// A price band was hit too often.
    PriceBand,
    /// An account's equity is negative beyond the bound.
    NegativeEquity,
    /// Money does not add up.
    ConservationBroken,
    /// Time stepped further than the bound without a quorum's time.
    TimeStep,
    /// The next step of the way back.
    WayBack,
    /// An entry about the instrument could not be applied and was passed over.
    Skipped {
        /// Its position.
        position: Position,
    },
}
canonical_enum!(Cause {
    1 => Operator { code }, 2 => Resumed, 3 => VolatilityLevel, 4 => VolatilityRate,
    5 => OracleStale, 6 => OracleDisagrees, 7 => PriceBand, 8 => NegativeEquity,
    9 => ConservationBroken, 10 => TimeStep, 11 => WayBack,
    12 => Skipped { position },
});

/// Bounds of the breakers and the pace of the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerTerms {
    /// Volatility index (millionths) above which an underlying halts.
    pub volatility_level: u32,
    /// Rise of the volatility index within `volatility_window_ms` (millionths) that halts.
    pub volatility_rise: u32,
    /// Window of `volatility_rise`.
    pub volatility_window_ms: u64,
    /// How long an index may be older than the oracle's bound before the underlying goes
    /// reduce-only; 0: for ever.
    pub stale_ms: u64,
    /// Orders refused by price bands within `band_window_ms` that halt an instrument.
    pub band_hits: u32,
    /// Window of `band_hits`.
    pub band_window_ms: u64,
    /// An account's equity below minus this (in the numeraire's smallest unit) halts liquidation's
    /// cause for people: the underlying goes reduce-only.
    pub negative_equity: crate::money::Money,
    /// Least time in a tripped mode.
    pub cooldown_ms: u64,
    /// Least time in each step of the way back.
    pub step_ms: u64,
    /// Length of the opening call auction.
    pub auction_ms: u64,
}
canonical_struct!(BreakerTerms {
    volatility_level,
    volatility_rise,
    volatility_window_ms,
    stale_ms,
    band_hits,
    band_window_ms,
    negative_equity,
    cooldown_ms,
    step_ms,
    auction_ms,
});

/// Grace after a resume, and vetoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraceTerms {
    /// Time that an account below maintenance gets after a resume, counted only while prices are
    /// fresh and users can act.
    pub grace_ms: u64,
    /// Most grace of an account within 24 hours.
    pub daily_cap_ms: u64,
    /// Approvals that a veto needs.
    pub veto_quorum: u32,
    /// Longest delay of a veto; it ends by itself.
    pub veto_ms: u64,
}
canonical_struct!(GraceTerms { grace_ms, daily_cap_ms, veto_quorum, veto_ms });
