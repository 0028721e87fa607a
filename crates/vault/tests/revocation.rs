//! A writer whose key was stolen: what it wrote since is not believed, and is written anew.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::process::Command;
use std::sync::Arc;

use common::{Desk, SECOND, START, SeededRandom, noise, point, read, revoke_writer};
use evenkeel_vault::{
    Error, Freshness, Lineage, Opener, Parent, Pin, RecoveryIdentity, Verify, Writer, WriterKey,
    WriterOptions, verify,
};

/// Two points by the owner, one by a thief with the same key.
fn stolen() -> (Desk, Vec<evenkeel_vault::Point>, Vec<u8>) {
    let desk = Desk::new();
    let content = noise(5, 600_000);
    let mut writer = desk.writer(1);
    let mut points = vec![
        point(&mut writer, 1, START, &[("orders", &content)]).unwrap(),
        point(&mut writer, 2, START + SECOND, &[("orders", &content)]).unwrap(),
    ];
    let forged = b"a thief's orders".repeat(1_000);
    points.push(point(&mut writer, 3, START + 2 * SECOND, &[("orders", &forged)]).unwrap());
    (desk, points, content)
}

#[test]
fn what_a_revoked_writer_wrote_since_is_not_believed_and_what_it_wrote_before_is() {
    let (desk, points, content) = stolen();
    let lineage = desk.certificate.lineage;
    let before = desk.catalog();
    let pin: Pin = before.pin(lineage).unwrap();
    revoke_writer(&before, &desk.recovery, lineage, 2, START + 3 * SECOND).unwrap();
    let catalog = desk.catalog();
    assert_eq!(catalog.points().len(), 2);
    assert_eq!(catalog.latest_point().unwrap().id, points[1].id);
    assert_eq!(catalog.lineages()[0].revoked_after, Some(2));
    assert!(catalog.problems().iter().any(|one| one.detail.contains("the root revoked")));
    assert!(catalog.forks().is_empty());
    let opener = desk.opener();
    assert!(read(&opener, &points[1], "orders").unwrap() == content);
    assert!(matches!(opener.sources(points[2].id), Err(Error::NotFound { .. })));
    // What is left over of it is no damage, and a pin on it is no rollback.
    assert!(verify(&catalog, Verify::Ciphertext).unwrap().is_clean());
    let pinned = desk.load(&desk.sites(), Some(pin)).unwrap();
    assert!(matches!(pinned.freshness(), Freshness::Unproven { .. }), "{:?}", pinned.freshness());
    pinned.check_restorable().unwrap();
    // The key signs on, and nobody listens; a writer that is honest does not even open.
    let refused = desk.try_writer(desk.options(), 9).unwrap_err();
    assert!(refused.to_string().contains("has revoked the writer"), "{refused}");
}

#[test]
fn a_new_writer_writes_everything_anew_and_refers_to_no_chunk_of_the_revoked_one() {
    let (desk, _, content) = stolen();
    let lineage = desk.certificate.lineage;
    let catalog = desk.catalog();
    revoke_writer(&catalog, &desk.recovery, lineage, 2, START).unwrap();
    let record_hash = catalog.record(lineage, 2).unwrap().hash;
    let key = WriterKey::from_bytes(&[0x77; 32]);
    let parent = Parent { lineage, position: 2, record_hash };
    let next = Lineage([0x66; 16]);
    let certificate =
        desk.recovery.certify(next, Some(parent), key.public(), START + 3 * SECOND).unwrap();
    let options = WriterOptions {
        index_path: Some(desk.folder.path().join("index")),
        layout: desk.layout,
        ..WriterOptions::new(vec![desk.recovery.recipient()])
    };
    let (trust, random) = (desk.recovery.root_public(), Box::new(SeededRandom::new(3)));
    let id_key = Desk::id_key();
    let mut writer =
        Writer::open(desk.sites(), &trust, certificate, key, id_key, options, random).unwrap();
    let anew = point(&mut writer, 3, START + 4 * SECOND, &[("orders", &content)]).unwrap();
    assert_eq!((anew.bytes_new, anew.bytes_dedup), (600_000, 0));
    let opener = desk.opener();
    assert!(opener.catalog().forks().is_empty(), "{:?}", opener.catalog().forks());
    assert_eq!(opener.catalog().current_lineage(), Some(next));
    assert!(read(&opener, &anew, "orders").unwrap() == content);
}

#[test]
fn a_revocation_can_only_believe_less_and_only_the_root_can_make_one() {
    let (desk, _, _) = stolen();
    let lineage = desk.certificate.lineage;
    let catalog = desk.catalog();
    let thief = RecoveryIdentity::generate("state", &mut SeededRandom::new(8)).unwrap();
    let forged = revoke_writer(&catalog, &thief, lineage, 0, START);
    assert!(matches!(forged, Err(Error::Invalid { .. })), "{forged:?}");
    let beyond = revoke_writer(&catalog, &desk.recovery, lineage, 99, START);
    assert!(matches!(beyond, Err(Error::NotFound { .. })), "{beyond:?}");
    revoke_writer(&catalog, &desk.recovery, lineage, 1, START).unwrap();
    revoke_writer(&catalog, &desk.recovery, lineage, 2, START + 1).unwrap();
    assert_eq!(desk.catalog().points().len(), 1);
    revoke_writer(&catalog, &desk.recovery, lineage, 0, START + 2).unwrap();
    assert_eq!(desk.catalog().points().len(), 0);
    // Garbage under that name is nobody's word, and one site that shows the right one is enough.
    for at in 1..5 {
        for key in desk.objects(at, "/revoked/") {
            std::fs::write(desk.object(at, &key), b"garbage").unwrap();
        }
    }
    assert_eq!(desk.catalog().points().len(), 0);
}

#[test]
fn the_reader_in_another_language_does_not_believe_it_either() {
    let (desk, points, _) = stolen();
    revoke_writer(&desk.catalog(), &desk.recovery, desk.certificate.lineage, 2, START).unwrap();
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let output = Command::new("python3")
        .arg(root.join("docs/second-reader/read.py"))
        .args(["list", "--root", &desk.recovery.root_public().to_string()])
        .args((0..5).map(|at| desk.site_path(at)))
        .env("PYTHONPATH", root.join("target/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    let expected: Vec<String> = points[..2].iter().map(|one| one.id.to_string()).collect();
    assert_eq!(names, expected, "{}", String::from_utf8_lossy(&output.stderr));
    let opener = Opener::new(Arc::new(desk.catalog()), desk.recovery.identity().clone()).unwrap();
    assert!(opener.catalog().points().len() == 2);
}
