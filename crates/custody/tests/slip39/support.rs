//! Where the official vectors lie, and randomness from a seed.

use std::path::{Path, PathBuf};

use evenkeel_custody::slip39::{Policy, Share, SplitOptions, split};
use evenkeel_custody::{Random, RandomError};

/// A file of the official vectors, or `None` with the reason said where they are not to be had.
pub fn vectors(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("EVENKEEL_DATA") else {
        println!("skipped: EVENKEEL_DATA does not name the folder of vectors");
        return None;
    };
    // Relative to the workspace, as `.ci/run` sets it.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let places = [folder.join("vectors").join(name), folder.join("../vectors").join(name)];
    let found = places.iter().find(|path| path.exists());
    Some(found.unwrap_or_else(|| panic!("{} is missing", places[0].display())).clone())
}

/// The same bytes for the same seed: xorshift64*.
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u8, most: u8) -> u8 {
        let span = u64::from(most - least) + 1;
        least + u8::try_from(self.next() % span).unwrap()
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes).unwrap();
        bytes
    }
}

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
        for byte in bytes {
            *byte = self.next().to_le_bytes()[0];
        }
        Ok(())
    }
}

pub const SECRET: [u8; 16] = *b"a desk's secret.";

/// Cards of a small policy, by group.
pub fn cards(groups: &str, group_threshold: u8, seed: u64) -> Vec<Vec<Share>> {
    let policy = Policy::parse(groups, group_threshold).unwrap();
    let options = SplitOptions { iteration_exponent: 0, ..SplitOptions::default() };
    split(&policy, &SECRET, b"TREZOR", options, &mut Seeded::new(seed)).unwrap()
}
