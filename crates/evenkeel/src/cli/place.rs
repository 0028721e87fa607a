//! `--home DIR` or `--config FILE`: which installation a command is about.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::{Config, FILE_NAME};
use crate::report::Result;

/// Where a home is when nothing is said.
const DEFAULT_HOME: &str = "evenkeel-demo";

/// Which installation a command is about.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// Folder that holds evenkeel.toml [default: ./evenkeel-demo, or $EVENKEEL_HOME]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub home: Option<PathBuf>,

    /// Configuration file [default: evenkeel.toml in the home, or $EVENKEEL_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Recovery kit instead of a configuration, for commands that read the sites; what they keep
    /// goes to --home [default then: ./evenkeel-kit]
    #[arg(long, value_name = "KIT", conflicts_with = "config")]
    pub kit: Option<PathBuf>,
}

impl Place {
    /// The configuration file: the command line first, then `EVENKEEL_CONFIG`, `EVENKEEL_HOME`,
    /// the default home.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(file) = &self.config {
            return file.clone();
        }
        if let Some(home) = &self.home {
            return home.join(FILE_NAME);
        }
        if let Some(file) = variable("EVENKEEL_CONFIG") {
            return file.into();
        }
        let home = variable("EVENKEEL_HOME").map_or_else(|| DEFAULT_HOME.into(), PathBuf::from);
        home.join(FILE_NAME)
    }

    /// The folder of the configuration file.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        let file = self.file();
        match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => Path::new(".").to_owned(),
        }
    }

    /// Whether a configuration file was named, which then has to exist: `up` makes a home only
    /// where none was named.
    #[must_use]
    pub fn names_a_file(&self) -> bool {
        let variable = std::env::var_os("EVENKEEL_CONFIG").is_some_and(|value| !value.is_empty());
        self.config.is_some() || (self.home.is_none() && variable)
    }

    /// Loads the configuration.
    ///
    /// # Errors
    /// As [`Config::load`]; of a kit, [`Exit::Usage`](crate::report::Exit) if it is none.
    pub fn load(&self) -> Result<Config> {
        if let Some(kit) = &self.kit {
            return crate::node::kit_config(kit, self.home.as_deref());
        }
        Config::load(&self.file())
    }
}
