//! Indices that move together: the worst case of a whole set instead of the sum of each one's own.
//!
//! Nothing of this is published beyond the names `correlation_set` and `correlation_contingency`;
//! what is done here was chosen. Members share each scenario, so a profit of one relieves the loss
//! of another as far as `pnl_offset` lets it count. Against moves that are not quite equal, the
//! contingency lets every member be one price bucket off, each in its own worst direction.

use crate::portfolio::PRICE_ONE;
use crate::ratio::{Rounding, mul_div};
use crate::risk::{RiskMarket, RiskModel};
use crate::scenarios::Settlement;
use thiserror::Error;

/// One index of a set.
#[derive(Debug, Clone, Copy)]
pub struct SetMember<'a> {
    /// Its model.
    pub model: &'a RiskModel,
    /// Its market: results in coin are turned into quote currency at the index price.
    pub market: &'a RiskMarket,
    /// Its totals as they count, from [`RiskModel::aggregated`].
    pub aggregated: &'a [i128],
}

impl SetMember<'_> {
    fn quoted(&self, scenario: usize) -> i128 {
        let result = self.aggregated.get(scenario).copied().unwrap_or(0);
        match self.market.settlement {
            Settlement::Quote => result,
            Settlement::Coin => {
                mul_div(result, self.market.index_price, PRICE_ONE, Rounding::Floor)
            }
        }
    }

    /// The worst of a standard scenario and the same column one bucket away on either side.
    fn nearby(&self, scenario: usize) -> i128 {
        let (columns, standard) = (self.model.grid().columns(), self.model.grid().standard());
        let mut worst = self.quoted(scenario);
        if scenario >= standard {
            return worst;
        }
        if scenario >= columns {
            worst = worst.min(self.quoted(scenario - columns));
        }
        if scenario + columns < standard {
            worst = worst.min(self.quoted(scenario + columns));
        }
        worst
    }
}

/// The risk of a set, in parts of 10^18 of the quote currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetRisk {
    /// Loss of all members in their worst common scenario.
    pub worst_case: i128,
    /// Which scenario.
    pub worst_index: usize,
    /// What members that part by one bucket may lose beyond it; never more than `separate` leaves.
    pub correlation_contingency: i128,
    /// Sum of each member's own worst case: what the set needs if nothing is correlated.
    pub separate: i128,
}

/// The members' scenarios are not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the indices of a correlation set need the same buckets_count and vol_scenarios_count")]
pub struct UnequalGrids;

/// The risk of the members together.
///
/// # Errors
/// [`UnequalGrids`].
pub fn set_risk(members: &[SetMember<'_>]) -> Result<SetRisk, UnequalGrids> {
    let Some(first) = members.first() else {
        let nothing =
            SetRisk { worst_case: 0, worst_index: 0, correlation_contingency: 0, separate: 0 };
        return Ok(nothing);
    };
    let grid = first.model.grid();
    let shape = (grid.columns(), grid.standard());
    if members.iter().any(|of| (of.model.grid().columns(), of.model.grid().standard()) != shape) {
        return Err(UnequalGrids);
    }
    let sum =
        |of: &dyn Fn(&SetMember<'_>) -> i128| members.iter().map(of).fold(0, i128::saturating_add);
    let common: Vec<i128> = (0..grid.scenarios()).map(|at| sum(&|of| of.quoted(at))).collect();
    let (worst_index, worst_case) = first.model.worst(&common);
    let parted = (0..grid.scenarios()).map(|at| sum(&|of| of.nearby(at)));
    let parted = parted.fold(0, i128::min).saturating_neg();
    let separate = sum(&|of| {
        let own = (0..grid.scenarios()).map(|at| of.quoted(at));
        own.fold(0, i128::min).saturating_neg()
    });
    let correlation_contingency = parted.min(separate).saturating_sub(worst_case).max(0);
    Ok(SetRisk { worst_case, worst_index, correlation_contingency, separate })
}
