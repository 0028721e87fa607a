//! Pages as pixels: what a scanner would see of them.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of a page are small numbers; what falls outside is left out"
)]

use super::{Page, Shape};
use crate::picture::Picture;

/// Points looked at across and down each pixel.
const POINTS: usize = 3;

/// A page at so many pixels per millimetre. Text is drawn as a row of dashes of its length: this
/// is for what machines read.
#[must_use]
pub fn raster(page: &Page, pixels_per_mm: f64) -> Picture {
    let (width_mm, height_mm) = page.paper.millimetres();
    let side = |millimetres: f64| (millimetres * pixels_per_mm).round() as usize;
    let (width, height) = (side(width_mm), side(height_mm));
    let mut canvas = Canvas { width, height, ink: vec![0; width * height], scale: pixels_per_mm };
    page.shapes.iter().for_each(|shape| canvas.draw(shape));
    let points = (POINTS * POINTS) as u32;
    let light = canvas.ink.iter().map(|ink| (255 - (*ink).min(points) * 255 / points) as u8);
    Picture::new(width, height, light.collect())
}

struct Canvas {
    width: usize,
    height: usize,
    /// Black points of each pixel.
    ink: Vec<u32>,
    scale: f64,
}

impl Canvas {
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Bar { x, y, width, height } => self.bar(*x, *y, *width, *height),
            Shape::Ring { x, y, outer, inner } => {
                let (x, y) = (*x, *y);
                let inside = |px: f64, py: f64| {
                    let away = (px - x).hypot(py - y);
                    away <= *outer && away >= *inner
                };
                self.fill((x - outer, y - outer, x + outer, y + outer), inside);
            }
            Shape::Text { x, y, height, text, .. } => {
                for (at, letter) in text.chars().enumerate() {
                    if !letter.is_whitespace() {
                        let left = x + at as f64 * 0.5 * height;
                        self.bar(left, y - 0.5 * height, 0.35 * height, 0.12 * height);
                        self.bar(left, y - 0.12 * height, 0.35 * height, 0.12 * height);
                    }
                }
            }
        }
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64) {
        let inside = |px: f64, py: f64| px >= x && px < x + width && py >= y && py < y + height;
        self.fill((x, y, x + width, y + height), inside);
    }

    /// Inks every point in a box that is inside.
    fn fill(&mut self, area: (f64, f64, f64, f64), inside: impl Fn(f64, f64) -> bool) {
        let first = |millimetres: f64| (millimetres * self.scale).floor().max(0.0) as usize;
        let (left, top, right, bottom) =
            (first(area.0), first(area.1), first(area.2), first(area.3));
        let step = 1.0 / POINTS as f64;
        for row in top..=bottom.min(self.height.saturating_sub(1)) {
            for column in left..=right.min(self.width.saturating_sub(1)) {
                let points = (0..POINTS * POINTS).filter(|at| {
                    let across = column as f64 + ((at % POINTS) as f64 + 0.5) * step;
                    let down = row as f64 + ((at / POINTS) as f64 + 0.5) * step;
                    inside(across / self.scale, down / self.scale)
                });
                let points = points.count() as u32;
                if let Some(ink) = self.ink.get_mut(row * self.width + column) {
                    *ink += points;
                }
            }
        }
    }
}
