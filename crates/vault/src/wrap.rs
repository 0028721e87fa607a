//! A period's key wrapped anew: another object beside the first, for recipients of a later day.
//!
//! Sites replace nothing, so the first key object stays. What is wrapped anew is signed by the
//! domain's root, because the records, which are signed, know only the first one's hash.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::approval::utc;
use crate::catalog::Catalog;
use crate::certificate::{RootPublicKey, SIGNATURE_BYTES, magic, text};
use crate::chain::Listing;
use crate::error::Result;
use crate::evidence::VouchedPeriod;
use crate::fetch::fetch_replicated;
use crate::keys::{Recipient, RecipientMark};
use crate::layout::{Lineage, ObjectName};
use crate::period::{self, PeriodKey, marks_of};
use crate::record::PeriodRef;
use crate::root::{digits, line};
use crate::site::SiteError;
use crate::unlock::{Unlock, wrapped_in};

const MAGIC: &[u8; 4] = b"EVKY";
const VERSION: u8 = 1;
/// An age file for a handful of recipients; anything larger is not one.
const AGE_BYTES_MAX: usize = 1 << 20;
/// Objects read at once.
const LANES: usize = 8;

/// A key object beside the first of its period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrap {
    domain: String,
    pub(crate) lineage: Lineage,
    /// The period, with the hash of its first key object.
    pub(crate) period: PeriodRef,
    time_ns: u64,
    age: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
    /// Hash of the whole object, which names it.
    pub(crate) hash: [u8; 32],
}

impl Wrap {
    /// What every signed wrap's bytes begin with.
    pub(crate) const CONTEXT: &[u8] = b"evenkeel vault re-wrap v1\0";

    /// Wraps `key` for these recipients; the root has to sign it yet.
    pub(crate) fn draft(
        domain: &str,
        lineage: Lineage,
        period: PeriodRef,
        key: &PeriodKey,
        recipients: &[Recipient],
        time_ns: u64,
    ) -> Result<Self> {
        let age = period::seal(domain, lineage, period.number, key, recipients)?;
        let (signature, hash) = ([0; SIGNATURE_BYTES], [0; 32]);
        let domain = domain.to_owned();
        Ok(Self { domain, lineage, period, time_ns, age, signature, hash })
    }

    pub(crate) fn sign(&mut self, signature: [u8; SIGNATURE_BYTES]) {
        self.signature = signature;
        self.hash = *blake3::hash(&self.to_bytes()).as_bytes();
    }

    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    pub(crate) fn is_signed_by(&self, root: &RootPublicKey) -> bool {
        root.has_signed(&self.message(), &self.signature)
    }

    /// What the root is asked to sign, in words. For whom it is, only whoever knows the
    /// recipients can tell by their marks.
    pub(crate) fn words(&self) -> Vec<(String, String)> {
        let mut words = vec![
            line("of-lineage", self.lineage),
            line("period", self.period.number),
            digits("first-key-object", &self.period.hash),
        ];
        words.extend(self.marks().iter().map(|mark| digits("for", &mark.0)));
        words.push(line("wrapped-at", utc(self.time_ns)));
        words
    }

    pub(crate) fn name(&self) -> ObjectName {
        ObjectName::Wrap(self.lineage, self.period.number, self.hash)
    }

    /// For whom it is wrapped.
    pub(crate) fn marks(&self) -> BTreeSet<RecipientMark> {
        marks_of(&self.age).unwrap_or_default()
    }

    /// What it wraps, for whoever asks whether the domain signed it.
    pub(crate) fn vouched(&self) -> Option<VouchedPeriod> {
        Some(VouchedPeriod {
            lineage: self.lineage,
            number: self.period.number,
            signed_time_ns: self.time_ns,
            wrapped: wrapped_in(&self.age)?,
        })
    }

    /// The wrap in `bytes`, if the root signed it for the domain.
    pub(crate) fn verified(bytes: &[u8], domain: &str, trust: &RootPublicKey) -> Option<Self> {
        let mut wrap = Self::from_bytes(bytes).ok()?;
        wrap.hash = *blake3::hash(bytes).as_bytes();
        let genuine = wrap.domain == domain && wrap.is_signed_by(trust);
        genuine.then_some(wrap)
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.fixed(Self::CONTEXT);
        self.encode_unsigned(&mut encoder);
        encoder.into_bytes()
    }

    fn encode_unsigned(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        encoder.bytes(self.domain.as_bytes());
        self.lineage.encode(encoder);
        self.period.encode(encoder);
        encoder.u64(self.time_ns);
        encoder.bytes(&self.age);
    }
}

impl Canonical for Wrap {
    fn encode(&self, encoder: &mut Encoder) {
        self.encode_unsigned(encoder);
        encoder.fixed(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        Ok(Self {
            domain: text(reader, 32)?,
            lineage: Lineage::decode(reader)?,
            period: PeriodRef::decode(reader)?,
            time_ns: reader.u64()?,
            age: reader.bytes(AGE_BYTES_MAX)?.to_vec(),
            signature: reader.array()?,
            hash: [0; 32],
        })
    }
}

/// Every genuine wrap that a site lists. What is listed and not genuine is passed over.
pub(crate) fn read_wraps(catalog: &Catalog, listings: &[Result<Listing, SiteError>]) -> Vec<Wrap> {
    let names = listings.iter().flatten().flat_map(|listing| listing.objects.keys());
    let wraps: BTreeSet<ObjectName> =
        names.filter(|name| matches!(name, ObjectName::Wrap(..))).copied().collect();
    let wraps: Vec<ObjectName> = wraps.into_iter().collect();
    if wraps.is_empty() {
        return Vec::new();
    }
    std::thread::scope(|scope| {
        let lanes = wraps.chunks(wraps.len().div_ceil(LANES)).map(|lane| {
            scope.spawn(move || lane.iter().filter_map(|name| fetch(catalog, *name)).collect())
        });
        let lanes: Vec<_> = lanes.collect();
        let joined = lanes.into_iter().map(|lane| match lane.join() {
            Ok(found) => found,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.flat_map(|found: Vec<Wrap>| found).collect()
    })
}

/// The genuine wraps, by period.
pub(crate) fn wraps_by_period(catalog: &Catalog) -> BTreeMap<(Lineage, u64), Vec<Wrap>> {
    let mut by_period: BTreeMap<(Lineage, u64), Vec<Wrap>> = BTreeMap::new();
    for wrap in read_wraps(catalog, &catalog.listings) {
        by_period.entry((wrap.lineage, wrap.period.number)).or_default().push(wrap);
    }
    by_period
}

fn fetch(catalog: &Catalog, name: ObjectName) -> Option<Wrap> {
    let ObjectName::Wrap(lineage, number, hash) = name else {
        return None;
    };
    let key = name.key(catalog.domain());
    let copy = fetch_replicated(catalog.sites(), &key, hash, &catalog.pace);
    let (_, bytes) = copy.found?;
    let wrap = Wrap::verified(&bytes, catalog.domain(), catalog.trust())?;
    (wrap.lineage == lineage && wrap.period.number == number).then_some(wrap)
}

/// Opens a wrap of this very period.
pub(crate) fn open(
    catalog: &Catalog,
    wrap: &Wrap,
    period: PeriodRef,
    unlock: &Unlock,
) -> Option<PeriodKey> {
    let same = wrap.period == period;
    let open = || period::open(catalog.domain(), wrap.lineage, period.number, &wrap.age, unlock);
    same.then(open)?.ok()
}

/// The key of a period from whichever of its wraps opens.
pub(crate) fn open_any(
    catalog: &Catalog,
    lineage: Lineage,
    period: PeriodRef,
    unlock: &Unlock,
) -> Option<PeriodKey> {
    let from = ObjectName::Wrap(lineage, period.number, [0; 32]);
    let to = ObjectName::Wrap(lineage, period.number, [0xff; 32]);
    let listed = catalog.listings.iter().flatten();
    let names: BTreeSet<ObjectName> = listed
        .flat_map(|listing| listing.objects.range(from..=to))
        .map(|(name, _)| *name)
        .collect();
    names.into_iter().find_map(|name| open(catalog, &fetch(catalog, name)?, period, unlock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Identity, RecoveryIdentity};
    use crate::random::OsRandom;
    use zeroize::Zeroizing;

    fn signed(
        root: &RecoveryIdentity,
        lineage: Lineage,
        period: PeriodRef,
        key: &PeriodKey,
        recipients: &[Recipient],
    ) -> Wrap {
        let mut wrap = Wrap::draft("state", lineage, period, key, recipients, 9).unwrap();
        wrap.sign(root.sign(&wrap.message()));
        wrap
    }

    #[test]
    fn a_wrap_reads_back_and_every_changed_byte_is_noticed() {
        let recovery = RecoveryIdentity::generate("state", &mut OsRandom).unwrap();
        let (lineage, period) = (Lineage([5; 16]), PeriodRef { number: 3, hash: [4; 32] });
        let key = Zeroizing::new([8; 32]);
        let holder = Identity::generate();
        let recipients = [recovery.recipient(), holder.recipient()];
        let wrap = signed(&recovery, lineage, period, &key, &recipients);
        let trust = recovery.root_public();
        let bytes = wrap.to_bytes();
        assert_eq!(Wrap::verified(&bytes, "state", &trust), Some(wrap.clone()));
        assert_eq!(Wrap::verified(&bytes, "network", &trust), None);
        assert_eq!(
            period::open("state", lineage, 3, &wrap.age, &holder.clone().into()).unwrap(),
            key
        );
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Wrap::verified(&changed, "state", &trust), None, "byte {at}");
        }
        let other = RecoveryIdentity::generate("state", &mut OsRandom).unwrap();
        let forged = signed(&other, lineage, period, &key, &recipients);
        assert_eq!(Wrap::verified(&forged.to_bytes(), "state", &trust), None);
    }
}
