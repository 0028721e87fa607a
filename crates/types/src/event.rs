//! Events: what a command changed. Each carries the new value of every field it changes, so a
//! reader of events alone can rebuild balances, positions and books.

use crate::command::{Collateral, Mode, NewOrder};
use crate::conditional::{OrderTerms, Protection};
use crate::flows::{FlowKey, FlowState, Permissions};
use crate::ids::{
    AccountId, ApiKeyId, ClientSequence, CurrencyId, InstrumentId, OrderId, Position, SessionId,
    Term, Timestamp, TradeId, UnderlyingId,
};
use crate::instrument::{Currency, Instrument};
use crate::money::{Lots, Money, Side, Ticks};
use crate::oracle::{Price, Smile, Volatility};
use crate::regime::{Cause, Scope};
use crate::reject::RejectCode;
use crate::terms::{MarginModel, Underlying, VenueTerms};
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
    /// It would have traded with an order of the same owner.
    SelfTrade,
    /// Market-maker protection took it.
    Protection,
    /// It could no longer reduce the position.
    ReduceOnly,
    /// Its owner is being liquidated.
    Liquidation,
    /// Its instrument expired.
    Expired,
    /// A conditional order was released but refused.
    Refused,
    /// The mode does not allow it to rest.
    Mode,
}
canonical_enum!(CloseReason {
    1 => Filled, 2 => Cancelled, 3 => MassCancelled, 4 => Disconnected, 5 => Unfilled,
    6 => SelfTrade, 7 => Protection, 8 => ReduceOnly, 9 => Liquidation, 10 => Expired,
    11 => Refused, 12 => Mode,
});

/// Why money moved without a trade between two clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Booking {
    /// A trading fee, or a rebate.
    TradingFee,
    /// A delivery fee.
    DeliveryFee,
    /// A liquidation's fee, to the insurance fund.
    LiquidationFee,
    /// Funding of a perpetual.
    Funding,
    /// Payoff at expiry.
    Settlement,
    /// The insurance fund bears a loss, or takes what a takeover left.
    Insurance,
    /// A share of a loss that the fund could not bear.
    SocialisedLoss,
    /// A transfer between accounts of one owner.
    Transfer,
    /// Set aside for a withdrawal, or given back.
    Withdrawal,
    /// A trade taken back.
    Bust,
    /// Fees leave the venue.
    FeesPaid,
    /// Coins delivered physically.
    Delivery,
}
canonical_enum!(Booking {
    1 => TradingFee, 2 => DeliveryFee, 3 => LiquidationFee, 4 => Funding, 5 => Settlement,
    6 => Insurance, 7 => SocialisedLoss, 8 => Transfer, 9 => Withdrawal, 10 => Bust,
    11 => FeesPaid, 12 => Delivery,
});

/// A currency's money that belongs to no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pools {
    /// Fees collected.
    pub fees: Money,
    /// What rounding left over (or took) at settlement, funding and shared losses.
    pub rounding: Money,
    /// Set aside for withdrawals that are not final.
    pub withdrawals: Money,
}
canonical_struct!(Pools { fees, rounding, withdrawals });

/// What a liquidation's round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaterfallStep {
    /// The account fell below maintenance; its orders are cancelled, its liquidation begins.
    Began,
    /// A part of a position was traded away in the book.
    Reduced,
    /// The book offered nothing within the band.
    NoLiquidity,
    /// The insurance fund took the rest over.
    TakenOver,
    /// A position was closed against an opposite one, by rank.
    Deleveraged,
    /// A part of the loss went to others' profits.
    Socialised,
    /// Maintenance is met again.
    Recovered,
    /// Held back: prices are older than the bound.
    WaitsForPrices,
    /// Held back: grace or a veto.
    WaitsForGrace,
}
canonical_enum!(WaterfallStep {
    1 => Began, 2 => Reduced, 3 => NoLiquidity, 4 => TakenOver, 5 => Deleveraged,
    6 => Socialised, 7 => Recovered, 8 => WaitsForPrices, 9 => WaitsForGrace,
});

/// An account's margin in one figure, in the numeraire's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MarginFigures {
    /// Margin balance beyond maintenance margin; negative: liquidation is due.
    pub above_maintenance: Money,
    /// Margin balance beyond initial margin and what open orders reserve.
    pub above_initial: Money,
}
canonical_struct!(MarginFigures { above_maintenance, above_initial });

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
    /// A resting or conditional order changed; without priority it went to the back of its price.
    /// The price is 0 for a market order whose size was cut when it was released.
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

    /// Later rules hold from here on.
    Upgraded {
        rules: u32,
    },
    VenueTermsSet {
        terms: Box<VenueTerms>,
    },
    UnderlyingSet {
        underlying: Box<Underlying>,
    },
    /// An account belongs to a main account.
    SubAccountOpened {
        account: AccountId,
        main: AccountId,
        collateral: Collateral,
    },
    MarginModelSet {
        account: AccountId,
        model: MarginModel,
    },
    KeySet {
        account: AccountId,
        key: ApiKeyId,
        permissions: Permissions,
    },
    /// A session has a key's permissions.
    SessionKeyed {
        account: AccountId,
        session: SessionId,
        key: ApiKeyId,
    },
    ProtectionSet {
        account: AccountId,
        underlying: UnderlyingId,
        protection: Protection,
    },
    /// Market-maker protection took all protected orders; frozen until then (`None`: until reset).
    ProtectionHit {
        account: AccountId,
        underlying: UnderlyingId,
        until: Option<Timestamp>,
    },
    /// A mode in a scope, with what changed it.
    ModeSetIn {
        scope: Scope,
        mode: Mode,
        cause: Cause,
    },
    /// An approver's veto counts; with enough of them the scope waits until then.
    VetoCounted {
        approver: u32,
        scope: Scope,
        until: Option<Timestamp>,
    },
    /// An account is in grace until it used up this much, or meets maintenance.
    GraceChanged {
        account: AccountId,
        left_ms: u64,
    },
    MarginFactorSet {
        underlying: UnderlyingId,
        from_bp: u32,
        to_bp: u32,
        from: Timestamp,
        until: Timestamp,
    },
    ThrottleSet {
        orders_per_second: Option<u32>,
        from: Timestamp,
        until: Timestamp,
    },
    /// The entry here was passed over: said in its place.
    Skipped {
        entry: [u8; 32],
    },
    /// From now on the journal itself says that an entry is passed over.
    SkipNoted {
        position: Position,
        entry: [u8; 32],
        instrument: Option<InstrumentId>,
    },

    /// The index that holds now, as the median of fresh sources.
    IndexChanged {
        underlying: UnderlyingId,
        price: Price,
        time: Timestamp,
    },
    /// The forward that holds now.
    ForwardChanged {
        underlying: UnderlyingId,
        expiry: Timestamp,
        price: Price,
        time: Timestamp,
    },
    /// The smile that holds now, its move bounded.
    SmileChanged {
        underlying: UnderlyingId,
        expiry: Timestamp,
        smile: Smile,
        time: Timestamp,
    },
    /// The volatility index.
    VolatilityIndexChanged {
        underlying: UnderlyingId,
        value: Volatility,
    },

    /// Terms of the order just accepted, beyond its [`NewOrder`].
    OrderTermsSet {
        order: OrderId,
        terms: OrderTerms,
    },
    /// A conditional order waits.
    OrderArmed {
        order: OrderId,
    },
    /// A conditional order is released at this price (ticks of the mark, or units of the index): it
    /// comes in as if sent now.
    OrderTriggered {
        order: OrderId,
        level: i64,
    },
    /// A post-only order was moved to this price.
    OrderSlid {
        order: OrderId,
        price: Ticks,
    },
    /// A trade was taken back.
    TradeBusted {
        trade: TradeId,
        code: u32,
    },
    /// What the opening call would do now: price, size, and what is left over on which side
    /// (positive: buyers).
    AuctionShown {
        instrument: InstrumentId,
        price: Option<Ticks>,
        lots: Lots,
        imbalance: Lots,
    },
    /// The opening call crossed at this price.
    AuctionCrossed {
        instrument: InstrumentId,
        price: Option<Ticks>,
        lots: Lots,
    },

    /// Money moved for another reason than a trade's price: what the account got (negative: gave).
    Booked {
        account: AccountId,
        currency: CurrencyId,
        amount: Money,
        why: Booking,
        instrument: Option<InstrumentId>,
    },
    /// A currency's money that belongs to no account, now.
    PoolsChanged {
        currency: CurrencyId,
        pools: Pools,
    },
    /// What came in less what left, now: the insurance fund was fed, fees were paid out, or a
    /// withdrawal in steps is final. (`Deposited` and `Withdrawn` tell the rest.)
    NetDepositsChanged {
        currency: CurrencyId,
        net_deposits: Money,
    },
    DepositChanged {
        account: AccountId,
        key: FlowKey,
        currency: CurrencyId,
        amount: Money,
        state: FlowState,
    },
    WithdrawalChanged {
        account: AccountId,
        key: FlowKey,
        currency: CurrencyId,
        amount: Money,
        state: FlowState,
    },
    ChainChanged {
        currency: CurrencyId,
        stalled: bool,
    },

    /// A step of an account's liquidation: what was done with which position, and how the account
    /// stands after it.
    Liquidation {
        account: AccountId,
        round: u32,
        step: WaterfallStep,
        instrument: Option<InstrumentId>,
        lots: Lots,
        price: Option<Ticks>,
        figures: MarginFigures,
    },
    /// A position was closed against another account's without an order: a takeover or an
    /// auto-deleverage. `lots` and `basis` are those of the account's fill, negative if it sells;
    /// the counterparty's are the same with the other sign.
    PositionMoved {
        account: AccountId,
        counterparty: AccountId,
        instrument: InstrumentId,
        lots: Lots,
        basis: Money,
    },
    /// An index sample for the delivery price was taken.
    DeliverySampled {
        underlying: UnderlyingId,
        expiry: Timestamp,
        price: Price,
        count: u32,
    },
    /// The delivery price of an expiry, and the number of samples behind it.
    DeliveryPriced {
        underlying: UnderlyingId,
        expiry: Timestamp,
        price: Price,
        samples: u32,
    },
    /// An expiry waits: there is no delivery price yet, for too few samples.
    DeliveryWaits {
        underlying: UnderlyingId,
        expiry: Timestamp,
        samples: u32,
    },
    /// An instrument is settled and done.
    InstrumentSettled {
        instrument: InstrumentId,
        price: Price,
    },
    /// A perpetual's funding rate of the interval that ended, in `10^-12` of the value.
    FundingSet {
        instrument: InstrumentId,
        rate: i64,
        until: Timestamp,
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
    64 => Upgraded { rules },
    65 => VenueTermsSet { terms },
    66 => UnderlyingSet { underlying },
    67 => SubAccountOpened { account, main, collateral },
    68 => MarginModelSet { account, model },
    69 => KeySet { account, key, permissions },
    70 => SessionKeyed { account, session, key },
    71 => ProtectionSet { account, underlying, protection },
    72 => ProtectionHit { account, underlying, until },
    73 => ModeSetIn { scope, mode, cause },
    74 => VetoCounted { approver, scope, until },
    75 => GraceChanged { account, left_ms },
    76 => MarginFactorSet { underlying, from_bp, to_bp, from, until },
    77 => ThrottleSet { orders_per_second, from, until },
    78 => Skipped { entry },
    79 => SkipNoted { position, entry, instrument },
    80 => IndexChanged { underlying, price, time },
    81 => ForwardChanged { underlying, expiry, price, time },
    82 => SmileChanged { underlying, expiry, smile, time },
    83 => VolatilityIndexChanged { underlying, value },
    96 => OrderTermsSet { order, terms },
    97 => OrderArmed { order },
    98 => OrderTriggered { order, level },
    99 => OrderSlid { order, price },
    100 => TradeBusted { trade, code },
    101 => AuctionShown { instrument, price, lots, imbalance },
    102 => AuctionCrossed { instrument, price, lots },
    112 => Booked { account, currency, amount, why, instrument },
    113 => PoolsChanged { currency, pools },
    114 => NetDepositsChanged { currency, net_deposits },
    115 => DepositChanged { account, key, currency, amount, state },
    116 => WithdrawalChanged { account, key, currency, amount, state },
    117 => ChainChanged { currency, stalled },
    120 => Liquidation { account, round, step, instrument, lots, price, figures },
    121 => DeliverySampled { underlying, expiry, price, count },
    122 => DeliveryPriced { underlying, expiry, price, samples },
    123 => DeliveryWaits { underlying, expiry, samples },
    124 => InstrumentSettled { instrument, price },
    125 => FundingSet { instrument, rate, until },
    126 => PositionMoved { account, counterparty, instrument, lots, basis },
});
