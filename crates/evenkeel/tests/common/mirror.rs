//! A standby with a journal of its own.

use std::fs;
use std::process::Command;

use super::{Rig, copy_tree};

/// A home `m` on "another host" that follows the primary of `h`, which runs.
pub fn command(rig: &Rig, own_certificates: bool) -> Command {
    let (here, there) = (rig.path("h"), rig.path("m"));
    fs::create_dir_all(there.join("host")).unwrap();
    let config = fs::read_to_string(here.join("evenkeel.toml")).unwrap();
    let config = config.replace("\"sites/", "\"../h/sites/");
    fs::write(there.join("evenkeel.toml"), config).unwrap();
    copy_tree(&here.join("host/keys"), &there.join("host/keys"));
    let link = there.join("host/link");
    fs::create_dir_all(&link).unwrap();
    let (from, node) = match own_certificates {
        true => (here.join("host/link"), "peer"),
        // Those of a cluster of its own.
        false => {
            rig.ok("init --home other --dashboard off");
            let mut stranger = rig.command("up --role primary --home other --exit-after 1");
            assert!(stranger.arg("--dashboard").arg("off").status().unwrap().success());
            (rig.path("other/host/link"), "node")
        }
    };
    fs::copy(from.join("ca.pem"), link.join("ca.pem")).unwrap();
    for kind in ["pem", "key"] {
        fs::copy(from.join(format!("{node}.{kind}")), link.join(format!("node.{kind}"))).unwrap();
    }
    let at = fs::read_to_string(here.join("host/link/address")).unwrap();
    let mut command = rig.command("up --role standby --home m --dashboard off");
    command.env("EVENKEEL_STANDBY_MODE", "mirror").env("EVENKEEL_STANDBY_FOLLOW", at);
    command
}
