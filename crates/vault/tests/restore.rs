//! What was written comes back, from any three of five sites, and not from fewer.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::sync::Arc;

use common::{Desk, SECOND, START, noise, point, read, site_name};
use evenkeel_vault::{Error, Freshness, Identity, Kind, Opener, Verify, verify};

const SMALL_TAIL: &[u8] = b"ten small entries";

fn written() -> (Desk, evenkeel_vault::Point, Vec<u8>, Vec<u8>) {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let (snapshot, large_tail) = (noise(1, 3_000_000), noise(2, 200_000));
    writer.append_tail(0, 9, SMALL_TAIL, &[], START).unwrap();
    writer.append_tail(10, 19, &large_tail, &[], START + SECOND).unwrap();
    let sources: [(&str, &[u8]); 2] = [("snapshot", &snapshot), ("config", b"k = 3")];
    let written = point(&mut writer, 19, START + 2 * SECOND, &sources).unwrap();
    assert_eq!(written.margin, 2);
    writer.append_heartbeat(Some(19), &[], START + 3 * SECOND).unwrap();
    (desk, written, snapshot, large_tail)
}

fn assert_all_comes_back(
    opener: &Opener,
    written: &evenkeel_vault::Point,
    snapshot: &[u8],
    large_tail: &[u8],
) {
    assert_eq!(read(opener, written, "snapshot").unwrap(), snapshot);
    assert_eq!(read(opener, written, "config").unwrap(), b"k = 3");
    let tails = opener.catalog().tails_after(written.id.lineage, None);
    let ranges: Vec<_> = tails.iter().map(|tail| (tail.first, tail.last)).collect();
    assert_eq!(ranges, [(0, 9), (10, 19)]);
    assert_eq!(opener.read_tail(&tails[0]).unwrap(), SMALL_TAIL);
    assert_eq!(opener.read_tail(&tails[1]).unwrap(), large_tail);
}

#[test]
fn sources_of_every_size_come_back() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let sizes = [0, 1, 63, 64, 65_535, 65_536, 65_537, 1 << 20, 5_000_001, 40 << 20];
    for (at, size) in sizes.into_iter().enumerate() {
        let bytes = noise(at as u64, size);
        let position = at as u64;
        let written =
            point(&mut writer, position, START + position, &[("source", &bytes)]).unwrap();
        let opener = desk.opener();
        assert!(read(&opener, &written, "source").unwrap() == bytes, "{size} bytes");
        assert_eq!(opener.sources(written.id).unwrap()[0].length_bytes, size as u64);
    }
}

#[test]
fn compressible_sources_of_every_size_come_back() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    for (at, size) in [1_000_usize, 100_000, 30_000_000].into_iter().enumerate() {
        let bytes: Vec<u8> =
            (0..size / 8).flat_map(|number| ((number / 3) as u64).to_le_bytes()).collect();
        let position = at as u64;
        let written =
            point(&mut writer, position, START + position, &[("source", &bytes)]).unwrap();
        assert!(read(&desk.opener(), &written, "source").unwrap() == bytes, "{size} bytes");
    }
}

#[test]
fn any_two_of_five_sites_may_be_gone() {
    let (desk, written, snapshot, large_tail) = written();
    for a in 0..5 {
        for b in a + 1..5 {
            let aside = desk.folder.path().join("aside");
            std::fs::create_dir(&aside).unwrap();
            for at in [a, b] {
                std::fs::rename(desk.site_path(at), aside.join(site_name(at))).unwrap();
            }
            let opener = desk.opener();
            assert_all_comes_back(&opener, &written, &snapshot, &large_tail);
            let gone = [site_name(a), site_name(b)];
            let unreachable = opener.catalog().unreachable();
            assert!(gone.iter().all(|name| unreachable.iter().any(|one| one.contains(name))));
            assert_eq!(opener.catalog().latest_point().unwrap().margin, 0);
            for at in [a, b] {
                std::fs::rename(aside.join(site_name(at)), desk.site_path(at)).unwrap();
            }
            std::fs::remove_dir(&aside).unwrap();
        }
    }
}

#[test]
fn with_three_of_five_sites_gone_the_answer_names_points_and_sites() {
    let (desk, written, ..) = written();
    for at in [0, 2, 4] {
        desk.lose(at);
    }
    let error = desk.try_opener().unwrap_err();
    let Error::NotEnoughSites { needed: 3, found: 2, sites, points, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(points, &[written.id]);
    for at in [0, 2, 4] {
        assert!(sites.iter().any(|site| site.contains(&site_name(at))), "{sites:?}");
        assert!(error.to_string().contains(&site_name(at)));
    }
    assert!(error.to_string().contains(&written.id.to_string()));
    // The catalog itself still tells what there was.
    assert_eq!(desk.catalog().points()[0].margin, -1);
}

#[test]
fn with_three_of_five_shard_folders_gone_the_answer_names_points_and_sites() {
    let (desk, written, ..) = written();
    for at in [0, 2, 4] {
        for key in desk.objects(at, "/shards/") {
            std::fs::remove_file(desk.object(at, &key)).unwrap();
        }
    }
    let error = read(&desk.opener(), &written, "snapshot").unwrap_err();
    let Error::NotEnoughSites { needed: 3, found: 2, sites, points, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(points, &[written.id]);
    for at in [0, 2, 4] {
        assert!(sites.iter().any(|site| site.contains(&site_name(at))), "{sites:?}");
    }
}

#[test]
fn with_every_site_gone_the_answer_is_not_that_nothing_was_ever_there() {
    let (desk, ..) = written();
    (0..5).for_each(|at| desk.lose(at));
    let error = desk.load(&desk.sites(), None).unwrap_err();
    assert!(matches!(error, Error::NotEnoughSites { found: 0, .. }), "{error}");
    let fresh = Desk::new();
    let error = fresh.load(&fresh.sites(), None).unwrap_err();
    assert!(matches!(error, Error::NothingYet { .. }), "{error}");
}

#[test]
fn a_catalog_reads_the_same_from_any_three_sites_alone() {
    let (desk, written, snapshot, large_tail) = written();
    let whole = desk.catalog();
    let lineage = written.id.lineage;
    for a in 0..5 {
        for b in a + 1..5 {
            for c in b + 1..5 {
                let sites = [desk.site(a), desk.site(b), desk.site(c)];
                let catalog = desk.load(&sites, None).unwrap();
                assert!(catalog.problems().is_empty(), "{:?}", catalog.problems());
                assert_eq!(catalog.pin(lineage), whole.pin(lineage));
                assert_eq!(catalog.records(lineage).count(), 4);
                let identity = desk.recovery.identity().clone();
                let opener = Opener::new(Arc::new(catalog), identity).unwrap();
                assert_all_comes_back(&opener, &written, &snapshot, &large_tail);
            }
        }
    }
}

#[test]
fn sites_given_in_another_order_are_as_good() {
    let (desk, written, snapshot, large_tail) = written();
    let mut sites = desk.sites();
    sites.rotate_left(2);
    let catalog = Arc::new(desk.load(&sites, None).unwrap());
    let opener = Opener::new(catalog.clone(), desk.recovery.identity().clone()).unwrap();
    assert_all_comes_back(&opener, &written, &snapshot, &large_tail);
    let found = verify(&catalog, Verify::Full(&opener)).unwrap();
    assert_eq!(found.problems, []);
    assert_eq!(found.margins, [(written.id, 2)]);
}

#[test]
fn a_healthy_domain_verifies_clean_to_the_plaintext() {
    let (desk, written, ..) = written();
    let opener = desk.opener();
    let found = verify(opener.catalog(), Verify::Full(&opener)).unwrap();
    assert_eq!(found.problems, []);
    assert!(found.is_clean());
    assert_eq!(found.margins, [(written.id, 2)]);
    assert_eq!(found.points_opened, 1);
    assert!(opener.seen().problems.is_empty());
}

#[test]
fn a_wrong_identity_is_told_apart_from_damage() {
    let (desk, written, ..) = written();
    let opener = Opener::new(Arc::new(desk.catalog()), Identity::generate()).unwrap();
    let error = read(&opener, &written, "snapshot").unwrap_err();
    assert!(matches!(error, Error::WrongIdentity { .. }), "{error}");
    assert!(error.to_string().contains("the data is intact"));
}

#[test]
fn a_second_recipient_opens_as_well() {
    let desk = Desk::new();
    let drill = Identity::generate();
    let mut options = desk.options();
    options.recipients.push(drill.recipient());
    let mut writer = desk.try_writer(options, 1).unwrap();
    let written = point(&mut writer, 1, START, &[("source", b"bytes")]).unwrap();
    let opener = Opener::new(Arc::new(desk.catalog()), drill).unwrap();
    assert_eq!(read(&opener, &written, "source").unwrap(), b"bytes");
}

#[test]
fn without_a_pin_freshness_is_unproven_and_with_one_it_is_proven() {
    let (desk, written, ..) = written();
    let catalog = desk.catalog();
    assert!(matches!(catalog.freshness(), Freshness::Unproven { .. }));
    let pin = catalog.pin(written.id.lineage).unwrap();
    let catalog = desk.load(&desk.sites(), Some(pin)).unwrap();
    assert_eq!(catalog.freshness(), &Freshness::Proven { pinned: 4 });
}

#[test]
fn asking_for_what_is_not_there_names_what_is() {
    let (desk, written, ..) = written();
    let opener = desk.opener();
    let error = read(&opener, &written, "other").unwrap_err().to_string();
    assert!(error.contains("snapshot") && error.contains("config"), "{error}");
    let error = opener.catalog().point("nonsense").unwrap_err().to_string();
    assert!(error.contains(&written.id.to_string()), "{error}");
    let found = opener.catalog().point(&written.id.to_string()).unwrap();
    assert_eq!((found.position, found.self_contained), (19, true));
    let heartbeat = opener.catalog().record(written.id.lineage, 4).unwrap();
    assert_eq!(heartbeat.header.kind, Kind::Heartbeat { position: Some(19) });
}

#[test]
fn a_large_list_of_chunks_goes_into_a_pack_of_its_own() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    // More than 64 KiB of incompressible chunk ids: above 2,000 chunks.
    let contents: Vec<(String, Vec<u8>)> =
        (0..2_500).map(|at| (format!("file-{at}"), noise(at, 40))).collect();
    let sources: Vec<(&str, &[u8])> =
        contents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let written = point(&mut writer, 1, START, &sources).unwrap();
    assert_eq!(written.objects, 2);
    assert_eq!(written.margin, 2);
    desk.lose(0);
    desk.lose(1);
    let opener = desk.opener();
    assert_eq!(opener.sources(written.id).unwrap().len(), 2_500);
    for (name, bytes) in contents.iter().step_by(311) {
        assert_eq!(&read(&opener, &written, name).unwrap(), bytes);
    }
}
