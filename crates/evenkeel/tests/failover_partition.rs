//! A primary and the standby on another host, and the network between them cut in every way: the
//! standby makes nobody the primary by itself, and goes on where it was.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;
use std::time::Duration;

use common::audit::{applied_twice, hashes_of, lost_acks};
use common::daemon::{Daemon, live_status};
use common::network::Network;
use common::{Rig, mirror};
use serde_json::Value;

/// What the two are while the network works, and after it works again.
struct Pair {
    rig: Rig,
    network: Network,
    primary: Daemon,
    mirror: Daemon,
}

impl Pair {
    fn start(network: Network) -> Self {
        let listen = format!("{}:0", Network::address(0));
        let rig = Rig::new()
            .with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0")
            .with("EVENKEEL_LINK_LISTEN", &listen);
        rig.ok("init --home h --dashboard off");
        let mut command = rig.command("up --role primary --home h --dashboard off --ack-log");
        command.arg(rig.beside("ack"));
        let mut primary = Daemon::spawn(&rig, &mut network.enter(0, &command));
        primary.until_acked(&rig, 200);
        let command = mirror::command(&rig, true);
        let mirror = Daemon::spawn_as(&rig, "mirror", &mut network.enter(1, &command));
        let mut pair = Self { rig, network, primary, mirror };
        pair.until_caught_up();
        pair
    }

    fn mirror_status(rig: &Rig) -> Option<Value> {
        let said = rig.run("status --home m --json");
        let status: Value = serde_json::from_str(&said.out).ok()?;
        status["running"].as_bool()?.then_some(status)
    }

    /// Waits until the standby holds everything that is acknowledged now.
    fn until_caught_up(&mut self) {
        let rig = &self.rig;
        let now = self.primary.until("the primary's status", || live_status(rig));
        let position = now["journal"]["durable_position"].as_u64().unwrap();
        self.mirror.until("the standby to catch up", || {
            let status = Self::mirror_status(rig)?;
            let standby = &status["standbys"][0];
            let holds = standby["position"].as_u64()? > position;
            (standby["state"] == "following" && holds).then_some(())
        });
    }

    /// Waits until the standby has noticed that it hears nothing; it stays what it is.
    fn until_lost(&mut self) {
        let rig = &self.rig;
        self.mirror.until("the standby to notice", || {
            let status = Self::mirror_status(rig)?;
            assert_eq!(status["role"], "standby", "{status}");
            (status["standbys"][0]["state"] == "without a primary").then_some(())
        });
    }

    /// The primary trades on, and a person who does not know that it is dead is refused.
    fn stays_one_primary(&mut self) {
        self.primary.until_acked(&self.rig, 2_000);
        let said = self.rig.run("failover --home m --unplanned");
        said.refuses(2, &["--attest-primary-dead"]);
        std::thread::sleep(Duration::from_secs(1));
        let status = Self::mirror_status(&self.rig).unwrap();
        assert_eq!(status["role"], "standby", "{status}");
        let status = live_status(&self.rig).unwrap();
        assert_eq!(status["role"], "primary", "{status}");
        assert_eq!(status["journal"]["term"], 1, "{status}");
    }

    fn end_and_audit(self) {
        let Self { rig, network, primary, mirror } = self;
        primary.end();
        let acks = rig.acks();
        assert!(acks.len() > 5_000, "{}", acks.len());
        mirror.end();
        drop(network);
        assert_eq!(lost_acks(&rig, &acks), Vec::new());
        assert_eq!(applied_twice(&rig), Vec::new());
        // The copy is behind by what was under way at the end, and by nothing else.
        let copied = hashes_of(&rig, "m");
        let end = copied.keys().next_back().copied().unwrap();
        assert!(end > 5_000, "{end}");
        let held = acks.iter().filter(|(position, _)| *position <= end);
        assert_eq!(held.filter(|(position, hash)| copied.get(position) != Some(hash)).count(), 0);
        for home in ["h", "m"] {
            rig.ok(&format!("journal verify --home {home}"));
        }
        assert!(fs::read_to_string(rig.beside("mirror.err")).unwrap().contains("standby"));
    }
}

#[test]
fn a_cut_network_makes_no_second_primary_and_once_it_heals_the_standby_catches_up() {
    let Some(network) = Network::new() else {
        return;
    };
    let mut pair = Pair::start(network);
    pair.network.set_cable(false);
    pair.until_lost();
    pair.stays_one_primary();
    pair.network.set_cable(true);
    pair.until_caught_up();
    // One way only: the primary is heard no more, then the standby.
    for host in [0, 1] {
        pair.network.set_mute(host, true);
        if host == 0 {
            pair.until_lost();
        }
        pair.stays_one_primary();
        pair.network.set_mute(host, false);
        pair.until_caught_up();
    }
    pair.end_and_audit();
}
