//! The kinds of key, and arithmetic on each by way of `frost-core`'s traits.

use std::fmt;

use frost_core::{Ciphersuite, Field, Group, Identifier};
use zeroize::Zeroizing;

/// What the group's key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// FROST(Ed25519, SHA-512): ordinary Ed25519 signatures, for manifests and grants.
    Ed25519,
    /// FROST(secp256k1, SHA-256): for contracts.
    Secp256k1,
    /// No signatures: an X25519 recipient of age files, whose secret nobody holds.
    Recipient,
}

impl Curve {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Secp256k1 => 2,
            Self::Recipient => 3,
        }
    }

    pub(super) fn of_code(code: u8) -> Option<Self> {
        let all = [Self::Ed25519, Self::Secp256k1, Self::Recipient];
        all.into_iter().find(|curve| curve.code() == code)
    }

    /// The word of the command line and the documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Secp256k1 => "secp256k1",
            Self::Recipient => "recipient",
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A FROST ciphersuite of RFC 9591 that group keys can have.
pub trait Suite: Ciphersuite {
    /// Which curve it is.
    const CURVE: Curve;
    /// Bytes of a point.
    const POINT_BYTES: usize;
}

/// FROST(Ed25519, SHA-512), RFC 9591, section 6.1.
pub type Ed25519 = frost_ed25519::Ed25519Sha512;
/// FROST(secp256k1, SHA-256), RFC 9591, section 6.5.
pub type Secp256k1 = frost_secp256k1::Secp256K1Sha256;

impl Suite for Ed25519 {
    const CURVE: Curve = Curve::Ed25519;
    const POINT_BYTES: usize = 32;
}

impl Suite for Secp256k1 {
    const CURVE: Curve = Curve::Secp256k1;
    const POINT_BYTES: usize = 33;
}

/// Bytes of a scalar, on every curve.
pub(super) const SCALAR_BYTES: usize = 32;

pub(super) type FieldOf<C> = <<C as Ciphersuite>::Group as Group>::Field;
pub(super) type Scalar<C> = <FieldOf<C> as Field>::Scalar;
pub(super) type Element<C> = <<C as Ciphersuite>::Group as Group>::Element;
pub(super) type SecretScalar = Zeroizing<[u8; SCALAR_BYTES]>;

pub(super) fn generator<C: Suite>() -> Element<C> {
    <C::Group as Group>::generator()
}

pub(super) fn scalar_bytes<C: Suite>(scalar: &Scalar<C>) -> SecretScalar {
    let mut bytes = Zeroizing::new([0; SCALAR_BYTES]);
    let mut encoded = FieldOf::<C>::serialize(scalar);
    for (to, from) in bytes.iter_mut().zip(encoded.as_ref()) {
        *to = *from;
    }
    encoded.as_mut().fill(0);
    bytes
}

/// `None` unless it is the canonical form of a scalar.
pub(super) fn scalar<C: Suite>(bytes: &[u8]) -> Option<Scalar<C>> {
    let encoded = bytes.try_into().ok()?;
    FieldOf::<C>::deserialize(&encoded).ok()
}

/// `None` for the identity, which is never sent.
pub(super) fn point_bytes<C: Suite>(point: &Element<C>) -> Option<Vec<u8>> {
    <C::Group as Group>::serialize(point).ok().map(|bytes| bytes.as_ref().to_vec())
}

/// `None` unless it is the canonical form of a point of the prime-order group, and not the
/// identity.
pub(super) fn point<C: Suite>(bytes: &[u8]) -> Option<Element<C>> {
    let encoded = bytes.try_into().ok()?;
    <C::Group as Group>::deserialize(&encoded).ok()
}

/// A holder's number as the place of its share on the polynomial; `None` for 0.
pub(super) fn identifier<C: Suite>(number: u16) -> Option<Identifier<C>> {
    Identifier::try_from(number).ok()
}

pub(super) fn place<C: Suite>(number: u16) -> Option<Scalar<C>> {
    scalar::<C>(&identifier::<C>(number)?.serialize())
}

/// A scalar that nobody can tell from a random one without `seed`: the suite's hash to a scalar of
/// label, context, seed and index.
pub(super) fn derived<C: Suite>(
    seed: &[u8; 32],
    context: &[u8; 32],
    label: &[u8],
    index: u16,
) -> Option<Scalar<C>> {
    let mut input = Zeroizing::new(Vec::with_capacity(128 + label.len()));
    input.extend_from_slice(b"evenkeel group scalar 1");
    input.extend_from_slice(context);
    input.extend_from_slice(seed);
    input.extend_from_slice(&index.to_be_bytes());
    input.extend_from_slice(label);
    C::HDKG(&input)
}

/// The Lagrange coefficient of `number` among `all`, at zero.
pub(super) fn lagrange<C: Suite>(number: u16, all: &[u16]) -> Option<Scalar<C>> {
    let own = place::<C>(number)?;
    let mut above = FieldOf::<C>::one();
    let mut below = FieldOf::<C>::one();
    for other in all.iter().filter(|other| **other != number) {
        let other = place::<C>(*other)?;
        above = above * other;
        below = below * (other - own);
    }
    Some(above * FieldOf::<C>::invert(&below).ok()?)
}
