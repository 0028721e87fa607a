//! Outboards at the sites: beside each shard, what proves any part of it.

use crate::catalog::Catalog;
use crate::fetch::fetch_copy;
use crate::layout::{Lineage, ObjectName};
use crate::outboard::outboard_of;
use crate::site::{Sites, each_site};
use crate::verify::Audit;

/// What belongs beside the shards of a pack.
pub(crate) struct Proofs {
    pub(crate) pack: [u8; 32],
    pub(crate) outboards: Vec<Option<Vec<u8>>>,
}

impl Proofs {
    /// Sends each to its site. One that does not arrive costs no data, only that an audit cannot
    /// look at that shard without reading it whole; repair makes it again.
    pub(crate) fn ship(&self, sites: &Sites, domain: &str, lineage: Lineage) {
        if self.outboards.iter().all(Option::is_none) {
            return;
        }
        each_site(sites, |at, site| {
            if let Some(Some(outboard)) = self.outboards.get(at) {
                let key = ObjectName::Proof(lineage, self.pack, at).key(domain);
                let _ = site.put(&key, outboard);
            }
        });
    }
}

/// Makes the outboards that are missing beside good shards, each from its shard, read again.
/// Gives how many were made.
pub(crate) fn complete_proofs(catalog: &Catalog) -> usize {
    let audit = Audit::new(catalog);
    let made = each_site(catalog.sites(), |at, site| {
        let missing = audit.shards_at(at).filter(|one| one.has_shard && !one.has_proof);
        let made = missing.filter(|one| {
            let name = ObjectName::Shard(one.lineage, one.pack, one.shard);
            let proof = ObjectName::Proof(one.lineage, one.pack, one.shard);
            let bytes = fetch_copy(site, &name.key(catalog.domain()), one.root);
            let outboard = bytes.ok().and_then(|bytes| outboard_of(&bytes));
            outboard
                .is_some_and(|outboard| site.put(&proof.key(catalog.domain()), &outboard).is_ok())
        });
        made.count()
    });
    made.into_iter().sum()
}
