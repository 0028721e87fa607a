//! What is going on in a home without a venue, for whoever asks.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use evenkeel_recovery::{Clock as _, unproven_current_report};
use evenkeel_vault::Layout;

use super::super::clock::SystemClock;
use super::super::drill_cmd::unsigned_document;
use super::super::observed::{Observed, lock};
use super::super::status::{
    age_seconds, control_answer, drill_interval_seconds, drill_summaries, points_summary,
};
use crate::cli::format_time_ns;
use crate::config::Config;
use crate::control::{ControlHandler, Request};
use crate::dashboard::StatusSource;
use crate::documents::{
    DrillDocument, ErasureDocument, Freshness, ModeName, PointsDocument, SiteDocument, SiteState,
    StatusDocument, TailDocument, TailState,
};
use crate::site_open::class_of;

/// Answers whoever asks the daemon.
pub(super) struct DeskStatus {
    pub(super) config: Config,
    pub(super) observed: Arc<Observed>,
    pub(super) clock: SystemClock,
    pub(super) started: Instant,
    pub(super) layout: Layout,
    pub(super) stop: Box<dyn Fn() + Send + Sync>,
}

impl DeskStatus {
    fn erasure(&self) -> ErasureDocument {
        ErasureDocument {
            data_shards: self.layout.k() as u64,
            total_shards: self.layout.n() as u64,
        }
    }

    fn sites(&self) -> Vec<SiteDocument> {
        let figures = lock(&self.observed.sites);
        let Some(domain) = &self.config.domains.state else {
            return Vec::new();
        };
        let document = |site: &crate::config::SiteConfig| {
            let known = figures.get(&site.name).cloned().unwrap_or_default();
            let is_away = site.folder().is_some_and(|folder| !Path::is_dir(folder));
            let state = match (&known.failure, known.complete_to) {
                (Some(_), _) if is_away || known.bytes.is_none() => SiteState::Down,
                (Some(_), _) => SiteState::Damaged,
                (None, Some(_)) => SiteState::Healthy,
                (None, None) => SiteState::Unknown,
            };
            SiteDocument {
                name: site.name.clone(),
                location: site.location(),
                class: class_of(&self.config, site).into(),
                state,
                detail: known.failure,
                behind_seconds: None,
                bytes: known.bytes,
                objects: known.objects,
            }
        };
        self.config.sites_of(domain).map(document).collect()
    }
}

impl StatusSource for DeskStatus {
    fn status(&self) -> StatusDocument {
        let now_ns = self.clock.wall_ns();
        let drills = self.drills();
        let (last_drill, last_proven_restore) = drill_summaries(&drills, now_ns);
        let next_drill = lock(&self.observed.drills).next_at;
        let points = self.points().points;
        StatusDocument {
            time: format_time_ns(now_ns),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            home: self.config.home().display().to_string(),
            role: "desk".to_owned(),
            domain: super::super::domain::STATE.to_owned(),
            lineage: points.last().map(|point| point.lineage.clone()).unwrap_or_default(),
            uptime_seconds: Some(self.started.elapsed().as_secs_f64()),
            running: true,
            mode: ModeName::Normal,
            // No journal of its own: what is behind is told source by source.
            tail: TailDocument { state: TailState::Confirmed, ..TailDocument::default() },
            erasure: self.erasure(),
            recovery_points: points_summary(&points),
            sites: self.sites(),
            last_drill,
            last_proven_restore,
            next_drill_seconds: next_drill
                .map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64()),
            drill_interval_seconds: drill_interval_seconds(&self.config),
            next_point_seconds: Some(lock(&self.observed.points).next_in.as_secs_f64()),
            protected: self.observed.sources.documents(now_ns, &drills),
            network: lock(&self.observed.network).clone(),
            approvals: lock(&self.observed.approvals).clone(),
            network_sites: lock(&self.observed.network_sites).clone(),
            conditions: self.observed.conditions.all(),
            ..StatusDocument::default()
        }
    }

    fn points(&self) -> PointsDocument {
        let now_ns = self.clock.wall_ns();
        let mut points = lock(&self.observed.points).points.clone();
        for point in &mut points {
            point.age_seconds = age_seconds(&point.time, now_ns);
        }
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

impl ControlHandler for DeskStatus {
    fn handle(&self, request: Request) -> serde_json::Value {
        control_answer(self, &*self.stop, &request, |command| {
            let why = "no writer keeps a key here: run a drill of level D3";
            (command == "drill").then(|| {
                let report = unproven_current_report(self.clock.wall_ns(), why);
                serde_json::to_value(unsigned_document(&report))
            })
        })
    }
}
