//! A node, asked over its RPC (`/api/v0`, as Kubo documents it).

use std::sync::Arc;

use bytes::Bytes;
use evenkeel_vault::SiteErrorKind;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use object_store::client::{HttpRequest, HttpRequestBody};
use tokio::time::{Duration, sleep};

use super::cid::{CHUNKER, Cid};
use super::json::Json;
use crate::bridge::wait_for;
use crate::pace::Bandwidth;
use crate::settings::{Endpoint, Patience};
use crate::wire::{Wire, WireError};

/// Of a message that says why not.
const MESSAGE_BYTES_MAX: usize = 300;
/// First pause before a request is made again; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a node did not do it.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) kind: SiteErrorKind,
    pub(crate) why: String,
}

/// What a node says of a path (`files/stat`).
#[derive(Debug, Clone)]
pub(crate) struct Stat {
    pub(crate) hash: String,
    pub(crate) length_bytes: u64,
    pub(crate) is_file: bool,
}

/// One name in a folder (`files/ls`).
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_folder: bool,
    pub(crate) length_bytes: u64,
}

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    wire: Wire,
    pub(crate) url: String,
    authorization: Option<HeaderValue>,
    repeats: u32,
}

type Answered<T> = Result<T, Refused>;

impl Node {
    pub(crate) fn new(
        endpoint: &Endpoint,
        tls: Option<Arc<rustls::ClientConfig>>,
        patience: Patience,
        bandwidth: Bandwidth,
        authorization: Option<HeaderValue>,
    ) -> Self {
        Self {
            wire: Wire::new(endpoint, tls, patience, bandwidth, None),
            url: endpoint.url().to_owned(),
            authorization,
            repeats: patience.repeats,
        }
    }

    /// Calls a command and waits for all it answers.
    pub(crate) fn call(&self, command: &str, args: &[(&str, &str)]) -> Answered<Bytes> {
        self.send(command, args, None)
    }

    fn send(&self, command: &str, args: &[(&str, &str)], form: Option<Form>) -> Answered<Bytes> {
        let node = self.clone();
        let target = format!("{}/api/v0/{command}{}", self.url, query(args));
        let done = wait_for(async move { node.repeated(&target, form.as_ref()).await });
        done.map_err(|error| Refused { kind: SiteErrorKind::Other, why: error.to_string() })?
    }

    /// Everything asked here may be asked twice: content has one name, and a name that is taken by
    /// a first try is found to be.
    async fn repeated(&self, target: &str, form: Option<&Form>) -> Answered<Bytes> {
        let (mut pause, mut repeats) = (PAUSE, 0);
        loop {
            let answer = self.once(target, form).await;
            let passing = match &answer {
                Err(Asked::Wire(WireError::Connect { .. } | WireError::Broken(_))) => true,
                Err(Asked::Status(status, _)) => matches!(status.as_u16(), 429 | 502..=504),
                _ => false,
            };
            if !passing || repeats == self.repeats {
                return answer.map_err(Asked::explain);
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2);
            repeats += 1;
        }
    }

    async fn once(&self, target: &str, form: Option<&Form>) -> Result<Bytes, Asked> {
        let body = form.map(|form| form.body.clone()).unwrap_or_default();
        let mut request = HttpRequest::new(HttpRequestBody::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target
            .parse()
            .map_err(|_| Asked::Wire(WireError::Broken("no such address".to_owned())))?;
        if let Some(form) = form {
            request.headers_mut().insert(CONTENT_TYPE, form.kind.clone());
        }
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let (parts, body) = self.wire.once(request).await.map_err(Asked::Wire)?.into_parts();
        let body = body.collect().await.map_err(|error| {
            Asked::Wire(match WireError::within(&error) {
                Some(WireError::TooLong(most)) => WireError::TooLong(*most),
                _ => WireError::Broken(error.to_string()),
            })
        })?;
        let bytes = body.to_bytes();
        if parts.status.is_success() { Ok(bytes) } else { Err(Asked::Status(parts.status, bytes)) }
    }

    fn read(&self, command: &str, args: &[(&str, &str)]) -> Answered<Json> {
        understood(&self.call(command, args)?)
    }

    /// What is at a path; none if nothing is.
    pub(crate) fn stat(&self, path: &str) -> Answered<Option<Stat>> {
        let Some(said) = absent(self.read("files/stat", &[("arg", path)]))? else {
            return Ok(None);
        };
        let kind = text_of(&said, "Type")?;
        Ok(Some(Stat {
            hash: text_of(&said, "Hash")?,
            length_bytes: number_of(&said, "Size")?,
            is_file: kind == "file",
        }))
    }

    /// Names in a folder; none if it is not there.
    pub(crate) fn names(&self, folder: &str) -> Answered<Option<Vec<Entry>>> {
        let Some(said) = absent(self.read("files/ls", &[("arg", folder), ("long", "true")]))?
        else {
            return Ok(None);
        };
        let entry = |said: &Json| {
            Ok(Entry {
                name: text_of(said, "Name")?,
                is_folder: number_of(said, "Type")? == 1,
                length_bytes: number_of(said, "Size")?,
            })
        };
        // A folder without a name in it is answered with nothing, or null.
        let entries = said.field("Entries").map(Json::items).unwrap_or_default();
        entries.iter().map(entry).collect::<Answered<Vec<Entry>>>().map(Some)
    }

    /// Gives the node an object, pinned; the name it has for it.
    pub(crate) fn add(&self, bytes: &[u8]) -> Answered<Option<Cid>> {
        let args = [
            ("cid-version", "1"),
            ("raw-leaves", "true"),
            ("chunker", CHUNKER),
            ("pin", "true"),
            ("progress", "false"),
        ];
        let answer = self.send("add", &args, Some(Form::of(bytes)?))?;
        // One line for each file; there is one.
        let text = String::from_utf8_lossy(&answer);
        let added = understood(text.lines().next_back().unwrap_or_default().as_bytes())?;
        Ok(Cid::parse(&text_of(&added, "Hash")?))
    }

    /// Bytes of an object, or of a part of it.
    pub(crate) fn cat(&self, cid: &str, range: Option<(u64, u64)>) -> Answered<Bytes> {
        let path = format!("/ipfs/{cid}");
        let Some((offset, length)) = range else {
            return self.call("cat", &[("arg", &path)]);
        };
        let (offset, length) = (offset.to_string(), length.to_string());
        self.call("cat", &[("arg", &path), ("offset", &offset), ("length", &length)])
    }

    /// Makes a folder and those above it.
    pub(crate) fn make_folder(&self, path: &str) -> Answered<()> {
        let args = [("arg", path), ("parents", "true"), ("cid-version", "1")];
        self.call("files/mkdir", &args).map(drop)
    }

    /// Gives content a path; one that is taken is refused by the node.
    pub(crate) fn link(&self, cid: &str, path: &str) -> Answered<()> {
        self.call("files/cp", &[("arg", &format!("/ipfs/{cid}")), ("arg", path)]).map(drop)
    }

    /// Takes a path away, not the content.
    pub(crate) fn unlink(&self, path: &str) -> Answered<()> {
        let done = self.call("files/rm", &[("arg", path), ("recursive", "true")]).map(drop);
        absent(done).map(drop)
    }

    pub(crate) fn pin(&self, cid: &str) -> Answered<()> {
        self.call("pin/add", &[("arg", cid), ("recursive", "true")]).map(drop)
    }

    pub(crate) fn unpin(&self, cid: &str) -> Answered<()> {
        match self.call("pin/rm", &[("arg", cid), ("recursive", "true")]) {
            Err(refused) if !refused.why.contains("not pinned") => Err(refused),
            _ => Ok(()),
        }
    }

    /// Where other nodes reach it.
    pub(crate) fn addresses(&self) -> Answered<Vec<String>> {
        let said = self.read("id", &[])?;
        let addresses = said.field("Addresses").map(Json::items).unwrap_or_default();
        Ok(addresses.iter().filter_map(|address| Some(address.text()?.to_owned())).collect())
    }

    pub(crate) fn connect(&self, address: &str) -> Answered<()> {
        self.call("swarm/connect", &[("arg", address)]).map(drop)
    }
}

/// An object on its way, as browsers send files (RFC 7578).
struct Form {
    kind: HeaderValue,
    body: Bytes,
}

impl Form {
    fn of(bytes: &[u8]) -> Answered<Self> {
        let other = |why: String| Refused { kind: SiteErrorKind::Other, why };
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| other(error.to_string()))?;
        let edge: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let head = format!(
            "--{edge}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"object\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let mut body = Vec::with_capacity(head.len() + bytes.len() + 64);
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(format!("\r\n--{edge}--\r\n").as_bytes());
        let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={edge}"))
            .map_err(|error| other(error.to_string()))?;
        Ok(Self { kind, body: body.into() })
    }
}

enum Asked {
    Wire(WireError),
    Status(StatusCode, Bytes),
}

impl Asked {
    fn explain(self) -> Refused {
        let (kind, why) = match self {
            Self::Wire(error @ WireError::TooLong(_)) => {
                (SiteErrorKind::Misread, error.to_string())
            }
            Self::Wire(error) => (SiteErrorKind::Unavailable, error.to_string()),
            Self::Status(status, body) => {
                let said = Json::parse(&String::from_utf8_lossy(&body));
                let message = said.and_then(|said| Some(said.field("Message")?.text()?.to_owned()));
                let message = message.unwrap_or_else(|| format!("it answered {}", status.as_u16()));
                let plain = message.chars().filter(|letter| !letter.is_control());
                let why: String = plain.take(MESSAGE_BYTES_MAX).collect();
                (kind_of(status, &why), why)
            }
        };
        Refused { kind, why }
    }
}

/// Nodes answer 500 whatever it was; what it was stands in the message.
fn kind_of(status: StatusCode, why: &str) -> SiteErrorKind {
    match status.as_u16() {
        401 | 403 => SiteErrorKind::Denied,
        429 | 502..=504 => SiteErrorKind::Unavailable,
        404 | 405 => SiteErrorKind::Unsupported,
        507 => SiteErrorKind::Full,
        _ if why.contains("does not exist") || why.contains("no link named") => {
            SiteErrorKind::NotFound
        }
        _ if why.contains("already has entry") || why.contains("already exists") => {
            SiteErrorKind::Exists
        }
        _ if why.contains("no space left") || why.contains("ENOSPC") => SiteErrorKind::Full,
        _ => SiteErrorKind::Other,
    }
}

fn absent<T>(answer: Answered<T>) -> Answered<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(refused) if refused.kind == SiteErrorKind::NotFound => Ok(None),
        Err(refused) => Err(refused),
    }
}

fn understood(bytes: &[u8]) -> Answered<Json> {
    Json::parse(&String::from_utf8_lossy(bytes)).ok_or_else(|| strange("an answer"))
}

fn text_of(said: &Json, name: &'static str) -> Answered<String> {
    said.field(name).and_then(Json::text).map(str::to_owned).ok_or_else(|| strange(name))
}

fn number_of(said: &Json, name: &'static str) -> Answered<u64> {
    said.field(name).and_then(Json::number).ok_or_else(|| strange(name))
}

fn strange(what: &str) -> Refused {
    let why = format!("what it sent is not what a node answers: {what}");
    Refused { kind: SiteErrorKind::Misread, why }
}

fn query(args: &[(&str, &str)]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    let coded = |text: &str| -> String {
        let code = |byte: u8| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        text.bytes().map(code).collect()
    };
    let pairs: Vec<String> =
        args.iter().map(|(name, value)| format!("{name}={}", coded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}
