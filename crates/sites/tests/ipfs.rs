//! Nodes of a peer-to-peer network as a site: real ones, connected on loopback, of which one dies.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use evenkeel_sites::{
    Bandwidth, CredentialSource, Endpoint, IpfsJanitor, IpfsSettings, IpfsSite, Outcome, Patience,
    probe_ipfs,
};
use evenkeel_vault::{Janitor, ObjectInfo, Site, SiteClass, SiteErrorKind};

/// A node that runs until it is dropped.
struct Node {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tools() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    cache.join("evenkeel-tools/ipfs")
}

impl Node {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = tools().join("node.mjs");
        assert!(script.exists(), "{} is brought by `cargo xtask setup`", script.display());
        let mut child = Command::new("node")
            .arg(script)
            .arg(folder.path().join("repo"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("http")).unwrap();
        Self { child, url, folder }
    }

    fn settings(&self, peers: &[&Self]) -> IpfsSettings {
        IpfsSettings {
            endpoint: Endpoint::parse(&self.url, false).unwrap(),
            prefix: String::new(),
            peers: peers.iter().map(|peer| Endpoint::parse(&peer.url, false).unwrap()).collect(),
            credential: None,
            certificates: None,
            patience: Patience {
                connect: Duration::from_secs(2),
                repeats: 1,
                ..Patience::default()
            },
            bandwidth: Bandwidth::default(),
        }
    }

    fn site(&self, peers: &[&Self]) -> IpfsSite {
        IpfsSite::new("garden", &self.settings(peers)).unwrap()
    }
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at as u64).wrapping_mul(0x9e37_79b9).to_le_bytes()[1]).collect()
}

fn names(listed: &[ObjectInfo]) -> Vec<&str> {
    listed.iter().map(|object| object.key.as_str()).collect()
}

#[test]
fn a_node_is_a_site_and_calls_every_object_what_we_compute() {
    let node = Node::start();
    let site = node.site(&[]);
    assert!(site.list("").unwrap().is_empty());
    // One leaf, two, many of two levels (175 leaves need a second one), and nothing at all.
    let lengths = [0, 5, 262_144, 262_145, 46_000_000];
    for (number, length) in lengths.into_iter().enumerate() {
        let (key, content) = (format!("state/a/{number}"), pattern(length));
        site.put(&key, &content).unwrap();
        site.put(&key, &content).unwrap();
        assert_eq!(site.get(&key).unwrap(), content, "{length}");
    }
    let other = site.put("state/a/1", b"other").unwrap_err();
    assert_eq!(other.kind, SiteErrorKind::Exists, "{other}");
    assert_eq!(site.get("state/a/1").unwrap(), pattern(5));
    let all = pattern(262_145);
    assert_eq!(site.get_range("state/a/3", 262_140, 3).unwrap(), all[262_140..262_143]);
    assert_eq!(site.get_range("state/a/3", 262_140, 99).unwrap(), all[262_140..]);
    assert_eq!(site.get_range("state/a/3", 262_145, 9).unwrap(), b"");
    assert_eq!(site.get_range("state/a/3", 0, 0).unwrap(), b"");
    assert_eq!(site.get("state/a/9").unwrap_err().kind, SiteErrorKind::NotFound);
    assert_eq!(site.get_range("none", 0, 1).unwrap_err().kind, SiteErrorKind::NotFound);
    assert_eq!(site.get("../x").unwrap_err().kind, SiteErrorKind::InvalidKey);
    let listed = site.list("state/").unwrap();
    assert_eq!(listed.len(), 5);
    assert!(listed.iter().zip(lengths).all(|(at, length)| at.length_bytes == length as u64));
    assert!(site.list("none/").unwrap().is_empty());
    assert_eq!(site.used_bytes().unwrap(), lengths.iter().sum::<usize>() as u64);
}

#[test]
fn when_the_first_node_dies_everything_is_read_from_a_peer_that_nobody_told_of_it() {
    let (first, second, third) = (Node::start(), Node::start(), Node::start());
    let large = pattern(700_000);
    {
        let site = first.site(&[&second, &third]);
        site.put("state/x/records/1", b"one").unwrap();
        let replicas = site.replicate().unwrap();
        assert_eq!(replicas.len(), 2);
        assert!(replicas.iter().all(|replica| replica.failure.is_none()), "{replicas:?}");
        site.put("state/x/shards/2", &large).unwrap();
        // What is dropped passes on what it still had to.
    }
    let site = first.site(&[&second, &third]);
    let roots: Vec<String> =
        site.replicate().unwrap().into_iter().map(|replica| replica.root).collect();
    assert_eq!(roots[0], roots[1]);
    drop(first);
    // Another process, which knows the addresses and nothing else.
    drop(second);
    assert_eq!(site.get("state/x/records/1").unwrap(), b"one");
    assert_eq!(site.get("state/x/shards/2").unwrap(), large);
    assert_eq!(site.get_range("state/x/shards/2", 600_000, 10).unwrap(), large[600_000..600_010]);
    let listed = site.list("").unwrap();
    assert_eq!(names(&listed), ["state/x/records/1", "state/x/shards/2"]);
    assert_eq!(site.get("state/x/records/2").unwrap_err().kind, SiteErrorKind::NotFound);
    // Nothing is written to a peer: the site counts as lost for that.
    assert_eq!(site.put("y", b"y").unwrap_err().kind, SiteErrorKind::Unavailable);
    drop(third);
    assert_eq!(site.get("state/x/records/1").unwrap_err().kind, SiteErrorKind::Unavailable);
}

#[test]
fn a_node_whose_operator_empties_it_takes_nothing_from_its_peers() {
    let (first, second) = (Node::start(), Node::start());
    let site = first.site(&[&second]);
    site.put("state/x", &pattern(300_000)).unwrap();
    assert!(site.replicate().unwrap()[0].failure.is_none());
    let janitor = IpfsJanitor::new("garden", &first.settings(&[])).unwrap();
    janitor.delete("state/x").unwrap();
    janitor.delete("state/x").unwrap();
    assert_eq!(site.get("state/x").unwrap_err().kind, SiteErrorKind::NotFound);
    // More roots than are kept, all of them smaller.
    for number in 0..20 {
        site.put(&format!("junk/{number}"), b"junk").unwrap();
        assert!(site.replicate().unwrap()[0].failure.is_none());
    }
    let roots = Command::new("curl")
        .args(["--silent", "--request", "POST"])
        .arg(format!("{}/api/v0/files/ls?arg=/.roots/evenkeel&long=true", second.url))
        .output()
        .unwrap();
    let roots = String::from_utf8(roots.stdout).unwrap();
    let parts = roots.split("\"Name\":\"").skip(1);
    let mut kept: Vec<&str> = parts.map(|part| part.split('"').next().unwrap()).collect();
    kept.sort();
    // The first, which is larger, and the newest of the others; two may be given at once.
    assert!((16..=18).contains(&kept.len()), "{kept:?}");
    let old =
        IpfsSettings { prefix: format!(".roots/evenkeel/{}/", kept[0]), ..second.settings(&[]) };
    assert!(IpfsSite::new("old", &old).is_err(), "no prefix of ours begins with a dot");
    let held = Command::new("curl")
        .args(["--silent", "--request", "POST"])
        .arg(format!("{}/api/v0/files/stat?arg=/.roots/evenkeel/{}/state/x", second.url, kept[0]))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&held.stdout).contains("300000"), "{held:?}");
}

#[test]
fn what_is_damaged_is_moved_aside_and_put_again() {
    let node = Node::start();
    let site = node.site(&[]);
    site.put("state/x", b"damaged, say").unwrap();
    site.quarantine("state/x").unwrap();
    assert!(site.list("").unwrap().is_empty());
    site.put("state/x", b"good").unwrap();
    assert_eq!(site.get("state/x").unwrap(), b"good");
    assert_eq!(names(&site.list("").unwrap()), ["state/x"]);
}

#[test]
fn the_probe_finds_a_node_mutable_and_says_what_it_let_be_taken() {
    let node = Node::start();
    let finding = probe_ipfs(&node.settings(&[]), 7).unwrap();
    assert!(finding.wrote && finding.read_after_write, "{finding:?}");
    assert!(finding.conditional_put, "a name that is taken is not given again: {finding:?}");
    for what in ["overwrite", "delete", "unpin"] {
        let attempt = finding.attempts.iter().find(|attempt| attempt.what == what).unwrap();
        assert_eq!(attempt.outcome, Outcome::Allowed, "{attempt:?}");
    }
    assert_eq!(finding.class(), SiteClass::Mutable);
    assert!(finding.write.is_some() && finding.read_bytes_per_second.unwrap() > 0);
}

#[test]
fn a_proxy_before_the_rpc_is_given_the_bearers_token() {
    use std::io::Read;
    let node = Node::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![0; 2000];
        let read = stream.read(&mut head).unwrap();
        String::from_utf8_lossy(&head[..read]).to_lowercase()
    });
    let credential = node.folder.path().join("credential");
    fs::write(&credential, "id = bearer\nsecret = ToKeN-17\n").unwrap();
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o600)).unwrap();
    let settings = IpfsSettings {
        endpoint: Endpoint::parse(&url, false).unwrap(),
        credential: Some(CredentialSource::File(credential)),
        patience: Patience { repeats: 0, ..Patience::default() },
        ..node.settings(&[])
    };
    let site = IpfsSite::new("garden", &settings).unwrap();
    let error = site.get("x").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unavailable, "{error}");
    assert!(!format!("{error:?} {site:?}").contains("17"));
    let heard = heard.join().unwrap();
    assert!(heard.contains("authorization: bearer token-17"), "{heard}");
    assert!(heard.starts_with("post /api/v0/files/stat?arg=/evenkeel/x "), "{heard}");
}
