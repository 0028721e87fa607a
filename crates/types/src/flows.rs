//! Money that crosses the venue's border, and what an API key may do.

use crate::ids::{CurrencyId, Timestamp};
use crate::money::Money;
use crate::{canonical_enum, canonical_newtype, canonical_struct};

/// A client's or the chain watcher's own key of a deposit or withdrawal, which makes every step
/// idempotent. Unique within an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FlowKey(pub [u8; 16]);
canonical_newtype!(FlowKey);

/// A step of a deposit, as the chain watcher reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepositStep {
    /// Seen on the chain; counts for nothing yet.
    Seen {
        /// In which currency.
        currency: CurrencyId,
        /// How much, positive.
        amount: Money,
    },
    /// Final: credited.
    Final,
    /// It vanished in a reorganisation before it was final.
    Dropped,
}
canonical_enum!(DepositStep { 1 => Seen { currency, amount }, 2 => Final, 3 => Dropped });

/// A step of a withdrawal behind the client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithdrawalStep {
    /// Approved; may be sent.
    Approve,
    /// Sent to the chain; it may still fail.
    Send {
        /// The transaction.
        reference: [u8; 32],
    },
    /// Final on the chain: the money has left.
    Final,
    /// It failed: the money is the account's again.
    Fail {
        /// Why, as a code chosen by the operator.
        cause: u32,
    },
}
canonical_enum!(WithdrawalStep {
    1 => Approve,
    2 => Send { reference },
    3 => Final,
    4 => Fail { cause },
});

/// Where a withdrawal or deposit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlowState {
    /// A deposit that was seen.
    Pending,
    /// A withdrawal that was requested: the money is set aside.
    Requested,
    /// Approved by the operator.
    Approved,
    /// Approved, and waiting for the chain to move again.
    Queued,
    /// Sent to the chain.
    Sent,
    /// Done.
    Final,
    /// Given back, or a deposit dropped.
    Failed,
}
canonical_enum!(FlowState {
    1 => Pending, 2 => Requested, 3 => Approved, 4 => Queued, 5 => Sent, 6 => Final, 7 => Failed,
});

/// What an API key may do; the account's own sessions without a key may do everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Place and amend orders.
    pub trade: bool,
    /// Cancel orders.
    pub cancel: bool,
    /// Move money between the owner's accounts.
    pub transfer: bool,
    /// Request withdrawals.
    pub withdraw: bool,
    /// Nothing but cancels after this time; `None`: no end.
    pub valid_until: Option<Timestamp>,
}
canonical_struct!(Permissions { trade, cancel, transfer, withdraw, valid_until });
