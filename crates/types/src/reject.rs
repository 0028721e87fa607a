//! Why commands are refused.

use crate::canonical_enum;

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
    NeedsUpgrade,
    BadRules,
    UnknownUnderlying,
    UnderlyingExists,
    UnknownSource,
    StaleReading,
    BadReading,
    NotReducing,
    ReduceOnly,
    WithdrawOnly,
    PriceBand,
    FatFinger,
    NoMark,
    InsufficientMargin,
    SelfTrade,
    Frozen,
    BadTrigger,
    Throttled,
    InLiquidation,
    InGrace,
    NotSameOwner,
    NoPermission,
    UnknownKey,
    UnknownFlow,
    FlowConflict,
    WrongStep,
    ChainStalled,
    UnknownTrade,
    OutOfBounds,
    WrongMode,
    Cooling,
    VetoUsed,
    PricesNotFresh,
    NotInAuction,
    SizeLimit,
    FundOnly,
    MarkedByOracle,
    Skipped,
    NotSkipped,
}
canonical_enum!(RejectCode {
    1 => NotFounded, 2 => AlreadyFounded, 3 => NotOperator, 4 => UnknownAccount,
    5 => AccountExists, 6 => UnknownCurrency, 7 => CurrencyExists, 8 => UnknownInstrument,
    9 => InstrumentExists, 10 => BadTerms, 11 => UnknownOrder, 12 => NotYourOrder,
    13 => PriceOutOfRange, 14 => SizeOutOfRange, 15 => ValueTooLarge, 16 => MarketMayNotRest,
    17 => WouldTrade, 18 => CannotFill, 19 => InsufficientBalance, 20 => AmountNotPositive,
    21 => CancelOnly, 22 => Halted, 23 => Expired, 24 => StaleTerm, 25 => PositionTooLarge,
    26 => NothingToAmend, 27 => LimitReached,
    28 => NeedsUpgrade, 29 => BadRules, 30 => UnknownUnderlying, 31 => UnderlyingExists,
    32 => UnknownSource, 33 => StaleReading, 34 => BadReading, 35 => NotReducing, 36 => ReduceOnly,
    37 => WithdrawOnly, 38 => PriceBand, 39 => FatFinger, 40 => NoMark, 41 => InsufficientMargin,
    42 => SelfTrade, 43 => Frozen, 44 => BadTrigger, 45 => Throttled, 46 => InLiquidation,
    47 => InGrace, 48 => NotSameOwner, 49 => NoPermission, 50 => UnknownKey, 51 => UnknownFlow,
    52 => FlowConflict, 53 => WrongStep, 54 => ChainStalled, 55 => UnknownTrade, 56 => OutOfBounds,
    57 => WrongMode, 58 => Cooling, 59 => VetoUsed, 60 => PricesNotFresh, 61 => NotInAuction,
    62 => SizeLimit, 63 => FundOnly, 64 => MarkedByOracle, 65 => Skipped, 66 => NotSkipped,
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
            _ => self.sentence_with_margin(),
        }
    }

    /// Of the codes that came with margin.
    fn sentence_with_margin(self) -> &'static str {
        match self {
            Self::NeedsUpgrade => {
                "the venue's rules do not know this yet; the operator upgrades them first"
            }
            Self::BadRules => {
                "rules are upgraded one step at a time, to ones that this program knows"
            }
            Self::UnknownUnderlying => "no such underlying, or none for this instrument",
            Self::UnderlyingExists => "another underlying has this base and quote, or this name",
            Self::UnknownSource => "the source is not one of the underlying's",
            Self::StaleReading => {
                "the reading is older than the source's last one, too old, or of the future"
            }
            Self::BadReading => "the reading is not positive or too large",
            Self::NotReducing => "reduce-only, but it would not bring the position closer to zero",
            Self::ReduceOnly => "only orders that reduce a position are taken now",
            Self::WithdrawOnly => "only withdrawals are taken now",
            Self::PriceBand => "the price is further from the mark than the band allows",
            Self::FatFinger => "the price or size looks like a slip of the hand",
            Self::NoMark => "there is no mark price yet to judge it by",
            Self::InsufficientMargin => "the margin does not cover it",
            Self::SelfTrade => "it would trade with an order of the same owner",
            Self::Frozen => "market-maker protection is frozen; reset it or wait",
            Self::BadTrigger => "the trigger is out of range or already met",
            Self::Throttled => "too many orders in this second",
            Self::InLiquidation => "the account is being liquidated",
            Self::InGrace => "the account is in grace: reduce-only, without withdrawals",
            Self::NotSameOwner => "the accounts do not belong to the same owner",
            Self::NoPermission => "the API key may not do this",
            Self::UnknownKey => "no such API key",
            Self::UnknownFlow => "no such deposit or withdrawal",
            Self::FlowConflict => "this key stands for another deposit or withdrawal",
            Self::WrongStep => "the deposit or withdrawal is not at a step from which this follows",
            Self::ChainStalled => "the currency's chain is stalled",
            Self::UnknownTrade => {
                "no such trade among the recent ones, or it was taken back already"
            }
            Self::OutOfBounds => "the value is outside its bounds",
            Self::WrongMode => {
                "the way back goes halted, cancel-only, reduce-only, auction, normal"
            }
            Self::Cooling => "the mode's cooldown or a veto has not ended",
            Self::VetoUsed => "this approver's veto is used up here for today",
            Self::PricesNotFresh => "prices are not fresh: a quorum of sources comes first",
            Self::NotInAuction => "there is no such order in an opening call",
            Self::SizeLimit => "the order or the position would exceed the size allowed",
            Self::FundOnly => "this account is the insurance fund",
            Self::MarkedByOracle => "the mark is made of the underlying's prices; none is set",
            Self::Skipped => {
                "the venue could not process this command and passed over it: nothing was done; \
                 do not send it again"
            }
            Self::NotSkipped => "no such entry was passed over",
            // Every other one has its sentence above.
            _ => "refused",
        }
    }
}
