//! A range of one shard, from its site, or decoded from the same range of others.
//!
//! The code works on blocks of 64 bytes, each for itself: the same range of any k shards gives that
//! range of every other. What comes back here was compared with no hash; who reads it has to
//! recognise what is in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use crate::catalog::Catalog;
use crate::erasure::decode_shards;
use crate::fetch::ShardSearch;
use crate::hedge::{Race, Turn};
use crate::layout::Lineage;
use crate::record::ObjectRef;
use crate::verify::Problem;

/// Ranges of shards are whole blocks of the code.
pub(crate) const BLOCK_BYTES: u64 = 64;

/// Where a range of a pack lies: a data shard, and a range of it in whole blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) shard: usize,
    pub(crate) within: Range<u64>,
}

/// The parts of shards of `shard_bytes` each that cover a range of a pack.
pub(crate) fn parts_of(range: &Range<u64>, shard_bytes: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut from = range.start / BLOCK_BYTES * BLOCK_BYTES;
    while from < range.end {
        let shard = from / shard_bytes;
        let end = range.end.next_multiple_of(BLOCK_BYTES).min((shard + 1) * shard_bytes);
        let begin = shard * shard_bytes;
        let shard = usize::try_from(shard).unwrap_or(usize::MAX);
        parts.push(Part { shard, within: from - begin..end - begin });
        from = end;
    }
    parts
}

/// What was read of a part, and met on the way.
#[derive(Debug, Default)]
pub(crate) struct FetchedPart {
    /// None if fewer than k sites gave theirs.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Shards that could not be read, or whose site kept silent.
    pub(crate) failed: Vec<usize>,
    pub(crate) sites_used: Vec<String>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) bytes_read: u64,
}

/// Reads a part: from its own shard, unless that is among those to `avoid`; where it fails or
/// keeps silent for a while, from k others.
pub(crate) fn fetch_part(
    catalog: &Catalog,
    (lineage, object): (Lineage, &ObjectRef),
    k: usize,
    part: &Part,
    avoid: &BTreeSet<usize>,
) -> FetchedPart {
    let own = !avoid.contains(&part.shard);
    let mut waiting: VecDeque<ShardSearch> = (0..object.shard_roots.len())
        .map(|shard| ShardSearch::new(catalog, lineage, object, shard))
        .filter(ShardSearch::is_anywhere)
        .collect();
    waiting.make_contiguous().sort_by_key(|search| {
        let last = avoid.contains(&search.shard) || search.is_behind(&catalog.pace);
        (search.shard != part.shard || !own, last)
    });
    let mut race = Race::new(&catalog.pace, catalog.pace.hedge.answer);
    let mut ask = |race: &mut Race<_>, count: usize| {
        for search in waiting.drain(..count.min(waiting.len())) {
            let within = part.within.clone();
            race.ask(search.first_site(), move || (search.shard, search.run_part(&within)));
        }
    };
    ask(&mut race, if own { 1 } else { k });
    let mut alone = own;
    let mut fetched = FetchedPart::default();
    let mut got: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    while !got.contains_key(&part.shard) && got.len() < k {
        match race.next() {
            Turn::Answer((shard, Ok((at, bytes)))) => {
                fetched.bytes_read += bytes.len() as u64;
                fetched.sites_used.push(catalog.sites()[at].name().to_owned());
                got.insert(shard, bytes);
                continue;
            }
            Turn::Answer((shard, Err(problems))) => {
                fetched.problems.extend(problems);
                fetched.failed.push(shard);
            }
            Turn::Silence if alone => fetched.failed.push(part.shard),
            Turn::Silence => {}
            Turn::Over => return fetched,
        }
        ask(&mut race, if alone { k } else { 1 });
        alone = false;
    }
    fetched.bytes = got.remove(&part.shard).or_else(|| decode(&got, k, part));
    fetched
}

fn decode(got: &BTreeMap<usize, Vec<u8>>, k: usize, part: &Part) -> Option<Vec<u8>> {
    let shards: Vec<(usize, &[u8])> =
        got.iter().map(|(shard, bytes)| (*shard, bytes.as_slice())).collect();
    let length = usize::try_from(part.within.end - part.within.start).ok()?;
    let all = decode_shards(&shards, k, length.checked_mul(k)?).ok()?;
    all.chunks(length).nth(part.shard).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erasure::{encode_shards, shard_bytes};
    use proptest::prelude::*;

    fn slice<'b>(bytes: &'b [u8], range: &Range<u64>) -> &'b [u8] {
        &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
    }

    proptest! {
        #[test]
        fn parts_put_together_are_the_range_and_any_k_shards_give_them(
            length in 1_usize..5_000,
            k in 1_usize..6,
            cut in any::<(u16, u16)>(),
            skip in 0_usize..4,
        ) {
            let bytes: Vec<u8> = (0_u8..251).cycle().take(length).collect();
            let shards = encode_shards(&bytes, k).unwrap();
            let size = shard_bytes(length, k) as u64;
            let (one, other) = (usize::from(cut.0) % length, usize::from(cut.1) % length);
            let range = one.min(other) as u64..one.max(other) as u64 + 1;
            let mut whole = Vec::new();
            for part in parts_of(&range, size) {
                let of = |shard: usize| slice(&shards[shard], &part.within).to_vec();
                let others = (0..k + 8).filter(|shard| *shard != part.shard).skip(skip).take(k);
                let got = others.map(|shard| (shard, of(shard))).collect();
                prop_assert_eq!(decode(&got, k, &part).unwrap(), of(part.shard));
                whole.extend(of(part.shard));
            }
            let skipped = usize::try_from(range.start % BLOCK_BYTES).unwrap();
            let wanted = slice(&bytes, &range);
            prop_assert_eq!(&whole[skipped..skipped + wanted.len()], wanted);
        }
    }
}
