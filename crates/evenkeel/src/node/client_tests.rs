//! Door and line together, with a primary in the process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use evenkeel_recovery::{Ack, Refused, Request};
use evenkeel_types::{AccountId, ClientSequence, Command, Origin, Position, SessionId};

use super::client_door::{ClientDoor, Duty};
use super::client_line::Line;
use super::gateway::{Gateway, Intake, Taken, Way as _};
use super::meter::Meter;
use super::stop::Stop;

const IDLE: Duration = Duration::from_millis(5);

pub(super) fn request(account: u64, sequence: u64) -> Request {
    let (session, sequence) = (SessionId(1), ClientSequence(sequence));
    let origin = Origin { account: AccountId(account), session, sequence };
    Request { origin, command: Command::Connect { cancel_on_disconnect: true } }
}

pub(super) fn serves(gateway: Gateway, term: u64) -> Duty {
    Duty::Serves { gateway, term, market: Arc::default() }
}

/// Takes batches until told otherwise; gives the origins in the order in which it took them.
pub(super) fn primary(
    intake: Intake,
    mut goes_on: impl FnMut(usize) -> bool + Send + 'static,
) -> std::thread::JoinHandle<Vec<Origin>> {
    std::thread::spawn(move || {
        let mut taken = Vec::new();
        loop {
            let batches = match intake.take(IDLE, IDLE, 1_000) {
                Taken::Batches(batches) => batches,
                Taken::Nothing => Vec::new(),
                Taken::NoClients => return taken,
            };
            for batch in batches {
                let mut answers = Vec::new();
                for request in &batch.requests {
                    let position = Position(taken.len() as u64);
                    taken.push(request.origin);
                    answers.push(Ok(Ack { position, entry_hash: [7; 32], events: Vec::new() }));
                }
                if !goes_on(taken.len()) {
                    // It ends between the journal and the answer.
                    return taken;
                }
                let _ = batch.reply.send(answers);
            }
        }
    })
}

struct Doors {
    folder: tempfile::TempDir,
    stop: Stop,
    meter: Arc<Meter>,
}

impl Doors {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, stop: Stop::default(), meter: Arc::default() }
    }

    fn path(&self, slot: &str) -> PathBuf {
        self.folder.path().join(format!("clients-{slot}.sock"))
    }

    fn line(&self) -> Line {
        let addresses = [self.path("a"), self.path("b")];
        Line::new("test", &addresses, self.stop.clone(), Arc::clone(&self.meter))
    }
}

#[test]
fn requests_over_a_line_are_answered_in_their_order() {
    let doors = Doors::new();
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let door = ClientDoor::open(&doors.path("b"), serves(gateway, 3)).unwrap();
    let requests: Vec<_> = (1..=200).map(|sequence| request(5, sequence)).collect();
    let mut line = doors.line();
    let answers = line.submit(requests.clone()).unwrap();
    let positions: Vec<_> = answers.into_iter().map(|it| it.unwrap().position.0).collect();
    assert_eq!(positions, (0..200).collect::<Vec<_>>());
    assert_eq!(doors.meter.noted().len(), 200);
    let found = doors.meter.primary().unwrap();
    assert_eq!((found.at, found.term), (1, 3));
    drop((line, door));
    let taken = thread.join().unwrap();
    assert_eq!(taken, requests.iter().map(|it| it.origin).collect::<Vec<_>>());
}

#[test]
fn what_a_dead_primary_did_not_answer_goes_unchanged_to_the_next_one() {
    let doors = Doors::new();
    let (gateway, intake) = Gateway::new();
    let old = primary(intake, |taken| taken < 40);
    let door = ClientDoor::open(&doors.path("a"), serves(gateway, 3)).unwrap();
    let elsewhere = Duty::Elsewhere { term: 3, primary_at: String::new() };
    let standby = ClientDoor::open(&doors.path("b"), elsewhere).unwrap();
    let (done, answered) = channel();
    let mut line = doors.line();
    let client = std::thread::spawn(move || {
        let requests: Vec<_> = (1..=100).map(|sequence| request(5, sequence)).collect();
        let _ = done.send(line.submit(requests).unwrap().len());
    });
    let first = old.join().unwrap();
    drop(door);
    assert!(answered.try_recv().is_err(), "nobody has answered yet");
    let (gateway, intake) = Gateway::new();
    let new = primary(intake, |_| true);
    standby.set(serves(gateway, 4));
    assert_eq!(answered.recv().unwrap(), 100);
    client.join().unwrap();
    drop(standby);
    let second = new.join().unwrap();
    // Whole where it had been answered, again from the first that had not.
    assert!(first.len() >= 40 && first.len() + second.len() > 100, "{}", first.len());
    let mut all: Vec<_> = first.iter().chain(&second).copied().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 100, "the same origins, none missing and none new");
    let found = doors.meter.primary().unwrap();
    assert_eq!((found.at, found.term), (1, 4));
    assert!(doors.meter.is_settled(found.since));
}

#[test]
fn a_client_that_never_reads_does_not_keep_the_primary_from_another() {
    use evenkeel_recovery::client::ToVenue;
    use evenkeel_recovery::{framing::ProtocolVersion, write_message};
    use std::io::Write as _;
    let doors = Doors::new();
    let (gateway, intake) = Gateway::new();
    let thread = primary(intake, |_| true);
    let door = ClientDoor::open(&doors.path("a"), serves(gateway, 1)).unwrap();
    let mut bytes = Vec::new();
    let hello = ToVenue::Hello { version: ProtocolVersion, name: "deaf".into() };
    write_message(&hello, &mut bytes).unwrap();
    for sequence in 1..=20_000 {
        let request = Box::new(request(6, sequence));
        write_message(&ToVenue::Request { request }, &mut bytes).unwrap();
    }
    let mut deaf = crate::control::connect(&doors.path("a")).unwrap().unwrap();
    deaf.set_nonblocking(true).unwrap();
    // As much as goes in without anybody reading the answers.
    let mut at = 0;
    while at < bytes.len()
        && let Ok(count) = deaf.write(&bytes[at..])
    {
        at += count;
    }
    let answers = doors.line().submit((1..=50).map(|it| request(5, it)).collect()).unwrap();
    assert_eq!(answers.len(), 50);
    drop((door, deaf));
    thread.join().unwrap();
}

#[test]
fn what_was_refused_can_be_sent_again_as_it_was() {
    let doors = Doors::new();
    let (gateway, intake) = Gateway::new();
    let thread = std::thread::spawn(move || {
        let mut round = 0;
        loop {
            match intake.take(IDLE, IDLE, 1_000) {
                Taken::NoClients => return,
                Taken::Nothing => {}
                Taken::Batches(batches) => {
                    round += 1;
                    for batch in batches {
                        let ack =
                            Ack { position: Position(9), entry_hash: [1; 32], events: vec![] };
                        let answer = if round == 1 { Err(Refused::DiskFull) } else { Ok(ack) };
                        let answers = batch.requests.iter().map(|_| answer.clone()).collect();
                        let _ = batch.reply.send(answers);
                    }
                }
            }
        }
    });
    let door = ClientDoor::open(&doors.path("a"), serves(gateway, 1)).unwrap();
    let mut line = doors.line();
    let first = line.submit(vec![request(5, 7)]).unwrap();
    assert_eq!(first, [Err(Refused::DiskFull)]);
    let second = line.submit(vec![request(5, 7)]).unwrap();
    assert_eq!(second[0].as_ref().unwrap().position, Position(9));
    drop((door, line));
    thread.join().unwrap();
}

#[test]
fn a_line_ends_when_its_process_does() {
    let doors = Doors::new();
    let mut line = doors.line();
    let stop = doors.stop.clone();
    let client = std::thread::spawn(move || line.submit(vec![request(1, 1)]));
    stop.set();
    assert!(client.join().unwrap().is_none());
}
