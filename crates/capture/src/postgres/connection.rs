//! A connection to a server: version 3 of its protocol, as far as replication needs it
//! (PostgreSQL's manual, chapter "Frontend/Backend Protocol").

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use zeroize::Zeroizing;

use super::address::{Address, Host, Tls};
use super::auth::{Scram, md5_response};
use super::error::{Error, Result};
use crate::authorities::client_config;

/// Longest message that is believed; the server sends log and files in pieces of 128 KiB.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
const READ_BYTES: usize = 256 << 10;
/// How long a server may take to accept a connection, or to take what we send.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a read waits before whoever asked is asked whether to go on.
const TURN: Duration = Duration::from_millis(50);
/// Longest silence while an answer is due: a checkpoint may come first.
const SILENCE_MAX: Duration = Duration::from_secs(300);
const SSL_REQUEST: u32 = 80_877_103;
const PROTOCOL: u32 = 3 << 16;

/// What a connection is opened with.
#[derive(Clone)]
pub struct Login {
    /// Where.
    pub address: Address,
    /// The password, if one is needed.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// Whether to give up.
    pub stop: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What the connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Physical replication.
    Replication,
    /// Queries in the database of the address.
    Queries,
}

/// A message from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Vec<u8>,
}

/// A row of a result; NULL is none.
pub type Row = Vec<Option<String>>;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// An open connection.
pub struct Connection {
    stream: Stream,
    /// Bytes that came and were not looked at yet begin at `at`.
    read: Vec<u8>,
    at: usize,
    server: String,
    user: String,
    version: String,
    stop: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to the first host that lets us in.
    ///
    /// # Errors
    /// What the last host said, or the first that answered and refused.
    pub fn open(login: &Login, purpose: Purpose) -> Result<Self> {
        let mut refused: Option<Error> = None;
        for host in &login.address.hosts {
            if (login.stop)() {
                return Err(Error::Stopped);
            }
            match Self::open_host(login, host, purpose) {
                Ok(open) => return Ok(open),
                // A refusal says more than another host's silence.
                Err(error @ Error::Unreachable { .. }) => refused = refused.or(Some(error)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| Error::Unreachable {
            server: "PostgreSQL".to_owned(),
            detail: "the URL names no host".to_owned(),
        }))
    }

    fn open_host(login: &Login, host: &Host, purpose: Purpose) -> Result<Self> {
        let server = host.to_string();
        let unreachable = |error: io::Error| Error::Unreachable {
            server: server.clone(),
            detail: error.to_string(),
        };
        let stream = match host {
            Host::Unix { folder, port } => {
                let stream = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")));
                let stream = stream.map_err(unreachable)?;
                stream.set_read_timeout(Some(TURN)).map_err(unreachable)?;
                stream.set_write_timeout(Some(CONNECT_TIMEOUT)).map_err(unreachable)?;
                Stream::Unix(stream)
            }
            Host::Tcp { name, port } => {
                let stream = connect(name, *port).map_err(unreachable)?;
                let local = stream.peer_addr().is_ok_and(|address| address.ip().is_loopback());
                match login.address.tls {
                    Tls::VerifyFull if !local || login.address.ca_file.is_some() => {
                        let tls = secure(stream, name, login.address.ca_file.as_deref());
                        let bad = |detail| Error::Tls { server: server.clone(), detail };
                        Stream::Tls(Box::new(tls.map_err(bad)?))
                    }
                    Tls::VerifyFull | Tls::Disable => Stream::Tcp(stream),
                }
            }
        };
        let mut open = Self {
            stream,
            read: Vec::new(),
            at: 0,
            server,
            user: login.address.user.clone(),
            version: String::new(),
            stop: Arc::clone(&login.stop),
        };
        open.begin(login, purpose)?;
        Ok(open)
    }

    /// Whom we speak with.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What the server says of itself, such as `15.18 (Debian 15.18-0+deb12u1)`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The number before the dot.
    #[must_use]
    pub fn major_version(&self) -> u32 {
        let digits = self.version.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    fn begin(&mut self, login: &Login, purpose: Purpose) -> Result<()> {
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        let mut parameter = |name: &str, value: &str| {
            for text in [name, value] {
                body.extend_from_slice(text.as_bytes());
                body.push(0);
            }
        };
        parameter("user", &login.address.user);
        parameter("application_name", "evenkeel");
        match purpose {
            Purpose::Replication => parameter("replication", "true"),
            Purpose::Queries => {
                let database = login.address.database.as_deref();
                parameter("database", database.unwrap_or(&login.address.user));
            }
        }
        body.push(0);
        self.send_raw(&with_length(None, &body))?;
        self.authenticate(login.password.as_deref().map(Vec::as_slice))?;
        loop {
            let message = self.expect()?;
            match message.tag {
                b'S' => {
                    let mut texts = message.body.split(|byte| *byte == 0);
                    if texts.next() == Some(b"server_version") {
                        let text = texts.next().unwrap_or_default();
                        self.version = String::from_utf8_lossy(text).into_owned();
                    }
                }
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }

    fn authenticate(&mut self, password: Option<&[u8]>) -> Result<()> {
        let mut scram: Option<Scram> = None;
        loop {
            let message = self.expect()?;
            if message.tag != b'R' {
                continue;
            }
            let Some((kind, rest)) = message.body.split_first_chunk::<4>() else {
                return Err(self.protocol("a request for a password without its kind"));
            };
            let kind = u32::from_be_bytes(*kind);
            if kind == 0 {
                return Ok(());
            }
            let password = password.ok_or_else(|| Error::NotLetIn {
                server: self.server.clone(),
                user: self.user.clone(),
                detail: "it wants a password, and none is configured".to_owned(),
            })?;
            match (kind, &mut scram) {
                // In the clear only where nobody can listen.
                (3, _) if !matches!(self.stream, Stream::Tcp(_)) => {
                    let mut body = Zeroizing::new(password.to_vec());
                    body.push(0);
                    self.send(b'p', &body)?;
                }
                (5, _) => {
                    let salt = rest.first_chunk::<4>();
                    let salt = *salt.ok_or_else(|| self.protocol("a salt is too short"))?;
                    let mut answer = md5_response(&self.user, password, salt).into_bytes();
                    answer.push(0);
                    self.send(b'p', &answer)?;
                }
                (10, _) => {
                    let mut known = rest.split(|byte| *byte == 0);
                    if !known.any(|name| name == b"SCRAM-SHA-256") {
                        return Err(self.protocol("it offers no way of asking that we know"));
                    }
                    let mut random = [0; 18];
                    aws_lc_rs::rand::fill(&mut random)
                        .map_err(|_| self.protocol("this machine gives no randomness"))?;
                    let first = scram.insert(Scram::new(random)).first();
                    let mut body = b"SCRAM-SHA-256\0".to_vec();
                    body.extend_from_slice(&length_of(first.len()));
                    body.extend_from_slice(first.as_bytes());
                    self.send(b'p', &body)?;
                }
                (11, Some(scram)) => {
                    let last = scram.last(rest, password).map_err(|why| self.protocol(&why))?;
                    self.send(b'p', last.as_bytes())?;
                }
                (12, Some(scram)) => scram.check(rest).map_err(|why| self.protocol(&why))?,
                _ => return Err(self.protocol("it asks for a password in a way we do not give it")),
            }
        }
    }

    /// Runs one query and gives the rows of all its results; values as text.
    ///
    /// # Errors
    /// What the server says.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.begin_query(sql)?;
        let mut rows = Vec::new();
        loop {
            let message = self.expect()?;
            match message.tag {
                b'D' => rows.push(self.row(&message.body)?),
                b'Z' => return Ok(rows),
                _ => {}
            }
        }
    }

    pub(super) fn begin_query(&mut self, sql: &str) -> Result<()> {
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        self.send(b'Q', &body)
    }

    /// Takes a row apart.
    pub(super) fn row(&self, body: &[u8]) -> Result<Row> {
        let broken = || self.protocol("a row is shorter than it says");
        let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(broken)?;
        let mut row = Row::new();
        for _ in 0..u16::from_be_bytes(*count) {
            let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
            rest = behind;
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                row.push(None);
                continue;
            };
            let (value, behind) = rest.split_at_checked(length).ok_or_else(broken)?;
            rest = behind;
            row.push(Some(String::from_utf8_lossy(value).into_owned()));
        }
        Ok(row)
    }

    pub(super) fn send(&mut self, tag: u8, body: &[u8]) -> Result<()> {
        self.send_raw(&with_length(Some(tag), body))
    }

    fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
        sent.map_err(|error| self.lost(&error.to_string()))
    }

    fn lost(&self, detail: &str) -> Error {
        Error::Unreachable { server: self.server.clone(), detail: detail.to_owned() }
    }

    pub(super) fn protocol(&self, detail: &str) -> Error {
        Error::Protocol { server: self.server.clone(), detail: detail.to_owned() }
    }

    /// The next message, however long it takes; errors of the server end the wait, notices do not.
    pub(super) fn expect(&mut self) -> Result<Message> {
        let begun = Instant::now();
        loop {
            if let Some(message) = self.next_in_time()? {
                return Ok(message);
            }
            if (self.stop)() {
                return Err(Error::Stopped);
            }
            if begun.elapsed() > SILENCE_MAX {
                return Err(self.lost("it did not answer for five minutes"));
            }
        }
    }

    /// A message if one is there or comes within a moment.
    pub(super) fn next_in_time(&mut self) -> Result<Option<Message>> {
        if let Some(message) = self.next_at_hand()? {
            return Ok(Some(message));
        }
        self.fill()?;
        self.next_at_hand()
    }

    /// A message that came already: reads nothing.
    pub(super) fn next_at_hand(&mut self) -> Result<Option<Message>> {
        loop {
            let rest = &self.read[self.at..];
            let Some((head, rest)) = rest.split_first_chunk::<5>() else {
                return Ok(None);
            };
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let body = usize::try_from(length).unwrap_or(usize::MAX).checked_sub(4);
            let body = body.filter(|body| *body <= MESSAGE_BYTES_MAX);
            let body =
                body.ok_or_else(|| self.protocol("a message has a length that cannot be"))?;
            let Some(bytes) = rest.get(..body) else {
                return Ok(None);
            };
            let message = Message { tag: head[0], body: bytes.to_vec() };
            self.at += 5 + body;
            match message.tag {
                b'E' => return Err(self.refused(&message.body)),
                // Notices and notifications.
                b'N' | b'A' => {}
                _ => return Ok(Some(message)),
            }
        }
    }

    fn fill(&mut self) -> Result<()> {
        self.read.drain(..self.at);
        self.at = 0;
        let had = self.read.len();
        self.read.resize(had + READ_BYTES, 0);
        let got = loop {
            match self.stream.read(&mut self.read[had..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                got => break got,
            }
        };
        self.read.truncate(had + *got.as_ref().unwrap_or(&0));
        match got {
            Ok(0) => Err(self.lost("the server closed the connection")),
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(()),
                _ => Err(self.lost(&error.to_string())),
            },
        }
    }

    /// What an error of the server means to us.
    fn refused(&self, body: &[u8]) -> Error {
        let field = |tag: u8| {
            let mut fields = body.split(|byte| *byte == 0);
            let found = fields.find_map(|field| field.strip_prefix(&[tag]));
            String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
        };
        let (code, message) = (field(b'C'), field(b'M'));
        let (server, user) = (self.server.clone(), self.user.clone());
        match code.as_str() {
            "28P01" | "28000" => Error::NotLetIn { server, user, detail: message },
            "42501" if message.contains("replication") || message.contains("walsender") => {
                Error::NoReplicationRight { server, user }
            }
            "53300" | "53400" if message.contains("max_") => {
                Error::NoPlace { server, detail: message }
            }
            "55006" => Error::SlotBusy { server, detail: message },
            _ => Error::Server { server, code, message },
        }
    }
}

fn with_length(tag: Option<u8>, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(body.len() + 5));
    bytes.extend(tag);
    bytes.extend_from_slice(&length_of(body.len() + 4));
    bytes.extend_from_slice(body);
    bytes
}

/// What we send is short.
fn length_of(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

fn connect(name: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("the name has no address");
    for address in (name, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TURN))?;
                stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn secure(
    mut stream: TcpStream,
    name: &str,
    ca_file: Option<&Path>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let config = Arc::new(client_config(ca_file)?);
    let said = |error: io::Error| error.to_string();
    stream.set_read_timeout(Some(CONNECT_TIMEOUT)).map_err(said)?;
    let request = with_length(None, &SSL_REQUEST.to_be_bytes());
    let mut answer = [0];
    stream.write_all(&request).and_then(|()| stream.read_exact(&mut answer)).map_err(said)?;
    if answer != *b"S" {
        return Err("the server speaks none (ssl = off)".to_owned());
    }
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let mut client = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
    client.complete_io(&mut stream).map_err(said)?;
    stream.set_read_timeout(Some(TURN)).map_err(said)?;
    Ok(StreamOwned::new(client, stream))
}
