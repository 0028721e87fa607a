//! What the demonstration's price sources say: the model's prices, each source a little off.

use super::price::PriceModel;
use super::random::Random;
use super::rulebook::{SOURCES, UNDERLYINGS};
use evenkeel_types::oracle::{Price, Reading, SMILE_GRID, SMILE_POINTS, Smile, Volatility};
use evenkeel_types::{Command, Timestamp};

/// Readings of smiles go out with every so-many-th reading of prices.
const SMILE_EVERY: u64 = 4;
/// How far a source is off, as a fraction.
const NOISE: f64 = 5e-5;
/// Chance, per reading, that one source stays silent.
const SILENCE: f64 = 0.01;

/// The sources, seeded.
#[derive(Debug, Clone)]
pub struct Sources {
    random: Random,
    beat: u64,
}

impl Sources {
    /// Sources that err by this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed, 3), beat: 0 }
    }

    /// What they say now about every underlying and the given expiries of each.
    pub fn readings(
        &mut self,
        prices: &PriceModel,
        time: Timestamp,
        expiries: &[Vec<Timestamp>; 2],
    ) -> Vec<Command> {
        let with_smiles = self.beat.is_multiple_of(SMILE_EVERY);
        self.beat += 1;
        let mut commands = Vec::new();
        for source in SOURCES {
            if self.random.chance(SILENCE) {
                continue;
            }
            for ((code, underlying, _), expiries) in UNDERLYINGS.into_iter().zip(expiries) {
                let mut say = |reading| {
                    commands.push(Command::Oracle { source, underlying, time, reading });
                };
                let noise = 1.0 + NOISE * self.random.normal();
                let Some(index) = prices.index(code) else {
                    continue;
                };
                say(Reading::Index { price: price(index * noise) });
                for &expiry in expiries.iter().filter(|expiry| **expiry > time) {
                    let Some((forward, smile)) = prices.surface(code, expiry) else {
                        continue;
                    };
                    say(Reading::Forward { expiry, price: price(forward * noise) });
                    if with_smiles {
                        say(Reading::Smile { expiry, smile: smile_points(forward, &smile) });
                    }
                }
            }
        }
        commands
    }
}

fn smile_points(forward: f64, smile: &super::calibration::Smile) -> Smile {
    let mut points = [Volatility(0); SMILE_POINTS];
    for (point, standing) in points.iter_mut().zip(SMILE_GRID) {
        #[expect(clippy::cast_precision_loss, reason = "a few millions")]
        let moneyness = standing as f64 / 1e6 * smile.years.sqrt();
        let volatility = smile.volatility(forward, forward * moneyness.exp());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.05 to 5")]
        let millionths = (volatility * 1e6).round() as u32;
        *point = Volatility(millionths);
    }
    Smile { points }
}

/// A price in the oracle's units; far below its bound for any demonstrated index.
#[expect(clippy::cast_possible_truncation, reason = "prices are far below 2^63 units")]
fn price(value: f64) -> Price {
    Price((value * 1e10).round().clamp(1.0, 5e18) as i64)
}
