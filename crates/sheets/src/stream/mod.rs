//! Messages between machines without a network: a film of symbols, of which many may be missed.
//!
//! A message is cut into k parts and given as many of parity again (Reed–Solomon over GF(2^16)),
//! one to a frame. Any k different frames give it back, in any order; a camera that misses a frame
//! need not wait for it to come round again.
//!
//! ```text
//! frame = "EVF1" ‖ id (8) ‖ bytes of the message (4) ‖ k (2) ‖ parity frames (2) ‖ number (2)
//!         ‖ part ‖ check (8)
//! id    = first 8 bytes of SHA-256( "evenkeel message 1" ‖ message )
//! check = first 8 bytes of SHA-256( "evenkeel frame 1" ‖ all before it )
//! ```

mod receive;
mod show;

pub use receive::{Added, Incoming, Receiving};
pub use show::{html, svg, terminal};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::qr::{Grid, Level, Version, WriteError, write};

/// The version of frames on a screen.
pub const SCREEN: Version = Version::known(20);
/// The version of frames in a terminal.
pub const TERMINAL: Version = Version::known(10);
/// The longest message.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1_024;

const MAGIC: &[u8; 4] = b"EVF1";
const CHECK_BYTES: usize = 8;
const HEAD_BYTES: usize = 4 + 8 + 4 + 2 + 2 + 2;
/// A screen is neither dirty nor folded.
const LEVEL: Level = Level::Medium;

/// Why a message is not sent, or did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Nothing, or too much.
    #[error("a message has 1 to {MESSAGE_BYTES_MAX} bytes, not {0}")]
    Length(usize),
    /// The code refused.
    #[error("the frames could not be computed: {0}")]
    Code(String),
    /// The encoder of symbols refused.
    #[error(transparent)]
    Symbol(#[from] WriteError),
    /// Too few different frames.
    #[error(
        "{read} of the {needed} frames needed were read; any {missing} others of this film suffice"
    )]
    TooFew {
        /// Different frames that were read.
        read: usize,
        /// How many it takes.
        needed: usize,
        /// The difference.
        missing: usize,
    },
    /// Every frame holds by itself, and they are not of one message.
    #[error("the frames are whole and do not give the message they name: one of them was forged")]
    Forged,
}

/// One frame of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What tells one message from another.
    pub id: [u8; 8],
    /// Bytes of the message.
    pub message_bytes: u32,
    /// Parts of the message.
    pub parts: u16,
    /// Parts of parity.
    pub parity: u16,
    /// Which part, from 0; those of parity follow the others.
    pub number: u16,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

/// All frames of a message for symbols of this version.
///
/// # Errors
/// [`StreamError::Length`].
pub fn frames(message: &[u8], version: Version) -> Result<Vec<Frame>, StreamError> {
    if message.is_empty() || message.len() > MESSAGE_BYTES_MAX {
        return Err(StreamError::Length(message.len()));
    }
    let room = (version.capacity_bytes(LEVEL) - HEAD_BYTES - CHECK_BYTES) & !1;
    let parts = message.len().div_ceil(room);
    // The code wants parts of an even length.
    let each = message.len().div_ceil(parts).next_multiple_of(2);
    let mut filled = Zeroizing::new(message.to_vec());
    filled.resize(parts * each, 0);
    let mut contents: Vec<Zeroizing<Vec<u8>>> =
        filled.chunks(each).map(|part| Zeroizing::new(part.to_vec())).collect();
    let parity = parts;
    let coded = reed_solomon_simd::encode(parts, parity, filled.chunks(each))
        .map_err(|error| StreamError::Code(error.to_string()))?;
    contents.extend(coded.into_iter().map(Zeroizing::new));
    let small = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let frame = |(number, content)| Frame {
        id: id(message),
        message_bytes: u32::try_from(message.len()).unwrap_or(u32::MAX),
        parts: small(parts),
        parity: small(parity),
        number: small(number),
        content,
    };
    Ok(contents.into_iter().enumerate().map(frame).collect())
}

fn short_hash(label: &[u8], content: &[u8]) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(label);
    hash.update(content);
    let mut short = [0; 8];
    short.iter_mut().zip(hash.finalize()).for_each(|(own, byte)| *own = byte);
    short
}

fn id(message: &[u8]) -> [u8; 8] {
    short_hash(b"evenkeel message 1", message)
}

impl Frame {
    /// What its symbol says.
    #[must_use]
    pub fn payload(&self) -> Zeroizing<Vec<u8>> {
        let room = HEAD_BYTES + self.content.len() + CHECK_BYTES;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        bytes.extend(MAGIC);
        bytes.extend(self.id);
        bytes.extend(self.message_bytes.to_be_bytes());
        for number in [self.parts, self.parity, self.number] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.content.iter());
        let check = short_hash(b"evenkeel frame 1", &bytes);
        bytes.extend(check);
        bytes
    }

    /// Its symbol.
    ///
    /// # Errors
    /// [`WriteError::TooLong`] if the frame was made for a larger version.
    pub fn grid(&self, version: Version) -> Result<Grid, WriteError> {
        write(version, LEVEL, &self.payload())
    }

    /// Whether bytes are a whole frame.
    #[must_use]
    pub fn holds(bytes: &[u8]) -> bool {
        Self::read(bytes).is_some()
    }

    /// Reads a symbol's bytes; nothing if they are no frame, or damaged.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (content, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
        if short_hash(b"evenkeel frame 1", content) != check {
            return None;
        }
        let rest = content.strip_prefix(MAGIC)?;
        let (id, rest) = rest.split_first_chunk::<8>()?;
        let (message_bytes, rest) = rest.split_first_chunk::<4>()?;
        let (parts, rest) = rest.split_first_chunk::<2>()?;
        let (parity, rest) = rest.split_first_chunk::<2>()?;
        let (number, content) = rest.split_first_chunk::<2>()?;
        let frame = Self {
            id: *id,
            message_bytes: u32::from_be_bytes(*message_bytes),
            parts: u16::from_be_bytes(*parts),
            parity: u16::from_be_bytes(*parity),
            number: u16::from_be_bytes(*number),
            content: Zeroizing::new(content.to_vec()),
        };
        frame.is_sound().then_some(frame)
    }

    fn is_sound(&self) -> bool {
        let message = usize::try_from(self.message_bytes).unwrap_or(usize::MAX);
        let parts = usize::from(self.parts);
        parts > 0
            && self.parity == self.parts
            && u32::from(self.number) < u32::from(self.parts) + u32::from(self.parity)
            && (1..=MESSAGE_BYTES_MAX).contains(&message)
            && message.div_ceil(parts).next_multiple_of(2) == self.content.len()
    }
}
