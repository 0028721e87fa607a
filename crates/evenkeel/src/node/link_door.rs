//! The primary's end of the link: standbys come in with a certificate of this cluster, and are sent
//! every durable frame, what the engine said about it, and signs of life.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_recovery::RecoveryError;
use evenkeel_recovery::link::{
    DigestAt, Heard, LinkPlan, LocalPast, PrimaryEnd, Refusal, ToPrimary, ToStandby,
};
use evenkeel_types::Timestamp;

use super::link_tls::Credentials;
use super::link_wire::{Wire, WireError};
use super::observed::Observed;
use super::stop::Stop;
use super::vault_writer::JournalView;
use crate::control::Guests;
use crate::output;
use crate::report::{Report, Result};

/// Standbys at once.
const STANDBYS_MAX: usize = 8;
/// How long a connection waits for the next frame before it looks for what the standby said.
const LOOK: Duration = Duration::from_millis(5);
/// How long a standby may take to present itself.
const HELLO: Duration = Duration::from_secs(5);
/// Digests of a standby that wait until the primary has said its own.
const UNCOMPARED_MAX: usize = 1_024;

/// What each connection needs to know of this primary.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) lineage: [u8; 16],
    pub(crate) term: u64,
    pub(crate) journal: JournalView,
    pub(crate) observed: Arc<Observed>,
}

/// The open door; closed when dropped.
#[derive(Debug)]
pub(crate) struct LinkDoor {
    address: SocketAddr,
    file: PathBuf,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl LinkDoor {
    /// Listens at `bind`, and says in `file` where that is.
    ///
    /// # Errors
    /// An address that cannot be bound, a file that cannot be written.
    pub(crate) fn open(
        bind: SocketAddr,
        file: &Path,
        credentials: Credentials,
        source: Source,
    ) -> Result<Self> {
        let failed = |error: io::Error| {
            Report::io("listen for standbys", Path::new(&bind.to_string()), &error)
                .safe("nothing was started")
                .next("choose another address: [link] listen, with port 0 for any")
        };
        let listener = TcpListener::bind(bind).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = Stop::default();
        let seen = stop.clone();
        let thread = std::thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || accept(&listener, &credentials, &source, &seen))
            .map_err(failed)?;
        let new = file.with_extension("new");
        std::fs::write(&new, address.to_string())
            .and_then(|()| std::fs::rename(&new, file))
            .map_err(|error| Report::io("write", file, &error))?;
        Ok(Self { address, file: file.to_owned(), stop, thread: Some(thread) })
    }
}

impl Drop for LinkDoor {
    fn drop(&mut self) {
        self.stop.set();
        // A connection wakes the thread that accepts.
        if TcpStream::connect_timeout(&self.address, HELLO).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
        let ours = self.address.to_string();
        if std::fs::read_to_string(&self.file).is_ok_and(|text| text == ours) {
            let _ = std::fs::remove_file(&self.file);
        }
    }
}

fn accept(listener: &TcpListener, credentials: &Credentials, source: &Source, stop: &Stop) {
    let guests = Guests::default();
    loop {
        let accepted = listener.accept();
        if stop.is_set() {
            return;
        }
        let Ok((socket, from)) = accepted else {
            // Out of files, for example: it passes, and must not spin meanwhile.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let guest = guests.enter();
        if guest.number > STANDBYS_MAX {
            continue;
        }
        let (credentials, source, stop) = (credentials.clone(), source.clone(), stop.clone());
        // Without a thread the standby sees a closed connection and comes again.
        let _ = std::thread::Builder::new().name("link-standby".to_owned()).spawn(move || {
            let _guest = guest;
            let served = Wire::accept(socket, &credentials)
                .and_then(|wire| Visit::new(wire, source, stop).run());
            match served {
                Ok(()) | Err(WireError::Closed) => {}
                Err(error) => output::note(&format!("link: {from}: {error}")),
            }
        });
    }
}

/// One standby's connection.
struct Visit {
    wire: Wire,
    source: Source,
    stop: Stop,
    end: PrimaryEnd,
    begun: Instant,
    /// Its number on the board, once it was accepted.
    number: Option<u64>,
    /// What the standby said before the primary did: what is durable is applied there first.
    uncompared: Vec<DigestAt>,
}

impl Visit {
    fn new(wire: Wire, source: Source, stop: Stop) -> Self {
        let journal = &source.journal;
        let past = LocalPast {
            disk: Arc::clone(&journal.disk),
            dir: journal.dir.clone(),
            lineage: source.lineage,
            base: journal.begins.clone(),
            watermark: journal.watermark.clone(),
        };
        let end = PrimaryEnd::new(Box::new(past), LinkPlan::default(), source.term, 0);
        let (begun, number, uncompared) = (Instant::now(), None, Vec::new());
        Self { wire, source, stop, end, begun, number, uncompared }
    }

    fn run(mut self) -> Result<(), WireError> {
        let Some(message) = self.wire.next(HELLO)? else {
            return Ok(());
        };
        let observed = Arc::clone(&self.source.observed);
        let result = self.hear(message).and_then(|()| self.serve());
        if let Some(number) = self.number {
            observed.link.leave(number);
        }
        result
    }

    /// The last word: what is wrong here.
    fn refuse(&mut self, error: &RecoveryError) -> Result<(), WireError> {
        let why = format!("the primary cannot go on: {error}").into();
        self.wire.put(&ToStandby::Refused(Refusal { why }))?;
        self.wire.flush()
    }

    fn serve(&mut self) -> Result<(), WireError> {
        let observed = Arc::clone(&self.source.observed);
        let watermark = self.source.journal.watermark.clone();
        let mut seen = 0;
        while !self.stop.is_set() {
            let _ = watermark.wait_beyond(self.end.sent_next(), LOOK);
            for digest in observed.link.digests_from(&mut seen) {
                self.end.digest(digest);
            }
            let hand_over = observed.link.handed_over();
            if let Some(hand_over) = hand_over {
                self.end.hand_over(hand_over);
            }
            let round = observed.link.round();
            // A primary that has closed its journal is still shipping: until its process ends
            // nobody is to take its place.
            self.end.set_alive(round.is_some() || watermark.is_closed());
            let time = round.map_or(Timestamp(0), |round| round.time);
            let outputs = match self.end.outputs(self.now_ns(), time) {
                Ok(outputs) => outputs,
                Err(error) => return self.refuse(&error),
            };
            for output in &outputs {
                self.wire.put(output)?;
            }
            self.wire.flush()?;
            if self.end.is_over() {
                if hand_over.is_some() {
                    observed.link.note_told();
                }
                return Ok(());
            }
            // With more to send than the window lets through, what the standby says is waited for.
            let is_full = outputs.is_empty() && watermark.durable_next() > self.end.sent_next();
            let mut wait = if is_full { LOOK } else { Duration::ZERO };
            while let Some(message) = self.wire.next(wait)? {
                wait = Duration::ZERO;
                self.hear(message)?;
            }
            self.compare();
            if watermark.is_closed() {
                // Nothing more will wake it.
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn compare(&mut self) {
        let Some(number) = self.number else { return };
        let link = &self.source.observed.link;
        self.uncompared.retain(|digest| match link.agrees_with(digest) {
            Some(true) => {
                link.agrees(number, digest.position);
                false
            }
            Some(false) => false,
            None => true,
        });
    }

    fn hear(&mut self, message: ToPrimary) -> Result<(), WireError> {
        let greeting = match &message {
            ToPrimary::Hello(hello) => Some((hello.name.0.clone(), hello.position)),
            _ => None,
        };
        let heard = match self.end.hear(message) {
            Ok(heard) => heard,
            Err(error) => {
                output::note(&format!("link: {error}"));
                self.refuse(&error)?;
                return Err(WireError::Closed);
            }
        };
        let link = &self.source.observed.link;
        match heard {
            Some(Heard::Joined) => {
                let (name, position) = greeting.unwrap_or_default();
                self.number = Some(link.enter(name, position));
            }
            Some(Heard::Holds(held)) => {
                let durable_next = self.source.journal.watermark.durable_next();
                if let Some(number) = self.number {
                    link.holds(number, held.position, durable_next);
                }
            }
            // A difference is decided, and told, by the standby.
            Some(Heard::Digest(digest)) if self.uncompared.len() < UNCOMPARED_MAX => {
                self.uncompared.push(digest);
            }
            Some(Heard::Diverged(diverged)) => link.diverged(diverged),
            Some(Heard::Digest(_) | Heard::Refused) | None => {}
        }
        Ok(())
    }
}
