//! An approver's signed word, and the text that it is signed over.

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use super::action::Kind;
use super::approver::Approver;
use super::words::{Detail, check_second, utc, whole_second};
use crate::certificate::SIGNATURE_BYTES;
use crate::error::{Error, Result};
use crate::grant::PlanId;
use crate::layout::hex;

const MAGIC: &[u8; 4] = b"EVKG";
/// Version 1: of a deletion plan, by a key of Ed25519, over bytes.
const OVER_BYTES: u8 = 1;
/// Version 2: of anything, by any approver, over a text.
const OVER_TEXT: u8 = 2;
const BYTES_CONTEXT: &[u8] = b"evenkeel vault deletion v1\0";

/// What an approver says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// It may be carried out, after the delay.
    Approve,
    /// It may not, whatever others said.
    Cancel,
}

evenkeel_types::canonical_enum!(Word { 0 => Approve, 1 => Cancel });

impl Word {
    /// How names at sites begin.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Cancel => "cancel",
        }
    }
}

/// What a word is about, and what the text that is signed shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matter {
    pub(super) kind: Kind,
    pub(super) domain: String,
    pub(super) hash: [u8; 32],
    pub(super) lines: Vec<Detail>,
    /// Nobody approved it earlier, whatever a statement claims: nanoseconds since 1970 UTC.
    pub(super) proposed_ns: u64,
}

impl Matter {
    /// Of a deletion plan: its hash says what goes.
    #[must_use]
    pub fn deletion(domain: &str, plan: PlanId) -> Self {
        Self {
            kind: Kind::Deletion,
            domain: domain.to_owned(),
            hash: plan.0,
            lines: Vec::new(),
            proposed_ns: 0,
        }
    }

    /// What the names of all objects about it begin with, at every site.
    #[must_use]
    pub fn prefix(&self) -> String {
        let folder = if self.kind == Kind::Deletion { "grants" } else { "actions" };
        format!("{folder}/{}/{}/", self.domain, hex(&self.hash))
    }

    /// The text that is signed: by a wallet as a personal message (EIP-191), by a key of Ed25519
    /// as these bytes. It ends with a line end.
    #[must_use]
    pub fn text(&self, word: Word, time_ns: u64, approver: &Approver) -> String {
        let says = match word {
            Word::Approve => "I APPROVE this: it may be carried out once its delay is over.",
            Word::Cancel => "I OBJECT to this: it is never carried out, whoever approved it.",
        };
        let mut text = format!(
            "Evenkeel approval, version 1\n\n{says}\n\nkind: {}\ndomain: {}\n",
            self.kind.name(),
            self.domain
        );
        for line in &self.lines {
            text.push_str(&format!("{}: {}\n", line.name, line.value));
        }
        text.push_str(&format!(
            "action: {}\nsigned-at: {}\nsigned-by: {approver}\n",
            hex(&self.hash),
            utc(time_ns)
        ));
        text
    }
}

/// An approver's signed word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What was said.
    pub word: Word,
    /// Of what: the hash of a plan or an action.
    pub about: [u8; 32],
    /// When, by the approver's clock: nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// Who says it.
    pub approver: Approver,
    version: u8,
    signature: Vec<u8>,
}

impl Statement {
    pub(super) fn sign(
        word: Word,
        matter: &Matter,
        time_ns: u64,
        key: [u8; 32],
        sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_BYTES],
    ) -> Self {
        let version = if matter.kind == Kind::Deletion { OVER_BYTES } else { OVER_TEXT };
        let time_ns = if version == OVER_TEXT { whole_second(time_ns) } else { time_ns };
        let (about, approver, signature) = (matter.hash, Approver::Key(key), Vec::new());
        let mut statement = Self { word, about, time_ns, approver, version, signature };
        statement.signature = sign(&statement.message(matter)).to_vec();
        statement
    }

    /// A word that was signed elsewhere, over [`Matter::text`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if the approver did not sign exactly that text, or if the time is no
    /// whole second.
    pub fn signed_elsewhere(
        word: Word,
        matter: &Matter,
        time_ns: u64,
        approver: Approver,
        signature: &[u8],
    ) -> Result<Self> {
        check_second(time_ns)?;
        let signature = signature.to_vec();
        let (about, version) = (matter.hash, OVER_TEXT);
        let statement = Self { word, about, time_ns, approver, version, signature };
        if statement.is_genuine(matter) {
            return Ok(statement);
        }
        let detail = format!("{approver} did not sign this text, or the signature is damaged");
        Err(Error::Invalid { what: "signature", detail })
    }

    fn message(&self, matter: &Matter) -> Vec<u8> {
        if self.version == OVER_TEXT {
            return matter.text(self.word, self.time_ns, &self.approver).into_bytes();
        }
        let mut encoder = Encoder::new();
        encoder.fixed(BYTES_CONTEXT);
        self.word.encode(&mut encoder);
        encoder.fixed(&self.about);
        encoder.u64(self.time_ns);
        if let Approver::Key(key) = &self.approver {
            encoder.fixed(key);
        }
        encoder.into_bytes()
    }

    /// Whether the approver that it names signed it, of just this matter.
    #[must_use]
    pub fn is_genuine(&self, matter: &Matter) -> bool {
        self.about == matter.hash
            && (self.version == OVER_TEXT || matter.kind == Kind::Deletion)
            && self.approver.has_signed(&self.message(matter), &self.signature)
    }

    /// Its name at a site.
    #[must_use]
    pub fn key(&self, matter: &Matter) -> String {
        format!("{}{}-{}", matter.prefix(), self.word.name(), self.approver.digits())
    }
}

impl Canonical for Statement {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(self.version);
        self.word.encode(encoder);
        encoder.fixed(&self.about);
        encoder.u64(self.time_ns);
        match (&self.approver, self.version) {
            (Approver::Key(key), OVER_BYTES) => encoder.fixed(key),
            (approver, _) => approver.encode(encoder),
        }
        encoder.fixed(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.array::<4>()? != *MAGIC {
            return Err(reader.not_canonical("not a file of this kind"));
        }
        let version = reader.u8()?;
        if version != OVER_BYTES && version != OVER_TEXT {
            return Err(reader.unknown_tag("format version", version.into()));
        }
        let word = Word::decode(reader)?;
        let (about, time_ns) = (reader.array()?, reader.u64()?);
        let approver = match version {
            OVER_BYTES => Approver::Key(reader.array()?),
            _ => Approver::decode(reader)?,
        };
        let signature = match approver {
            Approver::Key(_) => reader.array::<64>()?.to_vec(),
            Approver::Wallet(_) => reader.array::<65>()?.to_vec(),
        };
        if version == OVER_TEXT {
            check_second(time_ns).map_err(|_| reader.not_canonical("no whole second"))?;
        }
        Ok(Self { word, about, time_ns, approver, version, signature })
    }
}
