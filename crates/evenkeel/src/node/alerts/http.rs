//! One request of HTTP/1.1 (RFC 9112), over TLS 1.3 or not: enough to tell somebody something.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_capture::authorities::client_config;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

/// Each step of it.
const STEP: Duration = Duration::from_secs(10);
/// Of the answer, only the first line counts.
const ANSWER_BYTES: u64 = 4096;

/// What to ask for.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// `http://HOST[:PORT]/PATH` or `https://…`.
    pub(super) url: &'a str,
    /// What to send by POST; without it it is a GET.
    pub(super) json: Option<&'a str>,
    /// Whom to believe, instead of the system's authorities.
    pub(super) certificates: Option<&'a Path>,
}

/// Sends it; any answer 2xx will do.
///
/// # Errors
/// In words, without the address.
pub(super) fn send(request: &Request<'_>) -> Result<(), String> {
    let target = Target::parse(request.url)?;
    let mut message = match request.json {
        None => format!("GET {} HTTP/1.1\r\n", target.path),
        Some(json) => format!(
            "POST {} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            target.path,
            json.len()
        ),
    };
    message.push_str(&format!(
        "Host: {}\r\nUser-Agent: evenkeel/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n{}",
        target.authority,
        env!("CARGO_PKG_VERSION"),
        request.json.unwrap_or_default()
    ));
    let stream = connect(&target)?;
    let line = match target.is_secure {
        false => exchange(stream, &message),
        true => {
            let config = Arc::new(client_config(request.certificates)?);
            let name = ServerName::try_from(target.host.to_owned())
                .map_err(|_| "that is no name of a host".to_owned())?;
            let client = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
            exchange(StreamOwned::new(client, stream), &message)
        }
    }?;
    let status = line.split(' ').nth(1).unwrap_or_default();
    match status.as_bytes() {
        [b'2', _, _] => Ok(()),
        [_, _, _] => Err(format!("it answered {status}")),
        _ => Err("what it answered is not HTTP".to_owned()),
    }
}

/// The first line of the answer.
fn exchange(mut stream: impl Read + Write, message: &str) -> Result<String, String> {
    stream.write_all(message.as_bytes()).map_err(|error| error.to_string())?;
    stream.flush().map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let mut limited = stream.take(ANSWER_BYTES);
    let mut buffer = [0; 512];
    while !answer.contains(&b'\n') {
        match limited.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) => return Err(error.to_string()),
        }
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    match text.lines().next() {
        Some(line) if line.starts_with("HTTP/1.") => Ok(line.to_owned()),
        Some(_) => Err("what it answered is not HTTP".to_owned()),
        None => Err("it closed the connection without an answer".to_owned()),
    }
}

/// An address, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    is_secure: bool,
    authority: &'a str,
    host: &'a str,
    port: u16,
    path: String,
}

impl<'a> Target<'a> {
    fn parse(url: &'a str) -> Result<Self, String> {
        let bad = || "its address is none of the web".to_owned();
        let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
        let is_secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(bad()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        // A control character would begin another header.
        if authority.contains('@') || url.chars().any(|c| c.is_control() || c == ' ') {
            return Err(bad());
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, behind) = rest.split_once(']').ok_or_else(bad)?;
                (host, behind.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let usual = if is_secure { 443 } else { 80 };
        let port = port.map_or(Ok(usual), str::parse).map_err(|_| bad())?;
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Self { is_secure, authority, host, port, path })
    }
}

fn connect(target: &Target<'_>) -> Result<TcpStream, String> {
    let found = (target.host, target.port).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut last = "its name has no address".to_owned();
    for address in found {
        match TcpStream::connect_timeout(&address, STEP) {
            Ok(stream) => {
                let both = stream
                    .set_read_timeout(Some(STEP))
                    .and_then(|()| stream.set_write_timeout(Some(STEP)));
                both.map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// A server that gives one answer after the other, each to one connection.
    pub(in super::super) struct Server {
        port: u16,
        thread: JoinHandle<Vec<String>>,
    }

    impl Server {
        pub(in super::super) fn start(answers: &[&'static str]) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let answers = answers.to_vec();
            let thread = std::thread::spawn(move || {
                let mut asked = Vec::new();
                for answer in answers {
                    let (mut stream, _) = listener.accept().unwrap();
                    asked.push(request(&mut stream));
                    stream.write_all(answer.as_bytes()).unwrap();
                }
                asked
            });
            Self { port, thread }
        }

        pub(in super::super) fn url(&self, path: &str) -> String {
            format!("http://127.0.0.1:{}{path}", self.port)
        }

        /// What it was asked, once it gave all its answers.
        pub(in super::super) fn ended(self) -> Vec<String> {
            self.thread.join().unwrap()
        }
    }

    /// A whole request, body included.
    fn request(stream: &mut impl Read) -> String {
        let (mut text, mut buffer) = (Vec::new(), [0; 1024]);
        loop {
            let count = stream.read(&mut buffer).unwrap();
            text.extend_from_slice(&buffer[..count]);
            let shown = String::from_utf8_lossy(&text).into_owned();
            if let Some((head, body)) = shown.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    return shown;
                }
            }
            assert!(count > 0, "the request ended early: {shown}");
        }
    }

    #[test]
    fn addresses_are_taken_apart_and_what_would_inject_a_header_is_refused() {
        let target = Target::parse("https://hooks.example/services/T0?x=1#y").unwrap();
        assert_eq!((target.host, target.port, target.is_secure), ("hooks.example", 443, true));
        assert_eq!(target.path, "/services/T0?x=1");
        let target = Target::parse("http://[::1]:8080?x").unwrap();
        assert_eq!((target.host, target.port, target.path.as_str()), ("::1", 8080, "/?x"));
        for bad in [
            "ftp://a/",
            "a/b",
            "http://",
            "http://a:port/",
            "http://user:pw@a/",
            "http://a/\r\nX: y",
            "http://a b/",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_server_that_says_no_hangs_up_or_speaks_something_else_is_an_error_in_words() {
        for (answer, words) in [
            ("HTTP/1.1 503 Busy\r\n\r\n", "it answered 503"),
            ("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "it answered 302"),
            ("", "without an answer"),
            ("SSH-2.0-x\r\n", "not HTTP"),
        ] {
            let server = Server::start(&[answer]);
            let url = server.url("/");
            let sent = send(&Request { url: &url, json: None, certificates: None });
            assert!(sent.unwrap_err().contains(words), "{answer}");
            server.ended();
        }
    }

    #[test]
    fn a_secure_server_is_believed_by_its_certificate_and_no_other() {
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, own.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key.unwrap())
            .unwrap();
        let (server, listener) = (Arc::new(server), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for _ in 0..2 {
                let (stream, _) = listener.accept().unwrap();
                let session = rustls::ServerConnection::new(Arc::clone(&server)).unwrap();
                let mut stream = StreamOwned::new(session, stream);
                let mut first = [0; 4];
                // Whoever does not believe us says nothing.
                if stream.read_exact(&mut first).is_ok() {
                    asked.push(String::from_utf8_lossy(&first).into_owned());
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                }
            }
            asked
        });
        let url = format!("https://localhost:{port}/x");
        let sent = |certificates| send(&Request { url: &url, json: Some("{}"), certificates });
        assert_eq!(sent(Some(file.as_path())), Ok(()));
        let another = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&file, another.cert.pem()).unwrap();
        assert!(sent(Some(file.as_path())).is_err());
        assert_eq!(thread.join().unwrap(), ["POST"]);
    }
}
