//! Signing histories, merged forward: what any of them forbids stays forbidden.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

use std::collections::BTreeMap;

use evenkeel_capture::slashing::{
    Attestation, Block, History, Interchange, Lowered, PublicKey, Root, epochs_to_wait, merge,
    watermarks,
};
use proptest::prelude::*;

const GENESIS: Root = Root([7; 32]);

/// What a signer that respects conditions 1 to 5 of EIP-3076 refuses, of messages that are no
/// repetition.
fn refuses_block(history: &History, slot: u64) -> bool {
    let lowest = history.blocks.iter().map(|it| it.slot).min();
    history.blocks.iter().any(|it| it.slot == slot) || lowest.is_some_and(|lowest| slot <= lowest)
}

fn refuses_vote(history: &History, source: u64, target: u64) -> bool {
    let all = &history.attestations;
    let slashable = all.iter().any(|it| {
        it.target == target
            || (source < it.source && it.target < target)
            || (it.source < source && target < it.target)
    });
    let low_source = all.iter().map(|it| it.source).min().is_some_and(|low| source < low);
    let low_target = all.iter().map(|it| it.target).min().is_some_and(|low| target <= low);
    slashable || low_source || low_target
}

fn histories() -> impl Strategy<Value = Interchange> {
    let block = (0_u64..30, any::<bool>()).prop_map(|(slot, rooted)| Block {
        slot,
        signing_root: rooted.then_some(Root([slot.to_le_bytes()[0]; 32])),
    });
    let vote = (0_u64..20, 0_u64..20).prop_map(|(source, target)| Attestation {
        source,
        target,
        signing_root: None,
    });
    let history =
        (proptest::collection::btree_set(block, 0..5), proptest::collection::btree_set(vote, 0..5))
            .prop_map(|(blocks, attestations)| History { blocks, attestations });
    let key = (0_u8..4).prop_map(|byte| PublicKey([byte; 48]));
    proptest::collection::btree_map(key, history, 0..4)
        .prop_map(|keys| Interchange { genesis_validators_root: GENESIS, keys })
}

fn merged(all: &[&Interchange]) -> Interchange {
    merge(all.iter().copied()).unwrap().unwrap()
}

proptest! {
    #[test]
    fn the_order_and_the_grouping_of_a_merge_and_repetitions_change_nothing(
        a in histories(), b in histories(), c in histories(),
    ) {
        prop_assert_eq!(merged(&[&a, &b]), merged(&[&b, &a]));
        let left = merged(&[&merged(&[&a, &b]), &c]);
        let right = merged(&[&a, &merged(&[&b, &c])]);
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(&left, &merged(&[&a, &b, &c]));
        prop_assert_eq!(&merged(&[&left, &left]), &left);
        prop_assert_eq!(&merged(&[&left, &a]), &left);
    }

    #[test]
    fn whatever_one_history_forbids_the_merged_one_forbids(
        a in histories(), b in histories(), slot in 0_u64..35, source in 0_u64..25,
        target in 0_u64..25,
    ) {
        let both = merged(&[&a, &b]);
        for one in [&a, &b] {
            for (key, history) in &one.keys {
                let now = &both.keys[key];
                prop_assert!(!refuses_block(history, slot) || refuses_block(now, slot));
                prop_assert!(
                    !refuses_vote(history, source, target) || refuses_vote(now, source, target)
                );
            }
        }
    }

    #[test]
    fn no_watermark_is_ever_lowered_and_a_file_that_would_is_found(
        a in histories(), b in histories(),
    ) {
        let both = merged(&[&a, &b]);
        prop_assert!(Lowered::find(&a, &both).is_empty());
        prop_assert!(Lowered::find(&b, &both).is_empty());
        let lowered = Lowered::find(&both, &a);
        let same = watermarks(&both).iter().all(|(key, mark)| {
            watermarks(&a).get(key).copied().unwrap_or_default() == *mark
        });
        prop_assert_eq!(lowered.is_empty(), same);
    }

    #[test]
    fn what_is_written_reads_back_as_it_was(a in histories()) {
        prop_assert_eq!(Interchange::parse(&a.to_json()).unwrap(), a);
    }
}

fn file(version: &str, root: char, data: &str) -> String {
    let root: String = std::iter::repeat_n(root, 64).collect();
    format!(
        "{{\"metadata\":{{\"interchange_format_version\":\"{version}\",\
         \"genesis_validators_root\":\"0x{root}\"}},\"data\":[{data}]}}"
    )
}

fn key(digit: char, blocks: &str, votes: &str) -> String {
    let key: String = std::iter::repeat_n(digit, 96).collect();
    format!(
        "{{\"pubkey\":\"0x{key}\",\"signed_blocks\":[{blocks}],\"signed_attestations\":[{votes}]}}"
    )
}

fn block(slot: &str) -> String {
    format!("{{\"slot\":\"{slot}\"}}")
}

fn vote(source: &str, target: &str) -> String {
    format!("{{\"source_epoch\":\"{source}\",\"target_epoch\":\"{target}\"}}")
}

#[test]
fn an_older_history_beside_a_pruned_one_opens_no_gap_between_the_two() {
    let old =
        Interchange::parse(&file("5", '0', &key('a', &block("40"), &vote("1", "2")))).unwrap();
    let pruned =
        Interchange::parse(&file("5", '0', &key('a', &block("81"), &vote("7", "9")))).unwrap();
    let both = merged(&[&old, &pruned]);
    let history = both.keys.values().next().unwrap();
    for slot in 0..=81 {
        assert!(refuses_block(history, slot), "slot {slot}");
    }
    assert!(!refuses_block(history, 82));
    for target in 0..=9 {
        assert!(refuses_vote(history, 7, target), "target {target}");
    }
    assert!(!refuses_vote(history, 7, 10) && refuses_vote(history, 6, 10));
    // The plain union of both would have let slot 60 through.
    let mut union = old.keys.values().next().unwrap().clone();
    union.blocks.extend(&pruned.keys.values().next().unwrap().blocks);
    assert!(!refuses_block(&union, 60));
}

#[test]
fn a_key_that_stands_twice_and_a_source_above_its_target_are_taken_at_their_greatest() {
    let twice = format!(
        "{},{}",
        key('a', &format!("{},{}", block("98"), block("4")), &vote("8", "7")),
        key('a', &block("243"), &vote("2", "9"))
    );
    let read = Interchange::parse(&file("5", '0', &twice)).unwrap();
    assert_eq!(read.keys.len(), 1);
    let marks: BTreeMap<_, _> = watermarks(&read);
    let mark = marks.values().next().unwrap();
    assert_eq!((mark.slot, mark.source, mark.target), (Some(243), Some(8), Some(9)));
}

#[test]
fn the_genesis_epoch_counts_and_a_key_without_history_stays_without() {
    let genesis =
        file("5", '0', &format!("{},{}", key('a', "", &vote("0", "0")), key('b', "", "")));
    let read = Interchange::parse(&genesis).unwrap();
    let both = merged(&[&read]);
    let histories: Vec<_> = both.keys.values().collect();
    assert!(refuses_vote(histories[0], 0, 0) && !refuses_vote(histories[0], 0, 1));
    assert_eq!(histories[1], &History::default());
}

#[test]
fn histories_of_two_chains_are_never_merged() {
    let one = Interchange::parse(&file("5", '0', "")).unwrap();
    let other = Interchange::parse(&file("5", '1', "")).unwrap();
    let error = merge([&one, &other]).unwrap_err().to_string();
    assert!(error.contains("two chains") && error.contains("0x1111"), "{error}");
}

#[test]
fn drafts_numbers_without_quotes_and_broken_keys_are_refused_with_their_place() {
    let good = key('a', &block("1"), "");
    for (text, said) in [
        (file("3", '0', &good), "format version is `3`"),
        (file("5", 'g', &good), "genesis_validators_root"),
        (file("5", '0', &key('a', "{\"slot\":1}", "")), "no interchange file"),
        (file("5", '0', &key('a', &block("-1"), "")), "data[0].signed_blocks[0].slot"),
        (file("5", '0', &key('a', &block("18446744073709551616"), "")), "64 bits"),
        (file("5", '0', &key('a', "", &vote("1", ""))), "signed_attestations[0].target_epoch"),
        (file("5", '0', &key('x', "", "")), "data[0].pubkey"),
        ("{}".to_owned(), "no interchange file"),
    ] {
        let error = Interchange::parse(&text).unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn a_restored_validator_waits_until_everything_it_can_have_signed_is_past() {
    // Captured up to 100, stopped somewhere in 100: a target of 101 may be signed.
    assert_eq!(epochs_to_wait(Some(100), 100, 100), 2);
    assert_eq!(epochs_to_wait(Some(101), 100, 100), 0);
    // Ran unseen until 130, now 131: 131 was signable, 132 is free.
    assert_eq!(epochs_to_wait(Some(100), 130, 131), 1);
    assert_eq!(epochs_to_wait(Some(100), 130, 140), 0);
    // Nothing is known of it: until now it may have signed.
    assert_eq!(epochs_to_wait(None, 140, 140), 2);
}
