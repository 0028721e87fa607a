//! Malformed lines: the first one refuses the file, unless they are set aside.

use super::args::ReplayArgs;
use super::error::{LineFault, ReplayError};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

/// What to do with malformed lines.
#[derive(Debug)]
pub struct Rejects {
    input: PathBuf,
    aside: Option<Aside>,
    count: u64,
}

#[derive(Debug)]
struct Aside {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Rejects {
    /// As the arguments say. The file for rejects is created at once.
    ///
    /// # Errors
    /// [`ReplayError::Output`].
    pub fn new(args: &ReplayArgs) -> Result<Self, ReplayError> {
        let aside = args.rejects.clone().map(|path| {
            let created = File::create(&path).map(BufWriter::new).and_then(|mut file| {
                file.write_all(b"line,column,reason,text\n")?;
                Ok(file)
            });
            match created {
                Ok(file) => Ok(Aside { path, file }),
                Err(source) => Err(ReplayError::Output { path, source }),
            }
        });
        Ok(Self { input: args.file.clone(), aside: aside.transpose()?, count: 0 })
    }

    /// Sets a line aside.
    ///
    /// # Errors
    /// [`ReplayError::Malformed`] if lines are not to be set aside, [`ReplayError::Output`].
    pub fn set_aside(&mut self, fault: LineFault, text: &[u8]) -> Result<(), ReplayError> {
        self.count += 1;
        let Some(aside) = &mut self.aside else {
            return Err(ReplayError::Malformed { path: self.input.clone(), fault });
        };
        write_line(&mut aside.file, &fault, text)
            .map_err(|source| ReplayError::output(&aside.path, source))
    }

    /// How many lines were set aside.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// [`ReplayError::Output`].
    pub fn flush(&mut self) -> Result<(), ReplayError> {
        let Some(aside) = &mut self.aside else {
            return Ok(());
        };
        aside.file.flush().map_err(|source| ReplayError::output(&aside.path, source))
    }

    /// Where lines are set aside.
    #[must_use]
    pub fn path(&self) -> Option<&PathBuf> {
        self.aside.as_ref().map(|aside| &aside.path)
    }
}

/// One row; reason and text in quotes as RFC 4180 says, the text otherwise byte for byte.
fn write_line(file: &mut impl io::Write, fault: &LineFault, text: &[u8]) -> io::Result<()> {
    write!(file, "{},{},\"{}\",\"", fault.line, fault.column, fault.reason.replace('"', "\"\""))?;
    for (index, part) in text.split(|byte| *byte == b'"').enumerate() {
        if index > 0 {
            file.write_all(b"\"\"")?;
        }
        file.write_all(part)?;
    }
    file.write_all(b"\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_line_is_one_csv_row_whatever_it_holds() {
        let fault = LineFault { line: 7, column: 3, reason: "say \"what\"".to_owned() };
        let mut written = Vec::new();
        write_line(&mut written, &fault, b"a,\"b\",\xff").expect("write");
        assert_eq!(written, b"7,3,\"say \"\"what\"\"\",\"a,\"\"b\"\",\xff\"\n");
    }
}
