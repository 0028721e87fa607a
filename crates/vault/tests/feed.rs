//! Points whose sources are fed one by one, referred to again, and read one by one; lineages that
//! stand beside the main one.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use common::{Desk, SECOND, START, SeededRandom, noise, point};
use evenkeel_types::Canonical as _;
use evenkeel_vault::{
    Error, Lineage, PointHead, Policy, SealedSource, SourceFeed, Verify, Writer, WriterKey,
    WriterOptions, plan_retention, verify,
};

fn head(position: u64) -> PointHead {
    PointHead { position, time_ns: START + position * SECOND, roots: Vec::new() }
}

/// A point of `names`, each with its own noise; what it says of them.
fn fed(writer: &mut Writer, position: u64, names: &[&str]) -> Vec<SealedSource> {
    let sealer = writer.begin_point(START, false).unwrap();
    let mut said = Vec::new();
    let sealed = sealer
        .seal_feed(&mut |feed: &mut SourceFeed<'_, '_>| {
            for (seed, name) in (0..).zip(names) {
                said.push(feed.read(name, &mut noise(seed, 300_000).as_slice())?);
            }
            Ok(())
        })
        .unwrap();
    writer.finish_point(&head(position), &sealed).unwrap();
    said
}

#[test]
fn a_source_is_referred_to_again_without_being_read_and_comes_back() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let said = fed(&mut writer, 1, &["a", "b"]);
    let remembered = SealedSource::from_bytes(&said[1].to_bytes()).unwrap();
    assert_eq!(remembered, said[1]);
    let sealer = writer.begin_point(START, false).unwrap();
    let sealed = sealer
        .seal_feed(&mut |feed: &mut SourceFeed<'_, '_>| {
            assert!(feed.again("b", &remembered)?);
            assert!(feed.again("b under another name", &remembered)?);
            feed.read("c", &mut noise(7, 100_000).as_slice()).map(drop)
        })
        .unwrap();
    assert_eq!((sealed.bytes_new(), sealed.bytes_dedup()), (100_000, 600_000));
    let made = writer.finish_point(&head(2), &sealed).unwrap();
    assert!(!made.self_contained);
    let opener = desk.opener();
    let content = opener.content(made.id).unwrap();
    let names: Vec<String> = content.sources().map(|source| source.name).collect();
    assert_eq!(names, ["b", "b under another name", "c"]);
    for (name, seed, length) in [("b", 1, 300_000), ("b under another name", 1, 300_000)] {
        let mut bytes = Vec::new();
        assert_eq!(opener.read_content(&content, name, &mut bytes).unwrap(), length);
        assert!(bytes == noise(seed, 300_000));
    }
    assert_eq!(content.place("b"), content.place("b under another name"));
    assert!(content.pack_bytes(["c"].into_iter()) < content.pack_bytes(["b", "c"].into_iter()));
    assert!(matches!(
        opener.read_content(&content, "a", &mut Vec::new()),
        Err(Error::NotFound { .. })
    ));
    assert_eq!(verify(opener.catalog(), Verify::Full(&opener)).unwrap().problems, []);
}

#[test]
fn what_the_index_does_not_know_is_not_referred_to() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let said = fed(&mut writer, 1, &["a"]);
    // Without its index a writer knows nothing of what it wrote before.
    drop(writer);
    std::fs::remove_file(desk.folder.path().join("index")).unwrap();
    let mut writer = desk.writer(2);
    let sealer = writer.begin_point(START, false).unwrap();
    let sealed = sealer.seal_feed(&mut |feed: &mut SourceFeed<'_, '_>| {
        assert!(!feed.again("a", &said[0])?);
        feed.read("a", &mut noise(0, 300_000).as_slice()).map(drop)
    });
    assert_eq!(sealed.unwrap().bytes_new(), 300_000);
}

#[test]
fn a_name_stands_for_one_source_only() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    for names in [["a", "a"], ["a", ""]] {
        let sealer = writer.begin_point(START, false).unwrap();
        let refused = sealer.seal_feed(&mut |feed: &mut SourceFeed<'_, '_>| {
            names.iter().try_for_each(|name| feed.read(name, &mut &b"x"[..]).map(drop))
        });
        assert!(matches!(refused, Err(Error::Invalid { what: "source", .. })));
    }
}

#[test]
fn what_feeds_may_end_the_point_with_an_error_and_nothing_counts() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let sealer = writer.begin_point(START, false).unwrap();
    let refused = sealer.seal_feed(&mut |feed: &mut SourceFeed<'_, '_>| {
        feed.read("a", &mut noise(1, 300_000).as_slice())?;
        Err(Error::Invalid { what: "test", detail: "enough".to_owned() })
    });
    assert!(matches!(refused, Err(Error::Invalid { what: "test", .. })));
    fed(&mut writer, 1, &["a"]);
    assert_eq!(desk.catalog().points().len(), 1);
}

#[test]
fn a_damaged_memory_of_a_source_is_refused() {
    let desk = Desk::new();
    let said = fed(&mut desk.writer(1), 1, &["a"]);
    let bytes = said[0].to_bytes();
    for length in 0..bytes.len() {
        assert!(SealedSource::from_bytes(&bytes[..length]).is_err());
    }
    let mut longer = said[0].clone();
    longer.length_bytes += 1;
    assert!(SealedSource::from_bytes(&longer.to_bytes()).is_err());
}

#[test]
fn a_lineage_beside_the_main_one_is_never_the_current_one_and_keeps_everything() {
    let kind = *b"test";
    let beside = Lineage::beside(kind, [7; 8]);
    assert_eq!((beside.kind_beside(), Lineage([7; 16]).kind_beside()), (Some(kind), None));
    let desk = Desk::new();
    let mut main = desk.writer(1);
    point(&mut main, 9, START, &[("source", b"main")]).unwrap();
    let key = WriterKey::from_bytes(&[0x77; 32]);
    let certificate = desk.recovery.certify(beside, None, key.public(), START + 1).unwrap();
    let options = WriterOptions { index_path: None, state_path: None, ..desk.options() };
    let (trust, random) = (desk.recovery.root_public(), Box::new(SeededRandom::new(2)));
    let id_key = Desk::id_key();
    let mut writer =
        Writer::open(desk.sites(), &trust, certificate, key, id_key, options, random).unwrap();
    for at in 1..4 {
        let made = point(&mut writer, at, START + at * SECOND, &[("source", b"other")]);
        assert!(made.unwrap().id.lineage == beside);
    }
    assert_eq!(writer.point_position(), Some(3));
    let catalog = desk.catalog();
    assert_eq!(catalog.lineages().last().unwrap().lineage, beside, "it was certified last");
    assert_eq!(catalog.current_lineage(), Some(main.lineage()));
    assert_eq!(catalog.current_lineage_of(Some(kind)), Some(beside));
    assert_eq!(catalog.latest_point().unwrap().position, 9);
    assert_eq!(catalog.latest_point_of(Some(kind)).unwrap().position, 3);
    assert_eq!(catalog.latest_point_of(Some(*b"none")), None);
    assert_eq!(plan_retention(&catalog, Policy { bytes_max: 0 }).deletions, []);
    assert_eq!(verify(&catalog, Verify::Ciphertext).unwrap().margins.len(), 4);
}
