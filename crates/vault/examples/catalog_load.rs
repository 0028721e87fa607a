//! Time to load a catalog of many records from folder sites, which may answer late.
//!
//! `cargo run --release -p evenkeel-vault --example catalog_load [RECORDS [LATENCY_US]]`

// An example measures; the library itself never reads a clock.
#![allow(clippy::disallowed_methods, reason = "measuring needs a clock")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_vault::{
    Catalog, FolderSite, IdKey, Lineage, ObjectInfo, OsRandom, RecoveryIdentity, Root, Site,
    SiteClass, SiteError, Writer, WriterKey, WriterOptions,
};

type Failure = Box<dyn std::error::Error>;
const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_790_000_000 * SECOND;

/// A folder that is filled without waiting for the disk (only loading is measured), and that
/// answers late when asked to.
struct Hasty {
    folder: PathBuf,
    site: FolderSite,
    latency: Duration,
}

impl Site for Hasty {
    fn name(&self) -> &str {
        Site::name(&self.site)
    }
    fn location(&self) -> String {
        self.site.location()
    }
    fn class(&self) -> SiteClass {
        self.site.class()
    }
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
        let path = self.folder.join(key);
        let written = std::fs::create_dir_all(path.parent().unwrap_or(&self.folder))
            .and_then(|()| std::fs::write(&path, bytes));
        // What was not written is missing when it is read back.
        written.or(Ok(()))
    }
    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        std::thread::sleep(self.latency);
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
}

fn main() -> Result<(), Failure> {
    let records = std::env::args().nth(1).map_or(Ok(7_200), |text| text.parse())?;
    let latency_us = std::env::args().nth(2).map_or(Ok(0), |text| text.parse())?;
    let latency = Duration::from_micros(latency_us);
    let folder = tempfile::tempdir()?;
    let folders: Vec<PathBuf> = (0..5).map(|at| folder.path().join(format!("site-{at}"))).collect();
    let open = |latency| -> Result<Vec<Arc<dyn Site>>, Failure> {
        let mut sites: Vec<Arc<dyn Site>> = Vec::new();
        for folder in &folders {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            sites.push(Arc::new(Hasty {
                folder: folder.clone(),
                site: FolderSite::create(name, "here", folder)?,
                latency,
            }));
        }
        Ok(sites)
    };
    let (hasty, sites) = (open(Duration::ZERO)?, open(latency)?);
    let recovery = RecoveryIdentity::generate("state", &mut OsRandom)?;
    let key = WriterKey::from_bytes(&[3; 32]);
    let certificate = recovery.certify(Lineage([4; 16]), None, key.public(), START)?;
    let options = WriterOptions::new(vec![recovery.recipient()]);
    let trust = recovery.root_public();
    let ids = IdKey::from_bytes(&[5; 32]);
    let random = Box::new(OsRandom);
    let mut writer = Writer::open(hasty, &trust, certificate, key, ids, options, random)?;
    for at in 0..records {
        let roots = [Root::new("chain", [6; 32])];
        writer.append_tail(at, at, &[7; 3000], &roots, START + at * SECOND / 2)?;
    }
    println!("{records} records at {} sites", sites.len());
    for _ in 0..4 {
        let begun = Instant::now();
        let catalog = Catalog::load(&sites, "state", &trust, None)?;
        let elapsed = begun.elapsed();
        assert_eq!(catalog.records(writer.lineage()).count() as u64, records);
        println!("loaded in {:.3} s", elapsed.as_secs_f64());
    }
    let lists = Instant::now();
    for site in &sites {
        site.list("state/")?;
    }
    println!("of which listing, one site after the other: {:.3} s", lists.elapsed().as_secs_f64());
    Ok(())
}
