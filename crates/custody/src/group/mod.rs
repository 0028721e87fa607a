//! A key that nobody holds: FROST (RFC 9591) among enrolled holders who exchange files.
//!
//! Every change of who can sign is one kind of ceremony. *Founding* makes a key out of what every
//! holder draws; a *change* deals the shares of a quorum anew, to the same holders (a refresh), to
//! one who lost a share (a repair), to fewer (a removal) or more (an addition). The group's key
//! stays the same, the shares do not: each ceremony makes a new [`Record`] of the next generation.
//!
//! ```text
//! plan ─ opening ─ agreement ─ deal ─ acknowledgement ─ test signature ─ record in force
//!        every     every       every  every holder,      a quorum of the
//!        holder    holder      dealer  or a complaint     new generation
//! ```
//!
//! **Architecture invariants**
//! - No message counts that is not signed by an enrolled holder for this plan: what is replayed,
//!   of another generation or by a stranger is set aside with its reason, and stops nobody.
//! - Nothing is dealt before every holder has signed the same list of openings.
//! - A complaint opens the one packet it is about, to everybody, and nothing else: either the
//!   dealer or the complainer is then shown to be wrong.
//! - A share signs for its own generation only, and for nothing but the test message until the
//!   record is in force.
//! - Nonces are in one [`sign::Session`], which cannot be copied, written down or used twice.
//! - A key that signs decrypts nothing, and a recipient's key signs nothing but its own test.
//! - Nothing is decrypted that the caller does not vouch for, and only file keys come out.
//! - The group's secret is never formed: there is no function that could.

mod ceremony;
mod complaint;
mod contract;
pub mod decrypt;
mod fault;
mod holder;
mod message;
mod opening;
mod plan;
mod recipient;
mod record;
mod seal;
pub mod sign;
mod suite;
mod vss;
mod wire;

#[cfg(test)]
pub(crate) use seal::{expand, shared};

pub use ceremony::{Ceremony, Pending, Seed, Step};
pub use contract::ContractForm;
pub use fault::{Doubt, Fault, Misdeed, Refusal};
pub use holder::{Enrolment, HolderKey};
pub use message::{Aside, Kind, Message, Table};
pub use plan::{Change, Holder, Plan};
pub use recipient::Recipient;
pub use record::{KeyShare, Record, Sealed};
pub use suite::{Curve, Ed25519, Secp256k1, Suite};
pub use wire::{Armor, Malformed};

/// More holders than this are refused.
pub const HOLDERS_MAX: usize = 64;
