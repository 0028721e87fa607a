//! Decrypting for a recipient that nobody holds.
//!
//! ```text
//! request ─ partial ─ file keys
//! for a     each holder,     whoever asked, from any quorum
//! target    sealed for the target
//! ```
//!
//! A holder is no oracle: it multiplies shares of those [`Stanza`]s only that the caller vouches
//! for, and the caller looks for them in what a trusted domain signed. What a holder answers is
//! sealed for the target that the request names, proven to be made with its recorded share
//! (Chaum and Pedersen 1992, by Fiat and Shamir), and of use for this one stanza alone.

mod open;
mod partial;
mod proof;
mod request;
mod target;

pub use open::{FileKey, Heard, Opened, open};
pub use partial::answer;
pub use request::{EXPIRY_S_MAX, Purpose, Request, STANZAS_MAX, Stanza};
pub use target::TargetKey;
