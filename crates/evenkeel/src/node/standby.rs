//! `evenkeel up --role standby`: follows the primary in memory, and takes its place when that is
//! gone.
//!
//! On the primary's host the journal's lock is the fence: whoever holds it writes, and it is free
//! only once the process that held it has ended. On another host frames are copied into a journal
//! of its own, and only a person can say that the primary is dead.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_journal::{Disk, FileLog, Identity, JournalError, RealDisk};
use evenkeel_quorum::Handle;
use evenkeel_recovery::standby::Bar;
use evenkeel_recovery::takeover::{Authority, FolderAuthority, NotPromoted, take_over_or_rescue};
use evenkeel_recovery::{
    Agreement, JournalClock, PassedOver, Primary, Promoted, RecoveryError, Rescue, Skips, Standby,
};
use evenkeel_types::Timestamp;
use evenkeel_types::merkle::Hash;
use evenkeel_vault::Lineage;

use super::client_door::{ClientDoor, Duty};
use super::clock::SystemClock;
use super::domain::{Domain, cluster_id};
use super::doors::{open_soon, open_to_gateways};
use super::join;
use super::link_tls::{self, Credentials};
use super::link_wire::{Wire, WireError};
use super::shared_log::SharedLog;
use super::sites_watch::SitesWatch;
use super::standby_link::Lost;
use super::standby_snapshots::OwnSnapshots;
use super::standby_status::StandbyStatus;
use super::start;
use super::stop::Stop;
use super::suspect::HostRescue;
use super::takeover::{self, Attested};
use crate::cli::UpArgs;
use crate::config::{Config, FollowMode};
use crate::report::{Exit, Report, Result};
use crate::{control, keyfile, output};

/// How often the lock is tried while the primary is gone.
const TRY_LOCK: Duration = Duration::from_millis(20);
/// How often the primary is looked for.
const TRY_LINK: Duration = Duration::from_millis(200);
/// The same after a primary of several hosts fell silent: longer than a take-over takes.
const SILENT_LINK: Duration = Duration::from_secs(2);
/// A standby that never heard a primary waits this long for one to come up first.
const FIRST: Duration = Duration::from_secs(1);

/// What the primary that it has become begins with; its `Resume` is journaled.
pub(crate) struct Won {
    pub(crate) primary: Primary,
    pub(crate) time: JournalClock,
    /// What that was started with.
    pub(crate) clock: SystemClock,
    pub(crate) agreement: Arc<Agreement>,
    pub(crate) lineage: Lineage,
    /// The clients' door, which has sent everybody away so far.
    pub(crate) door: ClientDoor,
    /// Of a log that several hosts share.
    pub(crate) shared: Option<Handle>,
    /// What a follower passes over, and what the journal says of it since this term.
    pub(crate) skips: Skips,
    pub(crate) passed_over: Vec<PassedOver>,
    /// When the primary before was found to be gone.
    pub(crate) since: Instant,
}

impl Won {
    fn of(
        promoted: Promoted,
        agreement: Arc<Agreement>,
        (time, clock, since): (JournalClock, SystemClock, Instant),
        (lineage, door, shared): (Lineage, ClientDoor, Option<Handle>),
    ) -> Self {
        let Promoted { primary, skips, passed_over, .. } = promoted;
        Self { primary, time, clock, agreement, lineage, door, shared, skips, passed_over, since }
    }
}

/// How a standby's life ends, other than by an error.
pub(crate) enum End {
    Won(Box<Won>),
    Stopped,
}

/// Runs until it takes over or is asked to stop.
///
/// # Errors
/// [`Exit::Integrity`] when it is barred from promotion; certificates, a home that cannot follow.
pub(crate) fn run(config: &Config, args: &UpArgs, socket: &Path, stop: &Stop) -> Result<End> {
    let domain = Domain::of(config)?;
    let certificate = keyfile::read_certificate(&domain.settings.writer_certificate_file)?;
    let cluster = cluster_id(&domain.trust);
    let link_dir = config.link_dir();
    // The first of several hosts makes them; the others are given a copy.
    if config.standby.mode != FollowMode::Mirror {
        link_tls::lay_out(&link_dir, cluster)?;
    }
    let credentials = link_tls::read(&link_dir, cluster)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let status = Arc::new(StandbyStatus::new(config, certificate.lineage, stop));
    // The standby before may be the primary now, and just leaving these.
    let _control = open_soon(true, || control::serve(socket, Arc::clone(&status) as _))?;
    let duty = Duty::Elsewhere { term: 0, primary_at: String::new() };
    let door = match args.slot {
        Some(slot) => config.clients_socket(Some(slot)),
        None => config.host.data.join("clients-standby.sock"),
    };
    let mut door = open_soon(true, || ClientDoor::open(&door, duty.clone()))?;
    if config.standby.mode == FollowMode::Quorum {
        open_soon(true, || open_to_gateways(config, &domain, &mut door))?;
    }
    let watch = SitesWatch::start(config, certificate.lineage, stop);
    if !wait_for_journal(config, &disk, stop)? {
        return Ok(End::Stopped);
    }
    join::from_sites(config, &domain, certificate.lineage)?;
    let copy = match config.standby.mode {
        FollowMode::Shared => None,
        FollowMode::Mirror | FollowMode::Quorum => {
            Some(takeover::open_copy(config, &domain, certificate.lineage, &disk)?)
        }
    };
    let standby = takeover::begin_standby(config, copy.as_ref(), &disk, Skips::none())?;
    let shared = match config.standby.mode {
        FollowMode::Shared | FollowMode::Mirror => None,
        FollowMode::Quorum => {
            let lineage = certificate.lineage.0;
            Some(SharedLog::connect(config, &Identity { cluster_id: cluster, lineage })?)
        }
    };
    output::note(&format!("standby from position {} on", standby.position()));
    // Where the journal is the primary's, so are the snapshots.
    let snapshots = copy.as_ref().map(|_| OwnSnapshots::new(config, standby.agreed_next()));
    let following = Following {
        config,
        args,
        credentials,
        disk,
        status,
        standby,
        copy,
        snapshots,
        shared,
        lineage: certificate.lineage,
        watch,
        door,
        told: String::new(),
        clients_at: String::new(),
        term: 0,
        shown_term: 0,
        welcomed_next: u64::MAX,
        has_told: false,
        yielded: false,
    };
    following.run(stop)
}

/// On the primary's host the journal appears when the primary begins it.
fn wait_for_journal(config: &Config, disk: &Arc<dyn Disk>, stop: &Stop) -> Result<bool> {
    if config.standby.mode != FollowMode::Shared {
        return Ok(true);
    }
    loop {
        match evenkeel_journal::Reader::external(Arc::clone(disk), &config.journal_dir(), u64::MAX)
        {
            Err(JournalError::NotAJournal { .. } | JournalError::Io { .. }) => {}
            Ok(_) | Err(_) => return Ok(true),
        }
        if stop.sleep(TRY_LINK) {
            return Ok(false);
        }
    }
}

/// A standby at work.
pub(super) struct Following<'a> {
    pub(super) config: &'a Config,
    pub(super) args: &'a UpArgs,
    credentials: Credentials,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) status: Arc<StandbyStatus>,
    pub(super) standby: Standby,
    /// This host's own journal, if it is not the primary's.
    pub(super) copy: Option<FileLog>,
    /// The snapshots that go with it.
    pub(super) snapshots: Option<OwnSnapshots>,
    /// The log that several hosts share, if that decides who writes.
    shared: Option<SharedLog>,
    pub(super) lineage: Lineage,
    watch: SitesWatch,
    pub(super) door: ClientDoor,
    /// What was last said about a link that does not come about.
    told: String,
    /// Where clients on other machines reach the primary, if the shared log says so.
    pub(super) clients_at: String,
    /// Of the primary that is followed, and of the one that clients were told of.
    pub(super) term: u64,
    pub(super) shown_term: u64,
    /// Where the primary's journal ended when it was joined.
    pub(super) welcomed_next: u64,
    /// The primary knows that the two differ.
    pub(super) has_told: bool,
    /// The primary has ended in favour of this standby.
    yielded: bool,
}

impl Following<'_> {
    fn run(mut self, stop: &Stop) -> Result<End> {
        let clock = SystemClock::new();
        let mut gone_since: Option<(Instant, bool)> = None;
        let begun = Instant::now();
        let mut next_link = Instant::now();
        loop {
            if Instant::now() >= next_link {
                next_link = Instant::now() + TRY_LINK;
                if let Some(wire) = self.connect()? {
                    let lost = self.follow(wire, stop)?;
                    // What came last is not yet shown.
                    self.status.heard(&self.standby, "without a primary");
                    self.yielded = matches!(lost, Lost::HandedOver | Lost::Called);
                    gone_since = match lost {
                        Lost::Stopped => return Ok(End::Stopped),
                        Lost::HandedOver | Lost::Called => Some((Instant::now(), false)),
                        Lost::Silent => Some((Instant::now(), true)),
                        Lost::Closed(since) => Some((since, false)),
                    };
                    next_link = Instant::now() + self.pause(gone_since);
                }
            }
            self.status.show_lost();
            let (since, kill) = gone_since.unwrap_or((Instant::now(), false));
            if self.may_try(gone_since.is_some(), begun) && self.is_free(kill)? {
                if self.config.standby.mode == FollowMode::Mirror {
                    // The sites may hold what did not come here; without a lock nothing else tells.
                    self.watch.ask(self.config, self.lineage);
                }
                self.watch.refuse()?;
                let agreement = Arc::new(Agreement::new());
                let mut time = None;
                let now = |last| time.insert(JournalClock::start(&clock, last)).now(&clock);
                let mut authority = self.authority();
                let term = self.standby.term();
                let (disk, board) = (Arc::clone(&self.disk), Arc::clone(&agreement));
                let mut host = HostRescue { config: self.config };
                let authority: (u64, &mut dyn Authority) = (term, authority.as_mut());
                let (standby, host) = (self.standby, Some(&mut host as &mut dyn Rescue));
                match take_over_or_rescue(standby, authority, &disk, board, host, now) {
                    Ok(promoted) => {
                        let time = time.unwrap_or_else(|| JournalClock::start(&clock, LAST));
                        let shared = self.shared.as_ref().map(SharedLog::handle);
                        let (clocks, ours) =
                            ((time, clock, since), (self.lineage, self.door, shared));
                        let won = Won::of(promoted, agreement, clocks, ours);
                        return Ok(End::Won(Box::new(won)));
                    }
                    Err(NotPromoted { standby: Some(standby), error }) => {
                        // Somebody was quicker: that one is followed.
                        if !may_pass(&error) {
                            return Err(refused(error, self.config));
                        }
                        self.standby = *standby;
                        self.go_on_after(&error)?;
                    }
                    Err(NotPromoted { standby: None, error }) => return Err(error.into()),
                }
            }
            if stop.sleep(TRY_LOCK) {
                return Ok(End::Stopped);
            }
        }
    }

    /// A primary that stands still takes connections and never answers them: to wait for it would
    /// hold up the take-over.
    fn pause(&self, gone_since: Option<(Instant, bool)>) -> Duration {
        let is_silent = gone_since.is_some_and(|(_, silent)| silent);
        let is_shared = self.config.standby.mode == FollowMode::Quorum;
        if is_silent && is_shared { SILENT_LINK } else { TRY_LINK }
    }

    fn authority(&mut self) -> Box<dyn Authority> {
        let confirmations = self.watch.confirmations();
        if let Some(shared) = &self.shared {
            return Box::new(shared.authority(self.copy.take(), confirmations));
        }
        match self.copy.take() {
            Some(copy) => Box::new(Attested { copy: Some(copy), confirmations }),
            None => Box::new(FolderAuthority {
                disk: Arc::clone(&self.disk),
                dir: self.config.journal_dir(),
                options: start::options(self.config, start::durability(self.args)),
                confirmations,
            }),
        }
    }

    /// A mirror never promotes itself: its primary may live beyond a broken network.
    fn may_try(&self, was_linked: bool, begun: Instant) -> bool {
        match self.config.standby.mode {
            FollowMode::Shared => was_linked || begun.elapsed() >= FIRST,
            FollowMode::Quorum => {
                was_linked || begun.elapsed() >= FIRST || self.status.is_asked_to_promote()
            }
            FollowMode::Mirror => self.status.is_asked_to_promote(),
        }
    }

    /// Whether nobody writes any more, as far as that can be known from here. What decides is the
    /// authority; this spares a primary that lives.
    fn is_free(&mut self, kill: bool) -> Result<bool> {
        let is_wanted = self.yielded || self.status.is_asked_to_promote();
        let free = match &mut self.shared {
            Some(shared) if is_wanted => shared.note_term().map(|()| true),
            Some(shared) => shared.stands_still(),
            None if self.copy.is_some() => Ok(true),
            None => return takeover::is_free(self.disk.as_ref(), self.config, kill),
        };
        Ok(free.unwrap_or_else(|error| {
            self.tell(&error.to_string());
            false
        }))
    }

    /// Where the holder of the term is reached, if that is another process.
    fn primary_elsewhere(&mut self) -> Option<String> {
        match self.shared.as_mut()?.primary_at() {
            Ok(Some((link, clients))) => {
                self.clients_at = clients;
                Some(link)
            }
            Ok(None) => None,
            Err(why) => {
                self.tell(&why.to_string());
                None
            }
        }
    }

    /// The journal was given to the authority, which did not win: it is opened again, and what came
    /// into it from the store is applied.
    fn go_on_after(&mut self, error: &RecoveryError) -> Result<()> {
        if self.config.standby.mode != FollowMode::Quorum {
            return Ok(());
        }
        self.yielded = false;
        self.status.forget_promotion();
        let copy =
            takeover::open_copy(self.config, &Domain::of(self.config)?, self.lineage, &self.disk)?;
        let skips = self.standby.skips().clone();
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.forget();
        }
        self.standby = takeover::begin_standby(self.config, Some(&copy), &self.disk, skips)?;
        self.copy = Some(copy);
        self.tell(&error.to_string());
        Ok(())
    }

    /// The journal passes over an entry that was applied here, or at which this engine was lost:
    /// begins again from before it.
    pub(super) fn go_back(&mut self, position: u64, entry: Hash) -> Result<()> {
        let mut skips = self.standby.skips().clone();
        skips.insert(position, entry)?;
        output::note(&format!(
            "the journal passes over entry {position}: this standby begins again from before it"
        ));
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.forget();
        }
        self.standby = takeover::begin_standby(self.config, self.copy.as_ref(), &self.disk, skips)?;
        Ok(())
    }

    fn connect(&mut self) -> Result<Option<Wire>> {
        let at = match self.config.standby.mode {
            FollowMode::Shared => match std::fs::read_to_string(self.config.link_address_file()) {
                Ok(at) => at,
                Err(_) => return Ok(None),
            },
            FollowMode::Mirror => self.config.standby.follow.clone(),
            FollowMode::Quorum => match self.primary_elsewhere() {
                Some(at) => at,
                None => return Ok(None),
            },
        };
        match Wire::connect(at.trim(), &self.credentials) {
            Ok(wire) => Ok(Some(wire)),
            Err(error @ WireError::Stranger(_)) => {
                Err(Report::new(Exit::WrongKey, error.to_string())
                    .at(self.config.link_dir().display().to_string())
                    .safe("nothing was sent, and nothing taken"))
            }
            Err(error) => {
                self.tell(&format!("no link to {}: {error}", at.trim()));
                Ok(None)
            }
        }
    }

    /// Says it once, not at every try.
    pub(super) fn tell(&mut self, what: &str) {
        if self.copy.is_some() && self.told != what {
            output::note(what);
            what.clone_into(&mut self.told);
        }
    }
}

/// Of an empty journal.
const LAST: Timestamp = Timestamp(0);

/// Whether another try may succeed, or another primary is to be followed.
fn may_pass(error: &RecoveryError) -> bool {
    let RecoveryError::Journal(error) = error else {
        return false;
    };
    matches!(
        error,
        JournalError::Locked { .. } | JournalError::Fenced { .. } | JournalError::SharedLog { .. }
    )
}

fn refused(error: RecoveryError, config: &Config) -> Report {
    match error {
        RecoveryError::Journal(error) => start::vanished(error, config),
        RecoveryError::Barred(bar) => barred(&bar),
        error => error.into(),
    }
}

/// A standby that must not be promoted, for people.
pub(super) fn barred(bar: &Bar) -> Report {
    Report::new(Exit::Integrity, format!("this standby is barred from promotion: {bar}"))
        .safe("the journal is not touched; the primary goes on")
        .next("evenkeel up --role standby   (begins again from a snapshot)")
}
