//! The bit stream inside a symbol: segments of bytes, and nothing else.

use super::version::Version;

const BYTE_MODE: usize = 0b0100;
const END: usize = 0;

/// The bytes of a symbol's data codewords; nothing if they are not segments of bytes.
pub(crate) fn bytes(version: Version, data: &[u8]) -> Option<Vec<u8>> {
    let bits = data.len() * 8;
    let mut at = 0;
    let mut take = |count: usize| -> Option<usize> {
        let end = at + count;
        if end > bits {
            return None;
        }
        let value = (at..end).fold(0, |value, bit| {
            let byte = data.get(bit / 8).copied().unwrap_or(0);
            value << 1 | usize::from(byte >> (7 - bit % 8) & 1)
        });
        at = end;
        Some(value)
    };
    let mut bytes = Vec::new();
    loop {
        match take(4) {
            None | Some(END) => return Some(bytes),
            Some(BYTE_MODE) => {
                for _ in 0..take(version.count_bits())? {
                    bytes.push(u8::try_from(take(8)?).ok()?);
                }
            }
            Some(_) => return None,
        }
    }
}
