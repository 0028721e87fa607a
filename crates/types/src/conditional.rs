//! What an order may say beyond price and size.

use crate::{canonical_enum, canonical_struct};

/// What happens when an order would trade with one of the same owner (main and sub-accounts are
/// one owner).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SelfTrade {
    /// They trade.
    #[default]
    Allow,
    /// The incoming order's rest is cancelled.
    CancelTaker,
    /// The resting order is cancelled.
    CancelMaker,
    /// Both are.
    CancelBoth,
}
canonical_enum!(SelfTrade { 1 => Allow, 2 => CancelTaker, 3 => CancelMaker, 4 => CancelBoth });

/// Which price releases a conditional order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerPrice {
    /// The instrument's mark, in ticks.
    Mark,
    /// The underlying's index, as [`crate::oracle::Price`].
    Index,
}
canonical_enum!(TriggerPrice { 1 => Mark, 2 => Index });

/// In which direction a conditional order is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerKind {
    /// A buy at or above the level, a sell at or below it.
    Stop,
    /// A buy at or below the level, a sell at or above it.
    TakeProfit,
}
canonical_enum!(TriggerKind { 1 => Stop, 2 => TakeProfit });

/// When a conditional order is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// Direction.
    pub kind: TriggerKind,
    /// Which price.
    pub price: TriggerPrice,
    /// The level: ticks or [`crate::oracle::Price`] units, as `price` says; positive.
    pub level: i64,
}
canonical_struct!(Trigger { kind, price, level });

/// Terms of an order beyond [`crate::NewOrder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderTerms {
    /// It may only bring the position closer to zero; what would exceed it is cut off.
    pub reduce_only: bool,
    /// A post-only order that would trade is moved one tick behind the best opposite price
    /// instead of being refused.
    pub slide: bool,
    /// Self-trade prevention.
    pub self_trade: SelfTrade,
    /// Counts for market-maker protection and is cancelled by it.
    pub protected: bool,
    /// Furthest from the mark that it may trade, in basis points; a market order without it takes
    /// the underlying's price band.
    pub protection_bp: Option<u32>,
    /// A conditional order waits for it.
    pub trigger: Option<Trigger>,
}
canonical_struct!(OrderTerms { reduce_only, slide, self_trade, protected, protection_bp, trigger });

/// Market-maker protection of an account in one underlying: when protected orders trade more than
/// a limit within the interval, all of them are cancelled and new ones refused while frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// Length of the interval; 0 switches it off.
    pub interval_ms: u64,
    /// How long it stays frozen; 0: until reset.
    pub frozen_ms: u64,
    /// Most contracts traded, in millionths of a base coin (options and linear) or of a quote
    /// unit (inverse futures).
    pub quantity_limit: u64,
    /// Most net delta traded, in millionths of a base coin.
    pub delta_limit: u64,
}
canonical_struct!(Protection { interval_ms, frozen_ms, quantity_limit, delta_limit });
