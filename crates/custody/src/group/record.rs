//! What everybody may know of a group's key, and the one share that nobody else may.

use std::collections::BTreeMap;
use std::fmt;

use frost_core::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::fault::Refusal;
use super::plan::Holder;
use super::recipient::{self, Recipient};
use super::suite::{
    Curve, Ed25519, SCALAR_BYTES, Secp256k1, SecretScalar, Suite, generator, point, scalar,
};
use super::wire::{Armor, Malformed, Reader, Writer};

const RECORD: &[u8] = b"evenkeel group record 1";
const SEALED: &[u8] = b"evenkeel group record in force 1";
const SHARE: &[u8] = b"evenkeel group share 1";
pub(super) const TEST: &[u8] = b"evenkeel group test signature 1";

/// One generation of a group's key: public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the signatures are good for.
    pub curve: Curve,
    /// From 1; each ceremony makes the next.
    pub generation: u32,
    /// How many holders are needed to sign.
    pub threshold: u16,
    /// The group's public key: 32 bytes for Ed25519 and a recipient (RFC 8032), 33 (SEC 1,
    /// compressed) for secp256k1.
    pub group_key: Vec<u8>,
    /// Who holds shares.
    pub holders: Vec<Holder>,
    /// The public half of each share, by number.
    pub verifying_shares: BTreeMap<u16, Vec<u8>>,
    /// The highest number that any holder ever had.
    pub numbers_given: u16,
    /// The plan it was made by.
    pub plan: [u8; 32],
    /// The hash of the openings that all agreed on.
    pub transcript: [u8; 32],
    /// The record of the generation before.
    pub previous: Option<[u8; 32]>,
}

impl Record {
    /// The public half of a holder's share.
    #[must_use]
    pub fn verifying_share(&self, number: u16) -> Option<&[u8]> {
        self.verifying_shares.get(&number).map(Vec::as_slice)
    }

    /// Keys of the holders' messages.
    #[must_use]
    pub fn members(&self) -> BTreeMap<u16, [u8; 32]> {
        self.holders.iter().map(|holder| (holder.number, holder.key)).collect()
    }

    /// SHA-256 of its bytes: what every message of a signing is bound to.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// What a quorum of the new shares signs before the record is in force.
    #[must_use]
    pub fn test_message(&self) -> Vec<u8> {
        [TEST, &self.hash()].concat()
    }

    /// Whether a signature is by the group over a message.
    ///
    /// # Errors
    /// [`Refusal::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let holds = match self.curve {
            Curve::Ed25519 => verify::<Ed25519>(&self.group_key, message, signature),
            Curve::Secp256k1 => verify::<Secp256k1>(&self.group_key, message, signature),
            Curve::Recipient => verify::<Recipient>(&self.group_key, message, signature),
        };
        if holds { Ok(()) } else { Err(Refusal::Signature) }
    }

    /// The `age1…` to encrypt to, if the key is a recipient's.
    #[must_use]
    pub fn recipient(&self) -> Option<String> {
        match self.curve {
            Curve::Recipient => recipient::text(&self.group_key),
            Curve::Ed25519 | Curve::Secp256k1 => None,
        }
    }

    fn point_bytes(curve: Curve) -> usize {
        match curve {
            Curve::Ed25519 => Ed25519::POINT_BYTES,
            Curve::Secp256k1 => Secp256k1::POINT_BYTES,
            Curve::Recipient => Recipient::POINT_BYTES,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::of(RECORD);
        writer.u8(self.curve.code()).u32(self.generation).u16(self.threshold);
        writer.fixed(&self.group_key).count(self.holders.len());
        for holder in &self.holders {
            holder.write(&mut writer);
            writer.fixed(self.verifying_share(holder.number).unwrap_or_default());
        }
        writer.u16(self.numbers_given).fixed(&self.plan).fixed(&self.transcript);
        match &self.previous {
            Some(hash) => writer.u8(1).fixed(hash),
            None => writer.u8(0),
        };
        writer.done()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.take(RECORD.len())?;
        let curve = Curve::of_code(reader.u8()?).ok_or_else(|| reader.fail())?;
        let point_bytes = Self::point_bytes(curve);
        let (generation, threshold) = (reader.u32()?, reader.u16()?);
        let group_key = reader.take(point_bytes)?.to_vec();
        let mut holders = Vec::new();
        let mut verifying_shares = BTreeMap::new();
        for _ in 0..reader.count()? {
            let holder = Holder::read(reader)?;
            verifying_shares.insert(holder.number, reader.take(point_bytes)?.to_vec());
            holders.push(holder);
        }
        let (numbers_given, plan, transcript) = (reader.u16()?, reader.array()?, reader.array()?);
        let previous = match reader.u8()? {
            0 => None,
            1 => Some(reader.array()?),
            _ => return Err(reader.fail()),
        };
        let alike = verifying_shares.len() != holders.len();
        if alike || threshold < 2 || usize::from(threshold) > holders.len() {
            return Err(reader.fail());
        }
        Ok(Self {
            curve,
            generation,
            threshold,
            group_key,
            holders,
            verifying_shares,
            numbers_given,
            plan,
            transcript,
            previous,
        })
    }
}

fn verify<C: Suite>(group_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::<C>::deserialize(group_key);
    let signature = Signature::<C>::deserialize(signature);
    matches!((key, signature), (Ok(key), Ok(it)) if key.verify(message, &it).is_ok())
}

/// A record with the signature that a quorum of its own shares made: it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    record: Record,
    signature: Vec<u8>,
}

impl Sealed {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-RECORD-1");

    /// Puts a record in force by its test signature.
    ///
    /// # Errors
    /// [`Refusal::NotInForce`].
    pub fn new(record: Record, signature: Vec<u8>) -> Result<Self, Refusal> {
        record.verify(&record.test_message(), &signature).map_err(|_| Refusal::NotInForce)?;
        Ok(Self { record, signature })
    }

    /// The record.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::of(SEALED);
        writer.bytes(&self.record.to_bytes()).bytes(&self.signature).done()
    }

    /// From bytes; the signature is checked.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] and [`Refusal::NotInForce`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        const WHAT: &str = "the group's record";
        let mut reader = Reader::of(bytes, SEALED, WHAT)?;
        let (record, signature) = (reader.bytes()?, reader.bytes()?.to_vec());
        reader.end()?;
        let mut reader = Reader::of(record, b"", WHAT)?;
        let parsed = Record::read(&mut reader)?;
        reader.end()?;
        // One record has one form, or its hash would not name it.
        if parsed.to_bytes() != record {
            return Err(Malformed(WHAT).into());
        }
        Self::new(parsed, signature)
    }
}

/// One holder's share of one generation: secret.
#[derive(Clone)]
pub struct KeyShare {
    pub(super) curve: Curve,
    pub(super) record: [u8; 32],
    /// Which generation it belongs to.
    pub generation: u32,
    /// Whose it is.
    pub number: u16,
    /// Boxed: a move of the share leaves no copy behind.
    pub(super) secret: Box<SecretScalar>,
}

impl KeyShare {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-SHARE-1");

    /// Its bytes, to be kept.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::of(SHARE);
        writer.u8(self.curve.code()).fixed(&self.record).u32(self.generation).u16(self.number);
        Zeroizing::new(writer.fixed(self.secret.as_slice()).done())
    }

    /// From the bytes that were kept.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::of(bytes, SHARE, "the share")?;
        let curve = Curve::of_code(reader.u8()?).ok_or_else(|| reader.fail())?;
        let (record, generation, number) = (reader.array()?, reader.u32()?, reader.u16()?);
        let secret = Box::new(Zeroizing::new(reader.array::<SCALAR_BYTES>()?));
        reader.end()?;
        Ok(Self { curve, record, generation, number, secret })
    }

    /// Whether it is a good share of this record: the holder's drill, alone and with nothing sent.
    ///
    /// # Errors
    /// [`Refusal::Other`].
    pub fn check(&self, record: &Record) -> Result<(), Refusal> {
        let holds = self.record == record.hash()
            && match record.curve {
                Curve::Ed25519 => self.matches::<Ed25519>(record),
                Curve::Secp256k1 => self.matches::<Secp256k1>(record),
                Curve::Recipient => self.matches::<Recipient>(record),
            };
        if holds { Ok(()) } else { Err(Refusal::Other("share")) }
    }

    fn matches<C: Suite>(&self, record: &Record) -> bool {
        let known = record.verifying_share(self.number).and_then(point::<C>);
        let own = scalar::<C>(self.secret.as_slice()).map(|share| generator::<C>() * share);
        known.is_some() && known == own
    }
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyShare(holder {}, generation {})", self.number, self.generation)
    }
}
