//! Modules, by looking where each should be.

use super::light::Picture;
use crate::qr::{Cell, Cells, Grid, Sampled, Version};

/// How light each module is.
pub(crate) struct Levels {
    side: usize,
    levels: Vec<f64>,
}

/// Beside this part of the symbol's own contrast, an area is even.
const EVEN_PART: f64 = 0.15;

impl Levels {
    /// Looks at five points of each module; `show` says where a point of the symbol is seen.
    pub(crate) fn of(
        picture: &Picture,
        version: Version,
        show: &dyn Fn((f64, f64)) -> (f64, f64),
    ) -> Self {
        let side = version.side();
        let mut levels = Vec::with_capacity(side * side);
        for (x, y) in (0..side * side).map(|at| (at % side, at / side)) {
            let middle = (x as f64 + 0.5, y as f64 + 0.5);
            let points = [(0.0, 0.0), (-0.2, -0.2), (0.2, -0.2), (-0.2, 0.2), (0.2, 0.2)];
            let seen = points.map(|(dx, dy)| {
                let (u, v) = show((middle.0 + dx, middle.1 + dy));
                picture.between(u, v)
            });
            levels.push(seen.iter().sum::<f64>() / 5.0);
        }
        Self { side, levels }
    }

    pub(crate) fn at(&self, x: usize, y: usize) -> f64 {
        if x < self.side {
            self.levels.get(y * self.side + x).copied().unwrap_or(255.0)
        } else {
            255.0
        }
    }

    /// The darkest and the lightest module not farther away than `reach`.
    fn range(&self, x: usize, y: usize, reach: usize) -> (f64, f64) {
        let (left, right) = (x.saturating_sub(reach), (x + reach).min(self.side - 1));
        let (top, bottom) = (y.saturating_sub(reach), (y + reach).min(self.side - 1));
        let mut range = (f64::MAX, f64::MIN);
        for row in top..=bottom {
            for column in left..=right {
                let level = self.at(column, row);
                range = (range.0.min(level), range.1.max(level));
            }
        }
        range
    }

    /// The level between dark and light around each module, and half their distance.
    pub(crate) fn thresholds(&self, reach: usize) -> Vec<(f64, f64)> {
        (0..self.side * self.side)
            .map(|at| {
                let (low, high) = self.range(at % self.side, at / self.side, reach);
                ((low + high) / 2.0, (high - low) / 2.0)
            })
            .collect()
    }

    /// Modules, dark or light beside those around them.
    pub(crate) fn modules(&self, version: Version, reach: usize) -> Sampled {
        let thresholds = self.thresholds(reach);
        let mut sorted: Vec<f64> = thresholds.iter().map(|(_, half)| *half).collect();
        sorted.sort_by(f64::total_cmp);
        let typical = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let even = (typical * EVEN_PART).max(4.0);
        let mut grid = Grid::new(self.side);
        let mut sure = Vec::with_capacity(self.levels.len());
        for (at, ((threshold, half), level)) in thresholds.iter().zip(&self.levels).enumerate() {
            grid.set(at % self.side, at / self.side, level < threshold);
            let plain = (level - threshold).abs() / half.max(1e-6);
            sure.push(if *half < even { 0 } else { (plain * 255.0).min(255.0) as u8 });
        }
        Sampled { version, grid, sure }
    }
}

/// The part of a version's fixed modules that are as they should be.
pub(crate) fn agreement(sampled: &Sampled, cells: &Cells) -> f64 {
    let side = sampled.grid.side();
    let (mut right, mut all) = (0_usize, 0_usize);
    for (x, y) in (0..side * side).map(|at| (at % side, at / side)) {
        if let Cell::Fixed(dark) = cells.get(x, y) {
            all += 1;
            right += usize::from(sampled.grid.is_dark(x, y) == dark);
        }
    }
    right as f64 / all.max(1) as f64
}
