//! Drills: what a report says is what was found, and every way to fail is said.

use std::sync::atomic::{AtomicU64, Ordering};

use ed25519_dalek::SigningKey;
use evenkeel_recovery::{
    Check, Clock, DrillPlan, DrillReport, Drilled, Level, PointMaker, RecoveryError, Request,
    TailShipper, Verdict, drill, read_report,
};
use evenkeel_types::codec::Canonical;
use evenkeel_vault::{Error, Identity, Pin};

use crate::lineages::{Promoted, promote};
use crate::margin_history::{MarginHistory, Seeded};
use crate::support::desk::{DOMAIN, Desk, make_point, ship_all};
use crate::support::market::START_NS;
use crate::support::{Host, Scratch};

/// A clock of which each look takes a millisecond.
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn wall_ns(&self) -> u64 {
        START_NS + 3_600_000_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.fetch_add(1_000_000, Ordering::Relaxed)
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

pub struct Ask {
    level: Level,
    pin: Option<Pin>,
    identity: Option<Identity>,
    durable_position: Option<u64>,
}

impl Ask {
    pub fn with_key(desk: &Desk) -> Self {
        Self {
            level: Level::D3,
            pin: None,
            identity: Some(desk.recovery.identity().clone()),
            durable_position: None,
        }
    }

    fn without_key() -> Self {
        Self { level: Level::D1, pin: None, identity: None, durable_position: None }
    }

    pub fn run(self, desk: &Desk) -> (Drilled, Scratch) {
        let plan = DrillPlan {
            proven: None,
            level: self.level,
            sites: desk.sites(),
            domain: DOMAIN.to_owned(),
            trust: desk.recovery.root_public(),
            pin: self.pin,
            unlock: self.identity.map(Into::into),
            key_used: "a key".to_owned(),
            durable_position: self.durable_position,
            lineage: None,
            clock: &Ticking(AtomicU64::new(0)),
        };
        let mut scratch = Scratch::new();
        let drilled = drill(plan, &mut scratch, &key());
        // Whatever was found, the report is genuine and reads back.
        assert!(drilled.report.is_genuine());
        assert_eq!(drilled.report.signer, key().verifying_key().to_bytes());
        let read = read_report(&drilled.report.to_bytes());
        assert_eq!(read.as_ref(), Some(&drilled.report));
        (drilled, scratch)
    }
}

fn check<'a>(report: &'a DrillReport, name: &str) -> &'a Check {
    let found = report.checks.iter().find(|check| check.name.0 == name);
    found.unwrap_or_else(|| panic!("no check {name} in {:?}", report.checks))
}

/// Two points and a tail behind them.
fn shipped(seed: u64) -> (Host, Desk) {
    let (mut host, desk) = (Host::founded(seed), Desk::new());
    let mut writer = desk.writer();
    let mut shipper = TailShipper::new(host.frames_from(0));
    let mut maker = PointMaker::new(host.frames_from(0));
    for _ in 0..2 {
        host.trade(20);
        ship_all(&host, &mut shipper, &mut writer);
        make_point(&host, &mut maker, &mut writer);
    }
    host.trade(13);
    ship_all(&host, &mut shipper, &mut writer);
    (host, desk)
}

/// Commits entries of a history with margin, one by one, in their time.
fn play(host: &mut Host, history: &mut MarginHistory<Seeded>, entries: usize) {
    for _ in 0..entries {
        let entry = history.next_entry().unwrap();
        host.time = host.time.max(entry.time.0);
        let request = Request { origin: entry.origin, command: entry.command };
        for ack in host.commit_these(vec![request]) {
            history.hear(&ack.events);
        }
    }
}

#[test]
fn a_drill_over_a_venue_with_margin_recomputes_everybodys_money() {
    for full in [true, false] {
        let (mut host, desk) = (Host::blank(71), Desk::new());
        let mut history = MarginHistory::new(Seeded(5));
        let mut writer = desk.writer();
        let mut shipper = TailShipper::new(host.frames_from(0));
        let mut maker = PointMaker::new(host.frames_from(0));
        play(&mut host, &mut history, 400);
        if !full {
            ship_all(&host, &mut shipper, &mut writer);
            make_point(&host, &mut maker, &mut writer);
        }
        play(&mut host, &mut history, 400);
        ship_all(&host, &mut shipper, &mut writer);
        if full {
            make_point(&host, &mut maker, &mut writer);
        }
        assert!(host.primary.engine().venue_terms().is_some(), "it has margin");
        let (drilled, _scratch) = Ask::with_key(&desk).run(&desk);
        let report = &drilled.report.report;
        assert_eq!(report.verdict(), Verdict::Ok, "{:?}", report.checks);
        assert_eq!(check(report, "equity").verdict, Verdict::Ok);
        assert_eq!(report.entries_replayed, if full { 0 } else { 400 });
        assert_eq!(report.state_root, Some(host.primary.engine().state_root()));
    }
}

#[test]
fn a_drill_with_a_key_restores_recomputes_and_measures() {
    let (host, desk) = shipped(70);
    let mut ask = Ask::with_key(&desk);
    ask.durable_position = Some(host.position() + 4);
    let (drilled, _scratch) = ask.run(&desk);
    assert!(drilled.error.is_none());
    let report = &drilled.report.report;
    assert_eq!(report.verdict(), Verdict::Ok, "{:?}", report.checks);
    for name in ["single_history", "state_root", "journal_root", "output_digest", "equity"] {
        assert_eq!(check(report, name).verdict, Verdict::Ok, "{name}");
    }
    assert_eq!(check(report, "chain").verdict, Verdict::NotConfigured);
    assert_eq!(check(report, "freshness").verdict, Verdict::NotConfigured);
    assert_eq!((report.level, report.lineage), (Level::D3, desk.lineage().0));
    assert_eq!((report.position, report.entries_replayed), (host.position(), 13));
    assert_eq!(report.rpo_entries, Some(4));
    assert_eq!(report.rpo_ns, Some(START_NS + 3_600_000_000_000 - host.time));
    assert!(report.rto_ns.is_some_and(|rto_ns| rto_ns > 0));
    assert_eq!(report.state_root, Some(host.primary.engine().state_root()));
    assert_eq!(report.output_digest, Some(host.primary.engine().output_digest()));
    assert!(report.bytes_read > 0 && report.sites_used.len() >= 3);
    let phases: Vec<&str> = report.phases.iter().map(|phase| phase.name.0.as_str()).collect();
    assert_eq!(phases, ["catalog", "restore", "check"]);
    let head = desk.catalog().pin(desk.lineage());
    assert_eq!(drilled.pin, head);
}

#[test]
fn a_host_that_could_not_be_asked_leaves_the_loss_in_entries_open() {
    let (_host, desk) = shipped(71);
    let report = Ask::with_key(&desk).run(&desk).0.report.report;
    assert_eq!(report.rpo_entries, None);
    assert_eq!(report.verdict(), Verdict::Ok);
}

#[test]
fn the_first_point_is_recomputed_from_the_beginning() {
    let (mut host, desk) = (Host::founded(72), Desk::new());
    host.trade(20);
    let mut writer = desk.writer();
    make_point(&host, &mut PointMaker::new(host.frames_from(0)), &mut writer);
    let report = Ask::with_key(&desk).run(&desk).0.report.report;
    assert_eq!(report.verdict(), Verdict::Ok, "{:?}", report.checks);
    let detail = &check(&report, "state_root").detail.0;
    assert!(detail.contains("the beginning"), "{detail}");
}

#[test]
fn a_drill_of_a_lineage_just_promoted_finds_nothing_wrong() {
    let Promoted { desk, mut host, mut writer, next } = promote(73);
    let report = Ask::with_key(&desk).run(&desk).0.report.report;
    assert_eq!(report.verdict(), Verdict::Ok, "{:?}", report.checks);
    assert_eq!(report.position, next);
    host.trade(10);
    make_point(&host, &mut PointMaker::new(host.frames_from(next)), &mut writer);
    let report = Ask::with_key(&desk).run(&desk).0.report.report;
    assert_eq!(report.verdict(), Verdict::Ok, "{:?}", report.checks);
    assert_eq!(report.lineage, desk.lineage().0);
}

#[test]
fn a_drill_without_a_key_audits_every_byte() {
    let (host, desk) = shipped(74);
    let (drilled, scratch) = Ask::without_key().run(&desk);
    let report = &drilled.report.report;
    assert_eq!(report.verdict(), Verdict::Ok, "{:?}", report.checks);
    assert_eq!(check(report, "ciphertext").verdict, Verdict::Ok);
    assert!(scratch.base.is_none(), "nothing was restored");
    assert!(report.position > 0 && report.position < host.position(), "the newest point");
    assert_eq!((report.rto_ns, report.rpo_entries, report.state_root), (None, None, None));
    // One changed byte at one site.
    let name = desk.records(2).remove(1);
    let mut bytes = desk.read(2, &name);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(desk.site_path(2).join(&name), bytes).unwrap();
    let report = Ask::without_key().run(&desk).0.report.report;
    assert_eq!(report.verdict(), Verdict::Failed);
    let detail = &check(&report, "ciphertext").detail.0;
    assert!(detail.contains("site-2"), "{detail}");
}

#[test]
fn without_a_key_no_level_above_the_audit_is_claimed() {
    let (_host, desk) = shipped(75);
    let mut ask = Ask::without_key();
    ask.level = Level::D3;
    let report = ask.run(&desk).0.report.report;
    assert_eq!(report.level, Level::D1, "nothing was opened");
    assert_eq!(report.state_root, None);
}

#[test]
fn a_wrong_identity_fails_and_says_so() {
    let (_host, desk) = shipped(76);
    let mut ask = Ask::with_key(&desk);
    ask.identity = Some(Identity::generate());
    let (drilled, scratch) = ask.run(&desk);
    let report = &drilled.report.report;
    assert_eq!(check(report, "restore").verdict, Verdict::Failed);
    let error = drilled.error.unwrap();
    assert!(matches!(error, RecoveryError::Vault(Error::WrongIdentity { .. })), "{error}");
    assert!(scratch.base.is_none());
    assert_eq!(report.rto_ns, None, "no time is claimed for what did not succeed");
}

#[test]
fn two_lost_sites_are_named_and_a_third_is_too_many() {
    let (_host, desk) = shipped(77);
    desk.lose(0);
    desk.lose(1);
    let report = Ask::with_key(&desk).run(&desk).0.report.report;
    assert_eq!(report.verdict(), Verdict::Ok, "{:?}", report.checks);
    assert_eq!(report.sites_missing.len(), 2);
    assert!(report.sites_missing[0].0.contains("site-0"));
    desk.lose(2);
    for ask in [Ask::with_key(&desk), Ask::without_key()] {
        let drilled = ask.run(&desk).0;
        assert_eq!(drilled.report.report.verdict(), Verdict::Failed);
    }
    let error = Ask::with_key(&desk).run(&desk).0.error.unwrap();
    assert!(matches!(error, RecoveryError::Vault(Error::NotEnoughSites { .. })), "{error}");
}

#[test]
fn sites_that_hold_nothing_yet_prove_nothing_and_fail_nothing() {
    let desk = Desk::new();
    let (drilled, _) = Ask::with_key(&desk).run(&desk);
    assert_eq!(drilled.report.report.verdict(), Verdict::Unproven);
    assert!(drilled.pin.is_none());
    let (host, mut writer) = (Host::founded(78), desk.writer());
    let drilled = Ask::with_key(&desk).run(&desk).0;
    assert_eq!(drilled.report.report.verdict(), Verdict::Unproven, "a lineage without records");
    ship_all(&host, &mut TailShipper::new(host.frames_from(0)), &mut writer);
    let drilled = Ask::with_key(&desk).run(&desk).0;
    assert_eq!(drilled.report.report.verdict(), Verdict::Unproven, "a tail, but no point");
    assert!(matches!(drilled.error, Some(RecoveryError::BeforeFirstPoint { .. })));
}

#[test]
fn sites_that_were_rolled_back_fail_against_the_pin_of_an_earlier_drill() {
    let (_host, desk) = shipped(79);
    let pin = Ask::with_key(&desk).run(&desk).0.pin;
    assert!(pin.is_some());
    let mut again = Ask::with_key(&desk);
    again.pin = pin;
    let report = again.run(&desk).0.report.report;
    assert_eq!(check(&report, "freshness").verdict, Verdict::Ok);
    assert_eq!(report.verdict(), Verdict::Ok);
    for site in 0..5 {
        let newest = desk.records(site).pop().unwrap();
        desk.remove(site, &newest);
    }
    let mut rolled_back = Ask::with_key(&desk);
    rolled_back.pin = pin;
    let report = rolled_back.run(&desk).0.report.report;
    assert_eq!(check(&report, "freshness").verdict, Verdict::Failed);
    assert_eq!(report.verdict(), Verdict::Failed);
    let mut audit = Ask::without_key();
    audit.pin = pin;
    let report = audit.run(&desk).0.report.report;
    assert_eq!(check(&report, "freshness").verdict, Verdict::Failed, "without a key as well");
}

#[test]
fn two_lineages_from_one_parent_are_a_fork() {
    let (host, mut desk) = shipped(80);
    let parent = desk.certificate.clone();
    for number in [2, 3] {
        desk.certificate = parent.clone();
        desk.promote(number, host.position(), host.time + u64::from(number));
        let mut writer = desk.writer();
        make_point(&host, &mut PointMaker::new(host.frames_from(host.position())), &mut writer);
    }
    let report = Ask::with_key(&desk).run(&desk).0.report.report;
    assert_eq!(check(&report, "single_history").verdict, Verdict::Failed);
    assert!(check(&report, "single_history").detail.0.contains("FORK"));
    assert_eq!(report.verdict(), Verdict::Failed);
}

#[test]
fn a_long_reason_does_not_make_the_report_unreadable() {
    let (mut host, desk) = (Host::founded(81), Desk::new());
    let mut writer = desk.writer();
    let mut maker = PointMaker::new(host.frames_from(0));
    for _ in 0..3 {
        host.trade(1);
        make_point(&host, &mut maker, &mut writer);
    }
    (0..3).for_each(|at| desk.lose(at));
    // The error names every point; `run` has read the report back.
    let drilled = Ask::with_key(&desk).run(&desk).0;
    assert_eq!(check(&drilled.report.report, "restore").verdict, Verdict::Failed);
}
