//! What happened to a capture, one line each: what no file of the log says by itself.
//!
//! ```text
//!  line = time_ns ␠ kind ␠ timeline ␠ lsn ␠ detail ␠ "#" first 16 hexadecimal digits of
//!         blake3(all before "#")
//! ```
//!
//! A line is durable before the next one is taken. A last line that is cut short does not count; a
//! damaged one before others is an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::{Access, Disk, DiskFile};

use super::error::{Error, Result, io_error};
use super::lsn::{Lsn, Timeline};

const SUM_DIGITS: usize = 16;
const DETAIL_BYTES_MAX: usize = 512;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The log is captured from here on, and nothing before.
    Begun,
    /// Up to here the log was captured; what follows was removed by the server before it came.
    Gap,
    /// The cluster went on with this timeline, which begins here.
    Switched,
    /// From here on, the log of this timeline that we hold is no part of the cluster's history:
    /// the server that goes on never had it.
    Abandoned,
    /// A base backup is whole; from here on it can be used.
    Base,
    /// Our slot was gone and was made anew.
    SlotMade,
    /// Capture was down, or the server could not be reached; detail: since when, nanoseconds.
    Resumed,
    /// Commits did not wait for the sites any more, or do again.
    Degraded,
}

impl Kind {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Begun, "begun"),
        (Self::Gap, "gap"),
        (Self::Switched, "switched"),
        (Self::Abandoned, "abandoned"),
        (Self::Base, "base"),
        (Self::SlotMade, "slot_made"),
        (Self::Resumed, "resumed"),
        (Self::Degraded, "degraded"),
    ];

    /// Its stable name.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// When: nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// What.
    pub kind: Kind,
    /// On which timeline.
    pub timeline: Timeline,
    /// Where.
    pub lsn: Lsn,
    /// More about it; one line.
    pub detail: String,
}

impl Happening {
    fn to_line(&self) -> String {
        let mut detail: String = self.detail.replace(['\n', '\r', '#'], " ");
        while detail.len() > DETAIL_BYTES_MAX {
            detail.pop();
        }
        let Self { time_ns, kind, timeline, lsn, .. } = self;
        let fields = format!("{time_ns} {} {timeline} {lsn} {detail} ", kind.word());
        let sum = blake3::hash(fields.as_bytes()).to_hex();
        format!("{fields}#{}\n", &sum[..SUM_DIGITS])
    }

    fn parse(line: &str) -> Option<Self> {
        let (fields, sum) = line.rsplit_once('#')?;
        if blake3::hash(fields.as_bytes()).to_hex()[..SUM_DIGITS] != *sum {
            return None;
        }
        let mut words = fields.splitn(5, ' ');
        let time_ns = words.next()?.parse().ok()?;
        let word = words.next()?;
        let kind = Kind::ALL.iter().find(|(_, known)| *known == word)?.0;
        let (timeline, lsn) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let detail = words.next()?.trim_end().to_owned();
        Some(Self { time_ns, kind, timeline, lsn, detail })
    }
}

/// Reads the lines of a file.
///
/// # Errors
/// [`Error::Damaged`] if a line before others is not what was written.
pub fn parse(bytes: &[u8], path: &Path) -> Result<(Vec<Happening>, u64)> {
    let mut happenings = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).ok().and_then(Happening::parse);
        let Some(line) = line else {
            // Only the last line may have been cut short.
            if rest[end + 1..].contains(&b'\n') {
                let detail = format!("line {} is not what was written", happenings.len() + 1);
                return Err(Error::Damaged { path: path.to_path_buf(), detail });
            }
            break;
        };
        happenings.push(line);
        rest = &rest[end + 1..];
    }
    Ok((happenings, (bytes.len() - rest.len()) as u64))
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    end: u64,
    pub(super) happenings: Vec<Happening>,
}

impl Journal {
    pub(super) fn open(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Self> {
        let path = folder.join(super::store::EVENTS);
        let file = match disk.open(&path, Access::ReadWrite) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = disk.create(&path).map_err(io_error("create", &path))?;
                disk.sync_dir(folder).map_err(io_error("sync", folder))?;
                file
            }
            opened => opened.map_err(io_error("open", &path))?,
        };
        let bytes = super::store::read_all(file.as_ref(), &path)?;
        let (happenings, end) = parse(&bytes, &path)?;
        Ok(Self { file, path, end, happenings })
    }

    pub(super) fn append(&mut self, happening: Happening) -> Result<()> {
        let line = happening.to_line();
        let written = self.file.write_all_at(line.as_bytes(), self.end);
        written.and_then(|()| self.file.sync_all()).map_err(io_error("write", &self.path))?;
        self.end += line.len() as u64;
        self.happenings.push(happening);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(lsn: u64, detail: &str) -> Happening {
        let detail = detail.to_owned();
        Happening { time_ns: 5, kind: Kind::Gap, timeline: 2, lsn: Lsn(lsn), detail }
    }

    #[test]
    fn lines_read_back_and_a_torn_last_one_does_not_count() {
        let (one, two) = (line(1, "removed by the server"), line(2, ""));
        let mut bytes = (one.to_line() + &two.to_line()).into_bytes();
        let whole = bytes.len() as u64;
        bytes.extend_from_slice(&line(3, "x").to_line().as_bytes()[..20]);
        let (read, end) = parse(&bytes, Path::new("events")).unwrap();
        assert_eq!((read, end), (vec![one, two], whole));
    }

    #[test]
    fn a_damaged_line_before_others_is_an_error() {
        let mut bytes = (line(1, "a").to_line() + &line(2, "b").to_line()).into_bytes();
        bytes.extend_from_slice(line(3, "c").to_line().as_bytes());
        bytes[3] ^= 1;
        assert!(matches!(parse(&bytes, Path::new("x")), Err(Error::Damaged { .. })));
    }
}
