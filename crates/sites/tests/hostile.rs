//! Servers that do what no server should: every answer is bounded and nothing false is believed.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::site_with;
use evenkeel_sites::{Bandwidth, CredentialSource, Endpoint, ObjectSite, Patience, S3Settings};
use evenkeel_vault::{Site, SiteErrorKind};

type Answer = Arc<dyn Fn(&str, &mut TcpStream) + Send + Sync>;

/// A server that answers each request's first line as it likes.
struct Bad {
    port: u16,
    asked: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

impl Bad {
    fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, answer): (_, Answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
                std::thread::spawn(move || talk(stream, &count, &answer));
            }
        });
        Self { port, asked, folder: tempfile::tempdir().unwrap() }
    }

    fn site(&self, conditional_put: bool, change: impl FnOnce(&mut Patience)) -> ObjectSite {
        let path = self.folder.path().join("credential");
        std::fs::write(&path, "id = me\nsecret = a-secret-of-the-tests\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut patience = Patience {
            answer: Duration::from_millis(400),
            connect: Duration::from_secs(2),
            repeats: 2,
            rate_min_bytes_per_second: 1_000_000,
            object_bytes_max: 100_000,
        };
        change(&mut patience);
        site_with(&S3Settings {
            endpoint: Endpoint::parse(&format!("http://127.0.0.1:{}", self.port), false).unwrap(),
            region: "here".to_owned(),
            bucket: "bucket".to_owned(),
            prefix: String::new(),
            credential: CredentialSource::File(path),
            certificates: None,
            conditional_put,
            patience,
            versions: false,
            lock: None,
            bandwidth: Bandwidth::default(),
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// One request a connection; the answer says so.
fn talk(mut stream: TcpStream, count: &AtomicUsize, answer: &Answer) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    if head.is_empty() || stream.read_exact(&mut body).is_err() {
        return;
    }
    count.fetch_add(1, Ordering::SeqCst);
    answer(head.lines().next().unwrap_or_default(), &mut stream);
}

fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\netag: \"x\"\r\nlast-modified: Sat, \
         21 Nov 2026 12:00:00 GMT\r\nconnection: close\r\n{headers}\r\n"
    );
    // Whoever hung up has heard enough.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

#[test]
fn a_busy_server_is_asked_again_a_few_times_and_then_unavailable() {
    let bad = Bad::serve(|_, stream| say(stream, "503 Slow Down", "", b""));
    let error = bad.site(true, |_| {}).get("x").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unavailable, "{error}");
    assert_eq!(bad.asked(), 3, "once, and two repeats");
}

#[test]
fn a_server_that_is_busy_for_a_moment_is_not_noticed() {
    let turn = AtomicUsize::new(0);
    let bad = Bad::serve(move |_, stream| match turn.fetch_add(1, Ordering::SeqCst) {
        0 => say(stream, "503 Slow Down", "", b""),
        1 => drop(stream.shutdown(std::net::Shutdown::Both)),
        _ => say(stream, "200 OK", "", b"one"),
    });
    assert_eq!(bad.site(true, |_| {}).get("x").unwrap(), b"one");
}

#[test]
fn an_object_cut_short_is_an_error_and_never_a_short_object() {
    let bad = Bad::serve(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\netag: \"x\"\r\nlast-modified: Sat, \
                    21 Nov 2026 12:00:00 GMT\r\n\r\nonly this";
        let _ = stream.write_all(head.as_bytes());
    });
    let error = bad.site(true, |_| {}).get("x").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unavailable, "{error}");
}

#[test]
fn an_answer_that_does_not_end_is_cut_off() {
    let bad = Bad::serve(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\netag: \"x\"\r\n\
                    last-modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        while stream.write_all(&[7; 8192]).is_ok() {}
    });
    let error = bad.site(true, |_| {}).get("x").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Misread, "{error}");
}

#[test]
fn more_than_was_asked_for_is_a_misread() {
    let bad = Bad::serve(|_, stream| {
        say(stream, "206 Partial Content", "content-range: bytes 0-9/5000\r\n", &[7; 5000]);
    });
    let error = bad.site(true, |_| {}).get_range("x", 0, 10).unwrap_err();
    assert!(matches!(error.kind, SiteErrorKind::Misread | SiteErrorKind::Other), "{error}");
}

#[test]
fn a_server_that_says_nothing_costs_one_deadline_and_no_more() {
    let bad = Bad::serve(|_, _| std::thread::sleep(Duration::from_secs(60)));
    let error = bad.site(true, |_| {}).get("x").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unavailable, "{error}");
    assert!(error.detail.contains("longer than"), "{error}");
    assert_eq!(bad.asked(), 1);
}

#[test]
fn a_trickle_below_the_slowest_rate_is_given_up() {
    let bad = Bad::serve(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 5000\r\netag: \"x\"\r\nlast-modified: Sat, \
                    21 Nov 2026 12:00:00 GMT\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        for _ in 0..1000 {
            if stream.write_all(b"x").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let error = bad.site(true, |_| {}).get("x").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unavailable, "{error}");
}

#[test]
fn a_slow_server_above_that_rate_is_waited_for() {
    let bad = Bad::serve(|_, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 40\r\netag: \"x\"\r\nlast-modified: Sat, 21 \
                    Nov 2026 12:00:00 GMT\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        for _ in 0..40 {
            let _ = stream.write_all(b"x");
            std::thread::sleep(Duration::from_millis(15));
        }
    });
    let patient = |patience: &mut Patience| {
        patience.answer = Duration::from_secs(2);
        patience.rate_min_bytes_per_second = 1;
    };
    assert_eq!(bad.site(true, patient).get("x").unwrap().len(), 40);
}

#[test]
fn what_is_accepted_and_then_lost_is_not_believed() {
    let bad = Bad::serve(|line, stream| match line.split(' ').next() {
        Some("put") => say(stream, "200 OK", "", b""),
        _ => say(stream, "404 Not Found", "", b"<Error><Code>NoSuchKey</Code></Error>"),
    });
    let error = bad.site(false, |_| {}).put("x", b"one").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Misread, "{error}");
}

#[test]
fn a_server_that_keeps_something_else_is_found_out_by_reading_back() {
    let kept = Mutex::new(false);
    let bad = Bad::serve(move |line, stream| {
        let mut kept = kept.lock().unwrap();
        match (line.split(' ').next(), *kept) {
            (Some("put"), _) => {
                *kept = true;
                say(stream, "200 OK", "", b"");
            }
            (_, true) => say(stream, "200 OK", "", b"two"),
            (_, false) => say(stream, "404 Not Found", "", b""),
        }
    });
    let error = bad.site(false, |_| {}).put("x", b"one").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Exists, "{error}");
}

#[test]
fn an_answer_that_got_lost_is_not_an_object_of_somebody_else() {
    let turn = AtomicUsize::new(0);
    let bad = Bad::serve(move |line, stream| {
        let first = turn.fetch_add(1, Ordering::SeqCst) == 0;
        match (line.split(' ').next(), first) {
            (Some("put"), true) => drop(stream.shutdown(std::net::Shutdown::Both)),
            (Some("put"), false) => say(
                stream,
                "412 Precondition Failed",
                "",
                b"<Error><Code>PreconditionFailed</Code></Error>",
            ),
            _ => say(stream, "200 OK", "", b"one"),
        }
    });
    bad.site(true, |_| {}).put("x", b"one").unwrap();
}

#[test]
fn words_of_a_server_are_shortened_and_made_printable() {
    let bad = Bad::serve(|_, stream| {
        let body = format!(
            "<Error><Code>Weird\x1b[31m</Code><Message>{}</Message></Error>",
            "long ".repeat(500)
        );
        say(stream, "400 Bad Request", "", body.as_bytes());
    });
    let error = bad.site(true, |_| {}).get("x").unwrap_err();
    assert!(!error.detail.contains('\x1b'), "{error:?}");
    assert!(error.detail.len() < 400, "{}", error.detail.len());
}

#[test]
fn a_listing_of_names_that_no_object_may_have_leads_nowhere() {
    let bad = Bad::serve(|_, stream| {
        let body = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>\
            <Contents><Key>good</Key><Size>3</Size><LastModified>2026-11-21T12:00:00Z\
            </LastModified><ETag>\"x\"</ETag></Contents>\
            <Contents><Key>.hidden</Key><Size>3</Size><LastModified>2026-11-21T12:00:00Z\
            </LastModified><ETag>\"x\"</ETag></Contents></ListBucketResult>";
        say(stream, "200 OK", "", body.as_bytes());
    });
    let listed = bad.site(true, |_| {}).list("").unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key, "good");
}
