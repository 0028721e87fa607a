//! Flat sheets seen from anywhere: projections of the plane, fitted to points.

/// A projection, as the first eight numbers of a matrix whose ninth is 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Projection([f64; 8]);

/// A point in the symbol's modules and where the picture shows it.
pub(crate) type Pair = ((f64, f64), (f64, f64));

impl Projection {
    /// Turned, scaled and moved so that two points fall on two others.
    pub(crate) fn of_two(first: Pair, second: Pair) -> Option<Self> {
        let (from_x, from_y) = (second.0.0 - first.0.0, second.0.1 - first.0.1);
        let (to_x, to_y) = (second.1.0 - first.1.0, second.1.1 - first.1.1);
        let squared = from_x * from_x + from_y * from_y;
        if squared < 1e-9 {
            return None;
        }
        let along = (from_x * to_x + from_y * to_y) / squared;
        let across = (from_x * to_y - from_y * to_x) / squared;
        let ((x, y), (to_x, to_y)) = first;
        Some(Self([
            along,
            -across,
            to_x - along * x + across * y,
            across,
            along,
            to_y - across * x - along * y,
            0.0,
            0.0,
        ]))
    }

    /// The best one for these points: stretched and sheared only, or from four points on projected.
    pub(crate) fn fit(pairs: &[Pair], projected: bool) -> Option<Self> {
        let unknowns = match pairs.len() {
            0..=2 => return None,
            3 => 6,
            _ if projected => 8,
            _ => 6,
        };
        // Numbers of one size keep the equations well conditioned.
        let count = pairs.len() as f64;
        let middle = |of: &dyn Fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>() / count;
        let own = (middle(&|pair| pair.0.0), middle(&|pair| pair.0.1));
        let shown = (middle(&|pair| pair.1.0), middle(&|pair| pair.1.1));
        let spread = |of: &dyn Fn(&Pair) -> f64| middle(of).max(1e-9);
        let own_spread = spread(&|pair| (pair.0.0 - own.0).hypot(pair.0.1 - own.1));
        let shown_spread = spread(&|pair| (pair.1.0 - shown.0).hypot(pair.1.1 - shown.1));
        let mut equations = vec![vec![0.0; unknowns + 1]; unknowns];
        for ((x, y), (u, v)) in pairs {
            let (x, y) = ((x - own.0) / own_spread, (y - own.1) / own_spread);
            let (u, v) = ((u - shown.0) / shown_spread, (v - shown.1) / shown_spread);
            let rows = [
                ([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y], u),
                ([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y], v),
            ];
            for (row, value) in rows {
                add_square(&mut equations, &row, value);
            }
        }
        let mut solved = solve(equations)?;
        solved.resize(8, 0.0);
        let scaled = Self(solved.try_into().ok()?);
        Some(scaled.unscaled(own, own_spread, shown, shown_spread))
    }

    /// Back from coordinates around the middle to those of symbol and picture.
    fn unscaled(
        self,
        own: (f64, f64),
        own_spread: f64,
        shown: (f64, f64),
        shown_spread: f64,
    ) -> Self {
        let [a, b, c, d, e, f, g, h] = self.0;
        let (g, h) = (g / own_spread, h / own_spread);
        let row = |x: f64, y: f64, one: f64, shift: f64| {
            let (x, y) = (x * shown_spread / own_spread, y * shown_spread / own_spread);
            let (x, y) = (x + shift * g, y + shift * h);
            (x, y, one * shown_spread + shift - x * own.0 - y * own.1)
        };
        let one = 1.0 - g * own.0 - h * own.1;
        let (a, b, c) = row(a, b, c, shown.0);
        let (d, e, f) = row(d, e, f, shown.1);
        Self([a, b, c, d, e, f, g, h].map(|number| number / one))
    }

    /// Where the picture shows a point of the symbol.
    pub(crate) fn show(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let [a, b, c, d, e, f, g, h] = self.0;
        let one = g * x + h * y + 1.0;
        ((a * x + b * y + c) / one, (d * x + e * y + f) / one)
    }

    /// Pixels of a module around a point.
    pub(crate) fn module_pixels(&self, (x, y): (f64, f64)) -> f64 {
        let here = self.show((x, y));
        let (right, below) = (self.show((x + 1.0, y)), self.show((x, y + 1.0)));
        let across = (right.0 - here.0) * (below.1 - here.1);
        let area = across - (right.1 - here.1) * (below.0 - here.0);
        area.abs().sqrt()
    }

    /// Whether it keeps right hands right around a point; a mirrored symbol was never printed.
    pub(crate) fn is_upright(&self, (x, y): (f64, f64)) -> bool {
        let here = self.show((x, y));
        let (right, below) = (self.show((x + 1.0, y)), self.show((x, y + 1.0)));
        (right.0 - here.0) * (below.1 - here.1) > (right.1 - here.1) * (below.0 - here.0)
    }
}

/// Adds an equation to the normal equations of least squares.
fn add_square(equations: &mut [Vec<f64>], row: &[f64; 8], value: f64) {
    for (own, equation) in row.iter().zip(equations.iter_mut()) {
        let last = equation.len() - 1;
        for (place, other) in equation.iter_mut().take(last).zip(row) {
            *place += own * other;
        }
        if let Some(place) = equation.last_mut() {
            *place += own * value;
        }
    }
}

/// Gauss with the largest pivot.
fn solve(mut equations: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let count = equations.len();
    let number = |row: &[f64], at: usize| row.get(at).copied().unwrap_or(0.0);
    for column in 0..count {
        let size = |row: usize| equations.get(row).map_or(0.0, |row| number(row, column).abs());
        let pivot = (column..count).max_by(|a, b| size(*a).total_cmp(&size(*b)))?;
        if size(pivot) < 1e-12 {
            return None;
        }
        equations.swap(column, pivot);
        let own = equations.get(column)?.clone();
        let scale = number(&own, column);
        for (at, row) in equations.iter_mut().enumerate() {
            if at != column {
                let factor = number(row, column) / scale;
                row.iter_mut().zip(&own).for_each(|(place, other)| *place -= factor * other);
            }
        }
    }
    let solved = |(at, row): (usize, &Vec<f64>)| row.last().map(|v| v / number(row, at));
    equations.iter().enumerate().map(solved).collect()
}
