//! What every header of the journal has in common: a long magic, a version, its length, a CRC.
//!
//! The magic has 40 non-zero bytes on purpose: a true header can then never be taken for unused
//! space in which a few bytes went bad (see [`crate::sector::STRAY_BYTES_MAX`]). The CRC is the
//! last field whatever the version, so a newer version is told from damage.

use evenkeel_types::codec::{DecodeError, Reader};

/// Magic, version and length.
pub(crate) const PREFIX_BYTES: usize = 44;
const CRC_BYTES: usize = 4;
/// The only version so far.
pub(crate) const VERSION: u16 = 1;

pub(crate) type Magic = [u8; 40];

/// What a place holds that should hold a header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Contents<'a> {
    /// The fields of a header whose CRC is right.
    Fields(&'a [u8]),
    /// A right CRC, but a version of the future.
    UnknownVersion(u16),
    /// Anything else.
    Damaged,
}

/// Length of a sealed header in bytes.
pub(crate) const fn sealed_bytes(field_bytes: usize) -> usize {
    PREFIX_BYTES + field_bytes + CRC_BYTES
}

/// Wraps fields into a header.
pub(crate) fn seal(magic: &Magic, fields: &[u8]) -> Vec<u8> {
    let length = sealed_bytes(fields.len());
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(magic);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    // The longest header (meta) stays far below 64 KiB.
    bytes.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(fields);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Unwraps a header at the start of `bytes`.
pub(crate) fn open<'a>(magic: &Magic, bytes: &'a [u8]) -> Contents<'a> {
    read(magic, bytes).unwrap_or(Contents::Damaged)
}

fn read<'a>(magic: &Magic, bytes: &'a [u8]) -> Result<Contents<'a>, DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.fixed(magic.len())? != magic {
        return Ok(Contents::Damaged);
    }
    let version = u16::from_le_bytes(reader.array()?);
    let length = usize::from(u16::from_le_bytes(reader.array()?));
    let Some(field_bytes) = length.checked_sub(PREFIX_BYTES + CRC_BYTES) else {
        return Ok(Contents::Damaged);
    };
    let fields = reader.fixed(field_bytes)?;
    let crc = u32::from_le_bytes(reader.array()?);
    if crc != crc32c::crc32c(&bytes[..length - CRC_BYTES]) {
        return Ok(Contents::Damaged);
    }
    Ok(if version == VERSION {
        Contents::Fields(fields)
    } else {
        Contents::UnknownVersion(version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &Magic = b"evenkeel journal tests docs/formats.md\r\n";

    #[test]
    fn a_sealed_header_opens_and_every_flipped_bit_is_damage() {
        let bytes = seal(MAGIC, b"fields");
        assert_eq!(open(MAGIC, &bytes), Contents::Fields(b"fields"));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(MAGIC, &flipped), Contents::Damaged, "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = seal(MAGIC, b"fields of the future");
        bytes[40] = 2;
        let end = bytes.len() - 4;
        let crc = crc32c::crc32c(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(open(MAGIC, &bytes), Contents::UnknownVersion(2));
    }
}
