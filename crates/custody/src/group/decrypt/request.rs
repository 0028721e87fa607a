//! What is to be decrypted, for whom and why.

use sha2::{Digest, Sha256};

use super::super::fault::Refusal;
use super::super::message::{Kind, Message, Table};
use super::super::recipient::lift;
use super::super::record::{Record, Sealed};
use super::super::seal;
use super::super::suite::Curve;
use super::super::wire::{Armor, Malformed, Reader, Writer};
use super::TargetKey;
use crate::random::Random;

const LABEL: &[u8] = b"evenkeel group decryption request 1";
const WHAT: &str = "the request for a decryption";
const REQUESTER_BYTES_MAX: usize = 100;
/// More stanzas than this take several requests.
pub const STANZAS_MAX: usize = 512;
/// A request lasts at most this long, in seconds.
pub const EXPIRY_S_MAX: u64 = 7 * 24 * 3600;

/// An X25519 stanza of an age header (age-encryption.org/v1): a file's key, wrapped for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stanza {
    /// The sender's ephemeral share.
    pub share: [u8; 32],
    /// The file key, sealed.
    pub body: [u8; 32],
}

/// What a decryption is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To bring a domain back.
    Restore,
    /// To prove that it could be brought back.
    Drill,
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Restore, Self::Drill];

    fn code(self) -> u8 {
        match self {
            Self::Restore => 1,
            Self::Drill => 2,
        }
    }

    /// The word of the command line and the documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Drill => "drill",
        }
    }
}

/// A request: every holder's part belongs to exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Hash of the record whose shares decrypt.
    pub record: [u8; 32],
    /// Its generation.
    pub generation: u32,
    /// Why.
    pub purpose: Purpose,
    /// Who asks, in words. Nothing proves it: holders compare the request's id by voice.
    pub requester: String,
    /// For whose X25519 key the parts are sealed.
    pub target: [u8; 32],
    /// When it is over, seconds since 1970 UTC.
    pub expires_s: u64,
    /// What is to be decrypted, in order.
    pub stanzas: Vec<Stanza>,
    /// What shows that a domain signed these stanzas. Its form is the caller's.
    pub evidence: Vec<u8>,
    salt: [u8; 32],
}

impl Request {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-DECRYPTION-REQUEST-1");

    /// Asks holders of a record that is in force. Stanzas that no holder would touch (see
    /// [`Refusal::BadStanza`]) are left out: they are not for this recipient.
    ///
    /// # Errors
    /// [`Refusal::DecryptsNothing`], [`Refusal::Stanzas`] and [`Refusal::Random`].
    pub fn new(
        sealed: &Sealed,
        (purpose, requester): (Purpose, &str),
        target: &TargetKey,
        stanzas: &[Stanza],
        (evidence, expires_s): (Vec<u8>, u64),
        random: &mut dyn Random,
    ) -> Result<Self, Refusal> {
        let record = sealed.record();
        let mut salt = [0; 32];
        random.fill(&mut salt)?;
        let usable = stanzas.iter().filter(|stanza| lift(&stanza.share).is_some());
        let mut stanzas: Vec<Stanza> = usable.copied().collect();
        stanzas.sort_unstable();
        stanzas.dedup();
        let request = Self {
            record: record.hash(),
            generation: record.generation,
            purpose,
            requester: requester.to_owned(),
            target: target.public().ok_or(Refusal::Calculation)?,
            expires_s,
            stanzas,
            evidence,
            salt,
        };
        request.check(record).map(|()| request)
    }

    /// Whether it can be answered with shares of this very record.
    pub(super) fn check(&self, record: &Record) -> Result<(), Refusal> {
        if record.curve != Curve::Recipient {
            return Err(Refusal::DecryptsNothing(record.curve));
        }
        if self.record != record.hash() || self.generation != record.generation {
            return Err(Refusal::Other("request"));
        }
        let count = self.stanzas.len();
        let in_order = self.stanzas.is_sorted_by(|one, next| one < next);
        let named = (1..=REQUESTER_BYTES_MAX).contains(&self.requester.len());
        if !(1..=STANZAS_MAX).contains(&count) || !in_order || !named {
            return Err(Refusal::Stanzas(count));
        }
        if !seal::usable(&self.target) {
            return Err(Refusal::Other("target"));
        }
        let bad = self.stanzas.iter().position(|stanza| lift(&stanza.share).is_none());
        bad.map_or(Ok(()), |at| Err(Refusal::BadStanza(at + 1)))
    }

    /// What names this request: SHA-256 of its bytes.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::of(LABEL);
        writer.fixed(&self.record).u32(self.generation).u8(self.purpose.code());
        writer.bytes(self.requester.as_bytes()).fixed(&self.target).u64(self.expires_s);
        writer.count(self.stanzas.len());
        for stanza in &self.stanzas {
            writer.fixed(&stanza.share).fixed(&stanza.body);
        }
        writer.bytes(&self.evidence).fixed(&self.salt).done()
    }

    /// From bytes. What it asks for is checked when it is answered.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::of(bytes, LABEL, WHAT)?;
        let (record, generation) = (reader.array()?, reader.u32()?);
        let code = reader.u8()?;
        let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.code() == code);
        let purpose = purpose.ok_or_else(|| reader.fail())?;
        let requester = reader.text()?;
        let (target, expires_s) = (reader.array()?, reader.u64()?);
        let count = usize::from(reader.u16()?);
        if count > STANZAS_MAX {
            return Err(reader.fail());
        }
        let mut stanzas = Vec::with_capacity(count);
        for _ in 0..count {
            stanzas.push(Stanza { share: reader.array()?, body: reader.array()? });
        }
        let (evidence, salt) = (reader.bytes()?.to_vec(), reader.array()?);
        reader.end()?;
        Ok(Self {
            record,
            generation,
            purpose,
            requester,
            target,
            expires_s,
            stanzas,
            evidence,
            salt,
        })
    }

    /// The messages that belong to this request, of those that are there.
    #[must_use]
    pub fn table(&self, record: &Record, messages: impl IntoIterator<Item = Message>) -> Table {
        let messages = messages.into_iter().filter(|message| message.kind == Kind::Partial);
        Table::collect(&self.id(), self.generation, &record.members(), messages)
    }
}
