//! One connection of the link: messages over mutually authenticated TLS.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use evenkeel_recovery::{FramingError, Unframer, write_message};
use evenkeel_types::codec::Canonical;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use super::link_tls::Credentials;

/// How long the other end may take to connect, to show its certificate, or to take what is sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Why a connection is over. Nothing is lost by it: the next one goes on where both ends stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The other end closed it, or its process ended.
    #[error("the other end closed the connection")]
    Closed,
    /// It is not of this cluster, or does not believe that this end is.
    #[error(
        "the certificates do not agree: {0}\nNothing was sent. Both hosts need certificates of one \
         authority, and a right clock: copy ca.pem, peer.pem and peer.key of the primary's \
         host/link to the standby's, as ca.pem, node.pem and node.key"
    )]
    Stranger(rustls::Error),
    /// It does not speak this version of the link.
    #[error("{0}")]
    Garbled(#[from] FramingError),
    /// The network, or the system.
    #[error("the connection failed: {0}")]
    Io(io::Error),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (tls, error.kind()) {
            (
                Some(
                    tls @ (rustls::Error::InvalidCertificate(_)
                    | rustls::Error::AlertReceived(_)
                    | rustls::Error::NoCertificatesPresented),
                ),
                _,
            ) => Self::Stranger(tls.clone()),
            (
                None,
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe,
            ) => Self::Closed,
            // Something else may listen where a primary once did.
            (_, _) => Self::Io(error),
        }
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// An authenticated connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    unframer: Unframer,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects to `HOST:PORT` and checks who answers.
    pub(crate) fn connect(at: &str, credentials: &Credentials) -> Result<Self, WireError> {
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for address in at.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(socket) => return Self::greet(socket, credentials),
                Err(error) => failed = error,
            }
        }
        Err(failed.into())
    }

    fn greet(mut socket: TcpStream, credentials: &Credentials) -> Result<Self, WireError> {
        settle(&socket)?;
        let (config, name) = (credentials.client.clone(), credentials.name.clone());
        let mut tls = ClientConnection::new(config, name).map_err(WireError::Stranger)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let kept = socket.try_clone()?;
        Ok(Self::over(Box::new(StreamOwned::new(tls, socket)), kept))
    }

    /// Takes in whoever connected, if it shows a certificate of this cluster.
    pub(crate) fn accept(
        mut socket: TcpStream,
        credentials: &Credentials,
    ) -> Result<Self, WireError> {
        settle(&socket)?;
        let config = credentials.server.clone();
        let mut tls = ServerConnection::new(config).map_err(WireError::Stranger)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let kept = socket.try_clone()?;
        Ok(Self::over(Box::new(StreamOwned::new(tls, socket)), kept))
    }

    fn over(stream: Box<dyn Stream>, socket: TcpStream) -> Self {
        let buffer = vec![0; BUFFER_BYTES];
        Self { stream, socket, unframer: Unframer::new(), out: Vec::new(), buffer }
    }

    /// Adds a message to what [`Wire::flush`] sends.
    pub(crate) fn put(&mut self, message: &impl Canonical) -> Result<(), WireError> {
        Ok(write_message(message, &mut self.out)?)
    }

    /// Sends what waits; blocks no longer than the other end may take for a piece of it.
    pub(crate) fn flush(&mut self) -> Result<(), WireError> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.stream.write_all(&self.out)?;
        self.stream.flush()?;
        self.out.clear();
        Ok(())
    }

    /// The next message that came, waiting for it up to `wait`; zero: only what is there.
    pub(crate) fn next<M: Canonical>(&mut self, wait: Duration) -> Result<Option<M>, WireError> {
        if let Some(message) = self.unframer.next_message()? {
            return Ok(Some(message));
        }
        if wait.is_zero() {
            self.socket.set_nonblocking(true)?;
        } else {
            self.socket.set_read_timeout(Some(wait))?;
        }
        let read = self.stream.read(&mut self.buffer);
        if wait.is_zero() {
            self.socket.set_nonblocking(false)?;
        }
        match read {
            Ok(0) => Err(WireError::Closed),
            Ok(count) => {
                self.unframer.feed(&self.buffer[..count]);
                Ok(self.unframer.next_message()?)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error.into()),
            },
        }
    }
}

fn settle(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))
}
