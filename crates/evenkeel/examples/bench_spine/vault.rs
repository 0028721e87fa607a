//! The vault: sealing to five folder sites, restoring, verifying; restic in turn with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use evenkeel::demo::Random;
use evenkeel_vault::{
    Catalog, FolderSite, IdKey, Layout, Lineage, Opener, OsRandom, Point, PointInput,
    RecoveryIdentity, Site, Verify, Writer, WriterKey, WriterOptions, verify,
};

use crate::figures::{core_seconds, median};
use crate::restic::{Restic, folder_bytes};
use crate::{Outcome, Plan, stages};

const ROUNDS: usize = 3;
const SITES: [&str; 5] = ["amber", "birch", "cedar", "dune", "elm"];
/// Sites that are gone in the second restore.
const GONE: [&str; 2] = ["amber", "cedar"];
const CHANGE_BYTES: usize = 64 * 1024;

pub(crate) fn run(plan: &Plan) -> Outcome {
    let each = if plan.quick { 16 << 20 } else { 128 << 20 };
    let kinds = [
        ("order records", orders as fn(u64, usize) -> Vec<u8>),
        ("JSON lines", json),
        ("random", noise),
    ];
    let mut mixed = Vec::new();
    println!("3 of 5 folder sites on one disk, everything synced, read back and checked; MB/s of");
    println!("plaintext, the median of {ROUNDS} rounds, each with new sites");
    for (name, make) in kinds {
        let data = make(plan.seed, each);
        let mut figures = Figures::default();
        for _ in 0..ROUNDS {
            let scratch = plan.scratch()?;
            let file = scratch.path().join("data");
            std::fs::write(&file, &data)?;
            let mut home = Home::create(scratch.path())?;
            figures.time("backup", || home.backup(&file).map(drop))?;
            figures.time("restore", || home.restore(&scratch.path().join("back")))?;
        }
        let [backup, restore] = ["backup", "restore"].map(|what| figures.rate(what, data.len()));
        println!(
            "{name:<14} {} MB: backup {backup:.0}, restore {restore:.0}",
            data.len() / 1_000_000
        );
        mixed.extend_from_slice(&data);
    }
    let cores = std::thread::available_parallelism()?.get() as f64;
    let limit = stages::limit(&mixed, cores)?;
    compare(plan, &mixed, limit)
}

/// Seconds and bytes by name, one value a round.
#[derive(Default)]
struct Figures(BTreeMap<&'static str, Vec<f64>>);

impl Figures {
    fn note(&mut self, what: &'static str, value: f64) {
        self.0.entry(what).or_default().push(value);
    }

    fn time<T>(&mut self, what: &'static str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let begun = Instant::now();
        let done = work()?;
        self.note(what, begun.elapsed().as_secs_f64());
        Ok(done)
    }

    fn median(&self, what: &str) -> f64 {
        self.0.get(what).map_or(f64::NAN, |values| median(values))
    }

    fn rate(&self, what: &str, bytes: usize) -> f64 {
        bytes as f64 / 1e6 / self.median(what)
    }
}

fn compare(plan: &Plan, data: &[u8], limit: f64) -> Outcome {
    let version = Restic::version();
    let (mut own, mut peer) = (Figures::default(), Figures::default());
    for _ in 0..ROUNDS {
        let scratch = plan.scratch()?;
        let dir = scratch.path();
        let file = dir.join("data");
        std::fs::write(&file, data)?;
        let mut home = Home::create(dir)?;
        let before = core_seconds().0;
        own.time("backup", || home.backup(&file))?;
        own.note("cores", core_seconds().0 - before);
        own.note("stored", folder_bytes(&dir.join("sites"))? as f64);
        own.time("bare", || bare(dir, folder_bytes(&dir.join("sites"))?))?;
        let restic = match version {
            Some(_) => Some(Restic::create(dir)?),
            None => None,
        };
        if let Some(restic) = &restic {
            let before = core_seconds().1;
            peer.time("backup", || restic.backup(&file))?;
            peer.note("cores", core_seconds().1 - before);
            peer.note("stored", restic.bytes()? as f64);
        }
        let changed = change(data, plan.seed);
        std::fs::write(&file, &changed)?;
        let second = own.time("second", || home.backup(&file))?;
        own.note("added", second.shipped.bytes as f64);
        if let Some(restic) = &restic {
            let before = restic.bytes()?;
            peer.time("second", || restic.backup(&file))?;
            peer.note("added", (restic.bytes()? - before) as f64);
            peer.time("restore", || restic.restore(&dir.join("back-restic")))?;
            peer.time("check", || restic.check())?;
        }
        own.time("restore", || home.restore(&dir.join("back")))?;
        same(&dir.join("back"), &changed)?;
        own.time("check", || home.verify(false))?;
        own.time("check, opened", || home.verify(true))?;
        home.lose_two(dir)?;
        own.time("restore, two gone", || home.restore(&dir.join("back-two")))?;
        same(&dir.join("back-two"), &changed)?;
    }
    let megabytes = data.len() / 1_000_000;
    let name = version.as_deref().unwrap_or("no restic installed");
    println!("all three together, {megabytes} MB; peer: {name}, one folder, no parity;");
    println!("restic restores the second point and runs check --read-data:");
    print(&own, &peer, data.len());
    let (backup, bare) = (own.rate("backup", data.len()), own.rate("bare", data.len()));
    println!(
        "  backup reaches {:.0} % of the stages' limit; a bare write and sync of the same",
        100.0 * backup / limit
    );
    println!("  bytes into five files: {bare:.0} MB/s of plaintext");
    Ok(())
}

fn print(own: &Figures, peer: &Figures, bytes: usize) {
    for (what, name) in [
        ("backup", "backup"),
        ("restore", "restore"),
        ("restore, two gone", "restore, 2 of 5 sites gone"),
        ("check", "verify, ciphertext of both points"),
        ("check, opened", "verify, both points opened"),
    ] {
        let other = what.split(',').next().unwrap_or(what);
        let (mine, theirs) = (own.rate(what, bytes), peer.rate(other, bytes));
        println!(
            "  {name:<38} {mine:>6.0} MB/s   restic {theirs:>6.0} MB/s   x{:.2}",
            mine / theirs
        );
    }
    let [mine, theirs] = [own, peer].map(|one| one.median("cores") * 1e9 / bytes as f64);
    println!(
        "  {:<38} {mine:>6.2} s/GB   restic {theirs:>6.2} s/GB   x{:.2}",
        "backup, processor time",
        theirs / mine
    );
    let (mine, theirs) = (own.median("second"), peer.median("second"));
    println!(
        "  {:<38} {mine:>6.2} s      restic {theirs:>6.2} s      x{:.2}",
        "second backup, 1 % changed",
        theirs / mine
    );
    for (what, name) in [("added", "added by it, all sites"), ("stored", "stored, all sites")] {
        let (mine, theirs) = (own.median(what) / 1e6, peer.median(what) / 1e6);
        println!(
            "  {name:<38} {mine:>6.1} MB     restic {theirs:>6.1} MB     x{:.2} (parity: x1.67)",
            mine / theirs
        );
    }
}

/// Five sites, a writer, and who can read.
struct Home {
    recovery: RecoveryIdentity,
    sites: Vec<Arc<dyn Site>>,
    writer: Writer,
    last: Option<Point>,
}

impl Home {
    fn create(dir: &Path) -> Outcome<Self> {
        let recovery = RecoveryIdentity::generate("state", &mut OsRandom)?;
        let mut sites: Vec<Arc<dyn Site>> = Vec::new();
        for name in SITES {
            let site = FolderSite::create(name, "local", dir.join("sites").join(name))?;
            sites.push(Arc::new(site));
        }
        let key = WriterKey::generate(&mut OsRandom)?;
        let certificate = recovery.certify(Lineage([1; 16]), None, key.public(), 0)?;
        let mut options = WriterOptions::new(vec![recovery.recipient()]);
        options.layout = Layout::new(3, 5)?;
        let (trust, random) = (recovery.root_public(), Box::new(OsRandom));
        let id_key = IdKey::generate(&mut OsRandom)?;
        let writer =
            Writer::open(sites.clone(), &trust, certificate, key, id_key, options, random)?;
        Ok(Self { recovery, sites, writer, last: None })
    }

    fn backup(&mut self, file: &Path) -> Outcome<Point> {
        let mut file = File::open(file)?;
        let position = self.last.as_ref().map_or(1, |point| point.shipped.counter + 1);
        let point = self.writer.append_point(PointInput {
            position,
            time_ns: 0,
            roots: Vec::new(),
            sources: vec![("data".to_owned(), &mut file as &mut dyn Read)],
            self_contained: false,
        })?;
        if point.margin != 2 {
            return Err(format!("a margin of {} instead of 2", point.margin).into());
        }
        self.last = Some(point.clone());
        Ok(point)
    }

    fn catalog(&self) -> Outcome<Arc<Catalog>> {
        let trust = self.recovery.root_public();
        Ok(Arc::new(Catalog::load(&self.sites, "state", &trust, None)?))
    }

    fn restore(&self, into: &Path) -> Outcome {
        let point = self.last.as_ref().ok_or("nothing was backed up")?;
        let opener = Opener::new(self.catalog()?, self.recovery.identity().clone())?;
        let mut file = File::create(into)?;
        opener.read_source(point.id, "data", &mut file)?;
        Ok(())
    }

    fn verify(&self, whole: bool) -> Outcome {
        let catalog = self.catalog()?;
        let opener = Opener::new(Arc::clone(&catalog), self.recovery.identity().clone())?;
        let depth = if whole { Verify::Full(&opener) } else { Verify::Ciphertext };
        let verification = verify(&catalog, depth)?;
        if verification.is_clean() { Ok(()) } else { Err("verify found problems".into()) }
    }

    fn lose_two(&self, dir: &Path) -> Outcome {
        for name in GONE {
            std::fs::remove_dir_all(dir.join("sites").join(name))?;
        }
        Ok(())
    }
}

fn same(file: &Path, data: &[u8]) -> Outcome {
    if std::fs::read(file)? == data {
        return Ok(());
    }
    Err("what was restored is not what was backed up".into())
}

/// The limit of the disk: as many bytes as the sites hold, into five files, each synced.
fn bare(dir: &Path, bytes: u64) -> Outcome {
    let block = vec![7_u8; (bytes / 5) as usize];
    let paths: Vec<PathBuf> = (0..5).map(|at| dir.join(format!("bare-{at}"))).collect();
    std::thread::scope(|scope| {
        let write = |path: &PathBuf| {
            let mut file = File::create(path)?;
            file.write_all(&block)?;
            file.sync_all()
        };
        let threads: Vec<_> = paths.iter().map(|path| scope.spawn(move || write(path))).collect();
        for thread in threads {
            thread.join().map_err(|_| "a writing thread panicked")??;
        }
        Ok(())
    })
}

/// One block of a hundred gets other content, anywhere.
fn change(data: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed, 3);
    let mut changed = data.to_vec();
    for block in changed.chunks_mut(CHANGE_BYTES) {
        if random.below(100) == 0 {
            let at = random.below(block.len().saturating_sub(64));
            block[at..].iter_mut().take(64).for_each(|byte| *byte ^= 0x5a);
        }
    }
    changed
}

/// 40-byte rows as a table of orders has them.
fn orders(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed, 4);
    let mut bytes = Vec::with_capacity(length + 64);
    let (mut order, mut time) = (1_u64, 1_767_225_600_000_000_000_u64);
    while bytes.len() < length {
        time += random.below(400_000) as u64;
        order += 1;
        bytes.extend_from_slice(&order.to_le_bytes());
        bytes.extend_from_slice(&time.to_le_bytes());
        bytes.extend_from_slice(&(random.below(300) as u32).to_le_bytes());
        bytes.extend_from_slice(&(random.below(200) as u32).to_le_bytes());
        bytes.extend_from_slice(&(100_000 + random.between(-500, 500)).to_le_bytes());
        bytes.extend_from_slice(&random.between(1, 2_000).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn json(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed, 5);
    let mut bytes = Vec::with_capacity(length + 256);
    let mut number = 0_u64;
    while bytes.len() < length {
        number += 1;
        let (strike, bid) = (20 + random.below(100), random.below(65_536));
        let (ask, amount) = (bid + random.below(64), random.below(900));
        let line = format!(
            "{{\"instrument_name\":\"BTC-27MAR26-{strike}000-C\",\"change_id\":{number},\
             \"best_bid_price\":0.{bid:05},\"best_ask_price\":0.{ask:05},\"amount\":{amount}}}\n"
        );
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed, 6);
    let mut bytes = vec![0; length];
    bytes.chunks_mut(8).for_each(|chunk| {
        chunk.copy_from_slice(&random.bits().to_le_bytes()[..chunk.len()]);
    });
    bytes
}
