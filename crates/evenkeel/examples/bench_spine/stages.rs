//! What each stage of the vault does alone on one thread, and the limit that follows.

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use evenkeel_vault::{decode_shards, encode_shards};

use crate::Outcome;
use crate::figures::{core_time, median};

const CHUNK: usize = 64 * 1024;
/// The code works in stripes of 32 KiB a shard; larger pieces would measure the allocator.
const STRIPES: usize = 3 * 32 * 1024;
const ROUNDS: usize = 3;

/// MB/s of its own input, for each stage.
struct Rates {
    fastcdc: f64,
    blake3: f64,
    zstd: f64,
    unzstd: f64,
    seal: f64,
    open: f64,
    encode: f64,
    decode: f64,
}

/// Prints the stages; returns MB/s of plaintext that `cores` could do at best.
pub(crate) fn limit(data: &[u8], cores: f64) -> Outcome<f64> {
    let mut packed = Vec::new();
    let mut compressor = zstd::bulk::Compressor::new(1)?;
    for chunk in data.chunks(CHUNK) {
        packed.push(compressor.compress(chunk)?);
    }
    let packed_bytes = packed.iter().map(Vec::len).sum::<usize>();
    let ratio = packed_bytes as f64 / data.len() as f64;
    let rates = measure(data, &mut packed, packed_bytes)?;
    let Rates { fastcdc, blake3, zstd, unzstd, seal, open, encode, decode } = rates;
    println!("stages, MB/s of their own input on one thread, 64 KiB chunks:");
    println!("  fastcdc {fastcdc:.0}, blake3 {blake3:.0}, zstd-1 {zstd:.0} (to {ratio:.2}), ");
    println!("  unzstd {unzstd:.0}, AES-256-GCM seal {seal:.0}, open {open:.0},");
    println!("  RS 3+8 encode {encode:.0}, RS decode without two data shards {decode:.0}");
    // Every byte is cut, named, hashed as a part of its source, compressed, and opened again to
    // be checked; every compressed byte is sealed, coded, decoded, opened, and hashed as one of
    // eleven shards and twice as a pack.
    let plain = 1.0 / fastcdc + 3.0 / blake3 + 1.0 / zstd + 1.0 / unzstd;
    let hashes = 11.0 / 3.0 + 2.0;
    let coded = 1.0 / seal + 1.0 / open + 1.0 / encode + 1.0 / decode + hashes / blake3;
    let limit = cores / (plain + ratio * coded);
    println!("  all of them, spread evenly over {cores:.0} cores, no disk: {limit:.0} MB/s");
    Ok(limit)
}

fn measure(data: &[u8], packed: &mut [Vec<u8>], packed_bytes: usize) -> Outcome<Rates> {
    let fastcdc = rate(data.len(), || {
        let cuts = fastcdc::v2020::StreamCDC::new(data, CHUNK / 4, CHUNK, CHUNK * 4);
        black_box(cuts.filter_map(Result::ok).count());
        Ok(())
    })?;
    let blake3 = rate(data.len(), || {
        for chunk in data.chunks(CHUNK) {
            black_box(blake3::keyed_hash(&[1; 32], chunk));
        }
        Ok(())
    })?;
    let mut compressor = zstd::bulk::Compressor::new(1)?;
    let zstd = rate(data.len(), || {
        for chunk in data.chunks(CHUNK) {
            black_box(compressor.compress(chunk)?);
        }
        Ok(())
    })?;
    let mut decompressor = zstd::bulk::Decompressor::new()?;
    let unzstd = rate(data.len(), || {
        for chunk in packed.iter() {
            black_box(decompressor.decompress(chunk, CHUNK)?);
        }
        Ok(())
    })?;
    let (seal, open) = gcm(packed, packed_bytes)?;
    let (encode, decode) = erasure(data)?;
    Ok(Rates { fastcdc, blake3, zstd, unzstd, seal, open, encode, decode })
}

fn erasure(data: &[u8]) -> Outcome<(f64, f64)> {
    let data = &data[..data.len() / 8];
    let encode = rate(data.len(), || {
        for stripes in data.chunks(STRIPES) {
            black_box(encode_shards(stripes, 3)?);
        }
        Ok(())
    })?;
    let stripes = &data[..STRIPES];
    let shards = encode_shards(stripes, 3)?;
    let some: Vec<(usize, &[u8])> = (2..5).map(|at| (at, shards[at].as_slice())).collect();
    let rounds = data.len() / STRIPES;
    let decode = rate(rounds * STRIPES, || {
        for _ in 0..rounds {
            black_box(decode_shards(&some, 3, STRIPES)?);
        }
        Ok(())
    })?;
    Ok((encode, decode))
}

fn gcm(packed: &mut [Vec<u8>], bytes: usize) -> Outcome<(f64, f64)> {
    let failed = |_: aws_lc_rs::error::Unspecified| "AES-256-GCM failed";
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[3; 32]).map_err(failed)?);
    let nonce = || Nonce::assume_unique_for_key([5; 12]);
    let (mut seals, mut opens) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = core_time();
        for chunk in packed.iter_mut() {
            key.seal_in_place_append_tag(nonce(), Aad::empty(), chunk).map_err(failed)?;
        }
        seals.push(bytes as f64 / 1e6 / (core_time() - begun).as_secs_f64());
        let begun = core_time();
        for chunk in packed.iter_mut() {
            let length = key.open_in_place(nonce(), Aad::empty(), chunk).map_err(failed)?.len();
            chunk.truncate(length);
        }
        opens.push(bytes as f64 / 1e6 / (core_time() - begun).as_secs_f64());
    }
    Ok((median(&seals), median(&opens)))
}

fn rate(bytes: usize, mut work: impl FnMut() -> Outcome) -> Outcome<f64> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let begun = core_time();
        work()?;
        rates.push(bytes as f64 / 1e6 / (core_time() - begun).as_secs_f64());
    }
    Ok(median(&rates))
}
