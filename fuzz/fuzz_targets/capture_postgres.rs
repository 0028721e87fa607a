//! What comes from a PostgreSQL server, or from a site that holds what came: records of its log,
//! archives, histories, and our own lines beside them.
#![no_main]

use std::io::Read as _;
use std::path::Path;

use evenkeel_capture::postgres::{
    Address, Archive, Cluster, Lsn, Position, Records, Segments, Timeline, parse_history,
    parse_segment_name, segment_name,
};

const SEGMENT_BYTES: u64 = 1 << 20;

struct Bytes<'a>(&'a [u8]);

impl Segments for Bytes<'_> {
    fn segment(&mut self, number: u64) -> Option<(Timeline, Vec<u8>)> {
        (number == 1).then(|| (1, self.0.to_vec()))
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut segments = Bytes(bytes);
    let begin = Lsn(SEGMENT_BYTES + 40);
    let mut before = begin;
    for record in Records::at(&mut segments, SEGMENT_BYTES, begin) {
        assert!(record.start >= before && record.end > record.start);
        before = record.end;
    }
    if let Some(records) = Records::of_segment(&mut segments, SEGMENT_BYTES, 1) {
        records.for_each(drop);
    }
    let mut archive = Archive::new(bytes);
    while let Ok(Some(entry)) = archive.next_entry() {
        assert!(!entry.path.starts_with('/') && !entry.path.split('/').any(|part| part == ".."));
        // Neither the length nor an early end may be more than there is.
        let mut content = Vec::new();
        let _ = archive.read_to_end(&mut content);
        assert!(content.len() <= bytes.len());
    }
    let text = String::from_utf8_lossy(bytes);
    if let Ok(switches) = parse_history(&text) {
        assert!(switches.is_sorted_by_key(|switch| switch.timeline));
    }
    if let Some((timeline, number)) = parse_segment_name(&text, SEGMENT_BYTES) {
        assert_eq!(segment_name(timeline, number, SEGMENT_BYTES), text);
    }
    let _ = Position::parse(&text);
    let _ = Cluster::parse(&text, Path::new("cluster"));
    let _ = text.parse::<Address>();
});
