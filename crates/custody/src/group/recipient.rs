//! The kind of key that is a recipient of age files: its suite, its text, and the way between the
//! curve's two forms.
//!
//! X25519 (RFC 7748) multiplies the u coordinate of a point; FROST works on the Edwards form of the
//! same curve. The group's key is S = s·B for a secret s that nobody holds, and the recipient is
//! u(S). Whoever encrypts draws e, clamps it, publishes u(e·B) and shares u(e·S). Holders lift
//! u(e·B) to E = ±e·B and compute s·E = ±e·S, whose u is the same: u forgets the sign. s itself is
//! not clamped, and need not be. Clamping makes a secret a multiple of the cofactor, so that a
//! share of another order tells nothing of it; here such a share is refused instead.

use bech32::{Bech32, Hrp};
use curve25519_dalek::{EdwardsPoint, MontgomeryPoint, Scalar};
use frost_core::Ciphersuite;
use frost_ed25519::Ed25519Group;
use sha2::{Digest, Sha512};

use super::suite::{Curve, Suite, point};

/// Other than that of FROST(Ed25519, SHA-512), in every hash: what is signed with it is no Ed25519
/// signature.
const CONTEXT: &str = "EVENKEEL-RECIPIENT-ED25519-SHA512-v1";

/// FROST over the prime-order group of Ed25519 with hashes of its own, for keys that decrypt. Its
/// one signature is the test that puts a record in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient;

fn hash(label: &[u8], message: &[u8]) -> [u8; 64] {
    let hasher = Sha512::new().chain_update(CONTEXT).chain_update(label);
    hasher.chain_update(message).finalize().into()
}

fn hash_to_scalar(label: &[u8], message: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&hash(label, message))
}

impl Ciphersuite for Recipient {
    const ID: &'static str = CONTEXT;

    type Group = Ed25519Group;
    type HashOutput = [u8; 64];
    type SignatureSerialization = [u8; 64];

    fn H1(m: &[u8]) -> Scalar {
        hash_to_scalar(b"rho", m)
    }

    fn H2(m: &[u8]) -> Scalar {
        hash_to_scalar(b"chal", m)
    }

    fn H3(m: &[u8]) -> Scalar {
        hash_to_scalar(b"nonce", m)
    }

    fn H4(m: &[u8]) -> [u8; 64] {
        hash(b"msg", m)
    }

    fn H5(m: &[u8]) -> [u8; 64] {
        hash(b"com", m)
    }

    fn HDKG(m: &[u8]) -> Option<Scalar> {
        Some(hash_to_scalar(b"dkg", m))
    }

    fn HID(m: &[u8]) -> Option<Scalar> {
        Some(hash_to_scalar(b"id", m))
    }
}

impl Suite for Recipient {
    const CURVE: Curve = Curve::Recipient;
    const POINT_BYTES: usize = 32;
}

/// The u coordinate of a group's key: what senders of age files need.
pub(super) fn public(group_key: &[u8]) -> Option<[u8; 32]> {
    point::<Recipient>(group_key).map(|key| key.to_montgomery().to_bytes())
}

/// `age1…` (age-encryption.org/v1, X25519 recipient; Bech32 as in BIP-173).
pub(super) fn text(group_key: &[u8]) -> Option<String> {
    let hrp = Hrp::parse("age").ok()?;
    bech32::encode::<Bech32>(hrp, &public(group_key)?).ok()
}

/// The point of a share, with the even x of the two: all holders take the same. `None` for what no
/// sender makes: a form that is not canonical, a point of the twist, of small order, or outside the
/// prime-order group.
pub(super) fn lift(share: &[u8; 32]) -> Option<EdwardsPoint> {
    let point = MontgomeryPoint(*share).to_edwards(0)?;
    let canonical = point.to_montgomery().to_bytes() == *share;
    (canonical && !point.is_small_order() && point.is_torsion_free()).then_some(point)
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::traits::IsIdentity;

    use super::*;

    #[test]
    fn only_shares_of_the_prime_order_group_in_their_one_form_are_lifted() {
        let base = EdwardsPoint::mul_base(&Scalar::from(77_u8));
        let good = base.to_montgomery().to_bytes();
        assert!([base, -base].contains(&lift(&good).unwrap()));
        assert_eq!(lift(&good), lift(&(-base).to_montgomery().to_bytes()));
        for torsion in EIGHT_TORSION {
            assert_eq!(lift(&torsion.to_montgomery().to_bytes()), None, "small order");
            if !torsion.is_identity() {
                let mixed = (base + torsion).to_montgomery().to_bytes();
                assert_eq!(lift(&mixed), None, "not of prime order");
            }
        }
        let mut high = good;
        high[31] |= 0x80;
        assert_eq!(lift(&high), None, "the high bit, which X25519 itself would ignore");
        // 9 + p, the base point in another form.
        let mut reduced = [0xff; 32];
        (reduced[0], reduced[31]) = (0xf6, 0x7f);
        assert_eq!(lift(&reduced), None, "not reduced");
        let twists = (2..100).filter(|u| MontgomeryPoint(number(*u)).to_edwards(0).is_none());
        let twists: Vec<u8> = twists.collect();
        assert!(twists.len() > 20 && twists.iter().all(|u| lift(&number(*u)).is_none()));
        assert!(lift(&number(9)).is_some());
    }

    fn number(value: u8) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = value;
        bytes
    }
}
