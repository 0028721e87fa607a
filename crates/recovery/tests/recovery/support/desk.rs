//! Five local sites, of which three suffice, and the keys to them.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use evenkeel_recovery::write_point;
use evenkeel_recovery::{Checkpoint, Frames, PointMaker, Promise, Restorer, TailShipper};
use evenkeel_vault::{
    Catalog, Certificate, FolderSite, IdKey, Layout, Lineage, ObjectInfo, Opener, OsRandom, Parent,
    Pin, Point, RecoveryIdentity, Result, Site, SiteClass, SiteError, SiteErrorKind, Writer,
    WriterKey, WriterOptions,
};

use super::Host;
use super::market::START_NS;

pub const DOMAIN: &str = "state";
pub const SITES: usize = 5;

/// A site that fails on objects whose names contain a text.
#[derive(Debug)]
pub struct Gate {
    inner: FolderSite,
    refused: Arc<Mutex<Option<String>>>,
}

impl Gate {
    fn check(&self, key: &str) -> std::result::Result<(), SiteError> {
        match &*self.refused.lock().unwrap() {
            Some(part) if key.contains(part.as_str()) => Err(SiteError {
                site: self.inner.name().to_owned(),
                action: "put",
                key: key.to_owned(),
                kind: SiteErrorKind::Other,
                detail: "played".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl Site for Gate {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    fn class(&self) -> SiteClass {
        self.inner.class()
    }

    fn put(&self, key: &str, bytes: &[u8]) -> std::result::Result<(), SiteError> {
        self.check(key)?;
        self.inner.put(key, bytes)
    }

    fn get(&self, key: &str) -> std::result::Result<Vec<u8>, SiteError> {
        self.inner.get(key)
    }

    fn get_range(
        &self,
        key: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> std::result::Result<Vec<u8>, SiteError> {
        self.inner.get_range(key, offset_bytes, length_bytes)
    }

    fn list(&self, prefix: &str) -> std::result::Result<Vec<ObjectInfo>, SiteError> {
        self.inner.list(prefix)
    }

    fn used_bytes(&self) -> std::result::Result<u64, SiteError> {
        self.inner.used_bytes()
    }

    fn free_bytes(&self) -> std::result::Result<Option<u64>, SiteError> {
        self.inner.free_bytes()
    }
}

pub struct Desk {
    pub folder: tempfile::TempDir,
    pub recovery: RecoveryIdentity,
    pub certificate: Certificate,
    key: [u8; 32],
    /// What every site refuses to take.
    pub refused: Arc<Mutex<Option<String>>>,
}

impl Desk {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recovery = RecoveryIdentity::generate(DOMAIN, &mut OsRandom).unwrap();
        let key = [0x22; 32];
        let writer = WriterKey::from_bytes(&key).public();
        let lineage = Lineage([1; 16]);
        let certificate = recovery.certify(lineage, None, writer, START_NS).unwrap();
        let desk = Self { folder, recovery, certificate, key, refused: Arc::default() };
        for at in 0..SITES {
            fs::create_dir(desk.site_path(at)).unwrap();
        }
        desk
    }

    pub fn lineage(&self) -> Lineage {
        self.certificate.lineage
    }

    /// Certifies a writer that goes on from a position of the present lineage.
    pub fn promote(&mut self, number: u8, next: u64, time_ns: u64) {
        self.key = [0x22 + number; 32];
        let parent = Parent {
            lineage: self.lineage(),
            position: next - 1,
            record_hash: self.catalog().pin(self.lineage()).unwrap().hash,
        };
        let writer = WriterKey::from_bytes(&self.key).public();
        let lineage = Lineage([number; 16]);
        let certified = self.recovery.certify(lineage, Some(parent), writer, time_ns);
        self.certificate = certified.unwrap();
    }

    pub fn site_path(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("site-{at}"))
    }

    pub fn sites(&self) -> Vec<Arc<dyn Site>> {
        let site = |at: usize| -> Arc<dyn Site> {
            Arc::new(Gate {
                inner: FolderSite::new(format!("site-{at}"), "here", self.site_path(at)),
                refused: Arc::clone(&self.refused),
            })
        };
        (0..SITES).map(site).collect()
    }

    pub fn writer(&self) -> Writer {
        let mut options = WriterOptions::new(vec![self.recovery.recipient()]);
        options.layout = Layout::new(3, SITES).unwrap();
        let name = format!("writer-{}", self.lineage());
        options.state_path = Some(self.folder.path().join(name));
        Writer::open(
            self.sites(),
            &self.recovery.root_public(),
            self.certificate.clone(),
            WriterKey::from_bytes(&self.key),
            IdKey::from_bytes(&[0x33; 32]),
            options,
            Box::new(OsRandom),
        )
        .unwrap()
    }

    pub fn load(&self, pin: Option<Pin>) -> Result<Catalog> {
        Catalog::load(&self.sites(), DOMAIN, &self.recovery.root_public(), pin)
    }

    pub fn catalog(&self) -> Catalog {
        self.load(None).unwrap()
    }

    pub fn opener(&self) -> Opener {
        Opener::new(Arc::new(self.catalog()), self.recovery.identity().clone()).unwrap()
    }

    /// Restores of the present lineage.
    pub fn restorer<'a>(&self, opener: &'a Opener) -> Restorer<'a> {
        Restorer::new(opener.catalog(), opener, self.lineage()).unwrap()
    }

    /// Makes a site unreachable; [`Desk::mend`] brings it back as it was.
    pub fn lose(&self, at: usize) {
        let aside = self.folder.path().join(format!("lost-{at}"));
        fs::rename(self.site_path(at), aside).unwrap();
    }

    pub fn mend(&self, at: usize) {
        let aside = self.folder.path().join(format!("lost-{at}"));
        fs::rename(aside, self.site_path(at)).unwrap();
    }

    pub fn refuse(&self, part: Option<&str>) {
        *self.refused.lock().unwrap() = part.map(str::to_owned);
    }

    /// Names of a site's record objects, oldest first.
    pub fn records(&self, at: usize) -> Vec<String> {
        let all = self.sites()[at].list("").unwrap();
        let names = all.into_iter().map(|object| object.key);
        let mut records: Vec<String> = names.filter(|key| key.contains("/records/")).collect();
        records.sort();
        records
    }

    pub fn remove(&self, at: usize, key: &str) {
        fs::remove_file(self.site_path(at).join(key)).unwrap();
    }

    pub fn read(&self, at: usize, key: &str) -> Vec<u8> {
        fs::read(self.site_path(at).join(key)).unwrap()
    }
}

/// Makes a point of a host, half a microsecond after its last entry.
pub fn make_point(
    host: &Host,
    maker: &mut PointMaker,
    writer: &mut Writer,
) -> (Point, Checkpoint, Promise, Frames) {
    let (checkpoint, promise) = host.checkpoint();
    let mut frames = Frames::default();
    maker.frames_up_to(&checkpoint, &mut frames).unwrap();
    let time_ns = host.time + 500;
    let point = write_point(writer, &checkpoint, &promise, &frames, time_ns).unwrap();
    (point, checkpoint, promise, frames)
}

/// Ships everything durable.
pub fn ship_all(host: &Host, shipper: &mut TailShipper, writer: &mut Writer) {
    while !shipper.ship(writer, host.time, 1 << 20).unwrap().1 {}
}
