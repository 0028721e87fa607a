//! What a client's connection runs over: a socket of this host, or TLS from another machine.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, ServerConnection, StreamOwned};

use super::client_tls::{ClientCredentials, Gateways};

/// Pieces in which answers are written, each of which may take as long as a write may.
const PIECE_BYTES: usize = 16 << 10;

/// Both directions of a connection; reads and writes return after the time that was set.
pub(super) trait Pipe: Read + Write + Send {
    fn wait_at_most(&self, read: Duration, write: Duration) -> io::Result<()>;
}

impl Pipe for UnixStream {
    fn wait_at_most(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(read))?;
        self.set_write_timeout(Some(write))
    }
}

impl Pipe for StreamOwned<ServerConnection, TcpStream> {
    fn wait_at_most(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.sock.set_read_timeout(Some(read))?;
        self.sock.set_write_timeout(Some(write))
    }
}

impl Pipe for StreamOwned<ClientConnection, TcpStream> {
    fn wait_at_most(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.sock.set_read_timeout(Some(read))?;
        self.sock.set_write_timeout(Some(write))
    }
}

/// A socket that is given up at a moment, however slowly something comes until then.
struct Until<'a> {
    socket: &'a mut TcpStream,
    end: Instant,
}

impl Until<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(late(io::ErrorKind::TimedOut.into())) } else { Ok(Some(left)) }
    }
}

/// A time that is over, in words of people.
fn late(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "it took too long to show its certificate")
        }
        _ => error,
    }
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buffer).map_err(late)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes).map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Takes in whoever connected, if it is named; says who it is, as an index of [`Gateways::named`].
///
/// # Errors
/// It is a stranger, speaks something else, or takes longer than `patience`.
pub(super) fn accept(
    mut socket: TcpStream,
    gateways: &Gateways,
    patience: Duration,
) -> io::Result<(Box<dyn Pipe>, usize)> {
    socket.set_nodelay(true)?;
    let end = Instant::now() + patience;
    let mut tls = ServerConnection::new(gateways.server.clone()).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut Until { socket: &mut socket, end })?;
    }
    let shown = tls.peer_certificates().and_then(|all| gateways.who(all.first()?));
    let who = shown.ok_or(io::ErrorKind::PermissionDenied)?;
    Ok((Box::new(StreamOwned::new(tls, socket)), who))
}

/// Connects to `HOST:PORT` and checks that a host of the venue answers.
///
/// # Errors
/// Nobody is there within `patience`, or somebody else.
pub(super) fn connect(
    at: &str,
    credentials: &ClientCredentials,
    patience: Duration,
) -> io::Result<Box<dyn Pipe>> {
    let end = Instant::now() + patience;
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in at.to_socket_addrs()? {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut socket = match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => socket,
            Err(error) => {
                failed = error;
                continue;
            }
        };
        socket.set_nodelay(true)?;
        let (config, name) = (credentials.config.clone(), credentials.name.clone());
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut Until { socket: &mut socket, end })?;
        }
        return Ok(Box::new(StreamOwned::new(tls, socket)));
    }
    Err(failed)
}

/// Writes everything, or gives up after `patience`, however much of it the other end takes.
///
/// # Errors
/// `TimedOut`, or what the system says.
pub(super) fn write_within(
    pipe: &mut dyn Pipe,
    mut bytes: &[u8],
    patience: Duration,
) -> io::Result<()> {
    let end = Instant::now() + patience;
    while !bytes.is_empty() {
        let piece = bytes.len().min(PIECE_BYTES);
        match pipe.write(&bytes[..piece]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= end {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    pipe.flush()
}
