//! How records lie in a segment file.
//!
//! ```text
//!  segment = header (136 bytes) records
//!  header  = magic[40] version u16 zero u16 spool[16] segment u64 first_record u64 chain[32]
//!            blake3(all before)[..28]
//!  record  = magic "EKsp" length u32 record u64 body[length] chain[32]
//!  chain   = blake3(chain before ‖ magic length record body), integers little-endian
//! ```
//!
//! A segment names the record it begins with and the chain before it. What an earlier segment
//! holds from that record on was never finished, and does not count.

use evenkeel_types::Canonical as _;

use crate::spool::record::{BATCH_BYTES_MAX, Body};

/// Length of a segment's header in bytes.
pub const SEGMENT_HEADER_BYTES: usize = 136;
const MAGIC: &[u8; 40] = b"evenkeel spool, docs/formats/capture.md\n";
const VERSION: u16 = 1;
const SUM_BYTES: usize = 28;
const RECORD_MAGIC: &[u8; 4] = b"EKsp";
const RECORD_HEAD_BYTES: usize = 16;
const CHAIN_BYTES: usize = 32;
/// Largest body of a record in bytes: incompressible pages, and room for the items.
pub const BODY_BYTES_MAX: usize = BATCH_BYTES_MAX + (BATCH_BYTES_MAX >> 3);

/// Hash of everything up to a record.
pub type Chain = [u8; 32];

/// The beginning of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Names the spool.
    pub spool: [u8; 16],
    /// Number of the segment, from 0.
    pub segment: u64,
    /// Number of its first record.
    pub first_record: u64,
    /// Chain before that record.
    pub chain: Chain,
}

impl SegmentHeader {
    /// The bytes of the header.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&self.spool);
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.first_record.to_le_bytes());
        bytes.extend_from_slice(&self.chain);
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(&sum.as_bytes()[..SUM_BYTES]);
        bytes
    }

    /// Reads a header at the start of `bytes`; none if it is not one, or damaged, or of another
    /// version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..SEGMENT_HEADER_BYTES)?;
        let (fields, sum) = bytes.split_at(SEGMENT_HEADER_BYTES - SUM_BYTES);
        if blake3::hash(fields).as_bytes()[..SUM_BYTES] != *sum {
            return None;
        }
        let (magic, fields) = fields.split_first_chunk::<40>()?;
        let (version, fields) = fields.split_first_chunk::<2>()?;
        let (zero, fields) = fields.split_first_chunk::<2>()?;
        if magic != MAGIC || u16::from_le_bytes(*version) != VERSION || *zero != [0, 0] {
            return None;
        }
        let (spool, fields) = fields.split_first_chunk()?;
        let (segment, fields) = fields.split_first_chunk()?;
        let (first_record, fields) = fields.split_first_chunk()?;
        let (segment, first_record) =
            (u64::from_le_bytes(*segment), u64::from_le_bytes(*first_record));
        let chain = fields.try_into().ok()?;
        Some(Self { spool: *spool, segment, first_record, chain })
    }
}

/// A record whose chain is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// What it says.
    pub body: Body,
    /// Chain behind it.
    pub chain: Chain,
    /// Its length in the file.
    pub length_bytes: usize,
}

/// The bytes of a record, and the chain behind it.
///
/// Bodies stay far below 4 GiB, see [`BODY_BYTES_MAX`].
#[must_use]
pub fn encode(before: &Chain, record: u64, body: &Body) -> (Vec<u8>, Chain) {
    let body = body.to_bytes();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(RECORD_HEAD_BYTES + body.len() + CHAIN_BYTES);
    bytes.extend_from_slice(RECORD_MAGIC);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&record.to_le_bytes());
    bytes.extend_from_slice(&body);
    let chain = chain_behind(before, &bytes);
    bytes.extend_from_slice(&chain);
    (bytes, chain)
}

/// Reads the record at the start of `bytes`; none unless it is record number `record`, wholly
/// there, canonical, and continues `before`.
#[must_use]
pub fn decode(before: &Chain, record: u64, bytes: &[u8]) -> Option<Decoded> {
    let (head_bytes, length, length_bytes) = record_length(record, bytes)?;
    let (body, rest) = bytes[head_bytes..].split_at_checked(length)?;
    let chain = chain_behind(before, &bytes[..head_bytes + length]);
    if rest.first_chunk() != Some(&chain) {
        return None;
    }
    let body = Body::from_bytes(body).ok()?;
    Some(Decoded { body, chain, length_bytes })
}

/// Lengths of what stands before the body of record number `record` at the start of `bytes`, of
/// its body, and of all of it; none if no such record begins there.
pub(super) fn record_length(record: u64, bytes: &[u8]) -> Option<(usize, usize, usize)> {
    let (magic, fields) = bytes.get(..RECORD_HEAD_BYTES)?.split_first_chunk::<4>()?;
    let (length, number) = fields.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let number = u64::from_le_bytes(number.try_into().ok()?);
    let is_one = magic == RECORD_MAGIC && number == record && length <= BODY_BYTES_MAX;
    is_one.then_some((RECORD_HEAD_BYTES, length, RECORD_HEAD_BYTES + length + CHAIN_BYTES))
}

fn chain_behind(before: &Chain, bytes: &[u8]) -> Chain {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(bytes);
    *hasher.finalize().as_bytes()
}
