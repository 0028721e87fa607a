//! `evenkeel network diff`: what differs between versions.

use evenkeel_capture::network::compare;

use super::opened::{Version, find, opener};
use super::records::{self, Records};
use super::source::Source;
use crate::cli::NetworkDiffArgs;
use crate::documents::NetworkDiffDocument;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command.
pub(super) fn run(args: &NetworkDiffArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let opener = opener(&config, args.identity.as_deref(), &args.quorum)?;
    let open = |version| Version::open(&opener, find(opener.catalog(), version, None)?);
    let before = open(args.before)?;
    let (after, records, name) = match args.after {
        Some(version) => {
            let after = open(Some(version))?;
            (after.document, after.records, after.point.id.to_string())
        }
        None if config.kit.is_some() => {
            return Err(Report::new(Exit::Usage, "with a kit there is no document as it is now")
                .safe("nothing was compared")
                .next("evenkeel network diff A B --kit KIT …   (two versions)")
                .next("evenkeel network versions --kit KIT   (lists them)"));
        }
        None => {
            let source = Source::configured(&config)?;
            let document = super::source::parse(&source.text, &source.file.display().to_string())?;
            let records = Records::read(&source.document).kept;
            (document, records, source.file.display().to_string())
        }
    };
    let mut changes = compare(&before.document, &after);
    changes.extend(records::compare(&before.records, &records));
    let document =
        NetworkDiffDocument { before: before.point.id.to_string(), after: name, changes };
    if args.json {
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    let mut results = output::Results::new();
    for change in &document.changes {
        results.line(&change.to_string())?;
    }
    if document.changes.is_empty() {
        results.line("nothing differs")?;
    }
    results.finish()?;
    Ok(Exit::Ok)
}
