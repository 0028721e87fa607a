//! From threads to the one runtime of this process and back.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};

/// Waiting is all these threads do; two, so that one answer being decoded delays no other.
const WORKERS: usize = 2;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime, made when first used.
///
/// # Errors
/// If the system gives no threads.
pub(crate) fn runtime() -> io::Result<&'static Runtime> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(WORKERS)
        .thread_name("evenkeel-sites")
        .enable_io()
        .enable_time()
        .build()?;
    // If another thread was quicker, its runtime serves and this one is shut down, unused.
    if let Err(spare) = RUNTIME.set(made) {
        spare.shutdown_background();
    }
    RUNTIME.get().ok_or_else(|| io::Error::other("the runtime is gone"))
}

/// Runs `work` on the runtime and waits for it; callable from any thread, also from one that
/// belongs to another runtime.
///
/// # Errors
/// If there is no runtime, or `work` ended without an answer.
pub(crate) fn wait_for<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    let (answer, answered) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Nobody waits any more only if the caller's thread ended; then the answer is unwanted.
        let _ = answer.send(work.await);
    });
    answered.recv().map_err(|_| io::Error::other("the work ended without an answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_waited_for_also_from_inside_another_runtime() {
        assert_eq!(wait_for(async { 2 }).unwrap(), 2);
        let other = Builder::new_current_thread().build().unwrap();
        assert_eq!(other.block_on(async { wait_for(async { 3 }).unwrap() }), 3);
    }

    #[test]
    fn work_that_panics_is_an_error_and_not_a_wait_for_ever() {
        let panicked = wait_for(async {
            assert!(std::hint::black_box(false), "on purpose");
        });
        assert!(panicked.is_err());
    }
}
