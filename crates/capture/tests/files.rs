//! Files and folders taken into a store and brought back.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use evenkeel_capture::files::{
    Change, Contents, Counts, Error, Globs, GroupId, Known, Moment, NoteKind, Root, Selection,
    Store, Stored, Taken, Tree, compare, extract, list, select, take,
};
use evenkeel_types::Canonical as _;
use rusqlite::Connection;

/// Contents by name; what it says of one is its hash.
#[derive(Default)]
struct Shelf {
    contents: BTreeMap<String, Vec<u8>>,
    reads: usize,
}

impl Store for Shelf {
    type Error = io::Error;

    fn again(&mut self, name: &str, sealed: &[u8]) -> io::Result<bool> {
        let held = self.contents.get(name);
        Ok(held.is_some_and(|held| blake3::hash(held).as_bytes() == sealed))
    }

    fn read(&mut self, name: &str, source: &mut dyn Read) -> io::Result<Stored> {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        self.reads += 1;
        let hash = *blake3::hash(&bytes).as_bytes();
        self.contents.insert(name.to_owned(), bytes);
        Ok(Stored { sealed: hash.to_vec(), hash })
    }
}

impl Contents for Shelf {
    fn write(&mut self, group: GroupId, into: &mut dyn Write) -> io::Result<()> {
        let bytes = self.contents.get(&group.to_string());
        let bytes = bytes.ok_or_else(|| io::Error::other("no such group"))?;
        // In pieces of an odd size, so that files end in the middle of them.
        bytes.chunks(777).try_for_each(|piece| into.write_all(piece))
    }
}

struct Desk {
    folder: tempfile::TempDir,
    shelf: Shelf,
    known: Known,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::create_dir(folder.path().join("scratch")).unwrap();
        Self { folder, shelf: Shelf::default(), known: Known::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Takes `data`, as if a minute had passed since it was written.
    fn take_later(&mut self) -> Taken {
        self.take(&["data"], &[], Duration::from_secs(60))
    }

    fn take(&mut self, paths: &[&str], excludes: &[&str], later: Duration) -> Taken {
        let roots =
            paths.iter().map(|path| Root::new(Path::new(path), self.folder.path()).unwrap());
        let selection = Selection {
            roots: roots.collect(),
            excludes: Globs::new(excludes).unwrap(),
            own: vec![self.path("data/own")],
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + later;
        let time_ns = u64::try_from(now.as_nanos()).unwrap();
        let moment = Moment { time_ns, tag: "test".to_owned() };
        let scratch = self.path("scratch");
        let listing = list(selection).unwrap();
        let known = std::mem::take(&mut self.known);
        let taken = take(listing, &known, moment, &scratch, &mut self.shelf, &mut |_| {}).unwrap();
        self.known = taken.known.clone();
        taken
    }

    fn restore(&mut self, tree: &Tree, to: &str) -> Result<(), Error> {
        let selected = select(tree, &[], Path::new("/")).unwrap();
        let to = self.path(to);
        extract(tree, &selected, &to, &|_| 0, &mut self.shelf).map(drop)
    }
}

/// Everything about a folder that a restore has to bring back.
fn look(folder: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            b"folder".to_vec()
        } else if meta.is_symlink() {
            fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
        } else {
            fs::read(&path).unwrap()
        };
        let name = path.strip_prefix(folder).unwrap().to_path_buf();
        // A folder that a test makes its own way into has times of its own.
        found.insert(name, (meta.mode(), meta.mtime(), meta.mtime_nsec(), content));
    }
    found
}

fn bytes(count: usize, seed: u8) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[seed]);
    let mut bytes = vec![0; count];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn contents_modes_times_and_links_come_back_as_they_were() {
    let mut desk = Desk::new();
    desk.write("orders.log", bytes(300_000, 1));
    desk.write("empty", b"");
    desk.write("deep/er/small", b"a few bytes");
    desk.write("run.sh", b"#!/bin/sh\n");
    let data = desk.path("data");
    fs::create_dir(data.join("nothing in it")).unwrap();
    fs::set_permissions(data.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(data.join("deep"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("../nowhere", data.join("dangling")).unwrap();
    symlink("/etc", data.join("outside")).unwrap();
    fs::hard_link(data.join("orders.log"), data.join("deep/orders-again.log")).unwrap();
    let old = UNIX_EPOCH + Duration::new(981_173_106, 123_456_789);
    let file = fs::File::options().write(true).open(data.join("run.sh")).unwrap();
    file.set_times(fs::FileTimes::new().set_modified(old)).unwrap();
    let before = look(&data);
    let taken = desk.take_later();
    assert_eq!(taken.tree.notes, []);
    assert_eq!(taken.counts.new, 4);
    desk.restore(&taken.tree, "back").unwrap();
    assert_eq!(look(&desk.path("back/data")), before);
    let one = fs::metadata(desk.path("back/data/orders.log")).unwrap();
    let other = fs::metadata(desk.path("back/data/deep/orders-again.log")).unwrap();
    assert_eq!(one.ino(), other.ino(), "two names of one file stay that");
}

#[test]
fn what_was_not_touched_is_not_read_again() {
    let mut desk = Desk::new();
    for number in 0..500 {
        desk.write(&format!("{}/{number}", number % 7), format!("file {number}"));
    }
    desk.write("large", bytes(200_000, 2));
    let first = desk.take_later();
    assert_eq!(
        first.counts,
        Counts { new: 501, bytes_read: first.counts.bytes_read, ..Counts::default() }
    );
    let reads = std::mem::take(&mut desk.shelf.reads);
    let second = desk.take_later();
    assert_eq!(desk.shelf.reads, 0, "of {reads} groups");
    assert_eq!(second.counts, Counts { unchanged: 501, ..Counts::default() });
    assert_eq!(second.tree.entries, first.tree.entries);
    desk.write("3/3", "file 3, changed");
    let third = desk.take_later();
    assert_eq!(desk.shelf.reads, 1);
    assert_eq!((third.counts.changed, third.counts.unchanged), (1, 500));
    let differences = compare(&first.tree, &third.tree);
    assert_eq!(differences.len(), 1);
    assert_eq!((differences[0].change, differences[0].path), (Change::Content, &b"data/3/3"[..]));
    desk.restore(&third.tree, "back").unwrap();
    assert_eq!(look(&desk.path("back/data")), look(&desk.path("data")));
}

#[test]
fn a_file_changed_just_before_it_was_read_is_read_again_even_if_its_times_are_the_same() {
    let mut desk = Desk::new();
    desk.write("a", "one");
    let first = desk.take(&["data"], &[], Duration::ZERO);
    desk.shelf.reads = 0;
    let second = desk.take(&["data"], &[], Duration::ZERO);
    assert_eq!((desk.shelf.reads, second.counts.unchanged), (1, 1));
    assert_eq!(first.tree.entries, second.tree.entries);
}

#[test]
fn a_store_that_forgot_has_everything_read_again() {
    let mut desk = Desk::new();
    desk.write("a", "one");
    desk.write("b", bytes(100_000, 3));
    desk.take_later();
    desk.shelf = Shelf::default();
    let again = desk.take_later();
    assert_eq!((desk.shelf.reads, again.counts.unchanged), (2, 2));
    desk.restore(&again.tree, "back").unwrap();
}

#[test]
fn odd_names_come_back_byte_for_byte() {
    let mut desk = Desk::new();
    let names: [&[u8]; 8] = [
        b"-rf",
        b"a\nb",
        b" ",
        b"\xff\xfe",
        b"quote'\"",
        b"back\\slash",
        b"*",
        "\u{202e}x".as_bytes(),
    ];
    for name in names {
        let path = desk.path("data").join(OsStr::from_bytes(name));
        fs::write(path, name).unwrap();
    }
    let before = look(&desk.path("data"));
    let taken = desk.take_later();
    let tree = Tree::from_bytes(&taken.tree.to_bytes()).unwrap();
    desk.restore(&tree, "back").unwrap();
    assert_eq!(look(&desk.path("back/data")), before);
    assert_eq!(before.len(), 9);
}

#[test]
fn patterns_and_what_is_our_own_are_left_out_and_special_files_are_named() {
    let mut desk = Desk::new();
    for name in ["keep", "a.log", "cache/x", "own/key", "own/deep/er"] {
        desk.write(name, name);
    }
    let pipe = desk.path("data/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let taken = desk.take(&["data"], &["*.log", "cache/"], Duration::ZERO);
    let paths: Vec<String> =
        taken.tree.entries.iter().map(|one| String::from_utf8_lossy(&one.path).into()).collect();
    assert_eq!(paths, ["data", "data/keep"]);
    let notes: Vec<(NoteKind, &[u8])> =
        taken.tree.notes.iter().map(|note| (note.kind, note.path.as_slice())).collect();
    assert_eq!(notes, [(NoteKind::Own, &b"data/own"[..]), (NoteKind::Special, b"data/pipe")]);
}

#[test]
fn a_link_is_followed_where_it_was_named_and_nowhere_else() {
    let mut desk = Desk::new();
    desk.write("real/x", "x");
    symlink("data/real", desk.path("named")).unwrap();
    symlink("real", desk.path("data/inner")).unwrap();
    let taken = desk.take(&["named", "data/inner"], &[], Duration::ZERO);
    assert!(taken.tree.find(b"named/x").is_some());
    assert!(taken.tree.find(b"data/inner/x").is_some());
    let whole = desk.take(&["data"], &[], Duration::ZERO);
    assert!(whole.tree.find(b"data/inner").is_some() && whole.tree.find(b"data/inner/x").is_none());
    let both = ["data", "data/inner/x"].map(|path| Root::new(Path::new(path), desk.folder.path()));
    let roots = both.into_iter().map(Result::unwrap).collect();
    let refused = list(Selection { roots, ..Selection::default() }).unwrap_err();
    assert!(matches!(refused, Error::ThroughLink { .. }), "{refused}");
}

#[test]
fn a_path_that_is_not_there_is_named_and_the_others_are_taken() {
    let mut desk = Desk::new();
    desk.write("a", "one");
    let taken = desk.take(&["data", "absent"], &[], Duration::ZERO);
    assert!(taken.tree.find(b"data/a").is_some());
    assert_eq!(taken.tree.notes[0].path, b"absent");
    assert!(taken.tree.notes[0].kind.is_partial());
    let roots = vec![Root::new(Path::new("absent"), desk.folder.path()).unwrap()];
    let refused = list(Selection { roots, ..Selection::default() }).unwrap_err();
    assert!(matches!(refused, Error::NothingThere { .. }));
}

#[test]
fn a_restore_refuses_a_folder_that_is_not_empty_and_a_content_that_is_not_right() {
    let mut desk = Desk::new();
    desk.write("a", "what it was");
    let taken = desk.take_later();
    assert!(matches!(desk.restore(&taken.tree, "data"), Err(Error::NotEmpty { .. })));
    for content in desk.shelf.contents.values_mut() {
        content[3] ^= 1;
    }
    assert!(matches!(desk.restore(&taken.tree, "wrong"), Err(Error::Mismatch { .. })));
    for content in desk.shelf.contents.values_mut() {
        content.truncate(3);
    }
    assert!(matches!(desk.restore(&taken.tree, "short"), Err(Error::Mismatch { .. })));
    desk.shelf.contents.clear();
    assert!(matches!(desk.restore(&taken.tree, "gone"), Err(Error::Content { .. })));
}

#[test]
fn single_paths_come_back_and_an_unknown_one_names_the_nearest() {
    let mut desk = Desk::new();
    for name in ["orders/a.csv", "orders/b.csv", "prices/a.csv"] {
        desk.write(name, name);
    }
    let data = desk.path("data");
    fs::hard_link(data.join("orders/a.csv"), data.join("prices/again.csv")).unwrap();
    let tree = desk.take_later().tree;
    let base = Path::new("/");
    let only = [PathBuf::from("data/prices/again.csv"), "./data//orders/b.csv".into()];
    let selected = select(&tree, &only, base).unwrap();
    let back = desk.path("back");
    extract(&tree, &selected, &back, &|_| 0, &mut desk.shelf).unwrap();
    assert_eq!(fs::read(back.join("data/prices/again.csv")).unwrap(), b"orders/a.csv");
    assert_eq!(fs::read(back.join("data/orders/b.csv")).unwrap(), b"orders/b.csv");
    assert!(!back.join("data/orders/a.csv").exists());
    let folder = select(&tree, &["data/orders".into()], base).unwrap();
    assert_eq!(folder.len(), 3);
    let unknown = select(&tree, &["data/orders/c.csv".into()], base).unwrap_err();
    assert!(unknown.to_string().contains("data/orders/a.csv"), "{unknown}");
    assert!(select(&tree, &["data/ord".into()], base).is_err(), "part of a name is no path");
}

/// A reader that changes a file once something of it was read.
struct Meddler<'a> {
    shelf: &'a mut Shelf,
    meddle: Option<Box<dyn FnOnce()>>,
}

impl Store for Meddler<'_> {
    type Error = io::Error;

    fn again(&mut self, name: &str, sealed: &[u8]) -> io::Result<bool> {
        self.shelf.again(name, sealed)
    }

    fn read(&mut self, name: &str, source: &mut dyn Read) -> io::Result<Stored> {
        let mut begin = vec![0; 1_000];
        let count = source.read(&mut begin)?;
        begin.truncate(count);
        if let Some(meddle) = self.meddle.take() {
            meddle();
        }
        self.shelf.read(name, &mut begin.chain(source))
    }
}

/// Takes `data/file` of 100,000 bytes while `meddle` happens to it.
fn take_meddled(meddle: impl FnOnce(PathBuf) + 'static) -> (Desk, Taken) {
    let mut desk = Desk::new();
    desk.write("file", bytes(100_000, 4));
    let file = desk.path("data/file");
    let roots = vec![Root::new(Path::new("data"), desk.folder.path()).unwrap()];
    let listing = list(Selection { roots, ..Selection::default() }).unwrap();
    let scratch = desk.path("scratch");
    let mut store = Meddler { shelf: &mut desk.shelf, meddle: Some(Box::new(|| meddle(file))) };
    let known = Known::default();
    let taken =
        take(listing, &known, Moment::default(), &scratch, &mut store, &mut |_| {}).unwrap();
    (desk, taken)
}

trait Chained {
    fn chain<'a>(self, rest: &'a mut dyn Read) -> Box<dyn Read + 'a>;
}

impl Chained for Vec<u8> {
    fn chain<'a>(self, rest: &'a mut dyn Read) -> Box<dyn Read + 'a> {
        Box::new(Read::chain(io::Cursor::new(self), rest))
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_taken_as_long_as_it_was_and_the_point_says_so() {
    let (mut desk, taken) = take_meddled(|file| {
        let mut open = fs::File::options().append(true).open(file).unwrap();
        open.write_all(&[7; 50_000]).unwrap();
    });
    assert_eq!(taken.tree.notes[0].kind, NoteKind::ChangedWhileRead);
    desk.restore(&taken.tree, "back").unwrap();
    assert_eq!(fs::read(desk.path("back/data/file")).unwrap(), bytes(100_000, 4));
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_taken_as_far_as_it_went_and_the_point_says_so() {
    let (mut desk, taken) = take_meddled(|file| {
        fs::File::options().write(true).open(file).unwrap().set_len(5_000).unwrap();
    });
    assert_eq!(taken.tree.notes[0].kind, NoteKind::ChangedWhileRead);
    desk.restore(&taken.tree, "back").unwrap();
    let back = fs::read(desk.path("back/data/file")).unwrap();
    assert_eq!(back, bytes(100_000, 4)[..back.len()]);
    assert!((1_000..100_000).contains(&back.len()), "{}", back.len());
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_taken_whole_as_it_was() {
    let (mut desk, taken) = take_meddled(|file| {
        fs::write(file.with_extension("new"), b"another").unwrap();
        fs::rename(file.with_extension("new"), file).unwrap();
    });
    assert_eq!(taken.tree.notes, []);
    desk.restore(&taken.tree, "back").unwrap();
    assert_eq!(fs::read(desk.path("back/data/file")).unwrap(), bytes(100_000, 4));
}

#[test]
fn a_file_that_is_gone_when_it_is_to_be_read_is_named_and_not_in_the_tree() {
    let mut desk = Desk::new();
    desk.write("a", "one");
    desk.write("b", "two");
    let roots = vec![Root::new(Path::new("data"), desk.folder.path()).unwrap()];
    let listing = list(Selection { roots, ..Selection::default() }).unwrap();
    fs::remove_file(desk.path("data/a")).unwrap();
    let scratch = desk.path("scratch");
    let known = Known::default();
    let taken =
        take(listing, &known, Moment::default(), &scratch, &mut desk.shelf, &mut |_| {}).unwrap();
    assert_eq!(taken.tree.notes[0].kind, NoteKind::Vanished);
    assert!(taken.tree.find(b"data/a").is_none() && taken.tree.find(b"data/b").is_some());
    desk.restore(&taken.tree, "back").unwrap();
}

#[test]
fn a_database_is_taken_with_what_only_its_log_holds() {
    let mut desk = Desk::new();
    let path = desk.path("data/orders.sqlite");
    let writer = Connection::open(&path).unwrap();
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    writer.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES(1);").unwrap();
    let first = desk.take_later();
    let names: Vec<NoteKind> = first.tree.notes.iter().map(|note| note.kind).collect();
    assert_eq!(names, [NoteKind::InDatabase, NoteKind::InDatabase]);
    // Only the log changes; the file beside it stays as it is.
    writer.execute_batch("INSERT INTO t VALUES(2);").unwrap();
    let second = desk.take_later();
    assert_eq!(second.counts.changed, 1);
    desk.restore(&second.tree, "back").unwrap();
    let back = Connection::open(desk.path("back/data/orders.sqlite")).unwrap();
    let count: i64 = back.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 2);
    let third = desk.take_later();
    assert_eq!((third.counts.unchanged, third.counts.bytes_read), (1, 0));
    assert_eq!(fs::read_dir(desk.path("scratch")).unwrap().count(), 0);
}

#[test]
fn a_database_at_rest_comes_back_byte_for_byte() {
    for mode in ["DELETE", "WAL"] {
        let mut desk = Desk::new();
        let path = desk.path("data/orders.sqlite");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", mode).unwrap();
        writer.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES(1);").unwrap();
        writer.close().unwrap();
        let taken = desk.take_later();
        desk.restore(&taken.tree, "back").unwrap();
        let back = fs::read(desk.path("back/data/orders.sqlite")).unwrap();
        assert!(back == fs::read(&path).unwrap(), "{mode}");
    }
}

#[test]
fn an_unreadable_file_is_named_and_makes_the_point_partial() {
    if rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: nothing is unreadable for the system's administrator");
        return;
    }
    let mut desk = Desk::new();
    desk.write("secret", "x");
    fs::set_permissions(desk.path("data/secret"), fs::Permissions::from_mode(0o000)).unwrap();
    let taken = desk.take_later();
    assert_eq!(taken.tree.notes[0].kind, NoteKind::Unreadable);
    assert!(taken.tree.find(b"data/secret").is_none());
}
