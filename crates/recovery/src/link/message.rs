//! What primary and standby say to each other.

use evenkeel_journal::{Batch, Chain, Record};
use evenkeel_types::Timestamp;
use evenkeel_types::codec::{Canonical, DecodeError, Reader, Writer};
use evenkeel_types::{canonical_enum, canonical_struct};

use crate::agreement::Digest;
use crate::frames::{EntryBytes, Frame};
use crate::framing::ProtocolVersion;
use crate::report::Text;

/// A frame of the journal with the chain behind it, as it is read, sent and mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFrame(pub Batch);

impl LinkFrame {
    /// Bytes of its entries together: what a window counts.
    #[must_use]
    pub fn entry_bytes(&self) -> u64 {
        self.0.records.iter().map(|record| record.entry.len() as u64).sum()
    }
}

impl Canonical for LinkFrame {
    fn encode(&self, writer: &mut Writer) {
        let Batch { first, term, chain, records } = &self.0;
        term.encode(writer);
        first.encode(writer);
        writer.u64(records.len() as u64);
        for record in records {
            writer.bytes(&record.entry);
        }
        chain.encode(writer);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let Frame { term, first, entries } = Canonical::decode(reader)?;
        let chain = Canonical::decode(reader)?;
        if entries.is_empty() || first.checked_add(entries.len() as u64).is_none() {
            return Err(reader.not_canonical("a frame empty or beyond the last position"));
        }
        // The entries lead: the positions are not asked for one behind the last.
        let records = entries
            .into_iter()
            .zip(first..)
            .map(|(EntryBytes(entry), position)| Record { position, term, entry })
            .collect();
        Ok(Self(Batch { first, term, chain, records }))
    }
}

/// A standby presents itself; the first message of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Of the link.
    pub version: ProtocolVersion,
    /// The unbroken history it follows.
    pub lineage: [u8; 16],
    /// First position that it does not hold.
    pub position: u64,
    /// Chain before that position.
    pub chain: Chain,
    /// What people call it.
    pub name: Text,
}
canonical_struct!(Hello { version, lineage, position, chain, name });

/// The primary accepts a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// Of the link.
    pub version: ProtocolVersion,
    /// The primary's term.
    pub term: u64,
    /// First position that its journal holds.
    pub base: u64,
    /// First position that is not durable yet.
    pub next: u64,
}
canonical_struct!(Welcome { version, term, base, next });

/// The primary lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Its term.
    pub term: u64,
    /// First position that is not durable yet.
    pub durable_next: u64,
    /// Its journal time.
    pub time: Timestamp,
}
canonical_struct!(Beat { term, durable_next, time });

/// Digest of an engine's output after all entries before a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestAt {
    /// A multiple of [`crate::link::DIGEST_EVERY`].
    pub position: u64,
    /// [`evenkeel_venue::Engine::output_digest`] there.
    pub digest: Digest,
}
canonical_struct!(DigestAt { position, digest });

/// The primary ends in good order: nothing is journaled behind `position` under its term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOver {
    /// First position that its journal does not hold.
    pub position: u64,
    /// Chain before that position.
    pub chain: Chain,
    /// Its term; the successor's is higher.
    pub term: u64,
}
canonical_struct!(HandOver { position, chain, term });

/// Who gave the wrong output, as told by a third engine that replayed the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The standby: it is barred from promotion.
    Standby,
    /// The primary: it halts and lists its outputs since the agreement.
    Primary,
    /// Neither of them gave what the replay gave: both stop.
    Both,
}
canonical_enum!(Wrong { 1 => Standby, 2 => Primary, 3 => Both });

/// A standby and the primary differ, and a replay has decided between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diverged {
    /// Everything before this position is agreed.
    pub agreed: u64,
    /// First position compared at which the digests differ.
    pub position: u64,
    /// Who is wrong.
    pub wrong: Wrong,
}
canonical_struct!(Diverged { agreed, position, wrong });

/// A range of positions, the end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First position.
    pub from: u64,
    /// First position behind it.
    pub to: u64,
}
canonical_struct!(Range { from, to });

/// A position and the chain before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// First position that is not held.
    pub position: u64,
    /// Chain before that position.
    pub chain: Chain,
}
canonical_struct!(Held { position, chain });

/// Why a standby is refused, for people; the connection ends with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong and what to do.
    pub why: Text,
}
canonical_struct!(Refusal { why });

/// Messages with one value each, told apart by a tag.
macro_rules! messages {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $tag:literal => $variant:ident($value:ty)),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant($value),)*
        }

        impl Canonical for $name {
            fn encode(&self, writer: &mut Writer) {
                match self {
                    $(Self::$variant(value) => {
                        writer.u8($tag);
                        value.encode(writer);
                    })*
                }
            }

            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match reader.u8()? {
                    $($tag => Canonical::decode(reader).map(Self::$variant),)*
                    tag => Err(reader.unknown_tag(stringify!($name), tag.into())),
                }
            }
        }
    };
}

messages!(
    /// From primary to standby.
    ToStandby {
        /// Answer to [`ToPrimary::Hello`]; frames follow from the standby's position on.
        1 => Welcome(Welcome),
        /// The next frame.
        2 => Frame(LinkFrame),
        /// Sent at an even pace, whether or not something happens.
        3 => Beat(Beat),
        /// What the primary's engine said.
        4 => Digest(DigestAt),
        /// Last message of a planned end; every frame came before it.
        5 => HandOver(HandOver),
        /// Last message: the standby cannot be served.
        6 => Refused(Refusal),
        /// A frame that was fetched; not the next of the stream.
        7 => Fetched(LinkFrame),
        /// Everything of a [`ToPrimary::Fetch`] that is held was sent.
        8 => FetchEnd(Range),
    }
);

messages!(
    /// From standby to primary.
    ToPrimary {
        /// First message.
        1 => Hello(Hello),
        /// What it holds by now; opens the window again.
        2 => Holds(Held),
        /// What the standby's engine said.
        3 => Digest(DigestAt),
        /// The two differ.
        4 => Diverged(Diverged),
        /// Asks for frames of the past, to mend a journal.
        5 => Fetch(Range),
    }
);
