//! Where a writer takes up: what the sites and its own memory say about the end of the chain.

use std::io::Read;
use std::sync::Arc;

use crate::certificate::{Certificate, WriterKey};
use crate::chain::{ChainReader, Listing};
use crate::error::{Error, Result};
use crate::fetch::fetch_copy;
use crate::index::IndexedPack;
use crate::layout::{Layout, Lineage, ObjectName, check_domain, hex};
use crate::record::{Record, RecordHeader};
use crate::site::{Site, SiteError};
use crate::state::WriterState;
use crate::writing::WriterOptions;

/// A signed record that may not be at enough sites yet.
pub(crate) struct Pending {
    pub(crate) bytes: Vec<u8>,
    pub(crate) header: RecordHeader,
    pub(crate) hash: [u8; 32],
    /// Hash of what is in it, when known: a retry of the same is recognised by it.
    pub(crate) content: Option<[u8; 32]>,
}

/// Where the chain ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) counter: u64,
    pub(crate) hash: [u8; 32],
    pub(crate) tail_last: Option<u64>,
    pub(crate) point_position: Option<u64>,
}

impl Head {
    pub(crate) fn of(header: &RecordHeader, hash: [u8; 32]) -> Self {
        Self {
            counter: header.counter,
            hash,
            tail_last: header.tail_last,
            point_position: header.point_position,
        }
    }
}

pub(crate) fn check_options(
    sites: &[Arc<dyn Site>],
    certificate: &Certificate,
    key: &WriterKey,
    options: &WriterOptions,
) -> Result<()> {
    let invalid = |what, detail| Err(Error::Invalid { what, detail });
    check_domain(&certificate.domain)?;
    if sites.len() != options.layout.n() {
        let detail = format!("{} were given for a layout of {}", sites.len(), options.layout);
        return invalid("sites", detail);
    }
    for (at, site) in sites.iter().enumerate() {
        if sites[..at].iter().any(|other| other.name() == site.name()) {
            return invalid("sites", format!("two are called {}", site.name()));
        }
    }
    if key.public() != certificate.writer {
        let detail = format!(
            "it is not the one certified for lineage {}; use the key made with the certificate",
            certificate.lineage
        );
        return invalid("writer key", detail);
    }
    if options.recipients.is_empty() {
        let detail = "at least the recovery recipient is needed, else nobody can restore";
        return invalid("recipients", detail.to_owned());
    }
    Ok(())
}

/// Source names are unique and fit the format.
pub(crate) fn check_names(sources: &[(String, &mut dyn Read)]) -> Result<()> {
    for (at, (name, _)) in sources.iter().enumerate() {
        let again = sources[..at].iter().any(|(other, _)| other == name);
        if name.is_empty() || name.len() > 256 || again {
            return Err(Error::Invalid {
                what: "source",
                detail: format!("{name:?}: names are unique and have 1 to 256 bytes"),
            });
        }
    }
    Ok(())
}

/// Enough sites have to answer that every shipped record is at one of them at least.
pub(crate) fn require_overlap(
    listings: &[Result<Listing, SiteError>],
    layout: Layout,
) -> Result<()> {
    let found = listings.iter().filter(|listing| listing.is_ok()).count();
    let needed = layout.k().max(layout.n() - layout.k() + 1);
    if found >= needed {
        return Ok(());
    }
    let errors = listings.iter().filter_map(|listing| listing.as_ref().err());
    Err(Error::NotEnoughSites {
        what: "finding the end of the chain".to_owned(),
        needed,
        found,
        sites: errors.map(|error| format!("{} ({})", error.site, error.detail)).collect(),
        points: Vec::new(),
    })
}

/// The end of the chain as the sites show it; and the last record, if not every site has it.
pub(crate) fn read_head(
    sites: &[Arc<dyn Site>],
    certificate: &Certificate,
    listings: &[Result<Listing, SiteError>],
) -> Result<(Head, Option<Pending>)> {
    let (domain, lineage) = (certificate.domain.as_str(), certificate.lineage);
    let reader = ChainReader::new(sites, (domain, lineage), certificate, listings);
    let (newest, splits) = reader.heads();
    if let Some(split) = splits.into_iter().next() {
        return Err(Error::Fork {
            lineage: lineage.to_string(),
            counter: split.counter,
            detail: split.detail,
        });
    }
    let Some(record) = newest else {
        let (tail_last, point_position) = (None, None);
        let hash = certificate.hash();
        return Ok((Head { counter: 0, hash, tail_last, point_position }, None));
    };
    let head = Head::of(&record.header, record.hash);
    let key = ObjectName::Record(lineage, head.counter).key(domain);
    let copies = sites.iter().map(|site| fetch_copy(site.as_ref(), &key, record.hash));
    let copies: Vec<_> = copies.filter_map(Result::ok).collect();
    if copies.len() == sites.len() {
        return Ok((head, None));
    }
    let pending = copies.into_iter().next().map(|bytes| Pending {
        bytes,
        header: record.header,
        hash: record.hash,
        content: None,
    });
    Ok((head, pending))
}

/// Compares the sites with the writer's own memory; gives the record that has to be sent first.
pub(crate) fn reconcile(
    lineage: Lineage,
    head: &Head,
    newest: Option<Pending>,
    state: Option<WriterState>,
) -> Result<Option<Pending>> {
    let Some(state) = state else {
        return Ok(newest);
    };
    let pin = state.pin;
    let fork = |detail: String| {
        let lineage = lineage.to_string();
        Err(Error::Fork { lineage, counter: pin.counter.min(head.counter).max(1), detail })
    };
    if pin.lineage != lineage {
        let detail = format!("it belongs to lineage {}, not to {lineage}", pin.lineage);
        return Err(Error::Invalid { what: "writer state", detail });
    }
    if pin.counter < head.counter {
        return fork(format!(
            "the sites hold records up to {}, but this writer signed none after {}: somebody else \
             has its key, or this machine was set back to an older image",
            head.counter, pin.counter
        ));
    }
    if pin.counter == head.counter {
        if pin.hash == head.hash {
            return Ok(newest);
        }
        return fork(format!(
            "the sites hold {}, this writer signed {}",
            hex(&head.hash[..8]),
            hex(&pin.hash[..8])
        ));
    }
    if pin.counter > head.counter + 1 {
        return Err(Error::RolledBack {
            lineage: lineage.to_string(),
            pinned: pin.counter,
            found: head.counter,
        });
    }
    let record = Record::decode(&state.record)
        .map_err(Error::format("the record kept in the writer state"))?;
    if record.hash != pin.hash || record.header.previous_hash != head.hash {
        return fork("the record kept by this writer does not continue what the sites hold".into());
    }
    let (header, hash) = (record.header, record.hash);
    Ok(Some(Pending { bytes: state.record, header, hash, content: None }))
}

/// Whether the records behind this writer's last one are those of other hosts that took over from
/// it: its last record is among them, or was never at a site and continued one that is.
pub(crate) fn had_turns(
    reader: &ChainReader<'_>,
    head: &Head,
    state: Option<&WriterState>,
) -> bool {
    let Some(state) = state.filter(|state| state.pin.lineage == reader.lineage) else {
        return false;
    };
    let pin = &state.pin;
    if pin.counter > head.counter || pin.counter == head.counter && pin.hash == head.hash {
        return false;
    }
    let at_sites = |counter: u64| reader.record(counter).map(|record| record.hash);
    if at_sites(pin.counter) == Some(pin.hash) {
        return true;
    }
    let own = Record::decode(&state.record).ok().filter(|record| record.hash == pin.hash);
    own.is_some_and(|own| match pin.counter {
        0 | 1 => own.header.previous_hash == reader.certificate.hash(),
        counter => at_sites(counter - 1) == Some(own.header.previous_hash),
    })
}

/// The first period number that no site has an object for.
pub(crate) fn next_period(listings: &[Result<Listing, SiteError>], lineage: Lineage) -> u64 {
    let names = listings.iter().flatten().flat_map(|listing| listing.objects.keys());
    let used = names.filter_map(|name| match name {
        ObjectName::Period(of, number) if *of == lineage => Some(*number),
        _ => None,
    });
    // A site may invent any number; one at the very end would leave no room to count on.
    used.filter(|number| *number < u64::MAX / 2).max().map_or(1, |last| last + 1)
}

/// Adds packs, and the periods that open them, to a header.
pub(crate) fn refer(header: &mut RecordHeader, packs: &[IndexedPack]) {
    let own = header.periods[0];
    let mut others = header.periods.split_off(1);
    others.extend(packs.iter().map(|pack| pack.period).filter(|period| *period != own));
    others.sort_unstable();
    others.dedup();
    header.periods.append(&mut others);
    header.objects.extend(packs.iter().map(|pack| pack.object.clone()));
}
