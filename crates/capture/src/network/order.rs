//! In which order endpoints are to be used.

use super::health::{EndpointHealth, Health, Verdict};

/// The endpoints of a chain, best first: by verdict, then by priority, then by how far behind they
/// are, then by latency. Those that must not be used come last; they are in the list so that
/// somebody names them.
#[must_use]
pub fn fail_over<'h>(health: &'h Health, chain: &str) -> Vec<&'h EndpointHealth> {
    let mut order: Vec<&EndpointHealth> =
        health.endpoints.iter().filter(|it| it.chain == chain).collect();
    order.sort_by_key(|it| {
        let lag = if it.verdict == Verdict::Usable { 0 } else { it.lag_blocks.unwrap_or(u64::MAX) };
        let latency = it.measured.latency_us.unwrap_or(u64::MAX);
        (it.verdict, it.priority, lag, latency, it.name.as_str())
    });
    order
}

/// The best head of a chain that can be believed.
#[must_use]
pub fn head_of(health: &Health, chain: &str) -> Option<u64> {
    health.chains.iter().find(|it| it.name == chain)?.head
}
