//! Points in three steps: tails go out while one is being sealed.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::fs;
use std::io::Read;

use common::{Desk, SECOND, START, noise, point, read, site_name};
use evenkeel_vault::{
    Error, Kind, Point, PointHead, PointSealer, ProblemKind, Root, SealedPoint, Verify, Writer,
    verify,
};

const DAY: u64 = 24 * 60 * 60 * SECOND;

fn seal(sealer: PointSealer, content: &[u8]) -> SealedPoint {
    let mut content = content;
    let mut sources = [("source".to_owned(), &mut content as &mut dyn Read)];
    sealer.seal(&mut sources).unwrap()
}

fn head(position: u64, time_ns: u64) -> PointHead {
    PointHead { position, time_ns, roots: vec![Root::new("state", [9; 32])] }
}

/// Moves the first three sites away and back: below k nothing can be written.
fn away(desk: &Desk, away: bool) {
    let aside = desk.folder.path().join("aside");
    fs::create_dir_all(&aside).unwrap();
    for at in 0..3 {
        let (here, there) = (desk.site_path(at), aside.join(site_name(at)));
        if away {
            fs::rename(here, there).unwrap();
        } else {
            fs::rename(there, here).unwrap();
        }
    }
}

/// A source that needs the writer itself before it goes on: it would wait for ever if sealing
/// held the writer.
struct Waiting<'a> {
    tails_out: std::sync::mpsc::Receiver<()>,
    content: &'a [u8],
}

impl Read for Waiting<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        if !self.content.is_empty() {
            return self.content.read(bytes);
        }
        self.tails_out.recv().map_err(std::io::Error::other)?;
        Ok(0)
    }
}

#[test]
fn tails_are_appended_by_another_thread_while_a_point_is_being_sealed() {
    let desk = Desk::new();
    let content = noise(5, 3_000_000);
    let mut writer = desk.writer(1);
    writer.append_tail(0, 9, b"before", &[], START).unwrap();
    let sealer = writer.begin_point(START, false).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let sealed = std::thread::scope(|scope| {
        let mut source = Waiting { tails_out: receiver, content: &content };
        let sealing = scope
            .spawn(move || sealer.seal(&mut [("source".to_owned(), &mut source as &mut dyn Read)]));
        for at in 1..4 {
            writer.append_tail(at * 10, at * 10 + 9, b"meanwhile", &[], START + at).unwrap();
        }
        sender.send(()).unwrap();
        sealing.join().unwrap().unwrap()
    });
    let made = writer.finish_point(&head(9, START + 4), &sealed).unwrap();
    writer.append_tail(40, 49, b"after", &[], START + 5).unwrap();
    let catalog = desk.catalog();
    let kinds: Vec<Kind> =
        catalog.records(writer.lineage()).map(|record| record.header.kind).collect();
    let tail = |first: u64| Kind::Tail { first, last: first + 9 };
    let at_9 = Kind::Point { position: 9, self_contained: true };
    assert_eq!(kinds, [tail(0), tail(10), tail(20), tail(30), at_9, tail(40)]);
    assert_eq!((made.id.counter, made.margin), (5, 2));
    assert_eq!((catalog.forks(), catalog.problems()), ([].as_slice(), [].as_slice()));
    assert_eq!(verify(&catalog, Verify::Ciphertext).unwrap().problems, []);
    desk.lose(0);
    desk.lose(4);
    let opener = desk.opener();
    assert!(read(&opener, &made, "source").unwrap() == content);
    let tails = opener.catalog().tails_after(writer.lineage(), Some(9));
    let payloads: Vec<_> = tails.iter().map(|tail| opener.read_tail(tail).unwrap()).collect();
    let expected: [&[u8]; 4] = [b"meanwhile", b"meanwhile", b"meanwhile", b"after"];
    assert_eq!(payloads, expected);
}

#[test]
fn a_crash_before_the_end_leaves_only_objects_nothing_refers_to() {
    let desk = Desk::new();
    let content = noise(5, 1_000_000);
    let mut writer = desk.writer(1);
    writer.append_tail(0, 9, b"a", &[], START).unwrap();
    let sealed = seal(writer.begin_point(START, false).unwrap(), &content);
    writer.append_tail(10, 19, b"b", &[], START).unwrap();
    drop((sealed, writer));
    let found = verify(&desk.catalog(), Verify::Ciphertext).unwrap();
    assert!(found.is_clean() && !found.problems.is_empty());
    for problem in &found.problems {
        assert_eq!(problem.kind, ProblemKind::Unexpected, "{problem}");
        let kinds = ["/shards/", "/proofs/"];
        assert!(kinds.iter().any(|kind| problem.object.contains(kind)), "{problem}");
    }
    let mut writer = desk.writer(2);
    assert_eq!(writer.next_position(), Some(20));
    let made = point(&mut writer, 19, START + 1, &[("source", &content)]).unwrap();
    assert!(read(&desk.opener(), &made, "source").unwrap() == content);
}

#[test]
fn a_point_whose_key_period_ended_meanwhile_names_both_periods() {
    let desk = Desk::new();
    let content = noise(5, 1_000_000);
    let mut writer = desk.writer(1);
    let sealed = seal(writer.begin_point(START, false).unwrap(), &content);
    writer.append_tail(0, 9, b"a", &[], START + DAY).unwrap();
    assert_eq!(writer.period(), Some(2));
    let made = writer.finish_point(&head(5, START + DAY + 1), &sealed).unwrap();
    let catalog = desk.catalog();
    let record = catalog.record(writer.lineage(), made.id.counter).unwrap();
    let periods: Vec<u64> = record.header.periods.iter().map(|one| one.number).collect();
    assert_eq!(periods, [2, 1]);
    assert!(read(&desk.opener(), &made, "source").unwrap() == content);
    // And one whose period ends with nothing written in between.
    let sealed = seal(writer.begin_point(START + DAY + 2, true).unwrap(), &content);
    let made = writer.finish_point(&head(6, START + 3 * DAY), &sealed).unwrap();
    assert_eq!(writer.period(), Some(3));
    assert!(read(&desk.opener(), &made, "source").unwrap() == content);
}

#[test]
fn a_pack_lost_before_the_end_is_noticed_and_the_point_is_sealed_again() {
    let desk = Desk::new();
    let content = noise(5, 1_000_000);
    let mut writer = desk.writer(1);
    point(&mut writer, 1, START, &[("source", &content)]).unwrap();
    let sealed = seal(writer.begin_point(START, false).unwrap(), &content);
    assert_eq!((sealed.bytes_new(), sealed.bytes_dedup()), (0, 1_000_000));
    assert!(!sealed.is_lost());
    for at in 0..3 {
        for key in desk.objects(at, "/shards/") {
            fs::remove_file(desk.object(at, &key)).unwrap();
        }
    }
    assert!(sealed.is_lost());
    let error = writer.finish_point(&head(2, START + 1), &sealed).unwrap_err();
    assert!(matches!(error, Error::NotEnoughSites { needed: 3, found: 2, .. }), "{error}");
    assert_eq!(writer.pin().counter, 1);
    let sealed = seal(writer.begin_point(START, false).unwrap(), &content);
    assert_eq!(sealed.bytes_new(), 1_000_000);
    let made = writer.finish_point(&head(2, START + 2), &sealed).unwrap();
    assert_eq!((made.id.counter, made.margin), (2, 2));
    assert!(read(&desk.opener(), &made, "source").unwrap() == content);
}

#[test]
fn a_point_finished_again_after_a_failure_is_written_once() {
    let desk = Desk::new();
    let content = noise(5, 1_000_000);
    let mut writer = desk.writer(1);
    writer.append_tail(0, 9, b"a", &[], START).unwrap();
    let sealed = seal(writer.begin_point(START, false).unwrap(), &content);
    // A tail that is pending comes first.
    away(&desk, true);
    assert!(writer.append_tail(10, 19, b"b", &[], START).is_err());
    assert!(writer.finish_point(&head(9, START + 1), &sealed).is_err());
    assert!(!sealed.is_lost(), "sites that are away may come back");
    away(&desk, false);
    let made = writer.finish_point(&head(9, START + 2), &sealed).unwrap();
    assert_eq!((made.id.counter, made.margin), (3, 2));
    // A point whose own record stayed pending: its packs are there, its record is not.
    let sealed = seal(writer.begin_point(START + 3, false).unwrap(), &noise(6, 100_000));
    let records = |at: usize| {
        let lineage = writer.lineage();
        desk.object(at, &format!("state/{lineage}/records"))
    };
    let folders: Vec<_> = (0..3).map(records).collect();
    let aside = |at: usize| desk.folder.path().join(format!("records-{at}"));
    for (at, folder) in folders.iter().enumerate() {
        fs::rename(folder, aside(at)).unwrap();
        fs::write(folder, b"in the way").unwrap();
    }
    assert!(writer.finish_point(&head(12, START + 4), &sealed).is_err());
    assert_eq!(writer.pin().counter, 3);
    for (at, folder) in folders.iter().enumerate() {
        fs::remove_file(folder).unwrap();
        fs::rename(aside(at), folder).unwrap();
    }
    let made = writer.finish_point(&head(12, START + 5), &sealed).unwrap();
    assert_eq!((made.id.counter, made.margin), (4, 2));
    let catalog = desk.catalog();
    assert_eq!((catalog.points().len(), catalog.forks()), (2, [].as_slice()));
    assert_eq!(verify(&catalog, Verify::Ciphertext).unwrap().problems, []);
    // And what it brought is known from now on.
    let again = seal(writer.begin_point(START + 6, false).unwrap(), &noise(6, 100_000));
    assert_eq!(again.bytes_new(), 0);
}

#[test]
fn two_points_sealed_at_once_are_both_whole() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let contents = [noise(5, 700_000), noise(6, 700_000)];
    let first = writer.begin_point(START, false).unwrap();
    let second = writer.begin_point(START, false).unwrap();
    let second = seal(second, &contents[1]);
    let first = seal(first, &contents[0]);
    let made = [
        writer.finish_point(&head(1, START), &first).unwrap(),
        writer.finish_point(&head(2, START), &second).unwrap(),
    ];
    let opener = desk.opener();
    for (made, content) in made.iter().zip(&contents) {
        assert!(read(&opener, made, "source").unwrap() == *content);
    }
    assert_eq!(verify(&desk.catalog(), Verify::Ciphertext).unwrap().problems, []);
}

#[test]
fn a_point_sealed_for_another_lineage_is_refused() {
    let (desk, other) = (Desk::new(), Desk::of(evenkeel_vault::Layout::default(), 2));
    let sealed = seal(other.writer(1).begin_point(START, false).unwrap(), b"x");
    let error = desk.writer(1).finish_point(&head(1, START), &sealed).unwrap_err();
    assert!(matches!(error, Error::Invalid { what: "sealed point", .. }), "{error}");
}

#[test]
fn sealers_and_sealed_points_can_move_between_threads() {
    fn sent<T: Send>() {}
    sent::<PointSealer>();
    sent::<SealedPoint>();
    sent::<Writer>();
}

#[test]
fn a_point_whose_index_cannot_be_kept_is_written_once() {
    let desk = Desk::new();
    let mut options = desk.options();
    options.index_path = Some(desk.folder.path().join("no such folder").join("index"));
    let mut writer = desk.try_writer(options, 1).unwrap();
    let first = point(&mut writer, 1, START, &[("source", &noise(5, 300_000))]).unwrap();
    let second = point(&mut writer, 2, START, &[("source", &noise(5, 300_000))]).unwrap();
    assert_eq!((first.shipped.counter, second.shipped.counter), (1, 2));
    assert_eq!(second.bytes_new, 0);
    assert!(!desk.folder.path().join("no such folder").exists());
    assert_eq!(desk.catalog().points().len(), 2);
}

#[test]
fn any_number_of_workers_gives_the_same_point() {
    let mut content = noise(5, 3_000_000);
    // The second half is known when it comes: chunks of this very point, in packs still open.
    content.extend_from_within(..);
    let mut made = Vec::new();
    for workers in [0, 1, 4] {
        let desk = Desk::new();
        let mut options = desk.options();
        options.workers = workers;
        let mut writer = desk.try_writer(options, 1).unwrap();
        let first = point(&mut writer, 9, START, &[("a", &content), ("b", &content[77..])]);
        let first = first.unwrap();
        let mut changed = content.clone();
        changed[1_500_000..1_500_100].fill(0);
        let second = point(&mut writer, 19, START + 1, &[("a", &changed)]).unwrap();
        let opener = desk.opener();
        assert!(read(&opener, &first, "a").unwrap() == content);
        assert!(read(&opener, &first, "b").unwrap() == content[77..]);
        assert!(read(&opener, &second, "a").unwrap() == changed);
        assert!(second.bytes_new < 1_000_000 && first.bytes_dedup > 6_000_000);
        let sizes = |point: &Point| (point.bytes_new, point.bytes_dedup, point.objects);
        made.push((sizes(&first), sizes(&second)));
    }
    assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
}

#[test]
fn a_source_that_fails_while_workers_are_busy_ends_the_point_and_not_the_program() {
    struct Torn(usize);
    impl Read for Torn {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("the disk hums"));
            }
            let most = self.0.min(bytes.len());
            noise(self.0 as u64, most).as_slice().read_exact(&mut bytes[..most])?;
            self.0 -= most;
            Ok(most)
        }
    }
    let desk = Desk::new();
    let mut options = desk.options();
    options.workers = 3;
    let mut writer = desk.try_writer(options, 1).unwrap();
    let sealer = writer.begin_point(START, false).unwrap();
    let mut torn = Torn(9_000_000);
    let error = sealer.seal(&mut [("source".to_owned(), &mut torn as &mut dyn Read)]);
    assert!(matches!(error.unwrap_err(), Error::Stream { .. }));
    assert!(point(&mut writer, 9, START, &[("source", b"whole")]).is_ok());
}
