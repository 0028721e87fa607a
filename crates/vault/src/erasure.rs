//! Reed–Solomon shards with a fixed maximum of parity.
//!
//! The code is the one of `reed-solomon-simd` 3 over GF(2^16) (Lin, Han and Chung, 2016) for k data
//! and [`PARITY_MAX`] parity shards, always; a domain with n sites stores the first n. So a site
//! added later gets a shard that fits those already there, and nothing is rewritten. The matrix is
//! in `docs/formats/vault.md`, kept there by a test.

use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use crate::error::{Error, Result};

/// Parity shards of the code, whatever number is stored.
pub const PARITY_MAX: usize = 8;

/// Shards are a multiple of this many bytes (one block of the code).
const BLOCK_BYTES: usize = 64;

/// Bytes of each of `k` data shards for an object of `length_bytes`.
pub(crate) fn shard_bytes(length_bytes: usize, k: usize) -> usize {
    length_bytes
        .div_ceil(k)
        .max(1)
        .next_multiple_of(BLOCK_BYTES)
}

/// Splits `bytes` into `k` zero-padded data shards and adds [`PARITY_MAX`] parity shards.
///
/// # Errors
/// [`Error::Invalid`] if `k` is 0 or `bytes` is empty.
pub fn encode_shards(bytes: &[u8], k: usize) -> Result<Vec<Vec<u8>>> {
    if k == 0 || bytes.is_empty() {
        return Err(invalid(
            "nothing to encode, or no data shards asked for".to_owned(),
        ));
    }
    let size = shard_bytes(bytes.len(), k);
    let mut shards: Vec<Vec<u8>> = Vec::with_capacity(k + PARITY_MAX);
    for at in 0..k {
        let from = (at * size).min(bytes.len());
        let to = (from + size).min(bytes.len());
        let mut shard = Vec::with_capacity(size);
        shard.extend_from_slice(&bytes[from..to]);
        shard.resize(size, 0);
        shards.push(shard);
    }
    let mut encoder = ReedSolomonEncoder::new(k, PARITY_MAX, size).map_err(code)?;
    for shard in &shards {
        encoder.add_original_shard(shard).map_err(code)?;
    }
    let parity = encoder.encode().map_err(code)?;
    shards.extend(parity.recovery_iter().map(<[u8]>::to_vec));
    Ok(shards)
}

/// Brings back the `length_bytes` of an object from any `k` of its shards, given with their
/// numbers. The shards have to be verified already: a wrong one gives wrong bytes.
///
/// # Errors
/// [`Error::Invalid`] for fewer than `k` different shards, or sizes and numbers that do not fit.
pub fn decode_shards(shards: &[(usize, &[u8])], k: usize, length_bytes: usize) -> Result<Vec<u8>> {
    if k == 0 || length_bytes == 0 {
        return Err(invalid("nothing to decode, or no data shards".to_owned()));
    }
    let size = shard_bytes(length_bytes, k);
    if let Some((number, shard)) = shards.iter().find(|(_, shard)| shard.len() != size) {
        let found = shard.len();
        return Err(invalid(format!(
            "shard {number} has {found} bytes instead of {size}"
        )));
    }
    let mut data: Vec<Option<&[u8]>> = vec![None; k];
    for (number, shard) in shards {
        if let Some(place) = data.get_mut(*number) {
            *place = Some(shard);
        }
    }
    let mut bytes = Vec::with_capacity(k * size);
    if data.iter().all(Option::is_some) {
        for shard in data.into_iter().flatten() {
            bytes.extend_from_slice(shard);
        }
    } else {
        let mut decoder = ReedSolomonDecoder::new(k, PARITY_MAX, size).map_err(code)?;
        for (number, shard) in shards {
            match number.checked_sub(k) {
                None => decoder.add_original_shard(*number, shard),
                Some(parity) => decoder.add_recovery_shard(parity, shard),
            }
            .map_err(code)?;
        }
        let restored = decoder.decode().map_err(code)?;
        for (number, shard) in data.into_iter().enumerate() {
            let shard = shard
                .or_else(|| restored.restored_original(number))
                .ok_or_else(|| invalid(format!("shard {number} was not restored")))?;
            bytes.extend_from_slice(shard);
        }
    }
    bytes.truncate(length_bytes);
    Ok(bytes)
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

fn invalid(detail: String) -> Error {
    Error::Invalid {
        what: "erasure code",
        detail,
    }
}

fn code(error: reed_solomon_simd::Error) -> Error {
    invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(
                generator_matrix(k)
                    .unwrap()
                    .iter()
                    .flatten()
                    .all(|factor| *factor != 0)
            );
        }
    }
}
