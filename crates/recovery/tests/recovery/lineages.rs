//! A restore that goes live: the new lineage continues the old one.

use std::sync::Arc;

use evenkeel_journal::{FileLog, RealDisk};
use evenkeel_recovery::{
    Agreement, Checkpoint, Frames, History as Span, PointMaker, Primary, Promise, TailShipper,
    Target, write_point,
};
use evenkeel_types::Timestamp;
use evenkeel_vault::Writer;

use crate::support::desk::{Desk, make_point, ship_all};
use crate::support::{Host, Scratch};

/// The old lineage of a host, restored and certified as a new one, with its first point.
pub struct Promoted {
    pub desk: Desk,
    pub host: Host,
    pub writer: Writer,
    pub next: u64,
}

pub fn promote(seed: u64) -> Promoted {
    let (mut host, mut desk) = (Host::founded(seed), Desk::new());
    let mut writer = desk.writer();
    let mut shipper = TailShipper::new(host.frames_from(0));
    let mut maker = PointMaker::new(host.frames_from(0));
    host.trade(10);
    make_point(&host, &mut maker, &mut writer);
    host.trade(10);
    ship_all(&host, &mut shipper, &mut writer);
    drop((writer, shipper, maker));
    let opener = desk.opener();
    let mut scratch = Scratch::new();
    let restorer = desk.restorer(&opener);
    let restored = restorer.restore(Target::Latest, Span::Full, None, &mut scratch).unwrap();
    assert_eq!(restored.position, host.position());
    let next = restored.position;
    let checkpoint = Checkpoint {
        chain: restored.chain,
        frontier: restored.frontier.clone(),
        engine: restored.engine.snapshot(),
    };
    let promise = Promise {
        state_root: restored.engine.state_root(),
        journal_root: restored.journal_root,
        output_digest: restored.engine.output_digest(),
        chain: restored.chain,
    };
    desk.promote(2, next, host.time + 1);
    let mut writer = desk.writer();
    assert_eq!(writer.next_position(), Some(next));
    let none = Frames::default();
    write_point(&mut writer, &checkpoint, &promise, &none, host.time + 2).unwrap();
    // The new primary goes on in the journal that was restored.
    let (mut log, _) =
        FileLog::open(Arc::new(RealDisk), &scratch.dir, crate::support::SMALL).unwrap();
    log.confirm_end(&[]).unwrap();
    let agreement = Arc::new(Agreement::new());
    let now = Timestamp(host.time + 3);
    host.primary = Primary::begin(log, restored.engine, Arc::clone(&agreement), now).unwrap();
    host.disk = Arc::clone(&scratch.disk);
    host.dir = scratch.dir.clone();
    host.agreement = agreement;
    host.time += 3;
    host.keep(scratch);
    Promoted { desk, host, writer, next }
}

#[test]
fn a_promoted_lineage_goes_on_from_its_parent_and_restores_without_it() {
    let Promoted { desk, mut host, mut writer, next } = promote(60);
    let mut shipper = TailShipper::new(host.frames_from(next));
    let mut maker = PointMaker::new(host.frames_from(next));
    host.trade(12);
    ship_all(&host, &mut shipper, &mut writer);
    make_point(&host, &mut maker, &mut writer);
    host.trade(12);
    ship_all(&host, &mut shipper, &mut writer);
    let history = host.history();
    let opener = desk.opener();
    assert!(opener.catalog().forks().is_empty());
    let restorer = desk.restorer(&opener);
    for position in next..=host.position() {
        let span = if position % 3 == 0 { Span::Full } else { Span::SinceSnapshot };
        let mut scratch = Scratch::new();
        let target = Target::Position(position);
        let restored = restorer.restore(target, span, None, &mut scratch).unwrap();
        let at = usize::try_from(position).unwrap();
        assert_eq!(restored.engine.state_root(), history.state_roots[at], "at {position}");
        if let Some(chain) = history.chain_at(position) {
            assert_eq!(restored.chain, chain, "the chain at {position}");
        }
        if span == Span::Full {
            let base = scratch.base.as_ref().unwrap();
            assert_eq!(base.position, next, "as far back as the lineage goes");
        }
    }
    let mut scratch = Scratch::new();
    let before = restorer.restore(Target::Position(next - 1), Span::Full, None, &mut scratch);
    assert!(before.is_err(), "that is the parent's history");
    let mut count = 0;
    let reached = restorer
        .frames_between(next, u64::MAX, &mut |frame| {
            count += frame.entries.len() as u64;
            Ok(())
        })
        .unwrap();
    assert_eq!((reached, count), (host.position(), host.position() - next));
}
