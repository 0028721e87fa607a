//! Our client against our server: a site like any other, that nothing can be taken from.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use common::{Desk, site_with};
use evenkeel_sites::{Right, S3Settings};
use evenkeel_vault::{Site, SiteErrorKind};

#[test]
fn an_object_is_written_once_read_whole_and_in_part_and_listed() {
    let desk = Desk::open();
    let site = desk.site(false);
    site.put("d/x", b"one").unwrap();
    site.put("d/x", b"one").unwrap();
    assert_eq!(site.put("d/x", b"two").unwrap_err().kind, SiteErrorKind::Exists);
    assert_eq!(site.get("d/x").unwrap(), b"one");
    assert_eq!(site.get_range("d/x", 1, 9).unwrap(), b"ne");
    assert_eq!(site.get_range("d/x", 1, 1).unwrap(), b"n");
    assert_eq!(site.get_range("d/x", 1, 0).unwrap(), b"");
    assert_eq!(site.get_range("d/x", 3, 5).unwrap(), b"");
    assert_eq!(site.get("d/y").unwrap_err().kind, SiteErrorKind::NotFound);
    assert_eq!(site.get_range("d/y", 0, 0).unwrap_err().kind, SiteErrorKind::NotFound);
    site.put("d/empty", b"").unwrap();
    assert_eq!(site.get("d/empty").unwrap(), b"");
    assert_eq!(site.get_range("d/empty", 0, 7).unwrap(), b"");
    let names: Vec<_> = site.list("d/").unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(names, ["d/empty", "d/x"]);
    assert_eq!(site.list("").unwrap().len(), 2);
    assert!(site.list("none/").unwrap().is_empty());
    assert_eq!(site.used_bytes().unwrap(), 3);
}

#[test]
fn with_conditional_puts_shown_the_answers_are_the_same() {
    let desk = Desk::open();
    let site = desk.site(true);
    site.put("x", b"one").unwrap();
    site.put("x", b"one").unwrap();
    assert_eq!(site.put("x", b"two").unwrap_err().kind, SiteErrorKind::Exists);
    assert_eq!(site.get("x").unwrap(), b"one");
}

#[test]
fn names_that_no_object_may_have_are_not_even_sent() {
    let desk = Desk::open();
    let site = desk.site(true);
    for key in ["../x", "/x", "a//b", ".tmp/x", "", "a\\b", "a b"] {
        assert_eq!(site.put(key, b"x").unwrap_err().kind, SiteErrorKind::InvalidKey, "{key:?}");
        assert_eq!(site.get(key).unwrap_err().kind, SiteErrorKind::InvalidKey, "{key:?}");
    }
    assert!(desk.refusals().is_empty());
}

#[test]
fn a_listing_of_several_pages_is_whole() {
    let desk = Desk::open();
    let folder = desk.folder().join("vault-a/many");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..2345 {
        std::fs::write(folder.join(format!("{number:05}")), b"x").unwrap();
    }
    let listed = desk.site(false).list("many/").unwrap();
    assert_eq!(listed.len(), 2345);
    assert!(listed.windows(2).all(|pair| pair[0].key < pair[1].key));
}

#[test]
fn a_key_opens_its_own_bucket_and_a_reader_writes_nothing() {
    let desk = Desk::open();
    desk.site(false).put("x", b"one").unwrap();
    let reader = desk.site_of("reader", "vault-a");
    assert_eq!(reader.get("x").unwrap(), b"one");
    assert_eq!(reader.put("y", b"two").unwrap_err().kind, SiteErrorKind::Denied);
    let stranger = desk.site_of("other", "vault-a");
    assert_eq!(stranger.get("x").unwrap_err().kind, SiteErrorKind::Denied);
    assert_eq!(stranger.list("").unwrap_err().kind, SiteErrorKind::Denied);
    let refused = desk.refusals();
    assert!(refused.iter().any(|event| event.access_key == "reader" && event.object == "y"));
    assert!(refused.iter().any(|event| event.access_key == "other"));
    assert_eq!(desk.right_of("reader"), Right::Read);
}

#[test]
fn a_wrong_secret_is_denied_and_not_repeated_in_the_message() {
    let desk = Desk::open();
    let settings = desk.settings("vault-a", &desk.credential("writer", "not-the-secret-at-all"));
    let error = site_with(&settings).get("x").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Denied);
    assert!(!format!("{error} {error:?}").contains("not-the-secret-at-all"));
}

#[test]
fn a_quota_that_is_used_up_is_full_and_what_is_there_stays_readable() {
    let desk = Desk::with_quota(64 * 1024);
    let site = desk.site(true);
    site.put("a", &[1; 40_000]).unwrap();
    assert_eq!(site.put("b", &[2; 40_000]).unwrap_err().kind, SiteErrorKind::Full);
    assert_eq!(site.get("a").unwrap(), [1; 40_000]);
    site.put("c", &[3; 4000]).unwrap();
}

#[test]
fn a_server_that_starts_again_serves_what_it_had() {
    let mut desk = Desk::open();
    desk.site(true).put("d/x", b"one").unwrap();
    desk.restart();
    let site = desk.site(true);
    assert_eq!(site.get("d/x").unwrap(), b"one");
    assert_eq!(site.put("d/x", b"two").unwrap_err().kind, SiteErrorKind::Exists);
}

#[test]
fn a_server_that_is_gone_is_unavailable_and_comes_back() {
    let mut desk = Desk::open();
    let site = desk.site(true);
    site.put("x", b"one").unwrap();
    desk.stop();
    assert_eq!(site.get("x").unwrap_err().kind, SiteErrorKind::Unavailable);
    assert_eq!(site.put("y", b"two").unwrap_err().kind, SiteErrorKind::Unavailable);
    desk.restart();
    assert_eq!(site.get("x").unwrap(), b"one");
}

#[test]
fn writers_that_race_for_a_name_leave_one_object_and_the_others_hear_of_it() {
    let desk = Desk::open();
    let site = desk.site(true);
    let won: Vec<bool> = std::thread::scope(|scope| {
        let site = &site;
        let racers: Vec<_> =
            (0_u8..8).map(|number| scope.spawn(move || site.put("x", &[number; 50_000]))).collect();
        racers
            .into_iter()
            .map(|racer| match racer.join().unwrap() {
                Ok(()) => true,
                Err(error) => {
                    assert_eq!(error.kind, SiteErrorKind::Exists, "{error}");
                    false
                }
            })
            .collect()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    let winner = u8::try_from(won.iter().position(|won| *won).unwrap()).unwrap();
    assert_eq!(site.get("x").unwrap(), [winner; 50_000]);
}

#[test]
fn over_tls_the_server_is_believed_by_its_own_certificate_alone() {
    let desk = Desk::with_tls();
    let site = desk.site(true);
    site.put("x", b"one").unwrap();
    assert_eq!(site.get("x").unwrap(), b"one");
    let trusting_nobody =
        S3Settings { certificates: Some(desk.strange_certificate()), ..desk.writer_settings() };
    let error = site_with(&trusting_nobody).get("x").unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unavailable);
}

#[test]
fn a_prefix_keeps_two_domains_of_one_bucket_apart() {
    let desk = Desk::open();
    let inner = |prefix: &str| {
        site_with(&S3Settings { prefix: prefix.to_owned(), ..desk.writer_settings() })
    };
    inner("a/").put("x", b"one").unwrap();
    inner("b/").put("x", b"two").unwrap();
    assert_eq!(inner("a/").get("x").unwrap(), b"one");
    let listed = inner("b/").list("").unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key, "x");
}
