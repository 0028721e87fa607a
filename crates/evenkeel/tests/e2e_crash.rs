//! A home that is killed at any moment, or loses its power, starts again and has lost nothing that
//! was acknowledged. Longer series: `cargo xtask campaign crash`, `cargo xtask campaign power`.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "what only tests call is a test as well"
)]

mod common;

use common::Rig;
use common::audit::lost_acks;
use common::random::seed;
use common::series::{self, Plan, Power};

#[test]
fn what_was_acknowledged_survives_kills_at_any_moment() {
    let plan = Plan { seed: seed(), runs: 8, home_every: 6, power: false };
    let tally = series::run(&plan, |line| println!("{line}")).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((tally.runs, tally.homes), (8, 2));
    assert!(tally.audited.acks > 1_000, "{tally:?}");
    assert!(tally.audited.points > 0 && tally.digests > 0, "{tally:?}");
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    let plan = Plan { seed: seed() ^ 0x2000, runs: 6, home_every: 5, power: true };
    let tally = series::run(&plan, |line| println!("{line}")).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(tally.runs, 6);
    assert!(tally.audited.acks > 1_000, "{tally:?}");
    // A shim that takes nothing back, or does not see the syncs, would prove nothing.
    assert!(tally.writes_kept > 100 && tally.writes_undone > 0, "{tally:?}");
}

#[test]
fn without_fdatasync_a_power_cut_loses_acknowledged_entries() {
    let rig = Rig::new();
    let power = Power::new(&rig);
    let mut daemon = power.start(&rig, "--unsafe-no-fdatasync");
    daemon.until_acked(&rig, 3_000);
    daemon.kill();
    let cut = Power::cut(&rig);
    assert!(cut.undone > 0, "{cut:?}");
    let acks = rig.acks();
    let lost = lost_acks(&rig, &acks);
    assert!(!lost.is_empty(), "{} of {} acknowledgements", lost.len(), acks.len());
}
