//! A client's line to the venue: sockets and waiting around [`Client`], which decides what is sent
//! where, and again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_recovery::client::{Answer, Client, NotSubmitted, Output, Plan, ToClient, ToVenue};
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::{Clock as _, Request, Unframer, write_message};

use super::client_door::{invalid, is_timeout};
use super::client_pipe::{self, Pipe};
use super::client_tls::ClientCredentials;
use super::clock::SystemClock;
use super::gateway::{Answers, Way};
use super::meter::Meter;
use super::stop::Stop;
use crate::control::connect;

/// Requests handed over together: few enough that a socket's buffer takes them, so that writing
/// them never waits for answers to be read.
const TOGETHER: usize = 256;
/// How long a primary may be silent before another address is tried, in nanoseconds.
const PATIENCE_NS: u64 = 2_000_000_000;
/// Wait after all addresses were tried in vain, in nanoseconds.
const RETRY_NS: u64 = 5_000_000;
/// The same between machines, where each try costs both ends a handshake.
const REMOTE_RETRY_NS: u64 = 50_000_000;
/// How often a wait looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long another machine may take to answer a connection, and to show its certificate.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A client's end.
pub(crate) struct Line {
    plan: Plan,
    client: Client,
    connection: Option<Connection>,
    /// For addresses on other machines; without them addresses are sockets of this one.
    credentials: Option<ClientCredentials>,
    clock: SystemClock,
    stop: Stop,
    meter: Arc<Meter>,
    /// Its number in the meter.
    number: u64,
}

/// An open socket.
struct Connection {
    number: u64,
    /// Index of its address.
    at: usize,
    pipe: Box<dyn Pipe>,
    unframer: Unframer,
}

impl Line {
    pub(crate) fn new(name: &str, addresses: &[PathBuf], stop: Stop, meter: Arc<Meter>) -> Self {
        let addresses = addresses.iter().map(|path| path.display().to_string()).collect();
        Self::with(plan(name, addresses), None, stop, meter)
    }

    /// A client of a venue on other machines, at `HOST:PORT` of each.
    pub(crate) fn remote(
        name: &str,
        addresses: Vec<String>,
        credentials: ClientCredentials,
        stop: Stop,
        meter: Arc<Meter>,
    ) -> Self {
        let plan = Plan { retry_ns: REMOTE_RETRY_NS, ..plan(name, addresses) };
        Self::with(plan, Some(credentials), stop, meter)
    }

    fn with(
        plan: Plan,
        credentials: Option<ClientCredentials>,
        stop: Stop,
        meter: Arc<Meter>,
    ) -> Self {
        let (client, number) = (Client::new(plan.clone()), meter.enter());
        let (connection, clock) = (None, SystemClock::new());
        Self { plan, client, connection, credentials, clock, stop, meter, number }
    }

    /// Sends requests until each has its answer.
    fn exchange(&mut self, requests: Vec<Request>) -> Option<Answers> {
        let count = requests.len();
        for request in requests {
            self.take(request);
        }
        let mut answers = Answers::with_capacity(count);
        while answers.len() < count {
            if self.stop.is_set() {
                return None;
            }
            self.act(&mut answers);
            if answers.len() < count {
                self.hear();
            }
        }
        Some(answers)
    }

    fn take(&mut self, request: Request) {
        let now_ns = self.clock.monotonic_ns();
        let again = request.clone();
        match self.client.submit(now_ns, request) {
            Ok(()) => {}
            // What the venue refused may come again, with its sequence: nothing else is open then.
            // A client that has seen nothing yet takes it.
            Err(NotSubmitted::NotAscending { .. } | NotSubmitted::Full { .. }) => {
                (self.client, self.connection) = (Client::new(self.plan.clone()), None);
                let _ = self.client.submit(now_ns, again);
            }
        }
    }

    /// Does what the client says, until it has nothing more to say.
    fn act(&mut self, answers: &mut Answers) {
        loop {
            let outputs = self.client.outputs(self.clock.monotonic_ns());
            if outputs.is_empty() {
                return;
            }
            let mut bytes = Vec::new();
            for output in outputs {
                match output {
                    Output::Connect { address, connection } => self.connect(&address, connection),
                    // Commands are far shorter than a message may be.
                    Output::Send(message) => drop(write_message(&message, &mut bytes)),
                    Output::Answered { answer, .. } => answers.push(match answer {
                        Answer::Acked(ack) => {
                            self.meter.acknowledged(self.number, &ack);
                            Ok(ack)
                        }
                        Answer::Refused(refused) => Err(refused),
                    }),
                }
            }
            let written = self.connection.as_mut().map(|it| it.write(&bytes));
            if written.is_some_and(|written| written.is_err()) {
                self.lose();
            }
        }
    }

    fn connect(&mut self, address: &str, number: u64) {
        let now_ns = self.clock.monotonic_ns();
        let at = self.plan.addresses.iter().position(|known| known == address).unwrap_or(0);
        let opened = match &self.credentials {
            Some(credentials) => client_pipe::connect(address, credentials, CONNECT_TIMEOUT),
            None => socket(Path::new(address)),
        };
        self.connection = opened.and_then(|pipe| Connection::over(pipe, at, number)).ok();
        match self.connection {
            Some(_) => self.client.on_connected(now_ns, number),
            None => self.client.on_lost(now_ns, number),
        }
    }

    fn lose(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.client.on_lost(self.clock.monotonic_ns(), connection.number);
        }
    }

    /// Waits for something to be said, or for the time at which something is to be done.
    fn hear(&mut self) {
        let now_ns = self.clock.monotonic_ns();
        let wake_ns = self.client.wakes_at_ns().unwrap_or(u64::MAX);
        let wait = LOOK.min(Duration::from_nanos(wake_ns.saturating_sub(now_ns)));
        let Some(connection) = &mut self.connection else {
            self.stop.sleep(wait);
            return;
        };
        match connection.read(wait) {
            Ok(messages) => {
                let (number, at) = (connection.number, connection.at);
                for message in messages {
                    if let ToClient::Welcome { term, .. } = &message {
                        self.meter.found(at, *term);
                    }
                    self.client.on_message(self.clock.monotonic_ns(), number, message);
                }
            }
            Err(error) if is_timeout(&error) => {}
            Err(_) => self.lose(),
        }
    }
}

impl Way for Line {
    fn submit(&mut self, mut requests: Vec<Request>) -> Option<Answers> {
        let mut answers = Vec::with_capacity(requests.len());
        while !requests.is_empty() {
            let rest = requests.split_off(requests.len().min(TOGETHER));
            self.meter.asked(self.number);
            let answered = self.exchange(std::mem::replace(&mut requests, rest));
            self.meter.answered(self.number);
            answers.extend(answered?);
        }
        Some(answers)
    }

    fn another(&self) -> Box<dyn Way> {
        let (plan, credentials) = (self.plan.clone(), self.credentials.clone());
        Box::new(Self::with(plan, credentials, self.stop.clone(), Arc::clone(&self.meter)))
    }
}

/// The term that a process knows of which is not the primary; `None` if it is, or is not there.
pub(crate) fn probe(address: &Path) -> Option<u64> {
    let mut connection = Connection::over(socket(address).ok()?, 0, 0).ok()?;
    match connection.read(LOOK).ok()?.into_iter().next()? {
        ToClient::NotPrimary { term, .. } => Some(term),
        _ => None,
    }
}

/// The market that a primary among these addresses trades; `None` if none of them answers now.
pub(crate) fn market(
    addresses: &[String],
    credentials: &ClientCredentials,
    tell: &mut dyn FnMut(&str, &io::Error),
) -> Option<Vec<u8>> {
    addresses.iter().find_map(|address| {
        ask_market(address, credentials).map_err(|error| tell(address, &error)).ok().flatten()
    })
}

fn ask_market(address: &str, credentials: &ClientCredentials) -> io::Result<Option<Vec<u8>>> {
    let pipe = client_pipe::connect(address, credentials, CONNECT_TIMEOUT)?;
    let mut connection = Connection::over(pipe, 0, 0)?;
    let hello = ToVenue::Hello { version: ProtocolVersion, name: "demonstration".into() };
    let mut bytes = Vec::new();
    for message in [hello, ToVenue::Market] {
        write_message(&message, &mut bytes).map_err(invalid)?;
    }
    connection.write(&bytes)?;
    let begun = std::time::Instant::now();
    while begun.elapsed() < WRITE_TIMEOUT {
        let messages = match connection.read(LOOK) {
            Err(error) if is_timeout(&error) => continue,
            messages => messages?,
        };
        for message in messages {
            match message {
                ToClient::Market { market } => return Ok(Some(market.0)),
                ToClient::NotPrimary { .. } => return Ok(None),
                _ => {}
            }
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn plan(name: &str, addresses: Vec<String>) -> Plan {
    Plan { patience_ns: PATIENCE_NS, retry_ns: RETRY_NS, ..Plan::new(name, addresses) }
}

fn socket(path: &Path) -> io::Result<Box<dyn Pipe>> {
    Ok(Box::new(connect(path)?.ok_or(io::ErrorKind::ConnectionRefused)?))
}

impl Connection {
    fn over(pipe: Box<dyn Pipe>, at: usize, number: u64) -> io::Result<Self> {
        pipe.wait_at_most(LOOK, WRITE_TIMEOUT)?;
        Ok(Self { number, at, pipe, unframer: Unframer::new() })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        client_pipe::write_within(self.pipe.as_mut(), bytes, WRITE_TIMEOUT)
    }

    /// The messages that are whole after one more read.
    ///
    /// # Errors
    /// The connection ended, said something that is no message, or nothing for so long.
    fn read(&mut self, wait: Duration) -> io::Result<Vec<ToClient>> {
        self.pipe.wait_at_most(wait.max(Duration::from_millis(1)), WRITE_TIMEOUT)?;
        let mut buffer = [0; 64 << 10];
        let count = self.pipe.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unframer.feed(&buffer[..count]);
        let mut messages = Vec::new();
        while let Some(message) = self.unframer.next_message().map_err(invalid)? {
            messages.push(message);
        }
        Ok(messages)
    }
}
