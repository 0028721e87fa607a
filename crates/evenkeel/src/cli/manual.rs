//! Completions and manual pages, made from the definition of the command line.

use std::path::Path;

use clap_complete::Shell;

use super::command;
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn completions(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "evenkeel", &mut script);
    output::result(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Ok)
}

/// All pages into a folder, or the main one to stdout.
pub(super) fn man(folder: Option<&Path>) -> Result<Exit> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        // Writing to memory cannot fail.
        let _ = clap_mangen::Man::new(command()).render(&mut page);
        output::result(String::from_utf8_lossy(&page).trim_end())?;
        return Ok(Exit::Ok);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command(), folder))
        .map_err(|error| Report::io("write the manual pages", folder, &error))?;
    output::note(&format!("manual pages are in {}", folder.display()));
    Ok(Exit::Ok)
}
