//! What is going on, as documents: from a running daemon's figures.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_journal::Watermark;
use evenkeel_recovery::{Agreement, Clock as _};
use evenkeel_types::codec::Canonical as _;
use evenkeel_vault::Layout;

use super::clock::SystemClock;
use super::link_board::StandbyFigures;
use super::observed::{Observed, PrimaryFigures, lock};
use super::own_drill;
use super::vault_writer::VaultWriter;
use crate::cli::format_time_ns;
use crate::config::Config;
use crate::control::{ControlHandler, Request};
use crate::dashboard::StatusSource;
use crate::documents::{
    DrillDocument, DrillLevel, EngineDocument, ErasureDocument, Freshness, JournalDocument,
    LastDrillDocument, LatestPointDocument, ModeName, Outcome, PointDocument, PointsDocument,
    PointsSummaryDocument, ProvenRestoreDocument, ScrubDocument, SiteDocument, SiteState,
    SitesRpoDocument, StandbyDocument, StatusDocument, TailDocument, TailState,
};
use crate::keyfile::hex;
use crate::report::Exit;
use crate::site_open::class_of;

/// The sites are to be no further behind than this.
const RPO_TARGET_SECONDS: f64 = 1.0;

/// Answers whoever asks the daemon.
pub(crate) struct Status {
    pub(crate) config: Config,
    pub(crate) observed: Arc<Observed>,
    pub(crate) agreement: Arc<Agreement>,
    pub(crate) watermark: Watermark,
    pub(crate) clock: SystemClock,
    pub(crate) started: Instant,
    pub(crate) lineage: String,
    pub(crate) layout: Layout,
    pub(crate) vault: Arc<VaultWriter>,
    pub(crate) stop: Box<dyn Fn() + Send + Sync>,
}

impl Status {
    fn journal(&self, primary: &PrimaryFigures) -> JournalDocument {
        let rates = lock(&self.observed.rates);
        let root = lock(&self.observed.follower).journal_root;
        JournalDocument {
            position: primary.position,
            durable_position: self.watermark.durable_next(),
            term: primary.term,
            entries_per_second: rates.entries_per_second(),
            bytes: folder_bytes(&self.config.journal_dir()),
            journal_root: root.map(|root| hex(&root)),
            ack_p99_seconds: rates.latency_p99().map(|latency| latency.as_secs_f64()),
            scrub: self.scrub(),
        }
    }

    fn scrub(&self) -> ScrubDocument {
        let found = *lock(&self.observed.scrub);
        let now_ns = self.clock.wall_ns();
        let age = |at_ns| Duration::from_nanos(now_ns.saturating_sub(at_ns)).as_secs_f64();
        ScrubDocument {
            last_finished: found.finished_wall_ns.map(format_time_ns),
            age_seconds: found.finished_wall_ns.map(age),
            bytes: found.bytes,
            problems: found.problems,
        }
    }

    fn engine(&self, primary: &PrimaryFigures) -> EngineDocument {
        let agree = match (self.agreement.divergence(), self.agreement.agreed()) {
            (Some(_), _) => Some(false),
            (None, 0) => None,
            (None, _) => Some(true),
        };
        EngineDocument {
            output_digest: hex(&primary.output_digest),
            open_orders: primary.open_orders,
            accounts: primary.accounts,
            instruments: primary.instruments,
            trades: primary.trades,
            liquidations: primary.liquidations,
            in_liquidation: primary.in_liquidation,
            rules: primary.rules,
            volatility_index: primary.volatility_index.clone(),
            insurance_fund: primary.insurance_fund.clone(),
            follower_position: Some(lock(&self.observed.follower).position),
            digests_agree: agree,
        }
    }

    fn tail(&self) -> TailDocument {
        let tail = lock(&self.observed.tail).clone();
        let entries = self.watermark.durable_next().saturating_sub(tail.shipped_position);
        let state = match (tail.stopped.is_some(), tail.complete_to.is_some()) {
            (true, _) => TailState::Stopped,
            (false, true) => TailState::Confirmed,
            (false, false) => TailState::Unconfirmed,
        };
        TailDocument {
            state,
            shipped_position: tail.shipped_position,
            last_shipped_time: tail.shipped_wall_ns.map(format_time_ns),
            rpo: SitesRpoDocument {
                seconds: self.behind(tail.complete_to, entries),
                entries,
                target_seconds: RPO_TARGET_SECONDS,
            },
            spool_bytes: tail.pending_bytes,
            spool_limit_bytes: Some(self.config.recovery.spool_limit_bytes),
        }
    }

    /// Everything durable at `complete_to` is there: what is missing is at most that old.
    fn behind(&self, complete_to: Option<Instant>, entries: u64) -> f64 {
        if entries == 0 {
            return 0.0;
        }
        complete_to.unwrap_or(self.started).elapsed().as_secs_f64()
    }

    fn market(&self) -> serde_json::Value {
        let market = lock(&self.observed.market);
        let bytes = market.as_ref().map(|market| hex(&market.to_bytes()));
        serde_json::json!({"message_type": "market", "market": bytes})
    }

    fn standbys(&self) -> Vec<StandbyDocument> {
        let durable_next = self.watermark.durable_next();
        let document = |figures: StandbyFigures| StandbyDocument {
            name: figures.name,
            position: figures.position,
            lag_entries: durable_next.saturating_sub(figures.position),
            lag_seconds: figures.behind_since.map_or(0.0, |since| since.elapsed().as_secs_f64()),
            agreed_position: figures.agreed,
            state: "following".to_owned(),
            promotable: true,
        };
        self.observed.link.standbys().into_iter().map(document).collect()
    }

    /// Ends in favour of a standby, if one follows.
    fn hand_over(&self) -> serde_json::Value {
        if self.observed.link.standbys().is_empty() {
            let error = crate::documents::ErrorDocument {
                exit_code: Exit::NothingYet.code().into(),
                message: "no standby follows this primary".to_owned(),
                safe: "nothing was changed".to_owned(),
                next: "evenkeel up --role standby".to_owned(),
            };
            return serde_json::to_value(error).unwrap_or_default();
        }
        self.observed.link.ask_to_hand_over();
        serde_json::json!({"message_type": "handing_over"})
    }

    fn erasure(&self) -> ErasureDocument {
        ErasureDocument {
            data_shards: self.layout.k() as u64,
            total_shards: self.layout.n() as u64,
        }
    }

    fn sites(&self) -> Vec<SiteDocument> {
        let tail = lock(&self.observed.tail).clone();
        let entries = self.watermark.durable_next().saturating_sub(tail.shipped_position);
        let figures = lock(&self.observed.sites);
        let Some(domain) = &self.config.domains.state else {
            return Vec::new();
        };
        let document = |site: &crate::config::SiteConfig| {
            let known = figures.get(&site.name).cloned().unwrap_or_default();
            let state = match (&known.failure, known.complete_to) {
                (Some(_), _) if !site.folder().is_some_and(Path::is_dir) => SiteState::Down,
                (Some(_), _) => SiteState::Damaged,
                (None, Some(_)) => SiteState::Healthy,
                (None, None) => SiteState::Unknown,
            };
            let complete = known.complete_to;
            let missing = if known.failure.is_some() { entries.max(1) } else { entries };
            SiteDocument {
                name: site.name.clone(),
                location: site.location(),
                class: class_of(&self.config, site).into(),
                state,
                detail: known.failure,
                behind_seconds: complete.map(|_| self.behind(complete, missing)),
                bytes: known.bytes,
                objects: known.objects,
            }
        };
        self.config.sites_of(domain).map(document).collect()
    }
}

/// Points in short.
pub(super) fn points_summary(points: &[PointDocument]) -> PointsSummaryDocument {
    PointsSummaryDocument {
        count: points.len() as u64,
        margin_min: points.iter().map(|point| point.margin).min(),
        latest: points.last().map(|point| LatestPointDocument {
            id: point.id.clone(),
            position: point.position,
            time: point.time.clone(),
            age_seconds: point.age_seconds,
            state_root: point.state_root.clone(),
            margin: point.margin,
        }),
    }
}

/// An answer that could not be written.
pub(super) fn error_answer(error: &serde_json::Error) -> serde_json::Value {
    serde_json::json!({"message_type": "error",
        "exit_code": 1, "message": error.to_string(), "safe": "", "next": ""})
}

pub(super) fn drill_interval_seconds(config: &Config) -> Option<f64> {
    let every = config.drill.every_seconds;
    (every > 0).then(|| std::time::Duration::from_secs(every).as_secs_f64())
}

/// Age of a moment written as RFC 3339, by the wall clock.
pub(crate) fn age_seconds(time: &str, now_ns: u64) -> f64 {
    let then = crate::cli::parse_time_ns(time).unwrap_or(now_ns);
    super::drill_cmd::seconds(now_ns.saturating_sub(then))
}

/// A drill of the network alone says nothing of the rest: it stands for the home only where
/// there is no other.
fn of_the_home(drills: &[DrillDocument]) -> Vec<&DrillDocument> {
    let is_network = |drill: &&DrillDocument| drill.domain == super::domain::NETWORK;
    let others: Vec<_> = drills.iter().filter(|drill| !is_network(drill)).collect();
    if others.is_empty() { drills.iter().collect() } else { others }
}

/// A D2 that passed proves less than the others: it does not stand in front of them.
fn last_to_show<'d>(drills: &[&'d DrillDocument]) -> Option<&'d DrillDocument> {
    let newest = *drills.last()?;
    if newest.level != DrillLevel::D2 || newest.result != Outcome::Ok {
        return Some(newest);
    }
    let mut others = drills.iter().rev();
    let other = others.find(|drill| drill.level != DrillLevel::D2).copied();
    Some(other.unwrap_or(newest))
}

/// The last drill, and the last one that proved a restore.
pub(crate) fn drill_summaries(
    drills: &[DrillDocument],
    now_ns: u64,
) -> (Option<LastDrillDocument>, Option<ProvenRestoreDocument>) {
    let drills = of_the_home(drills);
    let last = last_to_show(&drills).map(|drill| LastDrillDocument {
        result: drill.result,
        level: drill.level,
        rto_seconds: drill.rto_seconds,
        age_seconds: age_seconds(&drill.time, now_ns),
        detail: drill
            .checks
            .iter()
            .find(|check| matches!(check.result, Outcome::Failed | Outcome::Unproven))
            .map(|check| format!("{}: {}", check.name, check.detail)),
    });
    let proven = drills.iter().rfind(|drill| {
        drill.result == Outcome::Ok && drill.level.proves_restore() && drill.rto_seconds.is_some()
    });
    let proven = proven.map(|drill| ProvenRestoreDocument {
        level: drill.level,
        time: drill.time.clone(),
        age_seconds: age_seconds(&drill.time, now_ns),
        rto_seconds: drill.rto_seconds.unwrap_or_default(),
        recovery_point: drill.recovery_point.clone(),
        position: drill.position,
    });
    (last, proven)
}

/// Bytes of the files in a folder, as allocated lengths.
pub(crate) fn folder_bytes(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|status| status.len()).sum()
}

impl StatusSource for Status {
    fn status(&self) -> StatusDocument {
        let now_ns = self.clock.wall_ns();
        let (last_drill, last_proven_restore) =
            drill_summaries(&lock(&self.observed.drills).drills, now_ns);
        let next_drill = lock(&self.observed.drills).next_at;
        // One look: position and digest have to be of the same moment.
        let primary = lock(&self.observed.primary).clone();
        let running = primary.running;
        StatusDocument {
            time: format_time_ns(now_ns),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            home: self.config.home().display().to_string(),
            role: "primary".to_owned(),
            demonstration: true,
            domain: super::domain::STATE.to_owned(),
            lineage: self.lineage.clone(),
            uptime_seconds: Some(self.started.elapsed().as_secs_f64()),
            running: true,
            mode: if running { primary.mode.into() } else { ModeName::Starting },
            mode_cause: None,
            journal: self.journal(&primary),
            engine: self.engine(&primary),
            tail: self.tail(),
            erasure: self.erasure(),
            recovery_points: points_summary(&self.points().points),
            sites: self.sites(),
            last_drill,
            last_proven_restore,
            next_drill_seconds: next_drill
                .map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64()),
            next_point_seconds: Some(lock(&self.observed.points).next_in.as_secs_f64()),
            drill_interval_seconds: drill_interval_seconds(&self.config),
            protected: self.observed.sources.documents(now_ns, &self.drills()),
            network: lock(&self.observed.network).clone(),
            approvals: lock(&self.observed.approvals).clone(),
            network_sites: lock(&self.observed.network_sites).clone(),
            standbys: self.standbys(),
            last_failover: None,
            failovers: 0,
            conditions: self.observed.conditions.all(),
        }
    }

    fn points(&self) -> PointsDocument {
        let now_ns = self.clock.wall_ns();
        let mut points = lock(&self.observed.points).points.clone();
        for point in &mut points {
            point.age_seconds = age_seconds(&point.time, now_ns);
        }
        // The writer itself made them: nothing newer can exist in its lineage.
        PointsDocument {
            erasure: self.erasure(),
            freshness: Freshness::Proven,
            points,
            gaps: self.observed.sources.gaps(),
        }
    }

    fn drills(&self) -> Vec<DrillDocument> {
        lock(&self.observed.drills).drills.clone()
    }
}

impl ControlHandler for Status {
    fn handle(&self, request: Request) -> serde_json::Value {
        control_answer(self, &*self.stop, &request, |command| match command {
            "drill" => Some(serde_json::to_value(own_drill::run(
                &self.config,
                &self.vault,
                &self.clock,
                &self.observed,
            ))),
            "market" => Some(Ok(self.market())),
            "hand-over" => Some(Ok(self.hand_over())),
            _ => None,
        })
    }
}

/// Answers what every daemon is asked; `own` answers the rest, as far as it knows it.
pub(super) fn control_answer(
    source: &dyn StatusSource,
    stop: &dyn Fn(),
    request: &Request,
    own: impl FnOnce(&str) -> Option<serde_json::Result<serde_json::Value>>,
) -> serde_json::Value {
    let answer = match request.command.as_str() {
        "status" => serde_json::to_value(source.status()),
        "points" => serde_json::to_value(source.points()),
        "drills" => serde_json::to_value(source.drills()),
        "stop" => {
            stop();
            Ok(serde_json::json!({"message_type": "stopping"}))
        }
        other => own(other).unwrap_or_else(|| {
            serde_json::to_value(crate::documents::ErrorDocument {
                exit_code: Exit::Usage.code().into(),
                message: format!("this daemon knows no command `{other}`"),
                safe: "nothing was changed".to_owned(),
                next: "ask for status, points, drills, drill or stop".to_owned(),
            })
        }),
    };
    answer.unwrap_or_else(|error| error_answer(&error))
}
