//! `evenkeel postgres run`: captures the configured clusters until it is ended, and has the sites
//! confirm where that was promised.

use std::time::{Duration, Instant};

use evenkeel_capture::postgres::Lsn;

use super::super::files::make_point;
use super::super::keeper_children::die_with_keeper;
use super::super::stop::Stop;
use super::session::Session;
use crate::cli::{BackupArgs, PostgresRunArgs};
use crate::config::{Config, Confirm, PostgresConfig};
use crate::report::{Exit, Report, Result};
use crate::{output, signals};

const BEAT: Duration = Duration::from_millis(20);
/// After a point that could not be made.
const RETRY: Duration = Duration::from_secs(2);
/// After a cluster that needs somebody's doing, while others are captured.
const PARKED: Duration = Duration::from_secs(30);

/// Runs the command.
pub(crate) fn run(args: &PostgresRunArgs) -> Result<Exit> {
    let config = args.place.load()?;
    config.refuse()?;
    let stop = Stop::default();
    let asked = stop.clone();
    signals::on_stop(move |why| {
        output::note(&format!("\n{why}: ending cleanly"));
        asked.set();
    })?;
    if args.with_parent {
        die_with_keeper(&stop);
    }
    if config.postgres.is_empty() {
        return Err(Report::new(Exit::Usage, "no [[postgres]] is configured")
            .at(config.file.display().to_string())
            .safe("nothing was started")
            .next("evenkeel protect postgresql://ROLE@HOST/DATABASE"));
    }
    let mut running = Running { config: &config, sessions: Vec::new(), parked: Vec::new() };
    for of in &config.postgres {
        running.sessions.push(Session::start(&config, of)?);
        output::note(&format!("postgres {}: following {}", of.name, of.url));
    }
    let ended = running.serve(&stop);
    running.sessions.into_iter().for_each(Session::end);
    ended.map(|()| Exit::Ok)
}

/// The clusters that are captured.
struct Running<'a> {
    config: &'a Config,
    sessions: Vec<Session>,
    /// Those that need somebody's doing, and when they are tried again.
    parked: Vec<(&'a PostgresConfig, Instant)>,
}

impl<'a> Running<'a> {
    fn serve(&mut self, stop: &Stop) -> Result<()> {
        let mut next = Instant::now();
        while !stop.sleep(BEAT) {
            self.park()?;
            self.unpark();
            let waits = |session: &Session| {
                session.of.confirm == Confirm::Sites
                    && session.board.progress().durable > session.safe.confirmed()
            };
            if Instant::now() < next || !self.sessions.iter().any(waits) {
                continue;
            }
            if let Err(report) = confirm(self.config, &self.sessions) {
                output::note(&format!("the sites do not confirm: {}", report.message()));
                next = Instant::now() + RETRY;
            }
        }
        Ok(())
    }

    /// One that cannot go on is no reason to let go of the others.
    fn park(&mut self) -> Result<()> {
        let failed = self.sessions.iter().enumerate();
        let failed = failed.filter_map(|(at, one)| Some((at, one.failure()?))).next();
        let Some((at, report)) = failed else {
            return Ok(());
        };
        if self.sessions.len() == 1 {
            return Err(report);
        }
        let session = self.sessions.remove(at);
        output::note(&format!("postgres {}: {}", session.of.name, report.message()));
        let of = self.config.postgres.iter().find(|of| of.name == session.of.name);
        self.parked.extend(of.map(|of| (of, Instant::now() + PARKED)));
        session.end();
        Ok(())
    }

    fn unpark(&mut self) {
        let due = self.parked.iter().position(|(_, at)| *at <= Instant::now());
        let Some((of, _)) = due.map(|at| self.parked.remove(at)) else {
            return;
        };
        match Session::start(self.config, of) {
            Ok(session) => self.sessions.push(session),
            Err(report) => {
                output::note(&format!("postgres {}: {}", of.name, report.message()));
                self.parked.push((of, Instant::now() + PARKED));
            }
        }
    }
}

/// Makes a point: what was durable before it began is in it.
fn confirm(config: &Config, sessions: &[Session]) -> Result<()> {
    let before: Vec<Lsn> =
        sessions.iter().map(|session| session.board.progress().durable).collect();
    let quiet = BackupArgs { json: true, ..BackupArgs::default() };
    let document = make_point(config, &quiet)?;
    for (session, durable) in sessions.iter().zip(before) {
        if document.margin >= session.of.margin_min {
            session.safe.confirm(durable);
        } else {
            output::note(&format!(
                "postgres {}: point {} may lose {} more sites, and margin_min is {}",
                session.of.name, document.recovery_point, document.margin, session.of.margin_min
            ));
        }
    }
    Ok(())
}
