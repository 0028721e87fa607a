//! The little DER that is needed (ITU-T X.690): points and signatures as other tools write them.

use crate::key::Public;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;

/// `id-ecPublicKey` (RFC 5480), as a value.
const EC_PUBLIC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// `rsaEncryption` (RFC 8017) with its NULL parameters.
const RSA_ENCRYPTION: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0];
/// P-256 (`prime256v1`), as `CKA_EC_PARAMS`.
pub(crate) const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// secp256k1, as `CKA_EC_PARAMS`.
pub(crate) const SECP256K1: &[u8] = &[0x06, 5, 0x2b, 0x81, 4, 0, 10];
/// Ed25519 (RFC 8410), as `CKA_EC_PARAMS` of PKCS#11 3.0.
pub(crate) const ED25519: &[u8] = &[0x06, 3, 0x2b, 0x65, 0x70];
/// The same as PKCS#11 had it before: `edwards25519` as a PrintableString.
pub(crate) const EDWARDS25519: &[u8] = b"\x13\x0cedwards25519";

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    match content.len() {
        short @ 0..128 => bytes.push(u8::try_from(short).unwrap_or_default()),
        long => {
            let length = u32::try_from(long).unwrap_or_default().to_be_bytes();
            let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            bytes.extend(length);
        }
    }
    bytes.extend(content);
    bytes
}

/// A non-negative integer of big-endian bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let bytes = bytes.get(start..).unwrap_or_default();
    let sign: &[u8] = if bytes.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    element(INTEGER, &[sign, bytes])
}

/// An ECDSA signature `r‖s` as `ECDSA-Sig-Value` (RFC 3279).
pub(crate) fn ecdsa_signature(bytes: &[u8; 64]) -> Vec<u8> {
    let (r, s) = bytes.split_at(32);
    element(SEQUENCE, &[&integer(r), &integer(s)])
}

/// An RSA public key as a `SubjectPublicKeyInfo`.
pub(crate) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = element(SEQUENCE, &[&integer(modulus), &integer(exponent)]);
    let algorithm = element(SEQUENCE, &[RSA_ENCRYPTION]);
    element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[&[0], &key])])
}

/// A public key as a `SubjectPublicKeyInfo`.
pub(crate) fn public_key(public: &Public) -> Option<Vec<u8>> {
    let (algorithm, key) = match public {
        Public::P256(point) => (element(SEQUENCE, &[EC_PUBLIC_KEY, P256]), point.to_vec()),
        Public::Secp256k1(point) => {
            (element(SEQUENCE, &[EC_PUBLIC_KEY, SECP256K1]), point.to_vec())
        }
        Public::Ed25519(key) => (element(SEQUENCE, &[ED25519]), key.to_vec()),
        Public::Rsa(info) => return Some(info.clone()),
        Public::None => return None,
    };
    Some(element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[&[0], &key])]))
}

/// The point in a `CKA_EC_POINT`: an octet string as PKCS#11 wants it, or bare, as some tokens give
/// it.
pub(crate) fn point(bytes: &[u8]) -> &[u8] {
    match bytes {
        [OCTET_STRING, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        [BIT_STRING, length, 0, rest @ ..] if usize::from(*length) == rest.len() + 1 => rest,
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_shortest_and_never_negative() {
        assert_eq!(integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(integer(&[0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
        assert_eq!(element(SEQUENCE, &[&[1; 200]])[..3], [0x30, 0x81, 200]);
        assert_eq!(element(SEQUENCE, &[&[1; 300]])[..4], [0x30, 0x82, 1, 44]);
    }

    #[test]
    fn points_are_found_with_and_without_their_wrapping() {
        let bare = [4u8; 65];
        assert_eq!(point(&bare), bare);
        assert_eq!(point(&[&[4, 65][..], &bare].concat()), bare);
        assert_eq!(point(&[&[3, 33, 0][..], &[7; 32]].concat()), [7; 32]);
        assert!(point(&[]).is_empty());
    }
}
