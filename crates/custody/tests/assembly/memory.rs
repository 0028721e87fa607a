//! Another process's memory, and a scalar in every form in which it could lie there.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::holder::MASK;

/// Bytes that have to be found together.
const WINDOW_BYTES: usize = 12;
const CHUNK_BYTES: usize = 1 << 20;

/// The forms of a scalar, by name; `big` is its 32 bytes, big-endian.
pub fn forms(big: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let little: Vec<u8> = big.iter().rev().copied().collect();
    let swapped = |bytes: usize| -> Vec<u8> {
        big.chunks(bytes).flat_map(|word| word.iter().rev().copied()).collect()
    };
    vec![
        ("big-endian", big.to_vec()),
        ("little-endian, and limbs of 32 or 64 bits", little.clone()),
        ("limbs of 64 bits, the highest first", swapped(8)),
        ("limbs of 32 bits, the highest first", swapped(4)),
        ("limbs of 52 bits", limbs(&little, 52, 8)),
        ("limbs of 51 bits", limbs(&little, 51, 8)),
        ("limbs of 29 bits", limbs(&little, 29, 4)),
        ("limbs of 26 bits", limbs(&little, 26, 4)),
    ]
}

/// Limbs of so many bits, each in a word of so many bytes, the lowest first.
fn limbs(little: &[u8], bits: usize, bytes: usize) -> Vec<u8> {
    let bit = |at: usize| little.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
    let count = 256_usize.div_ceil(bits);
    let limb = |number: usize| {
        let of_limb = (0..bits).filter(|place| bit(number * bits + place));
        of_limb.fold(0_u64, |limb, place| limb | 1 << place)
    };
    (0..count).flat_map(|number| limb(number).to_le_bytes()[..bytes].to_vec()).collect()
}

/// What is looked for, masked, so that the searching process is no place to find it.
pub struct Needles(Vec<(&'static str, Vec<u8>)>);

impl Needles {
    pub fn of(big: &[u8]) -> Self {
        let masked = |form: Vec<u8>| form.iter().map(|byte| byte ^ MASK).collect();
        Self(forms(big).into_iter().map(|(name, form)| (name, masked(form))).collect())
    }

    /// The forms that are in memory that this process can write: heap, stacks, statics.
    pub fn in_memory_of(&self, process: u32) -> Vec<&'static str> {
        let memory = File::open(format!("/proc/{process}/mem")).unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
        let mut by_first: Vec<Vec<(&'static str, &[u8])>> = vec![Vec::new(); 256];
        for (name, form) in &self.0 {
            for window in form.windows(WINDOW_BYTES).step_by(4) {
                // Limbs begin and end in zeros, which are everywhere.
                if window.iter().filter(|byte| **byte != MASK).count() >= 9 {
                    by_first[usize::from(window[0] ^ MASK)].push((name, window));
                }
            }
        }
        let mut found = Vec::new();
        for (mut at, end) in maps.lines().filter_map(writable) {
            let mut chunk = vec![0; CHUNK_BYTES];
            while at < end {
                let wanted = usize::try_from(end - at).unwrap().min(CHUNK_BYTES);
                let read = memory.read_at(&mut chunk[..wanted], at).unwrap_or(0);
                if read == 0 {
                    break;
                }
                for here in chunk[..read].windows(WINDOW_BYTES) {
                    let known = &by_first[usize::from(here[0])];
                    let seen = known.iter().filter(|(_, window)| {
                        here.iter().zip(*window).all(|(byte, masked)| *byte == masked ^ MASK)
                    });
                    found.extend(seen.map(|(name, _)| *name));
                }
                let overlap = if at + read as u64 == end { 0 } else { 2 * WINDOW_BYTES };
                at += (read - overlap.min(read - 1)) as u64;
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn writable(line: &str) -> Option<(u64, u64)> {
    if !line.contains(" rw") {
        return None;
    }
    let (from, to) = line.split_whitespace().next()?.split_once('-')?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
}
