//! What may go, goes in the right order; what is needed never goes.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::sync::Arc;

use common::{Desk, SECOND, START, noise, point, read, site_name};
use evenkeel_vault::{
    FolderSite, Janitor, Plan, Policy, Reason, Verify, plan_retention, prune_demo, repair, verify,
};

fn janitors(desk: &Desk) -> Vec<Arc<dyn Janitor>> {
    (0..5)
        .map(|at| {
            Arc::new(FolderSite::new(site_name(at), "here", desk.site_path(at))) as Arc<dyn Janitor>
        })
        .collect()
}

/// Eight points, every fourth whole, a tail and a heartbeat before each.
fn written(desk: &Desk) -> (evenkeel_vault::Writer, Vec<evenkeel_vault::Point>) {
    let mut options = desk.options();
    options.self_contained_every = 4;
    let mut writer = desk.try_writer(options, 1).unwrap();
    let points = (0..8)
        .map(|at| {
            let time_ns = START + at * SECOND;
            writer.append_tail(at * 10, at * 10 + 9, &noise(at, 1_000), &[], time_ns).unwrap();
            writer.append_heartbeat(Some(at * 10 + 9), &[], time_ns).unwrap();
            let (same, changing) = (noise(99, 300_000), noise(at / 2, 300_000));
            let sources: [(&str, &[u8]); 2] = [("same", &same), ("source", &changing)];
            point(&mut writer, at * 10 + 9, time_ns, &sources).unwrap()
        })
        .collect();
    (writer, points)
}

#[test]
fn everything_before_the_newest_whole_point_may_go_and_the_rest_restores() {
    let desk = Desk::new();
    let (mut writer, points) = written(&desk);
    let plan = plan_retention(&desk.catalog(), Policy { bytes_max: 0 });
    let order: Vec<Reason> = plan.deletions.iter().map(|one| one.reason).collect();
    assert!(order.is_sorted(), "tails go before points");
    assert!(plan.bytes_after < plan.bytes_before);
    assert!(prune_demo(&janitors(&desk), &plan).is_empty());
    let held: u64 = (0..5).map(|at| desk.site(at).used_bytes().unwrap()).sum();
    assert_eq!(held, plan.bytes_after);

    let opener = desk.opener();
    let catalog = opener.catalog();
    assert!(catalog.problems().is_empty(), "{:?}", catalog.problems());
    let left: Vec<_> = catalog.points().into_iter().map(|point| point.id).collect();
    assert_eq!(left, points[4..].iter().map(|point| point.id).collect::<Vec<_>>());
    let found = verify(catalog, Verify::Full(&opener)).unwrap();
    assert_eq!(found.problems, []);
    for (at, point) in points.iter().enumerate().skip(4) {
        assert!(read(&opener, point, "source").unwrap() == noise(at as u64 / 2, 300_000));
    }
    // The writer goes on, and a restarted one as well.
    writer.append_tail(80, 81, b"x", &[], START).unwrap();
    drop(writer);
    let mut writer = desk.writer(2);
    let next = point(&mut writer, 81, START, &[("source", &noise(3, 300_000))]).unwrap();
    assert_eq!(next.bytes_new, 0);
    assert!(read(&desk.opener(), &next, "source").unwrap() == noise(3, 300_000));
}

#[test]
fn only_as_much_goes_as_the_limit_asks_for() {
    let desk = Desk::new();
    written(&desk);
    let catalog = desk.catalog();
    let whole = plan_retention(&catalog, Policy { bytes_max: u64::MAX });
    assert_eq!((whole.deletions.len(), whole.bytes_after), (0, whole.bytes_before));
    let little = plan_retention(&catalog, Policy { bytes_max: whole.bytes_before - 1 });
    assert!(little.deletions.iter().all(|one| one.reason == Reason::Covered));
    let all = plan_retention(&catalog, Policy { bytes_max: 0 });
    assert!(little.deletions.len() < all.deletions.len());
}

#[test]
fn a_record_that_is_missing_and_not_covered_by_a_later_point_is_a_problem() {
    let desk = Desk::new();
    let (mut writer, _) = written(&desk);
    for at in 80..83 {
        writer.append_tail(at, at, b"x", &[], START + at * SECOND).unwrap();
    }
    let lost = {
        let keys = desk.objects(0, "/records/");
        keys[keys.len() - 2].clone()
    };
    for at in 0..5 {
        std::fs::remove_file(desk.object(at, &lost)).unwrap();
    }
    let catalog = desk.catalog();
    assert_eq!(catalog.problems().len(), 1);
    assert_eq!(catalog.problems()[0].object, lost);
    assert_eq!(catalog.problems()[0].site, "every site");
    assert!(!verify(&catalog, Verify::Ciphertext).unwrap().is_clean());
}

#[test]
fn a_whole_point_that_no_site_may_lose_releases_nothing() {
    let desk = Desk::new();
    let (_, points) = written(&desk);
    let id = points[4].id;
    let key = format!("{:016x}", id.counter);
    for at in 0..2 {
        let record = desk.objects(at, "/records/").into_iter().find(|one| one.ends_with(&key));
        std::fs::remove_file(desk.object(at, &record.unwrap())).unwrap();
    }
    let catalog = desk.catalog();
    assert_eq!(catalog.point(&id.to_string()).unwrap().margin, 0);
    let old_points =
        |plan: &Plan| plan.deletions.iter().filter(|one| one.reason == Reason::OldPoint).count();
    // Only what the whole point before it covers: its own tail and heartbeat.
    let plan = plan_retention(&catalog, Policy { bytes_max: 0 });
    assert_eq!((plan.deletions.len(), old_points(&plan)), (2, 0));
    repair(&catalog).unwrap();
    let plan = plan_retention(&desk.catalog(), Policy { bytes_max: 0 });
    assert!(old_points(&plan) > 0);
}

#[test]
fn a_lineage_without_a_whole_point_loses_nothing() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    for at in 0..5 {
        writer.append_tail(at, at, b"x", &[], START).unwrap();
    }
    let plan = plan_retention(&desk.catalog(), Policy { bytes_max: 0 });
    assert_eq!(plan.deletions, []);
}
