use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::report::Exit;

const PATIENCE: Duration = Duration::from_secs(20);

struct Echo;

impl ControlHandler for Echo {
    fn handle(&self, request: Request) -> serde_json::Value {
        assert_ne!(request.command, "panic", "asked to");
        serde_json::json!({"heard": request.command, "limit": request.arguments.get("limit")})
    }
}

fn socket() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    (folder, path)
}

fn heard(path: &std::path::Path, command: &str) -> Option<serde_json::Value> {
    let answer = ask(path, &Request::new(command), PATIENCE).unwrap();
    answer.map(|answer| answer["heard"].clone())
}

#[test]
fn a_request_gets_its_answer_and_only_the_owner_can_ask() {
    let (_folder, path) = socket();
    let handle = serve(&path, Arc::new(Echo)).unwrap();
    let request = Request::new("points").with("limit", 3);
    let answer = ask(&path, &request, PATIENCE).unwrap().unwrap();
    assert_eq!(answer, serde_json::json!({"heard": "points", "limit": 3}));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    handle.stop();
    assert!(!path.exists());
    assert_eq!(heard(&path, "status"), None);
}

#[test]
fn nobody_listening_is_told_from_a_failure() {
    let (folder, path) = socket();
    assert_eq!(heard(&path, "status"), None);
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a stale socket, as a killed process leaves it");
    assert_eq!(heard(&path, "status"), None);
    let handle = serve(&path, Arc::new(Echo)).unwrap();
    assert_eq!(heard(&path, "status"), Some("status".into()));
    handle.stop();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let (_folder, path) = socket();
    let handle = serve(&path, Arc::new(Echo)).unwrap();
    let refused = serve(&path, Arc::new(Echo)).unwrap_err();
    assert_eq!(refused.exit(), Exit::Locked);
    assert_eq!(heard(&path, "status"), Some("status".into()));
    handle.stop();
}

#[test]
fn a_home_deeper_than_a_sockets_address_works_too() {
    let (folder, _) = socket();
    let deep = folder.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).unwrap();
    let path = deep.join("control.sock");
    let handle = serve(&path, Arc::new(Echo)).unwrap();
    assert!(path.exists());
    assert_eq!(heard(&path, "status"), Some("status".into()));
    handle.stop();
    assert!(!path.exists());
}

#[test]
fn garbage_and_endless_requests_are_answered_with_an_error_and_hurt_nobody() {
    let (_folder, path) = socket();
    let handle = serve(&path, Arc::new(Echo)).unwrap();
    for request in [b"status\n".to_vec(), b"[1]\n".to_vec(), vec![b'x'; REQUEST_BYTES_MAX * 2]] {
        let mut stream = UnixStream::connect(&path).unwrap();
        // The refusal may close the connection before everything is sent.
        let _ = stream.write_all(&request);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["message_type"], "error");
    }
    drop(UnixStream::connect(&path).unwrap());
    assert_eq!(heard(&path, "status"), Some("status".into()));
    handle.stop();
}

#[test]
fn a_handler_that_panics_costs_one_connection_and_not_the_daemon() {
    let (_folder, path) = socket();
    let handle = serve(&path, Arc::new(Echo)).unwrap();
    for _ in 0..20 {
        ask(&path, &Request::new("panic"), PATIENCE).unwrap_err();
    }
    assert_eq!(heard(&path, "status"), Some("status".into()));
    handle.stop();
}

#[test]
fn a_daemon_that_hangs_is_an_error_that_says_so() {
    let (_folder, path) = socket();
    let _listener = UnixListener::bind(&path).unwrap();
    let error = ask(&path, &Request::new("status"), Duration::from_millis(30)).unwrap_err();
    assert!(error.message().contains("did not answer"), "{error}");
}
