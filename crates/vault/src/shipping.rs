//! Getting objects to the sites, checked before they leave and after they arrived.

use std::collections::BTreeMap;

use crate::chain::{Listing, list_under};
use crate::erasure::{Coded, decode_into, encode_proven};
use crate::error::{Error, Result};
use crate::keys::IdKey;
use crate::layout::{Layout, Lineage, ObjectName};
use crate::pack::{Pack, PackEntry, check_pack};
use crate::period::Period;
use crate::record::ObjectRef;
use crate::rooms::Rooms;
use crate::site::{SiteError, Sites, each_site, put_verified};

/// Where one object arrived, in site order.
pub(crate) type Delivery = Vec<Result<(), SiteError>>;

/// Number of sites at which the object was verified.
pub(crate) fn arrived(delivery: &Delivery) -> usize {
    delivery.iter().filter(|result| result.is_ok()).count()
}

/// What became of all objects of one record, per site.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// First error of each site that failed, by site number.
    failed: BTreeMap<usize, SiteError>,
    /// Least number of sites any object arrived at.
    least: Option<usize>,
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, delivery: &Delivery, bytes_each: usize) {
        for (at, result) in delivery.iter().enumerate() {
            match result {
                Ok(()) => self.bytes += bytes_each as u64,
                Err(error) => {
                    self.failed.entry(at).or_insert_with(|| error.clone());
                }
            }
        }
        self.lower(arrived(delivery));
    }

    /// Takes an object that was there already into account.
    pub(crate) fn lower(&mut self, sites: usize) {
        self.least = Some(self.least.map_or(sites, |least| least.min(sites)));
    }

    pub(crate) fn least(&self) -> usize {
        self.least.unwrap_or(0)
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (at, error) in other.failed {
            self.failed.entry(at).or_insert(error);
        }
        if let Some(least) = other.least {
            self.lower(least);
        }
        self.bytes += other.bytes;
    }

    /// Names of the sites at which everything was verified, and the others with their reasons.
    pub(crate) fn split(self, sites: &Sites) -> (Vec<String>, Vec<(String, SiteError)>) {
        let ok = sites.iter().enumerate().filter(|(at, _)| !self.failed.contains_key(at));
        let ok = ok.map(|(_, site)| site.name().to_owned()).collect();
        (ok, self.failed.into_values().map(|error| (error.site.clone(), error)).collect())
    }
}

/// The same bytes to every site.
pub(crate) fn ship_replicated(sites: &Sites, key: &str, bytes: &[u8]) -> Delivery {
    each_site(sites, |_, site| put_verified(site, key, bytes))
}

/// Shard i to site i.
pub(crate) fn ship_shards(
    sites: &Sites,
    domain: &str,
    lineage: Lineage,
    encoded: &EncodedPack,
) -> Delivery {
    let shards = encoded.coded.shards();
    each_site(sites, |at, site| {
        let key = ObjectName::Shard(lineage, encoded.object.pack, at).key(domain);
        put_verified(site, &key, shards[at])
    })
}

/// The shards of a lineage that the sites list.
pub(crate) struct ShardsHeld {
    lineage: Lineage,
    k: usize,
    listings: Vec<Result<Listing, SiteError>>,
}

impl ShardsHeld {
    pub(crate) fn list(sites: &Sites, domain: &str, lineage: Lineage, k: usize) -> Self {
        let prefix = format!("{domain}/{lineage}/shards/");
        let listings = list_under(sites, domain, &prefix);
        Self { lineage, k, listings }
    }

    /// How many different shards of a pack are there whole.
    pub(crate) fn of(&self, object: &ObjectRef) -> usize {
        let length = object.shard_bytes(self.k);
        let held = |shard: &usize| {
            let name = ObjectName::Shard(self.lineage, object.pack, *shard);
            let mut found = self.listings.iter().flatten();
            found.any(|listing| listing.objects.get(&name) == Some(&length))
        };
        (0..object.shard_roots.len()).filter(held).count()
    }

    /// What the sites that did not answer said.
    pub(crate) fn failures(&self) -> Vec<String> {
        let errors = self.listings.iter().filter_map(|one| one.as_ref().err());
        errors.map(|error| format!("{} ({})", error.site, error.detail)).collect()
    }
}

/// An error unless at least `needed` sites verified the object.
pub(crate) fn require(delivery: &Delivery, needed: usize, what: &str) -> Result<()> {
    let found = arrived(delivery);
    if found >= needed {
        return Ok(());
    }
    let errors = delivery.iter().filter_map(|result| result.as_ref().err());
    let sites = errors.map(|error| format!("{} ({})", error.site, error.detail)).collect();
    Err(Error::NotEnoughSites { what: what.to_owned(), needed, found, sites, points: Vec::new() })
}

/// A pack as shards, checked.
pub(crate) struct EncodedPack {
    pub(crate) object: ObjectRef,
    pub(crate) entries: Vec<PackEntry>,
    pub(crate) coded: Coded,
}

/// Codes a pack, then decodes it from shards that include parity, opens every chunk and compares.
pub(crate) fn encode_pack(
    pack: Pack,
    layout: Layout,
    period: &Period,
    id_key: &IdKey,
    rooms: &Rooms,
) -> Result<EncodedPack> {
    let (k, length) = (layout.k(), pack.bytes.len());
    let name = *blake3::hash(&pack.bytes).as_bytes();
    let mut coded = encode_proven(pack.bytes, k, layout.n(), rooms)?;
    let shards = coded.shards();
    // Leave out as many data shards as the stored parity can replace: what remains contains all
    // of that parity.
    let some: Vec<(usize, &[u8])> =
        (layout.n() - k..layout.n()).map(|at| (at, shards[at])).collect();
    let mut decoded = rooms.take(k * coded.shard_bytes());
    decode_into(&some, k, length, &mut decoded)?;
    let whole = shards.iter().take(k).copied();
    if !decoded.chunks(coded.shard_bytes()).zip(whole).all(|(one, other)| other.starts_with(one)) {
        return Err(Error::EncodeCheck {
            stage: "erasure code",
            detail: "the pack does not come back from its shards".to_owned(),
        });
    }
    check_pack(&decoded, &pack.entries, &period.key, id_key)?;
    rooms.give(decoded);
    let object = ObjectRef {
        pack: name,
        length_bytes: length as u64,
        period: period.reference.number,
        shard_roots: std::mem::take(&mut coded.roots),
    };
    Ok(EncodedPack { object, entries: pack.entries, coded })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{PackBuilder, compress};
    use crate::random::OsRandom;
    use crate::seal::Compressor;

    /// What a bit that flips in memory, between sealing and coding, does.
    #[test]
    fn a_bit_that_flips_in_memory_is_found_before_anything_is_sent() {
        let lineage = Lineage([1; 16]);
        let identity = crate::keys::Identity::generate();
        let recipients = [identity.recipient()];
        let period = Period::start("state", lineage, 1, 0, &recipients, &mut OsRandom).unwrap();
        let id_key = IdKey::from_bytes(&[2; 32]);
        let pack = || {
            let (key, room) = (&period.key, Vec::new());
            let mut builder = PackBuilder::new(lineage, 1, key, &mut OsRandom, room).unwrap();
            let chunk = vec![7; 5000];
            let compressed = compress(&mut Compressor::new(1).unwrap(), &chunk).unwrap();
            builder.add(id_key.chunk_id(&chunk), compressed, chunk.len()).unwrap();
            builder.finish().unwrap()
        };
        let encode = |pack: Pack| {
            let layout = Layout::new(3, 5).unwrap();
            encode_pack(pack, layout, &period, &id_key, &Rooms::default())
        };
        assert!(encode(pack()).is_ok());
        let bits = pack().bytes.len() * 8;
        for bit in (0..bits).step_by(37) {
            let mut pack = pack();
            // The period's number in the header is covered by the pack's name.
            if (24..32).contains(&(bit / 8)) {
                continue;
            }
            pack.bytes[bit / 8] ^= 1 << (bit % 8);
            let error = encode(pack).err().unwrap();
            assert!(matches!(error, Error::EncodeCheck { .. }), "bit {bit}: {error}");
            assert!(error.to_string().contains("nothing was sent"), "{error}");
        }
        let mut other = pack();
        other.entries[0].id[0] ^= 1;
        assert!(encode(other).is_err(), "what was sealed is not what was read");
    }
}
