//! A client's line to the venue: it finds the primary among several addresses, and repeats what
//! has no answer yet, unchanged and with the same sequences, until it is acknowledged.
//!
//! The venue remembers the last 64 sequences of a session, so no more than that are ever without
//! an answer: then a repeated command is recognised, however much of it had been journaled.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_recovery::client::{ToClient, ToVenue};
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::{Ack, Refused, Request, Unframer, write_message};
use evenkeel_types::{AccountId, Origin, SessionId};

use super::client_door::{invalid, is_timeout};
use super::gateway::{Answers, Way};
use super::meter::Meter;
use super::stop::Stop;
use crate::control::connect;

/// Requests of one session without an answer at once; the engine's window is 64.
const SESSION_MAX: usize = 32;
/// How long a primary may be silent before another address is tried.
const SILENCE: Duration = Duration::from_secs(2);
/// How often a wait looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// Wait before the next address is tried.
const NEXT: Duration = Duration::from_millis(5);

/// A client's end.
pub(crate) struct Line {
    name: String,
    addresses: Arc<Vec<PathBuf>>,
    /// Index of the address in use, or to be tried next.
    at: usize,
    connection: Option<Connection>,
    stop: Stop,
    meter: Arc<Meter>,
    /// Its number in the meter.
    number: u64,
}

/// Connected and welcomed.
struct Connection {
    stream: UnixStream,
    unframer: Unframer,
}

impl Line {
    pub(crate) fn new(name: &str, addresses: Vec<PathBuf>, stop: Stop, meter: Arc<Meter>) -> Self {
        let (name, addresses, number) = (name.to_owned(), Arc::new(addresses), meter.enter());
        Self { name, addresses, at: 0, connection: None, stop, meter, number }
    }

    /// Sends requests, at most [`SESSION_MAX`] of a session, until each has its answer.
    fn exchange(&mut self, requests: &[Request]) -> Option<Answers> {
        let mut answers: Vec<Option<Result<Ack, Refused>>> = vec![None; requests.len()];
        while answers.iter().any(Option::is_none) {
            if self.stop.is_set() {
                return None;
            }
            // Whatever failed: the answers that came count, the rest is asked for again.
            if self.try_here(requests, &mut answers).is_err() {
                self.connection = None;
                self.at = (self.at + 1) % self.addresses.len().max(1);
                if self.stop.sleep(NEXT) {
                    return None;
                }
            }
        }
        Some(answers.into_iter().flatten().collect())
    }

    fn try_here(
        &mut self,
        requests: &[Request],
        answers: &mut [Option<Result<Ack, Refused>>],
    ) -> io::Result<()> {
        if self.connection.is_none() {
            let address = self.addresses.get(self.at).ok_or(io::ErrorKind::NotFound)?;
            let (connection, term) = Connection::open(address, &self.name, &self.stop)?;
            self.meter.found(self.at, term);
            self.connection = Some(connection);
        }
        let connection = self.connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let unanswered = requests.iter().zip(answers.iter()).filter(|(_, it)| it.is_none());
        connection.send(unanswered.map(|(request, _)| request))?;
        let index: BTreeMap<Origin, usize> =
            requests.iter().zip(0..).map(|(request, at)| (request.origin, at)).collect();
        while answers.iter().any(Option::is_none) {
            let (origin, answer) = match connection.hear(&self.stop)? {
                ToClient::Acked { origin, ack } => (origin, Ok(*ack)),
                ToClient::Refused { origin, refused } => (origin, Err(refused)),
                ToClient::NotPrimary { .. } => return Err(io::ErrorKind::ConnectionReset.into()),
                ToClient::Welcome { .. } => continue,
            };
            let answered = index.get(&origin).and_then(|at| answers.get_mut(*at));
            // Late answers to what was sent before are for nobody.
            let Some(slot @ None) = answered else {
                continue;
            };
            if let Ok(ack) = &answer {
                self.meter.acknowledged(self.number, ack);
            }
            *slot = Some(answer);
        }
        Ok(())
    }
}

impl Way for Line {
    fn submit(&mut self, requests: Vec<Request>) -> Option<Answers> {
        let mut answers = Vec::with_capacity(requests.len());
        for part in parts(&requests) {
            self.meter.asked(self.number);
            let answered = self.exchange(part);
            self.meter.answered(self.number);
            answers.extend(answered?);
        }
        Some(answers)
    }

    fn another(&self) -> Box<dyn Way> {
        let addresses = Arc::clone(&self.addresses);
        let (stop, meter) = (self.stop.clone(), Arc::clone(&self.meter));
        let (name, at, number) = (self.name.clone(), self.at, self.meter.enter());
        Box::new(Self { name, addresses, at, connection: None, stop, meter, number })
    }
}

/// The term that a process knows of which is not the primary; `None` if it is, or is not there.
pub(crate) fn probe(address: &Path) -> Option<u64> {
    let stream = connect(address).ok()??;
    stream.set_read_timeout(Some(LOOK)).ok()?;
    let mut connection = Connection { stream, unframer: Unframer::new() };
    match connection.hear_within(LOOK, &Stop::default()).ok()? {
        ToClient::NotPrimary { term, .. } => Some(term),
        _ => None,
    }
}

/// The requests in order, in parts with no more of a session than may be without an answer.
fn parts(requests: &[Request]) -> Vec<&[Request]> {
    let mut parts = Vec::new();
    let mut counts: BTreeMap<(AccountId, SessionId), usize> = BTreeMap::new();
    let mut first = 0;
    for (at, request) in requests.iter().enumerate() {
        let key = (request.origin.account, request.origin.session);
        if counts.get(&key).is_some_and(|count| *count >= SESSION_MAX) {
            parts.push(&requests[first..at]);
            first = at;
            counts.clear();
        }
        *counts.entry(key).or_default() += 1;
    }
    if first < requests.len() {
        parts.push(&requests[first..]);
    }
    parts
}

impl Connection {
    /// Connects and presents itself; gives the primary's term as well.
    ///
    /// # Errors
    /// Nobody listens there, or whoever does is not the primary.
    fn open(address: &Path, name: &str, stop: &Stop) -> io::Result<(Self, u64)> {
        let stream = connect(address)?.ok_or(io::ErrorKind::ConnectionRefused)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let mut connection = Self { stream, unframer: Unframer::new() };
        let hello = ToVenue::Hello { version: ProtocolVersion, name: name.into() };
        let mut bytes = Vec::new();
        write_message(&hello, &mut bytes).map_err(invalid)?;
        // A standby says so without waiting for this, and may have closed by now.
        let sent = connection.stream.write_all(&bytes);
        match connection.hear(stop)? {
            ToClient::Welcome { term, .. } => sent.map(|()| (connection, term)),
            _ => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    fn send<'a>(&mut self, requests: impl Iterator<Item = &'a Request>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for request in requests {
            let message = ToVenue::Request { request: Box::new(request.clone()) };
            write_message(&message, &mut bytes).map_err(invalid)?;
        }
        self.stream.write_all(&bytes)
    }

    /// The next message.
    ///
    /// # Errors
    /// The connection ended or is silent for too long.
    fn hear(&mut self, stop: &Stop) -> io::Result<ToClient> {
        self.hear_within(SILENCE, stop)
    }

    fn hear_within(&mut self, patience: Duration, stop: &Stop) -> io::Result<ToClient> {
        let begun = Instant::now();
        loop {
            if let Some(message) = self.unframer.next_message().map_err(invalid)? {
                return Ok(message);
            }
            let mut buffer = [0; 64 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.unframer.feed(&buffer[..count]),
                Err(error) if is_timeout(&error) => {
                    if stop.is_set() || begun.elapsed() >= patience {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}
