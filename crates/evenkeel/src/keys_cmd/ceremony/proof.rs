//! That what stands on the sheets is the key: all of them, not the files they were copied from.

use evenkeel_custody::Secret;
use evenkeel_custody::slip39::{Policy, Share, recover};
use sha2::{Digest as _, Sha256};

use crate::documents::KeyFingerprintDocument;
use crate::keys_cmd::record;
use crate::report::{Exit, Report, Result};

pub(super) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Shows that all cards lie on the polynomials of this policy, and that quorums which together
/// use every card bring back the recorded key. Returns how many quorums were tried.
///
/// # Errors
/// [`Exit::WrongKey`] for another passphrase than at the dealing, [`Exit::Integrity`] for cards
/// that do not belong together.
pub(super) fn prove(
    policy: &Policy,
    cards: &[Share],
    passphrase: &Secret,
    known: &KeyFingerprintDocument,
) -> Result<usize> {
    let failed = |why: String| {
        Report::new(Exit::Integrity, why)
            .safe("nothing was handed out; the secret still lies in the ceremony's folder alone")
            .next("read the sheets back again; if this repeats, begin a new ceremony")
    };
    let right_degree = cards.iter().all(|card| {
        let group = policy.groups.get(usize::from(card.group_index));
        group.is_some_and(|group| group.threshold == card.member_threshold)
            && card.set.group_threshold == policy.group_threshold
    });
    if !right_degree || cards.len() != policy.card_count() {
        return Err(failed("the cards are not those of this policy".to_owned()));
    }
    let all = recover(cards, passphrase.reveal()).map_err(|error| failed(error.to_string()))?;
    let needed = cards.len() - all.extra_checked;
    if !all.unchecked.is_empty() || !all.repeated.is_empty() || needed != fewest(policy) {
        return Err(failed("not every card could be checked against the others".to_owned()));
    }
    let none = Secret::new(Vec::new());
    record::compare(known, &all.secret, &none)?;
    let mut tried = 0;
    for turn in 0..cards.len() {
        let quorum = quorum(policy, cards, turn);
        let back = recover(&quorum, passphrase.reveal()).map_err(|it| failed(it.to_string()))?;
        if back.secret != all.secret {
            return Err(failed("two quorums bring different secrets back".to_owned()));
        }
        tried += 1;
    }
    Ok(tried)
}

/// The fewest cards that bring the key back.
fn fewest(policy: &Policy) -> usize {
    let mut thresholds: Vec<usize> =
        policy.groups.iter().map(|group| usize::from(group.threshold)).collect();
    thresholds.sort_unstable();
    thresholds.iter().take(usize::from(policy.group_threshold)).sum()
}

/// A quorum that no card can leave: groups and members in turn, begun one further each time.
fn quorum(policy: &Policy, cards: &[Share], turn: usize) -> Vec<Share> {
    let groups = (0_u8..).zip(&policy.groups).cycle().skip(turn % policy.groups.len());
    let mut quorum = Vec::new();
    for (index, group) in groups.take(usize::from(policy.group_threshold)) {
        let members: Vec<&Share> = cards.iter().filter(|card| card.group_index == index).collect();
        let of_turn =
            members.iter().cycle().skip(turn / policy.groups.len() % members.len().max(1));
        quorum.extend(of_turn.take(usize::from(group.threshold)).map(|card| (*card).clone()));
    }
    quorum
}

#[cfg(test)]
mod tests {
    use evenkeel_custody::slip39::{SplitOptions, split};

    use super::*;
    use crate::documents::KeyScheme;
    use crate::keys_cmd::input::OsRandom;

    fn dealt(groups: &str, threshold: u8) -> (Policy, Vec<Share>, KeyFingerprintDocument) {
        let policy = Policy::parse(groups, threshold).unwrap();
        let options = SplitOptions { iteration_exponent: 0, ..SplitOptions::default() };
        let secret = Secret::new(vec![7; 16]);
        let groups = split(&policy, secret.reveal(), b"p", options, &mut OsRandom).unwrap();
        let none = Secret::new(Vec::new());
        let known = record::new(KeyScheme::Seed, &secret, &none, 1).unwrap();
        (policy, groups.into_iter().flatten().collect(), known)
    }

    #[test]
    fn every_card_is_in_a_quorum_that_was_tried() {
        for (groups, threshold) in [("2of3,3of5", 2), ("2of3,3of5,1of1", 2), ("3of5", 1)] {
            let (policy, cards, known) = dealt(groups, threshold);
            let passphrase = Secret::new(b"p".to_vec());
            assert_eq!(prove(&policy, &cards, &passphrase, &known).unwrap(), cards.len());
            let quorums = (0..cards.len()).map(|turn| quorum(&policy, &cards, turn));
            let used: Vec<Share> = quorums.flatten().collect();
            assert!(cards.iter().all(|card| used.contains(card)), "{groups}");
        }
    }

    #[test]
    fn another_passphrase_and_cards_of_another_split_are_refused() {
        let (policy, cards, known) = dealt("2of3", 1);
        let wrong = prove(&policy, &cards, &Secret::new(b"q".to_vec()), &known).unwrap_err();
        assert_eq!(wrong.exit(), Exit::WrongKey);
        let (_, others, _) = dealt("2of3", 1);
        let mixed = [cards[0].clone(), cards[1].clone(), others[2].clone()];
        let passphrase = Secret::new(b"p".to_vec());
        assert_eq!(
            prove(&policy, &mixed, &passphrase, &known).unwrap_err().exit(),
            Exit::Integrity
        );
        let few = prove(&policy, &cards[..2], &passphrase, &known).unwrap_err();
        assert_eq!(few.exit(), Exit::Integrity);
    }
}
