//! The gate in front of what takes approvals: it opens for an action in force, or says what is
//! missing.

use std::path::Path;

use ed25519_dalek::SigningKey;
use evenkeel_vault::{
    Action, ActionAtSites, ActionId, ActionKind, Detail, Execution, OsRandom, Phase, Random as _,
    Standing, WriterKey, publish_action, publish_execution,
};

use super::held::{Held, stand};
use super::listing::{action_document, deadline, described, show};
use super::{now_ns, short};
use crate::cli::format_time_ns;
use crate::config::Config;
use crate::documents::ApprovalsDocument;
use crate::keyfile;
use crate::node::domain::Domain;
use crate::output;
use crate::report::{Exit, Report, Result};

/// What a command is about to do.
pub(crate) struct Asked<'a> {
    /// What it is; where it is several things at once, all of their rules have to be met.
    pub(crate) kinds: &'a [ActionKind],
    /// What exactly.
    pub(crate) details: Vec<Detail>,
    /// To propose it, and why.
    pub(crate) propose: Option<&'a str>,
    /// The command, in words that begin `evenkeel `, for what to type next.
    pub(crate) command: &'a str,
    /// An action that was carried out already and covers this, such as the quorum's.
    pub(crate) also: Option<ActionId>,
    /// Print a proposal as a document.
    pub(crate) json: bool,
}

/// What the gate says.
pub(crate) enum Gate {
    /// It may be done.
    Open(Box<Pass>),
    /// It was proposed, or stood proposed already; nothing else was done.
    Proposed,
}

/// Leave to do what was asked, and the log of it.
pub(crate) struct Pass {
    action: Option<ActionAtSites>,
    key: Option<WriterKey>,
}

/// Opens where nobody has to approve, or where enough have and the delay is over.
///
/// # Errors
/// [`Exit::Locked`] with the pending action and its deadline, or how to propose one; as
/// [`Held::read`].
pub(crate) fn gate(config: &Config, domain: &Domain<'_>, asked: &Asked<'_>) -> Result<Gate> {
    let held = Held::read(config, domain)?;
    let rules = held.rules(asked.kinds);
    let kind = asked.kinds.iter().find(|kind| !held.rules(&[**kind]).is_empty());
    let Some(kind) = kind else {
        if asked.propose.is_some() {
            return Err(Report::new(Exit::Usage, "this takes no approvals: no rule says so")
                .at(config.file.display().to_string())
                .safe("nothing was done")
                .next("leave --propose out, or write [approvals.…] and publish it"));
        }
        return Ok(Gate::Open(Box::new(Pass::free())));
    };
    for rule in held.unpublished().filter(|rule| asked.kinds.contains(&rule.kind)) {
        output::note(&format!(
            "the rule for {} is not published: whoever can edit the configuration can take it away\
             \nnext:  evenkeel approvals publish --identity FILE",
            rule.kind.name()
        ));
    }
    let now_ns = now_ns();
    let stands = |one: &ActionAtSites| stand(one, &rules, now_ns);
    let about = |one: &&ActionAtSites| is_about(one.action(), *kind, domain.name(), asked);
    let mut mine: Vec<(&ActionAtSites, Standing)> = held
        .found
        .actions
        .iter()
        .filter(about)
        .filter_map(|one| Some((one, stands(one)?)))
        .collect();
    if let Some((action, _)) = mine.iter().find(|(_, it)| matches!(it, Standing::Valid { .. })) {
        output::note(&format!("action {} is in force", short(&action.id.to_string())));
        let key = log_key(config, domain)?;
        return Ok(Gate::Open(Box::new(Pass { action: Some((*action).clone()), key: Some(key) })));
    }
    let pending = mine.iter().rposition(|(_, standing)| standing.is_pending());
    let pending = pending.map(|at| mine.swap_remove(at));
    match (asked.propose, pending) {
        (Some(why), None) => propose(config, domain, (&held, *kind, asked, why)),
        (Some(_), Some((action, _))) => proposed(domain, &held, action, asked.json),
        (None, pending) => Err(missing((&held, domain), asked, pending, mine.pop(), now_ns)),
    }
}

fn is_about(action: &Action, kind: ActionKind, domain: &str, asked: &Asked<'_>) -> bool {
    action.is_about(kind, domain, &asked.details) || asked.also == Some(action.id())
}

fn propose(
    config: &Config,
    domain: &Domain<'_>,
    (held, kind, asked, why): (&Held, ActionKind, &Asked<'_>, &str),
) -> Result<Gate> {
    let rules = held.rules(asked.kinds);
    let lives_ns = rules.iter().map(|rule| rule.lifetime_ns).min().unwrap_or_default();
    let now_ns = now_ns();
    let mut details = asked.details.clone();
    details.push(Detail::new(Action::ASKED_FROM, &host_words()));
    let times = (now_ns, now_ns.saturating_add(lives_ns));
    let action = Action::new((kind, domain.name()), details, why, times, &mut OsRandom)?;
    publish_action(&domain.sites(), domain.layout, &action)?;
    let held = Held::read(config, domain)?;
    let id = action.id();
    let published = held.found.actions.iter().find(|one| one.id == id).ok_or_else(|| {
        Report::new(Exit::NotEnoughSites, "the sites do not show the action that was published")
    })?;
    proposed(domain, &held, published, asked.json)
}

fn proposed(domain: &Domain<'_>, held: &Held, action: &ActionAtSites, json: bool) -> Result<Gate> {
    let document = ApprovalsDocument {
        actions: vec![action_document(held, action, now_ns())],
        ..described("propose", domain, held)
    };
    if json {
        output::document(&document)?;
    } else {
        show(&document, true)?;
    }
    let id = action.id.to_string();
    output::note(&format!(
        "proposed, and nothing else was done\n\
         next:  evenkeel approvals approve{} --action {} --key APPROVER.key   (each approver; a \
         wallet, token or group: approvals message)\n\
         then:  the same command without --propose, once it is in force",
        domain.name.option(),
        short(&id)
    ));
    Ok(Gate::Proposed)
}

/// Why it is not done, and what to type.
fn missing(
    (held, domain): (&Held, &Domain<'_>),
    asked: &Asked<'_>,
    pending: Option<(&ActionAtSites, Standing)>,
    over: Option<(&ActionAtSites, Standing)>,
    now_ns: u64,
) -> Report {
    let option = domain.name.option();
    let rules: Vec<String> = held.rules(asked.kinds).into_iter().map(super::held::words).collect();
    let Some((action, standing)) = pending else {
        let mut report =
            Report::new(Exit::Locked, "this takes approvals, and nobody has proposed it");
        if let Some((action, standing)) = over {
            let id = action.id.to_string();
            report =
                report.detail(format!("action {}: {}", short(&id), deadline(action, standing)));
        }
        for rule in rules {
            report = report.detail(rule);
        }
        return report
            .safe("nothing was done")
            .next(format!("{} … --propose \"why\"", asked.command));
    };
    let id = action.id.to_string();
    let document = action_document(held, action, now_ns);
    let said: Vec<String> =
        document.said.iter().map(|one| format!("{} at {}", one.approver, one.time)).collect();
    let short = short(&id);
    let report = Report::new(Exit::Locked, format!("action {short} is not in force"))
        .detail(deadline(action, standing))
        .detail(match said.is_empty() {
            true => "nobody has signed it".to_owned(),
            false => format!("signed by {}", said.join(", ")),
        })
        .safe("nothing was done");
    match standing {
        Standing::Delayed { from_ns } => report
            .next(format!("again from {} on", format_time_ns(from_ns)))
            .next(format!("whoever objects: evenkeel approvals cancel{option} --action {short}")),
        _ => report.next(format!(
            "evenkeel approvals approve{option} --action {short} --key APPROVER.key   (another one)"
        )),
    }
}

/// Who asks, and where: as this host says it.
pub(crate) fn host_words() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    format!(
        "{user} at {}",
        if host.trim().is_empty() { "a host without a name" } else { host.trim() }
    )
}

/// What signs the log: this host's key for reports, its writer's, or one made now.
fn log_key(config: &Config, domain: &Domain<'_>) -> Result<WriterKey> {
    let is_there = |file: &Path| !file.as_os_str().is_empty() && file.exists();
    if is_there(&config.drill.report_key_file) {
        let key = keyfile::read_report_key(&config.drill.report_key_file)?;
        return Ok(WriterKey::from_bytes(&key.to_bytes()));
    }
    if is_there(&domain.settings.writer_key_file) {
        return keyfile::read_writer_key(&domain.settings.writer_key_file);
    }
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    OsRandom.fill(seed.as_mut_slice())?;
    let key = SigningKey::from_bytes(&seed);
    output::note(&format!(
        "this host has no key of its own: its lines of the log are signed with one made just now, \
         {}",
        keyfile::hex(key.verifying_key().as_bytes())
    ));
    Ok(WriterKey::from_bytes(&seed))
}

impl Pass {
    /// Where nobody has to approve.
    pub(super) fn free() -> Self {
        Self { action: None, key: None }
    }

    /// The action in force; `None` where nobody has to approve.
    pub(crate) fn action(&self) -> Option<&ActionAtSites> {
        self.action.as_ref()
    }

    /// Writes to the log that it begins, before anything is done.
    pub(crate) fn begun(&self, domain: &Domain<'_>) -> Result<()> {
        self.log(domain, Phase::Begun, "it begins")
    }

    /// Writes to the log what is done now, where what is done counts only with that line.
    ///
    /// # Errors
    /// If too few sites take the line.
    pub(crate) fn on_record(&self, domain: &Domain<'_>, what: &str) -> Result<()> {
        let (Some(action), Some(key)) = (&self.action, &self.key) else {
            return Ok(());
        };
        let phase = (Phase::Executed, action.id);
        let line = Execution::sign(key, phase, now_ns(), (&host_words(), what))?;
        publish_execution(&domain.sites(), domain.layout, action.action(), &line)?;
        Ok(())
    }

    /// Writes to the log what came of it.
    pub(crate) fn executed(&self, domain: &Domain<'_>, what: &str) -> Result<()> {
        self.log(domain, Phase::Executed, what)
    }

    /// As [`Pass::begun`], for commands that need no domain otherwise.
    pub(crate) fn log_begun(&self, config: &Config) -> Result<()> {
        if self.action.is_none() { Ok(()) } else { self.begun(&Domain::of(config)?) }
    }

    /// As [`Pass::executed`], likewise.
    pub(crate) fn log_executed(&self, config: &Config, what: &str) -> Result<()> {
        if self.action.is_none() { Ok(()) } else { self.executed(&Domain::of(config)?, what) }
    }

    /// A host that may only read goes on without the log: recovery is worth more than its line.
    fn log(&self, domain: &Domain<'_>, phase: Phase, what: &str) -> Result<()> {
        let (Some(action), Some(key)) = (&self.action, &self.key) else {
            return Ok(());
        };
        let by = host_words();
        let line = Execution::sign(key, (phase, action.id), now_ns(), (&by, what))?;
        let logged = publish_execution(&domain.sites(), domain.layout, action.action(), &line);
        if let Err(why) = logged {
            output::note(&format!(
                "THE LOG DOES NOT SHOW THIS: action {} {}, and too few sites took the line: {why}",
                short(&action.id.to_string()),
                phase.name()
            ));
        }
        Ok(())
    }
}
