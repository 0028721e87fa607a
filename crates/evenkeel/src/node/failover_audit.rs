//! What clients were told around a change of the primary, against the journal as it is now.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::{Reader, RealDisk};
use evenkeel_types::codec::Canonical as _;
use evenkeel_types::merkle::leaf_hash;
use evenkeel_types::{Entry, Origin};

use super::meter::Noted;
use crate::report::{Exit, Report, Result};

/// What the comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Compared {
    /// Acknowledgements compared.
    pub(crate) acknowledged: u64,
    /// Those that the journal does not hold, or holds otherwise.
    pub(crate) lost: u64,
    /// Commands that it holds more than once.
    pub(crate) repeated: u64,
    /// Those among them of which more than one entry took effect.
    pub(crate) applied_twice: u64,
}

/// Reads the journal from outside, from the first of the acknowledgements to its end.
///
/// # Errors
/// A journal that cannot be read.
pub(crate) fn compare(dir: &Path, noted: &[Noted]) -> Result<Compared> {
    let Some(from) = noted.iter().map(|noted| noted.position).min() else {
        return Ok(Compared::default());
    };
    let mut entries = Vec::new();
    let mut reader = Reader::external(Arc::new(RealDisk), dir, from)?;
    while let Some(batch) = reader.next_batch()? {
        for record in batch.records {
            let entry = Entry::from_bytes(&record.entry).map_err(|error| {
                let what = format!("entry {} cannot be decoded: {error}", record.position);
                Report::new(Exit::Integrity, what)
            })?;
            entries.push((record.position, leaf_hash(&record.entry), entry.origin));
        }
    }
    Ok(against(noted, &entries))
}

/// The comparison itself, with position, hash and origin of each entry, in order.
fn against(noted: &[Noted], entries: &[(u64, [u8; 32], Origin)]) -> Compared {
    let told: BTreeMap<u64, &Noted> = noted.iter().map(|noted| (noted.position, noted)).collect();
    let held: BTreeMap<u64, [u8; 32]> = entries.iter().map(|it| (it.0, it.1)).collect();
    let is_lost = |noted: &&Noted| held.get(&noted.position) != Some(&noted.entry_hash);
    let mut of_origin: BTreeMap<Origin, Vec<u64>> = BTreeMap::new();
    for (position, _, origin) in entries {
        of_origin.entry(*origin).or_default().push(*position);
    }
    let repeated = of_origin.values().filter(|positions| positions.len() > 1);
    // The first entry of a command is the one that counts, whether or not its answer arrived.
    let again = |positions: &&Vec<u64>| {
        let mut later = positions.iter().skip(1).filter_map(|position| told.get(position));
        later.any(|noted| noted.took_effect)
    };
    Compared {
        acknowledged: noted.len() as u64,
        lost: noted.iter().filter(is_lost).count() as u64,
        repeated: repeated.clone().count() as u64,
        applied_twice: repeated.filter(again).count() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_types::{AccountId, ClientSequence, SessionId};

    fn origin(sequence: u64) -> Origin {
        let (session, sequence) = (SessionId(1), ClientSequence(sequence));
        Origin { account: AccountId(4), session, sequence }
    }

    fn hash(position: u64) -> [u8; 32] {
        leaf_hash(&position.to_le_bytes())
    }

    fn noted(position: u64, took_effect: bool) -> Noted {
        Noted { position, entry_hash: hash(position), took_effect }
    }

    fn entry(position: u64, sequence: u64) -> (u64, [u8; 32], Origin) {
        (position, hash(position), origin(sequence))
    }

    #[test]
    fn a_repetition_that_was_recognised_is_neither_lost_nor_twice() {
        let told = [noted(10, true), noted(12, false)];
        let found = against(&told, &[entry(10, 1), entry(11, 2), entry(12, 2)]);
        let expected = Compared { acknowledged: 2, lost: 0, repeated: 1, applied_twice: 0 };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_acknowledgement_without_its_entry_is_lost() {
        let told = [noted(10, true), noted(11, true), noted(12, true)];
        let other = (11, hash(9), origin(2));
        let found = against(&told, &[entry(10, 1), other]);
        assert_eq!((found.acknowledged, found.lost), (3, 2));
    }

    #[test]
    fn a_repetition_that_took_effect_counts_as_twice() {
        let told = [noted(10, true), noted(12, true)];
        let found = against(&told, &[entry(10, 1), entry(12, 1)]);
        assert_eq!((found.lost, found.repeated, found.applied_twice), (0, 1, 1));
    }
}
