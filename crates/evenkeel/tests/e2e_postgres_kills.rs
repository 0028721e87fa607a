//! Kills of a PostgreSQL server and of its capture, in short; `cargo xtask campaign postgres` plays
//! more of them.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

#[path = "../../capture/tests/cluster/mod.rs"]
mod cluster;
mod common;
mod postgres_series;

use common::random::seed;
use postgres_series::{Plan, play};

#[test]
fn what_was_acknowledged_survives_the_servers_host_and_moments_are_exact() {
    let tally = play(&Plan { seed: seed(), kills: 4, moments: 3, confirm: "spool" });
    assert!(tally.acknowledged > 20 && tally.lost == 0 && tally.moments_exact == 3, "{tally:?}");
}

#[test]
fn what_the_sites_confirmed_survives_both_hosts() {
    let tally = play(&Plan { seed: seed() + 1, kills: 2, moments: 1, confirm: "sites" });
    assert!(tally.acknowledged > 10 && tally.lost == 0 && tally.moments_exact == 1, "{tally:?}");
}
