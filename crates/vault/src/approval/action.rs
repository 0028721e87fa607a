//! What is proposed: an export, a change of recipients, a promotion, a change of the rules.

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use super::rule::{ApprovalRule, Standing};
use super::statement::{Matter, Statement};
use super::words::{Detail, check_line, check_second, line, one_line, utc, whole_second};
use crate::certificate::{magic, text};
use crate::error::{Error, Result};
use crate::layout::{check_domain, hex, unhex};
use crate::random::{self, Random};

const MAGIC: &[u8; 4] = b"EVKQ";
const VERSION: u8 = 1;
const DETAILS_MAX: usize = 16;

/// What kind of thing is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something is decrypted to a disk.
    Export,
    /// Who can open what is sealed from now on, or was, changes.
    Recipients,
    /// Something restored, or another host, goes live.
    Promotion,
    /// The rules themselves become weaker.
    Policy,
    /// Old copies go; a [`DeletionPlan`](crate::DeletionPlan) says which.
    Deletion,
    /// Holders are asked to open something for a drill.
    Drill,
}

evenkeel_types::canonical_enum!(Kind {
    0 => Export, 1 => Recipients, 2 => Promotion, 3 => Policy, 4 => Deletion,
    5 => Drill
});

impl Kind {
    /// Those that an [`Action`] can be of.
    pub const ACTIONS: [Self; 5] =
        [Self::Export, Self::Recipients, Self::Promotion, Self::Policy, Self::Drill];

    /// Its name in configurations and texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Recipients => "recipients",
            Self::Promotion => "promotion",
            Self::Policy => "policy",
            Self::Deletion => "deletion",
            Self::Drill => "drill",
        }
    }
}

/// Name of an action: the BLAKE3 of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionId(pub [u8; 32]);

impl std::fmt::Display for ActionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl ActionId {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

/// Something that takes approvals: what exactly, why, and until when it may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What kind of thing.
    pub kind: Kind,
    /// The domain.
    pub domain: String,
    /// What exactly, line by line, sorted by name: the same lines are what is carried out.
    pub details: Vec<Detail>,
    /// Why, in the proposer's words.
    pub why: String,
    /// Makes every action another one, so that what was approved once is not approved again.
    pub nonce: [u8; 16],
    /// When it was proposed, by the proposer's clock: nanoseconds since 1970 UTC, whole seconds.
    pub proposed_time_ns: u64,
    /// When it lapses: nanoseconds since 1970 UTC, whole seconds.
    pub expires_time_ns: u64,
}

impl Action {
    /// Name of the detail that says who proposed it where: for people.
    pub const ASKED_FROM: &str = "asked-from";

    /// An action; its details are put in order, its times to the second.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a deletion, for details that stand twice or are too many, for words
    /// that are none, and if it lapses before it is proposed; [`Error::Random`].
    pub fn new(
        (kind, domain): (Kind, &str),
        mut details: Vec<Detail>,
        why: &str,
        (proposed_time_ns, expires_time_ns): (u64, u64),
        random: &mut dyn Random,
    ) -> Result<Self> {
        check_domain(domain)?;
        details.sort();
        let action = Self {
            kind,
            domain: domain.to_owned(),
            details,
            why: one_line(why),
            nonce: random::array(random)?,
            proposed_time_ns: whole_second(proposed_time_ns),
            expires_time_ns: whole_second(expires_time_ns),
        };
        action.check().map_err(|why| Error::Invalid { what: "action", detail: why.into() })?;
        Ok(action)
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        if self.kind == Kind::Deletion {
            return Err("a deletion is proposed by a plan");
        }
        if self.details.is_empty() || self.details.len() > DETAILS_MAX {
            return Err("it has 1 to 16 details");
        }
        if self.details.windows(2).any(|two| two[0].name >= two[1].name) {
            return Err("details out of order, or twice");
        }
        const OWN: [&str; 8] = [
            "kind",
            "domain",
            "why",
            "action",
            "proposed-at",
            "lapses-at",
            "signed-at",
            "signed-by",
        ];
        if self.details.iter().any(|one| OWN.contains(&one.name.as_str())) {
            return Err("a detail has the name of another line");
        }
        if check_second(self.proposed_time_ns).is_err()
            || check_second(self.expires_time_ns).is_err()
        {
            return Err("no whole second");
        }
        if self.proposed_time_ns >= self.expires_time_ns {
            return Err("it lapses before it is proposed");
        }
        self.details.iter().try_for_each(Detail::check).and_then(|()| check_line(&self.why))
    }

    /// Its name, which is its hash.
    #[must_use]
    pub fn id(&self) -> ActionId {
        ActionId(*blake3::hash(&self.to_bytes()).as_bytes())
    }

    /// What approvers sign: every line of it.
    #[must_use]
    pub fn matter(&self) -> Matter {
        let mut lines = self.details.clone();
        lines.push(Detail::new("why", &self.why));
        lines.push(Detail::new("proposed-at", &utc(self.proposed_time_ns)));
        lines.push(Detail::new("lapses-at", &utc(self.expires_time_ns)));
        Matter {
            kind: self.kind,
            domain: self.domain.clone(),
            hash: self.id().0,
            lines,
            proposed_ns: self.proposed_time_ns,
        }
    }

    /// A detail's value.
    #[must_use]
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.iter().find(|one| one.name == name).map(|one| one.value.as_str())
    }

    /// Whether it is about exactly this. Who proposed it where decides nothing.
    #[must_use]
    pub fn is_about(&self, kind: Kind, domain: &str, details: &[Detail]) -> bool {
        let mut sorted: Vec<&Detail> = details.iter().collect();
        sorted.sort();
        let mine = self.details.iter().filter(|one| one.name != Self::ASKED_FROM);
        self.kind == kind && self.domain == domain && mine.eq(sorted)
    }

    /// How it stands: as the rule judges it, until it lapses. A lapsed one keeps nobody from
    /// proposing the same again.
    #[must_use]
    pub fn standing(
        &self,
        rule: &ApprovalRule,
        said: &[(Statement, u64)],
        now_ns: u64,
    ) -> Standing {
        let (standing, at_ns) = (rule.judge(&self.matter(), said, now_ns), self.expires_time_ns);
        match standing {
            Standing::Cancelled { .. } => standing,
            Standing::Delayed { from_ns } if from_ns >= at_ns => Standing::Lapsed { at_ns },
            _ if now_ns >= at_ns => Standing::Lapsed { at_ns },
            _ => standing,
        }
    }

    pub(super) fn key(&self) -> String {
        format!("{}action", self.matter().prefix())
    }
}

impl Canonical for Action {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        self.kind.encode(encoder);
        encoder.bytes(self.domain.as_bytes());
        encoder.sequence(self.details.iter());
        encoder.bytes(self.why.as_bytes());
        encoder.fixed(&self.nonce);
        encoder.u64(self.proposed_time_ns);
        encoder.u64(self.expires_time_ns);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        let action = Self {
            kind: Kind::decode(reader)?,
            domain: text(reader, 32)?,
            details: reader.sequence()?,
            why: line(reader)?,
            nonce: reader.array()?,
            proposed_time_ns: reader.u64()?,
            expires_time_ns: reader.u64()?,
        };
        check_domain(&action.domain).map_err(|_| reader.not_canonical("no domain's name"))?;
        action.check().map_err(|rule| reader.not_canonical(rule))?;
        Ok(action)
    }
}
