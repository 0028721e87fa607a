//! Network metadata: where chains are reached, by what order, and what is known of each place.
//!
//! [`Document`] is what a person writes (`network.toml`), strict, with a canonical form and a hash.
//! [`compare`] says in words what differs between two of them. [`judge`] takes what was measured of
//! every endpoint and says who is in sync, who is behind, and who must not be used; [`fail_over`]
//! puts them in order, and [`render`] writes that as configuration files of other programs.
//!
//! Nothing here opens a socket or reads a clock.

mod address;
mod compare;
mod document;
mod error;
mod health;
mod judge;
mod order;
mod render;

pub use address::{Address, CREDENTIAL_PLACE, CredentialRef, Transport};
pub use compare::{Change, ChangeKind, compare};
pub use document::{
    AllowList, Chain, DnsPin, Document, Endpoint, Exchange, ExchangeKind, FORMAT, Indexer,
    KeyEntry, TlsPin,
};
pub use error::DocumentError;
pub use health::{
    Capability, ChainHealth, Cursor, DnsHealth, EndpointHealth, ExchangeHealth, Fault, Health,
    Measured, SharedBlock, Verdict,
};
pub use judge::{common_heights, judge};
pub use order::{fail_over, head_of};
pub use render::{RenderedFile, render};
