//! From cards to the secret, or to what is wrong with them.

use std::collections::BTreeMap;

use super::cipher;
use super::error::{GroupState, RecoverError, SetCards};
use super::scheme::{SECRET_X, Solution, Values, solve, solve_through};
use super::share::{SetId, Share};
use super::split::SECRET_BYTES_MIN;
use crate::gf256::{Point, interpolate};
use crate::secret::{Secret, same_bytes};

/// What cards gave.
#[derive(Debug)]
pub struct Recovered {
    /// The secret, decrypted under the passphrase: another passphrase gives another secret, so it
    /// is unproven until it was compared with a fingerprint.
    pub secret: Secret,
    /// The set the cards are of.
    pub set: SetId,
    /// Every group of which there were cards.
    pub groups: Vec<GroupUse>,
    /// Cards beyond those needed that were checked against the others.
    pub extra_checked: usize,
    /// Cards that could not be checked, because too few of their group are here.
    pub unchecked: Vec<Unchecked>,
    /// Cards that repeat an earlier one word for word.
    pub repeated: Vec<usize>,
    /// Whether a digest vouches for the shares; false for a single card that is the whole secret.
    pub has_digest: bool,
}

/// One group's part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupUse {
    /// Which group, from 0.
    pub group_index: u8,
    /// Members needed.
    pub member_threshold: u8,
    /// Different members that were here, from 0.
    pub members: Vec<u8>,
}

impl GroupUse {
    /// Whether enough of its members were here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.members.len() >= usize::from(self.member_threshold)
    }
}

/// A card that nothing could be said about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unchecked {
    /// Which card.
    pub card: usize,
    /// Its group, from 0.
    pub group_index: u8,
}

/// A card at its place among those given.
#[derive(Clone, Copy)]
struct Card<'a> {
    index: usize,
    share: &'a Share,
}

impl<'a> Card<'a> {
    fn point(&self) -> Point<'a> {
        Point { x: self.share.member_index, y: self.share.value.reveal() }
    }
}

struct Group<'a> {
    threshold: u8,
    cards: Vec<Card<'a>>,
}

impl Group<'_> {
    fn is_complete(&self) -> bool {
        self.cards.len() >= usize::from(self.threshold)
    }

    fn indices(&self) -> Vec<usize> {
        self.cards.iter().map(|card| card.index).collect()
    }

    fn points(&self) -> Vec<Point<'_>> {
        self.cards.iter().map(Card::point).collect()
    }

    /// The group's secret, by its own cards alone.
    fn solve(&self) -> Solution {
        match self.cards.as_slice() {
            [only] if self.threshold == 1 => Solution::Sound(Values::new(only.point().y.to_vec())),
            _ => solve(&self.points(), self.threshold),
        }
    }
}

type Groups<'a> = BTreeMap<u8, Group<'a>>;

/// Recovers the secret of a set from its cards, in any order; more than needed are checked too.
///
/// # Errors
/// [`RecoverError`], which counts cards from 0 in the order given.
pub fn recover(cards: &[Share], passphrase: &[u8]) -> Result<Recovered, RecoverError> {
    let set = common_set(cards)?;
    let (groups, repeated) = grouped(cards)?;
    let complete = groups.values().filter(|group| group.is_complete()).count();
    if complete < usize::from(set.group_threshold) {
        return Err(RecoverError::NotEnough {
            group_threshold: set.group_threshold,
            groups: states(&set, &groups),
        });
    }
    let (sound, unsound) = solve_groups(&groups);
    if sound.len() < usize::from(set.group_threshold) {
        return Err(accuse(&groups, &unsound));
    }
    let encrypted = join_groups(&set, &groups, &sound)?;
    let unchecked = check_the_rest(&set, &groups, &sound)?;
    if encrypted.len() < SECRET_BYTES_MIN || !encrypted.len().is_multiple_of(2) {
        return Err(RecoverError::SecretBytes { bytes: encrypted.len() });
    }
    let needed = needed_cards(&set, &groups);
    let distinct: usize = groups.values().map(|group| group.cards.len()).sum();
    Ok(Recovered {
        secret: Secret::from(cipher::decrypt(&encrypted, passphrase, &set)),
        set,
        extra_checked: distinct.saturating_sub(needed + unchecked.len()),
        unchecked,
        repeated,
        has_digest: set.group_threshold > 1
            || groups.values().any(|group| group.is_complete() && group.threshold > 1),
        groups: uses(&groups),
    })
}

/// What cards of one set lack, group by group, and how many groups are needed; `None` once there
/// are enough to try, good or not, and for cards that do not belong together.
#[must_use]
pub fn missing(cards: &[Share]) -> Option<(u8, Vec<GroupState>)> {
    let set = common_set(cards).ok()?;
    let (groups, _) = grouped(cards).ok()?;
    let complete = groups.values().filter(|group| group.is_complete()).count();
    (complete < usize::from(set.group_threshold))
        .then(|| (set.group_threshold, states(&set, &groups)))
}

fn uses(groups: &Groups<'_>) -> Vec<GroupUse> {
    groups
        .iter()
        .map(|(group_index, group)| GroupUse {
            group_index: *group_index,
            member_threshold: group.threshold,
            members: group.cards.iter().map(|card| card.share.member_index).collect(),
        })
        .collect()
}

/// The fewest cards that would have done.
fn needed_cards(set: &SetId, groups: &Groups<'_>) -> usize {
    let mut thresholds: Vec<usize> = groups
        .values()
        .filter(|group| group.is_complete())
        .map(|group| usize::from(group.threshold))
        .collect();
    thresholds.sort_unstable();
    thresholds.iter().take(usize::from(set.group_threshold)).sum()
}

fn common_set(cards: &[Share]) -> Result<SetId, RecoverError> {
    let mut sets: BTreeMap<SetId, Vec<usize>> = BTreeMap::new();
    for (index, card) in cards.iter().enumerate() {
        sets.entry(card.set).or_default().push(index);
    }
    let mut found = sets.into_iter();
    match (found.next(), found.next()) {
        (None, _) => Err(RecoverError::Nothing),
        (Some((set, _)), None) => Ok(set),
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(found);
            let sets = all.map(|(set, cards)| SetCards { set, cards }).collect();
            Err(RecoverError::Mixed(sets))
        }
    }
}

/// Cards by group, each member once, and the cards that repeat another.
fn grouped(cards: &[Share]) -> Result<(Groups<'_>, Vec<usize>), RecoverError> {
    let bytes = cards.first().map_or(0, |card| card.value.len());
    if cards.iter().any(|card| card.value.len() != bytes) {
        let odd = cards.iter().enumerate().filter(|(_, card)| card.value.len() != bytes);
        return Err(RecoverError::Lengths(odd.map(|(index, _)| index).collect()));
    }
    let mut groups: Groups<'_> = BTreeMap::new();
    let mut repeated = Vec::new();
    for (index, share) in cards.iter().enumerate() {
        if share.member_threshold == 1 && share.member_index > 0 {
            let group_index = share.group_index;
            return Err(RecoverError::OneOfMany { card: index, group_index });
        }
        let group = groups
            .entry(share.group_index)
            .or_insert_with(|| Group { threshold: share.member_threshold, cards: Vec::new() });
        if group.threshold != share.member_threshold {
            let group_index = share.group_index;
            let of_group =
                cards.iter().enumerate().filter(|(_, card)| card.group_index == group_index);
            let cards = of_group.map(|(index, _)| index).collect();
            return Err(RecoverError::MemberThresholds { group_index, cards });
        }
        let same = group.cards.iter().find(|card| card.share.member_index == share.member_index);
        match same {
            None => group.cards.push(Card { index, share }),
            Some(card) if card.share == share => repeated.push(index),
            Some(card) => {
                return Err(RecoverError::Conflict {
                    cards: (card.index, index),
                    group_index: share.group_index,
                    member_index: share.member_index,
                });
            }
        }
    }
    Ok((groups, repeated))
}

fn states(set: &SetId, groups: &Groups<'_>) -> Vec<GroupState> {
    (0..set.group_count)
        .map(|group_index| {
            let group = groups.get(&group_index);
            GroupState {
                group_index,
                member_threshold: group.map(|group| group.threshold),
                present: group.map_or(0, |group| group.cards.len()),
            }
        })
        .collect()
}

type Sound = Vec<(u8, Values)>;

/// The secrets of the complete groups that are sound, and what is wrong with the others.
fn solve_groups(groups: &Groups<'_>) -> (Sound, Vec<(u8, Solution)>) {
    let (mut sound, mut unsound) = (Vec::new(), Vec::new());
    for (group_index, group) in groups.iter().filter(|(_, group)| group.is_complete()) {
        match group.solve() {
            Solution::Sound(values) => sound.push((*group_index, values)),
            other => unsound.push((*group_index, other)),
        }
    }
    (sound, unsound)
}

/// Who is to blame, as far as groups by themselves tell: the named before the unnamed.
fn accuse(groups: &Groups<'_>, unsound: &[(u8, Solution)]) -> RecoverError {
    let mut culprits = Vec::new();
    let mut unnamed = None;
    for (group_index, solution) in unsound {
        let Some(group) = groups.get(group_index) else { continue };
        let group_index = Some(*group_index);
        let cards = group.indices();
        match solution {
            Solution::Outliers(outliers) => culprits.extend(chosen(&cards, outliers)),
            Solution::Several(choices) => {
                let choices = *choices;
                unnamed = Some(RecoverError::Ambiguous { choices, cards, group_index });
            }
            Solution::None | Solution::Sound(_) => {
                unnamed = Some(RecoverError::Damaged { cards, group_index });
            }
        }
    }
    match unnamed {
        Some(unnamed) if culprits.is_empty() => unnamed,
        _ => {
            culprits.sort_unstable();
            RecoverError::Forged(culprits)
        }
    }
}

fn chosen(cards: &[usize], which: &[usize]) -> Vec<usize> {
    which.iter().filter_map(|at| cards.get(*at).copied()).collect()
}

fn points_of(sound: &Sound) -> Vec<Point<'_>> {
    sound.iter().map(|(x, values)| Point { x: *x, y: values }).collect()
}

/// The encrypted secret that the groups give together.
fn join_groups(set: &SetId, groups: &Groups<'_>, sound: &Sound) -> Result<Values, RecoverError> {
    let cards_of = |which: &mut dyn Iterator<Item = u8>| -> Vec<usize> {
        let mut cards: Vec<usize> =
            which.filter_map(|group| groups.get(&group)).flat_map(Group::indices).collect();
        cards.sort_unstable();
        cards
    };
    let all = |groups: &Sound| cards_of(&mut groups.iter().map(|(group, _)| *group));
    if set.group_threshold == 1 {
        let mut secrets: Vec<&Values> = Vec::new();
        for (_, values) in sound {
            if !secrets.iter().any(|known| same_bytes(known, values)) {
                secrets.push(values);
            }
        }
        return match secrets.as_slice() {
            [one] => Ok((*one).clone()),
            several => Err(RecoverError::Ambiguous {
                choices: several.len(),
                cards: all(sound),
                group_index: None,
            }),
        };
    }
    match solve(&points_of(sound), set.group_threshold) {
        Solution::Sound(values) => Ok(values),
        Solution::Outliers(outliers) => {
            let mut culprits =
                outliers.iter().filter_map(|at| sound.get(*at)).map(|(group, _)| *group);
            Err(RecoverError::Forged(cards_of(&mut culprits)))
        }
        Solution::None => Err(RecoverError::Damaged { cards: all(sound), group_index: None }),
        Solution::Several(choices) => {
            Err(RecoverError::Ambiguous { choices, cards: all(sound), group_index: None })
        }
    }
}

/// Groups that were not needed are checked too: the others say what their secret has to be. Gives
/// the cards of which even that leaves too few to say anything.
fn check_the_rest(
    set: &SetId,
    groups: &Groups<'_>,
    sound: &Sound,
) -> Result<Vec<Unchecked>, RecoverError> {
    let points = points_of(sound);
    let needed: Vec<Point<'_>> =
        points.into_iter().take(usize::from(set.group_threshold)).collect();
    let mut unchecked = Vec::new();
    let mut culprits = Vec::new();
    let mut unnamed = None;
    let rest = groups.iter().filter(|(index, _)| !sound.iter().any(|(known, _)| known == *index));
    for (group_index, group) in rest {
        let cards = group.indices();
        if cards.len() + 1 < usize::from(group.threshold) {
            let group_index = *group_index;
            unchecked.extend(cards.into_iter().map(|card| Unchecked { card, group_index }));
            continue;
        }
        let secret = interpolate(&needed, *group_index);
        let through = Point { x: SECRET_X, y: &secret };
        let group_index = Some(*group_index);
        match solve_through(through, &group.points(), group.threshold) {
            Solution::Sound(_) => {}
            Solution::Outliers(outliers) => culprits.extend(chosen(&cards, &outliers)),
            // The known secret is good, so a lone card is the one that is not.
            Solution::None if cards.len() == 1 => culprits.extend(cards),
            Solution::None => unnamed = Some(RecoverError::Damaged { cards, group_index }),
            Solution::Several(choices) => {
                unnamed = Some(RecoverError::Ambiguous { choices, cards, group_index });
            }
        }
    }
    culprits.sort_unstable();
    match unnamed {
        _ if !culprits.is_empty() => Err(RecoverError::Forged(culprits)),
        Some(unnamed) => Err(unnamed),
        None => Ok(unchecked),
    }
}
