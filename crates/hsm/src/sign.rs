//! Signatures, from what a token gave to what leaves: checked, with a low s, and with what Ethereum
//! needs to find the signer.

use k256::ecdsa::signature::hazmat::PrehashVerifier as _;

use crate::der;
use crate::error::{Error, Result};
use crate::key::Public;

/// A signature that was verified by the recorded public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// `r‖s` of ECDSA with a low s, or an Ed25519 signature.
    pub bytes: [u8; 64],
    /// As DER, for ECDSA.
    pub der: Option<Vec<u8>>,
    /// Which of the candidates the signer is (0 to 3), on secp256k1: Ethereum's `v` is 27 more.
    pub recovery_id: Option<u8>,
    /// Whether the token's own s was high.
    pub normalised: bool,
}

/// Makes of a token's answer a signature that may leave.
///
/// `data` is the message for Ed25519 (RFC 8032), and for ECDSA the 32-byte digest that was signed.
///
/// # Errors
/// [`Error::Untrue`] if it is no signature of `data` by `public`.
pub fn finish(token: &str, public: &Public, data: &[u8], raw: &[u8]) -> Result<Finished> {
    let untrue = |what: String| Error::Untrue {
        token: token.to_owned(),
        what: "its signature was thrown away".to_owned(),
        details: vec![what],
    };
    let bytes: [u8; 64] = raw.try_into().map_err(|_| {
        untrue(format!("it has {} bytes, and a signature of this kind has 64", raw.len()))
    })?;
    let wrong =
        || untrue("it does not verify with the public key that was recorded for this key".into());
    match public {
        Public::Ed25519(key) => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| wrong())?;
            let signature = ed25519_dalek::Signature::from_bytes(&bytes);
            key.verify_strict(data, &signature).map_err(|_| wrong())?;
            Ok(Finished { bytes, der: None, recovery_id: None, normalised: false })
        }
        Public::P256(point) => {
            let given = p256::ecdsa::Signature::from_slice(&bytes).map_err(|_| wrong())?;
            let low = given.normalize_s();
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| wrong())?;
            key.verify_prehash(data, &low).map_err(|_| wrong())?;
            Ok(ecdsa(low.to_bytes().into(), low != given, None))
        }
        Public::Secp256k1(point) => {
            let given = k256::ecdsa::Signature::from_slice(&bytes).map_err(|_| wrong())?;
            let low = given.normalize_s();
            let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| wrong())?;
            key.verify_prehash(data, &low).map_err(|_| wrong())?;
            let id = k256::ecdsa::RecoveryId::trial_recovery_from_prehash(&key, data, &low)
                .map_err(|_| wrong())?;
            Ok(ecdsa(low.to_bytes().into(), low != given, Some(id.to_byte())))
        }
        Public::Rsa(_) | Public::None => {
            Err(Error::Usage("a key of this kind does not sign".to_owned()))
        }
    }
}

fn ecdsa(bytes: [u8; 64], normalised: bool, recovery_id: Option<u8>) -> Finished {
    Finished { bytes, der: Some(der::ecdsa_signature(&bytes)), recovery_id, normalised }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k256::ecdsa::signature::hazmat::PrehashSigner as _;

    #[test]
    fn a_high_s_is_made_low_and_the_signer_is_found_again() {
        let mut high_ones = 0;
        for seed in 1..60u8 {
            let key = k256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap();
            let point = key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap();
            let digest = [seed ^ 0x55; 32];
            let low: k256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
            let high = k256::ecdsa::Signature::from_scalars(*low.r(), -*low.s()).unwrap();
            for given in [low, high] {
                let done =
                    finish("t", &Public::Secp256k1(point), &digest, &given.to_bytes()).unwrap();
                high_ones += usize::from(done.normalised);
                assert_eq!(done.bytes, <[u8; 64]>::from(low.normalize_s().to_bytes()));
                let id = k256::ecdsa::RecoveryId::from_byte(done.recovery_id.unwrap()).unwrap();
                let signature = k256::ecdsa::Signature::from_slice(&done.bytes).unwrap();
                let found =
                    k256::ecdsa::VerifyingKey::recover_from_prehash(&digest, &signature, id);
                assert_eq!(&found.unwrap(), key.verifying_key());
            }
        }
        assert_eq!(high_ones, 59, "one of each pair was high");
    }

    #[test]
    fn what_is_no_signature_by_the_recorded_key_does_not_leave() {
        let key = p256::ecdsa::SigningKey::from_slice(&[3; 32]).unwrap();
        let other = p256::ecdsa::SigningKey::from_slice(&[4; 32]).unwrap();
        let point = key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap();
        let public = Public::P256(point);
        let signed: p256::ecdsa::Signature = key.sign_prehash(&[7; 32]).unwrap();
        let good = signed.to_bytes();
        assert!(finish("t", &public, &[7; 32], &good).is_ok());
        let forged: p256::ecdsa::Signature = other.sign_prehash(&[7; 32]).unwrap();
        for (data, raw) in [
            ([7; 32], &forged.to_bytes()[..]),
            ([8; 32], &good[..]),
            ([7; 32], &good[..63]),
            ([7; 32], &[0; 64][..]),
            ([7; 32], &[][..]),
        ] {
            let refused = finish("t", &public, &data, raw).unwrap_err();
            assert!(matches!(refused, Error::Untrue { .. }), "{refused}");
        }
    }
}
