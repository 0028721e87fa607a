//! Which security domain a command is about.

use serde::{Deserialize, Serialize};

use super::{Config, DomainConfig};

/// A security domain that evenkeel writes: nothing of one opens the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DomainName {
    /// Venue, files, databases.
    #[default]
    State,
    /// Network metadata: endpoints, cursors, pins, records of keys.
    Network,
}

impl DomainName {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::State, Self::Network];

    /// As its objects at the sites begin, and as people type it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Network => "network",
        }
    }

    /// Of its word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// What the configuration says of it.
    #[must_use]
    pub fn settings(self, config: &Config) -> Option<&DomainConfig> {
        match self {
            Self::State => config.domains.state.as_ref(),
            Self::Network => config.domains.network.as_ref(),
        }
    }

    /// What a command line says to mean it: nothing where it is the one that is meant anyway.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::State => "",
            Self::Network => " --domain network",
        }
    }

    /// A file's name for this domain: those of the state came first and have none in theirs.
    #[must_use]
    pub fn file(self, name: &str) -> String {
        match self {
            Self::State => name.to_owned(),
            Self::Network => format!("network-{name}"),
        }
    }

    /// Name of the file in which a drill host keeps the newest record that it has seen.
    #[must_use]
    pub fn pin(self) -> &'static str {
        match self {
            Self::State => "pin",
            Self::Network => "network.pin",
        }
    }

    /// A condition's kind for this domain, likewise.
    #[must_use]
    pub fn kind(self, kind: &str) -> String {
        match self {
            Self::State => kind.to_owned(),
            Self::Network => format!("network_{kind}"),
        }
    }

    /// Its recovery identity's name, as it is laid out.
    #[must_use]
    pub fn recovery_identity(self) -> String {
        self.file("recovery-identity.txt")
    }
}

impl std::fmt::Display for DomainName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
