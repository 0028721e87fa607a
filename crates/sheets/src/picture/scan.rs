//! All symbols in a picture.

use super::light::Picture;
use super::locate::{Place, places};
use super::marks;
use super::mesh::Mesh;
use super::sample::{Levels, agreement};
use crate::qr::{Cells, Grid, Sampled, Version, decode};

/// How a symbol was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By its finder patterns.
    Finders,
    /// By the targets around it.
    Targets,
    /// By its targets, on paper that is not flat.
    Mesh,
}

/// A symbol that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Codewords that were wrong or covered, and are right now.
    pub corrected: usize,
    /// Codewords there are.
    pub codewords: usize,
    /// How it was found.
    pub way: Way,
}

/// Places that are looked at more closely in one picture.
const PLACES_TRIED: usize = 40;
/// Fixed modules that have to be right: half are by chance.
const AGREEMENT_MIN: f64 = 0.6;
/// Modules around one that say what is dark: few under an edge of shadow, more under blots.
const REACHES: [usize; 2] = [3, 6];

/// Reads all symbols whose bytes `accept` knows. Those of these versions are found by their
/// targets too, all others by their finder patterns alone.
#[must_use]
pub fn scan(picture: &Picture, versions: &[Version], accept: &dyn Fn(&[u8]) -> bool) -> Vec<Found> {
    let mut found = Vec::new();
    by_finders(picture, accept, &mut found);
    by_targets(picture, versions, accept, &mut found);
    if found.is_empty() && picture.width().min(picture.height()) > 1_200 {
        // Noise and blur of a large photograph are less in a smaller one.
        let half = picture.halved();
        by_finders(&half, accept, &mut found);
        by_targets(&half, versions, accept, &mut found);
    }
    found
}

fn add(found: &mut Vec<Found>, new: Found) {
    if !found.iter().any(|known| known.bytes == new.bytes) {
        found.push(new);
    }
}

fn by_finders(picture: &Picture, accept: &dyn Fn(&[u8]) -> bool, found: &mut Vec<Found>) {
    if picture.width() < 21 || picture.height() < 21 {
        return;
    }
    // The finder is another's code on anybody's picture: should it fail, targets are left.
    let sampled = std::panic::catch_unwind(|| finders(picture)).unwrap_or_default();
    for sampled in sampled {
        if let Some(read) = decode(&sampled, accept) {
            let (corrected, codewords) = (read.corrected, read.codewords);
            add(found, Found { bytes: read.bytes, corrected, codewords, way: Way::Finders });
        }
    }
}

fn finders(picture: &Picture) -> Vec<Sampled> {
    let light = |x, y| picture.at(x, y);
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(picture.width(), picture.height(), light);
    let sampled = |located: rqrr::Grid<_>| {
        let side = rqrr::BitGrid::size(&located.grid);
        let version = Version::of_side(side)?;
        let mut grid = Grid::new(side);
        for (x, y) in (0..side * side).map(|at| (at % side, at / side)) {
            grid.set(x, y, rqrr::BitGrid::bit(&located.grid, y, x));
        }
        Some(Sampled::plain(version, grid))
    };
    prepared.detect_grids().into_iter().filter_map(sampled).collect()
}

fn by_targets(
    picture: &Picture,
    versions: &[Version],
    accept: &dyn Fn(&[u8]) -> bool,
    found: &mut Vec<Found>,
) {
    if versions.is_empty() {
        return;
    }
    let marks = marks::find(picture);
    let mut ranked: Vec<(f64, Place, Vec<Sampled>)> = places(&marks, versions)
        .into_iter()
        .take(PLACES_TRIED * 4)
        .map(|place| {
            let levels = Levels::of(picture, place.version, &|at| place.projection.show(at));
            let sampled = REACHES.map(|reach| levels.modules(place.version, reach)).to_vec();
            let cells = Cells::of(place.version);
            let best = sampled.iter().map(|own| agreement(own, &cells)).fold(0.0, f64::max);
            (best, place, sampled)
        })
        .filter(|(agreement, _, _)| *agreement > AGREEMENT_MIN)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut taken: Vec<usize> = Vec::new();
    let mut difficult = Vec::new();
    for (_, place, sampled) in ranked.into_iter().take(PLACES_TRIED) {
        if is_taken(&place, &taken) {
            continue;
        }
        match sampled.iter().find_map(|sampled| decode(sampled, accept)) {
            Some(read) => {
                taken.extend(&place.marks);
                let (corrected, codewords) = (read.corrected, read.codewords);
                add(found, Found { bytes: read.bytes, corrected, codewords, way: Way::Targets });
            }
            None => difficult.push(place),
        }
    }
    for place in difficult {
        if is_taken(&place, &taken) {
            continue;
        }
        if let Some(new) = by_mesh(picture, &place, accept) {
            taken.extend(&place.marks);
            add(found, new);
        }
    }
}

/// Whether most of a place's targets belong to a symbol that was read.
fn is_taken(place: &Place, taken: &[usize]) -> bool {
    place.marks.iter().filter(|mark| taken.contains(mark)).count() * 2 > place.marks.len()
}

fn by_mesh(picture: &Picture, place: &Place, accept: &dyn Fn(&[u8]) -> bool) -> Option<Found> {
    let mesh = Mesh::fit(picture, &place.projection, place.version);
    let show = |at: (f64, f64)| {
        let (dx, dy) = mesh.shift(at);
        place.projection.show((at.0 + dx, at.1 + dy))
    };
    let levels = Levels::of(picture, place.version, &show);
    let read =
        REACHES.iter().find_map(|reach| decode(&levels.modules(place.version, *reach), accept))?;
    let (corrected, codewords) = (read.corrected, read.codewords);
    Some(Found { bytes: read.bytes, corrected, codewords, way: Way::Mesh })
}
