//! The daemon's threads: each says how it ended.

use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use crate::report::{Exit, Report, Result};

/// A thread's name and how it ended.
pub(super) type Finished = (&'static str, Result<()>);

/// Starts a thread; a panic of it is an error.
pub(super) fn spawn(
    name: &'static str,
    finished: Sender<Finished>,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let result = result.unwrap_or_else(|_| Err(ended_early(name)));
        // The drill thread may end without trouble when no drill is configured.
        if result.is_err() || name == "primary" {
            let _ = finished.send((name, result));
        }
    })
}

pub(super) fn join(thread: JoinHandle<()>) {
    // Its panic, if any, has been reported by the hook and sent as its result.
    let _ = thread.join();
}

pub(super) fn ended_early(name: &str) -> Report {
    Report::new(Exit::Failed, format!("the {name} thread ended"))
        .safe("everything acknowledged is durable; the next start recovers by itself")
        .next("evenkeel up")
}
