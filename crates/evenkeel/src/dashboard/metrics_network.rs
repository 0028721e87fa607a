//! Metrics of the network: one time series for each endpoint, chain, name and exchange.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::metrics::{Float, Labels, flag, float};
use crate::documents::{NetworkCheckDocument, SiteState, StatusDocument};

pub(super) fn network(registry: &mut Registry, status: &StatusDocument) {
    sites(registry, status);
    let Some(network) = &status.network else {
        return;
    };
    endpoints(registry, network);
    share_drills(registry, network);
    let differ = Family::<Labels, Gauge>::default();
    let heads = Family::<Labels, Float>::default();
    for chain in &network.chains {
        let labels = vec![("chain", chain.name.clone())];
        differ.get_or_create(&labels).set(i64::from(chain.disagreement));
        if let Some(head) = chain.head {
            heads.get_or_create(&labels).set(float(head));
        }
    }
    let help = "1 if endpoints of the chain have different blocks at one height";
    registry.register("network_disagreement", help, differ);
    registry.register("network_head", "Best head of the chain that can be believed", heads);
    let pinned = Family::<Labels, Gauge>::default();
    for name in &network.dns {
        let fits = name.error.is_none() && name.unexpected.is_empty();
        pinned.get_or_create(&vec![("name", name.name.clone())]).set(i64::from(fits));
    }
    registry.register("network_name_as_pinned", "1 if the name resolves as pinned", pinned);
    let exchanges = Family::<Labels, Gauge>::default();
    for exchange in &network.exchanges {
        let labels = vec![("exchange", exchange.name.clone())];
        exchanges.get_or_create(&labels).set(i64::from(exchange.error.is_none()));
    }
    registry.register("network_exchange_up", "1 if the exchange's server serves", exchanges);
}

fn endpoints(registry: &mut Registry, network: &NetworkCheckDocument) {
    let up = Family::<Labels, Float>::default();
    let barred = Family::<Labels, Float>::default();
    let latency = Family::<Labels, Float>::default();
    let lag = Family::<Labels, Float>::default();
    for endpoint in &network.endpoints {
        let labels = vec![("chain", endpoint.chain.clone()), ("endpoint", endpoint.name.clone())];
        up.get_or_create(&labels).set(flag(endpoint.verdict == "usable"));
        barred.get_or_create(&labels).set(flag(endpoint.verdict == "quarantined"));
        if let Some(seconds) = endpoint.latency_seconds {
            latency.get_or_create(&labels).set(seconds);
        }
        if let Some(blocks) = endpoint.lag_blocks {
            lag.get_or_create(&labels).set(float(blocks));
        }
    }
    let help = "1 if the endpoint is in sync and can be used";
    registry.register("network_endpoint_up", help, up);
    let help = "1 if the endpoint must not be used: another chain, history, key or address";
    registry.register("network_endpoint_quarantined", help, barred);
    let help = "How long the endpoint takes for an answer";
    registry.register_with_unit("network_endpoint_latency", help, Unit::Seconds, latency);
    let help = "Blocks behind the best head that can be believed";
    registry.register("network_endpoint_head_lag_blocks", help, lag);
}

/// The cards of keys: of each, how long ago its holder proved it, and whether that is too long.
fn share_drills(registry: &mut Registry, network: &NetworkCheckDocument) {
    let age = Family::<Labels, Float>::default();
    let due = Family::<Labels, Gauge>::default();
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    for key in &network.keys {
        for card in &key.cards {
            let labels = vec![
                ("key", key.name.clone()),
                ("holder", said(&card.holder)),
                ("card", card.card.clone()),
            ];
            age.get_or_create(&labels).set(card.age_seconds);
            due.get_or_create(&labels).set(i64::from(card.due));
        }
    }
    let help = "How long ago the card was proven; never drilled: since its record was made";
    registry.register_with_unit("share_drill_age", help, Unit::Seconds, age);
    registry.register("share_drill_due", "1 if that is longer than the key's stale_days", due);
}

/// The sites of its versions, beside `site_up` and `site_healthy`, which are the state's.
fn sites(registry: &mut Registry, status: &StatusDocument) {
    let up = Family::<Labels, Gauge>::default();
    let healthy = Family::<Labels, Gauge>::default();
    for site in &status.network_sites {
        let labels = vec![("site", site.name.clone())];
        let answers = !matches!(site.state, SiteState::Down | SiteState::Unknown);
        up.get_or_create(&labels).set(i64::from(answers));
        let whole = answers && site.state != SiteState::Damaged;
        healthy.get_or_create(&labels).set(i64::from(whole));
    }
    registry.register("network_site_up", "1 if the site of the network answers", up);
    let help = "1 if it answers and nothing is wrong there";
    registry.register("network_site_healthy", help, healthy);
}
