//! Who can open which key period, and wrapping earlier periods for the recipients of today.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::fetch::fetch_replicated;
use crate::keys::{Recipient, RecipientMark};
use crate::layout::{Layout, Lineage, ObjectName};
use crate::period::{self, PeriodKey, marks_of};
use crate::record::PeriodRef;
use crate::root::{RootHand, RootWord};
use crate::unlock::Unlock;
use crate::wrap::{self, Wrap, wraps_by_period};

/// A key period at the sites: what it covers, and for whom its key is wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodAccess {
    /// The lineage.
    pub lineage: Lineage,
    /// The period's number.
    pub number: u64,
    /// Time of the first record that it sealed or that needs it, nanoseconds since 1970 UTC.
    pub first_time_ns: u64,
    /// Time of the last one.
    pub last_time_ns: u64,
    /// Records that need it.
    pub records: u64,
    /// Bytes of packs that it seals, before they are spread over the sites.
    pub bytes: u64,
    /// For whom the first key object says it is wrapped; `None`: it does not say, or is gone.
    pub first: Option<BTreeSet<RecipientMark>>,
    /// For whom the others are, each signed by the root.
    pub others: Vec<BTreeSet<RecipientMark>>,
}

impl PeriodAccess {
    /// Whether some key object of this period is wrapped for `recipient`. `None`: only an object
    /// that does not say for whom it is could be.
    #[must_use]
    pub fn opens_for(&self, recipient: &Recipient) -> Option<bool> {
        let mark = recipient.mark(self.lineage);
        if self.others.iter().chain(&self.first).any(|marks| marks.contains(&mark)) {
            return Some(true);
        }
        self.first.is_some().then_some(false)
    }

    /// Whether one of its key objects is known to be for all of these.
    #[must_use]
    pub fn serves(&self, recipients: &[Recipient]) -> bool {
        let wanted: Vec<RecipientMark> =
            recipients.iter().map(|recipient| recipient.mark(self.lineage)).collect();
        let all = |marks: &BTreeSet<RecipientMark>| wanted.iter().all(|one| marks.contains(one));
        self.others.iter().chain(&self.first).any(all)
    }
}

/// Every key period that a record of the catalog needs, by lineage and number. It reads each key
/// object once: as many as there are periods, whatever they seal.
#[must_use]
pub fn periods(catalog: &Catalog) -> Vec<PeriodAccess> {
    let wraps = wraps_by_period(catalog);
    let mut found = used(catalog);
    for ((lineage, number), (access, period)) in &mut found {
        let object = first_object(catalog, *lineage, *period);
        access.first = object.and_then(|object| marks_of(&object));
        let others = wraps.get(&(*lineage, *number)).into_iter().flatten();
        let others = others.filter(|wrap| wrap.period == *period);
        access.others = others.map(Wrap::marks).collect();
    }
    found.into_values().map(|(access, _)| access).collect()
}

type Used = BTreeMap<(Lineage, u64), (PeriodAccess, PeriodRef)>;

fn used(catalog: &Catalog) -> Used {
    let mut found = Used::new();
    let mut packs = BTreeSet::new();
    for record in catalog.lineages.values().flat_map(|entry| entry.records.values()) {
        let header = &record.header;
        let lineage = header.lineage;
        for period in &header.periods {
            let first = || {
                let access = PeriodAccess {
                    lineage,
                    number: period.number,
                    first_time_ns: header.time_ns,
                    last_time_ns: header.time_ns,
                    records: 0,
                    bytes: 0,
                    first: None,
                    others: Vec::new(),
                };
                (access, *period)
            };
            let (access, _) = found.entry((lineage, period.number)).or_insert_with(first);
            access.records += 1;
            access.first_time_ns = access.first_time_ns.min(header.time_ns);
            // A later point may need a period that has long ended: what it wrote itself counts.
            if header.periods.first() == Some(period) {
                access.last_time_ns = access.last_time_ns.max(header.time_ns);
            }
        }
        for object in header.objects.iter().filter(|one| packs.insert((lineage, one.pack))) {
            if let Some((access, _)) = found.get_mut(&(lineage, object.period)) {
                access.bytes += object.length_bytes;
            }
        }
    }
    found
}

pub(crate) fn first_object(
    catalog: &Catalog,
    lineage: Lineage,
    period: PeriodRef,
) -> Option<Vec<u8>> {
    let key = ObjectName::Period(lineage, period.number).key(catalog.domain());
    let copy = fetch_replicated(catalog.sites(), &key, period.hash, &catalog.pace);
    copy.found.map(|(_, bytes)| bytes)
}

/// What re-wrapping did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Key periods that were looked at.
    pub periods: u64,
    /// Periods for which one object serves every recipient already.
    pub already: u64,
    /// Periods wrapped anew, each at k sites at least.
    pub wrapped: u64,
    /// Objects of an earlier run that were brought to sites that had missed them.
    pub completed: u64,
    /// Periods that this identity does not open.
    pub closed: Vec<(Lineage, u64)>,
}

/// Wraps every key period that `unlock` opens for `recipients`: one new object, which the root
/// signs, for each period that has none for all of them. The sealed data is not touched. After an
/// interruption the same call goes on; where nothing is left to do it does nothing. Where the root
/// signs elsewhere, nothing is published here.
///
/// # Errors
/// [`Error::Invalid`] if the root is not that of the domain, or without recipients;
/// [`Error::NotEnoughSites`] if an object does not reach k sites.
pub fn rewrap(
    catalog: &Catalog,
    unlock: &Unlock,
    root: &mut RootHand<'_>,
    recipients: &[Recipient],
    time_ns: u64,
) -> Result<Rewrapped> {
    root.check(catalog)?;
    if recipients.is_empty() {
        let detail = "none; nobody could open what is wrapped".to_owned();
        return Err(Error::Invalid { what: "recipients", detail });
    }
    let mut done = Rewrapped::default();
    // Without a record there is no layout, and nothing that was ever wrapped.
    let Some(layout) = catalog.layout() else { return Ok(done) };
    let wraps = wraps_by_period(catalog);
    for ((lineage, number), (_, period)) in used(catalog) {
        done.periods += 1;
        let at = (lineage, period);
        let others = wraps.get(&(lineage, number)).map_or(&[][..], Vec::as_slice);
        let first = first_object(catalog, lineage, period);
        let serves = |marks: &BTreeSet<RecipientMark>| {
            recipients.iter().all(|recipient| marks.contains(&recipient.mark(lineage)))
        };
        if first.as_deref().and_then(marks_of).as_ref().is_some_and(serves) {
            done.already += 1;
            continue;
        }
        let same = others.iter().find(|wrap| wrap.period == period && serves(&wrap.marks()));
        if let Some(wrap) = same {
            done.already += 1;
            done.completed += u64::from(complete(catalog, wrap, layout)?);
            continue;
        }
        match open(catalog, at, first.as_deref(), others, unlock) {
            Some(key) => {
                let domain = catalog.domain();
                let wrap = Wrap::draft(domain, lineage, period, &key, recipients, time_ns)?;
                root.sign(wrap)?
                    .map_or(Ok(()), |signed| signed.publish(catalog.sites(), layout))?;
                done.wrapped += 1;
            }
            None => done.closed.push((lineage, number)),
        }
    }
    Ok(done)
}

fn open(
    catalog: &Catalog,
    (lineage, period): (Lineage, PeriodRef),
    first: Option<&[u8]>,
    others: &[Wrap],
    unlock: &Unlock,
) -> Option<PeriodKey> {
    let first = first.and_then(|object| {
        period::open(catalog.domain(), lineage, period.number, object, unlock).ok()
    });
    let mut others = others.iter();
    first.or_else(|| others.find_map(|wrap| wrap::open(catalog, wrap, period, unlock)))
}

/// Brings a wrap to the sites that do not list it; whether there were any.
fn complete(catalog: &Catalog, wrap: &Wrap, layout: Layout) -> Result<bool> {
    let name = wrap.name();
    let lists = |listing: &&crate::chain::Listing| listing.objects.contains_key(&name);
    if catalog.listings.iter().flatten().filter(lists).count() == catalog.sites().len() {
        return Ok(false);
    }
    RootWord::from(wrap.clone()).publish(catalog.sites(), layout)?;
    Ok(true)
}
