//! Files and folders: backed up to five sites, and brought back after every loss that the promise
//! covers, and one more.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what only tests call is a test as well"
)]

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::damage::objects;
use common::random::{Random, seed};
use common::{Rig, Said, files_below};
use rusqlite::Connection;
use serde_json::Value;

const IDENTITY: &str = "--identity h/recovery-identity.txt";

/// A home with five sites, and a folder `data` to be backed up.
fn desk() -> Rig {
    let rig = Rig::new();
    rig.ok("init --home h");
    fs::create_dir(rig.path("data")).unwrap();
    rig
}

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    let mut bytes = vec![0; count];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn write(rig: &Rig, name: &str, content: impl AsRef<[u8]>) {
    let path = rig.path("data").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Something of every kind.
fn furnish(rig: &Rig) {
    write(rig, "orders.log", bytes(3_000_000, 1));
    write(rig, "empty", b"");
    write(rig, "deep/er/small.txt", b"a few bytes");
    for number in 0..200 {
        write(rig, &format!("many/{number:03}"), format!("file {number}\n").repeat(number));
    }
    let data = rig.path("data");
    fs::create_dir(data.join("nothing in it")).unwrap();
    fs::set_permissions(data.join("deep"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(data.join("deep/er"), fs::Permissions::from_mode(0o550)).unwrap();
    fs::set_permissions(data.join("orders.log"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("deep/er/small.txt", data.join("link")).unwrap();
    symlink("/nowhere/at/all", data.join("dangling")).unwrap();
    fs::hard_link(data.join("orders.log"), data.join("many/again")).unwrap();
}

/// Mode, time, number of names, content or target of everything below a folder.
type Look = BTreeMap<PathBuf, (u32, i64, i64, u64, Vec<u8>)>;

fn look(folder: &Path) -> Look {
    let mut found = Look::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let (names, content) = if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            (0, b"folder".to_vec())
        } else if meta.is_symlink() {
            (1, fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
        } else {
            (meta.nlink(), fs::read(&path).unwrap())
        };
        let name = path.strip_prefix(folder).unwrap().to_path_buf();
        let times = (meta.mtime(), meta.mtime_nsec());
        found.insert(name, (meta.mode(), times.0, times.1, names, content));
    }
    found
}

fn backup(rig: &Rig, more: &str) -> Value {
    rig.ok(&format!("backup data --home h --json {more}")).json()
}

fn restore(rig: &Rig, to: &str, more: &str) -> Said {
    rig.run(&format!("restore --home h {IDENTITY} --to {to} --json {more}"))
}

fn number(document: &Value, field: &str) -> u64 {
    document[field].as_u64().unwrap_or_else(|| panic!("{field} in {document}"))
}

fn text<'a>(document: &'a Value, field: &str) -> &'a str {
    document[field].as_str().unwrap_or_else(|| panic!("{field} in {document}"))
}

fn lose(rig: &Rig, sites: &[usize]) {
    for at in sites {
        fs::remove_dir_all(&rig.sites()[*at]).unwrap();
    }
}

#[test]
fn with_two_of_five_sites_lost_everything_comes_back_byte_for_byte() {
    let rig = desk();
    furnish(&rig);
    let before = look(&rig.path("data"));
    let made = backup(&rig, "--tag first");
    assert_eq!(made["message_type"], "backup");
    assert_eq!((number(&made, "files"), number(&made, "new")), (204, 203));
    assert_eq!((&made["margin"], text(&made, "tag")), (&Value::from(2), "first"));
    assert!(number(&made, "bytes_added") > 3_000_000 * 5 / 3, "{made}");
    lose(&rig, &[0, 3]);
    let restored = restore(&rig, "back", "");
    assert_eq!(restored.exit, 0, "{restored:?}");
    let restored = restored.json();
    assert_eq!((text(&restored, "kind"), number(&restored, "files")), ("files", 204));
    assert_eq!(restored["recovery_point"], made["recovery_point"]);
    assert_eq!(look(&rig.path("back/data")), before);
    rig.ok("repair --home h");
    rig.ok("verify --home h");
}

#[test]
fn with_three_of_five_sites_lost_nothing_is_written_and_point_and_sites_are_named() {
    let rig = desk();
    write(&rig, "a", "one");
    let made = backup(&rig, "");
    lose(&rig, &[1, 2, 4]);
    let refused = restore(&rig, "back", "");
    refused.refuses(21, &["site-b", "site-c", "site-e", text(&made, "recovery_point")]);
    assert!(!rig.path("back").exists());
    rig.run("backup data --home h --json").refuses(21, &["site-b"]);
}

#[test]
fn with_one_site_dead_a_backup_is_made_with_a_smaller_margin_and_says_so() {
    let rig = desk();
    write(&rig, "a", bytes(100_000, 2));
    lose(&rig, &[2]);
    let said = rig.ok("backup data --home h --json");
    assert!(said.err.contains("site-c does not hold it"), "{said:?}");
    let made = said.json();
    assert_eq!((&made["margin"], &made["sites_missing"]), (&1.into(), &vec!["site-c"].into()));
    lose(&rig, &[0]);
    assert_eq!(restore(&rig, "back", "").exit, 0);
    assert_eq!(fs::read(rig.path("back/data/a")).unwrap(), bytes(100_000, 2));
}

#[test]
fn a_second_backup_of_slightly_changed_data_reads_and_adds_little() {
    let rig = desk();
    for number in 0..50 {
        write(&rig, &format!("{number}"), bytes(200_000, number));
    }
    let first = backup(&rig, "");
    // Times must lie back far enough to be believed.
    std::thread::sleep(Duration::from_millis(2_100));
    backup(&rig, "");
    let idle = backup(&rig, "");
    assert_eq!((number(&idle, "unchanged"), number(&idle, "bytes_read")), (50, 0), "{idle}");
    write(&rig, "7", bytes(200_000, 777));
    let second = backup(&rig, "");
    assert_eq!((number(&second, "changed"), number(&second, "unchanged")), (1, 49), "{second}");
    assert_eq!(number(&second, "bytes_read"), 200_000);
    let (all, added) = (number(&first, "bytes_added"), number(&second, "bytes_added"));
    assert!(added < all / 20, "{added} of {all}");
    assert_eq!(number(&backup(&rig, "--force"), "bytes_read"), 10_000_000);
    assert_eq!(restore(&rig, "back", "").exit, 0);
    assert_eq!(look(&rig.path("back/data")), look(&rig.path("data")));
}

#[test]
fn what_is_remembered_on_the_host_can_be_lost_without_harm() {
    let rig = desk();
    furnish(&rig);
    backup(&rig, "");
    let points = |rig: &Rig| rig.ok("points --home h --json").json()["points"].clone();
    fs::write(rig.path("h/host/files/known"), b"rubbish").unwrap();
    fs::remove_file(rig.path("h/host/files/chunks.index")).unwrap();
    let again = backup(&rig, "");
    assert_eq!((number(&again, "new"), again["self_contained"].as_bool()), (203, Some(true)));
    fs::remove_dir_all(rig.path("h/host/files")).unwrap();
    backup(&rig, "");
    assert_eq!(points(&rig).as_array().unwrap().len(), 3);
    assert_eq!(restore(&rig, "back", "").exit, 0);
    assert_eq!(look(&rig.path("back/data")), look(&rig.path("data")));
}

#[test]
fn single_paths_and_earlier_points_come_back() {
    let rig = desk();
    furnish(&rig);
    let first = backup(&rig, "");
    write(&rig, "deep/../orders.log", b"another");
    fs::remove_dir_all(rig.path("data/many")).unwrap();
    let second = backup(&rig, "");
    let restored = restore(&rig, "one", "--only data/orders.log");
    assert_eq!(restored.exit, 0, "{restored:?}");
    assert_eq!(fs::read(rig.path("one/data/orders.log")).unwrap(), b"another");
    assert_eq!(files_below(&rig.path("one")).len(), 1);
    let point = text(&first, "recovery_point");
    let only = format!("--point {point} --only data/many --only data/deep");
    assert_eq!(restore(&rig, "two", &only).exit, 0);
    assert_eq!(files_below(&rig.path("two/data")).len(), 202);
    let unknown = restore(&rig, "three", "--only data/order.log");
    unknown.refuses(1, &["holds no `data/order.log`", "data/orders.log", "nothing was written"]);
    assert!(!rig.path("three").exists());
    restore(&rig, "one", "").refuses(2, &["not empty", "--to NEW"]);
    let time = text(&first, "time");
    let at = restore(&rig, "four", &format!("--at-time {time}")).json();
    assert_eq!(text(&at, "recovery_point"), point);
    let between = rig.json(&format!(
        "diff {point} {} --home h {IDENTITY} --json",
        text(&second, "recovery_point")
    ));
    assert_eq!((number(&between, "removed"), number(&between, "content")), (202, 1), "{between}");
}

#[test]
fn a_listing_names_every_path_with_its_size_and_hash() {
    let rig = desk();
    furnish(&rig);
    backup(&rig, "");
    let said = rig.ok(&format!("ls data/deep --home h {IDENTITY} --json"));
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let paths: Vec<&str> = lines.iter().map(|line| text(line, "path")).collect();
    assert_eq!(paths, ["data/deep", "data/deep/er", "data/deep/er/small.txt"]);
    assert_eq!(lines[1]["mode"], "0550");
    assert_eq!(lines[2]["hash"], blake3::hash(b"a few bytes").to_hex().as_str());
    let all = rig.ok(&format!("ls --home h {IDENTITY}")).out;
    assert!(all.contains("data/link -> deep/er/small.txt"), "{all}");
    let before = files_below(&rig.path("h/sites"));
    rig.ok(&format!("ls --home h {IDENTITY}"));
    assert_eq!(files_below(&rig.path("h/sites")), before, "a listing writes nothing");
}

#[test]
fn odd_names_come_back_and_are_shown_on_one_line() {
    let rig = desk();
    let names: [&[u8]; 7] =
        [b"-rf", b"a\nb", b" ", b"\xff\xfe", b"quote'\"", b"*", "\u{202e}x".as_bytes()];
    for name in names {
        fs::write(rig.path("data").join(OsStr::from_bytes(name)), name).unwrap();
    }
    backup(&rig, "");
    let lines = rig.ok(&format!("ls --home h {IDENTITY}")).out;
    assert_eq!(lines.lines().count(), 8, "{lines}");
    assert_eq!(restore(&rig, "back", "").exit, 0);
    assert_eq!(look(&rig.path("back/data")), look(&rig.path("data")));
}

#[test]
fn a_backup_killed_at_any_moment_leaves_points_that_restore_and_the_next_one_works() {
    let rig = desk();
    let mut random = Random::new(seed());
    write(&rig, "kept", bytes(400_000, 3));
    let begun = Instant::now();
    let first = backup(&rig, "");
    let one_takes = begun.elapsed();
    let first_look = look(&rig.path("data"));
    let mut killed = 0;
    for round in 0..14_u32 {
        write(&rig, &format!("grows/{round}"), bytes(600_000, 100 + u64::from(round)));
        let mut child =
            rig.command("backup data --home h --json").stdout(Stdio::null()).spawn().unwrap();
        let part = Duration::from_micros(random.below(one_takes.as_micros() as u64 / 14));
        std::thread::sleep(one_takes * round / 14 + part);
        killed += u64::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let verified = rig.json("verify --home h --json");
        // What was half sent is referred to by nothing; a record or key on its way is at some sites
        // only, and the next writer completes it.
        let harmless = |one: &Value| one["kind"] == "unexpected" || one["kind"] == "missing";
        assert!(verified["problems"].as_array().unwrap().iter().all(harmless), "{verified}");
    }
    assert!(killed >= 4, "{killed}");
    let last = backup(&rig, "");
    assert_eq!(number(&last, "files"), 15);
    rig.ok("repair --home h");
    rig.ok("verify --home h");
    assert_eq!(restore(&rig, "last", "").exit, 0);
    assert_eq!(look(&rig.path("last/data")), look(&rig.path("data")));
    let point = text(&first, "recovery_point");
    assert_eq!(restore(&rig, "first", &format!("--point {point}")).exit, 0);
    assert_eq!(look(&rig.path("first/data")), first_look);
}

#[test]
fn two_backups_at_once_do_not_meet() {
    let rig = desk();
    for number in 0..60 {
        write(&rig, &format!("{number}"), bytes(1_000_000, number));
    }
    let mut first = rig.command("backup data --home h").stdout(Stdio::null()).spawn().unwrap();
    let lock = rig.path("h/host/files/lock");
    let begun = Instant::now();
    while !lock.exists() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let said = rig.run("backup data --home h");
    said.refuses(11, &["another backup is at work", "nothing was touched"]);
    assert!(first.wait().unwrap().success());
}

#[test]
fn a_live_database_comes_back_whole_while_a_program_writes_it_all_the_time() {
    let rig = desk();
    let path = rig.path("data/orders.sqlite");
    let writer = Connection::open(&path).unwrap();
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    writer.execute_batch("CREATE TABLE fills(seq INTEGER PRIMARY KEY, note BLOB)").unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut at_backup = Vec::new();
    std::thread::scope(|scope| {
        let stopped = &stop;
        let writing = scope.spawn(move || {
            let mut seq = 0_i64;
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let note = vec![(seq % 251) as u8; 3_000];
                writer.execute("INSERT INTO fills VALUES(?1, ?2)", (seq, note)).unwrap();
                seq += 1;
            }
            seq
        });
        for _ in 0..4 {
            at_backup.push(backup(&rig, ""));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(writing.join().unwrap() > 10_i64);
    });
    let mut last = 0;
    for (round, made) in at_backup.iter().enumerate() {
        let to = format!("back-{round}");
        let more = format!("--point {}", text(made, "recovery_point"));
        assert_eq!(restore(&rig, &to, &more).exit, 0);
        let folder = rig.path(&to).join("data");
        assert_eq!(files_below(&folder).len(), 1, "no log is put beside a whole database");
        let back = Connection::open(folder.join("orders.sqlite")).unwrap();
        let whole: String = back.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
        let query = "SELECT count(*), coalesce(max(seq), -1) FROM fills";
        let (count, newest): (i64, i64) =
            back.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(count, newest + 1, "a prefix of what was committed");
        assert!(count >= last);
        last = count;
        let kinds: Vec<&str> =
            made["problems"].as_array().unwrap().iter().map(|one| text(one, "kind")).collect();
        assert!(kinds.iter().all(|kind| *kind == "in_database"), "{kinds:?}");
    }
    assert!(last > 0);
    let drill = rig.json("drill --home h --level D3 --json");
    assert_eq!(drill["result"], "ok", "{drill}");
    let checks = drill["checks"].as_array().unwrap();
    let databases = checks.iter().find(|check| check["name"] == "files_databases").unwrap();
    assert_eq!(databases["result"], "ok");
}

#[test]
fn a_path_that_cannot_be_read_is_named_and_the_exit_says_partial() {
    let rig = desk();
    write(&rig, "a", "one");
    let said = rig.run("backup data absent --home h --json");
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.err.contains("absent: unreadable"), "{said:?}");
    let problem = &said.json()["problems"][0];
    assert_eq!((text(problem, "path"), text(problem, "kind")), ("absent", "unreadable"));
    let restored = restore(&rig, "back", "");
    assert!(restored.err.contains("not in this recovery point: absent"), "{restored:?}");
    let nothing = rig.run("backup absent --home h");
    nothing.refuses(1, &["no such file", "absent", "no recovery point was made"]);
    rig.run("backup --home h").refuses(2, &["files.paths is empty", "backup PATH"]);
    let configured = Rig::new().with("EVENKEEL_FILES_PATHS", "../data");
    configured.ok("init --home h");
    fs::create_dir(configured.path("data")).unwrap();
    fs::write(configured.path("data/x"), "x").unwrap();
    assert_eq!(number(&configured.ok("backup --home h --json").json(), "files"), 1);
}

#[test]
fn a_home_inside_what_is_backed_up_is_left_out() {
    let rig = desk();
    write(&rig, "a", "one");
    let made = rig.ok("backup . --home h --json").json();
    let own: Vec<&str> = made["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["kind"] == "own")
        .map(|one| text(one, "path"))
        .collect();
    assert_eq!(own.len(), 8, "{own:?}");
    assert_eq!(number(&made, "files"), 2, "the file and the configuration: {made}");
}

#[test]
fn twenty_thousand_small_files_are_quick_to_back_up_again() {
    let rig = desk();
    for number in 0..20_000_u64 {
        write(&rig, &format!("{:03}/{number:05}", number % 200), bytes(700, number));
    }
    let first = backup(&rig, "");
    assert_eq!((number(&first, "files"), number(&first, "new")), (20_000, 20_000));
    std::thread::sleep(Duration::from_millis(2_100));
    backup(&rig, "");
    write(&rig, "007/00007", "changed");
    let second = backup(&rig, "");
    assert_eq!((number(&second, "changed"), number(&second, "unchanged")), (1, 19_999));
    let (all, added) = (number(&first, "bytes_added"), number(&second, "bytes_added"));
    assert!(added < all / 20, "{added} of {all}");
    assert!(number(&second, "bytes_read") < 600_000, "{second}");
    let one = restore(&rig, "one", "--only data/007/00007");
    assert_eq!(one.exit, 0);
    assert_eq!(fs::read(rig.path("one/data/007/00007")).unwrap(), b"changed");
    lose(&rig, &[0, 1]);
    assert_eq!(restore(&rig, "back", "").exit, 0);
    assert_eq!(look(&rig.path("back/data")), look(&rig.path("data")));
}

#[test]
fn a_flipped_byte_at_a_site_is_passed_over_found_and_mended() {
    let rig = desk();
    write(&rig, "a", bytes(2_000_000, 9));
    backup(&rig, "");
    let site = &rig.sites()[1];
    for shard in objects(site, "shards") {
        let mut wrong = fs::read(&shard).unwrap();
        let at = wrong.len() / 2;
        wrong[at] ^= 1;
        fs::write(&shard, wrong).unwrap();
    }
    let restored = restore(&rig, "back", "");
    assert_eq!(restored.exit, 0, "{restored:?}");
    assert!(
        restored.err.contains("passed over") && restored.err.contains("site-b"),
        "{restored:?}"
    );
    assert_eq!(fs::read(rig.path("back/data/a")).unwrap(), bytes(2_000_000, 9));
    let found = rig.json("verify --home h --json");
    assert_eq!(found["result"], "failed");
    assert!(found["problems"].as_array().unwrap().iter().all(|one| one["site"] == "site-b"));
    rig.ok("repair --home h");
    rig.ok(&format!("verify --home h {IDENTITY}"));
}

#[test]
fn an_older_home_is_told_the_one_command_that_makes_the_files_keys() {
    let rig = desk();
    write(&rig, "a", "one");
    for name in ["files.key", "files.certificate"] {
        fs::remove_file(rig.path("h/host/keys/state").join(name)).unwrap();
    }
    let refused = rig.run("backup data --home h");
    refused.refuses(2, &["no keys for a lineage of files", "evenkeel init --add-files --home"]);
    let add = format!("init --add-files --home h {IDENTITY}");
    rig.ok(&add);
    backup(&rig, "");
    rig.run(&add).refuses(1, &["keys for files already", "left untouched"]);
    rig.ok("init --home other");
    let foreign = "init --add-files --home h --identity other/recovery-identity.txt";
    rig.run(foreign).refuses(12, &["not that of the home"]);
    assert_eq!(restore(&rig, "back", "").exit, 0);
}

#[test]
fn after_the_host_is_lost_a_new_lineage_of_files_goes_on_beside_the_old_points() {
    let rig = desk();
    write(&rig, "a", "before");
    let old = backup(&rig, "");
    fs::remove_dir_all(rig.path("h/host/files")).unwrap();
    for name in ["files.key", "files.certificate"] {
        fs::remove_file(rig.path("h/host/keys/state").join(name)).unwrap();
    }
    rig.ok(&format!("init --add-files --home h {IDENTITY}"));
    write(&rig, "a", "after");
    let new = backup(&rig, "");
    assert_ne!(old["lineage"], new["lineage"]);
    assert_eq!(restore(&rig, "new", "").exit, 0);
    assert_eq!(fs::read(rig.path("new/data/a")).unwrap(), b"after");
    let more = format!("--point {}", text(&old, "recovery_point"));
    assert_eq!(restore(&rig, "old", &more).exit, 0);
    assert_eq!(fs::read(rig.path("old/data/a")).unwrap(), b"before");
    rig.ok("verify --home h");
}
