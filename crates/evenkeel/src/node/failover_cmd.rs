//! `evenkeel failover`: makes the standby the primary, or says whether that would work.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_journal::{RealDisk, verify};
use evenkeel_recovery::Clock as _;

use super::approvals::promotion_gate;
use super::clock::SystemClock;
use super::failover_hosts;
use super::keeper_failover::in_words;
use super::takeover;
use crate::cli::{FailoverArgs, Slot, format_time_ns};
use crate::config::{Config, FollowMode};
use crate::control::{self, Request};
use crate::documents::{
    ErrorDocument, FailoverCheck, FailoverCheckDocument, FailoverDocument, FailoverKind,
    StatusDocument,
};
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the successor may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long the keeper may take to compare what clients were told with the journal.
const AUDIT_PATIENCE: Duration = Duration::from_secs(30);
pub(super) const LOOK: Duration = Duration::from_millis(5);
/// A standby further behind is not handed over to.
pub(super) const LAG_ENTRIES_MAX: u64 = 10_000;
/// Agreement is compared every 1,024 entries; one that is further back has stopped.
const AGREED_ENTRIES_MAX: u64 = 16_384;

/// Runs the command.
pub(crate) fn run(args: &FailoverArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let sockets = sockets(&config);
    let kind = if args.unplanned { FailoverKind::Unplanned } else { FailoverKind::Planned };
    let mut found = Found::look(&sockets);
    if args.dry_run {
        found.scrub(&config);
        return say_check(&found.check(kind), args.json);
    }
    let kind_words = if args.unplanned { "unplanned" } else { "planned" };
    let from = found.turn_of();
    let what = [("what", "failover by hand"), ("how", kind_words), ("from", from.as_str())];
    let propose = (args.propose.as_deref(), args.json);
    let Some(pass) = promotion_gate(&config, &what, propose, "evenkeel failover")? else {
        return Ok(Exit::Ok);
    };
    pass.log_begun(&config)?;
    let exit = hand_over(args, &config, (found, kind, &sockets))?;
    pass.log_executed(&config, "the standby is the primary")?;
    Ok(exit)
}

fn hand_over(
    args: &FailoverArgs,
    config: &Config,
    (found, kind, sockets): (Found, FailoverKind, &[PathBuf]),
) -> Result<Exit> {
    if config.standby.mode == FollowMode::Quorum {
        let (primary, standby) = (found.primary.as_ref(), found.standby.as_ref());
        return failover_hosts::run(primary, standby, &config.control_socket(), args);
    }
    if config.standby.mode == FollowMode::Mirror || found.copies {
        return promote_mirror(config, &found, args);
    }
    let check = found.check(kind);
    if !check.would_work {
        let in_the_way = check.checks.iter().filter(|one| !one.ok);
        let report = Report::new(found.exit(), "no failover would work now")
            .safe("nothing was changed; the primary goes on")
            .next("evenkeel failover --dry-run   (what is in its way)");
        return Err(in_the_way.fold(report, |report, one| report.detail(one.detail.clone())));
    }
    let since = Instant::now();
    match (kind, &found.primary) {
        (FailoverKind::Planned, Some((socket, _))) => {
            let answer = control::ask(socket, &Request::new("hand-over"), ASK_TIMEOUT)?;
            refused(answer.unwrap_or_default())?;
        }
        _ => takeover::kill_holder(&RealDisk, config)?,
    }
    let mut document = await_successor(sockets, check.term, since)?;
    document.kind = kind;
    let document = audited(config, document);
    say(&document, args.json)
}

/// Where processes of this home answer; a keeper last, since it speaks for its primary.
fn sockets(config: &Config) -> Vec<PathBuf> {
    let mut sockets: Vec<PathBuf> =
        Slot::ALL.iter().map(|slot| config.control_socket_of(*slot)).collect();
    sockets.push(config.host.data.join("control-standby.sock"));
    sockets.push(config.control_socket());
    sockets
}

pub(super) fn ask_status(socket: &Path) -> Option<StatusDocument> {
    let answer = control::ask(socket, &Request::new("status"), ASK_TIMEOUT).ok().flatten()?;
    serde_json::from_value(answer).ok()
}

/// Whether the standby that answers here keeps a journal of its own.
fn ask_copies(socket: &Path) -> bool {
    let answer = control::ask(socket, &Request::new("copies"), ASK_TIMEOUT).ok().flatten();
    answer.is_some_and(|answer| answer["copies"] == true)
}

/// An error document is an error here as well.
pub(super) fn refused(answer: serde_json::Value) -> Result<()> {
    let Ok(error) = serde_json::from_value::<ErrorDocument>(answer) else {
        return Ok(());
    };
    let code = u8::try_from(error.exit_code).ok();
    let exit = Exit::ALL.iter().find(|(exit, _)| Some(exit.code()) == code);
    let exit = exit.map_or(Exit::Failed, |(exit, _)| *exit);
    Err(Report::new(exit, error.message).safe(error.safe).next(error.next))
}

/// Who runs in this home.
#[derive(Default)]
struct Found {
    primary: Option<(PathBuf, StatusDocument)>,
    standby: Option<StatusDocument>,
    /// It copies a primary on another host, whatever the configuration says by now: the journal's
    /// lock here is its own.
    copies: bool,
    damage: Option<String>,
}

impl Found {
    fn look(sockets: &[PathBuf]) -> Self {
        let mut found = Self::default();
        for socket in sockets {
            let Some(status) = ask_status(socket) else {
                continue;
            };
            match status.role.as_str() {
                "primary" if found.primary.is_none() => {
                    found.primary = Some((socket.clone(), status));
                }
                "standby" if found.standby.is_none() => {
                    found.copies = ask_copies(socket);
                    found.standby = Some(status);
                }
                _ => {}
            }
        }
        found
    }

    /// Whose turn ends, as approvers read it. The term makes an approved failover one that happens
    /// once: what follows it is another one.
    fn turn_of(&self) -> String {
        let primary = self.primary.as_ref().map(|(_, status)| status);
        match primary.or(self.standby.as_ref()) {
            Some(status) => format!("the primary of term {}", status.journal.term),
            None => "nobody, since none answers in this home".to_owned(),
        }
    }

    /// Reads the whole journal: a successor would find damage in the middle of its promotion.
    fn scrub(&mut self, config: &Config) {
        self.damage = match verify(&RealDisk, &config.journal_dir()) {
            Ok(report) => {
                let serious = report.problems.iter().find(|problem| !problem.harmless);
                serious.map(ToString::to_string)
            }
            Err(error) => Some(error.to_string()),
        };
    }

    /// What decides whether a failover would work.
    fn check(&self, kind: FailoverKind) -> FailoverCheckDocument {
        let mut checks = Vec::new();
        let mut note = |name: &str, ok: bool, detail: String| {
            checks.push(FailoverCheck { name: name.to_owned(), ok, detail });
        };
        let primary = self.primary.as_ref().map(|(_, status)| status);
        let term = primary.map_or(0, |status| status.journal.term);
        let position = primary.map_or(0, |status| status.journal.durable_position);
        let detail = match primary {
            Some(_) => format!("a primary of term {term} answers at position {position}"),
            None => "no primary answers here".to_owned(),
        };
        note("primary", primary.is_some() || kind == FailoverKind::Unplanned, detail);
        let standby = self.standby.as_ref().and_then(|status| status.standbys.first());
        let Some(standby) = standby else {
            let detail = "no standby runs here: evenkeel up --role standby".to_owned();
            note("standby", false, detail);
            return FailoverCheckDocument { would_work: false, term, position, checks };
        };
        note("standby", true, format!("{} is {}", standby.name, standby.state));
        let lag = position.saturating_sub(standby.position);
        let detail = format!("it is {lag} entries behind; at most {LAG_ENTRIES_MAX}");
        note("caught_up", lag <= LAG_ENTRIES_MAX, detail);
        let apart = standby.position.saturating_sub(standby.agreed_position);
        let detail = format!(
            "both gave the same output before position {}, {apart} entries before its end",
            standby.agreed_position
        );
        note("agreed", apart <= AGREED_ENTRIES_MAX, detail);
        let words = if standby.promotable { "it may be promoted" } else { "it is barred" };
        note("not_barred", standby.promotable, words.to_owned());
        if let Some(damage) = &self.damage {
            note("no_damage", false, damage.clone());
        }
        let would_work = checks.iter().all(|check| check.ok);
        FailoverCheckDocument { would_work, term, position, checks }
    }

    fn exit(&self) -> Exit {
        let standby = self.standby.as_ref().and_then(|status| status.standbys.first());
        match standby {
            Some(standby) if !standby.promotable => Exit::Integrity,
            _ => Exit::NothingYet,
        }
    }
}

fn say_check(check: &FailoverCheckDocument, json: bool) -> Result<Exit> {
    if json {
        output::document(check)?;
    } else {
        for FailoverCheck { name, ok, detail } in &check.checks {
            let word = if *ok { "ok  " } else { "fail" };
            output::result(&format!("{word}  {name}: {detail}"))?;
        }
        let words = if check.would_work { "a failover would work" } else { "it would not work" };
        output::result(words)?;
    }
    Ok(if check.would_work { Exit::Ok } else { Exit::NothingYet })
}

/// Waits for a primary of a higher term.
fn await_successor(sockets: &[PathBuf], term: u64, since: Instant) -> Result<FailoverDocument> {
    while since.elapsed() < PATIENCE {
        for status in sockets.iter().filter_map(|socket| ask_status(socket)) {
            if status.role == "primary" && status.journal.term > term {
                let seconds = since.elapsed().as_secs_f64();
                return Ok(FailoverDocument {
                    time: format_time_ns(SystemClock::new().wall_ns()),
                    term: status.journal.term,
                    seconds,
                    silence_seconds: seconds,
                    ..FailoverDocument::default()
                });
            }
        }
        std::thread::sleep(LOOK);
    }
    Err(Report::new(Exit::Failed, format!("no primary of a term above {term} answers yet"))
        .safe("everything acknowledged is in the journal")
        .next("evenkeel status   (who runs), evenkeel up   (recovers by itself)"))
}

/// With a keeper its clients measured what it cost, and their answers are compared with the
/// journal; without one the time is this command's.
fn audited(config: &Config, document: FailoverDocument) -> FailoverDocument {
    let begun = Instant::now();
    while begun.elapsed() < AUDIT_PATIENCE {
        let Some(status) = ask_status(&config.control_socket()) else {
            return document;
        };
        if let Some(measured) = status.last_failover
            && measured.term >= document.term
        {
            return FailoverDocument { kind: document.kind, ..measured };
        }
        // A process of its own measures nothing, nor does one without failovers yet know of any.
        if status.role == "primary" && !is_kept(config) {
            return document;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    document
}

fn is_kept(config: &Config) -> bool {
    let mut kept = Slot::ALL.iter().map(|slot| config.control_socket_of(*slot));
    kept.any(|socket| control::connect(&socket).is_ok_and(|stream| stream.is_some()))
}

pub(super) fn say(document: &FailoverDocument, json: bool) -> Result<Exit> {
    if json {
        output::document(document)?;
    } else {
        output::result(&in_words(document))?;
    }
    let is_clean = document.acknowledged_lost == 0 && document.applied_twice == 0;
    Ok(if is_clean { Exit::Ok } else { Exit::Integrity })
}

/// A copy on another host: only a person knows that the primary is dead.
fn promote_mirror(config: &Config, found: &Found, args: &FailoverArgs) -> Result<Exit> {
    let standby = found.standby.as_ref().and_then(|status| status.standbys.first());
    let Some(standby) = standby else {
        return Err(Report::new(Exit::NothingYet, "no standby runs in this home")
            .safe("nothing was changed")
            .next("evenkeel up --role standby"));
    };
    let position = standby.position;
    if !args.attest_primary_dead {
        let what = "this standby copies a primary on another host, and cannot see whether that one \
                    is dead; if it lives, the venue would have two histories";
        return Err(Report::new(Exit::Usage, what)
            .detail(format!("the copy ends at position {position}"))
            .lost(format!(
                "what the primary acknowledged from position {position} on and neither came here \
                 nor reached the sites"
            ))
            .safe("nothing was changed")
            .next("make sure that it is dead and stays dead: power its host off")
            .next("evenkeel failover --unplanned --attest-primary-dead"));
    }
    output::note(&format!(
        "attested: the primary is dead. The copy ends at position {position}; what it acknowledged \
         behind that and neither sent here nor to the sites is lost"
    ));
    let since = Instant::now();
    let term = found.standby.as_ref().map_or(0, |status| status.journal.term);
    refused(
        control::ask(&config.control_socket(), &Request::new("promote"), ASK_TIMEOUT)?
            .unwrap_or_default(),
    )?;
    let mut document = await_successor(&[config.control_socket()], term, since)?;
    document.kind = FailoverKind::Unplanned;
    say(&document, args.json)
}
