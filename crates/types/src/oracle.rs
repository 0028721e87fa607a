//! What price sources say: index, forwards, volatility smiles.

use crate::ids::Timestamp;
use crate::{canonical_enum, canonical_newtype, canonical_struct};

/// A price in units of `10^-10` of the quote currency, per whole base coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Price(pub i64);
canonical_newtype!(Price);

impl Price {
    /// Decimals of a price.
    pub const SCALE: u8 = 10;
    /// Units of one whole quote currency.
    pub const ONE: i64 = 10_000_000_000;
    /// Largest price: 500 million quote units.
    pub const MAX: Self = Self(5_000_000_000_000_000_000);
}

/// An annual volatility in millionths: 600,000 is 60 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Volatility(pub u32);
canonical_newtype!(Volatility);

impl Volatility {
    /// Largest volatility taken: 2,000 %.
    pub const MAX: Self = Self(20_000_000);
}

/// Number of points of a [`Smile`].
pub const SMILE_POINTS: usize = 9;

/// Where the points of a [`Smile`] lie: `ln(K/F)/√T` in millionths (T in years). Between points the
/// volatility is linear, outside it is that of the nearest point.
pub const SMILE_GRID: [i64; SMILE_POINTS] =
    [-2_000_000, -1_000_000, -500_000, -250_000, 0, 250_000, 500_000, 1_000_000, 2_000_000];

/// Volatilities of one expiry on [`SMILE_GRID`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Smile {
    /// One per point.
    pub points: [Volatility; SMILE_POINTS],
}

impl crate::Canonical for Smile {
    fn encode(&self, writer: &mut crate::Writer) {
        for point in &self.points {
            point.encode(writer);
        }
    }
    fn decode(reader: &mut crate::Reader<'_>) -> Result<Self, crate::DecodeError> {
        let mut points = [Volatility(0); SMILE_POINTS];
        for point in &mut points {
            *point = crate::Canonical::decode(reader)?;
        }
        Ok(Self { points })
    }
}

/// What a source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The underlying's index.
    Index {
        /// Positive.
        price: Price,
    },
    /// The forward of an expiry.
    Forward {
        /// Which expiry.
        expiry: Timestamp,
        /// Positive.
        price: Price,
    },
    /// The volatility smile of an expiry.
    Smile {
        /// Which expiry.
        expiry: Timestamp,
        /// Its volatilities, each positive.
        smile: Smile,
    },
}
canonical_enum!(Reading {
    1 => Index { price },
    2 => Forward { expiry, price },
    3 => Smile { expiry, smile },
});

/// How the oracle of an underlying makes one price of several sources: the median of the fresh
/// ones, if there are enough of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OracleRule {
    /// The sources that are heard, ascending; at most 16.
    pub sources: Vec<crate::ids::SourceId>,
    /// Fewest fresh sources for a price (k of n).
    pub quorum: u32,
    /// A reading older than this does not count; also the age up to which a price may liquidate.
    pub fresh_ms: u64,
    /// Fresh sources further apart than this, in basis points of the median, disagree.
    pub disagreement_bp: u32,
    /// Most that a point of the surface moves per second, in millionths of volatility.
    pub volatility_step: u32,
}
canonical_struct!(OracleRule { sources, quorum, fresh_ms, disagreement_bp, volatility_step });
