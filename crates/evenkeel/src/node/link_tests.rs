//! The link's two ends over loopback, with certificates that fit and with others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::link::{ToStandby, Welcome};

use super::link_tls::{self, Credentials};
use super::link_wire::{Wire, WireError};

const CLUSTER: [u8; 16] = [7; 16];
const WAIT: Duration = Duration::from_secs(30);

fn home(dir: &Path) -> Credentials {
    link_tls::lay_out(dir, CLUSTER).unwrap();
    link_tls::read(dir, CLUSTER).unwrap()
}

fn welcome() -> ToStandby {
    ToStandby::Welcome(Welcome { version: ProtocolVersion, term: 3, base: 0, next: 9 })
}

/// Serves one welcome to whoever `client` lets in; what each end saw.
fn meet(
    server: Credentials,
    client: &Credentials,
) -> (Result<(), WireError>, Result<Option<ToStandby>, WireError>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let serving = thread::spawn(move || {
        let mut wire = Wire::accept(listener.accept().unwrap().0, &server)?;
        wire.put(&welcome())?;
        wire.flush()?;
        // Until the other end has gone.
        while wire.next::<ToStandby>(WAIT).is_ok() {}
        Ok(())
    });
    let heard = Wire::connect(&at, client).and_then(|mut wire| wire.next::<ToStandby>(WAIT));
    (serving.join().unwrap(), heard)
}

#[test]
fn two_hosts_with_certificates_of_one_authority_understand_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("a"), folder.path().join("b"));
    let server = home(&here);
    std::fs::create_dir(&there).unwrap();
    for (from, to) in [("ca.pem", "ca.pem"), ("peer.pem", "node.pem"), ("peer.key", "node.key")] {
        std::fs::copy(here.join(from), there.join(to)).unwrap();
    }
    let client = link_tls::read(&there, CLUSTER).unwrap();
    let (served, heard) = meet(server, &client);
    served.unwrap();
    // Messages of the handshake may come first.
    assert!(matches!(heard.unwrap(), None | Some(ToStandby::Welcome(_))));
}

#[test]
fn a_host_of_another_authority_is_refused_by_both_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (home(&folder.path().join("a")), home(&folder.path().join("b")));
    let (served, heard) = meet(one, &other);
    assert!(matches!(served, Err(WireError::Stranger(_))), "{served:?}");
    assert!(matches!(heard, Err(WireError::Stranger(_))), "{heard:?}");
}

#[test]
fn a_host_of_another_cluster_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a");
    let server = home(&dir);
    let client = link_tls::read(&dir, [8; 16]).unwrap();
    let (_, heard) = meet(server, &client);
    assert!(matches!(heard, Err(WireError::Stranger(_))), "{heard:?}");
}

#[test]
fn without_certificates_it_says_which_to_copy() {
    let folder = tempfile::tempdir().unwrap();
    let report = link_tls::read(folder.path(), CLUSTER).unwrap_err();
    let said = report.to_string();
    assert!(said.contains("ca.pem") && said.contains("peer.pem"), "{said}");
}

#[test]
fn certificates_made_at_once_by_two_are_those_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("link");
    let make = |_| {
        let dir = dir.clone();
        thread::spawn(move || link_tls::lay_out(&dir, CLUSTER))
    };
    let made: Vec<_> = (0..2).map(make).collect();
    for thread in made {
        thread.join().unwrap().unwrap();
    }
    let both = link_tls::read(&dir, CLUSTER).unwrap();
    let (served, heard) = meet(both.clone(), &both);
    served.unwrap();
    heard.unwrap();
}
