//! Sites beyond this machine: S3-compatible stores and WebDAV servers as the vault's `Site`, and a
//! server of our own ([`Server`]) to be one.
//!
//! ```text
//!  vault (threads) ─▸ ObjectSite ─▸ one small runtime ─▸ object_store ─▸ Wire ─▸ TLS ─▸ server
//!                     names, sizes,                       S3, WebDAV      deadlines, repeats,
//!                     what an answer means                                bounded answers
//! ```
//!
//! **Architecture invariants**
//! - It never knows what an object means, and holds no key but a site's credentials, which it
//!   never prints.
//! - A site never deletes: a request that removes an object is sent by [`ObjectJanitor`] alone,
//!   which no writer is given, and by a probe for objects of its own. The server replaces nothing,
//!   and deletes what m of n approvers allow, after a delay, each object once.
//! - Async stays inside: callers are threads and block; one runtime of two workers serves all.
//! - Every wait is bounded, by time and by bytes; what a server sends is never trusted to end.
//! - Only what may be repeated is repeated: reads, and writes of the same bytes.

#![forbid(unsafe_code)]

mod basic;
mod bridge;
mod client;
mod credential;
mod ipfs;
mod janitor;
mod object;
mod pace;
mod probe;
mod serve;
mod settings;
mod tls;
mod unusable;
mod versions;
mod wire;

pub use credential::{Credential, CredentialSource};
pub use ipfs::{IpfsJanitor, IpfsSettings, IpfsSite, Replica, probe_ipfs};
pub use janitor::ObjectJanitor;
pub use object::ObjectSite;
pub use pace::Bandwidth;
pub use probe::{Attempt, Finding, Outcome, Spread, probe_s3, probe_web_dav};
pub use serve::{
    AccessKey, BucketUse, Event, Right, ServeError, ServeOptions, Server, TlsFiles, Watch,
};
pub use settings::{
    Endpoint, Patience, S3Settings, SettingsError, WebDavSettings, check_site_name,
};
pub use unusable::UnusableSite;
pub use versions::Lock;
