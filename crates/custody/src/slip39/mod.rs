//! SLIP-0039: a secret as cards of words, groups × members.
//!
//! Standard: <https://github.com/satoshilabs/slips/blob/master/slip-0039.md>. [`split`] makes the
//! cards, [`Share::parse`] reads one, [`recover`] brings the secret back from enough of them.
//!
//! Two things are stricter than the standard, on both sides: a group of several members of which
//! one suffices is refused, because no digest protects it ([`RecoverError::OneOfMany`]); and every
//! card beyond those needed is checked against the others, so that a forged one is named while it
//! still can be.
//!
//! ```text
//! secret ▸ Feistel network under the passphrase ▸ polynomial of groups ▸ of members ▸ words
//!                                       digest at 254, secret at 255, shares at 0…15
//! ```

mod cipher;
mod error;
mod policy;
mod recover;
mod rs1024;
mod scheme;
mod share;
mod split;
mod words;

#[cfg(test)]
pub(crate) use cipher::pbkdf2;
#[cfg(test)]
pub(crate) use scheme::digest_of;

pub use error::{GroupState, RecoverError, SetCards, ShareError, SplitError, UnknownWord};
pub use policy::{GroupPolicy, MEMBERS_MAX, Policy};
pub use recover::{GroupUse, Recovered, Unchecked, missing, recover};
pub use rs1024::Suspect;
pub use share::{SetId, Share};
pub use split::{SECRET_BYTES_MAX, SECRET_BYTES_MIN, SplitOptions, split};
pub use words::{from_four_letters, word};
