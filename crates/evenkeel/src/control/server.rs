//! Answering on the control socket.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::read_line;
use super::socket::{self, Guests, Handle};
use super::{REQUEST_BYTES_MAX, Request};
use crate::documents::ErrorDocument;
use crate::report::{Exit, Result};

/// How long a client may take to send its request, or to take the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// Clients at once; more are told so.
const CLIENTS_MAX: usize = 16;

/// Who answers. Called from several threads at once.
pub trait ControlHandler: Send + Sync {
    /// One JSON document for one request; an unknown command gets an error document.
    fn handle(&self, request: Request) -> serde_json::Value;
}

/// Listens at `path` and answers until the handle is stopped. A stale socket is replaced.
///
/// # Errors
/// [`Exit::Locked`] if somebody listens there; [`Exit::Failed`] if the socket cannot be made.
pub fn serve(path: &Path, handler: Arc<dyn ControlHandler>) -> Result<Handle> {
    let guests = Guests::default();
    socket::listen(path, "control", move |stream| {
        let guest = guests.enter();
        if guest.number > CLIENTS_MAX {
            let text = format!("{CLIENTS_MAX} clients are being answered already; ask again");
            return answer(stream, &refusal(&text));
        }
        let handler = Arc::clone(&handler);
        // Without a thread the client sees a closed connection and asks again.
        let _ = std::thread::Builder::new().name("control-client".to_owned()).spawn(move || {
            let _guest = guest;
            converse(stream, handler.as_ref());
        });
    })
}

fn converse(mut stream: UnixStream, handler: &dyn ControlHandler) {
    let deadline = Instant::now() + CLIENT_TIMEOUT;
    let line = match read_line(&mut stream, deadline, REQUEST_BYTES_MAX) {
        Ok(line) => line,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let text = format!("a request has at most {REQUEST_BYTES_MAX} bytes");
            return answer(stream, &refusal(&text));
        }
        // Gone, or silent: nobody waits for an answer.
        Err(_) => return,
    };
    let document = match serde_json::from_slice(&line) {
        Ok(request) => handler.handle(request),
        Err(error) => refusal(&format!(
            "a request is one line of JSON such as {{\"command\":\"status\"}}: {error}"
        )),
    };
    answer(stream, &document);
}

fn answer(mut stream: UnixStream, document: &serde_json::Value) {
    let mut line = document.to_string().into_bytes();
    line.push(b'\n');
    // A client that left does not want the answer.
    let _ = stream.set_write_timeout(Some(CLIENT_TIMEOUT));
    let _ = stream.write_all(&line);
}

fn refusal(message: &str) -> serde_json::Value {
    let document = ErrorDocument {
        exit_code: Exit::Usage.code().into(),
        message: message.to_owned(),
        safe: "nothing was changed".to_owned(),
        next: "evenkeel status".to_owned(),
    };
    serde_json::to_value(document).unwrap_or(serde_json::Value::Null)
}
