//! A host that crashes at any one change of a backup, a rotation or a repair: what was there before
//! restores, and whoever comes next goes on. (Deletions: `deletion.rs`.)

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::memory::{Fuse, Memory};
use common::{DOMAIN, Desk, SECOND, START, SeededRandom, noise, point, read};
use evenkeel_vault::{
    Catalog, Error, Identity, Layout, Opener, Point, Problem, ProblemKind, Result, Site, Verify,
    Writer, repair, verify,
};

/// What the host remembers of its writing when it is there again.
#[derive(Clone, Copy, Debug)]
enum Memorized {
    /// What it had before: nothing it did since was kept.
    Before,
    /// Everything up to the crash.
    All,
    /// Nothing.
    Nothing,
}

struct House {
    desk: Arc<Desk>,
    memories: Vec<Arc<Memory>>,
    fuse: Fuse,
    host: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let desk = Arc::new(Desk::with_layout(Layout::new(2, 3).unwrap()));
        let memories = (0..3).map(|at| Arc::new(Memory::new(at))).collect();
        Self { desk, memories, fuse: Fuse::default(), host: tempfile::tempdir().unwrap() }
    }

    /// The same sites and the same host, which dies after so many changes.
    fn copy(&self, changes: u64) -> Self {
        let fuse: Fuse = Arc::new(Mutex::new(Some(changes)));
        let memories = self.memories.iter().map(|one| Arc::new(one.copy(&fuse))).collect();
        let host = tempfile::tempdir().unwrap();
        copy_files(self.host.path(), host.path());
        Self { desk: Arc::clone(&self.desk), memories, fuse, host }
    }

    fn revive(&self) {
        *self.fuse.lock().unwrap() = None;
    }

    fn has_crashed(&self) -> bool {
        *self.fuse.lock().unwrap() == Some(0)
    }

    fn sites(&self) -> Vec<Arc<dyn Site>> {
        self.memories.iter().map(|one| Arc::clone(one) as Arc<dyn Site>).collect()
    }

    fn writer(&self, seed: u64) -> Result<Writer> {
        let mut options = self.desk.options();
        options.index_path = Some(self.host.path().join("index"));
        options.state_path = Some(self.host.path().join("writer-state"));
        Writer::open(
            self.sites(),
            &self.desk.recovery.root_public(),
            self.desk.certificate.clone(),
            self.desk.key(),
            Desk::id_key(),
            options,
            Box::new(SeededRandom::new(seed)),
        )
    }

    fn catalog(&self) -> Catalog {
        let trust = self.desk.recovery.root_public();
        Catalog::load(&self.sites(), DOMAIN, &trust, None).unwrap()
    }

    fn opener(&self) -> Opener {
        let identity: Identity = self.desk.recovery.identity().clone();
        Opener::new(Arc::new(self.catalog()), identity).unwrap()
    }

    /// Everything written so far restores: `count` points of the history, and their tails.
    fn restores(&self, points: &[Point]) {
        let opener = self.opener();
        for (number, point) in points.iter().enumerate() {
            assert!(read(&opener, point, "own").unwrap() == own(number as u64));
            assert!(read(&opener, point, "same").unwrap() == noise(1000, 90_000));
        }
    }

    /// After a repair nothing is wrong any more, anywhere; what the crash left behind is named.
    fn mends(&self) {
        repair(&self.catalog()).unwrap();
        let opener = self.opener();
        let found = verify(opener.catalog(), Verify::Full(&opener)).unwrap();
        let wrong = |one: &&Problem| one.kind != ProblemKind::Unexpected;
        assert_eq!(found.problems.iter().find(wrong), None);
        assert!(found.margins.iter().all(|(_, margin)| *margin == 1), "{:?}", found.margins);
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn own(number: u64) -> Vec<u8> {
    noise(number + 2000, 40_000)
}

/// A tail, then a point of two sources, one of which never changes.
fn write(writer: &mut Writer, number: u64) -> Result<Point> {
    let time_ns = START + number * SECOND;
    // A tail can have arrived, or be on its way, although nobody was told.
    writer.settle()?;
    let first = writer.next_position().unwrap_or(0);
    writer.append_tail(first, first + 9, &noise(number, 70_000), &[], time_ns)?;
    let (same, own) = (noise(1000, 90_000), own(number));
    point(writer, first + 9, time_ns, &[("same", &same), ("own", &own)])
}

/// A house with two points, and a writer's next ones: each of them whole, or the host died.
fn crashes_at_every_change(next: impl Fn(&mut Writer) -> Result<Vec<Point>>) -> u64 {
    let house = House::new();
    let mut writer = house.writer(7).unwrap();
    let before: Vec<Point> = (0..2).map(|number| write(&mut writer, number).unwrap()).collect();
    drop(writer);
    let (mut crashes, mut forks) = (0, 0);
    for changes in 0.. {
        let crashed = house.copy(changes);
        let written = crashed.writer(changes + 100).and_then(|mut writer| next(&mut writer));
        let died = crashed.has_crashed();
        assert!(died || written.is_ok(), "after {changes} changes: {:?}", written.err());
        for memorized in [Memorized::Before, Memorized::All, Memorized::Nothing] {
            let back = crashed.copy(u64::MAX);
            back.revive();
            match memorized {
                Memorized::All => {}
                Memorized::Before => copy_files(house.host.path(), back.host.path()),
                Memorized::Nothing => {
                    for name in ["index", "writer-state"] {
                        let _ = fs::remove_file(back.host.path().join(name));
                    }
                }
            }
            let mut points = before.clone();
            // A point counts as soon as enough sites have its record, told of or not.
            let there = back.catalog().points().len();
            assert!(there >= points.len(), "after {changes} changes, {memorized:?}");
            back.restores(&points);
            points.extend(written.iter().flatten().cloned());
            back.restores(&points);
            let mut writer = match back.writer(changes + 5000) {
                Ok(writer) => writer,
                // Sites that know more than a host set back to what it was: it is not believed.
                Err(Error::Fork { .. }) if matches!(memorized, Memorized::Before) => {
                    forks += 1;
                    continue;
                }
                Err(error) => panic!("after {changes} changes, {memorized:?}: {error}"),
            };
            let number = points.len() as u64;
            points.push(write(&mut writer, number).unwrap());
            back.restores(&points);
            back.mends();
            back.restores(&points);
        }
        if !died {
            break;
        }
        crashes += 1;
    }
    assert!(forks > 0, "no crash came after a record");
    crashes
}

#[test]
fn a_crash_at_every_change_of_a_backup_leaves_a_repository_that_goes_on() {
    let crashes = crashes_at_every_change(|writer| Ok(vec![write(writer, 2)?]));
    println!("{crashes} crashes");
    assert!(crashes > 20, "{crashes}");
}

#[test]
fn a_crash_at_every_change_of_a_rotation_leaves_a_repository_that_goes_on() {
    let crashes = crashes_at_every_change(|writer| {
        writer.end_period();
        let third = write(writer, 2)?;
        writer.end_period();
        Ok(vec![third, write(writer, 3)?])
    });
    println!("{crashes} crashes");
    assert!(crashes > 30, "{crashes}");
}

#[test]
fn a_crash_at_every_change_of_a_repair_leaves_a_repository_that_can_be_repaired() {
    let house = House::new();
    let mut writer = house.writer(7).unwrap();
    let points: Vec<Point> = (0..3).map(|number| write(&mut writer, number).unwrap()).collect();
    // One site lost half of what it had, and has the other half wrong.
    {
        let mut objects = house.memories[1].objects.lock().unwrap();
        let mut at = 0;
        objects.retain(|_, bytes| {
            at += 1;
            bytes[0] ^= 1;
            at % 2 == 0
        });
    }
    let mut crashes = 0;
    for changes in 0.. {
        let crashed = house.copy(changes);
        let _ = repair(&crashed.catalog()).unwrap();
        let died = crashed.has_crashed();
        crashed.revive();
        crashed.restores(&points);
        crashed.mends();
        crashed.restores(&points);
        if !died {
            break;
        }
        crashes += 1;
    }
    println!("{crashes} crashes");
    assert!(crashes > 20, "{crashes}");
}
