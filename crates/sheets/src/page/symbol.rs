//! A symbol with its targets, as shapes.

use super::Shape;
use crate::picture::targets;
use crate::qr::Grid;

/// Modules between the edge of a symbol and the edge of what is printed around it.
pub const SYMBOL_MARGIN_MODULES: f64 = targets::DISTANCE + targets::OUTER;

/// How much room a symbol with its targets takes on each side.
#[must_use]
pub fn symbol_side_mm(side: usize, module_mm: f64) -> f64 {
    (modules(side) + 2.0 * SYMBOL_MARGIN_MODULES) * module_mm
}

fn modules(count: usize) -> f64 {
    u32::try_from(count).map_or(0.0, f64::from)
}

/// A symbol and its targets, the upper left corner of all of it at `x`, `y`.
#[must_use]
pub fn symbol(grid: &Grid, x: f64, y: f64, module_mm: f64) -> Vec<Shape> {
    let place = |own: f64, begin: f64| begin + (own + SYMBOL_MARGIN_MODULES) * module_mm;
    let mut shapes = Vec::new();
    for row in 0..grid.side() {
        let mut column = 0;
        while column < grid.side() {
            let run = (column..grid.side()).take_while(|at| grid.is_dark(*at, row)).count();
            if run > 0 {
                shapes.push(Shape::Bar {
                    x: place(modules(column), x),
                    y: place(modules(row), y),
                    width: modules(run) * module_mm,
                    height: module_mm,
                });
            }
            column += run + 1;
        }
    }
    for (own_x, own_y) in targets::centres(grid.side()) {
        let (x, y) = (place(own_x, x), place(own_y, y));
        let ring = |outer: f64, inner: f64| Shape::Ring {
            x,
            y,
            outer: outer * module_mm,
            inner: inner * module_mm,
        };
        shapes.push(ring(targets::OUTER, targets::INNER));
        shapes.push(ring(targets::DISC, 0.0));
    }
    shapes
}
