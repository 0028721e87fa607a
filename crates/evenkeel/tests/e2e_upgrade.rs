//! New rules of the engine come into force by an entry of the journal, once the configuration asks
//! for them; nothing acknowledged before is changed by it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::Rig;
use common::daemon::{Daemon, live_status};

fn rules(daemon: &mut Daemon, rig: &Rig) -> u64 {
    daemon.until("its rules", || live_status(rig)?["engine"]["rules"].as_u64())
}

#[test]
fn a_home_of_the_first_rules_moves_to_the_second_at_an_entry_and_keeps_its_history() {
    let rig = Rig::new().with("EVENKEEL_VENUE_RULES", "1");
    rig.ok("init --home h");
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 500);
    assert_eq!(rules(&mut daemon, &rig), 1);
    daemon.end();
    let before = rig.ok("journal hashes --home h").out;

    let rig = rig.with("EVENKEEL_VENUE_RULES", "2");
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 500);
    assert_eq!(rules(&mut daemon, &rig), 2);
    daemon.end();
    let after = rig.ok("journal hashes --home h").out;
    assert!(after.starts_with(&before), "the history before the upgrade is what it was");
    assert!(after.len() > before.len());
    // Both rules are replayed, in one drill, to the promised roots.
    rig.ok("drill --home h --level D3");
}
