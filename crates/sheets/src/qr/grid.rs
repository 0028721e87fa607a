//! Modules: dark or light, and how sure that is.

use super::version::Version;

/// A square of modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    side: usize,
    dark: Vec<bool>,
}

impl Grid {
    /// A light square.
    #[must_use]
    pub fn new(side: usize) -> Self {
        Self { side, dark: vec![false; side * side] }
    }

    /// Modules on a side.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side
    }

    /// Whether a module is dark; outside everything is light.
    #[must_use]
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.side && self.dark.get(y * self.side + x).copied().unwrap_or(false)
    }

    /// Makes a module dark or light.
    pub fn set(&mut self, x: usize, y: usize, dark: bool) {
        if x < self.side
            && let Some(module) = self.dark.get_mut(y * self.side + x)
        {
            *module = dark;
        }
    }
}

/// Modules as a picture shows them.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// The version that the modules were sampled for.
    pub version: Version,
    /// What they look like.
    pub grid: Grid,
    /// How sure each is, by rows: 0 says nothing, 255 is plain.
    pub sure: Vec<u8>,
}

impl Sampled {
    /// Modules that are all plain.
    #[must_use]
    pub fn plain(version: Version, grid: Grid) -> Self {
        let sure = vec![255; grid.side() * grid.side()];
        Self { version, grid, sure }
    }

    pub(crate) fn sure(&self, x: usize, y: usize) -> u8 {
        self.sure.get(y * self.grid.side() + x).copied().unwrap_or(0)
    }

    /// Modules of even squares: four by four of one colour are rare behind a mask (two in 65,536)
    /// and common under a blot, so they count as lost.
    pub(crate) fn blotted(&self) -> Vec<bool> {
        const EVEN: usize = 4;
        let side = self.grid.side();
        let mut blotted = vec![false; side * side];
        for top in 0..side.saturating_sub(EVEN - 1) {
            for left in 0..side.saturating_sub(EVEN - 1) {
                let square = || (0..EVEN * EVEN).map(|at| (left + at % EVEN, top + at / EVEN));
                let dark = square().filter(|(x, y)| self.grid.is_dark(*x, *y)).count();
                if dark == 0 || dark == EVEN * EVEN {
                    for (x, y) in square() {
                        if let Some(module) = blotted.get_mut(y * side + x) {
                            *module = true;
                        }
                    }
                }
            }
        }
        blotted
    }
}
