//! Targets: a dark disc inside a dark ring, printed around every symbol.

use super::blobs::{Blob, Blobs};
use super::light::{Picture, Sums};

/// Where the targets are and how large, in modules of their symbol.
pub(crate) mod shape {
    /// Radius of the disc.
    pub(crate) const DISC: f64 = 0.9;
    /// Inner radius of the ring.
    pub(crate) const INNER: f64 = 1.9;
    /// Outer radius of the ring.
    pub(crate) const OUTER: f64 = 3.0;
    /// From the edge of the symbol to the centres of targets.
    pub(crate) const DISTANCE: f64 = 7.5;
    /// Targets along each side, both corners counted.
    pub(crate) const ALONG: usize = 4;
}

/// A target as a picture shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Root of the ring's area in pixels.
    pub(crate) reach: f64,
}

/// Root of the area of a ring, in modules.
pub(crate) fn reach_modules() -> f64 {
    let area = shape::OUTER.powi(2) - shape::INNER.powi(2);
    (std::f64::consts::PI * area).sqrt()
}

/// Centres of a symbol's targets in its own modules, clockwise from the top left.
pub(crate) fn centres(side: usize) -> Vec<(f64, f64)> {
    let (low, high) = (-shape::DISTANCE, side as f64 + shape::DISTANCE);
    let step = (high - low) / (shape::ALONG - 1) as f64;
    let mut centres = Vec::with_capacity(4 * (shape::ALONG - 1));
    for at in 0..shape::ALONG - 1 {
        centres.push((low + step * at as f64, low));
    }
    for at in 0..shape::ALONG - 1 {
        centres.push((high, low + step * at as f64));
    }
    for at in 0..shape::ALONG - 1 {
        centres.push((high - step * at as f64, high));
    }
    for at in 0..shape::ALONG - 1 {
        centres.push((low, high - step * at as f64));
    }
    centres
}

/// Everything in a picture that looks like a target.
pub(crate) fn find(picture: &Picture) -> Vec<Mark> {
    let sums = Sums::of(picture);
    let side = picture.width().max(picture.height());
    let mut found: Vec<Mark> = Vec::new();
    // Shadows have edges of every width, and symbols are of every size.
    for parts in [12, 30, 75] {
        let reach = (side / parts).max(4);
        let dark = sums.dark(picture, reach);
        let blobs = Blobs::of(&dark, picture.width(), picture.height());
        for mark in blobs.blobs.iter().filter_map(|disc| target(disc, &blobs)) {
            let known = |other: &Mark| {
                (other.x - mark.x).hypot(other.y - mark.y) < mark.reach.max(other.reach) / 2.0
            };
            if !found.iter().any(known) {
                found.push(mark);
            }
        }
    }
    found
}

/// The target whose disc this is.
fn target(disc: &Blob, blobs: &Blobs) -> Option<Mark> {
    let (across, down) = disc.extent();
    let (longer, shorter) = (across.max(down), across.min(down));
    let filled = disc.pixels as f64 / (across * down).max(1) as f64;
    if disc.pixels < 4 || longer > 3 * shorter || filled < 0.45 {
        return None;
    }
    let (x, y) = disc.middle();
    let ring_at = |dx: isize, dy: isize| ring_in_direction(disc, blobs, (x, y), (dx, dy));
    let rings = [ring_at(1, 0)?, ring_at(-1, 0)?, ring_at(0, 1)?, ring_at(0, -1)?];
    let [first, ..] = rings;
    if rings.iter().any(|ring| *ring != first) {
        return None;
    }
    let ring = blobs.blobs.get(first)?;
    let ratio = ring.pixels as f64 / disc.pixels as f64;
    let (ring_across, ring_down) = ring.extent();
    let room = ring.pixels as f64 / (ring_across * ring_down).max(1) as f64;
    let slim = ring_across.max(ring_down) > 3 * ring_across.min(ring_down);
    if !(2.5..=30.0).contains(&ratio) || !(0.25..=0.75).contains(&room) || slim {
        return None;
    }
    let (ring_x, ring_y) = ring.middle();
    let reach = (ring.pixels as f64).sqrt();
    let apart = (ring_x - x).hypot(ring_y - y);
    // The ring's middle is the better one, unless a part of it is covered.
    (apart < 0.12 * reach).then_some(Mark { x: (x + ring_x) / 2.0, y: (y + ring_y) / 2.0, reach })
}

/// The next dark area beyond the disc and the light around it.
fn ring_in_direction(
    disc: &Blob,
    blobs: &Blobs,
    from: (f64, f64),
    (dx, dy): (isize, isize),
) -> Option<usize> {
    let own = {
        let (x, y) = (from.0 as usize, from.1 as usize);
        blobs.at(x, y)?
    };
    let (across, down) = disc.extent();
    let farthest = 4 * across.max(down) + 4;
    let mut light_seen = false;
    for step in 1..=farthest {
        let x = (from.0 as usize).checked_add_signed(dx * step.cast_signed())?;
        let y = (from.1 as usize).checked_add_signed(dy * step.cast_signed())?;
        match blobs.at(x, y) {
            None => light_seen = true,
            Some(other) if other == own && !light_seen => {}
            Some(other) if light_seen && other != own => return Some(other),
            Some(_) => return None,
        }
    }
    None
}
