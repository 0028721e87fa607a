//! Randomness, as a trait so that tests can be deterministic.

use std::sync::{Arc, Mutex};

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

/// One source, for a writer and for the points it is having sealed.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Box<dyn Random>>>);

impl Shared {
    pub(crate) fn new(random: Box<dyn Random>) -> Self {
        Self(Arc::new(Mutex::new(random)))
    }
}

impl Random for Shared {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        // A generator that stopped half way may repeat itself: it gives nothing any more.
        let mut random =
            self.0.lock().map_err(|_| Error::Random("the generator failed before".to_owned()))?;
        random.fill(bytes)
    }
}

pub(crate) fn array<const N: usize>(random: &mut dyn Random) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}
