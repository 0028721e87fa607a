//! What the helper process and its caller say to each other: frames of at most 64 KiB, each a
//! length of four bytes (little-endian) and a canonical value. What is secret is a frame of its own
//! behind the value, bare, so that no buffer that grows ever held it.

use std::io::{self, Read, Write};

use evenkeel_types::{Canonical, Reader, Writer, canonical_enum, canonical_struct};
use zeroize::Zeroizing;

/// More than any question or answer has.
const FRAME_BYTES_MAX: usize = 64 << 10;

/// What the helper is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Tokens,
    Open { slot: u64, writes: bool },
    Login,
    Init { slot: u64, label: Vec<u8> },
    Generate { kind: u8, label: Vec<u8>, id: Vec<u8> },
    Keys,
    Attributes { handle: u64 },
    Sign { handle: u64, kind: u8, data: Vec<u8> },
    Derive { handle: u64, point: Vec<u8> },
    Wrap { handle: u64 },
    Unwrap { handle: u64, wrapped: Vec<u8> },
    Decrypt { handle: u64, sealed: Vec<u8> },
    Destroy { handles: Vec<u64> },
    Close,
}

canonical_enum!(Request {
    1 => Tokens,
    2 => Open { slot, writes },
    3 => Login,
    4 => Init { slot, label },
    5 => Generate { kind, label, id },
    6 => Keys,
    7 => Attributes { handle },
    8 => Sign { handle, kind, data },
    9 => Derive { handle, point },
    10 => Wrap { handle },
    11 => Unwrap { handle, wrapped },
    12 => Decrypt { handle, sealed },
    13 => Destroy { handles },
    14 => Close,
});

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    Tokens {
        tokens: Vec<Token>,
    },
    Born {
        private: u64,
        public: Option<u64>,
        bytes: Vec<u8>,
    },
    Keys {
        keys: Vec<Key>,
    },
    Attributes {
        told: Told,
    },
    Bytes {
        bytes: Vec<u8>,
    },
    /// The next frame is the secret.
    Secret,
    Failed {
        fault: Fault,
        code: Vec<u8>,
        function: Vec<u8>,
    },
}

canonical_enum!(Reply {
    1 => Done,
    2 => Tokens { tokens },
    3 => Born { private, public, bytes },
    4 => Keys { keys },
    5 => Attributes { told },
    6 => Bytes { bytes },
    7 => Secret,
    8 => Failed { fault, code, function },
});

/// A token as its module describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) slot: u64,
    pub(crate) label: Vec<u8>,
    pub(crate) maker: Vec<u8>,
    pub(crate) model: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) initialized: bool,
    pub(crate) pin_set: bool,
    pub(crate) pin_low: bool,
    pub(crate) pin_final: bool,
    pub(crate) pin_locked: bool,
    pub(crate) free_bytes: Option<u64>,
    /// Kinds of keys whose mechanisms it has.
    pub(crate) kinds: Vec<u8>,
    /// Names of the mechanisms behind them.
    pub(crate) mechanisms: Vec<Vec<u8>>,
}

canonical_struct!(Token {
    slot,
    label,
    maker,
    model,
    serial,
    initialized,
    pin_set,
    pin_low,
    pin_final,
    pin_locked,
    free_bytes,
    kinds,
    mechanisms
});

/// A private or secret key in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) handle: u64,
    pub(crate) kind: Option<u8>,
    pub(crate) label: Vec<u8>,
    pub(crate) id: Vec<u8>,
    /// The public half as its kind has it; empty if there is none.
    pub(crate) public: Vec<u8>,
}

canonical_struct!(Key { handle, kind, label, id, public });

/// What a token says of a key; `None` is an attribute that it does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) sensitive: Option<bool>,
    pub(crate) extractable: Option<bool>,
    pub(crate) always_sensitive: Option<bool>,
    pub(crate) never_extractable: Option<bool>,
    pub(crate) local: Option<bool>,
    /// Length of the secret value, if it was given out.
    pub(crate) value_bytes: Option<u64>,
}

canonical_struct!(Told {
    sensitive,
    extractable,
    always_sensitive,
    never_extractable,
    local,
    value_bytes
});

/// Kinds of failure that a caller tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Load,
    PinWrong,
    PinLocked,
    PinUnusable,
    Full,
    Gone,
    Unsupported,
    Other,
}

canonical_enum!(Fault {
    1 => Load,
    2 => PinWrong,
    3 => PinLocked,
    4 => PinUnusable,
    5 => Full,
    6 => Gone,
    7 => Unsupported,
    8 => Other,
});

/// Sends one value.
pub(crate) fn send(to: &mut impl Write, value: &impl Canonical) -> io::Result<()> {
    let mut encoder = Writer::new();
    value.encode(&mut encoder);
    send_bare(to, encoder.as_bytes())
}

/// Sends bytes that are no value: a secret.
pub(crate) fn send_bare(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("longer than a frame may be"))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads one value.
pub(crate) fn receive<T: Canonical>(from: &mut impl Read) -> io::Result<T> {
    let bytes = receive_bare(from)?;
    let mut reader = Reader::new(&bytes);
    T::decode(&mut reader)
        .and_then(|value| reader.finish().map(|()| value))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// Reads bytes that are no value.
pub(crate) fn receive_bare(from: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than a frame may be"));
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_reads_back_and_a_frame_too_long_is_refused() {
        let asked = Request::Generate { kind: 1, label: b"desk".to_vec(), id: vec![7] };
        let mut line = Vec::new();
        send(&mut line, &asked).unwrap();
        assert_eq!(receive::<Request>(&mut line.as_slice()).unwrap(), asked);
        assert!(receive::<Reply>(&mut [255, 255, 255, 255, 1].as_slice()).is_err());
        assert!(send_bare(&mut Vec::new(), &vec![0; FRAME_BYTES_MAX + 1]).is_err());
        assert!(receive::<Request>(&mut [1, 0, 0, 0, 99].as_slice()).is_err());
    }
}
