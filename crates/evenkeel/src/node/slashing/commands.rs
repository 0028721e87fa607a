//! `slashing restore` and `slashing merge`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_capture::files::{Kind, select};
use evenkeel_capture::slashing::{Interchange, Lowered, epochs_to_wait, merge, watermarks};
use evenkeel_recovery::Clock as _;
use evenkeel_vault::Opener;

use super::super::approvals::export_gate;
use super::super::clock::SystemClock;
use super::super::domain::Domain;
use super::super::files::{Opened, kind_of};
use super::captured::{self, replace, two_chains};
use crate::cli::{SlashingMergeArgs, SlashingRestoreArgs, format_time_ns};
use crate::config::{Config, SlashingConfig};
use crate::documents::{PointKind, SlashingDocument};
use crate::keyfile;
use crate::output;
use crate::report::{Exit, Report, Result};

const SECOND_NS: u64 = 1_000_000_000;

/// Merges what all recovery points hold, and what lies at the target.
pub(super) fn restore(args: &SlashingRestoreArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let source = config.slashing.iter().find(|it| it.name == args.name).ok_or_else(|| {
        let known: Vec<&str> = config.slashing.iter().map(|it| it.name.as_str()).collect();
        Report::new(Exit::Usage, format!("no [[slashing]] is called `{}`", args.name))
            .at(config.file.display().to_string())
            .safe("nothing was written")
            .next(format!("known there: {}", known.join(", ")))
    })?;
    let domain = Domain::of(&config)?;
    let to = std::path::absolute(&args.to).unwrap_or_else(|_| args.to.clone());
    let (to, of_it) = (to.display().to_string(), format!("signing history {}", args.name));
    let what = [("what", "restore"), ("of-it", of_it.as_str()), ("to", to.as_str())];
    let how = (args.propose.as_deref(), args.json);
    let command = "evenkeel slashing restore";
    let Some(pass) = export_gate((&config, &domain), &what, how, command)? else {
        return Ok(Exit::Ok);
    };
    pass.begun(&domain)?;
    let (histories, points) = all_captured(&config, args)?;
    if histories.is_empty() {
        return Err(Report::new(Exit::NothingYet, "no recovery point holds this history")
            .safe("nothing was written")
            .next("evenkeel backup   (captures it, while the validator's host is alive)"));
    }
    let (merged, target) = merge_with_target(&histories, &args.to)?;
    let mut document = document_of(&merged, &args.to, points, target);
    wait(&mut document, source, args.stopped_at, &merged);
    replace(&args.to, merged.to_json().as_bytes())?;
    pass.executed(&domain, &format!("restored into {}", args.to.display()))?;
    tell(&document, args.json)?;
    Ok(if document.wait_epochs > Some(0) { Exit::Partial } else { Exit::Ok })
}

/// Merges files.
pub(super) fn merge_files(args: &SlashingMergeArgs) -> Result<Exit> {
    let histories = args.files.iter().map(|file| read_file(file)).collect::<Result<Vec<_>>>()?;
    let (merged, target) = merge_with_target(&histories, &args.to)?;
    let count = u64::try_from(histories.len()).unwrap_or(u64::MAX);
    let document = document_of(&merged, &args.to, count, target);
    replace(&args.to, merged.to_json().as_bytes())?;
    tell(&document, args.json)?;
    Ok(Exit::Ok)
}

fn read_file(file: &Path) -> Result<Interchange> {
    let text = fs::read_to_string(file).map_err(|error| Report::io("read", file, &error))?;
    Interchange::parse(&text).map_err(|error| {
        Report::new(Exit::Usage, error.to_string())
            .at(file.display().to_string())
            .safe("nothing was written")
            .next("export it from the validator client again, as EIP-3076 interchange version 5")
    })
}

/// Every history of every point of files, and how many points held one.
fn all_captured(config: &Config, args: &SlashingRestoreArgs) -> Result<(Vec<Interchange>, u64)> {
    let domain = Domain::of(config)?;
    let identity = keyfile::read_identity(&args.identity)?;
    let opener = Opener::new(Arc::new(domain.catalog(None)?), identity)?;
    let name = format!("/slashing/{}.captured", args.name);
    let points = opener.catalog().points();
    let of_files = points.iter().filter(|point| kind_of(point.id.lineage) == PointKind::Files);
    let scratch = Scratch::new(config)?;
    let (mut histories, mut seen, mut count) = (Vec::new(), BTreeSet::new(), 0);
    for point in of_files {
        let opened = Opened::new(&opener, point)?;
        // Whatever home it was captured in; a point from before that does not hold it.
        let of_name = opened.tree.entries.iter().filter(|it| it.path.ends_with(name.as_bytes()));
        let mut held = 0;
        for entry in of_name {
            let Kind::File(content) = &entry.kind else { continue };
            held = 1;
            if seen.insert(content.hash) {
                histories.push(captured_in(&opened, &entry.path, &scratch)?);
            }
        }
        count += held;
    }
    Ok((histories, count))
}

fn captured_in(opened: &Opened<'_>, path: &[u8], scratch: &Scratch) -> Result<Interchange> {
    let path = Path::new(OsStr::from_bytes(path));
    let selected = select(&opened.tree, &[path.to_owned()], Path::new("/"))?;
    let to = scratch.dir.join("one");
    opened.extract(&selected, &to)?;
    let text = file_below(&to, path.file_name().unwrap_or_default())?;
    super::super::files::remove_all(&to);
    captured::read(&text).map_err(|error| {
        Report::new(Exit::Integrity, format!("a captured history is damaged: {error}"))
            .safe("nothing was written")
    })
}

fn file_below(folder: &Path, name: &OsStr) -> Result<String> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error: std::io::Error| Report::io("read", &folder, &error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name() == Some(name) {
                return fs::read_to_string(&path)
                    .map_err(|error| Report::io("read", &path, &error));
            }
        }
    }
    Err(Report::new(Exit::Failed, "what was extracted is not there")
        .at(folder.display().to_string()))
}

struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn new(config: &Config) -> Result<Self> {
        let name = format!("slashing-{}", std::process::id());
        let dir = config.slashing_dir().join(name);
        fs::create_dir_all(&dir).map_err(|error| Report::io("make the folder", &dir, &error))?;
        Ok(Self { dir })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        super::super::files::remove_all(&self.dir);
    }
}

/// The merge with what lies at the target, and whether something did.
fn merge_with_target(histories: &[Interchange], to: &Path) -> Result<(Interchange, bool)> {
    let target = if to.exists() { Some(read_file(to)?) } else { None };
    let merged = merge(histories.iter().chain(&target)).map_err(|error| two_chains(&error))?;
    let merged = merged.ok_or_else(|| {
        Report::new(Exit::NothingYet, "there is no history to write").safe("nothing was written")
    })?;
    // What is written is compared, not believed: a lowered watermark costs the stake.
    for known in histories.iter().chain(&target) {
        if let Some(lowered) = Lowered::find(known, &merged).first() {
            let what = format!("what would be written allows {} too much", lowered.key);
            return Err(Report::new(Exit::Integrity, what)
                .safe("nothing was written")
                .next("please report it: a merge must never lower anything"));
        }
    }
    Ok((merged, target.is_some()))
}

fn document_of(merged: &Interchange, to: &Path, sources: u64, target: bool) -> SlashingDocument {
    let marks: Vec<_> = watermarks(merged).into_values().collect();
    SlashingDocument {
        to: to.display().to_string(),
        genesis_validators_root: merged.genesis_validators_root.to_string(),
        keys: u64::try_from(marks.len()).unwrap_or(u64::MAX),
        sources,
        merged_with_target: target,
        max_slot: marks.iter().filter_map(|mark| mark.slot).max(),
        max_target_epoch: marks.iter().filter_map(|mark| mark.target).max(),
        ..SlashingDocument::default()
    }
}

/// The key that is known least decides: each of them can have signed until the end.
fn wait(
    document: &mut SlashingDocument,
    source: &SlashingConfig,
    stopped_at: Option<u64>,
    merged: &Interchange,
) {
    let now = SystemClock::new().wall_ns() / SECOND_NS;
    let stopped = stopped_at.map_or(now, |at| at / SECOND_NS).min(now);
    let marks = watermarks(merged);
    let captured = marks.values().map(|mark| mark.target).min().flatten();
    let (now_epoch, stopped_epoch) = (source.epoch_at(now), source.epoch_at(stopped));
    let epochs = epochs_to_wait(captured, stopped_epoch, now_epoch);
    document.captured_epoch = captured;
    document.stopped_epoch = Some(stopped_epoch);
    document.wait_epochs = Some(epochs);
    let start = source.begin_of(now_epoch.saturating_add(epochs)).max(now);
    document.start_after = Some(format_time_ns(start.saturating_mul(SECOND_NS)));
}

fn tell(document: &SlashingDocument, json: bool) -> Result<()> {
    if json {
        output::document(document)?;
    } else {
        let mut results = output::Results::new();
        let known = |number: Option<u64>| number.map_or("none".to_owned(), |it| it.to_string());
        results.line(&format!(
            "{}: {} keys, merged from {} histories{}; greatest slot {}, greatest target epoch {}",
            document.to,
            document.keys,
            document.sources,
            if document.merged_with_target { " and what lay there" } else { "" },
            known(document.max_slot),
            known(document.max_target_epoch)
        ))?;
        results.finish()?;
    }
    if let (Some(epochs @ 1..), Some(start)) = (document.wait_epochs, &document.start_after) {
        let captured = document
            .captured_epoch
            .map_or("no epoch of every key".to_owned(), |it| format!("epoch {it}"));
        output::note(&format!(
            "WAIT {epochs} epochs, until {start}, before the validator starts: {captured} is the \
             newest that was captured, and it can have signed for epochs up to {} since. Started \
             earlier it can be slashed.",
            document.stopped_epoch.unwrap_or_default().saturating_add(1)
        ));
    }
    Ok(())
}
