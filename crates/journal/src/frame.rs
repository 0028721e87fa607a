//! A frame: one batch of entries, one `pwrite`, one `fdatasync`. Drawn in
//! `docs/formats/journal.md`.

use crate::envelope::{self, Contents, Magic};
use crate::error::{Problem, ProblemKind};
use crate::sector::{self, SECTOR_BYTES};
use crate::{Chain, Identity, Position};
use evenkeel_types::codec::{DecodeError, Reader, Writer};

const MAGIC: &Magic = b"evenkeel journal frame docs/formats.md\r\n";
const FIELD_BYTES: usize = 112;
/// Length of a frame header in bytes.
pub(crate) const HEADER_BYTES: usize = envelope::sealed_bytes(FIELD_BYTES);
/// Largest frame on disk, in bytes. Bounds what a reader allocates.
pub const FRAME_BYTES_MAX: u64 = 4 << 20;

const FLAG_SEAL: u32 = 1;

/// The header of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// An empty frame that only carries the watermark; it is no part of the history.
    pub(crate) seal: bool,
    pub(crate) count: u32,
    pub(crate) body_bytes: u32,
    pub(crate) term: u64,
    pub(crate) first: Position,
    pub(crate) own_offset: u64,
    /// Next position known to be durable when the frame was written.
    pub(crate) watermark: Position,
    pub(crate) identity: Identity,
    pub(crate) previous_chain: Chain,
    pub(crate) body_crc: u32,
}

impl FrameHeader {
    fn to_bytes(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(FIELD_BYTES);
        let flags = if self.seal { FLAG_SEAL } else { 0 };
        fields.extend_from_slice(&flags.to_le_bytes());
        fields.extend_from_slice(&self.count.to_le_bytes());
        fields.extend_from_slice(&self.body_bytes.to_le_bytes());
        for value in [self.term, self.first, self.own_offset, self.watermark] {
            fields.extend_from_slice(&value.to_le_bytes());
        }
        fields.extend_from_slice(&self.identity.cluster_id);
        fields.extend_from_slice(&self.identity.lineage);
        fields.extend_from_slice(&self.previous_chain);
        fields.extend_from_slice(&self.body_crc.to_le_bytes());
        envelope::seal(MAGIC, &fields)
    }

    fn from_fields(fields: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(fields);
        let flags = u32::from_le_bytes(reader.array()?);
        if flags & !FLAG_SEAL != 0 {
            return Err(reader.not_canonical("unknown flag"));
        }
        let header = Self {
            seal: flags & FLAG_SEAL != 0,
            count: u32::from_le_bytes(reader.array()?),
            body_bytes: u32::from_le_bytes(reader.array()?),
            term: u64::from_le_bytes(reader.array()?),
            first: u64::from_le_bytes(reader.array()?),
            own_offset: u64::from_le_bytes(reader.array()?),
            watermark: u64::from_le_bytes(reader.array()?),
            identity: Identity { cluster_id: reader.array()?, lineage: reader.array()? },
            previous_chain: reader.array()?,
            body_crc: u32::from_le_bytes(reader.array()?),
        };
        reader.finish()?;
        if header.seal != (header.count == 0) || header.count > header.body_bytes {
            return Err(reader.not_canonical("count"));
        }
        Ok(header)
    }

    /// Bytes that the frame takes on disk.
    pub(crate) fn physical_bytes(&self) -> u64 {
        sector::physical_bytes(HEADER_BYTES as u64 + u64::from(self.body_bytes))
    }

    /// First position behind the frame.
    pub(crate) fn next(&self) -> Position {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// What the first sector of a place holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Nothing, or no more than stray damage: no frame begins here.
    Unused,
    /// A header whose CRC is right; its fields are not yet compared with the place.
    Header(FrameHeader),
    /// A right CRC with a version or fields that this program does not know.
    UnknownVersion(u16),
    /// Bytes that are no header.
    Damaged,
}

/// Looks at a sector where a frame could begin.
pub(crate) fn probe(sector: &[u8]) -> Probe {
    if sector::nonzero_count(sector) <= sector::STRAY_BYTES_MAX {
        return Probe::Unused;
    }
    match envelope::open(MAGIC, sector) {
        Contents::Fields(fields) => match FrameHeader::from_fields(fields) {
            Ok(header) => Probe::Header(header),
            Err(_) => Probe::Damaged,
        },
        Contents::UnknownVersion(version) => Probe::UnknownVersion(version),
        Contents::Damaged => Probe::Damaged,
    }
}

/// Encodes entries as a frame's body.
pub(crate) fn encode_body(entries: &[&[u8]], body: &mut Writer) {
    body.clear();
    for entry in entries {
        body.bytes(entry);
    }
}

/// Completes the header for this body and lays both into sectors.
pub(crate) fn encode(header: &mut FrameHeader, body: &[u8], physical: &mut Vec<u8>) {
    header.body_crc = crc32c::crc32c(body);
    sector::stuff(&header.to_bytes(), body, header.own_offset, header.term, physical);
}

/// The chain behind a frame: BLAKE3 over the chain before it, term, positions and body. It leaves
/// out where the frame lies and what was durable then, so one history has one chain in every log.
pub(crate) fn chain_after(header: &FrameHeader, body: &[u8]) -> Chain {
    if header.seal {
        return header.previous_chain;
    }
    let mut hasher = blake3::Hasher::new_derive_key("evenkeel journal chain v1");
    hasher.update(&header.previous_chain);
    hasher.update(&header.term.to_le_bytes());
    hasher.update(&header.first.to_le_bytes());
    hasher.update(&header.count.to_le_bytes());
    hasher.update(&header.body_bytes.to_le_bytes());
    hasher.update(body);
    hasher.finalize().into()
}

/// The chain behind a batch: what a log with this chain before it would have after appending the
/// entries at `first` in this term. `None` if they are more than a frame can count.
#[must_use]
pub fn chain_behind(
    previous_chain: &Chain,
    term: u64,
    first: Position,
    entries: &[&[u8]],
) -> Option<Chain> {
    let mut body = Writer::new();
    encode_body(entries, &mut body);
    let header = FrameHeader {
        seal: false,
        count: u32::try_from(entries.len()).ok()?,
        body_bytes: u32::try_from(body.as_bytes().len()).ok()?,
        term,
        first,
        own_offset: 0,
        watermark: 0,
        identity: Identity { cluster_id: [0; 16], lineage: [0; 16] },
        previous_chain: *previous_chain,
        body_crc: 0,
    };
    Some(chain_after(&header, body.as_bytes()))
}

/// A frame that is intact and in its place.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    pub(crate) body: Vec<u8>,
    pub(crate) chain: Chain,
    /// Offset of the sector whose padding has gone bad, if any; the entries are proven by the CRC.
    pub(crate) padding_damaged_at: Option<u64>,
}

impl Frame {
    /// The entries; the body was checked when the frame was decoded.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let mut reader = Reader::new(&self.body);
        (0..self.header.count).map_while(move |_| reader.bytes(usize::MAX).ok())
    }

    /// Harmless damage beside the entries, if any.
    pub(crate) fn stray(&self, file: &str) -> Option<Problem> {
        self.padding_damaged_at.map(|offset| Problem {
            file: file.to_owned(),
            offset,
            positions: self.header.first..self.header.first,
            kind: ProblemKind::StrayDamage,
            detail: "the padding of a frame is not zero; its entries are intact".to_owned(),
            harmless: true,
        })
    }
}

/// Why a frame's bytes do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFault {
    BadTag { at: u64 },
    BadCrc,
    NotEntries,
}

/// Checks and takes apart the sectors of a frame whose header was read before.
pub(crate) fn decode(
    header: FrameHeader,
    physical: &[u8],
    offset: u64,
) -> Result<Frame, BodyFault> {
    let mut body = Vec::new();
    // Bounded by the caller, who got `physical` from the header's own length.
    let body_bytes = usize::try_from(header.body_bytes).map_err(|_| BodyFault::BadCrc)?;
    let found = sector::unstuff(physical, HEADER_BYTES, body_bytes, offset, header.term, &mut body);
    if crc32c::crc32c(&body) != header.body_crc {
        return Err(BodyFault::BadCrc);
    }
    if let Some(at) = found.bad_tag_at {
        return Err(BodyFault::BadTag { at });
    }
    let mut reader = Reader::new(&body);
    for _ in 0..header.count {
        reader.bytes(body.len()).map_err(|_| BodyFault::NotEntries)?;
    }
    reader.finish().map_err(|_| BodyFault::NotEntries)?;
    let chain = chain_after(&header, &body);
    let last_sector = offset + (physical.len() - SECTOR_BYTES) as u64;
    let padding_damaged_at = found.padding_damaged.then_some(last_sector);
    Ok(Frame { header, body, chain, padding_damaged_at })
}
