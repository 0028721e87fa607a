//! A scripted venue for the dashboard's tests: three scenes, with ages that run.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Mutex;
use std::time::Instant;

use evenkeel::dashboard::StatusSource;
use evenkeel::documents::{
    CheckDocument, ConditionDocument, DrillDocument, DrillLevel, EngineDocument, ErasureDocument,
    FailoverDocument, FailoverKind, Freshness, JournalDocument, LastDrillDocument,
    LatestPointDocument, ModeName, NetworkChainDocument, NetworkCheckDocument,
    NetworkCursorDocument, NetworkDnsDocument, NetworkEndpointDocument, NetworkExchangeDocument,
    NetworkKeyDocument, NetworkShareDrillDocument, Outcome, PendingApprovalsDocument,
    PhaseDocument, PointDocument, PointKind, PointsDocument, PointsSummaryDocument,
    ProtectedDocument, ProvenRestoreDocument, ProvenSourceDocument, ScrubDocument, Severity,
    SiteClass, SiteDocument, SiteState, SitesRpoDocument, SourceKind, SourceState, StandbyDocument,
    StatusDocument, TailDocument, TailState,
};

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// Just started: no recovery point, no drill.
    Fresh,
    /// Everything is right.
    Well,
    /// Sites down, drill failed, RPO growing, cancel-only.
    Alarm,
}

const ROOT: &str = "9f31c6a2d47be0580b7d1f2c3a4e5f60718293a4b5c6d7e8f9010203040506ab";
const DIGEST: &str = "52ad00c9e1b7aa3d4c5f60718293a4b5c6d7e8f901020304050600aabbccddee";
const SITES: [(&str, &str); 5] = [
    ("amber", "sites/amber"),
    ("birch", "sites/birch"),
    ("coral", "sites/coral"),
    ("delta", "sites/delta"),
    ("ember", "sites/ember"),
];

/// Answers by script.
pub struct Scripted {
    scene: Mutex<Scene>,
    begun: Instant,
}

impl Scripted {
    pub fn new(scene: Scene) -> Self {
        Self { scene: Mutex::new(scene), begun: Instant::now() }
    }

    pub fn set(&self, scene: Scene) {
        *self.scene.lock().unwrap() = scene;
    }

    fn scene(&self) -> Scene {
        *self.scene.lock().unwrap()
    }

    fn elapsed_seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

impl StatusSource for Scripted {
    fn status(&self) -> StatusDocument {
        status(self.scene(), self.elapsed_seconds())
    }

    fn points(&self) -> PointsDocument {
        points(self.scene(), self.elapsed_seconds())
    }

    fn drills(&self) -> Vec<DrillDocument> {
        drills(self.scene())
    }
}

pub fn status(scene: Scene, elapsed_seconds: f64) -> StatusDocument {
    let fresh = scene == Scene::Fresh;
    let alarm = scene == Scene::Alarm;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    let run = (elapsed_seconds * 2013.0) as u64;
    let position = if fresh { 2_104 } else { 1_204_311 } + run;
    StatusDocument {
        time: clock(43 * 60 + 12, elapsed_seconds),
        version: "0.1.0".to_owned(),
        home: "./evenkeel-demo".to_owned(),
        demonstration: true,
        domain: "state".to_owned(),
        lineage: "7c0e4be2a9d14f6f8b1d2c3e4f506172".to_owned(),
        uptime_seconds: Some(elapsed_seconds),
        running: true,
        mode: if alarm { ModeName::CancelOnly } else { ModeName::Normal },
        mode_cause: alarm.then(|| "the spool reached its bound".to_owned()),
        journal: JournalDocument {
            position: position + 3,
            durable_position: position,
            term: 1,
            entries_per_second: if alarm { 212.0 } else { 2013.0 },
            bytes: position * 96,
            journal_root: Some(DIGEST.to_owned()),
            ack_p99_seconds: Some(0.004),
            scrub: ScrubDocument {
                last_finished: Some("2026-03-04T05:06:07Z".to_owned()),
                age_seconds: Some(3_600.0),
                bytes: position * 80,
                problems: 0,
            },
        },
        engine: EngineDocument {
            output_digest: DIGEST.to_owned(),
            open_orders: if fresh { 812 } else { 18_404 },
            accounts: 320,
            instruments: 84,
            trades: position / 7,
            liquidations: 3,
            in_liquidation: 1,
            rules: 2,
            volatility_index: Some("47.31".to_owned()),
            insurance_fund: Some("3127000".to_owned()),
            follower_position: Some(position - 12),
            digests_agree: (!fresh).then_some(true),
        },
        tail: tail(scene, position),
        erasure: ErasureDocument { data_shards: 3, total_shards: 5 },
        recovery_points: points_summary(scene, elapsed_seconds),
        sites: SITES.iter().enumerate().map(|(index, _)| site(scene, index)).collect(),
        last_drill: last_drill(scene, elapsed_seconds),
        last_proven_restore: (!fresh).then(|| proven(scene, elapsed_seconds)),
        next_drill_seconds: Some((38.0 - elapsed_seconds).max(0.0)),
        drill_interval_seconds: Some(60.0),
        next_point_seconds: Some((9.0 - elapsed_seconds).max(0.0)),
        last_failover: (!fresh).then(last_failover),
        role: "primary".to_owned(),
        standbys: vec![standby(position)],
        protected: vec![protected(scene)],
        network: (!fresh).then(network),
        approvals: (!fresh)
            .then_some(PendingApprovalsDocument { pending: 1, oldest_pending_seconds: Some(90.0) }),
        network_sites: if fresh { Vec::new() } else { network_sites() },
        failovers: if fresh { 0 } else { 3 },
        conditions: notices(scene),
    }
}

fn network_sites() -> Vec<SiteDocument> {
    let site = |name: &str, state| SiteDocument {
        name: name.to_owned(),
        location: format!("sites/{name}"),
        state,
        ..SiteDocument::default()
    };
    vec![site("network-a", SiteState::Healthy), site("network-b", SiteState::Down)]
}

/// One of everything that is measured of the network.
pub fn network() -> NetworkCheckDocument {
    let endpoint = |name: &str, verdict: &str| NetworkEndpointDocument {
        name: name.to_owned(),
        chain: "main".to_owned(),
        priority: 100,
        verdict: verdict.to_owned(),
        faults: Vec::new(),
        latency_seconds: Some(0.012),
        head: Some(21_000_000),
        lag_blocks: Some(0),
        chain_id: Some(1),
        client: Some("reth/1".to_owned()),
        capabilities: vec!["archive".to_owned(), "logs".to_owned()],
        spki_sha256: Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned()),
    };
    NetworkCheckDocument {
        time: "2026-03-04T05:06:07Z".to_owned(),
        document: "/srv/desk/network.toml".to_owned(),
        document_hash: DIGEST.to_owned(),
        result: Outcome::Failed,
        chains: vec![NetworkChainDocument {
            name: "main".to_owned(),
            chain_id: 1,
            head: Some(21_000_000),
            disagreement: true,
            order: vec!["own".to_owned()],
        }],
        endpoints: vec![endpoint("own", "usable"), endpoint("rented", "quarantined")],
        dns: vec![NetworkDnsDocument {
            name: "rpc.example.com".to_owned(),
            found: vec!["192.0.2.7".to_owned()],
            unexpected: vec!["192.0.2.7".to_owned()],
            error: None,
        }],
        exchanges: vec![NetworkExchangeDocument {
            name: "deribit".to_owned(),
            error: None,
            latency_seconds: Some(0.2),
            version: Some("1.2.26".to_owned()),
            spki_sha256: None,
        }],
        keys: vec![NetworkKeyDocument {
            name: "treasury".to_owned(),
            kind: "fingerprint".to_owned(),
            generation: Some(3),
            cards: vec![NetworkShareDrillDocument {
                card: "1.2".to_owned(),
                holder: Some("Ada".to_owned()),
                age_seconds: 8_640_000.0,
                due: true,
                ..NetworkShareDrillDocument::default()
            }],
            cards_due: 1,
            ..NetworkKeyDocument::default()
        }],
        cursors: vec![NetworkCursorDocument {
            name: "trades".to_owned(),
            chain: "main".to_owned(),
            block: Some(20_999_990),
            error: None,
        }],
    }
}

fn last_failover() -> FailoverDocument {
    FailoverDocument {
        kind: FailoverKind::Killed,
        time: clock(39 * 60, 0.0),
        term: 4,
        seconds: 0.142,
        silence_seconds: 0.131,
        acknowledged: 200_000,
        acknowledged_lost: 0,
        repeated: 31,
        applied_twice: 0,
    }
}

fn protected(scene: Scene) -> ProtectedDocument {
    let fresh = scene == Scene::Fresh;
    ProtectedDocument {
        name: "/srv/bot/orders.sqlite".to_owned(),
        kind: SourceKind::Sqlite,
        state: if fresh { SourceState::Waiting } else { SourceState::Protected },
        recovery_point: (!fresh).then(|| "3f0a6c11-7".to_owned()),
        time: (!fresh).then(|| clock(39 * 60, 0.0)),
        rpo_seconds: (!fresh).then_some(0.4),
        rpo_target_seconds: 2.0,
        margin: (!fresh).then_some(2),
        gaps: 0,
        detail: None,
        last_proven_restore: (!fresh)
            .then(|| ProvenSourceDocument { time: clock(39 * 60, 0.0), age_seconds: 41.0 }),
    }
}

fn standby(position: u64) -> StandbyDocument {
    StandbyDocument {
        name: "standby".to_owned(),
        position: position - 2,
        lag_entries: 2,
        lag_seconds: 0.001,
        agreed_position: position - position % 1_024,
        state: "following".to_owned(),
        promotable: true,
    }
}

fn points_summary(scene: Scene, elapsed_seconds: f64) -> PointsSummaryDocument {
    let mut points = points(scene, elapsed_seconds).points;
    let count = points.len() as u64;
    let latest = points.pop().map(|point| LatestPointDocument {
        id: point.id,
        position: point.position,
        time: point.time,
        age_seconds: point.age_seconds,
        state_root: point.state_root,
        margin: point.margin,
    });
    PointsSummaryDocument { count, margin_min: latest.as_ref().map(|latest| latest.margin), latest }
}

fn last_drill(scene: Scene, elapsed_seconds: f64) -> Option<LastDrillDocument> {
    let drill = drills(scene).pop()?;
    let failed = drill.checks.iter().find(|check| check.result == Outcome::Failed);
    Some(LastDrillDocument {
        result: drill.result,
        level: drill.level,
        rto_seconds: drill.rto_seconds,
        age_seconds: 42.0 + elapsed_seconds,
        detail: failed.map(|check| format!("{}: {}", check.name, check.detail)),
    })
}

fn notices(scene: Scene) -> Vec<ConditionDocument> {
    if scene != Scene::Alarm {
        return Vec::new();
    }
    vec![ConditionDocument {
        kind: "wall_clock_stepped".to_owned(),
        severity: Severity::Notice,
        message: "the wall clock is 3720 s off journal time: it was set while running".to_owned(),
        safe: "Entries keep their order: time in the journal never runs backwards.".to_owned(),
        next: "check the machine's time; a restart takes over the wall clock, if it is ahead"
            .to_owned(),
    }]
}

fn proven(scene: Scene, elapsed_seconds: f64) -> ProvenRestoreDocument {
    let base_seconds = if scene == Scene::Alarm { 1_392.0 } else { 42.0 };
    ProvenRestoreDocument {
        level: DrillLevel::D3,
        time: clock(42 * 60 + 30, 0.0),
        age_seconds: base_seconds + elapsed_seconds,
        rto_seconds: 1.84,
        recovery_point: "p-000041".to_owned(),
        position: 1_198_022,
    }
}

fn tail(scene: Scene, position: u64) -> TailDocument {
    let alarm = scene == Scene::Alarm;
    TailDocument {
        state: TailState::Confirmed,
        shipped_position: position - if alarm { 41_300 } else { 806 },
        last_shipped_time: Some(clock(43 * 60 + 11, 0.0)),
        rpo: SitesRpoDocument {
            seconds: if alarm { 23.4 } else { 0.41 },
            entries: if alarm { 41_300 } else { 806 },
            target_seconds: 1.0,
        },
        spool_bytes: if alarm { 400 << 20 } else { 64 << 10 },
        spool_limit_bytes: Some(512 << 20),
    }
}

fn site(scene: Scene, index: usize) -> SiteDocument {
    let (name, location) = SITES[index];
    let state = match (scene, index) {
        (Scene::Alarm, 1 | 4) => SiteState::Down,
        (Scene::Alarm, 2) => SiteState::Damaged,
        (Scene::Well, 3) => SiteState::Behind,
        _ => SiteState::Healthy,
    };
    let answers = state != SiteState::Down;
    let detail = match state {
        SiteState::Down => Some("folder is gone".to_owned()),
        SiteState::Damaged => Some("3 objects differ".to_owned()),
        _ => None,
    };
    SiteDocument {
        name: name.to_owned(),
        location: location.to_owned(),
        class: SiteClass::Mutable,
        state,
        detail,
        behind_seconds: answers.then_some(if state == SiteState::Behind { 1.3 } else { 0.41 }),
        bytes: answers.then_some(if scene == Scene::Fresh { 42_000 } else { 187_000_000 }),
        objects: answers.then_some(214),
    }
}

pub fn points(scene: Scene, elapsed_seconds: f64) -> PointsDocument {
    let count = if scene == Scene::Fresh { 0 } else { 41 };
    let margin = if scene == Scene::Alarm { 0 } else { 2 };
    let point = |number: u32| {
        let back_seconds = f64::from(41 - number) * 15.0 + 8.0;
        PointDocument {
            id: format!("p-{number:06}"),
            kind: PointKind::Venue,
            domain: "state".to_owned(),
            lineage: "7c0e4be2a9d14f6f8b1d2c3e4f506172".to_owned(),
            position: 590_000 + u64::from(number) * 14_800,
            time: clock(43 * 60 - 600 + u64::from(number) * 15, 0.0),
            age_seconds: back_seconds + elapsed_seconds,
            state_root: ROOT[usize::from(number.is_multiple_of(9))..].to_owned(),
            journal_root: DIGEST.to_owned(),
            output_digest: DIGEST.to_owned(),
            bytes: 4_100_000,
            margin,
            full: margin == 2,
            sites: SITES.iter().map(|(name, _)| (*name).to_owned()).collect(),
            self_contained: number % 20 == 1,
            signed: true,
            proven_time: (number % 4 == 1).then(|| clock(42 * 60, 0.0)),
        }
    };
    PointsDocument {
        erasure: ErasureDocument { data_shards: 3, total_shards: 5 },
        freshness: Freshness::Unproven,
        points: (1..=count).map(point).collect(),
        gaps: Vec::new(),
    }
}

pub fn drills(scene: Scene) -> Vec<DrillDocument> {
    const RTO_SECONDS: [f64; 14] =
        [1.31, 1.28, 1.42, 1.37, 1.55, 1.49, 1.61, 1.58, 1.52, 1.7, 1.66, 1.74, 1.79, 1.84];
    if scene == Scene::Fresh {
        return Vec::new();
    }
    let mut drills: Vec<_> = RTO_SECONDS
        .iter()
        .enumerate()
        .map(|(index, rto_seconds)| drill(index as u64, Outcome::Ok, Some(*rto_seconds)))
        .collect();
    if scene == Scene::Alarm {
        drills.push(drill(14, Outcome::Unproven, Some(1.9)));
        drills.push(drill(15, Outcome::Failed, None));
    }
    drills
}

fn drill(index: u64, result: Outcome, rto_seconds: Option<f64>) -> DrillDocument {
    let check = |name: &str, result, detail: &str| CheckDocument {
        name: name.to_owned(),
        result,
        detail: detail.to_owned(),
    };
    DrillDocument {
        domain: "state".to_owned(),
        result,
        level: DrillLevel::D3,
        key_used: "drill host age1q7f…k3".to_owned(),
        recovery_point: format!("p-{:06}", 27 + index),
        position: 1_000_000 + index * 14_800,
        entries_replayed: 14_112,
        rto_seconds,
        rpo_entries: Some(806),
        rpo_seconds: Some(0.41),
        sites_used: vec!["amber".to_owned(), "coral".to_owned(), "delta".to_owned()],
        sites_missing: Vec::new(),
        checks: vec![
            check("state_root", result, "recomputed 9f31c6a2…, signed 9f31c6a2…"),
            check("journal_root", Outcome::Ok, "RFC 6962 root over 1,198,022 entries"),
            check("equity", Outcome::Ok, "320 accounts recomputed from events"),
            check("chain", Outcome::NotConfigured, "no chain is configured"),
        ],
        id: format!("{index}"),
        time: clock(29 * 60 + index * 60, 0.0),
        bytes_read: 48_000_000,
        state_root: Some(ROOT.to_owned()),
        journal_root: Some(DIGEST.to_owned()),
        output_digest: Some(DIGEST.to_owned()),
        phases: ["catalog", "fetch", "decode", "replay", "check"]
            .map(|name| PhaseDocument { name: name.to_owned(), seconds: 0.37 })
            .to_vec(),
        sources: Vec::new(),
        within_objectives: result == Outcome::Ok,
        signature: Some(ROOT.to_owned()),
    }
}

/// A time of the scripted day, `base_seconds` after 01:00:00.
fn clock(base_seconds: u64, elapsed_seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    let seconds = base_seconds + elapsed_seconds as u64;
    let (hour, minute) = (1 + seconds / 3600, seconds / 60 % 60);
    format!("2026-03-02T{hour:02}:{minute:02}:{:02}Z", seconds % 60)
}
