//! `keys depart`: a holder of cards leaves.

use std::collections::BTreeMap;

use super::record;
use crate::cli::KeysDepartArgs;
use crate::documents::{
    KeyCardDocument, KeyDepartureDocument, KeyFingerprintDocument, KeySetDocument,
};
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &KeysDepartArgs) -> Result<Exit> {
    let known = record::read(&args.fingerprint)?;
    let set = known.set.as_ref().filter(|set| !set.groups.is_empty()).ok_or_else(|| {
        Report::new(Exit::Usage, "the record does not say which groups and cards there are")
            .at(args.fingerprint.display().to_string())
            .safe("nothing was changed")
            .next("take the record that `keys slip39 split --holders FILE` wrote")
    })?;
    let (left, stay): (Vec<_>, Vec<_>) =
        set.cards.iter().partition(|card| card.holder.as_deref() == Some(args.holder.as_str()));
    if left.is_empty() {
        return Err(nobody(set, &args.holder));
    }
    let document = departure(&known, set, args, &left, &stay);
    if args.json {
        output::document(&document)?;
    } else {
        say(&document)?;
    }
    Ok(if document.next.is_empty() { Exit::Ok } else { Exit::Partial })
}

fn nobody(set: &KeySetDocument, name: &str) -> Report {
    let mut names: Vec<&str> = set.cards.iter().filter_map(|card| card.holder.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    Report::new(Exit::NothingYet, format!("nobody called {name} holds a card of this key"))
        .detail(format!("holders are: {}", names.join(", ")))
        .safe("nothing was changed")
}

fn departure(
    known: &KeyFingerprintDocument,
    set: &KeySetDocument,
    args: &KeysDepartArgs,
    left: &[&KeyCardDocument],
    stay: &[&KeyCardDocument],
) -> KeyDepartureDocument {
    let alone = is_quorum(set, left);
    let helpers = if alone { Vec::new() } else { helpers(set, left, stay) };
    let remaining = is_quorum(set, stay);
    let mut next = Vec::new();
    if alone || !remaining {
        next.push(
            "today: make a new key (`keys ceremony begin`) and move what this key controls to \
                   it; only that ends the old cards"
                .to_owned(),
        );
    }
    if alone {
        next.push(
            "treat the key as read: nothing that is done with the cards takes it back".into(),
        );
    } else {
        next.push(format!(
            "get the cards back, or see them destroyed: {}",
            left.iter().map(|card| name(card)).collect::<Vec<_>>().join(", ")
        ));
        next.push(
            "if they cannot be had: make a new key and move what this key controls to it. A new \
             split of the same key revokes nothing"
                .to_owned(),
        );
        next.push(format!(
            "if they were destroyed: deal the key anew among those who stay (`keys recover`, then \
             `keys slip39 split --generation {}`), and destroy every old card",
            known.generation + 1
        ));
        next.push("drill the new cards, then replace the record at the desk's papers".to_owned());
    }
    KeyDepartureDocument {
        holder: args.holder.clone(),
        set: set.set,
        generation: known.generation,
        cards: left.iter().map(|card| name(card)).collect(),
        alone_a_quorum: alone,
        others_needed: helpers,
        rest_is_a_quorum: remaining,
        next,
    }
}

fn name(card: &KeyCardDocument) -> String {
    format!("{}.{}", card.group, card.member)
}

fn lacking(set: &KeySetDocument, cards: &[&KeyCardDocument]) -> BTreeMap<u8, usize> {
    let groups = (1_u8..).zip(&set.groups);
    let lack = groups.map(|(number, group)| {
        let there = cards.iter().filter(|card| card.group == number).count();
        (number, usize::from(group.member_threshold).saturating_sub(there))
    });
    lack.collect()
}

fn is_quorum(set: &KeySetDocument, cards: &[&KeyCardDocument]) -> bool {
    let complete = lacking(set, cards).values().filter(|lack| **lack == 0).count();
    complete >= usize::from(set.group_threshold)
}

/// The fewest people who would have to join in, by name: the quorum that stays dangerous.
fn helpers(
    set: &KeySetDocument,
    left: &[&KeyCardDocument],
    stay: &[&KeyCardDocument],
) -> Vec<String> {
    let mut people: Vec<&str> = stay.iter().filter_map(|card| card.holder.as_deref()).collect();
    people.sort_unstable();
    people.dedup();
    let with = |who: &[&str]| {
        let theirs =
            stay.iter().filter(|card| card.holder.as_deref().is_some_and(|it| who.contains(&it)));
        let cards: Vec<&KeyCardDocument> = left.iter().chain(theirs).copied().collect();
        is_quorum(set, &cards)
    };
    for count in 1..=people.len().min(HELPERS_MAX) {
        let found: Vec<String> = combinations(&people, count)
            .into_iter()
            .filter(|who| with(who))
            .map(|who| who.join(" and "))
            .collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Larger conspiracies are not listed.
const HELPERS_MAX: usize = 4;

fn combinations<'a>(people: &[&'a str], count: usize) -> Vec<Vec<&'a str>> {
    match (count, people.split_first()) {
        (0, _) => vec![Vec::new()],
        (_, None) => Vec::new(),
        (_, Some((first, rest))) => {
            let with = combinations(rest, count - 1).into_iter().map(|mut others| {
                others.insert(0, *first);
                others
            });
            with.chain(combinations(rest, count)).collect()
        }
    }
}

fn say(document: &KeyDepartureDocument) -> Result<()> {
    let mut lines = vec![format!(
        "{} leaves with card {} of set {:05}, generation {}",
        document.holder,
        document.cards.join(", "),
        document.set,
        document.generation
    )];
    if document.alone_a_quorum {
        lines.push("  DANGER     these cards alone bring the key back".to_owned());
    }
    for who in &document.others_needed {
        lines.push(format!("  dangerous  together with {who}, for ever, while the cards exist"));
    }
    lines.push(if document.rest_is_a_quorum {
        "  those who stay can bring the key back without them".to_owned()
    } else {
        "  LOST       those who stay cannot bring the key back without them".to_owned()
    });
    lines.extend((1..).zip(&document.next).map(|(number, next)| format!("  {number}. {next}")));
    output::result(&lines.join("\n"))
}
