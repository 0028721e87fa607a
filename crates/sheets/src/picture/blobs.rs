//! Connected dark areas, each with its size and middle.

/// A connected dark area.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blob {
    pub(crate) pixels: usize,
    sum_x: f64,
    sum_y: f64,
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) top: usize,
    pub(crate) bottom: usize,
}

impl Blob {
    const NONE: Self = Self {
        pixels: 0,
        sum_x: 0.0,
        sum_y: 0.0,
        left: usize::MAX,
        right: 0,
        top: usize::MAX,
        bottom: 0,
    };

    fn add_run(&mut self, run: &Run) {
        let pixels = run.end - run.begin;
        self.pixels += pixels;
        self.sum_x += pixels as f64 * (run.begin + run.end) as f64 / 2.0;
        self.sum_y += pixels as f64 * (run.row as f64 + 0.5);
        self.left = self.left.min(run.begin);
        self.right = self.right.max(run.end - 1);
        self.top = self.top.min(run.row);
        self.bottom = self.bottom.max(run.row);
    }

    /// Its centre of mass.
    pub(crate) fn middle(&self) -> (f64, f64) {
        let pixels = self.pixels.max(1) as f64;
        (self.sum_x / pixels, self.sum_y / pixels)
    }

    /// Pixels across and down.
    pub(crate) fn extent(&self) -> (usize, usize) {
        ((self.right + 1).saturating_sub(self.left), (self.bottom + 1).saturating_sub(self.top))
    }
}

/// Dark pixels side by side in a row.
struct Run {
    row: usize,
    begin: usize,
    end: usize,
    label: usize,
}

/// All areas, and to which each dark pixel belongs.
pub(crate) struct Blobs {
    pub(crate) blobs: Vec<Blob>,
    width: usize,
    height: usize,
    /// Index of the area, from 1; 0 is light.
    of_pixel: Vec<u32>,
}

impl Blobs {
    pub(crate) fn of(dark: &[bool], width: usize, height: usize) -> Self {
        let mut runs = runs(dark, width);
        let mut parents = join(&mut runs);
        let mut numbers = vec![0_u32; parents.len()];
        let mut blobs = Vec::new();
        let mut of_pixel = vec![0_u32; width * height];
        for run in &runs {
            let root = root(&mut parents, run.label);
            let Some(number) = numbers.get_mut(root) else { continue };
            if *number == 0 {
                blobs.push(Blob::NONE);
                *number = blobs.len() as u32;
            }
            if let Some(blob) = blobs.get_mut(*number as usize - 1) {
                blob.add_run(run);
            }
            let pixels = of_pixel.get_mut(run.row * width + run.begin..run.row * width + run.end);
            pixels.into_iter().flatten().for_each(|pixel| *pixel = *number);
        }
        Self { blobs, width, height, of_pixel }
    }

    /// The index of the area at a pixel.
    pub(crate) fn at(&self, x: usize, y: usize) -> Option<usize> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let number = self.of_pixel.get(y * self.width + x).copied().unwrap_or(0);
        (number as usize).checked_sub(1)
    }
}

fn runs(dark: &[bool], width: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    for (row, pixels) in dark.chunks(width.max(1)).enumerate() {
        let mut begin = None;
        for (x, dark) in pixels.iter().copied().chain([false]).enumerate() {
            match (dark, begin) {
                (true, None) => begin = Some(x),
                (false, Some(from)) => {
                    runs.push(Run { row, begin: from, end: x, label: runs.len() });
                    begin = None;
                }
                _ => {}
            }
        }
    }
    runs
}

/// Joins runs that touch those of the row above; gives each label's parent.
fn join(runs: &mut [Run]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..runs.len()).collect();
    let mut above = 0;
    for at in 0..runs.len() {
        let Some((row, begin, end)) = runs.get(at).map(|run| (run.row, run.begin, run.end)) else {
            continue;
        };
        while runs
            .get(above)
            .is_some_and(|run| run.row + 1 < row || (run.row + 1 == row && run.end <= begin))
        {
            above += 1;
        }
        let mut other = above;
        while let Some(run) = runs.get(other).filter(|run| run.row + 1 == row && run.begin < end) {
            if run.end > begin {
                unite(&mut parents, at, run.label);
            }
            other += 1;
        }
    }
    parents
}

fn root(parents: &mut [usize], label: usize) -> usize {
    let mut at = label;
    while let Some(parent) = parents.get(at).copied().filter(|parent| *parent != at) {
        let above = parents.get(parent).copied().unwrap_or(parent);
        if let Some(own) = parents.get_mut(at) {
            *own = above;
        }
        at = parent;
    }
    at
}

fn unite(parents: &mut [usize], left: usize, right: usize) {
    let (left, right) = (root(parents, left), root(parents, right));
    if let Some(parent) = parents.get_mut(left.max(right)) {
        *parent = left.min(right);
    }
}
