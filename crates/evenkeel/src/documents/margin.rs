//! Margin.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `margin simulate --json`. Amounts are in the index's settlement currency.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "margin_simulation")]
pub struct MarginSimulationDocument {
    /// The simulated moment.
    pub time: String,
    /// The numbers of the only index; all `null` if the position spans several.
    #[serde(flatten)]
    pub total: MarginNumbers,
    /// The same numbers for each index of the position, by its name.
    pub indices: BTreeMap<String, MarginNumbers>,
    /// What the indices of a correlation set need together; `null` unless two of them have one.
    pub correlation: Option<CorrelationDocument>,
}

/// The margin of one index and every number that it is made of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MarginNumbers {
    /// Each instrument's profit and loss by price bucket, lowest price first: the worst of its
    /// volatility columns, which are equal for futures.
    pub standard_by_bucket: Option<BTreeMap<String, Vec<String>>>,
    /// Each instrument's profit and loss in the extended moves.
    pub extended: Option<BTreeMap<String, Vec<String>>>,
    /// What counts by price bucket: sums after offsets, the worst volatility column of each.
    pub aggregated_standard: Option<Vec<String>>,
    /// What counts in the extended moves: sums after offsets and dampener.
    pub aggregated_extended: Option<Vec<String>>,
    /// Loss in the worst scenario.
    pub worst_case: Option<String>,
    /// Which scenario: volatility columns per bucket · bucket + column, extended ones behind.
    pub worst_case_index: Option<u64>,
    /// Charged for a large delta.
    pub delta_shock: Option<String>,
    /// Charged for what must be rolled.
    pub roll_shock: Option<String>,
    /// Charged for indices that part; 0 for an index alone.
    pub correlation_contingency: Option<String>,
    /// Worst case, shocks and contingency.
    pub risk_matrix_margin: Option<String>,
    /// Reserved for spot balances.
    pub spot_margin: Option<String>,
    /// Reserved for market-maker protection.
    pub mmp_margin: Option<String>,
    /// Reserved for resting orders.
    pub open_orders_margin: Option<String>,
    /// Risk matrix and reserves.
    pub initial_margin: Option<String>,
    /// `mm_factor` of the risk matrix.
    pub maintenance_margin: Option<String>,
    /// The delta that the delta shock looks at, in base coin.
    pub hedged_delta: Option<String>,
    /// The roll shock by expiry.
    pub roll_shocks: Option<Vec<RollShockDocument>>,
    /// Each instrument's profit and loss in every scenario.
    pub initial_risk_vectors: Option<BTreeMap<String, RiskVectorDocument>>,
    /// Their sums.
    pub pre_aggregated_risk_vectors: Option<RiskVectorDocument>,
    /// What of the sums counts.
    pub aggregated_risk_vectors: Option<RiskVectorDocument>,
}

/// Every scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RiskVectorDocument {
    /// Price buckets from the lowest, each with its volatility columns: down, unchanged, up.
    pub standard: Vec<String>,
    /// Moves of −66, −33, +50, +100, +200, +300, +400 and +500 %, volatility up.
    pub extended: Vec<String>,
}

/// The roll shock of one expiry.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RollShockDocument {
    /// When; `null` for perpetuals.
    pub expiry: Option<String>,
    /// Net delta in base coin.
    pub delta: String,
    /// What is charged.
    pub roll_shock: String,
}

/// Indices that move together, in quote currency.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CorrelationDocument {
    /// Their names.
    pub indices: Vec<String>,
    /// Loss of all in their worst common scenario.
    pub worst_case: String,
    /// Which scenario.
    pub worst_case_index: u64,
    /// What they may lose beyond it if each is one price bucket off.
    pub correlation_contingency: String,
    /// The sum of each one's own worst case.
    pub separate_worst_case: String,
}
