//! The recovery identity, recipients, and the key of chunk ids.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use age::secrecy::ExposeSecret;
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use crate::certificate::{Certificate, Parent, RootPublicKey};
use crate::error::{Error, Result};
use crate::layout::{Lineage, check_domain, hex, unhex};
use crate::random::{self, Random};
use crate::root::RootWord;

const ROOT_PREFIX: &str = "EVENKEEL-ROOT-KEY-1-";
const AGE_PREFIX: &str = "AGE-SECRET-KEY-1";

/// Somebody who can open key periods (age-encryption.org/v1): a secret for X25519 in memory, or
/// whatever else opens what is sealed to its recipient, such as a key in a token.
#[derive(Clone)]
pub struct Identity(Opens);

#[derive(Clone)]
enum Opens {
    X25519(age::x25519::Identity),
    Elsewhere(Recipient, Arc<dyn age::Identity + Send + Sync>),
}

impl Identity {
    /// A new identity from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(Opens::X25519(age::x25519::Identity::generate()))
    }

    /// An identity whose secret is held elsewhere. What goes wrong there comes back as
    /// [`Error::Elsewhere`] if `identity` gives it as the inner error of an
    /// [`age::DecryptError::Io`].
    #[must_use]
    pub fn elsewhere(recipient: Recipient, identity: Arc<dyn age::Identity + Send + Sync>) -> Self {
        Self(Opens::Elsewhere(recipient, identity))
    }

    /// Reads the first `AGE-SECRET-KEY-1…` line of a text; `#` starts a comment.
    ///
    /// # Errors
    /// [`Error::KeyFile`] if there is none, or it is damaged.
    pub fn parse(text: &str) -> Result<Self> {
        for (number, line) in lines(text) {
            if line.starts_with(AGE_PREFIX) {
                return line.parse().map(|read| Self(Opens::X25519(read))).map_err(|why: &str| {
                    Error::KeyFile {
                        what: "identity",
                        line: number,
                        detail: format!("{why}; a character was lost or changed"),
                    }
                });
            }
        }
        Err(Error::KeyFile {
            what: "identity",
            line: 0,
            detail: format!("no line starts with {AGE_PREFIX}"),
        })
    }

    /// As text, with its recipient in a comment; without a secret if that is held elsewhere.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let Opens::X25519(identity) = &self.0 else {
            return Zeroizing::new(format!("# recipient: {}\n", self.recipient()));
        };
        let secret = identity.to_string();
        Zeroizing::new(format!("# recipient: {}\n{}\n", self.recipient(), secret.expose_secret()))
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        match &self.0 {
            Opens::X25519(identity) => Recipient(For::X25519(identity.to_public())),
            Opens::Elsewhere(recipient, _) => recipient.clone(),
        }
    }

    pub(crate) fn age(&self) -> &dyn age::Identity {
        match &self.0 {
            Opens::X25519(identity) => identity,
            Opens::Elsewhere(_, identity) => &**identity,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(recipient {}, secret withheld)", self.recipient())
    }
}

/// Stands for a recipient in the key objects of one lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecipientMark(pub(crate) [u8; 16]);

/// Somebody for whom key periods are wrapped: `age1…` (X25519), or `age1tag1…` (P-256), whose
/// secret a token can hold.
#[derive(Clone)]
pub struct Recipient(For);

#[derive(Clone)]
enum For {
    X25519(age::x25519::Recipient),
    Tag(age::tag::Recipient),
}

/// How recipients on P-256 begin.
const TAG_PREFIX: &str = "age1tag1";

impl Recipient {
    /// Reads `age1…` or `age1tag1…`.
    ///
    /// # Errors
    /// [`Error::KeyFile`] if it is no recipient.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let read = if text.starts_with(TAG_PREFIX) {
            text.parse().map(For::Tag)
        } else {
            text.parse().map(For::X25519)
        };
        read.map(Self).map_err(|why: &str| Error::KeyFile {
            what: "recipient",
            line: 0,
            detail: format!("{text:?} is not an age1… recipient: {why}"),
        })
    }

    pub(crate) fn age(&self) -> &dyn age::Recipient {
        match &self.0 {
            For::X25519(recipient) => recipient,
            For::Tag(recipient) => recipient,
        }
    }

    /// By what a key object of `lineage` says that it is wrapped for this recipient: who knows the
    /// recipient can tell, and nobody learns it from this.
    #[must_use]
    pub fn mark(&self, lineage: Lineage) -> RecipientMark {
        let mut hasher = blake3::Hasher::new_derive_key("evenkeel vault recipient mark v1");
        hasher.update(&lineage.0).update(self.to_string().as_bytes());
        let mut mark = [0; 16];
        mark.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        RecipientMark(mark)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            For::X25519(recipient) => recipient.fmt(f),
            For::Tag(recipient) => recipient.fmt(f),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Recipient {}

/// What brings a domain back: the identity that opens every key period, and the root key that says
/// who may write. It belongs on no host; it is needed to begin a lineage and to restore.
pub struct RecoveryIdentity {
    domain: String,
    identity: Identity,
    root: SigningKey,
}

impl RecoveryIdentity {
    /// A new one for `domain`.
    ///
    /// # Errors
    /// [`Error::Random`], [`Error::Invalid`] for the domain's name.
    pub fn generate(domain: &str, random: &mut dyn Random) -> Result<Self> {
        check_domain(domain)?;
        let root = SigningKey::from_bytes(&random::array(random)?);
        Ok(Self { domain: domain.to_owned(), identity: Identity::generate(), root })
    }

    /// The domain it is for.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The identity that opens.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The recipient to configure at the writer.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        self.identity.recipient()
    }

    /// The public root key, which readers have to know.
    #[must_use]
    pub fn root_public(&self) -> RootPublicKey {
        RootPublicKey::new(self.root.verifying_key())
    }

    /// Certifies `writer` (a public key) as the writer of `lineage`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the domain's name.
    pub fn certify(
        &self,
        lineage: Lineage,
        parent: Option<Parent>,
        writer: [u8; 32],
        issued_time_ns: u64,
    ) -> Result<Certificate> {
        let mut made = Certificate::draft(&self.domain, lineage, parent, writer, issued_time_ns)?;
        made.signature = self.sign(&made.message());
        Ok(made)
    }

    /// Signs what the root is asked for, on the machine where it is kept.
    #[must_use]
    pub fn sign_word(&self, word: &RootWord) -> [u8; 64] {
        self.sign(&word.message())
    }

    /// Signs as the domain's root.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.root.sign(message).to_bytes()
    }

    /// The text of the recovery file. [`RecoveryIdentity::parse`] reads it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for the whole, so that no copy of a part is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(1024));
        let root = Zeroizing::new(hex(self.root.as_bytes()));
        let identity = self.identity.to_text();
        let secret = lines(&identity).next().map_or("", |(_, line)| line);
        // Writing to a string cannot fail.
        let _ = write!(
            *text,
            "# Evenkeel recovery identity\n\
             # domain: {}\n\
             #\n\
             # Whoever holds this file can read every recovery point of this domain and can\n\
             # certify a new writer. Move it off this machine now: to paper, or to media in a\n\
             # safe, at two places. Without it nothing can be restored.\n\
             #\n\
             # recipient: {}\n\
             # root public key: {}\n\
             {}\n\
             {ROOT_PREFIX}{}\n",
            self.domain,
            self.recipient(),
            self.root_public(),
            secret,
            root.as_str(),
        );
        text
    }

    /// Reads the text of a recovery file, and checks it against itself.
    ///
    /// # Errors
    /// [`Error::KeyFile`] with the line and what is wrong there.
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |line: usize, detail: String| Error::KeyFile {
            what: "recovery identity",
            line,
            detail,
        };
        let comment = |label: &str| {
            text.lines().find_map(|line| {
                line.trim().strip_prefix('#')?.trim().strip_prefix(label).map(str::trim)
            })
        };
        let domain = comment("domain:")
            .ok_or_else(|| fail(0, "the line \"# domain: …\" is missing".to_owned()))?;
        check_domain(domain)?;
        let (number, root) = lines(text)
            .find_map(|(number, line)| Some((number, line.strip_prefix(ROOT_PREFIX)?)))
            .ok_or_else(|| fail(0, format!("no line starts with {ROOT_PREFIX}")))?;
        let root = unhex(root).map(Zeroizing::new).ok_or_else(|| {
            fail(number, "64 hexadecimal digits are expected behind the prefix".to_owned())
        })?;
        let root = SigningKey::from_bytes(&root);
        let read = Self { domain: domain.to_owned(), identity: Identity::parse(text)?, root };
        let stated = [
            ("root public key:", read.root_public().to_string()),
            ("recipient:", read.recipient().to_string()),
        ];
        for (label, derived) in stated {
            if comment(label).is_some_and(|stated| stated != derived) {
                let detail = format!("the secret does not belong to the stated {label} {derived}");
                return Err(fail(number, detail));
            }
        }
        Ok(read)
    }
}

impl fmt::Debug for RecoveryIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveryIdentity")
            .field("domain", &self.domain)
            .field("recipient", &self.recipient())
            .field("root_public", &self.root_public())
            .finish_non_exhaustive()
    }
}

/// Key of chunk ids, persistent at the host. It opens nothing: whoever has it can tell whether a
/// chunk he already holds is also in the vault.
pub struct IdKey(Zeroizing<[u8; 32]>);

impl IdKey {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self(Zeroizing::new(random::array(random)?)))
    }

    /// From its 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// Id of a chunk: the same content has the same id, for holders of this key only.
    pub(crate) fn chunk_id(&self, chunk: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, chunk).as_bytes()
    }

    /// Seed of the chunker's table, so that chunk sizes do not tell what was cut.
    pub(crate) fn chunker_seed(&self) -> u64 {
        let derived = blake3::derive_key("evenkeel vault chunker seed v1", self.0.as_slice());
        let mut seed = [0; 8];
        seed.copy_from_slice(&derived[..8]);
        u64::from_le_bytes(seed)
    }

    /// Key of the local index's authenticator.
    pub(crate) fn index_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key("evenkeel vault index v1", self.0.as_slice()))
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey(withheld)")
    }
}

/// Lines that are no comments, with their 1-based numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;

    #[test]
    fn a_recovery_file_reads_back_as_the_same_identity() {
        let identity = RecoveryIdentity::generate("state", &mut OsRandom).unwrap();
        let read = RecoveryIdentity::parse(&identity.to_text()).unwrap();
        assert_eq!(read.domain(), "state");
        assert_eq!(read.recipient(), identity.recipient());
        assert_eq!(read.root_public(), identity.root_public());
        let identity = Identity::parse(&identity.to_text()).unwrap();
        assert_eq!(identity.recipient(), read.recipient());
    }

    #[test]
    fn a_damaged_recovery_file_names_the_line() {
        let text = RecoveryIdentity::generate("state", &mut OsRandom).unwrap().to_text();
        let swap = |line: &str| {
            let (head, last) = line.split_at(line.len() - 1);
            format!("{head}{}", if last == "0" { "1" } else { "0" })
        };
        for prefix in [AGE_PREFIX, ROOT_PREFIX] {
            let damaged: Vec<String> = text
                .lines()
                .map(|line| if line.starts_with(prefix) { swap(line) } else { line.to_owned() })
                .collect();
            let error = RecoveryIdentity::parse(&damaged.join("\n")).unwrap_err();
            assert!(matches!(error, Error::KeyFile { line: 10 | 11, .. }), "{error}");
        }
        assert!(RecoveryIdentity::parse("").is_err());
    }

    #[test]
    fn secrets_are_not_printed() {
        let identity = RecoveryIdentity::generate("state", &mut OsRandom).unwrap();
        let text = identity.to_text();
        let shown = format!("{identity:?} {:?}", identity.identity());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(!shown.contains(line.trim_start_matches(ROOT_PREFIX)));
        }
        assert_eq!(format!("{:?}", IdKey::from_bytes(&[1; 32])), "IdKey(withheld)");
    }
}
