//! The client protocol: messages, and the core of a client that loses no command and sends none
//! twice, without any I/O.

mod message;

pub use message::{ToClient, ToVenue};
