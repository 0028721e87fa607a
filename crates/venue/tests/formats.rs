//! Released formats against files written when they were fixed: entries of rules 1 and 2, snapshots
//! of versions 1 and 2, in `tests/fixtures`.
//!
//! A released format never changes, and neither do the rules: if a test here fails, what was
//! changed needs a new version beside the old one, and files of its own. Only those are made with
//! `EVENKEEL_GOLDEN=write cargo test -p evenkeel-venue --test formats`.
#![allow(missing_docs, reason = "tests")]

mod common;
#[path = "common/margin_history.rs"]
mod margin_history;

use common::hex;
use common::history::History;
use evenkeel_types::codec::{Reader, Writer};
use evenkeel_types::{Canonical, Entry};
use evenkeel_venue::Engine;
use margin_history::{MarginHistory, Seeded};
use std::path::{Path, PathBuf};

/// What was released: name, version of the snapshot, rules at the end.
const RELEASED: [(&str, u8, u32); 2] = [("rules-1", 1, 1), ("rules-2", 2, 2)];

fn file(name: &str, ending: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(format!("{name}.{ending}"))
}

fn read(name: &str, ending: &str) -> Vec<u8> {
    let path = file(name, ending);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Entries, each behind its length.
fn entries(name: &str) -> Vec<Entry> {
    let bytes = read(name, "entries");
    let mut reader = Reader::new(&bytes);
    let mut entries = Vec::new();
    while reader.remaining() > 0 {
        let entry = reader.bytes(Entry::MAX_BYTES).expect("an entry behind its length");
        let decoded = Entry::from_bytes(entry).expect("an entry of a released format");
        assert_eq!(decoded.to_bytes(), entry, "one encoding each");
        entries.push(decoded);
    }
    entries
}

/// Position of the fixture's snapshot: in the middle.
fn cut(entries: &[Entry]) -> usize {
    entries.len() / 2
}

fn figures(engine: &Engine, count: usize) -> String {
    let (root, digest) = (hex(&engine.state_root()), hex(&engine.output_digest()));
    format!("{count} entries\nstate root    {root}\noutput digest {digest}\n")
}

fn apply_all(engine: &mut Engine, entries: &[Entry]) -> usize {
    let mut events = Vec::new();
    entries.iter().for_each(|entry| engine.apply(entry, &mut events));
    events.len()
}

fn make(name: &str) -> Vec<Entry> {
    let (mut engine, mut entries, mut events) = (Engine::new(), Vec::new(), Vec::new());
    let (mut plain, mut margin) = (History::new(41), MarginHistory::new(Seeded(43)));
    for _ in 0..900 {
        let entry = match name {
            "rules-1" => plain.next_entry(),
            _ => margin.next_entry().expect("a seed never ends"),
        };
        events.clear();
        engine.apply(&entry, &mut events);
        plain.observe(&events);
        margin.hear(&events);
        entries.push(entry);
    }
    entries
}

fn write(name: &str) {
    let entries = make(name);
    let mut writer = Writer::new();
    entries.iter().for_each(|entry| writer.bytes(&entry.to_bytes()));
    let mut engine = Engine::new();
    apply_all(&mut engine, &entries[..cut(&entries)]);
    let (middle, snapshot) = (figures(&engine, cut(&entries)), engine.snapshot());
    apply_all(&mut engine, &entries[cut(&entries)..]);
    let text = middle + &figures(&engine, entries.len());
    std::fs::create_dir_all(file(name, "").parent().expect("a folder")).expect("a folder");
    for (ending, bytes) in
        [("entries", writer.as_bytes()), ("snapshot", &snapshot), ("txt", text.as_bytes())]
    {
        std::fs::write(file(name, ending), bytes).expect("a writable folder");
    }
}

/// Makes what is not there yet, when asked to; what is there is never written over.
#[expect(clippy::disallowed_methods, reason = "a person asks for new fixtures by it")]
fn prepare(name: &str) {
    let is_write = std::env::var("EVENKEEL_GOLDEN").is_ok_and(|text| text == "write");
    if is_write && !file(name, "txt").exists() {
        write(name);
    }
}

#[test]
fn entries_of_every_released_rules_lead_to_their_released_roots() {
    for (name, version, rules) in RELEASED {
        prepare(name);
        let entries = entries(name);
        let mut engine = Engine::new();
        let mut events = apply_all(&mut engine, &entries[..cut(&entries)]);
        let middle = figures(&engine, cut(&entries));
        let snapshot = engine.snapshot();
        assert!(snapshot == read(name, "snapshot"), "{name}: the snapshot has other bytes");
        assert_eq!(snapshot[evenkeel_venue::MAGIC.len()], version, "{name}");
        events += apply_all(&mut engine, &entries[cut(&entries)..]);
        let found = middle + &figures(&engine, entries.len());
        assert_eq!(found.as_bytes(), read(name, "txt"), "{name}: {found}");
        assert_eq!(engine.rules(), rules, "{name}");
        assert!(events > entries.len(), "{name}: more happens than is asked for");
    }
}

#[test]
fn snapshots_of_every_released_version_go_on_to_the_released_roots() {
    for (name, _, rules) in RELEASED {
        prepare(name);
        let entries = entries(name);
        let snapshot = read(name, "snapshot");
        let mut engine = Engine::from_snapshot(&snapshot).expect("a released version");
        assert!(engine.snapshot() == snapshot, "{name}: written again, the same bytes");
        let middle = figures(&engine, cut(&entries));
        apply_all(&mut engine, &entries[cut(&entries)..]);
        let found = middle + &figures(&engine, entries.len());
        assert_eq!(found.as_bytes(), read(name, "txt"), "{name}: {found}");
        assert_eq!(engine.rules(), rules, "{name}");
    }
}

#[test]
fn every_flipped_bit_of_a_released_snapshot_is_refused_or_changes_the_root() {
    for (name, _, _) in RELEASED {
        prepare(name);
        let snapshot = read(name, "snapshot");
        let right = Engine::from_snapshot(&snapshot).expect("a released version").state_root();
        for bit in (0..snapshot.len() * 8).step_by(97) {
            let mut flipped = snapshot.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let differs = Engine::from_snapshot(&flipped).map(|other| other.state_root() != right);
            assert!(differs.unwrap_or(true), "{name}: bit {bit} went unnoticed");
        }
    }
}
