//! A desk with five local sites, for the integration tests.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod memory;

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_vault::{
    Catalog, Certificate, FolderSite, IdKey, Layout, Lineage, Opener, Pin, Point, PointInput,
    Random, Recipient, RecoveryIdentity, Result, Rewrapped, Root, RootHand, Site, Unlock, Writer,
    WriterKey, WriterOptions,
};

pub const SECOND: u64 = 1_000_000_000;
pub const START: u64 = 1_790_000_000 * SECOND;
pub const DOMAIN: &str = "state";

/// Reproducible bytes; never for anything but tests.
pub struct SeededRandom(blake3::OutputReader);

impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new_keyed(&[7; 32]).update(&seed.to_le_bytes()).finalize_xof())
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.0.fill(bytes);
        Ok(())
    }
}

/// Incompressible bytes from a seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededRandom::new(seed ^ 0xdead_beef).fill(&mut bytes).unwrap();
    bytes
}

pub struct Desk {
    pub folder: tempfile::TempDir,
    pub recovery: RecoveryIdentity,
    pub certificate: Certificate,
    pub layout: Layout,
    key: [u8; 32],
}

impl Desk {
    pub fn new() -> Self {
        Self::with_layout(Layout::new(3, 5).unwrap())
    }

    pub fn with_layout(layout: Layout) -> Self {
        Self::of(layout, 1)
    }

    /// A desk with keys and a lineage of its own.
    pub fn of(layout: Layout, number: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut random = SeededRandom::new(number.into());
        let recovery = RecoveryIdentity::generate(DOMAIN, &mut random).unwrap();
        let key = [0x22 + number; 32];
        let writer = WriterKey::from_bytes(&key).public();
        let lineage = Lineage([0x10 + number; 16]);
        let certificate = recovery.certify(lineage, None, writer, START).unwrap();
        let desk = Self { folder, recovery, certificate, layout, key };
        for at in 0..layout.n() {
            fs::create_dir(desk.site_path(at)).unwrap();
        }
        desk
    }

    pub fn key(&self) -> WriterKey {
        WriterKey::from_bytes(&self.key)
    }

    pub fn id_key() -> IdKey {
        IdKey::from_bytes(&[0x33; 32])
    }

    pub fn site_path(&self, at: usize) -> PathBuf {
        self.folder.path().join(site_name(at))
    }

    pub fn site(&self, at: usize) -> Arc<dyn Site> {
        Arc::new(FolderSite::new(site_name(at), "here", self.site_path(at)))
    }

    pub fn sites(&self) -> Vec<Arc<dyn Site>> {
        (0..self.layout.n()).map(|at| self.site(at)).collect()
    }

    pub fn options(&self) -> WriterOptions {
        let mut options = WriterOptions::new(vec![self.recovery.recipient()]);
        options.layout = self.layout;
        options.index_path = Some(self.folder.path().join("index"));
        options.state_path = Some(self.folder.path().join("writer-state"));
        options
    }

    pub fn writer(&self, seed: u64) -> Writer {
        self.try_writer(self.options(), seed).unwrap()
    }

    pub fn try_writer(&self, options: WriterOptions, seed: u64) -> Result<Writer> {
        Writer::open(
            self.sites(),
            &self.recovery.root_public(),
            self.certificate.clone(),
            self.key(),
            Self::id_key(),
            options,
            Box::new(SeededRandom::new(seed)),
        )
    }

    pub fn catalog(&self) -> Catalog {
        self.load(&self.sites(), None).unwrap()
    }

    pub fn load(&self, sites: &[Arc<dyn Site>], pin: Option<Pin>) -> Result<Catalog> {
        Catalog::load(sites, DOMAIN, &self.recovery.root_public(), pin)
    }

    pub fn opener(&self) -> Opener {
        self.try_opener().unwrap()
    }

    pub fn try_opener(&self) -> Result<Opener> {
        let catalog = self.load(&self.sites(), None)?;
        Opener::new(Arc::new(catalog), self.recovery.identity().clone())
    }

    /// Removes a site's folder whole.
    pub fn lose(&self, at: usize) {
        fs::remove_dir_all(self.site_path(at)).unwrap();
    }

    /// An object's file at a site.
    pub fn object(&self, at: usize, key: &str) -> PathBuf {
        self.site_path(at).join(key)
    }

    /// Names of a site's objects whose name contains `part`.
    pub fn objects(&self, at: usize, part: &str) -> Vec<String> {
        let objects = self.site(at).list("").unwrap();
        objects.into_iter().map(|object| object.key).filter(|key| key.contains(part)).collect()
    }
}

pub fn site_name(at: usize) -> String {
    ["amber", "birch", "cedar", "dune", "elm", "fjord", "grove", "heath"][at].to_owned()
}

/// Writes a point with these sources.
pub fn point(
    writer: &mut Writer,
    position: u64,
    time_ns: u64,
    sources: &[(&str, &[u8])],
) -> Result<Point> {
    let mut readers: Vec<&[u8]> = sources.iter().map(|(_, bytes)| *bytes).collect();
    let sources = sources
        .iter()
        .zip(&mut readers)
        .map(|((name, _), reader)| ((*name).to_owned(), reader as &mut dyn Read))
        .collect();
    writer.append_point(PointInput {
        position,
        time_ns,
        roots: vec![Root::new("state", [9; 32])],
        sources,
        self_contained: false,
    })
}

/// Reads a source of a point.
pub fn read(opener: &Opener, point: &Point, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    opener.read_source(point.id, name, &mut bytes)?;
    Ok(bytes)
}

/// Wraps every key period anew, as its recovery identity.
pub fn rewrap(
    catalog: &Catalog,
    recovery: &RecoveryIdentity,
    recipients: &[Recipient],
    time_ns: u64,
) -> Result<Rewrapped> {
    let unlock = Unlock::from(recovery.identity().clone());
    evenkeel_vault::rewrap(catalog, &unlock, &mut RootHand::Here(recovery), recipients, time_ns)
}

/// Revokes a writer, as the root of a recovery identity.
pub fn revoke_writer(
    catalog: &Catalog,
    recovery: &RecoveryIdentity,
    lineage: Lineage,
    trusted: u64,
    time_ns: u64,
) -> Result<()> {
    let mut root = RootHand::Here(recovery);
    evenkeel_vault::revoke_writer(catalog, &mut root, lineage, trusted, time_ns)
}
