//! Reading the archives of a base backup: POSIX.1-1988 `ustar` as PostgreSQL writes it.

use std::io::{self, Read};

const BLOCK: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file of this many bytes.
    File(u64),
    /// A folder.
    Folder,
    /// A link, as of a tablespace; laid out anew at a restore.
    Link,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path, relative, without `..`.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// An archive.
#[derive(Debug)]
pub struct Archive<R> {
    source: R,
    /// Bytes of the current file that nobody asked for, and the fill behind it.
    left: u64,
    fill: u64,
}

impl<R: Read> Archive<R> {
    /// Begins to read.
    pub fn new(source: R) -> Self {
        Self { source, left: 0, fill: 0 }
    }

    /// The next entry; none at the end.
    ///
    /// # Errors
    /// `InvalidData` if it is no such archive, or names a path outside; whatever the source says.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let skip = self.left + self.fill;
        let skipped = io::copy(&mut (&mut self.source).take(skip), &mut io::sink())?;
        if skipped != skip {
            return Err(wrong("it ends within a file"));
        }
        (self.left, self.fill) = (0, 0);
        let mut block = [0; BLOCK];
        match self.source.read(&mut block[..1])? {
            // The server leaves out the empty blocks at the end.
            0 => return Ok(None),
            _ => self.source.read_exact(&mut block[1..])?,
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let entry = parse(&block)?;
        if let EntryKind::File(bytes) = entry.kind {
            self.left = bytes;
            self.fill = bytes.next_multiple_of(BLOCK as u64) - bytes;
        }
        Ok(Some(entry))
    }
}

/// The content of the current file.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        let got = self.source.read(&mut into[..most])?;
        if got == 0 {
            return Err(wrong("it ends within a file"));
        }
        self.left -= got as u64;
        Ok(got)
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the archive of a base backup: {what}"))
}

fn parse(block: &[u8; BLOCK]) -> io::Result<Entry> {
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    if octal(&block[148..156]) != Some(sum) {
        return Err(wrong("a header's sum is wrong"));
    }
    let bytes = number(&block[124..136]).ok_or_else(|| wrong("a length is no number"))?;
    if bytes > 1 << 50 {
        return Err(wrong("a length cannot be"));
    }
    let name = block[..100].split(|byte| *byte == 0).next().unwrap_or_default();
    let prefix = block[345..500].split(|byte| *byte == 0).next().unwrap_or_default();
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned);
    let parts = text(prefix).and_then(|prefix| text(name).map(|name| (prefix, name)));
    let (prefix, name) = parts.map_err(|_| wrong("a path is no text"))?;
    let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    let kind = match block[156] {
        b'0' | 0 => EntryKind::File(bytes),
        b'5' => EntryKind::Folder,
        b'1' | b'2' => EntryKind::Link,
        _ => return Err(wrong("an entry is neither file, folder nor link")),
    };
    Ok(Entry { path: relative(&path).ok_or_else(|| wrong("a path leads outside"))?, kind })
}

/// The path without `./` and a final `/`; none if it leads outside.
fn relative(path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// Octal digits, or base 256 for what is longer than 8 GiB.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    let (high, low) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    if first & 0x7f != 0 || high.iter().any(|byte| *byte != 0) {
        return None;
    }
    low.first_chunk::<8>().map(|low| u64::from_be_bytes(*low))
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches(|c| c == ' ' || c == '\0');
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(path: &str, kind: u8, bytes: &str) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..path.len()].copy_from_slice(path.as_bytes());
        block[124..124 + bytes.len()].copy_from_slice(bytes.as_bytes());
        block[156] = kind;
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    #[test]
    fn files_and_folders_come_out_as_they_went_in() {
        let mut bytes = header("./global/", b'5', "0");
        bytes.extend(header("global/pg_control", b'0', "00000000005"));
        bytes.extend(b"hello");
        bytes.extend(vec![0; 507]);
        bytes.extend(header("pg_tblspc/16400", b'2', ""));
        let mut archive = Archive::new(bytes.as_slice());
        let folder = archive.next_entry().unwrap().unwrap();
        assert_eq!(folder, Entry { path: "global".to_owned(), kind: EntryKind::Folder });
        let file = archive.next_entry().unwrap().unwrap();
        assert_eq!(file.kind, EntryKind::File(5));
        let mut content = String::new();
        archive.read_to_string(&mut content).unwrap();
        assert_eq!(content, "hello");
        assert_eq!(archive.next_entry().unwrap().unwrap().kind, EntryKind::Link);
        assert_eq!(archive.next_entry().unwrap(), None);
    }

    #[test]
    fn a_path_that_leads_outside_is_refused() {
        for path in ["/etc/passwd", "../x", "base/../../x"] {
            let bytes = header(path, b'0', "0");
            let refused = Archive::new(bytes.as_slice()).next_entry().unwrap_err();
            assert!(refused.to_string().contains("outside"), "{path}: {refused}");
        }
    }

    #[test]
    fn damage_and_an_early_end_are_errors() {
        let mut bytes = header("PG_VERSION", b'0', "00000000003");
        bytes.extend(b"15");
        let mut archive = Archive::new(bytes.as_slice());
        archive.next_entry().unwrap().unwrap();
        assert!(archive.read_to_end(&mut Vec::new()).is_err());
        bytes[0] ^= 1;
        assert!(Archive::new(bytes.as_slice()).next_entry().is_err());
    }

    #[test]
    fn lengths_beyond_eight_gibibytes_are_read() {
        let mut field = [0; 12];
        field[0] = 0x80;
        field[7] = 3;
        assert_eq!(number(&field), Some(3 << 32));
    }
}
