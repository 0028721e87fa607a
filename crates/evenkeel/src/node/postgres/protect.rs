//! `evenkeel protect postgresql://…`: the configuration, the slot, and the first base backup.

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel_capture::postgres::Address;

use super::session::Session;
use crate::config::Config;
use crate::output;
use crate::report::{Exit, Report, Result};

/// What is to be protected.
pub(in super::super) struct Wanted {
    name: String,
    url: String,
}

/// The cluster that a word names; `None` if it is a path.
///
/// # Errors
/// A URL that cannot be.
pub(in super::super) fn wanted(word: &Path) -> Result<Option<Wanted>> {
    let url = word.to_string_lossy().into_owned();
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(None);
    }
    let address: Address = url.parse().map_err(|why: String| {
        Report::new(Exit::Usage, why)
            .safe("nothing was started")
            .next("evenkeel protect postgresql://ROLE@HOST:5432/DATABASE --password-file FILE")
    })?;
    let name = address.database.unwrap_or_else(|| "main".to_owned()).to_lowercase();
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let name: String = name.chars().map(|c| if is_part(c) { c } else { '-' }).take(63).collect();
    Ok(Some(Wanted { name, url }))
}

/// Adds what is not there yet to a home's configuration.
///
/// # Errors
/// The configuration cannot be written, or would not be one.
pub(in super::super) fn add(
    config: &Config,
    wanted: &[Wanted],
    password_file: Option<&Path>,
) -> Result<()> {
    let known = |one: &&Wanted| !config.postgres.iter().any(|other| other.url == one.url);
    let new: Vec<&Wanted> = wanted.iter().filter(known).collect();
    if new.is_empty() {
        return Ok(());
    }
    let failed =
        |error: std::io::Error| Report::io("write the configuration", &config.file, &error);
    let mut text = fs::read_to_string(&config.file).map_err(failed)?;
    for one in new {
        let taken = |name: &str| config.postgres.iter().any(|other| other.name == name);
        let mut name = one.name.clone();
        while taken(&name) {
            name.push('x');
        }
        text.push_str(&format!(
            "\n[[postgres]]\nname = {}\nurl = {}\n",
            quoted(&name),
            quoted(&one.url)
        ));
        if let Some(file) = password_file {
            let file = std::path::absolute(file)
                .and_then(|file| file.metadata().map(|_| file))
                .map_err(|error| Report::io("look at the password file", file, &error))?;
            text.push_str(&format!("password_file = {}\n", quoted(&file.to_string_lossy())));
        }
    }
    Config::parse(&text, &config.file, &[])?;
    let part: PathBuf = config.file.with_extension("toml.part");
    // Left by a process that was killed.
    let _ = fs::remove_file(&part);
    crate::keyfile::write_new(&part, text.as_bytes())?;
    fs::rename(&part, &config.file).map_err(failed)
}

/// As TOML writes a text.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Connects, makes the slots, and waits until every configured cluster can be brought back.
///
/// # Errors
/// What the servers say; the configuration stays, and the same command goes on.
pub(in super::super) fn first_base(config: &Config) -> Result<()> {
    for of in &config.postgres {
        output::note(&format!("postgres {}: taking the first base backup", of.name));
        let session = Session::start(config, of)?;
        let done = session.wait_for_base();
        session.end();
        done?;
    }
    Ok(())
}
