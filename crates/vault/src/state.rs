//! What is remembered on this machine: the highest record seen, and one not yet everywhere.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::certificate::magic;
use crate::error::{Error, Result};
use crate::layout::Lineage;

const PIN_MAGIC: &[u8; 4] = b"EVKN";
const STATE_MAGIC: &[u8; 4] = b"EVKW";
const VERSION: u8 = 1;
/// A record is at most its header (up to some thousand packs) and a small body.
const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The highest record somebody has seen: sites that show less were rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// The lineage.
    pub lineage: Lineage,
    /// The record's counter.
    pub counter: u64,
    /// The record's hash.
    pub hash: [u8; 32],
}

impl Canonical for Pin {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(PIN_MAGIC);
        encoder.u8(VERSION);
        self.lineage.encode(encoder);
        encoder.u64(self.counter);
        encoder.fixed(&self.hash);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, PIN_MAGIC, VERSION)?;
        Ok(Self {
            lineage: Lineage::decode(reader)?,
            counter: reader.u64()?,
            hash: reader.array()?,
        })
    }
}

impl Pin {
    /// Reads a pin; `None` if there is no file.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Format`].
    pub fn load(path: &Path) -> Result<Option<Self>> {
        load(path, "pin")
    }

    /// Writes the pin, durably and at once.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, path: &Path) -> Result<()> {
        write_durably(path, &self.to_bytes())
    }
}

/// A writer's memory: the last record it signed, kept until it is at enough sites, so that a
/// restart sends the same bytes again and never signs a second record with the same counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WriterState {
    pub(crate) pin: Pin,
    pub(crate) record: Vec<u8>,
}

impl Canonical for WriterState {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(STATE_MAGIC);
        encoder.u8(VERSION);
        self.pin.encode(encoder);
        encoder.bytes(&self.record);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, STATE_MAGIC, VERSION)?;
        let pin = Pin::decode(reader)?;
        Ok(Self { pin, record: reader.bytes(RECORD_BYTES_MAX)?.to_vec() })
    }
}

impl WriterState {
    pub(crate) fn load(path: &Path) -> Result<Option<Self>> {
        load(path, "writer state")
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        write_durably(path, &self.to_bytes())
    }
}

fn load<T: Canonical>(path: &Path, what: &str) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => T::from_bytes(&bytes)
            .map(Some)
            .map_err(Error::format(format!("{what} {}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("reading", path)(error)),
    }
}

/// Replaces a file so that a crash leaves the old or the new content, never a mixture.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    let replace = || -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    replace().map_err(Error::file("writing", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_and_a_writer_state_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        assert_eq!(Pin::load(&path).unwrap(), None);
        let pin = Pin { lineage: Lineage([1; 16]), counter: 7, hash: [2; 32] };
        pin.save(&path).unwrap();
        assert_eq!(Pin::load(&path).unwrap(), Some(pin));
        let state = WriterState { pin, record: vec![3; 100] };
        state.save(&path).unwrap();
        assert_eq!(WriterState::load(&path).unwrap(), Some(state));
        assert!(Pin::load(&path).is_err(), "a writer state is no pin");
    }
}
