//! Who carried an approved action out, and when: lines of a log at the sites.

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use super::action::ActionId;
use super::statement::Matter;
use super::words::{line, one_line};
use crate::certificate::{RootPublicKey, SIGNATURE_BYTES, WriterKey, magic};
use crate::error::Result;
use crate::layout::hex;

const MAGIC: &[u8; 4] = b"EVKL";
const VERSION: u8 = 1;
const CONTEXT: &[u8] = b"evenkeel vault execution v1\0";

/// How far it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Written before anything is done.
    Begun,
    /// It was done.
    Executed,
}

evenkeel_types::canonical_enum!(Phase { 0 => Begun, 1 => Executed });

impl Phase {
    /// How names at sites begin.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Executed => "executed",
        }
    }
}

/// A signed line of the log. It uses no action up: whoever can write could forge one by a key of
/// its own, and nobody's forgery keeps a recovery from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// How far it was.
    pub phase: Phase,
    /// Of which action.
    pub action: ActionId,
    /// When, by that host's clock: nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// Who and where, in the host's words.
    pub by: String,
    /// What came of it, in the host's words.
    pub what: String,
    /// The key that signed the line.
    pub signer: [u8; 32],
    signature: [u8; SIGNATURE_BYTES],
}

impl Execution {
    /// A line, signed with a key of the host.
    ///
    /// # Errors
    /// [`Error::Elsewhere`](crate::Error::Elsewhere) from where the key is held.
    pub fn sign(
        key: &WriterKey,
        (phase, action): (Phase, ActionId),
        time_ns: u64,
        (by, what): (&str, &str),
    ) -> Result<Self> {
        let (by, what) = (one_line(by), one_line(what));
        let (signer, signature) = (key.public(), [0; SIGNATURE_BYTES]);
        let mut line = Self { phase, action, time_ns, by, what, signer, signature };
        line.signature = key.sign(&line.message())?;
        Ok(line)
    }

    fn message(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.fixed(CONTEXT);
        self.encode_unsigned(&mut encoder);
        encoder.into_bytes()
    }

    fn encode_unsigned(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        self.phase.encode(encoder);
        encoder.fixed(&self.action.0);
        encoder.u64(self.time_ns);
        encoder.bytes(self.by.as_bytes());
        encoder.bytes(self.what.as_bytes());
        encoder.fixed(&self.signer);
    }

    /// Whether the key that it names signed it.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        RootPublicKey::from_bytes(&self.signer)
            .is_ok_and(|key| key.has_signed(&self.message(), &self.signature))
    }

    /// Its name at a site.
    #[must_use]
    pub fn key(&self, matter: &Matter) -> String {
        let (prefix, phase) = (matter.prefix(), self.phase.name());
        format!("{prefix}{phase}-{:020}-{}", self.time_ns, hex(&self.signer))
    }
}

impl Canonical for Execution {
    fn encode(&self, encoder: &mut Encoder) {
        self.encode_unsigned(encoder);
        encoder.fixed(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        Ok(Self {
            phase: Phase::decode(reader)?,
            action: ActionId(reader.array()?),
            time_ns: reader.u64()?,
            by: line(reader)?,
            what: line(reader)?,
            signer: reader.array()?,
            signature: reader.array()?,
        })
    }
}
