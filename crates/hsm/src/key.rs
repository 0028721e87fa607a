//! Kinds of keys, their public halves, and what must be true of one that was born in a token.

use std::fmt;
use std::str::FromStr;

use k256::elliptic_curve::sec1::ToSec1Point as _;

use crate::error::{Error, Result};
use crate::wire::Told;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ECDSA on P-256 (FIPS 186-5).
    P256,
    /// ECDSA on secp256k1 (SEC 2), as Ethereum and Bitcoin sign.
    Secp256k1,
    /// Ed25519 (RFC 8032): manifests, grants.
    Ed25519,
    /// A recipient of the vault: ECDH on P-256, `age1tag1…`.
    Recipient,
    /// A wrapping key: AES-256, key wrap with padding (RFC 5649).
    Aes256,
    /// A key that seals for tokens without ECDH: RSA-2048, OAEP with SHA-256 (RFC 8017).
    Rsa2048,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::P256, Self::Secp256k1, Self::Ed25519, Self::Recipient, Self::Aes256, Self::Rsa2048];

    /// Its word on the command line and in documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Secp256k1 => "secp256k1",
            Self::Ed25519 => "ed25519",
            Self::Recipient => "recipient",
            Self::Aes256 => "aes256",
            Self::Rsa2048 => "rsa2048",
        }
    }

    /// Whether it signs.
    #[must_use]
    pub fn signs(self) -> bool {
        matches!(self, Self::P256 | Self::Secp256k1 | Self::Ed25519)
    }

    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::P256 => 1,
            Self::Secp256k1 => 2,
            Self::Ed25519 => 3,
            Self::Recipient => 4,
            Self::Aes256 => 5,
            Self::Rsa2048 => 6,
        }
    }

    pub(crate) fn of_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
            Error::Usage(format!(
                "`{text}` is no kind of key; there are p256, secp256k1, ed25519, recipient, \
                 aes256 and rsa2048"
            ))
        })
    }
}

/// A key's public half: nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Public {
    /// SEC 1, compressed.
    P256([u8; 33]),
    /// SEC 1, compressed.
    Secp256k1([u8; 33]),
    /// RFC 8032.
    Ed25519([u8; 32]),
    /// A `SubjectPublicKeyInfo` (RFC 5280).
    Rsa(Vec<u8>),
    /// A secret key has none.
    None,
}

impl Public {
    /// Reads what a token or a record gives for a key of this kind: a point compressed or not, and
    /// only if it is one of the curve.
    #[must_use]
    pub fn read(kind: Kind, bytes: &[u8]) -> Option<Self> {
        match kind {
            Kind::P256 | Kind::Recipient => {
                let key = p256::PublicKey::from_sec1_bytes(bytes).ok()?;
                key.to_sec1_point(true).as_bytes().try_into().ok().map(Self::P256)
            }
            Kind::Secp256k1 => {
                let key = k256::PublicKey::from_sec1_bytes(bytes).ok()?;
                key.to_sec1_point(true).as_bytes().try_into().ok().map(Self::Secp256k1)
            }
            Kind::Ed25519 => {
                let bytes: [u8; 32] = bytes.try_into().ok()?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok()?;
                (!key.is_weak()).then_some(Self::Ed25519(bytes))
            }
            Kind::Rsa2048 => (!bytes.is_empty()).then(|| Self::Rsa(bytes.to_vec())),
            Kind::Aes256 => bytes.is_empty().then_some(Self::None),
        }
    }

    /// Its bytes, as a record keeps them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::P256(point) | Self::Secp256k1(point) => point.to_vec(),
            Self::Ed25519(key) => key.to_vec(),
            Self::Rsa(info) => info.clone(),
            Self::None => Vec::new(),
        }
    }

    /// The Ethereum address (EIP-55) of a key on secp256k1.
    #[must_use]
    pub fn ethereum_address(&self) -> Option<String> {
        let Self::Secp256k1(point) = self else {
            return None;
        };
        let key = k256::PublicKey::from_sec1_bytes(point).ok()?;
        evenkeel_custody::address::ethereum_of_point(key.to_sec1_point(false).as_bytes())
    }

    /// A key on P-256 as a recipient of the vault, `age1tag1…`.
    #[must_use]
    pub fn recipient(&self) -> Option<String> {
        match self {
            Self::P256(point) => crate::recipient::text_of(point),
            _ => None,
        }
    }

    /// As a `SubjectPublicKeyInfo` (RFC 5480, RFC 8410), which other tools read.
    #[must_use]
    pub fn to_spki_der(&self) -> Option<Vec<u8>> {
        crate::der::public_key(self)
    }
}

/// What a token says of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `CKA_SENSITIVE`
    pub sensitive: Option<bool>,
    /// `CKA_EXTRACTABLE`
    pub extractable: Option<bool>,
    /// `CKA_ALWAYS_SENSITIVE`
    pub always_sensitive: Option<bool>,
    /// `CKA_NEVER_EXTRACTABLE`
    pub never_extractable: Option<bool>,
    /// `CKA_LOCAL`: made in this token.
    pub local: Option<bool>,
    /// How many bytes of the secret it gave when it was asked for `CKA_VALUE`.
    pub value_bytes: Option<u64>,
}

impl From<Told> for Attributes {
    fn from(told: Told) -> Self {
        Self {
            sensitive: told.sensitive,
            extractable: told.extractable,
            always_sensitive: told.always_sensitive,
            never_extractable: told.never_extractable,
            local: told.local,
            value_bytes: told.value_bytes,
        }
    }
}

impl Attributes {
    /// Each attribute that is not what a key that cannot leave its token has; empty if all are. A
    /// token that does not tell one has not said that it holds.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let wanted = [
            ("CKA_SENSITIVE", self.sensitive, true),
            ("CKA_EXTRACTABLE", self.extractable, false),
            ("CKA_ALWAYS_SENSITIVE", self.always_sensitive, true),
            ("CKA_NEVER_EXTRACTABLE", self.never_extractable, true),
            ("CKA_LOCAL", self.local, true),
        ];
        let wrong = wanted.into_iter().filter(|(_, told, wanted)| *told != Some(*wanted));
        let mut faults: Vec<String> = wrong
            .map(|(name, told, wanted)| {
                let told = told.map_or("is not told".to_owned(), |told| format!("is {told}"));
                format!("{name} {told}, and {wanted} was asked for")
            })
            .collect();
        if let Some(count) = self.value_bytes {
            faults.push(format!("it gave {count} bytes of the secret when asked for CKA_VALUE"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Attributes {
        Attributes {
            sensitive: Some(true),
            extractable: Some(false),
            always_sensitive: Some(true),
            never_extractable: Some(true),
            local: Some(true),
            value_bytes: None,
        }
    }

    #[test]
    fn a_key_that_could_leave_is_told_by_each_attribute() {
        assert!(good().faults().is_empty());
        let spoilt: [fn(&mut Attributes); 7] = [
            |told| told.sensitive = Some(false),
            |told| told.sensitive = None,
            |told| told.extractable = Some(true),
            |told| told.always_sensitive = Some(false),
            |told| told.never_extractable = None,
            |told| told.local = Some(false),
            |told| told.value_bytes = Some(32),
        ];
        for spoil in spoilt {
            let mut told = good();
            spoil(&mut told);
            assert_eq!(told.faults().len(), 1, "{told:?}");
        }
    }

    #[test]
    fn a_point_that_is_not_on_its_curve_is_no_public_key() {
        let mut point = [2; 33];
        assert_eq!(Public::read(Kind::Ed25519, &[0; 32]), None, "a weak key");
        let found = (0..=255u8).filter(|x| {
            point[32] = *x;
            Public::read(Kind::P256, &point).is_none()
        });
        assert!(found.count() > 64, "about half of all x are no point");
        assert_eq!(Public::read(Kind::Secp256k1, &[4; 65]), None);
        for kind in Kind::ALL {
            assert_eq!(Kind::of_tag(kind.tag()), Some(kind));
            assert_eq!(kind.word().parse::<Kind>().unwrap(), kind);
        }
    }
}
