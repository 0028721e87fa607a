//! Deletion grants: which objects may go, who said so, and from when on.
//!
//! A *plan* names exact objects. Approvers sign its hash; once m of n have, and none has cancelled,
//! it is *in force*: writers refer to none of its packs any more. After the delay it may be
//! executed, once. Nothing here deletes.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::certificate::{SIGNATURE_BYTES, magic, text};
use crate::error::{Error, Result};
use crate::folder::check_object_name;
use crate::layout::{ObjectName, check_domain, hex};
use crate::random::{self, Random};

const PLAN_MAGIC: &[u8; 4] = b"EVKD";
const WORD_MAGIC: &[u8; 4] = b"EVKG";
const VERSION: u8 = 1;
const WORD_CONTEXT: &[u8] = b"evenkeel vault deletion v1\0";
const KEY_BYTES_MAX: usize = 512;
/// Folder of all grants at a site, outside every domain's own names.
const FOLDER: &str = "grants";

/// Name of a plan: the BLAKE3 of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanId(pub [u8; 32]);

impl std::fmt::Display for PlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl PlanId {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crate::layout::unhex(text).map(Self)
    }

    /// Name of the plan's own object at every site.
    #[must_use]
    pub fn plan_key(&self, domain: &str) -> String {
        format!("{FOLDER}/{domain}/{self}/plan")
    }

    /// Name of the object that says that it was executed.
    #[must_use]
    pub fn executed_key(&self, domain: &str) -> String {
        format!("{FOLDER}/{domain}/{self}/executed")
    }

    /// What the names of all objects about it begin with.
    #[must_use]
    pub fn prefix(&self, domain: &str) -> String {
        format!("{FOLDER}/{domain}/{self}/")
    }

    /// What the names of all grants of a domain begin with.
    #[must_use]
    pub fn domain_prefix(domain: &str) -> String {
        format!("{FOLDER}/{domain}/")
    }
}

/// One object that is to go, at every site that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanEntry {
    /// Its name.
    pub object: String,
    /// Its length, as a site lists it.
    pub length_bytes: u64,
    /// The hash that a signed record gives for it; none for what only proves a shard's parts.
    pub hash: Option<[u8; 32]>,
}

impl Canonical for PlanEntry {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(self.object.as_bytes());
        encoder.u64(self.length_bytes);
        self.hash.encode(encoder);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            object: text(reader, KEY_BYTES_MAX)?,
            length_bytes: reader.u64()?,
            hash: Option::decode(reader)?,
        })
    }
}

/// What is proposed to be deleted: records, and what only they needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionPlan {
    /// The domain, of which every object is.
    pub domain: String,
    /// Makes every plan another one, so that what was granted once is not granted again.
    pub nonce: [u8; 16],
    /// When it was made, by the proposer's clock: nanoseconds since 1970 UTC. For people.
    pub proposed_time_ns: u64,
    /// What is to go, by name.
    pub entries: Vec<PlanEntry>,
}

impl DeletionPlan {
    /// A plan; its entries are put in order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it names nothing, or what a plan may not name; [`Error::Random`].
    pub fn new(
        domain: &str,
        proposed_time_ns: u64,
        mut entries: Vec<PlanEntry>,
        random: &mut dyn Random,
    ) -> Result<Self> {
        check_domain(domain)?;
        entries.sort_by(|one, other| one.object.cmp(&other.object));
        let nonce = random::array(random)?;
        let plan = Self { domain: domain.to_owned(), nonce, proposed_time_ns, entries };
        plan.check().map_err(|why| Error::Invalid { what: "deletion plan", detail: why.into() })?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.entries.is_empty() {
            return Err("it names no object");
        }
        if self.entries.windows(2).any(|two| two[0].object >= two[1].object) {
            return Err("objects out of order, or twice");
        }
        let may_go = |entry: &PlanEntry| match ObjectName::parse(&self.domain, &entry.object) {
            Some(ObjectName::Certificate(_) | ObjectName::Revocation(..)) | None => false,
            Some(ObjectName::Proof(..)) => true,
            Some(_) => entry.hash.is_some(),
        };
        if !self.entries.iter().all(may_go) {
            return Err("only records, key objects, shards and their proofs may go, by their hash");
        }
        Ok(())
    }

    /// Its name, which is its hash.
    #[must_use]
    pub fn id(&self) -> PlanId {
        PlanId(*blake3::hash(&self.to_bytes()).as_bytes())
    }

    /// Whether it names this object.
    #[must_use]
    pub fn names(&self, object: &str) -> bool {
        self.entries.binary_search_by(|entry| entry.object.as_str().cmp(object)).is_ok()
    }

    /// Bytes of one copy of everything it names.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.length_bytes))
    }

    pub(crate) fn object_names(&self) -> impl Iterator<Item = ObjectName> + '_ {
        self.entries.iter().filter_map(|entry| ObjectName::parse(&self.domain, &entry.object))
    }
}

impl Canonical for DeletionPlan {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(PLAN_MAGIC);
        encoder.u8(VERSION);
        encoder.bytes(self.domain.as_bytes());
        encoder.fixed(&self.nonce);
        encoder.u64(self.proposed_time_ns);
        encoder.sequence(self.entries.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, PLAN_MAGIC, VERSION)?;
        let plan = Self {
            domain: text(reader, 32)?,
            nonce: reader.array()?,
            proposed_time_ns: reader.u64()?,
            entries: reader.sequence()?,
        };
        check_domain(&plan.domain).map_err(|_| reader.not_canonical("no domain's name"))?;
        plan.check().map_err(|rule| reader.not_canonical(rule))?;
        Ok(plan)
    }
}

/// What an approver says of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// It may be executed, after the delay.
    Approve,
    /// It may not, whatever others said.
    Cancel,
}

evenkeel_types::canonical_enum!(Word { 0 => Approve, 1 => Cancel });

/// An approver's signed word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What was said.
    pub word: Word,
    /// Of which plan.
    pub plan: PlanId,
    /// When, by the approver's clock: nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// The approver's public key.
    pub approver: [u8; 32],
    signature: [u8; SIGNATURE_BYTES],
}

impl Statement {
    fn message(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.fixed(WORD_CONTEXT);
        self.word.encode(&mut encoder);
        encoder.fixed(&self.plan.0);
        encoder.u64(self.time_ns);
        encoder.fixed(&self.approver);
        encoder.into_bytes()
    }

    /// Whether the approver that it names signed it.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.approver) else {
            return false;
        };
        let signature = Signature::from_bytes(&self.signature);
        !key.is_weak() && key.verify_strict(&self.message(), &signature).is_ok()
    }

    /// Its name at a site.
    #[must_use]
    pub fn key(&self, domain: &str) -> String {
        let word = match self.word {
            Word::Approve => "approve",
            Word::Cancel => "cancel",
        };
        format!("{}{word}-{}", self.plan.prefix(domain), hex(&self.approver))
    }
}

impl Canonical for Statement {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(WORD_MAGIC);
        encoder.u8(VERSION);
        self.word.encode(encoder);
        encoder.fixed(&self.plan.0);
        encoder.u64(self.time_ns);
        encoder.fixed(&self.approver);
        encoder.fixed(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, WORD_MAGIC, VERSION)?;
        Ok(Self {
            word: Word::decode(reader)?,
            plan: PlanId(reader.array()?),
            time_ns: reader.u64()?,
            approver: reader.array()?,
            signature: reader.array()?,
        })
    }
}

/// An approver's signing key. It never belongs on a host that writes or deletes.
pub struct ApproverKey(SigningKey);

impl ApproverKey {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self(SigningKey::from_bytes(&random::array(random)?)))
    }

    /// From its 32 secret bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// Its 32 secret bytes; m of n such keys can have old copies deleted.
    #[must_use]
    pub fn to_bytes(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a word about a plan.
    #[must_use]
    pub fn say(&self, word: Word, plan: PlanId, time_ns: u64) -> Statement {
        let (approver, signature) = (self.public(), [0; SIGNATURE_BYTES]);
        let mut statement = Statement { word, plan, time_ns, approver, signature };
        statement.signature = self.0.sign(&statement.message()).to_bytes();
        statement
    }
}

impl std::fmt::Debug for ApproverKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApproverKey(public {}, secret withheld)", hex(&self.public()))
    }
}

/// Who may allow deletions, how many of them it takes, and how long everybody has to object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionRule {
    approvers: BTreeSet<[u8; 32]>,
    needed: usize,
    delay_ns: u64,
}

impl DeletionRule {
    /// A rule: `needed` of these Ed25519 public keys, and a delay.
    ///
    /// # Errors
    /// [`Error::Invalid`] for keys that are none or stand twice, and if fewer than one or more
    /// than all are needed.
    pub fn new(approvers: &[[u8; 32]], needed: usize, delay_ns: u64) -> Result<Self> {
        let fail = |detail: String| Err(Error::Invalid { what: "deletion rule", detail });
        for key in approvers {
            if !VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak()) {
                return fail(format!("{} is no Ed25519 public key", hex(key)));
            }
        }
        let distinct: BTreeSet<[u8; 32]> = approvers.iter().copied().collect();
        if distinct.len() != approvers.len() {
            return fail("an approver stands there twice".to_owned());
        }
        if needed == 0 || needed > distinct.len() {
            return fail(format!("{needed} of {} approvers cannot be needed", distinct.len()));
        }
        Ok(Self { approvers: distinct, needed, delay_ns })
    }

    /// The approvers' public keys.
    pub fn approvers(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.approvers.iter()
    }

    /// How many approvers have to agree.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// How long after the last approval that was needed.
    #[must_use]
    pub fn delay_ns(&self) -> u64 {
        self.delay_ns
    }

    /// Whether this key is an approver's.
    #[must_use]
    pub fn has(&self, approver: &[u8; 32]) -> bool {
        self.approvers.contains(approver)
    }

    /// How a plan stands at `now_ns`. Each statement comes with the time at which it was received,
    /// where somebody knows it (0 elsewhere): an approval counts from the later of the time it
    /// states and that one, so that nobody shortens the delay by dating it back.
    #[must_use]
    pub fn judge(&self, plan: PlanId, said: &[(Statement, u64)], now_ns: u64) -> Standing {
        let valid = said.iter().filter(|(statement, _)| {
            statement.plan == plan && self.has(&statement.approver) && statement.is_genuine()
        });
        let mut approved: BTreeMap<[u8; 32], u64> = BTreeMap::new();
        for (statement, received_ns) in valid {
            if statement.word == Word::Cancel {
                return Standing::Cancelled { by: statement.approver };
            }
            let from = statement.time_ns.max(*received_ns);
            let earliest = approved.entry(statement.approver).or_insert(from);
            *earliest = from.min(*earliest);
        }
        let mut times: Vec<u64> = approved.into_values().collect();
        times.sort_unstable();
        let Some(last) = times.get(self.needed - 1) else {
            return Standing::Waiting { approvals: times.len(), needed: self.needed };
        };
        let from_ns = last.saturating_add(self.delay_ns);
        match now_ns < from_ns {
            true => Standing::Delayed { from_ns },
            false => Standing::Valid { from_ns },
        }
    }
}

/// How a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Too few have approved it.
    Waiting {
        /// How many have.
        approvals: usize,
        /// How many are needed.
        needed: usize,
    },
    /// In force; it may be executed later.
    Delayed {
        /// From when on, nanoseconds since 1970 UTC.
        from_ns: u64,
    },
    /// In force; it may be executed.
    Valid {
        /// Since when, nanoseconds since 1970 UTC.
        from_ns: u64,
    },
    /// Somebody objected.
    Cancelled {
        /// Who.
        by: [u8; 32],
    },
}

impl Standing {
    /// Whether enough have approved and nobody has objected: writers refer to none of its packs.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        matches!(self, Self::Delayed { .. } | Self::Valid { .. })
    }
}

/// The plan that a site's object name is about, and what it is: `plan`, `executed`, or a
/// statement's name.
#[must_use]
pub fn parse_grant_key<'a>(domain: &str, key: &'a str) -> Option<(PlanId, &'a str)> {
    check_object_name(key).ok()?;
    let rest = key.strip_prefix(FOLDER)?.strip_prefix('/')?;
    let (plan, what) = rest.strip_prefix(domain)?.strip_prefix('/')?.split_once('/')?;
    Some((PlanId::parse(plan)?, what))
}

#[cfg(test)]
mod tests;
