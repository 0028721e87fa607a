//! Where symbols are, by their targets: a consensus of any four or more (RANSAC without chance).
//!
//! Every two targets that could be neighbours at a corner propose a place. The proposal grows from
//! there: targets near it are matched first, then a projection is fitted and the next ones are
//! looked for, so that a slanted view never has to be guessed from two points.

use super::marks::{Mark, centres, reach_modules};
use super::projection::{Pair, Projection};
use crate::qr::Version;

/// Where a symbol may be.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) version: Version,
    pub(crate) projection: Projection,
    /// Its targets, as indices.
    pub(crate) marks: Vec<usize>,
    /// Mean distance of targets from where they should be, in modules.
    residual: f64,
}

/// Fewer targets say nothing about a slanted view.
const MARKS_MIN: usize = 4;
/// How a proposal grows: reach in steps between targets, slack per module of distance, and
/// whether the view may be slanted yet.
const ROUNDS: [(f64, f64, bool); 5] = [
    (1.8, 0.16, false),
    (2.6, 0.12, false),
    (9.0, 0.08, true),
    (9.0, 0.03, true),
    (9.0, 0.0, true),
];

/// Places for symbols of these versions, those with most targets first.
pub(crate) fn places(marks: &[Mark], versions: &[Version]) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    for version in versions {
        let model = centres(version.side());
        for (first, second) in neighbours(marks, &model) {
            for at in 0..model.len() {
                let next = (at + 1) % model.len();
                // Between two corners nothing but a line could be fitted.
                let at_corner = is_corner(at, &model) || is_corner(next, &model);
                if at_corner
                    && let Some(place) = grow(*version, &model, marks, (at, first), (next, second))
                    && !found.iter().any(|known| known.is_like(&place))
                {
                    found.push(place);
                }
            }
        }
    }
    found.sort_by(|a, b| b.marks.len().cmp(&a.marks.len()).then(a.residual.total_cmp(&b.residual)));
    found
}

fn is_corner(at: usize, model: &[(f64, f64)]) -> bool {
    at.is_multiple_of(model.len() / 4)
}

/// Pairs of targets about as far apart as neighbours are.
fn neighbours(marks: &[Mark], model: &[(f64, f64)]) -> Vec<(usize, usize)> {
    let step = match model {
        [first, second, ..] => (second.0 - first.0).hypot(second.1 - first.1),
        _ => return Vec::new(),
    };
    let mut pairs = Vec::new();
    for (at, one) in marks.iter().enumerate() {
        for (other_at, other) in marks.iter().enumerate() {
            let module = (one.reach + other.reach) / 2.0 / reach_modules();
            let steps = (one.x - other.x).hypot(one.y - other.y) / module / step;
            let alike = one.reach < 1.6 * other.reach && other.reach < 1.6 * one.reach;
            if at != other_at && alike && (0.65..1.55).contains(&steps) {
                pairs.push((at, other_at));
            }
        }
    }
    pairs
}

fn grow(
    version: Version,
    model: &[(f64, f64)],
    marks: &[Mark],
    first: (usize, usize),
    second: (usize, usize),
) -> Option<Place> {
    let pair = |(point, mark): (usize, usize)| -> Option<Pair> {
        let mark = marks.get(mark)?;
        Some((*model.get(point)?, (mark.x, mark.y)))
    };
    let (first, second) = (pair(first)?, pair(second)?);
    let seed = ((first.0.0 + second.0.0) / 2.0, (first.0.1 + second.0.1) / 2.0);
    let step = (first.0.0 - second.0.0).hypot(first.0.1 - second.0.1);
    let mut projection = Projection::of_two(first, second)?;
    let mut matched: Vec<(usize, Pair)> = Vec::new();
    for (reach, slack, projected) in ROUNDS {
        matched = matches(&projection, model, marks, |point| {
            let away = (point.0 - seed.0).hypot(point.1 - seed.1);
            (away <= reach * step).then_some(1.6 + slack * away)
        });
        let pairs: Vec<Pair> = matched.iter().map(|(_, pair)| *pair).collect();
        projection = Projection::fit(&pairs, projected)?;
    }
    let middle = (version.side() as f64 / 2.0, version.side() as f64 / 2.0);
    if matched.len() < MARKS_MIN || !projection.is_upright(middle) {
        return None;
    }
    let off = |(point, shown): &Pair| {
        let (x, y) = projection.show(*point);
        (x - shown.0).hypot(y - shown.1) / projection.module_pixels(*point).max(1e-6)
    };
    let residual = matched.iter().map(|(_, pair)| off(pair)).sum::<f64>() / matched.len() as f64;
    let marks = matched.into_iter().map(|(mark, _)| mark).collect();
    Some(Place { version, projection, marks, residual })
}

/// For each point of the model the target nearest to where it should be, if one is near enough;
/// `slack` says how near that is in modules, or that the point does not count yet.
fn matches(
    projection: &Projection,
    model: &[(f64, f64)],
    marks: &[Mark],
    slack: impl Fn((f64, f64)) -> Option<f64>,
) -> Vec<(usize, Pair)> {
    let mut matched: Vec<(usize, Pair)> = Vec::new();
    for point in model {
        let Some(slack) = slack(*point) else { continue };
        let (x, y) = projection.show(*point);
        let module = projection.module_pixels(*point);
        if !(x.is_finite() && y.is_finite() && module > 0.5) {
            continue;
        }
        let away = |mark: &Mark| (mark.x - x).hypot(mark.y - y) / module;
        let nearest = marks
            .iter()
            .enumerate()
            .filter(|(_, mark)| {
                let module_seen = mark.reach / reach_modules();
                away(mark) <= slack && (0.6..1.7).contains(&(module_seen / module))
            })
            .min_by(|a, b| away(a.1).total_cmp(&away(b.1)));
        if let Some((at, mark)) = nearest
            && !matched.iter().any(|(known, _)| *known == at)
        {
            matched.push((at, (*point, (mark.x, mark.y))));
        }
    }
    matched
}

impl Place {
    /// Whether another place is the same one, found from other targets.
    fn is_like(&self, other: &Self) -> bool {
        let side = self.version.side() as f64;
        self.version == other.version
            && [(0.0, 0.0), (side, 0.0), (side, side)].iter().all(|corner| {
                let (own, its) = (self.projection.show(*corner), other.projection.show(*corner));
                let module = self.projection.module_pixels(*corner);
                (own.0 - its.0).hypot(own.1 - its.1) < 0.5 * module
            })
    }
}
