//! One connection to a server, with a deadline over everything, and its key looked at before
//! anything is asked.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use evenkeel_capture::network::Address;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sha2::{Digest as _, Sha256};

/// Where systems keep the certificates of public authorities; the first that is there counts.
const SYSTEM_CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What a server has to be, by the document.
#[derive(Debug, Clone, Default)]
pub(super) struct Pins {
    /// Addresses its name may resolve to; none: any.
    pub(super) addresses: Option<Vec<IpAddr>>,
    /// Keys it may show; none: any that an authority vouches for.
    pub(super) spki_sha256: Vec<String>,
    /// Authorities instead of the system's.
    pub(super) ca_file: Option<std::path::PathBuf>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Refused {
    /// The network, or the server.
    Failed(String),
    /// The name resolves to an address that is not pinned.
    Dns(String),
    /// The server's key is not pinned.
    Key(String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Failed(told(&error))
    }
}

/// What an error of a connection says, without a number of the system.
pub(super) fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it took too long".to_owned(),
        io::ErrorKind::UnexpectedEof => "the connection ended in the middle".to_owned(),
        _ => crate::report::plain(error),
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// An open connection.
pub(super) struct Line {
    stream: Stream,
    deadline: Instant,
    /// Bytes that came and were not taken yet.
    read: Vec<u8>,
    /// SHA-256 of the key that the server showed, base64.
    pub(super) spki_sha256: Option<String>,
}

impl Line {
    /// Connects; nothing is sent yet but what TLS needs.
    pub(super) fn open(address: &Address, pins: &Pins, deadline: Instant) -> Result<Self, Refused> {
        let found = resolve(&address.host, address.port, deadline)?;
        if let Some(pinned) = &pins.addresses {
            let foreign = found.iter().find(|found| !pinned.contains(&found.ip()));
            if let Some(foreign) = foreign {
                return Err(Refused::Dns(foreign.ip().to_string()));
            }
        }
        let tcp = connect(&found, deadline)?;
        tcp.set_nodelay(true)?;
        let mut line =
            Self { stream: Stream::Plain(tcp), deadline, read: Vec::new(), spki_sha256: None };
        if address.tls {
            line = line.secure(address, pins)?;
        }
        Ok(line)
    }

    fn secure(self, address: &Address, pins: &Pins) -> Result<Self, Refused> {
        let Stream::Plain(mut tcp) = self.stream else { return Ok(self) };
        let config = client_config(pins.ca_file.as_deref())?;
        let name = ServerName::try_from(address.host.clone())
            .map_err(|_| Refused::Failed("its name cannot stand in a certificate".to_owned()))?;
        let mut tls = ClientConnection::new(config, name)
            .map_err(|error| Refused::Failed(error.to_string()))?;
        while tls.is_handshaking() {
            limit(&tcp, self.deadline)?;
            tls.complete_io(&mut tcp)?;
        }
        let shown =
            tls.peer_certificates().and_then(|all| all.first()).map(key_hash).transpose()?;
        let spki_sha256 = shown.ok_or_else(|| Refused::Failed("it showed no key".to_owned()))?;
        if !pins.spki_sha256.is_empty() && !pins.spki_sha256.contains(&spki_sha256) {
            return Err(Refused::Key(spki_sha256));
        }
        let stream = Stream::Tls(Box::new(StreamOwned::new(tls, tcp)));
        Ok(Self { stream, spki_sha256: Some(spki_sha256), ..self })
    }

    /// Sends all of it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => {
                limit(stream, self.deadline)?;
                stream.write_all(bytes)
            }
            Stream::Tls(stream) => {
                limit(&stream.sock, self.deadline)?;
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Waits for more bytes; false at the end of the connection.
    fn more(&mut self) -> io::Result<bool> {
        let mut some = [0; 16 << 10];
        let count = match &mut self.stream {
            Stream::Plain(stream) => {
                limit(stream, self.deadline)?;
                stream.read(&mut some)?
            }
            Stream::Tls(stream) => {
                limit(&stream.sock, self.deadline)?;
                stream.read(&mut some)?
            }
        };
        self.read.extend_from_slice(some.get(..count).unwrap_or_default());
        Ok(count > 0)
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < count {
            if !self.more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.read.drain(..count).collect())
    }

    /// The bytes up to `mark` and the mark, of which there may be `most`.
    pub(super) fn take_until(&mut self, mark: &[u8], most: usize) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|part| part == mark) {
                return Ok(self.read.drain(..at + mark.len()).collect());
            }
            if self.read.len() > most {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer has no form"));
            }
            if !self.more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Everything until the connection ends, of which there may be `most`.
    pub(super) fn take_rest(&mut self, most: usize) -> io::Result<Vec<u8>> {
        while self.read.len() <= most {
            match self.more() {
                Ok(true) => {}
                // Many servers end TLS without saying so; the form of the body tells.
                Ok(false) | Err(_) => return Ok(std::mem::take(&mut self.read)),
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"))
    }
}

/// No wait on the socket goes beyond the deadline.
fn limit(stream: &TcpStream, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    stream.set_write_timeout(Some(left))
}

/// What a name resolves to, in the system's order; the system's resolver knows no deadline, so it
/// is waited for no longer than that.
pub(super) fn resolve(host: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let (answer, answered) = mpsc::sync_channel(1);
    let host = host.to_owned();
    std::thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // Nobody waits any more if it took too long.
        let _ = answer.send(found);
    })?;
    let left = deadline.saturating_duration_since(Instant::now());
    let found: Vec<SocketAddr> = answered
        .recv_timeout(left)
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the name is not resolved"))??;
    if found.is_empty() {
        return Err(io::Error::other("the name has no address"));
    }
    Ok(found)
}

fn connect(found: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in found {
        let left = deadline.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn key_hash(certificate: &CertificateDer<'_>) -> Result<String, Refused> {
    let bad = |error: rustls::Error| Refused::Failed(error.to_string());
    let parsed = rustls::server::ParsedCertificate::try_from(certificate).map_err(bad)?;
    let key = parsed.subject_public_key_info();
    Ok(base64::engine::general_purpose::STANDARD.encode(Sha256::digest(key.as_ref())))
}

fn client_config(own: Option<&Path>) -> Result<Arc<ClientConfig>, Refused> {
    let variable = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let system = || SYSTEM_CERTIFICATES.iter().map(Path::new).find(|path| path.exists());
    let path = own.or(variable.as_deref()).or_else(system).ok_or_else(|| {
        Refused::Failed("this system has no certificates of authorities; name ca_file".to_owned())
    })?;
    let shown = path.display();
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| Refused::Failed(format!("{shown} cannot be read: {error}")))?;
    for certificate in certificates.flatten() {
        // A system's bundle may hold what this library does not read; the others serve.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(Refused::Failed(format!("{shown} holds no certificate")));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Refused::Failed(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
