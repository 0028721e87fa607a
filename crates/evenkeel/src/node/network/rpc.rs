//! JSON-RPC 2.0, over HTTP or a WebSocket.

use std::io;
use std::time::{Duration, Instant};

use evenkeel_capture::network::{Address, CREDENTIAL_PLACE, Transport};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::http::Request;
use super::websocket;
use super::wire::{Line, Pins, Refused, told};

/// What a server refuses with when it does not know a method.
const METHOD_NOT_FOUND: i64 = -32601;
const METHOD_NOT_SUPPORTED: i64 = -32004;

/// Why a call has no result.
#[derive(Debug)]
pub(super) enum CallError {
    /// No connection, or none of the answers that were due.
    Failed(Refused),
    /// The server understood and refused.
    Refused {
        /// Its number.
        code: i64,
        /// Its words, shortened and without control characters.
        message: String,
    },
}

impl CallError {
    /// Whether the server does not know what was asked.
    pub(super) fn is_unknown_method(&self) -> bool {
        match self {
            Self::Failed(_) => true,
            Self::Refused { code, message } => {
                let message = message.to_ascii_lowercase();
                matches!(*code, METHOD_NOT_FOUND | METHOD_NOT_SUPPORTED)
                    || (message.contains("method")
                        && ["not", "unsupported", "disabled"].iter().any(|it| message.contains(it)))
            }
        }
    }
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        Self::Failed(Refused::Failed(told(&error)))
    }
}

/// Calls to one endpoint.
pub(super) struct Rpc {
    address: Address,
    pins: Pins,
    path: Zeroizing<String>,
    authorization: Option<Zeroizing<String>>,
    deadline: Instant,
    line: Option<Line>,
    next_id: u64,
    /// SHA-256 of the key that the server showed, base64.
    pub(super) spki_sha256: Option<String>,
    /// How long the last answer took, the connection not counted.
    pub(super) took: Duration,
}

impl Rpc {
    /// A credential goes where the URL has a place for it, else into a header.
    pub(super) fn new(
        address: Address,
        pins: Pins,
        credential: Option<Zeroizing<String>>,
        deadline: Instant,
    ) -> Self {
        let (path, authorization) = match credential {
            Some(secret) if address.path.contains(CREDENTIAL_PLACE) => {
                (Zeroizing::new(address.path.replace(CREDENTIAL_PLACE, &secret)), None)
            }
            Some(secret) => {
                let header = Zeroizing::new(format!("Bearer {}", secret.as_str()));
                (Zeroizing::new(address.path.clone()), Some(header))
            }
            None => (Zeroizing::new(address.path.clone()), None),
        };
        Self {
            address,
            pins,
            path,
            authorization,
            deadline,
            line: None,
            next_id: 1,
            spki_sha256: None,
            took: Duration::ZERO,
        }
    }

    /// Calls a method.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Result<Value, CallError> {
        let id = self.next_id;
        self.next_id += 1;
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let body = body.to_string().into_bytes();
        let is_reused = self.line.is_some();
        let answer = match self.exchange(&body) {
            // A server may end a connection that was idle; that says nothing about it.
            Err(CallError::Failed(Refused::Failed(_)))
                if is_reused && self.deadline > Instant::now() =>
            {
                self.line = None;
                self.exchange(&body)
            }
            other => other,
        };
        if matches!(answer, Err(CallError::Failed(_))) {
            self.line = None;
        }
        result_of(&answer?, id)
    }

    fn exchange(&mut self, body: &[u8]) -> Result<Vec<u8>, CallError> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => self.connect()?,
        };
        let begun = Instant::now();
        let authorization = self.authorization.as_ref().map(|it| it.as_str());
        match self.address.transport {
            Transport::Http => {
                let request = Request {
                    address: &self.address,
                    path: &self.path,
                    authorization,
                    body: Some(body),
                };
                let answer = request.exchange(&mut line)?;
                self.took = begun.elapsed();
                if !answer.is_last {
                    self.line = Some(line);
                }
                // Servers refuse with a status and an answer of JSON-RPC, or with a status alone.
                let is_json = serde_json::from_slice::<Value>(&answer.body).is_ok();
                if answer.status >= 300 && !is_json {
                    let why = format!("it answers with HTTP status {}", answer.status);
                    return Err(CallError::Failed(Refused::Failed(why)));
                }
                Ok(answer.body)
            }
            Transport::Ws => {
                websocket::send_text(&mut line, body)?;
                let answer = loop {
                    let message = websocket::receive(&mut line)?;
                    // What a subscription tells meanwhile is no answer.
                    let value: Value = serde_json::from_slice(&message).unwrap_or_default();
                    if value.get("id").is_some() {
                        break message;
                    }
                };
                self.took = begun.elapsed();
                self.line = Some(line);
                Ok(answer)
            }
        }
    }

    fn connect(&mut self) -> Result<Line, CallError> {
        let opened = Line::open(&self.address, &self.pins, self.deadline);
        let mut line = opened.map_err(CallError::Failed)?;
        self.spki_sha256.clone_from(&line.spki_sha256);
        if self.address.transport == Transport::Ws {
            let authorization = self.authorization.as_ref().map(|it| it.as_str());
            websocket::upgrade(&mut line, &self.address, &self.path, authorization)?;
        }
        Ok(line)
    }
}

fn result_of(answer: &[u8], id: u64) -> Result<Value, CallError> {
    let failed = |why: &str| CallError::Failed(Refused::Failed(why.to_owned()));
    let mut answer: Value =
        serde_json::from_slice(answer).map_err(|_| failed("its answer is no JSON"))?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or(0);
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        return Err(CallError::Refused { code, message: plain_words(message) });
    }
    if answer.get("id").and_then(Value::as_u64) != Some(id) {
        return Err(failed("it answered another question"));
    }
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(failed("its answer has no result")),
    }
}

/// Words of a server, safe to print: it may say what it likes.
pub(super) fn plain_words(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(160).collect()
}
