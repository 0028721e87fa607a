//! What each module of a version is for: the same in all its symbols, format, or data.

use super::version::{Level, Version};

/// The purpose of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// The same in every symbol of the version.
    Fixed(bool),
    /// A bit of the format information, from the lowest.
    Format(u8),
    /// Data or check codewords.
    Data,
}

/// The purposes of all modules of a version.
#[derive(Debug, Clone)]
pub(crate) struct Cells {
    side: usize,
    cells: Vec<Cell>,
}

impl Cells {
    pub(crate) fn of(version: Version) -> Self {
        let side = version.side();
        let mut cells = Self { side, cells: vec![Cell::Data; side * side] };
        for at in 0..side {
            cells.set(at, 6, Cell::Fixed(at % 2 == 0));
            cells.set(6, at, Cell::Fixed(at % 2 == 0));
        }
        cells.finder(3, 3);
        cells.finder(side - 4, 3);
        cells.finder(3, side - 4);
        cells.alignments(version);
        cells.format();
        if version.number() >= 7 {
            cells.version(version.number());
        }
        cells
    }

    pub(crate) fn get(&self, x: usize, y: usize) -> Cell {
        self.cells.get(y * self.side + x).copied().unwrap_or(Cell::Fixed(false))
    }

    fn set(&mut self, x: usize, y: usize, cell: Cell) {
        if x < self.side
            && let Some(place) = self.cells.get_mut(y * self.side + x)
        {
            *place = cell;
        }
    }

    /// A finder pattern around its centre, with the light border that belongs to it.
    fn finder(&mut self, centre_x: usize, centre_y: usize) {
        for (dx, dy) in (0..81).map(|at| (at % 9, at / 9)) {
            let (Some(x), Some(y)) =
                ((centre_x + dx).checked_sub(4), (centre_y + dy).checked_sub(4))
            else {
                continue;
            };
            if y < self.side {
                let ring = dx.abs_diff(4).max(dy.abs_diff(4));
                self.set(x, y, Cell::Fixed(ring != 2 && ring != 4));
            }
        }
    }

    fn alignments(&mut self, version: Version) {
        let centres = version.alignment_centres();
        let (first, last) = (6, self.side - 7);
        for (x, y) in centres.iter().flat_map(|x| centres.iter().map(move |y| (*x, *y))) {
            if matches!((x, y), (6, 6)) || (x, y) == (first, last) || (x, y) == (last, first) {
                continue;
            }
            for (dx, dy) in (0..25).map(|at| (at % 5, at / 5)) {
                let ring = 2_usize.abs_diff(dx).max(2_usize.abs_diff(dy));
                self.set(x + dx - 2, y + dy - 2, Cell::Fixed(ring != 1));
            }
        }
    }

    fn format(&mut self) {
        let side = self.side;
        for bit in 0..15_u8 {
            let at = usize::from(bit);
            let (x, y) = match at {
                0..=5 => (8, at),
                6 => (8, 7),
                7 => (8, 8),
                8 => (7, 8),
                _ => (14 - at, 8),
            };
            self.set(x, y, Cell::Format(bit));
            let (x, y) = if at < 8 { (side - 1 - at, 8) } else { (8, side - 15 + at) };
            self.set(x, y, Cell::Format(bit));
        }
        self.set(8, side - 8, Cell::Fixed(true));
    }

    fn version(&mut self, number: u8) {
        let mut rest = u32::from(number);
        for _ in 0..12 {
            rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
        }
        let bits = u32::from(number) << 12 | rest;
        for at in 0..18 {
            let dark = bits >> at & 1 == 1;
            let (along, across) = (at / 3, self.side - 11 + at % 3);
            self.set(across, along, Cell::Fixed(dark));
            self.set(along, across, Cell::Fixed(dark));
        }
    }

    /// Modules of codewords in their order: eight make one.
    pub(crate) fn data_path(&self) -> Vec<(usize, usize)> {
        let mut path = Vec::with_capacity(self.cells.len());
        let mut upward = true;
        let mut right = self.side - 1;
        loop {
            for step in 0..self.side {
                let y = if upward { self.side - 1 - step } else { step };
                path.extend(
                    [right, right - 1]
                        .into_iter()
                        .filter(|x| self.get(*x, y) == Cell::Data)
                        .map(|x| (x, y)),
                );
            }
            upward = !upward;
            right = match right {
                8 => 5,
                0..=2 => return path,
                _ => right - 2,
            };
        }
    }
}

/// The 15 bits of format information.
pub(crate) fn format_bits(level: Level, mask: u8) -> u16 {
    let data = level.bits() << 3 | u16::from(mask);
    let mut rest = data;
    for _ in 0..10 {
        rest = (rest << 1) ^ ((rest >> 9) * 0x537);
    }
    (data << 10 | rest) ^ 0x5412
}

/// Whether a mask inverts a module.
pub(crate) fn masked(mask: u8, x: usize, y: usize) -> bool {
    match mask {
        0 => (x + y).is_multiple_of(2),
        1 => y.is_multiple_of(2),
        2 => x.is_multiple_of(3),
        3 => (x + y).is_multiple_of(3),
        4 => (x / 3 + y / 2).is_multiple_of(2),
        5 => (x * y % 2 + x * y % 3) == 0,
        6 => (x * y % 2 + x * y % 3).is_multiple_of(2),
        _ => ((x + y) % 2 + x * y % 3).is_multiple_of(2),
    }
}
