//! Changes to the text of a configuration that somebody wrote: their words and comments stay.

use std::fs;
use std::io;

use crate::config::Config;
use crate::init::sync_folder;
use crate::keyfile;
use crate::report::{Report, Result};

/// A string as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Writes another text of a configuration, which has to be one; it is the old one or the new one.
pub(crate) fn rewrite(config: &Config, change: impl FnOnce(&mut String)) -> Result<()> {
    let failed = |error: io::Error| Report::io("write the configuration", &config.file, &error);
    let mut text = fs::read_to_string(&config.file).map_err(failed)?;
    change(&mut text);
    Config::parse(&text, &config.file, &[])?;
    let part = config.file.with_extension("toml.part");
    let _ = fs::remove_file(&part);
    keyfile::write_new(&part, text.as_bytes())?;
    fs::rename(&part, &config.file).map_err(failed)?;
    sync_folder(config.home())
}

/// Replaces the first line behind `section` that begins with `start`.
pub(crate) fn set_in(text: &mut String, section: &str, start: &str, line: &str) {
    if let Some(at) = text.find(&format!("\n{section}\n")) {
        let mut rest = text.split_off(at + 1);
        set(&mut rest, start, line);
        text.push_str(&rest);
    }
}

/// Replaces the first line that begins with `start`.
pub(crate) fn set(text: &mut String, start: &str, line: &str) {
    let marker = format!("\n{start}");
    let Some(at) = text.find(&marker).map(|at| at + 1) else {
        return;
    };
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    text.replace_range(at..end, line);
}
