//! Outboards: whatever decodes leads to one hash; one that was made from an object to the object's.
#![no_main]

use evenkeel_vault::Outboard;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Outboard::decode(bytes);
    // Stretched, so that objects of several groups and branches are met.
    let object = bytes.repeat(1 + bytes.first().copied().map_or(0, usize::from));
    if let Some(outboard) = Outboard::make(&object) {
        let read = Outboard::decode(&outboard).expect("what was made reads back");
        assert_eq!(read.hash, *blake3::hash(&object).as_bytes());
        assert_eq!(read.length_bytes, object.len() as u64);
        let at = bytes.len() % outboard.len();
        let mut changed = outboard;
        changed[at] ^= 1;
        assert_ne!(Outboard::decode(&changed), Some(read));
    }
});
