//! `evenkeel up` in a home without a venue: recovery points of files, drills, and who asks.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::alerts::webhook::WebhookLoop;
use super::super::approvals::ApprovalsLoop;
use super::super::clock::SystemClock;
use super::super::domain::Domain;
use super::super::doors::serve_dashboard;
use super::super::drill_loop::DrillLoop;
use super::super::files::refuse_without_keys;
use super::super::mend_loop::MendLoop;
use super::super::network::NetworkLoop;
use super::super::observed::{Observed, lock};
use super::super::stop::Stop;
use super::super::threads::{Finished, ended_early, join, spawn};
use super::super::up::place;
use super::child;
use super::demo;
use super::files_loop::FilesLoop;
use super::live::LiveLoop;
use super::status::DeskStatus;
use crate::cli::UpArgs;
use crate::config::{Config, VenueSource};
use crate::dashboard::{self, StatusSource};
use crate::documents::StatusDocument;
use crate::report::{Exit, Report, Result};
use crate::{control, output};

/// How often a line says how it goes.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// After a capture of PostgreSQL that ended by itself.
const CAPTURE_RETRY: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_millis(20);

/// Starts what protects files and databases, beside a venue or alone.
pub(crate) fn beside(
    config: &Config,
    observed: &Arc<Observed>,
    stop: &Stop,
    finished: &Sender<Finished>,
) -> Vec<JoinHandle<()>> {
    let mut threads = Vec::new();
    if FilesLoop::is_wanted(config) {
        let alone = config.venue.source == VenueSource::None;
        let (config, observed, stop) = (config.clone(), Arc::clone(observed), stop.clone());
        let files = FilesLoop { config, observed, alone };
        threads.push(spawn("files", finished.clone(), move || files.run(&stop)));
    }
    if NetworkLoop::is_wanted(config) {
        let (config, observed, stop) = (config.clone(), Arc::clone(observed), stop.clone());
        let network = NetworkLoop { config, observed };
        threads.push(spawn("network", finished.clone(), move || network.run(&stop)));
    }
    if ApprovalsLoop::is_wanted(config) {
        let (config, observed, stop) = (config.clone(), Arc::clone(observed), stop.clone());
        let watch = ApprovalsLoop { config, observed };
        threads.push(spawn("approvals", finished.clone(), move || watch.run(&stop)));
    }
    if !config.postgres.is_empty() {
        let (config, stop) = (config.clone(), stop.clone());
        threads.push(spawn("postgres", finished.clone(), move || capture(&config, &stop)));
    }
    if LiveLoop::is_wanted(config) {
        let (live, stop) = (LiveLoop::new(config, observed), stop.clone());
        threads.push(spawn("databases", finished.clone(), move || live.run(&stop)));
    }
    if WebhookLoop::is_wanted(config) {
        let (config, observed, stop) = (config.clone(), Arc::clone(observed), stop.clone());
        let hook = WebhookLoop { config, observed };
        threads.push(spawn("webhook", finished.clone(), move || hook.run(&stop)));
    }
    threads
}

/// Captures PostgreSQL in a process of its own, which is started again whatever ends it: what it
/// says last is said here.
fn capture(config: &Config, stop: &Stop) -> Result<()> {
    let words = ["postgres", "run", "--with-parent", "--config"].map(OsStr::new);
    let words: Vec<&OsStr> = words.into_iter().chain([config.file.as_os_str()]).collect();
    // A capture that is killed loses nothing: it may as well be ended so.
    while let Some(ended) = child::run(&words, stop, Duration::ZERO) {
        let why = match ended {
            Ok(ended) => ended.why(),
            Err(why) => why,
        };
        output::note(&format!("postgres: {why}"));
        if stop.sleep(CAPTURE_RETRY) {
            break;
        }
    }
    Ok(())
}

/// Runs until asked to stop.
///
/// # Errors
/// What prevents the start; [`Exit::Locked`] if another daemon runs in this home.
pub(crate) fn run(config: &Config, args: &UpArgs, stop: &Stop) -> Result<Exit> {
    refuse_venue_options(args)?;
    refuse_nothing_to_do(config)?;
    refuse_without_keys(config)?;
    let mut daemon = DeskDaemon::start(config, stop)?;
    if args.demo.is_some() {
        let config = config.clone();
        daemon.begin("bot", move |stop| demo::keep_bot(&config, stop));
    }
    let result = daemon.watch(args);
    daemon.end();
    result.map(|()| Exit::Ok)
}

fn refuse_venue_options(args: &UpArgs) -> Result<()> {
    let given = [
        ("--role", args.role.is_some()),
        ("--log", args.log.is_some()),
        ("--rate", args.rate.is_some()),
        ("--seed", args.seed.is_some()),
        ("--accounts", args.accounts.is_some()),
        ("--ack-log", args.ack_log.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => Err(Report::new(
            Exit::Usage,
            format!("{option} is for a venue, and this home has none"),
        )
        .safe("nothing was started")
        .next("leave it out")),
    }
}

fn refuse_nothing_to_do(config: &Config) -> Result<()> {
    let wanted = [FilesLoop::is_wanted, LiveLoop::is_wanted, NetworkLoop::is_wanted];
    if wanted.iter().any(|is_wanted| is_wanted(config)) {
        return Ok(());
    }
    let what = match config.files.paths.is_empty() && config.postgres.is_empty() {
        true => "this home protects nothing yet: it has no venue, and files.paths is empty",
        false => {
            "this home is to make no recovery points: it has no venue, and files.every_seconds = 0"
        }
    };
    let home = config.home().display();
    Err(Report::new(Exit::Usage, what)
        .at(config.file.display().to_string())
        .safe("nothing was started; its recovery points are as they were")
        .next(format!("evenkeel protect PATH --home {home}")))
}

struct DeskDaemon {
    config: Config,
    status: Arc<DeskStatus>,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
    finished: (Sender<Finished>, Receiver<Finished>),
    _control: control::Handle,
    dashboard: Option<dashboard::ServerHandle>,
}

impl DeskDaemon {
    fn start(config: &Config, stop: &Stop) -> Result<Self> {
        let domain = Domain::of(config)?;
        let (clock, observed) = (SystemClock::new(), Arc::new(Observed::default()));
        for name in &domain.settings.sites {
            lock(&observed.sites).entry(name.clone()).or_default();
        }
        let asked = stop.clone();
        let status = Arc::new(DeskStatus {
            config: config.clone(),
            observed: Arc::clone(&observed),
            clock,
            started: Instant::now(),
            layout: domain.layout,
            stop: Box::new(move || asked.set()),
        });
        let control = control::serve(&config.control_socket(), Arc::clone(&status) as _)?;
        let source = Arc::clone(&status) as Arc<dyn StatusSource>;
        let dashboard = serve_dashboard(config, &source)?;
        let mut daemon = Self {
            config: config.clone(),
            status,
            stop: stop.clone(),
            threads: Vec::new(),
            finished: channel(),
            _control: control,
            dashboard,
        };
        daemon.threads = beside(config, &observed, stop, &daemon.finished.0);
        let (sites, trust) = (domain.sites(), domain.trust);
        let mend = MendLoop { sites, trust, observed: Arc::clone(&observed) };
        daemon.begin("mending", |stop| mend.run(stop));
        let drills = DrillLoop { config: config.clone(), observed };
        daemon.begin("drills", |stop| drills.run(stop));
        Ok(daemon)
    }

    fn begin(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&Stop) -> Result<()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        let thread = spawn(name, self.finished.0.clone(), move || work(&stop));
        self.threads.push(thread);
    }

    /// Waits until asked to stop, saying now and then how it goes.
    fn watch(&mut self, args: &UpArgs) -> Result<()> {
        self.say_where(args.demo.is_some());
        let deadline = args.exit_after.map(|after| Instant::now() + Duration::from_secs(after));
        let mut next_line = Instant::now() + Duration::from_secs(3);
        while !self.stop.sleep(BEAT) {
            if let Ok((name, result)) = self.finished.1.try_recv() {
                return Err(result.err().unwrap_or_else(|| ended_early(name)));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.stop.set();
            }
            if Instant::now() >= next_line {
                output::note(&line(&self.status.status()));
                next_line = Instant::now() + REPORT_EVERY;
            }
        }
        Ok(())
    }

    fn say_where(&self, is_demo: bool) {
        let place = place(&self.config);
        if let Some(dashboard) = &self.dashboard {
            output::note(&format!("dashboard  http://{}/", dashboard.local_addr()));
        }
        output::note(&format!("status     evenkeel status{place}"));
        if is_demo {
            demo::say_what_to_break(&self.config);
        }
        output::note("end        Ctrl-C\n");
    }

    fn end(mut self) {
        self.stop.set();
        self.threads.drain(..).for_each(join);
        let status = self.status.status();
        for source in &status.protected {
            let until = source.time.as_deref().unwrap_or("nothing of this run");
            output::note(&format!("ended; the sites hold {} as of {until}", source.name));
        }
    }
}

/// One line about every source.
fn line(status: &StatusDocument) -> String {
    let mut parts: Vec<String> = status
        .protected
        .iter()
        .map(|source| {
            let age = source
                .rpo_seconds
                .map_or_else(|| "not at the sites yet".to_owned(), |age| format!("{age:.1} s old"));
            let margin = source.margin.map_or_else(String::new, |it| format!(", margin {it}"));
            format!("{} {} ({age}{margin})", source.name, source.state.word())
        })
        .collect();
    parts.push(status.last_drill.as_ref().map_or_else(
        || "no drill yet".to_owned(),
        |drill| {
            let rto = drill.rto_seconds.map_or_else(String::new, |rto| format!(", RTO {rto:.2} s"));
            format!("{} drill {}{rto}", drill.level.word(), drill.result.word())
        },
    ));
    parts.join("  ")
}
