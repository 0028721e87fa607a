//! Deletion grants: which objects may go, who said so, and from when on.
//!
//! A *plan* names exact objects. Approvers sign its hash ([`crate::approval`]); once m of n have,
//! and none has cancelled, it is *in force*: writers refer to none of its packs any more. After the
//! delay it may be executed, once. Nothing here deletes.

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::approval::Matter;
use crate::certificate::{magic, text};
use crate::error::{Error, Result};
use crate::folder::check_object_name;
use crate::layout::{ObjectName, check_domain, hex};
use crate::random::{self, Random};

const PLAN_MAGIC: &[u8; 4] = b"EVKD";
const VERSION: u8 = 1;
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

    /// What approvers sign.
    #[must_use]
    pub fn matter(&self) -> Matter {
        Matter::deletion(&self.domain, self.id())
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
