//! Deleting by grant: only what was allowed, only when nobody needs it, whole or to be continued.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::sync::{Arc, Mutex};

use common::memory::{Fuse, Memory};
use common::{DOMAIN, Desk, SECOND, START, SeededRandom, noise, point};
use evenkeel_vault::{
    ApprovalRule, ApproverKey, Catalog, DeletionPlan, DeletionRefused, Executed, Grant, Janitor,
    Keep, Layout, Matter, Opener, PlanId, Point, PointHead, PointInput, Site, Verify, Word, Writer,
    execute_deletion, forecast, plan_deletion, propose, publish_statement, read_grants, repair,
    verify,
};

const HOUR: u64 = 3600 * SECOND;
const KEEP: Keep = Keep { points: 2, daily: 0, tails_ns: 0 };

struct House {
    desk: Arc<Desk>,
    memories: Vec<Arc<Memory>>,
    fuse: Fuse,
}

fn approvers() -> [ApproverKey; 3] {
    [1, 2, 3].map(|seed| ApproverKey::from_bytes(&[seed; 32]))
}

fn rule() -> ApprovalRule {
    ApprovalRule::new(&approvers().map(|key| key.approver()), 2, 24 * HOUR).unwrap()
}

impl House {
    fn new() -> Self {
        let desk = Arc::new(Desk::with_layout(Layout::new(2, 3).unwrap()));
        let fuse = Fuse::default();
        let memory = |at| Arc::new(Memory { fuse: Arc::clone(&fuse), ..Memory::new(at) });
        let memories = (0..3).map(memory).collect();
        Self { desk, memories, fuse }
    }

    /// The same sites on a host that dies after so many changes.
    fn copy(&self, changes: u64) -> Self {
        let fuse: Fuse = Arc::new(Mutex::new(Some(changes)));
        let memories = self.memories.iter().map(|one| Arc::new(one.copy(&fuse))).collect();
        Self { desk: Arc::clone(&self.desk), memories, fuse }
    }

    fn revive(&self) {
        *self.fuse.lock().unwrap() = None;
    }

    fn sites(&self) -> Vec<Arc<dyn Site>> {
        self.memories.iter().map(|one| Arc::clone(one) as Arc<dyn Site>).collect()
    }

    fn janitors(&self) -> Vec<Arc<dyn Janitor>> {
        self.memories.iter().map(|one| Arc::clone(one) as Arc<dyn Janitor>).collect()
    }

    fn writer(&self, aware: bool) -> Writer {
        let mut options = self.desk.options();
        options.self_contained_every = 100;
        options.deletion = aware.then(rule);
        Writer::open(
            self.sites(),
            &self.desk.recovery.root_public(),
            self.desk.certificate.clone(),
            self.desk.key(),
            Desk::id_key(),
            options,
            Box::new(SeededRandom::new(7)),
        )
        .unwrap()
    }

    fn catalog(&self) -> Catalog {
        let trust = self.desk.recovery.root_public();
        Catalog::load(&self.sites(), DOMAIN, &trust, None).unwrap()
    }

    fn plan(&self) -> DeletionPlan {
        let entries = plan_deletion(&self.catalog(), &KEEP).entries;
        DeletionPlan::new(DOMAIN, START, entries, &mut SeededRandom::new(3)).unwrap()
    }

    fn propose(&self) -> PlanId {
        let plan = self.plan();
        propose(&self.sites(), self.desk.layout, &plan).unwrap();
        plan.id()
    }

    fn say(&self, word: Word, plan: PlanId, approver: usize) {
        let statement = approvers()[approver].say(word, &Matter::deletion(DOMAIN, plan), START);
        publish_statement(&self.sites(), self.desk.layout, DOMAIN, &statement).unwrap();
    }

    fn grant(&self, plan: PlanId) -> Grant {
        let grants = read_grants(&self.sites(), DOMAIN);
        grants.into_iter().find(|grant| grant.id == plan).unwrap()
    }

    fn execute(&self, plan: PlanId, now_ns: u64) -> Result<Executed, DeletionRefused> {
        let (catalog, grant) = (self.catalog(), self.grant(plan));
        execute_deletion(&catalog, &grant, &rule(), &self.janitors(), now_ns)
    }
}

/// A point of two sources, one of which stays the same for five points, and a tail before it.
fn write(writer: &mut Writer, number: u64, whole: bool) -> Point {
    let time = START + number * SECOND;
    writer.append_tail(number * 10, number * 10 + 9, &noise(number, 500), &[], time).unwrap();
    let (same, own) = (noise(number / 5 + 1000, 90_000), noise(number + 2000, 40_000));
    let mut readers: [&[u8]; 2] = [&same, &own];
    let [one, other] = &mut readers;
    writer
        .append_point(PointInput {
            position: number * 10 + 9,
            time_ns: time,
            roots: Vec::new(),
            sources: vec![("same".to_owned(), one), ("own".to_owned(), other)],
            self_contained: whole,
        })
        .unwrap()
}

fn opens(house: &House, point: &Point, number: u64) {
    let catalog = Arc::new(house.catalog());
    let opener = Opener::new(catalog, house.desk.recovery.identity().clone()).unwrap();
    let mut bytes = Vec::new();
    opener.read_source(point.id, "own", &mut bytes).unwrap();
    assert!(bytes == noise(number + 2000, 40_000));
}

/// Five points, then three from a whole one on.
fn written(aware: bool) -> (House, Writer, Vec<Point>) {
    let house = House::new();
    let mut writer = house.writer(aware);
    let points = (0..8).map(|number| write(&mut writer, number, number == 5)).collect();
    (house, writer, points)
}

#[test]
fn what_two_of_three_allowed_goes_after_the_delay_and_the_rest_restores() {
    let (house, mut writer, mut points) = written(true);
    let plan = house.propose();
    assert!(matches!(
        house.execute(plan, u64::MAX).unwrap_err(),
        DeletionRefused::NotApproved { approvals: 0, needed: 2, .. }
    ));
    house.say(Word::Approve, plan, 0);
    assert!(matches!(
        house.execute(plan, u64::MAX).unwrap_err(),
        DeletionRefused::NotApproved { approvals: 1, .. }
    ));
    house.say(Word::Approve, plan, 2);
    let from = START + 24 * HOUR;
    assert_eq!(
        house.execute(plan, from - 1).unwrap_err(),
        DeletionRefused::TooEarly { plan, from_ns: from }
    );
    // The writer has not signed since.
    assert!(matches!(house.execute(plan, from).unwrap_err(), DeletionRefused::NotSeen { .. }));
    points.push(write(&mut writer, 8, false));
    let before: u64 = house.memories.iter().map(|one| bytes_of(one)).sum();
    let done = house.execute(plan, from).unwrap();
    assert!(done.finished && done.errors.is_empty() && done.left.is_empty(), "{done:?}");
    let after: u64 = house.memories.iter().map(|one| bytes_of(one)).sum();
    assert!(after < before, "{after} of {before}");
    let catalog = house.catalog();
    let left: Vec<_> = catalog.points().iter().map(|point| point.id).collect();
    assert_eq!(left, points[5..].iter().map(|point| point.id).collect::<Vec<_>>());
    assert_eq!(verify(&catalog, Verify::Ciphertext).unwrap().problems, []);
    for (number, point) in (0..).zip(&points).skip(5) {
        opens(&house, point, number);
    }
    assert_eq!(house.execute(plan, from).unwrap_err(), DeletionRefused::Used { plan });
}

fn bytes_of(memory: &Memory) -> u64 {
    memory.list("").unwrap().iter().map(|object| object.length_bytes).sum()
}

#[test]
fn a_cancelled_plan_is_never_executed() {
    let (house, mut writer, _) = written(true);
    let plan = house.propose();
    for approver in [0, 1, 2] {
        house.say(Word::Approve, plan, approver);
    }
    house.say(Word::Cancel, plan, 1);
    write(&mut writer, 8, false);
    let by = approvers()[1].approver();
    assert_eq!(house.execute(plan, u64::MAX).unwrap_err(), DeletionRefused::Cancelled { plan, by });
    assert!(verify(&house.catalog(), Verify::Ciphertext).unwrap().is_clean());
}

/// In force: the plan names a pack that a point begun before refers to.
#[test]
fn a_point_begun_before_a_grant_came_into_force_is_sealed_anew_without_what_it_names() {
    let (house, mut writer, _) = written(true);
    // Every point from the fifth on refers to one pack; name it, as a plan that errs would.
    let catalog = house.catalog();
    let newest = catalog.latest_point().unwrap().id;
    let record = catalog.record(newest.lineage, newest.counter).unwrap();
    let shared = record.header.objects.iter().find(|object| {
        let users = catalog.records(newest.lineage);
        users.filter(|one| one.header.objects.contains(object)).count() > 1
    });
    let shared = shared.unwrap().clone();
    let key = format!("{DOMAIN}/{}/shards/{}.00", newest.lineage, hex(&shared.pack));
    let entry = evenkeel_vault::PlanEntry {
        object: key,
        length_bytes: 1,
        hash: Some(shared.shard_roots[0]),
    };
    let plan = DeletionPlan::new(DOMAIN, START, vec![entry], &mut SeededRandom::new(4)).unwrap();

    let time = START + 9 * SECOND;
    let same = noise(7 / 5 + 1000, 90_000);
    let seal = |writer: &mut Writer| {
        let sealer = writer.begin_point(time, false).unwrap();
        let mut reader: &[u8] = &same;
        sealer.seal(&mut [("same".to_owned(), &mut reader as &mut dyn std::io::Read)]).unwrap()
    };
    let sealed = seal(&mut writer);
    assert!(sealed.bytes_dedup() > 0 && sealed.bytes_new() == 0);
    propose(&house.sites(), house.desk.layout, &plan).unwrap();
    for approver in [0, 1] {
        house.say(Word::Approve, plan.id(), approver);
    }
    let head = PointHead { position: 89, time_ns: time, roots: Vec::new() };
    let refused = writer.finish_point(&head, &sealed).unwrap_err().to_string();
    assert!(refused.contains("a granted deletion names") && sealed.is_lost(), "{refused}");
    let again = seal(&mut writer);
    assert!(again.bytes_new() > 0, "it refers to nothing that the plan names");
    let point = writer.finish_point(&head, &again).unwrap();
    let catalog = house.catalog();
    let record = catalog.record(point.id.lineage, point.id.counter).unwrap();
    assert!(!record.header.objects.iter().any(|object| object.pack == shared.pack));
    assert!(record.header.roots.iter().any(|root| root.hash == plan.id().0));
    // Points that were there before still need it: whoever approved it, it stays.
    let refused = house.execute(plan.id(), u64::MAX).unwrap_err();
    assert!(matches!(&refused, DeletionRefused::Needed { .. }), "{refused}");
    assert!(verify(&house.catalog(), Verify::Ciphertext).unwrap().is_clean());
}

#[test]
fn a_point_of_a_writer_that_knows_nothing_of_grants_keeps_what_it_needs() {
    let (house, mut writer, points) = written(false);
    let plan = house.propose();
    for approver in [0, 1] {
        house.say(Word::Approve, plan, approver);
    }
    write(&mut writer, 8, false);
    let refused = house.execute(plan, u64::MAX).unwrap_err();
    assert!(matches!(refused, DeletionRefused::NotSeen { .. }), "{refused}");
    assert!(refused.to_string().contains("nothing was deleted"));
    opens(&house, &points[0], 0);
}

/// Must hold: a crash at every change leaves a repository that verifies, and that can go on.
#[test]
fn a_crash_at_every_step_of_an_execution_leaves_a_repository_that_verifies() {
    let (house, mut writer, mut points) = written(true);
    let plan = house.propose();
    for approver in [0, 1] {
        house.say(Word::Approve, plan, approver);
    }
    points.push(write(&mut writer, 8, false));
    let now = START + 25 * HOUR;
    let mut crashes = 0;
    for changes in 0.. {
        let crashed = house.copy(changes);
        let done = crashed.execute(plan, now).unwrap();
        crashed.revive();
        let mut catalog = crashed.catalog();
        let grants = read_grants(&crashed.sites(), DOMAIN);
        catalog.forget_deleted(&grants, &rule());
        let found = verify(&catalog, Verify::Ciphertext).unwrap();
        assert!(found.is_clean(), "after {changes} changes: {:?}", found.problems);
        let points_there: Vec<_> = catalog.points().iter().map(|point| point.id).collect();
        let kept: Vec<_> = points[5..].iter().map(|point| point.id).collect();
        assert!(kept.iter().all(|point| points_there.contains(point)), "after {changes} changes");
        assert!(repair(&catalog).unwrap().is_empty(), "what goes is not brought back");
        if done.finished {
            break;
        }
        crashes += 1;
        match crashed.execute(plan, now) {
            Ok(done) => assert!(done.finished, "after {changes} changes: {done:?}"),
            // The crash came while it was being marked as used: all had gone by then.
            Err(refused) => assert_eq!(refused, DeletionRefused::Used { plan }),
        }
        let catalog = crashed.catalog();
        assert_eq!(verify(&catalog, Verify::Ciphertext).unwrap().problems, []);
        opens(&crashed, &points[8], 8);
        assert!(matches!(crashed.execute(plan, now), Err(DeletionRefused::Used { .. })));
    }
    println!("{crashes} crashes");
    assert!(crashes > 50, "{crashes}");
}

#[test]
fn a_site_that_is_away_is_caught_up_with_and_too_few_sites_are_not_enough() {
    let (house, mut writer, _) = written(true);
    let plan = house.propose();
    for approver in [0, 1] {
        house.say(Word::Approve, plan, approver);
    }
    write(&mut writer, 8, false);
    let (catalog, grant) = (house.catalog(), house.grant(plan));
    let two = &house.janitors()[..2];
    let done = execute_deletion(&catalog, &grant, &rule(), two, u64::MAX).unwrap();
    assert!(!done.finished && done.left.len() == 1, "{done:?}");
    let done = house.execute(plan, u64::MAX).unwrap();
    assert!(done.finished);
    let away: Vec<Arc<dyn Site>> = vec![
        house.sites()[0].clone(),
        Arc::new(evenkeel_vault::FolderSite::new("birch", "gone", "/nonexistent/birch")),
        Arc::new(evenkeel_vault::FolderSite::new("cedar", "gone", "/nonexistent/cedar")),
    ];
    let trust = house.desk.recovery.root_public();
    let catalog = Catalog::load(&away, DOMAIN, &trust, None).unwrap();
    let grant = Grant { executed: false, ..grant };
    let refused =
        execute_deletion(&catalog, &grant, &rule(), &house.janitors(), u64::MAX).unwrap_err();
    assert!(matches!(refused, DeletionRefused::Unseen { found: 1, needed: 2, .. }), "{refused}");
}

#[test]
fn points_are_kept_by_number_and_by_day_and_the_newest_whole_one_always() {
    let house = House::new();
    let mut writer = house.writer(false);
    let day = 86_400 * SECOND;
    for number in 0..12_u64 {
        let content = noise(number, 10_000);
        // Three points a day.
        let time = START / day * day + number / 3 * day + number % 3 * HOUR;
        point(&mut writer, number, time, &[("own", &content)]).unwrap();
    }
    let plan = |points, daily| {
        let found = plan_deletion(&house.catalog(), &Keep { points, daily, tails_ns: 0 });
        (found.points, found.points_kept)
    };
    // Each point brings all it needs itself: nothing was there to refer to.
    assert_eq!(plan(3, 0), (9, 3));
    assert_eq!(plan(0, 0), (11, 1));
    assert_eq!(plan(2, 4), (7, 5));
    assert_eq!(plan(100, 0), (0, 12));
    let forecast = forecast(&house.catalog(), &Keep { points: 6, daily: 30, tails_ns: 0 }, 60);
    let forecast = forecast.unwrap();
    assert!((30..=36).contains(&forecast.points), "{forecast:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
