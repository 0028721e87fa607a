//! Answering on the control socket.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::{connect, read_line};
use super::path::address;
use super::{REQUEST_BYTES_MAX, Request};
use crate::documents::ErrorDocument;
use crate::report::{Exit, Report, Result};

/// How long a client may take to send its request, or to take the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// Clients at once; more are told so.
const CLIENTS_MAX: usize = 16;

/// Who answers. Called from several threads at once.
pub trait ControlHandler: Send + Sync {
    /// One JSON document for one request; an unknown command gets an error document.
    fn handle(&self, request: Request) -> serde_json::Value;
}

/// The socket, until stopped or dropped.
#[derive(Debug)]
pub struct Handle {
    path: PathBuf,
    identity: Option<(u64, u64)>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Listens at `path` and answers until the handle is stopped. A stale socket is replaced.
///
/// # Errors
/// [`Exit::Locked`] if somebody listens there; [`Exit::Failed`] if the socket cannot be made.
pub fn serve(path: &Path, handler: Arc<dyn ControlHandler>) -> Result<Handle> {
    let failed = |error: io::Error| Report::io("make the control socket", path, &error);
    if connect(path).map_err(failed)?.is_some() {
        return Err(Report::new(Exit::Locked, "another daemon answers on this control socket")
            .at(path.display().to_string())
            .safe("nothing was touched")
            .next("evenkeel status   (asks it)"));
    }
    let listener = listen(path).map_err(failed)?;
    let ending = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ending);
    let thread = std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || accept(&listener, &seen, &handler))
        .map_err(failed)?;
    Ok(Handle { path: path.to_owned(), identity: identity(path), ending, thread: Some(thread) })
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends listening and removes the socket; answers under way are finished.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.ending.store(true, Ordering::SeqCst);
        // A connection wakes the thread; if the name is somebody else's by now, it is left to end
        // with the process.
        let ours = identity(&self.path) == self.identity;
        if ours && connect(&self.path).is_ok_and(|stream| stream.is_some()) {
            let _ = thread.join();
        }
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Binds under a temporary name, closes it to others, then renames: at no moment is there a socket
/// that others could open, and a stale one is replaced in one step.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let bound = UnixListener::bind(&address(&temporary)?.path)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))?;
    fs::rename(&temporary, path)?;
    Ok(bound)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

fn accept(listener: &UnixListener, ending: &AtomicBool, handler: &Arc<dyn ControlHandler>) {
    let clients = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = listener.accept();
        if ending.load(Ordering::SeqCst) {
            return;
        }
        let Ok((stream, _)) = accepted else {
            // Out of files, for example: it passes, and must not spin meanwhile.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let client = Client::enter(&clients);
        if client.number > CLIENTS_MAX {
            let text = format!("{CLIENTS_MAX} clients are being answered already; ask again");
            answer(stream, &refusal(&text));
            continue;
        }
        let handler = Arc::clone(handler);
        // Without a thread the client sees a closed connection and asks again.
        let _ = std::thread::Builder::new().name("control-client".to_owned()).spawn(move || {
            let _client = client;
            converse(stream, handler.as_ref());
        });
    }
}

/// One client being answered; counted until dropped, also by a panic.
struct Client {
    clients: Arc<AtomicUsize>,
    number: usize,
}

impl Client {
    fn enter(clients: &Arc<AtomicUsize>) -> Self {
        let number = clients.fetch_add(1, Ordering::SeqCst) + 1;
        Self { clients: Arc::clone(clients), number }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.clients.fetch_sub(1, Ordering::SeqCst);
    }
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
