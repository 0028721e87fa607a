//! Signed messages, and the table they lie on.

use std::collections::BTreeMap;
use std::fmt;

use super::fault::{Fault, Misdeed};
use super::holder::{self, HolderKey};
use super::wire::{Armor, Malformed, Reader, Writer};

const LABEL: &[u8] = b"evenkeel group message 1";
/// A longer message is none of ours: the longest are parts of 512
/// decryptions.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Commitments of a dealer, keys for packets of a receiver.
    Opening,
    /// The list of openings a holder saw.
    Agreement,
    /// Packets with shares, one for each receiver.
    Deal,
    /// A packet was bad: its key is opened.
    Complaint,
    /// The new share is there and proven.
    Acknowledgement,
    /// Commitments to nonces.
    Commitment,
    /// A share of a signature.
    SignatureShare,
    /// Parts of decryptions, sealed for whoever asked.
    Partial,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Opening,
        Self::Agreement,
        Self::Deal,
        Self::Complaint,
        Self::Acknowledgement,
        Self::Commitment,
        Self::SignatureShare,
        Self::Partial,
    ];

    fn code(self) -> u8 {
        match self {
            Self::Opening => 1,
            Self::Agreement => 2,
            Self::Deal => 3,
            Self::Complaint => 4,
            Self::Acknowledgement => 5,
            Self::Commitment => 6,
            Self::SignatureShare => 7,
            Self::Partial => 8,
        }
    }

    /// The word of file names and documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Agreement => "agreement",
            Self::Deal => "deal",
            Self::Complaint => "complaint",
            Self::Acknowledgement => "acknowledgement",
            Self::Commitment => "commitment",
            Self::SignatureShare => "signature-share",
            Self::Partial => "partial",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One message of one holder. It holds nothing that others may not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is for.
    pub kind: Kind,
    /// The plan or request it belongs to.
    pub session: [u8; 32],
    /// The generation that is made, or that signs.
    pub generation: u32,
    /// Number of the holder who signed it.
    pub from: u16,
    pub(super) body: Vec<u8>,
    signature: [u8; 64],
}

impl Message {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-MESSAGE-1");

    pub(super) fn new(
        (kind, session, generation): (Kind, [u8; 32], u32),
        from: u16,
        body: Vec<u8>,
        key: &HolderKey,
    ) -> Self {
        let mut message = Self { kind, session, generation, from, body, signature: [0; 64] };
        message.signature = key.sign(&message.signed());
        message
    }

    fn signed(&self) -> Vec<u8> {
        let mut writer = Writer::of(LABEL);
        writer.u8(self.kind.code()).fixed(&self.session).u32(self.generation).u16(self.from);
        writer.bytes(&self.body).done()
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.signed();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// From bytes; whether the signature holds is checked on the [`Table`].
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::of(bytes, LABEL, "the message")?;
        let code = reader.u8()?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.code() == code);
        let kind = kind.ok_or_else(|| reader.fail())?;
        let (session, generation, from) = (reader.array()?, reader.u32()?, reader.u16()?);
        let body = reader.bytes()?.to_vec();
        let signature = reader.array()?;
        if body.len() > BODY_BYTES_MAX {
            return Err(reader.fail());
        }
        reader.end()?;
        Ok(Self { kind, session, generation, from, body, signature })
    }

    pub(super) fn is_signed_by(&self, key: &[u8; 32]) -> bool {
        holder::verify(key, &self.signed(), &self.signature)
    }
}

/// Why a message does not count. Nobody is accused: anybody can lay anything on a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Aside {
    /// Of another plan or request: replayed, or left over.
    #[error("belongs to another ceremony or signing: replayed or left over")]
    OtherSession,
    /// Of another generation.
    #[error("is of generation {0}, not the one at hand")]
    OtherGeneration(u32),
    /// By nobody of this plan.
    #[error("is by nobody who takes part")]
    Stranger,
    /// Not signed by whom it names.
    #[error("is not signed by the holder it names")]
    NotSigned,
}

/// The messages of one ceremony or signing.
#[derive(Debug, Clone, Default)]
pub struct Table {
    messages: BTreeMap<(Kind, u16), Message>,
    twice: Option<(u16, Kind)>,
    /// Who answered this very session with another generation, and which.
    stale: BTreeMap<u16, u32>,
    /// What lay there and does not count: reason and the number it claims to be from.
    pub aside: Vec<(Aside, Kind, u16)>,
}

impl Table {
    /// Sorts messages out. Members are numbers with their public keys.
    #[must_use]
    pub fn collect(
        session: &[u8; 32],
        generation: u32,
        members: &BTreeMap<u16, [u8; 32]>,
        messages: impl IntoIterator<Item = Message>,
    ) -> Self {
        let mut table = Self::default();
        for message in messages {
            let key = members.get(&message.from);
            let aside = match key {
                _ if message.session != *session => Some(Aside::OtherSession),
                None => Some(Aside::Stranger),
                Some(key) if !message.is_signed_by(key) => Some(Aside::NotSigned),
                Some(_) if message.generation != generation => {
                    table.stale.insert(message.from, message.generation);
                    Some(Aside::OtherGeneration(message.generation))
                }
                Some(_) => None,
            };
            if let Some(why) = aside {
                table.aside.push((why, message.kind, message.from));
                continue;
            }
            let place = (message.kind, message.from);
            if table.messages.get(&place).is_some_and(|other| *other != message) {
                table.twice.get_or_insert((message.from, message.kind));
            }
            table.messages.insert(place, message);
        }
        table
    }

    /// # Errors
    /// [`Misdeed::TwoMessages`].
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self.twice {
            Some((from, kind)) => Err(Fault::culprit(from, Misdeed::TwoMessages(kind))),
            None => Ok(()),
        }
    }

    /// Whether one of these answered with another generation of the key.
    ///
    /// # Errors
    /// [`Misdeed::Generation`].
    pub(super) fn check_generations(&self, of: &[u16]) -> Result<(), Fault> {
        let stale = self.stale.iter().find(|(from, _)| of.contains(from));
        stale.map_or(Ok(()), |(from, has)| Err(Fault::culprit(*from, Misdeed::Generation(*has))))
    }

    /// The generation of this session in which a holder answered, if it is another one.
    pub(super) fn stale(&self, from: u16) -> Option<u32> {
        self.stale.get(&from).copied()
    }

    pub(super) fn get(&self, kind: Kind, from: u16) -> Option<&Message> {
        self.messages.get(&(kind, from))
    }

    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = &Message> {
        self.messages.values().filter(move |message| message.kind == kind)
    }

    /// Of these, who has not sent this yet.
    pub(super) fn missing(&self, kind: Kind, of: impl IntoIterator<Item = u16>) -> Vec<u16> {
        of.into_iter().filter(|number| self.get(kind, *number).is_none()).collect()
    }
}

/// Of two lists of numbers with hashes, the first number whose hash differs.
///
/// # Errors
/// If the second is no such list of the same numbers.
pub(super) fn differing(ours: &[u8], theirs: &[u8]) -> Result<Option<u16>, ()> {
    const ENTRY_BYTES: usize = 2 + 32;
    if ours.len() != theirs.len() {
        return Err(());
    }
    let mut first = None;
    for (our, their) in ours.chunks(ENTRY_BYTES).zip(theirs.chunks(ENTRY_BYTES)) {
        let (Some((number, _)), Some((other, _))) =
            (our.split_at_checked(2), their.split_at_checked(2))
        else {
            return Err(());
        };
        if number != other {
            return Err(());
        }
        if our != their {
            let number = number.try_into().map(u16::from_be_bytes).map_err(|_| ())?;
            first.get_or_insert(number);
        }
    }
    Ok(first)
}
