//! Ways for the fuzzers in to what is only read after a seal was opened: whoever holds a period's
//! key, or made an older version of this program, can have sealed anything.

use evenkeel_types::Canonical as _;
use zeroize::Zeroizing;

use crate::layout::Lineage;
use crate::manifest::{Body, decode_sources, encode_sources};
use crate::pack::{PackReader, sealed_around};
use crate::period::PeriodKey;
use crate::seal::Decompressor;

const LINEAGE: Lineage = Lineage([1; 16]);

/// Reads bytes as a pack, and a pack of which they are the index; then every chunk that it names.
pub fn read_pack(bytes: &[u8]) {
    let key: PeriodKey = Zeroizing::new([2; 32]);
    let sealed = sealed_around(LINEAGE, bytes, &key);
    let framed = sealed.as_ref().map_or(&[][..], |pack| pack.as_slice());
    for pack in [bytes, framed] {
        let Some(reader) = PackReader::new(pack) else { continue };
        let opener = reader.key(&key);
        let (Some(entries), Ok(mut decompressor)) = (reader.index(&opener), Decompressor::new())
        else {
            continue;
        };
        for entry in &entries {
            let chunk = reader.chunk(&opener, entry, &mut decompressor);
            assert!(chunk.is_none(), "a chunk that nobody sealed");
        }
    }
}

/// Reads bytes as a record's body, and as a list of sources: one value, one byte form.
pub fn read_body(bytes: &[u8]) {
    if let Ok(body) = Body::from_bytes(bytes) {
        assert!(body.to_bytes() == bytes, "a body with two forms");
    }
    if let Ok(sources) = decode_sources(bytes) {
        assert!(encode_sources(&sources) == bytes, "a list with two forms");
    }
}
