//! Files that are written once, and hexadecimal digits.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::report::{Report, Result};

/// Writes a file that did not exist, mode 600, durably (its folder's sync is the caller's).
pub(crate) fn write_new(file: &Path, content: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| {
        let report = Report::io("write", file, &error);
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => report.safe("the file there was left untouched"),
            _ => report,
        }
    };
    let mut open =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    open.write_all(content).and_then(|()| open.sync_all()).map_err(failed)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        })
        .collect()
}
