//! Where a margin comes from: every number that was added, so that it can be added again by hand.

use crate::risk::{ExpiryDelta, ExtraMargin, Leg, RiskMarket, RiskMatrix, RiskModel, RiskSums};

/// One leg's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegShare<I> {
    /// Whose it is: whatever the caller names its instruments by.
    pub id: I,
    /// Position in lots.
    pub lots: i64,
    /// Profit and loss in each scenario, in parts of 10^18 of the settlement currency.
    pub contributions: Vec<i128>,
    /// Delta in base coin, parts of 10^18.
    pub delta: i128,
}

/// A risk matrix taken apart.
///
/// To the last digit: `totals[i] = Σ legs' contributions[i]`; `aggregated[i] = totals[i] +
/// adjustments[i]`; `worst_case = −aggregated[worst_index]` or 0 if that is a profit;
/// `Σ roll_shocks = matrix.roll_shock`; `risk_matrix` is the sum of the matrix's parts; `initial`
/// is that and the extra margin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<I> {
    /// The legs.
    pub legs: Vec<LegShare<I>>,
    /// Their sum in each scenario.
    pub totals: Vec<i128>,
    /// What offsets and dampener changed.
    pub adjustments: Vec<i128>,
    /// What counts.
    pub aggregated: Vec<i128>,
    /// Worst case and contingencies.
    pub matrix: RiskMatrix,
    /// The delta that the delta shock is charged on, base coin, parts of 10^18.
    pub hedged_delta: i128,
    /// The roll shock by expiry.
    pub roll_shocks: Vec<(ExpiryDelta, i128)>,
    /// Sum of the matrix's parts.
    pub risk_matrix: i128,
    /// What initial margin reserves beside it.
    pub extra: ExtraMargin,
    /// Initial margin.
    pub initial: i128,
    /// Maintenance margin.
    pub maintenance: i128,
}

impl<I> Explanation<I> {
    /// Each leg's part of the worst case, in the order of `legs`; with the adjustment there they
    /// add up to `−worst_case`.
    #[must_use]
    pub fn worst_contributions(&self) -> Vec<i128> {
        let at = self.matrix.worst_index;
        self.legs.iter().map(|leg| leg.contributions.get(at).copied().unwrap_or(0)).collect()
    }
}

/// Computes a margin from its legs alone, keeping all parts. Legs without a position are left out.
#[must_use]
pub fn explain<'a, I>(
    model: &RiskModel,
    market: &RiskMarket,
    extra: &ExtraMargin,
    legs: impl IntoIterator<Item = (I, Leg<'a>, i64)>,
) -> Explanation<I> {
    let mut sums = RiskSums::new(model.grid().scenarios());
    let mut shares = Vec::new();
    for (id, leg, lots) in legs {
        if lots == 0 {
            continue;
        }
        sums.add(&leg, lots);
        let times = i128::from(lots);
        let contributions = leg.vector.iter().map(|one| one.saturating_mul(times)).collect();
        let delta = leg.delta.saturating_mul(times);
        shares.push(LegShare { id, lots, contributions, delta });
    }
    let aggregated = model.aggregated(&sums, market);
    let adjustments = aggregated.iter().zip(sums.pnl()).map(|(counts, total)| counts - total);
    let matrix = model.assess(&sums, market);
    let by_expiry = sums.expiries().iter();
    Explanation {
        legs: shares,
        adjustments: adjustments.collect(),
        aggregated,
        matrix,
        hedged_delta: sums.hedged_delta(),
        roll_shocks: by_expiry.map(|group| (*group, model.roll_shock_of(group, market))).collect(),
        risk_matrix: matrix.total(),
        extra: *extra,
        initial: matrix.initial(extra),
        maintenance: matrix.maintenance(model.parameters()),
        totals: sums.pnl().to_vec(),
    }
}
