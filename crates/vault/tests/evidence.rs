//! What shows to people outside that a domain signed a key object.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::collections::BTreeSet;

use common::{Desk, SECOND, START, point, rewrap};
use evenkeel_types::Canonical as _;
use evenkeel_vault::{
    Error, Identity, KeyEvidence, Recipient, RecoveryIdentity, VouchedPeriod, WrappedFileKey,
};

const DAY_NS: u64 = 24 * 3600 * SECOND;

fn gathered(desk: &Desk, recipient: &Recipient) -> KeyEvidence {
    KeyEvidence::gather(&desk.catalog(), recipient, None).unwrap()
}

fn wrapped(periods: &[VouchedPeriod]) -> BTreeSet<WrappedFileKey> {
    periods.iter().flat_map(|period| period.wrapped.iter().copied()).collect()
}

#[test]
fn every_period_is_shown_by_what_a_certified_writer_signed() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    for day in 0..4_u64 {
        let text = format!("day {day}");
        let time_ns = START + day * DAY_NS;
        point(&mut writer, day + 1, time_ns, &[("plan", text.as_bytes())]).unwrap();
    }
    let recipient = desk.recovery.recipient();
    let evidence = gathered(&desk, &recipient);
    let read = KeyEvidence::from_bytes(&evidence.to_bytes()).unwrap();
    assert_eq!(read, evidence);
    let periods = read.vouched(&desk.recovery.root_public()).unwrap();
    let numbers: BTreeSet<u64> = periods.iter().map(|period| period.number).collect();
    assert_eq!(numbers.len(), 4, "{periods:?}");
    assert!(periods.iter().all(|period| !period.wrapped.is_empty()));
    // From the last point on, its own periods alone.
    let last = desk.catalog().latest_point().unwrap();
    let since = KeyEvidence::gather(&desk.catalog(), &recipient, Some(last.id)).unwrap();
    let some = since.vouched(&desk.recovery.root_public()).unwrap();
    assert!(wrapped(&some).is_subset(&wrapped(&periods)));
    assert!(some.len() <= periods.len());
    assert!(some.iter().any(|period| Some(&period.number) == numbers.last()));

    let other = RecoveryIdentity::generate("state", &mut evenkeel_vault::OsRandom).unwrap();
    let error = read.vouched(&other.root_public()).unwrap_err();
    assert!(matches!(error, Error::Integrity { .. }), "{error}");
}

#[test]
fn what_was_wrapped_anew_is_shown_by_the_roots_own_signature() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    point(&mut writer, 1, START, &[("plan", b"one")]).unwrap();
    let group = Identity::generate().recipient();
    let error = KeyEvidence::gather(&desk.catalog(), &group, None).unwrap_err();
    assert!(error.to_string().contains("1 of 1 key periods are not wrapped"), "{error}");
    let recipients = [desk.recovery.recipient(), group.clone()];
    rewrap(&desk.catalog(), &desk.recovery, &recipients, START).unwrap();
    let evidence = gathered(&desk, &group);
    let periods = evidence.vouched(&desk.recovery.root_public()).unwrap();
    assert_eq!((periods.len(), periods[0].wrapped.len()), (1, 2));
    let first = gathered(&desk, &desk.recovery.recipient());
    let first = first.vouched(&desk.recovery.root_public()).unwrap();
    assert!(wrapped(&first).is_disjoint(&wrapped(&periods)), "another object");
}

#[test]
fn whatever_byte_is_changed_nothing_that_was_not_signed_is_vouched_for() {
    let desk = Desk::new();
    let mut writer = desk.writer(1);
    point(&mut writer, 1, START, &[("plan", b"one")]).unwrap();
    let evidence = gathered(&desk, &desk.recovery.recipient());
    let root = desk.recovery.root_public();
    let genuine = wrapped(&evidence.vouched(&root).unwrap());
    assert!(!genuine.is_empty());
    let bytes = evidence.to_bytes();
    let mut refused = 0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let vouched = KeyEvidence::from_bytes(&changed).ok().and_then(|it| it.vouched(&root).ok());
        match vouched {
            None => refused += 1,
            Some(periods) => assert!(wrapped(&periods).is_subset(&genuine), "byte {at}"),
        }
    }
    assert_eq!(refused, bytes.len(), "every byte is covered by a signature or a hash");
}
