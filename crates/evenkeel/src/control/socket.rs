//! A Unix socket in a home, for its owner only.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::client::connect;
use super::path::address;
use crate::report::{Exit, Report, Result};

/// The socket, until stopped or dropped.
#[derive(Debug)]
pub struct Handle {
    path: PathBuf,
    identity: Option<(u64, u64)>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Listens at `path` and hands each connection to `take`, on the listening thread, until the
/// handle is stopped. A stale socket is replaced. `name` is the thread's.
///
/// # Errors
/// [`Exit::Locked`] if somebody listens there; [`Exit::Failed`] if the socket cannot be made.
pub(crate) fn listen(
    path: &Path,
    name: &str,
    mut take: impl FnMut(UnixStream) + Send + 'static,
) -> Result<Handle> {
    let failed = |error: io::Error| Report::io("make the socket", path, &error);
    if connect(path).map_err(failed)?.is_some() {
        return Err(Report::new(Exit::Locked, "another daemon answers on this socket")
            .at(path.display().to_string())
            .safe("nothing was touched")
            .next("evenkeel status   (asks it)"));
    }
    let listener = bind(path).map_err(failed)?;
    let ending = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ending);
    let accept = move || {
        loop {
            let accepted = listener.accept();
            if seen.load(Ordering::SeqCst) {
                return;
            }
            match accepted {
                Ok((stream, _)) => take(stream),
                // Out of files, for example: it passes, and must not spin meanwhile.
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(accept).map_err(failed)?;
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
fn bind(path: &Path) -> io::Result<UnixListener> {
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

/// Connections being answered at once.
#[derive(Debug, Default)]
pub(crate) struct Guests(Arc<AtomicUsize>);

impl Guests {
    /// One more; counted until dropped, also by a panic.
    pub(crate) fn enter(&self) -> Guest {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Guest { all: Arc::clone(&self.0), number }
    }
}

/// One connection being answered.
#[derive(Debug)]
pub(crate) struct Guest {
    all: Arc<AtomicUsize>,
    /// How many there are with this one.
    pub(crate) number: usize,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::SeqCst);
    }
}
