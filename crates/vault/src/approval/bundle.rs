//! An action with what was said of it, as one thing to hand on: to holders, who ask no site.

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use super::action::Action;
use super::policy::{ApprovalPolicy, KindRule};
use super::rule::Standing;
use super::statement::Statement;
use crate::certificate::magic;

const MAGIC: &[u8; 4] = b"EVKB";
const VERSION: u8 = 1;

/// An action and the words about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalBundle {
    /// The action.
    pub action: Action,
    /// What was said of it. Whether each is genuine is for the judge to say.
    pub statements: Vec<Statement>,
}

impl ApprovalBundle {
    /// How the action stands under a policy, with what else a reader knows was said; `None` if the
    /// policy has no rule for its kind, or is another domain's.
    #[must_use]
    pub fn standing(
        &self,
        policy: &ApprovalPolicy,
        also: &[Statement],
        now_ns: u64,
    ) -> Option<Standing> {
        let rule = policy.rule(self.action.kind).filter(|_| policy.domain == self.action.domain)?;
        Some(self.standing_by(rule, also, now_ns))
    }

    /// How the action stands under one rule. An action that was given a longer life than the rule
    /// allows has lapsed.
    #[must_use]
    pub fn standing_by(&self, rule: &KindRule, also: &[Statement], now_ns: u64) -> Standing {
        let said = self.statements.iter().chain(also).map(|one| (one.clone(), 0));
        let lives_ns = self.action.expires_time_ns.saturating_sub(self.action.proposed_time_ns);
        if lives_ns > rule.lifetime_ns {
            return Standing::Lapsed { at_ns: self.action.proposed_time_ns };
        }
        self.action.standing(&rule.rule, &said.collect::<Vec<_>>(), now_ns)
    }
}

impl Canonical for ApprovalBundle {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        self.action.encode(encoder);
        encoder.sequence(self.statements.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        Ok(Self { action: Action::decode(reader)?, statements: reader.sequence()? })
    }
}
