//! Reading the shared log: where it stands, and its frames, each proven.

use evenkeel_journal::{Chain, Position};

use crate::error::{QuorumError, Result};
use crate::keys::{Archived, Keys, StoredFrame, Tail, Term, Value};
use crate::store::Store;

/// Frames asked for at once: at most 16 MiB of bodies.
const FRAMES_PER_READ: usize = 16;

/// Keys asked for at once.
const KEYS_PER_READ: usize = 1_024;

/// Where the log stood at one moment, with the exact values that guards need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) term: Term,
    pub(crate) term_value: Vec<u8>,
    pub(crate) tail: Tail,
    pub(crate) tail_value: Vec<u8>,
    pub(crate) archived: Archived,
    pub(crate) archived_value: Option<Vec<u8>>,
}

pub(crate) fn read_ends<S: Store>(store: &mut S, keys: &Keys) -> Result<Ends> {
    let (term_key, tail_key, archived_key) = (keys.term(), keys.tail(), keys.archived());
    let values = store.read(&[&term_key, &tail_key, &archived_key])?;
    let mut values = values.into_iter().map(Some).chain(std::iter::repeat(None));
    let mut take = || values.next().flatten().flatten();
    let (term_value, tail_value, archived_value) = (take(), take(), take());
    let missing =
        |key: &[u8]| QuorumError::NotFounded { key: String::from_utf8_lossy(key).into_owned() };
    let term_value = term_value.ok_or_else(|| missing(&term_key))?;
    let tail_value = tail_value.ok_or_else(|| missing(&tail_key))?;
    let archived = match &archived_value {
        Some(value) => Archived::from_value(&archived_key, value)?,
        None => Archived { below: 0 },
    };
    Ok(Ends {
        term: Term::from_value(&term_key, &term_value)?,
        tail: Tail::from_value(&tail_key, &tail_value)?,
        term_value,
        tail_value,
        archived,
        archived_value,
    })
}

/// The next frames behind `position`, whose chain is `chain`, if the log is known to reach beyond
/// it. Never empty.
pub(crate) fn fetch<S: Store>(
    store: &mut S,
    keys: &Keys,
    position: Position,
    chain: &Chain,
) -> Result<Vec<StoredFrame>> {
    let found = store.range(&keys.frame(position), &keys.frames_end(), FRAMES_PER_READ)?;
    let frames = found
        .iter()
        .map(|(key, value)| StoredFrame::from_store(keys, key, value))
        .collect::<Result<Vec<_>>>()?;
    let first = frames.first().map(|frame| frame.first);
    if first != Some(position) {
        return Err(why_absent(store, keys, position, first)?);
    }
    let (mut next, mut chain) = (position, *chain);
    for frame in &frames {
        if frame.first != next {
            return Err(why_absent(store, keys, next, Some(frame.first))?);
        }
        if frame.previous_chain != chain {
            return Err(QuorumError::Forked { position: next });
        }
        (next, chain) = (frame.next(), frame.chain);
    }
    Ok(frames)
}

/// Why no frame begins at a position that the log has passed.
fn why_absent<S: Store>(
    store: &mut S,
    keys: &Keys,
    position: Position,
    present: Option<Position>,
) -> Result<QuorumError> {
    let Ends { tail, archived, .. } = read_ends(store, keys)?;
    let below = archived.below;
    if below > position {
        return Ok(QuorumError::TrimmedAway { from: position, to: present.unwrap_or(below) });
    }
    // A frame across the position: whoever stands there has another history.
    let mut before = None;
    let mut from = keys.frames_begin();
    loop {
        let listed = store.keys(&from, &keys.frame(position), KEYS_PER_READ)?;
        let Some(last) = listed.into_iter().last() else { break };
        from = [last.as_slice(), &[0]].concat();
        before = Some(last);
    }
    if let Some(key) = before
        && let Some(Some(value)) = store.read(&[&key])?.into_iter().next()
        && StoredFrame::from_store(keys, &key, &value)?.next() > position
    {
        return Ok(QuorumError::Forked { position });
    }
    let to = present.unwrap_or(tail.next);
    Ok(QuorumError::Missing { from: position, to, trimmed_below: below })
}

/// Where all frames in the store begin, in order.
pub(crate) fn list_frames<S: Store>(store: &mut S, keys: &Keys) -> Result<Vec<Position>> {
    let mut firsts = Vec::new();
    let mut from = keys.frames_begin();
    loop {
        let listed = store.keys(&from, &keys.frames_end(), KEYS_PER_READ)?;
        let Some(last) = listed.last() else { return Ok(firsts) };
        from = [last.as_slice(), &[0]].concat();
        for key in &listed {
            firsts.push(keys.frame_first(key)?);
        }
    }
}
