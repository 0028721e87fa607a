//! Whoever does wrong is named, or it is said why nobody can be; nobody honest is ever accused.

use evenkeel_custody::group::{Ed25519, Secp256k1};

use crate::spoil::{ALL, Desk, Tally, Wrong};
use crate::support::Seeded;

/// Each of these kinds some times, on both curves, among 2 to 5 holders.
fn tried(kinds: &[Wrong], times: usize, seed: u64) -> Tally {
    let random = &mut Seeded::new(seed);
    let mut tally = Tally::default();
    let sizes = [(2, 2), (3, 2), (5, 3)];
    let first: Vec<_> = sizes.map(|(n, t)| Desk::new::<Ed25519>(n, t, random)).into();
    let second: Vec<_> = sizes.map(|(n, t)| Desk::new::<Secp256k1>(n, t, random)).into();
    for wrong in kinds {
        for trial in 0..times {
            let desk = trial / 2 % sizes.len();
            if trial % 2 == 0 {
                first[desk].try_one::<Ed25519>(*wrong, random, &mut tally);
            } else {
                second[desk].try_one::<Secp256k1>(*wrong, random, &mut tally);
            }
        }
    }
    assert_eq!(tally.failures, Vec::<String>::new());
    tally
}

#[test]
fn some_hundred_spoilers_of_every_kind_are_named_or_it_is_said_why_nobody_can_be() {
    let tally = tried(&ALL, 18, 1);
    let count = tally.named + tally.silent + tally.cannot_tell + tally.harmless;
    assert_eq!(count, 18 * 18);
    assert!(tally.named > 18 * 10, "{tally:?}");
}

#[test]
fn a_dealer_who_deals_a_wrong_share_is_named_by_the_complaint_that_opens_it() {
    assert_eq!(tried(&[Wrong::Share, Wrong::Packet], 12, 2).named, 24);
}

#[test]
fn whoever_complains_of_a_good_share_is_named() {
    assert_eq!(tried(&[Wrong::Complaint], 12, 3).named, 12);
}

#[test]
fn replayed_messages_do_not_count_and_whoever_is_silent_is_named() {
    assert_eq!(tried(&[Wrong::Replay, Wrong::Silence], 12, 4).silent, 24);
}

#[test]
fn two_different_messages_by_one_holder_prove_who_it_was() {
    assert_eq!(tried(&[Wrong::TwoMessages, Wrong::TwoCommitments], 12, 5).named, 24);
}

#[test]
fn who_claims_to_have_seen_another_opening_may_be_right_and_both_are_named() {
    assert_eq!(tried(&[Wrong::Agreement], 12, 6).cannot_tell, 12);
}

#[test]
fn a_dealer_of_a_change_who_does_not_deal_its_recorded_share_is_named() {
    assert_eq!(tried(&[Wrong::Constant, Wrong::Proof], 12, 7).named, 24);
}

#[test]
fn a_wrong_share_of_a_signature_names_its_signer() {
    assert_eq!(tried(&[Wrong::SignatureShare], 12, 8).named, 12);
}

#[test]
fn what_strangers_lay_on_the_table_stops_nobody() {
    assert_eq!(tried(&[Wrong::Garbage], 6, 9).harmless, 6);
}
