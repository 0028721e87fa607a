//! Records: a public header, a sealed body, a signature; each linked to the one before.

use std::fmt;

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::certificate::{Certificate, SIGNATURE_BYTES, WriterKey, magic, text};
use crate::erasure::{PARITY_MAX, shard_bytes};
use crate::error::{Error, Result};
use crate::layout::{Layout, Lineage, hex};
use crate::outboard::groups_of;
use crate::pack::PACK_BYTES_MAX;

const MAGIC: &[u8; 4] = b"EVKR";
const VERSION: u8 = 1;
const NAME_BYTES_MAX: usize = 64;
/// Above this, a payload is coded into shards instead of copied to every site.
pub(crate) const REPLICATED_BYTES_MAX: usize = 64 * 1024;

/// A named 32-byte value; what it is the root of, the vault does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its name, at most 64 bytes.
    pub name: String,
    /// Its value.
    pub hash: [u8; 32],
}

impl Root {
    /// A named root.
    pub fn new(name: impl Into<String>, hash: [u8; 32]) -> Self {
        Self { name: name.into(), hash }
    }
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The bytes of positions `first..=last`.
    Tail {
        /// First position covered.
        first: u64,
        /// Last position covered.
        last: u64,
    },
    /// Nothing new; the writer lives.
    Heartbeat {
        /// The writer's last durable position, if it has any.
        position: Option<u64>,
    },
    /// A recovery point.
    Point {
        /// The position it brings back.
        position: u64,
        /// Whether it refers to no pack of any earlier record.
        self_contained: bool,
    },
}

evenkeel_types::canonical_enum!(Kind {
    0 => Tail { first, last },
    1 => Heartbeat { position },
    2 => Point { position, self_contained },
});

/// A key period and the hash of the object that holds its wrapped key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeriodRef {
    /// Its number, rising within a lineage.
    pub number: u64,
    /// BLAKE3 of the key object.
    pub hash: [u8; 32],
}

evenkeel_types::canonical_struct!(PeriodRef { number, hash });

/// A pack, as the sites hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// BLAKE3 of the pack, which is also its name.
    pub pack: [u8; 32],
    /// Length of the pack.
    pub length_bytes: u64,
    /// The period whose key seals it.
    pub period: u64,
    /// BLAKE3 of each of the k + [`PARITY_MAX`] shards, stored or not.
    pub shard_roots: Vec<[u8; 32]>,
}

impl ObjectRef {
    /// Bytes of each shard.
    #[must_use]
    pub fn shard_bytes(&self, k: usize) -> u64 {
        shard_bytes(usize::try_from(self.length_bytes).unwrap_or(usize::MAX / 2), k) as u64
    }
}

impl Canonical for ObjectRef {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(&self.pack);
        encoder.u64(self.length_bytes);
        encoder.u64(self.period);
        encoder.sequence(self.shard_roots.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (pack, length_bytes, period) = (reader.array()?, reader.u64()?, reader.u64()?);
        if length_bytes == 0 || length_bytes > PACK_BYTES_MAX as u64 {
            return Err(reader.not_canonical("a pack has 1 byte to 16 MiB"));
        }
        Ok(Self { pack, length_bytes, period, shard_roots: reader.sequence()? })
    }
}

impl Canonical for Root {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(self.name.as_bytes());
        encoder.fixed(&self.hash);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { name: text(reader, NAME_BYTES_MAX)?, hash: reader.array()? })
    }
}

/// The public part of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// The domain.
    pub domain: String,
    /// The lineage.
    pub lineage: Lineage,
    /// 1, 2, 3, …
    pub counter: u64,
    /// BLAKE3 of the record before, or of the certificate for the first.
    pub previous_hash: [u8; 32],
    /// When it was made, by the writer's clock: nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// What it is.
    pub kind: Kind,
    /// Last position covered by tails up to and including this record.
    pub tail_last: Option<u64>,
    /// Highest position of a point up to and including this record.
    pub point_position: Option<u64>,
    /// k and n when it was written.
    pub layout: Layout,
    /// Roots at this record, in the caller's order.
    pub roots: Vec<Root>,
    /// Periods whose keys this record needs; the first seals its body.
    pub periods: Vec<PeriodRef>,
    /// Every pack this record needs, whoever wrote it first.
    pub objects: Vec<ObjectRef>,
}

impl RecordHeader {
    fn check(&self) -> Result<(), &'static str> {
        let parts = self.layout.k() + PARITY_MAX;
        if self.counter == 0 {
            return Err("records count from 1");
        }
        if matches!(self.kind, Kind::Tail { first, last } if first > last) {
            return Err("a tail ends before it begins");
        }
        if self.objects.iter().any(|object| object.shard_roots.len() != parts) {
            return Err("a pack has k + 8 shard roots");
        }
        if self.periods.is_empty() || self.periods[1..].windows(2).any(|two| two[0] >= two[1]) {
            return Err("a record names its period, and further ones in order");
        }
        let known = |number| self.periods.iter().any(|period| period.number == number);
        if !self.objects.iter().all(|object| known(object.period)) {
            return Err("a pack's period is not among those named");
        }
        Ok(())
    }

    /// The point's id, if this is one.
    #[must_use]
    pub fn point_id(&self) -> Option<PointId> {
        matches!(self.kind, Kind::Point { .. })
            .then_some(PointId { lineage: self.lineage, counter: self.counter })
    }
}

impl Canonical for RecordHeader {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(self.domain.as_bytes());
        self.lineage.encode(encoder);
        encoder.u64(self.counter);
        encoder.fixed(&self.previous_hash);
        encoder.u64(self.time_ns);
        self.kind.encode(encoder);
        self.tail_last.encode(encoder);
        self.point_position.encode(encoder);
        encoder.u64(self.layout.k() as u64);
        encoder.u64(self.layout.n() as u64);
        encoder.sequence(self.roots.iter());
        encoder.sequence(self.periods.iter());
        encoder.sequence(self.objects.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = Self {
            domain: text(reader, 32)?,
            lineage: Lineage::decode(reader)?,
            counter: reader.u64()?,
            previous_hash: reader.array()?,
            time_ns: reader.u64()?,
            kind: Kind::decode(reader)?,
            tail_last: Option::decode(reader)?,
            point_position: Option::decode(reader)?,
            layout: decode_layout(reader)?,
            roots: reader.sequence()?,
            periods: reader.sequence()?,
            objects: reader.sequence()?,
        };
        header.check().map_err(|rule| reader.not_canonical(rule))?;
        Ok(header)
    }
}

fn decode_layout(reader: &mut Reader<'_>) -> Result<Layout, DecodeError> {
    let (k, n) = (reader.u64()?, reader.u64()?);
    let layout = usize::try_from(k).ok().zip(usize::try_from(n).ok());
    layout
        .filter(|(k, n)| *k <= 64 && *n <= 128)
        .and_then(|(k, n)| Layout::new(k, n).ok())
        .ok_or_else(|| reader.not_canonical("no possible layout"))
}

/// A record, decoded from its bytes (the signature may not have been checked yet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The public part.
    pub header: RecordHeader,
    /// The sealed part.
    pub body: Vec<u8>,
    /// BLAKE3 of the record's bytes: what the next one links to.
    pub hash: [u8; 32],
    /// Length of the record's bytes.
    pub length_bytes: u64,
    /// Chaining values of its parts of 8 KiB, none if it is a single one: what audits compare with.
    pub(crate) groups: Vec<[u8; 32]>,
}

impl Record {
    /// The bytes of a signed record.
    pub(crate) fn sign(header: &RecordHeader, body: &[u8], key: &WriterKey) -> Result<Vec<u8>> {
        header
            .check()
            .map_err(|rule| Error::Invalid { what: "record", detail: rule.to_owned() })?;
        let mut encoder = Encoder::new();
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        header.encode(&mut encoder);
        encoder.bytes(body);
        let signature = key.sign_record(encoder.as_bytes())?;
        encoder.fixed(&signature);
        Ok(encoder.into_bytes())
    }

    /// Decodes a record. Nothing is believed yet: check the signature with
    /// [`Record::signed_by`], or the hash against the one a believed record links to.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        magic(&mut reader, MAGIC, VERSION)?;
        let header = RecordHeader::decode(&mut reader)?;
        let body = reader.bytes(2 * REPLICATED_BYTES_MAX)?.to_vec();
        reader.fixed(SIGNATURE_BYTES)?;
        reader.finish()?;
        let hash = *blake3::hash(bytes).as_bytes();
        let groups = groups_of(bytes);
        Ok(Self { header, body, hash, length_bytes: bytes.len() as u64, groups })
    }

    /// Whether these bytes, which decode to a record, carry the certified writer's signature.
    pub(crate) fn signed_by(bytes: &[u8], certificate: &Certificate) -> bool {
        bytes
            .split_at_checked(bytes.len().wrapping_sub(SIGNATURE_BYTES))
            .is_some_and(|(unsigned, signature)| certificate.verify_record(unsigned, signature))
    }
}

/// Context that binds a body to its header.
pub(crate) fn body_context(header: &RecordHeader) -> Vec<u8> {
    header.to_bytes()
}

/// Names a recovery point: its lineage and the counter of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PointId {
    /// The lineage.
    pub lineage: Lineage,
    /// The counter of the point's record.
    pub counter: u64,
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", hex(&self.lineage.0[..4]), self.counter)
    }
}

/// A header for tests of other modules.
#[cfg(test)]
pub(crate) fn sample_header() -> RecordHeader {
    RecordHeader {
        domain: "state".to_owned(),
        lineage: Lineage([7; 16]),
        counter: 3,
        previous_hash: [1; 32],
        time_ns: 1_700_000_000_000_000_000,
        kind: Kind::Tail { first: 10, last: 19 },
        tail_last: Some(19),
        point_position: Some(4),
        layout: Layout::default(),
        roots: vec![Root::new("state", [2; 32])],
        periods: vec![PeriodRef { number: 2, hash: [3; 32] }],
        objects: vec![ObjectRef {
            pack: [4; 32],
            length_bytes: 1000,
            period: 2,
            shard_roots: vec![[5; 32]; 3 + PARITY_MAX],
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::RecoveryIdentity;
    use crate::random::OsRandom;
    use proptest::prelude::*;

    #[test]
    fn a_record_reads_back_and_every_changed_byte_breaks_its_signature() {
        let identity = RecoveryIdentity::generate("state", &mut OsRandom).unwrap();
        let key = WriterKey::from_bytes(&[6; 32]);
        let certificate = identity.certify(Lineage([7; 16]), None, key.public(), 0).unwrap();
        let header = sample_header();
        let bytes = Record::sign(&header, b"sealed", &key).unwrap();
        let record = Record::decode(&bytes).unwrap();
        assert_eq!((record.header, record.body), (header, b"sealed".to_vec()));
        assert!(Record::signed_by(&bytes, &certificate));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            let accepted =
                Record::decode(&changed).is_ok() && Record::signed_by(&changed, &certificate);
            assert!(!accepted, "byte {at}");
        }
        assert!(!Record::signed_by(b"short", &certificate));
    }

    #[test]
    fn headers_that_contradict_themselves_are_refused() {
        let key = WriterKey::from_bytes(&[6; 32]);
        let broken: [fn(&mut RecordHeader); 5] = [
            |header| header.counter = 0,
            |header| header.kind = Kind::Tail { first: 2, last: 1 },
            |header| header.objects[0].period = 9,
            |header| header.objects[0].shard_roots.truncate(5),
            |header| header.periods.clear(),
        ];
        for (at, break_it) in broken.iter().enumerate() {
            let mut header = sample_header();
            break_it(&mut header);
            assert!(Record::sign(&header, b"", &key).is_err(), "case {at}");
            assert!(RecordHeader::from_bytes(&header.to_bytes()).is_err(), "case {at}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let _ = Record::decode(&bytes);
            let _ = Certificate::from_bytes(&bytes);
            let mut framed = b"EVKR\x01".to_vec();
            framed.extend(&bytes);
            let _ = Record::decode(&framed);
        }

        #[test]
        fn a_damaged_header_never_panics_and_never_reads_as_the_same(
            at in 0_usize..400, value in any::<u8>(),
        ) {
            let header = sample_header();
            let mut bytes = header.to_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != value);
            bytes[at] = value;
            prop_assert_ne!(RecordHeader::from_bytes(&bytes), Ok(header));
        }
    }
}
