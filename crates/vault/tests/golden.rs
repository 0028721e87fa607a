//! Version 1 is read for ever: a committed domain, written once, is restored here.
//!
//! `EVENKEEL_WRITE_FIXTURE=1 cargo test -p evenkeel-vault --test golden` writes it anew, which is
//! right only together with a new version of the format (in a folder of its own). The identity in
//! it opens nothing else.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{DOMAIN, SECOND, START, SeededRandom, noise, site_name};
use evenkeel_vault::{
    Catalog, FolderSite, Freshness, IdKey, Lineage, Opener, Pin, PointInput, RecoveryIdentity,
    Root, Site, Verify, Writer, WriterKey, WriterOptions, verify,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn sites(folder: &Path) -> Vec<Arc<dyn Site>> {
    let site = |at| {
        let name = site_name(at);
        Arc::new(FolderSite::new(name.clone(), "fixture", folder.join(name))) as Arc<dyn Site>
    };
    (0..5).map(site).collect()
}

/// Lines that compress to a little more than what is kept inline.
fn text() -> Vec<u8> {
    (0..3_000_u32)
        .flat_map(|at| format!("{at},{}\n", at.wrapping_mul(2_654_435_761)).into_bytes())
        .collect()
}

fn write(folder: &Path) {
    let recovery = RecoveryIdentity::generate(DOMAIN, &mut SeededRandom::new(70)).unwrap();
    for at in 0..5 {
        fs::create_dir_all(folder.join(site_name(at))).unwrap();
    }
    fs::write(folder.join("recovery-identity.txt"), recovery.to_text().as_bytes()).unwrap();
    let key = WriterKey::from_bytes(&[0x44; 32]);
    let lineage = Lineage([0x55; 16]);
    let certificate = recovery.certify(lineage, None, key.public(), START).unwrap();
    let mut writer = Writer::open(
        sites(folder),
        &recovery.root_public(),
        certificate,
        key,
        IdKey::from_bytes(&[0x66; 32]),
        WriterOptions::new(vec![recovery.recipient()]),
        Box::new(SeededRandom::new(71)),
    )
    .unwrap();
    let roots = [Root::new("state", [1; 32]), Root::new("journal", [2; 32])];
    writer.append_tail(0, 9, b"ten entries", &roots, START).unwrap();
    writer.append_tail(10, 12, &noise(73, 66_000), &[], START).unwrap();
    let (text, noise) = (text(), noise(72, 30_000));
    for (at, more) in [(9, &[] as &[u8]), (12, &noise)] {
        let (mut same, mut more): (&[u8], &[u8]) = (&text, more);
        let sources: Vec<(String, &mut dyn Read)> =
            vec![("snapshot".to_owned(), &mut same), ("more".to_owned(), &mut more)];
        let input = PointInput {
            position: at,
            time_ns: START + at * SECOND,
            roots: roots.to_vec(),
            sources,
            self_contained: false,
        };
        writer.append_point(input).unwrap();
        writer.end_period();
    }
    writer.append_heartbeat(Some(12), &[], START + 20 * SECOND).unwrap();
    writer.pin().save(&folder.join("pin")).unwrap();
}

#[test]
fn a_domain_written_in_version_1_is_read_verified_and_restored() {
    let folder = folder();
    if std::env::var_os("EVENKEEL_WRITE_FIXTURE").is_some() {
        write(&folder);
    }
    let identity = fs::read_to_string(folder.join("recovery-identity.txt")).unwrap();
    let recovery = RecoveryIdentity::parse(&identity).unwrap();
    let pin = Pin::load(&folder.join("pin")).unwrap().unwrap();
    let sites = sites(&folder);
    let catalog =
        Arc::new(Catalog::load(&sites, DOMAIN, &recovery.root_public(), Some(pin)).unwrap());
    assert_eq!(catalog.freshness(), &Freshness::Proven { pinned: 5 });
    assert!(catalog.problems().is_empty() && catalog.forks().is_empty());
    let opener = Opener::new(catalog.clone(), recovery.identity().clone()).unwrap();
    let found = verify(&catalog, Verify::Full(&opener)).unwrap();
    assert_eq!(found.problems, []);
    assert!(found.margins.iter().all(|(_, margin)| *margin == 2));

    let points = catalog.points();
    let names: Vec<_> = points.iter().map(|point| point.id.to_string()).collect();
    assert_eq!(names, ["55555555-3", "55555555-4"]);
    assert!(points[0].self_contained && !points[1].self_contained);
    assert_eq!(points[1].roots[1], Root::new("journal", [2; 32]));
    for (point, more) in points.iter().zip([Vec::new(), noise(72, 30_000)]) {
        let read = |name: &str| {
            let mut bytes = Vec::new();
            opener.read_source(point.id, name, &mut bytes).unwrap();
            bytes
        };
        assert!(read("snapshot") == text() && read("more") == more, "{}", point.id);
    }
    let tails = catalog.tails_after(Lineage([0x55; 16]), None);
    assert_eq!(opener.read_tail(&tails[0]).unwrap(), b"ten entries");
    assert!(opener.read_tail(&tails[1]).unwrap() == noise(73, 66_000));
}
