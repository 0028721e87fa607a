//! Earlier key periods wrapped for other recipients: who opens what, and what a crash leaves.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

use common::memory::{Fuse, Memory};
use common::{DOMAIN, Desk, SECOND, START, SeededRandom, point, read, rewrap};
use evenkeel_vault::{
    Catalog, Error, Identity, Opener, Recipient, RecoveryIdentity, Site, Verify, Writer,
    WriterOptions, periods, repair, verify,
};
use proptest::prelude::*;

const DAY: u64 = 24 * 60 * 60 * SECOND;

/// A writer of this desk at sites in memory.
fn writer_at(desk: &Desk, sites: Vec<Arc<dyn Site>>, recipients: Vec<Recipient>) -> Writer {
    let options = WriterOptions { layout: desk.layout, ..WriterOptions::new(recipients) };
    let (certificate, key) = (desk.certificate.clone(), desk.key());
    let (trust, random) = (desk.recovery.root_public(), Box::new(SeededRandom::new(1)));
    Writer::open(sites, &trust, certificate, key, Desk::id_key(), options, random).unwrap()
}

fn sites_of(memories: &[Arc<Memory>]) -> Vec<Arc<dyn Site>> {
    memories.iter().map(|memory| Arc::clone(memory) as Arc<dyn Site>).collect()
}

/// Sites with one point in each of three key periods, wrapped for the recovery identity alone.
fn three_periods(desk: &Desk) -> Vec<Arc<Memory>> {
    let memories: Vec<Arc<Memory>> = (0..5).map(|at| Arc::new(Memory::new(at))).collect();
    let mut writer = writer_at(desk, sites_of(&memories), vec![desk.recovery.recipient()]);
    for day in 0..3 {
        let said = format!("the plan of day {day}");
        point(&mut writer, day, START + day * DAY, &[("plan", said.as_bytes())]).unwrap();
    }
    memories
}

fn catalog(desk: &Desk, memories: &[Arc<Memory>]) -> Catalog {
    desk.load(&sites_of(memories), None).unwrap()
}

/// How many of the points this identity opens.
fn opened(desk: &Desk, memories: &[Arc<Memory>], identity: &Identity) -> usize {
    let opener = Opener::new(Arc::new(catalog(desk, memories)), identity.clone()).unwrap();
    let points = opener.catalog().points();
    let opens = |id| opener.sources(id).is_ok_and(|found| found.len() == 1);
    points.iter().filter(|info| opens(info.id)).count()
}

fn wraps(memory: &Memory) -> usize {
    let objects = memory.objects.lock().unwrap();
    objects.keys().filter(|key| key.contains(".wrap")).count()
}

#[test]
fn a_recipient_added_later_opens_earlier_periods_once_they_are_wrapped_for_it() {
    let desk = Desk::new();
    let memories = three_periods(&desk);
    let drill = Identity::generate();
    let recipients = [desk.recovery.recipient(), drill.recipient()];
    assert_eq!(opened(&desk, &memories, &drill), 0);
    let before = periods(&catalog(&desk, &memories));
    assert_eq!(before.len(), 3);
    assert!(before.iter().all(|one| one.opens_for(&recipients[1]) == Some(false)));
    assert!(before.iter().all(|one| one.opens_for(&recipients[0]) == Some(true)));
    assert_eq!((before[1].first_time_ns, before[1].last_time_ns), (START + DAY, START + DAY));
    assert!(before.iter().all(|one| one.bytes > 0 && one.records == 1));

    let found = catalog(&desk, &memories);
    let done = rewrap(&found, &desk.recovery, &recipients, START + 3 * DAY).unwrap();
    assert_eq!((done.periods, done.wrapped, done.already), (3, 3, 0));
    assert_eq!(opened(&desk, &memories, &drill), 3);
    assert_eq!(opened(&desk, &memories, desk.recovery.identity()), 3);
    let after = periods(&catalog(&desk, &memories));
    assert!(after.iter().all(|one| one.serves(&recipients)));

    // Again: nothing is written.
    let found = catalog(&desk, &memories);
    let done = rewrap(&found, &desk.recovery, &recipients, START + 4 * DAY).unwrap();
    assert_eq!((done.wrapped, done.already, done.completed), (0, 3, 0));
    assert!(memories.iter().all(|memory| wraps(memory) == 3));
    let checked = verify(&catalog(&desk, &memories), Verify::Ciphertext).unwrap();
    assert_eq!(checked.problems, []);
}

#[test]
fn re_wrapping_costs_one_small_object_a_period_whatever_the_periods_hold() {
    let desk = Desk::new();
    let memories: Vec<Arc<Memory>> = (0..5).map(|at| Arc::new(Memory::new(at))).collect();
    let mut writer = writer_at(&desk, sites_of(&memories), vec![desk.recovery.recipient()]);
    let large = common::noise(3, 3_000_000);
    point(&mut writer, 1, START, &[("large", &large)]).unwrap();
    let held =
        |memory: &Memory| memory.objects.lock().unwrap().values().map(Vec::len).sum::<usize>();
    let before = held(&memories[0]);
    let recipients = [desk.recovery.recipient(), Identity::generate().recipient()];
    rewrap(&catalog(&desk, &memories), &desk.recovery, &recipients, START).unwrap();
    let added = held(&memories[0]) - before;
    assert!(added < 1_500, "{added} bytes at a site that holds {before}");
}

#[test]
fn a_crash_at_every_write_leaves_a_vault_that_verifies_and_the_same_call_goes_on() {
    let desk = Desk::new();
    let whole = three_periods(&desk);
    let drill = Identity::generate();
    let recipients = [desk.recovery.recipient(), drill.recipient()];
    let mut crashed = 0;
    for writes in 0.. {
        let fuse: Fuse = Arc::new(Mutex::new(Some(writes)));
        let memories: Vec<Arc<Memory>> =
            whole.iter().map(|memory| Arc::new(memory.copy(&fuse))).collect();
        let found = catalog(&desk, &memories);
        let result = rewrap(&found, &desk.recovery, &recipients, START + 3 * DAY);
        *fuse.lock().unwrap() = None;
        let now = catalog(&desk, &memories);
        let damage = verify(&now, Verify::Ciphertext).unwrap().problems;
        // What reached some sites only is missing at the others; nothing else is wrong.
        assert!(damage.iter().all(|one| one.object.ends_with(".wrap")), "{writes}: {damage:?}");
        assert_eq!(opened(&desk, &memories, desk.recovery.identity()), 3, "{writes}");
        if result.is_err() {
            crashed += 1;
        }
        let again = rewrap(&now, &desk.recovery, &recipients, START + 4 * DAY).unwrap();
        assert_eq!(again.wrapped + again.already, 3, "{writes}");
        let now = catalog(&desk, &memories);
        assert!(verify(&now, Verify::Ciphertext).unwrap().is_clean(), "{writes}");
        assert_eq!(opened(&desk, &memories, &drill), 3, "{writes}");
        // Nothing is wrapped twice: the second run goes on with what the first one began.
        assert!(memories.iter().all(|memory| wraps(memory) == 3), "{writes}");
        if writes >= 15 {
            assert!(result.is_ok());
            break;
        }
    }
    assert!(crashed >= 5, "{crashed}");
}

#[test]
fn repair_brings_a_wrap_to_a_site_that_lost_it() {
    let desk = Desk::new();
    let memories = three_periods(&desk);
    let recipients = [desk.recovery.recipient(), Identity::generate().recipient()];
    rewrap(&catalog(&desk, &memories), &desk.recovery, &recipients, START).unwrap();
    memories[2].objects.lock().unwrap().retain(|key, _| !key.contains(".wrap"));
    let found = verify(&catalog(&desk, &memories), Verify::Ciphertext).unwrap();
    assert_eq!(found.problems.len(), 3);
    let repairs = repair(&catalog(&desk, &memories)).unwrap();
    assert!(repairs.len() == 3 && repairs.iter().all(|one| one.is_repaired()), "{repairs:?}");
    assert_eq!(wraps(&memories[2]), 3);
}

#[test]
fn what_a_site_invents_as_a_wrap_is_neither_believed_nor_in_the_way() {
    let desk = Desk::new();
    let memories = three_periods(&desk);
    let drill = Identity::generate();
    // Of another root: a key that would open nothing, for whoever reads it.
    let thief = RecoveryIdentity::generate(DOMAIN, &mut SeededRandom::new(99)).unwrap();
    let error = rewrap(&catalog(&desk, &memories), &thief, &[thief.recipient()], START);
    assert!(matches!(error, Err(Error::Invalid { .. })), "{error:?}");
    let lineage = desk.certificate.lineage;
    for (at, bytes) in [b"garbage".as_slice(), b"EVKY\x01", &[0; 500]].into_iter().enumerate() {
        let hash = blake3::hash(bytes).to_hex();
        let name = format!("{DOMAIN}/{lineage}/keys/{:016x}.{hash}.wrap", at + 1);
        memories[0].objects.lock().unwrap().insert(name, bytes.to_vec());
    }
    let recipients = [desk.recovery.recipient(), drill.recipient()];
    let done = rewrap(&catalog(&desk, &memories), &desk.recovery, &recipients, START).unwrap();
    assert_eq!(done.wrapped, 3);
    assert_eq!(opened(&desk, &memories, &drill), 3);
    let found = verify(&catalog(&desk, &memories), Verify::Ciphertext).unwrap();
    assert!(found.is_clean());
    assert_eq!(found.problems.len(), 3);
}

#[test]
fn a_period_whose_first_key_object_is_gone_everywhere_opens_by_what_was_wrapped_anew() {
    let desk = Desk::new();
    let memories = three_periods(&desk);
    let recipients = [desk.recovery.recipient()];
    let second = [desk.recovery.recipient(), Identity::generate().recipient()];
    rewrap(&catalog(&desk, &memories), &desk.recovery, &second, START).unwrap();
    for memory in &memories {
        memory.objects.lock().unwrap().retain(|key, _| !key.ends_with(".age"));
    }
    assert_eq!(opened(&desk, &memories, desk.recovery.identity()), 3);
    let done = rewrap(&catalog(&desk, &memories), &desk.recovery, &recipients, START).unwrap();
    assert_eq!((done.already, done.wrapped), (3, 0));
}

#[test]
fn a_period_that_nobody_here_opens_is_named_and_does_not_stop_the_others() {
    let desk = Desk::new();
    let memories: Vec<Arc<Memory>> = (0..5).map(|at| Arc::new(Memory::new(at))).collect();
    let stranger = Identity::generate();
    let mut writer = writer_at(&desk, sites_of(&memories), vec![stranger.recipient()]);
    point(&mut writer, 1, START, &[("plan", b"one")]).unwrap();
    drop(writer);
    let mut writer = writer_at(&desk, sites_of(&memories), vec![desk.recovery.recipient()]);
    point(&mut writer, 2, START + 1, &[("plan", b"two")]).unwrap();
    let recipients = [desk.recovery.recipient(), Identity::generate().recipient()];
    let done = rewrap(&catalog(&desk, &memories), &desk.recovery, &recipients, START).unwrap();
    assert_eq!((done.wrapped, done.closed), (1, vec![(desk.certificate.lineage, 1)]));
}

#[test]
fn wraps_go_with_the_period_they_open_when_retention_lets_it_go() {
    let desk = Desk::new();
    let memories: Vec<Arc<Memory>> = (0..5).map(|at| Arc::new(Memory::new(at))).collect();
    let recovery = vec![desk.recovery.recipient()];
    for day in 0..3 {
        let mut writer = writer_at(&desk, sites_of(&memories), recovery.clone());
        let said = format!("the plan of day {day}");
        point(&mut writer, day, START + day * DAY, &[("plan", said.as_bytes())]).unwrap();
    }
    let second = [desk.recovery.recipient(), Identity::generate().recipient()];
    rewrap(&catalog(&desk, &memories), &desk.recovery, &second, START).unwrap();
    let keep = evenkeel_vault::Keep { points: 1, daily: 0, tails_ns: 0 };
    let removable = evenkeel_vault::plan_deletion(&catalog(&desk, &memories), &keep);
    let named =
        |end: &str| removable.entries.iter().filter(|one| one.object.ends_with(end)).count();
    assert_eq!((named(".age"), named(".wrap")), (2, 2));
}

#[test]
fn the_reader_in_another_language_opens_what_was_wrapped_anew() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    let written = point(&mut writer, 1, START, &[("plan", b"in writing")]).unwrap();
    let second = Identity::generate();
    let recipients = [desk.recovery.recipient(), second.recipient()];
    rewrap(&desk.catalog(), &desk.recovery, &recipients, START).unwrap();
    let opener = Opener::new(Arc::new(desk.catalog()), second.clone()).unwrap();
    assert_eq!(read(&opener, &written, "plan").unwrap(), b"in writing");
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let (identity, back) = (desk.folder.path().join("second"), desk.folder.path().join("back"));
    fs::write(&identity, second.to_text().as_bytes()).unwrap();
    let output = std::process::Command::new("python3")
        .arg(root.join("docs/second-reader/read.py"))
        .args(["restore", "--point", &written.id.to_string(), "--identity"])
        .args([&identity, std::path::Path::new("--to"), &back])
        .args(["--root", &desk.recovery.root_public().to_string()])
        .args((0..5).map(|at| desk.site_path(at)))
        .env("PYTHONPATH", root.join("target/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = fs::read_dir(&back).unwrap().next().unwrap().unwrap();
    assert_eq!(fs::read(file.path()).unwrap(), b"in writing");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Four holders; each period is written for some of them, then some periods are wrapped for
    /// others. An identity opens exactly the periods written or wrapped for it.
    #[test]
    fn every_identity_opens_exactly_the_periods_that_were_wrapped_for_it(
        written in prop::collection::vec(1u8..16, 1..5),
        wrapped in prop::option::of(1u8..16),
    ) {
        let desk = Desk::new();
        let memories: Vec<Arc<Memory>> = (0..5).map(|at| Arc::new(Memory::new(at))).collect();
        let holders: Vec<Identity> = (0..4).map(|_| Identity::generate()).collect();
        let some = |set: u8| -> Vec<Recipient> {
            let chosen = holders.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
            let chosen = chosen.map(|(_, holder)| holder.recipient());
            chosen.chain([desk.recovery.recipient()]).collect()
        };
        for (at, set) in written.iter().enumerate() {
            let mut writer = writer_at(&desk, sites_of(&memories), some(*set));
            let said = format!("period {at}");
            let time_ns = START + at as u64;
            point(&mut writer, at as u64, time_ns, &[("plan", said.as_bytes())]).unwrap();
        }
        if let Some(set) = wrapped {
            let now = catalog(&desk, &memories);
            rewrap(&now, &desk.recovery, &some(set), START).unwrap();
        }
        let now = Arc::new(catalog(&desk, &memories));
        for (at, holder) in holders.iter().enumerate() {
            let has = |set: u8| set >> at & 1 == 1;
            let expected: BTreeSet<u64> = written.iter().enumerate()
                .filter(|(_, set)| has(**set) || wrapped.is_some_and(has))
                .map(|(period, _)| period as u64)
                .collect();
            let opener = Opener::new(Arc::clone(&now), holder.clone()).unwrap();
            let points = now.points();
            let opens = points.iter().filter(|info| opener.sources(info.id).is_ok());
            let opens: BTreeSet<u64> = opens.map(|info| info.position).collect();
            prop_assert_eq!(&opens, &expected);
            let stated = periods(&now);
            let stated: BTreeSet<u64> = stated.iter()
                .filter(|one| one.opens_for(&holder.recipient()) == Some(true))
                .map(|one| one.number - 1)
                .collect();
            prop_assert_eq!(&stated, &expected);
        }
    }
}
