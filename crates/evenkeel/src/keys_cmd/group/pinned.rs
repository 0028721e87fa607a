//! What a holder was told of approvals, and what it does not answer without them.
//!
//! A holder asks no site. It pins a policy that the root signed, takes objections that somebody
//! hands it, and remembers which request it answered for which action.

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel_custody::group::decrypt::{Purpose, Request};
use evenkeel_vault::{
    ActionId, ActionKind, ApprovalBundle, ApprovalPolicy, RootPublicKey, Standing, Statement, Word,
};

use super::files::{Own, replace};
use crate::cli::format_time_ns;
use crate::keyfile::hex;
use crate::keys_cmd::input;
use crate::node::{APPROVAL_BUNDLE, APPROVAL_POLICY, read_armored, write_armored};
use crate::report::{Exit, Report, Result};

/// The approved action, on the table and in the folder of whoever asks.
pub(super) const ON_TABLE: &str = "approval.bundle";
/// What a request for a restore says that it is.
pub(super) const WHAT: &str = "have the holders decrypt";
const FILE_BYTES_MAX: usize = 1 << 20;
const SECOND_NS: u64 = 1_000_000_000;

fn policy_file(own: &Own, domain: &str) -> PathBuf {
    own.file(&format!("approvals-{domain}.policy"))
}

fn word_file(own: &Own, action: ActionId) -> PathBuf {
    own.file(&format!("approvals-{action}.words"))
}

fn answered_file(own: &Own, action: ActionId) -> PathBuf {
    own.file(&format!("approvals-{action}.answered"))
}

pub(super) fn read_bundle(file: &Path) -> Result<ApprovalBundle> {
    let text = input::read_text_of(file, "the approved action", FILE_BYTES_MAX)?;
    read_armored(&text, APPROVAL_BUNDLE).map_err(|report| report.at(file.display().to_string()))
}

/// The policy that this holder has pinned for a domain.
pub(super) fn pinned(own: &Own, domain: &str) -> Result<Option<ApprovalPolicy>> {
    let file = policy_file(own, domain);
    if !file.exists() {
        return Ok(None);
    }
    let text = input::read_text_of(&file, "the policy", FILE_BYTES_MAX)?;
    read_armored(&text, APPROVAL_POLICY).map(Some)
}

/// Pins a policy that a trusted root signed. One that is less than the pinned one has to come with
/// the action that approved it.
pub(super) fn pin(own: &Own, file: &Path, change: Option<&Path>) -> Result<ApprovalPolicy> {
    let text = input::read_text_of(file, "the policy", FILE_BYTES_MAX)?;
    let next: ApprovalPolicy = read_armored(&text, APPROVAL_POLICY)?;
    let refuse = |exit: Exit, why: String| {
        Report::new(exit, why)
            .at(file.display().to_string())
            .safe("nothing was changed; what was pinned before holds")
    };
    let roots = own.trusted()?;
    let mut mine = roots.iter().filter(|(domain, _)| *domain == next.domain);
    let signs =
        |root: &String| RootPublicKey::parse(root).is_ok_and(|root| next.is_signed_by(&root));
    if !mine.any(|(_, root)| signs(root)) {
        let why = format!("no root that this holder trusts for {} signed it", next.domain);
        return Err(refuse(Exit::WrongKey, why)
            .next("evenkeel keys group trust --holder DIR --domain NAME --root HEX"));
    }
    if let Some(now) = pinned(own, &next.domain)? {
        if next.counter < now.counter {
            let why =
                format!("policy {} is older than {}, which is pinned", next.counter, now.counter);
            return Err(refuse(Exit::Integrity, why));
        }
        let less = next.less_than(&now);
        if next != now && !less.is_empty() && !approves(change, &now, &next)? {
            let why = format!("it is less than policy {}: {}", now.counter, less.join("; "));
            return Err(refuse(Exit::Locked, why).next(
                "hand over the action that approved it, too: --word FILE   (approvals show --out)",
            ));
        }
    }
    replace(&policy_file(own, &next.domain), text.as_bytes())?;
    Ok(next)
}

fn approves(change: Option<&Path>, now: &ApprovalPolicy, next: &ApprovalPolicy) -> Result<bool> {
    let Some(file) = change else {
        return Ok(false);
    };
    let bundle = read_bundle(file)?;
    let standing = bundle.standing(now, &[], next.time_ns);
    Ok(next.change == Some(bundle.action.id())
        && bundle.action.is_about(ActionKind::Policy, &now.domain, &next.details())
        && matches!(standing, Some(Standing::Valid { .. })))
}

/// Takes an objection that somebody hands over: the holder never answers for that action then.
pub(super) fn take_word(own: &Own, file: &Path) -> Result<ActionId> {
    let mut bundle = read_bundle(file)?;
    let (action, matter) = (bundle.action.id(), bundle.action.matter());
    let refuse = |why: &str| {
        Report::new(Exit::WrongKey, why.to_owned())
            .at(file.display().to_string())
            .safe("nothing was changed")
    };
    let policy = pinned(own, &bundle.action.domain)?.ok_or_else(|| {
        refuse("this holder has pinned no policy: it cannot know whose word counts")
    })?;
    let counts = |one: &Statement| {
        let rule = policy.rule(bundle.action.kind);
        one.word == Word::Cancel
            && one.is_genuine(&matter)
            && rule.is_some_and(|rule| rule.rule.has(&one.approver))
    };
    let words: Vec<Statement> = bundle.statements.iter().filter(|it| counts(it)).cloned().collect();
    if words.is_empty() {
        return Err(refuse("no approver of the pinned policy objects in it"));
    }
    let known = word_file(own, action);
    if !known.exists() {
        bundle.statements = words;
        write_armored(&known, APPROVAL_BUNDLE, &bundle)?;
    }
    Ok(action)
}

/// Leave to answer: which action it is for.
pub(super) struct Leave(Option<ActionId>);

/// Whether the holder may answer, by its own clock and what it was told.
pub(super) fn check(own: &Own, table: &Path, request: &Request, domain: &str) -> Result<Leave> {
    let kind = match request.purpose {
        Purpose::Restore => ActionKind::Export,
        Purpose::Drill => ActionKind::Drill,
    };
    let policy = pinned(own, domain)?.filter(|policy| policy.rule(kind).is_some());
    let Some(policy) = policy else {
        return Ok(Leave(None));
    };
    let refuse = |exit: Exit, why: String| Report::new(exit, why).safe("nothing was answered");
    let file = table.join(ON_TABLE);
    if !file.exists() {
        let why = format!(
            "a {} takes approvals by policy {}, which this holder has pinned, and the request \
             carries none",
            request.purpose.word(),
            policy.counter
        );
        return Err(refuse(Exit::Locked, why)
            .at(file.display().to_string())
            .next("whoever asks: evenkeel keys group ask … --propose WHY"));
    }
    let bundle = read_bundle(&file)?;
    let (action, id) = (&bundle.action, bundle.action.id());
    let is_it = action.kind == kind
        && action.domain == domain
        && action.detail("what") == Some(WHAT)
        && action.detail("requester") == Some(request.requester.as_str());
    if !is_it {
        let why = format!("action {id} is not this request: another kind, domain or requester");
        return Err(refuse(Exit::WrongKey, why));
    }
    let told = word_file(own, id);
    let also = if told.exists() { read_bundle(&told)?.statements } else { Vec::new() };
    let now_ns = super::asked::now_s().saturating_mul(SECOND_NS);
    let why = match bundle.standing(&policy, &also, now_ns) {
        Some(Standing::Valid { .. }) => return used(own, id, request),
        Some(Standing::Waiting { approvals, needed }) => {
            format!("{approvals} of {needed} approvals")
        }
        Some(Standing::Delayed { from_ns }) => {
            format!("its delay ends at {}", format_time_ns(from_ns))
        }
        Some(Standing::Cancelled { by }) => format!("cancelled by {by}"),
        Some(Standing::Lapsed { .. }) | None => "it has lapsed".to_owned(),
    };
    Err(refuse(Exit::Locked, format!("action {id} is not in force by this holder's clock: {why}")))
}

/// An action is for one request: another target key would need another approval.
fn used(own: &Own, id: ActionId, request: &Request) -> Result<Leave> {
    let file = answered_file(own, id);
    let before = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Leave(Some(id))),
        Err(error) => return Err(Report::io("read what was answered", &file, &error)),
    };
    if before.trim() == hex(&request.id()) {
        return Ok(Leave(Some(id)));
    }
    Err(Report::new(Exit::Locked, format!("action {id} was answered before, for another request"))
        .at(file.display().to_string())
        .safe("nothing was answered")
        .next("whoever asks: evenkeel keys group ask … --propose WHY   (a new action)"))
}

impl Leave {
    /// Remembers the request before it is answered.
    pub(super) fn remember(&self, own: &Own, request: &Request) -> Result<()> {
        match self.0 {
            None => Ok(()),
            Some(id) => {
                replace(&answered_file(own, id), format!("{}\n", hex(&request.id())).as_bytes())
            }
        }
    }
}

/// The action by which a quorum was asked, if it was by one.
///
/// # Errors
/// If what lies there cannot be read.
pub(crate) fn approved_action(quorum: &Path) -> Result<Option<ActionId>> {
    let file = quorum.join(ON_TABLE);
    if !file.exists() {
        return Ok(None);
    }
    read_bundle(&file).map(|bundle| Some(bundle.action.id()))
}
