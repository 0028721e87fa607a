//! Secrets kept by a token's key: the frame in which AES key wrap gets them, and sealing to a token
//! without it by RSA-OAEP with SHA-256 (RFC 8017): whoever has the public key seals, the token
//! alone opens.

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Seals at most 190 bytes to an RSA key of 2048 bits, given as a `SubjectPublicKeyInfo`.
///
/// # Errors
/// [`Error::Usage`] if the key is none or the secret is too long.
pub fn seal_to_rsa(public: &[u8], secret: &[u8]) -> Result<Vec<u8>> {
    let refuse = |what: &str| Error::Usage(what.to_owned());
    let key = PublicEncryptingKey::from_der(public)
        .map_err(|_| refuse("the recorded public key is no RSA key"))?;
    let key = OaepPublicEncryptingKey::new(key)
        .map_err(|_| refuse("the recorded public key is no RSA key"))?;
    let most = key.max_plaintext_size(&OAEP_SHA256_MGF1SHA256);
    if secret.len() > most {
        return Err(Error::Usage(format!("at most {most} bytes are sealed to this key")));
    }
    let mut sealed = vec![0; key.ciphertext_size()];
    let sealed = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut sealed, None)
        .map_err(|_| refuse("the secret could not be sealed"))?;
    Ok(sealed.to_vec())
}

/// What AES key wrap takes at least: two blocks of 8 bytes.
const FRAME_BYTES_MIN: usize = 16;

/// A secret behind its length, with zeros up to whole blocks of 8 bytes.
pub(crate) fn framed(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let whole = (secret.len() + 4).next_multiple_of(8).max(FRAME_BYTES_MIN);
    let mut frame = Zeroizing::new(Vec::with_capacity(whole));
    frame.extend(u32::try_from(secret.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(secret);
    frame.resize(whole, 0);
    frame
}

/// The secret again; `None` if it is not what [`framed`] makes.
pub(crate) fn unframed(frame: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (length, rest) = frame.split_at_checked(4)?;
    let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
    let secret = Zeroizing::new(rest.get(..length)?.to_vec());
    (framed(&secret)[..] == frame[..]).then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};

    #[test]
    fn a_frame_is_whole_blocks_and_only_its_own_bytes_read_back() {
        for length in 0..70 {
            let secret = vec![7; length];
            let frame = framed(&secret);
            assert!(frame.len() >= 16 && frame.len().is_multiple_of(8));
            assert_eq!(unframed(&frame).unwrap()[..], secret[..]);
            let longer = [&frame[..], &[0; 8]].concat();
            assert!(unframed(&longer).is_none() && unframed(&frame[..frame.len() - 8]).is_none());
        }
        assert!(unframed(&[0; 3]).is_none());
        assert!(unframed(&[255; 16]).is_none());
        let mut padded = framed(b"12345").to_vec();
        padded[15] = 1;
        assert!(unframed(&padded).is_none());
    }

    #[test]
    fn what_was_sealed_opens_with_the_private_key_alone() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = private.public_key().as_der().unwrap().as_ref().to_vec();
        let sealed = seal_to_rsa(&public, b"a secret").unwrap();
        let open = OaepPrivateDecryptingKey::new(private).unwrap();
        let mut plain = vec![0; open.min_output_size()];
        let opened = open.decrypt(&OAEP_SHA256_MGF1SHA256, &sealed, &mut plain, None).unwrap();
        assert_eq!(opened, b"a secret");
        assert!(seal_to_rsa(&public, &[0; 191]).is_err());
        assert!(seal_to_rsa(&[1, 2, 3], b"x").is_err());
    }
}
