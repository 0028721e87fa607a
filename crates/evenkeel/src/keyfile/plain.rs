//! Files that are written once, keys in them, hexadecimal digits: what needs no vault.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::report::{Exit, Report, Result};

const REPORT: &str = "EVENKEEL-REPORT-KEY-1-";

/// Larger files are no key files.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Reads the key that signs drill reports.
///
/// # Errors
/// [`Exit::WrongKey`] if the file is no such key; [`Exit::Failed`] if it cannot be read.
pub fn read_report_key(file: &Path) -> Result<SigningKey> {
    read_secret(file, REPORT).map(|secret| SigningKey::from_bytes(&secret))
}

/// Writes a report-signing key to a new file.
///
/// # Errors
/// If the file is there already, or cannot be written.
pub fn write_report_key(file: &Path, key: &SigningKey) -> Result<()> {
    let words = format!(
        "# Evenkeel report key of a drill host\n# public: {}\n\
         # Whoever has it can sign drill reports that count as this drill host's.\n",
        hex(key.verifying_key().as_bytes())
    );
    write_secret(file, &words, REPORT, Zeroizing::new(key.to_bytes()).as_slice())
}

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

pub(super) fn write_secret(file: &Path, words: &str, prefix: &str, secret: &[u8]) -> Result<()> {
    let value = Zeroizing::new(hex(secret));
    let text = Zeroizing::new(format!("{words}{prefix}{}\n", value.as_str()));
    write_new(file, text.as_bytes())
}

pub(super) fn read_secret(file: &Path, prefix: &str) -> Result<Zeroizing<[u8; 32]>> {
    let text = read_text(file)?;
    let bytes =
        unhex(value(&text, prefix, file)?).map(Zeroizing::new).ok_or_else(|| damaged(file))?;
    let mut secret = Zeroizing::new([0; 32]);
    if bytes.len() != secret.len() {
        return Err(damaged(file));
    }
    secret.copy_from_slice(&bytes);
    Ok(secret)
}

pub(super) fn read_text(file: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    File::open(file)
        .and_then(|open| open.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| Report::io("read the key file", file, &error))?;
    Ok(text)
}

pub(super) fn value<'a>(text: &'a str, prefix: &str, file: &Path) -> Result<&'a str> {
    let kind = prefix.trim_end_matches("-1-");
    text.lines().find_map(|line| line.trim().strip_prefix(prefix)).ok_or_else(|| {
        Report::new(Exit::WrongKey, format!("this file holds no {kind}"))
            .at(file.display().to_string())
            .safe("nothing was changed")
    })
}

pub(super) fn damaged(file: &Path) -> Report {
    Report::new(Exit::WrongKey, "the key file is damaged: characters were lost or changed")
        .at(file.display().to_string())
        .safe("nothing was changed; what the key signed or named stays valid")
        .next("bring back a copy of the file; without one: evenkeel restore --promote")
}
