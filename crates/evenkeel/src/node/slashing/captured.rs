//! What is captured of a history: the merge of everything that was ever exported here, in a file
//! that no validator client reads, so that a plain restore of an old point cannot be taken for a
//! history that may be signed on.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel_capture::slashing::{Interchange, InterchangeError, merge};
use serde::{Deserialize, Serialize};

use crate::config::{Config, SlashingConfig};
use crate::output;
use crate::report::{Exit, Report, Result};

/// What the file calls itself.
const FORM: &str = "evenkeel slashing capture 1";
/// More than any export of many thousand keys.
const EXPORT_BYTES_MAX: u64 = 1 << 30;
const BEAT: Duration = Duration::from_millis(20);

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
struct Captured {
    form: String,
    warning: String,
    interchange: serde_json::Value,
}

/// Where the captured history of a validator client lies on this host.
fn file_of(config: &Config, name: &str) -> PathBuf {
    config.slashing_dir().join(format!("{name}.captured"))
}

/// Reads a captured history.
pub(super) fn read(text: &str) -> Result<Interchange, InterchangeError> {
    let bad = |_| Interchange::parse("");
    match serde_json::from_str::<Captured>(text) {
        Ok(captured) if captured.form == FORM => {
            Interchange::parse(&captured.interchange.to_string())
        }
        Ok(_) => Interchange::parse("{}"),
        Err(error) => bad(error),
    }
}

/// Histories that cannot be merged: of two chains.
pub(super) fn two_chains(error: &InterchangeError) -> Report {
    Report::new(Exit::Integrity, error.to_string())
        .safe("nothing was written")
        .next("keep the histories of different chains apart, each with its own [[slashing]]")
}

/// Captures every configured history anew; the files that a recovery point is to take.
///
/// # Errors
/// If something that was captured cannot be kept; an export that fails is said, and what was
/// captured before is taken again.
pub(in super::super) fn publish(config: &Config) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for source in &config.slashing {
        let file = file_of(config, &source.name);
        match export(source)
            .and_then(|text| Interchange::parse(&text).map_err(|error| error.to_string()))
        {
            Ok(exported) => keep(&file, &exported)?,
            Err(why) => output::note(&format!(
                "slashing history {}: {why}; the point holds what was captured before",
                source.name
            )),
        }
        if file.exists() {
            files.push(file);
        }
    }
    Ok(files)
}

fn keep(file: &Path, exported: &Interchange) -> Result<()> {
    let before = match fs::read_to_string(file) {
        Ok(text) => Some(read(&text).map_err(|error| {
            Report::new(Exit::Integrity, format!("the captured history is damaged: {error}"))
                .at(file.display().to_string())
                .safe("recovery points hold earlier ones; a restore merges them all")
                .next(format!("mv {0} {0}.damaged   (the next backup begins anew)", file.display()))
        })?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Report::io("read", file, &error)),
    };
    let merged = merge(before.iter().chain([exported])).map_err(|error| two_chains(&error))?;
    let Some(merged) = merged else { return Ok(()) };
    if before.as_ref() == Some(&merged) {
        return Ok(());
    }
    let captured = Captured {
        form: FORM.to_owned(),
        warning: "no validator may sign on this: evenkeel slashing restore".to_owned(),
        interchange: serde_json::from_str(&merged.to_json()).unwrap_or_default(),
    };
    let text = serde_json::to_string_pretty(&captured)
        .map_err(|error| Report::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
    replace(file, text.as_bytes())
}

/// Writes a file anew; it is the old one or the new one, and durable.
pub(super) fn replace(file: &Path, content: &[u8]) -> Result<()> {
    let folder = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Report::io("make the folder", folder, &error))?;
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let _ = fs::remove_file(&part);
    crate::keyfile::write_new(&part, content)?;
    fs::rename(&part, file).map_err(|error| Report::io("write", file, &error))?;
    crate::init::sync_folder(folder)
}

fn export(source: &SlashingConfig) -> Result<String, String> {
    if let Some(file) = &source.file {
        let failed =
            |error: std::io::Error| format!("{}: {}", file.display(), crate::report::plain(&error));
        let mut text = String::new();
        let open = fs::File::open(file).map_err(failed)?;
        open.take(EXPORT_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    printed_by(&source.command, Duration::from_secs(source.timeout_seconds))
}

fn printed_by(words: &[String], limit: Duration) -> Result<String, String> {
    let (program, rest) = words.split_first().ok_or("neither file nor command is configured")?;
    let mut child = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{program}: {}", crate::report::plain(&error)))?;
    // An export is longer than a pipe holds: it is read while the program writes.
    let out = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.map(|out| out.take(EXPORT_BYTES_MAX).read_to_string(&mut text)).map(|_| text)
    });
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(BEAT),
            _ => {
                // Whether it ends or not, it is not waited for any more.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program} was not done within {} s", limit.as_secs()));
            }
        }
    };
    let text = reader.join().ok().flatten();
    match (status.success(), text) {
        (true, Some(text)) => Ok(text),
        _ => Err(format!("{program} ended with {status}")),
    }
}
