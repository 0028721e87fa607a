//! Keys that are born in a token and never leave it: PKCS#11 modules of hardware and software.
//!
//! A module is somebody else's native code. It is loaded by a helper process ([`serve`]) and asked
//! over a socket ([`Session`]), so that one that hangs, crashes or prints costs an answer and
//! nothing else. What it says is not believed: attributes are read back after a key was made, and
//! every signature is verified here, by the public key that was recorded, before it leaves.
//!
//! **Architecture invariants**
//! - No module's code runs in the process that holds anything secret but the PIN and the answer.
//! - Every answer is waited for no longer than a deadline; then the helper is killed.
//! - A PIN is tried once. One that was refused is never tried again, and none is tried on a token
//!   that says it is the last try unless the caller said so.
//! - A signature leaves only verified, and ECDSA only with a low s.
//! - Nothing secret is in an error or in `Debug`; what came out of a token is overwritten.
//! - No file, no terminal, no clock but for the deadline: where keys and PINs are kept is the
//!   caller's.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod der;
mod error;
mod held;
mod hpke;
mod key;
mod line;
mod recipient;
mod seal;
mod serve;
mod session;
mod sign;
mod uri;
mod wire;
#[cfg(test)]
mod wycheproof;

pub use error::{Error, Result};
pub use held::{Held, HeldSigner, PinSource};
pub use key::{Attributes, Kind, Public};
pub use line::Launch;
pub use recipient::{TokenIdentity, open_stanza};
pub use seal::seal_to_rsa;
pub use serve::serve;
pub use session::{Born, PinState, Session, StoredKey, TokenInfo, init_token, tokens};
pub use sign::{Finished, finish};
pub use uri::Uri;
