//! A power cut for the program under test: see `shim.c`. Builds the shim, and takes back what was
//! never synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles the shim into `dir`.
pub fn build(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power_loss/shim.c");
    let library = dir.join("power_loss.so");
    let status = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()
        .expect("cc runs; it comes with every Rust toolchain's linker");
    assert!(status.success(), "the shim compiles");
    library
}

/// Makes `command` write below `dir` through the shim, with its undo log at `log`.
pub fn preload<'a>(
    command: &'a mut Command,
    shim: &Path,
    dir: &Path,
    log: &Path,
) -> &'a mut Command {
    let dir = fs::canonicalize(dir).expect("the folder exists");
    command
        .env("LD_PRELOAD", shim)
        .env("EVENKEEL_SHIM_DIR", dir)
        .env("EVENKEEL_SHIM_LOG", log)
}

/// How much a power cut took back.
#[derive(Debug, Default)]
pub struct Cut {
    /// Writes that a sync had made durable.
    pub kept: usize,
    /// Writes taken back.
    pub undone: usize,
}

struct Undo {
    offset: u64,
    length_before: u64,
    replaced: Vec<u8>,
}

/// Takes back every write below `dir` that no later sync of its file had made durable.
pub fn cut_power(dir: &Path, log: &Path) -> Cut {
    let bytes = fs::read(log).expect("the undo log exists");
    let mut pending: BTreeMap<u64, Vec<Undo>> = BTreeMap::new();
    let mut cut = Cut::default();
    let mut rest = bytes.as_slice();
    while let Some((kind, inode, undo, tail)) = parse(rest) {
        rest = tail;
        match undo {
            Some(undo) if kind == 1 => pending.entry(inode).or_default().push(undo),
            _ => cut.kept += pending.remove(&inode).map_or(0, |writes| writes.len()),
        }
    }
    let mut paths = BTreeMap::new();
    collect(dir, &mut paths, &mut BTreeSet::new());
    for (inode, undos) in pending {
        let Some(path) = paths.get(&inode) else {
            continue;
        };
        let file = File::options()
            .write(true)
            .open(path)
            .expect("the file opens");
        for undo in undos.iter().rev() {
            file.write_all_at(&undo.replaced, undo.offset)
                .expect("old bytes return");
            file.set_len(
                undo.length_before
                    .max(undo.offset + undo.replaced.len() as u64),
            )
            .expect("old length returns");
            cut.undone += 1;
        }
    }
    fs::remove_file(log).expect("the undo log was read");
    cut
}

type Parsed<'a> = (u8, u64, Option<Undo>, &'a [u8]);

/// The first record of the log; `None` at its end, or where the kill cut a record short.
fn parse(bytes: &[u8]) -> Option<Parsed<'_>> {
    let number = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let kind = *bytes.first()?;
    let inode = number(1)?;
    if kind == 2 {
        return Some((kind, inode, None, &bytes[9..]));
    }
    let count = u32::from_ne_bytes(bytes.get(25..29)?.try_into().ok()?) as usize;
    let replaced = bytes.get(29..29 + count)?.to_vec();
    let undo = Undo {
        offset: number(9)?,
        length_before: number(17)?,
        replaced,
    };
    Some((kind, inode, Some(undo), &bytes[29 + count..]))
}

fn collect(dir: &Path, paths: &mut BTreeMap<u64, PathBuf>, seen: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the folder lists") {
        let path = entry.expect("the entry reads").path();
        let Ok(status) = fs::symlink_metadata(&path) else {
            continue;
        };
        if status.is_dir() && seen.insert(path.clone()) {
            collect(&path, paths, seen);
        } else if status.is_file() {
            paths.insert(status.ino(), path);
        }
    }
}
