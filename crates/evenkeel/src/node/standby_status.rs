//! What a standby says of itself on its control socket.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use evenkeel_recovery::{Clock as _, Standby};
use evenkeel_vault::Lineage;

use super::clock::SystemClock;
use super::observed::lock;
use super::stop::Stop;
use crate::cli::format_time_ns;
use crate::config::{Config, FollowMode};
use crate::control::{ControlHandler, Request};
use crate::documents::{ErrorDocument, StandbyDocument, StatusDocument};
use crate::keyfile::hex;

/// Figures of a standby, for whoever asks.
pub(super) struct StandbyStatus {
    home: String,
    name: String,
    lineage: Lineage,
    started: Instant,
    /// In one or two words.
    pub(super) state: Mutex<String>,
    figures: Mutex<Figures>,
    /// It keeps a journal of its own, on a host other than the primary.
    copies: bool,
    promote: AtomicBool,
    stop: Stop,
}

#[derive(Debug, Default, Clone, Copy)]
struct Figures {
    position: u64,
    term: u64,
    lag_entries: u64,
    lag_ns: u64,
    agreed: u64,
    output_digest: [u8; 32],
    journal_root: [u8; 32],
    promotable: bool,
}

impl StandbyStatus {
    pub(super) fn new(config: &Config, lineage: Lineage, stop: &Stop) -> Self {
        Self {
            home: config.home().display().to_string(),
            name: config.standby.name.clone(),
            lineage,
            started: Instant::now(),
            state: Mutex::new("looking for the primary".to_owned()),
            figures: Mutex::default(),
            copies: config.standby.mode == FollowMode::Mirror,
            promote: AtomicBool::new(false),
            stop: stop.clone(),
        }
    }

    pub(super) fn heard(&self, standby: &Standby, state: &str) {
        let lag = standby.lag();
        *lock(&self.figures) = Figures {
            position: standby.position(),
            term: standby.term(),
            lag_entries: lag.entries,
            lag_ns: lag.time_ns,
            agreed: standby.agreed_next(),
            output_digest: standby.engine().output_digest(),
            journal_root: standby.journal_root(),
            promotable: standby.promotable().is_ok(),
        };
        state.clone_into(&mut lock(&self.state));
    }

    pub(super) fn show_lost(&self) {
        "without a primary".clone_into(&mut lock(&self.state));
    }

    /// It was tried, and somebody else has the term.
    pub(super) fn forget_promotion(&self) {
        self.promote.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_asked_to_promote(&self) -> bool {
        self.promote.load(Ordering::SeqCst)
    }

    fn standby(&self) -> StandbyDocument {
        let figures = *lock(&self.figures);
        StandbyDocument {
            name: self.name.clone(),
            position: figures.position,
            lag_entries: figures.lag_entries,
            #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
            lag_seconds: figures.lag_ns as f64 / 1e9,
            agreed_position: figures.agreed,
            state: lock(&self.state).clone(),
            promotable: figures.promotable,
        }
    }

    fn status(&self) -> StatusDocument {
        let figures = *lock(&self.figures);
        let mut status = StatusDocument {
            time: format_time_ns(SystemClock::new().wall_ns()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            home: self.home.clone(),
            role: "standby".to_owned(),
            demonstration: true,
            domain: super::domain::STATE.to_owned(),
            lineage: self.lineage.to_string(),
            uptime_seconds: Some(self.started.elapsed().as_secs_f64()),
            running: true,
            standbys: vec![self.standby()],
            ..StatusDocument::default()
        };
        status.journal.position = figures.position;
        status.journal.durable_position = figures.position;
        status.journal.term = figures.term;
        status.journal.journal_root = Some(hex(&figures.journal_root));
        status.engine.output_digest = hex(&figures.output_digest);
        status
    }
}

impl ControlHandler for StandbyStatus {
    fn handle(&self, request: Request) -> serde_json::Value {
        let answer = match request.command.as_str() {
            "status" => serde_json::to_value(self.status()),
            "standby" => serde_json::to_value(self.standby()),
            "copies" => Ok(serde_json::json!({"copies": self.copies})),
            "promote" => {
                self.promote.store(true, Ordering::SeqCst);
                Ok(serde_json::json!({"message_type": "promoting"}))
            }
            "stop" => {
                self.stop.set();
                Ok(serde_json::json!({"message_type": "stopping"}))
            }
            other => serde_json::to_value(ErrorDocument {
                exit_code: 2,
                message: format!("this is a standby; it knows no command `{other}`"),
                safe: "nothing was changed".to_owned(),
                next: "ask the primary".to_owned(),
            }),
        };
        answer.unwrap_or(serde_json::Value::Null)
    }
}
