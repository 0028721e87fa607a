//! What clients and the primary say to each other.

use evenkeel_types::codec::{Canonical, DecodeError, Reader, Writer};
use evenkeel_types::merkle::Hash;
use evenkeel_types::{Event, Origin, Position};
use evenkeel_types::{canonical_enum, canonical_struct};

use crate::framing::ProtocolVersion;
use crate::primary::{Ack, Refused, Request};
use crate::report::Text;

canonical_struct!(Request { origin, command });

/// From a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToVenue {
    /// First message of a connection.
    Hello {
        /// Of the client protocol.
        version: ProtocolVersion,
        /// What people call it.
        name: Text,
    },
    /// A command; sent again unchanged until it is answered.
    Request {
        /// The command and whose it is.
        request: Box<Request>,
    },
    /// What is traded here, for the demonstration's clients.
    Market,
}
canonical_enum!(ToVenue { 1 => Hello { version, name }, 2 => Request { request }, 3 => Market });

/// To a client. Answers name the origin they belong to, so that one that comes late or twice is
/// taken for no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToClient {
    /// First message: this is the primary.
    Welcome {
        /// Of the client protocol.
        version: ProtocolVersion,
        /// The primary's term.
        term: u64,
    },
    /// The command is durable and applied.
    Acked {
        /// Whose command.
        origin: Origin,
        /// Where it stands and what it changed.
        ack: Box<Ack>,
    },
    /// The command is not in the journal *by this attempt*; an earlier one may have brought it
    /// there, if its answer was lost.
    Refused {
        /// Whose command.
        origin: Origin,
        /// Why.
        refused: Refused,
    },
    /// Nothing is taken here, and nothing unanswered on this connection will be.
    NotPrimary {
        /// Highest term known here.
        term: u64,
        /// Address of the primary, if it is known; empty otherwise.
        primary_at: Text,
    },
    /// The demonstration's market, as it was when the primary's term began.
    Market {
        /// In the demonstration's own form.
        market: Blob,
    },
}
canonical_enum!(ToClient {
    1 => Welcome { version, term },
    2 => Acked { origin, ack },
    3 => Refused { origin, refused },
    4 => NotPrimary { term, primary_at },
    5 => Market { market },
});

/// Bytes of somebody else's form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// Most bytes that are read back.
    pub const MAX_BYTES: usize = 16 << 20;
}

impl Canonical for Blob {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.bytes(Self::MAX_BYTES)?.to_vec()))
    }
}

canonical_enum!(Refused { 1 => DiskFull });

impl Canonical for Ack {
    fn encode(&self, writer: &mut Writer) {
        let Self { position, entry_hash, events } = self;
        position.encode(writer);
        entry_hash.encode(writer);
        writer.sequence(events.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (position, entry_hash): (Position, Hash) =
            (Canonical::decode(reader)?, Canonical::decode(reader)?);
        let events: Vec<Event> = reader.sequence()?;
        Ok(Self { position, entry_hash, events })
    }
}
