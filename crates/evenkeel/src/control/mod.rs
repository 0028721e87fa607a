//! The control socket of a running daemon: `host/control.sock`.
//!
//! One request is one line of JSON, `{"command":"status"}` with further fields as arguments; the
//! answer is one line of JSON. The socket has mode 600: whoever may open it owns the daemon's files
//! anyway. Requests are bounded in length and time, and so are connections at once.

mod client;
mod path;
mod server;
mod socket;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use client::ask;
pub(crate) use client::connect;
pub use server::{ControlHandler, serve};
pub use socket::Handle;
pub(crate) use socket::{Guests, listen};

/// Longest request line.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Longest answer line.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// `status`, `points`, `drills`, `stop`, ….
    pub command: String,
    /// Whatever else the request says.
    #[serde(flatten)]
    pub arguments: serde_json::Map<String, serde_json::Value>,
}

impl Request {
    /// A request without arguments.
    #[must_use]
    pub fn new(command: &str) -> Self {
        Self { command: command.to_owned(), arguments: serde_json::Map::new() }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.arguments.insert(name.to_owned(), value.into());
        self
    }
}
