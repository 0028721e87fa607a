//! File keys from the parts of a quorum.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::traits::{Identity, IsIdentity};
use zeroize::Zeroizing;

use super::super::fault::{Misdeed, Refusal};
use super::super::message::{Kind, Table};
use super::super::recipient::{self, Recipient};
use super::super::record::{Record, Sealed};
use super::super::seal;
use super::super::suite::lagrange;
use super::TargetKey;
use super::partial;
use super::request::{Request, Stanza};

const INFO: &[u8] = b"age-encryption.org/v1/X25519";

/// What one stanza wrapped: it opens the one file whose header the stanza is in.
pub type FileKey = Zeroizing<[u8; 16]>;

/// Whose parts are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Who gave good parts.
    pub good: Vec<u16>,
    /// Who gave wrong ones, and what was wrong.
    pub wrong: Vec<(u16, Misdeed)>,
    /// Who has not answered.
    pub missing: Vec<u16>,
    /// How many good ones are needed.
    pub needed: u16,
}

/// What a quorum decrypted.
#[derive(Debug)]
pub struct Opened {
    /// The file keys of those stanzas that are for this recipient.
    pub keys: BTreeMap<Stanza, FileKey>,
    /// By whose parts.
    pub quorum: Vec<u16>,
}

/// Judges everybody's parts, and opens what the first quorum of good ones opens. Wrong ones are
/// named and done without; `None` while there are too few good ones.
///
/// # Errors
/// [`Refusal::NotForUs`]; [`Refusal::Other`] if the target's key is not the one of the request;
/// what [`super::answer`] refuses of the request itself.
pub fn open(
    request: &Request,
    sealed: &Sealed,
    target: &TargetKey,
    table: &Table,
) -> Result<(Heard, Option<Opened>), Refusal> {
    let record = sealed.record();
    request.check(record)?;
    if target.public() != Some(request.target) {
        return Err(Refusal::Other("target's key"));
    }
    let mut heard = Heard {
        good: Vec::new(),
        wrong: Vec::new(),
        missing: Vec::new(),
        needed: record.threshold,
    };
    let mut good = BTreeMap::new();
    for holder in &record.holders {
        let number = holder.number;
        match (table.get(Kind::Partial, number), table.stale(number)) {
            (Some(message), _) => match partial::read(message, request, record, target) {
                Ok(parts) => {
                    heard.good.push(number);
                    good.insert(number, parts);
                }
                Err(misdeed) => heard.wrong.push((number, misdeed)),
            },
            (None, Some(has)) => heard.wrong.push((number, Misdeed::Generation(has))),
            (None, None) => heard.missing.push(number),
        }
    }
    let quorum: Vec<u16> = good.keys().copied().take(usize::from(record.threshold)).collect();
    if quorum.len() < usize::from(record.threshold) {
        return Ok((heard, None));
    }
    let keys = combine(request, record, &quorum, &good).ok_or(Refusal::Calculation)?;
    if keys.is_empty() {
        return Err(Refusal::NotForUs);
    }
    Ok((heard, Some(Opened { keys, quorum })))
}

/// The sum of the quorum's parts, each times its Lagrange coefficient, is the shared point; its u
/// never leaves this function.
fn combine(
    request: &Request,
    record: &Record,
    quorum: &[u16],
    good: &BTreeMap<u16, Vec<EdwardsPoint>>,
) -> Option<BTreeMap<Stanza, FileKey>> {
    let public = recipient::public(&record.group_key)?;
    let mut factors = Vec::with_capacity(quorum.len());
    for number in quorum {
        factors.push((lagrange::<Recipient>(*number, quorum)?, good.get(number)?));
    }
    let mut keys = BTreeMap::new();
    for (at, stanza) in request.stanzas.iter().enumerate() {
        let mut sum = Zeroizing::new(EdwardsPoint::identity());
        for (factor, parts) in &factors {
            *sum += parts.get(at)? * factor;
        }
        if sum.is_identity() {
            continue;
        }
        let shared = Zeroizing::new(sum.to_montgomery().to_bytes());
        if let Some(key) = unwrap(&shared, stanza, &public) {
            keys.insert(*stanza, key);
        }
    }
    Some(keys)
}

/// age-encryption.org/v1, the X25519 recipient type: HKDF-SHA256 and ChaCha20-Poly1305 with a nonce
/// of zeros. `None` if the stanza is for somebody else.
fn unwrap(shared: &[u8; 32], stanza: &Stanza, public: &[u8; 32]) -> Option<FileKey> {
    let salt = [stanza.share, *public].concat();
    let key = seal::expand(shared, &salt, &[INFO])?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).ok()?;
    let mut body = Zeroizing::new(stanza.body);
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let opened = LessSafeKey::new(key).open_in_place(nonce, Aad::empty(), body.as_mut_slice());
    let mut file_key = FileKey::default();
    file_key.copy_from_slice(opened.ok()?.get(..16)?);
    Some(file_key)
}
