//! Points of so many chunks that their list fills packs of its own.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use common::{Desk, SECOND, START, noise, point, read};
use evenkeel_vault::{Point, Verify, Writer, verify};

const SOURCES: u64 = 1300;

/// A point of many small sources, of which one is another with each `version`.
fn write(writer: &mut Writer, version: u64) -> Point {
    let sources: Vec<(String, Vec<u8>)> = (0..SOURCES)
        .map(|at| (format!("file {at}"), noise(if at == 1234 { at + version } else { at }, 50)))
        .collect();
    let sources: Vec<(&str, &[u8])> =
        sources.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    point(writer, version * 10, START + version * SECOND, &sources).unwrap()
}

fn restores(desk: &Desk, points: &[Point]) {
    let opener = desk.opener();
    for (version, point) in (1..).zip(points) {
        for at in [0, 1, 1233, 1234, 1235, SOURCES - 1] {
            let bytes = read(&opener, point, &format!("file {at}")).unwrap();
            assert!(bytes == noise(if at == 1234 { at + version } else { at }, 50), "{at}");
        }
    }
    let found = verify(opener.catalog(), Verify::Ciphertext).unwrap();
    assert_eq!(found.problems, []);
}

#[test]
fn what_did_not_change_of_a_list_is_not_stored_again() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let mut points = vec![write(&mut writer, 1)];
    assert!(points[0].self_contained);
    let first_bytes = points[0].shipped.bytes;
    for version in 2..6 {
        points.push(write(&mut writer, version));
        let added = points.last().unwrap().shipped.bytes;
        assert!(added * 8 < first_bytes, "{added} of {first_bytes}");
    }
    restores(&desk, &points);
    // Another process, with the index that this one left behind.
    drop(writer);
    let mut writer = desk.writer(2);
    points.push(write(&mut writer, 6));
    assert!(points[5].shipped.bytes * 8 < first_bytes);
    restores(&desk, &points);
}

#[test]
fn a_list_of_several_key_periods_is_no_loss_to_who_has_the_last_key_only() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let mut points = vec![write(&mut writer, 1)];
    writer.end_period();
    points.extend([2, 3].map(|version| write(&mut writer, version)));
    assert!(points[1].shipped.bytes * 8 < points[0].shipped.bytes);
    let found = writer.current_check().unwrap().run(100);
    assert!(found.is_clean() && found.packs > 0 && found.packs_earlier > 0, "{found:?}");
    restores(&desk, &points);
}

#[test]
fn a_list_whose_packs_are_lost_is_written_anew() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let first = write(&mut writer, 1);
    let second = write(&mut writer, 2);
    // Every pack that the second point brought goes from three of five sites.
    for at in 0..3 {
        for object in desk.objects(at, "/shards/") {
            let file = desk.object(at, &object);
            if std::fs::metadata(&file).unwrap().len() < 10_000 {
                std::fs::remove_file(file).unwrap();
            }
        }
    }
    let third = write(&mut writer, 3);
    let opener = desk.opener();
    for (version, point) in [(1, &first), (3, &third)] {
        let bytes = read(&opener, point, "file 1234").unwrap();
        assert!(bytes == noise(1234 + version, 50));
    }
    assert!(read(&opener, &second, "file 1234").is_err(), "it was not lost at all");
}
