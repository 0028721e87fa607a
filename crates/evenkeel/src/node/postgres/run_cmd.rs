//! `evenkeel postgres run`: captures the configured clusters until it is ended, and has the sites
//! confirm where that was promised.

use std::time::{Duration, Instant};

use evenkeel_capture::postgres::Lsn;

use super::super::files::make_point;
use super::super::stop::Stop;
use super::session::Session;
use crate::cli::{BackupArgs, PostgresRunArgs};
use crate::config::{Config, Confirm};
use crate::report::{Exit, Report, Result};
use crate::{output, signals};

const BEAT: Duration = Duration::from_millis(20);
/// After a point that could not be made.
const RETRY: Duration = Duration::from_secs(2);

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
    if config.postgres.is_empty() {
        return Err(Report::new(Exit::Usage, "no [[postgres]] is configured")
            .at(config.file.display().to_string())
            .safe("nothing was started")
            .next("evenkeel protect postgresql://ROLE@HOST/DATABASE"));
    }
    let mut sessions = Vec::new();
    for of in &config.postgres {
        sessions.push(Session::start(&config, of)?);
        output::note(&format!("postgres {}: following {}", of.name, of.url));
    }
    let ended = serve(&config, &sessions, &stop);
    sessions.into_iter().for_each(Session::end);
    ended.map(|()| Exit::Ok)
}

fn serve(config: &Config, sessions: &[Session], stop: &Stop) -> Result<()> {
    let mut next = Instant::now();
    while !stop.sleep(BEAT) {
        if let Some(report) = sessions.iter().find_map(Session::failure) {
            return Err(report);
        }
        if Instant::now() < next {
            continue;
        }
        let waits = |session: &&Session| {
            session.of.confirm == Confirm::Sites
                && session.board.progress().durable > session.safe.confirmed()
        };
        if sessions.iter().any(|session| waits(&session)) {
            next = Instant::now();
            if let Err(report) = confirm(config, sessions) {
                output::note(&format!("the sites do not confirm: {}", report.message()));
                next += RETRY;
            }
        }
    }
    Ok(())
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
