//! Ten classic mistakes, each made on purpose: the simulator finds every one of them, in histories
//! that hold without it. `cargo xtask campaign sim --bug NAME` counts in how many.
#![allow(clippy::unwrap_used)]

use evenkeel_sim::{Bug, play_seed};

/// Of some histories in which a mistake has shown before, one has to show it; without the mistake
/// all of them hold.
fn is_found(bug: Bug, seeds: &[u64]) {
    let found = seeds.iter().filter(|seed| {
        assert_eq!(play_seed(**seed, None).broken, None, "seed {seed} without the mistake");
        play_seed(**seed, Some(bug)).broken.is_some()
    });
    assert!(found.count() > 0, "{} is not found in {seeds:?}", bug.name());
}

#[test]
fn an_acknowledgement_before_the_sync_is_found() {
    is_found(Bug::AckBeforeFsync, &[1_000_000_007, 1_000_000_019, 1_000_000_038]);
}

#[test]
fn names_that_are_not_synced_are_found() {
    is_found(Bug::NoDirectorySync, &[1_000_000_011, 1_000_000_020, 1_000_000_050]);
}

#[test]
fn a_journal_cut_off_at_its_first_bad_frame_is_found() {
    is_found(Bug::TruncateAtBadFrame, &[1_000_000_456, 1_000_000_461, 1_000_000_643]);
}

#[test]
fn a_second_writer_that_is_let_in_is_found() {
    is_found(Bug::MissingTermCheck, &[1_000_000_028, 1_000_000_036]);
}

#[test]
fn digests_that_nobody_compares_are_found() {
    is_found(Bug::DigestSkipped, &[1_000_000_357, 1_000_000_285]);
}

#[test]
fn a_retry_without_its_sequence_is_found() {
    is_found(Bug::RetryWithoutSequence, &[1_000_000_014, 1_000_000_018]);
}

#[test]
fn a_snapshot_ahead_of_the_agreement_is_found() {
    is_found(Bug::SnapshotAheadOfAgreement, &[1_000_000_727, 1_000_000_347]);
}

#[test]
fn a_sync_tried_again_after_it_failed_is_found() {
    is_found(Bug::FsyncRetry, &[1_000_000_863, 1_000_000_480, 1_000_000_667]);
}

#[test]
fn a_promotion_without_a_look_at_the_end_is_found() {
    is_found(Bug::StaleWatch, &[1_000_000_046, 1_000_000_075, 1_000_000_104]);
}

#[test]
fn a_trim_of_what_is_not_safe_elsewhere_is_found() {
    is_found(Bug::LostTrimGuard, &[1_000_000_093, 1_000_000_181, 1_000_000_689]);
}
