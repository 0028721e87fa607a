//! The door for clients: a Unix socket that takes requests while this process is the primary, and
//! says where the primary is while it is not.
//!
//! Each client has a thread of its own that waits for the primary, for the client to read its
//! answers, or for its next requests; so one that is slow or silent keeps nobody else waiting.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_recovery::client::{ToClient, ToVenue};
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::{FramingError, Request, Unframer, write_message};

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
const PATIENCE: Duration = Duration::from_secs(10);

/// What this process is to clients.
#[derive(Debug, Clone)]
pub(crate) enum Duty {
    /// It is the primary.
    Serves { gateway: Gateway, term: u64 },
    /// It is not; `primary_at` is where the primary's door was last known, or empty.
    Elsewhere { term: u64, primary_at: String },
}

/// The present duty; every change has a number, so that no connection misses one.
#[derive(Debug)]
struct Present {
    number: u64,
    duty: Duty,
}

/// The open door; closed when dropped.
#[derive(Debug)]
pub(crate) struct ClientDoor {
    present: Arc<Mutex<Present>>,
    _socket: control::Handle,
}

impl ClientDoor {
    /// Opens it at a path in the home.
    ///
    /// # Errors
    /// As [`control::listen`].
    pub(crate) fn open(path: &Path, duty: Duty) -> Result<Self> {
        let present = Arc::new(Mutex::new(Present { number: 0, duty }));
        let (seen, guests) = (Arc::clone(&present), Guests::default());
        let socket = control::listen(path, "clients", move |stream| {
            let guest = guests.enter();
            if guest.number > CLIENTS_MAX {
                return;
            }
            let present = Arc::clone(&seen);
            // Without a thread the client sees a closed connection and comes again.
            let _ = std::thread::Builder::new().name("client".to_owned()).spawn(move || {
                let _guest = guest;
                // Whatever ended it, the client repeats what it has no answer to.
                let _ = Visit { stream, unframer: Unframer::new(), present }.run();
            });
        })?;
        Ok(Self { present, _socket: socket })
    }

    /// Changes what clients are told: after a promotion, or when another one took over.
    pub(crate) fn set(&self, duty: Duty) {
        let mut present = lock(&self.present);
        present.number += 1;
        present.duty = duty;
    }
}

/// One client's connection.
struct Visit {
    stream: UnixStream,
    unframer: Unframer,
    present: Arc<Mutex<Present>>,
}

impl Visit {
    fn run(mut self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(LOOK))?;
        self.stream.set_write_timeout(Some(PATIENCE))?;
        let (number, duty) = {
            let present = lock(&self.present);
            (present.number, present.duty.clone())
        };
        let Duty::Serves { gateway, term } = duty else {
            return self.send_away();
        };
        match self.next_message()? {
            Some(ToVenue::Hello { .. }) => {}
            Some(ToVenue::Request { .. }) => return Err(io::ErrorKind::InvalidData.into()),
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

    fn send_away(&mut self) -> io::Result<()> {
        let (term, primary_at) = match &lock(&self.present).duty {
            // The primary has just ended and nobody knows yet who follows.
            Duty::Serves { term, .. } => (*term, String::new()),
            Duty::Elsewhere { term, primary_at } => (*term, primary_at.clone()),
        };
        self.say(&[ToClient::NotPrimary { term, primary_at: primary_at.into() }])
    }

    /// The requests that have come, at most [`BATCH_MAX`]; none when it is time to look up, `None`
    /// once the client is gone.
    fn batch(&mut self) -> io::Result<Option<Vec<Request>>> {
        let mut requests = Vec::new();
        loop {
            while requests.len() < BATCH_MAX {
                match self.unframer.next_message().map_err(invalid)? {
                    Some(ToVenue::Request { request }) => requests.push(*request),
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
                Err(error) if is_timeout(&error) => return Ok(Some(Vec::new())),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message, within the patience there is for one; `None` if there comes no more.
    fn next_message(&mut self) -> io::Result<Option<ToVenue>> {
        let begun = std::time::Instant::now();
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
        let count = self.stream.read(&mut buffer)?;
        self.unframer.feed(&buffer[..count]);
        Ok(count > 0)
    }

    fn say(&mut self, messages: &[ToClient]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for message in messages {
            write_message(message, &mut bytes).map_err(invalid)?;
        }
        self.stream.write_all(&bytes)
    }
}

pub(super) fn invalid(error: FramingError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

pub(super) fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock | Interrupted)
}
