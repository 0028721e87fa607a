//! Modules to bytes, with everything that is known about what was lost.

use super::bits;
use super::cells::{Cell, Cells, format_bits, masked};
use super::grid::Sampled;
use super::reed_solomon::correct;
use super::version::{Blocks, Level};

/// What a symbol said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Codewords that were wrong and are right now.
    pub corrected: usize,
    /// Codewords there are.
    pub codewords: usize,
}

/// Where a symbol's format is read differently, other formats are tried, nearest first.
const FORMATS_TRIED: usize = 8;
/// Check codewords that are never spent on losses: with none left anything would decode.
const CHECK_SPARED: usize = 4;
/// Codewords below this are the least plain ones to be given up.
const PLAIN: u8 = 96;

/// Reads a symbol. `accept` says whether bytes are what the caller knows to expect (by a checksum
/// of its own): a symbol that was guessed into place must not be believed by itself.
pub fn decode(sampled: &Sampled, accept: &dyn Fn(&[u8]) -> bool) -> Option<Decoded> {
    let cells = Cells::of(sampled.version);
    let path = cells.data_path();
    let worth = Worth::of(sampled, &path);
    for (level, mask) in formats(sampled, &cells).into_iter().take(FORMATS_TRIED) {
        let codewords: Vec<u8> = path
            .chunks_exact(8)
            .map(|modules| {
                modules.iter().fold(0, |codeword, (x, y)| {
                    let dark = sampled.grid.is_dark(*x, *y) ^ masked(mask, *x, *y);
                    codeword << 1 | u8::from(dark)
                })
            })
            .collect();
        let blocks = sampled.version.blocks(level);
        for given_up in [GiveUp::Nothing, GiveUp::Blots, GiveUp::Doubtful, GiveUp::Least] {
            let read = read(&codewords, &blocks, &worth, given_up);
            let found = read.and_then(|(data, corrected)| {
                let bytes = bits::bytes(sampled.version, &data)?;
                Some(Decoded { bytes, corrected, codewords: codewords.len() })
            });
            if let Some(found) = found.filter(|found| accept(&found.bytes)) {
                return Some(found);
            }
        }
    }
    None
}

/// Which codewords are treated as lost.
#[derive(Debug, Clone, Copy)]
enum GiveUp {
    Nothing,
    Blots,
    Doubtful,
    /// The least plain ones of each block, half as many as it has check codewords.
    Least,
}

/// What each codeword is worth.
struct Worth {
    blotted: Vec<bool>,
    sure: Vec<u8>,
}

impl Worth {
    fn of(sampled: &Sampled, path: &[(usize, usize)]) -> Self {
        let side = sampled.grid.side();
        let blots = sampled.blotted();
        let blotted = path.chunks_exact(8).map(|modules| {
            let in_blots = |(x, y): &&(usize, usize)| blots.get(y * side + x) == Some(&true);
            modules.iter().filter(in_blots).count() >= 2
        });
        let sure = path.chunks_exact(8).map(|modules| {
            modules.iter().map(|(x, y)| sampled.sure(*x, *y)).min().unwrap_or_default()
        });
        Self { blotted: blotted.collect(), sure: sure.collect() }
    }

    fn sure(&self, codeword: usize) -> u8 {
        self.sure.get(codeword).copied().unwrap_or_default()
    }

    fn blotted(&self, codeword: usize) -> bool {
        self.blotted.get(codeword).copied().unwrap_or_default()
    }

    /// The codewords of a block to give up, as indices into it.
    fn lost(&self, block: &[usize], check: usize, given_up: GiveUp) -> Vec<usize> {
        let room = check.saturating_sub(CHECK_SPARED);
        let mut ranked: Vec<(u8, usize)> = Vec::new();
        for (at, codeword) in block.iter().enumerate() {
            let (blotted, sure) = (self.blotted(*codeword), self.sure(*codeword));
            let worth = if blotted { 0 } else { sure };
            let lost = match given_up {
                GiveUp::Nothing => false,
                GiveUp::Blots => blotted,
                GiveUp::Doubtful => blotted || sure < PLAIN,
                GiveUp::Least => true,
            };
            if lost {
                ranked.push((worth, at));
            }
        }
        ranked.sort_unstable();
        let most = if matches!(given_up, GiveUp::Least) { check / 2 } else { room };
        ranked.into_iter().take(most).map(|(_, at)| at).collect()
    }
}

/// Deals codewords to blocks, corrects them, and strings their data together.
fn read(
    codewords: &[u8],
    blocks: &Blocks,
    worth: &Worth,
    given_up: GiveUp,
) -> Option<(Vec<u8>, usize)> {
    let mut data = Vec::with_capacity(codewords.len());
    let mut corrected = 0;
    for places in deal(blocks) {
        let mut block: Vec<u8> =
            places.iter().map(|at| codewords.get(*at).copied().unwrap_or_default()).collect();
        let lost = worth.lost(&places, blocks.check_each, given_up);
        corrected += correct(&mut block, blocks.check_each, &lost)?;
        block.truncate(block.len() - blocks.check_each);
        data.append(&mut block);
    }
    Some((data, corrected))
}

/// For each block, where its codewords stand in the symbol.
fn deal(blocks: &Blocks) -> Vec<Vec<usize>> {
    let short = blocks.codewords / blocks.count - blocks.check_each;
    let long_from = blocks.count - blocks.codewords % blocks.count;
    let mut dealt = vec![Vec::new(); blocks.count];
    let mut next = 0;
    for column in 0..=short {
        for (number, block) in dealt.iter_mut().enumerate() {
            if column < short || number >= long_from {
                block.push(next);
                next += 1;
            }
        }
    }
    for _ in 0..blocks.check_each {
        for block in &mut dealt {
            block.push(next);
            next += 1;
        }
    }
    dealt
}

/// All formats, those first that differ least from what the symbol says in both places.
fn formats(sampled: &Sampled, cells: &Cells) -> Vec<(Level, u8)> {
    let side = sampled.grid.side();
    let mut ones = [0_i32; 15];
    for (x, y) in (0..side * side).map(|at| (at % side, at / side)) {
        if let Cell::Format(bit) = cells.get(x, y)
            && let Some(sum) = ones.get_mut(usize::from(bit))
        {
            let weight = i32::from(sampled.sure(x, y)) + 1;
            *sum += if sampled.grid.is_dark(x, y) { weight } else { -weight };
        }
    }
    let mut ranked: Vec<(i32, u8, Level)> = Level::ALL
        .into_iter()
        .flat_map(|level| (0..8).map(move |mask| (level, mask)))
        .map(|(level, mask)| {
            let bits = format_bits(level, mask);
            let agreement: i32 = (0..15)
                .zip(ones)
                .map(|(bit, sum)| if bits >> bit & 1 == 1 { sum } else { -sum })
                .sum();
            (-agreement, mask, level)
        })
        .collect();
    ranked.sort_by_key(|(worse, mask, _)| (*worse, *mask));
    ranked.into_iter().map(|(_, mask, level)| (level, mask)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Grid, Version, write};
    use super::*;

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|at| (at * 31 + at / 7) as u8).collect()
    }

    #[test]
    fn every_version_and_level_of_another_encoder_is_read() {
        for number in 1..=40 {
            for level in Level::ALL {
                let version = Version::new(number).unwrap();
                let content = bytes(version.capacity_bytes(level));
                let grid = write(version, level, &content).unwrap();
                assert_eq!(Version::of_side(grid.side()), Some(version));
                let decoded = decode(&Sampled::plain(version, grid), &|_| true).unwrap();
                assert_eq!(decoded.bytes, content, "version {number}, {level:?}");
                assert_eq!(decoded.corrected, 0);
            }
        }
    }

    #[test]
    fn a_byte_more_than_fits_is_refused() {
        let version = Version::new(8).unwrap();
        assert_eq!(version.capacity_bytes(Level::High), 84);
        assert!(write(version, Level::High, &bytes(85)).is_err());
        assert_eq!(Version::new(18).unwrap().capacity_bytes(Level::High), 310);
    }

    #[test]
    fn fixed_cells_are_what_another_encoder_paints() {
        for number in 1..=40 {
            let version = Version::new(number).unwrap();
            let cells = Cells::of(version);
            let grid = write(version, Level::High, b"x").unwrap();
            for (x, y) in (0..grid.side().pow(2)).map(|at| (at % grid.side(), at / grid.side())) {
                if let Cell::Fixed(dark) = cells.get(x, y) {
                    assert_eq!(grid.is_dark(x, y), dark, "version {number} at {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn a_blot_over_a_quarter_of_a_symbol_is_read_through() {
        let version = Version::new(10).unwrap();
        let content = bytes(119);
        let grid = write(version, Level::High, &content).unwrap();
        for dark in [false, true] {
            let mut spoiled: Grid = grid.clone();
            for (x, y) in (0..28 * 28).map(|at| (at % 28, at / 28)) {
                spoiled.set(x, y, dark);
            }
            let read = decode(&Sampled::plain(version, spoiled), &|read| read == content);
            assert!(read.is_some_and(|read| read.corrected > 60), "dark: {dark}");
        }
    }
}
