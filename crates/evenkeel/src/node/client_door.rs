//! The door for clients: a Unix socket, and if configured a port with TLS, that take requests while
//! this process is the primary, and say where the primary is while it is not.
//!
//! Each client has a thread of its own that waits for the primary, for the client to read its
//! answers, or for its next requests; so one that is slow or silent keeps nobody else waiting.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenkeel_recovery::client::{Blob, ToClient, ToVenue};
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::{FramingError, Request, Unframer, write_message};
use evenkeel_types::AccountId;

use super::client_pipe::{Pipe, write_within};
use super::client_remote::RemoteDoor;
use super::client_tls::{Gateways, Named};
use super::gateway::Gateway;
use super::observed::lock;
use crate::control::{self, Guests};
use crate::report::Result;

/// Clients at once; more find the door closed and come again.
const CLIENTS_MAX: usize = 256;
/// Requests of one client that are handed to the primary together.
const BATCH_MAX: usize = 1_024;
/// How often a silent connection looks whether this process is still what it was.
const LOOK: Duration = Duration::from_millis(100);
/// How long a client may take to read its answers.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client on another machine may say nothing: its machine may be gone. One that has
/// something to say again connects again.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the last word may take to be read.
const PARTING: Duration = Duration::from_secs(1);
/// Longest message of a client; commands are far shorter.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What this process is to clients.
#[derive(Debug, Clone)]
pub(crate) enum Duty {
    /// It is the primary.
    Serves { gateway: Gateway, term: u64, market: Arc<Vec<u8>> },
    /// It is not; `primary_at` is where clients on other machines reach the primary, or empty.
    Elsewhere { term: u64, primary_at: String },
}

/// The present duty; every change has a number, so that no connection misses one.
#[derive(Debug)]
pub(super) struct Present {
    number: u64,
    duty: Duty,
}

/// Whose connection it is.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Whoever owns this home.
    Owner,
    /// A client on another machine, by its certificate.
    Named(Named),
}

/// The open door; closed when dropped.
#[derive(Debug)]
pub(crate) struct ClientDoor {
    present: Arc<Mutex<Present>>,
    guests: Arc<Guests>,
    sockets: Vec<control::Handle>,
    remote: Option<RemoteDoor>,
}

impl ClientDoor {
    /// Opens it at a path in the home.
    ///
    /// # Errors
    /// As [`control::listen`].
    pub(crate) fn open(path: &Path, duty: Duty) -> Result<Self> {
        let present = Arc::new(Mutex::new(Present { number: 0, duty }));
        let (guests, sockets) = (Arc::default(), Vec::new());
        let mut door = Self { present, guests, sockets, remote: None };
        door.open_at(path)?;
        Ok(door)
    }

    /// Opens it at one more path.
    ///
    /// # Errors
    /// As [`control::listen`].
    pub(crate) fn open_at(&mut self, path: &Path) -> Result<()> {
        let (seen, guests) = (Arc::clone(&self.present), Arc::clone(&self.guests));
        self.sockets.push(control::listen(path, "clients", move |stream| {
            let guest = guests.enter();
            if guest.number > CLIENTS_MAX {
                return;
            }
            let present = Arc::clone(&seen);
            // Without a thread the client sees a closed connection and comes again.
            let _ = std::thread::Builder::new().name("client".to_owned()).spawn(move || {
                let _guest = guest;
                // Whatever ended it, the client repeats what it has no answer to.
                let _ = Visit::new(Box::new(stream), Who::Owner, present).run();
            });
        })?);
        Ok(())
    }

    /// Opens it for clients on other machines, unless it is; says where.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub(crate) fn open_to(&mut self, bind: SocketAddr, gateways: &Gateways) -> Result<SocketAddr> {
        if let Some(remote) = &self.remote {
            return Ok(remote.address);
        }
        let remote = RemoteDoor::open(bind, gateways.clone(), Arc::clone(&self.present))?;
        Ok(self.remote.insert(remote).address)
    }

    /// Changes what clients are told: after a promotion, or when another one took over.
    pub(crate) fn set(&self, duty: Duty) {
        let mut present = lock(&self.present);
        present.number += 1;
        present.duty = duty;
    }
}

/// One client's connection.
pub(super) struct Visit {
    pipe: Box<dyn Pipe>,
    who: Who,
    unframer: Unframer,
    present: Arc<Mutex<Present>>,
    /// What is traded, for those who ask.
    market: Arc<Vec<u8>>,
    heard: Instant,
}

impl Visit {
    pub(super) fn new(pipe: Box<dyn Pipe>, who: Who, present: Arc<Mutex<Present>>) -> Self {
        let unframer = Unframer::limited(MESSAGE_BYTES_MAX);
        let (market, heard) = (Arc::default(), Instant::now());
        Self { pipe, who, unframer, present, market, heard }
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        self.pipe.wait_at_most(LOOK, PATIENCE)?;
        let (number, duty) = {
            let present = lock(&self.present);
            (present.number, present.duty.clone())
        };
        let Duty::Serves { gateway, term, market } = duty else {
            return self.send_away();
        };
        self.market = market;
        match self.next_message()? {
            Some(ToVenue::Hello { .. }) => {}
            Some(ToVenue::Request { .. } | ToVenue::Market) => {
                return Err(io::ErrorKind::InvalidData.into());
            }
            None => return Ok(()),
        }
        self.say(&[ToClient::Welcome { version: ProtocolVersion, term }])?;
        while lock(&self.present).number == number {
            let Some(requests) = self.batch()? else {
                return Ok(());
            };
            if requests.is_empty() {
                continue;
            }
            self.check(&requests)?;
            let origins: Vec<_> = requests.iter().map(|request| request.origin).collect();
            let Some(answers) = gateway.submit(requests) else {
                break;
            };
            let answers = origins.into_iter().zip(answers).map(|(origin, answer)| match answer {
                Ok(ack) => ToClient::Acked { origin, ack: Box::new(ack) },
                Err(refused) => ToClient::Refused { origin, refused },
            });
            self.say(&answers.collect::<Vec<_>>())?;
        }
        self.send_away()
    }

    /// Only who may sends the operator's commands; of a batch with one of them nothing is done.
    fn check(&self, requests: &[Request]) -> io::Result<()> {
        let operates = match &self.who {
            Who::Owner => true,
            Who::Named(named) => named.operates,
        };
        let is_operators = |one: &Request| one.origin.account == AccountId::OPERATOR;
        if operates || !requests.iter().any(is_operators) {
            return Ok(());
        }
        let why = "it sent a command of the operator, and is not configured to (operates)";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }

    fn send_away(&mut self) -> io::Result<()> {
        let (term, primary_at) = match &lock(&self.present).duty {
            // The primary has just ended and nobody knows yet who follows.
            Duty::Serves { term, .. } => (*term, String::new()),
            Duty::Elsewhere { term, primary_at } => (*term, primary_at.clone()),
        };
        match self.who {
            // Who comes by a socket cannot use the address.
            Who::Owner => {
                self.say(&[ToClient::NotPrimary { term, primary_at: String::new().into() }])
            }
            Who::Named(_) => {
                self.say(&[ToClient::NotPrimary { term, primary_at: primary_at.into() }])?;
                // Closing over what was not read would throw the answer away on its way.
                let begun = Instant::now();
                while begun.elapsed() < PARTING {
                    match self.read() {
                        Ok(true) => {}
                        Err(error) if is_timeout(&error) => {}
                        Ok(false) | Err(_) => break,
                    }
                    self.unframer = Unframer::limited(MESSAGE_BYTES_MAX);
                }
                Ok(())
            }
        }
    }

    /// The requests that have come, at most [`BATCH_MAX`]; none when it is time to look up, `None`
    /// once the client is gone.
    fn batch(&mut self) -> io::Result<Option<Vec<Request>>> {
        let mut requests = Vec::new();
        loop {
            while requests.len() < BATCH_MAX {
                match self.unframer.next_message().map_err(invalid)? {
                    Some(ToVenue::Request { request }) => requests.push(*request),
                    Some(ToVenue::Market) => {
                        let market = Blob(self.market.to_vec());
                        self.say(&[ToClient::Market { market }])?;
                    }
                    Some(ToVenue::Hello { .. }) => {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    None => break,
                }
            }
            if !requests.is_empty() {
                return Ok(Some(requests));
            }
            match self.read() {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if is_timeout(&error) => {
                    if matches!(self.who, Who::Named(_)) && self.heard.elapsed() >= SILENCE_MAX {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    return Ok(Some(Vec::new()));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message, within the patience there is for one; `None` if there comes no more.
    fn next_message(&mut self) -> io::Result<Option<ToVenue>> {
        let begun = Instant::now();
        loop {
            if let Some(message) = self.unframer.next_message().map_err(invalid)? {
                return Ok(Some(message));
            }
            match self.read() {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if is_timeout(&error) && begun.elapsed() < PATIENCE => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes in what has come; false at the end of the stream.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 64 << 10];
        let count = self.pipe.read(&mut buffer)?;
        self.heard = Instant::now();
        self.unframer.feed(&buffer[..count]);
        Ok(count > 0)
    }

    fn say(&mut self, messages: &[ToClient]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for message in messages {
            write_message(message, &mut bytes).map_err(invalid)?;
        }
        write_within(self.pipe.as_mut(), &bytes, PATIENCE)
    }
}

pub(super) fn invalid(error: FramingError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

pub(super) fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock | Interrupted)
}
