//! What a restore is, as approvers read it.

use evenkeel_vault::{ActionKind, Detail};

use super::gate::{Asked, Gate, gate};
use crate::cli::{RestoreArgs, format_time_ns};
use crate::config::Config;
use crate::keys_cmd;
use crate::node::domain::Domain;
use crate::report::Result;

/// What a restore says that it is, if it goes live.
pub(super) const GOES_LIVE: &str = "restore, and go live there";

/// The gate in front of `restore`. With --promote it is a promotion and an export at once.
///
/// # Errors
/// As [`gate`].
pub(crate) fn restore_gate(
    config: &Config,
    domain: &Domain<'_>,
    args: &RestoreArgs,
) -> Result<Gate> {
    let (kinds, command): (&[ActionKind], _) = match args.promote {
        true => (&[ActionKind::Promotion, ActionKind::Export], "evenkeel restore --promote"),
        false => (&[ActionKind::Export], "evenkeel restore"),
    };
    // The quorum was asked by an approved action, and opens no more than that.
    let asked_by = args.quorum.quorum.as_deref();
    let also = asked_by.map(keys_cmd::approved_action).transpose()?.flatten();
    let asked = Asked {
        kinds,
        details: details(args),
        propose: args.propose.as_deref(),
        command,
        also,
        json: args.json,
    };
    gate(config, domain, &asked)
}

fn details(args: &RestoreArgs) -> Vec<Detail> {
    let to = std::path::absolute(&args.to).unwrap_or_else(|_| args.to.clone());
    let what = if args.promote { GOES_LIVE } else { "restore" };
    let mut details = vec![
        Detail::new("what", what),
        Detail::new("point", &point(args)),
        Detail::new("to", &to.display().to_string()),
    ];
    if let Some(lineage) = &args.lineage {
        details.push(Detail::new("lineage", lineage));
    }
    let only: Vec<String> = args.only.iter().map(|path| path.display().to_string()).collect();
    let only = if only.is_empty() { "everything".to_owned() } else { only.join(" and ") };
    // Words too long to be shown in full are told apart by their hash.
    let hash = blake3::hash(only.as_bytes()).to_hex();
    let of_it = if only.len() > 300 { format!("{} paths, {hash}", args.only.len()) } else { only };
    details.push(Detail::new("of-it", &of_it));
    details
}

fn point(args: &RestoreArgs) -> String {
    let at = [
        args.point.as_ref().map(|id| format!("recovery point {id}")),
        args.at_time.map(|time| format!("as of {}", format_time_ns(time))),
        args.at_position.map(|position| format!("position {position}")),
        args.at_lsn.as_ref().map(|lsn| format!("up to {lsn}")),
        args.at_point.as_ref().map(|name| format!("up to {name}")),
    ];
    let at: Vec<String> = at.into_iter().flatten().collect();
    if at.is_empty() { "the newest".to_owned() } else { at.join(", ") }
}
