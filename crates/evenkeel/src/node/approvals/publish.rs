//! `approvals publish`: the rules of the configuration, signed by the root, at the sites.

use std::path::Path;

use evenkeel_custody::group::Armor;
use evenkeel_types::Canonical;
use evenkeel_vault::{ActionKind, ApprovalPolicy, Recipient, RootWord};

use super::gate::{Asked, Gate, gate};
use super::held::Held;
use super::listing::{described, show};
use super::now_ns;
use crate::cli::ApprovalsPublishArgs;
use crate::config::Config;
use crate::keyfile;
use crate::node::domain::Domain;
use crate::node::root::DomainRoot;
use crate::output;
use crate::report::{Exit, Report, Result};

/// A policy as a file for people to carry.
pub(crate) const POLICY: Armor = Armor("EVENKEEL-APPROVAL-POLICY-1");
/// An action with what was said of it.
pub(crate) const BUNDLE: Armor = Armor("EVENKEEL-APPROVED-ACTION-1");

pub(super) fn run(args: &ApprovalsPublishArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let (identity, request) = (args.identity.as_deref(), args.root_request.as_deref());
    let mut root = DomainRoot::of(&domain, identity, request)?;
    if config.approvals.is_empty() {
        return Err(Report::new(Exit::Usage, "the configuration has no [approvals.…]")
            .at(config.file.display().to_string())
            .safe("nothing was published")
            .next("write at least [approvals.export]; docs/approvals.md has an example"));
    }
    let held = Held::look(&config, &domain)?;
    let next = next_policy(&config, &domain, &held)?;
    let Some((policy, gate)) = allowed(&config, &domain, &held, next, args)? else {
        return Ok(Exit::Ok);
    };
    let counter = policy.counter;
    let signed = root.hand().sign(policy)?;
    if let Some(signed) = &signed {
        signed.publish(&domain.sites(), domain.layout)?;
    }
    if let Some(pass) = gate {
        pass.executed(&domain, &format!("policy {counter} was handed to the root"))?;
    }
    if root.ask()? {
        return Ok(Exit::Ok);
    }
    let held = Held::read(&config, &domain)?;
    let mut document = described("publish", &domain, &held);
    if let (Some(out), Some(policy)) = (&args.out, signed.as_ref().and_then(RootWord::policy)) {
        write_armored(out, POLICY, policy)?;
        document.written.push(out.display().to_string());
    }
    if args.json {
        output::document(&document)?;
    } else {
        show(&document, false)?;
        output::result(&format!("published policy {counter}"))?;
    }
    output::note(
        "every command reads it from the sites, and refuses a configuration that says less\n\
         next:  evenkeel keys group trust --policy FILE   (holders of a quorum pin it: publish \
         --out FILE)",
    );
    Ok(Exit::Ok)
}

/// What the configuration says, under the next number.
fn next_policy(config: &Config, domain: &Domain<'_>, held: &Held) -> Result<ApprovalPolicy> {
    let parse = |text: &String| Recipient::parse(text).map_err(Report::from);
    let recipients = domain.settings.recipients.iter().map(parse).collect::<Result<Vec<_>>>()?;
    let published = held.found.policy.as_ref().map(|one| one.counter);
    let refused = held.found.refused.iter().map(|(number, _)| *number);
    let counter = published.into_iter().chain(refused).max().unwrap_or(0) + 1;
    let rules = config.approvals.rules()?;
    Ok(ApprovalPolicy::new(domain.name(), (counter, now_ns()), rules, &recipients)?)
}

type Allowed = (ApprovalPolicy, Option<super::gate::Pass>);

/// The policy, if it may be published: where it is less than the one before, by an action.
fn allowed(
    config: &Config,
    domain: &Domain<'_>,
    held: &Held,
    next: ApprovalPolicy,
    args: &ApprovalsPublishArgs,
) -> Result<Option<Allowed>> {
    let less = held.found.less_in(&next);
    if less.is_empty() {
        return Ok(Some((next, None)));
    }
    for one in &less {
        output::note(&format!("less than what was published: {one}"));
    }
    // The configuration says less on purpose here, and the published rules judge.
    let mut judged = config.clone();
    judged.approvals = crate::config::ApprovalsConfig { from_kit: true, ..Default::default() };
    let asked = Asked {
        kinds: &[ActionKind::Policy],
        details: next.details(),
        propose: args.propose.as_deref(),
        command: "evenkeel approvals publish --identity FILE",
        also: None,
        json: args.json,
    };
    match gate(&judged, domain, &asked)? {
        Gate::Proposed => Ok(None),
        Gate::Open(pass) => {
            let change = pass.action().map(|action| action.id);
            let mut next = next;
            next.change = change;
            Ok(Some((next, Some(*pass))))
        }
    }
}

/// Writes a new file for people to carry.
///
/// # Errors
/// If the file is there already, or cannot be written.
pub(crate) fn write_armored(file: &Path, armor: Armor, what: &impl Canonical) -> Result<()> {
    let text = armor.write(&["no secret"], &what.to_bytes());
    keyfile::write_new(file, text.as_bytes())
}

/// Reads such a file.
///
/// # Errors
/// [`Exit::Integrity`] if it is none, or damaged.
pub(crate) fn read_armored<T: Canonical>(text: &str, armor: Armor) -> Result<T> {
    let damaged = |why: String| {
        Report::new(Exit::Integrity, format!("this is no {}: {why}", armor.0))
            .safe("nothing was changed")
    };
    let bytes = armor.read(text).map_err(|error| damaged(error.to_string()))?;
    T::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))
}
