//! A power cut for the program under test: see `shim.c`. Builds the shim, and takes back what was
//! never synced.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles the shim into `dir`.
pub fn build(dir: &Path) -> PathBuf {
    build_from("power_loss/shim.c", dir)
}

/// Compiles a library to be preloaded, from a file of the tests.
pub fn build_from(source: &str, dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    let library = dir.join(source.with_extension("so").file_name().expect("a name"));
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
    command.env("LD_PRELOAD", shim).env("EVENKEEL_SHIM_DIR", dir).env("EVENKEEL_SHIM_LOG", log)
}

/// How much a power cut took back.
#[derive(Debug, Default)]
pub struct Cut {
    /// Writes that a sync of their file had made durable.
    pub kept: usize,
    /// Writes taken back.
    pub undone: usize,
    /// New, moved and removed names that no sync of their folder had made durable, taken back; with
    /// what it was: c created, d folder made, r renamed, u removed.
    pub names: Vec<String>,
}

enum Record {
    Write(Undo),
    /// A sync succeeded that had begun with this token.
    Synced(u64),
    Begins(u64),
    Name(Name),
}

struct Undo {
    offset: u64,
    length_before: u64,
    replaced: Vec<u8>,
}

struct Name {
    what: u8,
    path: PathBuf,
    from: PathBuf,
    saved: PathBuf,
}

/// What no sync has made durable yet, by its place in the log and the inode a sync would name.
#[derive(Default)]
struct Pending {
    writes: BTreeMap<u64, Vec<(usize, Undo)>>,
    names: BTreeMap<usize, (u64, Name)>,
    begun: BTreeMap<(u64, u64), usize>,
}

impl Pending {
    fn take(&mut self, at: usize, inode: u64, record: Record, cut: &mut Cut) {
        match record {
            Record::Write(undo) => self.writes.entry(inode).or_default().push((at, undo)),
            Record::Name(name) => {
                self.names.insert(at, (inode, name));
            }
            Record::Begins(token) => {
                self.begun.insert((inode, token), at);
            }
            Record::Synced(token) => {
                let begun = self.begun.remove(&(inode, token)).expect("it had begun");
                if let Some(writes) = self.writes.get_mut(&inode) {
                    let before = writes.len();
                    writes.retain(|(noted, _)| *noted > begun);
                    cut.kept += before - writes.len();
                }
                self.names.retain(|noted, (folder, _)| *noted > begun || *folder != inode);
            }
        }
    }
}

/// Takes back everything below `dir` that no later sync had made durable.
pub fn cut_power(dir: &Path, log: &Path) -> Cut {
    let mut cut = Cut::default();
    let Ok(bytes) = fs::read(log) else {
        // Killed before the shim was loaded: nothing was done either.
        return cut;
    };
    let mut pending = Pending::default();
    let mut rest = bytes.as_slice();
    let mut at = 0;
    while let Some((inode, record, tail)) = parse(rest) {
        pending.take(at, inode, record, &mut cut);
        rest = tail;
        at += 1;
    }
    for (_, (_, name)) in pending.names.into_iter().rev() {
        undo_name(&name);
        let (what, path) = (char::from(name.what), name.path.display());
        cut.names.push(format!("{what} {path}"));
    }
    let mut paths = BTreeMap::new();
    collect(dir, &mut paths);
    for (inode, undos) in pending.writes {
        let Some(path) = paths.get(&inode) else {
            continue;
        };
        let file = File::options().write(true).open(path).expect("the file opens");
        for (_, undo) in undos.iter().rev() {
            file.write_all_at(&undo.replaced, undo.offset).expect("old bytes return");
            file.set_len(undo.length_before).expect("old length returns");
            cut.undone += 1;
        }
    }
    fs::remove_file(log).expect("the undo log was read");
    // What was kept there has its name again, or is gone for good.
    let _ = fs::remove_dir_all(log.with_extension("log.d"));
    cut
}

/// A name that is gone meanwhile, with its folder or by another process, needs no undoing.
fn undo_name(name: &Name) {
    let has_saved = !name.saved.as_os_str().is_empty();
    let _ = match name.what {
        b'c' => fs::remove_file(&name.path),
        b'd' => fs::remove_dir_all(&name.path),
        b'r' => fs::rename(&name.path, &name.from),
        _ => Ok(()),
    };
    if has_saved {
        let _ = fs::hard_link(&name.saved, &name.path);
    }
}

/// The first record of the log; `None` at its end, or where the kill cut a record short.
fn parse(bytes: &[u8]) -> Option<(u64, Record, &[u8])> {
    let number = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let inode = number(1)?;
    match bytes.first()? {
        1 => {
            let count = u32::from_ne_bytes(bytes.get(25..29)?.try_into().ok()?) as usize;
            let undo = Undo {
                offset: number(9)?,
                length_before: number(17)?,
                replaced: bytes.get(29..29 + count)?.to_vec(),
            };
            Some((inode, Record::Write(undo), &bytes[29 + count..]))
        }
        2 => Some((inode, Record::Synced(number(9)?), &bytes[17..])),
        3 => Some((inode, Record::Begins(number(9)?), &bytes[17..])),
        4 => {
            let mut at = 16;
            let mut texts = [0, 1, 2].map(|text| {
                let length = bytes.get(10 + 2 * text..12 + 2 * text)?.try_into().ok()?;
                let length = usize::from(u16::from_ne_bytes(length));
                let found = std::str::from_utf8(bytes.get(at..at + length)?).ok()?;
                at += length;
                Some(PathBuf::from(found))
            });
            let name = Name {
                what: *bytes.get(9)?,
                path: texts[0].take()?,
                from: texts[1].take()?,
                saved: texts[2].take()?,
            };
            Some((inode, Record::Name(name), &bytes[at..]))
        }
        kind => panic!("no record has kind {kind}"),
    }
}

fn collect(dir: &Path, paths: &mut BTreeMap<u64, PathBuf>) {
    for entry in fs::read_dir(dir).expect("the folder lists") {
        let path = entry.expect("the entry reads").path();
        let Ok(status) = fs::symlink_metadata(&path) else {
            continue;
        };
        if status.is_dir() {
            collect(&path, paths);
        } else if status.is_file() {
            paths.insert(status.ino(), path);
        }
    }
}
