//! Positions in PostgreSQL's write-ahead log (WAL), and the names of its segment files.

use std::fmt;
use std::str::FromStr;

/// Numbers a history of a cluster: it grows by at least one whenever a server is promoted.
pub type Timeline = u32;

/// A position in the log: bytes since the cluster was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The beginning of the segment that holds this position.
    #[must_use]
    pub fn segment_start(self, segment_bytes: u64) -> Self {
        Self(self.0 - self.0 % segment_bytes.max(1))
    }

    /// Number of the segment that holds this position.
    #[must_use]
    pub fn segment(self, segment_bytes: u64) -> u64 {
        self.0 / segment_bytes.max(1)
    }

    /// This many bytes further.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |half: &str| {
            let digits =
                (1..=8).contains(&half.len()) && half.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u64::from_str_radix(half, 16).ok()).flatten()
        };
        let found = text.split_once('/').and_then(|(high, low)| Some((part(high)?, part(low)?)));
        found
            .map(|(high, low)| Self(high << 32 | low))
            .ok_or_else(|| format!("`{text}` is no position such as 0/3000148"))
    }
}

/// Name of a segment file, as PostgreSQL calls it.
#[must_use]
pub fn segment_name(timeline: Timeline, segment: u64, segment_bytes: u64) -> String {
    let per_id = 0x1_0000_0000 / segment_bytes.max(1);
    format!("{timeline:08X}{:08X}{:08X}", segment / per_id.max(1), segment % per_id.max(1))
}

/// Timeline and number in a segment's name; none if it is something else.
#[must_use]
pub fn parse_segment_name(name: &str, segment_bytes: u64) -> Option<(Timeline, u64)> {
    if name.len() != 24 || !name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')) {
        return None;
    }
    let part = |at: usize| u32::from_str_radix(name.get(at..at + 8)?, 16).ok();
    let per_id = 0x1_0000_0000 / segment_bytes.max(1);
    let (high, low) = (u64::from(part(8)?), u64::from(part(16)?));
    (low < per_id).then_some((part(0)?, high * per_id + low))
}

/// Name of a timeline's history file.
#[must_use]
pub fn history_name(timeline: Timeline) -> String {
    format!("{timeline:08X}.history")
}

/// One step of a cluster's history: up to `until`, the log is of `timeline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// The timeline that ended.
    pub timeline: Timeline,
    /// Where.
    pub until: Lsn,
}

/// Reads a history file: the timelines before, oldest first.
///
/// # Errors
/// A line that is none of such a file.
pub fn parse_history(text: &str) -> Result<Vec<Switch>, String> {
    let mut switches: Vec<Switch> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        let timeline = words.next().and_then(|word| word.parse().ok());
        let until = words.next().and_then(|word| word.parse().ok());
        let (Some(timeline), Some(until)) = (timeline, until) else {
            return Err(format!("a history of timelines has the line `{line}`"));
        };
        if switches.last().is_some_and(|last| last.timeline >= timeline) {
            return Err(format!("a history of timelines goes back at `{line}`"));
        }
        switches.push(Switch { timeline, until });
    }
    Ok(switches)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB16: u64 = 16 << 20;

    #[test]
    fn a_position_is_read_as_postgresql_shows_it() {
        let lsn: Lsn = "16/B374D848".parse().unwrap();
        assert_eq!(lsn, Lsn(0x16_B374_D848));
        assert_eq!(lsn.to_string(), "16/B374D848");
        for wrong in ["", "16", "16/", "/1", "1/2/3", "x/1", "1/123456789", "+1/2"] {
            assert!(wrong.parse::<Lsn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn segments_are_named_as_postgresql_names_them() {
        let lsn = Lsn(0x16_B374_D848);
        let name = segment_name(3, lsn.segment(MIB16), MIB16);
        assert_eq!(name, "0000000300000016000000B3");
        assert_eq!(parse_segment_name(&name, MIB16), Some((3, lsn.segment(MIB16))));
        assert_eq!(lsn.segment_start(MIB16), Lsn(0x16_B300_0000));
        assert_eq!(parse_segment_name("000000030000001600000100", MIB16), None, "too far");
        assert_eq!(parse_segment_name("00000003.history", MIB16), None);
    }

    #[test]
    fn a_history_file_is_read_and_one_that_goes_back_is_refused() {
        let text = "1\t0/3000148\tno recovery target specified\n\n2\t0/5000000\tbefore x\n";
        let switches = parse_history(text).unwrap();
        assert_eq!(switches.len(), 2);
        assert_eq!(switches[1], Switch { timeline: 2, until: Lsn(0x500_0000) });
        assert!(parse_history("2\t0/1\n1\t0/2\n").is_err());
        assert!(parse_history("hello").is_err());
    }
}
