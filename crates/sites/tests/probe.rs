//! What the probe finds at a server of ours.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use common::Desk;
use evenkeel_sites::{Outcome, probe_s3};
use evenkeel_vault::SiteClass;

#[test]
fn our_server_refuses_whatever_a_thief_tries_and_is_found_append_only() {
    let desk = Desk::open();
    let finding = probe_s3(&desk.writer_settings(), 7).unwrap();
    assert!(finding.wrote && finding.read_after_write, "{finding:?}");
    assert!(finding.conditional_put, "{finding:?}");
    for what in ["overwrite", "delete", "versioning", "lifecycle", "retention"] {
        assert!(finding.refuses(what), "{what}: {finding:?}");
    }
    assert_eq!(finding.class(), SiteClass::AppendOnly);
    let write = finding.write.unwrap();
    assert!(write.p50 <= write.p99 && finding.write_bytes_per_second.unwrap() > 0);
    let operations: Vec<String> =
        desk.refusals().into_iter().map(|event| event.operation).collect();
    for operation in ["DeleteObject", "PutBucketLifecycleConfiguration", "PutBucketVersioning"] {
        assert!(operations.iter().any(|told| told == operation), "{operations:?}");
    }
}

#[test]
fn a_site_that_takes_no_object_shows_no_class_and_says_why() {
    let desk = Desk::open();
    let finding =
        probe_s3(&desk.settings("vault-a", &desk.credential("reader", common::SECRET)), 1).unwrap();
    assert!(!finding.wrote);
    assert_eq!(finding.class(), SiteClass::Mutable);
    assert!(finding.detail.unwrap().contains("403"));
    assert!(finding.attempts.iter().all(|attempt| attempt.outcome != Outcome::Refused));
}
