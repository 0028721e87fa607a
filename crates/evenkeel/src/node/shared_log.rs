//! The shared log as one host sees it: who holds the term, whether it moves, how to take it.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_journal::{Confirmation, FileLog, Identity, JournalError, Log};
use evenkeel_quorum::{
    Access, Beat, Founded, Frames, Handle, Holder, Housekeeping, Keeper, QuorumError, Running,
    Settings, Store, Tail, Unreachable, found, take_over,
};
use evenkeel_recovery::RecoveryError;
use evenkeel_recovery::link::Held;
use evenkeel_recovery::takeover::Authority;
use zeroize::Zeroizing;

use super::link_board::LinkBoard;
use super::observed::Conditions;
use crate::config::{Config, QuorumConfig};
use crate::documents::Severity;
use crate::output;
use crate::report::{Exit, Report, Result};

/// A log whose end and whose primary's beats stand still for this long has no primary.
const STILL: Duration = Duration::from_millis(700);
/// A store silent for longer is told of; an election takes less.
const SILENCE_SHOWN_MS: u64 = 2_000;
/// How long a clean end waits for a store that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The keys that a venue's user may reach.
#[cfg(feature = "etcd")]
const KEYS: &str = "/evenkeel/";
/// A primary asks for its term more often than this.
const FENCING: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub(super) struct SharedLog {
    access: Access,
    frames: Frames<Box<dyn Store>>,
    me: Holder,
    /// What was seen last, and since when.
    seen: Option<(Tail, Option<Beat>, Instant)>,
    /// The term that is to be replaced, if it is above what the journal here knows.
    term: u64,
    /// For the daemon, once the log is this process's.
    handle: Handle,
}

impl SharedLog {
    /// Connects to the store.
    ///
    /// # Errors
    /// Files that cannot be read; a store that does not let this host in.
    pub(super) fn connect(config: &Config, identity: &Identity) -> Result<Self> {
        let access = access(&config.quorum)?;
        let frames = Frames::new(open(&access)?, identity);
        let mut run = [0; 16];
        getrandom::fill(&mut run).map_err(|error| {
            Report::new(Exit::Failed, format!("the system gives no random numbers: {error}"))
                .safe("nothing was started")
        })?;
        let name = format!("{} (process {})", config.standby.name, std::process::id());
        // The link's address, and behind a space the one for clients on other machines.
        let (link, clients) = (&config.quorum.advertise, &config.clients);
        let address = match clients.listen {
            Some(_) => format!("{link} {}", clients.advertise),
            None => link.clone(),
        };
        let me = Holder { name, address, run };
        Ok(Self { access, frames, me, seen: None, term: 0, handle: Handle::default() })
    }

    /// Where the holder of the term is reached, by its link and by clients on other machines (empty
    /// if they are not); `None` if that is this process, or nobody.
    ///
    /// # Errors
    /// Why the store does not tell.
    pub(super) fn primary_at(&mut self) -> Result<Option<(String, String)>, QuorumError> {
        match self.frames.read_term() {
            Ok(term) if term.holder.run == self.me.run || term.holder.address.is_empty() => {
                Ok(None)
            }
            Ok(term) => {
                let address = term.holder.address;
                let (link, clients) = address.split_once(' ').unwrap_or((&address, ""));
                Ok(Some((link.to_owned(), clients.to_owned())))
            }
            Err(QuorumError::NotFounded { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing has moved for a while: neither the log's end nor its primary's beats. The
    /// term decides who writes; this spares a primary that lives.
    ///
    /// # Errors
    /// Why the store does not tell.
    pub(super) fn stands_still(&mut self) -> Result<bool, QuorumError> {
        let tail = match self.frames.read_tail() {
            Ok(tail) => tail,
            Err(QuorumError::NotFounded { .. }) => return Ok(true),
            Err(error) => return Err(error),
        };
        let beat = self.frames.read_beat()?;
        match &self.seen {
            Some((last, last_beat, since)) if *last == tail && *last_beat == beat => {
                Ok(since.elapsed() >= STILL)
            }
            _ => {
                self.note_term()?;
                self.seen = Some((tail, beat, Instant::now()));
                Ok(false)
            }
        }
    }

    /// Notes which term there is: the one that a take-over from now on replaces.
    ///
    /// # Errors
    /// Why the store does not tell.
    pub(super) fn note_term(&mut self) -> Result<(), QuorumError> {
        match self.frames.read_term() {
            Ok(term) => self.term = term.term,
            Err(QuorumError::NotFounded { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The handle of the log, if this process takes it over.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Who takes the term with this host's copy of the journal.
    pub(super) fn authority(
        &self,
        copy: Option<FileLog>,
        confirmations: Vec<Confirmation>,
    ) -> TermAuthority {
        TermAuthority {
            access: self.access.clone(),
            copy,
            confirmations,
            term: self.term,
            me: self.me.clone(),
            handle: self.handle.clone(),
        }
    }
}

/// The term of a store that several hosts share.
pub(super) struct TermAuthority {
    access: Access,
    copy: Option<FileLog>,
    confirmations: Vec<Confirmation>,
    term: u64,
    me: Holder,
    handle: Handle,
}

impl Authority for TermAuthority {
    fn acquire(&mut self, expected: u64, held: Held) -> Result<Box<dyn Log>, RecoveryError> {
        let Some(mut copy) = self.copy.take() else {
            return Err(JournalError::EndNotConfirmed.into());
        };
        let mut confirmations = std::mem::take(&mut self.confirmations);
        let own = Confirmation {
            source: "this standby".to_owned(),
            next: held.position,
            chain: Some(held.chain),
        };
        confirmations.push(own.clone());
        // What the sites hold beyond this copy has to come from the store.
        let furthest = confirmations.iter().max_by_key(|one| one.next).cloned();
        let confirmed = furthest.unwrap_or(own);
        confirmations.retain(|one| one.next <= copy.next());
        copy.confirm_end(&confirmations)?;
        let mut store = connect(&self.access).map_err(unreachable)?;
        let settings = Settings { housekeeping: Housekeeping::Keeper, ..Settings::default() };
        let handle = self.handle.clone();
        let mut running = Running { handle: handle.clone(), settings, ..Running::default() };
        // A store without the log of a venue that has a history is an emptied one, or another: that
        // takes a person's word.
        if confirmed.next == 0
            && found(&mut store, &copy, &mut running).map_err(JournalError::from)? == Founded::Begun
        {
            output::note("the shared log begins");
        }
        let (identity, access) = (copy.identity(), self.access.clone());
        let taken = take_over(store, copy, expected.max(self.term), self.me.clone(), running);
        let log = taken.map_err(|not_taken| JournalError::from(not_taken.error))?;
        let (ours, theirs) = (log.file().next(), confirmed.next);
        if ours < theirs {
            // The store was put back to an earlier state: the sites know more than it holds.
            let confirmed_by = confirmed.source;
            return Err(JournalError::TailVanished { ours, theirs, confirmed_by }.into());
        }
        // It ends with the log.
        Keeper::start(move || connect(&access), identity, handle, settings).map_err(|error| {
            let reason = format!("the system gives no thread: {error}. Nothing was written");
            JournalError::SharedLog { reason }
        })?;
        Ok(Box::new(log))
    }
}

/// Shows how the log is doing, as its primary sees it.
pub(super) fn show(log: &Handle, conditions: &Conditions) {
    let status = log.status();
    match status.waiting.filter(|waiting| waiting.waited_ms >= SILENCE_SHOWN_MS) {
        Some(waiting) => conditions.raise(
            "store_silent",
            Severity::Critical,
            format!(
                "nothing is acknowledged: the shared log has not answered for {} s ({})",
                waiting.waited_ms / 1_000,
                waiting.why
            ),
            "everything acknowledged is on a majority of the store's members and on this host",
            "start the store's members again; if a majority is lost: evenkeel recover-quorum",
        ),
        None => conditions.clear("store_silent"),
    }
    // What trimming freed is used again, but not given back: the used bytes do not fall.
    let filling = status.health.is_some_and(|health| health.live_bytes > health.quota_bytes / 2);
    if filling || status.refused > 0 && status.health.is_some_and(|health| health.full) {
        let health = status.health.unwrap_or_default();
        conditions.raise(
            "store_filling",
            Severity::Critical,
            format!(
                "the shared store uses {} of {} bytes; frames are given up once the sites hold \
                 them (below position {} so far)",
                health.live_bytes, health.quota_bytes, status.trimmed_below
            ),
            "everything acknowledged is on a majority of the store's members and on this host",
            "bring sites back, so that the log can be trimmed: evenkeel sites list",
        );
    } else {
        conditions.clear("store_filling");
    }
}

/// A reader that fails because somebody else goes on with the history is no failure of its own:
/// the primary is about to hear of its successor.
pub(super) fn await_fencing(link: &LinkBoard) {
    let begun = Instant::now();
    while begun.elapsed() < FENCING && !link.is_fenced() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A clean end waits for the store, but not for ever: what was not acknowledged then may or may
/// not be in the log, and clients ask again.
pub(super) fn end_waiting(log: &Handle, threads: &[JoinHandle<()>]) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && threads.iter().any(|thread| !thread.is_finished()) {
        std::thread::sleep(Duration::from_millis(20));
    }
    if log.status().waiting.is_some() {
        log.stop();
    }
}

fn unreachable(error: Unreachable) -> RecoveryError {
    JournalError::from(QuorumError::from(error)).into()
}

#[cfg(feature = "etcd")]
fn connect(access: &Access) -> Result<Box<dyn Store>, Unreachable> {
    Ok(Box::new(evenkeel_quorum::EtcdStore::connect(access)?))
}

#[cfg(not(feature = "etcd"))]
fn connect(_: &Access) -> Result<Box<dyn Store>, Unreachable> {
    Err(Unreachable("this program was built without etcd".to_owned()))
}

/// Opens the store.
///
/// # Errors
/// A program without it; nothing named to reach.
pub(super) fn open(access: &Access) -> Result<Box<dyn Store>> {
    connect(access).map_err(|error| {
        let report = Report::new(Exit::Failed, error.to_string())
            .at(access.endpoints.join(", "))
            .safe("nothing was started, and nothing was changed");
        if cfg!(feature = "etcd") {
            report.next("evenkeel config check")
        } else {
            report.next("cargo build --release --features etcd   (needs protobuf-compiler)")
        }
    })
}

/// What should be otherwise with the store's members: what it is, and what to do.
///
/// # Errors
/// Why they cannot be asked.
#[cfg(feature = "etcd")]
pub(crate) fn look_at_members(config: &Config) -> Result<Vec<(String, String)>> {
    let access = access(&config.quorum)?;
    let asked = evenkeel_quorum::EtcdStore::connect(&access).and_then(|mut store| {
        let quota_bytes = config.quorum.quota_bytes;
        let wanted = evenkeel_quorum::MemberSettings { quota_bytes, ..Default::default() };
        wanted.check(&mut store, KEYS)
    });
    let found = asked.map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
    Ok(found.into_iter().map(|one| (one.what, one.remedy)).collect())
}

/// As with etcd, in a program that was built without it.
#[cfg(not(feature = "etcd"))]
pub(crate) fn look_at_members(config: &Config) -> Result<Vec<(String, String)>> {
    open(&access(&config.quorum)?).map(|_| Vec::new())
}

/// What the store is reached with.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn access(config: &QuorumConfig) -> Result<Access> {
    let read = |file: &Option<std::path::PathBuf>, what: &'static str| {
        let Some(file) = file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(file);
        text.map(Some).map_err(|error| Report::io(what, file, &error))
    };
    let password = read(&config.password_file, "read the store's password")?;
    Ok(Access {
        endpoints: config.endpoints.clone(),
        ca_pem: read(&config.ca_file, "read the store's authority")?,
        certificate_pem: read(&config.certificate_file, "read the store's certificate")?,
        key_pem: read(&config.key_file, "read the key for the store")?.map(Zeroizing::new),
        user: config.user.clone(),
        password: Zeroizing::new(password.unwrap_or_default().trim_end().to_owned()),
        quota_bytes: config.quota_bytes,
        ..Access::default()
    })
}
