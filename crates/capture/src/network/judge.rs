//! Who is in sync, who is behind, and who must not be used.
//!
//! At each of the heights that all endpoints of a chain were asked for, one hash is right: the one
//! that every trusted endpoint says; without a trusted one, what more than half of those who
//! answered say. Where neither decides, nobody knows, and nobody is believed.

use std::collections::BTreeMap;

use super::document::{Chain, Document};
use super::health::{ChainHealth, EndpointHealth, Fault, Measured, SharedBlock, Verdict};

/// The heights at which the endpoints of a chain are to be asked for their block: below the lowest
/// head, and below the lowest head of those that are in sync. A stale endpoint alone would
/// otherwise hide that two others differ above it.
#[must_use]
pub fn common_heights(chain: &Chain, measured: &[&Measured]) -> Vec<u64> {
    let heads: Vec<u64> = measured
        .iter()
        .filter(|it| it.chain_id == Some(chain.chain_id))
        .filter_map(|it| it.head)
        .collect();
    let Some(best) = reference_head(&heads, chain.max_lag_blocks) else {
        return Vec::new();
    };
    let in_sync = heads.iter().filter(|head| best.abs_diff(**head) <= chain.max_lag_blocks);
    let mut heights: Vec<u64> = [heads.iter().min(), in_sync.min()]
        .into_iter()
        .flatten()
        .map(|head| head.saturating_sub(chain.settled_blocks))
        .collect();
    heights.dedup();
    heights
}

/// The best head that another endpoint bears out; where none does, the best that is claimed. One
/// endpoint that claims far too much does not make all others stale.
fn reference_head(heads: &[u64], max_lag_blocks: u64) -> Option<u64> {
    let borne_out = |(at, head): &(usize, &u64)| {
        let others = heads.iter().enumerate().filter(|(other, _)| other != at);
        others.into_iter().any(|(_, other)| head.abs_diff(*other) <= max_lag_blocks)
    };
    let best = heads.iter().enumerate().filter(borne_out).map(|(_, head)| *head).max();
    best.or_else(|| heads.iter().copied().max())
}

/// Judges all endpoints of a document; `measured` is by their names, whoever is not in it is down.
#[must_use]
pub fn judge(
    document: &Document,
    measured: &BTreeMap<String, Measured>,
) -> (Vec<EndpointHealth>, Vec<ChainHealth>) {
    let mut endpoints: Vec<EndpointHealth> = document
        .endpoints
        .iter()
        .map(|endpoint| EndpointHealth {
            name: endpoint.name.clone(),
            chain: endpoint.chain.clone(),
            priority: endpoint.priority,
            measured: measured.get(&endpoint.name).cloned().unwrap_or_else(|| Measured {
                error: Some("it was not asked".to_owned()),
                ..Measured::default()
            }),
            ..EndpointHealth::default()
        })
        .collect();
    let chains = document.chains.iter().map(|chain| judge_chain(document, chain, &mut endpoints));
    let chains = chains.collect();
    for endpoint in &mut endpoints {
        endpoint.verdict = verdict(&endpoint.faults);
    }
    (endpoints, chains)
}

fn verdict(faults: &[Fault]) -> Verdict {
    if faults.iter().any(Fault::is_untrue) {
        return Verdict::Quarantined;
    }
    if faults.iter().any(|fault| matches!(fault, Fault::Down { .. })) {
        return Verdict::Down;
    }
    if faults.is_empty() { Verdict::Usable } else { Verdict::Stale }
}

fn judge_chain(
    document: &Document,
    chain: &Chain,
    endpoints: &mut [EndpointHealth],
) -> ChainHealth {
    let mut of_chain: Vec<&mut EndpointHealth> =
        endpoints.iter_mut().filter(|it| it.chain == chain.name).collect();
    for endpoint in &mut of_chain {
        endpoint.faults = faults_alone(chain, &endpoint.measured);
    }
    let is_trusted = |name: &str| document.endpoints.iter().any(|it| it.name == name && it.trusted);
    let mut health = ChainHealth {
        name: chain.name.clone(),
        chain_id: chain.chain_id,
        ..ChainHealth::default()
    };
    let mut heights: Vec<u64> = of_chain
        .iter()
        .filter(|it| it.faults.is_empty())
        .flat_map(|it| it.measured.blocks.keys().copied())
        .collect();
    heights.sort_unstable();
    heights.dedup();
    for height in heights {
        let votes: Vec<Vote<'_>> = of_chain
            .iter()
            .filter(|it| !it.faults.iter().any(Fault::is_untrue))
            .filter_map(|it| {
                let hash = it.measured.blocks.get(&height)?.as_deref()?;
                Some(Vote { hash, trusted: is_trusted(&it.name) })
            })
            .collect();
        let differ = votes.windows(2).any(|pair| pair[0].hash != pair[1].hash);
        health.disagreement |= differ;
        let right = right_hash(&votes).map(str::to_owned);
        if let Some(hash) = &right {
            let said_by = votes.iter().filter(|vote| vote.hash == hash).count();
            health.agreed.push(SharedBlock { height, hash: hash.clone(), said_by });
        }
        for endpoint in &mut of_chain {
            accuse(endpoint, height, right.as_deref(), differ);
        }
    }
    let believed = |it: &&mut EndpointHealth| {
        !it.faults.iter().any(|fault| fault.is_untrue() || matches!(fault, Fault::Down { .. }))
    };
    let heads: Vec<u64> =
        of_chain.iter().filter(|it| believed(it)).filter_map(|it| it.measured.head).collect();
    health.head = reference_head(&heads, chain.max_lag_blocks);
    if let Some(best) = health.head {
        of_chain.into_iter().for_each(|endpoint| judge_head(endpoint, best, chain.max_lag_blocks));
    }
    health
}

fn judge_head(endpoint: &mut EndpointHealth, best: u64, max_lag_blocks: u64) {
    let Some(head) = endpoint.measured.head else { return };
    endpoint.lag_blocks = Some(best.saturating_sub(head));
    if endpoint.faults.iter().any(Fault::is_untrue) {
        return;
    }
    if best.saturating_sub(head) > max_lag_blocks {
        endpoint.faults.push(Fault::Behind { blocks: best - head });
    }
    if head.saturating_sub(best) > max_lag_blocks {
        endpoint.faults.push(Fault::Ahead { blocks: head - best });
    }
}

/// What is wrong with an endpoint, whatever the others say.
fn faults_alone(chain: &Chain, measured: &Measured) -> Vec<Fault> {
    let mut faults = Vec::new();
    if measured.tls_mismatch {
        let found = measured.spki_sha256.clone().unwrap_or_default();
        faults.push(Fault::TlsPin { found });
    }
    if measured.dns_mismatch {
        faults.push(Fault::DnsPin);
    }
    if let Some(found) = measured.chain_id.filter(|found| *found != chain.chain_id) {
        faults.push(Fault::WrongChain { expected: chain.chain_id, found });
    }
    match &measured.error {
        Some(why) if faults.is_empty() => faults.push(Fault::Down { why: why.clone() }),
        None if measured.chain_id.is_none() || measured.head.is_none() => {
            let why = "it says neither its chain nor its head".to_owned();
            faults.push(Fault::Down { why });
        }
        _ => {}
    }
    faults
}

struct Vote<'h> {
    hash: &'h str,
    trusted: bool,
}

fn right_hash<'h>(votes: &[Vote<'h>]) -> Option<&'h str> {
    let mut trusted = votes.iter().filter(|vote| vote.trusted).map(|vote| vote.hash);
    if let Some(first) = trusted.next() {
        return trusted.all(|hash| hash == first).then_some(first);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for vote in votes {
        *counts.entry(vote.hash).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.filter(|(_, count)| count * 2 > votes.len()).map(|(hash, _)| hash)
}

fn accuse(endpoint: &mut EndpointHealth, height: u64, right: Option<&str>, differ: bool) {
    let is_barred = endpoint
        .faults
        .iter()
        .any(|fault| fault.is_untrue() || matches!(fault, Fault::Down { .. }));
    let Some(said) = endpoint.measured.blocks.get(&height).filter(|_| !is_barred) else {
        return;
    };
    let fault = match (said, right) {
        (None, _) if endpoint.measured.head.is_some_and(|head| head >= height) => {
            Fault::NoBlock { height }
        }
        (Some(found), Some(expected)) if found != expected => {
            Fault::OtherHistory { height, found: found.clone(), expected: expected.to_owned() }
        }
        (Some(_), None) if differ => Fault::Undecided { height },
        _ => return,
    };
    endpoint.faults.push(fault);
}
