//! `evenkeel network restore`: working configuration files, in an order that was measured.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_capture::network::{Cursor, Health, Verdict, head_of, render};
use evenkeel_vault::{ActionKind, Detail, Opener};

use super::super::approvals::{Asked, Gate, Pass, gate};
use super::super::domain::Domain;
use super::LOG_PREFIX;
use super::opened::{Version, find, opener};
use super::source::{absolute, measure};
use crate::cli::{NetworkRestoreArgs, format_time_ns};
use crate::config::Config;
use crate::documents::{NetworkRestoreDocument, RestoredCursorDocument};
use crate::keys_cmd;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command.
pub(super) fn run(args: &NetworkRestoreArgs) -> Result<Exit> {
    let begun = Instant::now();
    let config = args.place.load()?;
    refuse_occupied(&args.to)?;
    let domain = Domain::network(&config)?;
    let Some(pass) = approved(&config, &domain, args)? else {
        return Ok(Exit::Ok);
    };
    pass.begun(&domain)?;
    let opener = opener(&config, args.identity.as_deref(), &args.quorum)?;
    let point = find(opener.catalog(), args.version, args.at_time)?;
    let version = Version::open(&opener, point)?;
    let health = match args.offline {
        true => version.health.clone(),
        false => {
            // References to files are relative to the document's folder, which is here if anywhere.
            let folder = config.network.document.parent().unwrap_or(config.home());
            let document = absolute(version.document.clone(), folder);
            let patience = Duration::from_secs(config.network.timeout_seconds);
            let mut now = measure(&document, patience);
            // Cursors are what was captured; whatever lies here now is not asked for.
            now.cursors.clone_from(&version.health.cursors);
            now
        }
    };
    let mut written = Written { to: &args.to, files: Vec::new() };
    let existed = args.to.exists();
    let cursors = written.all(&opener, &version, &health, args.offline).inspect_err(|_| {
        written.remove(existed);
    })?;
    let document = NetworkRestoreDocument {
        recovery_point: version.point.id.to_string(),
        version: version.point.position,
        time: format_time_ns(version.point.time_ns),
        to: args.to.display().to_string(),
        files: written.files,
        measured_now: !args.offline,
        quarantined: quarantined(&health),
        cursors,
        elapsed_seconds: begun.elapsed().as_secs_f64(),
        sites_used: opener.seen().sites_used,
    };
    if args.json {
        output::document(&document)?;
    } else {
        print(&document)?;
    }
    pass.executed(&domain, &format!("restored into {}", args.to.display()))?;
    let held_back = |cursor: &RestoredCursorDocument| cursor.restored != cursor.captured;
    let is_partial = document.cursors.iter().any(held_back);
    Ok(if is_partial { Exit::Partial } else { Exit::Ok })
}

/// The gate in front of it.
fn approved(
    config: &Config,
    domain: &Domain<'_>,
    args: &NetworkRestoreArgs,
) -> Result<Option<Pass>> {
    let version = match (args.version, args.at_time) {
        (Some(version), _) => format!("version {version}"),
        (None, Some(time_ns)) => format!("as of {}", format_time_ns(time_ns)),
        (None, None) => "the newest".to_owned(),
    };
    let to = std::path::absolute(&args.to).unwrap_or_else(|_| args.to.clone());
    let to = to.display().to_string();
    let what = [("what", "restore"), ("point", version.as_str()), ("to", to.as_str())];
    // The quorum was asked by an approved action, and opens no more than that.
    let asked_by = args.quorum.quorum.as_deref();
    let asked = Asked {
        kinds: &[ActionKind::Export],
        details: what.map(|(name, value)| Detail::new(name, value)).to_vec(),
        propose: args.propose.as_deref(),
        command: "evenkeel network restore",
        also: asked_by.map(keys_cmd::approved_action).transpose()?.flatten(),
        json: args.json,
    };
    match gate(config, domain, &asked)? {
        Gate::Open(pass) => Ok(Some(*pass)),
        Gate::Proposed => Ok(None),
    }
}

/// Writes a version as it was measured, asking nobody; how many files that are.
pub(super) fn write_offline(opener: &Opener, version: &Version, to: &Path) -> Result<usize> {
    let mut written = Written { to, files: Vec::new() };
    written.all(opener, version, &version.health, true)?;
    Ok(written.files.len())
}

/// Writes a version with what was measured; how many files that are, and what became of cursors.
pub(super) fn write_measured(
    opener: &Opener,
    version: &Version,
    health: &Health,
    offline: bool,
    to: &Path,
) -> Result<(usize, Vec<RestoredCursorDocument>)> {
    let mut written = Written { to, files: Vec::new() };
    let cursors = written.all(opener, version, health, offline)?;
    Ok((written.files.len(), cursors))
}

fn quarantined(health: &Health) -> Vec<String> {
    let barred = health.endpoints.iter().filter(|it| it.verdict == Verdict::Quarantined);
    barred
        .map(|it| {
            let why: Vec<String> = it.faults.iter().map(ToString::to_string).collect();
            format!("{}: {}", it.name, why.join("; "))
        })
        .collect()
}

fn refuse_occupied(to: &Path) -> Result<()> {
    let is_empty = match fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if is_empty {
        return Ok(());
    }
    Err(Report::new(Exit::Usage, "the folder to restore into is not empty")
        .at(to.display().to_string())
        .safe("nothing was written")
        .next("name a new or empty folder: --to NEW"))
}

struct Written<'t> {
    to: &'t Path,
    files: Vec<String>,
}

impl Written<'_> {
    fn all(
        &mut self,
        opener: &Opener,
        version: &Version,
        health: &Health,
        offline: bool,
    ) -> Result<Vec<RestoredCursorDocument>> {
        fs::create_dir_all(self.to)
            .map_err(|error| Report::io("make the folder", self.to, &error))?;
        self.file("network.toml", version.text.as_bytes())?;
        for file in render(&version.document, health) {
            self.file(&file.name, file.content.as_bytes())?;
        }
        let content = opener.content(version.point.id)?;
        for name in content.sources().map(|source| source.name) {
            let Some(indexer) = name.strip_prefix(LOG_PREFIX) else { continue };
            let mut log = Vec::new();
            opener.read_content(&content, &name, &mut log)?;
            self.file(&format!("{indexer}.log"), &log)?;
        }
        for one in &version.records {
            let file = format!("keys/{}.{}", one.name, one.record.extension());
            self.file(&file, one.text.as_bytes())?;
            if !one.drills.is_empty() {
                self.file(&format!("keys/{}.drills.jsonl", one.name), one.drills.as_bytes())?;
            }
        }
        let cursors = version.health.cursors.iter();
        let cursors = cursors.filter(|cursor| cursor.block.is_some() || cursor.error.is_some());
        cursors.map(|cursor| self.cursor(cursor, health, offline)).collect()
    }

    /// A cursor goes back to what was captured, or to the measured head if that is lower: beyond
    /// it an indexer would wait for blocks that may never be, or skip what they turn out to be.
    fn cursor(
        &mut self,
        cursor: &Cursor,
        health: &Health,
        offline: bool,
    ) -> Result<RestoredCursorDocument> {
        let head = head_of(health, &cursor.chain);
        let when = if offline { "as it was measured then" } else { "as it is measured now" };
        let (restored, detail) = match (cursor.block, head) {
            (None, _) => (None, "it could not be read when the version was made".to_owned()),
            (Some(block), None) => (
                None,
                format!(
                    "no head of {} is known, so block {block} is not vouched for",
                    cursor.chain
                ),
            ),
            (Some(block), Some(head)) if block > head => (
                Some(head),
                format!(
                    "set back from block {block} to {head}: the head of {} {when}; read again from \
                     there",
                    cursor.chain
                ),
            ),
            (Some(block), Some(_)) => (Some(block), "as it was".to_owned()),
        };
        if let Some(block) = restored {
            self.file(&format!("{}.cursor", cursor.name), format!("{block}\n").as_bytes())?;
        }
        Ok(RestoredCursorDocument {
            name: cursor.name.clone(),
            captured: cursor.block,
            restored,
            head,
            detail,
        })
    }

    fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.to.join(name);
        if let Some(folder) = path.parent().filter(|folder| *folder != self.to) {
            fs::create_dir_all(folder)
                .map_err(|error| Report::io("make the folder", folder, &error))?;
        }
        let mut open = fs::OpenOptions::new();
        open.write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.sync_all()
            })
            .map_err(|error| Report::io("write", &path, &error))?;
        self.files.push(name.to_owned());
        Ok(())
    }

    /// The folder was new or empty before: all that is in it came from us.
    fn remove(&self, existed: bool) {
        for name in &self.files {
            // What stays is in the way of the next restore, which names it.
            let _ = fs::remove_file(self.to.join(name));
        }
        let _ = fs::remove_dir(self.to.join("keys"));
        if !existed {
            let _ = fs::remove_dir(self.to);
        }
    }
}

fn print(document: &NetworkRestoreDocument) -> Result<()> {
    let mut results = output::Results::new();
    results.line(&format!(
        "restored version {} of {} into {} in {:.2} s",
        document.version, document.time, document.to, document.elapsed_seconds
    ))?;
    results.line(&format!("  {}", document.files.join(", ")))?;
    let order = if document.measured_now { "as measured now" } else { "as measured then" };
    results.line(&format!("  endpoints in order of health {order}"))?;
    for cursor in &document.cursors {
        results.line(&format!("  cursor {}: {}", cursor.name, cursor.detail))?;
    }
    results.finish()?;
    for barred in &document.quarantined {
        output::note(&format!("QUARANTINED, in no list of endpoints to use: {barred}"));
    }
    Ok(())
}
