//! Reading the file and the environment.

use std::path::Path;

use super::environment::{self, Variable};
use super::explain::explain;
use super::rules;
use super::{Config, Finding};
use crate::report::{Exit, Report, Result};

/// A configuration is a page or two; anything much longer is another file.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Config {
    /// Reads a configuration file, applies this process's `EVENKEEL_*` environment, and makes all
    /// paths absolute. The rules are not checked yet: see [`Config::refuse`].
    ///
    /// # Errors
    /// [`Exit::NothingYet`] if there is no such file; [`Exit::Usage`] with file, line, column and
    /// the nearest right name if a key is unknown or a value cannot be.
    pub fn load(file: &Path) -> Result<Self> {
        let text = read(file)?;
        Self::parse(&text, file, &environment::variables(std::env::vars_os())?)
    }

    /// As [`Config::load`], from text and a given environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, file: &Path, environment: &[Variable]) -> Result<Self> {
        refuse_secrets(text, file)?;
        let mut config: Self = toml::from_str(text).map_err(|error| explain(&error, text, file))?;
        if !environment.is_empty() {
            config = environment::apply(text, environment)?;
        }
        config.file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        config.resolve_paths();
        Ok(config)
    }

    /// A configuration that was put together here, as if `file` said it.
    pub(crate) fn placed(mut self, file: std::path::PathBuf) -> Self {
        self.file = std::path::absolute(&file).unwrap_or(file);
        self.resolve_paths();
        self
    }

    /// Checks every rule and refuses if one is broken; otherwise the warnings.
    ///
    /// # Errors
    /// [`Exit::Usage`] naming every broken rule and both sides of each.
    pub fn refuse(&self) -> Result<Vec<Finding>> {
        rules::refuse(self)
    }

    /// Checks every rule; the finding list is empty if there is nothing to say.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        rules::check(self)
    }
}

fn read(file: &Path) -> Result<String> {
    let found = std::fs::metadata(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => nothing_there(file),
        _ => Report::io("read the configuration", file, &error),
    })?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Err(Report::new(Exit::Usage, "this is no configuration file")
            .at(file.display().to_string())
            .next("name the file evenkeel.toml itself: --config DIR/evenkeel.toml"));
    }
    let bytes =
        std::fs::read(file).map_err(|error| Report::io("read the configuration", file, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Report::new(Exit::Usage, format!("the configuration is not UTF-8 at byte {offset}"))
            .at(file.display().to_string())
    })
}

fn nothing_there(file: &Path) -> Report {
    let home = file.parent().unwrap_or(Path::new("."));
    Report::new(Exit::NothingYet, "there is no configuration yet")
        .at(file.display().to_string())
        .next(format!("evenkeel up --home {}      (the demonstration)", home.display()))
        .next(format!("evenkeel init --home {}    (a home, nothing started)", home.display()))
}

/// A secret in the configuration would be copied with it, into tickets and backups.
fn refuse_secrets(text: &str, file: &Path) -> Result<()> {
    let secret = |line: &str| line.to_ascii_uppercase().contains("AGE-SECRET-KEY-1");
    let Some(line) = text.lines().position(secret) else {
        return Ok(());
    };
    Err(Report::new(Exit::Usage, "a secret key stands in the configuration; it was not read")
        .at(format!("{}:{}", file.display(), line + 1))
        .next("move it into a file of its own with mode 600 and name that file here")
        .next("treat the key as seen by whoever could read this file"))
}
