//! The rules of a domain as its root signed them, so that nobody edits them away on one host.

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use super::action::{ActionId, Kind};
use super::approver::Approver;
use super::rule::ApprovalRule;
use super::words::Detail;
use crate::certificate::{RootPublicKey, SIGNATURE_BYTES, magic, text};
use crate::error::{Error, Result};
use crate::keys::Recipient;
use crate::layout::{check_domain, hex};

const MAGIC: &[u8; 4] = b"EVKU";
const VERSION: u8 = 1;
const APPROVERS_MAX: usize = 64;

/// What one kind of action takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindRule {
    /// Which kind.
    pub kind: Kind,
    /// Who, how many, and how long everybody has to object.
    pub rule: ApprovalRule,
    /// How long after its proposal an action lapses, in nanoseconds.
    pub lifetime_ns: u64,
}

impl KindRule {
    /// A rule for a kind.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no delay at all, or if an action would lapse before it.
    pub fn new(kind: Kind, rule: ApprovalRule, lifetime_ns: u64) -> Result<Self> {
        let made = Self { kind, rule, lifetime_ns };
        made.check()
            .map_err(|why| Error::Invalid { what: "rule of approvers", detail: why.into() })?;
        Ok(made)
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        if self.kind == Kind::Deletion {
            return Err("deletions have a rule of their own");
        }
        if self.rule.delay_ns() == 0 {
            return Err("without a delay nobody has time to object");
        }
        if self.lifetime_ns <= self.rule.delay_ns() {
            return Err("an action would lapse before its delay is over");
        }
        Ok(())
    }

    /// Why this rule is less than another one, if it is.
    #[must_use]
    pub fn less_than(&self, other: &Self) -> Option<String> {
        let kind = self.kind.name();
        if self.rule.needed() < other.rule.needed() {
            let (mine, its) = (self.rule.needed(), other.rule.needed());
            return Some(format!("{kind}: {mine} approvals instead of {its}"));
        }
        if self.rule.delay_ns() < other.rule.delay_ns() {
            let seconds = |rule: &Self| rule.rule.delay_ns() / 1_000_000_000;
            let (mine, its) = (seconds(self), seconds(other));
            return Some(format!("{kind}: a delay of {mine} s instead of {its} s"));
        }
        if self.lifetime_ns > other.lifetime_ns {
            return Some(format!("{kind}: what was approved lapses later"));
        }
        if let Some(new) = self.rule.approvers().find(|one| !other.rule.has(one)) {
            return Some(format!("{kind}: {new} approves, too"));
        }
        let gone = other.rule.approvers().find(|one| !self.rule.has(one))?;
        Some(format!("{kind}: {gone} approves and objects no longer"))
    }
}

impl Canonical for KindRule {
    fn encode(&self, encoder: &mut Encoder) {
        self.kind.encode(encoder);
        encoder.u64(self.rule.needed() as u64);
        encoder.u64(self.rule.delay_ns());
        encoder.u64(self.lifetime_ns);
        let approvers: Vec<Approver> = self.rule.approvers().copied().collect();
        encoder.sequence(approvers.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = Kind::decode(reader)?;
        let (needed, delay_ns, lifetime_ns) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let approvers: Vec<Approver> = reader.sequence()?;
        let sorted = approvers.windows(2).all(|two| two[0] < two[1]);
        if approvers.len() > APPROVERS_MAX || !sorted {
            return Err(reader.not_canonical("approvers out of order, twice, or too many"));
        }
        let needed = usize::try_from(needed).unwrap_or(usize::MAX);
        let rule = ApprovalRule::new(&approvers, needed, delay_ns)
            .map_err(|_| reader.not_canonical("no rule of approvers"))?;
        let made = Self { kind, rule, lifetime_ns };
        made.check().map_err(|rule| reader.not_canonical(rule))?;
        Ok(made)
    }
}

/// The rules of a domain, signed by its root. The one with the highest counter counts, unless it
/// is less than the one before and nobody approved that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// The domain.
    pub domain: String,
    /// From 1 on, one more for each change.
    pub counter: u64,
    /// When it was signed, nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// Sorted by kind, each once.
    pub rules: Vec<KindRule>,
    /// Who can open what is sealed, when it was signed: sorted texts of recipients.
    pub recipients: Vec<String>,
    /// The action by which it may be less than the one before.
    pub change: Option<ActionId>,
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

impl ApprovalPolicy {
    /// What every signed policy's bytes begin with.
    pub(crate) const CONTEXT: &[u8] = b"evenkeel vault approval policy v1\0";

    /// Rules that nobody has signed yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a kind stands twice, or there is none.
    pub fn new(
        domain: &str,
        (counter, time_ns): (u64, u64),
        mut rules: Vec<KindRule>,
        recipients: &[Recipient],
    ) -> Result<Self> {
        check_domain(domain)?;
        rules.sort_by_key(|one| one.kind);
        let mut recipients: Vec<String> = recipients.iter().map(ToString::to_string).collect();
        recipients.sort();
        recipients.dedup();
        let policy = Self {
            domain: domain.to_owned(),
            counter,
            time_ns,
            rules,
            recipients,
            change: None,
            signature: [0; SIGNATURE_BYTES],
        };
        policy.check().map_err(|why| Error::Invalid { what: "policy", detail: why.into() })?;
        Ok(policy)
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        if self.rules.is_empty() || self.rules.windows(2).any(|two| two[0].kind >= two[1].kind) {
            return Err("kinds out of order, twice, or none");
        }
        if self.recipients.windows(2).any(|two| two[0] >= two[1]) {
            return Err("recipients out of order, or twice");
        }
        Ok(())
    }

    /// Whether this root signed it.
    #[must_use]
    pub fn is_signed_by(&self, root: &RootPublicKey) -> bool {
        root.has_signed(&self.message(), &self.signature)
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.fixed(Self::CONTEXT);
        self.encode_unsigned(&mut encoder);
        encoder.into_bytes()
    }

    /// What an action of kind policy has to name: these rules and recipients, under this counter.
    #[must_use]
    pub fn details(&self) -> Vec<Detail> {
        let mut encoder = Encoder::new();
        encoder.bytes(self.domain.as_bytes());
        encoder.u64(self.counter);
        encoder.sequence(self.rules.iter());
        self.recipients.iter().for_each(|one| encoder.bytes(one.as_bytes()));
        let hash = hex(blake3::hash(encoder.as_bytes()).as_bytes());
        let mut details = vec![
            Detail::new("policy", &format!("number {}, terms {hash}", self.counter)),
            Detail::new("recipients-of-it", &format!("{}", self.recipients.len())),
        ];
        details.extend(self.rules.iter().map(|one| {
            let approvers: Vec<String> =
                one.rule.approvers().map(|it| it.to_string().chars().take(10).collect()).collect();
            Detail::new(
                &format!("rule-of-{}", one.kind.name()),
                &format!(
                    "{} of {} ({}), delay {} s, lapses after {} s",
                    one.rule.needed(),
                    approvers.len(),
                    approvers.join(" "),
                    one.rule.delay_ns() / 1_000_000_000,
                    one.lifetime_ns / 1_000_000_000
                ),
            )
        }));
        details
    }

    /// The rule for a kind. A change of the rules takes, where no rule says so, what the kind that
    /// takes the most approvals does, then the longest delay.
    #[must_use]
    pub fn rule(&self, kind: Kind) -> Option<&KindRule> {
        let own = self.rules.iter().find(|one| one.kind == kind);
        if own.is_some() || kind != Kind::Policy {
            return own;
        }
        self.rules.iter().max_by_key(|one| (one.rule.needed(), one.rule.delay_ns()))
    }

    /// In what this policy is less than another one: empty if it is not.
    #[must_use]
    pub fn less_than(&self, other: &Self) -> Vec<String> {
        let mut less = rules_less_than(&self.rules, &other.rules);
        if other.rule(Kind::Recipients).is_none() {
            return less;
        }
        let new = self.recipients.iter().filter(|one| !other.recipients.contains(one));
        less.extend(new.map(|one| format!("recipients: {one} can open, too")));
        let gone = other.recipients.iter().filter(|one| !self.recipients.contains(one));
        less.extend(gone.map(|one| format!("recipients: {one} cannot open any more")));
        less
    }

    pub(super) fn key(&self) -> String {
        let hash = hex(blake3::hash(&self.to_bytes()).as_bytes());
        format!("actions/{}/policy/{:020}-{hash}", self.domain, self.counter)
    }

    fn encode_unsigned(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        encoder.bytes(self.domain.as_bytes());
        encoder.u64(self.counter);
        encoder.u64(self.time_ns);
        encoder.sequence(self.rules.iter());
        encoder.u64(self.recipients.len() as u64);
        self.recipients.iter().for_each(|one| encoder.bytes(one.as_bytes()));
        self.change.map(|id| id.0).encode(encoder);
    }
}

/// In what rules are less than others, in words: empty if they are not.
#[must_use]
pub fn rules_less_than(mine: &[KindRule], others: &[KindRule]) -> Vec<String> {
    let less = |other: &KindRule| match mine.iter().find(|one| one.kind == other.kind) {
        Some(one) => one.less_than(other),
        None => Some(format!("{}: no rule", other.kind.name())),
    };
    others.iter().filter_map(less).collect()
}

impl Canonical for ApprovalPolicy {
    fn encode(&self, encoder: &mut Encoder) {
        self.encode_unsigned(encoder);
        encoder.fixed(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        let domain = text(reader, 32)?;
        let (counter, time_ns, rules) = (reader.u64()?, reader.u64()?, reader.sequence()?);
        let count = reader.count()?;
        let recipients = (0..count).map(|_| text(reader, 4096)).collect::<Result<Vec<_>, _>>()?;
        let change = Option::<[u8; 32]>::decode(reader)?.map(ActionId);
        let signature = reader.array()?;
        let policy = Self { domain, counter, time_ns, rules, recipients, change, signature };
        check_domain(&policy.domain).map_err(|_| reader.not_canonical("no domain's name"))?;
        policy.check().map_err(|rule| reader.not_canonical(rule))?;
        Ok(policy)
    }
}
