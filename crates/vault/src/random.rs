//! Randomness, as a trait so that tests can be deterministic.

use crate::error::{Error, Result};

/// A source of unpredictable bytes. Keys and salts come from it.
pub trait Random: Send {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`Error::Random`] if the source cannot give any.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()>;
}

/// The operating system's generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|error| Error::Random(error.to_string()))
    }
}

pub(crate) fn array<const N: usize>(random: &mut dyn Random) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}
