//! `evenkeel up`: recovers what is there, starts the daemon's threads, and runs until asked to
//! stop.
//!
//! ```text
//!  clients ─▸ gateway ─▸ primary ─▸ journal ─▸ acknowledgement
//!                                      │ durable watermark
//!                                      ├─▸ follower ─▸ checkpoints ─▸ points ─┐
//!                                      └─▸ shipper ─▸ tails ──────────────────┴─▸ sites ─▸ drills
//! ```

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_journal::{Disk, RealDisk};
use evenkeel_quorum::Handle;
use evenkeel_recovery::{
    Agreement, Checkpoint, Follower, JournalClock, PassedOver, Primary, Skips,
};
use evenkeel_types::SessionId;
use evenkeel_types::codec::Canonical;
use evenkeel_vault::Lineage;

use super::client_door::{ClientDoor, Duty};
use super::clients::{self, AckLog, ClientContext};
use super::clock::SystemClock;
use super::desk;
use super::domain::Domain;
use super::doors::{
    open_clients, open_link, open_soon, serve_dashboard, standby_socket, status_line,
};
use super::drill_loop::DrillLoop;
use super::follow_loop::{Checkpoints, FollowLoop};
use super::founding::{self, Market};
use super::gateway::{Gateway, Operator};
use super::keeper;
use super::keeper_children;
use super::link_door::{LinkDoor, Source};
use super::market::OpenMarket;
use super::mend_loop::MendLoop;
use super::observed::{Observed, lock};
use super::point_loop::PointLoop;
use super::primary_loop::PrimaryLoop;
use super::scrub_loop::ScrubLoop;
use super::shared_log;
use super::ship_loop::ShipLoop;
use super::snapshots::Snapshots;
use super::standby::{self, End, Won};
use super::start::{self, Recovered};
use super::status::Status;
use super::stop::Stop;
use super::succession;
use super::suspect;
use super::threads::{Finished, ended_early, join, spawn};
use super::vault_writer::{JournalView, VaultWriter};
use crate::cli::{Place, Role, Slot, UpArgs};
use crate::config::{Config, Finding, FollowMode, VenueSource};
use crate::dashboard::StatusSource as _;
use crate::report::{Exit, Result};
use crate::{control, dashboard, init, output, signals};

/// How often a line says how it goes.
const REPORT_EVERY: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_millis(20);

/// Runs the command.
pub(crate) fn run(args: &UpArgs) -> Result<Exit> {
    let config = desk::demonstration(args)?.map_or_else(|| configuration(args), Ok)?;
    // Before the rules: a copy for inspection has no writer keys, and need not mend that.
    super::restore_cmd::refuse_unpromoted(&config)?;
    let findings = config.refuse()?;
    if args.slot.is_none() {
        tell_findings(&config, &findings);
    }
    let stop = Stop::default();
    let asked = stop.clone();
    signals::on_stop(move |why| {
        output::note(&format!("\n{why}: ending cleanly"));
        asked.set();
    })?;
    if args.slot.is_some() {
        keeper_children::die_with_keeper(&stop);
    }
    if config.venue.source == VenueSource::None {
        return desk::run(&config, args, &stop);
    }
    let is_here = config.standby.mode == FollowMode::Shared;
    if args.role == Some(Role::Keeper) || (args.role.is_none() && is_here) {
        return keeper::run(&config, args, &stop);
    }
    // Which of several hosts is the primary the shared log decides: each begins as a standby.
    let begins_as_standby =
        args.role == Some(Role::Standby) || config.standby.mode == FollowMode::Quorum;
    let mut daemon = if begins_as_standby {
        match standby::run(&config, args, &standby_socket(&config, args), &stop)? {
            End::Stopped => return Ok(Exit::Ok),
            End::Won(won) => Daemon::promoted(&config, args, &stop, *won)?,
        }
    } else {
        Daemon::start(&config, args, &stop)?
    };
    let result = daemon.watch(args);
    let link = &daemon.live.observed.link;
    if link.handed_over().is_some() || link.is_fenced() {
        return Err(succession::become_standby(&daemon.live.observed.link));
    }
    // What this process would still send to the sites, its successor sends; it waits for this end.
    if result.is_err() && !daemon.live.observed.link.standbys().is_empty() {
        return result;
    }
    let ended = daemon.end();
    result.and_then(|exit| ended.map(|()| exit))
}

/// A primary whose `Resume` is journaled, with what its daemon needs.
struct Begun {
    primary: Primary,
    time: JournalClock,
    clock: SystemClock,
    agreement: Arc<Agreement>,
    lineage: Lineage,
    /// Durable position before its term.
    began_at: u64,
    /// Where the follower starts; `None`: at the newest snapshot of this home.
    checkpoint: Option<Checkpoint>,
    /// What the follower passes over, and what the journal says of it since this term.
    skips: Skips,
    passed_over: Vec<PassedOver>,
    door: Option<ClientDoor>,
    /// Of a log that several hosts share.
    shared: Option<Handle>,
    observed: Arc<Observed>,
}

/// The warnings in one line each kind; all of them with their remedies are for `config check`.
pub(super) fn tell_findings(config: &Config, findings: &[Finding]) {
    let Some(first) = findings.first() else {
        return;
    };
    output::note(&format!("{}: {}", first.severity.word(), first.message));
    if findings.len() > 1 {
        output::note(&format!(
            "and {} more about this configuration: evenkeel config check{}",
            findings.len() - 1,
            place(config)
        ));
    }
}

/// What has to be added to a command so that it is about this home; nothing for the default one.
pub(super) fn place(config: &Config) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let file = config.file.strip_prefix(&here).unwrap_or(&config.file);
    if file == Place::default().file() {
        return String::new();
    }
    format!(" --config {}", file.display())
}

pub(super) fn configuration(args: &UpArgs) -> Result<Config> {
    let file = args.place.file();
    let mut config = if file.exists() || args.place.names_a_file() {
        Config::load(&file)?
    } else {
        let home = args.place.home();
        let config = init::init_home(&home, &init::InitOptions::default())?;
        output::note(&format!("laid out a new home in {}", home.display()));
        output::note(&format!("move away: {}\n", init::recovery_words(&home)));
        config
    };
    let venue = &mut config.venue;
    venue.commands_per_second = args.rate.unwrap_or(venue.commands_per_second);
    venue.seed = args.seed.unwrap_or(venue.seed);
    venue.accounts = args.accounts.unwrap_or(venue.accounts);
    config.dashboard.bind = args.dashboard.unwrap_or(config.dashboard.bind);
    if let Some(log) = &args.log {
        config.follow_quorum(log)?;
    }
    Ok(config)
}

/// Sessions that each term uses for itself, so that sequences start afresh.
pub(super) const SESSIONS_PER_TERM: u64 = 8;

/// What every thread shares.
struct Live {
    config: Config,
    clock: SystemClock,
    observed: Arc<Observed>,
    agreement: Arc<Agreement>,
    journal: JournalView,
    vault: Arc<VaultWriter>,
    lineage: Lineage,
    gateway: Gateway,
    term: u64,
    shared: Option<Handle>,
}

impl Live {
    fn follower(&self, checkpoint: &Checkpoint) -> Result<Follower> {
        let (journal, agreement) = (&self.journal, Arc::clone(&self.agreement));
        let (disk, watermark) = (Arc::clone(&journal.disk), journal.watermark.clone());
        Ok(Follower::start(checkpoint, disk, &journal.dir, watermark, agreement)?)
    }

    /// One of this term's sessions.
    fn session(&self, number: u64) -> SessionId {
        SessionId(self.term * SESSIONS_PER_TERM + number)
    }
}

/// The running threads.
struct Daemon {
    live: Live,
    status: Arc<Status>,
    /// Asks clients and primary to end.
    stop: Stop,
    /// Asks those that read the journal to end, once the primary has closed it.
    stop_readers: Stop,
    writing: Vec<JoinHandle<()>>,
    reading: Vec<JoinHandle<()>>,
    finished: (Sender<Finished>, Receiver<Finished>),
    _control: control::Handle,
    _clients: ClientDoor,
    /// Open until this process ends: its end is what standbys wait for.
    _link: LinkDoor,
    dashboard: Option<dashboard::ServerHandle>,
}

impl Daemon {
    fn start(config: &Config, args: &UpArgs, stop: &Stop) -> Result<Self> {
        let clock = SystemClock::new();
        let domain = Domain::of(config)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let recovered = start::recover(config, &domain, &disk, start::durability(args))?;
        recovered.account.iter().for_each(|line| output::note(line));
        let Recovered { log, booted, end, lineage, term, passed_over, .. } = recovered;
        let observed = Arc::new(Observed::default());
        start::show(&observed, end, args);
        let agreement = Arc::new(Agreement::new());
        let mut time = JournalClock::start(&clock, booted.engine.time());
        let began_at = log.next();
        let (board, now) = (Arc::clone(&agreement), time.now(&clock));
        let primary = Primary::begin_in_term(Box::new(log), booted.engine, board, now, term)?;
        let (checkpoint, skips) = (Some(booted.checkpoint), booted.skips);
        let door = None;
        let begun = Begun {
            primary,
            time,
            clock,
            agreement,
            lineage,
            began_at,
            checkpoint,
            skips,
            passed_over,
            door,
            shared: None,
            observed,
        };
        Self::begin(config, args, stop, begun)
    }

    /// Goes on as the primary that a standby has become. Nothing here may wait for the sites: it
    /// stands between clients and their next acknowledgement.
    fn promoted(config: &Config, args: &UpArgs, stop: &Stop, won: Won) -> Result<Self> {
        let Won { primary, time, clock, agreement, lineage, door, shared, since, .. } = won;
        let observed = Arc::new(Observed::default());
        let began_at = primary.log().next();
        // One that is no keeper's takes clients where the primary before did.
        let stays = args.slot.is_some() || config.clients.listen.is_some();
        let door = stays.then_some(door);
        let begun = Begun {
            primary,
            time,
            clock,
            agreement,
            lineage,
            began_at,
            checkpoint: None,
            skips: won.skips,
            passed_over: won.passed_over,
            door,
            shared,
            observed,
        };
        let daemon = Self::begin(config, args, stop, begun)?;
        let (term, waited) = (daemon.live.term, since.elapsed().as_secs_f64());
        output::note(&format!(
            "primary of term {term}, {waited:.3} s after the one before was gone"
        ));
        Ok(daemon)
    }

    fn begin(config: &Config, args: &UpArgs, stop: &Stop, begun: Begun) -> Result<Self> {
        let (started, slot) = (Instant::now(), args.slot);
        let Begun { mut primary, mut time, clock, agreement, lineage, began_at, observed, .. } =
            begun;
        let domain = Domain::of(config)?;
        let ack_log = args.ack_log.as_deref().map(AckLog::open).transpose()?;
        let journal = JournalView {
            disk: Arc::new(RealDisk),
            dir: primary.log().dir().to_owned(),
            watermark: primary.log().watermark(),
            base: primary.log().base().position,
            begins: primary.log().base().clone(),
        };
        let market = founding::market(config, primary.engine(), time.now(&clock));
        let batch_max = config.journal.batch_max_entries as usize;
        founding::found(&mut primary, &market, &mut time, &clock, batch_max, slot.is_none())?;
        *lock(&observed.market) = Some(OpenMarket::of(primary.engine()));
        suspect::look(&config.host.data, primary.engine())?;
        suspect::show(&observed.conditions, &config.host.data, &begun.passed_over);
        let is_next = begun.checkpoint.is_none();
        let (gateway, intake) = Gateway::new();
        let term = primary.log().term();
        let proof = begun.shared.as_ref().map(|_| Arc::clone(&observed));
        let live = Live {
            config: config.clone(),
            clock,
            observed: Arc::clone(&observed),
            agreement,
            journal,
            vault: Arc::new(VaultWriter::new(config.clone(), began_at, proof)),
            lineage,
            gateway,
            term,
            shared: begun.shared.clone(),
        };
        let primary = PrimaryLoop {
            primary,
            journal_clock: time,
            clock,
            observed,
            trades: 0,
            liquidations: 0,
            refuses: false,
            folder: config.host.data.clone(),
            proved_wrong: false,
            shared: begun.shared,
        };
        let mut daemon =
            Self::with_doors(live, &domain, stop, started, (slot, begun.door, is_next))?;
        let (journal_config, stop) = (config.journal.clone(), stop.clone());
        daemon.write("primary", move || primary.run(&intake, &journal_config, &stop));
        let checkpoint = match begun.checkpoint {
            Some(checkpoint) => checkpoint,
            None => Snapshots::newest(&config.snapshots_dir(), &begun.skips)?,
        };
        daemon.start_readers(&domain, &checkpoint, begun.skips)?;
        // The keeper's own processes serve the keeper's clients.
        if slot.is_none() {
            daemon.start_clients(market, ack_log);
        }
        Ok(daemon)
    }

    /// Opens the control socket, the clients' door and the dashboard.
    fn with_doors(
        live: Live,
        domain: &Domain<'_>,
        stop: &Stop,
        started: Instant,
        (slot, door, is_next): (Option<Slot>, Option<ClientDoor>, bool),
    ) -> Result<Self> {
        for name in &domain.settings.sites {
            lock(&live.observed.sites).entry(name.clone()).or_default();
        }
        let asked = stop.clone();
        let status = Arc::new(Status {
            config: live.config.clone(),
            observed: Arc::clone(&live.observed),
            agreement: Arc::clone(&live.agreement),
            watermark: live.journal.watermark.clone(),
            clock: live.clock,
            started,
            lineage: live.lineage.to_string(),
            layout: domain.layout,
            vault: Arc::clone(&live.vault),
            stop: Box::new(move || asked.set()),
        });
        let socket = match slot {
            Some(slot) => live.config.control_socket_of(slot),
            None => live.config.control_socket(),
        };
        let control = open_soon(is_next, || control::serve(&socket, Arc::clone(&status) as _))?;
        let clients = open_clients(&live.config, domain, (slot, door, is_next), duty(&live))?;
        let source = Source {
            lineage: live.lineage.0,
            term: live.term,
            journal: live.journal.clone(),
            observed: Arc::clone(&live.observed),
        };
        let link = open_soon(is_next, || open_link(&live.config, domain, source.clone()))?;
        let source = Arc::clone(&status) as Arc<dyn dashboard::StatusSource>;
        let dashboard = serve_dashboard(&live.config, &source)?;
        Ok(Self {
            live,
            status,
            stop: stop.clone(),
            stop_readers: Stop::default(),
            writing: Vec::new(),
            reading: Vec::new(),
            finished: channel(),
            _control: control,
            _clients: clients,
            _link: link,
            dashboard,
        })
    }

    fn write(&mut self, name: &'static str, work: impl FnOnce() -> Result<()> + Send + 'static) {
        let thread = spawn(name, self.finished.0.clone(), work);
        self.writing.push(thread);
    }

    fn read(&mut self, name: &'static str, work: impl FnOnce() -> Result<()> + Send + 'static) {
        let thread = spawn(name, self.finished.0.clone(), work);
        self.reading.push(thread);
    }

    /// Follower, shipper, recovery points, drills.
    fn start_readers(
        &mut self,
        domain: &Domain<'_>,
        checkpoint: &Checkpoint,
        skips: Skips,
    ) -> Result<()> {
        let live = &self.live;
        let (config, journal) = (&live.config, &live.journal);
        let (checkpoints, requests) = Checkpoints::new();
        let follow = FollowLoop {
            follower: live.follower(checkpoint)?.passing_over(skips),
            host: config.host.data.clone(),
            watermark: journal.watermark.clone(),
            requests,
            observed: Arc::clone(&live.observed),
        };
        let ship = ShipLoop {
            shipper: None,
            vault: Arc::clone(&live.vault),
            journal: journal.clone(),
            clock: live.clock,
            observed: Arc::clone(&live.observed),
            operator: Operator::new(live.gateway.clone(), live.session(1)),
            interval: Duration::from_millis(config.recovery.tail_interval_ms),
            spool_limit_bytes: config.recovery.spool_limit_bytes,
        };
        let keep = config.recovery.snapshot_keep as usize;
        let points = PointLoop {
            maker: None,
            checkpoints,
            snapshots: Snapshots::new(config.snapshots_dir(), keep),
            vault: Arc::clone(&live.vault),
            lineage: live.lineage,
            sites: domain.sites(),
            trust: domain.trust,
            janitors: domain.janitors(),
            journal: journal.clone(),
            clock: live.clock,
            observed: Arc::clone(&live.observed),
            config: config.recovery.clone(),
            planned: std::collections::BTreeMap::new(),
        };
        let drills = DrillLoop { config: config.clone(), observed: Arc::clone(&live.observed) };
        let mend = MendLoop {
            sites: domain.sites(),
            trust: domain.trust,
            observed: Arc::clone(&live.observed),
        };
        let stop = self.stop_readers.clone();
        self.read("follower", {
            let stop = stop.clone();
            move || follow.run(&stop)
        });
        self.read("points", {
            let stop = stop.clone();
            move || points.run(&stop)
        });
        self.read("shipper", move || ship.run(&stop));
        let stop = self.stop.clone();
        self.write("drills", {
            let stop = stop.clone();
            move || drills.run(&stop)
        });
        self.write("mending", move || mend.run(&stop));
        let (stop, finished) = (&self.stop, &self.finished.0);
        let beside = desk::beside(&self.live.config, &self.live.observed, stop, finished);
        self.writing.extend(beside);
        self.start_scrub();
        Ok(())
    }

    fn start_scrub(&mut self) {
        let live = &self.live;
        let scrub = ScrubLoop {
            journal: live.journal.clone(),
            clock: live.clock,
            observed: Arc::clone(&live.observed),
            every_hours: live.config.journal.scrub_every_hours,
        };
        let stop = self.stop.clone();
        self.write("scrub", move || scrub.run(&stop));
    }

    fn start_clients(&mut self, market: Market, ack_log: Option<AckLog>) {
        let live = &self.live;
        let context = ClientContext {
            way: Box::new(live.gateway.clone()),
            clock: live.clock,
            stop: self.stop.clone(),
            ack_log,
            session: live.session(0),
        };
        let venue = &live.config.venue;
        let Market { plan, prices, .. } = market;
        let threads = clients::start(
            &context,
            &plan,
            prices,
            (venue.seed, venue.commands_per_second),
            live.session(6),
        );
        self.writing.extend(threads);
    }

    /// Waits until asked to stop, saying now and then how it goes.
    fn watch(&mut self, args: &UpArgs) -> Result<Exit> {
        if args.slot.is_none() {
            self.say_where();
        }
        let deadline = args.exit_after.map(|after| Instant::now() + Duration::from_secs(after));
        let mut next_line = Instant::now() + Duration::from_secs(3);
        while !self.stop.sleep(BEAT) {
            if let Some(shared) = &self.live.shared {
                shared_log::show(shared, &self.live.observed.conditions);
            }
            if let Ok((name, result)) = self.finished.1.try_recv() {
                if result.is_err() && self.live.shared.is_some() {
                    shared_log::await_fencing(&self.live.observed.link);
                }
                self.stop.set();
                let link = &self.live.observed.link;
                if link.handed_over().is_some() || link.is_fenced() {
                    return Ok(Exit::Ok);
                }
                let why = result.err().unwrap_or_else(|| ended_early(name));
                return Err(why);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.stop.set();
            }
            if args.slot.is_none() && Instant::now() >= next_line {
                output::note(&status_line(&self.status.status()));
                next_line = Instant::now() + REPORT_EVERY;
            }
        }
        Ok(Exit::Ok)
    }

    fn say_where(&self) {
        let place = place(&self.live.config);
        if let Some(dashboard) = &self.dashboard {
            output::note(&format!("dashboard  http://{}/", dashboard.local_addr()));
        }
        output::note(&format!("status     evenkeel status{place}"));
        output::note("end        Ctrl-C; or kill -9: the next start recovers by itself\n");
    }

    /// Ends clients and primary first, so that the readers can ship what was acknowledged last.
    fn end(mut self) -> Result<()> {
        self.stop.set();
        if let Some(shared) = &self.live.shared {
            shared_log::end_waiting(shared, &self.writing);
        }
        self.writing.drain(..).for_each(join);
        self.stop_readers.set();
        self.reading.drain(..).for_each(join);
        let mut result = Ok(());
        while let Ok((_, finished)) = self.finished.1.try_recv() {
            result = result.and(finished);
        }
        let status = self.status.status();
        output::note(&format!(
            "ended at position {}; the sites hold everything before {}",
            status.journal.durable_position, status.tail.shipped_position
        ));
        result
    }
}

/// What this primary is to clients.
fn duty(live: &Live) -> Duty {
    let market = lock(&live.observed.market).as_ref().map(Canonical::to_bytes);
    let (gateway, term) = (live.gateway.clone(), live.term);
    Duty::Serves { gateway, term, market: Arc::new(market.unwrap_or_default()) }
}
