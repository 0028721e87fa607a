//! Reed–Solomon shards with a fixed maximum of parity.
//!
//! The code is the one of `reed-solomon-simd` 3 over GF(2^16) (Lin, Han and Chung, 2016) for k data
//! and [`PARITY_MAX`] parity shards, always; a domain with n sites stores the first n. So a site
//! added later gets a shard that fits those already there, and nothing is rewritten. The matrix is
//! in `docs/formats/vault.md`, kept there by a test. Encoding is the library's; decoding solves the
//! equations that this matrix stands for, so that each checks the other.

use reed_solomon_simd::ReedSolomonEncoder;
use reed_solomon_simd::engine::tables::get_exp_log;
use reed_solomon_simd::engine::{DefaultEngine, Engine};

use crate::error::{Error, Result};
use crate::outboard::Groups;
use crate::rooms::Rooms;

/// Parity shards of the code, whatever number is stored.
pub const PARITY_MAX: usize = 8;

/// Shards are a multiple of this many bytes (one block of the code).
const BLOCK_BYTES: usize = 64;

/// Shards are coded this many bytes at a time, so that the working set stays in the cache.
const STRIPE_BYTES: usize = 32 * 1024;

/// Bytes of each of `k` data shards for an object of `length_bytes`.
pub(crate) fn shard_bytes(length_bytes: usize, k: usize) -> usize {
    length_bytes.div_ceil(k).max(1).next_multiple_of(BLOCK_BYTES)
}

/// Splits `bytes` into `k` zero-padded data shards and adds [`PARITY_MAX`] parity shards.
///
/// # Errors
/// [`Error::Invalid`] if `k` is 0 or `bytes` is empty.
pub fn encode_shards(bytes: &[u8], k: usize) -> Result<Vec<Vec<u8>>> {
    let size = shard_bytes(bytes.len(), k.max(1));
    let mut shards = split(bytes, k)?;
    let mut parity: Vec<Vec<u8>> = (0..PARITY_MAX).map(|_| Vec::with_capacity(size)).collect();
    let data: Vec<&[u8]> = shards.iter().map(Vec::as_slice).collect();
    code_stripes(&data, |data, at, stripe| {
        if !data {
            parity[at].extend_from_slice(stripe);
        }
    })?;
    shards.append(&mut parity);
    Ok(shards)
}

/// An object as shards, with what proves them.
pub(crate) struct Coded {
    /// The object, and zeros up to a whole number of shards: k of them, one after the other.
    data: Vec<u8>,
    /// Those that follow.
    parity: Vec<Vec<u8>>,
    shard_bytes: usize,
    /// What lies beside each of these for audits; `None` for one so short that it needs none.
    pub(crate) outboards: Vec<Option<Vec<u8>>>,
    /// BLAKE3 of all k + [`PARITY_MAX`].
    pub(crate) roots: Vec<[u8; 32]>,
}

impl Coded {
    /// The first n.
    pub(crate) fn shards(&self) -> Vec<&[u8]> {
        let data = self.data.chunks(self.shard_bytes);
        data.chain(self.parity.iter().map(Vec::as_slice)).collect()
    }

    pub(crate) fn shard_bytes(&self) -> usize {
        self.shard_bytes
    }

    pub(crate) fn give_back(self, rooms: &Rooms) {
        self.parity.into_iter().chain([self.data]).for_each(|room| rooms.give(room));
    }
}

/// Codes an object; each shard is hashed once, while it is in the cache.
pub(crate) fn encode_proven(
    mut object: Vec<u8>,
    k: usize,
    n: usize,
    rooms: &Rooms,
) -> Result<Coded> {
    if k == 0 || object.is_empty() {
        return Err(nothing());
    }
    let size = shard_bytes(object.len(), k);
    object.resize(k * size, 0);
    let kept = n.saturating_sub(k);
    let mut parity: Vec<Vec<u8>> = (0..kept).map(|_| rooms.take(size)).collect();
    let mut groups: Vec<Groups> = (0..k + kept).map(|_| Groups::new(size)).collect();
    let mut hashers = vec![blake3::Hasher::new(); PARITY_MAX.saturating_sub(kept)];
    let data: Vec<&[u8]> = object.chunks(size).collect();
    code_stripes(&data, |data, at, stripe| {
        let number = if data { at } else { k + at };
        if let Some(groups) = groups.get_mut(number) {
            groups.add(stripe);
        } else {
            hashers[at - kept].update(stripe);
        }
        if let Some(shard) = parity.get_mut(at).filter(|_| !data) {
            shard.extend_from_slice(stripe);
        }
    })?;
    let (mut roots, mut outboards) = (Vec::new(), Vec::new());
    for (groups, shard) in
        groups.iter().zip(object.chunks(size).chain(parity.iter().map(Vec::as_slice)))
    {
        roots.push(groups.root().unwrap_or_else(|| *blake3::hash(shard).as_bytes()));
        outboards.push(groups.outboard());
    }
    roots.extend(hashers.iter().map(|hasher| *hasher.finalize().as_bytes()));
    Ok(Coded { data: object, parity, shard_bytes: size, outboards, roots })
}

/// Zero-padded data shards.
fn split(bytes: &[u8], k: usize) -> Result<Vec<Vec<u8>>> {
    if k == 0 || bytes.is_empty() {
        return Err(nothing());
    }
    let size = shard_bytes(bytes.len(), k);
    let shard = |at: usize| {
        let from = (at * size).min(bytes.len());
        let to = (from + size).min(bytes.len());
        let mut shard = Vec::with_capacity(size);
        shard.extend_from_slice(&bytes[from..to]);
        shard.resize(size, 0);
        shard
    };
    Ok((0..k).map(shard).collect())
}

/// Codes data shards stripe by stripe, and gives each stripe of each shard to `each` in order:
/// whether it is data, the number among data or parity, and the bytes.
fn code_stripes(data: &[&[u8]], mut each: impl FnMut(bool, usize, &[u8])) -> Result<()> {
    let (k, size) = (data.len(), data.first().map_or(0, |shard| shard.len()));
    let stripe = STRIPE_BYTES.min(size);
    let mut encoder = ReedSolomonEncoder::new(k, PARITY_MAX, stripe).map_err(code)?;
    for from in (0..size).step_by(STRIPE_BYTES) {
        let to = (from + STRIPE_BYTES).min(size);
        encoder.reset(k, PARITY_MAX, to - from).map_err(code)?;
        for (at, shard) in data.iter().enumerate() {
            encoder.add_original_shard(&shard[from..to]).map_err(code)?;
            each(true, at, &shard[from..to]);
        }
        let coded = encoder.encode().map_err(code)?;
        for (at, stripe) in coded.recovery_iter().enumerate() {
            each(false, at, stripe);
        }
    }
    Ok(())
}

/// Brings back the `length_bytes` of an object from any `k` of its shards, given with their
/// numbers. The shards have to be verified already: a wrong one gives wrong bytes.
///
/// # Errors
/// [`Error::Invalid`] for fewer than `k` different shards, or sizes and numbers that do not fit.
pub fn decode_shards(shards: &[(usize, &[u8])], k: usize, length_bytes: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    decode_into(shards, k, length_bytes, &mut bytes)?;
    Ok(bytes)
}

/// As [`decode_shards`], into a buffer whose content is given up.
pub(crate) fn decode_into(
    shards: &[(usize, &[u8])],
    k: usize,
    length_bytes: usize,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    if k == 0 || length_bytes == 0 {
        return Err(invalid("nothing to decode, or no data shards".to_owned()));
    }
    let size = shard_bytes(length_bytes, k);
    if let Some((number, shard)) = shards.iter().find(|(_, shard)| shard.len() != size) {
        let found = shard.len();
        return Err(invalid(format!("shard {number} has {found} bytes instead of {size}")));
    }
    // Data shards first: the more of them, the less there is to solve.
    let mut all: Vec<(usize, &[u8])> = shards.to_vec();
    all.sort_by_key(|(number, _)| *number);
    all.dedup_by_key(|(number, _)| *number);
    if let Some((number, _)) = all.iter().find(|(number, _)| *number >= k + PARITY_MAX) {
        return Err(invalid(format!("there is no shard {number}")));
    }
    all.truncate(k);
    let chosen = all;
    if chosen.len() < k {
        return Err(invalid(format!("{} of {k} shards needed", chosen.len())));
    }
    let mut missing: Vec<usize> = Vec::new();
    bytes.clear();
    bytes.reserve_exact(k * size);
    for number in 0..k {
        match chosen.iter().find(|(at, _)| *at == number) {
            Some((_, shard)) => bytes.extend_from_slice(shard),
            None => {
                missing.push(number);
                bytes.resize(bytes.len() + size, 0);
            }
        }
    }
    if !missing.is_empty() {
        let inverse = invert(rows(&chosen, k)?)?;
        for number in missing {
            combine(&inverse[number], &chosen, &mut bytes[number * size..(number + 1) * size]);
        }
    }
    bytes.truncate(length_bytes);
    Ok(())
}

/// The rows that made these shards out of the data: unit rows for data, the generator's for parity.
fn rows(chosen: &[(usize, &[u8])], k: usize) -> Result<Vec<Vec<u16>>> {
    let generator = generator_matrix(k)?;
    let row = |number: usize| match number.checked_sub(k) {
        Some(parity) => generator[parity].clone(),
        None => (0..k).map(|column| u16::from(column == number)).collect(),
    };
    Ok(chosen.iter().map(|(number, _)| row(*number)).collect())
}

/// Inverts a square matrix over GF(2^16), by Gauss and Jordan.
fn invert(mut matrix: Vec<Vec<u16>>) -> Result<Vec<Vec<u16>>> {
    let size = matrix.len();
    for (at, row) in matrix.iter_mut().enumerate() {
        row.extend((0..size).map(|column| u16::from(column == at)));
    }
    for column in 0..size {
        let pivot = (column..size).find(|row| matrix[*row][column] != 0);
        // Any k rows of the generator are independent; else it would not be this code.
        let pivot = pivot.ok_or_else(|| invalid("shards that depend on each other".to_owned()))?;
        matrix.swap(column, pivot);
        let scale = reciprocal(matrix[column][column]);
        let normal: Vec<u16> = matrix[column].iter().map(|one| multiply(*one, scale)).collect();
        for (at, row) in matrix.iter_mut().enumerate() {
            let factor = row[column];
            if at != column && factor != 0 {
                for (one, other) in row.iter_mut().zip(&normal) {
                    *one ^= multiply(*other, factor);
                }
            }
        }
        matrix[column] = normal;
    }
    Ok(matrix.into_iter().map(|row| row[size..].to_vec()).collect())
}

/// `into` = sum of the shards, each times its factor.
fn combine(factors: &[u16], shards: &[(usize, &[u8])], into: &mut [u8]) {
    let engine = DefaultEngine::new();
    let log = &get_exp_log().log;
    let mut scratch = vec![[0_u8; BLOCK_BYTES]; STRIPE_BYTES / BLOCK_BYTES];
    for (at, stripe) in into.chunks_mut(STRIPE_BYTES).enumerate() {
        let from = at * STRIPE_BYTES;
        let (sum, _) = stripe.as_chunks_mut::<8>();
        for (factor, (_, shard)) in factors.iter().zip(shards).filter(|(factor, _)| **factor != 0) {
            let (blocks, _) = shard[from..from + sum.len() * 8].as_chunks::<BLOCK_BYTES>();
            let scratch = &mut scratch[..blocks.len()];
            scratch.copy_from_slice(blocks);
            engine.mul(scratch, log[usize::from(*factor)]);
            let (product, _) = scratch.as_flattened().as_chunks::<8>();
            for (sum, product) in sum.iter_mut().zip(product) {
                *sum = (u64::from_ne_bytes(*sum) ^ u64::from_ne_bytes(*product)).to_ne_bytes();
            }
        }
    }
}

/// Order of the multiplicative group.
const GROUP: u32 = 65_535;

fn multiply(a: u16, b: u16) -> u16 {
    if a == 0 || b == 0 {
        return 0;
    }
    let tables = get_exp_log();
    let logarithm = |value: u16| u32::from(tables.log[usize::from(value)]);
    tables.exp[((logarithm(a) + logarithm(b)) % GROUP) as usize]
}

/// One divided by `a`, which is not 0.
fn reciprocal(a: u16) -> u16 {
    let tables = get_exp_log();
    tables.exp[((GROUP - u32::from(tables.log[usize::from(a)])) % GROUP) as usize]
}

/// The generator matrix for `k` data shards: row r, column c is the factor (an element of GF(2^16)
/// in the code's own basis) of data shard c in parity shard r; derived by encoding unit vectors.
///
/// # Errors
/// [`Error::Invalid`] if `k` is 0.
pub fn generator_matrix(k: usize) -> Result<Vec<Vec<u16>>> {
    let mut matrix = vec![vec![0; k]; PARITY_MAX];
    for column in 0..k {
        // One symbol of value 1 in one shard: within a 64-byte block the low bytes of the 32
        // symbols come first, then their high bytes.
        let mut unit = vec![0_u8; k * BLOCK_BYTES];
        unit[column * BLOCK_BYTES] = 1;
        let shards = encode_shards(&unit, k)?;
        for (row, shard) in matrix.iter_mut().zip(&shards[k..]) {
            row[column] = u16::from_le_bytes([shard[0], shard[BLOCK_BYTES / 2]]);
        }
    }
    Ok(matrix)
}

fn nothing() -> Error {
    invalid("nothing to encode, or no data shards asked for".to_owned())
}

fn invalid(detail: String) -> Error {
    Error::Invalid { what: "erasure code", detail }
}

fn code(error: reed_solomon_simd::Error) -> Error {
    invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outboard::outboard_of;

    fn bytes(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn any_three_of_eleven_shards_bring_the_object_back() {
        for length in [1, 63, 64, 191, 192, 193, 5000] {
            let object = bytes(length);
            let shards = encode_shards(&object, 3).unwrap();
            for a in 0..shards.len() {
                for b in a + 1..shards.len() {
                    for c in b + 1..shards.len() {
                        let some = [a, b, c].map(|at| (at, shards[at].as_slice()));
                        assert_eq!(decode_shards(&some, 3, length).unwrap(), object);
                    }
                }
            }
        }
    }

    #[test]
    fn roots_are_the_hashes_of_all_shards_whatever_number_is_stored() {
        for (k, n, length) in [(3, 5, 200_000), (3, 3, 77), (2, 10, 65_537)] {
            let object = bytes(length);
            let all = encode_shards(&object, k).unwrap();
            let coded = encode_proven(object.clone(), k, n, &Rooms::default()).unwrap();
            let stored = coded.shards();
            let made: Vec<_> = stored.iter().map(|shard| outboard_of(shard)).collect();
            assert_eq!(coded.outboards, made);
            assert_eq!(stored, all[..n]);
            let hashes: Vec<[u8; 32]> =
                all.iter().map(|shard| *blake3::hash(shard).as_bytes()).collect();
            assert_eq!(coded.roots, hashes);
        }
    }

    #[test]
    fn the_library_decodes_to_the_same() {
        let object = bytes(100_000);
        let shards = encode_shards(&object, 3).unwrap();
        let mut decoder =
            reed_solomon_simd::ReedSolomonDecoder::new(3, PARITY_MAX, shards[0].len()).unwrap();
        for parity in [0, 4, 7] {
            decoder.add_recovery_shard(parity, &shards[3 + parity]).unwrap();
        }
        let restored = decoder.decode().unwrap();
        for (number, shard) in shards[..3].iter().enumerate() {
            assert_eq!(restored.restored_original(number).unwrap(), shard);
        }
    }

    #[test]
    fn two_of_three_needed_shards_are_refused() {
        let shards = encode_shards(&bytes(1000), 3).unwrap();
        let some = [(0, shards[0].as_slice()), (4, shards[4].as_slice())];
        assert!(decode_shards(&some, 3, 1000).is_err());
    }

    #[test]
    fn garbage_arguments_are_errors_and_not_panics() {
        let shard = vec![0; 64];
        assert!(encode_shards(&[], 3).is_err());
        assert!(encode_shards(b"x", 0).is_err());
        assert!(decode_shards(&[(0, &shard), (0, &shard), (99, &shard)], 3, 100).is_err());
        assert!(decode_shards(&[(0, &shard[1..])], 1, 64).is_err());
        assert!(decode_shards(&[], 0, 0).is_err());
    }

    #[test]
    fn every_parity_shard_depends_on_every_data_shard() {
        for k in [1, 2, 3, 8, 64] {
            assert!(generator_matrix(k).unwrap().iter().flatten().all(|factor| *factor != 0));
        }
    }
}
