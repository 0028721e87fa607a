//! Streams cut into chunks, lent from one buffer one at a time.

use std::borrow::Cow;
use std::io::Read;

use fastcdc::v2020::{Normalization, cut_gear, get_gear_with_seed, select_masks};

use crate::error::{Error, Result};
use crate::pack::CHUNK_BYTES_MAX;

/// Sizes of chunks cut by content: least, average, most.
const CDC_BYTES: (usize, usize, usize) = (16 * 1024, 64 * 1024, 256 * 1024);
/// The same for lists of sources, which change in a few places and are far smaller.
const LIST_BYTES: (usize, usize, usize) = (2 * 1024, 8 * 1024, 32 * 1024);
/// Much larger than a chunk, so that little is moved when it is filled again.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// Where to cut.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// By content, so that a change moves few boundaries (FastCDC v2020).
    Content,
    /// The same in smaller pieces.
    List,
    /// At fixed sizes: nothing will be recognised again.
    Fixed,
}

/// The rolling hash of FastCDC under a seed of its own, so that sizes tell less of the content.
struct Gear {
    sizes: (usize, usize, usize),
    masks: (u64, u64),
    table: Cow<'static, [u64]>,
    shifted: Cow<'static, [u64]>,
}

impl Gear {
    fn new(sizes: (usize, usize, usize), seed: u64) -> Self {
        let (table, shifted) = get_gear_with_seed(seed);
        Self { sizes, masks: select_masks(sizes.1, Normalization::Level1), table, shifted }
    }

    /// Length of the first chunk of `bytes`, which are a largest chunk, or the stream's rest.
    fn cut(&self, bytes: &[u8]) -> usize {
        let (least, average, most) = self.sizes;
        let (small, large) = self.masks;
        let (table, shifted) = (&self.table, &self.shifted);
        let (small_shifted, large_shifted) = (small << 1, large << 1);
        cut_gear(
            bytes,
            least,
            average,
            most,
            small,
            large,
            small_shifted,
            large_shifted,
            table,
            shifted,
        )
        .1
    }
}

/// A stream being cut.
pub(crate) struct Chunks<'a> {
    name: &'a str,
    source: &'a mut dyn Read,
    /// `None`: fixed sizes.
    gear: Option<Gear>,
    window: Vec<u8>,
    /// What of the window is read and not lent yet.
    from: usize,
    to: usize,
    ended: bool,
}

impl<'a> Chunks<'a> {
    /// `seed` decides where [`Cut::Content`] and [`Cut::List`] cut.
    pub(crate) fn new(name: &'a str, source: &'a mut dyn Read, cut: Cut, seed: u64) -> Self {
        let gear = match cut {
            Cut::Content => Some(Gear::new(CDC_BYTES, seed)),
            Cut::List => Some(Gear::new(LIST_BYTES, seed)),
            Cut::Fixed => None,
        };
        Self { name, source, gear, window: Vec::new(), from: 0, to: 0, ended: false }
    }

    /// The next chunk; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        let most = self.gear.as_ref().map_or(CHUNK_BYTES_MAX, |gear| gear.sizes.2);
        if self.to - self.from < most && !self.ended {
            self.fill()?;
        }
        let rest = &self.window[self.from..self.to];
        if rest.is_empty() {
            return Ok(None);
        }
        let length = match &self.gear {
            Some(gear) => gear.cut(&rest[..rest.len().min(most)]),
            None => rest.len().min(most),
        };
        self.from += length;
        Ok(Some(&self.window[self.from - length..self.from]))
    }

    fn fill(&mut self) -> Result<()> {
        self.window.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        while !self.ended && self.to < WINDOW_BYTES {
            // A small source shall not cost a whole window.
            if self.to == self.window.len() {
                let larger = (self.window.len() * 4).clamp(CDC_BYTES.1, WINDOW_BYTES);
                self.window.resize(larger, 0);
            }
            match self.source.read(&mut self.window[self.to..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.to += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let what = format!("reading source {}", self.name);
                    return Err(Error::Stream { what, source: error });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastcdc::v2020::StreamCDC;
    use proptest::prelude::*;

    fn cut(bytes: &[u8], cut: Cut, seed: u64, at_once: usize) -> Vec<Vec<u8>> {
        struct Trickle<'a>(&'a [u8], usize);
        impl Read for Trickle<'_> {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let most = self.1.min(into.len());
                self.0.read(&mut into[..most])
            }
        }
        let mut source = Trickle(bytes, at_once);
        let mut chunks = Chunks::new("test", &mut source, cut, seed);
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next().unwrap() {
            all.push(chunk.to_vec());
        }
        all
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        // Runs without a cut inside make chunks of the largest size.
        let third = length / 3;
        bytes[third..third + third / 2].fill(7);
        bytes
    }

    #[test]
    fn cuts_are_those_of_the_library_whatever_a_read_gives() {
        for length in [0, 1, 16_384, 262_144, 1_000_000, 9_000_000] {
            let bytes = noise(length);
            let (least, average, most) = CDC_BYTES;
            let level = Normalization::Level1;
            let library =
                StreamCDC::with_level_and_seed(&bytes[..], least, average, most, level, 99);
            let library: Vec<Vec<u8>> = library.map(|chunk| chunk.unwrap().data).collect();
            for at_once in [7_001, 1 << 20, usize::MAX] {
                assert!(cut(&bytes, Cut::Content, 99, at_once) == library);
            }
        }
    }

    #[test]
    fn fixed_sizes_are_the_largest_and_a_rest() {
        let bytes = noise(5 * CHUNK_BYTES_MAX + 17);
        let sizes: Vec<usize> = cut(&bytes, Cut::Fixed, 0, 65_521).iter().map(Vec::len).collect();
        assert_eq!(sizes, [[CHUNK_BYTES_MAX; 5].as_slice(), &[17]].concat());
    }

    #[test]
    fn a_source_that_fails_is_named() {
        struct Bad;
        impl Read for Bad {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the disk hums"))
            }
        }
        let mut bad = Bad;
        let error = Chunks::new("orders.db", &mut bad, Cut::Content, 0).next().unwrap_err();
        assert!(matches!(error, Error::Stream { what, .. } if what.contains("orders.db")));
    }

    proptest! {
        #[test]
        fn chunks_together_are_the_stream(length in 0_usize..600_000, seed: u64) {
            let bytes = noise(length);
            prop_assert_eq!(cut(&bytes, Cut::Content, seed, 50_000).concat(), bytes);
        }
    }
}
