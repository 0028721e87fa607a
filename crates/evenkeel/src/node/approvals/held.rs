//! The rules that hold: what the root published, and what the configuration says besides.

use std::path::PathBuf;

use evenkeel_vault::{
    Action, ActionAtSites, ActionKind, Approvals, KindRule, Standing, read_approvals,
    rules_less_than,
};

use super::restore::GOES_LIVE;
use crate::config::Config;
use crate::node::domain::Domain;
use crate::output;
use crate::report::{Exit, Report, Result};

/// What the sites and the configuration say of approvals.
pub(crate) struct Held {
    pub(super) found: Approvals,
    configured: Vec<KindRule>,
}

impl Held {
    /// Reads both, and refuses where the configuration says less.
    ///
    /// # Errors
    /// [`Exit::NotEnoughSites`] if fewer sites answer than make sure that a policy is seen;
    /// [`Exit::Integrity`] if the configuration says less than what was published, or if the sites
    /// show an older policy than this host has seen.
    pub(crate) fn read(config: &Config, domain: &Domain<'_>) -> Result<Self> {
        let held = Self::look(config, domain)?;
        held.refuse_less(config)?;
        Ok(held)
    }

    /// Reads both, and compares nothing.
    pub(super) fn look(config: &Config, domain: &Domain<'_>) -> Result<Self> {
        let configured = config.approvals.rules()?;
        let found = read_approvals(&domain.sites(), domain.name(), &domain.trust);
        let needed = domain.layout.k();
        if found.answered < needed {
            if !Self::is_known_of(config, domain) {
                return Ok(Self { found: Approvals::default(), configured });
            }
            return Err(Report::new(
                Exit::NotEnoughSites,
                format!(
                    "{} sites answered, and {needed} have to, so that no rule of approvals is \
                     missed",
                    found.answered
                ),
            )
            .safe("nothing was changed")
            .next("evenkeel sites list   (says which do not answer)"));
        }
        for (number, less) in &found.refused {
            output::note(&format!(
                "policy {number} was signed by the root and does not count: {less}, which nobody \
                 approved"
            ));
        }
        remember(config, domain, &found)?;
        Ok(Self { found, configured })
    }

    /// As [`Held::read`]; `None` if too few sites answer.
    pub(super) fn answered(config: &Config, domain: &Domain<'_>) -> Result<Option<Self>> {
        match Self::read(config, domain) {
            Ok(held) if held.found.answered < domain.layout.k() => Ok(None),
            Ok(held) => Ok(Some(held)),
            Err(report) if report.exit() == Exit::NotEnoughSites => Ok(None),
            Err(report) => Err(report),
        }
    }

    /// Whether this host has heard of approvals: its configuration names them, or it has seen a
    /// policy.
    pub(super) fn is_known_of(config: &Config, domain: &Domain<'_>) -> bool {
        !config.approvals.is_empty() || remembered(config, domain).exists()
    }

    fn refuse_less(&self, config: &Config) -> Result<()> {
        let Some(policy) = &self.found.policy else {
            return Ok(());
        };
        if config.approvals.from_kit {
            return Ok(());
        }
        let less = rules_less_than(&self.configured, &policy.rules);
        if less.is_empty() {
            return Ok(());
        }
        let mut report = Report::new(
            Exit::Integrity,
            format!(
                "[approvals] says less than policy {}, which the root published",
                policy.counter
            ),
        )
        .at(config.file.display().to_string())
        .safe("nothing was changed; the published rules hold");
        for one in less {
            report = report.detail(format!("configuration: {one}"));
        }
        for rule in &policy.rules {
            report = report.detail(format!("published: {}", words(rule)));
        }
        Err(report
            .next("find out who changed the file, and put back what `approvals list` shows")
            .next("evenkeel approvals publish --identity FILE --propose WHY   (if it is meant)"))
    }

    /// What an action of these kinds takes: every rule that there is, published or configured.
    pub(crate) fn rules(&self, kinds: &[ActionKind]) -> Vec<&KindRule> {
        let published = self
            .found
            .policy
            .iter()
            .flat_map(|policy| kinds.iter().filter_map(|kind| policy.rule(*kind)));
        let configured = self.configured.iter().filter(|rule| kinds.contains(&rule.kind));
        let mut rules: Vec<&KindRule> = Vec::new();
        for rule in published.chain(configured) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }

    /// Rules of the configuration that the root has not published.
    pub(super) fn unpublished(&self) -> impl Iterator<Item = &KindRule> {
        let published = self.found.policy.iter().flat_map(|policy| policy.rules.iter());
        let published: Vec<&KindRule> = published.collect();
        self.configured.iter().filter(move |rule| !published.contains(rule))
    }

    /// How an action stands by all of its rules.
    pub(crate) fn standing(&self, action: &ActionAtSites, now_ns: u64) -> Option<Standing> {
        stand(action, &self.rules_of(action.action()), now_ns)
    }

    /// What an action takes. A restore that goes live is a promotion and an export at once.
    pub(crate) fn rules_of(&self, action: &Action) -> Vec<&KindRule> {
        match (action.kind, action.detail("what")) {
            (ActionKind::Promotion, Some(GOES_LIVE)) => {
                self.rules(&[ActionKind::Promotion, ActionKind::Export])
            }
            (kind, _) => self.rules(&[kind]),
        }
    }
}

/// How an action stands by all of these rules: the least of it. `None` without a rule.
pub(super) fn stand(action: &ActionAtSites, rules: &[&KindRule], now_ns: u64) -> Option<Standing> {
    let order = |standing: &Standing| match standing {
        Standing::Cancelled { .. } => (0, 0),
        Standing::Lapsed { .. } => (1, 0),
        Standing::Waiting { .. } => (2, 0),
        Standing::Delayed { from_ns } => (3, u64::MAX - from_ns),
        Standing::Valid { from_ns } => (4, u64::MAX - from_ns),
    };
    let by_each = rules.iter().map(|rule| action.bundle.standing_by(rule, &[], now_ns));
    by_each.min_by_key(order)
}

/// A rule in words.
pub(super) fn words(rule: &KindRule) -> String {
    let approvers: Vec<String> = rule.rule.approvers().map(ToString::to_string).collect();
    format!(
        "{}: {} of {} ({}), delay {} h, lapses after {} h",
        rule.kind.name(),
        rule.rule.needed(),
        approvers.len(),
        approvers.join(", "),
        rule.rule.delay_ns() / super::HOUR_NS,
        rule.lifetime_ns / super::HOUR_NS
    )
}

fn remembered(config: &Config, domain: &Domain<'_>) -> PathBuf {
    config.host.data.join(format!("approvals-{}.seen", domain.name()))
}

/// A host that has seen a policy takes none before it: sites that hold it back do not take it away.
fn remember(config: &Config, domain: &Domain<'_>, found: &Approvals) -> Result<()> {
    let file = remembered(config, domain);
    let seen = std::fs::read_to_string(&file).ok();
    let seen: u64 = seen.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let now = found.policy.as_ref().map_or(0, |policy| policy.counter);
    if now < seen {
        return Err(Report::new(
            Exit::Integrity,
            format!("the sites show policy {now} of approvals, and this host has seen {seen}"),
        )
        .at(file.display().to_string())
        .safe("nothing was changed")
        .next("evenkeel sites list   (a site that holds it may not answer, or hold it back)"));
    }
    if now > seen && config.host.data.is_dir() {
        std::fs::write(&file, format!("{now}\n"))
            .map_err(|error| Report::io("remember the policy", &file, &error))?;
    }
    Ok(())
}
