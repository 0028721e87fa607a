//! Audits: what is lost is found by reading little, and repair brings it back.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::memory::{GROUP, Memory};
use common::{DOMAIN, Desk, SECOND, START, SeededRandom, noise, point, site_name};
use evenkeel_vault::{
    AuditOptions, Catalog, Layout, ProblemKind, Random, Site, SiteAudit, Verify, Writer, audit,
    repair, verify,
};

struct Kept {
    desk: Desk,
    memories: Vec<Arc<Memory>>,
}

impl Kept {
    /// Points of 300 KB each, none of which refers to an earlier one.
    fn points(count: u64) -> Self {
        let desk = Desk::with_layout(Layout::new(3, 5).unwrap());
        let memory = |at| Arc::new(Memory::new(at));
        let kept = Self { desk, memories: (0..5).map(memory).collect() };
        let mut writer = kept.writer();
        for number in 1..=count {
            let content = noise(number, 300_000);
            let time = START + number * SECOND;
            point(&mut writer, number, time, &[("snapshot", &content)]).unwrap();
        }
        kept
    }

    fn writer(&self) -> Writer {
        let desk = &self.desk;
        Writer::open(
            self.sites(),
            &desk.recovery.root_public(),
            desk.certificate.clone(),
            desk.key(),
            Desk::id_key(),
            desk.options(),
            Box::new(SeededRandom::new(1)),
        )
        .unwrap()
    }

    fn sites(&self) -> Vec<Arc<dyn Site>> {
        self.memories.iter().map(|one| Arc::clone(one) as Arc<dyn Site>).collect()
    }

    fn catalog(&self) -> Catalog {
        let trust = self.desk.recovery.root_public();
        Catalog::load(&self.sites(), DOMAIN, &trust, None).unwrap()
    }

    /// The shards of the first site.
    fn shards(&self) -> Vec<(String, u64)> {
        let objects = self.memories[0].list("").unwrap();
        let shards = objects.into_iter().filter(|object| object.key.contains("/shards/"));
        shards.map(|object| (object.key, object.length_bytes)).collect()
    }

    fn audit_first(&self, catalog: &Catalog, seed: u64) -> SiteAudit {
        let name = site_name(0);
        let options = AuditOptions::default();
        let audited = audit(catalog, Some(&name), &options, &mut SeededRandom::new(seed)).unwrap();
        assert_eq!(audited.sites.len(), 1);
        audited.sites.into_iter().next().unwrap()
    }
}

/// `count` different numbers below `below`.
fn some(count: usize, below: usize, random: &mut SeededRandom) -> BTreeSet<usize> {
    let mut chosen = BTreeSet::new();
    while chosen.len() < count {
        let mut bytes = [0; 8];
        random.fill(&mut bytes).unwrap();
        chosen.insert(usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap());
    }
    chosen
}

#[test]
fn one_percent_of_a_site_lost_at_random_is_found_in_985_of_1000_audits_of_8_mb() {
    let kept = Kept::points(200);
    let catalog = kept.catalog();
    let shards = kept.shards();
    assert_eq!(shards.len(), 200);
    let parts: Vec<(&str, u64)> = shards
        .iter()
        .flat_map(|(key, bytes)| (0..bytes.div_ceil(GROUP)).map(|part| (key.as_str(), part)))
        .collect();
    let mut random = SeededRandom::new(99);
    let (mut whole_found, mut parts_found, mut most_read) = (0, 0, 0);
    for trial in 0..1000 {
        // Whole shards, then parts of 8 KiB wherever they lie: 1 % of either.
        let chosen = some(shards.len() / 100, shards.len(), &mut random);
        *kept.memories[0].lost.lock().unwrap() =
            chosen.iter().map(|at| (shards[*at].0.clone(), None)).collect();
        let found = kept.audit_first(&catalog, trial);
        whole_found += u32::from(!found.is_sound());
        let chosen = some(parts.len() / 100, parts.len(), &mut random);
        *kept.memories[0].lost.lock().unwrap() =
            chosen.iter().map(|at| (parts[*at].0.to_owned(), Some(parts[*at].1))).collect();
        kept.memories[0].given_bytes.store(0, Ordering::Relaxed);
        let found = kept.audit_first(&catalog, trial);
        parts_found += u32::from(!found.is_sound());
        most_read = most_read.max(kept.memories[0].given_bytes.load(Ordering::Relaxed));
        assert_eq!(found.bytes_read, kept.memories[0].given_bytes.load(Ordering::Relaxed));
        assert!(found.is_complete());
    }
    println!("whole shards {whole_found}, parts {parts_found} of 1000; {most_read} bytes at most");
    assert!(whole_found >= 985, "{whole_found} of 1000 losses of whole shards");
    assert!(parts_found >= 985, "{parts_found} of 1000 losses of parts");
    assert!(most_read <= 8_000_000, "{most_read} bytes");
}

#[test]
fn a_sound_site_passes_and_every_kind_of_damage_is_named() {
    let kept = Kept::points(3);
    let catalog = kept.catalog();
    let sound = kept.audit_first(&catalog, 1);
    assert!(sound.is_sound() && sound.is_complete(), "{sound:?}");
    assert_eq!((sound.failed, sound.unproven), (0, 0));
    // Fewer parts than would be drawn: all of them are looked at.
    assert!(sound.challenges < 459 && sound.bytes_read >= sound.bytes - 8 * 1024, "{sound:?}");
    let (key, _) = kept.shards()[1].clone();
    let proof = key.replace("/shards/", "/proofs/");
    let all = kept.memories[0].list("").unwrap();
    let record = all.iter().find(|object| object.key.contains("/records/")).unwrap().key.clone();
    for (lost, kind) in [
        (&key, ProblemKind::Corrupt),
        (&proof, ProblemKind::Corrupt),
        (&record, ProblemKind::Corrupt),
    ] {
        *kept.memories[0].lost.lock().unwrap() = [(lost.clone(), None)].into();
        let found = kept.audit_first(&catalog, 2);
        assert!(found.failed > 0);
        let named: Vec<_> =
            found.damaged.iter().map(|one| (one.object.clone(), one.kind)).collect();
        assert_eq!(named, [(lost.clone(), kind)]);
    }
    kept.memories[0].lost.lock().unwrap().clear();
    kept.memories[0].objects.lock().unwrap().remove(&key);
    let found = kept.audit_first(&catalog, 3);
    assert_eq!(found.damaged.len(), 1);
    assert_eq!((found.damaged[0].kind, &found.damaged[0].object), (ProblemKind::Missing, &key));
}

#[test]
fn shards_without_proofs_are_read_whole_while_the_budget_lasts_then_told_and_made_by_repair() {
    let kept = Kept::points(120);
    let drop_proofs = |kept: &Kept| {
        kept.memories[0].objects.lock().unwrap().retain(|key, _| !key.contains("/proofs/"));
    };
    drop_proofs(&kept);
    let catalog = kept.catalog();
    let found = kept.audit_first(&catalog, 1);
    assert!(found.is_sound() && !found.is_complete(), "{found:?}");
    assert!(found.unproven > 0 && found.bytes_read <= 8_000_000, "{found:?}");
    assert_eq!(repair(&catalog).unwrap(), [], "nothing was damaged");
    let found = kept.audit_first(&catalog, 1);
    assert!(found.is_sound() && found.is_complete(), "{found:?}");
    assert_eq!(verify(&catalog, Verify::Ciphertext).unwrap().problems, []);
}

#[test]
fn after_a_site_is_lost_repair_fills_an_empty_one_in_its_place() {
    let mut kept = Kept::points(3);
    kept.memories[2] = Arc::new(Memory::new(2));
    let catalog = kept.catalog();
    let margins = |catalog: &Catalog| verify(catalog, Verify::Ciphertext).unwrap().margins;
    assert!(margins(&catalog).iter().all(|(_, margin)| *margin == 1));
    assert!(repair(&catalog).unwrap().iter().all(|one| one.is_repaired()));
    assert!(margins(&catalog).iter().all(|(_, margin)| *margin == 2));
    let options = AuditOptions::default();
    let audited = audit(&kept.catalog(), None, &options, &mut SeededRandom::new(1)).unwrap();
    assert!(audited.sites.iter().all(|site| site.is_sound() && site.is_complete()), "{audited:?}");
}

#[test]
fn a_site_appended_to_the_configuration_is_filled_and_nothing_else_is_rewritten() {
    let mut kept = Kept::points(3);
    let before: Vec<_> =
        kept.memories.iter().map(|one| one.objects.lock().unwrap().clone()).collect();
    kept.memories.push(Arc::new(Memory::new(5)));
    let catalog = kept.catalog();
    assert!(repair(&catalog).unwrap().iter().all(|one| one.is_repaired()));
    for (one, before) in kept.memories.iter().zip(&before) {
        assert_eq!(*one.objects.lock().unwrap(), *before, "{}", one.name);
    }
    let margins = verify(&catalog, Verify::Ciphertext).unwrap().margins;
    assert!(margins.iter().all(|(_, margin)| *margin == 3), "{margins:?}");
    // It carries weight: with three of the first five gone, the points still come back.
    let sites: Vec<_> = [1, 3, 5].map(|at| Arc::clone(&kept.memories[at])).into();
    let sites: Vec<Arc<dyn Site>> = sites.into_iter().map(|one| one as Arc<dyn Site>).collect();
    let trust = kept.desk.recovery.root_public();
    let catalog = Arc::new(Catalog::load(&sites, DOMAIN, &trust, None).unwrap());
    let newest = catalog.latest_point().unwrap().id;
    let identity = kept.desk.recovery.identity().clone();
    let opener = evenkeel_vault::Opener::new(catalog, identity).unwrap();
    let mut bytes = Vec::new();
    opener.read_source(newest, "snapshot", &mut bytes).unwrap();
    assert!(bytes == noise(3, 300_000));
}

#[test]
fn options_that_cannot_be_met_are_refused_before_anything_is_read() {
    let kept = Kept::points(1);
    let catalog = kept.catalog();
    kept.memories[0].given_bytes.store(0, Ordering::Relaxed);
    let ask = |confidence, loss, site: Option<&str>| {
        let options = AuditOptions { confidence, loss, ..AuditOptions::default() };
        audit(&catalog, site, &options, &mut SeededRandom::new(1)).unwrap_err().to_string()
    };
    assert!(ask(0.999, 0.001, None).contains("accept a larger loss"));
    assert!(ask(1.5, 0.01, None).contains("between 0 and 1"));
    assert!(ask(0.99, 0.01, Some("nowhere")).contains("nowhere"));
    assert_eq!(kept.memories[0].given_bytes.load(Ordering::Relaxed), 0);
}
