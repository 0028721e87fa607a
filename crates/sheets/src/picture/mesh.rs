//! Paper that is not flat: a crease or a curl moves modules away from where a projection has them.
//!
//! Symbols are crisp where they are looked at in the middle of their modules. So a mesh of small
//! shifts is moved, each knot near its neighbours, until what is seen is as dark and as light as it
//! gets; modules that every symbol of the version has keep it from slipping by a whole one.

use super::light::Picture;
use super::projection::Projection;
use super::sample::Levels;
use crate::qr::{Cell, Cells, Version};

/// Modules between knots.
const STEP: usize = 5;
/// Modules around a knot that are looked at.
const REACH: usize = 4;
/// How often the whole mesh is gone through.
const SWEEPS: usize = 4;
/// What a module's distance between neighbouring knots costs, in parts of a plain module.
const STIFFNESS: f64 = 8.0;
/// Beyond this a distance costs no more, in squared modules: paper that is folded is not stiff.
const BEND_MAX: f64 = 0.6;

/// Shifts at knots, in modules.
pub(crate) struct Mesh {
    knots: usize,
    shifts: Vec<(f64, f64)>,
}

struct Looking<'a> {
    picture: &'a Picture,
    projection: &'a Projection,
    side: usize,
    cells: Cells,
    thresholds: Vec<(f64, f64)>,
}

impl Mesh {
    /// The mesh that shows a symbol most crisply.
    pub(crate) fn fit(picture: &Picture, projection: &Projection, version: Version) -> Self {
        let side = version.side();
        let knots = side.div_ceil(STEP) + 1;
        let mut mesh = Self { knots, shifts: vec![(0.0, 0.0); knots * knots] };
        let levels = Levels::of(picture, version, &|point| projection.show(point));
        let thresholds = levels.thresholds(4);
        let cells = Cells::of(version);
        let looking = Looking { picture, projection, side, cells, thresholds };
        for sweep in 0..SWEEPS {
            let order: Vec<usize> = if sweep % 2 == 0 {
                (0..knots * knots).collect()
            } else {
                (0..knots * knots).rev().collect()
            };
            for at in order {
                let near = mesh.around(at % knots, at / knots);
                let best = looking.best_shift((at % knots * STEP, at / knots * STEP), &near);
                if let Some(shift) = mesh.shifts.get_mut(at) {
                    *shift = best;
                }
            }
        }
        mesh
    }

    fn at(&self, column: usize, row: usize) -> (f64, f64) {
        let (column, row) = (column.min(self.knots - 1), row.min(self.knots - 1));
        self.shifts.get(row * self.knots + column).copied().unwrap_or_default()
    }

    /// The shifts of a knot and of those around it.
    fn around(&self, column: usize, row: usize) -> [(f64, f64); 5] {
        [
            self.at(column, row),
            self.at(column.saturating_sub(1), row),
            self.at(column + 1, row),
            self.at(column, row.saturating_sub(1)),
            self.at(column, row + 1),
        ]
    }

    /// The shift at any point of the symbol.
    pub(crate) fn shift(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (column, row) = ((x / STEP as f64).max(0.0), (y / STEP as f64).max(0.0));
        let (left, top) = (column as usize, row as usize);
        let (across, down) = (column - left as f64, row - top as f64);
        let mix = |a: (f64, f64), b: (f64, f64), part: f64| {
            (a.0 * (1.0 - part) + b.0 * part, a.1 * (1.0 - part) + b.1 * part)
        };
        let above = mix(self.at(left, top), self.at(left + 1, top), across);
        let below = mix(self.at(left, top + 1), self.at(left + 1, top + 1), across);
        mix(above, below, down)
    }
}

impl Looking<'_> {
    /// The best shift near any of those proposed, which are the knot's own and its neighbours'.
    fn best_shift(&self, knot: (usize, usize), proposed: &[(f64, f64)]) -> (f64, f64) {
        let worth = |shift: (f64, f64)| {
            let bend = proposed.iter().map(|near| (near.0 - shift.0).hypot(near.1 - shift.1));
            // Across a fold neighbours differ, and no more than once.
            let bends: f64 = bend.map(|modules| (modules * modules).min(BEND_MAX)).sum();
            self.crispness(knot, shift) - STIFFNESS * bends / proposed.len().max(1) as f64
        };
        let mut best = (f64::MIN, (0.0, 0.0));
        let mut look = |around: (f64, f64), steps: i32, eighths: f64| {
            for (right, down) in
                (-steps..=steps).flat_map(|x| (-steps..=steps).map(move |y| (x, y)))
            {
                let (dx, dy) = (f64::from(right) * eighths / 8.0, f64::from(down) * eighths / 8.0);
                let shift = (around.0 + dx, around.1 + dy);
                let own = worth(shift);
                if own > best.0 {
                    best = (own, shift);
                }
            }
            best.1
        };
        let mut coarse = (0.0, 0.0);
        for (at, near) in proposed.iter().enumerate() {
            let is_known = |known: &(f64, f64)| (known.0 - near.0).hypot(known.1 - near.1) < 0.2;
            if !proposed.iter().take(at).any(is_known) {
                coarse = look(*near, 2, 2.0);
            }
        }
        look(coarse, 1, 1.0)
    }

    /// How plain the modules around a knot are if they are looked at with this shift.
    fn crispness(&self, knot: (usize, usize), shift: (f64, f64)) -> f64 {
        let range = |at: usize| at.saturating_sub(REACH)..(at + REACH).min(self.side);
        let mut sum = 0.0;
        for y in range(knot.1) {
            for x in range(knot.0) {
                let point = (x as f64 + 0.5 + shift.0, y as f64 + 0.5 + shift.1);
                let (u, v) = self.projection.show(point);
                let threshold = self.thresholds.get(y * self.side + x);
                let (threshold, half) = threshold.copied().unwrap_or((128.0, 1.0));
                if half < 6.0 {
                    continue;
                }
                let plain = ((threshold - self.picture.between(u, v)) / half).clamp(-1.0, 1.0);
                sum += match self.cells.get(x, y) {
                    Cell::Fixed(true) => plain,
                    Cell::Fixed(false) => -plain,
                    _ => plain.abs(),
                };
            }
        }
        sum
    }
}
