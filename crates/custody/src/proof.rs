//! Proof that a wallet's key is at hand: it signs, and the recorded public key verifies.
//!
//! ECDSA on secp256k1 (SEC 1) with the nonce of RFC 6979. What is signed is a hash under a label of
//! its own, so that no proof is a signature of anything else.

use k256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use k256::ecdsa::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::bip32::{Error, ExtendedPrivate, ExtendedPublic, Path};

const LABEL: &[u8] = b"evenkeel proof of a wallet key v1\0";

/// Whether the seed signs a challenge as the first receiving address of a recorded account does:
/// `account` is the account's path, `xpub` its recorded extended public key.
///
/// # Errors
/// As [`ExtendedPrivate::master`], [`ExtendedPrivate::derive`] and [`ExtendedPublic::parse`].
pub fn signs(seed: &[u8], account: &Path, xpub: &str, challenge: &[u8; 32]) -> Result<bool, Error> {
    let digest = Sha256::new().chain_update(LABEL).chain_update(challenge).finalize();
    let receiving = account.join(0).join(0);
    let private = ExtendedPrivate::master(seed)?.derive(&receiving)?.signing_key()?;
    let signature: Signature = private.sign_prehash(&digest).map_err(|_| Error::NoKey)?;
    let public = ExtendedPublic::parse(xpub)?.child(0)?.child(0)?;
    let key = VerifyingKey::from_sec1_bytes(&public.point()).map_err(|_| Error::NoKey)?;
    Ok(key.verify_prehash(&digest, &signature).is_ok())
}

impl ExtendedPrivate {
    fn signing_key(&self) -> Result<SigningKey, Error> {
        self.number().map(SigningKey::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Fingerprint;

    #[test]
    fn the_recorded_wallet_signs_and_no_other_does() {
        let recorded = Fingerprint::of_seed(&[1; 32]).unwrap();
        for account in &recorded.accounts {
            let signs = |seed: u8| signs(&[seed; 32], &account.path, &account.xpub, &[9; 32]);
            assert_eq!(signs(1), Ok(true), "{}", account.name);
            assert_eq!(signs(2), Ok(false), "{}", account.name);
        }
        let path: Path = "m/44'/60'/0'".parse().unwrap();
        assert!(signs(&[1; 32], &path, "xpub", &[9; 32]).is_err());
    }
}
