//! What recovery points take of a capture: a folder beside it that only changes while a point's
//! lock is held. Whole segments and base backups are there under a second name, not a second time.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use evenkeel_capture::postgres::Position;
use evenkeel_recovery::Clock as _;

use super::super::clock::SystemClock;
use crate::cli::format_time_ns;
use crate::config::Config;
use crate::output;
use crate::report::{Report, Result};

/// Small files that are replaced as a whole. `position` first: it must not be ahead of the log.
const SMALL: [&str; 3] = ["position", "events", "cluster"];

/// While somebody captures, the server's clock is heard every second.
const OLD_SECONDS: u64 = 60;

/// Brings the folders of all captures up to date, and names them. Call it with the lock of
/// whoever makes points.
///
/// # Errors
/// Whatever the system says.
pub(in super::super) fn publish(config: &Config) -> Result<Vec<PathBuf>> {
    let mut published = Vec::new();
    for one in &config.postgres {
        let (from, to) = (config.postgres_dir(&one.name), config.postgres_points_dir(&one.name));
        say_if_old(&one.name, &from);
        if from.join("cluster").exists() {
            bring(&from, &to).map_err(|error| Report::io("bring up to date", &to, &error))?;
            published.push(to);
        }
    }
    Ok(published)
}

/// A point is as good as what was captured: that nobody captures any more must not be silent.
fn say_if_old(name: &str, from: &Path) {
    let next = "is `evenkeel postgres run` or `evenkeel up` at work, and the server within reach?";
    let text = fs::read_to_string(from.join("position")).unwrap_or_default();
    let Some(position) = Position::parse(&text).filter(|position| position.time_ns > 0) else {
        output::note(&format!("postgres {name}: nothing was captured yet; {next}"));
        return;
    };
    let age_seconds = SystemClock::new().wall_ns().saturating_sub(position.time_ns) / 1_000_000_000;
    if age_seconds > OLD_SECONDS {
        output::note(&format!(
            "postgres {name}: what was captured ends at {}, {age_seconds} s ago; {next}",
            format_time_ns(position.time_ns)
        ));
    }
}

fn bring(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for name in SMALL {
        copy(&from.join(name), &to.join(name))?;
    }
    folder(&from.join("wal"), &to.join("wal"))?;
    let bases = names(&from.join("base"))?;
    let whole: BTreeSet<String> =
        bases.into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).collect();
    let kept = to.join("base");
    fs::create_dir_all(&kept)?;
    for name in &whole {
        folder(&from.join("base").join(name), &kept.join(name))?;
    }
    for name in names(&kept)?.difference(&whole) {
        fs::remove_dir_all(kept.join(name))?;
    }
    Ok(())
}

/// Files under the names they have there; whatever else is here goes.
fn folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let wanted = names(from)?;
    for name in &wanted {
        let (source, target) = (from.join(name), to.join(name));
        if name.ends_with(".partial") {
            copy(&source, &target)?;
        } else if !name.ends_with(".new") && !is_same(&source, &target) {
            link(&source, &target)?;
        }
    }
    for name in names(to)?.difference(&wanted) {
        fs::remove_file(to.join(name))?;
    }
    Ok(())
}

fn names(folder: &Path) -> io::Result<BTreeSet<String>> {
    match fs::read_dir(folder) {
        // A base backup that was let go of meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        entries => {
            let name = |entry: io::Result<fs::DirEntry>| {
                entry.map(|entry| entry.file_name().into_string().unwrap_or_default())
            };
            entries?.map(name).collect()
        }
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    gone(fs::remove_file(to))?;
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(from, to),
        linked => gone(linked),
    }
}

/// A copy in one step; one that would change nothing is not made, so that it need not be read.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = match fs::read(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let part = to.with_extension("part");
    fs::write(&part, bytes)?;
    fs::rename(&part, to)
}

fn gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
