//! The root's word that a writer is not to be believed any more: its key was stolen.
//!
//! Records up to a named one stay what they are; the writer's later ones count as not there, with
//! everything in them, poisoned chunks included. Another writer is another lineage, which refers
//! to no chunk of this one: its first point writes everything anew.

use std::collections::BTreeSet;

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::approval::utc;
use crate::catalog::Catalog;
use crate::certificate::{RootPublicKey, SIGNATURE_BYTES, magic, text};
use crate::chain::Listing;
use crate::error::{Error, Result};
use crate::layout::{Layout, Lineage, ObjectName};
use crate::root::{RootHand, digits, line};
use crate::site::{SiteError, Sites};

const MAGIC: &[u8; 4] = b"EVKX";
const VERSION: u8 = 1;

/// What the root signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    domain: String,
    pub(crate) lineage: Lineage,
    /// The last record that is still believed; 0: none is.
    pub(crate) trusted: u64,
    /// Its hash, zero for none.
    pub(crate) trusted_hash: [u8; 32],
    time_ns: u64,
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

impl Revocation {
    /// What every signed revocation's bytes begin with.
    pub(crate) const CONTEXT: &[u8] = b"evenkeel vault revocation v1\0";

    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// What the root is asked to sign, in words.
    pub(crate) fn words(&self) -> Vec<(String, String)> {
        vec![
            line("of-lineage", self.lineage),
            line("believed-up-to-record", self.trusted),
            digits("with-hash", &self.trusted_hash),
            line("revoked-at", utc(self.time_ns)),
        ]
    }

    pub(crate) fn name(&self) -> ObjectName {
        ObjectName::Revocation(self.lineage, *blake3::hash(&self.to_bytes()).as_bytes())
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
        encoder.u64(self.trusted);
        encoder.fixed(&self.trusted_hash);
        encoder.u64(self.time_ns);
    }
}

impl Canonical for Revocation {
    fn encode(&self, encoder: &mut Encoder) {
        self.encode_unsigned(encoder);
        encoder.fixed(&self.signature);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        Ok(Self {
            domain: text(reader, 32)?,
            lineage: Lineage::decode(reader)?,
            trusted: reader.u64()?,
            trusted_hash: reader.array()?,
            time_ns: reader.u64()?,
            signature: reader.array()?,
        })
    }
}

/// Says at the sites, for good, that what the writer of `lineage` wrote behind record `trusted`
/// (0: all of it) is not to be believed. A further revocation can only believe less. Where the root
/// signs elsewhere, it says so once that is published.
///
/// # Errors
/// [`Error::Invalid`] if the identity is not that of the domain's root; [`Error::NotFound`] if
/// there is no such lineage or record; [`Error::NotEnoughSites`] if it does not reach k sites.
pub fn revoke_writer(
    catalog: &Catalog,
    root: &mut RootHand<'_>,
    lineage: Lineage,
    trusted: u64,
    time_ns: u64,
) -> Result<()> {
    root.check(catalog)?;
    let entry = catalog.lineages.get(&lineage).ok_or_else(|| Error::NotFound {
        what: format!("lineage {lineage}"),
        known: catalog.lineages.keys().map(ToString::to_string).collect(),
    })?;
    let trusted_hash = match trusted {
        0 => [0; 32],
        counter => entry.records.get(&counter).map(|record| record.hash).ok_or_else(|| {
            let known = entry.records.keys().map(ToString::to_string).collect();
            Error::NotFound { what: format!("record {counter} of lineage {lineage}"), known }
        })?,
    };
    let alone = || Layout::new(1, catalog.sites().len().max(1));
    let layout = catalog.layout().map_or_else(alone, Ok)?;
    let (domain, signature) = (catalog.domain().to_owned(), [0; SIGNATURE_BYTES]);
    let revocation = Revocation { domain, lineage, trusted, trusted_hash, time_ns, signature };
    root.sign(revocation)?.map_or(Ok(()), |signed| signed.publish(catalog.sites(), layout))
}

/// Every genuine revocation of a lineage that any site shows, with the hash of its object.
pub(crate) fn revocations(
    sites: &Sites,
    domain: &str,
    lineage: Lineage,
    listings: &[Result<Listing, SiteError>],
    trust: &RootPublicKey,
) -> Vec<([u8; 32], Revocation)> {
    let from = ObjectName::Revocation(lineage, [0; 32]);
    let to = ObjectName::Revocation(lineage, [0xff; 32]);
    let mut found = Vec::new();
    let mut done = BTreeSet::new();
    for (at, listing) in listings.iter().enumerate() {
        let names = listing.iter().flat_map(|listing| listing.objects.range(from..=to));
        for (name, _) in names {
            let ObjectName::Revocation(_, hash) = name else { continue };
            if done.contains(hash) {
                continue;
            }
            let Ok(bytes) = sites[at].get(&name.key(domain)) else { continue };
            let right = *blake3::hash(&bytes).as_bytes() == *hash;
            let Some(read) = Revocation::from_bytes(&bytes).ok().filter(|_| right) else {
                continue;
            };
            let genuine = read.domain == domain
                && read.lineage == lineage
                && trust.has_signed(&read.message(), &read.signature);
            if genuine {
                done.insert(*hash);
                found.push((*hash, read));
            }
        }
    }
    found
}
