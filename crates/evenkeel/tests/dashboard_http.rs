//! The dashboard over plain HTTP: who may look, and what programs read.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scripted;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use evenkeel::dashboard::{DashboardError, ServerHandle, StatusSource, serve};
use scripted::{Scene, Scripted};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ANY_LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn start(scene: Scene, token: Option<&str>) -> ServerHandle {
    let source = Arc::new(Scripted::new(scene));
    serve(ANY_LOOPBACK, token.map(str::to_owned), source).unwrap()
}

fn ask(server: &ServerHandle, path: &str, headers: &[&str]) -> Reply {
    let host = format!("Host: {}", server.local_addr());
    let with_host = headers.iter().any(|header| header.starts_with("Host:"));
    let mut lines = vec![format!("GET {path} HTTP/1.1"), "Connection: close".to_owned()];
    if !with_host {
        lines.push(host);
    }
    lines.extend(headers.iter().map(|header| (*header).to_owned()));
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.write_all((lines.join("\r\n") + "\r\n\r\n").as_bytes()).unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

#[test]
fn an_address_others_can_reach_is_refused_without_a_token_and_says_what_to_type() {
    let bind = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let source = Arc::new(Scripted::new(Scene::Well));
    let error = serve(bind, None, source.clone()).unwrap_err();
    assert!(matches!(error, DashboardError::TokenRequired { .. }));
    assert!(error.to_string().contains("can be reached from other machines"), "{error}");
    assert!(error.next().contains("token_file"), "{}", error.next());
    let short = serve(bind, Some("short".to_owned()), source).unwrap_err();
    assert!(matches!(short, DashboardError::TokenTooShort { length_bytes: 5 }));
}

#[test]
fn a_taken_port_is_named_with_another_way() {
    let taken = TcpListener::bind(ANY_LOOPBACK).unwrap();
    let bind = taken.local_addr().unwrap();
    let error = serve(bind, None, Arc::new(Scripted::new(Scene::Well))).unwrap_err();
    assert!(error.to_string().contains(&bind.port().to_string()), "{error}");
    assert!(error.next().contains("--dashboard 127.0.0.1:0"), "{}", error.next());
    assert!(error.safe().contains("Nothing is lost"));
}

#[test]
fn a_web_page_that_resolves_its_name_to_this_machine_reads_nothing() {
    let server = start(Scene::Well, None);
    for path in ["/", "/api/status", "/metrics", "/events", "/assets/dashboard.js"] {
        let reply = ask(&server, path, &["Host: rebound.example:80"]);
        assert_eq!(reply.status, 421, "{path}");
        assert!(!reply.body.contains("evenkeel_journal"), "{path}");
    }
    assert_eq!(ask(&server, "/", &[]).status, 200);
}

#[test]
fn with_a_token_nothing_but_the_style_is_shown_until_it_is_given() {
    let server = start(Scene::Well, Some(TOKEN));
    for path in ["/", "/points", "/drills", "/drills/3", "/api/status", "/metrics", "/events"] {
        let reply = ask(&server, path, &[]);
        assert_eq!(reply.status, 401, "{path}");
        assert!(!reply.body.contains("1,198,022"), "{path}");
    }
    assert_eq!(ask(&server, "/assets/dashboard.css", &[]).status, 200);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(ask(&server, "/metrics", &[&bearer]).status, 200);

    let first = ask(&server, &format!("/?token={TOKEN}"), &[]);
    assert_eq!(first.status, 303);
    assert_eq!(first.header("location"), Some("/"));
    let cookie = first.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(TOKEN), "the cookie discloses the token");
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(ask(&server, "/", &[&format!("Cookie: {pair}")]).status, 200);
}

#[test]
fn every_answer_forbids_foreign_content_and_caching() {
    let server = start(Scene::Well, None);
    for path in ["/", "/api/status", "/metrics", "/nowhere", "/assets/htmx.min.js"] {
        let reply = ask(&server, path, &[]);
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(reply.header("cache-control").unwrap().starts_with("no-"), "{path}");
    }
}

#[test]
fn nothing_can_be_changed_through_the_dashboard() {
    let server = start(Scene::Well, None);
    for method in ["POST", "PUT", "DELETE"] {
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        let host = server.local_addr();
        write!(stream, "{method} / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 405"), "{method}: {text}");
    }
}

#[test]
fn the_page_is_whole_before_any_script_runs() {
    let server = start(Scene::Well, None);
    let page = ask(&server, "/", &[]).body;
    for part in ["Last proven restore", "On an even keel", "amber", "1,196,800", "01:42:00"] {
        assert!(page.contains(part), "{part} is missing");
    }
    assert!(!page.contains(" style=") && !page.contains("<style"), "inline style");
    let report = ask(&server, "/drills/13", &[]);
    assert_eq!(report.status, 200);
    assert!(report.body.contains("state_root") && report.body.contains("<html"));
    assert_eq!(ask(&server, "/drills/9999", &[]).status, 404);
}

#[test]
fn status_as_json_is_the_status_document_with_its_findings() {
    let server = start(Scene::Alarm, None);
    let reply = ask(&server, "/api/status", &[]);
    let status: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(status["message_type"], "status");
    assert_eq!(status["mode"], "cancel-only");
    let kinds: BTreeSet<_> = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| condition["kind"].as_str().unwrap().to_owned())
        .collect();
    for kind in ["site_down", "drill_failed", "rpo_growing", "wall_clock_stepped"] {
        assert!(kinds.contains(kind), "{kind} is missing in {kinds:?}");
    }
}

#[test]
fn the_headline_metric_is_absent_before_the_first_proof_and_there_after() {
    let sample = "\nevenkeel_last_proven_restore_age_seconds ";
    let fresh = ask(&start(Scene::Fresh, None), "/metrics", &[]).body;
    assert!(!fresh.contains(sample), "{fresh}");
    let well = ask(&start(Scene::Well, None), "/metrics", &[]);
    assert!(well.body.contains(sample), "{}", well.body);
    assert!(well.body.ends_with("# EOF\n"));
    assert!(well.header("content-type").unwrap().starts_with("application/openmetrics-text"));
}

/// Names of all samples in an OpenMetrics text.
fn samples(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split(['{', ' ']).next().unwrap().to_owned())
        .collect()
}

/// Every word in `text` that begins like a metric of ours.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c: char| !is_name(c))
        .filter(|word| word.starts_with("evenkeel_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_shipped_alerts_and_panels_name_only_metrics_that_are_exported() {
    let exported = samples(&ask(&start(Scene::Alarm, None), "/metrics", &[]).body);
    let operations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops");
    for file in ["prometheus-alerts.yml", "grafana-dashboard.json"] {
        let text = std::fs::read_to_string(operations.join(file)).unwrap();
        let named = named(&text);
        assert!(named.len() > 5, "{file} names hardly any metric: {named:?}");
        let unknown: Vec<_> = named.difference(&exported).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}; exported are {exported:#?}");
    }
    for name in &exported {
        assert!(name.starts_with("evenkeel_"), "{name}");
        assert!(!name.ends_with("_ms") && !name.ends_with("_ratio_percent"), "{name}");
    }
}

#[test]
fn live_updates_begin_with_the_whole_page_and_end_when_the_server_stops() {
    let server = start(Scene::Well, None);
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    let host = server.local_addr();
    write!(stream, "GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut text = String::new();
    let mut buffer = [0_u8; 4096];
    while !(text.contains("event: plot") && text.contains("event: tick")) {
        let length_bytes = stream.read(&mut buffer).unwrap();
        assert!(length_bytes > 0, "ended early: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length_bytes]));
    }
    assert!(text.contains("hx-swap-oob"));
    server.stop();
    let mut rest = Vec::new();
    // The stream ends, one way or the other; without that this read would not return.
    let _ = stream.read_to_end(&mut rest);
}

#[test]
fn a_name_with_markup_in_it_is_shown_as_text() {
    struct Hostile(Scripted);
    impl StatusSource for Hostile {
        fn status(&self) -> evenkeel::documents::StatusDocument {
            let mut status = self.0.status();
            status.sites[0].name = "<script>alert(1)</script>".to_owned();
            status.sites[0].location = "\"onmouseover=alert(1) x=\"".to_owned();
            status
        }
        fn points(&self) -> evenkeel::documents::PointsDocument {
            self.0.points()
        }
        fn drills(&self) -> Vec<evenkeel::documents::DrillDocument> {
            self.0.drills()
        }
    }
    let source = Arc::new(Hostile(Scripted::new(Scene::Well)));
    let server = serve(ANY_LOOPBACK, None, source).unwrap();
    let page = ask(&server, "/", &[]).body;
    assert!(!page.contains("<script>alert"), "markup came through");
    assert!(!page.contains("\"onmouseover"), "an attribute came through");
}
