//! Requests of HTTP/1.1 (RFC 9112), as far as servers of JSON-RPC need them.

use std::io;

use super::wire::Line;
use evenkeel_capture::network::Address;

/// Longest head and longest body that are believed.
const HEAD_BYTES_MAX: usize = 64 << 10;
const BODY_BYTES_MAX: usize = 8 << 20;

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The server ends the connection behind it.
    pub(super) is_last: bool,
}

/// What a request says beside its path.
pub(super) struct Request<'r> {
    pub(super) address: &'r Address,
    /// Path and query, with the credential in its place.
    pub(super) path: &'r str,
    /// Value of `Authorization`.
    pub(super) authorization: Option<&'r str>,
    /// JSON to post; `None` gets.
    pub(super) body: Option<&'r [u8]>,
}

impl Request<'_> {
    fn to_bytes(&self) -> Vec<u8> {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        let mut text = format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: evenkeel/{}\r\nAccept: */*\r\n",
            self.path,
            host_header(self.address),
            env!("CARGO_PKG_VERSION")
        );
        if let Some(authorization) = self.authorization {
            text.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        if let Some(body) = self.body {
            text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(self.body.unwrap_or_default());
        bytes
    }

    /// Sends it and reads the answer.
    pub(super) fn exchange(&self, line: &mut Line) -> io::Result<Answer> {
        line.send(&self.to_bytes())?;
        loop {
            let head = Head::read(line)?;
            // "100 Continue" and its like are followed by the answer.
            if (100..200).contains(&head.status) && head.status != 101 {
                continue;
            }
            let body = head.body(line)?;
            let close = head.value("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
            return Ok(Answer { status: head.status, body, is_last: close || head.is_unbounded() });
        }
    }
}

/// The host as the server knows itself: without the port that its scheme means.
pub(super) fn host_header(address: &Address) -> String {
    let usual = if address.tls { 443 } else { 80 };
    let whole = address.authority();
    match address.port == usual {
        true => whole.strip_suffix(&format!(":{usual}")).unwrap_or(&whole).to_owned(),
        false => whole,
    }
}

/// Status and fields of an answer.
pub(super) struct Head {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    pub(super) fn read(line: &mut Line) -> io::Result<Self> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "this is no answer of HTTP");
        let bytes = line.take_until(b"\r\n\r\n", HEAD_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok()).ok_or_else(bad)?;
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        };
        Ok(Self { status, fields: lines.filter_map(field).collect() })
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn is_chunked(&self) -> bool {
        self.value("transfer-encoding")
            .is_some_and(|it| it.to_ascii_lowercase().contains("chunked"))
    }

    /// Only the connection's end ends the body.
    fn is_unbounded(&self) -> bool {
        !self.is_chunked() && self.value("content-length").is_none() && self.status != 204
    }

    fn body(&self, line: &mut Line) -> io::Result<Vec<u8>> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "the answer's length is none");
        if self.is_chunked() {
            return chunks(line);
        }
        match self.value("content-length") {
            Some(length) => {
                let length = length.parse().ok().filter(|length| *length <= BODY_BYTES_MAX);
                line.take(length.ok_or_else(bad)?)
            }
            None if self.status == 204 => Ok(Vec::new()),
            None => line.take_rest(BODY_BYTES_MAX),
        }
    }
}

fn chunks(line: &mut Line) -> io::Result<Vec<u8>> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "the answer's pieces have no form");
    let mut body = Vec::new();
    loop {
        let size = line.take_until(b"\r\n", HEAD_BYTES_MAX)?;
        let size = String::from_utf8_lossy(&size);
        let digits = size.trim_end().split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).map_err(|_| bad())?;
        if body.len().saturating_add(size) > BODY_BYTES_MAX {
            return Err(bad());
        }
        if size == 0 {
            // What follows the last piece: fields nobody needs, then an empty line.
            while line.take_until(b"\r\n", HEAD_BYTES_MAX)? != b"\r\n" {}
            return Ok(body);
        }
        body.extend(line.take(size)?);
        line.take(2)?;
    }
}
