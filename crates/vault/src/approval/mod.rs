//! Whose word it takes: approvers, what they sign, rules of m of n with a delay, and the actions
//! and policies that lie at the sites for it.
//!
//! One judge ([`ApprovalRule::judge`]) is behind deletions ([`DeletionPlan`](crate::DeletionPlan))
//! and behind every other action ([`Action`]). Nothing here carries anything out.

mod action;
mod approver;
mod bundle;
mod execution;
mod policy;
mod rule;
mod statement;
mod store;
mod words;

pub use action::{Action, ActionId, Kind};
pub use approver::{Approver, ApproverKey};
pub use bundle::ApprovalBundle;
pub use execution::{Execution, Phase};
pub use policy::{ApprovalPolicy, KindRule, rules_less_than};
pub use rule::{ApprovalRule, Standing};
pub use statement::{Matter, Statement, Word};
pub use store::{
    ActionAtSites, Approvals, publish_action, publish_execution, publish_policy, publish_word,
    read_approvals,
};
pub use words::{Detail, utc};

#[cfg(test)]
mod tests;
