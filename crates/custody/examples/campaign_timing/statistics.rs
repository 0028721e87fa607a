//! Welch's test over two classes of timings, as dudect does it: Reparaz, Balasch, Verbauwhede,
//! "Dude, is my code constant time?", DATE 2017.

use std::hint::black_box;
use std::time::Instant;

use crate::support::Seeded;

/// Interruptions make long timings that have nothing to do with the input: the test is made over
/// all timings, and over those below each of these parts of them.
const CROPS: [f64; 6] = [1.0, 0.99, 0.95, 0.9, 0.75, 0.5];
/// Inputs that are made before they are timed.
const BATCH: usize = 256;

/// Timings of one path, in nanoseconds, by class.
pub struct Timings {
    fixed: Vec<f64>,
    random: Vec<f64>,
}

/// Times `run` on inputs of two classes in random order. Every input is made anew for either
/// class, so that no class has its inputs nearer to the processor.
pub fn time<I>(
    samples: usize,
    random: &mut Seeded,
    mut make: impl FnMut(bool, &mut Seeded) -> I,
    mut run: impl FnMut(I),
) -> Timings {
    let mut timings = Timings { fixed: Vec::new(), random: Vec::new() };
    let mut warm = true;
    while timings.fixed.len() + timings.random.len() < samples {
        let classes: Vec<bool> = (0..BATCH).map(|_| random.next() & 1 == 0).collect();
        let inputs: Vec<I> = classes.iter().map(|fixed| make(*fixed, random)).collect();
        for (fixed, input) in classes.into_iter().zip(inputs) {
            let begun = Instant::now();
            run(black_box(input));
            #[allow(clippy::cast_precision_loss, reason = "timings of seconds at most")]
            let nanoseconds = begun.elapsed().as_nanos() as f64;
            let class = if fixed { &mut timings.fixed } else { &mut timings.random };
            class.push(nanoseconds);
        }
        // The first batch fills caches and is no measurement.
        if std::mem::take(&mut warm) {
            timings.fixed.clear();
            timings.random.clear();
        }
    }
    timings
}

impl Timings {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.fixed.len() + self.random.len()
    }

    /// The median, in microseconds.
    pub fn median_us(&self) -> f64 {
        self.quantile(0.5) / 1_000.0
    }

    /// The value of |t| that is furthest from chance.
    pub fn t_max(&self) -> f64 {
        let all = CROPS.map(|part| {
            let limit = self.quantile(part);
            let below = |class: &[f64]| -> Vec<f64> {
                class.iter().copied().filter(|it| *it <= limit).collect()
            };
            welch(&below(&self.fixed), &below(&self.random)).abs()
        });
        all.into_iter().fold(0.0, f64::max)
    }

    fn quantile(&self, part: f64) -> f64 {
        let mut all: Vec<f64> = self.fixed.iter().chain(&self.random).copied().collect();
        all.sort_by(f64::total_cmp);
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts of samples"
        )]
        let at = (all.len() as f64 * part).ceil() as usize;
        all.get(at.clamp(1, all.len()) - 1).copied().unwrap_or(0.0)
    }
}

/// Welch's t.
fn welch(left: &[f64], right: &[f64]) -> f64 {
    let (left, right) = (moments(left), moments(right));
    let spread = (left.1 + right.1).sqrt();
    if spread == 0.0 { 0.0 } else { (left.0 - right.0) / spread }
}

/// The mean, and the variance of that mean.
#[allow(clippy::cast_precision_loss, reason = "counts of samples")]
fn moments(all: &[f64]) -> (f64, f64) {
    let count = all.len() as f64;
    if count < 2.0 {
        return (0.0, 0.0);
    }
    let mean = all.iter().sum::<f64>() / count;
    let squares: f64 = all.iter().map(|it| (it - mean) * (it - mean)).sum();
    (mean, squares / (count - 1.0) / count)
}
