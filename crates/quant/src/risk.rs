//! From legs to a risk matrix: sums kept up fill by fill, the worst scenario, contingencies.

use crate::portfolio::{
    ATTO, EXTENDED_MOVES, NANO, PRICE_ONE, ParameterError, PortfolioParameters, YEAR_MS,
};
use crate::ratio::{Rounding, mul_div};
use crate::scenarios::{Grid, Settlement, accumulate};

/// One leg, per lot.
#[derive(Debug, Clone, Copy)]
pub struct Leg<'a> {
    /// Its vector from [`crate::scenarios::Grid`].
    pub vector: &'a [i128],
    /// Black-76 delta of a lot, in base coin, parts of 10^18; of a future its size.
    pub delta: i128,
    /// When it expires, milliseconds; none for a perpetual.
    pub expiry_ms: Option<u64>,
    /// Whether it is an option, which an owner can simply let expire.
    pub is_option: bool,
}

/// Net delta of what expires together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiryDelta {
    /// When; none for perpetuals.
    pub expiry_ms: Option<u64>,
    /// Net delta in base coin, parts of 10^18.
    pub delta: i128,
    /// Legs that make it; a group without legs is dropped.
    pub legs: u32,
}

/// Sums over the legs of one account in one index and settlement currency. Equal legs give equal
/// sums, bit for bit, whatever was added and removed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskSums {
    pnl: Vec<i128>,
    long_options: i128,
    others: i128,
    expiries: Vec<ExpiryDelta>,
}

impl RiskSums {
    /// No legs.
    #[must_use]
    pub fn new(scenarios: usize) -> Self {
        Self { pnl: vec![0; scenarios], long_options: 0, others: 0, expiries: Vec::new() }
    }

    /// Profit and loss per scenario before any offset.
    #[must_use]
    pub fn pnl(&self) -> &[i128] {
        &self.pnl
    }

    /// Net deltas, ascending by expiry; perpetuals first.
    #[must_use]
    pub fn expiries(&self) -> &[ExpiryDelta] {
        &self.expiries
    }

    /// Net delta in base coin, parts of 10^18.
    #[must_use]
    pub fn net_delta(&self) -> i128 {
        self.long_options.saturating_add(self.others)
    }

    /// The position in a leg goes from one number of lots to another. Costs one pass over the leg.
    pub fn change(&mut self, leg: &Leg<'_>, from_lots: i64, to_lots: i64) {
        accumulate(&mut self.pnl, leg.vector, to_lots.saturating_sub(from_lots));
        self.add_delta(leg, from_lots, -1);
        self.add_delta(leg, to_lots, 1);
    }

    /// Takes in a leg of so many lots.
    pub fn add(&mut self, leg: &Leg<'_>, lots: i64) {
        self.change(leg, 0, lots);
    }

    fn add_delta(&mut self, leg: &Leg<'_>, lots: i64, sign: i128) {
        if lots == 0 {
            return;
        }
        let delta = leg.delta.saturating_mul(i128::from(lots)).saturating_mul(sign);
        let group =
            if leg.is_option && lots > 0 { &mut self.long_options } else { &mut self.others };
        *group = group.saturating_add(delta);
        let place = self.expiries.binary_search_by_key(&leg.expiry_ms, |group| group.expiry_ms);
        let at = place.unwrap_or_else(|at| {
            let group = ExpiryDelta { expiry_ms: leg.expiry_ms, delta: 0, legs: 0 };
            self.expiries.insert(at, group);
            at
        });
        let group = &mut self.expiries[at];
        group.delta = group.delta.saturating_add(delta);
        group.legs = if sign > 0 { group.legs + 1 } else { group.legs.saturating_sub(1) };
        if group.legs == 0 {
            self.expiries.remove(at);
        }
    }

    /// The delta that would have to be hedged: long options may relieve the rest, never add to it,
    /// because nobody has to sell them.
    #[must_use]
    pub fn hedged_delta(&self) -> i128 {
        let net = self.net_delta();
        if self.others < 0 { net.max(self.others).min(0) } else { net.min(self.others).max(0) }
    }
}

/// What turns sums into margin beside the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskMarket {
    /// What the legs are paid in.
    pub settlement: Settlement,
    /// Index price, parts of 10^10; above 0.
    pub index_price: i128,
    /// The moment, milliseconds.
    pub now_ms: u64,
}

impl RiskMarket {
    /// Quote currency (billionths) as settlement currency, rounded down.
    fn settled(&self, quote_nano: i128) -> i128 {
        let quote = quote_nano.saturating_mul(ATTO / i128::from(NANO));
        match self.settlement {
            Settlement::Quote => quote,
            Settlement::Coin => mul_div(quote, PRICE_ONE, self.index_price.max(1), Rounding::Floor),
        }
    }

    /// Base coin as settlement currency, rounded up.
    fn charged(&self, coin: i128) -> i128 {
        match self.settlement {
            Settlement::Coin => coin,
            Settlement::Quote => mul_div(coin, self.index_price, PRICE_ONE, Rounding::Ceiling),
        }
    }
}

/// The risk of one account in one index and settlement currency, in parts of 10^18 of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RiskMatrix {
    /// Loss in the worst scenario, 0 or more.
    pub worst_case: i128,
    /// Which scenario: `columns · bucket + column`, then the extended ones.
    pub worst_index: usize,
    /// Against hedging a large delta in a thin market.
    pub delta_shock: i128,
    /// Against basis moves: what must be rolled or hedged expiry by expiry.
    pub roll_shock: i128,
    /// Against indices of one set that part from each other; 0 for an index alone.
    pub correlation_contingency: i128,
}

impl RiskMatrix {
    /// The sum of its parts.
    #[must_use]
    pub fn total(&self) -> i128 {
        self.worst_case
            .saturating_add(self.delta_shock)
            .saturating_add(self.roll_shock)
            .saturating_add(self.correlation_contingency)
    }

    /// Maintenance margin: `mm_factor` of the total, rounded up.
    #[must_use]
    pub fn maintenance(&self, parameters: &PortfolioParameters) -> i128 {
        nano_of(self.total(), parameters.mm_factor, Rounding::Ceiling)
    }

    /// Initial margin: the total and what else is reserved.
    #[must_use]
    pub fn initial(&self, extra: &ExtraMargin) -> i128 {
        self.total()
            .saturating_add(extra.spot)
            .saturating_add(extra.market_maker)
            .saturating_add(extra.open_orders)
    }
}

/// What initial margin reserves beside the risk matrix, in parts of 10^18 of the currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtraMargin {
    /// For spot balances and debts.
    pub spot: i128,
    /// For market-maker protection groups.
    pub market_maker: i128,
    /// For resting orders.
    pub open_orders: i128,
}

/// One set of parameters, checked, and what is computed of it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskModel {
    parameters: PortfolioParameters,
    grid: Grid,
}

impl RiskModel {
    /// Checks the parameters.
    ///
    /// # Errors
    /// A parameter is out of bounds.
    pub fn new(parameters: &PortfolioParameters) -> Result<Self, ParameterError> {
        Ok(Self { parameters: *parameters, grid: Grid::new(parameters)? })
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &PortfolioParameters {
        &self.parameters
    }

    /// The scenarios.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// A scenario's total as it counts: profits by `pnl_offset` and up to `max_offsetable_pnl`,
    /// extended ones also nearer to zero by the dampener.
    #[must_use]
    pub fn counted(&self, scenario: usize, total: i128, market: &RiskMarket) -> i128 {
        let limits = Limits::of(&self.parameters, market);
        match scenario.checked_sub(self.grid.standard()) {
            None => limits.offset(total),
            Some(extended) => limits.damped(total, extended),
        }
    }

    /// Every scenario's total as it counts.
    #[must_use]
    pub fn aggregated(&self, sums: &RiskSums, market: &RiskMarket) -> Vec<i128> {
        let limits = Limits::of(&self.parameters, market);
        let (standard, extended) = sums.pnl.split_at(self.grid.standard().min(sums.pnl.len()));
        let standard = standard.iter().map(|total| limits.offset(*total));
        let extended = extended.iter().enumerate().map(|(at, total)| limits.damped(*total, at));
        standard.chain(extended).collect()
    }

    /// The risk matrix. Allocates nothing.
    #[must_use]
    pub fn assess(&self, sums: &RiskSums, market: &RiskMarket) -> RiskMatrix {
        let limits = Limits::of(&self.parameters, market);
        let mut worst = Worst::new(&self.grid);
        for (at, total) in sums.pnl.iter().enumerate() {
            // A profit is never the worst, and the dampener only ever takes from a loss.
            if *total >= worst.result && at >= self.grid.standard() {
                continue;
            }
            match at.checked_sub(self.grid.standard()) {
                None => worst.see(at, *total),
                Some(extended) => worst.see(at, limits.damped(*total, extended)),
            }
        }
        RiskMatrix {
            worst_case: worst.result.saturating_neg(),
            worst_index: worst.index,
            delta_shock: self.delta_shock(sums, market),
            roll_shock: self.roll_shock(sums, market),
            correlation_contingency: 0,
        }
    }

    /// The loss in the worst scenario, 0 or more, with something added to each scenario's total.
    #[must_use]
    pub fn worst_with(
        &self,
        sums: &RiskSums,
        added: impl Iterator<Item = i128>,
        market: &RiskMarket,
    ) -> i128 {
        let limits = Limits::of(&self.parameters, market);
        let mut worst = 0;
        for (at, (total, more)) in sums.pnl.iter().zip(added).enumerate() {
            let total = total.saturating_add(more);
            // Neither offset nor dampener makes a result worse than it is.
            if total >= worst {
                continue;
            }
            let counts = match at.checked_sub(self.grid.standard()) {
                None => limits.offset(total),
                Some(extended) => limits.damped(total, extended),
            };
            worst = worst.min(counts);
        }
        worst.saturating_neg()
    }

    /// The worst of counted totals: where, and the loss.
    #[must_use]
    pub fn worst(&self, aggregated: &[i128]) -> (usize, i128) {
        let mut worst = Worst::new(&self.grid);
        for (at, total) in aggregated.iter().enumerate() {
            worst.see(at, *total);
        }
        (worst.index, worst.result.saturating_neg())
    }

    /// `|delta| · min(max_delta_shock, m_inc · coins above the threshold)`.
    #[must_use]
    pub fn delta_shock(&self, sums: &RiskSums, market: &RiskMarket) -> i128 {
        let delta = sums.hedged_delta().saturating_abs();
        let threshold = self.parameters.delta_total_liq_shock_threshold;
        let threshold = RiskMarket { settlement: Settlement::Coin, ..*market }.settled(threshold);
        let excess = delta.saturating_sub(threshold);
        if excess <= 0 {
            return 0;
        }
        let rate = mul_div(excess, self.parameters.m_inc.into(), ATTO, Rounding::Ceiling);
        let rate = rate.min(self.parameters.max_delta_shock.into());
        market.charged(mul_div(delta, rate, NANO.into(), Rounding::Ceiling))
    }

    /// `Σ |delta of the expiry| · max(min_annualised_move, annualised_move_risk · years)`.
    #[must_use]
    pub fn roll_shock(&self, sums: &RiskSums, market: &RiskMarket) -> i128 {
        let shocks = sums.expiries.iter().map(|group| self.roll_shock_of(group, market));
        shocks.fold(0, i128::saturating_add)
    }

    /// The part of one expiry.
    #[must_use]
    pub fn roll_shock_of(&self, group: &ExpiryDelta, market: &RiskMarket) -> i128 {
        let left_ms = group.expiry_ms.map_or(0, |expiry| expiry.saturating_sub(market.now_ms));
        let per_year = i128::from(self.parameters.annualised_move_risk);
        let move_risk = mul_div(per_year, left_ms.into(), YEAR_MS, Rounding::Ceiling);
        let rate = move_risk.max(self.parameters.min_annualised_move.into());
        let delta = group.delta.saturating_abs();
        market.charged(mul_div(delta, rate, NANO.into(), Rounding::Ceiling))
    }
}

/// Bounds on what a scenario's total counts for, in settlement currency.
struct Limits<'a> {
    parameters: &'a PortfolioParameters,
    market: &'a RiskMarket,
}

impl<'a> Limits<'a> {
    fn of(parameters: &'a PortfolioParameters, market: &'a RiskMarket) -> Self {
        Self { parameters, market }
    }

    fn offset(&self, total: i128) -> i128 {
        if total <= 0 {
            return total;
        }
        let share = nano_of(total, self.parameters.pnl_offset, Rounding::Floor);
        match self.parameters.max_offsetable_pnl {
            0 => share,
            most => share.min(self.market.settled(most)),
        }
    }

    fn damped(&self, total: i128, extended: usize) -> i128 {
        let total = self.offset(total);
        let dampener = self.dampener(extended);
        if total < 0 { total.saturating_add(dampener).min(0) } else { (total - dampener).max(0) }
    }

    /// `extended_dampener · (|move| / price_range − 1)` of quote currency, in settlement currency
    /// at the edge's price, which is where extended results count.
    fn dampener(&self, extended: usize) -> i128 {
        let of = EXTENDED_MOVES.get(extended).map_or(0, |of| i128::from(*of));
        let range = i128::from(self.parameters.price_range);
        let beyond = of.abs() - range;
        if beyond <= 0 {
            return 0;
        }
        let full = self.market.settled(self.parameters.extended_dampener);
        let full = mul_div(full, beyond, range, Rounding::Floor);
        match self.market.settlement {
            Settlement::Quote => full,
            Settlement::Coin => {
                let one = i128::from(NANO);
                mul_div(full, one, one + of.signum() * range, Rounding::Floor)
            }
        }
    }
}

/// Keeps the worst result. Among equal ones: the lowest price bucket, in it the middle column
/// (volatility unchanged), then the lowest column; extended moves last. Without any loss it is the
/// middle of the lowest bucket.
struct Worst<'a> {
    result: i128,
    index: usize,
    grid: &'a Grid,
}

impl<'a> Worst<'a> {
    fn new(grid: &'a Grid) -> Self {
        Self { result: 0, index: grid.columns() / 2, grid }
    }

    fn see(&mut self, index: usize, result: i128) {
        let columns = self.grid.columns();
        let preferred = index < self.grid.standard()
            && index / columns == self.index / columns
            && index % columns == columns / 2;
        if result < self.result || (result == self.result && preferred) {
            (self.result, self.index) = (result, index);
        }
    }
}

/// `value · rate` with the rate in billionths.
fn nano_of(value: i128, rate: i64, rounding: Rounding) -> i128 {
    mul_div(value, rate.into(), NANO.into(), rounding)
}
