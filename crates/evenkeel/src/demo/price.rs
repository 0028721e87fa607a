//! The index, the volatility surface, and the mark of every instrument.

use super::black76::option_value;
use super::calibration::{
    self, CALM_INDEX_VOLATILITY, CORRELATION, STRESS_INDEX_VOLATILITY, Smile, Underlying,
    interpolate,
};
use super::plan::{MarketPlan, years_between};
use super::random::Random;
use evenkeel_types::{Instrument, InstrumentId, InstrumentKind, OptionRight, Ticks, Timestamp};
use std::collections::BTreeSet;

/// Mean wait in the calm regime and under stress, in seconds: an hour's demonstration sees both.
const CALM_SECONDS: f64 = 1_200.0;
const STRESS_SECONDS: f64 = 240.0;
/// Time in which the surface follows the regime.
const SURFACE_SECONDS: f64 = 60.0;
/// Time in which the index comes back towards its level, so that the listed strikes stay around it.
const LEVEL_SECONDS: f64 = 86_400.0;
/// The index stays within this factor of its level.
const INDEX_REACH: f64 = 1.6;
/// Largest parallel shift of the volatility surface, in volatility points, and its speed.
const SHIFT_REACH: f64 = 0.04;
const SHIFT_SECONDS: f64 = 300.0;
const SHIFT_DEVIATION: f64 = 0.012;
const SECONDS_PER_YEAR: f64 = 365.0 * 86_400.0;

/// One underlying's state.
#[derive(Debug, Clone)]
struct Path {
    terms: &'static Underlying,
    level: f64,
    index: f64,
    shift: f64,
}

/// A seeded model of the market's prices: correlated log-normal indices that switch between a calm
/// and a stressed regime, and between the two recorded volatility surfaces with them.
#[derive(Debug, Clone)]
pub struct PriceModel {
    random: Random,
    now: Timestamp,
    is_stressed: bool,
    /// 0 calm, 1 stressed.
    stress: f64,
    paths: [Path; 2],
    instruments: Vec<Instrument>,
    /// Which path each instrument follows.
    followed: Vec<usize>,
}

impl PriceModel {
    /// Prices at the plan's start.
    #[must_use]
    pub fn new(plan: &MarketPlan, seed: u64) -> Self {
        let path = |terms: &'static Underlying| Path {
            terms,
            level: terms.index,
            index: terms.index,
            shift: 0.0,
        };
        let ether = plan.currencies.iter().find(|listed| listed.code.as_str() == "ETH");
        let ether = ether.map(|listed| listed.id);
        let followed =
            plan.instruments.iter().map(|listed| usize::from(Some(listed.base) == ether));
        Self {
            random: Random::new(seed, 1),
            now: plan.start,
            is_stressed: false,
            stress: 0.0,
            paths: [path(&calibration::BTC), path(&calibration::ETH)],
            followed: followed.collect(),
            instruments: plan.instruments.clone(),
        }
    }

    /// Goes on where a venue stood: the index of each underlying is taken from the last mark of
    /// its spot or perpetual.
    pub fn continue_from(&mut self, marks: &[(InstrumentId, Ticks)]) {
        for (instrument, path) in self.instruments.iter().zip(&self.followed) {
            let is_index =
                matches!(instrument.kind, InstrumentKind::Spot | InstrumentKind::Perpetual);
            let mark = marks.iter().find(|(id, _)| *id == instrument.id);
            if let (true, Some((_, mark))) = (is_index, mark) {
                let path = &mut self.paths[*path];
                path.index = price_of(*mark, instrument)
                    .clamp(path.level / INDEX_REACH, path.level * INDEX_REACH);
            }
        }
    }

    /// Lets time pass.
    pub fn step(&mut self, elapsed_ns: u64) {
        self.now = Timestamp(self.now.0.saturating_add(elapsed_ns));
        let seconds = years_between(Timestamp(0), Timestamp(elapsed_ns)) * SECONDS_PER_YEAR;
        let wait = if self.is_stressed { STRESS_SECONDS } else { CALM_SECONDS };
        if self.random.chance(1.0 - (-seconds / wait).exp()) {
            self.is_stressed = !self.is_stressed;
        }
        let target = if self.is_stressed { 1.0 } else { 0.0 };
        self.stress += (target - self.stress) * (1.0 - (-seconds / SURFACE_SECONDS).exp());
        let common = self.random.normal();
        let own = self.random.normal();
        let draws = [common, CORRELATION * common + (1.0 - CORRELATION.powi(2)).sqrt() * own];
        for (number, draw) in draws.into_iter().enumerate() {
            let calm = CALM_INDEX_VOLATILITY[number];
            let volatility = calm + (STRESS_INDEX_VOLATILITY[number] - calm) * self.stress;
            let shift_draw = self.random.normal();
            self.paths[number].step(seconds, volatility, draw, shift_draw);
        }
    }

    /// Index of an underlying by its currency code, in quote currency.
    #[must_use]
    pub fn index(&self, code: &str) -> Option<f64> {
        let path = self.paths.iter().find(|path| path.terms.code == code)?;
        Some(path.index)
    }

    /// The future of an expiry and its smile, by the underlying's currency code.
    #[must_use]
    pub fn surface(&self, code: &str, expiry: Timestamp) -> Option<(f64, Smile)> {
        let path = self.paths.iter().find(|path| path.terms.code == code)?;
        Some(self.future(path, expiry))
    }

    /// Follows more instruments from now on.
    pub fn list(&mut self, instruments: &[Instrument]) {
        // The coin of an instrument known already tells which path it follows.
        for listed in instruments {
            let known = self.instruments.iter().position(|known| known.base == listed.base);
            self.followed.push(known.map_or(0, |at| self.followed[at]));
            self.instruments.push(listed.clone());
        }
    }

    /// Forgets dated instruments that expired before a time.
    pub fn delist_before(&mut self, time: Timestamp) {
        let is_live = |listed: &Instrument| listed.expiry().is_none_or(|expiry| expiry > time);
        let keep: Vec<_> = self.instruments.iter().map(is_live).collect();
        let mut kept = keep.iter();
        self.instruments.retain(|_| *kept.next().unwrap_or(&true));
        let mut kept = keep.iter();
        self.followed.retain(|_| *kept.next().unwrap_or(&true));
    }

    /// Expiries of what is followed, by underlying as in [`super::rulebook::UNDERLYINGS`].
    #[must_use]
    pub fn expiries(&self) -> [Vec<Timestamp>; 2] {
        let mut expiries = [BTreeSet::new(), BTreeSet::new()];
        for (listed, path) in self.instruments.iter().zip(&self.followed) {
            expiries[*path].extend(listed.expiry());
        }
        expiries.map(|set| set.into_iter().collect())
    }

    /// How stressed the market is, 0 to 1.
    #[must_use]
    pub fn stress(&self) -> f64 {
        self.stress
    }

    /// Time of these prices.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Mark of every instrument in ticks, at least one; expired ones keep their intrinsic value.
    #[must_use]
    pub fn marks(&self) -> Vec<(InstrumentId, Ticks)> {
        let listed = self.instruments.iter().zip(&self.followed);
        listed
            .map(|(instrument, path)| {
                let price = self.price(instrument, &self.paths[*path]);
                (instrument.id, ticks_of(price, instrument))
            })
            .collect()
    }

    fn price(&self, instrument: &Instrument, path: &Path) -> f64 {
        match instrument.kind {
            InstrumentKind::Spot | InstrumentKind::Perpetual => path.index,
            InstrumentKind::Future { expiry } => self.future(path, expiry).0,
            InstrumentKind::Option { expiry, strike, right } => {
                let (future, smile) = self.future(path, expiry);
                let strike = decimal_to_float(strike.mantissa(), strike.scale());
                let volatility = smile.volatility(future, strike);
                let is_call = right == OptionRight::Call;
                let value = option_value(is_call, future, strike, smile.years, volatility);
                // Inverse options are quoted in coin: value over the future's price.
                value.value / future
            }
        }
    }

    /// The future of an expiry, and the smile there.
    fn future(&self, path: &Path, expiry: Timestamp) -> (f64, Smile) {
        let years = years_between(self.now, expiry);
        let calm = interpolate(&path.terms.calm, years);
        let smile = calm.blend(&interpolate(&path.terms.stress, years), self.stress);
        let smile = Smile { atm: smile.atm + path.shift, years, ..smile };
        (path.index * (smile.basis * years).exp(), smile)
    }
}

impl Path {
    fn step(&mut self, seconds: f64, volatility: f64, draw: f64, shift_draw: f64) {
        let deviation = volatility * (seconds / SECONDS_PER_YEAR).sqrt();
        let back = (self.level / self.index).ln() * (1.0 - (-seconds / LEVEL_SECONDS).exp());
        let moved = self.index * (back - deviation * deviation / 2.0 + deviation * draw).exp();
        self.index = moved.clamp(self.level / INDEX_REACH, self.level * INDEX_REACH);
        let keep = (-seconds / SHIFT_SECONDS).exp();
        let noise = SHIFT_DEVIATION * (1.0 - keep * keep).sqrt() * shift_draw;
        self.shift = (self.shift * keep + noise).clamp(-SHIFT_REACH, SHIFT_REACH);
    }
}

/// `mantissa · 10^-scale` as a float.
#[expect(clippy::cast_precision_loss, reason = "prices and strikes have few digits")]
pub(super) fn decimal_to_float(mantissa: i128, scale: u8) -> f64 {
    mantissa as f64 / 10f64.powi(scale.into())
}

fn tick_size(instrument: &Instrument) -> f64 {
    decimal_to_float(instrument.tick.mantissa(), instrument.tick.scale())
}

/// Price of a number of ticks.
#[expect(clippy::cast_precision_loss, reason = "prices have few digits")]
pub(super) fn price_of(ticks: Ticks, instrument: &Instrument) -> f64 {
    ticks.0 as f64 * tick_size(instrument)
}

/// The nearest whole number of ticks, at least one and at most what an order may ask.
#[expect(clippy::cast_possible_truncation, reason = "clamped below 2^46 first")]
fn ticks_of(price: f64, instrument: &Instrument) -> Ticks {
    let most = 2f64.powi(46);
    Ticks((price / tick_size(instrument)).round().clamp(1.0, most) as i64)
}
