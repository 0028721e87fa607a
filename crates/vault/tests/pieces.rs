//! Parts of a source come back without the rest of it, whatever two of five sites do.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::memory::Memory;
use common::{Desk, START, noise, point};
use evenkeel_vault::{Catalog, Error, Opener, Point, PointContent, Site};
use proptest::prelude::*;

const NAME: &str = "segment";

/// A desk whose point holds one source, and its sites in memory.
struct Written {
    desk: Desk,
    point: Point,
    bytes: Vec<u8>,
    sites: Vec<Memory>,
}

impl Written {
    fn new(length: usize) -> Self {
        let desk = Desk::new();
        let mut writer = desk.writer(1);
        let bytes = noise(3, length);
        let written = point(&mut writer, 1, START, &[(NAME, &bytes)]).unwrap();
        let sites = desk.sites().into_iter().enumerate().map(|(at, site)| {
            let memory = Memory::new(at);
            for object in site.list("").unwrap() {
                memory.put(&object.key, &site.get(&object.key).unwrap()).unwrap();
            }
            memory
        });
        let sites = sites.collect();
        Self { point: written, bytes, sites, desk }
    }

    /// Every shard of a site is gone, or each comes back wrong.
    fn break_shards(&self, at: usize, gone: bool) {
        let site = &self.sites[at];
        let shards: Vec<String> = site.list("").unwrap().into_iter().map(|one| one.key).collect();
        for key in shards.into_iter().filter(|key| key.contains("/shards/")) {
            if gone {
                site.objects.lock().unwrap().remove(&key);
            } else {
                site.lost.lock().unwrap().insert((key, None));
            }
        }
    }

    fn open(self) -> Reading {
        let sites: Vec<Arc<Memory>> = self.sites.into_iter().map(Arc::new).collect();
        let dynamic: Vec<Arc<dyn Site>> =
            sites.iter().map(|site| Arc::clone(site) as Arc<dyn Site>).collect();
        let root = self.desk.recovery.root_public();
        let catalog = Catalog::load(&dynamic, common::DOMAIN, &root, None).unwrap();
        let identity = self.desk.recovery.identity().clone();
        let opener = Opener::new(Arc::new(catalog), identity).unwrap();
        let content = opener.content(self.point.id).unwrap();
        let before = opener.seen().bytes;
        let reading = Reading { opener, content, sites, bytes: self.bytes, before };
        reading.sites.iter().for_each(|site| site.given_bytes.store(0, Ordering::Relaxed));
        reading
    }
}

struct Reading {
    opener: Opener,
    content: PointContent,
    sites: Vec<Arc<Memory>>,
    bytes: Vec<u8>,
    /// What opening the point and its list read.
    before: u64,
}

impl Reading {
    fn pieces(&self) -> Vec<Range<u64>> {
        self.content.pieces(NAME).unwrap().into_iter().map(|piece| piece.range).collect()
    }

    /// Reads pieces and compares each with what was written; gives the bytes they hold.
    fn check(&self, wanted: &[usize]) -> Result<u64, Error> {
        let ranges = self.pieces();
        let (mut held, mut took) = (0, Vec::new());
        self.opener.read_pieces(&self.content, NAME, wanted, &mut |at, piece| {
            let at_byte = |byte: u64| usize::try_from(byte).unwrap();
            let range = at_byte(ranges[at].start)..at_byte(ranges[at].end);
            assert!(piece == self.bytes[range], "piece {at}");
            held += piece.len() as u64;
            took.push(at);
            Ok(())
        })?;
        assert_eq!(took, wanted);
        Ok(held)
    }

    fn given_bytes(&self) -> u64 {
        self.sites.iter().map(|site| site.given_bytes.load(Ordering::Relaxed)).sum()
    }
}

#[test]
fn a_few_pieces_cost_little_more_than_what_they_hold() {
    let reading = Written::new(20_000_000).open();
    let ranges = reading.pieces();
    assert_eq!(ranges.last().unwrap().end, 20_000_000);
    assert_eq!(reading.content.hash(NAME).unwrap(), *blake3::hash(&reading.bytes).as_bytes());
    let wanted: Vec<usize> = (0..ranges.len()).step_by(37).collect();
    let held = reading.check(&wanted).unwrap();
    let given = reading.given_bytes();
    println!("{} of {} pieces: {held} bytes, read {given}", wanted.len(), ranges.len());
    // Their tags, whole blocks, and each pack's first block.
    assert!(given < held + 256 * (wanted.len() as u64 + 2), "{given} for {held}");
    assert_eq!(reading.opener.seen().bytes - reading.before, given, "all reading is counted");
}

#[test]
fn with_a_site_lost_the_same_ranges_of_three_others_are_read() {
    for lost in 0..5 {
        let written = Written::new(20_000_000);
        written.break_shards(lost, true);
        let reading = written.open();
        let wanted: Vec<usize> = (0..reading.pieces().len()).step_by(23).collect();
        let held = reading.check(&wanted).unwrap();
        let given = reading.given_bytes();
        assert!(given < 3 * held + 16_384, "site {lost}: {given} for {held}");
    }
}

#[test]
fn a_site_that_lies_is_named_and_everything_is_right() {
    for liar in 0..5 {
        let written = Written::new(20_000_000);
        written.break_shards(liar, false);
        let reading = written.open();
        let wanted: Vec<usize> = (0..reading.pieces().len()).step_by(11).collect();
        reading.check(&wanted).unwrap();
        let seen = reading.opener.seen();
        let named = seen.problems.iter().any(|one| one.site == common::site_name(liar));
        // A parity shard is not looked at while the data shards are right.
        assert_eq!(named, liar < 3, "site {liar}: {:?}", seen.problems);
    }
}

#[test]
fn with_three_sites_lost_it_is_said_and_nothing_is_given() {
    let written = Written::new(3_000_000);
    (1..4).for_each(|at| written.break_shards(at, true));
    let reading = written.open();
    let all: Vec<usize> = (0..reading.pieces().len()).collect();
    let error = reading.opener.read_pieces(&reading.content, NAME, &all, &mut |_, _| {
        panic!("nothing can be right");
    });
    assert!(matches!(error, Err(Error::NotEnoughSites { needed: 3, .. })), "{error:?}");
    let unknown = reading.opener.read_pieces(&reading.content, "other", &[0], &mut |_, _| Ok(()));
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_pieces_come_back_whatever_two_sites_do(
        chosen in proptest::collection::btree_set(0_usize..80, 1..40),
        broken in proptest::collection::btree_map(0_usize..5, any::<bool>(), 0..3),
    ) {
        let written = Written::new(4_000_000);
        for (site, gone) in broken {
            written.break_shards(site, gone);
        }
        let reading = written.open();
        let count = reading.pieces().len();
        let wanted: Vec<usize> = chosen.into_iter().filter(|at| *at < count).collect();
        reading.check(&wanted).unwrap();
        // And again, now that it is known who fails.
        reading.check(&wanted).unwrap();
    }
}
