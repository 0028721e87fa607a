//! The primary's end of the link: standbys come in with a certificate of this cluster, and are sent
//! every durable frame, what the engine said about it, and signs of life.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_journal::Reader;
use evenkeel_recovery::framing::ProtocolVersion;
use evenkeel_recovery::link::{
    Beat, DigestAt, Hello, LinkFrame, Range, Refusal, ToPrimary, ToStandby, Welcome,
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
/// A sign of life this often.
pub(crate) const BEAT_EVERY: Duration = Duration::from_millis(100);
/// How long a connection waits for the next frame before it looks for what the standby said.
const LOOK: Duration = Duration::from_millis(5);
/// How long a standby may take to present itself.
const HELLO: Duration = Duration::from_secs(5);
/// Bytes sent in one go.
const SEND_BYTES: usize = 1 << 20;
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
    /// What the standby said before the primary did: what is durable is applied there first.
    uncompared: Vec<DigestAt>,
}

impl Visit {
    fn new(wire: Wire, source: Source, stop: Stop) -> Self {
        Self { wire, source, stop, uncompared: Vec::new() }
    }

    fn run(mut self) -> Result<(), WireError> {
        let Some(ToPrimary::Hello(hello)) = self.wire.next(HELLO)? else {
            return Ok(());
        };
        let reader = match self.check(&hello) {
            Ok(reader) => reader,
            Err(why) => return self.refuse(why),
        };
        let journal = &self.source.journal;
        self.wire.put(&ToStandby::Welcome(Welcome {
            version: ProtocolVersion,
            term: self.source.term,
            base: journal.base,
            next: journal.watermark.durable_next(),
        }))?;
        let observed = Arc::clone(&self.source.observed);
        let number = observed.link.enter(hello.name.0, hello.position);
        let result = self.serve(reader, number);
        observed.link.leave(number);
        result
    }

    /// Opens the journal where the standby stands.
    fn check(&self, hello: &Hello) -> Result<Reader, String> {
        let journal = &self.source.journal;
        if hello.lineage != self.source.lineage {
            return Err("this primary writes another lineage; follow one of your own, or lay out \
                        the standby's home anew"
                .to_owned());
        }
        let next = journal.watermark.durable_next();
        if hello.position > next {
            return Err(format!(
                "the standby holds entries up to position {}, this primary up to {next}: one of \
                 them has another history; compare both: evenkeel journal inspect",
                hello.position
            ));
        }
        let disk = Arc::clone(&journal.disk);
        Reader::follow(disk, &journal.dir, hello.position, journal.watermark.clone())
            .map_err(|error| format!("the standby's position cannot be served: {error}"))
    }

    fn refuse(&mut self, why: String) -> Result<(), WireError> {
        self.wire.put(&ToStandby::Refused(Refusal { why: why.into() }))?;
        self.wire.flush()
    }

    fn serve(&mut self, mut reader: Reader, number: u64) -> Result<(), WireError> {
        let observed = Arc::clone(&self.source.observed);
        let watermark = self.source.journal.watermark.clone();
        let (mut seen, mut next_beat) = (0, Instant::now());
        while !self.stop.is_set() {
            let _ = watermark.wait_beyond(reader.position(), LOOK);
            while self.wire.waiting_bytes() < SEND_BYTES {
                match reader.next_batch() {
                    Ok(Some(batch)) => self.wire.put(&ToStandby::Frame(LinkFrame(batch)))?,
                    Ok(None) => break,
                    Err(error) => return self.refuse(format!("its journal is damaged: {error}")),
                }
            }
            for digest in observed.link.digests_from(&mut seen) {
                self.wire.put(&ToStandby::Digest(digest))?;
            }
            if Instant::now() >= next_beat {
                next_beat = Instant::now() + BEAT_EVERY;
                self.beat()?;
            }
            if let Some(hand_over) = observed.link.handed_over()
                && reader.position() >= hand_over.position
            {
                self.wire.put(&ToStandby::HandOver(hand_over))?;
                self.wire.flush()?;
                observed.link.note_told();
                return Ok(());
            }
            self.wire.flush()?;
            while let Some(message) = self.wire.next(Duration::ZERO)? {
                self.hear(&message, number)?;
            }
            self.compare(number);
            if watermark.is_closed() {
                // Nothing more will wake it.
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    fn compare(&mut self, number: u64) {
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

    fn beat(&mut self) -> Result<(), WireError> {
        let watermark = &self.source.journal.watermark;
        let round = self.source.observed.link.round();
        // A primary that has closed its journal is still shipping: until its process ends nobody
        // is to take its place.
        if round.is_none() && !watermark.is_closed() {
            return Ok(());
        }
        let term = round.map_or(self.source.term, |round| round.term);
        let time = round.map_or(Timestamp(0), |round| round.time);
        let beat = Beat { term, durable_next: watermark.durable_next(), time };
        self.wire.put(&ToStandby::Beat(beat))
    }

    fn hear(&mut self, message: &ToPrimary, number: u64) -> Result<(), WireError> {
        let link = &self.source.observed.link;
        match message {
            ToPrimary::Hello(_) => {}
            ToPrimary::Holds(held) => {
                let durable_next = self.source.journal.watermark.durable_next();
                link.holds(number, held.position, durable_next);
            }
            ToPrimary::Digest(digest) => {
                // A difference is decided, and told, by the standby.
                if self.uncompared.len() < UNCOMPARED_MAX {
                    self.uncompared.push(*digest);
                }
            }
            ToPrimary::Diverged(diverged) => link.diverged(*diverged),
            ToPrimary::Fetch(range) => self.fetch(*range)?,
        }
        Ok(())
    }

    /// Sends what is held of a range of the past.
    fn fetch(&mut self, range: Range) -> Result<(), WireError> {
        let journal = &self.source.journal;
        let disk = Arc::clone(&journal.disk);
        let reader = Reader::follow(disk, &journal.dir, range.from, journal.watermark.clone());
        let batches = reader.into_iter().flat_map(|reader| reader.map_while(|batch| batch.ok()));
        let mut end = Range { from: range.from, to: range.from };
        for batch in batches.take_while(|batch| batch.first < range.to) {
            end.to = batch.next();
            self.wire.put(&ToStandby::Fetched(LinkFrame(batch)))?;
            self.wire.flush()?;
        }
        self.wire.put(&ToStandby::FetchEnd(end))
    }
}
