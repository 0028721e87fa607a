//! Sites whose locks end: a recovery point counts only where everything it refers to stays locked
//! for as long as the point itself.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{Desk, SECOND, START, noise, point, rewrap};
use evenkeel_vault::{
    Error, Identity, ObjectInfo, Site, SiteClass, SiteError, SiteErrorKind, Writer,
};

const DAY: u64 = 86_400;
const LOCK_SECONDS: u64 = 30 * DAY;

/// A site with a clock of its own, which locks what is put for thirty days and more when asked.
struct LockingSite {
    site: Arc<dyn Site>,
    now: Arc<Mutex<u64>>,
    until: Mutex<BTreeMap<String, u64>>,
    refuses: AtomicBool,
}

impl LockingSite {
    fn until(&self, key: &str) -> u64 {
        self.until.lock().unwrap()[key]
    }
}

impl Site for LockingSite {
    fn name(&self) -> &str {
        self.site.name()
    }

    fn location(&self) -> String {
        self.site.location()
    }

    fn class(&self) -> SiteClass {
        SiteClass::Immutable
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
        self.site.put(key, bytes)?;
        let until = *self.now.lock().unwrap() + LOCK_SECONDS;
        self.until.lock().unwrap().entry(key.to_owned()).or_insert(until);
        Ok(())
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        self.site.get(key)
    }

    fn get_range(&self, key: &str, offset: u64, length: u64) -> Result<Vec<u8>, SiteError> {
        self.site.get_range(key, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        self.site.list(prefix)
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        self.site.used_bytes()
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        self.site.free_bytes()
    }

    fn lock_seconds(&self) -> Option<u64> {
        Some(LOCK_SECONDS)
    }

    fn extend_retention(&self, key: &str, until_seconds: u64) -> Result<(), SiteError> {
        let fail = |kind| SiteError {
            site: self.name().to_owned(),
            action: "lock",
            key: key.to_owned(),
            kind,
            detail: "as the test wants it".to_owned(),
        };
        if self.refuses.load(Ordering::Relaxed) {
            return Err(fail(SiteErrorKind::Denied));
        }
        let mut locks = self.until.lock().unwrap();
        let until = locks.get_mut(key).ok_or_else(|| fail(SiteErrorKind::NotFound))?;
        *until = (*until).max(until_seconds);
        Ok(())
    }
}

/// Five such sites and a writer; the clock of the sites.
fn locked(desk: &Desk) -> (Vec<Arc<LockingSite>>, Writer, Arc<Mutex<u64>>) {
    let now = Arc::new(Mutex::new(START / SECOND));
    let sites: Vec<Arc<LockingSite>> = (0..5)
        .map(|at| {
            Arc::new(LockingSite {
                site: desk.site(at),
                now: Arc::clone(&now),
                until: Mutex::default(),
                refuses: AtomicBool::new(false),
            })
        })
        .collect();
    let given = sites.iter().map(|site| Arc::clone(site) as Arc<dyn Site>).collect();
    let mut options = desk.options();
    options.self_contained_every = 1000;
    let writer = Writer::open(
        given,
        &desk.recovery.root_public(),
        desk.certificate.clone(),
        desk.key(),
        Desk::id_key(),
        options,
        Box::new(common::SeededRandom::new(1)),
    );
    (sites, writer.unwrap(), now)
}

/// Everything at a site that a restore of the newest point needs ends its lock no earlier than
/// the newest record.
fn outlives(site: &LockingSite) {
    let keys: Vec<String> = site.until.lock().unwrap().keys().cloned().collect();
    let record = keys.iter().rfind(|key| key.contains("/records/")).unwrap();
    let needed = site.until(record);
    // Of the key periods, that of the content and that of the newest record are needed.
    let periods: Vec<&String> = keys.iter().filter(|key| key.contains("/keys/")).collect();
    let ends = [*periods.first().unwrap(), *periods.last().unwrap()];
    let parts = ["/shards/", "/proofs/", "/certificate"];
    let others = keys.iter().filter(|key| parts.iter().any(|part| key.contains(part)));
    let referred: Vec<&String> = others.chain(ends).collect();
    assert!(referred.len() >= 4, "{keys:?}");
    for key in referred {
        assert!(site.until(key) >= needed, "{key} ends before {record}");
    }
}

#[test]
fn a_point_extends_the_locks_of_every_pack_that_it_refers_to() {
    let desk = Desk::new();
    let (sites, mut writer, now) = locked(&desk);
    // The same content every day for two months: only the first point brings it.
    let content = noise(7, 300_000);
    for day in 0..60 {
        *now.lock().unwrap() = START / SECOND + day * DAY;
        let time_ns = START + day * DAY * SECOND;
        let made = point(&mut writer, day, time_ns, &[("same", &content)]).unwrap();
        assert_eq!(made.bytes_new == 0, day > 0, "day {day}: {made:?}");
        assert_eq!(made.margin, 2);
        for site in &sites {
            outlives(site);
        }
    }
}

#[test]
fn keys_wrapped_anew_stay_locked_as_long_as_what_they_open() {
    let desk = Desk::new();
    let (sites, mut writer, now) = locked(&desk);
    let content = noise(7, 300_000);
    let later = [desk.recovery.recipient(), Identity::generate().recipient()];
    for day in 0..45 {
        *now.lock().unwrap() = START / SECOND + day * DAY;
        let time_ns = START + day * DAY * SECOND;
        point(&mut writer, day, time_ns, &[("same", &content)]).unwrap();
        if day == 5 {
            let given: Vec<Arc<dyn Site>> =
                sites.iter().map(|site| Arc::clone(site) as Arc<dyn Site>).collect();
            let catalog = desk.load(&given, None).unwrap();
            assert!(rewrap(&catalog, &desk.recovery, &later, time_ns).unwrap().wrapped > 0);
        }
    }
    // The first period's: all points refer to what it sealed.
    for site in &sites {
        let keys: Vec<String> = site.until.lock().unwrap().keys().cloned().collect();
        let record = keys.iter().rfind(|key| key.contains("/records/")).unwrap();
        let wrap = keys.iter().find(|key| key.contains(".wrap")).unwrap();
        assert!(site.until(wrap) >= site.until(record), "{wrap} ends before {record}");
    }
}

#[test]
fn where_a_lock_cannot_be_extended_the_point_does_not_count() {
    let desk = Desk::new();
    let (sites, mut writer, now) = locked(&desk);
    let content = noise(7, 300_000);
    point(&mut writer, 0, START, &[("same", &content)]).unwrap();
    *now.lock().unwrap() += 20 * DAY;
    let later = START + 20 * DAY * SECOND;
    for site in &sites[..2] {
        site.refuses.store(true, Ordering::Relaxed);
    }
    let made = point(&mut writer, 1, later, &[("same", &content)]).unwrap();
    assert_eq!(made.margin, 0, "three sites keep it: {made:?}");
    sites[2].refuses.store(true, Ordering::Relaxed);
    *now.lock().unwrap() += 20 * DAY;
    let later = later + 20 * DAY * SECOND;
    let error = point(&mut writer, 2, later, &[("same", &content)]).unwrap_err();
    let Error::NotEnoughSites { what, needed, found, sites: said, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((*needed, *found), (3, 2), "{error}");
    assert!(what.contains("locked as long as itself"), "{error}");
    assert!(said.iter().any(|said| said.contains("as the test wants it")), "{error}");
    // Nothing advanced: as soon as they can be extended, the same point is made.
    for site in &sites {
        site.refuses.store(false, Ordering::Relaxed);
    }
    let made = point(&mut writer, 2, later, &[("same", &content)]).unwrap();
    assert_eq!(made.margin, 2);
    sites.iter().for_each(|site| outlives(site));
}

#[test]
fn sites_without_locks_that_end_are_not_asked() {
    let desk = Desk::new();
    let site = desk.site(0);
    assert_eq!(site.lock_seconds(), None);
    let error = site.extend_retention("state/x", 9).unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unsupported);
    let mut writer = desk.writer(1);
    let made = point(&mut writer, 0, START, &[("same", &noise(7, 300_000))]).unwrap();
    assert_eq!(made.margin, 2);
}
