//! Sealing and opening a record's body.

use evenkeel_types::Canonical;

use crate::error::{Error, Result};
use crate::manifest::Body;
use crate::period::PeriodKey;
use crate::record::{RecordHeader, body_context};
use crate::seal::{
    Compressor, Decompressor, SALT_BYTES, SealingKey, Slot, TAG_BYTES, Use, ZSTD_LEVEL,
};

/// Largest inline body, opened.
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Seals a body under a fresh salt, bound to the header.
pub(crate) fn seal_body(
    header: &RecordHeader,
    body: &Body,
    key: &PeriodKey,
    salt: [u8; SALT_BYTES],
) -> Result<Vec<u8>> {
    let bytes = compressed(body)?;
    let key = SealingKey::derive(key, &salt, Use::Body);
    let mut sealed = salt.to_vec();
    sealed.extend(key.seal(Slot::Body, &body_context(header), bytes)?);
    Ok(sealed)
}

/// Length of what [`seal_body`] gives, whatever the header, salt and key.
pub(crate) fn sealed_body_bytes(body: &Body) -> Result<usize> {
    Ok(SALT_BYTES + compressed(body)?.len() + TAG_BYTES)
}

fn compressed(body: &Body) -> Result<Vec<u8>> {
    let plain = body.to_bytes();
    let mut bytes = u32::try_from(plain.len())
        .map_err(|_| Error::Invalid {
            what: "record body",
            detail: format!("{} bytes are too many", plain.len()),
        })?
        .to_le_bytes()
        .to_vec();
    bytes.extend(Compressor::new(ZSTD_LEVEL)?.compress(&plain)?);
    Ok(bytes)
}

/// Opens what [`seal_body`] sealed.
pub(crate) fn open_body(header: &RecordHeader, sealed: &[u8], key: &PeriodKey) -> Option<Body> {
    let (salt, sealed) = sealed.split_at_checked(SALT_BYTES)?;
    let key = SealingKey::derive(key, salt.try_into().ok()?, Use::Body);
    let bytes = key.open(Slot::Body, &body_context(header), sealed)?;
    let (length, frame) = bytes.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    if length > BODY_BYTES_MAX {
        return None;
    }
    let plain = Decompressor::new().ok()?.decompress(frame, length)?;
    Body::from_bytes(&plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample_header;
    use zeroize::Zeroizing;

    #[test]
    fn a_body_opens_only_with_its_header_and_key() {
        let key = Zeroizing::new([1; 32]);
        let header = sample_header();
        let body = Body::Payload { bytes: vec![7; 5000] };
        let sealed = seal_body(&header, &body, &key, [2; 32]).unwrap();
        assert_eq!(sealed_body_bytes(&body).unwrap(), sealed.len());
        assert_eq!(open_body(&header, &sealed, &key), Some(body));
        let mut other = sample_header();
        other.time_ns += 1;
        assert_eq!(open_body(&other, &sealed, &key), None);
        assert_eq!(open_body(&header, &sealed, &Zeroizing::new([2; 32])), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open_body(&header, &changed, &key), None, "byte {at}");
        }
        assert_eq!(open_body(&header, &sealed[..31], &key), None);
    }
}
