//! What people do to cards, and what they are told.

use evenkeel_custody::slip39::{
    GroupState, RecoverError, Share, ShareError, SplitError, Suspect, recover,
};

use crate::support::{SECRET, cards};

/// The same card with another value: what a forger makes, whose checksum holds.
fn forged(card: &Share, seed: u64) -> Share {
    let mut other = cards("2of3", 1, seed).remove(0).remove(0);
    other.set = card.set;
    other.group_index = card.group_index;
    other.member_index = card.member_index;
    other.member_threshold = card.member_threshold;
    Share::parse(&other.mnemonic()).unwrap()
}

fn flat(groups: &[Vec<Share>]) -> Vec<Share> {
    groups.iter().flatten().cloned().collect()
}

#[test]
fn every_quorum_of_a_policy_gives_the_secret_and_no_smaller_choice_does() {
    let groups = cards("2of3,3of5,1of1", 2, 1);
    let all = flat(&groups);
    let (mut enough, mut short) = (0, 0);
    for choice in 1_u32..1 << all.len() {
        let some: Vec<Share> =
            (0..all.len()).filter(|at| choice >> at & 1 == 1).map(|at| all[at].clone()).collect();
        let count = |group: u8| some.iter().filter(|card| card.group_index == group).count();
        let complete = [(0, 2), (1, 3), (2, 1)].iter().filter(|(g, t)| count(*g) >= *t).count();
        match recover(&some, b"TREZOR") {
            Ok(recovered) => {
                assert!(complete >= 2);
                assert_eq!(recovered.secret.reveal(), SECRET);
                enough += 1;
            }
            Err(RecoverError::NotEnough { .. }) => {
                assert!(complete < 2);
                short += 1;
            }
            Err(error) => panic!("{choice:b}: {error}"),
        }
    }
    assert_eq!(enough + short, 511);
    assert!(enough > 100 && short > 100, "{enough} and {short}");
}

#[test]
fn what_is_missing_is_said_group_by_group() {
    let groups = cards("2of3,3of5,1of1", 2, 1);
    let some = vec![groups[0][1].clone(), groups[1][0].clone(), groups[1][4].clone()];
    let error = recover(&some, b"").unwrap_err();
    let RecoverError::NotEnough { group_threshold: 2, groups: states } = &error else {
        panic!("{error}");
    };
    let state = |group_index, member_threshold, present| GroupState {
        group_index,
        member_threshold,
        present,
    };
    assert_eq!(states, &[state(0, Some(2), 1), state(1, Some(3), 2), state(2, None, 0)]);
    assert_eq!(
        error.to_string(),
        "not enough cards: 0 of the 2 groups needed are complete; group 1 needs 1 more (1 of 2), \
         group 2 needs 1 more (2 of 3); no card yet of group 3"
    );
}

#[test]
fn a_card_to_spare_is_taken_as_a_check() {
    let groups = cards("2of3,3of5,1of1", 2, 1);
    let recovered = recover(&flat(&groups), b"TREZOR").unwrap();
    assert_eq!(recovered.secret.reveal(), SECRET);
    // The 1of1 and two of the 2of3 would have done.
    assert_eq!(recovered.extra_checked, 6);
    assert!(recovered.unchecked.is_empty() && recovered.has_digest);
    // Two of three are checked through the secret of their group, one of three cannot be.
    let mut some = vec![groups[0][0].clone(), groups[0][2].clone(), groups[2][0].clone()];
    some.push(groups[1][3].clone());
    let recovered = recover(&some, b"TREZOR").unwrap();
    assert_eq!((recovered.extra_checked, recovered.unchecked.len()), (0, 1));
    assert_eq!(recovered.unchecked[0].card, 3);
    some.push(groups[1][1].clone());
    let recovered = recover(&some, b"TREZOR").unwrap();
    assert_eq!((recovered.extra_checked, recovered.unchecked.len()), (2, 0));
}

#[test]
fn a_forged_member_among_spares_is_named() {
    let groups = cards("2of3,3of5", 2, 1);
    for culprit in 0..8 {
        let mut all = flat(&groups);
        all[culprit] = forged(&all[culprit], 77);
        assert_eq!(recover(&all, b"").unwrap_err(), RecoverError::Forged(vec![culprit]));
    }
}

#[test]
fn a_forged_member_of_an_incomplete_or_bare_group_is_named_through_the_other_groups() {
    let groups = cards("2of3,2of3,3of3", 2, 1);
    let good = [&groups[0][0], &groups[0][1], &groups[1][0], &groups[1][1]].map(Clone::clone);
    // Two of three needed are here; one of them is forged: no choice without it is left.
    let mut some = good.to_vec();
    some.extend([groups[2][0].clone(), forged(&groups[2][1], 77)]);
    let error = recover(&some, b"").unwrap_err();
    assert_eq!(error, RecoverError::Damaged { cards: vec![4, 5], group_index: Some(2) });
    // All three are here, and the other groups say what they have to give.
    some.push(groups[2][2].clone());
    assert_eq!(recover(&some, b"").unwrap_err(), RecoverError::Forged(vec![5]));
}

#[test]
fn without_a_spare_card_nobody_is_accused() {
    let groups = cards("2of3,3of5", 2, 1);
    let mut some = vec![groups[0][0].clone(), groups[0][1].clone()];
    some.extend(groups[1][..3].iter().cloned());
    some[3] = forged(&some[3], 77);
    let error = recover(&some, b"").unwrap_err();
    assert_eq!(error, RecoverError::Damaged { cards: vec![2, 3, 4], group_index: Some(1) });
    assert!(error.to_string().contains("one more card of group 2"), "{error}");
}

#[test]
fn a_forged_group_of_one_is_named_by_the_other_groups() {
    let groups = cards("2of3,3of5,1of1", 2, 1);
    let mut all = flat(&groups);
    all[8] = forged(&all[8], 77);
    assert_eq!(recover(&all, b"").unwrap_err(), RecoverError::Forged(vec![8]));
    let without_spare = [all[0].clone(), all[1].clone(), all[8].clone()];
    let error = recover(&without_spare, b"").unwrap_err();
    assert_eq!(error, RecoverError::Damaged { cards: vec![0, 1, 2], group_index: None });
}

#[test]
fn cards_of_two_splits_are_told_apart_by_set() {
    let (old, new) = (cards("2of3", 1, 1), cards("2of3", 1, 2));
    let mixed = [old[0][0].clone(), new[0][1].clone(), old[0][2].clone()];
    let error = recover(&mixed, b"").unwrap_err();
    let RecoverError::Mixed(sets) = &error else { panic!("{error}") };
    let mut cards: Vec<&[usize]> = sets.iter().map(|set| set.cards.as_slice()).collect();
    cards.sort();
    assert_eq!(cards, [&[0, 2][..], &[1][..]]);
    assert!(error.to_string().contains(&format!("{:05}", old[0][0].set.identifier)), "{error}");
}

#[test]
fn the_same_member_twice_is_noted_if_alike_and_refused_if_not() {
    let groups = cards("2of3", 1, 1);
    let (first, second) = (groups[0][0].clone(), groups[0][1].clone());
    let repeated = recover(&[first.clone(), second.clone(), first.clone()], b"TREZOR").unwrap();
    assert_eq!((repeated.repeated, repeated.extra_checked), (vec![2], 0));
    let error = recover(&[first.clone(), second, forged(&first, 77)], b"").unwrap_err();
    assert_eq!(error, RecoverError::Conflict { cards: (0, 2), group_index: 0, member_index: 0 });
}

#[test]
fn one_of_many_is_refused_at_recovery_too() {
    // What a careless splitter makes: the second of several cards that each suffice.
    let groups = cards("1of1,1of1", 2, 1);
    let mut second = groups[0][0].clone();
    second.member_index = 1;
    let second = Share::parse(&second.mnemonic()).unwrap();
    let refused = recover(&[second, groups[1][0].clone()], b"").unwrap_err();
    assert_eq!(refused, RecoverError::OneOfMany { card: 0, group_index: 0 });
    assert!(refused.to_string().contains("no digest protects"), "{refused}");
}

#[test]
fn a_wrong_passphrase_is_no_error_but_another_secret() {
    let groups = cards("2of3", 1, 1);
    let recovered = recover(&groups[0], b"TREZOr").unwrap();
    assert_ne!(recovered.secret.reveal(), SECRET);
    assert_eq!(recovered.secret.len(), 16);
}

#[test]
fn one_wrong_word_of_the_list_is_hinted_at_and_never_corrected() {
    let card = cards("2of3", 1, 1)[0][0].mnemonic();
    let words: Vec<&str> = card.split(' ').collect();
    for position in 0..20 {
        let mut changed = words.clone();
        changed[position] = if words[position] == "zero" { "acid" } else { "zero" };
        let error = Share::parse(&changed.join(" ")).unwrap_err();
        let suspect = Some(Suspect::Word(position + 1));
        assert_eq!(error, ShareError::Checksum { suspect }, "word {}", position + 1);
        assert!(!error.to_string().contains(words[position]), "{error}");
    }
}

#[test]
fn a_passphrase_that_other_wallets_cannot_be_told_is_refused_at_the_split() {
    use evenkeel_custody::slip39::{Policy, SplitOptions, split};
    let policy = Policy::parse("2of3", 1).unwrap();
    let mut random = crate::support::Seeded::new(1);
    let mut refused = |secret: &[u8], passphrase: &[u8], iteration_exponent| {
        let options = SplitOptions { iteration_exponent, ..SplitOptions::default() };
        split(&policy, secret, passphrase, options, &mut random).unwrap_err()
    };
    assert_eq!(refused(&SECRET, "pässe".as_bytes(), 0), SplitError::Passphrase { position: 2 });
    assert_eq!(refused(&SECRET, b"", 16), SplitError::IterationExponent(16));
    assert_eq!(refused(&[0; 15], b"", 0), SplitError::SecretBytes { bytes: 15 });
    assert_eq!(refused(&[0; 17], b"", 0), SplitError::SecretBytes { bytes: 17 });
    assert_eq!(refused(&[0; 66], b"", 0), SplitError::SecretBytes { bytes: 66 });
}
