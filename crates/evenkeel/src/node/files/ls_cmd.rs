//! `evenkeel ls`: what a recovery point of files holds.

use std::path::Path;

use evenkeel_capture::files::{Entry, Kind, select, shown};

use super::opened::{Opened, opener, point_of_files};
use crate::cli::{LsArgs, format_time_ns};
use crate::documents::LsDocument;
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command.
pub(crate) fn run(args: &LsArgs) -> Result<Exit> {
    let opener = opener(&args.place, &args.identity)?;
    let point = point_of_files(opener.catalog(), args.point.as_deref())?;
    let opened = Opened::new(&opener, &point)?;
    let base = std::env::current_dir()
        .map_err(|error| Report::io("find the working folder", Path::new("."), &error))?;
    let only: Vec<_> = args.path.iter().cloned().collect();
    let selected = select(&opened.tree, &only, &base)?;
    let mut results = output::Results::new();
    for entry in selected.entries(&opened.tree) {
        if results.reader_left() {
            break;
        }
        let document = document(entry);
        if args.json {
            let line = serde_json::to_string(&document).map_err(|error| {
                Report::new(Exit::Failed, format!("cannot write a line as JSON: {error}"))
            })?;
            results.line(&line)?;
        } else {
            results.line(&line(&document))?;
        }
    }
    results.finish()?;
    let notes = opened.tree.notes.len();
    if notes > 0 && !args.json {
        output::note(&format!("{notes} paths are not in it, or not as they were:"));
        opened.tree.notes.iter().for_each(|note| output::note(&format!("  {note}")));
    }
    Ok(Exit::Ok)
}

fn document(entry: &Entry) -> LsDocument {
    let (kind, target, content) = match &entry.kind {
        Kind::Folder => ("folder", None, None),
        Kind::File(content) => ("file", None, Some(content)),
        Kind::Link(to) => ("link", Some(shown(to)), None),
        Kind::SameAs(first) => ("same_as", Some(shown(first)), None),
    };
    LsDocument {
        path: shown(&entry.path),
        path_hex: hex(&entry.path),
        kind: kind.to_owned(),
        mode: format!("{:04o}", entry.mode),
        uid: entry.uid,
        gid: entry.gid,
        bytes: entry.length_bytes(),
        time: format_time_ns(u64::try_from(entry.mtime_ns).unwrap_or(0)),
        target,
        hash: content.map(|content| hex(&content.hash)),
        database: content.is_some_and(|content| content.database),
    }
}

fn line(document: &LsDocument) -> String {
    let kind = match document.kind.as_str() {
        "folder" => 'd',
        "link" => 'l',
        "same_as" => 'h',
        _ => '-',
    };
    let target = document.target.as_ref().map(|to| format!(" -> {to}")).unwrap_or_default();
    format!(
        "{kind}{} {:>5} {:>5} {:>12}  {}  {}{target}",
        document.mode, document.uid, document.gid, document.bytes, document.time, document.path
    )
}
