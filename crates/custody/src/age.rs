//! Identities of age as a secret of 32 bytes, which can be split, and the recipient that tells one
//! from another.
//!
//! An identity is the secret scalar of X25519 (RFC 7748), written `AGE-SECRET-KEY-1…`; its
//! recipient is the public point, written `age1…`. Both texts are Bech32 (BIP-173).
//! Standard: <https://age-encryption.org/v1>.

use bech32::{Bech32, Hrp};
use curve25519_dalek::MontgomeryPoint;
use zeroize::Zeroizing;

use crate::secret::{Secret, equal_mask, same_bytes};

/// How the text of an identity begins.
pub const PREFIX: &str = "AGE-SECRET-KEY-1";
/// Bytes of an identity.
pub const SECRET_BYTES: usize = 32;

const HRP: &[u8] = b"age-secret-key-";
const CHARSET: &[u8; 32] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
const CHECKSUM_GROUPS: usize = 6;
/// Groups of five bits that 32 bytes fill, the last of them with four zeros.
const SECRET_GROUPS: usize = 52;

/// Why something is no identity of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An identity has 256 bits.
    #[error("an identity of age has 32 bytes, not {0}")]
    SecretBytes(usize),
    /// No line of the text is one.
    #[error("no line begins with {PREFIX}")]
    NoIdentity,
    /// A line begins like one.
    #[error("line {0}: the identity is damaged: a character was lost or changed")]
    Damaged(usize),
}

/// The secret of a recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(Secret);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.recipient())
    }
}

impl Identity {
    /// The identity that 32 bytes are.
    ///
    /// # Errors
    /// [`Error::SecretBytes`]
    pub fn new(secret: Secret) -> Result<Self, Error> {
        match secret.len() {
            SECRET_BYTES => Ok(Self(secret)),
            other => Err(Error::SecretBytes(other)),
        }
    }

    /// Reads the first line of a text that begins with [`PREFIX`]; `#` starts a comment.
    ///
    /// # Errors
    /// [`Error::NoIdentity`], [`Error::Damaged`]
    pub fn parse(text: &str) -> Result<Self, Error> {
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(data) = line.trim().strip_prefix(PREFIX) {
                return decode(data).map(Self).ok_or(Error::Damaged(number));
            }
        }
        Err(Error::NoIdentity)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// The text that begins with [`PREFIX`].
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let groups = groups(self.0.reveal());
        let check = checksum(&groups);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + groups.len() + 6));
        text.push_str(PREFIX);
        text.extend(groups.iter().chain(&check).map(|group| char::from(letter(*group))));
        text
    }

    /// The recipient, `age1…`.
    #[must_use]
    pub fn recipient(&self) -> String {
        let point = MontgomeryPoint::mul_base_clamped(*self.scalar()).to_bytes();
        let hrp = Hrp::parse_unchecked("age");
        bech32::encode::<Bech32>(hrp, &point).unwrap_or_default()
    }

    /// Whether this identity opens what is encrypted to a recipient: both sides of the key
    /// agreement of X25519, with the sender's secret `ephemeral`, come to the same.
    #[must_use]
    pub fn opens(&self, recipient: &str, ephemeral: &[u8; 32]) -> bool {
        let Some(public) = public_point(recipient) else {
            return false;
        };
        let of_sender = MontgomeryPoint(public).mul_clamped(*ephemeral);
        let sent = MontgomeryPoint::mul_base_clamped(*ephemeral);
        let of_holder = sent.mul_clamped(*self.scalar());
        let shared = Zeroizing::new(of_holder.to_bytes());
        *shared != [0; 32] && same_bytes(shared.as_slice(), &of_sender.to_bytes())
    }

    fn scalar(&self) -> Zeroizing<[u8; SECRET_BYTES]> {
        let mut scalar = Zeroizing::new([0; SECRET_BYTES]);
        for (byte, of_secret) in scalar.iter_mut().zip(self.0.reveal()) {
            *byte = *of_secret;
        }
        scalar
    }
}

/// The point of an `age1…`.
fn public_point(recipient: &str) -> Option<[u8; 32]> {
    let read = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(recipient).ok()?;
    let bytes: Vec<u8> = read.byte_iter().collect();
    (read.hrp() == Hrp::parse_unchecked("age")).then(|| bytes.try_into().ok())?
}

/// Bytes as groups of five bits; the last is filled up with zeros.
fn groups(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut groups = Zeroizing::new(Vec::with_capacity(SECRET_GROUPS));
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            groups.push(five(held >> bits));
            held &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        groups.push(five(held << (5 - bits)));
    }
    groups
}

fn decode(data: &str) -> Option<Secret> {
    if data.len() != SECRET_GROUPS + CHECKSUM_GROUPS {
        return None;
    }
    let mut read = Zeroizing::new(Vec::with_capacity(data.len()));
    let mut known = 0xff;
    for byte in data.bytes() {
        let (group, found) = value(byte);
        known &= found;
        read.push(group);
    }
    let (body, check) = read.split_at_checked(SECRET_GROUPS)?;
    if known != 0xff || !same_bytes(&checksum(body), check) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES));
    let (mut held, mut bits) = (0_u32, 0_u32);
    for group in body {
        held = (held << 5) | u32::from(*group);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).unwrap_or_default());
            held &= (1 << bits) - 1;
        }
    }
    (held == 0).then(|| Secret::from(bytes))
}

fn five(bits: u32) -> u8 {
    u8::try_from(bits & 31).unwrap_or_default()
}

/// The letter of a group, by looking at all of them.
fn letter(group: u8) -> u8 {
    let pairs = (0_u16..).zip(CHARSET);
    pairs.fold(0, |found, (at, letter)| found | (equal_mask(at, group.into()) & letter))
}

/// The group of a letter, and all ones if it is one; by looking at all of them.
fn value(letter: u8) -> (u8, u8) {
    (0_u8..).zip(CHARSET).fold((0, 0), |(group, found), (at, known)| {
        let mask = equal_mask(u16::from(letter), u16::from(*known));
        (group | (mask & at), found | mask)
    })
}

fn checksum(groups: &[u8]) -> [u8; CHECKSUM_GROUPS] {
    let high = HRP.iter().map(|letter| letter >> 5);
    let low = HRP.iter().map(|letter| letter & 31);
    let prefix = high.chain([0]).chain(low);
    let all = prefix.chain(groups.iter().copied()).chain([0; CHECKSUM_GROUPS]);
    let state = 1 ^ all.fold(1_u32, |state, group| {
        let top = state >> 25;
        let moved = ((state & 0x01ff_ffff) << 5) ^ u32::from(group);
        (0..).zip(GENERATOR).fold(moved, |state, (bit, generator)| {
            state ^ (generator & 0_u32.wrapping_sub((top >> bit) & 1))
        })
    });
    [25, 20, 15, 10, 5, 0].map(|shift| five(state >> shift))
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Identity {
        Identity::parse(text).unwrap()
    }

    /// Of the specification's test vectors and its tool.
    #[test]
    fn text_and_recipient_are_those_of_age_itself() {
        for _ in 0..50 {
            let theirs = age::x25519::Identity::generate();
            let text = theirs.to_string();
            let ours = parsed(&format!("# of a test\n{}\n", text.expose_secret()));
            assert_eq!(ours.recipient(), theirs.to_public().to_string());
            assert_eq!(ours.to_text().as_str(), text.expose_secret());
            let again = Identity::new(ours.secret().clone()).unwrap();
            assert_eq!(again, ours);
        }
    }

    #[test]
    fn what_is_encrypted_to_the_recipient_is_opened_by_its_identity_alone() {
        let [one, other] =
            [7, 8].map(|byte| Identity::new(Secret::new(vec![byte; SECRET_BYTES])).unwrap());
        assert!(one.opens(&one.recipient(), &[3; 32]));
        assert!(!one.opens(&other.recipient(), &[3; 32]));
        for none in ["", "age1", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"] {
            assert!(!one.opens(none, &[3; 32]), "{none}");
        }
        // A point of small order opens nothing, whatever both sides come to.
        let zero = bech32::encode::<Bech32>(Hrp::parse_unchecked("age"), &[0; 32]).unwrap();
        assert!(!one.opens(&zero, &[3; 32]));
    }

    #[test]
    fn any_changed_character_is_told_and_none_is_corrected() {
        let text = Identity::new(Secret::new(vec![0xa5; SECRET_BYTES])).unwrap().to_text();
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'Q' { b'P' } else { b'Q' };
            let changed = String::from_utf8(bytes).unwrap();
            let expected = if at < PREFIX.len() { Error::NoIdentity } else { Error::Damaged(1) };
            assert_eq!(Identity::parse(&changed).unwrap_err(), expected, "{at}");
        }
        assert_eq!(Identity::parse(&text[..text.len() - 1]), Err(Error::Damaged(1)));
        assert_eq!(Identity::parse(&text.to_lowercase()), Err(Error::NoIdentity));
        assert_eq!(Identity::new(Secret::new(vec![1; 31])), Err(Error::SecretBytes(31)));
    }

    #[test]
    fn an_identity_is_shown_by_its_recipient() {
        let one = Identity::new(Secret::new(vec![7; SECRET_BYTES])).unwrap();
        assert_eq!(format!("{one:?}"), format!("Identity({})", one.recipient()));
    }

    proptest! {
        #[test]
        fn every_secret_reads_back(bytes in any::<[u8; 32]>()) {
            let one = Identity::new(Secret::new(bytes.to_vec())).unwrap();
            let back = parsed(&one.to_text());
            prop_assert_eq!(back.secret().reveal(), &bytes);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = Identity::parse(&text);
            let _ = Identity::parse(&format!("{PREFIX}{text}"));
        }
    }
}
