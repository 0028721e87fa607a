//! A picture: how light each pixel is, and what is dark beside its neighbourhood.

use super::read;

/// Pixels of the largest picture that is read.
pub(crate) const PIXELS_MAX: usize = 120_000_000;

/// Why a file is no picture that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Neither kind that is read here.
    #[error("this is neither PNG nor JPEG")]
    Kind,
    /// More pixels than any camera makes.
    #[error("{width} × {height} pixels are more than are read here")]
    TooLarge {
        /// Pixels across.
        width: usize,
        /// Pixels down.
        height: usize,
    },
    /// Cut off, or damaged.
    #[error("the picture cannot be read: {0}")]
    Damaged(String),
}

/// How light each pixel is, 0 to 255.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    light: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} × {})", self.width, self.height)
    }
}

/// What it shows may be a secret.
impl Drop for Picture {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.light);
    }
}

impl Picture {
    /// A picture of rows of pixels; missing ones are light, those too many are left out.
    #[must_use]
    pub fn new(width: usize, height: usize, mut light: Vec<u8>) -> Self {
        light.resize(width * height, 255);
        Self { width, height, light }
    }

    /// Reads a PNG or JPEG file's bytes.
    ///
    /// # Errors
    /// [`PictureError`].
    pub fn read(file: &[u8]) -> Result<Self, PictureError> {
        match file {
            [0x89, b'P', b'N', b'G', ..] => read::png(file),
            [0xff, 0xd8, ..] => read::jpeg(file),
            _ => Err(PictureError::Kind),
        }
    }

    /// Pixels across.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels down.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// All pixels by rows.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.light
    }

    /// How light a pixel is; outside everything is light.
    #[must_use]
    pub fn at(&self, x: usize, y: usize) -> u8 {
        if x < self.width {
            self.light.get(y * self.width + x).copied().unwrap_or(255)
        } else {
            255
        }
    }

    /// How light it is between pixels, whose centres lie at halves.
    pub(crate) fn between(&self, x: f64, y: f64) -> f64 {
        let (x, y) = (x - 0.5, y - 0.5);
        if !(x > -1.0 && y > -1.0 && x < self.width as f64 && y < self.height as f64) {
            return 255.0;
        }
        let (left, top) = (x.max(0.0), y.max(0.0));
        let (column, row) = (left as usize, top as usize);
        let (across, down) = (left - column as f64, top - row as f64);
        let light = |dx, dy| f64::from(self.at(column + dx, row + dy));
        let above = light(0, 0) * (1.0 - across) + light(1, 0) * across;
        let below = light(0, 1) * (1.0 - across) + light(1, 1) * across;
        above * (1.0 - down) + below * down
    }

    /// Half as large, each pixel the mean of four.
    pub(crate) fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut light = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let of = |dx, dy| u16::from(self.at(2 * x + dx, 2 * y + dy));
                light.push(((of(0, 0) + of(1, 0) + of(0, 1) + of(1, 1)) / 4) as u8);
            }
        }
        Self { width, height, light }
    }
}

/// Sums over every rectangle that begins at the top left corner.
pub(crate) struct Sums {
    width: usize,
    height: usize,
    sums: Vec<u64>,
}

impl Sums {
    pub(crate) fn of(picture: &Picture) -> Self {
        let (width, height) = (picture.width, picture.height);
        let mut sums = vec![0_u64; (width + 1) * (height + 1)];
        for y in 0..height {
            let mut row = 0_u64;
            for x in 0..width {
                row += u64::from(picture.at(x, y));
                let above = sums.get(y * (width + 1) + x + 1).copied().unwrap_or(0);
                if let Some(sum) = sums.get_mut((y + 1) * (width + 1) + x + 1) {
                    *sum = above + row;
                }
            }
        }
        Self { width, height, sums }
    }

    fn sum(&self, x: usize, y: usize) -> u64 {
        self.sums.get(y * (self.width + 1) + x).copied().unwrap_or(0)
    }

    /// Which pixels are darker than their neighbourhood, so many pixels to each side.
    pub(crate) fn dark(&self, picture: &Picture, reach: usize) -> Vec<bool> {
        let mut dark = Vec::with_capacity(self.width * self.height);
        for y in 0..self.height {
            let (top, bottom) = (y.saturating_sub(reach), (y + reach + 1).min(self.height));
            for x in 0..self.width {
                let (left, right) = (x.saturating_sub(reach), (x + reach + 1).min(self.width));
                let area = ((right - left) * (bottom - top)) as u64;
                let sum = self.sum(right, bottom) + self.sum(left, top)
                    - self.sum(right, top)
                    - self.sum(left, bottom);
                // A little darker than the mean, or plain paper would be all noise.
                dark.push(u64::from(picture.at(x, y)) * area * 100 < sum * 92);
            }
        }
        dark
    }
}
