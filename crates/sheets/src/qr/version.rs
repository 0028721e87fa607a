//! Versions and levels: how many modules, codewords and blocks.

/// A version: the size of a symbol, 1 to 40.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u8);

/// How much of a symbol may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// 7 % of codewords may be wrong.
    Low,
    /// 15 %.
    Medium,
    /// 25 %.
    Quartile,
    /// 30 %.
    High,
}

/// How a symbol's codewords are dealt to blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) count: usize,
    pub(crate) check_each: usize,
    pub(crate) codewords: usize,
}

/// Check codewords of each block, by level and version (table 9 of the standard).
const CHECK_EACH: [[u8; 40]; 4] = [
    [
        7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30,
        30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
    ],
    [
        10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28,
        28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    ],
    [
        13, 22, 18, 26, 18, 24, 18, 22, 20, 24, 28, 26, 24, 20, 30, 24, 28, 28, 26, 30, 28, 30, 30,
        30, 30, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
    ],
    [
        17, 28, 22, 16, 22, 28, 26, 26, 24, 28, 24, 28, 22, 24, 24, 30, 28, 28, 26, 28, 30, 24, 30,
        30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
    ],
];

/// Blocks, by level and version (the same table).
const BLOCKS: [[u8; 40]; 4] = [
    [
        1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13,
        14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25,
    ],
    [
        1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23,
        25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49,
    ],
    [
        1, 1, 2, 2, 4, 4, 6, 6, 8, 8, 8, 10, 12, 16, 12, 17, 16, 18, 21, 20, 23, 23, 25, 27, 29,
        34, 34, 35, 38, 40, 43, 45, 48, 51, 53, 56, 59, 62, 65, 68,
    ],
    [
        1, 1, 2, 4, 4, 4, 5, 6, 8, 8, 11, 11, 16, 16, 18, 16, 19, 21, 25, 25, 25, 34, 30, 32, 35,
        37, 40, 42, 45, 48, 51, 54, 57, 60, 63, 66, 70, 74, 77, 81,
    ],
];

impl Level {
    /// All of them, weakest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::Quartile, Self::High];

    /// The two bits of the format information.
    pub(crate) fn bits(self) -> u16 {
        match self {
            Self::Low => 0b01,
            Self::Medium => 0b00,
            Self::Quartile => 0b11,
            Self::High => 0b10,
        }
    }

    fn row(self) -> usize {
        match self {
            Self::Low => 0,
            Self::Medium => 1,
            Self::Quartile => 2,
            Self::High => 3,
        }
    }
}

impl Version {
    /// A version from 1 to 40.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= 40 { Some(Self(number)) } else { None }
    }

    /// A version that is written down in this crate.
    pub(crate) const fn known(number: u8) -> Self {
        Self(number)
    }

    /// The version with so many modules on a side.
    #[must_use]
    pub fn of_side(side: usize) -> Option<Self> {
        let number = u8::try_from(side.checked_sub(17)? / 4).ok()?;
        Self::new(number).filter(|version| version.side() == side)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Modules on a side.
    #[must_use]
    pub fn side(self) -> usize {
        17 + 4 * usize::from(self.0)
    }

    /// Bytes that a symbol of this version holds in one segment.
    #[must_use]
    pub fn capacity_bytes(self, level: Level) -> usize {
        let blocks = self.blocks(level);
        let data = blocks.codewords - blocks.count * blocks.check_each;
        data - (4 + self.count_bits()).div_ceil(8)
    }

    /// Bits of the count before a segment of bytes.
    pub(crate) fn count_bits(self) -> usize {
        if self.0 < 10 { 8 } else { 16 }
    }

    /// Centres of alignment patterns along one side, without those on finder patterns.
    pub(crate) fn alignment_centres(self) -> Vec<usize> {
        if self.0 == 1 {
            return Vec::new();
        }
        let number = usize::from(self.0);
        let count = number / 7 + 2;
        let step =
            if number == 32 { 26 } else { (number * 4 + count * 2 + 1) / (count * 2 - 2) * 2 };
        let mut centres = vec![6];
        centres.extend((0..count - 1).rev().map(|back| self.side() - 7 - back * step));
        centres
    }

    pub(crate) fn blocks(self, level: Level) -> Blocks {
        let of = |table: &[[u8; 40]; 4]| {
            let row = table.get(level.row());
            let entry = row.and_then(|row| row.get(usize::from(self.0) - 1));
            entry.copied().map_or(1, usize::from)
        };
        Blocks {
            count: of(&BLOCKS),
            check_each: of(&CHECK_EACH),
            codewords: self.data_modules() / 8,
        }
    }

    fn data_modules(self) -> usize {
        let number = usize::from(self.0);
        let mut modules = (16 * number + 128) * number + 64;
        if number >= 2 {
            let count = number / 7 + 2;
            modules -= (25 * count - 10) * count - 55;
        }
        if number >= 7 {
            modules -= 36;
        }
        modules
    }
}
