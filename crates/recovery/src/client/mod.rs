//! The client protocol: messages, and the core of a client that loses no command and sends none
//! twice, without any I/O.

mod core;
mod message;

pub use self::core::{Answer, Client, NotSubmitted, Output, Plan};
pub use message::{Blob, ToClient, ToVenue};
