//! A reader written from the documents alone, in another language, brings back what was sealed.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Desk, START, noise, point};
use evenkeel_vault::{Layout, Point};

/// Runs `docs/second-reader/read.py` with the packages that `cargo xtask setup` installed.
fn reader(desk: &Desk, args: &[&str]) -> Output {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().unwrap();
    let sites = (0..desk.layout.n()).map(|at| desk.site_path(at));
    Command::new("python3")
        .arg(root.join("docs/second-reader/read.py"))
        .args(args)
        .args(["--root", &desk.recovery.root_public().to_string()])
        .args(sites)
        .env("PYTHONPATH", root.join("target/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Restores a point into a new folder; the sources in their order.
fn restore(desk: &Desk, point: &Point, to: &Path) -> Output {
    let identity = desk.folder.path().join("identity");
    fs::write(&identity, desk.recovery.to_text().as_bytes()).unwrap();
    let name = point.id.to_string();
    let words = ["restore", "--identity", identity.to_str().unwrap(), "--point", &name, "--to"];
    reader(desk, &[words.as_slice(), &[to.to_str().unwrap()]].concat())
}

fn sources(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_point_is_listed_and_comes_back_from_any_k_sites() {
    for (k, n) in [(3, 5), (2, 3), (6, 8)] {
        let desk = Desk::with_layout(Layout::new(k, n).unwrap());
        let mut writer = desk.writer(1);
        let (large, small) = (noise(5, 1_500_000), b"a few words".to_vec());
        let first = point(&mut writer, 9, START, &[("large", &large), ("small", &small)]).unwrap();
        writer.append_tail(10, 19, b"a tail", &[], START).unwrap();
        let mut changed = large.clone();
        changed[700_000..700_010].fill(0);
        let second = point(&mut writer, 19, START + 1, &[("large", &changed)]).unwrap();
        let listed = said(&reader(&desk, &["list"]));
        let names: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names, [first.id.to_string(), second.id.to_string()]);
        // Data and parity both, so that something has to be computed.
        (0..n - k).for_each(|at| desk.lose(at * 2));
        let back = desk.folder.path().join("back");
        assert_eq!(said(&restore(&desk, &first, &back)).lines().count(), 2);
        assert!(sources(&back) == [large, small], "{k} of {n}");
        fs::remove_dir_all(&back).unwrap();
        said(&restore(&desk, &second, &back));
        assert!(sources(&back) == [changed], "{k} of {n}");
        desk.lose(1);
        let gone = restore(&desk, &first, &desk.folder.path().join("none"));
        assert_eq!(gone.status.code(), Some(21));
        assert!(String::from_utf8_lossy(&gone.stderr).contains("shards needed"));
    }
}

#[test]
fn a_large_list_of_chunks_and_a_damaged_shard_do_not_keep_it_from_reading() {
    let desk = Desk::new();
    let many: Vec<(String, Vec<u8>)> =
        (0..900).map(|at| (format!("source {at}"), noise(at, 50))).collect();
    let named: Vec<(&str, &[u8])> =
        many.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let made = point(&mut desk.writer(1), 9, START, &named).unwrap();
    for key in desk.objects(0, "/shards/") {
        let path = desk.object(0, &key);
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let record = desk.objects(1, "/records/").pop().unwrap();
    fs::write(desk.object(1, &record), b"no record at all").unwrap();
    let back = desk.folder.path().join("back");
    said(&restore(&desk, &made, &back));
    assert!(sources(&back) == many.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>());
}
