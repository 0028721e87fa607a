//! One connection pool to one server: TLS, deadlines, repeats, bounded answers.
//!
//! The clients of the protocols sit on this instead of an HTTP client of their own, so that what
//! must hold for every request is said once: nothing waits for ever, nothing is read without end,
//! nothing is repeated that may not be.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::header::{AUTHORIZATION, HeaderValue, IF_NONE_MATCH};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use md5::{Digest, Md5};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientOptions, Result as StoreResult};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::basic::base64;
use crate::pace::{Bandwidth, Pace, Paced};
use crate::settings::{Endpoint, Patience};

/// Of an answer that says why not; enough for a code and a sentence.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;
/// First pause before a repeat; it doubles, and is shortened at random by up to half.
const PAUSE: Duration = Duration::from_millis(100);

/// Why no usable answer came.
#[derive(Debug, Error)]
pub(crate) enum WireError {
    /// No connection.
    #[error("no connection to {host}: {why}")]
    Connect { host: String, why: String },
    /// Nothing came in time.
    #[error("{what} took longer than {} s", .limit.as_secs())]
    Slow { what: &'static str, limit: Duration },
    /// The connection ended in the middle.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// An answer that the protocol's client does not know what to do with.
    #[error("it answered {}{said}", .status.as_u16())]
    Status { status: StatusCode, said: String },
    /// More than any object may have.
    #[error("it sent more than {0} bytes")]
    TooLong(u64),
}

impl WireError {
    /// The first of its kind among an error and its causes.
    pub(crate) fn within<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut at = Some(error);
        while let Some(error) = at {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            at = error.source();
        }
        None
    }

    fn for_store(self) -> HttpError {
        // Of this kind nothing is repeated above: repeats are made here.
        HttpError::new(HttpErrorKind::Unknown, self)
    }
}

/// What a request of WebDAV has beside what the protocol's client gives it.
#[derive(Clone)]
pub(crate) struct Dav {
    /// Path of the folder that is the site: if it is not found, the site is not there.
    pub(crate) root: String,
    /// `Basic …`.
    pub(crate) authorization: Option<HeaderValue>,
}

/// A server, as an HTTP service for the protocols' clients.
#[derive(Clone)]
pub(crate) struct Wire {
    client: Client<Plug, HttpRequestBody>,
    patience: Patience,
    dav: Option<Dav>,
    sums: bool,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Wire {
    pub(crate) fn new(
        endpoint: &Endpoint,
        tls: Option<Arc<rustls::ClientConfig>>,
        mut patience: Patience,
        bandwidth: Bandwidth,
        dav: Option<Dav>,
    ) -> Self {
        if let Some(share) = bandwidth.share_bytes_per_second() {
            // Our own bound is no fault of the site's.
            patience.rate_min_bytes_per_second = patience.rate_min_bytes_per_second.min(share);
        }
        let pace = Pace::of(endpoint.url(), bandwidth);
        let plug = Plug { tls: tls.map(TlsConnector::from), limit: patience.connect, pace };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(plug);
        Self { client, patience, dav, sums: false }
    }

    /// With `Content-MD5` (RFC 1864) on every put: a bucket that locks what it is given demands it.
    pub(crate) fn with_sums(mut self, sums: bool) -> Self {
        self.sums = sums;
        self
    }

    /// One request, not repeated.
    pub(crate) async fn once(&self, mut request: HttpRequest) -> Result<HttpResponse, WireError> {
        if self.sums && request.method() == Method::PUT {
            let body = request.body().clone().collect().await;
            let body = body.map_err(|error| WireError::Broken(error.to_string()))?.to_bytes();
            if let Ok(sum) = HeaderValue::try_from(base64(&Md5::digest(&body))) {
                request.headers_mut().insert("content-md5", sum);
            }
        }
        let sent = request.body().content_length() as u64;
        let limit = self.patience.transfer(sent).saturating_add(self.patience.connect);
        let answer = match timeout(limit, self.client.request(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(broken(&error)),
            Err(_) => return Err(WireError::Slow { what: "the answer", limit }),
        };
        let (parts, body) = answer.into_parts();
        Ok(HttpResponse::from_parts(parts, bounded(body, self.patience)))
    }

    async fn repeated(&self, request: HttpRequest) -> Result<HttpResponse, WireError> {
        let may_repeat = may_repeat(request.method());
        let mut pause = PAUSE;
        let mut repeats = 0;
        loop {
            let answer = self.once(request.clone()).await;
            let worth_it = match &answer {
                Ok(answer) => is_passing(answer.status()),
                Err(WireError::Status { .. } | WireError::TooLong(_)) => false,
                // Who let a whole deadline pass is not asked for another one.
                Err(WireError::Slow { .. }) => false,
                Err(WireError::Connect { .. } | WireError::Broken(_)) => true,
            };
            if !(worth_it && may_repeat && repeats < self.patience.repeats) {
                return answer;
            }
            sleep(shortened(pause)).await;
            pause = pause.saturating_mul(2);
            repeats += 1;
        }
    }

    fn prepare(&self, request: &mut HttpRequest) {
        let Some(dav) = &self.dav else {
            return;
        };
        if let Some(authorization) = &dav.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        if request.method() == Method::PUT {
            // Nothing of ours is ever replaced (RFC 9110, 13.1.2); servers may ignore it.
            request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
    }

    /// Whether the folder of the site itself was asked for.
    fn is_dav_root(&self, path: &str) -> bool {
        self.dav.as_ref().is_some_and(|dav| path.trim_end_matches('/') == dav.root)
    }
}

#[async_trait::async_trait]
impl HttpService for Wire {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.prepare(&mut request);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.repeated(request).await.map_err(WireError::for_store)?;
        let status = answer.status();
        let makes_folder = method.as_str() == "MKCOL";
        if makes_folder && status == StatusCode::METHOD_NOT_ALLOWED {
            // It is there already (RFC 4918, 9.3.1): another thread was quicker.
            let mut made = HttpResponse::new(HttpResponseBody::from(Bytes::new()));
            *made.status_mut() = StatusCode::CREATED;
            return Ok(made);
        }
        let gone = status == StatusCode::NOT_FOUND && self.is_dav_root(&path);
        if (status.is_success() || is_understood(status)) && !gone {
            return Ok(answer);
        }
        Err(refusal(answer).await.for_store())
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> StoreResult<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// Reads, and writes that say the same again: a put names its bytes, a folder is only made.
fn may_repeat(method: &Method) -> bool {
    let name = method.as_str();
    method.is_safe() || method == Method::PUT || name == "PROPFIND" || name == "MKCOL"
}

/// Busy or between two versions of itself; worth asking again.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// What the protocols' clients themselves make something of.
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 304 | 404 | 405 | 409 | 412)
}

fn shortened(pause: Duration) -> Duration {
    let mut random = [0; 4];
    // Without randomness the whole pause is as good.
    let _ = getrandom::fill(&mut random);
    let half = pause / 2;
    let share = u64::from(u32::from_le_bytes(random));
    let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
    let off = u128::from(nanos) * u128::from(share) / u128::from(u32::MAX);
    pause.saturating_sub(Duration::from_nanos(u64::try_from(off).unwrap_or(0)))
}

fn broken(error: &(dyn StdError + 'static)) -> WireError {
    if let Some(Refused { host, why }) = find(error) {
        return WireError::Connect { host: host.clone(), why: why.clone() };
    }
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        text = cause.to_string();
        at = cause.source();
    }
    WireError::Broken(text)
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

async fn refusal(answer: HttpResponse) -> WireError {
    let status = answer.status();
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while text.len() < REFUSAL_BYTES_MAX {
        match body.frame().await {
            Some(Ok(frame)) => text.extend(frame.into_data().unwrap_or_default()),
            _ => break,
        }
    }
    text.truncate(REFUSAL_BYTES_MAX);
    WireError::Status { status, said: said(&String::from_utf8_lossy(&text)) }
}

/// Code and message of an answer that says why not, safe to print: ` (Code: message)` or nothing.
/// Nothing else of it: such answers repeat what was asked, credentials' names included.
pub(crate) fn said(text: &str) -> String {
    let between = |open: &str, close: &str| {
        let from = text.find(open)? + open.len();
        let to = from + text[from..].find(close)?;
        let plain = |letter: &char| letter.is_ascii_graphic() || *letter == ' ';
        let words: String = as_meant(&text[from..to]).chars().filter(plain).take(160).collect();
        (!words.is_empty()).then_some(words)
    };
    match (between("<Code>", "</Code>"), between("<Message>", "</Message>")) {
        (Some(code), Some(message)) => format!(" ({code}: {message})"),
        (Some(code), None) => format!(" ({code})"),
        _ => String::new(),
    }
}

/// What XML writes otherwise (XML 1.0, 4.6), as it was meant.
fn as_meant(text: &str) -> String {
    let names = [("&lt;", "<"), ("&gt;", ">"), ("&apos;", "'"), ("&quot;", "\""), ("&amp;", "&")];
    names.into_iter().fold(text.to_owned(), |text, (name, letter)| text.replace(name, letter))
}

/// The answer's bytes, as long as they keep coming and are not too many.
fn bounded(body: Incoming, patience: Patience) -> HttpResponseBody {
    let begun = Instant::now();
    let frames = futures::stream::unfold(Some((body, 0_u64)), move |state| async move {
        let (mut body, mut read) = state?;
        let silence = Instant::now() + patience.answer;
        let slowest = begun + patience.transfer(read);
        let frame = match timeout_at(silence.min(slowest), body.frame()).await {
            Ok(None) => return None,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Some((Err(broken(&error).for_store()), None)),
            Err(_) => {
                let slow = WireError::Slow { what: "the transfer", limit: begun.elapsed() };
                return Some((Err(slow.for_store()), None));
            }
        };
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
        if read > patience.object_bytes_max {
            return Some((Err(WireError::TooLong(patience.object_bytes_max).for_store()), None));
        }
        Some((Ok::<Frame<Bytes>, HttpError>(frame), Some((body, read))))
    });
    // Asked again after its end, it says so again.
    HttpResponseBody::new(StreamBody::new(frames.fuse()))
}

/// Connects: TCP, and TLS where the endpoint says so.
#[derive(Clone)]
struct Plug {
    tls: Option<TlsConnector>,
    limit: Duration,
    pace: Arc<Pace>,
}

#[derive(Debug, Error)]
#[error("{why}")]
struct Refused {
    host: String,
    why: String,
}

impl Plug {
    async fn connect(self, uri: Uri) -> io::Result<Stream> {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let tcp = TcpStream::connect((bare.as_str(), port)).await?;
        tcp.set_nodelay(true)?;
        let tcp = Paced::new(tcp, self.pace);
        let Some(tls) = self.tls else {
            return Ok(Stream::Plain(tcp));
        };
        let name = rustls::pki_types::ServerName::try_from(bare)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Stream::Tls(Box::new(tls.connect(name, tcp).await?)))
    }
}

impl tower_service::Service<Uri> for Plug {
    type Response = TokioIo<Stream>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let plug = self.clone();
        Box::pin(async move {
            let host = uri.authority().map(ToString::to_string).unwrap_or_default();
            let limit = plug.limit;
            let why = match timeout(limit, plug.connect(uri)).await {
                Ok(Ok(stream)) => return Ok(TokioIo::new(stream)),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("none stood within {} s", limit.as_secs()),
            };
            Err(Refused { host, why }.into())
        })
    }
}

enum Stream {
    Plain(Paced<TcpStream>),
    Tls(Box<TlsStream<Paced<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
