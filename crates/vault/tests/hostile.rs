//! Sites that lie in every way they can: any n − k of them are harmless, one more is said.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::{DOMAIN, Desk, SECOND, START, noise, point, read, site_name};
use evenkeel_vault::{
    Catalog, Error, FolderSite, Hedge, ObjectInfo, Opener, Point, Site, SiteClass, SiteError,
    SiteErrorKind,
};

/// How a site behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Nothing answers.
    Dead,
    /// It answers, and has nothing.
    Empty,
    /// Other bytes than were written, of the right length.
    Lying,
    /// The beginning of each object.
    Truncating,
    /// More behind each object than was written.
    Lengthening,
    /// The bytes of another of its objects.
    Swapping,
    /// It lists everything and gives out nothing.
    Withholding,
    /// What it had an hour ago.
    RolledBack,
    /// Every second request is refused as if it were too busy.
    Busy,
    /// It names objects that were never there, and sizes that are not so.
    Inventing,
}

const WAYS: [Way; 10] = [
    Way::Dead,
    Way::Empty,
    Way::Lying,
    Way::Truncating,
    Way::Lengthening,
    Way::Swapping,
    Way::Withholding,
    Way::RolledBack,
    Way::Busy,
    Way::Inventing,
];

struct Hostile {
    now: FolderSite,
    before: FolderSite,
    way: Way,
    asked: AtomicU64,
}

impl Hostile {
    fn fail<T>(&self, key: &str, kind: SiteErrorKind) -> Result<T, SiteError> {
        let (site, detail) = (self.now.name().to_owned(), "it says no".to_owned());
        Err(SiteError { site, action: "get", key: key.to_owned(), kind, detail })
    }

    fn source(&self) -> &FolderSite {
        if self.way == Way::RolledBack { &self.before } else { &self.now }
    }

    fn is_busy(&self) -> bool {
        self.way == Way::Busy && self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
    }

    fn other(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        let objects = self.now.list("")?;
        let at = objects.iter().position(|object| object.key == key).unwrap_or(0);
        self.now.get(&objects[(at + 1) % objects.len()].key)
    }
}

impl Site for Hostile {
    fn name(&self) -> &str {
        self.now.name()
    }

    fn location(&self) -> String {
        "somewhere".to_owned()
    }

    fn class(&self) -> SiteClass {
        SiteClass::Mutable
    }

    fn put(&self, key: &str, _: &[u8]) -> Result<(), SiteError> {
        self.fail(key, SiteErrorKind::Denied)
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        match self.way {
            Way::Dead => return self.fail(key, SiteErrorKind::Unavailable),
            Way::Empty | Way::Withholding => return self.fail(key, SiteErrorKind::NotFound),
            Way::Swapping => return self.other(key),
            Way::Busy if self.is_busy() => return self.fail(key, SiteErrorKind::Unavailable),
            _ => {}
        }
        let mut bytes = self.source().get(key)?;
        match self.way {
            Way::Lying => bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x11),
            Way::Truncating => bytes.truncate(bytes.len() / 2),
            Way::Lengthening => bytes.extend_from_slice(&[0; 64]),
            _ => {}
        }
        Ok(bytes)
    }

    fn get_range(&self, key: &str, offset: u64, length: u64) -> Result<Vec<u8>, SiteError> {
        let bytes = self.get(key)?;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let to = usize::try_from(offset + length).unwrap().min(bytes.len());
        Ok(bytes[from..to].to_vec())
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        match self.way {
            Way::Dead => return self.fail(prefix, SiteErrorKind::Unavailable),
            Way::Empty => return Ok(Vec::new()),
            Way::Busy if self.is_busy() => return self.fail(prefix, SiteErrorKind::Unavailable),
            _ => {}
        }
        let mut objects = self.source().list(prefix)?;
        if self.way == Way::Inventing {
            for object in &mut objects {
                object.length_bytes ^= 0x5555;
            }
            let invented: Vec<ObjectInfo> = objects
                .iter()
                .map(|object| ObjectInfo {
                    key: object.key.replace(['0', '4', '8'], "f"),
                    length_bytes: u64::MAX,
                })
                .collect();
            objects.extend(invented);
            objects.reverse();
        }
        Ok(objects)
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        Ok(u64::MAX)
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        Ok(Some(0))
    }
}

struct Written {
    desk: Desk,
    point: Point,
    snapshot: Vec<u8>,
}

/// A domain whose sites were copied an hour before its last point.
fn written() -> Written {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    point(&mut writer, 9, START, &[("snapshot", &noise(1, 100_000))]).unwrap();
    for at in 0..5 {
        let before = desk.folder.path().join("before").join(site_name(at));
        copy(&desk.site_path(at), &before);
    }
    let snapshot = noise(2, 200_000);
    writer.append_tail(10, 19, b"ten entries", &[], START + 3600 * SECOND).unwrap();
    let point = point(&mut writer, 19, START + 3601 * SECOND, &[("snapshot", &snapshot)]).unwrap();
    Written { desk, point, snapshot }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn sites(written: &Written, hostile: &[(usize, Way)]) -> Vec<Arc<dyn Site>> {
    let desk = &written.desk;
    (0..5)
        .map(|at| match hostile.iter().find(|(bad, _)| *bad == at) {
            None => desk.site(at),
            Some((_, way)) => {
                let before = desk.folder.path().join("before").join(site_name(at));
                Arc::new(Hostile {
                    now: FolderSite::new(site_name(at), "here", desk.site_path(at)),
                    before: FolderSite::new(site_name(at), "here", before),
                    way: *way,
                    asked: AtomicU64::new(0),
                })
            }
        })
        .collect()
}

fn restore(written: &Written, hostile: &[(usize, Way)]) -> Result<Vec<u8>, Error> {
    let catalog = written.desk.load(&sites(written, hostile), None)?;
    let identity = written.desk.recovery.identity().clone();
    let opener = Opener::new(Arc::new(catalog), identity)?;
    read(&opener, &written.point, "snapshot")
}

#[test]
fn any_two_of_five_sites_may_lie_in_any_two_ways() {
    let written = written();
    for a in 0..5 {
        for b in a + 1..5 {
            for first in WAYS {
                for second in WAYS {
                    let hostile = [(a, first), (b, second)];
                    let restored = restore(&written, &hostile);
                    let restored = restored.unwrap_or_else(|error| panic!("{hostile:?}: {error}"));
                    assert!(restored == written.snapshot, "{hostile:?}");
                }
            }
        }
    }
}

#[test]
fn three_lying_sites_of_five_are_said_to_be_too_many_and_give_no_wrong_byte() {
    let written = written();
    // A busy site answers when asked again; an inventing one gives what it has.
    let harmful = WAYS.into_iter().filter(|way| !matches!(way, Way::Busy | Way::Inventing));
    for way in harmful {
        for trio in [[0, 1, 2], [0, 1, 4], [0, 2, 3], [1, 3, 4], [2, 3, 4]] {
            let hostile = trio.map(|at| (at, way));
            match restore(&written, &hostile) {
                Err(Error::NotEnoughSites { needed, found, sites, .. }) => {
                    assert!(needed == 3 && found < 3, "{hostile:?}: {found} of {needed}");
                    let named = |text: &String| text.split(' ').next().unwrap().to_owned();
                    let named: BTreeSet<String> = sites.iter().map(named).collect();
                    let bad: BTreeSet<String> = trio.map(site_name).into();
                    assert_eq!(named, bad, "{hostile:?}: exactly the bad ones are named");
                }
                Ok(_) => panic!("{hostile:?}: restored from two sites"),
                Err(other) => panic!("{hostile:?}: {other}"),
            }
        }
    }
}

/// How sites keep a reader waiting.
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn shut() -> Arc<Self> {
        Arc::new(Self { open: Mutex::new(false), opened: Condvar::new() })
    }

    fn wait(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// A site that answers rightly, after its gate was opened.
struct Slow {
    site: Arc<dyn Site>,
    gate: Arc<Gate>,
    lists_quickly: bool,
}

impl Site for Slow {
    fn name(&self) -> &str {
        self.site.name()
    }

    fn location(&self) -> String {
        self.site.location()
    }

    fn class(&self) -> SiteClass {
        self.site.class()
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
        self.gate.wait();
        self.site.put(key, bytes)
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        self.gate.wait();
        self.site.get(key)
    }

    fn get_range(&self, key: &str, from: u64, length: u64) -> Result<Vec<u8>, SiteError> {
        self.gate.wait();
        self.site.get_range(key, from, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        if !self.lists_quickly {
            self.gate.wait();
        }
        self.site.list(prefix)
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        self.site.used_bytes()
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        self.site.free_bytes()
    }
}

const QUICK: Hedge =
    Hedge { listing: Duration::from_millis(300), answer: Duration::from_millis(150) };

fn with_slow(
    written: &Written,
    slow: &[usize],
    gate: &Arc<Gate>,
    lists_quickly: bool,
) -> Vec<Arc<dyn Site>> {
    let slow_site =
        |at| Slow { site: written.desk.site(at), gate: Arc::clone(gate), lists_quickly };
    (0..5)
        .map(|at| match slow.contains(&at) {
            true => Arc::new(slow_site(at)) as Arc<dyn Site>,
            false => written.desk.site(at),
        })
        .collect()
}

fn restore_hedged(written: &Written, sites: &[Arc<dyn Site>]) -> Result<Vec<u8>, Error> {
    let trust = written.desk.recovery.root_public();
    let catalog = Catalog::load_hedged(sites, DOMAIN, &trust, None, QUICK)?;
    let opener = Opener::new(Arc::new(catalog), written.desk.recovery.identity().clone())?;
    read(&opener, &written.point, "snapshot")
}

/// The gate stays shut until the restore is over: had it waited, it would wait for ever.
#[test]
fn a_restore_never_waits_for_two_sites_that_give_nothing() {
    let written = written();
    for a in 0..5 {
        for b in a + 1..5 {
            for lists_quickly in [false, true] {
                let gate = Gate::shut();
                let sites = with_slow(&written, &[a, b], &gate, lists_quickly);
                let restored = restore_hedged(&written, &sites);
                assert!(restored.unwrap() == written.snapshot, "{a} {b} {lists_quickly}");
                gate.open();
            }
        }
    }
}

#[test]
fn where_too_few_are_quick_a_restore_waits_for_the_slow_ones() {
    let written = written();
    for lists_quickly in [false, true] {
        let gate = Gate::shut();
        let sites = with_slow(&written, &[0, 1, 3], &gate, lists_quickly);
        let later = Arc::clone(&gate);
        let opener = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            later.open();
        });
        assert!(restore_hedged(&written, &sites).unwrap() == written.snapshot);
        opener.join().unwrap();
    }
}
