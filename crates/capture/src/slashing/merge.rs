//! Histories merged forward.
//!
//! What is written for a validator is the *minimal* form: for each key one block at the greatest
//! slot, and one attestation of the greatest source and the greatest target, without signing roots
//! (EIP-3076, "Advice for Minimal Databases"). A plain union would not do: its conditions 2, 4 and
//! 5 are about the smallest slot and epochs in a file, so adding an older history to a pruned one
//! would allow what lies between the two. A signer that respects the minimal form refuses every
//! slot up to the greatest, every target up to the greatest and every source below the greatest;
//! double votes and votes that surround or are surrounded are among those.

use std::collections::BTreeMap;

use super::interchange::{Attestation, Block, History, Interchange, InterchangeError, PublicKey};

/// The greatest that a key has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watermark {
    /// Slot of a block.
    pub slot: Option<u64>,
    /// Source epoch of an attestation.
    pub source: Option<u64>,
    /// Target epoch of an attestation.
    pub target: Option<u64>,
}

impl Watermark {
    /// The greatest of both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            slot: self.slot.max(other.slot),
            source: self.source.max(other.source),
            target: self.target.max(other.target),
        }
    }

    /// Whether nothing of `other` is greater.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.max(other) == self
    }

    fn of(history: &History) -> Self {
        Self {
            slot: history.blocks.iter().map(|it| it.slot).max(),
            source: history.attestations.iter().map(|it| it.source).max(),
            target: history.attestations.iter().map(|it| it.target).max(),
        }
    }

    /// A source and a target stand together in an attestation: what is not known of one is as the
    /// other forbids least.
    fn history(self) -> History {
        let mut history = History::default();
        if let Some(slot) = self.slot {
            history.blocks.insert(Block { slot, signing_root: None });
        }
        if let (Some(source), Some(target)) = (self.source, self.target) {
            history.attestations.insert(Attestation { source, target, signing_root: None });
        }
        history
    }
}

/// A key that a file would allow to sign what it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lowered {
    /// Whose.
    pub key: PublicKey,
    /// What is known of it.
    pub known: Watermark,
    /// What the file says.
    pub written: Watermark,
}

/// The watermarks of every key.
#[must_use]
pub fn watermarks(histories: &Interchange) -> BTreeMap<PublicKey, Watermark> {
    histories.keys.iter().map(|(key, history)| (*key, Watermark::of(history))).collect()
}

/// What forbids at least whatever one of them forbids, in minimal form. `None` of nothing.
///
/// # Errors
/// If they are of different chains.
pub fn merge<'h>(
    histories: impl IntoIterator<Item = &'h Interchange>,
) -> Result<Option<Interchange>, InterchangeError> {
    let mut merged: Option<(_, BTreeMap<PublicKey, Watermark>)> = None;
    for one in histories {
        let (root, keys) =
            merged.get_or_insert_with(|| (one.genesis_validators_root, BTreeMap::new()));
        if *root != one.genesis_validators_root {
            return Err(InterchangeError(format!(
                "these are histories of two chains: of {root} and of {}",
                one.genesis_validators_root
            )));
        }
        for (key, watermark) in watermarks(one) {
            let known = keys.entry(key).or_default();
            *known = known.max(watermark);
        }
    }
    Ok(merged.map(|(genesis_validators_root, keys)| Interchange {
        genesis_validators_root,
        keys: keys.into_iter().map(|(key, watermark)| (key, watermark.history())).collect(),
    }))
}

impl Lowered {
    /// Every key of which `written` says less than `known`.
    #[must_use]
    pub fn find(known: &Interchange, written: &Interchange) -> Vec<Self> {
        let written = watermarks(written);
        let lowered = watermarks(known).into_iter().filter_map(|(key, known)| {
            let said = written.get(&key).copied().unwrap_or_default();
            (!said.covers(known)).then_some(Self { key, known, written: said })
        });
        lowered.collect()
    }
}

/// How many epochs a validator has to stay silent before it starts with this history, so that
/// everything it can have signed unseen is in the past.
///
/// It can have signed until `stopped_epoch` (where that is not known: until now), and what it signs
/// has a target of the epoch after at most. So nothing of `stopped_epoch + 1` or before may be
/// signed again, and the first epoch that may is `stopped_epoch + 2`. Nothing has to be waited for
/// if the captured history is as new as that: `captured_epoch` is the greatest target in it.
#[must_use]
pub fn epochs_to_wait(captured_epoch: Option<u64>, stopped_epoch: u64, now_epoch: u64) -> u64 {
    let last_signable = stopped_epoch.saturating_add(1);
    if captured_epoch.is_some_and(|captured| captured >= last_signable) {
        return 0;
    }
    last_signable.saturating_add(1).saturating_sub(now_epoch)
}
