//! `keys ceremony begin`

use std::path::Path;

use evenkeel_custody::slip39::Policy;

use super::room::Room;
use super::{document, needed, say};
use crate::cli::CeremonyBeginArgs;
use crate::documents::CeremonyStep;
use crate::keys_cmd::holders::Holders;
use crate::keys_cmd::input;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &CeremonyBeginArgs) -> Result<Exit> {
    let policy = Policy::parse(&args.groups, args.group_threshold)
        .map_err(|error| Report::new(Exit::Usage, error.to_string()).safe("nothing was begun"))?;
    let holders = Holders::read(Some(&args.holders))?;
    let cards = cards(&policy);
    let unnamed: Vec<String> = cards
        .iter()
        .filter(|(group, member)| holders.of(*group, *member).is_none())
        .map(name)
        .collect();
    if !unnamed.is_empty() {
        return Err(Report::new(Exit::Usage, format!("no holder for card {}", unnamed.join(", ")))
            .at(args.holders.display().to_string())
            .safe("nothing was begun")
            .next("name a person and a place for every card before the key is made"));
    }
    roles_are_distinct(args)?;
    make(&args.dir)?;
    let mut room = Room::locked(&args.dir)?;
    room.make_key()?;
    let list = input::read_text(&args.holders, "the list of holders")?;
    room.note(
        CeremonyStep::Begun,
        [
            ("title", args.title.clone()),
            ("groups", args.groups.clone()),
            ("group_threshold", args.group_threshold.to_string()),
            ("bits", args.bits.clone()),
            ("iteration_exponent", args.iteration_exponent.to_string()),
            ("generation", args.generation.to_string()),
            ("cards", cards.iter().map(name).collect::<Vec<_>>().join(" ")),
            ("holders", list.to_string()),
            ("operator", args.operator.clone()),
            ("witnesses", args.witness.join("\n")),
        ],
    )?;
    let mut document = document(&room.transcript, vec![needed(&room)]);
    document.warnings = holders.warnings(&policy);
    document.written.push(room.transcript_file().display().to_string());
    say(&document, args.json)?;
    Ok(Exit::Ok)
}

fn cards(policy: &Policy) -> Vec<(u8, u8)> {
    let groups = (1..).zip(&policy.groups);
    groups.flat_map(|(group, of)| (1..=of.count).map(move |member| (group, member))).collect()
}

fn name((group, member): &(u8, u8)) -> String {
    format!("{group}.{member}")
}

fn roles_are_distinct(args: &CeremonyBeginArgs) -> Result<()> {
    let mut roles: Vec<&str> =
        args.witness.iter().chain([&args.operator]).map(|name| name.trim()).collect();
    let count = roles.len();
    roles.sort_unstable();
    roles.dedup();
    if roles.len() < count || roles.iter().any(|name| name.is_empty() || name.contains('\n')) {
        return Err(Report::new(Exit::Usage, "operator and witnesses have to be different people")
            .safe("nothing was begun"));
    }
    Ok(())
}

fn make(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|error| Report::io("make the folder", dir, &error))?;
    let mut entries =
        std::fs::read_dir(dir).map_err(|error| Report::io("read the folder", dir, &error))?;
    if entries.next().is_some() {
        return Err(Report::new(Exit::Usage, "the folder of a new ceremony has to be empty")
            .at(dir.display().to_string())
            .safe("nothing was changed")
            .next("to go on with one that was begun: evenkeel keys ceremony next --dir DIR"));
    }
    Ok(())
}
