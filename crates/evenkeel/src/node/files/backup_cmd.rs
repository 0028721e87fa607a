//! `evenkeel backup`: one recovery point of files and folders, now.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use evenkeel_capture::files::{
    Counts, Globs, Known, Listing, Moment, NoteKind, Root as FileRoot, Selection, Store, Stored,
    Taken, Tree, list, take,
};
use evenkeel_recovery::Clock as _;
use evenkeel_types::Canonical as _;
use evenkeel_vault::{Point, PointHead, Root, SealedSource, SourceFeed, Writer};

use super::super::clock::SystemClock;
use super::super::domain::Domain;
use super::super::postgres::publish;
use super::super::slashing;
use super::hooks::Rest;
use super::progress::{ProgressLine, size};
use super::writer::{Keys, WriterHome, open_writer, refuse_without_keys};
use super::{TREE_ROOT, TREE_SOURCE, problem};
use crate::cli::{BackupArgs, format_time_ns};
use crate::config::Config;
use crate::documents::{BackupDocument, FileProblemDocument};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Remarks about single paths that a person is shown.
const PROBLEMS_SHOWN: usize = 20;

/// The kind of problem that is none of a path: `files.after` failed.
const NOT_THAWED: &str = "not_thawed";

fn not_thawed(config: &Config, report: &Report) -> FileProblemDocument {
    output::note(&report.to_string());
    FileProblemDocument {
        path: config.files.after.join(" "),
        kind: NOT_THAWED.to_owned(),
        detail: report.message().to_owned(),
    }
}

/// Runs the command.
pub(crate) fn run(args: &BackupArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let document = make(&config, args)?;
    if args.json {
        output::document(&document)?;
    } else {
        print(&document)?;
    }
    Ok(exit_of(&document))
}

/// Partial if something that should be in the point is not.
pub(super) fn exit_of(document: &BackupDocument) -> Exit {
    let partial = [NoteKind::Unreadable.word(), NOT_THAWED];
    let is_partial = document.problems.iter().any(|one| partial.contains(&one.kind.as_str()));
    if is_partial { Exit::Partial } else { Exit::Ok }
}

/// Makes one recovery point.
///
/// # Errors
/// Whatever prevents it; then no point counts.
pub(in super::super) fn make(config: &Config, args: &BackupArgs) -> Result<BackupDocument> {
    let begun = Instant::now();
    config.refuse()?;
    let domain = Domain::of(config)?;
    refuse_without_keys(config)?;
    let home = WriterHome::open(&config.files_dir())?;
    // Too few sites are better known before anybody is put to rest.
    let mut writer = open_writer(config, &domain, &home, &Keys::files(config))?;
    let mut rest = Rest::begin(&config.files, &home)?;
    let mut captures = publish(config)?;
    captures.extend(slashing::publish(config)?);
    let selection = selection(config, args, captures)?;
    let time_ns = SystemClock::new().wall_ns();
    let listing = list(selection)?;
    let excluded = listing.excluded;
    let tag = args.tag.clone().unwrap_or_default();
    let (force, whole, json) = (args.force, args.self_contained, args.json);
    let request = Request { home: &home, force, whole, json, time_ns, tag };
    let (point, tree, counts, thawed) = request.make(&mut writer, listing, &mut rest)?;
    let (files, folders) = tree.counts();
    let mut problems: Vec<_> = tree.notes.iter().map(problem).collect();
    problems.extend(thawed.err().map(|report| not_thawed(config, &report)));
    let document = BackupDocument {
        recovery_point: point.id.to_string(),
        lineage: point.id.lineage.to_string(),
        time: format_time_ns(time_ns),
        tag: tree.tag.clone(),
        files,
        folders,
        new: counts.new,
        changed: counts.changed,
        unchanged: counts.unchanged,
        excluded,
        bytes: tree.bytes(),
        bytes_read: counts.bytes_read,
        bytes_added: point.shipped.bytes,
        elapsed_seconds: begun.elapsed().as_secs_f64(),
        margin: point.margin,
        sites_missing: point.shipped.sites_failed.iter().map(|(name, _)| name.clone()).collect(),
        self_contained: point.self_contained,
        problems,
    };
    say(&document, &point, &tree);
    Ok(document)
}

/// What is to be taken: what was typed, or else what the configuration names.
fn selection(config: &Config, args: &BackupArgs, captures: Vec<PathBuf>) -> Result<Selection> {
    let base = std::env::current_dir()
        .map_err(|error| Report::io("find the working folder", Path::new("."), &error))?;
    let configured: Vec<PathBuf> = config.files.paths.iter().cloned().chain(captures).collect();
    let named = if args.paths.is_empty() { &configured } else { &args.paths };
    if named.is_empty() {
        return Err(Report::new(Exit::Usage, "no path was named, and files.paths is empty")
            .at(config.file.display().to_string())
            .safe("nothing was started")
            .next(format!("evenkeel backup PATH --config {}", config.file.display())));
    }
    let roots: Result<Vec<FileRoot>, _> =
        named.iter().map(|path| FileRoot::new(path, &base)).collect();
    let patterns: Vec<&String> = config.files.exclude.iter().chain(&args.exclude).collect();
    // Sealed copies of everything, keys and scratch: they would grow with every point.
    let mut own = vec![config.host.data.clone(), config.drill.home.clone()];
    own.push(config.recovery_identity_file());
    own.push(config.network_recovery_identity_file());
    own.extend(config.sites.iter().filter_map(|site| site.folder().map(Path::to_path_buf)));
    Ok(Selection { roots: roots?, excludes: Globs::new(&patterns)?, own })
}

struct Request<'a> {
    home: &'a WriterHome,
    force: bool,
    whole: bool,
    json: bool,
    time_ns: u64,
    tag: String,
}

impl Request<'_> {
    fn make(
        self,
        writer: &mut Writer,
        listing: Listing,
        rest: &mut Rest,
    ) -> Result<(Point, Tree, Counts, Result<()>)> {
        let memory = self.home.dir.join("known");
        let known = if self.force { Known::default() } else { Known::load(&memory) };
        let sealer = writer.begin_point(self.time_ns, self.whole)?;
        let scratch = self.home.scratch()?;
        let mut line = ProgressLine::new(listing.sizes(), self.json);
        let moment = Moment { time_ns: self.time_ns, tag: self.tag };
        let mut begin = Some((listing, moment));
        let mut done: Option<(Taken, [u8; 32])> = None;
        let sealed = sealer.seal_feed(&mut |feed: &mut SourceFeed<'_, '_>| {
            let Some((listing, moment)) = begin.take() else {
                return Ok(());
            };
            let mut store = Feed(feed);
            let taken = take(listing, &known, moment, &scratch, &mut store, &mut |progress| {
                line.show(progress);
            })?;
            let bytes = taken.tree.to_bytes();
            feed.read(TREE_SOURCE, &mut bytes.as_slice())?;
            done = Some((taken, *blake3::hash(&bytes).as_bytes()));
            Ok(())
        });
        line.end();
        // Everything is read: nobody waits for the sites.
        let thawed = rest.end();
        let sealed = sealed?;
        let Some((taken, hash)) = done else {
            return Err(Report::new(Exit::Failed, "no tree was taken"));
        };
        let head = PointHead {
            position: writer.point_position().map_or(1, |last| last.saturating_add(1)),
            time_ns: self.time_ns,
            roots: vec![Root { name: TREE_ROOT.to_owned(), hash }],
        };
        let point = writer.finish_point(&head, &sealed)?;
        if let Err(error) = taken.known.save(&memory) {
            output::note(&format!(
                "{}: cannot be written ({error}); the next backup reads every file again",
                memory.display()
            ));
        }
        Ok((point, taken.tree, taken.counts, thawed))
    }
}

/// A point's sources, as a store of contents.
struct Feed<'f, 's, 'a>(&'f mut SourceFeed<'s, 'a>);

impl Store for Feed<'_, '_, '_> {
    type Error = evenkeel_vault::Error;

    fn again(&mut self, name: &str, sealed: &[u8]) -> Result<bool, Self::Error> {
        match SealedSource::from_bytes(sealed) {
            Ok(source) => self.0.again(name, &source),
            Err(_) => Ok(false),
        }
    }

    fn read(&mut self, name: &str, source: &mut dyn Read) -> Result<Stored, Self::Error> {
        let sealed = self.0.read(name, source)?;
        Ok(Stored { sealed: sealed.to_bytes(), hash: sealed.hash })
    }
}

/// What a person has to know, whatever the form of the result.
fn say(document: &BackupDocument, point: &Point, tree: &Tree) {
    for note in tree.notes.iter().take(PROBLEMS_SHOWN) {
        output::note(&note.to_string());
    }
    if let Some(more) = tree.notes.len().checked_sub(PROBLEMS_SHOWN).filter(|more| *more > 0) {
        output::note(&format!("and {more} more: the recovery point holds the list"));
    }
    for (site, error) in &point.shipped.sites_failed {
        output::note(&format!("{site} does not hold it: {}", error.detail));
    }
    if !document.sites_missing.is_empty() {
        output::note(&format!(
            "{} more sites may be lost; when they are back: evenkeel repair",
            document.margin
        ));
    }
}

/// The result for people.
pub(super) fn print(document: &BackupDocument) -> Result<()> {
    let mut results = output::Results::new();
    results.line(&format!(
        "recovery point {} of {} files and {} folders, {}, in {:.2} s",
        document.recovery_point,
        document.files,
        document.folders,
        size(document.bytes),
        document.elapsed_seconds
    ))?;
    results.line(&format!(
        "  {} new, {} changed, {} unchanged; {} read, {} added at all sites together",
        document.new,
        document.changed,
        document.unchanged,
        size(document.bytes_read),
        size(document.bytes_added)
    ))?;
    results.line(&format!("  {} more sites may be lost", document.margin))?;
    results.finish()
}
