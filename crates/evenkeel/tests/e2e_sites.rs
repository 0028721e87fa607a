//! A home whose sites are machines of their own: served, probed, written to over TLS, and enough
//! to bring everything back when the host and every folder are gone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use common::Rig;
use common::daemon::Daemon;

/// `evenkeel site serve`, until it is dropped.
struct Served {
    child: Child,
    url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(rig: &Rig, dir: &str, listen: &str) -> Served {
    let mut command = rig.command(&format!("site serve --dir {dir} --listen {listen}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().rsplit_once(" at ").unwrap().1.to_owned();
    assert!(url.starts_with("https://127.0.0.1:"), "{line}");
    Served { child, url }
}

/// A home whose first three sites are served by three programs.
struct Home {
    rig: Rig,
    served: Vec<Served>,
}

impl Home {
    fn new() -> Self {
        let rig = Rig::new().with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1");
        rig.ok("init --home h");
        let file = rig.path("h/evenkeel.toml");
        let mut config = fs::read_to_string(&file).unwrap();
        let mut served = Vec::new();
        for letter in ["a", "b", "c"] {
            let dir = format!("served-{letter}");
            let made = rig.ok(&format!("site add-key --dir {dir} --bucket desk-state"));
            let credential = rig.path(&format!("{dir}.credential"));
            fs::write(&credential, &made.out).unwrap();
            fs::set_permissions(&credential, fs::Permissions::from_mode(0o600)).unwrap();
            let one = serve(&rig, &dir, "127.0.0.1:0");
            let folder =
                format!("kind = \"folder\"\npath = \"sites/site-{letter}\"\nclass = \"mutable\"");
            assert!(config.contains(&folder), "{config}");
            let elsewhere = format!(
                "kind = \"s3\"\nendpoint = \"{}\"\nbucket = \"desk-state\"\ncertificate_file = \
                 \"{}\"\ncredential_file = \"{}\"\nclass = \"append-only\"",
                one.url,
                rig.path(&format!("{dir}/.certificate.pem")).display(),
                credential.display()
            );
            config = config.replace(&folder, &elsewhere);
            served.push(one);
        }
        fs::write(&file, config).unwrap();
        Self { rig, served }
    }
}

#[test]
fn served_sites_are_shown_append_only_and_bring_everything_back_without_any_folder() {
    let home = Home::new();
    let rig = &home.rig;
    let before = rig.ok("config check --home h");
    let said = before.out + &before.err;
    assert!(said.contains("class-not-shown") && said.contains("not-theft-proof"), "{said}");

    let probed = rig.run("sites probe --home h --json").json();
    for at in 0..3 {
        let probe = &probed["probes"][at];
        assert_eq!(probe["class_shown"], "append-only", "{probe}");
        assert_eq!(probe["conditional_put"], true, "{probe}");
        assert!(probe["measured"]["write_p99_seconds"].is_f64(), "{probe}");
        assert_eq!(probed["sites"][at]["class"], "append-only");
    }
    assert_eq!(probed["probes"][3]["class_shown"], "mutable");
    let after = rig.ok("config check --home h");
    let said = after.out + &after.err;
    assert!(!said.contains("class-not-shown") && !said.contains("not-theft-proof"), "{said}");

    let mut daemon = Daemon::start(rig, "");
    daemon.until_points(rig, 2);
    daemon.end();
    rig.ok("verify --home h");
    let config = fs::read_to_string(rig.path("h/evenkeel.toml")).unwrap();
    fs::remove_dir_all(rig.path("h/host")).unwrap();
    for letter in ["d", "e"] {
        fs::remove_dir_all(rig.path(&format!("h/sites/site-{letter}"))).unwrap();
    }
    assert!(config.contains("127.0.0.1"));
    let restored = rig
        .ok("restore --config h/evenkeel.toml --identity h/recovery-identity.txt --to r --json")
        .json();
    assert_eq!(restored["message_type"], "restore", "{restored}");
    drop(home.served);
}

#[test]
fn a_served_site_that_goes_away_is_lost_alone_and_the_others_go_on() {
    let mut home = Home::new();
    let gone = home.served.remove(1);
    drop(gone);
    let listed = home.rig.run("sites list --home h --json");
    assert_eq!(listed.exit, 3, "{listed:?}");
    let listed = listed.json();
    assert_eq!(listed["sites"][1]["state"], "down");
    let detail = listed["sites"][1]["detail"].as_str().unwrap();
    assert!(detail.contains("no connection"), "{detail}");
    assert_ne!(listed["sites"][0]["state"], "down");
}

#[test]
fn a_site_is_served_once_and_only_with_a_key() {
    let rig = Rig::new();
    rig.run("site serve --dir s").refuses(10, &["no access key", "add-key"]);
    rig.run("site add-key --dir s --bucket No_Such").refuses(2, &["cannot be a bucket"]);
    let first = rig.ok("site add-key --dir s --bucket desk-state --quota-bytes 1000000");
    assert!(first.out.contains("id = EVK") && first.out.contains("secret = "));
    let keys = rig.path("s/.keys.toml");
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o077, 0);
    rig.run("site serve --dir s --listen 0.0.0.0:0").refuses(2, &["--host"]);
    rig.run("site serve --dir s --listen 0.0.0.0:0 --plain").refuses(2, &["certificate"]);
    let one = serve(&rig, "s", "127.0.0.1:0");
    rig.run("site serve --dir s --listen 127.0.0.1:0").refuses(11, &["served already"]);
    drop(one);
    drop(serve(&rig, "s", "127.0.0.1:0"));
}
