//! Speed of each stage of the vault, and of the whole, on seeded data: MB/s of plaintext.
//!
//! `cargo run --release -p evenkeel-vault --example seal_rate [MIB]`
#![allow(clippy::cast_precision_loss, reason = "rates for people")]
// An example measures; the library itself never reads a clock.
#![allow(clippy::disallowed_methods, reason = "measuring needs a clock")]

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use evenkeel_vault::{
    Catalog, FolderSite, IdKey, Layout, Lineage, Opener, OsRandom, Point, PointHead,
    RecoveryIdentity, Site, Verify, Writer, WriterKey, WriterOptions, decode_shards, encode_shards,
    verify,
};

type Failure = Box<dyn std::error::Error>;

/// A third each: fixed-size order records, JSON-like lines, noise.
fn seeded(length: usize) -> Vec<u8> {
    let mut noise = blake3::Hasher::new().update(b"seal rate").finalize_xof();
    let mut bytes = Vec::with_capacity(length + 256);
    let mut order = 0_u64;
    while bytes.len() < length / 3 {
        let mut random = [0; 6];
        noise.fill(&mut random);
        bytes.extend_from_slice(&order.to_le_bytes());
        bytes.extend_from_slice(&u64::from(random[0]).to_le_bytes());
        bytes.extend_from_slice(&random);
        bytes.extend_from_slice(&[0; 10]);
        order += 1;
    }
    while bytes.len() < 2 * length / 3 {
        let mut random = [0; 4];
        noise.fill(&mut random);
        let (bid, size) = (u16::from_le_bytes([random[0], random[1]]), random[2]);
        order += 1;
        let line = format!(
            "{{\"name\":\"BTC-27MAR26-{}000-C\",\"bid\":{bid},\"size\":{size},\"n\":{order}}}\n",
            random[3]
        );
        bytes.extend_from_slice(line.as_bytes());
    }
    let rest = length.saturating_sub(bytes.len());
    let at = bytes.len();
    bytes.resize(at + rest, 0);
    noise.fill(&mut bytes[at..]);
    bytes.truncate(length);
    bytes
}

fn rate<T>(
    stage: &str,
    bytes: usize,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let begun = Instant::now();
    let done = work()?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{stage:<42} {:>8.0} MB/s  ({seconds:.3} s)", bytes as f64 / 1e6 / seconds);
    Ok(done)
}

fn stages(data: &[u8]) -> Result<(), Failure> {
    let length = data.len();
    rate("blake3, keyed, 64 KiB chunks", length, || {
        Ok(data
            .chunks(65_536)
            .fold(0_u8, |sum, chunk| sum ^ blake3::keyed_hash(&[1; 32], chunk).as_bytes()[0]))
    })?;
    rate("fastcdc 16/64/256 KiB", length, || {
        let cuts = fastcdc::v2020::StreamCDC::new(data, 16_384, 65_536, 262_144);
        Ok(cuts.filter_map(Result::ok).count())
    })?;
    let packed = rate("zstd level 1, 64 KiB chunks", length, || {
        let mut compressor = zstd::bulk::Compressor::new(1)?;
        let mut packed = Vec::new();
        for chunk in data.chunks(65_536) {
            packed.push(compressor.compress(chunk)?);
        }
        Ok(packed)
    })?;
    rate("zstd decompress", length, || {
        let mut decompressor = zstd::bulk::Decompressor::new()?;
        for chunk in &packed {
            decompressor.decompress(chunk, 65_536)?;
        }
        Ok(())
    })?;
    let pack = &data[..length.min(16 << 20)];
    // The code's tables are made on first use.
    encode_shards(&pack[..64], 3)?;
    let shards =
        rate("reed-solomon encode 3+8 (16 MiB)", pack.len(), || Ok(encode_shards(pack, 3)?))?;
    let some: Vec<(usize, &[u8])> = (3..6).map(|at| (at, shards[at].as_slice())).collect();
    rate("reed-solomon decode, all data lost (16 MiB)", pack.len(), || {
        Ok(decode_shards(&some, 3, pack.len())?)
    })?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mebibytes: usize = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 256,
    };
    let mut data = seeded(mebibytes << 20);
    let processors = std::thread::available_parallelism()?;
    println!("{mebibytes} MiB of seeded data, {processors} processors");
    stages(&data)?;
    let folder = std::env::temp_dir().join(format!("evenkeel-seal-rate-{}", std::process::id()));
    let measured = whole(&mut data, &folder);
    std::fs::remove_dir_all(folder)?;
    measured
}

/// Writing, restoring and verifying, with five sites on this disk.
fn whole(data: &mut [u8], folder: &Path) -> Result<(), Failure> {
    let recovery = RecoveryIdentity::generate("state", &mut OsRandom)?;
    let trust = recovery.root_public();
    let mut sites: Vec<Arc<dyn Site>> = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        sites.push(Arc::new(FolderSite::create(name, "local", folder.join(name))?));
    }
    let mut writer = writer(&recovery, &sites)?;
    let point =
        rate("point: all stages, checked, 5 sites", data.len(), || append(&mut writer, data, 1))?;
    println!("  sent {:.1} MB to five sites", point.shipped.bytes as f64 / 1e6);
    for at in (0..data.len()).step_by(100 * 65_536) {
        data[at] ^= 1;
    }
    let point =
        rate("second point, ~1 % of chunks changed", data.len(), || append(&mut writer, data, 2))?;
    let (new, sent) = (point.bytes_new as f64 / 1e6, point.shipped.bytes as f64 / 1e6);
    println!("  new {new:.1} MB, sent {sent:.1} MB");

    let restore = |stage: &str| {
        let catalog = Arc::new(Catalog::load(&sites, "state", &trust, None)?);
        let opener = Opener::new(catalog.clone(), recovery.identity().clone())?;
        rate(stage, data.len(), || {
            Ok(opener.read_source(point.id, "data", &mut std::io::sink())?)
        })?;
        Ok::<_, Failure>(catalog)
    };
    let catalog = restore("restore, all sites")?;
    let stored: usize = usize::try_from(verify(&catalog, Verify::Ciphertext)?.bytes)?;
    rate("verify ciphertext, all sites (stored bytes)", stored, || {
        Ok(verify(&catalog, Verify::Ciphertext)?)
    })?;
    for name in ["a", "c"] {
        std::fs::remove_dir_all(folder.join(name))?;
    }
    restore("restore, two of five sites gone")?;
    Ok(())
}

fn writer(recovery: &RecoveryIdentity, sites: &[Arc<dyn Site>]) -> Result<Writer, Failure> {
    let key = WriterKey::generate(&mut OsRandom)?;
    let certificate = recovery.certify(Lineage([1; 16]), None, key.public(), 0)?;
    let mut options = WriterOptions::new(vec![recovery.recipient()]);
    options.layout = Layout::new(3, 5)?;
    let id_key = IdKey::generate(&mut OsRandom)?;
    let (trust, random) = (recovery.root_public(), Box::new(OsRandom));
    Ok(Writer::open(sites.to_vec(), &trust, certificate, key, id_key, options, random)?)
}

fn append(writer: &mut Writer, mut data: &[u8], position: u64) -> Result<Point, Failure> {
    let begun = Instant::now();
    let sealer = writer.begin_point(0, false)?;
    let sealing = Instant::now();
    let sealed = sealer.seal(&mut [("data".to_owned(), &mut data as &mut dyn Read)])?;
    let ending = Instant::now();
    let head = PointHead { position, time_ns: 0, roots: Vec::new() };
    let point = writer.finish_point(&head, &sealed)?;
    println!(
        "(the writer was held for {:.0} ms to begin and {:.0} ms to finish)",
        (sealing - begun).as_secs_f64() * 1e3,
        ending.elapsed().as_secs_f64() * 1e3,
    );
    Ok(point)
}
