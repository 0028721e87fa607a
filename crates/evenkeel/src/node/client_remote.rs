//! The door for clients on other machines: TLS 1.3, both ends with certificates.
//!
//! Everything before a certificate was shown is bounded in number and time apart from the clients,
//! so that strangers keep nobody out.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client_door::{PATIENCE, Present, Visit, Who};
use super::client_pipe;
use super::client_tls::Gateways;
use super::observed::lock;
use super::stop::Stop;
use crate::control::Guests;
use crate::output;
use crate::report::{Report, Result};

/// Connections at once that have not yet shown a certificate; more are closed.
const GREETED_MAX: usize = 64;
/// How long one may take to show it.
const GREETING: Duration = Duration::from_secs(3);
/// Connections at once of one named client.
const CONNECTIONS_MAX: usize = 64;
/// At most one note about strangers in this time.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// The open door; closed when dropped.
#[derive(Debug)]
pub(super) struct RemoteDoor {
    pub(super) address: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl RemoteDoor {
    /// Listens at `bind`.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub(super) fn open(
        bind: SocketAddr,
        gateways: Gateways,
        present: Arc<Mutex<Present>>,
    ) -> Result<Self> {
        let failed = |error: io::Error| {
            Report::io("listen for clients", Path::new(&bind.to_string()), &error)
                .safe("nothing was started")
                .next("choose another address: [clients] listen")
        };
        let listener = TcpListener::bind(bind).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = Stop::default();
        let entrance = Entrance::new(gateways, present, stop.clone());
        let thread = std::thread::Builder::new()
            .name("clients-tls".to_owned())
            .spawn(move || entrance.run(&listener))
            .map_err(failed)?;
        Ok(Self { address, stop, thread: Some(thread) })
    }
}

impl Drop for RemoteDoor {
    fn drop(&mut self) {
        self.stop.set();
        // A connection wakes the thread that accepts.
        if TcpStream::connect_timeout(&self.address, GREETING).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// What every connection passes.
#[derive(Debug)]
struct Entrance {
    gateways: Gateways,
    present: Arc<Mutex<Present>>,
    stop: Stop,
    greeted: Guests,
    /// Of each named client.
    guests: Vec<Guests>,
    noted: Mutex<Option<Instant>>,
}

impl Entrance {
    fn new(gateways: Gateways, present: Arc<Mutex<Present>>, stop: Stop) -> Arc<Self> {
        let guests = gateways.named.iter().map(|_| Guests::default()).collect();
        let (greeted, noted) = (Guests::default(), Mutex::default());
        Arc::new(Self { gateways, present, stop, greeted, guests, noted })
    }

    fn run(self: Arc<Self>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.stop.is_set() {
                return;
            }
            let Ok((socket, from)) = accepted else {
                // Out of files, for example: it passes, and must not spin meanwhile.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let guest = self.greeted.enter();
            if guest.number > GREETED_MAX {
                continue;
            }
            let this = Arc::clone(&self);
            // Without a thread the client sees a closed connection and comes again.
            let _ = std::thread::Builder::new().name("client-tls".to_owned()).spawn(move || {
                let came = client_pipe::accept(socket, &this.gateways, GREETING);
                drop(guest);
                match came {
                    Ok((pipe, who)) => this.serve(pipe, who),
                    Err(error) => {
                        let why = in_words(&error);
                        this.note(&format!("clients: {from} is not let in: {why}"));
                    }
                }
            });
        }
    }

    fn serve(&self, pipe: Box<dyn client_pipe::Pipe>, who: usize) {
        let guest = self.guests[who].enter();
        let named = &self.gateways.named[who];
        if guest.number > CONNECTIONS_MAX {
            self.note(&format!("clients: {} has too many connections", named.name));
            return;
        }
        let visit = Visit::new(pipe, Who::Named(named.clone()), Arc::clone(&self.present));
        match visit.run() {
            // Whatever else ended it, the client repeats what it has no answer to.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.note(&format!("clients: {} is turned away: {error}", named.name));
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.note(&format!("clients: {} is not understood: {error}", named.name));
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let seconds = PATIENCE.as_secs();
                self.note(&format!(
                    "clients: {} took no answers, or said nothing, for {seconds} s or more",
                    named.name
                ));
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Strangers must not be able to fill the log.
    fn note(&self, what: &str) {
        let mut noted = lock(&self.noted);
        if noted.is_none_or(|at| at.elapsed() >= NOTE_EVERY) {
            *noted = Some(Instant::now());
            output::note(what);
        }
    }
}

fn in_words(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => {
            "no [[clients.gateways]] names its certificate".to_owned()
        }
        Some(rustls::Error::NoCertificatesPresented) => "it shows no certificate".to_owned(),
        _ => error.to_string(),
    }
}
