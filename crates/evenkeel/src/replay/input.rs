//! Recorded files as blocks of whole lines, whatever they are compressed with.

use super::error::{LineFault, ReplayError};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

/// Bytes of text in one block, about.
const BLOCK_BYTES: usize = 1 << 20;
/// Longest line; a file without line ends would otherwise fill the memory.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Longest signature among those below.
const MAGIC_BYTES: usize = 6;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Plain,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// By its first bytes: RFC 1952, the .xz file format, RFC 8878.
    fn of(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// What the file's name promises, if anything.
    fn promised(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "gz" => Some(Self::Gzip),
            "xz" => Some(Self::Xz),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Opens a recorded file, plain or compressed with gzip, xz or zstd. Its first bytes decide; a name
/// that promises otherwise is an error, since the content would only be garbage.
///
/// # Errors
/// What the system says.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let mut file = File::open(path)?;
    let mut magic = Vec::with_capacity(MAGIC_BYTES);
    (&mut file).take(MAGIC_BYTES as u64).read_to_end(&mut magic)?;
    let found = Compression::of(&magic);
    if let Some(promised) = Compression::promised(path).filter(|promised| *promised != found) {
        let reason = format!("named as {promised:?} but its first bytes say {found:?}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let whole = Cursor::new(magic).chain(file);
    Ok(match found {
        Compression::Plain => Box::new(whole),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        Compression::Xz => Box::new(liblzma::read::XzDecoder::new_multi_decoder(whole)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
    })
}

/// Some whole lines of a file.
#[derive(Debug)]
pub struct Block {
    text: Vec<u8>,
    first_line: u64,
}

impl Block {
    /// Its lines with their numbers, without line ends (`\n` or `\r\n`).
    pub fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        let lines = text.split(|byte| *byte == b'\n');
        (self.first_line..).zip(lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

/// Reads a file block by block.
pub struct Blocks {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    /// Bytes behind the last whole line.
    rest: Vec<u8>,
    next_line: u64,
    ended: bool,
}

impl Blocks {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ReplayError::Input`].
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        let reader = open(path).map_err(|source| ReplayError::input(path, source))?;
        Ok(Self { path: path.to_owned(), reader, rest: Vec::new(), next_line: 1, ended: false })
    }

    /// The next block, `None` at the end. A byte order mark before the first line is dropped.
    ///
    /// # Errors
    /// [`ReplayError::Input`] if the file cannot be read or decompressed to its end, or holds a
    /// line of more than 16 MiB.
    pub fn next_block(&mut self) -> Result<Option<Block>, ReplayError> {
        let mut text = std::mem::take(&mut self.rest);
        while !self.ended {
            let before = text.len();
            let read = (&mut self.reader).take(BLOCK_BYTES as u64).read_to_end(&mut text);
            self.ended = read.map_err(|source| ReplayError::input(&self.path, source))? == 0;
            if let Some(end) = text[before..].iter().rposition(|byte| *byte == b'\n') {
                self.rest = text.split_off(before + end + 1);
                break;
            }
            if text.len() > LINE_BYTES_MAX {
                return Err(self.line_too_long());
            }
        }
        if text.is_empty() {
            return Ok(None);
        }
        let first_line = self.next_line;
        self.next_line += text.iter().filter(|byte| **byte == b'\n').count() as u64;
        if first_line == 1 && text.starts_with(b"\xef\xbb\xbf") {
            text.drain(..3);
        }
        Ok(Some(Block { text, first_line }))
    }

    fn line_too_long(&self) -> ReplayError {
        let fault = LineFault {
            line: self.next_line,
            column: LINE_BYTES_MAX as u64 + 1,
            reason: "no line end within 16 MiB".to_owned(),
        };
        let remedy = "this is not a file of lines; check what it is with `file`";
        ReplayError::WrongFile { path: self.path.clone(), fault, remedy }
    }
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn lines_of(name: &str, bytes: &[u8]) -> Result<Vec<(u64, String)>, ReplayError> {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("write");
        let mut blocks = Blocks::open(&path)?;
        let mut found = Vec::new();
        while let Some(block) = blocks.next_block()? {
            let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
            found.extend(block.lines().map(|(number, line)| (number, text(line))));
        }
        Ok(found)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("compress");
        encoder.finish().expect("compress")
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(text).expect("compress");
        encoder.finish().expect("compress")
    }

    fn zst(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).expect("compress")
    }

    #[test]
    fn every_compression_gives_the_same_numbered_lines() {
        let text = b"one\r\ntwo\n\nfour";
        let expected: Vec<(u64, String)> =
            (1..).zip(["one", "two", "", "four"].map(str::to_owned)).collect();
        for (name, bytes) in [
            ("a.csv", text.to_vec()),
            ("a.csv.gz", gzip(text)),
            ("a.csv.xz", xz(text)),
            ("a.csv.zst", zst(text)),
            ("no-ending", gzip(text)),
        ] {
            assert_eq!(lines_of(name, &bytes).expect(name), expected, "{name}");
        }
    }

    #[test]
    fn lines_keep_their_numbers_across_blocks() {
        let text: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
        let found = lines_of("long", text.as_bytes()).expect("read");
        assert_eq!(found.len(), 300_000);
        assert!(found.iter().all(|(number, text)| *text == number.to_string()));
    }

    #[test]
    fn a_truncated_compressed_file_is_an_error_and_not_a_shorter_file() {
        let text: String = (0..5_000).map(|number| format!("{}\n", number * 7919)).collect();
        for (name, bytes) in [
            ("a.gz", gzip(text.as_bytes())),
            ("a.xz", xz(text.as_bytes())),
            ("a.zst", zst(text.as_bytes())),
        ] {
            let cut = &bytes[..bytes.len() - 5];
            let error = lines_of(name, cut).expect_err(name);
            assert!(matches!(error, ReplayError::Input { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn a_name_that_promises_another_compression_is_refused() {
        let error = lines_of("a.gz", b"plain text\n").expect_err("refused");
        assert!(error.to_string().contains("named as Gzip"), "{error}");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let found = lines_of("a", b"\xef\xbb\xbfone\n").expect("read");
        assert_eq!(found, [(1, "one".to_owned())]);
    }

    #[test]
    fn an_empty_file_has_no_lines() {
        assert_eq!(lines_of("a", b"").expect("read"), []);
    }
}
