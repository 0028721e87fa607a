//! Locks that end: a point counts at a site only if everything it refers to stays locked there for
//! as long as the point itself.

use std::collections::{BTreeMap, BTreeSet};

use super::Writer;
use super::point::SealedPoint;
use crate::error::Result;
use crate::layout::{Lineage, ObjectName};
use crate::shipping::{Delivery, Tally, require};
use crate::site::{Site, SiteError, SiteErrorKind, each_site};

const NS_PER_SECOND: u64 = 1_000_000_000;
/// A point's own record is locked when it is put: by then so much may have passed at most.
const LATER_SECONDS: u64 = 3600;

/// Until when objects are locked at every site that has locks which end, in seconds since 1970;
/// of a pack's shards the first stands for all.
pub(super) type Locked = BTreeMap<ObjectName, u64>;

impl Writer {
    /// Extends the locks of what a point refers to, where they would end before its own.
    ///
    /// # Errors
    /// [`crate::Error::NotEnoughSites`] if at fewer than k sites all of it is locked that long.
    pub(super) fn extend_locks(
        &mut self,
        sealed: &SealedPoint,
        time_ns: u64,
        tally: &mut Tally,
    ) -> Result<()> {
        let longest = self.sites.iter().filter_map(|site| site.lock_seconds()).max();
        let Some(longest_seconds) = longest else {
            return Ok(());
        };
        let now_seconds = time_ns / NS_PER_SECOND;
        let needed_seconds = now_seconds + longest_seconds + LATER_SECONDS;
        // Further than is needed now, so that not every point asks again for every pack.
        let ahead_seconds = needed_seconds + longest_seconds / 8;
        let (domain, lineage) = (self.certificate.domain.clone(), self.lineage());
        let mut names = BTreeSet::from([ObjectName::Certificate(lineage)]);
        // Begun before the record that it seals, perhaps by hours.
        let current = self.period().map(|period| ObjectName::Period(lineage, period));
        names.extend(current);
        for pack in &sealed.packs {
            names.insert(ObjectName::Period(lineage, pack.object.period));
            names.insert(ObjectName::Shard(lineage, pack.object.pack, 0));
        }
        names.retain(|name| self.locked.get(name).is_none_or(|until| *until < needed_seconds));
        let delivery: Delivery = each_site(&self.sites, |at, site| {
            let Some(lock_seconds) = site.lock_seconds() else {
                return Ok(());
            };
            let until_seconds = ahead_seconds - (longest_seconds - lock_seconds);
            let extend =
                |name: ObjectName| site.extend_retention(&name.key(&domain), until_seconds);
            for name in &names {
                match *name {
                    ObjectName::Shard(lineage, pack, _) => {
                        extend(ObjectName::Shard(lineage, pack, at))?;
                        optional(extend(ObjectName::Proof(lineage, pack, at)))?;
                    }
                    ObjectName::Period(lineage, number) => {
                        extend(*name)?;
                        for wrap in wraps(site, &domain, lineage, number)? {
                            optional(extend(wrap))?;
                        }
                    }
                    other => extend(other)?,
                }
            }
            Ok(())
        });
        tally.add(&delivery, 0);
        let what = "keeping what the recovery point refers to locked as long as itself";
        require(&delivery, self.options.layout.k(), what)?;
        if delivery.iter().all(Result::is_ok) {
            self.locked.extend(names.into_iter().map(|name| (name, ahead_seconds)));
        }
        Ok(())
    }
}

/// What a site has of a period's key wrapped anew: without it, recipients that came later open
/// nothing of that period.
fn wraps(
    site: &dyn Site,
    domain: &str,
    lineage: Lineage,
    number: u64,
) -> std::result::Result<Vec<ObjectName>, SiteError> {
    let names = site.list(&format!("{domain}/{lineage}/keys/"))?.into_iter();
    let names = names.filter_map(|object| ObjectName::parse(domain, &object.key));
    let of_it = |name: &ObjectName| matches!(name, ObjectName::Wrap(_, of, _) if *of == number);
    Ok(names.filter(of_it).collect())
}

/// Proofs can be made again: one that is missing takes nothing from the point.
fn optional(done: std::result::Result<(), SiteError>) -> std::result::Result<(), SiteError> {
    match done {
        Err(error) if error.kind == SiteErrorKind::NotFound => Ok(()),
        done => done,
    }
}
