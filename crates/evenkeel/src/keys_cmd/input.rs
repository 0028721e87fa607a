//! Secrets from files: passphrases, hexadecimal digits, the system's randomness.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use evenkeel_custody::age::Identity;
use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::{Random, RandomError, Secret};
use zeroize::Zeroizing;

use crate::report::{Exit, Report, Result};

/// Nothing that is typed is longer.
const FILE_BYTES_MAX: usize = 1 << 20;

/// The operating system's generator.
pub(super) struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> std::result::Result<(), RandomError> {
        getrandom::fill(bytes).map_err(|error| RandomError(error.to_string()))
    }
}

/// A file's bytes; `-` is standard input.
///
/// They go into one buffer that never grows: growing would leave copies behind.
pub(super) fn read(file: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    read_up_to(file, what, FILE_BYTES_MAX)
}

fn read_up_to(file: &Path, what: &str, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error: std::io::Error| Report::io(&format!("read {what}"), file, &error);
    let mut from: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(file).map_err(failed)?)
    };
    let mut bytes = Zeroizing::new(vec![0; bytes_max]);
    let mut filled = 0;
    loop {
        let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) else {
            return Err(Report::new(
                Exit::Usage,
                format!("{what} is longer than {} MiB", bytes_max >> 20),
            )
            .at(file.display().to_string())
            .safe("nothing was made of it"));
        };
        match from.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The same as text.
pub(super) fn read_text(file: &Path, what: &str) -> Result<Zeroizing<String>> {
    read_text_of(file, what, FILE_BYTES_MAX)
}

/// A text that may be longer than what is typed.
pub(super) fn read_text_of(file: &Path, what: &str, bytes_max: usize) -> Result<Zeroizing<String>> {
    let bytes = read_up_to(file, what, bytes_max)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(error) => {
            let line = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n');
            Err(Report::new(Exit::Usage, format!("{what} is not text (UTF-8)"))
                .at(format!("{}:{}", file.display(), line.count() + 1))
                .safe("nothing was made of it"))
        }
    }
}

/// A passphrase from its file, without its last line end; empty without a file.
pub(super) fn passphrase(file: Option<&Path>) -> Result<Secret> {
    let Some(file) = file else {
        return Ok(Secret::new(Vec::new()));
    };
    let bytes = read(file, "the passphrase")?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Secret::new(line.to_vec()))
}

/// A secret from a file of hexadecimal digits; spaces and line ends between them do not count.
pub(super) fn secret(file: &Path) -> Result<Secret> {
    let text = read_text(file, "the secret")?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2 + 1));
    let mut high: Option<u32> = None;
    for letter in text.chars().filter(|letter| !letter.is_whitespace()) {
        let digit = letter.to_digit(16).ok_or_else(|| not_hexadecimal(file))?;
        high = match high {
            None => Some(digit),
            Some(high) => {
                bytes.push(u8::try_from(high * 16 + digit).unwrap_or_default());
                None
            }
        };
    }
    if high.is_some() {
        return Err(not_hexadecimal(file));
    }
    Ok(Secret::from(bytes))
}

/// A BIP-39 sentence from a file; lines that begin with # do not count.
pub(super) fn sentence(file: &Path) -> Result<Mnemonic> {
    let text = read_text(file, "the sentence")?;
    let mut words = Zeroizing::new(String::with_capacity(text.len() + 1));
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        words.push_str(line);
        words.push(' ');
    }
    Mnemonic::parse(&words).map_err(|error| {
        Report::new(Exit::Usage, error.to_string())
            .at(file.display().to_string())
            .safe("nothing was made of it, and nothing is ever corrected by itself")
    })
}

/// An identity of age: the first line of a file that is one, such as a recovery identity's.
pub(super) fn identity(file: &Path) -> Result<Identity> {
    let text = read_text(file, "the identity")?;
    Identity::parse(&text).map_err(|error| {
        Report::new(Exit::Usage, error.to_string())
            .at(file.display().to_string())
            .safe("nothing was made of it, and nothing is ever corrected by itself")
            .next("give the file with the line AGE-SECRET-KEY-1…; a key in a token is in no file")
    })
}

fn not_hexadecimal(file: &Path) -> Report {
    Report::new(Exit::Usage, "the secret's file holds something else than hexadecimal digits")
        .at(file.display().to_string())
        .safe("nothing was made of it")
        .next("give two digits for each byte: 32 for 128 bits, 64 for 256 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_passphrase_loses_its_last_line_end_and_nothing_else() {
        let read = |content: &[u8]| passphrase(Some(file(content).path())).unwrap();
        assert_eq!(read(b"TREZOR\n").reveal(), b"TREZOR");
        assert_eq!(read(b"TREZOR\r\n").reveal(), b"TREZOR");
        assert_eq!(read(b"TREZOR").reveal(), b"TREZOR");
        assert_eq!(read(b" two words \n\n").reveal(), b" two words \n");
        assert_eq!(passphrase(None).unwrap().reveal(), b"");
    }

    #[test]
    fn a_secret_is_whole_bytes_of_hexadecimal_digits() {
        let read = |content: &[u8]| secret(file(content).path());
        assert_eq!(read(b"00fF 10\n").unwrap().reveal(), [0, 255, 16]);
        assert_eq!(read(b"0").unwrap_err().exit(), Exit::Usage);
        let refused = read(b"secret").unwrap_err();
        assert!(!refused.to_string().contains("secret\n"), "{refused}");
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        let refused = read_text(file(b"one\ntwo \xff").path(), "it").unwrap_err();
        assert!(refused.to_string().contains(":2"), "{refused}");
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let refused = read(Path::new("/dev/zero"), "it").unwrap_err();
        assert!(refused.message().contains("1 MiB"), "{refused}");
    }
}
