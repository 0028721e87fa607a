//! Commands: everything that can change the venue, each as one journal entry.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::conditional::{OrderTerms, Protection};
use crate::flows::{DepositStep, FlowKey, Permissions, WithdrawalStep};
use crate::ids::{
    AccountId, ApiKeyId, ClientSequence, CurrencyId, InstrumentId, OrderId, Position, SessionId,
    SourceId, Term, Timestamp, TradeId, UnderlyingId,
};
use crate::instrument::{Currency, Instrument};
use crate::money::{Lots, Money, Side, Ticks};
use crate::oracle::Reading;
use crate::regime::Scope;
use crate::terms::{MarginModel, Underlying, VenueTerms};
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
    /// Those on instruments that settle in a currency.
    Currency {
        /// The settlement currency.
        currency: CurrencyId,
    },
    /// Those with a label.
    Label {
        /// The client's own mark.
        label: u64,
    },
}
canonical_enum!(MassCancelScope {
    1 => All,
    2 => Instrument { instrument },
    3 => Session { session },
    4 => Currency { currency },
    5 => Label { label },
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
    /// Orders gather without trading, until the opening call crosses them.
    Auction,
    /// Only what brings positions closer to zero.
    ReduceOnly,
    /// Cancels and withdrawals, no new orders or amends.
    CancelOnly,
    /// Withdrawals of free collateral, nothing else.
    WithdrawOnly,
    /// Only the operator.
    Halted,
}
canonical_enum!(Mode {
    1 => Normal, 2 => CancelOnly, 3 => Halted, 4 => Auction, 5 => ReduceOnly, 6 => WithdrawOnly,
});

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
    /// Place an order with more terms.
    PlaceWith {
        /// The order.
        order: NewOrder,
        /// What it says beyond price and size.
        terms: OrderTerms,
    },
    /// Open or re-open the sender's session for an API key, whose permissions it then has.
    ConnectKey {
        /// The key.
        key: ApiKeyId,
        /// Cancel the session's orders when it disconnects.
        cancel_on_disconnect: bool,
    },
    /// Set the sender's market-maker protection in an underlying; this also ends a freeze.
    SetProtection {
        /// Where.
        underlying: UnderlyingId,
        /// Its limits.
        protection: Protection,
    },
    /// Move free collateral to another account of the same owner.
    Transfer {
        /// To whom.
        to: AccountId,
        /// In which currency.
        currency: CurrencyId,
        /// How much, positive.
        amount: Money,
    },
    /// Ask for a withdrawal; the money is set aside at once. The same key again changes nothing.
    RequestWithdrawal {
        /// The client's key of it.
        key: FlowKey,
        /// In which currency.
        currency: CurrencyId,
        /// How much, positive.
        amount: Money,
        /// Hash of where to.
        destination: [u8; 32],
    },
    /// Take back a withdrawal that was not sent.
    CancelWithdrawal {
        /// The client's key of it.
        key: FlowKey,
    },
    /// Give, change or (all false) take an API key's permissions.
    SetKey {
        /// The key.
        key: ApiKeyId,
        /// What it may do.
        permissions: Permissions,
    },

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
    /// From this entry on, later rules hold. Rules 2 add margin and everything on it.
    Upgrade {
        /// The rules' number, one above the present one.
        rules: u32,
    },
    /// Set the venue's parameters.
    SetVenueTerms {
        /// All of them.
        terms: Box<VenueTerms>,
    },
    /// Add an underlying, or change its parameters.
    SetUnderlying {
        /// All of it; base and quote of a known one cannot change.
        underlying: Box<Underlying>,
    },
    /// A source says something about an underlying.
    Oracle {
        /// Who.
        source: SourceId,
        /// Where.
        underlying: UnderlyingId,
        /// When the source saw it.
        time: Timestamp,
        /// What.
        reading: Reading,
    },
    /// Time passes.
    Tick,
    /// Add a sub-account.
    OpenSubAccount {
        /// Its id.
        account: AccountId,
        /// Its main account.
        main: AccountId,
        /// How its orders are covered.
        collateral: Collateral,
    },
    /// Change how an account is margined; refused if it would not meet its initial margin.
    SetMarginModel {
        /// The account.
        account: AccountId,
        /// The model.
        model: MarginModel,
    },
    /// The chain watcher reports a deposit.
    ReportDeposit {
        /// The account.
        account: AccountId,
        /// The deposit's key.
        key: FlowKey,
        /// What became of it.
        step: DepositStep,
    },
    /// A withdrawal takes a step.
    AdvanceWithdrawal {
        /// The account.
        account: AccountId,
        /// The withdrawal's key.
        key: FlowKey,
        /// What becomes of it.
        step: WithdrawalStep,
    },
    /// A currency's chain stalls or moves again: while it stalls, approved withdrawals wait in
    /// order and the venue goes on.
    SetChain {
        /// The currency.
        currency: CurrencyId,
        /// Whether it stalls.
        stalled: bool,
    },
    /// Money from outside for the insurance fund.
    FundInsurance {
        /// In which currency.
        currency: CurrencyId,
        /// How much, positive.
        amount: Money,
    },
    /// Take collected fees out of the venue.
    PayFees {
        /// In which currency.
        currency: CurrencyId,
        /// How much, positive, at most what was collected.
        amount: Money,
    },
    /// Open or shut a part of the venue.
    SetModeIn {
        /// Which part.
        scope: Scope,
        /// The new mode.
        mode: Mode,
        /// Why, as a stable code chosen by the operator.
        code: u32,
    },
    /// Take one trade back, at its price, with its fees.
    BustTrade {
        /// The trade, among the recent ones.
        trade: TradeId,
        /// Why, as a stable code chosen by the operator.
        code: u32,
    },
    /// Scale an underlying's margin, reached evenly over a while.
    SetMarginFactor {
        /// Where.
        underlying: UnderlyingId,
        /// 10,000 is one; from 10,000 to 30,000.
        factor_bp: u32,
        /// How long the way there takes.
        ramp_ms: u64,
    },
    /// Bound the orders that an account may send, reached evenly over a while.
    SetThrottle {
        /// Orders per second and account, at least 1; `None`: no bound.
        orders_per_second: Option<u32>,
        /// How long the way there takes.
        ramp_ms: u64,
    },
    /// One approver's veto against liquidations and the next step of the way back in a scope.
    Veto {
        /// Who approves, by the venue's own numbering.
        approver: u32,
        /// Where.
        scope: Scope,
        /// How long, at most the parameter's bound.
        delay_ms: u64,
    },
    /// An entry at which the program panicked, and a second process again: it stays in the journal
    /// and is not applied. Every engine passes over it; one that applied it goes back.
    Skip {
        /// The entry's position.
        position: Position,
        /// The entry's RFC 6962 leaf hash.
        entry: [u8; 32],
        /// The instrument that it was about, which is halted; `None` if it was about none.
        instrument: Option<InstrumentId>,
    },
}
canonical_enum!(Command {
    1 => Place { order },
    2 => Cancel { order },
    3 => Amend { order, price, lots },
    4 => MassCancel { account, scope },
    5 => Connect { cancel_on_disconnect },
    6 => Disconnect,
    7 => PlaceWith { order, terms },
    8 => ConnectKey { key, cancel_on_disconnect },
    9 => SetProtection { underlying, protection },
    10 => Transfer { to, currency, amount },
    11 => RequestWithdrawal { key, currency, amount, destination },
    12 => CancelWithdrawal { key },
    13 => SetKey { key, permissions },
    32 => Found { venue, salt },
    33 => Resume { term },
    34 => DefineCurrency { currency },
    35 => DefineInstrument { instrument },
    36 => OpenAccount { account, collateral },
    37 => Deposit { account, currency, amount },
    38 => Withdraw { account, currency, amount },
    39 => SetMark { instrument, mark },
    40 => SetMode { mode, cause },
    41 => Upgrade { rules },
    42 => SetVenueTerms { terms },
    43 => SetUnderlying { underlying },
    44 => Oracle { source, underlying, time, reading },
    45 => Tick,
    46 => OpenSubAccount { account, main, collateral },
    47 => SetMarginModel { account, model },
    48 => ReportDeposit { account, key, step },
    49 => AdvanceWithdrawal { account, key, step },
    50 => SetChain { currency, stalled },
    51 => FundInsurance { currency, amount },
    52 => PayFees { currency, amount },
    53 => SetModeIn { scope, mode, code },
    54 => BustTrade { trade, code },
    55 => SetMarginFactor { underlying, factor_bp, ramp_ms },
    56 => SetThrottle { orders_per_second, ramp_ms },
    57 => Veto { approver, scope, delay_ms },
    58 => Skip { position, entry, instrument },
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
                | Self::SetModeIn { .. }
                | Self::Veto { .. }
                | Self::Skip { .. }
                | Self::Tick
                | Self::RequestWithdrawal { .. }
                | Self::CancelWithdrawal { .. }
                | Self::AdvanceWithdrawal { .. }
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
