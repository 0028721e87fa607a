//! Records of a spool: strict decoding of their bodies, and frames that only the writer can make.
#![no_main]

use evenkeel_capture::spool::{Body, SegmentHeader, decode_record, encode_record};
use evenkeel_types::Canonical as _;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(header) = SegmentHeader::decode(bytes) {
        assert_eq!(header.to_bytes(), bytes[..evenkeel_capture::spool::SEGMENT_HEADER_BYTES]);
    }
    if let Some(decoded) = decode_record(&[0; 32], 0, bytes) {
        let (whole, chain) = encode_record(&[0; 32], 0, &decoded.body);
        assert_eq!((&whole[..], chain), (&bytes[..decoded.length_bytes], decoded.chain));
    }
    let Ok(body) = Body::from_bytes(bytes) else { return };
    // One value, one byte form: whatever decodes must encode to exactly what it came from.
    assert_eq!(body.to_bytes(), bytes);
    let (framed, _) = encode_record(&[1; 32], 9, &body);
    let decoded = decode_record(&[1; 32], 9, &framed).expect("what was just framed");
    assert_eq!((&decoded.body, decoded.length_bytes), (&body, framed.len()));
    if let Body::Batch(batch) = body
        && let Ok(raw) = batch.decompress()
    {
        assert_eq!(raw.len() as u64, batch.raw_bytes);
    }
});
