//! The dashboard: one server-rendered page, live by server-sent events, and `/metrics`.
//!
//! A thread of its own asks the [`StatusSource`] once per second and renders; requests only ever
//! see the newest rendering, so no number of viewers can slow the daemon down.
//!
//! **Invariants**
//! - Nothing on the page is loaded from elsewhere; the Content-Security-Policy enforces it.
//! - Nothing here changes anything: every route is a GET without effect.
//! - Beyond loopback a token is required; on loopback without one, only requests addressed to
//!   this machine by a loopback name are answered (DNS rebinding).

mod assets;
mod conditions;
mod error;
mod gate;
mod margin;
mod metrics;
mod metrics_network;
mod page;
mod publish;
mod routes;
mod rows;
mod view;
mod words;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::documents::{DrillDocument, PointsDocument, StatusDocument};

pub use conditions::conditions;
pub use error::DashboardError;
pub use margin::discount_lost_sites;

/// Where the dashboard's figures come from. Called once per second from one thread.
pub trait StatusSource: Send + Sync {
    /// What is going on now.
    fn status(&self) -> StatusDocument;
    /// The recovery points, oldest first.
    fn points(&self) -> PointsDocument;
    /// Finished drills, newest last, at most 500.
    fn drills(&self) -> Vec<DrillDocument>;
}

/// Shortest token accepted, in bytes.
pub const TOKEN_LENGTH_MIN_BYTES: usize = 16;

/// How long open requests may go on after [`ServerHandle::stop`].
const STOP_GRACE: Duration = Duration::from_millis(500);

/// A running dashboard; stops when dropped.
#[derive(Debug)]
pub struct ServerHandle {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl ServerHandle {
    /// The address it listens on, with the real port where port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops listening, ends live streams and waits for its threads.
    pub fn stop(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A panicked thread has already reported itself; stopping must not fail over it.
            let _ = thread.join();
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

/// Serves the dashboard on `bind` until the handle is stopped or dropped.
///
/// With a `token`, every request needs it: as `Authorization: Bearer`, or once as `?token=`, which
/// sets a cookie. An address that is not loopback requires one.
///
/// # Errors
/// [`DashboardError`] when the token is missing or too short, or when the address cannot be bound.
pub fn serve(
    bind: SocketAddr,
    token: Option<String>,
    source: Arc<dyn StatusSource>,
) -> Result<ServerHandle, DashboardError> {
    match &token {
        None if !bind.ip().is_loopback() => return Err(DashboardError::TokenRequired { bind }),
        Some(token) if token.len() < TOKEN_LENGTH_MIN_BYTES => {
            return Err(DashboardError::TokenTooShort { length_bytes: token.len() });
        }
        _ => {}
    }
    let listener = TcpListener::bind(bind).map_err(|error| DashboardError::bind(bind, error))?;
    let setup = |error| DashboardError::Setup { bind, source: error };
    listener.set_nonblocking(true).map_err(setup)?;
    let local_addr = listener.local_addr().map_err(setup)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(setup)?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(setup)?
    };

    let (stop, stopped) = watch::channel(false);
    let (publisher, newest) = publish::Publisher::new(source);
    let gate = gate::Gate::new(local_addr.ip(), token);
    let router = routes::router(gate, newest, stopped.clone());
    let publish_stopped = stopped.clone();
    let publish_thread = std::thread::Builder::new()
        .name("dashboard-publish".to_owned())
        .spawn(move || publisher.run(&publish_stopped))
        .map_err(setup)?;
    // The handle exists before the second thread so that a failure to start it stops the first.
    let mut handle = ServerHandle { local_addr, stop, threads: vec![publish_thread] };
    let serve_thread = std::thread::Builder::new()
        .name("dashboard-serve".to_owned())
        .spawn(move || run_server(runtime, listener, router, stopped))
        .map_err(setup)?;
    handle.threads.push(serve_thread);
    Ok(handle)
}

fn run_server(
    runtime: tokio::runtime::Runtime,
    listener: tokio::net::TcpListener,
    router: axum::Router,
    stopped: watch::Receiver<bool>,
) {
    let until_stop = wait_for_stop(stopped.clone());
    runtime.block_on(async move {
        let server = tokio::spawn(
            axum::serve(listener, router).with_graceful_shutdown(until_stop).into_future(),
        );
        wait_for_stop(stopped).await;
        // A viewer that stopped reading must not keep the daemon from ending.
        let _ = tokio::time::timeout(STOP_GRACE, server).await;
    });
    runtime.shutdown_timeout(STOP_GRACE);
}

async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    // An error means the handle is gone, which is a stop too.
    let _ = stopped.wait_for(|stop| *stop).await;
}
