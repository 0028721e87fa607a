//! Who holds which card where, and who could do too much alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use evenkeel_custody::slip39::Policy;

use super::input;
use crate::report::{Exit, Report, Result};

/// A person at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) person: String,
    pub(super) place: String,
}

/// The holders by group and member, from 1.
#[derive(Debug, Default)]
pub(super) struct Holders(BTreeMap<(u8, u8), Holder>);

impl Holders {
    /// Reads lines such as `1.2 Ada Lovelace @ bank in Zurich`.
    pub(super) fn read(file: Option<&Path>) -> Result<Self> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let text = input::read_text(file, "the list of holders")?;
        Self::of_text(&text, &file.display().to_string())
    }

    /// The same from a text, and where it stands.
    pub(super) fn of_text(text: &str, place: &str) -> Result<Self> {
        let mut holders = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (card, holder) = parse(line).ok_or_else(|| {
                Report::new(Exit::Usage, "this line names no holder")
                    .at(format!("{place}:{number}"))
                    .safe("nothing was changed")
                    .next("write GROUP.MEMBER PERSON @ PLACE, such as: 1.2 Ada @ bank in Zurich")
            })?;
            if holders.insert(card, holder).is_some() {
                return Err(Report::new(Exit::Usage, "this card has a holder already")
                    .at(format!("{place}:{number}"))
                    .safe("nothing was changed"));
            }
        }
        Ok(Self(holders))
    }

    pub(super) fn of(&self, group: u8, member: u8) -> Option<&Holder> {
        self.0.get(&(group, member))
    }

    /// Who or what reaches a quorum alone, what would be lost with one place, and who is unnamed.
    pub(super) fn warnings(&self, policy: &Policy) -> Vec<String> {
        let mut warnings = Vec::new();
        for (number, group) in (1..).zip(&policy.groups) {
            let spare = group.count.saturating_sub(group.threshold);
            if spare == 0 && group.count > 1 {
                warnings.push(format!(
                    "group {number} ({group}) has no card to lose: one lost card ends the group"
                ));
            }
        }
        if self.0.is_empty() {
            return warnings;
        }
        let all: BTreeSet<(u8, u8)> = (1..)
            .zip(&policy.groups)
            .flat_map(|(group, of)| (1..=of.count).map(move |member| (group, member)))
            .collect();
        let unnamed: Vec<String> = all
            .iter()
            .filter(|card| !self.0.contains_key(card))
            .map(|(group, member)| format!("{group}.{member}"))
            .collect();
        if !unnamed.is_empty() {
            warnings.push(format!("no holder is named for card {}", unnamed.join(", ")));
        }
        for (what, key) in [("person", person as fn(&Holder) -> &str), ("place", place)] {
            for name in self.0.values().map(key).collect::<BTreeSet<_>>() {
                let reach: BTreeSet<(u8, u8)> = self
                    .0
                    .iter()
                    .filter(|(_, holder)| key(holder) == name)
                    .map(|(card, _)| *card)
                    .collect();
                if is_quorum(policy, &reach) {
                    warnings.push(format!("one {what} reaches a quorum alone: {name}"));
                }
                let left: BTreeSet<(u8, u8)> = all.difference(&reach).copied().collect();
                if !is_quorum(policy, &left) {
                    warnings.push(format!("without one {what} there is no quorum: {name}"));
                }
            }
        }
        warnings
    }
}

fn person(holder: &Holder) -> &str {
    &holder.person
}

fn place(holder: &Holder) -> &str {
    &holder.place
}

fn parse(line: &str) -> Option<((u8, u8), Holder)> {
    let (card, rest) = line.split_once(char::is_whitespace)?;
    let (group, member) = card.split_once('.')?;
    let (person, place) = rest.split_once('@')?;
    let (person, place) = (person.trim().to_owned(), place.trim().to_owned());
    let card = (group.parse().ok()?, member.parse().ok()?);
    (!person.is_empty() && !place.is_empty()).then_some((card, Holder { person, place }))
}

/// Whether these cards suffice.
fn is_quorum(policy: &Policy, cards: &BTreeSet<(u8, u8)>) -> bool {
    let complete = (1_u8..).zip(&policy.groups).filter(|(number, group)| {
        let members = cards.iter().filter(|(of, member)| of == number && *member <= group.count);
        members.count() >= usize::from(group.threshold)
    });
    complete.count() >= usize::from(policy.group_threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(policy: &str, threshold: u8, lines: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines).unwrap();
        let policy = Policy::parse(policy, threshold).unwrap();
        Holders::read(Some(file.path())).unwrap().warnings(&policy)
    }

    #[test]
    fn one_person_or_one_place_with_a_quorum_is_warned_of() {
        let found = warnings("2of3", 1, "1.1 Ada @ bank\n1.2 Bob @ bank\n1.3 Ada @ home\n");
        assert_eq!(
            found,
            [
                "one person reaches a quorum alone: Ada",
                "without one person there is no quorum: Ada",
                "one place reaches a quorum alone: bank",
                "without one place there is no quorum: bank",
            ]
        );
    }

    #[test]
    fn a_good_distribution_has_nothing_to_warn_of() {
        assert!(warnings("2of3", 1, "1.1 Ada @ bank\n1.2 Bob @ home\n1.3 Eve @ safe\n").is_empty());
    }

    #[test]
    fn a_group_without_a_card_to_lose_and_a_card_without_holder_are_warned_of() {
        let found = warnings("2of2", 1, "1.1 Ada @ bank\n");
        assert!(found[0].contains("no card to lose"), "{found:?}");
        assert!(found[1].contains("card 1.2"), "{found:?}");
    }

    #[test]
    fn a_line_that_names_nobody_is_refused_with_its_number() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# who\n1.1 Ada @ bank\n1.1 Bob @ home\n").unwrap();
        let twice = Holders::read(Some(file.path())).unwrap_err();
        assert!(twice.to_string().contains(":3"), "{twice}");
        std::fs::write(file.path(), "1.1 Ada\n").unwrap();
        assert!(Holders::read(Some(file.path())).is_err());
    }
}
