//! A result file whose text waits for the journal.

use super::error::ReplayError;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Text collected here reaches the file only when the entries it came from are durable.
#[derive(Debug)]
pub struct Outlet {
    path: PathBuf,
    file: BufWriter<File>,
    /// Of the batch being collected.
    staged: Vec<u8>,
    /// Of the batch on its way to the disk.
    in_flight: Vec<u8>,
}

impl Outlet {
    /// Creates the file and writes its first line.
    ///
    /// # Errors
    /// [`ReplayError::Output`].
    pub fn create(path: &Path, header: &str) -> Result<Self, ReplayError> {
        let created = File::create(path).and_then(|file| {
            let mut file = BufWriter::with_capacity(1 << 16, file);
            writeln!(file, "{header}").map(|()| file)
        });
        let file = created.map_err(|source| ReplayError::output(path, source))?;
        Ok(Self { path: path.to_owned(), file, staged: Vec::new(), in_flight: Vec::new() })
    }

    /// Where text of the entries being applied is collected.
    pub fn staged(&mut self) -> &mut Vec<u8> {
        &mut self.staged
    }

    /// The entries are on their way to the disk. What departed before must have been released.
    pub fn depart(&mut self) {
        debug_assert!(self.in_flight.is_empty(), "released before");
        std::mem::swap(&mut self.staged, &mut self.in_flight);
    }

    /// The entries that departed are durable.
    ///
    /// # Errors
    /// [`ReplayError::Output`].
    pub fn release(&mut self) -> Result<(), ReplayError> {
        let written = self.file.write_all(&self.in_flight);
        self.in_flight.clear();
        written.map_err(|source| ReplayError::output(&self.path, source))
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// [`ReplayError::Output`].
    pub fn flush(&mut self) -> Result<(), ReplayError> {
        self.file.flush().map_err(|source| ReplayError::output(&self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reaches_the_file_only_when_its_entries_are_durable() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("out.csv");
        let mut outlet = Outlet::create(&path, "a,b").expect("create");
        outlet.staged().extend_from_slice(b"1,2\n");
        let mut seen = || {
            outlet.flush().expect("flush");
            std::fs::read_to_string(&path).expect("read")
        };
        assert_eq!(seen(), "a,b\n");
        outlet.depart();
        outlet.staged().extend_from_slice(b"3,4\n");
        outlet.release().expect("release");
        outlet.flush().expect("flush");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "a,b\n1,2\n");
    }
}
