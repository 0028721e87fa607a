//! The shipper of followed databases: what their spools got goes to the sites as a tail, and now
//! and then all of a spool as a point. One certified writer; one thread.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_capture::parcel::Parcel;
use evenkeel_recovery::Clock as _;
use evenkeel_types::Canonical as _;
use evenkeel_vault::{PointHead, Root, Writer};

use super::super::super::clock::SystemClock;
use super::super::super::domain::Domain;
use super::super::super::files::{Keys, WriterHome, open_writer};
use super::super::super::observed::Observed;
use super::super::super::recipients::Rotation;
use super::super::super::stop::Stop;
use super::INDEX_ROOT;
use super::cut::{Cut, Outgoing, Sealed, index_of, missing};
use super::discover;
use super::follow::{Followed, Seen};
use crate::config::Config;
use crate::documents::{Severity, SourceKind};
use crate::report::{Exit, Report, Result};

/// Bytes of pieces that go in one tail.
const TAIL_BYTES_MAX: usize = 8 << 20;
/// A point after so many tails, or so many bytes in them: a restore reads them one by one.
const POINT_TAILS: u64 = 240;
const POINT_BYTES: u64 = 128 << 20;
/// How often new databases are looked for, but no more than this share of the time.
const DISCOVER_EVERY: Duration = Duration::from_secs(5);
const DISCOVER_SHARE: u32 = 50;
/// Attempts to send the last of it when the daemon ends, and the pause between them.
const TRIES_AT_END: u32 = 50;
const RETRY_AT_END: Duration = Duration::from_millis(100);

/// What is to be followed, until the daemon ends.
pub(crate) struct LiveLoop {
    config: Config,
    observed: Arc<Observed>,
    clock: SystemClock,
    stop: Stop,
    /// Asks the captures to end.
    databases: Vec<Outgoing>,
    threads: Vec<JoinHandle<()>>,
    home: Option<WriterHome>,
    writer: Option<Writer>,
    rotation: Rotation,
    /// Position of the last tail.
    position: u64,
    /// When the spools were read last: all that was captured before is in the next point.
    read_ns: u64,
    pending: Option<Pending>,
    sealing: Option<Receiver<Result<Sealed, evenkeel_vault::Error>>>,
    sealed: Option<Sealed>,
    known: BTreeMap<String, (u64, Vec<u8>)>,
    /// The last point of this process; before the first nothing counts.
    point: Option<(String, i64)>,
    tails_since: u64,
    bytes_since: u64,
    /// Why a spool could not be read last.
    unreadable: Option<String>,
}

/// A tail that has not reached enough sites yet: the same is sent again.
struct Pending {
    payload: Vec<u8>,
    /// Until when everything of each database is in it or before it.
    complete: Vec<(usize, Seen)>,
    /// Whether all that was captured is.
    all: bool,
}

impl LiveLoop {
    /// Whether there may be anything to follow.
    pub(crate) fn is_wanted(config: &Config) -> bool {
        let among_paths = config.files.follow_databases && !config.files.paths.is_empty();
        among_paths || !config.databases.is_empty()
    }

    pub(crate) fn new(config: &Config, observed: &Arc<Observed>) -> Self {
        Self {
            config: config.clone(),
            observed: Arc::clone(observed),
            clock: SystemClock::new(),
            stop: Stop::default(),
            databases: Vec::new(),
            threads: Vec::new(),
            home: None,
            writer: None,
            rotation: Rotation::new(config),
            position: 0,
            read_ns: 0,
            pending: None,
            sealing: None,
            sealed: None,
            known: BTreeMap::new(),
            point: None,
            tails_since: 0,
            bytes_since: 0,
            unreadable: None,
        }
    }

    /// Runs until asked to stop; then ships what was captured last.
    pub(crate) fn run(mut self, stop: &Stop) -> Result<()> {
        let mut next_look = Instant::now();
        let mut stopping = false;
        let mut tries = 0;
        loop {
            if !stopping && Instant::now() >= next_look {
                let look = Instant::now();
                self.discover();
                next_look = look + DISCOVER_EVERY.max(look.elapsed() * DISCOVER_SHARE);
            }
            let result = if self.databases.is_empty() { Ok(true) } else { self.tick() };
            let done = match result {
                Ok(done) => {
                    self.observed.conditions.clear("databases_not_shipping");
                    done
                }
                Err(report) => {
                    self.trouble(&report);
                    false
                }
            };
            self.show();
            if stopping && (done || tries >= TRIES_AT_END) {
                return Ok(());
            }
            if stopping {
                // The first point may still be on its way to the sites.
                tries += 1;
                std::thread::sleep(RETRY_AT_END);
            }
            if stop.sleep(self.interval()) && !stopping {
                stopping = true;
                self.stop.set();
                self.threads.drain(..).for_each(|thread| drop(thread.join()));
            }
        }
    }

    /// Twice as often as promised: what was captured just behind one tail waits for the next.
    fn interval(&self) -> Duration {
        let all = self.databases.iter().map(|one| one.followed.settings.every_seconds);
        Duration::from_secs(all.min().unwrap_or(1)) / 2
    }

    fn discover(&mut self) {
        let databases = &self.databases;
        let is_known = |path: &Path| databases.iter().any(|one| one.followed.path() == path);
        let found = discover::databases(&self.config, &is_known);
        if found.is_empty() {
            return;
        }
        let keys = Keys::live(&self.config);
        if keys.missing().is_some() {
            self.observed.conditions.raise(
                "databases_not_followed",
                Severity::Warning,
                "databases are not followed as they change: this home has no keys for that yet",
                "they are in every recovery point of files",
                "evenkeel init --add-files --home HOME --identity recovery-identity.txt",
            );
            return;
        }
        for settings in found {
            let followed = Arc::new(Followed::new(settings, &self.config.live_dir()));
            let (own, stop) = (Arc::clone(&followed), self.stop.clone());
            self.threads.push(std::thread::spawn(move || own.run(&stop)));
            self.databases.push(Outgoing::new(followed));
        }
    }

    /// Ships what there is; whether that was all.
    fn tick(&mut self) -> Result<bool> {
        self.open()?;
        if self.point.is_none() && self.sealing.is_none() && self.sealed.is_none() {
            // All of it is in the point: none of it need be in a tail.
            self.read_ns = self.clock.wall_ns();
            for one in &mut self.databases {
                while one.next_piece()?.is_some() {}
            }
            self.begin_point()?;
        }
        self.end_point()?;
        // A tail behind a point that never came would leave a hole: without one there are none.
        while self.point.is_some() {
            if self.pending.is_none() {
                self.pending = self.gather()?;
            }
            let Some(pending) = &self.pending else { break };
            let all = pending.all;
            self.ship()?;
            if all {
                break;
            }
        }
        let due = self.tails_since >= POINT_TAILS || self.bytes_since >= POINT_BYTES;
        if due && self.sealing.is_none() && self.sealed.is_none() {
            self.begin_point()?;
        }
        match self.unreadable.take() {
            Some(why) => Err(Report::new(Exit::Failed, why)),
            None => Ok(self.point.is_some() && self.pending.is_none()),
        }
    }

    fn open(&mut self) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            self.rotation.follow(writer);
            return Ok(());
        }
        let domain = Domain::of(&self.config)?;
        let keys = Keys::live(&self.config);
        let home = match &self.home {
            Some(home) => home,
            None => self.home.insert(WriterHome::open(&self.config.live_dir())?),
        };
        let mut writer = open_writer(&self.config, &domain, home, &keys)?;
        writer.settle()?;
        self.position = writer.next_position().map_or(0, |next| next.saturating_sub(1));
        self.writer = Some(writer);
        Ok(())
    }

    /// What the spools got since; none if that is nothing.
    fn gather(&mut self) -> Result<Option<Pending>> {
        self.read_ns = self.clock.wall_ns();
        let (mut parcel, mut bytes) = (Parcel::default(), 0);
        let (mut complete, mut unreadable) = (Vec::new(), 0);
        for (at, one) in self.databases.iter_mut().enumerate() {
            let seen = one.followed.seen();
            while bytes < TAIL_BYTES_MAX {
                match one.next_piece() {
                    Ok(Some(piece)) => {
                        bytes += piece.bytes.len();
                        parcel.pieces.push(piece);
                    }
                    Ok(None) => {
                        complete.push((at, seen));
                        break;
                    }
                    // What was read of the others goes out all the same: it is not read again.
                    Err(error) => {
                        unreadable += 1;
                        self.unreadable = Some(error.to_string());
                        break;
                    }
                }
            }
        }
        let all = complete.len() + unreadable == self.databases.len();
        if parcel.pieces.is_empty() {
            self.count(&complete, 0);
            return Ok(None);
        }
        Ok(Some(Pending { payload: parcel.to_bytes(), complete, all }))
    }

    /// Ships what is pending. What fails stays pending, unchanged.
    fn ship(&mut self) -> Result<()> {
        let (Some(writer), Some(pending)) = (&mut self.writer, &self.pending) else {
            return Ok(());
        };
        let position = self.position + 1;
        let time_ns = self.clock.wall_ns();
        let shipped = writer.append_tail(position, position, &pending.payload, &[], time_ns)?;
        self.position = position;
        self.tails_since += 1;
        self.bytes_since += pending.payload.len() as u64;
        let away = missing(&shipped.sites_failed);
        if let Some(pending) = self.pending.take() {
            self.count(&pending.complete, position);
        }
        self.note_sites(&away);
        Ok(())
    }

    /// Everything of these databases up to these moments is at enough sites.
    fn count(&self, complete: &[(usize, Seen)], position: u64) {
        let Some((point, margin)) = &self.point else { return };
        for (at, seen) in complete {
            let Some(one) = self.databases.get(*at) else { continue };
            self.observed.sources.note(&one.followed.path().display().to_string(), |source| {
                source.complete_ns = seen.captured_ns.max(source.complete_ns);
                (source.recovery_point, source.margin) = (Some(point.clone()), Some(*margin));
            });
            log_for_tests(seen.captured_ns, self.clock.wall_ns(), position);
        }
    }

    /// What is known of each, whether or not it was shipped.
    fn show(&self) {
        for one in &self.databases {
            let (seen, settings) = (one.followed.seen(), &one.followed.settings);
            self.observed.sources.note(&settings.path.display().to_string(), |source| {
                source.kind = SourceKind::Sqlite;
                source.target = Duration::from_secs(settings.rpo_seconds);
                source.gaps = seen.gaps;
                source.unprotected = seen.trouble.is_some();
                source.detail = seen.trouble;
            });
        }
    }

    /// Cuts what was read so far, and seals it in a thread of its own: tails go on.
    fn begin_point(&mut self) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let time_ns = self.clock.wall_ns();
        let sealer = writer.begin_point(time_ns, false)?;
        let index = index_of(&self.databases);
        let folder =
            |path: &Path| self.config.live_dir().join(evenkeel_capture::parcel::name_of(path));
        let folders = index.spools.iter().map(|one| folder(&one.database)).collect();
        let known = std::mem::take(&mut self.known);
        let cut = Cut { index, position: self.position, time_ns: self.read_ns, folders, known };
        (self.tails_since, self.bytes_since) = (0, 0);
        let (sender, receiver) = channel();
        // A point that nobody waits for any more is dropped: nothing refers to it.
        std::thread::spawn(move || drop(sender.send(cut.seal(sealer))));
        self.sealing = Some(receiver);
        Ok(())
    }

    /// Signs a point whose sealing has ended.
    fn end_point(&mut self) -> Result<()> {
        if let Some(receiver) = &self.sealing {
            match receiver.try_recv() {
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => self.sealing = None,
                Ok(result) => {
                    self.sealing = None;
                    self.sealed = Some(result?);
                }
            }
        }
        let (Some(sealed), Some(writer)) = (&self.sealed, &mut self.writer) else { return Ok(()) };
        if sealed.point.is_lost() {
            self.sealed = None;
            return Ok(());
        }
        let cut = &sealed.cut;
        let hash = *blake3::hash(&cut.index.to_bytes()).as_bytes();
        let roots = vec![Root { name: INDEX_ROOT.to_owned(), hash }];
        let head = PointHead { position: cut.position, time_ns: cut.time_ns, roots };
        let point = writer.finish_point(&head, &sealed.point)?;
        self.point = Some((point.id.to_string(), point.margin));
        if let Some(sealed) = self.sealed.take() {
            self.databases.iter_mut().for_each(|one| one.trim(&sealed.cut.index));
            self.known = sealed.cut.known;
        }
        Ok(())
    }

    fn note_sites(&self, away: &[String]) {
        let conditions = &self.observed.conditions;
        if away.is_empty() {
            return conditions.clear("databases_sites_missing");
        }
        conditions.raise(
            "databases_sites_missing",
            Severity::Warning,
            format!("what was captured last is not at {}", away.join(", ")),
            "it counts: enough sites hold it",
            "evenkeel sites list",
        );
    }

    fn trouble(&self, report: &Report) {
        self.observed.conditions.raise(
            "databases_not_shipping",
            Severity::Critical,
            format!("what is captured of databases does not reach the sites: {}", report.message()),
            "it is kept on this host and shipped when enough sites are back",
            "evenkeel sites list",
        );
    }
}

/// In builds for tests a file says when what was captured by then had reached the sites.
fn log_for_tests(captured_ns: Option<u64>, shipped_ns: u64, position: u64) {
    #[cfg(debug_assertions)]
    if let (Some(path), Some(captured_ns)) =
        (std::env::var_os("EVENKEEL_TEST_SHIP_LOG"), captured_ns)
    {
        use std::io::Write as _;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let line = format!("{captured_ns} {shipped_ns} {position}\n");
        // A test that misses lines says so.
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
    #[cfg(not(debug_assertions))]
    let _ = (captured_ns, shipped_ns, position);
}
