//! Single pages, from the beginnings of records alone, are those that a replay of everything gives.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use evenkeel_capture::Error;
use evenkeel_capture::pages::PageReader;
use evenkeel_capture::restore::{Target, find};
use evenkeel_capture::spool::{
    Batch, Body, Commit, Digest, GapBegin, History, Image, Item, Spool, Why, replay, segment_path,
};
use evenkeel_capture::sqlite::wal::Place;
use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_journal::{Access, Disk};
use proptest::prelude::*;

const FOLDER: &str = "/spool";
const PAGE_BYTES: usize = 512;

/// What is done to a spool.
#[derive(Debug, Clone)]
enum Step {
    /// An epoch begins, behind an interval that was not protected or not.
    Epoch { gap: bool },
    /// A batch: pages with what they hold from then on, and commits between them.
    Batch(Vec<Said>),
    /// The writer dies and another goes on.
    Reopen,
}

#[derive(Debug, Clone)]
enum Said {
    Page { page: u32, whole: bool, content: u8 },
    Commit { pages: u32, later_ns: u64 },
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        5 => (1_u32..12, any::<bool>(), 0_u8..6)
            .prop_map(|(page, whole, content)| Said::Page { page, whole, content }),
        2 => (1_u32..12, 0_u64..3).prop_map(|(pages, later_ns)| Said::Commit { pages, later_ns }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => any::<bool>().prop_map(|gap| Step::Epoch { gap }),
        12 => proptest::collection::vec(said(), 1..9).prop_map(Step::Batch),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What a spool's writer knows behind a record.
#[derive(Debug, Clone, Default)]
struct Known {
    pages: BTreeMap<u32, Vec<u8>>,
    epochs: u64,
    in_epoch: bool,
    commits: u64,
    time_ns: u64,
    finished: bool,
}

struct Writer {
    disk: FaultDisk,
    spool: Spool,
    /// Behind each record.
    known: Vec<Known>,
}

impl Writer {
    fn new() -> Self {
        let disk = FaultDisk::new();
        let spool = open(&disk);
        let begin = Known { finished: true, ..Known::default() };
        Self { disk, spool, known: vec![begin] }
    }

    fn now(&self) -> Known {
        self.known.last().expect("a beginning").clone()
    }

    fn append(&mut self, body: &Body, known: Known) {
        self.spool.append(body).expect("room");
        self.known.push(known);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Epoch { gap } => self.epoch(*gap),
            Step::Batch(said) => self.batch(said),
            Step::Reopen => {
                while self.known.last().is_some_and(|known| !known.finished) {
                    self.known.pop();
                }
                self.spool.reopen().expect("a spool");
                assert_eq!(self.spool.next_record() + 1, self.known.len() as u64);
            }
        }
    }

    fn epoch(&mut self, gap: bool) {
        let mut now = self.now();
        if gap {
            let (from_number, from_ns, noticed_ns) = (now.commits, now.time_ns, now.time_ns);
            let begin = GapBegin { why: Why::LogReset, from_number, from_ns, noticed_ns };
            (now.in_epoch, now.finished) = (false, true);
            self.append(&Body::Gap(begin), now.clone());
        }
        now.epochs += 1;
        (now.in_epoch, now.finished) = (true, false);
        now.pages.clear();
        let page_bytes = u32::try_from(PAGE_BYTES).expect("small");
        self.append(&Body::Epoch { epoch: now.epochs, page_bytes }, now);
    }

    fn batch(&mut self, all: &[Said]) {
        if !self.now().in_epoch {
            self.epoch(false);
        }
        let mut now = self.now();
        let (mut items, mut raw) = (Vec::new(), Vec::new());
        for said in all {
            items.push(match *said {
                Said::Page { page, whole, content } => {
                    let data = content_of(page, content);
                    let before = now.pages.insert(page, data.clone());
                    let before = before.unwrap_or_else(|| vec![0; PAGE_BYTES]);
                    let changed = data.iter().zip(&before).map(|(one, other)| one ^ other);
                    raw.extend(if whole { data.clone() } else { changed.collect::<Vec<u8>>() });
                    if whole { Item::Whole(page) } else { Item::Difference(page) }
                }
                Said::Commit { pages, later_ns } => commit(&mut now, pages, later_ns),
            });
        }
        now.finished = matches!(items.last(), Some(Item::Commit(_)));
        let raw_bytes = raw.len() as u64;
        let compressed = match raw.is_empty() {
            true => Vec::new(),
            false => zstd::bulk::compress(&raw, 1).expect("memory"),
        };
        self.append(&Body::Batch(Batch { items, raw_bytes, compressed }), now);
    }
}

fn open(disk: &FaultDisk) -> Spool {
    Spool::open(Arc::new(disk.clone()), Path::new(FOLDER), 2_000, 1).expect("a spool").0
}

/// What differs from page to page; content 0 is zeros.
fn content_of(page: u32, content: u8) -> Vec<u8> {
    if content == 0 {
        return vec![0; PAGE_BYTES];
    }
    let mut data = vec![0; PAGE_BYTES];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[content]).update(&page.to_le_bytes());
    hasher.finalize_xof().fill(&mut data[..400]);
    data
}

fn commit(now: &mut Known, pages: u32, later_ns: u64) -> Item {
    now.pages.retain(|page, _| *page <= pages);
    now.commits += 1;
    now.time_ns += later_ns;
    let mut digest = Digest::default();
    now.pages.iter().for_each(|(page, data)| digest.add(*page, data));
    let place = Place { salts: [1, 2], frame: 3, sum: [4, 5] };
    let (number, time_ns, after_ns) = (now.commits, now.time_ns, now.time_ns);
    Item::Commit(Commit { number, time_ns, after_ns, pages, digest: digest.to_bytes(), place })
}

/// Compares what a reader of single pages gives with a replay of everything.
fn check(disk: &FaultDisk, target: Target, to: &Path) {
    let history = History::load(disk, Path::new(FOLDER)).expect("a history");
    assert_eq!(history.lost, []);
    let reader = PageReader::open(Arc::new(disk.clone()), Path::new(FOLDER), target);
    let (run, commit) = match find(disk, &history, target) {
        Ok(found) => found,
        Err(error) => {
            assert!(matches!(error, Error::NoSuchPoint { .. }), "{error}");
            assert!(matches!(reader, Err(Error::NoSuchPoint { .. })), "{target:?}: {reader:?}");
            return;
        }
    };
    let mut reader = reader.expect("a reader");
    assert_eq!((reader.commit(), reader.page_bytes()), (&commit, run.page_bytes), "{target:?}");
    let mut image = Image::create(to, run.page_bytes).expect("a file");
    replay(disk, &history, &run, commit.number, &mut image).expect("a replay");
    let mut whole = std::fs::read(to).expect("the file");
    whole.resize(commit.pages as usize * PAGE_BYTES, 0);
    for (page, data) in (1..).zip(whole.chunks(PAGE_BYTES)).rev_every_other() {
        assert!(reader.page(page).expect("a page") == data, "page {page} at {target:?}");
    }
    assert!(reader.page(commit.pages + 1).is_err());
}

/// Pages are asked for in no order.
trait RevEveryOther: Iterator + Sized {
    fn rev_every_other(self) -> Vec<Self::Item> {
        let mut all: Vec<Self::Item> = self.collect();
        let half = all.len() / 2;
        all[half..].reverse();
        all.rotate_left(half);
        all
    }
}

impl<I: Iterator> RevEveryOther for I {}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_page_of_every_commit_is_what_a_replay_gives(steps in steps()) {
        let mut writer = Writer::new();
        steps.iter().for_each(|step| writer.step(step));
        let folder = tempfile::tempdir().expect("a folder");
        let to = folder.path().join("replayed");
        let now = writer.now();
        check(&writer.disk, Target::End, &to);
        for number in 0..=now.commits + 1 {
            check(&writer.disk, Target::Commit(number), &to);
        }
        for time_ns in 0..=now.time_ns + 1 {
            check(&writer.disk, Target::Time(time_ns), &to);
        }
    }
}

#[test]
fn a_record_that_changed_is_not_given_as_a_page() {
    let mut writer = Writer::new();
    let page = |page, content| Said::Page { page, whole: true, content };
    let end = Said::Commit { pages: 2, later_ns: 1 };
    writer.step(&Step::Batch(vec![page(1, 1), end.clone()]));
    writer.step(&Step::Batch(vec![page(2, 2), end]));
    let path = segment_path(Path::new(FOLDER), 0);
    let file = writer.disk.open(&path, Access::ReadWrite).expect("a segment");
    // In the compressed bytes of the last batch, before its chain.
    let history = History::load(&writer.disk, Path::new(FOLDER)).expect("a history");
    let at = history.records.last().expect("a record");
    let changed = at.offset + at.length_bytes as u64 - 40;
    let mut byte = [0];
    file.read_at(&mut byte, changed).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], changed).expect("written");
    let disk = Arc::new(writer.disk.clone());
    let mut reader = PageReader::open(disk, Path::new(FOLDER), Target::End).expect("a reader");
    assert_eq!(reader.page(1).expect("of a record that is right"), content_of(1, 1));
    assert!(matches!(reader.page(2), Err(Error::Damaged { .. })));
}
