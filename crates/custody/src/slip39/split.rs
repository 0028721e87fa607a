//! From a secret to cards.

use super::cipher;
use super::error::SplitError;
use super::policy::Policy;
use super::recover::recover;
use super::scheme::make_shares;
use super::share::{SetId, Share};
use crate::random::Random;
use crate::secret::{Secret, same_bytes};

/// A secret has at least this many bytes (128 bits).
pub const SECRET_BYTES_MIN: usize = 16;
/// A secret has at most this many bytes (512 bits); the standard knows no bound.
pub const SECRET_BYTES_MAX: usize = 64;

/// How to split, beside the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitOptions {
    /// 10,000 · 2^this rounds of PBKDF2, 0 to 15.
    pub iteration_exponent: u8,
    /// Whether the same secret and passphrase can be split again into a further set.
    pub extendable: bool,
    /// The set's number, instead of a drawn one; 15 bits.
    pub identifier: Option<u16>,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self { iteration_exponent: 1, extendable: true, identifier: None }
    }
}

/// Splits a secret into the cards of each group, and proves them before it hands them out.
///
/// # Errors
/// [`SplitError`]: a policy, passphrase, exponent or length that is refused; no randomness; or
/// cards that did not give the secret back.
pub fn split(
    policy: &Policy,
    secret: &[u8],
    passphrase: &[u8],
    options: SplitOptions,
    random: &mut dyn Random,
) -> Result<Vec<Vec<Share>>, SplitError> {
    policy.check()?;
    check_secret(secret)?;
    if let Some(at) = passphrase.iter().position(|byte| !(32..=126).contains(byte)) {
        return Err(SplitError::Passphrase { position: at + 1 });
    }
    if options.iteration_exponent > 15 {
        return Err(SplitError::IterationExponent(options.iteration_exponent));
    }
    let set = SetId {
        identifier: identifier(options.identifier, random)?,
        extendable: options.extendable,
        iteration_exponent: options.iteration_exponent,
        group_threshold: policy.group_threshold,
        group_count: u8::try_from(policy.groups.len())
            .map_err(|_| SplitError::Policy("too many groups".to_owned()))?,
    };
    let encrypted = cipher::encrypt(secret, passphrase, &set);
    let group_secrets = make_shares(set.group_threshold, set.group_count, &encrypted, random)?;
    let mut groups = Vec::with_capacity(group_secrets.len());
    for ((group_index, group), group_secret) in (0..).zip(&policy.groups).zip(&group_secrets) {
        let members = make_shares(group.threshold, group.count, group_secret, random)?;
        let cards = (0..).zip(members).map(|(member_index, value)| Share {
            set,
            group_index,
            member_index,
            member_threshold: group.threshold,
            value: Secret::from(value),
        });
        groups.push(cards.collect::<Vec<_>>());
    }
    prove(&groups, secret, passphrase)?;
    Ok(groups)
}

fn check_secret(secret: &[u8]) -> Result<(), SplitError> {
    let bytes = secret.len();
    if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes) || !bytes.is_multiple_of(2) {
        return Err(SplitError::SecretBytes { bytes });
    }
    Ok(())
}

fn identifier(given: Option<u16>, random: &mut dyn Random) -> Result<u16, SplitError> {
    let mut bytes = given.unwrap_or_default().to_be_bytes();
    if given.is_none() {
        random.fill(&mut bytes)?;
    }
    Ok(u16::from_be_bytes(bytes) & 0x7fff)
}

/// Reads every card's words back and recovers from all of them: all members of a group, and all
/// groups, then lie on one polynomial whose digest holds, so every quorum gives this secret.
fn prove(groups: &[Vec<Share>], secret: &[u8], passphrase: &[u8]) -> Result<(), SplitError> {
    let mut read = Vec::new();
    for card in groups.iter().flatten() {
        let again = Share::parse(&card.mnemonic()).map_err(|_| SplitError::Unproven)?;
        if again != *card {
            return Err(SplitError::Unproven);
        }
        read.push(again);
    }
    let recovered = recover(&read, passphrase).map_err(|_| SplitError::Unproven)?;
    if !same_bytes(recovered.secret.reveal(), secret) || !recovered.unchecked.is_empty() {
        return Err(SplitError::Unproven);
    }
    Ok(())
}
