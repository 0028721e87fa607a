//! `evenkeel failover` between hosts that share a log: the term decides, so nobody has to attest
//! anything.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_recovery::Clock as _;

use super::clock::SystemClock;
use super::failover_cmd::{ASK_TIMEOUT, LAG_ENTRIES_MAX, LOOK, PATIENCE, ask_status, refused, say};
use crate::cli::{FailoverArgs, format_time_ns};
use crate::control::{self, Request};
use crate::documents::{FailoverDocument, FailoverKind, StandbyDocument, StatusDocument};
use crate::report::{Exit, Report, Result};

/// Runs the command in the home of one of the hosts.
pub(super) fn run(
    primary: Option<&(PathBuf, StatusDocument)>,
    standby: Option<&StatusDocument>,
    socket: &Path,
    args: &FailoverArgs,
) -> Result<Exit> {
    let since = Instant::now();
    let (request, from, role, kind) = match (primary, standby, args.unplanned) {
        (Some((_, status)), _, false) => {
            check(status)?;
            ("hand-over", status, "standby", FailoverKind::Planned)
        }
        (_, Some(status), true) => ("promote", status, "primary", FailoverKind::Unplanned),
        (None, _, false) => {
            return Err(Report::new(Exit::NothingYet, "the primary is on another host")
                .safe("nothing was changed; the primary goes on")
                .next("evenkeel failover   (on that host: it hands over)")
                .next("evenkeel failover --unplanned   (here: this host takes the term)"));
        }
        _ => {
            return Err(Report::new(Exit::NothingYet, "no standby runs in this home")
                .safe("nothing was changed")
                .next("evenkeel failover --unplanned   (in the home of the standby)"));
        }
    };
    let socket = primary.map_or(socket, |(socket, _)| socket.as_path());
    refused(control::ask(socket, &Request::new(request), ASK_TIMEOUT)?.unwrap_or_default())?;
    let document = await_role(socket, role, from.journal.term, kind, since)?;
    say(&document, args.json)
}

/// Somebody must be there to take over, and close behind.
fn check(status: &StatusDocument) -> Result<()> {
    let ready = |one: &&StandbyDocument| one.state == "following";
    let position = status.journal.durable_position;
    let lag = |one: &StandbyDocument| position.saturating_sub(one.position);
    let best = status.standbys.iter().filter(ready).map(lag).min();
    let why = match best {
        Some(lag) if lag <= LAG_ENTRIES_MAX => return Ok(()),
        Some(lag) => format!("the nearest standby is {lag} entries behind; at most 10000"),
        None => "no standby follows this primary".to_owned(),
    };
    Err(Report::new(Exit::NothingYet, why)
        .safe("nothing was changed; the primary goes on")
        .next("evenkeel status   (who follows, and how far)"))
}

/// Waits until this home has its new role in a higher term.
fn await_role(
    socket: &Path,
    role: &str,
    term: u64,
    kind: FailoverKind,
    since: Instant,
) -> Result<FailoverDocument> {
    while since.elapsed() < PATIENCE {
        let status = ask_status(socket);
        if let Some(status) = status.filter(|one| one.role == role && one.journal.term > term) {
            let seconds = since.elapsed().as_secs_f64();
            return Ok(FailoverDocument {
                kind,
                time: format_time_ns(SystemClock::new().wall_ns()),
                term: status.journal.term,
                seconds,
                silence_seconds: seconds,
                ..FailoverDocument::default()
            });
        }
        std::thread::sleep(LOOK.max(Duration::from_millis(5)));
    }
    Err(Report::new(Exit::Failed, format!("no primary of a term above {term} yet"))
        .safe("everything acknowledged is on a majority of the store's members")
        .next("evenkeel status   (on each host), evenkeel doctor   (asks the store's members)"))
}
