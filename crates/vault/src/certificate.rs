//! Who may write a lineage: a certificate from the domain's offline root.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::approval::utc;
use crate::error::{Error, Result};
use crate::layout::{Lineage, check_domain, hex, unhex};
use crate::random::{self, Random};
use crate::root::{digits, line};

const MAGIC: &[u8; 4] = b"EVKC";
const VERSION: u8 = 1;
const RECORD_CONTEXT: &[u8] = b"evenkeel vault record v1\0";
/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// A domain's public root key: all that is needed to know which lineages are its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RootPublicKey(VerifyingKey);

impl RootPublicKey {
    /// From 32 bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they are no (strong) Ed25519 key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            _ => Err(Error::Invalid {
                what: "root public key",
                detail: format!("{} is no Ed25519 key", hex(bytes)),
            }),
        }
    }

    /// From 64 hexadecimal digits.
    ///
    /// # Errors
    /// As [`RootPublicKey::from_bytes`].
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = unhex(text.trim()).ok_or_else(|| Error::Invalid {
            what: "root public key",
            detail: "64 hexadecimal digits are expected".to_owned(),
        })?;
        Self::from_bytes(&bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    pub(crate) fn new(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// Whether the root signed exactly this.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for RootPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.0.as_bytes()))
    }
}

impl fmt::Debug for RootPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootPublicKey({self})")
    }
}

/// A writer's signing key. It lives on the writer host; losing it to a thief lets the thief add
/// records to its lineage, never read or remove any.
pub struct WriterKey(Signs);

enum Signs {
    Here(SigningKey),
    Elsewhere([u8; 32], SignElsewhere),
}

/// Signs a message with Ed25519 (RFC 8032), where the key is not in this process.
pub type SignElsewhere = Box<dyn Fn(&[u8]) -> std::io::Result<[u8; SIGNATURE_BYTES]> + Send + Sync>;

impl WriterKey {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self(Signs::Here(SigningKey::from_bytes(&random::array(random)?))))
    }

    /// A key that is held elsewhere, such as in a token, by its public half.
    #[must_use]
    pub fn elsewhere(public: [u8; 32], sign: SignElsewhere) -> Self {
        Self(Signs::Elsewhere(public, sign))
    }

    /// From its 32 secret bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Signs::Here(SigningKey::from_bytes(bytes)))
    }

    /// Its 32 secret bytes; whoever has them can write as this writer. `None` if they are held
    /// elsewhere.
    #[must_use]
    pub fn to_bytes(&self) -> Option<zeroize::Zeroizing<[u8; 32]>> {
        match &self.0 {
            Signs::Here(key) => Some(zeroize::Zeroizing::new(key.to_bytes())),
            Signs::Elsewhere(..) => None,
        }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        match &self.0 {
            Signs::Here(key) => key.verifying_key().to_bytes(),
            Signs::Elsewhere(public, _) => *public,
        }
    }

    /// Signs a message that begins with a context of its own.
    ///
    /// # Errors
    /// [`Error::Elsewhere`] from where the key is held.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES]> {
        match &self.0 {
            Signs::Here(key) => Ok(key.sign(message).to_bytes()),
            Signs::Elsewhere(_, sign) => sign(message).map_err(Error::Elsewhere),
        }
    }

    pub(crate) fn sign_record(&self, unsigned: &[u8]) -> Result<[u8; SIGNATURE_BYTES]> {
        self.sign(&record_message(unsigned))
    }
}

impl fmt::Debug for WriterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriterKey(public {}, secret withheld)", hex(&self.public()))
    }
}

fn record_message(unsigned: &[u8]) -> Vec<u8> {
    [RECORD_CONTEXT, blake3::hash(unsigned).as_bytes()].concat()
}

/// Where a lineage branched off an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The lineage that was restored.
    pub lineage: Lineage,
    /// The last position taken over from it.
    pub position: u64,
    /// Hash of the last record that was used, zero if unknown.
    pub record_hash: [u8; 32],
}

/// The root's word that a key writes a lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The domain.
    pub domain: String,
    /// The lineage.
    pub lineage: Lineage,
    /// The lineage it was restored from, if any.
    pub parent: Option<Parent>,
    /// The writer's public key.
    pub writer: [u8; 32],
    /// When it was issued, nanoseconds since 1970 UTC.
    pub issued_time_ns: u64,
    /// The root's; zeros as long as it has not signed.
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

impl Certificate {
    /// What every signed certificate's bytes begin with.
    pub(crate) const CONTEXT: &[u8] = b"evenkeel vault certificate v1\0";

    /// A certificate that the root has not signed yet: nobody believes it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the domain's name.
    pub fn draft(
        domain: &str,
        lineage: Lineage,
        parent: Option<Parent>,
        writer: [u8; 32],
        issued_time_ns: u64,
    ) -> Result<Self> {
        check_domain(domain)?;
        let signature = [0; SIGNATURE_BYTES];
        let domain = domain.to_owned();
        Ok(Self { domain, lineage, parent, writer, issued_time_ns, signature })
    }

    /// Whether the root still has to sign it.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.signature == [0; SIGNATURE_BYTES]
    }

    /// What the root is asked to sign, in words.
    pub(crate) fn words(&self) -> Vec<(String, String)> {
        let kind = self.lineage.kind_beside();
        let writes = kind.map_or("the main line".into(), |kind| kind.escape_ascii().to_string());
        let mut words = vec![
            line("writes", writes),
            digits("writer", &self.writer),
            line("of-lineage", self.lineage),
        ];
        if let Some(parent) = &self.parent {
            words.push(line("restored-from", parent.lineage));
            words.push(line("up-to-position", parent.position));
            words.push(digits("up-to-record", &parent.record_hash));
        }
        words.push(line("issued-at", utc(self.issued_time_ns)));
        words
    }

    /// Checks the root's signature.
    ///
    /// # Errors
    /// [`Error::AwaitsRoot`] if nobody signed it yet; [`Error::Integrity`] if this root did not.
    pub fn verify(&self, root: &RootPublicKey) -> Result<()> {
        if self.is_draft() {
            return Err(Error::AwaitsRoot {
                domain: self.domain.clone(),
                lineage: self.lineage.to_string(),
            });
        }
        let signature = Signature::from_bytes(&self.signature);
        root.0.verify_strict(&self.message(), &signature).map_err(|_| {
            Error::integrity(
                format!("certificate of lineage {}", self.lineage),
                format!("domain {}", self.domain),
                format!("not signed by the root key {root}"),
            )
        })
    }

    pub(crate) fn verify_record(&self, unsigned: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.writer) else {
            return false;
        };
        let Ok(signature) = Signature::from_slice(signature) else {
            return false;
        };
        key.verify_strict(&record_message(unsigned), &signature).is_ok()
    }

    /// What the first record links to.
    pub(crate) fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.to_bytes()).as_bytes()
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.fixed(Self::CONTEXT);
        self.encode_unsigned(&mut encoder);
        encoder.into_bytes()
    }

    fn encode_unsigned(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        encoder.bytes(self.domain.as_bytes());
        self.lineage.encode(encoder);
        self.parent.encode(encoder);
        encoder.fixed(&self.writer);
        encoder.u64(self.issued_time_ns);
    }
}

impl Canonical for Certificate {
    fn encode(&self, encoder: &mut Encoder) {
        self.encode_unsigned(encoder);
        encoder.fixed(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        let domain = text(reader, 32)?;
        Ok(Self {
            domain,
            lineage: Lineage::decode(reader)?,
            parent: Option::decode(reader)?,
            writer: reader.array()?,
            issued_time_ns: reader.u64()?,
            signature: reader.array()?,
        })
    }
}

impl Canonical for Lineage {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(&self.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array().map(Self)
    }
}

evenkeel_types::canonical_struct!(Parent { lineage, position, record_hash });

/// Reads a file's four magic bytes and its version.
pub(crate) fn magic(
    reader: &mut Reader<'_>,
    expected: &[u8; 4],
    version: u8,
) -> Result<(), DecodeError> {
    if reader.array::<4>()? != *expected {
        return Err(reader.not_canonical("not a file of this kind"));
    }
    let found = reader.u8()?;
    if found != version {
        return Err(reader.unknown_tag("format version", found.into()));
    }
    Ok(())
}

/// Reads a short UTF-8 string.
pub(crate) fn text(reader: &mut Reader<'_>, limit_bytes: usize) -> Result<String, DecodeError> {
    let bytes = reader.bytes(limit_bytes)?.to_vec();
    String::from_utf8(bytes).map_err(|_| reader.not_canonical("text is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> (SigningKey, Certificate) {
        let root = SigningKey::from_bytes(&[1; 32]);
        let writer = WriterKey::from_bytes(&[2; 32]).public();
        let parent = Parent { lineage: Lineage([3; 16]), position: 9, record_hash: [4; 32] };
        let mut issued =
            Certificate::draft("state", Lineage([5; 16]), Some(parent), writer, 6).unwrap();
        let unsigned = issued.verify(&RootPublicKey::new(root.verifying_key()));
        assert!(matches!(unsigned, Err(Error::AwaitsRoot { .. })), "{unsigned:?}");
        issued.signature = root.sign(&issued.message()).to_bytes();
        (root, issued)
    }

    #[test]
    fn a_certificate_reads_back_and_only_its_root_vouches_for_it() {
        let (root, certificate) = certificate();
        let read = Certificate::from_bytes(&certificate.to_bytes()).unwrap();
        assert_eq!(read, certificate);
        read.verify(&RootPublicKey::new(root.verifying_key())).unwrap();
        let other = SigningKey::from_bytes(&[9; 32]);
        assert!(read.verify(&RootPublicKey::new(other.verifying_key())).is_err());
    }

    #[test]
    fn every_changed_byte_of_a_certificate_is_noticed() {
        let (root, certificate) = certificate();
        let root = RootPublicKey::new(root.verifying_key());
        let bytes = certificate.to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let accepted = Certificate::from_bytes(&changed)
                .is_ok_and(|certificate| certificate.verify(&root).is_ok());
            assert!(!accepted, "byte {at}");
        }
    }

    #[test]
    fn the_writer_key_does_not_print_its_secret() {
        let key = WriterKey::from_bytes(&[0xcd; 32]);
        assert!(!format!("{key:?}").contains("cdcd"));
    }
}
