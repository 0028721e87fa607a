//! BIP-32: one seed, a tree of keys on secp256k1, and the extended public keys that tell it apart.
//!
//! Standard: <https://github.com/bitcoin/bips/blob/master/bip-0032.mediawiki>.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{NonZeroScalar, ProjectivePoint, PublicKey, Scalar};
use ripemd::Ripemd160;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base58;

/// Added to the number of a hardened child.
const HARDENED: u32 = 1 << 31;
const VERSION_PUBLIC: [u8; 4] = [0x04, 0x88, 0xb2, 0x1e];
const VERSION_PRIVATE: [u8; 4] = [0x04, 0x88, 0xad, 0xe4];

/// Why a key cannot be derived or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Seeds have 128 to 512 bits.
    #[error("a seed has 16 to 64 bytes, not {0}")]
    SeedBytes(usize),
    /// One in 2¹²⁷ numbers gives no key; the standard says to take the next.
    #[error("there is no key at this place; the standard says to take the next number")]
    NoKey,
    /// A hardened child of a public key.
    #[error("a hardened child cannot be derived from a public key")]
    HardenedFromPublic,
    /// A chain that is 255 deep has no children.
    #[error("the key is 255 levels deep and has no children")]
    TooDeep,
    /// A path that is none.
    #[error("`{0}` is no derivation path: write m/44'/60'/0'")]
    Path(String),
    /// A text that is no extended key.
    #[error("this is no extended key: {0}")]
    NotAKey(&'static str),
}

/// A derivation path from the master key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<u32>);

impl Path {
    /// The path with a further, not hardened, step.
    #[must_use]
    pub fn join(&self, number: u32) -> Self {
        let mut steps = self.0.clone();
        steps.push(number & !HARDENED);
        Self(steps)
    }
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::Path(text.chars().take(80).collect());
        let mut parts = text.split('/');
        if parts.next() != Some("m") {
            return Err(refused());
        }
        let step = |part: &str| {
            let plain = part.strip_suffix(['\'', 'h', 'H']);
            let digits = plain.unwrap_or(part);
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse().ok().filter(|number| is_number && *number < HARDENED);
            number.map(|number| if plain.is_some() { number + HARDENED } else { number })
        };
        parts.map(|part| step(part).ok_or_else(refused)).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        for step in &self.0 {
            let mark = if step & HARDENED == 0 { "" } else { "'" };
            write!(f, "/{}{mark}", step & !HARDENED)?;
        }
        Ok(())
    }
}

/// What stands beside a key: where it is in the tree, and its chain code.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    depth: u8,
    parent: [u8; 4],
    number: u32,
    chain_code: Zeroizing<[u8; 32]>,
}

impl Place {
    fn child(&self, parent: [u8; 4], number: u32, chain_code: [u8; 32]) -> Result<Self, Error> {
        let depth = self.depth.checked_add(1).ok_or(Error::TooDeep)?;
        Ok(Self { depth, parent, number, chain_code: Zeroizing::new(chain_code) })
    }

    /// Version, place and 33 bytes of key, in Base58.
    fn encode(&self, version: [u8; 4], key: &[u8]) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(78));
        bytes.extend(version);
        bytes.push(self.depth);
        bytes.extend(self.parent);
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.chain_code.iter());
        bytes.extend(key);
        base58::encode(&bytes)
    }

    /// The place and the 33 bytes of key in an extended key's text.
    fn decode(text: &str, version: [u8; 4]) -> Result<(Self, Zeroizing<[u8; 33]>), Error> {
        let bytes = base58::decode(text).ok_or(Error::NotAKey("its checksum does not hold"))?;
        let mut rest = bytes.as_slice();
        if bytes.len() != 78 || take::<4>(&mut rest)? != version {
            return Err(Error::NotAKey("another length or version"));
        }
        let [depth] = take(&mut rest)?;
        let parent = take(&mut rest)?;
        let number = u32::from_be_bytes(take(&mut rest)?);
        if depth == 0 && (parent != [0; 4] || number != 0) {
            return Err(Error::NotAKey("a master key with a parent or number"));
        }
        let chain_code = Zeroizing::new(take(&mut rest)?);
        Ok((Self { depth, parent, number, chain_code }, Zeroizing::new(take(&mut rest)?)))
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Error> {
    let (first, rest) = bytes.split_first_chunk().ok_or(Error::NotAKey("too short"))?;
    *bytes = rest;
    Ok(*first)
}

/// HMAC-SHA512, as its two halves.
pub(crate) fn halves(key: &[u8], parts: &[&[u8]]) -> (Zeroizing<[u8; 32]>, [u8; 32]) {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA512, key));
    for part in parts {
        context.update(part);
    }
    let tag = context.sign();
    let (mut left, mut right) = (Zeroizing::new([0; 32]), [0; 32]);
    for (byte, of_tag) in left.iter_mut().chain(right.iter_mut()).zip(tag.as_ref()) {
        *byte = *of_tag;
    }
    (left, right)
}

fn scalar(bytes: &[u8; 32]) -> Result<Scalar, Error> {
    Option::from(Scalar::from_repr((*bytes).into())).ok_or(Error::NoKey)
}

/// A private key of the tree.
#[derive(Clone)]
pub struct ExtendedPrivate {
    place: Place,
    key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for ExtendedPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtendedPrivate(depth {})", self.place.depth)
    }
}

impl ExtendedPrivate {
    /// The master key of a seed of 16 to 64 bytes.
    ///
    /// # Errors
    /// [`Error::SeedBytes`]; [`Error::NoKey`] for one seed in 2¹²⁷.
    pub fn master(seed: &[u8]) -> Result<Self, Error> {
        if !(16..=64).contains(&seed.len()) {
            return Err(Error::SeedBytes(seed.len()));
        }
        let (key, chain_code) = halves(b"Bitcoin seed", &[seed]);
        let chain_code = Zeroizing::new(chain_code);
        let place = Place { depth: 0, parent: [0; 4], number: 0, chain_code };
        Self { place, key }.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        self.number().map(|_| self)
    }

    pub(crate) fn number(&self) -> Result<NonZeroScalar, Error> {
        Option::from(NonZeroScalar::new(scalar(&self.key)?)).ok_or(Error::NoKey)
    }

    /// The key at a path below this one.
    ///
    /// # Errors
    /// [`Error::NoKey`] and [`Error::TooDeep`].
    pub fn derive(&self, path: &Path) -> Result<Self, Error> {
        path.0.iter().try_fold(self.clone(), |key, step| key.child(*step))
    }

    fn child(&self, number: u32) -> Result<Self, Error> {
        let public = self.public()?;
        let chain_code = self.place.chain_code.as_slice();
        let count = number.to_be_bytes();
        let (left, right) = if number & HARDENED == 0 {
            halves(chain_code, &[&public.point(), &count])
        } else {
            halves(chain_code, &[&[0], self.key.as_slice(), &count])
        };
        let sum = scalar(&left)? + scalar(&self.key)?;
        let place = self.place.child(public.fingerprint(), number, right)?;
        Self { place, key: Zeroizing::new(sum.to_repr().into()) }.checked()
    }

    /// The public key that belongs to it.
    ///
    /// # Errors
    /// [`Error::NoKey`], which a key that could be made does not give.
    pub fn public(&self) -> Result<ExtendedPublic, Error> {
        let key = PublicKey::from_secret_scalar(&self.number()?);
        Ok(ExtendedPublic { place: self.place.clone(), key })
    }

    /// The text that begins with `xprv`.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let key = Zeroizing::new([&[0][..], self.key.as_slice()].concat());
        self.place.encode(VERSION_PRIVATE, &key)
    }

    /// Reads a text that begins with `xprv`.
    ///
    /// # Errors
    /// [`Error::NotAKey`] and [`Error::NoKey`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (place, bytes) = Place::decode(text, VERSION_PRIVATE)?;
        let Some((0, key)) = bytes.split_first().map(|(first, key)| (*first, key)) else {
            return Err(Error::NotAKey("its first byte is not zero"));
        };
        let mut rest = key;
        Self { place, key: Zeroizing::new(take(&mut rest)?) }.checked()
    }
}

/// A public key of the tree.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtendedPublic {
    place: Place,
    key: PublicKey,
}

impl fmt::Debug for ExtendedPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtendedPublic({})", self.to_text())
    }
}

impl ExtendedPublic {
    /// The key as a compressed point, 33 bytes.
    #[must_use]
    pub fn point(&self) -> Vec<u8> {
        self.key.to_sec1_point(true).as_bytes().to_vec()
    }

    /// The key as an uncompressed point, 65 bytes.
    #[must_use]
    pub fn point_uncompressed(&self) -> Vec<u8> {
        self.key.to_sec1_point(false).as_bytes().to_vec()
    }

    /// RIPEMD-160 of SHA-256 of the compressed point.
    #[must_use]
    pub fn hash(&self) -> [u8; 20] {
        Ripemd160::digest(Sha256::digest(self.point())).into()
    }

    /// The first four bytes of the hash.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.hash();
        [a, b, c, d]
    }

    /// A child that is not hardened.
    ///
    /// # Errors
    /// [`Error::HardenedFromPublic`], [`Error::NoKey`], [`Error::TooDeep`].
    pub fn child(&self, number: u32) -> Result<Self, Error> {
        if number & HARDENED != 0 {
            return Err(Error::HardenedFromPublic);
        }
        let parts: [&[u8]; 2] = [&self.point(), &number.to_be_bytes()];
        let (left, right) = halves(self.place.chain_code.as_slice(), &parts);
        let sum = ProjectivePoint::GENERATOR * scalar(&left)? + self.key.to_projective();
        let key = PublicKey::from_affine(sum.to_affine()).map_err(|_| Error::NoKey)?;
        Ok(Self { place: self.place.child(self.fingerprint(), number, right)?, key })
    }

    /// The text that begins with `xpub`.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.place.encode(VERSION_PUBLIC, &self.point()).to_string()
    }

    /// Reads a text that begins with `xpub`.
    ///
    /// # Errors
    /// [`Error::NotAKey`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (place, bytes) = Place::decode(text, VERSION_PUBLIC)?;
        let key = PublicKey::from_sec1_bytes(bytes.as_slice())
            .map_err(|_| Error::NotAKey("no point of the curve"))?;
        Ok(Self { place, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_they_are_written() {
        for text in ["m", "m/0", "m/44'/60'/0'/0/5", "m/2147483647'"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        assert_eq!("m/44h/0H".parse::<Path>().unwrap().to_string(), "m/44'/0'");
        for text in ["", "44", "m/", "m/-1", "m/+1", "m/x", "m/2147483648", "M/0", "m//0", "m/0''"]
        {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }

    #[test]
    fn public_and_private_derivation_meet() {
        let account = ExtendedPrivate::master(&[7; 16])
            .unwrap()
            .derive(&"m/84'/0'/0'".parse().unwrap())
            .unwrap();
        let from_private = account.derive(&"m/0/3".parse().unwrap()).unwrap().public().unwrap();
        let from_public = account.public().unwrap().child(0).unwrap().child(3).unwrap();
        assert_eq!(from_private, from_public);
        assert_eq!(account.public().unwrap().child(HARDENED), Err(Error::HardenedFromPublic));
    }

    #[test]
    fn debug_shows_no_private_key() {
        let key = ExtendedPrivate::master(&[7; 16]).unwrap();
        assert_eq!(format!("{key:?}"), "ExtendedPrivate(depth 0)");
        assert_eq!(ExtendedPrivate::master(&[7; 15]).unwrap_err(), Error::SeedBytes(15));
    }
}
