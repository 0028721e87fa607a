//! What a keeper says of itself: the primary's answers, and what it measured at the last failover.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::meter::Meter;
use super::observed::lock;
use super::stop::Stop;
use crate::cli::Slot;
use crate::config::Config;
use crate::control::{self, ControlHandler, Request};
use crate::dashboard::StatusSource;
use crate::documents::{
    ConditionDocument, DrillDocument, ErrorDocument, FailoverDocument, ModeName, PointsDocument,
    Severity, StatusDocument,
};

/// How long the primary may take to say how it goes.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take for what takes long: a drill, a hand-over.
const WORK_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a failover may take until whoever asked for it is told that it does not come about.
pub(crate) const FAILOVER_TIMEOUT: Duration = Duration::from_secs(120);

/// Somebody wants the primary killed, and to know what came of it.
pub(crate) type Wanted = Sender<Result<FailoverDocument, ErrorDocument>>;

/// Answers whoever asks the keeper.
pub(crate) struct KeeperStatus {
    pub(crate) config: Config,
    pub(crate) meter: Arc<Meter>,
    pub(crate) stop: Stop,
    /// The last answers, for the moments in which nobody gives any.
    pub(crate) known: Mutex<Known>,
    pub(crate) kill: Mutex<Sender<Wanted>>,
}

#[derive(Default)]
pub(crate) struct Known {
    status: StatusDocument,
    points: PointsDocument,
    drills: Vec<DrillDocument>,
    pub(crate) failover: Option<FailoverDocument>,
    pub(crate) failovers: u64,
    /// Conditions of the keeper itself.
    pub(crate) conditions: Vec<ConditionDocument>,
}

impl KeeperStatus {
    /// Control sockets, the present primary's first.
    fn sockets(&self) -> [PathBuf; 2] {
        let mut slots = Slot::ALL;
        if self.meter.primary().is_some_and(|found| found.at == 1) {
            slots.reverse();
        }
        slots.map(|slot| self.config.control_socket_of(slot))
    }

    fn ask_primary(&self, request: &Request, timeout: Duration) -> Option<serde_json::Value> {
        let answer = control::ask(&self.sockets()[0], request, timeout);
        answer.ok().flatten()
    }

    /// The primary's market, if one answers.
    pub(crate) fn market(&self) -> Option<String> {
        let request = Request::new("market");
        self.sockets().iter().find_map(|socket| {
            let answer = control::ask(socket, &request, ASK_TIMEOUT).ok().flatten()?;
            answer.get("market")?.as_str().map(str::to_owned)
        })
    }

    fn read<T: serde::de::DeserializeOwned>(&self, command: &str) -> Option<T> {
        let answer = self.ask_primary(&Request::new(command), ASK_TIMEOUT)?;
        serde_json::from_value(answer).ok()
    }

    fn kill_primary(&self) -> serde_json::Value {
        let (wanted, answer) = channel();
        let answer = match lock(&self.kill).send(wanted) {
            Ok(()) => answer.recv_timeout(FAILOVER_TIMEOUT).ok(),
            Err(_) => None,
        };
        let document = match answer {
            Some(Ok(document)) => serde_json::to_value(document),
            Some(Err(error)) => serde_json::to_value(error),
            None => serde_json::to_value(ErrorDocument {
                exit_code: 1,
                message: "no primary has taken over yet".to_owned(),
                safe: "everything acknowledged is in the journal".to_owned(),
                next: "evenkeel status".to_owned(),
            }),
        };
        document.unwrap_or_default()
    }
}

impl StatusSource for KeeperStatus {
    fn status(&self) -> StatusDocument {
        let fresh: Option<StatusDocument> = self.read("status");
        let mut known = lock(&self.known);
        let is_fresh = fresh.is_some();
        if let Some(fresh) = fresh {
            known.status = fresh;
        }
        let mut status = known.status.clone();
        status.last_failover.clone_from(&known.failover);
        status.failovers = known.failovers;
        status.conditions.extend(known.conditions.iter().cloned());
        let follows = status.standbys.iter().any(|standby| standby.promotable);
        if is_fresh && !follows {
            status.conditions.push(ConditionDocument {
                kind: "standby_missing".to_owned(),
                severity: Severity::Warning,
                message: "no standby follows: if the primary ends now, its restart is waited for"
                    .to_owned(),
                safe: "everything acknowledged is in the journal".to_owned(),
                next: "wait: it is started again by itself, and says why it ended".to_owned(),
            });
        }
        if !is_fresh {
            status.running = true;
            status.mode = ModeName::Starting;
            status.mode_cause = Some("no primary answers: a failover is in progress".to_owned());
            status.conditions.push(ConditionDocument {
                kind: "failover".to_owned(),
                severity: Severity::Warning,
                message: "failover in progress: the primary does not answer".to_owned(),
                safe: "everything acknowledged is in the journal; clients repeat the rest"
                    .to_owned(),
                next: "wait; the figures are those of the primary before".to_owned(),
            });
        }
        status.conditions.sort_by(|a, b| (a.severity, &a.kind).cmp(&(b.severity, &b.kind)));
        status
    }

    fn points(&self) -> PointsDocument {
        let fresh = self.read("points");
        let mut known = lock(&self.known);
        known.points = fresh.unwrap_or_else(|| known.points.clone());
        known.points.clone()
    }

    fn drills(&self) -> Vec<DrillDocument> {
        let fresh = self.read("drills");
        let mut known = lock(&self.known);
        known.drills = fresh.unwrap_or_else(|| known.drills.clone());
        known.drills.clone()
    }
}

impl ControlHandler for KeeperStatus {
    fn handle(&self, request: Request) -> serde_json::Value {
        match request.command.as_str() {
            "status" => serde_json::to_value(self.status()).unwrap_or_default(),
            "points" => serde_json::to_value(self.points()).unwrap_or_default(),
            "drills" => serde_json::to_value(self.drills()).unwrap_or_default(),
            "kill-primary" => self.kill_primary(),
            "stop" => {
                self.stop.set();
                serde_json::json!({"message_type": "stopping"})
            }
            _ => self.ask_primary(&request, WORK_TIMEOUT).unwrap_or_else(|| {
                serde_json::to_value(ErrorDocument {
                    exit_code: 1,
                    message: "no primary answers: a failover is in progress".to_owned(),
                    safe: "nothing was changed".to_owned(),
                    next: "ask again in a moment".to_owned(),
                })
                .unwrap_or_default()
            }),
        }
    }
}
