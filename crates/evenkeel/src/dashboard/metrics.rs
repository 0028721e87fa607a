//! `/metrics` in the OpenMetrics text format.
//!
//! Names follow the Prometheus naming guide: the prefix `evenkeel_`, base units, `_total` for
//! counters, `_timestamp_seconds` for moments. What has no value yet is absent rather than 0.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::documents::{
    DrillDocument, DrillLevel, ModeName, Outcome, Severity, SiteState, SourceState, StatusDocument,
    TailState,
};

use super::publish::Snapshot;

/// Of the format that [`encode`] writes.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) type Labels = Vec<(&'static str, String)>;
pub(super) type Float = Gauge<f64, AtomicU64>;

/// Drills seen since the start, by level and result. The history itself is bounded, so counting it
/// anew would run backwards.
#[derive(Debug, Clone, Default)]
pub(super) struct DrillTally {
    counts: BTreeMap<(DrillLevel, &'static str), u64>,
    last_id: Option<String>,
}

impl DrillTally {
    /// Counts what is new in `drills`, newest last.
    pub(super) fn count(&mut self, drills: &[DrillDocument]) {
        let known = self.last_id.as_ref();
        let seen = known.and_then(|id| drills.iter().rposition(|drill| drill.id == *id));
        for drill in drills.iter().skip(seen.map_or(0, |index| index + 1)) {
            *self.counts.entry((drill.level, drill.result.word())).or_default() += 1;
        }
        if let Some(last) = drills.last() {
            self.last_id = Some(last.id.clone());
        }
    }
}

/// All metrics of `snapshot`.
pub(super) fn encode(snapshot: &Snapshot) -> String {
    let mut registry = Registry::with_prefix("evenkeel");
    let status = &snapshot.status;
    build(&mut registry, status);
    proofs(&mut registry, snapshot);
    journal(&mut registry, status);
    tail(&mut registry, status);
    sites(&mut registry, status);
    points(&mut registry, status);
    sources(&mut registry, status);
    super::metrics_network::network(&mut registry, status);
    approvals(&mut registry, status);
    engine(&mut registry, status);
    failovers(&mut registry, status);
    standbys(&mut registry, status);
    conditions(&mut registry, snapshot);
    let mut text = String::new();
    // Writing to a string does not fail; an unfinished text lacks its `# EOF` and is refused by
    // the scraper rather than believed.
    let _ = encode_text(&mut text, &registry);
    text
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let metric = Float::default();
    metric.set(value);
    registry.register(name, help, metric);
}

fn gauge_with(registry: &mut Registry, name: &str, help: &str, unit: Unit, value: f64) {
    let metric = Float::default();
    metric.set(value);
    registry.register_with_unit(name, help, unit, metric);
}

/// Positions and counts stay below 2^53, where f64 is exact.
#[expect(clippy::cast_precision_loss, reason = "a metric is a float by definition")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

pub(super) fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

fn build(registry: &mut Registry, status: &StatusDocument) {
    let info = Family::<Labels, Gauge>::default();
    info.get_or_create(&vec![("version", status.version.clone())]).set(1);
    registry.register("build_info", "Version of the program", info);
    if let Some(uptime) = status.uptime_seconds {
        gauge_with(registry, "uptime", "Time since the daemon started", Unit::Seconds, uptime);
    }
}

fn proofs(registry: &mut Registry, snapshot: &Snapshot) {
    let status = &snapshot.status;
    if let Some(proven) = &status.last_proven_restore {
        let help = "Age of the last proven restore (drill at D3 or D4, result ok)";
        let age = proven.age_seconds + snapshot.taken.elapsed().as_secs_f64();
        gauge_with(registry, "last_proven_restore_age", help, Unit::Seconds, age);
        let wall = snapshot.taken_wall.duration_since(SystemTime::UNIX_EPOCH);
        let moment = wall.unwrap_or_default().as_secs_f64() - proven.age_seconds;
        let help = "When the last proven restore ended, Unix time";
        gauge_with(registry, "last_proven_restore_timestamp", help, Unit::Seconds, moment);
        let help = "How long the last proven restore took (RTO)";
        let took = proven.rto_seconds;
        gauge_with(registry, "last_proven_restore_duration", help, Unit::Seconds, took);
    }
    if let Some(last) = &status.last_drill {
        let ok = flag(last.result == Outcome::Ok);
        gauge(registry, "last_drill_success", "1 if the last drill of any level was ok", ok);
        let help = "Age of the last drill of any level and result";
        gauge_with(registry, "last_drill_age", help, Unit::Seconds, last.age_seconds);
    }
    if let Some(interval) = status.drill_interval_seconds {
        let help = "Time between scheduled drills";
        gauge_with(registry, "drill_interval", help, Unit::Seconds, interval);
    }
    let drills = Family::<Labels, Counter>::default();
    // Present from the start, so that a rate sees the first failure.
    for result in [Outcome::Ok, Outcome::Failed, Outcome::Unproven] {
        drop(drills.get_or_create(&drill_labels(DrillLevel::D3, result.word())));
    }
    for ((level, result), count) in &snapshot.tally.counts {
        drills.get_or_create(&drill_labels(*level, result)).inc_by(*count);
    }
    registry.register("drills", "Drills seen since the start, by level and result", drills);
}

fn drill_labels(level: DrillLevel, result: &'static str) -> Labels {
    vec![("level", level.word().to_owned()), ("result", result.to_owned())]
}

fn journal(registry: &mut Registry, status: &StatusDocument) {
    let journal = &status.journal;
    let position = float(journal.position);
    gauge(registry, "journal_position", "Position of the next entry", position);
    let durable = float(journal.durable_position);
    gauge(registry, "journal_durable_position", "Entries below it are durable here", durable);
    gauge(registry, "journal_term", "Fencing number of the primary", float(journal.term));
    let help = "Size of the journal on this host";
    gauge_with(registry, "journal_size", help, Unit::Bytes, float(journal.bytes));
    if let Some(p99) = journal.ack_p99_seconds {
        let help = "Latency of an acknowledgement, 99th percentile of the last few seconds";
        gauge_with(registry, "journal_ack_p99", help, Unit::Seconds, p99);
    }
    if let Some(age) = journal.scrub.age_seconds {
        let help = "Age of the last time that the whole journal was read again";
        gauge_with(registry, "journal_scrub_age", help, Unit::Seconds, age);
        let problems = float(journal.scrub.problems);
        gauge(registry, "journal_scrub_problems", "Damaged places found then", problems);
    }
    let entries = Counter::<u64>::default();
    entries.inc_by(journal.position);
    registry.register("journal_entries", "Entries written in this lineage", entries);
    let modes = Family::<Labels, Gauge>::default();
    for mode in [
        ModeName::Starting,
        ModeName::Normal,
        ModeName::CancelOnly,
        ModeName::Auction,
        ModeName::ReduceOnly,
        ModeName::WithdrawOnly,
        ModeName::Halted,
    ] {
        let labels = vec![("mode", mode.word().to_owned())];
        modes.get_or_create(&labels).set(i64::from(mode == status.mode));
    }
    registry.register("mode", "1 for the mode in force", modes);
}

fn tail(registry: &mut Registry, status: &StatusDocument) {
    let tail = &status.tail;
    let confirmed = flag(tail.state == TailState::Confirmed);
    gauge(registry, "tail_confirmed", "1 if the sites hold no more than this host", confirmed);
    let shipped = float(tail.shipped_position);
    gauge(registry, "tail_shipped_position", "Entries below it are on k sites", shipped);
    let help = "Age of the oldest acknowledged entry that is not on k sites";
    gauge_with(registry, "sites_rpo", help, Unit::Seconds, tail.rpo.seconds);
    let help = "Promised bound of evenkeel_sites_rpo_seconds";
    gauge_with(registry, "sites_rpo_target", help, Unit::Seconds, tail.rpo.target_seconds);
    let entries = float(tail.rpo.entries);
    gauge(registry, "sites_rpo_entries", "Acknowledged entries not on k sites", entries);
    let help = "Bytes waiting on this host for a site";
    gauge_with(registry, "spool", help, Unit::Bytes, float(tail.spool_bytes));
    if let Some(limit) = tail.spool_limit_bytes {
        let help = "Bound of evenkeel_spool_bytes, beyond which the venue is cancel-only";
        gauge_with(registry, "spool_limit", help, Unit::Bytes, float(limit));
    }
}

fn sites(registry: &mut Registry, status: &StatusDocument) {
    let up = Family::<Labels, Gauge>::default();
    let healthy = Family::<Labels, Gauge>::default();
    let behind = Family::<Labels, Float>::default();
    let bytes = Family::<Labels, Float>::default();
    for site in &status.sites {
        let named = vec![("site", site.name.clone())];
        let answers = !matches!(site.state, SiteState::Down | SiteState::Unknown);
        let classed = vec![("site", site.name.clone()), ("class", site.class.word().to_owned())];
        up.get_or_create(&classed).set(i64::from(answers));
        let whole = answers && site.state != SiteState::Damaged;
        healthy.get_or_create(&named).set(i64::from(whole));
        if let Some(seconds) = site.behind_seconds {
            behind.get_or_create(&named).set(seconds);
        }
        if let Some(count) = site.bytes {
            bytes.get_or_create(&named).set(float(count));
        }
    }
    registry.register("site_up", "1 if the site answers", up);
    registry.register("site_healthy", "1 if it answers and nothing is wrong there", healthy);
    let help = "How far the site is behind the durable journal";
    registry.register_with_unit("site_rpo", help, Unit::Seconds, behind);
    registry.register_with_unit("site_size", "What the site holds of ours", Unit::Bytes, bytes);
    let needed = float(status.erasure.data_shards);
    gauge(registry, "sites_needed", "Sites that suffice to restore (k)", needed);
}

fn points(registry: &mut Registry, status: &StatusDocument) {
    let points = &status.recovery_points;
    gauge(registry, "recovery_points", "Recovery points that can be listed", float(points.count));
    if let Some(latest) = &points.latest {
        let help = "Age of the newest recovery point";
        gauge_with(registry, "recovery_point_age", help, Unit::Seconds, latest.age_seconds);
        let help = "Sites the newest recovery point may lose; negative: not restorable";
        gauge(registry, "recovery_point_margin_sites", help, signed(latest.margin));
        let position = float(latest.position);
        gauge(registry, "recovery_point_position", "Position it restores", position);
    }
    if let Some(least) = points.margin_min {
        let help = "Smallest margin among all recovery points";
        gauge(registry, "recovery_points_margin_min_sites", help, signed(least));
    }
}

/// Files and databases, each as a source of its own.
fn sources(registry: &mut Registry, status: &StatusDocument) {
    if status.protected.is_empty() {
        return;
    }
    let rpo = Family::<Labels, Float>::default();
    let target = Family::<Labels, Float>::default();
    let proven = Family::<Labels, Float>::default();
    let unprotected = Family::<Labels, Gauge>::default();
    let gaps = Family::<Labels, Counter>::default();
    for source in &status.protected {
        let labels = vec![("source", source.name.clone()), ("kind", source.kind.word().to_owned())];
        if let Some(seconds) = source.rpo_seconds {
            rpo.get_or_create(&labels).set(seconds);
        }
        target.get_or_create(&labels).set(source.rpo_target_seconds);
        // Never proven is older than any bound: an alert has to see it.
        let age = source.last_proven_restore.as_ref().map(|proven| proven.age_seconds);
        proven.get_or_create(&labels).set(age.unwrap_or(f64::INFINITY));
        let is_lost = source.state == SourceState::Unprotected;
        unprotected.get_or_create(&labels).set(i64::from(is_lost));
        gaps.get_or_create(&labels).inc_by(source.gaps);
    }
    let help = "Age of what the sites hold of the source";
    registry.register_with_unit("source_rpo", help, Unit::Seconds, rpo);
    let help = "Promised bound of evenkeel_source_rpo_seconds";
    registry.register_with_unit("source_rpo_target", help, Unit::Seconds, target);
    let help = "Age of the last drill that brought the source back; +Inf before the first";
    registry.register_with_unit("source_proven_restore_age", help, Unit::Seconds, proven);
    let help = "1 while what happens to the source cannot be brought back";
    registry.register("source_unprotected", help, unprotected);
    let help = "Intervals of the source that cannot be brought back, since the start";
    registry.register("source_gaps", help, gaps);
}

#[expect(clippy::cast_precision_loss, reason = "margins are small")]
fn signed(number: i64) -> f64 {
    number as f64
}

fn engine(registry: &mut Registry, status: &StatusDocument) {
    let engine = &status.engine;
    let open = float(engine.open_orders);
    gauge(registry, "engine_open_orders", "Orders resting in all books", open);
    let liquidations = Counter::<u64>::default();
    liquidations.inc_by(engine.liquidations);
    let help = "Liquidations begun since the daemon started";
    registry.register("engine_liquidations", help, liquidations);
    let under_way = float(engine.in_liquidation);
    gauge(registry, "engine_in_liquidation", "Accounts being liquidated", under_way);
    gauge(registry, "engine_accounts", "Accounts", float(engine.accounts));
    let trades = Counter::<u64>::default();
    trades.inc_by(engine.trades);
    registry.register("engine_trades", "Trades in this lineage", trades);
    if let Some(agree) = engine.digests_agree {
        let help = "1 if engine and follower agreed at the last compared digest";
        gauge(registry, "engine_digests_agree", help, flag(agree));
    }
    if let Some(position) = engine.follower_position {
        let help = "Entries the follower has applied";
        gauge(registry, "follower_position", help, float(position));
    }
}

fn failovers(registry: &mut Registry, status: &StatusDocument) {
    let Some(last) = &status.last_failover else {
        return;
    };
    let count = Counter::<u64>::default();
    count.inc_by(status.failovers);
    registry.register("failovers", "Changes of the primary that clients went through", count);
    let help = "Longest time a client was without an acknowledgement at the last failover";
    gauge_with(registry, "failover", help, Unit::Seconds, last.seconds);
    let help = "Acknowledged entries that the journal did not hold after the last failover";
    gauge(registry, "failover_lost", help, float(last.acknowledged_lost));
    let help = "Commands that took effect more than once at the last failover";
    gauge(registry, "failover_twice", help, float(last.applied_twice));
}

fn standbys(registry: &mut Registry, status: &StatusDocument) {
    gauge(registry, "standbys", "Standbys that follow", float(status.standbys.len() as u64));
    let Some(nearest) = status.standbys.iter().min_by_key(|standby| standby.lag_entries) else {
        return;
    };
    let help = "Durable entries that the nearest standby has not applied";
    gauge(registry, "standby_lag_entries", help, float(nearest.lag_entries));
    let help = "How long the nearest standby has been behind";
    gauge_with(registry, "standby_lag", help, Unit::Seconds, nearest.lag_seconds);
}

fn approvals(registry: &mut Registry, status: &StatusDocument) {
    let Some(approvals) = &status.approvals else {
        return;
    };
    let help = "Actions and deletion plans that wait for approvers or for their delay";
    gauge(registry, "approvals_pending", help, float(approvals.pending));
    let oldest = approvals.oldest_pending_seconds.unwrap_or(0.0);
    let help = "Age of the oldest of them, 0 without any";
    gauge_with(registry, "approval_oldest_pending", help, Unit::Seconds, oldest);
}

fn conditions(registry: &mut Registry, snapshot: &Snapshot) {
    let open = Family::<Labels, Gauge>::default();
    for severity in [Severity::Critical, Severity::Warning, Severity::Notice] {
        let matching = snapshot.conditions.iter().filter(|c| c.severity == severity).count();
        let labels = vec![("severity", severity.word().to_owned())];
        open.get_or_create(&labels).set(i64::try_from(matching).unwrap_or(i64::MAX));
    }
    registry.register("conditions", "Findings shown on the dashboard, by severity", open);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drills_are_counted_once_even_when_the_history_drops_the_oldest() {
        let drill = |id: &str, result| DrillDocument {
            id: id.to_owned(),
            result,
            ..DrillDocument::default()
        };
        let mut tally = DrillTally::default();
        tally.count(&[drill("1", Outcome::Ok), drill("2", Outcome::Failed)]);
        tally.count(&[drill("2", Outcome::Failed), drill("3", Outcome::Ok)]);
        tally.count(&[drill("2", Outcome::Failed), drill("3", Outcome::Ok)]);
        assert_eq!(tally.counts[&(DrillLevel::D3, "ok")], 2);
        assert_eq!(tally.counts[&(DrillLevel::D3, "failed")], 1);
    }
}
