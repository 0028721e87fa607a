//! The webhook: a JSON document for every critical condition that begins, once; again after a
//! while if it goes on; and one when it is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::clock::SystemClock;
use super::super::observed::Observed;
use super::super::stop::Stop;
use super::{address, certificates, host_of, http};
use crate::cli::format_time_ns;
use crate::config::Config;
use crate::documents::{ConditionDocument, Severity};
use crate::output;
use crate::report::Result;

const BEAT: Duration = Duration::from_secs(1);
/// After a failure; doubled after each, up to the largest.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(600);

pub(in super::super) struct WebhookLoop {
    pub(in super::super) config: Config,
    pub(in super::super) observed: Arc<Observed>,
}

/// What happened to a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Begun,
    GoesOn,
    Over,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::GoesOn => "goes_on",
            Self::Over => "over",
        }
    }
}

impl WebhookLoop {
    /// Whether there is anybody to tell.
    pub(in super::super) fn is_wanted(config: &Config) -> bool {
        !config.alerts.webhook_url.is_empty() || config.alerts.webhook_url_file.is_some()
    }

    /// Runs until asked to stop. What could not be told is told later.
    pub(in super::super) fn run(self, stop: &Stop) -> Result<()> {
        let repeat = Duration::from_secs(self.config.alerts.repeat_seconds);
        let mut told = Told { repeat: (!repeat.is_zero()).then_some(repeat), ..Told::default() };
        let (mut retry, mut next_at) = (RETRY, Instant::now());
        while !stop.sleep(BEAT) {
            let now = Instant::now();
            if now < next_at {
                continue;
            }
            for (change, condition) in told.changes(&self.observed.conditions.all(), now) {
                match self.tell(change, &condition) {
                    Ok(()) => {
                        retry = RETRY;
                        told.note(change, &condition, now);
                    }
                    Err(why) => {
                        output::note(&format!(
                            "warning: the webhook was not told of {}: {why}; again in {} s",
                            condition.kind,
                            retry.as_secs()
                        ));
                        next_at = Instant::now() + retry;
                        retry = (retry * 2).min(RETRY_MAX);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn tell(&self, change: Change, condition: &ConditionDocument) -> Result<(), String> {
        let alerts = &self.config.alerts;
        let url = address(&alerts.webhook_url, alerts.webhook_url_file.as_deref())?;
        let Some(url) = url else { return Err("its file is empty".to_owned()) };
        let json = document(change, condition, &self.config).to_string();
        let request =
            http::Request { url: &url, json: Some(&json), certificates: certificates(alerts) };
        http::send(&request).map_err(|why| format!("{}: {why}", host_of(&url)))
    }
}

fn document(change: Change, condition: &ConditionDocument, config: &Config) -> serde_json::Value {
    use evenkeel_recovery::Clock as _;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let (kind, message) = (&condition.kind, &condition.message);
    let text = match change {
        Change::Over => format!("Evenkeel on {host}: over: {kind}"),
        Change::Begun | Change::GoesOn => {
            format!(
                "Evenkeel on {host}: {message}. Safe: {}. Type: {}",
                condition.safe, condition.next
            )
        }
    };
    serde_json::json!({
        "message_type": "alert",
        "change": change.word(),
        "kind": kind,
        "severity": condition.severity,
        "message": message,
        "safe": condition.safe,
        "next": condition.next,
        "time": format_time_ns(SystemClock::new().wall_ns()),
        "host": host,
        "home": config.home().display().to_string(),
        // What chat programs show.
        "text": text,
    })
}

/// What is critical, and whatever waits for approvers: whoever could object has to hear of it.
fn is_told(condition: &ConditionDocument) -> bool {
    condition.severity == Severity::Critical || condition.kind.starts_with("approval_")
}

/// What was told of which condition, and when.
#[derive(Debug, Default)]
struct Told {
    known: BTreeMap<String, (ConditionDocument, Instant)>,
    repeat: Option<Duration>,
}

impl Told {
    /// What is to be told now. That a condition's words change is none of it.
    fn changes(&self, all: &[ConditionDocument], now: Instant) -> Vec<(Change, ConditionDocument)> {
        let critical = || all.iter().filter(|one| is_told(one));
        let mut changes = Vec::new();
        for condition in critical() {
            match (self.known.get(&condition.kind), self.repeat) {
                (None, _) => changes.push((Change::Begun, condition.clone())),
                (Some((_, at)), Some(repeat)) if now.saturating_duration_since(*at) >= repeat => {
                    changes.push((Change::GoesOn, condition.clone()));
                }
                (Some(_), _) => {}
            }
        }
        for (kind, (condition, _)) in &self.known {
            if !critical().any(|one| one.kind == *kind) {
                changes.push((Change::Over, condition.clone()));
            }
        }
        changes
    }

    fn note(&mut self, change: Change, condition: &ConditionDocument, now: Instant) {
        match change {
            Change::Over => drop(self.known.remove(&condition.kind)),
            Change::Begun | Change::GoesOn => {
                self.known.insert(condition.kind.clone(), (condition.clone(), now));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::http::tests::Server;
    use super::*;
    use crate::config::AlertsConfig;

    fn condition(kind: &str, severity: Severity, message: &str) -> ConditionDocument {
        ConditionDocument {
            kind: kind.to_owned(),
            severity,
            message: message.to_owned(),
            safe: "earlier points".to_owned(),
            next: "evenkeel drill".to_owned(),
        }
    }

    #[test]
    fn a_critical_condition_is_told_once_again_after_a_while_and_when_it_is_over() {
        let (hour, begun) = (Duration::from_secs(3_600), Instant::now());
        let mut told = Told { repeat: Some(hour), ..Told::default() };
        let mut step = |all: &[ConditionDocument], at: Instant| {
            let changes = told.changes(all, at);
            changes.iter().for_each(|(change, one)| told.note(*change, one, at));
            changes.into_iter().map(|(change, one)| (change, one.kind)).collect::<Vec<_>>()
        };
        let red = |message: &str| condition("drill_failed", Severity::Critical, message);
        let yellow = condition("files_sites_missing", Severity::Warning, "one is away");
        let named = |change| vec![(change, "drill_failed".to_owned())];
        assert_eq!(step(std::slice::from_ref(&yellow), begun), []);
        assert_eq!(step(&[red("1 wrong"), yellow.clone()], begun), named(Change::Begun));
        assert_eq!(step(&[red("2 wrong")], begun + hour / 2), []);
        assert_eq!(step(&[red("3 wrong")], begun + hour), named(Change::GoesOn));
        assert_eq!(step(&[red("3 wrong")], begun + hour + hour / 2), []);
        assert_eq!(step(&[yellow], begun + hour * 2), named(Change::Over));
        assert_eq!(step(&[], begun + hour * 3), []);
        assert_eq!(step(&[red("again")], begun + hour * 3), named(Change::Begun));
    }

    #[test]
    fn a_real_server_gets_the_condition_in_full_after_it_refused_it_once() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let server = Server::start(&["HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", ok]);
        let alerts = AlertsConfig { webhook_url: server.url("/hook"), ..AlertsConfig::default() };
        let config = Config { alerts, ..Config::default() };
        assert!(WebhookLoop::is_wanted(&config));
        let hook = WebhookLoop { config, observed: Arc::default() };
        let red = condition("drill_failed", Severity::Critical, "the last drill did not pass");
        let why = hook.tell(Change::Begun, &red).unwrap_err();
        assert!(why.contains("500") && !why.contains("/hook"), "{why}");
        assert_eq!(hook.tell(Change::Begun, &red), Ok(()));
        let asked = server.ended();
        let (head, body) = asked[1].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Content-Type: application/json"));
        let sent: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(sent["message_type"], "alert");
        assert_eq!((&sent["change"], &sent["kind"]), (&"begun".into(), &"drill_failed".into()));
        assert_eq!(sent["message"], "the last drill did not pass");
        assert_eq!(sent["next"], "evenkeel drill");
        assert!(sent["text"].as_str().unwrap().contains("Safe: earlier points"));
        assert!(!WebhookLoop::is_wanted(&Config::default()));
    }
}
