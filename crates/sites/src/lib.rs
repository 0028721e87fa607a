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
//! - Nothing here deletes: no request that removes or replaces an object is ever sent, but by a
//!   probe for objects of its own, and the server has no code that does either.
//! - Async stays inside: callers are threads and block; one runtime of two workers serves all.
//! - Every wait is bounded, by time and by bytes; what a server sends is never trusted to end.
//! - Only what may be repeated is repeated: reads, and writes of the same bytes.

#![forbid(unsafe_code)]

mod bridge;
mod credential;
mod object;
mod probe;
mod serve;
mod settings;
mod tls;
mod unusable;
mod wire;

pub use credential::{Credential, CredentialSource};
pub use object::ObjectSite;
pub use probe::{Attempt, Finding, Outcome, Spread, probe_s3, probe_web_dav};
pub use serve::{
    AccessKey, BucketUse, Event, Right, ServeError, ServeOptions, Server, TlsFiles, Watch,
};
pub use settings::{
    Endpoint, Patience, S3Settings, SettingsError, WebDavSettings, check_site_name,
};
pub use unusable::UnusableSite;
