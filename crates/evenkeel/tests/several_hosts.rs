//! Several hosts with a real etcd cluster: which of them writes is decided by the term there, and
//! what was acknowledged is on a majority.
#![cfg(feature = "etcd")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Rig;
use common::hosts::Hosts;

#[test]
fn a_killed_primary_is_replaced_by_the_other_host_and_comes_back_as_its_standby() {
    let mut hosts = Hosts::new(Rig::new(), &["h", "g"]);
    hosts.start(0);
    hosts.until_primary(0, 1);
    hosts.start(1);
    hosts.until_following(1);
    hosts.until_acked(0, 500);
    hosts.kill(0);
    hosts.until_primary(1, 2);
    hosts.start(0);
    hosts.until_following(0);
    // The other way round, together with a member of the store.
    let leader = hosts.cluster.leader();
    hosts.cluster.kill(leader);
    hosts.kill(1);
    hosts.until_primary(0, 3);
    hosts.cluster.restart(leader);
    hosts.start(1);
    hosts.until_following(1);
    hosts.end(1);
    hosts.end(0);
    let (lost, count) = hosts.lost(0);
    assert!(count > 1_000, "{count}");
    assert_eq!(lost, Vec::new());
    hosts.rig.ok("journal verify --home h");
}
