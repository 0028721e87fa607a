//! stdout carries the result, stderr everything else; neither may make the program panic.
//!
//! `println!` panics when the reader of a pipe is gone or the terminal was closed. Here a closed
//! stdout ends the command quietly, and a closed stderr is ignored.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use crate::report::{Exit, Report, Result};

/// Says something beside the result, on stderr. Whoever closed it does not want to hear it.
pub fn note(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{text}");
}

/// Prints one result, with a line end, to stdout.
///
/// # Errors
/// What the system said, except that a reader who left is no error.
pub fn result(text: &str) -> Result<()> {
    let mut results = Results::new();
    results.line(text)?;
    results.finish()
}

/// Prints one JSON document.
///
/// # Errors
/// As [`result`].
pub fn document<T: serde::Serialize>(document: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(document).map_err(|error| {
        Report::new(Exit::Failed, format!("cannot write the result as JSON: {error}"))
    })?;
    result(&text)
}

/// A pipe without a reader, or a terminal that was closed (which answers EIO).
fn is_closed(error: &io::Error) -> bool {
    let hung_up = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    error.kind() == io::ErrorKind::BrokenPipe || (hung_up && io::stdout().is_terminal())
}

/// Many lines of result, buffered.
#[derive(Debug)]
pub struct Results {
    out: BufWriter<StdoutLock<'static>>,
    reader_left: bool,
}

impl Default for Results {
    fn default() -> Self {
        Self::new()
    }
}

impl Results {
    /// Takes stdout.
    #[must_use]
    pub fn new() -> Self {
        let out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        Self { out, reader_left: false }
    }

    /// Prints one line.
    ///
    /// # Errors
    /// What the system said, except that a reader who left is no error.
    pub fn line(&mut self, text: &str) -> Result<()> {
        let written = writeln!(self.out, "{text}");
        self.settle(written)
    }

    /// Whether the reader closed the pipe: whatever else would be printed is not wanted.
    #[must_use]
    pub fn reader_left(&self) -> bool {
        self.reader_left
    }

    /// Hands on what is buffered; a disk that is full under `> file` shows only here.
    ///
    /// # Errors
    /// As [`Results::line`].
    pub fn finish(mut self) -> Result<()> {
        let flushed = if self.reader_left { Ok(()) } else { self.out.flush() };
        self.settle(flushed)
    }

    fn settle(&mut self, written: io::Result<()>) -> Result<()> {
        match written {
            Ok(()) => Ok(()),
            Err(error) if is_closed(&error) => {
                self.reader_left = true;
                Ok(())
            }
            Err(error) => Err(Report::new(
                Exit::Failed,
                format!("cannot write the result to standard output: {error}"),
            )
            .safe("nothing was changed by printing")),
        }
    }
}
