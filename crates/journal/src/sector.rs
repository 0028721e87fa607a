//! 512-byte sectors: the unit that a disk writes whole or not at all.
//!
//! A frame lays its bytes into the first 511 of each sector; the last byte is a tag with at least
//! three bits set. So no sector of a frame is ever all zero, not even after one flipped bit, and a
//! sector that *is* all zero inside a preallocated, zero-filled segment was never written.

use crate::disk::{DiskFile, read_full};
use std::io;

/// Size of a sector in bytes.
pub(crate) const SECTOR_BYTES: usize = 512;
/// Bytes of a sector that carry a frame's bytes.
pub(crate) const PAYLOAD_BYTES: usize = SECTOR_BYTES - 1;
/// A sector outside every frame with at most this many non-zero bytes is stray damage: a frame's
/// first sector has at least 40.
pub(crate) const STRAY_BYTES_MAX: usize = 8;

const TAG_MARK: u8 = 0xE0;
const TAG_BITS: u8 = 0x1F;

/// Size of a sector as a file offset.
pub(crate) const SECTOR: u64 = SECTOR_BYTES as u64;

/// The last byte of a frame's sector at this offset of its file.
pub(crate) fn tag(offset: u64, term: u64) -> u8 {
    let low = (offset / SECTOR) ^ term;
    TAG_MARK | (low.to_le_bytes()[0] & TAG_BITS)
}

/// The term's low bits, if a sector's last byte can be a tag at this offset.
pub(crate) fn tag_term(tag_byte: u8, offset: u64) -> Option<u8> {
    let low = (offset / SECTOR).to_le_bytes()[0];
    (tag_byte & TAG_MARK == TAG_MARK).then_some((tag_byte ^ low) & TAG_BITS)
}

/// Bytes on disk taken by `logical_bytes` of a frame.
pub(crate) fn physical_bytes(logical_bytes: u64) -> u64 {
    logical_bytes.div_ceil(PAYLOAD_BYTES as u64) * SECTOR
}

/// Lays header and body into sectors. `header` must be shorter than a sector's payload.
pub(crate) fn stuff(header: &[u8], body: &[u8], offset: u64, term: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(header);
    let (head, rest) = body.split_at(body.len().min(PAYLOAD_BYTES - header.len()));
    out.extend_from_slice(head);
    close_sector(out, offset, term);
    for chunk in rest.chunks(PAYLOAD_BYTES) {
        out.extend_from_slice(chunk);
        close_sector(out, offset, term);
    }
}

fn close_sector(out: &mut Vec<u8>, offset: u64, term: u64) {
    // Never at a sector's start: every call follows at least one byte of payload.
    out.resize(out.len().next_multiple_of(SECTOR_BYTES) - 1, 0);
    let start = (out.len() + 1 - SECTOR_BYTES) as u64;
    out.push(tag(offset + start, term));
}

/// What [`unstuff`] found beside the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Unstuffed {
    /// Offset in the file of the first sector with a wrong tag.
    pub(crate) bad_tag_at: Option<u64>,
    /// The padding of the last sector is not zero.
    pub(crate) padding_damaged: bool,
}

/// Takes the body out of a frame's sectors: everything behind `header_bytes`, `body_bytes` long.
pub(crate) fn unstuff(
    physical: &[u8],
    header_bytes: usize,
    body_bytes: usize,
    offset: u64,
    term: u64,
    body: &mut Vec<u8>,
) -> Unstuffed {
    let mut found = Unstuffed::default();
    body.clear();
    body.reserve(body_bytes);
    for (index, sector) in physical.chunks_exact(SECTOR_BYTES).enumerate() {
        let at = offset + (index * SECTOR_BYTES) as u64;
        if sector[PAYLOAD_BYTES] != tag(at, term) {
            found.bad_tag_at.get_or_insert(at);
        }
        let payload = &sector[if index == 0 { header_bytes } else { 0 }..PAYLOAD_BYTES];
        let (wanted, padding) = payload.split_at(payload.len().min(body_bytes - body.len()));
        body.extend_from_slice(wanted);
        found.padding_damaged |= !is_zero(padding);
    }
    found
}

/// Whether every byte is zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // In words, as this runs over whole segments at every start.
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// Number of non-zero bytes.
pub(crate) fn nonzero_count(sector: &[u8]) -> usize {
    sector.iter().filter(|byte| **byte != 0).count()
}

/// Calls `visit(offset, sector)` for every sector of the range that is not all zero. A last part
/// shorter than a sector, at the end of a file, is padded with zeros.
pub(crate) fn for_each_nonzero(
    file: &dyn DiskFile,
    from: u64,
    to: u64,
    mut visit: impl FnMut(u64, &[u8; SECTOR_BYTES]),
) -> io::Result<()> {
    const CHUNK_BYTES: u64 = 1 << 20;
    let mut buffer =
        vec![0; usize::try_from(CHUNK_BYTES.min(to.saturating_sub(from))).unwrap_or(0)];
    let mut at = from;
    while at < to {
        let want = usize::try_from(CHUNK_BYTES.min(to - at)).unwrap_or(buffer.len());
        let chunk = &mut buffer[..want];
        let got = read_full(file, chunk, at)?;
        chunk[got..].fill(0);
        if !is_zero(chunk) {
            for (index, part) in chunk.chunks(SECTOR_BYTES).enumerate() {
                if !is_zero(part) {
                    let mut sector = [0; SECTOR_BYTES];
                    sector[..part.len()].copy_from_slice(part);
                    visit(at + (index * SECTOR_BYTES) as u64, &sector);
                }
            }
        }
        at += want as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_and_unstuffing_agree_at_every_length() {
        let header = [7u8; 160];
        for length in (0..2_000).chain([511 * 4 - 160, 511 * 4 - 159]) {
            let body: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let (mut physical, mut back) = (Vec::new(), Vec::new());
            stuff(&header, &body, 1024, 9, &mut physical);
            assert_eq!(physical.len() as u64, physical_bytes(160 + length as u64));
            let found = unstuff(&physical, 160, length, 1024, 9, &mut back);
            assert_eq!(found, Unstuffed::default());
            assert_eq!(back, body);
        }
    }

    #[test]
    fn no_sector_is_all_zero_even_after_two_flipped_bits() {
        for sector_index in 0..64u64 {
            for term in 0..64 {
                let tag = tag(sector_index * SECTOR, term);
                assert!(tag.count_ones() >= 3, "tag {tag:#x}");
                assert_eq!(
                    tag_term(tag, sector_index * SECTOR),
                    Some(term.to_le_bytes()[0] & TAG_BITS)
                );
            }
        }
    }
}
