//! What holds for any secret, policy and order of cards.

use evenkeel_custody::slip39::{
    GroupPolicy, Policy, RecoverError, Share, SplitOptions, recover, split,
};
use proptest::prelude::*;

use crate::support::Seeded;

fn policies() -> impl Strategy<Value = Policy> {
    let group = (2_u8..=6, 0_u8..=4)
        .prop_map(|(threshold, more)| GroupPolicy { threshold, count: threshold + more });
    proptest::collection::vec(group, 1..=5).prop_flat_map(|groups| {
        let most = u8::try_from(groups.len()).unwrap();
        (1..=most)
            .prop_map(move |group_threshold| Policy { group_threshold, groups: groups.clone() })
    })
}

/// A smallest choice of cards that suffices, drawn by the seed.
fn quorum(policy: &Policy, cards: &[Vec<Share>], random: &mut Seeded) -> Vec<Share> {
    let mut groups: Vec<usize> = (0..cards.len()).collect();
    shuffle(&mut groups, random);
    let mut chosen = Vec::new();
    for group in groups.into_iter().take(usize::from(policy.group_threshold)) {
        let mut members = cards[group].clone();
        shuffle(&mut members, random);
        chosen.extend(members.into_iter().take(usize::from(policy.groups[group].threshold)));
    }
    shuffle(&mut chosen, random);
    chosen
}

fn shuffle<T>(items: &mut [T], random: &mut Seeded) {
    for last in (1..items.len()).rev() {
        let other = usize::from(random.between(0, u8::try_from(last).unwrap()));
        items.swap(last, other);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_quorum_in_any_order_gives_the_secret_and_one_card_less_does_not(
        policy in policies(),
        half_bytes in 8_usize..=32,
        passphrase in "[ -~]{0,20}",
        seed in any::<u64>(),
        extendable in any::<bool>(),
    ) {
        let mut random = Seeded::new(seed);
        let secret = random.bytes(half_bytes * 2);
        let options = SplitOptions { iteration_exponent: 0, extendable, identifier: None };
        let cards =
            split(&policy, &secret, passphrase.as_bytes(), options, &mut random).unwrap();
        let mut some = quorum(&policy, &cards, &mut random);
        let recovered = recover(&some, passphrase.as_bytes()).unwrap();
        prop_assert_eq!(recovered.secret.reveal(), secret.as_slice());
        prop_assert_eq!(recovered.extra_checked, 0);
        some.pop();
        let short = recover(&some, passphrase.as_bytes()).unwrap_err();
        let missing = matches!(short, RecoverError::NotEnough { .. } | RecoverError::Nothing);
        prop_assert!(missing);
    }

    #[test]
    fn up_to_three_wrong_words_never_pass(
        seed in any::<u64>(),
        changes in proptest::collection::btree_map(0_usize..20, 1_usize..1_024, 1..=3),
    ) {
        let policy = Policy::parse("2of2", 1).unwrap();
        let mut random = Seeded::new(seed);
        let secret = random.bytes(16);
        let cards = split(&policy, &secret, b"", SplitOptions {
            iteration_exponent: 0,
            ..SplitOptions::default()
        }, &mut random).unwrap();
        let list = word_list();
        let text = cards[0][0].mnemonic();
        let mut words: Vec<&str> = text.split(' ').collect();
        for (position, step) in changes {
            let at = list.iter().position(|word| *word == words[position]).unwrap();
            words[position] = list[(at + step) % list.len()];
        }
        prop_assert!(Share::parse(&words.join(" ")).is_err());
    }

    #[test]
    fn any_text_is_refused_or_understood(text in "\\PC{0,200}") {
        if let Ok(card) = Share::parse(&text) {
            prop_assert_eq!(Share::parse(&card.mnemonic()).unwrap(), card);
        }
    }
}

/// All words, found by what cards show: the list itself is not public.
fn word_list() -> Vec<&'static str> {
    static LIST: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let list = LIST.get_or_init(|| {
        let mut seen = std::collections::BTreeSet::new();
        let mut random = Seeded::new(1);
        let policy = Policy::parse("2of16", 1).unwrap();
        while seen.len() < 1_024 {
            let secret = random.bytes(64);
            let options = SplitOptions { iteration_exponent: 0, ..SplitOptions::default() };
            let cards = split(&policy, &secret, b"", options, &mut random).unwrap();
            for card in cards.iter().flatten() {
                seen.extend(card.mnemonic().split(' ').map(str::to_owned));
            }
        }
        seen.into_iter().collect()
    });
    list.iter().map(String::as_str).collect()
}
