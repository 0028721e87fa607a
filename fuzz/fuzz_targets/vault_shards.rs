//! Erasure decoding: shards of any number, length and index are refused or decoded, and shards that
//! were made here decode to what they were made of, whichever k of them are left.
#![no_main]

use evenkeel_vault::{decode_shards, encode_shards};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [k, pick, length, body @ ..] = bytes else {
        return;
    };
    let k = usize::from(*k % 12);
    // As they come: pieces of one length, under indices that may repeat or be out of range.
    let piece = usize::from(*length).max(1);
    let pieces: Vec<(usize, &[u8])> = body
        .chunks(piece)
        .enumerate()
        .map(|(at, shard)| (at ^ usize::from(*pick), shard))
        .collect();
    let _ = decode_shards(&pieces, k, body.len());
    // As they should be.
    let Ok(shards) = encode_shards(body, k) else {
        return;
    };
    let first = usize::from(*pick) % shards.len();
    let left: Vec<(usize, &[u8])> = (0..k)
        .map(|step| (first + step) % shards.len())
        .map(|at| (at, shards[at].as_slice()))
        .collect();
    let decoded = decode_shards(&left, k, body.len()).expect("k good shards are enough");
    assert!(decoded == body, "decoded to something else");
});
