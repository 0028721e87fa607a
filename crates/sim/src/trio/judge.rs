//! The verdict on a history of three hosts.

use evenkeel_journal::{Batch, Reader};

use super::{Role, Trio};
use crate::plan::Fault;

impl Trio<'_> {
    /// Reads everything that every host has and holds it against what was acknowledged.
    pub(super) fn judge(&mut self) -> Result<(), String> {
        self.store.settle();
        let flipped = self.plan.faults.iter().any(|one| one.fault == Fault::BitFlip);
        let mut first: Option<(Vec<Batch>, [u8; 32])> = None;
        for at in 0..self.nodes.len() {
            let disk = self.disk(at);
            let (dir, digest) = match &self.nodes[at].role {
                Role::Serving { primary, .. } => {
                    (primary.log().dir().to_owned(), primary.engine().output_digest())
                }
                Role::Standing { standby, file, .. } => {
                    (file.dir().to_owned(), standby.engine().output_digest())
                }
                Role::Down(_) => return Err(format!("host {at} is down in the end")),
            };
            let read = Reader::external(disk, &dir, 0);
            let history: Vec<Batch> = match read.and_then(Iterator::collect) {
                Ok(history) => history,
                // Damage that nobody has read yet: the other hosts hold what was here.
                Err(error) if flipped && error.is_corruption() => continue,
                Err(error) => return Err(format!("host {at}: {error}")),
            };
            let (said, expected) = match first.take() {
                None => {
                    let judged = self.oracle.judge(&history)?;
                    self.liquidations = judged.liquidations;
                    (judged.digest, history)
                }
                Some((before, expected)) if before == history => (expected, before),
                Some(_) => return Err(format!("host {at} holds another journal")),
            };
            if said != digest {
                return Err(format!("a replay gives another output than host {at}'s"));
            }
            first = Some((expected, said));
        }
        first.map(|_| ()).ok_or_else(|| "no host's journal reads back".to_owned())
    }
}
