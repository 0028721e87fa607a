//! Recipients whose secret stays in a token: `age1tag1…` (C2SP age, `p256tag`).
//!
//! The token does one Diffie-Hellman step per key object; everything else is done here.

use std::sync::{Arc, Mutex, PoisonError};

use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use p256::elliptic_curve::sec1::ToSec1Point as _;

use aws_lc_rs::{digest, hmac};

use crate::error::{Error, Result};
use crate::held::Held;
use crate::hpke;

const TAG: &str = "p256tag";
const SALT: &[u8] = b"age-encryption.org/p256tag";
const PREFIX: &str = "age1tag";

/// The recipient's text of a public key on P-256, compressed.
pub(crate) fn text_of(point: &[u8; 33]) -> Option<String> {
    let prefix = bech32::Hrp::parse(PREFIX).ok()?;
    bech32::encode::<bech32::Bech32>(prefix, point).ok()
}

fn uncompressed(bytes: &[u8]) -> Option<[u8; 65]> {
    let key = p256::PublicKey::from_sec1_bytes(bytes).ok()?;
    key.to_sec1_point(false).as_bytes().try_into().ok()
}

/// The four bytes by which a recipient knows that a stanza is for it.
fn stanza_tag(encapsulated: &[u8], recipient: &[u8; 33]) -> [u8; 4] {
    let hash = digest::digest(&digest::SHA256, recipient);
    let salt = hmac::Key::new(hmac::HMAC_SHA256, SALT);
    let mut extract = hmac::Context::with_key(&salt);
    extract.update(encapsulated);
    extract.update(hash.as_ref().get(..4).unwrap_or_default());
    let extracted = extract.sign();
    let mut tag = [0; 4];
    tag.iter_mut().zip(extracted.as_ref()).for_each(|(to, from)| *to = *from);
    tag
}

/// Opens a stanza, if it is for this recipient: `derive` gives the x coordinate of the token's
/// secret times a point of the curve (uncompressed).
///
/// # Errors
/// What `derive` gives. `Some(Ok(None))` is a stanza for it that does not open: damaged.
pub fn open_stanza(
    stanza: &Stanza,
    recipient: &[u8; 33],
    derive: impl FnOnce(&[u8; 65]) -> Result<zeroize::Zeroizing<[u8; 32]>>,
) -> Option<Result<Option<FileKey>>> {
    let [tag, encapsulated] = stanza.args.as_slice() else {
        return None;
    };
    if stanza.tag != TAG {
        return None;
    }
    let tag = STANDARD_NO_PAD.decode(tag).ok()?;
    let encapsulated = STANDARD_NO_PAD.decode(encapsulated).ok()?;
    if tag != stanza_tag(&encapsulated, recipient) {
        return None;
    }
    // Only a point of the curve goes to the token: another could make it tell its secret.
    let Some(point) = uncompressed(&encapsulated) else {
        return Some(Ok(None));
    };
    let own = uncompressed(recipient)?;
    let shared = match derive(&point) {
        Ok(shared) => shared,
        Err(error) => return Some(Err(error)),
    };
    let opened = hpke::open(&shared, &point, &own, SALT, &stanza.body);
    let opened = opened.filter(|plain| plain.len() == FILE_KEY_BYTES);
    Some(Ok(opened.map(|plain| {
        FileKey::init_with_mut(|key| {
            key.iter_mut().zip(plain.iter()).for_each(|(to, from)| *to = *from);
        })
    })))
}

/// An identity of age whose secret is in a token.
pub struct TokenIdentity {
    held: Arc<Held>,
    recipient: [u8; 33],
    /// Why the last stanza for it was not opened.
    failed: Mutex<Option<Error>>,
}

impl TokenIdentity {
    /// The identity of a recipient's key.
    ///
    /// # Errors
    /// [`Error::Usage`] if the key is not on P-256.
    pub fn new(held: Arc<Held>) -> Result<Self> {
        let crate::key::Public::P256(recipient) = *held.public() else {
            return Err(Error::Usage("a recipient's key is one on P-256".to_owned()));
        };
        Ok(Self { held, recipient, failed: Mutex::new(None) })
    }

    /// Its recipient, `age1tag1…`.
    #[must_use]
    pub fn recipient(&self) -> String {
        text_of(&self.recipient).unwrap_or_default()
    }

    /// Why the token did not open the last stanza that was for it.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl age::Identity for TokenIdentity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        let derive = |point: &[u8; 65]| self.held.derive(point);
        match open_stanza(stanza, &self.recipient, derive)? {
            Ok(Some(key)) => Some(Ok(key)),
            Ok(None) => Some(Err(age::DecryptError::DecryptionFailed)),
            Err(error) => {
                let told = std::io::Error::other(error.clone());
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Some(Err(age::DecryptError::Io(told)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::Recipient as _;
    use p256::elliptic_curve::sec1::ToSec1Point;

    fn pair(seed: u8) -> (p256::SecretKey, [u8; 33]) {
        let secret = p256::SecretKey::from_slice(&[seed; 32]).unwrap();
        let public = secret.public_key().to_sec1_point(true);
        (secret, public.as_bytes().try_into().unwrap())
    }

    fn derive(secret: &p256::SecretKey, point: &[u8; 65]) -> zeroize::Zeroizing<[u8; 32]> {
        let point = p256::PublicKey::from_sec1_bytes(point).unwrap();
        let product = point.to_projective() * *secret.to_nonzero_scalar();
        let x: [u8; 32] =
            product.to_affine().to_sec1_point(false).x().unwrap()[..].try_into().unwrap();
        zeroize::Zeroizing::new(x)
    }

    #[test]
    fn what_ages_own_recipient_sealed_opens_and_nobody_else_s_does() {
        use age::secrecy::ExposeSecret as _;
        for seed in 1..40 {
            let (secret, public) = pair(seed);
            let recipient: age::tag::Recipient = text_of(&public).unwrap().parse().unwrap();
            let key = FileKey::new(Box::new([seed; 16]));
            let (stanzas, _) = recipient.wrap_file_key(&key).unwrap();
            let open = |stanza: &Stanza, public: &[u8; 33]| {
                open_stanza(stanza, public, |point| Ok(derive(&secret, point)))
            };
            let opened = open(&stanzas[0], &public).unwrap().unwrap().unwrap();
            assert_eq!(opened.expose_secret(), key.expose_secret());
            let (_, other) = pair(seed + 100);
            assert!(open(&stanzas[0], &other).is_none(), "not for that one");
            let mut damaged = Stanza { body: stanzas[0].body.clone(), ..copy(&stanzas[0]) };
            damaged.body[3] ^= 1;
            assert!(open(&damaged, &public).unwrap().unwrap().is_none());
        }
    }

    #[test]
    fn a_point_that_is_not_on_the_curve_never_gets_to_the_token() {
        let (_, public) = pair(7);
        let mut point = [9u8; 65];
        point[0] = 4;
        let tag = stanza_tag(&point, &public);
        let args = [&tag[..], &point[..]].map(|bytes| STANDARD_NO_PAD.encode(bytes)).to_vec();
        let stanza = Stanza { tag: TAG.to_owned(), args, body: vec![0; 32] };
        let opened = open_stanza(&stanza, &public, |_| panic!("it was asked"));
        assert!(opened.unwrap().unwrap().is_none());
    }

    fn copy(stanza: &Stanza) -> Stanza {
        let Stanza { tag, args, body } = stanza;
        Stanza { tag: tag.clone(), args: args.clone(), body: body.clone() }
    }
}
