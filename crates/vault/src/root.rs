//! What only a domain's root can say, and who signs it: the recovery identity at once, or somebody
//! elsewhere later (a group of holders, a token, a machine without a network).
//!
//! Everything the root signs is a context and the bytes of an object without its signature. So a
//! message says by itself what it is: whoever signs reads it in words, and whoever asked needs
//! nothing back but the signature.

use std::fmt;

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::approval::{ApprovalPolicy, publish_policy};
use crate::catalog::Catalog;
use crate::certificate::{Certificate, RootPublicKey, SIGNATURE_BYTES, magic};
use crate::error::{Error, Result};
use crate::keys::RecoveryIdentity;
use crate::layout::{Layout, hex};
use crate::revocation::Revocation;
use crate::shipping::{require, ship_replicated};
use crate::site::Sites;
use crate::wrap::Wrap;

const MAGIC: &[u8; 4] = b"EVKS";
const VERSION: u8 = 1;
/// A key object is the largest message: an age file of at most a mebibyte.
const MESSAGE_BYTES_MAX: usize = (1 << 20) + 1024;

/// Something that counts once the domain's root has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootWord(Says);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Says {
    Certificate(Certificate),
    Wrap(Wrap),
    Revocation(Revocation),
    Policy(ApprovalPolicy),
}

impl From<Certificate> for RootWord {
    fn from(certificate: Certificate) -> Self {
        Self(Says::Certificate(certificate))
    }
}

impl From<ApprovalPolicy> for RootWord {
    fn from(policy: ApprovalPolicy) -> Self {
        Self(Says::Policy(policy))
    }
}

impl From<Wrap> for RootWord {
    fn from(wrap: Wrap) -> Self {
        Self(Says::Wrap(wrap))
    }
}

impl From<Revocation> for RootWord {
    fn from(revocation: Revocation) -> Self {
        Self(Says::Revocation(revocation))
    }
}

/// The object of a message: what follows the context, with a signature of zeros.
fn unsigned<T: Canonical>(message: &[u8], context: &[u8]) -> Option<T> {
    let object = message.strip_prefix(context)?;
    T::from_bytes(&[object, &[0; SIGNATURE_BYTES]].concat()).ok()
}

impl RootWord {
    /// Reads what a message is about. `None`: it is nothing that a root signs.
    #[must_use]
    pub fn of_message(message: &[u8]) -> Option<Self> {
        let certificate = unsigned(message, Certificate::CONTEXT).map(Says::Certificate);
        let word = certificate
            .or_else(|| unsigned(message, Wrap::CONTEXT).map(Says::Wrap))
            .or_else(|| unsigned(message, Revocation::CONTEXT).map(Says::Revocation))
            .or_else(|| unsigned(message, ApprovalPolicy::CONTEXT).map(Says::Policy))?;
        Some(Self(word))
    }

    /// The bytes that the root signs.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        match &self.0 {
            Says::Certificate(one) => one.message(),
            Says::Wrap(one) => one.message(),
            Says::Revocation(one) => one.message(),
            Says::Policy(one) => one.message(),
        }
    }

    /// What it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            Says::Certificate(_) => "certificate",
            Says::Wrap(_) => "key-wrapped-anew",
            Says::Revocation(_) => "revocation",
            Says::Policy(_) => "approval-policy",
        }
    }

    /// The domain it is of.
    #[must_use]
    pub fn domain(&self) -> &str {
        match &self.0 {
            Says::Certificate(one) => &one.domain,
            Says::Wrap(one) => one.domain(),
            Says::Revocation(one) => one.domain(),
            Says::Policy(one) => &one.domain,
        }
    }

    /// What whoever signs agrees to: names and values, one line each.
    #[must_use]
    pub fn words(&self) -> Vec<(String, String)> {
        let own = match &self.0 {
            Says::Certificate(one) => one.words(),
            Says::Wrap(one) => one.words(),
            Says::Revocation(one) => one.words(),
            Says::Policy(one) => {
                one.details().into_iter().map(|detail| (detail.name, detail.value)).collect()
            }
        };
        let mut words = vec![
            ("says".to_owned(), self.kind().to_owned()),
            ("domain".to_owned(), self.domain().to_owned()),
        ];
        words.extend(own);
        words
    }

    /// The same with a signature, if this root made it.
    #[must_use]
    pub fn signed(
        mut self,
        signature: [u8; SIGNATURE_BYTES],
        root: &RootPublicKey,
    ) -> Option<Self> {
        if !root.has_signed(&self.message(), &signature) {
            return None;
        }
        self.sign(signature);
        Some(self)
    }

    fn sign(&mut self, signature: [u8; SIGNATURE_BYTES]) {
        match &mut self.0 {
            Says::Certificate(one) => one.signature = signature,
            Says::Wrap(one) => one.sign(signature),
            Says::Revocation(one) => one.signature = signature,
            Says::Policy(one) => one.signature = signature,
        }
    }

    /// The certificate, if it is one: it lies at the writer, not at the sites.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        match &self.0 {
            Says::Certificate(one) => Some(one),
            _ => None,
        }
    }

    /// The policy, if it is one.
    #[must_use]
    pub fn policy(&self) -> Option<&ApprovalPolicy> {
        match &self.0 {
            Says::Policy(one) => Some(one),
            _ => None,
        }
    }

    /// Brings what was signed to the sites. A certificate goes nowhere: it lies at its writer.
    /// Readers believe nothing that the root did not sign.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`] if it does not reach enough of them.
    pub fn publish(&self, sites: &Sites, layout: Layout) -> Result<()> {
        let (name, bytes) = match &self.0 {
            Says::Certificate(_) => return Ok(()),
            Says::Policy(one) => return publish_policy(sites, layout, one).map(drop),
            Says::Wrap(one) => (one.name(), one.to_bytes()),
            Says::Revocation(one) => (one.name(), one.to_bytes()),
        };
        let delivery = ship_replicated(sites, &name.key(self.domain()), &bytes);
        require(&delivery, layout.k(), &format!("publishing a {}", self.kind()))
    }
}

/// Who signs as a domain's root.
pub enum RootHand<'a> {
    /// The recovery identity, which has the root key: at once.
    Here(&'a RecoveryIdentity),
    /// Somebody elsewhere: what has to be signed is noted here, and nothing is published.
    Later(&'a mut RootRequest),
}

impl RootHand<'_> {
    /// Signs, or notes what has to be signed.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the root here is another domain's.
    pub fn sign(&mut self, word: impl Into<RootWord>) -> Result<Option<RootWord>> {
        let mut word = word.into();
        match self {
            Self::Here(recovery) if recovery.domain() != word.domain() => {
                let detail = format!("it is of domain {}", recovery.domain());
                Err(Error::Invalid { what: "recovery identity", detail })
            }
            Self::Here(recovery) => {
                let signature = recovery.sign(&word.message());
                word.sign(signature);
                Ok(Some(word))
            }
            Self::Later(request) => {
                request.words.push(word);
                Ok(None)
            }
        }
    }

    /// Whether this can sign for the domain of a catalog.
    ///
    /// # Errors
    /// [`Error::Invalid`] if its root is another.
    pub(crate) fn check(&self, catalog: &Catalog) -> Result<()> {
        let (domain, root) = match self {
            Self::Here(recovery) => (recovery.domain(), recovery.root_public()),
            Self::Later(request) => (catalog.domain(), request.root),
        };
        if domain == catalog.domain() && root == *catalog.trust() {
            return Ok(());
        }
        let (own, trust) = (catalog.domain(), catalog.trust());
        let detail = format!(
            "it is that of domain {domain} with root {root}, not of domain {own} with root {trust}"
        );
        Err(Error::Invalid { what: "recovery identity", detail })
    }
}

/// What waits for the root's signature, to be carried to whoever signs.
///
/// It holds nothing secret, and its reader has to trust nobody: it consists of the very messages
/// that are signed.
#[derive(Clone, PartialEq, Eq)]
pub struct RootRequest {
    /// Who has to sign.
    pub root: RootPublicKey,
    /// What, in the order in which it was asked for.
    pub words: Vec<RootWord>,
}

impl RootRequest {
    /// An empty one.
    #[must_use]
    pub fn new(root: RootPublicKey) -> Self {
        Self { root, words: Vec::new() }
    }
}

impl fmt::Debug for RootRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootRequest({} words for {})", self.words.len(), self.root)
    }
}

impl Canonical for RootRequest {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        encoder.fixed(&self.root.to_bytes());
        encoder.u64(self.words.len() as u64);
        self.words.iter().for_each(|word| encoder.bytes(&word.message()));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        let root: [u8; 32] = reader.array()?;
        let root = RootPublicKey::from_bytes(&root)
            .map_err(|_| reader.not_canonical("no root public key"))?;
        let mut words = Vec::new();
        for _ in 0..reader.count()? {
            let message = reader.bytes(MESSAGE_BYTES_MAX)?;
            words.push(
                RootWord::of_message(message)
                    .ok_or_else(|| reader.not_canonical("nothing that a root signs"))?,
            );
        }
        Ok(Self { root, words })
    }
}

/// Bytes as people compare them.
pub(crate) fn line(name: &str, value: impl fmt::Display) -> (String, String) {
    (name.to_owned(), value.to_string())
}

pub(crate) fn digits(name: &str, bytes: &[u8]) -> (String, String) {
    line(name, hex(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Parent;
    use crate::keys::Identity;
    use crate::layout::Lineage;
    use crate::random::OsRandom;
    use crate::record::PeriodRef;
    use zeroize::Zeroizing;

    fn drafts() -> Vec<RootWord> {
        let parent = Parent { lineage: Lineage([3; 16]), position: 9, record_hash: [4; 32] };
        let lineage = Lineage([5; 16]);
        let certificate = Certificate::draft("state", lineage, Some(parent), [6; 32], 7).unwrap();
        let period = PeriodRef { number: 3, hash: [4; 32] };
        let recipients = [Identity::generate().recipient()];
        let wrap = Wrap::draft("state", lineage, period, &Zeroizing::new([8; 32]), &recipients, 9);
        vec![certificate.into(), wrap.unwrap().into()]
    }

    #[test]
    fn a_message_says_what_it_is_and_reads_back_as_nothing_else() {
        for word in drafts() {
            let message = word.message();
            assert_eq!(RootWord::of_message(&message), Some(word.clone()));
            for at in 0..message.len() {
                let mut changed = message.clone();
                changed[at] ^= 1;
                let read = RootWord::of_message(&changed);
                // What reads back at all says itself: exactly the changed bytes.
                assert!(read.is_none_or(|read| read.message() == changed), "byte {at}");
            }
            assert_eq!(RootWord::of_message(&message[..message.len() - 1]), None);
        }
        assert_eq!(RootWord::of_message(b"evenkeel vault record v1\0"), None);
    }

    #[test]
    fn only_a_signature_of_the_root_over_that_very_word_is_taken() {
        let root = RecoveryIdentity::generate("state", &mut OsRandom).unwrap();
        let other = RecoveryIdentity::generate("state", &mut OsRandom).unwrap();
        let mut request = RootRequest::new(root.root_public());
        for word in drafts() {
            assert_eq!(RootHand::Later(&mut request).sign(word).unwrap(), None);
        }
        let read = RootRequest::from_bytes(&request.to_bytes()).unwrap();
        assert_eq!(read, request);
        let [first, second] = [0, 1].map(|at| request.words[at].clone());
        let trust = request.root;
        assert!(first.clone().signed(root.sign_word(&second), &trust).is_none());
        assert!(first.clone().signed(other.sign_word(&first), &trust).is_none());
        let signed = first.clone().signed(root.sign_word(&first), &trust).unwrap();
        signed.certificate().unwrap().verify(&trust).unwrap();
        // The same as if the root had signed at once.
        assert_eq!(RootHand::Here(&root).sign(first).unwrap(), Some(signed));
    }
}
