//! Messages on a byte stream: 4 bytes of length (little-endian), then the canonical bytes.
//!
//! A length is believed only up to [`MESSAGE_BYTES_MAX`], and memory grows with the bytes that
//! came, not with what a length promises.

use evenkeel_types::codec::{Canonical, DecodeError, Reader, Writer};
use thiserror::Error;

/// Longest message in bytes, without its length.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Bytes of the length.
const LENGTH_BYTES: usize = 4;

/// Why a stream cannot be read on, or a message cannot be sent. The connection is to be closed;
/// nothing else is lost: what was not confirmed is sent again on the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FramingError {
    /// A message, or a promise of one, that is too long.
    #[error("a message of {bytes} bytes; at most {bytes_max} are taken")]
    TooLong {
        /// Its length in bytes.
        bytes: u64,
        /// What is taken on this stream.
        bytes_max: usize,
    },
    /// Bytes that are no message of this version.
    #[error("not a message: {0}; the other side may run another version of this program")]
    Undecodable(#[from] DecodeError),
}

/// Appends a message with its length.
///
/// # Errors
/// [`FramingError::TooLong`]; nothing was appended.
pub fn write_message(message: &impl Canonical, out: &mut Vec<u8>) -> Result<(), FramingError> {
    let bytes = message.to_bytes();
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MESSAGE_BYTES_MAX);
    let Some(length) = length else {
        return Err(FramingError::TooLong {
            bytes: bytes.len() as u64,
            bytes_max: MESSAGE_BYTES_MAX,
        });
    };
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&bytes);
    Ok(())
}

/// Takes messages out of the bytes of a stream, however they were cut.
#[derive(Debug)]
pub struct Unframer {
    bytes: Vec<u8>,
    at: usize,
    message_bytes_max: usize,
}

impl Default for Unframer {
    fn default() -> Self {
        Self::limited(MESSAGE_BYTES_MAX)
    }
}

impl Unframer {
    /// Nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for a stream of shorter messages: of `message_bytes_max` bytes, without the length.
    #[must_use]
    pub fn limited(message_bytes_max: usize) -> Self {
        let message_bytes_max = message_bytes_max.min(MESSAGE_BYTES_MAX);
        Self { bytes: Vec::new(), at: 0, message_bytes_max }
    }

    /// Takes in bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at > 0 && self.at >= self.bytes.len() / 2 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message; `None` until more bytes have come. An error repeats.
    ///
    /// # Errors
    /// [`FramingError`]; the stream has no use from there on.
    pub fn next_message<M: Canonical>(&mut self) -> Result<Option<M>, FramingError> {
        let rest = &self.bytes[self.at..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let bytes = u64::from(u32::from_le_bytes(*length));
        let bytes_max = self.message_bytes_max;
        let length = usize::try_from(bytes).ok().filter(|length| *length <= bytes_max);
        let Some(length) = length else {
            return Err(FramingError::TooLong { bytes, bytes_max });
        };
        let Some(message) = rest.get(..length) else {
            return Ok(None);
        };
        let message = M::from_bytes(message)?;
        self.at += LENGTH_BYTES + length;
        Ok(Some(message))
    }

    /// Whether the stream ended inside a message, if it ended here.
    #[must_use]
    pub fn is_inside_message(&self) -> bool {
        self.at < self.bytes.len()
    }
}

/// The version byte that a connection's first message begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProtocolVersion;

impl ProtocolVersion {
    /// Present version of the link and of the client protocol.
    pub const PRESENT: u8 = 1;
}

impl Canonical for ProtocolVersion {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(Self::PRESENT);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            Self::PRESENT => Ok(Self),
            version => Err(reader.unknown_tag("protocol version", version.into())),
        }
    }
}
