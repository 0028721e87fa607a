//! Key objects, with what shows that a domain signed them: for people who decrypt for others and
//! must not be an oracle.
//!
//! A first key object is not signed itself; a record is, which names the object's hash, by a writer
//! whom the root certified. An object that was wrapped anew is signed by the root.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::catalog::Catalog;
use crate::certificate::{Certificate, RootPublicKey, magic, text};
use crate::error::{Error, Result};
use crate::fetch::fetch_replicated;
use crate::keys::Recipient;
use crate::layout::{Lineage, ObjectName};
use crate::period::marks_of;
use crate::record::{PeriodRef, PointId, Record};
use crate::rewrap::first_object;
use crate::unlock::{WrappedFileKey, wrapped_in};
use crate::wrap::{Wrap, wraps_by_period};

const MAGIC: &[u8; 4] = b"EVKE";
const VERSION: u8 = 1;
/// More periods than this are asked for in several requests.
const PARTS_MAX: usize = 1024;
const PART_BYTES_MAX: usize = 1 << 20;

/// What whoever asks for a decryption shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEvidence {
    /// The domain whose objects these are.
    pub domain: String,
    certificates: Vec<Certificate>,
    records: Vec<Vec<u8>>,
    objects: Vec<Vec<u8>>,
    wraps: Vec<Vec<u8>>,
}

/// A key period whose object was vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VouchedPeriod {
    /// The lineage.
    pub lineage: Lineage,
    /// Its number.
    pub number: u64,
    /// When it was signed, by the signer's clock: nanoseconds since 1970 UTC.
    pub signed_time_ns: u64,
    /// What its header wraps, for whomever.
    pub wrapped: Vec<WrappedFileKey>,
}

type Wanted = BTreeSet<(Lineage, PeriodRef)>;

impl KeyEvidence {
    /// For every key period that is wrapped for `recipient` and that bringing back needs: from the
    /// point `since` on, or all there are.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming how many periods are not wrapped for the recipient, if none is or
    /// if `since` was given; [`Error::NotFound`] for an unknown point; [`Error::NotEnoughSites`] if
    /// a record cannot be read again.
    pub fn gather(
        catalog: &Catalog,
        recipient: &Recipient,
        since: Option<PointId>,
    ) -> Result<Self> {
        let wanted = wanted(catalog, since)?;
        let wraps = wraps_by_period(catalog);
        let mut evidence = Self::empty(catalog.domain());
        let (mut closed, mut first) = (0, Wanted::new());
        for (lineage, period) in &wanted {
            let mark = recipient.mark(*lineage);
            let is_for =
                |object: &Vec<u8>| marks_of(object).is_none_or(|marks| marks.contains(&mark));
            if let Some(object) = first_object(catalog, *lineage, *period).filter(is_for) {
                evidence.objects.push(object);
                first.insert((*lineage, *period));
                continue;
            }
            let others = wraps.get(&(*lineage, period.number)).into_iter().flatten();
            let mut others = others.filter(|wrap| wrap.period == *period);
            match others.find(|wrap| wrap.marks().contains(&mark)) {
                Some(wrap) => evidence.wraps.push(wrap.to_bytes()),
                None => closed += 1,
            }
        }
        let nothing = evidence.objects.is_empty() && evidence.wraps.is_empty();
        if nothing || (closed > 0 && since.is_some()) {
            return Err(Error::Invalid {
                what: "recipient",
                detail: format!(
                    "{closed} of {} key periods are not wrapped for {recipient}; wrap them: \
                     evenkeel recipients rewrap",
                    wanted.len()
                ),
            });
        }
        for record in naming(catalog, first) {
            evidence.add(catalog, record)?;
        }
        Ok(evidence)
    }

    fn empty(domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            certificates: Vec::new(),
            records: Vec::new(),
            objects: Vec::new(),
            wraps: Vec::new(),
        }
    }

    fn add(&mut self, catalog: &Catalog, record: &Record) -> Result<()> {
        let lineage = record.header.lineage;
        let key = ObjectName::Record(lineage, record.header.counter).key(catalog.domain());
        let copy = fetch_replicated(catalog.sites(), &key, record.hash, &catalog.pace);
        let (_, bytes) = copy.found.ok_or_else(|| Error::NotEnoughSites {
            what: format!("reading {key}"),
            needed: 1,
            found: 0,
            sites: copy.problems.iter().map(|one| one.site.clone()).collect(),
            points: Vec::new(),
        })?;
        self.records.push(bytes);
        if !self.certificates.iter().any(|one| one.lineage == lineage) {
            let entry = catalog.lineages.get(&lineage);
            self.certificates.extend(entry.map(|entry| entry.certificate.clone()));
        }
        Ok(())
    }

    /// What the domain of this root signed. All of it has to be; nothing else counts.
    ///
    /// # Errors
    /// [`Error::Integrity`] naming what was not signed.
    pub fn vouched(&self, root: &RootPublicKey) -> Result<Vec<VouchedPeriod>> {
        let refused = |what: String, why: &str| Error::integrity(what, "the evidence", why);
        for certificate in &self.certificates {
            certificate.verify(root)?;
        }
        let mut named: BTreeMap<[u8; 32], (Lineage, u64, u64)> = BTreeMap::new();
        for (at, bytes) in (1..).zip(&self.records) {
            let what = || format!("record {at}");
            let record = Record::decode(bytes).map_err(Error::format(what()))?;
            let header = &record.header;
            let mut writers = self
                .certificates
                .iter()
                .filter(|one| one.lineage == header.lineage && one.domain == self.domain);
            let genuine = writers.any(|certificate| Record::signed_by(bytes, certificate));
            if !genuine || header.domain != self.domain {
                return Err(refused(what(), "not signed by a writer that this root certified"));
            }
            for period in &header.periods {
                let signed = (header.lineage, period.number, header.time_ns);
                named.entry(period.hash).or_insert(signed);
            }
        }
        let mut vouched = Vec::new();
        for (at, object) in (1..).zip(&self.objects) {
            let what = || format!("key object {at}");
            let named = named.get(blake3::hash(object).as_bytes());
            let signed = named.ok_or_else(|| refused(what(), "no signed record names it"))?;
            let wrapped = wrapped_in(object).ok_or_else(|| refused(what(), "no key object"))?;
            let (lineage, number, signed_time_ns) = *signed;
            vouched.push(VouchedPeriod { lineage, number, signed_time_ns, wrapped });
        }
        for (at, bytes) in (1..).zip(&self.wraps) {
            let what = || format!("re-wrapped key {at}");
            let wrap = Wrap::verified(bytes, &self.domain, root);
            let wrap = wrap.ok_or_else(|| refused(what(), "not signed by this root"))?;
            vouched.push(wrap.vouched().ok_or_else(|| refused(what(), "no key object"))?);
        }
        Ok(vouched)
    }
}

fn all(catalog: &Catalog) -> impl Iterator<Item = &Record> {
    catalog.lineages.values().flat_map(|entry| entry.records.values())
}

fn wanted(catalog: &Catalog, since: Option<PointId>) -> Result<Wanted> {
    if let Some(point) = since
        && catalog.record(point.lineage, point.counter).is_none()
    {
        let known = catalog.points().iter().map(|point| point.id.to_string()).collect();
        return Err(Error::NotFound { what: format!("recovery point {point}"), known });
    }
    let from = |record: &&Record| {
        since.is_none_or(|point| {
            let header = &record.header;
            header.lineage == point.lineage && header.counter >= point.counter
        })
    };
    let records = all(catalog).filter(from);
    Ok(records.flat_map(named).collect())
}

fn named(record: &Record) -> impl Iterator<Item = (Lineage, PeriodRef)> {
    record.header.periods.iter().map(|period| (record.header.lineage, *period))
}

/// Few and small records that together name all of these periods: each time the one that costs the
/// least for each period it adds.
fn naming(catalog: &Catalog, mut rest: Wanted) -> Vec<&Record> {
    let mut chosen = Vec::new();
    while !rest.is_empty() {
        let price = |record: &Record| {
            let adds = named(record).filter(|one| rest.contains(one)).count() as u64;
            record.length_bytes.checked_div(adds)
        };
        let cheapest = all(catalog).filter_map(|record| Some((price(record)?, record)));
        let Some((_, record)) = cheapest.min_by_key(|(price, _)| *price) else {
            break;
        };
        named(record).for_each(|one| {
            rest.remove(&one);
        });
        chosen.push(record);
    }
    chosen
}

fn parts(reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, DecodeError> {
    let count = reader.count()?;
    if count > PARTS_MAX {
        return Err(reader.not_canonical("too many parts"));
    }
    (0..count).map(|_| reader.bytes(PART_BYTES_MAX).map(<[u8]>::to_vec)).collect()
}

impl Canonical for KeyEvidence {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        encoder.bytes(self.domain.as_bytes());
        encoder.sequence(self.certificates.iter());
        for parts in [&self.records, &self.objects, &self.wraps] {
            encoder.u64(parts.len() as u64);
            parts.iter().for_each(|part| encoder.bytes(part));
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        Ok(Self {
            domain: text(reader, 32)?,
            certificates: reader.sequence()?,
            records: parts(reader)?,
            objects: parts(reader)?,
            wraps: parts(reader)?,
        })
    }
}
