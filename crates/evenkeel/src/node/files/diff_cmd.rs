//! `evenkeel diff`: what differs between two recovery points of files.

use evenkeel_capture::files::{Change, Entry, compare, shown};

use super::opened::{Opened, opener, point_of_files};
use super::progress::size;
use crate::cli::DiffArgs;
use crate::documents::{DiffDocument, DifferenceDocument};
use crate::output;
use crate::report::{Exit, Result};

/// Runs the command.
pub(crate) fn run(args: &DiffArgs) -> Result<Exit> {
    let opener = opener(&args.place, &args.identity)?;
    let point = |named: &str| point_of_files(opener.catalog(), Some(named));
    let (before, after) = (point(&args.before)?, point(&args.after)?);
    let (old, new) = (Opened::new(&opener, &before)?, Opened::new(&opener, &after)?);
    let mut document = DiffDocument {
        before: before.id.to_string(),
        after: after.id.to_string(),
        ..DiffDocument::default()
    };
    for one in compare(&old.tree, &new.tree) {
        *match one.change {
            Change::Added => &mut document.added,
            Change::Removed => &mut document.removed,
            Change::Content => &mut document.content,
            Change::Metadata => &mut document.metadata,
        } += 1;
        let bytes = |entry: Option<&Entry>| entry.map(Entry::length_bytes);
        if one.change != Change::Metadata {
            document.bytes_removed += bytes(one.before).unwrap_or_default();
            document.bytes_added += bytes(one.after).unwrap_or_default();
        }
        document.differences.push(DifferenceDocument {
            change: one.change.word().to_owned(),
            path: shown(one.path),
            bytes_before: bytes(one.before),
            bytes_after: bytes(one.after),
        });
    }
    if args.json {
        output::document(&document)?;
    } else {
        print(&document)?;
    }
    Ok(Exit::Ok)
}

fn print(document: &DiffDocument) -> Result<()> {
    let mut results = output::Results::new();
    for one in &document.differences {
        let mark = match one.change.as_str() {
            "added" => '+',
            "removed" => '-',
            "content" => 'M',
            _ => 'm',
        };
        results.line(&format!("{mark} {}", one.path))?;
    }
    results.line(&format!(
        "{} added, {} removed, {} changed, {} with another mode, owner or time; {} new, {} gone",
        document.added,
        document.removed,
        document.content,
        document.metadata,
        size(document.bytes_added),
        size(document.bytes_removed)
    ))?;
    results.finish()
}
