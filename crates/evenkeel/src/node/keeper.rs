//! `evenkeel up` of a demonstration: keeps a primary and a standby running in one home, trades with
//! whichever is the primary, and measures what a change of it costs.
//!
//! ```text
//!  keeper ── clients ─▸ clients-a.sock   primary ─▸ journal
//!    │  └─── dashboard    clients-b.sock   standby ◂──┘
//!    └─ starts both, starts again what ended
//! ```
//!
//! It decides nothing about who is the primary: that is the lock of the journal's folder, and
//! clients find out by asking.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_recovery::Clock as _;
use evenkeel_types::codec::Canonical as _;
use evenkeel_types::{SessionId, Timestamp};

use super::client_line::{Line, probe};
use super::clients::{self, AckLog, ClientContext};
use super::clock::SystemClock;
use super::doors::{serve_dashboard, status_line};
use super::gateway::Way as _;
use super::keeper_children::{Kept, end_in_words, exit_of};
use super::keeper_failover::{Failover, in_words};
use super::keeper_status::{KeeperStatus, Known, Wanted};
use super::market::OpenMarket;
use super::observed::lock;
use super::stop::Stop;
use super::up::{SESSIONS_PER_TERM, place};
use crate::cli::{Slot, UpArgs};
use crate::config::Config;
use crate::dashboard::StatusSource as _;
use crate::documents::{ConditionDocument, FailoverDocument, FailoverKind, Severity};
use crate::report::{Exit, Report, Result};
use crate::{control, dashboard, output};

const BEAT: Duration = Duration::from_millis(10);
/// How often a line says how it goes.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// A process that ended in failure no longer ago than this was not replaced in good order.
const JUST_NOW: Duration = Duration::from_secs(2);
/// Processes of a keeper that was killed may hold the journal for a moment.
const LOCKED_PATIENCE: Duration = Duration::from_secs(10);

/// Runs it until asked to stop.
pub(crate) fn run(config: &Config, args: &UpArgs, stop: &Stop) -> Result<Exit> {
    let ack_log = args.ack_log.as_deref().map(AckLog::open).transpose()?;
    let (kill, wanted) = channel();
    let status = Arc::new(KeeperStatus {
        config: config.clone(),
        meter: Arc::default(),
        stop: stop.clone(),
        known: Mutex::new(Known::default()),
        kill: Mutex::new(kill),
    });
    let control = control::serve(&config.control_socket(), Arc::clone(&status) as _)?;
    let mut keeper = Keeper {
        config: config.clone(),
        args: args.clone(),
        stop: stop.clone(),
        kept: Slot::ALL.map(Kept::new),
        status,
        wanted,
        failover: None,
        ended_badly: None,
        term: 0,
        next_failover: None,
        clients: Vec::new(),
        _control: control,
    };
    let result = keeper.keep(ack_log);
    let ended = keeper.end();
    result.and_then(|exit| match exit {
        Exit::Ok => ended,
        exit => Ok(exit),
    })
}

struct Keeper {
    config: Config,
    args: UpArgs,
    stop: Stop,
    kept: [Kept; 2],
    status: Arc<KeeperStatus>,
    wanted: Receiver<Wanted>,
    failover: Option<Failover>,
    /// When a process last ended in failure.
    ended_badly: Option<Instant>,
    /// Of the primary whose beginning was last noticed.
    term: u64,
    next_failover: Option<Instant>,
    clients: Vec<JoinHandle<()>>,
    _control: control::Handle,
}

impl Keeper {
    fn keep(&mut self, ack_log: Option<AckLog>) -> Result<Exit> {
        let market = match self.first_market()? {
            Ok(market) => market,
            Err(exit) => return Ok(exit),
        };
        self.start_clients(market, ack_log);
        let source = Arc::clone(&self.status) as Arc<dyn dashboard::StatusSource>;
        let dashboard = serve_dashboard(&self.config, &source)?;
        if let Some(dashboard) = &dashboard {
            output::note(&format!("dashboard  http://{}/", dashboard.local_addr()));
        }
        let place = place(&self.config);
        output::note(&format!("status     evenkeel status{place}"));
        output::note(&format!("break it   evenkeel demo kill-primary{place}"));
        output::note("end        Ctrl-C; or kill -9: the next start recovers by itself\n");
        self.watch()
    }

    /// Starts the first primary and waits until it has a market; its exit code if it cannot.
    fn first_market(&mut self) -> Result<Result<OpenMarket, Exit>> {
        let begun = Instant::now();
        while !self.stop.is_set() {
            if self.kept[0].is_due() {
                self.kept[0].start("primary", &self.config, &self.args)?;
            }
            if let Some(status) = self.kept[0].take_end() {
                let exit = exit_of(status);
                let is_held = exit == Exit::Locked && begun.elapsed() <= LOCKED_PATIENCE;
                // Killed, it has nothing against being started again.
                let is_killed = status.code().is_none();
                if is_killed {
                    output::note(&format!("the primary {}", end_in_words(status)));
                }
                if !is_held && !is_killed {
                    return Ok(Err(exit));
                }
            }
            if let Some(text) = self.status.market() {
                return read_market(&text).map(Ok);
            }
            self.stop.sleep(BEAT);
        }
        Ok(Err(Exit::Ok))
    }

    fn start_clients(&mut self, market: OpenMarket, ack_log: Option<AckLog>) {
        let (clock, venue) = (SystemClock::new(), &self.config.venue);
        let addresses = Slot::ALL.map(|slot| self.config.clients_socket(Some(slot)));
        let meter = Arc::clone(&self.status.meter);
        let mut line = Line::new("demonstration", &addresses, self.stop.clone(), meter);
        // Clients of a keeper before this one are gone.
        if line.submit(market.farewells()).is_none() {
            return;
        }
        // Sessions begin with the first primary's term, and outlive it.
        let session = market.term * SESSIONS_PER_TERM;
        let context = ClientContext {
            way: Box::new(line),
            clock,
            stop: self.stop.clone(),
            ack_log,
            session: SessionId(session),
        };
        let (plan, prices) = market.reopen(venue.seed, Timestamp(clock.wall_ns()));
        let pace = (venue.seed, venue.commands_per_second);
        self.clients =
            clients::start(&context, &plan, prices, pace, SessionId(session + SERIES_SESSION));
    }

    fn watch(&mut self) -> Result<Exit> {
        let after = self.args.exit_after.map(Duration::from_secs);
        let deadline = after.map(|after| Instant::now() + after);
        let mut next_line = Instant::now() + Duration::from_secs(3);
        self.plan_failover();
        while !self.stop.sleep(BEAT) {
            if let Some(exit) = self.mind_children()? {
                return Ok(exit);
            }
            self.mind_failover();
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.stop.set();
            }
            if Instant::now() >= next_line {
                output::note(&status_line(&self.status.status()));
                next_line = Instant::now() + REPORT_EVERY;
            }
        }
        Ok(Exit::Ok)
    }

    /// The slot of the present primary, as clients found it.
    fn primary(&self) -> usize {
        self.status.meter.primary().map_or(0, |found| found.at)
    }

    /// Starts again what ended. An exit code: there is no primary, and none can be started.
    fn mind_children(&mut self) -> Result<Option<Exit>> {
        for at in 0..self.kept.len() {
            let Some(status) = self.kept[at].take_end() else {
                continue;
            };
            let (slot, was_primary) = (self.kept[at].slot, self.primary() == at);
            let role = if was_primary { "primary" } else { "standby" };
            output::note(&format!("the {role} (process {slot}) {}", end_in_words(status)));
            let alone = !self.kept[1 - at].runs();
            if alone && matches!(exit_of(status), Exit::Integrity | Exit::Usage | Exit::WrongKey) {
                return Ok(Some(exit_of(status)));
            }
            if was_primary && self.failover.is_none() {
                self.failover = Some(Failover::new(FailoverKind::Unplanned, self.term));
            }
            // Its standby may have been quicker than this look: nothing was handed over, then.
            if !status.success() {
                self.ended_badly = Some(Instant::now());
                if let Some(failover) = &mut self.failover {
                    failover.was_not_planned();
                }
            }
        }
        for at in 0..self.kept.len() {
            if self.kept[at].is_due() {
                // With nobody else there, nobody else can be the primary.
                let role = if self.kept[1 - at].runs() { "standby" } else { "primary" };
                self.kept[at].start(role, &self.config, &self.args)?;
            }
        }
        Ok(None)
    }

    fn mind_failover(&mut self) {
        let term = self.status.meter.primary().map_or(0, |found| found.term);
        if self.term == 0 {
            self.term = term;
        }
        // Nobody died, and another one is the primary: it was handed over.
        if self.failover.is_none() && term > self.term {
            let died = self.ended_badly.is_some_and(|at| at.elapsed() < JUST_NOW);
            let kind = if died { FailoverKind::Unplanned } else { FailoverKind::Planned };
            self.failover = Some(Failover::new(kind, self.term));
        }
        while let Ok(wanted) = self.wanted.try_recv() {
            self.kill_primary(Some(wanted));
        }
        if self.next_failover.is_some_and(|at| Instant::now() >= at) {
            self.plan_failover();
            self.kill_primary(None);
        }
        let Some(failover) = &mut self.failover else {
            return;
        };
        let journal = self.config.journal_dir();
        if let Some(result) = failover.look(&self.status.meter, journal) {
            self.conclude(result);
        }
    }

    fn plan_failover(&mut self) {
        let every = u64::from(self.config.demo.failover_every_minutes);
        let every = (every > 0).then(|| Duration::from_secs(every * 60));
        self.next_failover = every.map(|every| Instant::now() + every);
    }

    /// Kills the primary if a standby can take over; without one it would only be a restart.
    fn kill_primary(&mut self, wanted: Option<Wanted>) {
        let at = self.primary();
        let standby = self.config.clients_socket(Some(self.kept[1 - at].slot));
        let is_ready = self.failover.is_none()
            && self.kept[at].runs()
            && self.kept[1 - at].runs()
            && probe(&standby).is_some_and(|term| term >= self.term);
        if !is_ready {
            if let Some(wanted) = wanted {
                let report = Report::new(Exit::NothingYet, "no standby is ready to take over")
                    .safe("nothing was killed")
                    .next("evenkeel demo kill-primary   (again, in a moment)");
                // Whoever asked may have gone.
                let _ = wanted.send(Err(report.to_document()));
            }
            return;
        }
        let slot = self.kept[at].slot;
        output::note(&format!("kill -9 of the primary (process {slot})"));
        let mut failover = Failover::new(FailoverKind::Killed, self.term);
        failover.wanted.extend(wanted);
        self.failover = Some(failover);
        self.kept[at].kill();
    }

    fn conclude(&mut self, result: Result<FailoverDocument>) {
        let wanted = self.failover.take().map(|it| it.wanted).unwrap_or_default();
        self.term = self.status.meter.primary().map_or(self.term, |found| found.term);
        match &result {
            Ok(document) => {
                output::note(&in_words(document));
                self.remember(document);
            }
            Err(report) => output::note(&report.to_string()),
        }
        let answer = result.map_err(|report| report.to_document());
        for wanted in wanted {
            // Whoever asked may have gone.
            let _ = wanted.send(answer.clone());
        }
    }

    fn remember(&self, document: &FailoverDocument) {
        let mut known = lock(&self.status.known);
        known.failovers += 1;
        known.failover = Some(document.clone());
        if document.acknowledged_lost > 0 || document.applied_twice > 0 {
            let (lost, twice) = (document.acknowledged_lost, document.applied_twice);
            known.conditions.push(ConditionDocument {
                kind: "failover_unclean".to_owned(),
                severity: Severity::Critical,
                message: format!(
                    "at the failover to term {} {lost} acknowledgements were lost and {twice} \
                     commands applied twice",
                    document.term
                ),
                safe: "the journal is intact as far as it goes; the sites hold every record".into(),
                next: "evenkeel journal verify".to_owned(),
            });
        }
    }

    /// Ends the clients, then the standby, so that it does not take over, then the primary.
    fn end(&mut self) -> Result<Exit> {
        self.stop.set();
        for client in self.clients.drain(..) {
            // A panic of it has been reported by the hook.
            let _ = client.join();
        }
        let at = self.primary();
        let _ = self.kept[1 - at].end();
        let ended = self.kept[at].end();
        Ok(ended.map_or(Exit::Ok, exit_of))
    }
}

/// The session of the short-dated series, counted from the first.
const SERIES_SESSION: u64 = 6;

fn read_market(text: &str) -> Result<OpenMarket> {
    let bytes = crate::keyfile::unhex(text).unwrap_or_default();
    OpenMarket::from_bytes(&bytes).map_err(|error| {
        Report::new(Exit::Failed, format!("the primary's market cannot be read: {error}"))
            .safe("nothing was traded")
    })
}
