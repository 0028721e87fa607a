//! Changes the recipients in a configuration file and nothing else in it.

use std::fs;
use std::path::Path;

use crate::config::{Config, DomainName, HolderConfig};
use crate::keyfile;
use crate::report::{Exit, Report, Result};

/// Writes the file with these recipients; holders are added at its end, or marked as removed. The
/// file is the old one or the new one, and the new one is a configuration.
pub(super) fn write(
    config: &Config,
    name: DomainName,
    recipients: &[(String, String)],
    added: Option<&HolderConfig>,
    removed: Option<&HolderConfig>,
) -> Result<()> {
    let failed =
        |error: std::io::Error| Report::io("write the configuration", &config.file, &error);
    let mut text = fs::read_to_string(&config.file).map_err(failed)?;
    set_recipients(&mut text, name, recipients).ok_or_else(|| unreadable(&config.file, name))?;
    if let Some(holder) = added {
        text.push_str(&block(name, holder)?);
    }
    if let Some(holder) = removed {
        mark_removed(&mut text, name, holder)?;
    }
    Config::parse(&text, &config.file, &[])?;
    let part = config.file.with_extension("toml.part");
    let _ = fs::remove_file(&part);
    keyfile::write_new(&part, text.as_bytes())?;
    fs::rename(&part, &config.file).map_err(failed)?;
    fs::File::open(config.home()).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn unreadable(file: &Path, name: DomainName) -> Report {
    Report::new(Exit::Usage, "the list of recipients in the configuration was not recognised")
        .at(file.display().to_string())
        .detail(format!("looked for [domains.{name}] and `recipients = [ … ]` below it"))
        .safe("nothing was changed")
        .next("change the list by hand, then: evenkeel config check")
}

/// Replaces the array behind `recipients =` in the section.
fn set_recipients(
    text: &mut String,
    name: DomainName,
    recipients: &[(String, String)],
) -> Option<()> {
    let section = line_at(text, 0, &format!("[domains.{name}]"))?;
    let begin = line_at(text, section, "recipients")?;
    let next_section = text[section + 1..].find("\n[").map_or(text.len(), |at| section + 1 + at);
    if begin > next_section {
        return None;
    }
    let end = begin + array_end(&text[begin..])?;
    let lines: String = recipients
        .iter()
        .map(|(recipient, label)| format!("    \"{recipient}\", # {}\n", label.replace('\n', " ")))
        .collect();
    text.replace_range(begin..end, &format!("recipients = [\n{lines}]"));
    Some(())
}

/// Where a line begins that starts with `start`, at or behind `from`.
fn line_at(text: &str, from: usize, start: &str) -> Option<usize> {
    if from == 0 && text.starts_with(start) {
        return Some(0);
    }
    text[from..].find(&format!("\n{start}")).map(|at| from + at + 1)
}

/// Where the array ends that begins in this text; brackets in comments do not count.
fn array_end(text: &str) -> Option<usize> {
    let (mut depth, mut in_text, mut in_comment) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            '\n' => in_comment = false,
            _ if in_comment => {}
            '"' => in_text = !in_text,
            _ if in_text => {}
            '#' => in_comment = true,
            '[' => depth += 1,
            ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn block(name: DomainName, holder: &HolderConfig) -> Result<String> {
    let lines = toml::to_string(holder).map_err(|error| {
        Report::new(Exit::Usage, format!("that cannot be written as TOML: {error}"))
            .safe("nothing was changed")
    })?;
    Ok(format!("\n[[domains.{name}.holders]]\n{lines}"))
}

/// Puts `removed` and `because` into the holder's block; a recipient that nothing was said of gets
/// a block.
fn mark_removed(text: &mut String, name: DomainName, holder: &HolderConfig) -> Result<()> {
    let mut from = 0;
    let head = format!("[[domains.{name}.holders]]");
    while let Some(begin) = line_at(text, from, &head) {
        let end = text[begin + 2..].find("\n[").map_or(text.len(), |at| begin + 2 + at + 1);
        let found: Option<toml::Table> = toml::from_str(&text[begin..end]).ok();
        let recipient = found.as_ref().and_then(|table| {
            let holders = table.get("domains")?.get(name.word())?.get("holders")?;
            holders.as_array()?.first()?.get("recipient")?.as_str().map(str::to_owned)
        });
        if recipient.as_deref() == Some(holder.recipient.as_str()) {
            let line = text[begin..].find('\n').map_or(text.len(), |at| begin + at + 1);
            let because = holder.because.map_or_else(String::new, |why| why.to_string());
            let words = format!("removed = \"{}\"\nbecause = \"{because}\"\n", holder.removed);
            text.insert_str(line, &words);
            return Ok(());
        }
        from = begin + 1;
    }
    text.push_str(&block(name, holder)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RemovedBecause;
    use crate::init::{InitOptions, init_home};
    use evenkeel_vault::Identity;

    #[test]
    fn recipients_are_changed_and_every_other_line_stays() {
        let folder = tempfile::tempdir().unwrap();
        let config = init_home(&folder.path().join("home"), &InitOptions::default()).unwrap();
        let before = fs::read_to_string(&config.file).unwrap();
        let state = config.domains.state.as_ref().unwrap();
        let named = |recipient: &String| (recipient.clone(), "one [of] them".to_owned());
        let mut all: Vec<(String, String)> = state.recipients.iter().map(named).collect();
        let new = Identity::generate().recipient().to_string();
        all.push((new.clone(), "vault".to_owned()));
        let holder = HolderConfig {
            recipient: new.clone(),
            label: "vault \"north\"".to_owned(),
            ..HolderConfig::default()
        };
        write(&config, DomainName::State, &all, Some(&holder), None).unwrap();
        let changed = Config::load(&config.file).unwrap();
        let now = changed.domains.state.as_ref().unwrap();
        assert_eq!(now.recipients.last(), Some(&new));
        assert_eq!(now.holders.last(), Some(&holder));
        let after = fs::read_to_string(&config.file).unwrap();
        let kept = before.lines().filter(|line| !line.contains("age1"));
        assert!(kept.clone().count() > 100);
        assert!(kept.clone().all(|line| after.contains(line)));

        all.pop();
        let gone = HolderConfig {
            removed: "2026-06-30T12:00:00Z".to_owned(),
            because: Some(RemovedBecause::Compromised),
            ..holder
        };
        write(&changed, DomainName::State, &all, None, Some(&gone)).unwrap();
        let now = Config::load(&config.file).unwrap();
        let now = now.domains.state.as_ref().unwrap();
        assert_eq!(now.recipients, state.recipients);
        assert_eq!(now.holders.last(), Some(&gone));
    }

    #[test]
    fn a_list_that_is_not_recognised_is_left_alone() {
        let mut text = "[domains.state]\nsites = []\n\n[domains.network]\nrecipients = []\n".into();
        assert_eq!(set_recipients(&mut text, DomainName::State, &[]), None);
        assert_eq!(array_end("recipients = [\"a]\", # ]\n \"b\"] # c"), Some(29));
    }
}
