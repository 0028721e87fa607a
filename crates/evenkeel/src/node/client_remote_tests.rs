//! The door for clients on other machines, from the client's side and from a stranger's.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_recovery::client::ToVenue;
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::write_message;
use evenkeel_types::AccountId;

use super::client_door::{ClientDoor, Duty};
use super::client_line::Line;
use super::client_pipe::{self, Pipe};
use super::client_tests::{primary, request, serves};
use super::client_tls::{ClientCredentials, Gateways, make_key};
use super::gateway::{Gateway, Way as _};
use super::link_tls;
use super::meter::Meter;
use super::stop::Stop;
use crate::config::{ClientsConfig, GatewayConfig};

const CLUSTER: [u8; 16] = [7; 16];
const PATIENCE: Duration = Duration::from_secs(20);

/// A host's link folder and the clients that it names.
struct Venue {
    folder: tempfile::TempDir,
    config: ClientsConfig,
    stop: Stop,
    meter: Arc<Meter>,
}

impl Venue {
    /// With a client called `desk`, who may not operate, and `office`, who may.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        link_tls::lay_out(&folder.path().join("link"), CLUSTER).unwrap();
        let config = ClientsConfig::default();
        let mut venue = Self { folder, config, stop: Stop::default(), meter: Arc::default() };
        for name in ["desk", "office"] {
            let certificate_sha256 = venue.key(name);
            let (name, operates) = (name.to_owned(), name == "office");
            venue.config.gateways.push(GatewayConfig { name, certificate_sha256, operates });
        }
        venue
    }

    fn link(&self) -> PathBuf {
        self.folder.path().join("link")
    }

    /// Makes a client's folder; gives its fingerprint.
    fn key(&self, name: &str) -> String {
        let dir = self.folder.path().join(name);
        let fingerprint = make_key(&dir, name).unwrap();
        std::fs::copy(self.link().join("ca.pem"), dir.join("ca.pem")).unwrap();
        fingerprint
    }

    fn credentials(&self, name: &str) -> ClientCredentials {
        ClientCredentials::read(&self.folder.path().join(name)).unwrap()
    }

    /// A door called `name` on a free port.
    fn door(&self, name: &str, duty: Duty) -> (ClientDoor, SocketAddr) {
        let mut door = ClientDoor::open(&self.folder.path().join(name), duty).unwrap();
        let gateways = Gateways::of(&self.config, &self.link(), CLUSTER).unwrap();
        let address = door.open_to(([127, 0, 0, 1], 0).into(), &gateways).unwrap();
        (door, address)
    }

    fn line(&self, name: &str, at: &[SocketAddr]) -> Line {
        let at = at.iter().map(ToString::to_string).collect();
        let (stop, meter) = (self.stop.clone(), Arc::clone(&self.meter));
        Line::remote(name, at, self.credentials(name), stop, meter)
    }

    fn pipe(&self, name: &str, at: SocketAddr) -> std::io::Result<Box<dyn Pipe>> {
        let pipe = client_pipe::connect(&at.to_string(), &self.credentials(name), PATIENCE)?;
        pipe.wait_at_most(PATIENCE, PATIENCE)?;
        Ok(pipe)
    }
}

fn hello() -> Vec<u8> {
    let mut bytes = Vec::new();
    let hello = ToVenue::Hello { version: ProtocolVersion, name: "by hand".into() };
    write_message(&hello, &mut bytes).unwrap();
    bytes
}

fn requests(count: u64) -> Vec<evenkeel_recovery::Request> {
    (1..=count).map(|sequence| request(5, sequence)).collect()
}

/// Whether the other end closes within the patience; what it says before does not matter.
fn is_closed(stream: &mut impl std::io::Read) -> bool {
    let begun = Instant::now();
    let mut buffer = [0; 4096];
    while begun.elapsed() < PATIENCE {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if super::client_door::is_timeout(&error) => {}
            Err(_) => return true,
        }
    }
    false
}

#[test]
fn a_named_client_on_another_machine_is_answered_as_one_on_this_one() {
    let venue = Venue::new();
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let (door, at) = venue.door("a", serves(gateway, 3));
    let mut line = venue.line("desk", &[at]);
    let answers = line.submit(requests(600)).unwrap();
    let positions: Vec<_> = answers.into_iter().map(|it| it.unwrap().position.0).collect();
    assert_eq!(positions, (0..600).collect::<Vec<_>>());
    assert_eq!(venue.meter.acknowledgements(), 600);
    drop((line, door));
    assert_eq!(thread.join().unwrap().len(), 600);
}

#[test]
fn who_is_not_primary_names_the_host_that_is_and_the_client_goes_there() {
    let venue = Venue::new();
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let (serving, there) = venue.door("b", serves(gateway, 4));
    let elsewhere = Duty::Elsewhere { term: 4, primary_at: there.to_string() };
    let (away, here) = venue.door("a", elsewhere);
    // It knows only the one that sends it on.
    let mut line = venue.line("desk", &[here]);
    assert_eq!(line.submit(requests(10)).unwrap().len(), 10);
    drop((line, away, serving));
    assert_eq!(thread.join().unwrap().len(), 10);
}

#[test]
fn what_a_dead_host_did_not_answer_goes_to_the_next_one_with_its_sequence() {
    let venue = Venue::new();
    let (gateway, intake) = Gateway::new();
    // It ends between the journal and the answer.
    let old = primary(intake, |taken| taken < 40);
    let (first, here) = venue.door("a", serves(gateway, 3));
    let elsewhere = Duty::Elsewhere { term: 3, primary_at: here.to_string() };
    let (second, there) = venue.door("b", elsewhere);
    let mut line = venue.line("desk", &[here, there]);
    let client = std::thread::spawn(move || line.submit(requests(100)).unwrap().len());
    let before = old.join().unwrap();
    drop(first);
    let (gateway, intake) = Gateway::new();
    let new = primary(intake, |_| true);
    second.set(serves(gateway, 4));
    assert_eq!(client.join().unwrap(), 100);
    drop(second);
    let after = new.join().unwrap();
    let mut all: Vec<_> = before.iter().chain(&after).copied().collect();
    assert!(all.len() > 100, "something was sent again");
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, requests(100).iter().map(|one| one.origin).collect::<Vec<_>>());
}

#[test]
fn a_client_that_is_not_named_is_not_let_in_nor_is_a_host_of_the_link() {
    let venue = Venue::new();
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let (door, at) = venue.door("a", serves(gateway, 1));
    venue.key("stranger");
    // A standby's certificate is good for the link alone.
    let host = venue.folder.path().join("host");
    std::fs::create_dir(&host).unwrap();
    for (from, to) in [("ca.pem", "ca.pem"), ("peer.pem", "client.pem"), ("peer.key", "client.key")]
    {
        std::fs::copy(venue.link().join(from), host.join(to)).unwrap();
    }
    for who in ["stranger", "host"] {
        // TLS 1.3 tells a client only after its own last message that it is not welcome.
        if let Ok(mut pipe) = venue.pipe(who, at) {
            let _ = pipe.write_all(&hello());
            let said = pipe.read(&mut [0; 64]);
            assert!(matches!(said, Ok(0) | Err(_)), "{who}: {said:?}");
        }
    }
    assert_eq!(venue.line("desk", &[at]).submit(requests(5)).unwrap().len(), 5);
    drop(door);
    assert_eq!(thread.join().unwrap().len(), 5, "nothing of the others");
}

#[test]
fn a_client_sends_nothing_to_a_host_of_another_cluster() {
    let (venue, other) = (Venue::new(), Venue::new());
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let (door, at) = other.door("a", serves(gateway, 1));
    let failed = venue.pipe("desk", at).err().unwrap();
    let tls = failed.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    assert!(matches!(tls, Some(rustls::Error::InvalidCertificate(_))), "{failed}");
    drop(door);
    assert!(thread.join().unwrap().is_empty());
}

#[test]
fn the_operators_commands_are_taken_only_from_those_who_may_operate() {
    let venue = Venue::new();
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let (door, at) = venue.door("a", serves(gateway, 1));
    let operator = request(AccountId::OPERATOR.0, 1);
    let mut bytes = hello();
    for request in [request(5, 1), operator.clone()] {
        let request = Box::new(request);
        write_message(&ToVenue::Request { request }, &mut bytes).unwrap();
    }
    let mut pipe = venue.pipe("desk", at).unwrap();
    pipe.write_all(&bytes).unwrap();
    assert!(is_closed(&mut pipe));
    let answers = venue.line("office", &[at]).submit(vec![operator.clone()]).unwrap();
    assert_eq!(answers.len(), 1);
    drop(door);
    let taken = thread.join().unwrap();
    assert_eq!(taken.iter().filter(|one| **one == operator.origin).count(), 1);
}

#[test]
fn whoever_speaks_something_else_is_closed_before_and_after_the_certificates() {
    let venue = Venue::new();
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let (door, at) = venue.door("a", serves(gateway, 1));
    let mut plain = TcpStream::connect(at).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: venue\r\n\r\n").unwrap();
    assert!(is_closed(&mut plain));
    let too_long = (1_u32 << 20) + 1;
    for garbage in [b"\x04\x00\x00\x00abcd".to_vec(), too_long.to_le_bytes().to_vec()] {
        let mut pipe = venue.pipe("desk", at).unwrap();
        pipe.write_all(&garbage).unwrap();
        assert!(is_closed(&mut pipe), "{garbage:?}");
        // Also from one who was welcome before.
        let mut pipe = venue.pipe("desk", at).unwrap();
        pipe.write_all(&[hello(), garbage].concat()).unwrap();
        assert!(is_closed(&mut pipe));
    }
    assert_eq!(venue.line("desk", &[at]).submit(requests(5)).unwrap().len(), 5);
    drop(door);
    assert_eq!(thread.join().unwrap().len(), 5);
}

#[test]
fn those_who_say_nothing_are_closed_and_keep_no_client_out_for_long() {
    let venue = Venue::new();
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let (door, at) = venue.door("a", serves(gateway, 1));
    // More than are greeted at once; none shows a certificate.
    let mut silent: Vec<_> = (0..80).map(|_| TcpStream::connect(at).unwrap()).collect();
    // One says a little now and then, and does not live longer by it.
    let mut slow = TcpStream::connect(at).unwrap();
    let dribble = std::thread::spawn(move || {
        let begun = Instant::now();
        // The beginning of a handshake record that never ends.
        let record = [vec![22, 3, 1, 2, 0], vec![1, 0, 1, 252], vec![0; 200]].concat();
        for byte in record {
            if slow.write_all(&[byte]).is_err() || begun.elapsed() > PATIENCE {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        begun.elapsed()
    });
    assert_eq!(venue.line("desk", &[at]).submit(requests(5)).unwrap().len(), 5);
    for stream in &mut silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(is_closed(stream));
    }
    assert!(dribble.join().unwrap() < PATIENCE, "given up, however it dribbles");
    drop(door);
    assert_eq!(thread.join().unwrap().len(), 5);
}

#[test]
fn a_client_that_reads_no_answers_is_given_up_and_keeps_nobody_waiting() {
    let venue = Venue::new();
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let (door, at) = venue.door("a", serves(gateway, 1));
    let mut deaf = venue.pipe("desk", at).unwrap();
    let writer = std::thread::spawn(move || {
        deaf.write_all(&hello()).unwrap();
        let mut bytes = Vec::new();
        for sequence in 1..=2_000 {
            let request = Box::new(request(6, sequence));
            write_message(&ToVenue::Request { request }, &mut bytes).unwrap();
        }
        // Until nobody takes it any more, because nobody takes the answers.
        loop {
            if let Err(error) = deaf.write_all(&bytes) {
                return error;
            }
        }
    });
    let answers = venue.line("desk", &[at]).submit(requests(50)).unwrap();
    assert_eq!(answers.len(), 50);
    let error = writer.join().unwrap();
    assert!(!super::client_door::is_timeout(&error), "closed by the host: {error}");
    drop(door);
    thread.join().unwrap();
}

#[test]
fn a_key_is_made_once_and_a_folder_without_its_authority_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fingerprint = make_key(folder.path(), "desk").unwrap();
    let named = |certificate_sha256: String| GatewayConfig {
        name: "desk".to_owned(),
        certificate_sha256,
        operates: false,
    };
    assert!(named(fingerprint.clone()).fingerprint().is_some());
    let pairs = fingerprint.as_bytes().chunks(2);
    let pairs: Vec<_> = pairs.map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
    assert_eq!(named(pairs.join(":")).fingerprint(), named(fingerprint).fingerprint());
    let before = std::fs::read(folder.path().join("client.key")).unwrap();
    let again = make_key(folder.path(), "desk").unwrap_err();
    assert!(again.to_string().contains("has a key already"), "{again}");
    assert_eq!(std::fs::read(folder.path().join("client.key")).unwrap(), before);
    let refused = ClientCredentials::read(folder.path()).unwrap_err();
    assert!(refused.to_string().contains("ca.pem"), "{refused}");
}
